//! Nodes that a pool lacks only because of a label, and pods whose node is not in the input.

use poolguard::check::Status;
use serde_json::{Value, json};

use super::{Cluster, line, pod};

const LABELS_FIRST: &str = "# if node-identity reports a node that belongs to this pool: correct the labels of this node\n# otherwise:\n";

/// A cluster whose node `w3` is no longer a member of its pool.
fn without_label() -> Cluster {
    Cluster::sound().change("w3", |node| node["metadata"]["labels"]["team"] = json!("other"))
}

#[test]
fn before_a_node_is_added_the_labels_of_the_nodes_are_named() {
    for rule in ["pool-size", "node-zone"] {
        let fix = without_label().fix(rule);
        assert!(fix.starts_with(LABELS_FIRST), "{rule}: {fix}");
    }
    let zoneless = |node: &mut Value| {
        node["metadata"]["labels"].as_object_mut().unwrap().remove("topology.kubernetes.io/zone");
    };
    let fix = Cluster::sound().change("w3", zoneless).fix("node-zone");
    assert!(fix.starts_with(LABELS_FIRST), "{fix}");
    let fix = Cluster::sound().without("Node", "w3").fix("node-zone");
    assert!(fix.starts_with("# add a node in z3\n# scale the node pool to 3 nodes"), "{fix}");
    let fix = without_label().with(pod("kafka-two", "broker-2", "w3")).fix("pod-placement");
    assert!(fix.starts_with("# if node-identity reports a node of these pods "), "{fix}");
    // No command makes a node pool of the node without the label larger.
    let found = without_label().with(pod("kafka-two", "broker-2", "w3")).examine().findings;
    let undeclared = found
        .iter()
        .filter(|it| it.pool.as_deref() == Some("undeclared") && it.status == Status::Fail);
    let mut rules = Vec::new();
    for finding in undeclared {
        let fix = finding.fix.as_deref().unwrap();
        let expected = match finding.rule.as_str() {
            "node-identity" => "# if these nodes are a pool of their own: ",
            _ => "# first make these nodes part of a declared pool ",
        };
        assert!(fix.starts_with(expected), "{}: {fix}", line(finding));
        rules.push(finding.rule.as_str());
    }
    assert!(rules.contains(&"node-identity") && rules.contains(&"pool-size"), "{rules:?}");
}

#[test]
fn a_pool_without_nodes_may_have_the_wrong_selector() {
    let mut misspelt = Cluster::sound();
    misspelt.config = misspelt.config.replace("team: kafka-north", "team: kafka-nort");
    let fix = misspelt.fix("pool-size");
    let first = "# if the cluster has nodes for this pool: they do not have the labels of `nodes` in PoolGuard's config \
                 (team=kafka-nort). ";
    assert!(fix.starts_with(first), "{fix}");
}

#[test]
fn a_pool_whose_nodes_an_earlier_pool_has_is_corrected_first() {
    let mut conflict = Cluster::sound();
    conflict.config = conflict.config.replace(
        "- name: north\n",
        "- {name: first, nodes: {matchLabels: {node.kubernetes.io/instance-type: big.1}}}\n- name: north\n",
    );
    let fix = conflict.fix("pool-size");
    assert!(fix.starts_with("# nodes of this pool match an earlier pool too"), "{fix}");
    let found = conflict.examine().findings;
    let why = found.iter().filter(|it| it.fact.contains("matches the pools first and north"));
    for finding in why.clone() {
        assert_eq!(
            finding.why,
            Some("The other pool lacks this node, so its instances can have too few nodes")
        );
    }
    assert_eq!(why.count(), 3);
}

#[test]
fn a_zone_that_stays_empty_although_there_are_enough_nodes_has_a_cause() {
    let crowded = Cluster::sound().change("w3", |node| {
        node["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!("z2");
    });
    let fix = crowded.fix("node-zone");
    assert!(fix.starts_with("# the pool has 3 nodes and none in z3: first find out why "), "{fix}");
    assert!(fix.ends_with("\n# add a node in z3\n# scale the node pool to 4 nodes"), "{fix}");
}

#[test]
fn a_pod_on_a_node_that_the_input_lacks_is_not_on_its_pool() {
    let cluster = Cluster::sound().with(pod("kafka-one", "broker-1", "n9"));
    let unknown = cluster.facts(Status::Unknown);
    assert_eq!(unknown, ["1 pod of instance one runs on nodes that the input does not contain"]);
}
