//! Turns observed objects into the next snapshot, synchronously and without I/O.
//!
//! A dump is read once; a live cluster is listed and watched, and a list replaces what was known of
//! its kind at once: no reader sees half of it.

mod dump;
pub mod inventory;
mod kind;
mod live;
mod node;
pub mod wire;

pub use dump::DumpError;
pub use kind::Kind;
pub use live::ObjectError;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use self::live::ListInProgress;
use crate::{
    json,
    kubernetes::resource::GroupResource,
    policy::{
        Policy,
        provider::Provider,
        snapshot::{NodeRecord, ProtectedReference, Snapshot},
    },
};

/// The nodes and other objects that have been observed in a cluster.
#[derive(Debug, Default)]
pub struct Index {
    nodes: Nodes,
    objects: Objects,
    kinds: BTreeSet<String>,
    provider: Option<Provider>,
    /// Label keys and values that many nodes share, kept once.
    texts: HashSet<Arc<str>>,
    /// The number of texts that were in use when the others were last removed.
    texts_in_use: usize,
    lists_in_progress: BTreeMap<Kind, ListInProgress>,
}

type Nodes = BTreeMap<Arc<str>, Arc<NodeRecord>>;
/// The observed objects, each as the text of the fields that PoolGuard keeps.
type Objects = BTreeMap<Arc<ObjectKey>, Arc<str>>;

/// The key that tells an object from all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ObjectKey {
    resource: GroupResource,
    namespace: String,
    name: String,
}

/// The content of an index at one moment. It shares nodes and objects with the index, so that to make one takes
/// no longer than to count them, and a snapshot is compiled while the index goes on.
#[derive(Debug)]
pub struct IndexSnapshot {
    nodes: Vec<Arc<NodeRecord>>,
    objects: Vec<(Arc<ObjectKey>, Arc<str>)>,
    provider: Option<Provider>,
}

impl IndexSnapshot {
    /// Compiles what had been observed for a policy.
    pub fn snapshot(&self, policy: &Policy) -> Snapshot {
        let nodes: Vec<&NodeRecord> = self.nodes.iter().map(AsRef::as_ref).collect();
        let protected = self
            .objects
            .iter()
            .filter_map(|(key, object)| {
                policy.protected_reference(&key.resource, &json::from_str(object).ok()?)
            })
            .collect::<Vec<ProtectedReference>>();
        Snapshot::build(policy, &nodes, protected)
    }

    /// The provider that the nodes' identifiers told.
    pub fn provider(&self) -> Option<Provider> {
        self.provider
    }
}

impl Index {
    /// Returns all that has been observed until now.
    pub fn index_snapshot(&self) -> IndexSnapshot {
        let shared = |(key, object): (&Arc<_>, &Arc<_>)| (Arc::clone(key), Arc::clone(object));
        IndexSnapshot {
            nodes: self.nodes.values().cloned().collect(),
            objects: self.objects.iter().map(shared).collect(),
            provider: self.provider,
        }
    }

    /// Compiles what has been observed for a policy.
    pub fn snapshot(&self, policy: &Policy) -> Snapshot {
        self.index_snapshot().snapshot(policy)
    }

    /// The nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes.values().map(AsRef::as_ref)
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

    /// Removes texts that no node has any more, once there may be as many of them as of the others. So they
    /// cost no more memory than those in use, and looking for them no more time than reading them.
    fn forget_texts_if_many(&mut self) {
        const FEW: usize = 1_024;
        if self.texts.len() > FEW + 2 * self.texts_in_use {
            self.forget_texts();
        }
    }

    /// Removes the texts that no node has any more, because label values come and go with nodes.
    fn forget_texts(&mut self) {
        self.texts.retain(|text| Arc::strong_count(text) > 1);
        self.texts_in_use = self.texts.len();
    }
}
