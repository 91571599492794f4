//! The construction of a snapshot from nodes: it finds the pool of each node, and the nodes that form a class.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    Class, ClassNode, NodeRecord, NodeState, PoolConflict, PoolFacts, PoolOrigin, Position,
    ProtectedReference, Snapshot, TaintId,
    class::key_order,
    node_to_come::{NodeTemplate, zones_to_come},
};
use crate::{
    kubernetes::{
        selector::{Operator, Requirement},
        taint::Taint,
    },
    policy::{
        Policy,
        membership::Membership,
        pool::{HOST_NAME_LABEL, PlacementSettings, ZONE_LABEL},
        zone::{PoolZones, Zones},
    },
};

/// The largest number of values of a label that counts for classes. A label with more values among the nodes of
/// a pool is individual: it would make more classes than it saves. Three zones, a few machine types and
/// architectures stay below.
const CLASS_VALUES_MAX: usize = 8;

/// The key of a class, in the order in which classes are kept: the lasting taints, whether the pool's taint is
/// lost, and the shared labels.
type ClassKey = (Vec<Taint<'static>>, bool, Vec<(Arc<str>, Arc<str>)>);

impl Snapshot {
    /// Compiles nodes and protected objects for a policy. Nodes may come in any order; the result
    /// does not depend on it, but for which node stands for its class.
    pub fn build(
        policy: &Policy,
        nodes: &[&NodeRecord],
        protected: Vec<ProtectedReference>,
    ) -> Self {
        let PlacementSettings { zone_spelling, zone_labels, .. } = &policy.placement;
        let zones = Zones::of_nodes(zone_spelling, zone_labels, nodes);
        let mut snapshot = Self { protected, zones, ..Self::default() };
        let mut members: Vec<Vec<&NodeRecord>> = vec![Vec::new(); policy.pools.len()];
        let mut tainted: BTreeMap<(String, Option<&str>, &Taint<'static>), Vec<&NodeRecord>> =
            BTreeMap::new();
        let mut elsewhere = Vec::new();
        for &node in nodes {
            snapshot.add_name(node);
            match policy.membership(node, &node.taints) {
                Membership::Elsewhere => elsewhere.push(node),
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
        let mut taints = TaintIds::default();
        for (index, (pool, live)) in policy.pools.iter().zip(&members).enumerate() {
            let origin = PoolOrigin::Declared(index);
            let mut facts = PoolFacts::new(Arc::clone(&pool.name), origin, None, &pool.taint, live);
            facts.declared_zones = snapshot.zones.of_pool(&pool.zones);
            let zones = zones_to_come(&facts.declared_zones);
            snapshot.add_pool(policy, facts, live, &mut taints);
            let template = NodeTemplate {
                settings: &policy.placement,
                node_pool_labels: &policy.node_pool_labels,
                demands: pool.nodes.requirements(),
                machine_types: pool.machine_types.as_deref(),
                zones,
                taints: taints.of_nodes_to_come(policy, &pool.taint, &pool.additional_taints, live),
            };
            snapshot.nodes_to_come.extend(template.nodes_to_come(index, live));
        }
        let origin = if policy.discovery { PoolOrigin::Discovered } else { PoolOrigin::Stray };
        // A stray taint on one node does not make its whole group dedicated.
        let mixed: HashSet<(&str, &str)> =
            elsewhere.into_iter().filter_map(|node| policy.node_pool_of(node)).collect();
        for ((group, label, taint), live) in tainted {
            let brings = label.filter(|label| !mixed.contains(&(label, group.as_str())));
            let facts = PoolFacts::new(group.as_str().into(), origin, label, taint, &live);
            let zones = facts.zones.iter().map(|zone| Some(Arc::clone(zone))).collect();
            let index = snapshot.pools.len();
            snapshot.add_pool(policy, facts, &live, &mut taints);
            let Some(label) = brings else { continue };
            let demand =
                Requirement { key: label.to_owned(), operator: Operator::In, values: vec![group] };
            let template = NodeTemplate {
                settings: &policy.placement,
                node_pool_labels: &policy.node_pool_labels,
                demands: std::slice::from_ref(&demand),
                machine_types: None,
                zones,
                taints: taints.of_nodes_to_come(policy, taint, &[], &live),
            };
            snapshot.nodes_to_come.extend(template.nodes_to_come(index, &live));
        }
        snapshot.taints = taints.taints;
        snapshot
    }

    fn add_name(&mut self, node: &NodeRecord) {
        self.nodes.insert(Arc::clone(&node.name), Position::Elsewhere);
        if let Some(host) = node.label(HOST_NAME_LABEL)
            && *host != node.name
        {
            self.hosts.entry(Arc::clone(host)).or_default().push(Arc::clone(&node.name));
        }
    }

    fn add_pool(
        &mut self,
        policy: &Policy,
        facts: PoolFacts,
        live: &[&NodeRecord],
        taints: &mut TaintIds,
    ) {
        let index = self.pools.len();
        let individual: Arc<[Arc<str>]> = individual_labels(live).into();
        let mut classes: BTreeMap<ClassKey, Vec<ClassNode>> = BTreeMap::new();
        for node in live {
            let key = class_key(policy, &facts.taint, node, &individual);
            let values = individual.iter().map(|key| node.label(key).cloned()).collect();
            let node = ClassNode { name: Arc::clone(&node.name), individual: values };
            classes.entry(key).or_default().push(node);
        }
        for ((lasting, lost_taint, mut labels), nodes) in classes {
            labels.sort_unstable_by(|(one, _), (other, _)| key_order(one, other));
            let individual = Arc::clone(&individual);
            let taints = lasting.iter().filter_map(|taint| taints.id(taint)).collect();
            self.add_class(Class { pool: index, taints, lost_taint, labels, individual, nodes });
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

/// The taints of a snapshot, each once.
#[derive(Default)]
struct TaintIds {
    taints: Vec<Taint<'static>>,
    ids: HashMap<Taint<'static>, TaintId>,
}

impl TaintIds {
    /// Returns the identifier of a taint, which is new for a new taint. A cluster has fewer taints than a u32
    /// has numbers.
    fn id(&mut self, taint: &Taint<'static>) -> Option<TaintId> {
        if let Some(id) = self.ids.get(taint) {
            return Some(*id);
        }
        let id = TaintId(u32::try_from(self.taints.len()).ok()?);
        self.taints.push(taint.clone());
        self.ids.insert(taint.clone(), id);
        Some(id)
    }

    /// The taints of a node to come: the pool's, those that are declared beside it, and those that all
    /// live nodes carry for good.
    fn of_nodes_to_come(
        &mut self,
        policy: &Policy,
        own: &Taint<'static>,
        additional: &[Taint<'static>],
        live: &[&NodeRecord],
    ) -> Arc<[TaintId]> {
        let (first, others) = match live.split_first() {
            Some((first, others)) => (first.taints.as_slice(), others),
            None => (&[] as &[_], live),
        };
        let is_shared = |taint: &&Taint<'static>| {
            policy.is_lasting(taint) && others.iter().all(|node| node.taints.contains(taint))
        };
        let mut all: Vec<_> =
            std::iter::once(own).chain(additional).chain(first.iter().filter(is_shared)).collect();
        all.sort();
        all.dedup();
        all.into_iter().filter_map(|taint| self.id(taint)).collect()
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
            declared_zones: PoolZones::NONE,
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
        .filter(|(key, seen)| key.as_ref() == HOST_NAME_LABEL || seen.len() > CLASS_VALUES_MAX)
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
    let mut taints: Vec<_> =
        node.taints.iter().filter(|taint| policy.is_lasting(taint)).cloned().collect();
    let lost_taint = !node.taints.contains(pool_taint);
    if !taints.contains(pool_taint) {
        taints.push(pool_taint.clone());
    }
    taints.sort();
    taints.dedup();
    let shared = |(key, _): &&(Arc<str>, Arc<str>)| !individual.contains(key);
    (taints, lost_taint, node.labels.iter().filter(shared).cloned().collect())
}
