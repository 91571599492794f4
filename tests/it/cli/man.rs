//! `man`: one page a command.

use std::{collections::BTreeSet, fs};

use super::{
    help::{COMMANDS, GLOBAL},
    run,
};

#[test]
fn every_command_has_a_page_with_each_of_its_flags() {
    let folder = tempfile::tempdir().unwrap();
    // The folder does not have to be there.
    let folder = folder.path().join("man/man1");
    let said = run(&["man", "--directory", folder.to_str().unwrap()]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""));
    let mut expected = BTreeSet::new();
    for (command, flags) in COMMANDS {
        let name = [&["poolguard"], command].concat().join("-");
        let page = fs::read_to_string(folder.join(format!("{name}.1"))).unwrap();
        // A hyphen that stays one when it is copied.
        let page = page.replace("\\-", "-").replace("\\f", " \\f");
        assert!(page.contains(&format!(".TH {name} 1  \"PoolGuard ")), "{page}");
        assert!(page.contains(&format!("\n.SH NAME\n{name} - ")), "{page}");
        assert!(!page.contains("EXTRA"), "{page}");
        for flag in flags.iter().chain(&GLOBAL) {
            assert!(page.contains(&format!("\\fB{flag} ")), "{name} has no {flag}: {page}");
        }
        expected.insert(format!("{name}.1"));
    }
    let found = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name());
    let found: BTreeSet<_> = found.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_folder_that_cannot_be_made_is_exit_code_2() {
    let said = run(&["man", "--directory", "/dev/null/man"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("cannot write man pages to /dev/null/man"), "{}", said.err);
}
