//! Which pools a pod can reach, and a node of each that shows it.

use std::sync::Arc;

use super::affinity::{Answer, node_affinity};
use crate::policy::{
    object::PodSpec,
    pool::PlacementSettings,
    snapshot::{Class, Located, Snapshot, VirtualNode},
    taint::{Taint, tolerates_all},
    text::Text,
};

/// Where a pod can land, as far as it concerns dedicated nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach<'s> {
    /// One landing for every pool that the pod can reach.
    pub landings: Vec<Landing<'s>>,
    /// The pod names a node that the snapshot does not know.
    pub names_unknown_node: bool,
    /// The pod is bound to a node that it can only land on because the node lost its pool's taint.
    pub lost_taint: Option<Landing<'s>>,
}

/// A pool that a pod can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landing<'s> {
    /// Index of the pool in the snapshot.
    pub pool: usize,
    /// A node that the pod can land on.
    pub witness: Witness<'s>,
}

/// A node that shows that a pod can land.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness<'s> {
    /// A node that is there.
    Node(&'s Arc<str>),
    /// A node to come, in this zone if the pool declares any.
    Virtual {
        /// The declared zone.
        zone: Option<&'s str>,
    },
}

impl Reach<'_> {
    /// Whether the pod can reach this pool.
    pub fn includes(&self, pool: usize) -> bool {
        self.landings.iter().any(|landing| landing.pool == pool)
    }
}

/// Where a pod that is bound to this node lands.
pub fn reach_of_node<'s>(snapshot: &'s Snapshot, node: &str) -> Reach<'s> {
    match snapshot.locate(node) {
        Located::Unknown => Reach { names_unknown_node: true, ..Reach::default() },
        Located::Elsewhere => Reach::default(),
        Located::Dedicated { class, node } => {
            let witness = Witness::Node(&node.name);
            Reach { landings: vec![Landing { pool: class.pool, witness }], ..Reach::default() }
        }
    }
}

/// The pools that a pod can reach.
pub fn reach<'s>(
    snapshot: &'s Snapshot,
    settings: &PlacementSettings,
    spec: &PodSpec<'_>,
) -> Reach<'s> {
    if !spec.node_name.is_empty() {
        return reach_of_node(snapshot, &spec.node_name);
    }
    let mut reach = Reach::default();
    if let Some(names) = pinned_names(spec) {
        for name in names {
            reach.add_named(snapshot, settings, spec, name);
        }
    } else {
        for class in snapshot.classes() {
            if !reach.includes(class.pool) && tolerates(settings, spec, &class.taints) {
                reach.landings.extend(landing_in(class, spec));
            }
        }
    }
    for node in snapshot.virtual_nodes() {
        if !reach.includes(node.pool)
            && tolerates(settings, spec, std::slice::from_ref(&node.taint))
            && may_match(snapshot, node, spec)
        {
            reach.landings.push(Landing { pool: node.pool, witness: node.into() });
        }
    }
    reach
}

impl<'s> Reach<'s> {
    fn add_named(
        &mut self,
        snapshot: &'s Snapshot,
        settings: &PlacementSettings,
        spec: &PodSpec<'_>,
        name: &str,
    ) {
        let (class, node) = match snapshot.locate(name) {
            Located::Unknown => {
                self.names_unknown_node = true;
                return;
            }
            Located::Elsewhere => return,
            Located::Dedicated { class, node } => (class, node),
        };
        if node_affinity(spec, &class.member(node)) != Answer::Yes {
            return;
        }
        let landing = Landing { pool: class.pool, witness: Witness::Node(&node.name) };
        if tolerates(settings, spec, &class.taints) {
            if !self.includes(class.pool) {
                self.landings.push(landing);
            }
        } else if class.lost_taint {
            let pool_taint = snapshot.pool(class.pool).map(|pool| &pool.taint);
            let others = class.taints.iter().filter(|taint| Some(*taint) != pool_taint);
            if tolerates_all(spec.tolerations(), others, settings.comparison_operators) {
                self.lost_taint = Some(landing);
            }
        }
    }
}

fn tolerates(settings: &PlacementSettings, spec: &PodSpec<'_>, taints: &[Taint<'static>]) -> bool {
    tolerates_all(spec.tolerations(), taints.iter(), settings.comparison_operators)
}

/// The first node of the class that the pod's affinity matches. Only where an individual label
/// decides are the nodes looked at one by one.
fn landing_in<'s>(class: &'s Class, spec: &PodSpec<'_>) -> Option<Landing<'s>> {
    let node = match node_affinity(spec, class) {
        Answer::No => None,
        Answer::Yes => class.nodes.first(),
        Answer::Maybe => {
            class.nodes.iter().find(|node| node_affinity(spec, &class.member(node)) == Answer::Yes)
        }
    }?;
    Some(Landing { pool: class.pool, witness: Witness::Node(&node.name) })
}

fn may_match(snapshot: &Snapshot, node: &VirtualNode, spec: &PodSpec<'_>) -> bool {
    let is_taken = |name: &str| !matches!(snapshot.locate(name), Located::Unknown);
    node_affinity(spec, &node.facts(is_taken)) != Answer::No
}

impl<'s> From<&'s VirtualNode> for Witness<'s> {
    fn from(node: &'s VirtualNode) -> Self {
        Self::Virtual { zone: node.zone.as_deref() }
    }
}

/// The names that every readable term demands, if all of them demand one, as those of a DaemonSet's
/// pods do. Then no other node need be looked at.
fn pinned_names<'p>(spec: &'p PodSpec<'_>) -> Option<Vec<&'p str>> {
    let terms = &spec.required_node_affinity()?.node_selector_terms;
    terms
        .iter()
        .filter(|term| !term.is_empty())
        .map(|term| {
            let mut fields = term.fields().iter();
            let name =
                fields.find(|field| field.key == "metadata.name" && field.operator == "In")?;
            name.values.first().map(Text::as_str)
        })
        .collect()
}
