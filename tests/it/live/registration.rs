//! Registering, healing, following the config.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use serde_json::json;

use super::cluster::{CONFIGURATIONS, Cluster};
use crate::scenario::recorded;

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_registers_itself_and_is_trusted() {
    let cluster = Cluster::start().await;
    let replica = cluster.replica("one").await;
    replica.ready().await;
    cluster.until_registered().await;
    let intruder = recorded("pod-create-job-key-exists-toleration");
    assert!(!cluster.allows("/validate", &intruder).await);
    let plain = recorded("pod-create-plain-by-replicaset-controller");
    assert!(cluster.allows("/validate", &plain).await);
    let owner = cluster.api.get("clusterroles", "poolguard").unwrap()["metadata"]["uid"].clone();
    for resource in CONFIGURATIONS {
        let owners = &cluster.registered(resource).unwrap()["metadata"]["ownerReferences"];
        assert_eq!(owners[0]["uid"], owner);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_healed() {
    let cluster = Cluster::start().await;
    let replica = cluster.replica("one").await;
    replica.ready().await;
    cluster.until_registered().await;
    let [_, validating] = CONFIGURATIONS;
    let before = cluster.registered(validating).unwrap()["webhooks"].clone();
    cluster.api.edit(validating, "poolguard", |object| {
        object["webhooks"][0]["failurePolicy"] = "Ignore".into();
        object["webhooks"][0]["matchConditions"] =
            json!([{"name": "never", "expression": "false"}]);
    });
    cluster
        .api
        .wait_until(|api| api.get(validating, "poolguard").unwrap()["webhooks"] == before)
        .await;
    replica.logged("is not as the config asks for").await;
}
