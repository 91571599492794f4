//! `explain`: the documentation of a rule, in a terminal's width.

use poolguard::policy::mode::RuleName;

use super::run;

#[test]
fn a_rule_is_explained_within_80_columns() {
    for rule in RuleName::ALL {
        let said = run(&["explain", rule.as_str()]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{rule}");
        said.assert_plain();
        assert!(said.out.starts_with(&format!("{rule}\n\ndefault mode  ")), "{}", said.out);
        for line in said.out.lines() {
            assert!(line.chars().count() <= 80 || line.starts_with("https://"), "{rule}: {line}");
            assert!(!line.contains("](") && !line.contains("**"), "{rule}: {line}");
        }
    }
    insta::assert_snapshot!("explain", run(&["explain", "node-identity"]).out);
}

#[test]
fn without_a_rule_all_of_them_are_listed_with_their_modes() {
    let said = run(&["explain"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    said.assert_plain();
    assert!(said.out.lines().all(|line| line.chars().count() <= 80), "{}", said.out);
    insta::assert_snapshot!("explain_list", said.out);
}
