//! Nodes to snapshot: which pool has a node, and which nodes form a class.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    Class, ClassNode, NodeRecord, NodeState, PoolConflict, PoolFacts, PoolOrigin, Position,
    ProtectedReference, Snapshot, VirtualNode, class::key_order,
};
use crate::policy::{Policy, membership::Membership, pool::ZONE_LABEL, taint::Taint};

/// A label with more values than this among the nodes of a pool is individual: it would make more
/// classes than it saves. Three zones, a few machine types and architectures stay below.
const CLASS_VALUES_MAX: usize = 8;

/// Always individual, so that a small pool has as few classes as a large one.
const HOSTNAME_LABEL: &str = "kubernetes.io/hostname";

/// What makes a class, in the order that classes are kept in.
type ClassKey = (Vec<Taint<'static>>, bool, Vec<(Arc<str>, Arc<str>)>);

impl Snapshot {
    /// Compiles nodes and protected objects for a policy. Nodes may come in any order; the result
    /// does not depend on it, but for which node stands for its class.
    pub fn build(
        policy: &Policy,
        nodes: &[&NodeRecord],
        protected: Vec<ProtectedReference>,
    ) -> Self {
        let mut snapshot = Self { protected, ..Self::default() };
        let mut members: Vec<Vec<&NodeRecord>> = vec![Vec::new(); policy.pools.len()];
        let mut tainted: BTreeMap<(String, Option<&str>, &Taint<'static>), Vec<&NodeRecord>> =
            BTreeMap::new();
        for &node in nodes {
            snapshot.nodes.insert(Arc::clone(&node.name), Position::Elsewhere);
            match policy.membership(node, &node.taints) {
                Membership::Elsewhere => {}
                Membership::Tainted { taint, group, label } => {
                    tainted.entry((group, label, taint)).or_default().push(node);
                }
                Membership::Declared(index) => {
                    snapshot.conflicts.extend(conflicts(policy, node, index));
                    if let Some(pool) = members.get_mut(index) {
                        pool.push(node);
                    }
                }
            }
        }
        for (index, (pool, live)) in policy.pools.iter().zip(&members).enumerate() {
            let origin = PoolOrigin::Declared(index);
            let facts = PoolFacts::new(Arc::clone(&pool.name), origin, None, &pool.taint, live);
            snapshot.add_pool(policy, facts, live);
            snapshot.virtual_nodes.extend(VirtualNode::of_pool(index, pool, live));
        }
        let origin = if policy.discovery { PoolOrigin::Discovered } else { PoolOrigin::Stray };
        for ((group, label, taint), live) in tainted {
            let facts = PoolFacts::new(group.into(), origin, label, taint, &live);
            snapshot.add_pool(policy, facts, &live);
        }
        snapshot
    }

    fn add_pool(&mut self, policy: &Policy, facts: PoolFacts, live: &[&NodeRecord]) {
        let index = self.pools.len();
        let individual: Arc<[Arc<str>]> = individual_labels(live).into();
        let mut classes: BTreeMap<ClassKey, Vec<ClassNode>> = BTreeMap::new();
        for node in live {
            let key = class_key(policy, &facts.taint, node, &individual);
            let values = individual.iter().map(|key| node.label(key).cloned()).collect();
            let node = ClassNode { name: Arc::clone(&node.name), individual: values };
            classes.entry(key).or_default().push(node);
        }
        for ((taints, lost_taint, mut labels), nodes) in classes {
            labels.sort_unstable_by(|(one, _), (other, _)| key_order(one, other));
            let individual = Arc::clone(&individual);
            let class = Class { pool: index, taints, lost_taint, labels, individual, nodes };
            self.add_class(class);
        }
        self.pools.push(facts);
    }

    fn add_class(&mut self, class: Class) {
        // A cluster has fewer nodes than a u32 has numbers; a node past them counts as unknown.
        let position = |node: usize| {
            let class = u32::try_from(self.classes.len()).ok()?;
            Some(Position::Dedicated { class, node: u32::try_from(node).ok()? })
        };
        for (index, node) in class.nodes.iter().enumerate() {
            if let Some(position) = position(index) {
                self.nodes.insert(Arc::clone(&node.name), position);
            }
        }
        self.classes.push(class);
    }
}

impl PoolFacts {
    fn new(
        name: Arc<str>,
        origin: PoolOrigin,
        label: Option<&str>,
        taint: &Taint<'static>,
        live: &[&NodeRecord],
    ) -> Self {
        let zones: BTreeSet<_> = live.iter().filter_map(|node| node.label(ZONE_LABEL)).collect();
        Self {
            name,
            origin,
            label: label.map(Into::into),
            taint: taint.clone(),
            zones: zones.into_iter().cloned().collect(),
            nodes: live.len(),
            lost_taints: live.iter().filter(|node| !node.taints.contains(taint)).count(),
            states: states(live),
        }
    }
}

fn conflicts(policy: &Policy, node: &NodeRecord, first: usize) -> Vec<PoolConflict> {
    let Some(pool) = policy.pools.get(first) else { return Vec::new() };
    let later = policy.pools.iter().skip(first + 1).filter(|other| other.nodes.matches(node));
    later
        .map(|other| PoolConflict {
            node: Arc::clone(&node.name),
            pool: Arc::clone(&pool.name),
            other: Arc::clone(&other.name),
        })
        .collect()
}

fn states(live: &[&NodeRecord]) -> Vec<(Option<Arc<str>>, NodeState, u32)> {
    let mut states: BTreeMap<(Option<Arc<str>>, NodeState), u32> = BTreeMap::new();
    for node in live {
        let zone = node.label(ZONE_LABEL).cloned();
        *states.entry((zone, NodeState::of(node))).or_default() += 1;
    }
    states.into_iter().map(|((zone, state), number)| (zone, state, number)).collect()
}

/// Keys of labels with many values among these nodes, in [`key_order`]. A missing label is a value, too.
fn individual_labels(live: &[&NodeRecord]) -> Vec<Arc<str>> {
    let mut values: HashMap<&Arc<str>, BTreeSet<&Arc<str>>> = HashMap::new();
    for (key, value) in live.iter().flat_map(|node| &node.labels) {
        let seen = values.entry(key).or_default();
        if seen.len() <= CLASS_VALUES_MAX {
            seen.insert(value);
        }
    }
    let mut individual: Vec<Arc<str>> = values
        .into_iter()
        .filter(|(key, seen)| key.as_ref() == HOSTNAME_LABEL || seen.len() > CLASS_VALUES_MAX)
        .map(|(key, _)| Arc::clone(key))
        .collect();
    individual.sort_unstable_by(|one, other| key_order(one, other));
    individual
}

fn class_key(
    policy: &Policy,
    pool_taint: &Taint<'static>,
    node: &NodeRecord,
    individual: &[Arc<str>],
) -> ClassKey {
    let stays = |taint: &&Taint<'static>| taint.keeps_pods_out() && !policy.is_transient(taint);
    let mut taints: Vec<_> = node.taints.iter().filter(stays).cloned().collect();
    let lost_taint = !node.taints.contains(pool_taint);
    if !taints.contains(pool_taint) {
        taints.push(pool_taint.clone());
    }
    taints.sort();
    taints.dedup();
    let shared = |(key, _): &&(Arc<str>, Arc<str>)| !individual.contains(key);
    (taints, lost_taint, node.labels.iter().filter(shared).cloned().collect())
}
