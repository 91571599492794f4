//! Nodes as the API shows them, trimmed to what a snapshot needs.

use std::sync::Arc;

use serde::Deserialize;

use super::Index;
use crate::policy::{
    object::Metadata, provider::Provider, snapshot::NodeRecord, taint::Taint, text::Text,
};

/// A Node; images, addresses and managed fields are skipped while decoding.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct ObservedNode<'a> {
    #[serde(default)]
    metadata: Metadata<'a>,
    #[serde(default)]
    spec: Option<Spec<'a>>,
    #[serde(default)]
    status: Option<Status<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(bound(deserialize = "'de: 'a"), default, rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(rename = "providerID")]
    provider_id: Text<'a>,
    taints: Option<Vec<Taint<'a>>>,
    unschedulable: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(bound(deserialize = "'de: 'a"), default)]
struct Status<'a> {
    conditions: Option<Vec<Condition<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(bound(deserialize = "'de: 'a"), default)]
struct Condition<'a> {
    #[serde(rename = "type")]
    name: Text<'a>,
    status: Text<'a>,
}

impl Index {
    pub(super) fn apply_node(&mut self, node: ObservedNode<'_>) {
        let ObservedNode { metadata, spec, status } = node;
        let Spec { provider_id, taints, unschedulable } = spec.unwrap_or_default();
        let conditions = status.and_then(|status| status.conditions).unwrap_or_default();
        let name: Arc<str> = metadata.name.as_str().into();
        let mut labels: Vec<_> = metadata
            .labels
            .iter()
            .map(|(key, value)| (self.intern(key), self.intern(value)))
            .collect();
        labels.sort();
        if self.provider.is_none() {
            let keys = labels.iter().map(|(key, _)| key.as_ref());
            self.provider = Provider::of_node(&provider_id, keys);
        }
        let record = NodeRecord {
            name: Arc::clone(&name),
            labels,
            taints: taints.unwrap_or_default().iter().map(Taint::to_static).collect(),
            cordoned: unschedulable.unwrap_or(false),
            ready: conditions.iter().any(|it| it.name == "Ready" && it.status == "True"),
        };
        self.nodes.insert(name, record);
    }
}
