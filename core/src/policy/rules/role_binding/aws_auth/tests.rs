//! What a change of `mapRoles` does to the mapping of a role.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ROLE: &str = "arn:aws:iam::111122223333:role/automq-node";
/// The item that AWS documents for nodes.
const NODE: &str = "- rolearn: arn:aws:iam::111122223333:role/automq-node\n  username: system:node:{{EC2PrivateDNSName}}\n  groups:\n  - system:bootstrappers\n  - system:nodes\n";
/// The same role as an administrator.
const ADMIN: &str = "- rolearn: arn:aws:iam::111122223333:role/automq-node\n  username: admin\n  groups:\n  - system:masters\n";
const OPS: &str =
    "- rolearn: arn:aws:iam::111122223333:role/ops\n  username: ops\n  groups: [system:masters]\n";

fn outcome_of(role: &str, old: &Value, new: &Value) -> String {
    let roles = Roles::new([key(role).into_owned()].into_iter().collect());
    let held = |field: &Value| match field {
        Value::Null => Held::Nothing,
        Value::String(text) => Held::Text(text.clone().into()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Held::Other,
    };
    let (old, new) = (held(old), held(new));
    let read = |held| MapRoles::new(held, Rc::clone(&roles));
    let (old, new) = (read(&old), read(&new));
    let differs = |old: &Mapping<'_>, new: &Mapping<'_>| {
        let groups = if old.groups == new.groups { "" } else { " groups" };
        let username = if old.username == new.username { "" } else { " username" };
        format!("{groups}{username}")
    };
    match harm(role, &old, &new) {
        None => "passes".to_owned(),
        Some(Harm::Lost(_)) => "lost".to_owned(),
        Some(Harm::Path(_)) => "with its path".to_owned(),
        Some(Harm::Altered { position, old, new }) => {
            format!("altered{} by {position}", differs(&old, &new))
        }
        Some(Harm::Shadowed { position, old, new }) => {
            format!("shadowed{} by {position}", differs(&old, &new))
        }
        Some(Harm::Unreadable(_)) => "unreadable".to_owned(),
        Some(Harm::NotMended) => "not mended".to_owned(),
    }
}

fn outcome(old: &str, new: &str) -> String {
    outcome_of(ROLE, &json!(old), &json!(new))
}

/// The item with parts of it written otherwise.
fn node(parts: &[(&str, &str)]) -> String {
    parts.iter().fold(NODE.to_owned(), |text, (part, other)| {
        assert!(text.contains(part), "{part}");
        text.replace(part, other)
    })
}

#[track_caller]
fn check(cases: &[(&str, &str, &str)]) {
    for (old, new, expected) in cases {
        assert_eq!(outcome(old, new), *expected, "\n{old}\n→\n{new}");
    }
}

#[test]
fn aws_auth_allows_another_spelling_of_the_same_mapping() {
    let groups = "  groups:\n  - system:bootstrappers\n  - system:nodes\n";
    let spellings = [
        node(&[(groups, "  groups:\n  - system:nodes\n  - system:bootstrappers\n")]),
        node(&[(
            groups,
            "  groups:\n  - system:nodes\n  - system:bootstrappers\n  - system:nodes\n",
        )]),
        node(&[(groups, "  groups: [system:nodes, 'system:bootstrappers']\n")]),
        node(&[(groups, "  groups: [system:nodes, system:bootstrappers, '']\n")]),
        node(&[("rolearn", "roleARN"), ("username", "UserName"), ("groups", "GROUPS")]),
        node(&[("username", "u\u{17f}ername"), ("groups", "group\u{17f}")]),
        node(&[("automq-node", "AutoMQ-Node")]),
        node(&[("automq-node", "automq-node # of the brokers")]),
        node(&[("username", "note: x\n  userid: y\n  username")]),
        node(&[("  username", "  username: x\n  username")]),
        node(&[("  username", "  userName: x\n  username")]),
        node(&[("  username", "  username: null\n  username")]),
        node(&[("groups:", "groups: &g"), ("- rolearn: ", "- rolearn: &r ")])
            + "- rolearn: x\n  groups: *g\n",
        format!("---\n{NODE}...\n"),
        format!("---\n{NODE}---\n[]\n"),
        format!("\u{feff}{NODE}"),
        NODE.replace('\n', "\r\n"),
        format!("{OPS}{NODE}{OPS}"),
        format!("{NODE}{NODE}"),
        format!("{ADMIN}{NODE}"),
        format!("{NODE}- text\n- null\n- [a]\n- rolearn: 5\n- username: x\n"),
        format!("{NODE}- rolearn: {ROLE}\n  sso: {{}}\n  username: x\n"),
        format!("{NODE}- rolearn: {ROLE}\n  rolearn: 5\n  username: x\n"),
        format!("{NODE}- rolearn: arn:aws:iam::111122223333:role/kafka/automq-node\n"),
        format!("{NODE}- rolearn: \"{ROLE} \"\n"),
        json!([{
            "rolearn": ROLE,
            "username": "system:node:{{EC2PrivateDNSName}}",
            "groups": ["system:nodes", "system:bootstrappers"],
        }])
        .to_string(),
        format!(
            "- &n {{username: 'system:node:{{{{EC2PrivateDNSName}}}}', groups: [system:nodes, system:bootstrappers]}}\n- {{<<: *n, rolearn: '{ROLE}'}}\n"
        ),
        format!(
            "- &n {{username: 'system:node:{{{{EC2PrivateDNSName}}}}', groups: [system:nodes, system:bootstrappers]}}\n- {{username: x, <<: [*n, {{username: y}}], rolearn: '{ROLE}'}}\n"
        ),
    ];
    for spelling in &spellings {
        assert_eq!(outcome(NODE, spelling), "passes", "{spelling}");
        assert_eq!(outcome(spelling, NODE), "passes", "{spelling}");
        // It is read, and not skipped.
        assert_eq!(outcome(spelling, "[]"), "lost", "{spelling}");
    }
}

#[test]
fn aws_auth_denies_the_loss_of_a_mapping() {
    for new in [
        "",
        " \n",
        "''",
        "\"\"",
        "``",
        "[]",
        "null",
        "---\n[]\n",
        "# nothing\n",
        "text",
        "{a: b}",
        OPS,
        &format!("[]\n---\n{NODE}"),
        &node(&[("rolearn", "rolearns")]),
        &node(&[("automq-node", "automq-node-2")]),
        &node(&[("- rolearn", "- sso: {}\n  rolearn")]),
        &node(&[("- rolearn", "- sso: x\n  rolearn")]),
        &node(&[("- rolearn: ", "- rolearn: |\n    ")]),
        &node(&[("111122223333", "111122224444")]),
        &node(&[("rolearn: arn", "rolearn: \" arn"), ("automq-node", "automq-node\"")]),
    ] {
        assert_eq!(outcome(NODE, new), "lost", "{new}");
    }
    assert_eq!(outcome_of(ROLE, &json!(NODE), &Value::Null), "lost");
}

#[test]
fn aws_auth_denies_a_mapping_that_means_something_else() {
    check(&[
        (NODE, &node(&[("  - system:bootstrappers\n", "")]), "altered groups by 1"),
        (
            NODE,
            &node(&[("- system:nodes", "- system:nodes\n  - system:masters")]),
            "altered groups by 1",
        ),
        (NODE, &node(&[("system:nodes", "System:Nodes")]), "altered groups by 1"),
        (NODE, &node(&[("groups:", "groups: null\n  other:")]), "altered groups by 1"),
        (NODE, &node(&[("groups:", "group:")]), "altered groups by 1"),
        (NODE, &node(&[("groups:", "groups: system:nodes\n  x:")]), "altered groups by 1"),
        (NODE, &node(&[("- system:nodes", "- 5")]), "altered groups by 1"),
        (NODE, &node(&[("EC2PrivateDNSName", "SessionName")]), "altered username by 1"),
        (NODE, &node(&[("system:node:{{EC2PrivateDNSName}}", "yes")]), "altered username by 1"),
        (NODE, &node(&[("  username", "  username: x\n  uSername")]), "altered username by 1"),
        (NODE, &(OPS.to_owned() + ADMIN), "altered groups username by 2"),
        // The keys are read in the order of their bytes, and the last one wins.
        (NODE, &(node(&[("username", "Username")]) + "  username: x\n"), "altered username by 1"),
    ]);
}

#[test]
fn aws_auth_denies_an_item_that_shadows_the_mapping() {
    let other = ADMIN.replace("automq-node", "AUTOMQ-NODE");
    let with_long_s =
        "- {rolearn: 'arn:aw\u{17f}:iam::111122223333:role/automq-node', username: x}\n";
    check(&[
        (NODE, &format!("{NODE}{ADMIN}"), "shadowed groups username by 2"),
        (NODE, &format!("{NODE}{OPS}{other}"), "shadowed groups username by 3"),
        (NODE, &format!("{NODE}{NODE}{ADMIN}"), "shadowed groups username by 3"),
        (NODE, &format!("{NODE}{with_long_s}"), "shadowed groups username by 2"),
        // Two keys for one role: the authenticator takes either of them.
        (NODE, &format!("{with_long_s}{NODE}"), "altered groups username by 1"),
        // The last item is the same as before, and the first never counted.
        (&format!("{NODE}{ADMIN}"), ADMIN, "passes"),
        (&format!("{NODE}{ADMIN}"), OPS, "lost"),
    ]);
}

#[test]
fn aws_auth_allows_a_repair() {
    let shadowed = format!("{NODE}{ADMIN}");
    let no_groups = node(&[("groups", "group")]);
    check(&[
        (&shadowed, NODE, "passes"),
        (&shadowed, &format!("{ADMIN}{NODE}"), "passes"),
        (ADMIN, NODE, "passes"),
        (&no_groups, NODE, "passes"),
        ("[]", NODE, "passes"),
        ("", NODE, "passes"),
        // Nothing is mended.
        (ADMIN, &ADMIN.replace("username: admin", "username: root"), "altered username by 1"),
        (
            &no_groups,
            &no_groups.replace("EC2PrivateDNSName", "SessionName"),
            "altered username by 1",
        ),
    ]);
}

#[test]
fn aws_auth_knows_a_role_with_and_without_its_path() {
    let path = &node(&[("role/automq-node", "role/kafka/automq-node")]);
    let other_path = &node(&[("role/automq-node", "role/a/b/automq-node")]);
    let cases: [(&str, &str, &str); 10] = [
        (NODE, path, "with its path"),
        (path, NODE, "passes"),
        (path, "[]", "lost"),
        (path, OPS, "lost"),
        (path, other_path, "passes"),
        (path, &format!("{path}{OPS}"), "passes"),
        (path, &format!("{path}{NODE}"), "passes"),
        (path, ADMIN, "altered groups username by 1"),
        (NODE, &format!("{NODE}{path}"), "passes"),
        (&format!("{NODE}{path}"), NODE, "passes"),
    ];
    for role in [
        ROLE,
        "arn:aws:iam::111122223333:role/kafka/automq-node",
        "ARN:aws:iam::111122223333:Role/x/AutoMQ-Node",
    ] {
        for (old, new, expected) in &cases {
            assert_eq!(
                outcome_of(role, &json!(old), &json!(new)),
                *expected,
                "{role}\n{old}\n→\n{new}"
            );
        }
    }
}

#[test]
fn aws_auth_reads_an_unreadable_new_text_as_a_loss() {
    let broken = [
        "{{ not yaml".to_owned(),
        format!("{NODE}-\trolearn: x\n"),
        format!("{NODE}\t\n"),
        node(&[("  username", "\tusername")]),
        format!("%YAML 1.2\n---\n{NODE}"),
        format!("{NODE}- <<: x\n"),
        format!("{NODE}- <<: [a]\n"),
        format!("{NODE}- *missing\n"),
        format!("{NODE}- &a [*a]\n"),
        format!("{NODE}- ~: x\n"),
        format!("{NODE}- [a]: x\n"),
        format!("{NODE}- .nan\n"),
        format!("{NODE}- \"\\/\"\n"),
        format!("{NODE}- \"\\ud83d\\ude00\"\n"),
        format!("{NODE}- [a?b]\n"),
        format!("{NODE}- {{a\n  : b}}\n"),
        format!("{NODE}- &a.b x\n"),
        format!("{NODE}# \u{2028}- x\n"),
        format!("{NODE}- \u{7f}\n"),
        format!("...\n{NODE}"),
        format!("[{{rolearn: {ROLE}}}] x\n"),
        format!("{NODE}- {{a: {}}}\n", "[".repeat(100) + &"]".repeat(100)),
        format!("{NODE}- [{}]\n", "a,".repeat(40_000)),
    ];
    for text in &broken {
        assert_eq!(outcome(NODE, text), "unreadable", "{text}");
        // Nothing is lost that was not there.
        assert_eq!(outcome(OPS, text), "passes", "{text}");
    }
    assert_eq!(outcome_of(ROLE, &json!(NODE), &json!(5)), "unreadable");
}

#[test]
fn aws_auth_keeps_a_role_that_stands_in_an_unreadable_old_text() {
    let broken = format!("{NODE}-\tx\n");
    let other = broken.replace("automq-node", "automq-node-2");
    let capital = broken.to_uppercase();
    let escaped = format!("[{{\"rolearn\": \"{}\"}}]", ROLE.replace('/', "\\/"));
    check(&[
        (&broken, "[]", "not mended"),
        (&broken, OPS, "not mended"),
        (&broken, ADMIN, "not mended"),
        (&broken, &format!("{broken}# x\n"), "not mended"),
        (&broken, NODE, "passes"),
        (&broken, &format!("{OPS}{NODE}"), "passes"),
        (&capital, "[]", "not mended"),
        (&escaped, "[]", "not mended"),
        (&other, "[]", "passes"),
        ("{{", "[]", "passes"),
        ("{{", "{{{", "passes"),
    ]);
    let with_path = "arn:aws:iam::111122223333:role/kafka/automq-node";
    for old in [broken.clone(), broken.replace("role/", "role/kafka/")] {
        assert_eq!(outcome_of(with_path, &json!(old), &json!("[]")), "not mended", "{old}");
    }
    assert_eq!(outcome_of("", &json!(5), &json!("[]")), "passes");
}

/// Items of other roles, which may stand anywhere.
fn others() -> impl Strategy<Value = Vec<String>> {
    let item = ("[a-z]{1,4}", "[a-z:]{0,6}x", prop::collection::vec("[a-z]{1,3}", 0..3)).prop_map(
        |(name, username, groups)| {
            format!(
                "- rolearn: arn:aws:iam::1:role/{name}\n  username: {username}\n  groups: [{}]\n",
                groups.join(", ")
            )
        },
    );
    prop::collection::vec(item, 0..5)
}

/// Ways to write the item of the role that leave its mapping equal.
fn same_item() -> impl Strategy<Value = String> {
    let groups = Just(vec!["system:bootstrappers", "system:nodes", "system:nodes"]).prop_shuffle();
    let keys = Just(vec![0, 1, 2, 3]).prop_shuffle();
    (groups, keys, any::<[bool; 5]>()).prop_map(
        |(groups, keys, [case, flow, quotes, arn, extra])| {
            let spelled = |key: &str| if case { key.to_uppercase() } else { key.to_owned() };
            let arn = if arn { ROLE.to_uppercase() } else { ROLE.to_owned() };
            let quoted =
                |text: &str| if quotes || flow { format!("\"{text}\"") } else { text.to_owned() };
            let pairs = [
                Some(format!("{}: {}", spelled("rolearn"), quoted(&arn))),
                Some(format!(
                    "{}: {}",
                    spelled("username"),
                    quoted("system:node:{{EC2PrivateDNSName}}")
                )),
                Some(format!("{}: [{}]", spelled("groups"), groups.join(", "))),
                extra.then(|| "note: x".to_owned()),
            ];
            let pairs: Vec<_> = keys.into_iter().filter_map(|key| pairs[key].clone()).collect();
            if flow {
                format!("- {{{}}}\n", pairs.join(", "))
            } else {
                format!("- {}\n", pairs.join("\n  "))
            }
        },
    )
}

fn shuffled() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    others().prop_flat_map(|items| (Just(items.clone()), Just(items).prop_shuffle()))
}

proptest! {
    #[test]
    fn aws_auth_allows_any_order_of_the_items_of_other_roles(
        (before, after) in shuffled(),
        place in any::<(prop::sample::Index, prop::sample::Index)>(),
        item in same_item(),
    ) {
        let put = |mut items: Vec<String>, place: prop::sample::Index, item: &str| {
            items.insert(place.index(items.len() + 1), item.to_owned());
            items.concat()
        };
        let old = put(before, place.0, NODE);
        let new = put(after.clone(), place.1, &item);
        prop_assert_eq!(outcome(&old, &new), "passes");
        prop_assert_eq!(outcome(&old, &(after.concat() + "- x\n")), "lost");
    }

    #[test]
    fn aws_auth_reads_any_text_without_a_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "- ", "\n", "\n  ", " ", "\t", ":", ": ", "rolearn", "groups", "<<", "&a ", "*a",
                "{", "}", "[", "]", ",", "'", "\"", "\\", "#", "|\n", ">\n", "?", "!!str ", "!x ", "%",
                "---\n", "...\n", "~", "1", ROLE, NODE, "\u{2028}", "\u{17f}", "é",
            ]),
            0..40,
        )
    ) {
        let text = parts.concat();
        outcome(&text, NODE);
        outcome(NODE, &text);
prop_assert_eq!(outcome(&text, &text), "passes");
    }
}
