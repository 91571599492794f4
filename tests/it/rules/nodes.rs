//! `node-taint`, `node-identity`, `node-machine-type` and `node-zone`.

use poolguard::policy::{Phase, verdict::Outcome};
use serde_json::{Value, json};

use crate::scenario::{Scenario, by, create, delete, line, recorded, update};

const NODE: &str = "ip-10-0-1-11.ec2.internal";

/// The review of a node joining, as its kubelet asks for it.
fn join(labels: &Value, taints: &Value) -> Value {
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": NODE, "labels": labels },
        "spec": { "taints": taints },
    });
    by(create("", &node.to_string()), &format!("system:node:{NODE}"), &["system:nodes"])
}

fn labels() -> Value {
    json!({
        "eks.amazonaws.com/nodegroup": "automq-a",
        "topology.kubernetes.io/zone": "us-east-1a",
        "node.kubernetes.io/instance-type": "r6in.large",
    })
}

fn taints() -> Value {
    json!([{ "key": "dedicated", "value": "automq", "effect": "NoSchedule" }])
}

/// The review of an administrator who changes a node of pool-a.
fn change(change: impl FnOnce(&mut Value)) -> Value {
    by(update(join(&labels(), &taints()), change), "admin", &["system:masters"])
}

#[track_caller]
fn check(review: &Value, expected: &str) {
    assert_eq!(Scenario::recorded().verdict(review), expected);
}

#[test]
fn a_node_that_joins_without_its_taint_gets_it() {
    let scenario = Scenario::recorded();
    for taints in [json!(null), json!([]), json!([{ "key": "a", "effect": "NoSchedule" }])] {
        let joined = scenario.mutated(&join(&labels(), &taints));
        let last = joined["spec"]["taints"].as_array().unwrap().last().unwrap();
        assert_eq!(*last, self::taints()[0]);
    }
    let mut bare = join(&labels(), &json!(null));
    bare["request"]["object"].as_object_mut().unwrap().remove("spec");
    assert_eq!(scenario.mutated(&bare)["spec"]["taints"], taints());
}

#[test]
fn a_node_that_is_labelled_into_a_pool_gets_the_taint_then_and_at_no_other_time() {
    let scenario = Scenario::recorded();
    let elsewhere = join(&json!({ "eks.amazonaws.com/nodegroup": "system" }), &json!(null));
    let labelled = update(elsewhere, |node| node["metadata"]["labels"] = labels());
    assert_eq!(scenario.mutated(&labelled)["spec"]["taints"], taints());
    // A member that lost its taint before gets it back from nobody's edit.
    let edited = update(join(&labels(), &json!(null)), |node| {
        node["metadata"]["annotations"] = json!({ "a": "b" });
    });
    assert_eq!(scenario.mutated(&edited), edited["request"]["object"]);
    let outside = join(&json!({}), &json!(null));
    assert_eq!(scenario.mutated(&outside), outside["request"]["object"]);
}

#[test]
fn the_taint_is_not_added_for_break_glass_and_trusted_principals() {
    let scenario = Scenario::with("principals: {trusted: {users: [cloud-*]}}");
    let review = join(&labels(), &json!(null));
    for review in [
        by(review.clone(), "cloud-controller", &[]),
        by(review, "alice", &["poolguard:break-glass"]),
    ] {
        assert_eq!(scenario.mutated(&review), review["request"]["object"]);
    }
}

#[test]
fn the_exact_taint_may_not_be_removed() {
    let denied = format!("deny node-taint pool-a {NODE} spec.taints");
    check(&change(|node| node["spec"]["taints"] = json!([])), &denied);
    check(&change(|node| node["spec"]["taints"] = json!(null)), &denied);
    for (field, value) in [("value", "x"), ("effect", "PreferNoSchedule"), ("key", "dedicate")] {
        check(&change(|node| node["spec"]["taints"][0][field] = json!(value)), &denied);
    }
}

#[test]
fn what_was_lost_before_may_stay_lost() {
    let lost = by(
        update(join(&labels(), &json!(null)), |node| node["spec"]["unschedulable"] = json!(true)),
        "admin",
        &[],
    );
    check(&lost, "allow");
}

#[test]
fn the_taint_of_an_undeclared_pool_may_not_be_removed_either() {
    let labels = json!({ "eks.amazonaws.com/nodegroup": "other" });
    let review = by(
        update(join(&labels, &taints()), |node| node["spec"]["taints"] = json!([])),
        "admin",
        &[],
    );
    check(&review, &format!("deny node-taint other {NODE} spec.taints"));
}

#[test]
fn a_no_execute_taint_beside_it_warns() {
    let add = |key: &str| {
        change(|node| {
            let taint = json!({ "key": key, "value": "automq", "effect": "NoExecute" });
            node["spec"]["taints"].as_array_mut().unwrap().push(taint);
        })
    };
    check(&add("dedicated"), &format!("warn node-taint pool-a {NODE} spec.taints"));
    check(&add("node.kubernetes.io/unreachable"), "allow");
}

#[test]
fn cordon_drain_heartbeat_and_deletion_pass() {
    check(&change(|node| node["spec"]["unschedulable"] = json!(true)), "allow");
    check(&change(|node| node["status"] = json!({ "phase": "x" })), "allow");
    check(&delete(join(&labels(), &taints())), "allow");
}

#[test]
fn labels_of_a_member_may_not_change() {
    let set = |key: &str, value: Value| change(|node| node["metadata"]["labels"][key] = value);
    let denied = |key: &str| format!("deny node-identity pool-a {NODE} metadata.labels[{key}]");
    let group = "eks.amazonaws.com/nodegroup";
    check(&set(group, json!("system")), &denied(group));
    let zone = "topology.kubernetes.io/zone";
    let warned = format!("; warn node-zone pool-a {NODE} metadata.labels[{zone}]");
    let verdict = Scenario::recorded().verdict(&set(zone, json!("us-east-1b")));
    assert!(verdict.starts_with(&denied(zone)) && verdict.ends_with(&warned), "{verdict}");
    check(&set("a", json!("b")), "allow");
    for key in [group, zone, "node.kubernetes.io/instance-type"] {
        let remove = change(|node| {
            node["metadata"]["labels"].as_object_mut().unwrap().remove(key);
        });
        check(&remove, &denied(key));
    }
}

#[test]
fn labels_that_clouds_set_late_may_be_set() {
    let scenario = Scenario::recorded();
    let early = json!({ "eks.amazonaws.com/nodegroup": "automq-a" });
    let review = update(join(&early, &taints()), |node| node["metadata"]["labels"] = labels());
    assert_eq!(scenario.verdict(&by(review, "cloud", &[])), "allow");
}

#[test]
fn a_status_update_is_judged_for_labels_too() {
    let mut review = change(|node| node["metadata"]["labels"] = json!({}));
    review["request"]["subResource"] = json!("status");
    assert!(!Scenario::recorded().validate(&review).is_allowed());
}

#[test]
fn a_kubelets_update_of_its_own_node_is_recorded_and_never_denied() {
    let relabel = update(join(&labels(), &taints()), |node| node["metadata"]["labels"] = json!({}));
    let verdict = Scenario::recorded().verdict(&relabel);
    assert!(verdict.starts_with("audit node-identity pool-a"), "{verdict}");
    // Of another node it is anyone's.
    let other = by(relabel, "system:node:other", &["system:nodes"]);
    assert!(!Scenario::recorded().validate(&other).is_allowed());
}

#[test]
fn a_machine_type_outside_the_pools_list_warns() {
    let join_as = |machine_type: &str| {
        let mut labels = labels();
        labels["node.kubernetes.io/instance-type"] = json!(machine_type);
        join(&labels, &taints())
    };
    let field = "metadata.labels[node.kubernetes.io/instance-type]";
    let warned = format!("warn node-machine-type pool-a {NODE} {field}");
    check(&join_as("m5.large"), &warned);
    check(&join_as("r6in.large"), "allow");
    let mut unlabelled = labels();
    unlabelled.as_object_mut().unwrap().remove("node.kubernetes.io/instance-type");
    check(&join(&unlabelled, &taints()), "allow");
}

#[test]
fn joining_is_denied_only_where_the_config_says_so() {
    let mut wrong = labels();
    wrong["node.kubernetes.io/instance-type"] = json!("m5.large");
    wrong["topology.kubernetes.io/zone"] = json!("us-east-1c");
    let review = join(&wrong, &taints());
    let enforce = |deny_join: bool| {
        Scenario::with(&format!(
            "rules: {{node-machine-type: {{mode: enforce, denyJoin: {deny_join}}}, \
             node-zone: {{mode: enforce, denyJoin: {deny_join}}}}}"
        ))
    };
    assert!(enforce(false).validate(&review).is_allowed());
    let verdict = enforce(true).verdict(&review);
    assert!(
        verdict.contains("deny node-machine-type") && verdict.contains("deny node-zone"),
        "{verdict}"
    );
    // The same label set late, by the cloud, is joining still.
    let mut early = wrong.clone();
    early.as_object_mut().unwrap().remove("node.kubernetes.io/instance-type");
    let late = update(join(&early, &taints()), |node| node["metadata"]["labels"] = wrong.clone());
    assert!(enforce(false).validate(&by(late, "cloud", &[])).is_allowed());
}

#[test]
fn a_catalog_that_automq_did_not_publish_is_capped_at_warn() {
    let without_list = [("  machineTypes: [r6in.large]\n", "")];
    let aws = Scenario::replacing(&without_list);
    let mut enforced = aws;
    enforced.policy.rules.node_machine_type.mode = poolguard::policy::mode::Mode::Enforce;
    enforced.policy.rules.node_machine_type.deny_join = true;
    let mut labels = labels();
    labels["node.kubernetes.io/instance-type"] = json!("t3.nano");
    let verdict = line(&enforced.validate(&join(&labels, &taints())));
    assert!(verdict.starts_with("warn node-machine-type"), "{verdict}");
}

#[test]
fn a_zone_outside_the_pools_warns() {
    let mut labels = labels();
    labels["topology.kubernetes.io/zone"] = json!("us-east-1c");
    let field = "metadata.labels[topology.kubernetes.io/zone]";
    check(&join(&labels, &taints()), &format!("warn node-zone pool-a {NODE} {field}"));
}

#[test]
fn an_undeclared_pool_spans_one_zone_or_three() {
    let join_in = |zone: &str, group: &str| {
        join(
            &json!({ "eks.amazonaws.com/nodegroup": group, "topology.kubernetes.io/zone": zone }),
            &taints(),
        )
    };
    let scenario = Scenario::new("", &crate::scenario::data_text("cluster.json"));
    let field = "metadata.labels[topology.kubernetes.io/zone]";
    assert_eq!(scenario.verdict(&join_in("us-east-1a", "automq-a")), "allow");
    let warned = format!("warn node-zone automq-a {NODE} {field}");
    assert_eq!(scenario.verdict(&join_in("us-east-1b", "automq-a")), warned);
    assert_eq!(scenario.verdict(&join_in("us-east-1c", "automq-abc")), "allow");
}

#[test]
fn no_node_is_ever_patched_by_the_validating_phase() {
    let verdict = Scenario::recorded().decide(Phase::Validate, &join(&labels(), &json!(null)));
    assert_eq!(verdict.outcome, Outcome::Allow(Vec::new()));
}

#[test]
fn the_recorded_upkeep_of_nodes_passes() {
    for name in [
        "node-update-not-ready-taint-removed-by-node-controller",
        "node-update-unschedulable-taint-by-node-controller",
        "node-update-ttl-annotation-by-ttl-controller",
    ] {
        assert_eq!(Scenario::recorded().verdict(&recorded(name)), "allow", "{name}");
    }
}

#[test]
fn a_taint_that_the_pools_own_would_clash_with_is_reported_and_never_blocks_the_node() {
    let scenario = Scenario::recorded();
    // Kubernetes keeps taints unique by key and effect: a second one would make the node invalid.
    let other = json!([{ "key": "dedicated", "value": "automq-connect", "effect": "NoSchedule" }]);
    let review = join(&labels(), &other);
    assert_eq!(scenario.mutated(&review), review["request"]["object"]);
    let verdict = line(&scenario.decide(Phase::Mutate, &review));
    assert_eq!(verdict, format!("warn node-taint pool-a {NODE} spec.taints"));
}

#[test]
fn a_status_update_is_not_judged_for_taints() {
    let mut review = by(
        update(join(&labels(), &taints()), |node| {
            node.as_object_mut().unwrap().remove("spec");
        }),
        &format!("system:node:{NODE}"),
        &["system:nodes"],
    );
    review["request"]["subResource"] = json!("status");
    check(&review, "allow");
}

#[test]
fn a_kubelet_that_comes_back_with_another_machine_type_is_warned_at_most() {
    let scenario = Scenario::with("rules: {node-machine-type: {mode: enforce, denyJoin: true}}");
    let resized = update(join(&labels(), &taints()), |node| {
        node["metadata"]["labels"]["node.kubernetes.io/instance-type"] = json!("m5.large");
    });
    let verdict = scenario.validate(&resized);
    assert!(verdict.is_allowed(), "{}", line(&verdict));
    assert!(!scenario.validate(&by(resized, "admin", &[])).is_allowed());
}

#[test]
fn another_node_in_a_zone_that_is_spanned_already_is_not_warned_about() {
    let mut dump: Value =
        serde_json::from_str(&crate::scenario::data_text("cluster.json")).unwrap();
    for node in dump["items"].as_array_mut().unwrap() {
        if node["metadata"]["labels"]["eks.amazonaws.com/nodegroup"] == "automq-b" {
            node["metadata"]["labels"]["eks.amazonaws.com/nodegroup"] = json!("automq-a");
        }
    }
    let scenario = Scenario::new("", &dump.to_string());
    let group = json!({
        "eks.amazonaws.com/nodegroup": "automq-a",
        "topology.kubernetes.io/zone": "us-east-1b",
    });
    assert_eq!(scenario.verdict(&join(&group, &taints())), "allow");
}
