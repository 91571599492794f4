//! What stands already, by the same rules: what admission could not stop.

use poolguard::{json, kubernetes::object::Pod};
use serde_json::{Value, json};

use crate::scenario::{Scenario, node};

const POOL_A: &str = "ip-10-0-1-11.ec2.internal";
const POOL_B: &str = "ip-10-0-2-21.ec2.internal";
const SYSTEM: &str = "ip-10-0-9-91.ec2.internal";

fn pod(namespace: &str, node: &str, owner: Option<&str>) -> Value {
    let owners = owner.map(
        |kind| json!({"apiVersion": "apps/v1", "kind": kind, "name": "o", "controller": true}),
    );
    json!({
        "metadata": {
            "namespace": namespace,
            "name": "p",
            "ownerReferences": owners.into_iter().collect::<Vec<_>>(),
        },
        "spec": {"nodeName": node, "serviceAccountName": "robot"},
    })
}

fn mirror(mut pod: Value) -> Value {
    pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    pod
}

fn leaving(mut pod: Value) -> Value {
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    pod
}

/// Rule and pool of every finding, and of what an exemption hardly means.
fn found(scenario: &Scenario, pod: &Value) -> (Vec<String>, Option<String>) {
    let text = pod.to_string();
    let pod: Pod<'_> = json::from_str(&text).expect("is a pod");
    let tell = |it: &poolguard::policy::verdict::Finding| {
        format!("{} {}", it.rule, it.pool.as_deref().unwrap_or("-"))
    };
    let findings = scenario.policy.inspect_pod(&scenario.snapshot, &pod);
    let exempt = scenario.policy.inspect_exempt_pod(&scenario.snapshot, &pod);
    (findings.iter().map(tell).collect(), exempt.map(|it| tell(&it)))
}

#[test]
fn pods_are_found_where_they_do_not_belong() {
    let scenario = Scenario::recorded();
    let intruder = "pod-intrusion pool-a";
    let stranger = "cluster-exclusive -";
    for (pod, findings, exempt) in [
        (pod("shop", POOL_A, None), &[intruder, stranger][..], None),
        (pod("shop", POOL_A, Some("DaemonSet")), &[intruder, stranger], None),
        (mirror(pod("shop", POOL_A, Some("Node"))), &[intruder], None),
        (leaving(pod("shop", POOL_A, None)), &[], None),
        (pod("shop", SYSTEM, None), &[stranger], None),
        (pod("shop", "", None), &[], None),
        (pod("automq-instance-1", POOL_A, Some("StatefulSet")), &[], None),
        (pod("automq-instance-1", POOL_B, Some("StatefulSet")), &["pod-placement pool-a"], None),
        (pod("kube-system", POOL_A, Some("DaemonSet")), &[], None),
        (mirror(pod("kube-system", POOL_A, Some("Node"))), &[], None),
        (pod("kube-system", POOL_A, Some("ReplicaSet")), &[], Some(intruder)),
        (leaving(pod("kube-system", POOL_A, Some("ReplicaSet"))), &[], None),
        (pod("kube-system", SYSTEM, Some("ReplicaSet")), &[], None),
    ] {
        let (found, unmeant) = found(&scenario, &pod);
        assert_eq!(found, findings, "{pod}");
        assert_eq!(unmeant.as_deref(), exempt, "{pod}");
    }
}

#[test]
fn an_exempt_entry_that_says_more_than_the_namespace_means_it() {
    let entries = "exempt: [{namespace: kube-system, reason: agents}, \
                   {namespace: kube-system, serviceAccounts: [robot], reason: a robot}]";
    let config = format!(
        "apiVersion: poolguard.io/v1alpha1\nkind: PoolGuardConfig\nprovider: aws\n{entries}\n"
    );
    let cluster = crate::scenario::data_text("cluster.json");
    let scenario = Scenario::new(&config, &cluster);
    let robot = pod("kube-system", POOL_A, Some("ReplicaSet"));
    assert_eq!(found(&scenario, &robot), (Vec::new(), None));
    let mut other = robot;
    other["spec"]["serviceAccountName"] = "somebody".into();
    let (_, unmeant) = found(&scenario, &other);
    assert!(unmeant.is_some_and(|it| it.starts_with("pod-intrusion")));
}

#[test]
fn nodes_are_found_that_lost_what_makes_them_a_pool() {
    let scenario = Scenario::over(|nodes| {
        node(nodes, POOL_A)["spec"]["taints"] = json!([]);
        node(nodes, POOL_B)["metadata"]["labels"]["node.kubernetes.io/instance-type"] =
            "t3.nano".into();
    });
    let findings = scenario.policy.inspect_nodes(&scenario.snapshot);
    let told: Vec<_> =
        findings.iter().map(|it| (it.rule.as_str(), it.node.as_deref().unwrap_or("-"))).collect();
    assert_eq!(told, [("node-taint", POOL_A), ("node-machine-type", POOL_B)]);
}
