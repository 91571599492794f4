//! Observed objects to the next snapshot. Synchronous, without I/O.
#![deny(clippy::disallowed_methods, reason = "an index is fed, and fetches nothing")]

mod dump;
mod node;

pub use dump::DumpError;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use serde_json::Value;

use crate::policy::{
    Policy,
    name::GroupResource,
    provider::Provider,
    snapshot::{NodeRecord, ProtectedReference, Snapshot},
};

/// What has been observed of a cluster.
#[derive(Debug, Default)]
pub struct Index {
    nodes: BTreeMap<Arc<str>, NodeRecord>,
    objects: Vec<(GroupResource, Value)>,
    kinds: BTreeSet<String>,
    provider: Option<Provider>,
    /// Label keys and values that many nodes share, kept once.
    texts: HashSet<Arc<str>>,
}

impl Index {
    /// Compiles what has been observed for a policy.
    pub fn snapshot(&self, policy: &Policy) -> Snapshot {
        let nodes: Vec<&NodeRecord> = self.nodes.values().collect();
        let protected = self
            .objects
            .iter()
            .filter_map(|(resource, object)| policy.protected_reference(resource, object))
            .collect::<Vec<ProtectedReference>>();
        Snapshot::build(policy, &nodes, protected)
    }

    /// The provider that the nodes' identifiers tell.
    pub fn provider(&self) -> Option<Provider> {
        self.provider
    }

    /// Whether an object of this kind has been observed. Of other kinds nothing is known.
    pub fn has_seen(&self, kind: &str) -> bool {
        self.kinds.contains(kind)
    }

    fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        text
    }
}
