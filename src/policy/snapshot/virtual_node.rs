//! Virtual nodes: what a declared pool will bring into a zone where it has no node yet.
//!
//! Without them a pool scaled to zero would be open to everyone until its first node is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::NodeRecord;
use crate::policy::{
    placement::{LabelFact, NameFact, NodeFacts},
    pool::{Pool, ZONE_LABEL},
    selector::Operator,
    taint::Taint,
};

/// Labels that say which node or which zone it is, so that those of live nodes tell nothing.
const PLACE_LABELS: [&str; 3] =
    ["kubernetes.io/hostname", ZONE_LABEL, "failure-domain.beta.kubernetes.io/zone"];

/// A node to come.
#[derive(Clone, Debug)]
pub struct VirtualNode {
    /// Index of the pool in the snapshot.
    pub pool: usize,
    /// The pool's taint.
    pub taint: Taint<'static>,
    /// The declared zone; `None` where the pool declares none.
    pub zone: Option<Arc<str>>,
    labels: BTreeMap<Arc<str>, VirtualLabel>,
}

#[derive(Clone, Debug)]
enum VirtualLabel {
    Is(Arc<str>),
    Among(Vec<String>),
    Present,
    Absent,
}

impl VirtualNode {
    /// The virtual nodes of a pool with these live nodes: one for every declared zone without a
    /// node, or one without a zone if the pool declares none and has no node at all.
    pub(super) fn of_pool(index: usize, pool: &Pool, live: &[&NodeRecord]) -> Vec<Self> {
        let labels = common_labels(pool, live);
        let in_zone = |zone: Option<&str>| {
            let mut labels = labels.clone();
            if let Some(zone) = zone {
                labels.insert(ZONE_LABEL.into(), VirtualLabel::Is(zone.into()));
            }
            Self { pool: index, taint: pool.taint.clone(), zone: zone.map(Into::into), labels }
        };
        if pool.zones.is_empty() {
            return if live.is_empty() { vec![in_zone(None)] } else { Vec::new() };
        }
        let populated: BTreeSet<&str> =
            live.iter().filter_map(|node| node.label(ZONE_LABEL)).map(AsRef::as_ref).collect();
        pool.zones
            .iter()
            .filter(|zone| !populated.contains(zone.as_str()))
            .map(|zone| in_zone(Some(zone)))
            .collect()
    }

    /// The facts of this node, given which names are taken.
    pub(crate) fn facts<F: Fn(&str) -> bool>(&self, is_taken: F) -> VirtualFacts<'_, F> {
        VirtualFacts { node: self, is_taken }
    }
}

/// What the pool's selector says, overlaid with the labels that all live nodes share.
fn common_labels(pool: &Pool, live: &[&NodeRecord]) -> BTreeMap<Arc<str>, VirtualLabel> {
    let mut labels = BTreeMap::new();
    for requirement in pool.nodes.requirements() {
        let label = match (requirement.operator, requirement.values.as_slice()) {
            (Operator::In, [value]) => VirtualLabel::Is(value.as_str().into()),
            (Operator::In, values) => VirtualLabel::Among(values.to_vec()),
            (Operator::Exists, _) => VirtualLabel::Present,
            (Operator::DoesNotExist, _) => VirtualLabel::Absent,
            (Operator::NotIn, _) => continue,
        };
        labels.insert(requirement.key.as_str().into(), label);
    }
    let Some((first, rest)) = live.split_first() else { return labels };
    for (key, value) in &first.labels {
        let names_a_place = PLACE_LABELS.contains(&key.as_ref())
            || pool.zones.iter().any(|zone| zone.as_str() == value.as_ref());
        if !names_a_place && rest.iter().all(|node| node.label(key) == Some(value)) {
            labels.insert(Arc::clone(key), VirtualLabel::Is(Arc::clone(value)));
        }
    }
    labels
}

/// A virtual node as facts.
pub(crate) struct VirtualFacts<'v, F> {
    node: &'v VirtualNode,
    is_taken: F,
}

impl<F: Fn(&str) -> bool> NodeFacts for VirtualFacts<'_, F> {
    fn label(&self, key: &str) -> LabelFact<'_> {
        match self.node.labels.get(key) {
            Some(VirtualLabel::Is(value)) => LabelFact::Is(value),
            Some(VirtualLabel::Among(values)) => LabelFact::Among(values),
            Some(VirtualLabel::Present) => LabelFact::Present,
            Some(VirtualLabel::Absent) => LabelFact::Absent,
            None => LabelFact::Unknown,
        }
    }

    fn name(&self) -> NameFact<'_> {
        NameFact::Unknown
    }

    fn may_be_named(&self, name: &str) -> bool {
        !(self.is_taken)(name)
    }
}
