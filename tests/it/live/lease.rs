//! One replica at a time registers and rotates.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Instant;

use serde_json::{Value, json};

use super::{
    cluster::{CONFIGURATIONS, Cluster, all_rights, rights_without},
    eventually,
    replica::Replica,
};
use crate::scenario::recorded;

const HOLDS: &str = "poolguard_holds_lease";
const LEASE: &str = "poolguard-system/poolguard";

fn holder(cluster: &Cluster) -> Value {
    cluster.api.get("leases", LEASE).unwrap()["spec"]["holderIdentity"].clone()
}

/// Takes the entries away, and waits until the holder has put them back.
async fn is_healed(cluster: &Cluster) {
    cluster.api.remove(CONFIGURATIONS[1], "poolguard");
    cluster.until_registered().await;
}

/// Two replicas, the first of which holds the Lease.
async fn two(cluster: &Cluster) -> [Replica; 2] {
    let one = cluster.installed("one").await;
    let two = cluster.replica("two").await;
    cluster.service.lead_to(&[one.webhook, two.webhook]);
    two.ready().await;
    assert_eq!(holder(cluster), "one");
    one.metric(HOLDS, |holds| holds == 1.0).await;
    assert_eq!(two.metric_now(HOLDS).await, 0.0);
    [one, two]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_killed_is_followed_after_its_time_and_one_that_leaves_at_once() {
    let cluster = Cluster::start().await;
    let [one, mut two] = two(&cluster).await;
    one.signal("KILL");
    let killed = Instant::now();
    cluster.service.lead_to(&[two.webhook]);
    let intruder = recorded("pod-create-job-key-exists-toleration");
    assert!(!cluster.allows("/validate", &intruder).await, "the other one answers meanwhile");
    two.metric(HOLDS, |holds| holds == 1.0).await;
    assert!(killed.elapsed().as_secs() < 25, "{:?}", killed.elapsed());
    assert_eq!(holder(&cluster), "two");
    is_healed(&cluster).await;
    // Its own end frees the Lease.
    let three = cluster.replica("three").await;
    three.ready().await;
    cluster.service.lead_to(&[three.webhook]);
    two.signal("TERM");
    assert_eq!(two.ended().await, 0);
    let ended = Instant::now();
    three.metric(HOLDS, |holds| holds == 1.0).await;
    assert!(ended.elapsed().as_secs() < 8, "{:?}", ended.elapsed());
    is_healed(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_may_not_renew_stops_writing() {
    let cluster = Cluster::start().await;
    let replica = cluster.installed("one").await;
    cluster.grant(&rights_without("leases"));
    let rule = r#"Add the rule {apiGroups: [\"coordination.k8s.io\"], resources: [leases]"#;
    replica.logged(rule).await;
    replica.logged("this replica could not renew the Lease in time").await;
    replica.metric(HOLDS, |holds| holds == 0.0).await;
    assert_eq!(replica.lines(rule), 1, "told once");
    cluster.api.clear_asked();
    cluster.api.remove(CONFIGURATIONS[1], "poolguard");
    cluster.api.wait_until(|api| api.asked_count("get", "leases") > 1).await;
    assert_eq!(cluster.api.asked_count("patch", CONFIGURATIONS[1]), 0, "it holds nothing");
    assert!(replica.get("/readyz").await.starts_with("HTTP/1.1 200 "), "it still answers");
    cluster.grant(&all_rights());
    cluster.until_registered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_deleted_is_made_again_and_one_that_is_taken_is_respected() {
    let cluster = Cluster::start().await;
    let replicas = two(&cluster).await;
    cluster.api.remove("leases", LEASE);
    cluster.api.wait_until(|api| api.get("leases", LEASE).is_some()).await;
    let all_agree = async || {
        let [one, two] = &replicas;
        let [one, two] = [one.metric_now(HOLDS).await, two.metric_now(HOLDS).await];
        one + two == 1.0 && holder(&cluster) == if one == 1.0 { "one" } else { "two" }
    };
    eventually("one of them holds it", all_agree).await;
    is_healed(&cluster).await;
    let spec = cluster.api.edit("leases", LEASE, |lease| {
        lease["spec"]["holderIdentity"] = "somebody".into();
        lease["spec"]["renewTime"] = json!("2100-01-01T00:00:00.000000Z");
    });
    for replica in &replicas {
        replica.metric(HOLDS, |holds| holds == 0.0).await;
    }
    assert_eq!(cluster.api.get("leases", LEASE).unwrap()["spec"], spec["spec"]);
}
