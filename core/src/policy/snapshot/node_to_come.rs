//! Nodes to come: the nodes that a pool may bring next.
//!
//! A pod that waits for such a node makes the autoscaler create it. A pod that can run on a node to come can therefore
//! run on the pool. Every declared pool always has a node to come in each of its zones, and a
//! discovered pool one in each zone that it has nodes in, whether or not nodes are there already.
//!
//! What is known of its labels, the first of these that says something:
//!
//! 1. the pool's selector, the declared zone, and the pool's list of machine types;
//! 2. nothing of *individual* labels, which differ from node to node or from one generation of nodes to
//!    the next: those that the presets list, those of which the selector lists several values, and those
//!    that differ among the live nodes;
//! 3. what all live nodes share, those of its zone where that has any;
//! 4. a label that no live node has is absent; without live nodes, and where a provisioner sets the
//!    labels that a waiting pod asks for, nothing is known of it.
//!
//! It has the pool's taint, those that the config declares beside it, and those that all live nodes
//! carry for good.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{NodeRecord, TaintId, class::key_order};
use crate::{
    kubernetes::{
        name::any_matches,
        selector::{Operator, Requirement},
    },
    policy::{
        placement::LabelKnowledge,
        pool::{
            BETA_MACHINE_TYPE_LABEL, BETA_ZONE_LABEL, HOST_NAME_LABEL, MACHINE_TYPE_LABEL,
            PlacementSettings, Provisioner, ZONE_LABEL,
        },
        zone::PoolZones,
    },
};

/// A node to come.
#[derive(Clone, Debug)]
pub struct NodeToCome {
    /// Index of the pool in the snapshot.
    pub pool: usize,
    /// Taints that keep pods out for good.
    pub taints: Arc<[TaintId]>,
    /// The zone, where the pool declares it or a discovered pool has nodes in it.
    pub zone: Option<Arc<str>>,
    /// The labels of which something of their own is known, in [`key_order`].
    labels: Box<[Label]>,
    /// The knowledge about every other label.
    pub others: OtherLabels,
}

/// A label key, and the knowledge about its value.
type Label = (Arc<str>, LabelKnowledge<Arc<str>>);

/// The knowledge about the labels that [`NodeToCome::labels`] does not list.
#[derive(Clone, Debug)]
pub enum OtherLabels {
    /// The labels are absent.
    Absent,
    /// The labels are unknown.
    Unknown,
    /// A provisioner sets the labels that a waiting pod asks for, except for keys of these domains.
    OnDemand(Arc<[String]>),
}

static UNKNOWN: LabelKnowledge<Arc<str>> = LabelKnowledge::UNKNOWN;

impl NodeToCome {
    /// The labels of which something of their own is known.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &LabelKnowledge<Arc<str>>)> {
        self.labels.iter().map(|(key, expected)| (&**key, expected))
    }

    /// Returns the knowledge about a label.
    pub(in crate::policy) fn expected(&self, key: &str) -> &LabelKnowledge<Arc<str>> {
        if let Ok(index) = self.labels.binary_search_by(|(name, _)| key_order(name, key)) {
            return self.labels.get(index).map_or(&UNKNOWN, |(_, expected)| expected);
        }
        match &self.others {
            OtherLabels::Unknown => &UNKNOWN,
            OtherLabels::OnDemand(reserved) if !is_reserved(key, reserved) => &UNKNOWN,
            OtherLabels::Absent | OtherLabels::OnDemand(_) => &LabelKnowledge::Absent,
        }
    }
}

/// Whether a key is of one of these domains, or is one of these keys.
fn is_reserved(key: &str, reserved: &[String]) -> bool {
    let prefix = key.split_once('/').map_or("", |(prefix, _)| prefix);
    reserved.iter().any(|reserved| {
        let before = prefix.strip_suffix(reserved.as_str());
        reserved == key || before.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// The properties that a pool fixes for the nodes that it brings.
pub(super) struct NodeTemplate<'b> {
    pub(super) settings: &'b PlacementSettings,
    /// Labels of node pools, which no provisioner sets on demand.
    pub(super) node_pool_labels: &'b [String],
    /// The requirements of the selector, or of the label of a discovered pool.
    pub(super) demands: &'b [Requirement],
    /// The machine types; `None` for any machine type.
    pub(super) machine_types: Option<&'b [String]>,
    /// The zones, one for each node to come; `None` for any zone.
    pub(super) zones: Vec<Option<Arc<str>>>,
    pub(super) taints: Arc<[TaintId]>,
}

/// The zones that a declared pool brings nodes in; any zone where it is not known how nodes spell them.
pub(super) fn zones_to_come(declared: &PoolZones) -> Vec<Option<Arc<str>>> {
    if !declared.are_clear() {
        return vec![None];
    }
    declared.names.iter().cloned().map(Some).collect()
}

impl NodeTemplate<'_> {
    /// The nodes to come of a pool with these live nodes.
    pub(super) fn nodes_to_come(self, pool: usize, live: &[&NodeRecord]) -> Vec<NodeToCome> {
        let all = Shared::of(live.iter().copied());
        let provisioner = self.provisioner(&all);
        let is_individual = |key: &&&Arc<str>| {
            any_matches(&self.settings.individual_labels, key)
                || provisioner.is_some_and(|it| any_matches(&it.individual_labels, key))
                || self.leaves_a_choice(key)
        };
        let individual: Vec<&Arc<str>> = all.labels.keys().filter(is_individual).copied().collect();
        let others = match provisioner {
            _ if live.is_empty() => OtherLabels::Unknown,
            Some(Provisioner { reserved_domains, .. }) => {
                let reserved = reserved_domains.iter().chain(self.node_pool_labels);
                OtherLabels::OnDemand(reserved.cloned().collect())
            }
            None => OtherLabels::Absent,
        };
        let in_zone = |zone: &Option<Arc<str>>| {
            let is_there =
                |node: &&&NodeRecord| zone.is_some() && node.label(ZONE_LABEL) == zone.as_ref();
            let own = Shared::of(live.iter().filter(is_there).copied());
            let labels = self.labels(zone.as_ref(), &all, &own, &individual);
            let mut labels: Box<[_]> = labels.into_iter().collect();
            labels.sort_unstable_by(|(one, _), (other, _)| key_order(one, other));
            let (taints, others) = (Arc::clone(&self.taints), others.clone());
            NodeToCome { pool, taints, zone: zone.clone(), labels, others }
        };
        self.zones.iter().map(in_zone).collect()
    }

    /// Whether the selector lists several values: the next node may have another one than all live nodes have.
    fn leaves_a_choice(&self, key: &str) -> bool {
        let mut demands = self.demands.iter().filter(|demand| demand.key == key);
        demands.any(|demand| demand.operator == Operator::In && demand.values.len() > 1)
    }

    /// The provisioner that brings the pool's nodes, where it gives them what a waiting pod asks for.
    fn provisioner(&self, all: &Shared<'_>) -> Option<&Provisioner> {
        let demands = |label: &str| {
            let mut demands = self.demands.iter().filter(|demand| demand.key == label);
            demands.any(|demand| !demand.allows(None))
        };
        let is_of = |label: &str| demands(label) || all.labels.keys().any(|key| ***key == *label);
        self.settings.provisioners.iter().find(|it| is_of(&it.label))
    }

    fn labels(
        &self,
        zone: Option<&Arc<str>>,
        all: &Shared<'_>,
        own: &Shared<'_>,
        individual: &[&Arc<str>],
    ) -> BTreeMap<Arc<str>, LabelKnowledge<Arc<str>>> {
        let live = if own.nodes > 0 { own } else { all };
        let label_of = |key: &Arc<str>| {
            // What names the zone is as fixed as the zone.
            let is_of_zone = || own.nodes > 0 && any_matches(&self.settings.zone_labels, key);
            let is_individual = individual.contains(&key) && !is_of_zone();
            let expected = match live.value(key) {
                Some(value) if !is_individual => LabelKnowledge::Is(Arc::clone(value)),
                Some(_) | None => LabelKnowledge::UNKNOWN,
            };
            (Arc::clone(key), expected)
        };
        let mut labels: BTreeMap<_, _> = all.labels.keys().map(|key| label_of(key)).collect();
        let mut fixed = |key: &str, expected| labels.insert(key.into(), expected);
        fixed(HOST_NAME_LABEL, LabelKnowledge::UNKNOWN);
        let among = |values: &[Arc<str>], or_absent| LabelKnowledge::Among {
            values: values.to_vec(),
            or_absent,
        };
        if let Some(types) = self.machine_types {
            let types: Vec<Arc<str>> = types.iter().map(|it| it.as_str().into()).collect();
            fixed(MACHINE_TYPE_LABEL, among(&types, false));
            fixed(BETA_MACHINE_TYPE_LABEL, among(&types, true));
        } else {
            fixed(MACHINE_TYPE_LABEL, LabelKnowledge::UNKNOWN);
            fixed(BETA_MACHINE_TYPE_LABEL, LabelKnowledge::UNKNOWN);
        }
        if let Some(zone) = zone {
            fixed(ZONE_LABEL, LabelKnowledge::Is(Arc::clone(zone)));
            fixed(BETA_ZONE_LABEL, among(&[Arc::clone(zone)], true));
        } else {
            fixed(ZONE_LABEL, LabelKnowledge::UNKNOWN);
            fixed(BETA_ZONE_LABEL, LabelKnowledge::UNKNOWN);
        }
        for demand in self.demands {
            let known = labels.remove(demand.key.as_str()).unwrap_or(LabelKnowledge::UNKNOWN);
            labels.insert(demand.key.as_str().into(), narrowed(known, demand));
        }
        labels
    }
}

/// Returns the knowledge about a label that meets a demand as well. The demand counts where the two contradict.
fn narrowed(known: LabelKnowledge<Arc<str>>, demand: &Requirement) -> LabelKnowledge<Arc<str>> {
    let met = |values: Vec<Arc<str>>| -> Vec<Arc<str>> {
        values.into_iter().filter(|value| demand.allows(Some(value))).collect()
    };
    let demanded = || demand.values.iter().map(|value| value.as_str().into());
    match (known, demand.operator) {
        (LabelKnowledge::Is(value), _) if demand.allows(Some(&value)) => LabelKnowledge::Is(value),
        (LabelKnowledge::Absent, _) if demand.allows(None) => LabelKnowledge::Absent,
        (_, Operator::DoesNotExist) => LabelKnowledge::Absent,
        (LabelKnowledge::Among { values, or_absent }, _) => LabelKnowledge::Among {
            values: met(values),
            or_absent: or_absent && demand.allows(None),
        },
        (LabelKnowledge::NoneOf { values, .. }, Operator::In) => {
            let is_possible = |value: &Arc<str>| !values.contains(value);
            LabelKnowledge::Among {
                values: demanded().filter(is_possible).collect(),
                or_absent: false,
            }
        }
        (LabelKnowledge::NoneOf { mut values, or_absent }, Operator::NotIn | Operator::Exists) => {
            values.extend(demanded());
            LabelKnowledge::NoneOf { values, or_absent: or_absent && demand.allows(None) }
        }
        (LabelKnowledge::Is(_) | LabelKnowledge::Absent, Operator::In) => {
            LabelKnowledge::Among { values: demanded().collect(), or_absent: false }
        }
        (LabelKnowledge::Is(_) | LabelKnowledge::Absent, Operator::NotIn | Operator::Exists) => {
            LabelKnowledge::NoneOf { values: demanded().collect(), or_absent: demand.allows(None) }
        }
    }
}

/// The labels that nodes share.
struct Shared<'n> {
    nodes: usize,
    /// A value of each label, and how many nodes have just that one.
    labels: HashMap<&'n Arc<str>, (&'n Arc<str>, usize)>,
}

impl<'n> Shared<'n> {
    fn of(nodes: impl Iterator<Item = &'n NodeRecord>) -> Self {
        let mut shared = Self { nodes: 0, labels: HashMap::new() };
        for node in nodes {
            shared.nodes += 1;
            for (key, value) in &node.labels {
                let (first, count) = shared.labels.entry(key).or_insert((value, 0));
                *count += usize::from(*first == value);
            }
        }
        shared
    }

    /// The value of a label that all of the nodes have.
    fn value(&self, key: &Arc<str>) -> Option<&'n Arc<str>> {
        let (value, count) = self.labels.get(key)?;
        (*count == self.nodes).then_some(value)
    }
}
