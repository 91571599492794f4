//! What is known follows the cluster, whatever becomes of the connection to it.

use std::time::Duration;

use poolguard::api::rbac;
use serde_json::json;

use super::{
    cluster::{Cluster, all_rights, pinned_to, rights_without},
    eventually,
};
use crate::{
    apiserver::{ApiServer, Cut},
    scenario::{data_text, recorded},
};

const AGE: &str = "poolguard_snapshot_age_seconds";
const REBUILDS: &str = "poolguard_snapshot_rebuilds_total";

#[tokio::test(flavor = "multi_thread")]
async fn nodes_come_and_go_without_a_restart() {
    let cluster = Cluster::start().await;
    let replica = cluster.installed("one").await;
    let pod = pinned_to("fresh");
    assert!(cluster.allows("/validate", &pod).await, "nobody knows the node yet");
    cluster.add_node("fresh", "automq-a", true);
    cluster.until_allows(false, &pod).await;
    cluster.api.remove("nodes", "fresh");
    cluster.until_allows(true, &pod).await;
    // A pool that no config declares, known by its taint.
    cluster.add_node("other", "automq-new", true);
    cluster.until_allows(false, &pinned_to("other")).await;
    let metrics = replica.get("/metrics").await;
    assert!(metrics.contains(r#"poolguard_pool_nodes{pool="automq-new""#), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_breaks_loses_no_event() {
    let cluster = Cluster::start().await;
    let replica = cluster.installed("one").await;
    let mut number = 0;
    let mut joins = async |why: &str| {
        number += 1;
        let name = format!("fresh-{number}");
        cluster.add_node(&name, "automq-a", true);
        let pod = pinned_to(&name);
        eventually(why, async || !cluster.allows("/validate", &pod).await).await;
    };
    // Only a watch that is open can break.
    let is_open = |api: &ApiServer| api.watching("nodes") == 1;
    for how in [Cut::Cleanly, Cut::Abruptly, Cut::MidLine, Cut::Expired] {
        cluster.api.wait_until(is_open).await;
        cluster.api.cut_watches(how);
        joins(&format!("known after {how:?}")).await;
    }
    for garbage in ["{\"type\":\"MODIFIED\",\"object\":{\"meta", "<html>", "\u{0}"] {
        cluster.api.wait_until(is_open).await;
        cluster.api.garble(garbage);
        joins(&format!("known after {garbage:?}")).await;
    }
    cluster.api.wait_until(is_open).await;
    cluster.api.disconnect();
    joins("known after every connection was closed").await;
    replica.logged("watching /api/v1/nodes again").await;
    assert_eq!(cluster.api.asked_count("list", "nodes"), 2, "only what has expired is listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_gone_is_listed_again_and_what_was_lost_with_it_is_gone_at_once() {
    let cluster = Cluster::start().await;
    for number in 0..150 {
        cluster.add_node(&format!("pool-{number}"), "automq-a", true);
    }
    let replica = cluster.installed("one").await;
    let (stays, goes) = (pinned_to("pool-7"), pinned_to("pool-8"));
    for as_http in [false, true] {
        assert!(!cluster.allows("/validate", &goes).await);
        cluster.api.gone_as_http(as_http);
        cluster.api.drop_connections(true);
        cluster.api.disconnect();
        cluster.api.wait_until(|api| api.watching("nodes") == 0).await;
        cluster.api.remove("nodes", "pool-8");
        cluster.api.compact();
        cluster.api.latency(Duration::from_millis(50));
        cluster.api.drop_connections(false);
        eventually("the lost node is forgotten", async || {
            // A list that is under way is nobody's business.
            assert!(!cluster.allows("/validate", &stays).await, "half a list was seen");
            cluster.allows("/validate", &goes).await
        })
        .await;
        cluster.api.latency(Duration::ZERO);
        cluster.add_node("pool-8", "automq-a", true);
        cluster.until_allows(false, &goes).await;
    }
    replica.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_whose_pages_are_gone_begins_anew() {
    let cluster = Cluster::start().await;
    for number in 0..200 {
        cluster.add_node(&format!("pool-{number}"), "automq-a", true);
    }
    cluster.api.latency(Duration::from_millis(100));
    let replica = cluster.replica("one").await;
    cluster.api.wait_until(|api| api.asked_count("list", "nodes") == 2).await;
    cluster.add_node("late", "automq-a", true);
    cluster.api.compact();
    cluster.api.latency(Duration::ZERO);
    let series = r#"poolguard_pool_nodes{pool="pool-a",state="ready""#;
    replica.metric(series, |nodes| nodes >= 202.0).await;
    // Two pages of the first list, the third that was refused, and all five.
    assert!(cluster.api.asked_count("list", "nodes") >= 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn bookmarks_keep_the_age_young_on_a_quiet_cluster() {
    let cluster = Cluster::start().await;
    cluster.api.bookmark_every(Duration::from_hours(1));
    let replica = cluster.installed("one").await;
    replica.metric(AGE, |age| age > 1.5).await;
    // The first lists end one by one, and may make more than one.
    let rebuilds = replica.metric_now(REBUILDS).await;
    cluster.api.bookmark();
    let age = replica.metric(AGE, |age| age < 1.0).await;
    assert!(age < 1.0);
    assert_eq!(replica.metric_now(REBUILDS).await, rebuilds, "nothing has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_rest_on_old_facts_are_told_and_given() {
    let config = format!("{}snapshot: {{maxAge: 1s}}\n", data_text("config.yaml"));
    let cluster = Cluster::with_config(&config).await;
    let replica = cluster.installed("one").await;
    let intruder = recorded("pod-create-job-key-exists-toleration");
    assert!(!cluster.allows("/validate", &intruder).await);
    replica.logged(r#""decision":"deny""#).await;
    assert_eq!(replica.lines("staleSnapshot"), 0);
    cluster.api.hang();
    replica.logged("PoolGuard has received nothing from the API server for").await;
    replica.metric(AGE, |age| age > 1.0).await;
    assert!(replica.get("/readyz").await.starts_with("HTTP/1.1 200 "), "it still answers");
    assert!(!cluster.allows("/validate", &intruder).await);
    replica.logged(r#""staleSnapshot":true"#).await;
    cluster.api.resume();
    replica.logged("PoolGuard receives the state of the cluster again").await;
    replica.metric(AGE, |age| age < 1.0).await;
    assert_eq!(replica.lines("PoolGuard has received nothing from the API server for"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_in_trouble_is_asked_again_after_a_while() {
    let cluster = Cluster::start().await;
    let replica = cluster.installed("one").await;
    for code in [429, 500, 503] {
        cluster.api.clear_asked();
        cluster.api.refuse("watch", "nodes", code, 2);
        cluster.api.disconnect_watches();
        cluster.api.wait_until(|api| api.asked_count("watch", "nodes") > 0).await;
        let name = format!("after-{code}");
        cluster.add_node(&name, "automq-a", true);
        cluster.until_allows(false, &pinned_to(&name)).await;
        assert_eq!(cluster.api.asked_count("watch", "nodes"), 3, "{code}: one try after the other");
    }
    cluster.api.drop_connections(true);
    cluster.api.disconnect();
    eventually("the refused connection is told", async || {
        replica.lines("cannot watch /api/v1/nodes") > 3
    })
    .await;
    cluster.add_node("after-silence", "automq-a", true);
    cluster.api.drop_connections(false);
    cluster.until_allows(false, &pinned_to("after-silence")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_one_line_that_names_the_rule_and_heals_without_a_restart() {
    let cluster = Cluster::start().await;
    let rights = all_rights();
    let missing = rbac::watching();
    cluster.grant(&rights[missing.len()..]);
    let replica = cluster.replica("one").await;
    let rule = r#"Add the rule {apiGroups: [""], resources: [nodes], verbs: [list, watch]} to the ClusterRole"#;
    let text = replica.readiness(|text| text.contains(rule)).await;
    assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
    cluster.api.wait_until(|api| api.asked_count("list", "nodes") >= 3).await;
    let quoted = rule.replace('"', "\\\"");
    let lines: Vec<_> = replica.log().into_iter().filter(|line| line.contains(&quoted)).collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains(r#""level":"ERROR""#), "{lines:#?}");
    cluster.grant(&rights);
    replica.ready().await;
    cluster.until_registered().await;
    // One that is taken away later is told, too, and the answers go on.
    cluster.grant(&rights_without("nodes"));
    cluster.api.disconnect_watches();
    eventually("told again", async || replica.lines(&quoted) == 2).await;
    assert!(replica.get("/readyz").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_make_no_snapshot_and_a_taint_does() {
    let cluster = Cluster::start().await;
    let replica = cluster.installed("one").await;
    cluster.add_node("fresh", "system", false);
    replica.metric(REBUILDS, |rebuilds| rebuilds == 2.0).await;
    for beat in 0..500 {
        cluster.api.edit("nodes", "fresh", |node| {
            node["status"]["conditions"][0]["lastHeartbeatTime"] = json!(beat.to_string());
        });
    }
    assert!(cluster.allows("/validate", &pinned_to("fresh")).await);
    cluster.api.edit("nodes", "fresh", |node| {
        node["spec"]["taints"] =
            json!([{"key": "dedicated", "value": "automq", "effect": "NoSchedule"}]);
    });
    cluster.until_allows(false, &pinned_to("fresh")).await;
    assert_eq!(replica.metric_now(REBUILDS).await, 3.0);
}
