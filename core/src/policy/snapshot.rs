//! The cluster facts that a decision may read: immutable, and swapped whole.
//!
//! Dedicated nodes are grouped into classes of equal labels and stable taints; of every other node
//! only the name is kept. What the snapshot does not hold is unknown.

mod build;
mod class;
mod node_to_come;

use std::{collections::HashMap, fmt, sync::Arc};

pub use class::{Class, ClassNode, Member};
pub use node_to_come::{NodeToCome, OtherLabels};

use super::zone::{PoolZones, Zones};
use crate::kubernetes::{resource::GroupResource, taint::Taint};

/// A node as it is observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeRecord {
    /// `metadata.name`
    pub name: Arc<str>,
    /// Labels, sorted by key.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// `spec.taints`
    pub taints: Vec<Taint<'static>>,
    /// `spec.unschedulable`
    pub cordoned: bool,
    /// Whether the condition `Ready` is `True`.
    pub ready: bool,
}

impl NodeRecord {
    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&Arc<str>> {
        let index = self.labels.binary_search_by(|(name, _)| name.as_ref().cmp(key)).ok()?;
        self.labels.get(index).map(|(_, value)| value)
    }
}

impl crate::kubernetes::selector::LabelSet for NodeRecord {
    fn value(&self, key: &str) -> Option<&str> {
        self.label(key).map(AsRef::as_ref)
    }
}

/// A protected object of the cluster, with the facts that other rules need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedReference {
    /// The resource of the object.
    pub resource: GroupResource,
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// The role that a binding refers to.
    pub role: Option<RoleReference>,
    /// The object that has the role of the nodes which this one makes for a pool.
    pub node_class: Option<NodeClassReference>,
}

/// `nodeClassRef` of a Karpenter `NodePool`. Node classes have no namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeClassReference {
    /// The kind, as the API spells it.
    pub kind: String,
    /// The name of the node class.
    pub name: String,
}

/// `roleRef` of a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleReference {
    /// `Role` or `ClusterRole`.
    pub kind: String,
    /// Name; a `Role` is in the namespace of the binding.
    pub name: String,
}

/// A pool as the cluster shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolFacts {
    /// The name of the declared pool, or the provider's name of the group.
    pub name: Arc<str>,
    /// The origin of the pool.
    pub origin: PoolOrigin,
    /// The label that names a discovered pool on its nodes.
    pub label: Option<Arc<str>>,
    /// The taint that its nodes carry or should carry.
    pub taint: Taint<'static>,
    /// The zones in which the pool has nodes, sorted.
    pub zones: Vec<Arc<str>>,
    /// The zones that the config declares, as nodes spell them.
    pub declared_zones: PoolZones,
    /// The number of the pool's nodes.
    pub nodes: usize,
    /// The number of the pool's nodes that lack its taint.
    pub lost_taints: usize,
    /// The number of the pool's nodes in each zone and state; sorted.
    pub states: Vec<(Option<Arc<str>>, NodeState, u32)>,
}

/// The state of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeState {
    /// A node that is ready and open for pods.
    Ready,
    /// A node that is ready and closed for new pods.
    Cordoned,
    /// A node that is not ready.
    NotReady,
}

impl NodeState {
    fn of(node: &NodeRecord) -> Self {
        match (node.ready, node.cordoned) {
            (false, _) => Self::NotReady,
            (true, true) => Self::Cordoned,
            (true, false) => Self::Ready,
        }
    }
}

/// The origin of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolOrigin {
    /// A pool that the config declares; the index is that of [`super::Policy::pools`].
    Declared(usize),
    /// A pool that PoolGuard found by its taint.
    Discovered,
    /// Nodes that carry a pool's taint without being members of any, while discovery is off.
    Stray,
}

/// A node that more than one declared pool selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConflict {
    /// The node.
    pub node: Arc<str>,
    /// The pool that has it: the first in the config.
    pub pool: Arc<str>,
    /// A later pool that selects it as well.
    pub other: Arc<str>,
}

impl fmt::Display for PoolConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, pool, other } = self;
        write!(
            f,
            "node {node} matches the pools {pool} and {other}. PoolGuard assigns it to pool {pool}, which comes \
             first in the config"
        )
    }
}

/// The cluster facts, compiled for a policy. Made by [`Snapshot::build`].
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pools: Vec<PoolFacts>,
    classes: Vec<Class>,
    nodes_to_come: Vec<NodeToCome>,
    /// Every taint that a class or a node to come has, once.
    taints: Vec<Taint<'static>>,
    nodes: HashMap<Arc<str>, Position>,
    /// Nodes by the names of their hosts, where those are not the names of the nodes.
    hosts: HashMap<Arc<str>, Vec<Arc<str>>>,
    conflicts: Vec<PoolConflict>,
    protected: Vec<ProtectedReference>,
    zones: Zones,
}

/// A taint that keeps pods out for good, by its place in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaintId(u32);

impl TaintId {
    /// The place of the taint in the snapshot.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The place of a known node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// A node that is not dedicated.
    Elsewhere,
    /// A dedicated node: its class, and its place in the class.
    Dedicated { class: u32, node: u32 },
}

/// The knowledge of the snapshot about a node, by the node's name.
#[derive(Clone, Copy, Debug)]
pub enum Located<'s> {
    /// A node that the snapshot does not know.
    Unknown,
    /// A node that is there, and not dedicated.
    Elsewhere,
    /// A dedicated node.
    Dedicated {
        /// The class of the node.
        class: &'s Class,
        /// The node itself.
        node: &'s ClassNode,
    },
}

impl Snapshot {
    /// The pools: declared ones first, in the order of the config.
    pub fn pools(&self) -> &[PoolFacts] {
        &self.pools
    }

    /// Whether there is a pool of this name.
    pub fn has_pool(&self, name: &str) -> bool {
        self.pools.iter().any(|pool| *pool.name == *name)
    }

    /// The classes of dedicated nodes.
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// Nodes to come, in the order of their pools.
    pub fn nodes_to_come(&self) -> &[NodeToCome] {
        &self.nodes_to_come
    }

    /// The taints that keep pods out for good, each once.
    pub fn taints(&self) -> &[Taint<'static>] {
        &self.taints
    }

    /// A taint that a class or a node to come has.
    pub(in crate::policy) fn taint(&self, id: TaintId) -> Option<&Taint<'static>> {
        self.taints.get(id.index())
    }

    /// The place of this taint, if a class or a node to come has it.
    pub(in crate::policy) fn taint_id(&self, taint: &Taint<'_>) -> Option<TaintId> {
        let index = self.taints.iter().position(|known| known == taint)?;
        u32::try_from(index).ok().map(TaintId)
    }

    /// The nodes whose host may have this name: a node of this name, and those whose host label has this name.
    pub(in crate::policy) fn nodes_on_host<'h>(
        &'h self,
        host: &'h str,
    ) -> impl Iterator<Item = &'h str> {
        let named = self.nodes.contains_key(host).then_some(host);
        let others = self.hosts.get(host).into_iter().flatten();
        named.into_iter().chain(others.map(AsRef::as_ref))
    }

    /// Whether a node of this name is there.
    pub(in crate::policy) fn knows_node(&self, name: &str) -> bool {
        self.nodes.contains_key(name)
    }

    /// Whether a node that is there has this name, or its host.
    pub(in crate::policy) fn knows_host(&self, name: &str) -> bool {
        self.nodes.contains_key(name) || self.hosts.contains_key(name)
    }

    /// Nodes that several declared pools claim.
    pub fn conflicts(&self) -> &[PoolConflict] {
        &self.conflicts
    }

    /// The spellings of the cluster's zones.
    pub fn zones(&self) -> &Zones {
        &self.zones
    }

    /// The declared zones of the pool with this index, as nodes spell them.
    pub(in crate::policy) fn declared_zones(&self, pool: usize) -> &PoolZones {
        static NONE: PoolZones = PoolZones::NONE;
        self.pools.get(pool).map_or(&NONE, |pool| &pool.declared_zones)
    }

    /// Protected objects that are there.
    pub fn protected(&self) -> &[ProtectedReference] {
        &self.protected
    }

    /// The number of known nodes.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Returns the knowledge of the snapshot about a node.
    pub fn locate(&self, name: &str) -> Located<'_> {
        let Some(position) = self.nodes.get(name) else { return Located::Unknown };
        let Position::Dedicated { class, node } = *position else { return Located::Elsewhere };
        let located = self.classes.get(class as usize).and_then(|class| {
            let node = class.nodes.get(node as usize)?;
            Some(Located::Dedicated { class, node })
        });
        located.unwrap_or(Located::Unknown)
    }

    /// The pool with this index; indexes come from classes and nodes to come of this snapshot.
    pub fn pool(&self, index: usize) -> Option<&PoolFacts> {
        self.pools.get(index)
    }
}
