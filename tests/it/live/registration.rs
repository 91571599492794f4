//! Registering, healing, following the config.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use poolguard::{
    admission::webhooks::{Address, BackstopState, Installation, entries},
    config,
};
use serde_json::{Value, json};

use super::{
    cluster::{CONFIGURATIONS, Cluster, NAMESPACE, add_owner},
    eventually,
};
use crate::scenario::{data_text, recorded};

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

/// A config under which others apply what is registered.
fn external() -> String {
    format!("{}registration: external\n", data_text("config.yaml"))
}

const WRITES: &str = "poolguard_webhook_registration_writes_total";
const HEALED: &str = r#"poolguard_webhook_registration_writes_total{reason="changed"}"#;
const DRIFT: &str = "poolguard_webhook_registration_drift";

/// The first entry of this start.
fn entry<'o>(object: &'o mut Value, start: &str) -> &'o mut Value {
    let entries = object["webhooks"].as_array_mut().unwrap();
    let is_it = |entry: &&mut Value| entry["name"].as_str().unwrap().starts_with(start);
    entries.iter_mut().find(is_it).unwrap()
}

/// What an object says, in an order that an apply does not change.
fn said(object: &Value) -> Value {
    let mut entries = object["webhooks"].as_array().unwrap().clone();
    entries.sort_by_key(|entry| entry["name"].to_string());
    json!({"owners": object["metadata"]["ownerReferences"], "webhooks": entries})
}

/// How often PoolGuard has written a configuration.
fn writes(cluster: &Cluster) -> usize {
    CONFIGURATIONS.iter().map(|it| cluster.api.asked_count("patch", it)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_registered_before_a_replica_answers() {
    let cluster = Cluster::start().await;
    cluster.api.refuse("list", "nodes", 500, usize::MAX);
    let replica = cluster.replica("one").await;
    replica.readiness(|text| text.contains("snapshot:") && !text.contains("certificate:")).await;
    // Ready, but nobody gets there.
    cluster.service.lead_to(&[]);
    cluster.api.clear_refusals();
    replica.logged("waiting to register: this pod cannot reach the webhook").await;
    assert_eq!(writes(&cluster), 0);
    replica.metric(DRIFT, |drift| drift == 2.0).await;
    cluster.service.lead_to(&[replica.webhook]);
    cluster.until_registered().await;
    replica.metric(DRIFT, |drift| drift == 0.0).await;
    assert_eq!(writes(&cluster), 2, "one write each");
    assert_eq!(replica.lines("waiting to register"), 1);
    let line = replica.logged("waiting to register").await;
    assert!(line.contains("INFO"), "{line}");
}

type Edit = (&'static str, fn(&mut Value), &'static str);

const EDITS: [Edit; 6] = [
    ("failurePolicy", |it| entry(it, "pods.")["failurePolicy"] = "Ignore".into(), "failurePolicy"),
    (
        "another condition",
        |it| {
            let more = json!({"name": "never", "expression": "false"});
            entry(it, "pods.")["matchConditions"].as_array_mut().unwrap().push(more);
        },
        "matchConditions",
    ),
    ("an entry less", |it| drop(it["webhooks"].as_array_mut().unwrap().remove(0)), "is missing"),
    (
        "other namespaces",
        |it| entry(it, "pods.")["namespaceSelector"] = json!({"matchLabels": {"no": "such"}}),
        "namespaceSelector",
    ),
    (
        "a garbled caBundle",
        |it| entry(it, "pods.")["clientConfig"]["caBundle"] = "Z2FyYmxlZA==".into(),
        "caBundle",
    ),
    (
        "no owner",
        |it| drop(it["metadata"].as_object_mut().unwrap().remove("ownerReferences")),
        "ownerReferences",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_edit_is_healed_and_told() {
    let [_, validating] = CONFIGURATIONS;
    // A replica heals so many without suspecting somebody of a contest.
    for edits in EDITS.chunks(3) {
        let cluster = Cluster::start().await;
        let replica = cluster.installed("one").await;
        let before = said(&cluster.registered(validating).unwrap());
        for (number, (name, edit, word)) in (1..).zip(edits) {
            cluster.api.edit(validating, "poolguard", edit);
            let is_healed = async || said(&cluster.registered(validating).unwrap()) == before;
            eventually(&format!("{name} healed"), is_healed).await;
            replica.metric(HEALED, |healed| healed == f64::from(number)).await;
            let told = async || {
                let is_told = |event: &Value| {
                    event["reason"] == "Drifted" && event["note"].as_str().unwrap().contains(word)
                };
                cluster.api.list("events.events.k8s.io").iter().any(is_told)
                    && replica
                        .log()
                        .iter()
                        .any(|line| line.contains("differs from the config") && line.contains(word))
            };
            eventually(&format!("{name} told"), told).await;
        }
        replica.metric(DRIFT, |drift| drift == 0.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_comes_back() {
    let cluster = Cluster::start().await;
    let replica = cluster.installed("one").await;
    for resource in CONFIGURATIONS {
        let before = said(&cluster.registered(resource).unwrap());
        assert!(cluster.api.remove(resource, "poolguard"));
        cluster.until_registered().await;
        assert_eq!(said(&cluster.registered(resource).unwrap()), before);
    }
    let series = r#"poolguard_webhook_registration_writes_total{reason="absent"}"#;
    replica.metric(series, |writes| writes == 4.0).await;
    let intruder = recorded("pod-create-job-key-exists-toleration");
    assert!(!cluster.allows("/validate", &intruder).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn aks_that_adds_to_every_selector_is_left_alone() {
    const FOREIGN: [&str; 2] = ["control-plane", "kubernetes.azure.com/managedby"];
    let on_aks = data_text("config.yaml").replace("provider: aws", "provider: azure");
    let cluster = Cluster::with_config(&on_aks).await;
    for resource in CONFIGURATIONS {
        cluster.api.on_write(resource, "admissionsenforcer", |object| {
            for entry in object["webhooks"].as_array_mut().into_iter().flatten() {
                let selector = &mut entry["namespaceSelector"]["matchExpressions"];
                let mut all = selector.as_array().cloned().unwrap_or_default();
                all.retain(|it| FOREIGN.iter().all(|key| it["key"] != **key));
                all.push(json!({"key": FOREIGN[0], "operator": "DoesNotExist"}));
                all.push(json!({"key": FOREIGN[1], "operator": "NotIn", "values": ["aks"]}));
                *selector = all.into();
            }
        });
    }
    let replica = cluster.installed("one").await;
    let [_, validating] = CONFIGURATIONS;
    // Something that is healed shows that everything before was looked at.
    cluster.api.edit(validating, "poolguard", |object| {
        entry(object, "pods.")["timeoutSeconds"] = 30.into();
    });
    replica.metric(HEALED, |healed| healed == 1.0).await;
    cluster.configure(&format!("{on_aks}rules: {{role-binding: {{mode: warn}}}}\n"));
    replica.metric(HEALED, |healed| healed >= 3.0).await;
    replica.metric(DRIFT, |drift| drift == 0.0).await;
    for resource in CONFIGURATIONS {
        let object = cluster.registered(resource).unwrap();
        for entry in object["webhooks"].as_array().unwrap() {
            let selector = entry["namespaceSelector"].to_string();
            assert!(FOREIGN.iter().all(|key| selector.matches(key).count() == 1), "{selector}");
        }
    }
    // Two at first, one healed, and for the config one or two for each: an apply cannot take away
    // an entry of which the cloud owns a part.
    let before = writes(&cluster);
    assert!(before <= 7, "{before}");
    cluster.api.wait_until(|api| api.asked_count("update", "leases") > 3).await;
    assert_eq!(writes(&cluster), before, "no write for what the cloud adds");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_that_aks_does_not_write_is_healed_on_aks() {
    let on_aks = data_text("config.yaml").replace("provider: aws", "provider: azure");
    let cluster = Cluster::with_config(&on_aks).await;
    let replica = cluster.installed("one").await;
    let [_, validating] = CONFIGURATIONS;
    let before = said(&cluster.registered(validating).unwrap());
    cluster.api.edit(validating, "poolguard", |object| {
        let selector = &mut entry(object, "pods.")["namespaceSelector"]["matchExpressions"];
        let off = json!({"key": "control-plane", "operator": "Exists"});
        selector.as_array_mut().unwrap().push(off);
    });
    replica.metric(HEALED, |healed| healed == 1.0).await;
    let is_healed = async || said(&cluster.registered(validating).unwrap()) == before;
    eventually("the selector is healed", is_healed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_always_writes_back_is_reported_and_written_less_often() {
    let cluster = Cluster::start().await;
    let replica = cluster.installed("one").await;
    let [_, validating] = CONFIGURATIONS;
    cluster.api.on_write(validating, "fighter", |object| {
        entry(object, "pods.")["failurePolicy"] = "Ignore".into();
    });
    cluster.api.edit(validating, "poolguard", |object| {
        entry(object, "pods.")["failurePolicy"] = "Ignore".into();
    });
    replica.metric(DRIFT, |drift| drift == 1.0).await;
    let written = cluster.api.asked_count("patch", validating);
    assert!(written <= 6, "{written} writes");
    let renewed = cluster.api.asked_count("update", "leases");
    cluster.api.wait_until(|api| api.asked_count("update", "leases") > renewed + 2).await;
    assert_eq!(cluster.api.asked_count("patch", validating), written, "it does not spin");
    // What is asked for by the config is written all the same.
    cluster.configure(&format!(
        "{}rules: {{role-binding: {{mode: warn}}}}\n",
        data_text("config.yaml")
    ));
    cluster.api.wait_until(|api| api.asked_count("patch", validating) > written).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_registered_goes_with_its_owner_and_comes_back_with_one() {
    let cluster = Cluster::start().await;
    let replica = cluster.installed("one").await;
    assert!(cluster.api.remove("clusterroles", "poolguard"));
    assert!(CONFIGURATIONS.iter().all(|it| cluster.registered(it).is_none()), "it is collected");
    // Nobody would ever take away what is registered now.
    replica
        .logged("ClusterRole poolguard, the owner of the webhook configurations, does not exist")
        .await;
    replica.metric(DRIFT, |drift| drift == 2.0).await;
    assert!(CONFIGURATIONS.iter().all(|it| cluster.registered(it).is_none()));
    add_owner(&cluster.api);
    cluster.until_registered().await;
    let owner = cluster.api.get("clusterroles", "poolguard").unwrap()["metadata"]["uid"].clone();
    for resource in CONFIGURATIONS {
        let owners = &cluster.registered(resource).unwrap()["metadata"]["ownerReferences"];
        assert_eq!(owners[0]["uid"], owner);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uninstalled_release_leaves_nothing() {
    let cluster = Cluster::start().await;
    let mut replica = cluster.installed("one").await;
    let made =
        [("leases", "poolguard-system/poolguard"), ("secrets", "poolguard-system/poolguard-ca")];
    cluster.api.wait_until(|api| made.iter().all(|(it, path)| api.get(it, path).is_some())).await;
    replica.signal("TERM");
    replica.ended().await;
    assert!(cluster.api.remove("clusterroles", "poolguard"));
    let is_gone = |(resource, path): &(&str, &str)| cluster.api.get(resource, path).is_none();
    assert!(made.iter().all(is_gone));
    assert!(CONFIGURATIONS.iter().all(|it| cluster.registered(it).is_none()));
}

/// What people apply themselves.
fn apply_by_hand(cluster: &Cluster) {
    let loaded = config::load("config.yaml", &external(), None).unwrap();
    let installation = Installation {
        name: "poolguard".to_owned(),
        namespace: NAMESPACE.to_owned(),
        address: Address::Url(cluster.service.url()),
        owner: None,
        labels: [("argocd.argoproj.io/instance".to_owned(), "poolguard".to_owned())].into(),
    };
    let policy = loaded.policy.with_node_pool_objects(&[].into());
    for object in entries(&policy, NAMESPACE, BackstopState::Absent).objects(&installation, None) {
        cluster.api.put(object);
    }
}

/// An object without what an API server and PoolGuard add to it.
fn without_bundles(object: &Value) -> Value {
    let mut object = object.clone();
    for entry in object["webhooks"].as_array_mut().unwrap() {
        entry["clientConfig"].as_object_mut().unwrap().remove("caBundle");
    }
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata
        .retain(|field, _| !["managedFields", "resourceVersion", "generation"].contains(&&**field));
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_apply_is_completed_and_watched_and_otherwise_left_alone() {
    let cluster = Cluster::with_config(&external()).await;
    let replica = cluster.replica("one").await;
    replica.ready().await;
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        replica.logged(&format!("{kind} poolguard does not exist: apply the output of")).await;
    }
    replica.metric(DRIFT, |drift| drift == 2.0).await;
    assert!(CONFIGURATIONS.iter().all(|it| cluster.registered(it).is_none()), "nothing is created");
    apply_by_hand(&cluster);
    let before = CONFIGURATIONS.map(|it| without_bundles(&cluster.registered(it).unwrap()));
    replica.metric(DRIFT, |drift| drift == 0.0).await;
    let bundles = async || {
        CONFIGURATIONS.iter().all(|it| {
            let object = cluster.registered(it).unwrap();
            let mut entries = object["webhooks"].as_array().unwrap().iter();
            entries.all(|entry| entry["clientConfig"]["caBundle"].is_string())
        })
    };
    eventually("every entry has its caBundle", bundles).await;
    let after = CONFIGURATIONS.map(|it| without_bundles(&cluster.registered(it).unwrap()));
    assert_eq!(after, before);
    let intruder = recorded("pod-create-job-key-exists-toleration");
    assert!(!cluster.allows("/validate", &intruder).await);
    // Drift is told, and is the business of whoever applies.
    let [_, validating] = CONFIGURATIONS;
    cluster.api.edit(validating, "poolguard", |object| {
        entry(object, "pods.")["failurePolicy"] = "Ignore".into();
        entry(object, "pods.")["clientConfig"].as_object_mut().unwrap().remove("caBundle");
    });
    replica.metric(DRIFT, |drift| drift == 1.0).await;
    replica.logged("failurePolicy of entry pods.").await;
    eventually("the caBundle is back", bundles).await;
    let mut object = cluster.registered(validating).unwrap();
    assert_eq!(entry(&mut object, "pods.")["failurePolicy"], "Ignore");
    assert_eq!(replica.metric_now(&format!("{WRITES}{{reason=\"absent\"}}")).await, 0.0);
}
