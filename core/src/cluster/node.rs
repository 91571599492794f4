//! Nodes as the API shows them, trimmed to what a snapshot needs.

use super::Index;
use crate::{
    json::{read_object, text::Text},
    kubernetes::{object::Metadata, taint::Taint},
    policy::{provider::Provider, snapshot::NodeRecord},
};

/// A Node; images, addresses and managed fields are skipped while decoding.
#[derive(Default)]
pub(super) struct ObservedNode<'a> {
    metadata: Metadata<'a>,
    spec: Spec<'a>,
    status: Status<'a>,
}

#[derive(Default)]
struct Spec<'a> {
    provider_id: Text<'a>,
    taints: Vec<Taint<'a>>,
    unschedulable: bool,
}

#[derive(Default)]
struct Status<'a> {
    conditions: Vec<Condition<'a>>,
}

#[derive(Default)]
struct Condition<'a> {
    name: Text<'a>,
    status: Text<'a>,
}

read_object!(ObservedNode { "metadata" => metadata, "spec" => spec, "status" => status });
read_object!(Spec {
    "providerID" => provider_id,
    "taints" => taints,
    "unschedulable" => unschedulable,
});
read_object!(Status { "conditions" => conditions });
read_object!(Condition { "type" => name, "status" => status });

impl Index {
    pub(super) fn node_record(&mut self, node: ObservedNode<'_>) -> NodeRecord {
        let ObservedNode { metadata, spec, status } = node;
        let Spec { provider_id, taints, unschedulable } = spec;
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
        NodeRecord {
            name: metadata.name.as_str().into(),
            labels,
            taints: taints.iter().map(Taint::to_static).collect(),
            cordoned: unschedulable,
            ready: status.conditions.iter().any(|it| it.name == "Ready" && it.status == "True"),
        }
    }
}
