//! What runs already.

use serde_json::{Value, json};

use super::cluster::Cluster;

pub(super) fn pod(namespace: &str, name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "main"}]},
        "status": {"phase": "Running"},
    })
}

pub(super) const POOL_A_NODE: &str = "ip-10-0-1-11.ec2.internal";
const RESIDENTS: &str = "poolguard_violations{pool=\"pool-a\",rule=\"pod-intrusion\"}";

#[tokio::test(flavor = "multi_thread")]
async fn residents_are_found_and_forgotten_when_they_are_gone() {
    let config = format!("{}scan: {{interval: 1s}}\n", crate::scenario::data_text("config.yaml"));
    let cluster = Cluster::with_config(&config).await;
    cluster.api.add_namespace("shop");
    cluster.api.put(pod("shop", "resident", POOL_A_NODE));
    let mut agent = pod("kube-system", "kube-proxy-1", POOL_A_NODE);
    agent["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "kube-proxy", "uid": "1", "controller": true,
    }]);
    cluster.api.put(agent);
    cluster.api.put(pod("shop", "elsewhere", "ip-10-0-9-91.ec2.internal"));
    let mut leaving = pod("shop", "leaving", POOL_A_NODE);
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    leaving["metadata"]["finalizers"] = json!(["example.com/wait"]);
    cluster.api.put(leaving);
    let mut ended = pod("shop", "ended", POOL_A_NODE);
    ended["status"]["phase"] = "Succeeded".into();
    cluster.api.put(ended);
    let replica = cluster.replica("one").await;
    replica.metric(RESIDENTS, |count| (0.5..1.5).contains(&count)).await;
    let line = replica.logged("the scan found: [pod-intrusion]").await;
    assert!(line.contains("Pod shop/resident runs on node"), "{line}");
    cluster.api.remove("pods", "shop/resident");
    replica.logged("the scan no longer finds: [pod-intrusion]").await;
    assert!(!replica.get("/metrics").await.contains(RESIDENTS));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exempt_pod_of_another_kind_than_meant_is_told_and_breaks_no_rule() {
    let config = format!("{}scan: {{interval: 1s}}\n", crate::scenario::data_text("config.yaml"));
    let cluster = Cluster::with_config(&config).await;
    cluster.api.put(pod("kube-system", "console", POOL_A_NODE));
    let replica = cluster.replica("one").await;
    replica.metric("poolguard_exempt_residents{pool=\"pool-a\"}", |count| count == 1.0).await;
    let line = replica.logged("the scan found: [pod-intrusion]").await;
    assert!(line.contains("exempts its whole namespace (CNI, kube-proxy, CSI)"), "{line}");
    assert!(!replica.get("/metrics").await.contains(RESIDENTS));
    cluster.api.remove("pods", "kube-system/console");
    replica.logged("the scan no longer finds: [pod-intrusion]").await;
    assert!(!replica.get("/metrics").await.contains("poolguard_exempt_residents{"));
    assert_eq!(replica.lines("`principals.trusted` is empty"), 1, "a warning is written once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_taint_is_found() {
    let config = format!("{}scan: {{interval: 1s}}\n", crate::scenario::data_text("config.yaml"));
    let cluster = Cluster::with_config(&config).await;
    let replica = cluster.replica("one").await;
    replica.metric("poolguard_scan_last_success_timestamp_seconds", |at| at > 0.0).await;
    cluster.api.edit("nodes", POOL_A_NODE, |node| {
        node["spec"].as_object_mut().expect("has a spec").remove("taints");
    });
    let series = "poolguard_violations{pool=\"pool-a\",rule=\"node-taint\"}";
    replica.metric(series, |count| (0.5..1.5).contains(&count)).await;
    replica.logged(&format!("kubectl taint node {POOL_A_NODE} dedicated=automq:NoSchedule")).await;
}
