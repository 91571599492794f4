//! Entries as the objects that are applied: every field that the API server would default is
//! written out, so that a difference to the live object is a difference that somebody made.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{Entries, MatchCondition, NamespaceScope, WebhookEntry, WebhookRule};
use crate::policy::{Phase, request::Operation};

/// The name, the address, the owner and the labels with which this PoolGuard is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Name of both objects.
    pub name: String,
    /// The namespace that PoolGuard runs in.
    pub namespace: String,
    /// The address at which the API server reaches PoolGuard.
    pub address: Address,
    /// The owner together with which Kubernetes deletes the objects when PoolGuard is uninstalled.
    pub owner: Option<Owner>,
    /// Labels beside `app.kubernetes.io/name` and `app.kubernetes.io/managed-by`.
    pub labels: BTreeMap<String, String>,
}

/// The address at which the API server reaches PoolGuard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Service in its namespace.
    Service {
        /// Name of the Service.
        name: String,
        /// Port of the Service.
        port: u16,
    },
    /// A URL, to which `/mutate` and `/validate` are added.
    Url(String),
}

/// The cluster-scoped object of a release that owns the objects. Kubernetes deletes the objects with their owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Name of a ClusterRole.
    pub name: String,
    /// The UID of the ClusterRole.
    pub uid: String,
}

impl Owner {
    /// Returns the owner as an entry of `metadata.ownerReferences`.
    pub fn reference(&self) -> Value {
        let Self { name, uid } = self;
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "name": name,
            "uid": uid,
        })
    }
}

/// The label that the API server puts on every namespace.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

/// The annotation that keeps AKS from adding selectors of its own, with which the live object would always differ.
const AKS_OPT_OUT: &str = "admissions.enforcer/disabled";

impl Entries {
    /// The mutating and the validating configuration. Without a CA bundle, the API server checks
    /// the certificate against its own trust store.
    pub fn objects(&self, installation: &Installation, ca_bundle: Option<&[u8]>) -> [Value; 2] {
        let bundle = ca_bundle.map(|pem| STANDARD.encode(pem));
        let object = |kind: &str, webhooks: Vec<Value>| {
            json!({
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": kind,
                "metadata": metadata(installation),
                "webhooks": webhooks,
            })
        };
        let mutating = self.mutating.iter().map(|entry| {
            let mut webhook = webhook(entry, installation, bundle.as_deref());
            webhook.insert("reinvocationPolicy".into(), entry.reinvocation.as_str().into());
            Value::Object(webhook)
        });
        let validating = self
            .validating
            .iter()
            .map(|entry| Value::Object(webhook(entry, installation, bundle.as_deref())));
        [
            object("MutatingWebhookConfiguration", mutating.collect()),
            object("ValidatingWebhookConfiguration", validating.collect()),
        ]
    }
}

pub(super) fn metadata(installation: &Installation) -> Value {
    let Installation { name, namespace: _, address: _, owner, labels } = installation;
    let mut all = labels.clone();
    for key in ["app.kubernetes.io/name", "app.kubernetes.io/managed-by"] {
        all.entry(key.to_owned()).or_insert_with(|| "poolguard".to_owned());
    }
    let mut metadata = json!({
        "name": name,
        "labels": all,
        "annotations": { AKS_OPT_OUT: "true" },
    });
    if let (Some(owner), Some(metadata)) = (owner, metadata.as_object_mut()) {
        metadata.insert("ownerReferences".into(), json!([owner.reference()]));
    }
    metadata
}

fn webhook(
    entry: &WebhookEntry,
    installation: &Installation,
    ca_bundle: Option<&str>,
) -> Map<String, Value> {
    let WebhookEntry {
        name,
        path,
        failure_policy,
        rules,
        namespaces,
        objects,
        conditions,
        timeout_seconds,
        reinvocation: _,
    } = entry;
    let mut webhook = Map::new();
    let mut set = |key: &str, value: Value| {
        webhook.insert(key.to_owned(), value);
    };
    set("name", json!(name));
    set("clientConfig", client_config(*path, installation, ca_bundle));
    set("rules", rules.iter().map(rule).collect());
    set("namespaceSelector", namespace_selector(namespaces));
    set("objectSelector", objects.to_json());
    // The API server leaves an empty list out.
    if !conditions.is_empty() {
        let condition = |MatchCondition { name, expression }: &MatchCondition| json!({ "name": name, "expression": expression });
        set("matchConditions", conditions.iter().map(condition).collect());
    }
    set("failurePolicy", json!(failure_policy.as_str()));
    set("matchPolicy", json!("Equivalent"));
    // A dry run emits no Event.
    set("sideEffects", json!("NoneOnDryRun"));
    set("timeoutSeconds", json!(timeout_seconds));
    set("admissionReviewVersions", json!(["v1"]));
    webhook
}

fn client_config(path: Phase, installation: &Installation, ca_bundle: Option<&str>) -> Value {
    let path = match path {
        Phase::Mutate => "/mutate",
        Phase::Validate => "/validate",
    };
    let mut config = match &installation.address {
        Address::Service { name, port } => json!({
            "service": {
                "namespace": installation.namespace,
                "name": name,
                "path": path,
                "port": port,
            },
        }),
        Address::Url(base) => json!({ "url": format!("{}{path}", base.trim_end_matches('/')) }),
    };
    if let (Some(bundle), Some(config)) = (ca_bundle, config.as_object_mut()) {
        config.insert("caBundle".into(), bundle.into());
    }
    config
}

pub(super) fn rule(rule: &WebhookRule) -> Value {
    let WebhookRule { group, version, resources, operations, scope } = rule;
    let operations: Vec<&str> = operations.iter().copied().map(Operation::as_str).collect();
    json!({
        "apiGroups": [group],
        "apiVersions": [version.unwrap_or("*")],
        "resources": resources,
        "operations": operations,
        "scope": scope.as_str(),
    })
}

pub(super) fn namespace_selector(namespaces: &NamespaceScope) -> Value {
    let (operator, names) = match namespaces {
        NamespaceScope::Except(names) if names.is_empty() => return json!({}),
        NamespaceScope::Except(names) => ("NotIn", names),
        NamespaceScope::Only(names) => ("In", names),
    };
    let expression = json!({ "key": NAMESPACE_LABEL, "operator": operator, "values": names });
    json!({ "matchExpressions": [expression] })
}
