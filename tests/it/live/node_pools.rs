//! Objects that make nodes: registered where the cluster has them, and looked up.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use serde_json::{Value, json};

use super::cluster::{CONFIGURATIONS, Cluster};
use crate::scenario::{create, data_text, update, yaml};

const NODE_POOL: &str = "{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {name: brokers}, spec: {template: {spec: {
  taints: [{key: dedicated, value: automq, effect: NoSchedule}],
  nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: kafka}}}}}";

fn new_role_of(class: &str) -> Value {
    let object = format!(
        "{{apiVersion: karpenter.k8s.aws/v1, kind: EC2NodeClass, metadata: {{name: {class}}}, spec: {{role: a}}}}"
    );
    update(create("", &object), |it| it["spec"]["role"] = json!("b"))
}

/// What the entry for node pools is about, as `plural.group`.
fn registered(cluster: &Cluster) -> Vec<String> {
    let object = cluster.registered(CONFIGURATIONS[1]).unwrap_or_default();
    let entries = object["webhooks"].as_array().into_iter().flatten();
    let of_node_pools = entries.filter(|it| it["name"] == "node-pools.poolguard.io");
    let rules = of_node_pools.flat_map(|it| it["rules"].as_array().cloned().unwrap());
    let name = |rule: Value| {
        let [plural, group] = ["/resources/0", "/apiGroups/0"]
            .map(|it| rule.pointer(it).unwrap().as_str().unwrap().to_owned());
        format!("{plural}.{group}")
    };
    rules.map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_registers_the_node_pool_objects_that_the_cluster_has() {
    let cluster = Cluster::with_config(&data_text("config.yaml")).await;
    for group in ["karpenter.sh", "karpenter.k8s.aws"] {
        cluster.api.serve_group(group, true);
    }
    cluster.api.put(yaml(NODE_POOL));
    let _replica = cluster.installed("one").await;
    let all = ["ec2nodeclasses.karpenter.k8s.aws", "nodepools.karpenter.sh"];
    assert_eq!(registered(&cluster), all);
    // The NodePool refers to one of them.
    cluster.until_allows(false, &new_role_of("kafka")).await;
    assert!(cluster.allows("/validate", &new_role_of("other")).await);
}
