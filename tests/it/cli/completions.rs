//! `completions`: every shell's script knows every command, flag and value.

use std::process::Command;

use super::{
    help::{COMMANDS, GLOBAL},
    run, said,
};

const SHELLS: [&str; 4] = ["bash", "zsh", "fish", "powershell"];

fn script(shell: &str) -> String {
    let said = run(&["completions", shell]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{shell}");
    said.out
}

#[test]
fn every_script_has_every_command_and_flag() {
    for shell in SHELLS {
        let script = script(shell);
        let words: Vec<_> = script
            .split(|it: char| !it.is_alphanumeric() && !matches!(it, '-' | '_'))
            // Fish names a long flag without its dashes.
            .map(|word| word.trim_start_matches('-'))
            .collect();
        for (command, flags) in COMMANDS {
            for word in command.iter().chain(flags).chain(&GLOBAL) {
                let word = word.trim_start_matches('-');
                assert!(words.contains(&word), "{shell}, {command:?}: {word}");
            }
        }
    }
}

/// What bash offers after these words, of which the last is not complete yet.
fn offered(words: &[&str]) -> Vec<String> {
    let (last, before) = words.split_last().unwrap();
    let program = format!(
        "{}\nCOMP_WORDS=(\"$@\")\nCOMP_CWORD=$(($# - 1))\n_poolguard poolguard {last:?} {:?}\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        script("bash"),
        before.last().unwrap(),
    );
    let said = said(Command::new("bash").args(["--norc", "-euc", &program, "bash"]).args(words));
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{words:?}");
    said.out.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_reads_its_script_and_completes() {
    for (words, expected) in [
        (&["poolguard", "comp"][..], &["completions"][..]),
        (&["poolguard", "check", "--fail"], &["--fail-on"]),
        (&["poolguard", "check", "--fail-on", ""], &["error", "warning", "unknown"]),
        (&["poolguard", "render", "web"], &["webhooks"]),
        (&["poolguard", "render", "policy", "--clus"], &["--cluster"]),
        (&["poolguard", "completions", "f"], &["fish"]),
        (&["poolguard", "provider", "al"], &["alibaba"]),
    ] {
        assert_eq!(offered(words), expected, "{words:?}");
    }
}
