//! The objects as they are applied.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use poolguard::{
    admission::webhooks::{Address, BackstopState, Installation, Owner, entries},
    policy::Phase,
};
use serde_json::json;

use super::{CUSTOM, api_server, api_server::installation, registered, variants::variants};
use crate::scenario::Scenario;

/// The API server's own limit.
const CONDITIONS_MAX: usize = 64;

#[test]
fn names_are_unique_domain_names_and_sorted() {
    for variant in variants() {
        let entries = registered(&variant.scenario.policy, &CUSTOM);
        for list in [&entries.mutating, &entries.validating] {
            let names: Vec<&str> = list.iter().map(|entry| entry.name.as_str()).collect();
            assert!(names.is_sorted(), "{names:?}");
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
            for name in names {
                let is_label = |label: &str| {
                    !label.is_empty()
                        && label.len() <= 63
                        && label
                            .bytes()
                            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                };
                assert!(name.split('.').count() >= 3 && name.split('.').all(is_label), "{name}");
            }
        }
    }
}

#[test]
fn conditions_are_few_and_named() {
    for variant in variants() {
        let entries = registered(&variant.scenario.policy, &CUSTOM);
        for entry in entries.mutating.iter().chain(&entries.validating) {
            let names: BTreeSet<&str> =
                entry.conditions.iter().map(|it| it.name.as_str()).collect();
            assert_eq!(names.len(), entry.conditions.len(), "{}", entry.name);
            assert!(names.len() <= CONDITIONS_MAX);
            for condition in &entry.conditions {
                assert!(
                    !matches!(condition.expression.as_str(), "true" | "false"),
                    "{}",
                    entry.name
                );
            }
        }
    }
}

#[test]
fn only_placement_and_nodes_are_asked_to_change_objects() {
    for variant in variants() {
        for webhook in api_server(&variant.scenario).webhooks() {
            let answers_first = matches!(webhook.name(), "intruders" | "intruders-bindings");
            let mutates = answers_first || matches!(webhook.name(), "place-pods" | "join-nodes");
            assert_eq!(webhook.path() == Phase::Mutate, mutates, "{}", webhook.name());
            assert_eq!(
                webhook.object.get("reinvocationPolicy").is_some(),
                webhook.configuration == Phase::Mutate
            );
            let is_quick =
                matches!(webhook.name(), "place-pods" | "join-nodes" | "nodes" | "automq-pods");
            assert_eq!(webhook.object["timeoutSeconds"], if is_quick { 1 } else { 3 });
        }
    }
}

#[test]
fn without_entries_the_lists_are_empty() {
    let rules = super::variants::all_in("off");
    let entries = registered(&Scenario::with(&rules).policy, &CUSTOM);
    for object in entries.objects(&installation(), None) {
        assert_eq!(object["webhooks"], json!([]));
    }
}

#[test]
fn owner_labels_address_and_bundle_are_written() {
    let installation = Installation {
        name: "guard".to_owned(),
        namespace: "ops".to_owned(),
        address: Address::Url("https://10.0.0.1:8443/".to_owned()),
        owner: Some(Owner { name: "guard".to_owned(), uid: "7".to_owned() }),
        labels: [("helm.sh/chart", "poolguard-1"), ("app.kubernetes.io/managed-by", "Helm")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
    };
    let entries = entries(&Scenario::recorded().policy, "ops", BackstopState::Absent);
    for object in entries.objects(&installation, Some(b"pem")) {
        let metadata = json!({
            "name": "guard",
            "labels": {
                "app.kubernetes.io/name": "poolguard",
                "app.kubernetes.io/managed-by": "Helm",
                "helm.sh/chart": "poolguard-1",
            },
            "annotations": { "admissions.enforcer/disabled": "true" },
            "ownerReferences": [{
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "name": "guard",
                "uid": "7",
            }],
        });
        assert_eq!(object["metadata"], metadata);
        for webhook in object["webhooks"].as_array().unwrap() {
            let config = &webhook["clientConfig"];
            let path = config["url"].as_str().unwrap().strip_prefix("https://10.0.0.1:8443/");
            assert!(matches!(path, Some("mutate" | "validate")), "{config}");
            assert_eq!(config["caBundle"], STANDARD.encode("pem"));
        }
    }
}
