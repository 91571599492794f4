//! A draft is a config for every name that a cluster gives its objects, and for any number of them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    TAINT, broker, broker_node, check, daemon_set, drafted, namespace, node, pod, stateful_set,
    undeclared,
};

/// What a cluster, or a dump that a stranger wrote, may call things.
const NASTY: [&str; 10] = [
    "true",
    "1e3",
    "a: b",
    "a\nprovider: gcp",
    "\u{1b}[31m",
    "*",
    "- x",
    "#",
    "null",
    "x\u{2028}y",
];

#[test]
fn no_name_breaks_the_file() {
    for name in NASTY {
        let items = [
            node(name, name, name, name, &[TAINT]),
            broker(name, name, name),
            daemon_set(name, name, &json!([{"operator": "Exists"}])),
            namespace(name),
            broker_node("a1"),
            broker("kafka", name, "a1"),
        ];
        let (text, _) = drafted(&items);
        assert!(!text.contains(['\u{1b}', '\u{2028}']), "{text}");
        assert!(!text.contains("\nprovider: gcp"), "{text}");
    }
    check(
        &[node("1", "true", "1e3", "null", &[TAINT])],
        &[
            "- name: \"true\"",
            "nodes: {matchLabels: {eks.amazonaws.com/nodegroup: \"true\"}}",
            "zones: [\"1e3\"]",
            "machineTypes: [\"null\"]",
        ],
    );
}

#[test]
fn long_lists_are_cut_and_say_so() {
    let mut items: Vec<Value> = (0..60)
        .map(|it| {
            node(&format!("n{it:03}"), &format!("group-{it:03}"), "z1", "r6in.large", &[TAINT])
        })
        .collect();
    items.extend((0..210).map(|it| broker("kafka", &format!("kf-{it:03}"), "n000")));
    items.extend((0..205).map(|it| {
        daemon_set("agents", &format!("agent-{it:03}"), &json!([{"operator": "Exists"}]))
    }));
    let (text, _) = drafted(&items);
    for line in [
        "# check: 10 more pools are left out; `poolguard init` writes at most 50",
        "# check: 10 more instances are left out; `poolguard init` writes at most 200",
        "# check: 5 more DaemonSets are left out; `poolguard init` writes at most 200",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(text.matches("\n- name: group-").count(), 50);
    assert_eq!(text.matches("daemonSets: [agent-").count(), 200);
}

fn any_name() -> impl Strategy<Value = String> {
    let plain = ["a", "b", "automq", "automq-1", "kube-system", "", "z1", "z2", "r6in.large"];
    prop_oneof![4 => proptest::sample::select(plain.to_vec()), 1 => proptest::sample::select(NASTY.to_vec())]
        .prop_map(str::to_owned)
}

fn any_object() -> impl Strategy<Value = Value> {
    let taints = [
        vec![],
        vec![TAINT],
        vec!["dedicated=automq-x:NoExecute"],
        vec![TAINT, "arch=arm:NoSchedule"],
        vec!["kafka=yes:NoSchedule"],
    ];
    let taints = proptest::sample::select(taints.to_vec());
    prop_oneof![
        (0..9, any_name(), any_name(), any_name(), taints).prop_map(
            |(n, group, zone, size, taints)| node(&format!("n{n}"), &group, &zone, &size, &taints)
        ),
        (any_name(), any_name(), 0..9).prop_map(|(namespace, id, n)| broker(
            &namespace,
            &id,
            &format!("n{n}")
        )),
        (any_name(), any_name(), 0..9).prop_map(|(namespace, name, n)| pod(
            &namespace,
            &name,
            &format!("n{n}")
        )),
        (any_name(), any_name()).prop_map(|(namespace, id)| stateful_set(&namespace, &id)),
        any_name().prop_map(|name| namespace(&name)),
        (any_name(), any_name()).prop_map(|(namespace, name)| daemon_set(
            &namespace,
            &name,
            &json!([{"operator": "Exists"}])
        )),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn every_draft_is_a_config_that_declares_every_pool(items in proptest::collection::vec(any_object(), 1..24)) {
        let (text, fitness) = drafted(&items);
        prop_assert_eq!(undeclared(&fitness), [""; 0], "{}", text);
    }
}
