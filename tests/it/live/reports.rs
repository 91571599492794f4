//! Report objects: what stands and what was denied lately, in the kinds that the cluster has.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeMap, fs};

use poolguard::api::reports::ReportApi;
use serde_json::{Value, json};

use super::{
    cluster::{Cluster, pinned_to},
    eventually,
    replica::Replica,
    scan::{POOL_A_NODE, pod},
};
use crate::scenario::{data, data_text, recorded};

const FINDINGS: &str = "poolguard";
const DENIALS: &str = "poolguard-denials";
const OF_ROLES: &str = "poolguard_violations{pool=\"\",rule=\"role-binding\"}";
const INTRUDER: &str = "pod-create-job-key-exists-toleration";

/// A cluster that has these kinds of reports, and is scanned every second.
pub(super) async fn cluster(kinds: &[ReportApi]) -> Cluster {
    let config = format!("{}scan: {{interval: 1s}}\n", data_text("config.yaml"));
    let cluster = Cluster::with_config(&config).await;
    for api in kinds {
        cluster.api.serve_group(api.group(), true);
    }
    // What the recorded config names, and the recorded cluster lacks.
    cluster.api.put(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": "kube-system", "name": "aws-auth"},
        "data": {"mapRoles": "- rolearn: arn:aws:iam::111122223333:role/automq-node\n"},
    }));
    for (kind, metadata) in [
        ("Role", json!({"namespace": "automq", "name": "automq-nodepool"})),
        ("ClusterRole", json!({"name": "automq-operator"})),
    ] {
        let name = metadata["name"].clone();
        let api_version = "rbac.authorization.k8s.io/v1";
        cluster.api.put(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata}));
        cluster.api.put(json!({
            "apiVersion": api_version,
            "kind": format!("{kind}Binding"),
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "namespace": "automq", "name": "operator"}],
        }));
    }
    cluster
}

/// The results of a report; `None` while it is not there.
fn results(cluster: &Cluster, api: ReportApi, path: &str) -> Option<Vec<Value>> {
    let resource = api.resource(path.contains('/'));
    cluster.api.get(resource, path)?["results"].as_array().cloned()
}

/// Everything that the reports of this name say, in every namespace and in none.
fn all_results(cluster: &Cluster, api: ReportApi, name: &str) -> Vec<Value> {
    let objects = [true, false].map(|is_namespaced| cluster.api.list(api.resource(is_namespaced)));
    let named = objects.into_iter().flatten().filter(|it| it["metadata"]["name"] == name);
    named.flat_map(|it| it["results"].as_array().unwrap().clone()).collect()
}

fn count(result: &Value) -> u64 {
    result["properties"]["count"].as_str().map_or(1, |text| text.parse().unwrap())
}

/// How often a rule came out so, by rule and pool.
fn counts(results: &[Value], outcome: &str) -> BTreeMap<(String, String), u64> {
    let mut counts = BTreeMap::new();
    for result in results.iter().filter(|it| it["result"] == outcome) {
        let pool = result["properties"]["pool"].as_str().unwrap_or_default().to_owned();
        let rule = result["policy"].as_str().unwrap().to_owned();
        *counts.entry((rule, pool)).or_default() += count(result);
    }
    counts
}

/// How often reports were written or deleted.
fn writes(cluster: &Cluster) -> usize {
    let api = &cluster.api;
    let resources = ReportApi::ALL.iter().flat_map(|api| [api.resource(true), api.resource(false)]);
    let verbs = ["create", "update", "delete"];
    resources.flat_map(|resource| verbs.map(|verb| api.asked_count(verb, resource))).sum()
}

async fn scanned_again(replica: &Replica) {
    const SCANNED: &str = "poolguard_scan_last_success_timestamp_seconds";
    for _ in 0..2 {
        let last = replica.metric_now(SCANNED).await;
        replica.metric(SCANNED, |at| at > last).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_is_reported_until_it_is_mended_and_written_only_when_it_changes() {
    for api in ReportApi::ALL {
        let cluster = cluster(&[api]).await;
        cluster.api.add_namespace("shop");
        cluster.api.put(pod("shop", "resident", POOL_A_NODE));
        let replica = cluster.installed("one").await;
        cluster.api.wait_until(|_| results(&cluster, api, "shop/poolguard").is_some()).await;
        let of_shop = results(&cluster, api, "shop/poolguard").unwrap();
        assert_eq!(of_shop.len(), 1, "{of_shop:?}");
        assert_eq!(of_shop[0]["policy"], "pod-intrusion");
        assert_eq!(of_shop[0]["result"], "fail");
        assert_eq!(of_shop[0]["properties"]["pool"], "pool-a");
        assert_eq!(of_shop[0]["properties"]["node"], POOL_A_NODE);
        assert_eq!(of_shop[0]["resources"][0]["name"], "resident");
        assert_eq!(of_shop[0]["resources"][0]["kind"], "Pod");
        let object = cluster.api.get(api.resource(true), "shop/poolguard").unwrap();
        assert_eq!(object["metadata"]["ownerReferences"][0]["kind"], "ClusterRole");
        // Once the registration is told as well, nothing changes any more.
        let registered = |policy: &str| {
            let cluster_wide = results(&cluster, api, FINDINGS).unwrap_or_default();
            cluster_wide.iter().any(|it| it["policy"] == policy && it["result"] == "pass")
        };
        cluster.api.wait_until(|_| registered("webhook-registration")).await;
        scanned_again(&replica).await;
        let written = writes(&cluster);
        scanned_again(&replica).await;
        assert_eq!(writes(&cluster), written, "nothing has changed");
        cluster.api.remove("pods", "shop/resident");
        cluster.api.wait_until(|_| results(&cluster, api, "shop/poolguard").is_none()).await;
        cluster.api.wait_until(|_| registered("pod-intrusion")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_such_kinds_gets_no_report_and_no_complaint() {
    let cluster = cluster(&[]).await;
    cluster.api.add_namespace("shop");
    cluster.api.put(pod("shop", "resident", POOL_A_NODE));
    let replica = cluster.installed("one").await;
    assert!(!cluster.allows("/validate", &pinned_to(POOL_A_NODE)).await);
    scanned_again(&replica).await;
    assert_eq!(writes(&cluster), 0);
    assert_eq!(replica.lines("cannot report"), 0, "{:#?}", replica.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_go_when_the_scan_is_turned_off() {
    let cluster = cluster(&ReportApi::ALL).await;
    let replica = cluster.installed("one").await;
    for api in ReportApi::ALL {
        cluster.api.wait_until(|_| results(&cluster, api, FINDINGS).is_some()).await;
    }
    cluster.configure(&format!("{}scan: {{enabled: false}}\n", data_text("config.yaml")));
    for api in ReportApi::ALL {
        cluster.api.wait_until(|_| results(&cluster, api, FINDINGS).is_none()).await;
    }
    assert_eq!(replica.lines("cannot report"), 0, "{:#?}", replica.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_another_client_changes_is_restored() {
    let cluster = cluster(&[ReportApi::PolicyReport]).await;
    let _replica = cluster.installed("one").await;
    let passes = |cluster: &Cluster| {
        let results = results(cluster, ReportApi::PolicyReport, FINDINGS).unwrap_or_default();
        results.iter().filter(|it| it["result"] == "pass").count()
    };
    cluster.api.wait_until(|_| passes(&cluster) > 5).await;
    cluster.api.edit("clusterpolicyreports", FINDINGS, |report| {
        report["results"] = json!([{"policy": "mine", "result": "fail"}]);
    });
    cluster.api.wait_until(|_| passes(&cluster) > 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_the_rule_to_add_is_named_once() {
    let cluster = cluster(&[ReportApi::OpenReports]).await;
    cluster.grant(&super::cluster::rights_without("clusterreports"));
    let replica = cluster.installed("one").await;
    let line = replica.logged("cannot report the findings of the scan").await;
    assert!(line.contains("resources: [clusterreports], resourceNames: [poolguard"), "{line}");
    scanned_again(&replica).await;
    assert_eq!(replica.lines("cannot report the findings of the scan"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_add_their_denials_to_one_report_and_dry_runs_to_none() {
    let cluster = cluster(&ReportApi::ALL).await;
    let intruder = recorded(INTRUDER);
    let namespace = intruder["request"]["namespace"].as_str().unwrap();
    for namespace in [namespace, "quiet"] {
        cluster.api.add_namespace(namespace);
    }
    let mut dry = intruder.clone();
    dry["request"]["dryRun"] = true.into();
    dry["request"]["namespace"] = "quiet".into();
    let (one, two) = (cluster.installed("one").await, cluster.replica("two").await);
    two.ready().await;
    for replica in [&one, &two] {
        cluster.service.lead_to(&[replica.webhook]);
        for _ in 0..3 {
            assert!(!cluster.allows("/validate", &intruder).await);
        }
        assert!(!cluster.allows("/validate", &dry).await);
    }
    for api in ReportApi::ALL {
        let path = format!("{namespace}/{DENIALS}");
        let told = || results(&cluster, api, &path).unwrap_or_default();
        cluster.api.wait_until(|_| told().iter().map(count).sum::<u64>() == 6).await;
        let told = told();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["resources"][0]["kind"], "Job");
        assert_eq!(told[0]["properties"]["process"], "admission");
        assert!(told[0]["message"].as_str().unwrap().contains("can run on"), "{told:?}");
        assert!(results(&cluster, api, &format!("quiet/{DENIALS}")).is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_the_roles_together_and_is_gone_is_found() {
    let cluster = cluster(&[ReportApi::OpenReports]).await;
    let replica = cluster.installed("one").await;
    let of_roles = |outcome: &str| {
        let results = results(&cluster, ReportApi::OpenReports, FINDINGS).unwrap_or_default();
        let is_it = |it: &&Value| it["policy"] == "role-binding" && it["result"] == outcome;
        results.into_iter().filter(|it| is_it(&it)).collect::<Vec<Value>>()
    };
    cluster.api.wait_until(|_| of_roles("pass").len() == 1).await;
    cluster.api.edit("configmaps", "kube-system/aws-auth", |map| {
        map["data"]["mapRoles"] = "[]".into();
    });
    replica.metric(OF_ROLES, |count| count == 1.0).await;
    replica.logged("has no item with rolearn: arn:aws:iam::111122223333:role/automq-node").await;
    cluster.api.remove("clusterroles", "automq-operator");
    replica.metric(OF_ROLES, |count| count == 2.0).await;
    replica.logged("refers to ClusterRole automq-operator, which does not exist").await;
    cluster.api.remove("clusterrolebindings", "automq-operator");
    replica
        .logged(
            "automq-operator does not exist, but entry operator-binding of `protected` names it",
        )
        .await;
    cluster.api.wait_until(|_| of_roles("fail").len() == 2).await;
}

/// What a replica has written into its audit stream.
fn records(replica: &Replica) -> Vec<Value> {
    let lines = replica.log().into_iter().filter_map(|line| serde_json::from_str(&line).ok());
    lines.filter(|it: &Value| it["uid"].is_string()).collect()
}

/// The series of a metric, by rule and pool.
async fn series(replica: &Replica, metric: &str) -> BTreeMap<(String, String), u64> {
    let text = replica.get("/metrics").await;
    let lines = text.lines().filter_map(|line| line.strip_prefix(metric)?.strip_prefix('{'));
    let read = lines.map(|line| {
        let (labels, value) = line.rsplit_once("} ").unwrap();
        let label = |name: &str| {
            let labels = labels.split(',').filter_map(|label| label.split_once('='));
            let found = labels.into_iter().find(|(key, _)| *key == name);
            found.unwrap().1.trim_matches('"').to_owned()
        };
        ((label("rule"), label("pool")), value.parse().unwrap())
    });
    read.collect()
}

/// Sends every recorded review once; how many were denied.
async fn replay(cluster: &Cluster) -> usize {
    let mut denied = 0;
    let mut files: Vec<_> =
        fs::read_dir(data("reviews")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == "json"));
    files.sort();
    for file in files {
        let review: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        if !review["request"].is_object() {
            continue;
        }
        if let Some(namespace) = review["request"]["namespace"].as_str()
            && cluster.api.get("namespaces", namespace).is_none()
        {
            cluster.api.add_namespace(namespace);
        }
        denied += usize::from(!cluster.allows("/validate", &review).await);
    }
    denied
}

#[tokio::test(flavor = "multi_thread")]
async fn records_reports_and_metrics_of_one_scenario_agree() {
    let cluster = cluster(&ReportApi::ALL).await;
    cluster.api.add_namespace("shop");
    for (name, node) in [("a", POOL_A_NODE), ("b", POOL_A_NODE), ("c", "ip-10-0-9-91.ec2.internal")]
    {
        cluster.api.put(pod("shop", name, node));
    }
    cluster.api.edit("nodes", POOL_A_NODE, |node| {
        node["spec"].as_object_mut().unwrap().remove("taints");
    });
    let replica = cluster.installed("one").await;
    let denied = replay(&cluster).await;
    assert!(denied > 5, "{denied}");

    let of = |records: &[Value], decision: &str, with_dry_runs: bool| {
        let mut counts = BTreeMap::new();
        let is_it =
            |it: &&Value| it["decision"] == decision && (with_dry_runs || it["dryRun"] == false);
        for record in records.iter().filter(is_it) {
            let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
            *counts.entry((text("rule"), text("pool"))).or_default() += 1_u64;
        }
        counts
    };
    // A denial of several rules is a record, a result and a count for each.
    let denials = series(&replica, "poolguard_denials_total").await;
    assert!(denials.len() > 3, "{denials:?}");
    eventually("every denial is a record", async || {
        of(&records(&replica), "deny", true) == denials
    })
    .await;
    let records = records(&replica);
    for api in ReportApi::ALL {
        for (decision, outcome) in [("deny", "fail"), ("warn", "warn")] {
            let recorded = of(&records, decision, false);
            let told = || counts(&all_results(&cluster, api, DENIALS), outcome);
            let total = |counts: &BTreeMap<_, u64>| counts.values().sum::<u64>();
            cluster.api.wait_until(|_| total(&told()) >= total(&recorded)).await;
            assert_eq!(told(), recorded, "{api:?}: {decision}");
        }
    }

    // What stands: metric, report and log.
    replica
        .metric("poolguard_violations{pool=\"pool-a\",rule=\"pod-intrusion\"}", |it| it == 2.0)
        .await;
    scanned_again(&replica).await;
    let violations = series(&replica, "poolguard_violations").await;
    assert!(violations.contains_key(&("node-taint".to_owned(), "pool-a".to_owned())));
    for api in ReportApi::ALL {
        let results = all_results(&cluster, api, FINDINGS);
        let results: Vec<_> =
            results.into_iter().filter(|it| it["policy"] != "webhook-registration").collect();
        let mut told = counts(&results, "fail");
        told.extend(counts(&results, "warn"));
        assert_eq!(told, violations, "{api:?}");
    }
    let exclusive = violations.iter().filter(|((rule, _), _)| rule == "cluster-exclusive");
    let exclusive: u64 = exclusive.map(|(_, count)| count).sum();
    let logged =
        replica.lines("\"the scan found: [") - replica.lines("\"the scan no longer finds: [");
    assert_eq!(logged as u64 + exclusive, violations.values().sum::<u64>());
}
