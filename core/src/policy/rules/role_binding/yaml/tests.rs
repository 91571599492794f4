//! The two ways to read a text, and the bounds.

use proptest::prelude::*;

use super::*;

/// A value, with aliases followed.
fn shown(tree: &Tree<'_>, id: NodeId) -> String {
    match tree.get(id) {
        Some(YamlNode::Null) => "~".to_owned(),
        Some(YamlNode::Text(text)) => format!("{text:?}"),
        Some(YamlNode::Other(text)) => text.to_string(),
        Some(YamlNode::Merge) => "<<".to_owned(),
        Some(YamlNode::Sequence(_)) => {
            let items = tree.list(id).unwrap().iter();
            format!("[{}]", items.map(|id| shown(tree, *id)).collect::<Vec<_>>().join(", "))
        }
        Some(YamlNode::Mapping(_)) => {
            let pairs = tree.pairs(id).unwrap().iter();
            let shown =
                pairs.map(|(key, value)| format!("{}: {}", shown(tree, *key), shown(tree, *value)));
            format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
        }
        Some(YamlNode::Alias(_)) | None => panic!("no node"),
    }
}

fn whole(tree: &Tree<'_>) -> String {
    tree.root.map_or_else(String::new, |root| shown(tree, root))
}

#[test]
fn plain_scalars_are_what_yaml_1_1_makes_of_them() {
    let strings = [
        "a",
        "a b",
        "nope",
        "yesterday",
        "Y1",
        "0x",
        "0b2",
        "1e999",
        "2001-01-01",
        "1.2.3",
        "-",
        "+",
        "a<<",
        "-a",
        "=",
        "é",
    ];
    for text in strings {
        assert_eq!(scalar::resolve(text.into()), Ok(YamlNode::Text(text.into())), "{text}");
    }
    for text in ["", "~", "null", "Null", "NULL"] {
        assert_eq!(scalar::resolve(text.into()), Ok(YamlNode::Null), "{text}");
    }
    let others = [
        "y",
        "N",
        "yes",
        "NO",
        "on",
        "Off",
        "true",
        "False",
        "0",
        "1",
        "-1",
        "+1",
        "0x1F",
        "0o17",
        "017",
        "08",
        "0b101",
        "-0b1",
        "1_000",
        "1.",
        ".5",
        "-.5",
        "1e3",
        "1.5E-3",
        "111122223333",
        "18446744073709551615",
        "99999999999999999999",
    ];
    for text in others {
        assert_eq!(scalar::resolve(text.into()), Ok(YamlNode::Other(text.into())), "{text}");
    }
    assert_eq!(scalar::resolve("<<".into()), Ok(YamlNode::Merge));
    for text in [".inf", "-.Inf", "+.INF", ".nan"] {
        assert!(scalar::resolve(text.into()).is_err(), "{text}");
    }
}

#[test]
fn the_form_that_tools_write_is_read_in_one_pass() {
    for text in [
        "- a: b\n",
        "- a: b",
        "---\n- a: b\n",
        "# c\n\n- a: b # c\n  # c\n  'd e': \"f # g\"\n",
        "-   a: b\n    c: d\n",
        "- a:\n  - b\n  - 'c'\n  d: e\n",
        "- a:\n      - b\n      # c\n      - c\n  d:\n- e: 1\n",
        "- a: system:node:{{EC2PrivateDNSName}}\n  b: arn:aws:iam::1:role/x+y=z,@_-.\n",
    ] {
        let tree = block::read(text).map(|tree| whole(&tree));
        assert_eq!(tree, Some(whole(&build::read(text).unwrap())), "{text}");
    }
    for text in [
        "",
        "# c\n",
        "[]\n",
        "- a\n",
        "- a: b\n c: d\n",
        "- a: b\n    c: d\n",
        "- a: b\n  - c\n",
        "- a: b: c\n",
        "- a: b c\n",
        "- a:b\n",
        "- a: 'b'c\n",
        "- a: 'b''c'\n",
        "- a: \"b\\n\"\n",
        "- a: &b c\n",
        "- <<: *a\n",
        "- a: [b]\n",
        "- a:\n  - b: c\n",
        "- a:\n  - b\n   - c\n",
        "- yes: a\n",
        "- 1: a\n",
        "- a: b#c\n",
        "a: b\n",
        " - a: b\n",
        "- a: b\n---\n",
        "- a: b\n...\n",
        "- a:\tb\n",
        "- a: b\r\n",
        "- a: é\n",
        "- a: |\n    b\n",
        "- - a: b\n",
        "-\n  a: b\n",
        "- ? a\n",
    ] {
        assert!(block::read(text).is_none(), "{text}");
    }
}

#[test]
fn a_text_unfolds_to_so_much_and_no_more() {
    let bomb = ["ab", "bc", "cd", "de", "ef"].map(|names| {
        let (from, to) = names.split_at(1);
        format!("- &{to} [{}]\n", vec![format!("*{from}"); 9].join(","))
    });
    let bomb = bomb.concat();
    let link = |i: usize| format!("- &m{i} {{<<: *m{}, k{i}: v}}\n", i - 1);
    let chain = (1..3_000).map(link).collect::<Vec<_>>().concat();
    for text in [
        format!("- &a [x,x,x,x,x,x,x,x,x]\n{bomb}"),
        format!("- &l [{}]\n{}", "x,".repeat(1_000), "- *l\n".repeat(10_000)),
        format!("- &l [{}]\n{}", "x,".repeat(1_000), "- *l\n".repeat(50)),
        format!("- &m0 {{a: b}}\n{chain}"),
        format!("- [{}]\n", "a,".repeat(NODES_MAX)),
        "- &a x\n".repeat(1_000),
        format!("- '{}'\n- [a]\n", "a".repeat(TEXT_BYTES_MAX)),
    ] {
        assert!(Tree::read(&text).is_err(), "{}", &text[..60]);
    }
    // The form that tools write may be as long as a ConfigMap.
    let long = "- rolearn: arn:aws:iam::111122223333:role/automq-node\n".repeat(19_000);
    assert_eq!(Tree::read(&long).unwrap().root_list().unwrap().len(), 19_000);
    // What no ConfigMap holds, and what is no list of roles, is not read.
    assert!(Tree::read(&long.repeat(2)).is_err());
    assert!(Tree::read(&"- a: b\n".repeat(40_000)).is_err());
    assert!(Tree::read(&format!("- groups:\n{}", "  - a\n".repeat(20_000))).is_err());
}

proptest! {
    #[test]
    fn both_ways_to_read_a_text_read_the_same(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "- a: ", "\n", "\n  ", "\n- ", "\n    ", "\n  - ", "b", "c:", "d: ", "'e'", "\"f g\"",
                " ", "# h", "system:node:{{X}}", "1", "yes", "~", "---\n", ":", "-", "'", "x/y",
            ]),
            0..24,
        )
    ) {
        let text = format!("- a: b\n{}", parts.concat());
        if let Some(tree) = block::read(&text) {
            let built = build::read(&text).map(|tree| whole(&tree));
            prop_assert_eq!(Ok(whole(&tree)), built, "{}", text);
        }
    }
}
