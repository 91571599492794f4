//! The config changes while requests are answered.

use serde_json::Value;

use super::{
    cluster::{CONFIGURATIONS, Cluster, pinned_to},
    eventually,
};
use crate::scenario::{data_text, recorded};

const FAILURES: &str = r#"poolguard_config_reloads_total{result="failure"}"#;
const SUCCESSES: &str = r#"poolguard_config_reloads_total{result="success"}"#;
const IN_FORCE: &str = "poolguard_config_last_reload_successful";
const WARNING: &str = "rules: {pod-intrusion: {mode: warn}}\n";

/// The entries of a configuration that reject what is not answered.
fn closed(configuration: &Value) -> Vec<String> {
    let entries = configuration["webhooks"].as_array().into_iter().flatten();
    let closed = entries.filter(|entry| entry["failurePolicy"] == "Fail");
    let mut names: Vec<_> =
        closed.map(|entry| entry["name"].as_str().unwrap_or_default().to_owned()).collect();
    // An apply puts an entry that comes back at the end.
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_is_in_force_within_seconds_and_what_is_registered_follows() {
    let config = data_text("config.yaml");
    let cluster = Cluster::start().await;
    let replica = cluster.installed("one").await;
    let intruder = recorded("pod-create-job-key-exists-toleration");
    let of = |mode: &str| format!("{config}rules: {{pod-intrusion: {{mode: {mode}}}}}\n");
    assert!(!cluster.allows("/validate", &intruder).await);
    let [_, validating] = CONFIGURATIONS;
    let entries = || cluster.registered(validating).unwrap();
    let enforced = closed(&entries());
    assert!(enforced.iter().any(|name| name.starts_with("pods.")), "{enforced:?}");
    // Two swaps in a row, and on.
    for (mode, allows, is_closed) in
        [("warn", true, false), ("enforce", false, true), ("off", true, false)]
    {
        cluster.configure(&of(mode));
        cluster.until_allows(allows, &intruder).await;
        let follows =
            async || closed(&entries()).iter().any(|name| name.starts_with("pods.")) == is_closed;
        eventually(&format!("registered for {mode}"), follows).await;
    }
    assert_eq!(replica.metric(SUCCESSES, |count| count >= 3.0).await, 3.0);
    // Back to the beginning; nothing of this was a contest.
    cluster.configure(&config);
    eventually("the first entries are back", async || closed(&entries()) == enforced).await;
    assert_eq!(replica.metric_now("poolguard_webhook_registration_drift").await, 0.0);
    let events = cluster.api.list("events.events.k8s.io");
    assert!(events.iter().all(|event| event["reason"] != "Drifted"), "{events:?}");
    assert_eq!(replica.lines("differs from the config"), 0);
    replica.logged("to the current config and certificate authority: failurePolicy of entry").await;
}

/// As in an upgrade, whose version asks for other entries.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_over_updates_what_is_registered_without_a_warning() {
    let cluster = Cluster::start().await;
    let mut one = cluster.installed("one").await;
    let [_, validating] = CONFIGURATIONS;
    let is_closed = |name: &str| {
        closed(&cluster.registered(validating).unwrap()).iter().any(|it| it.starts_with(name))
    };
    assert!(is_closed("pods."));
    let next = cluster.config_path().with_file_name("next.yaml");
    std::fs::write(&next, format!("{}{WARNING}", data_text("config.yaml"))).unwrap();
    let two = cluster.replica_with("two", &["--config", next.to_str().unwrap()]).await;
    two.ready().await;
    one.signal("TERM");
    assert_eq!(one.ended().await, 0);
    eventually("the entries of the next config", async || !is_closed("pods.")).await;
    two.logged("to the current config and certificate authority: failurePolicy of entry").await;
    let events = cluster.api.list("events.events.k8s.io");
    assert!(events.iter().all(|event| event["reason"] != "Drifted"), "{events:?}");
    assert_eq!(two.lines("differs from the config"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_of_the_config_is_logged_once() {
    let config = "apiVersion: poolguard.io/v1alpha1\nkind: PoolGuardConfig\n";
    let cluster = Cluster::empty(config).await;
    let replica = cluster.installed("one").await;
    cluster.configure(&format!("{config}rules: {{node-taint: {{mode: warn}}}}\n"));
    replica.metric(SUCCESSES, |count| count == 1.0).await;
    replica.metric(r#"poolguard_rule_lowered{rule="node-taint"}"#, |it| it == 1.0).await;
    replica.metric(r#"poolguard_rule_mode{mode="warn",rule="node-taint"}"#, |it| it == 1.0).await;
    replica.metric("poolguard_console_trusted", |it| it == 0.0).await;
    assert_eq!(replica.lines("`principals.trusted` is empty"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_config_keeps_the_old_one_and_every_mistake_is_told() {
    let config = data_text("config.yaml");
    let cluster = Cluster::start().await;
    let replica = cluster.installed("one").await;
    let intruder = recorded("pod-create-job-key-exists-toleration");
    let before = CONFIGURATIONS.map(|it| cluster.registered(it).unwrap());
    let last = config.lines().count() + 1;
    cluster.configure(&format!("{config}zonez: []\nsnapshot: {{maxAge: soon}}\n"));
    replica.metric(FAILURES, |count| count == 1.0).await;
    let line = replica.logged("the config cannot be used").await;
    for mistake in [format!("config.yaml:{last}:1: "), format!("config.yaml:{}:", last + 1)] {
        assert!(line.contains(&mistake), "{mistake} {line}");
    }
    assert!(line.contains("zonez") && line.contains("maxAge"), "{line}");
    assert!(line.contains("PoolGuard keeps the current config"), "{line}");
    assert!(!cluster.allows("/validate", &intruder).await);
    assert!(replica.get("/readyz").await.starts_with("HTTP/1.1 200 "));
    replica.metric(IN_FORCE, |it| it == 0.0).await;
    // The cluster is followed all the same.
    cluster.add_node("fresh", "automq-a", true);
    cluster.until_allows(false, &pinned_to("fresh")).await;
    assert_eq!(CONFIGURATIONS.map(|it| cluster.registered(it).unwrap()), before);
    cluster.configure(&format!("{config}{WARNING}"));
    cluster.until_allows(true, &intruder).await;
    assert_eq!(replica.metric_now(FAILURES).await, 1.0);
    replica.metric(IN_FORCE, |it| it == 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_becomes_known_with_the_first_node_even_while_a_bad_config_is_mounted() {
    let config = "apiVersion: poolguard.io/v1alpha1\nkind: PoolGuardConfig\n";
    let cluster = Cluster::empty(config).await;
    let replica = cluster.installed("one").await;
    cluster.configure(&format!("{config}provider: nowhere\n"));
    replica.metric(FAILURES, |count| count == 1.0).await;
    let entries = || CONFIGURATIONS.map(|it| cluster.registered(it).unwrap()["webhooks"].clone());
    let before = entries();
    cluster.add_node("fresh", "automq-a", true);
    // The group is AWS's, so that the pool's name tells that the provider is known.
    let series = r#"poolguard_pool_nodes{pool="automq-a","#;
    replica.metric(series, |nodes| nodes == 1.0).await;
    cluster.until_allows(false, &pinned_to("fresh")).await;
    // What AWS's own controllers need is registered now, too.
    eventually("registered for the provider", async || entries() != before).await;
    cluster.add_node("another", "automq-a", true);
    replica.metric(series, |nodes| nodes == 2.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_changes_before_the_cluster_is_read_is_the_one_that_counts() {
    let config = data_text("config.yaml");
    let cluster = Cluster::start().await;
    cluster.api.refuse("list", "nodes", 500, usize::MAX);
    let replica = cluster.replica("one").await;
    replica.logged("cannot watch /api/v1/nodes").await;
    cluster.configure(&format!("{config}{WARNING}"));
    replica.metric(SUCCESSES, |count| count == 1.0).await;
    cluster.configure("kind: Nonsense\n");
    replica.metric(FAILURES, |count| count == 1.0).await;
    cluster.api.clear_refusals();
    replica.ready().await;
    cluster.until_registered().await;
    let intruder = recorded("pod-create-job-key-exists-toleration");
    assert!(cluster.allows("/validate", &intruder).await, "it only warns");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_is_gone_for_a_while_stays_in_force() {
    let cluster = Cluster::start().await;
    let replica = cluster.installed("one").await;
    let path = cluster.config_path();
    let hidden = path.with_extension("hidden");
    std::fs::rename(&path, &hidden).unwrap();
    replica.metric(FAILURES, |count| count == 1.0).await;
    replica.logged("PoolGuard keeps the current config").await;
    let intruder = recorded("pod-create-job-key-exists-toleration");
    assert!(!cluster.allows("/validate", &intruder).await);
    replica.metric(IN_FORCE, |it| it == 0.0).await;
    std::fs::rename(&hidden, &path).unwrap();
    replica.metric(IN_FORCE, |it| it == 1.0).await;
    cluster.configure(&format!("{}{WARNING}", data_text("config.yaml")));
    cluster.until_allows(true, &intruder).await;
}
