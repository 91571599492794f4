//! Events of denials: about whoever made the pod, few, and none for dry runs.

use serde_json::{Value, json};

use super::cluster::{Cluster, pinned_to};
use crate::scenario::recorded;

const INTRUDER: &str = "pod-create-job-key-exists-toleration";
const WARNED: &str = "job-create-key-exists-toleration";
const DRY: &str = "pod-create-dry-run-key-exists-toleration";

/// Events of a reason.
fn events(cluster: &Cluster, reason: &str) -> Vec<Value> {
    let all = cluster.api.list("events.events.k8s.io").into_iter();
    all.filter(|event| event["reason"] == reason).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_an_event_about_the_owner_once_and_none_for_dry_runs() {
    let cluster = Cluster::start().await;
    let intruder = recorded(INTRUDER);
    let namespace = intruder["request"]["namespace"].as_str().unwrap();
    for namespace in [namespace, "shop"] {
        cluster.api.add_namespace(namespace);
    }
    let replica = cluster.replica("one").await;
    replica.ready().await;
    cluster.until_registered().await;
    assert!(!cluster.allows("/validate", &recorded(DRY)).await);
    for _ in 0..20 {
        assert!(!cluster.allows("/validate", &intruder).await);
    }
    cluster.api.wait_until(|_| !events(&cluster, "DeniedByPoolGuard").is_empty()).await;
    let mut bare = intruder.clone();
    bare["request"]["object"]["metadata"]["ownerReferences"] = Value::Null;
    bare["request"]["namespace"] = json!("shop");
    assert!(!cluster.allows("/validate", &bare).await);
    assert!(cluster.allows("/validate", &recorded(WARNED)).await);
    cluster.api.wait_until(|_| events(&cluster, "DeniedByPoolGuard").len() == 2).await;
    cluster.api.wait_until(|_| events(&cluster, "WarnedByPoolGuard").len() == 1).await;
    let denied = events(&cluster, "DeniedByPoolGuard");
    let owner = &intruder["request"]["object"]["metadata"]["ownerReferences"][0];
    let of_owner = denied.iter().find(|it| it["regarding"]["kind"] == "Job").unwrap();
    assert_eq!(of_owner["metadata"]["namespace"], namespace);
    assert_eq!(of_owner["reportingInstance"], "one");
    assert_eq!(of_owner["type"], "Warning");
    for key in ["name", "uid", "apiVersion"] {
        assert_eq!(of_owner["regarding"][key], owner[key], "{key}");
    }
    assert!(of_owner["note"].as_str().unwrap().contains("[pod-intrusion] Pod "), "{of_owner}");
    let of_namespace = denied.iter().find(|it| it["regarding"]["kind"] == "Namespace").unwrap();
    assert_eq!(of_namespace["metadata"]["namespace"], "shop");
    assert_eq!(of_namespace["regarding"]["name"], "shop");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_denied_daemon_sets_warnings_and_unknown_nodes() {
    let cluster = Cluster::start().await;
    let replica = cluster.installed("one").await;
    let mut of_daemon_set = recorded(INTRUDER);
    of_daemon_set["request"]["userInfo"]["username"] =
        "system:serviceaccount:kube-system:daemon-set-controller".into();
    let metadata = &mut of_daemon_set["request"]["object"]["metadata"];
    metadata["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "1", "controller": true,
    }]);
    assert!(!cluster.allows("/validate", &of_daemon_set).await);
    assert!(!cluster.allows("/validate", &recorded(INTRUDER)).await);
    assert!(cluster.allows("/validate", &recorded(WARNED)).await);
    assert!(cluster.allows("/validate", &pinned_to("no-such-node")).await);
    let namespace = of_daemon_set["request"]["namespace"].as_str().unwrap();
    let denied = format!(
        r#"poolguard_daemonset_denials_total{{daemonset="agent",daemonset_namespace="{namespace}"}}"#
    );
    replica.metric(&denied, |count| count == 1.0).await;
    let warned = r#"poolguard_warnings_total{pool="pool-a",rule="workload-intrusion"}"#;
    replica.metric(warned, |count| count == 1.0).await;
    let undecided = r#"poolguard_undecided_total{rule="pod-intrusion"}"#;
    replica.metric(undecided, |count| count == 1.0).await;
    replica.metric("poolguard_connections_limit", |limit| limit >= 1.0).await;
    replica.metric("process_resident_memory_bytes", |bytes| bytes > 1e6).await;
}
