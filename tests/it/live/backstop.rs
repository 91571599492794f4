//! The backstop: written, restored, removed, and what becomes of the webhook entries beside it.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use poolguard::api::reports::ReportApi;
use serde_json::{Value, json};

use super::cluster::{CONFIGURATIONS, Cluster, rights_without};
use crate::scenario::data_text;

const POLICIES: &str = "validatingadmissionpolicies";
const BINDINGS: &str = "validatingadmissionpolicybindings";
const IN_FORCE: &str = r#"poolguard_backstop{condition="in-force"}"#;

fn config(lines: &str) -> String {
    format!("{}{lines}\n", data_text("config.yaml"))
}

fn managed() -> String {
    config("backstop: {mode: managed}\nonOutage: backstop")
}

/// The failure policy of the entry for pods.
fn pods_fail(cluster: &Cluster) -> Value {
    let webhooks =
        cluster.registered("validatingwebhookconfigurations").unwrap()["webhooks"].clone();
    let entry = webhooks.as_array().unwrap().iter().find(|it| it["name"] == "pods.poolguard.io");
    entry.unwrap()["failurePolicy"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_entries_open_once_the_backstop_is_in_force_and_close_without_it() {
    let cluster = Cluster::with_config(&managed()).await;
    let replica = cluster.installed("one").await;
    replica.metric(IN_FORCE, |value| value == 1.0).await;
    cluster.api.wait_until(|_| pods_fail(&cluster) == "Ignore").await;
    let owner = cluster.api.get("clusterroles", "poolguard").unwrap()["metadata"]["uid"].clone();
    for name in ["poolguard", "poolguard-bindings"] {
        let policy = cluster.api.get(POLICIES, name).unwrap();
        assert_eq!(policy["metadata"]["ownerReferences"][0]["uid"], owner);
        assert_eq!(cluster.api.get(BINDINGS, name).unwrap()["spec"]["policyName"], name);
    }
    cluster.configure(&config("backstop: {mode: managed}\nrules: {pod-intrusion: {mode: audit}}"));
    cluster
        .api
        .wait_until(|_| cluster.api.count(POLICIES) + cluster.api.count(BINDINGS) == 0)
        .await;
    replica.logged("set it to enforce").await;
    replica.metric(r#"poolguard_backstop{condition="impossible"}"#, |value| value == 1.0).await;
    cluster.configure(&data_text("config.yaml"));
    cluster.api.wait_until(|_| pods_fail(&cluster) == "Fail").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_holder_of_the_lease_leaves_the_entries_open() {
    let cluster = Cluster::with_config(&managed()).await;
    let mut one = cluster.installed("one").await;
    cluster.api.wait_until(|_| pods_fail(&cluster) == "Ignore").await;
    let two = cluster.replica("two").await;
    two.ready().await;
    cluster.api.clear_asked();
    one.signal("TERM");
    assert_eq!(one.ended().await, 0);
    two.metric(IN_FORCE, |value| value == 1.0).await;
    assert!(cluster.api.remove(CONFIGURATIONS[0], "poolguard"));
    cluster.until_registered().await;
    assert_eq!(cluster.api.asked_count("patch", CONFIGURATIONS[1]), 0);
    assert_eq!(pods_fail(&cluster), "Ignore");
}

/// What the report of the cluster says of the backstop.
fn reported(cluster: &Cluster) -> Option<String> {
    let report = cluster.api.get(ReportApi::PolicyReport.resource(false), "poolguard")?;
    let results = report["results"].as_array()?.iter();
    let result = results.into_iter().find(|it| it["policy"] == "backstop")?;
    Some(format!("{}: {}", result["result"].as_str()?, result["message"].as_str()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_says_how_it_stands_and_how_the_entries_fail() {
    let cluster = Cluster::with_config(&managed()).await;
    cluster.api.serve_group(ReportApi::PolicyReport.group(), true);
    let _replica = cluster.installed("one").await;
    let until = async |said: Option<&str>| {
        cluster.api.wait_until(|_| reported(&cluster).as_deref() == said).await;
    };
    let in_force = "pass: the backstop is up to date; the entries pods and bindings fail open";
    until(Some(in_force)).await;
    cluster.grant(&rights_without(POLICIES));
    let outdated = "fail: the backstop is outdated, because PoolGuard cannot write it; the entries pods and bindings fail \
                    open";
    until(Some(outdated)).await;
    cluster.configure(&data_text("config.yaml"));
    until(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_client_changes_or_deletes_is_restored() {
    let cluster = Cluster::with_config(&managed()).await;
    let replica = cluster.installed("one").await;
    replica.metric(IN_FORCE, |value| value == 1.0).await;
    let narrow = json!({"namespaceSelector": {"matchLabels": {"a": "b"}}});
    cluster.api.edit(BINDINGS, "poolguard", |it| it["spec"]["matchResources"] = narrow);
    cluster.api.edit(POLICIES, "poolguard", |it| it["spec"]["failurePolicy"] = "Fail".into());
    assert!(cluster.api.remove(BINDINGS, "poolguard-bindings"));
    let is_restored = || {
        let spec = |resource, name| cluster.api.get(resource, name).map(|it| it["spec"].clone());
        spec(POLICIES, "poolguard").is_some_and(|it| it["failurePolicy"] == "Ignore")
            && spec(BINDINGS, "poolguard").is_some_and(|it| it.get("matchResources").is_none())
            && spec(BINDINGS, "poolguard-bindings").is_some()
    };
    cluster.api.wait_until(|_| is_restored()).await;
    replica.logged("was changed by another client; PoolGuard restored it").await;
    replica.logged("was deleted by another client; PoolGuard created it again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_joins_is_in_the_policy() {
    let cluster = Cluster::with_config(&managed()).await;
    let replica = cluster.installed("one").await;
    replica.metric(IN_FORCE, |value| value == 1.0).await;
    let knows = || cluster.api.get(POLICIES, "poolguard").unwrap().to_string().contains("1-77");
    assert!(!knows());
    let mut node = cluster.api.get("nodes", "ip-10-0-1-11.ec2.internal").unwrap();
    node["metadata"] =
        json!({"name": "ip-10-0-1-77.ec2.internal", "labels": node["metadata"]["labels"]});
    cluster.api.put(node);
    cluster.api.wait_until(|_| knows()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_the_entries_stay_closed_and_the_rule_is_named() {
    let cluster = Cluster::with_config(&managed()).await;
    cluster.grant(&rights_without(POLICIES));
    let replica = cluster.installed("one").await;
    let line = replica.logged("PoolGuard cannot keep its backstop").await;
    assert!(line.contains("resources: [validatingadmissionpolicies]"), "{line}");
    replica.metric(r#"poolguard_backstop{condition="absent"}"#, |value| value == 1.0).await;
    assert_eq!(pods_fail(&cluster), "Fail");
}
