//! When requests should come, and how a replica leaves.

use poolguard::api::rbac::{self, PolicyRule};

use super::{
    cluster::{CONFIGURATIONS, Cluster, all_rights, names},
    eventually,
};
use crate::scenario::recorded;

/// All rights but these.
fn without(missing: &[PolicyRule]) -> Vec<PolicyRule> {
    all_rights().into_iter().filter(|right| !missing.contains(right)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_ready_once_facts_and_certificate_are_there_and_names_what_is_not() {
    let cluster = Cluster::start().await;
    let (watching, authority) = (rbac::watching(), rbac::authority(&names()));
    let none = [&watching[..], &[authority]].concat();
    cluster.grant(&without(&none));
    let replica = cluster.replica("one").await;
    let text = replica
        .readiness(|text| text.contains("resources: [nodes]") && text.contains("[secrets]"))
        .await;
    assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
    for condition in [
        "snapshot: PoolGuard has not read these yet: nodes",
        "certificate: cannot read the Secret poolguard-ca",
    ] {
        assert!(text.contains(condition), "{text}");
    }
    cluster.grant(&without(&watching));
    let text = replica.readiness(|text| !text.contains("certificate:")).await;
    assert!(text.contains("snapshot:"), "{text}");
    assert!(cluster.registered(CONFIGURATIONS[1]).is_none(), "nobody would answer");
    cluster.grant(&all_rights());
    replica.ready().await;
    cluster.until_registered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_may_not_read_what_is_registered_says_so() {
    let cluster = Cluster::start().await;
    let missing = rbac::configuration(CONFIGURATIONS[1], &names());
    cluster.grant(&without(&[missing]));
    let replica = cluster.replica("one").await;
    let text = replica.readiness(|text| text.contains("resourceNames: [poolguard]")).await;
    assert!(
        text.contains("certificate: PoolGuard has not read the registered webhook configurations"),
        "{text}"
    );
    cluster.grant(&all_rights());
    replica.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_leaves_serves_on_and_leaves_what_is_registered() {
    let cluster = Cluster::start().await;
    let mut replica = cluster.replica_with("one", &["--shutdown-delay", "2s"]).await;
    replica.ready().await;
    cluster.until_registered().await;
    let before = CONFIGURATIONS.map(|it| cluster.registered(it).unwrap());
    let plain = recorded("pod-create-plain-by-replicaset-controller").to_string();
    let mut connection = cluster.connect(cluster.service.address).await.unwrap();
    replica.signal("TERM");
    let text = replica.readiness(|text| text.starts_with("HTTP/1.1 503 ")).await;
    assert!(text.contains("draining"), "{text}");
    let reply = connection.post("/validate", &plain).await;
    assert_eq!((reply.status, reply.header("connection")), (200, None));
    eventually("clients are asked to close", async || {
        let mut connection = cluster.connect(cluster.service.address).await.unwrap();
        let reply = connection.post("/validate", &plain).await;
        assert_eq!(reply.status, 200);
        reply.header("connection") == Some("close")
    })
    .await;
    let reply = connection.post("/validate", &plain).await;
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert_eq!(replica.ended().await, 0);
    // The last replica is gone, and what fails closed goes on to.
    assert_eq!(CONFIGURATIONS.map(|it| cluster.registered(it).unwrap()), before);
    let lease = cluster.api.get("leases", "poolguard-system/poolguard").unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "");
}
