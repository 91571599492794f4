//! The picture of a pool: its zones, its nodes, and the pods on them.

use std::collections::BTreeMap;

use super::facts::{CheckFacts, Resident, ResidentOwner, machine_type};
use crate::{
    kubernetes::object::Pod,
    policy::{
        mode::RuleName,
        pool::ZONE_LABEL,
        snapshot::{NodeRecord, PoolOrigin},
    },
};

/// A pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolPicture {
    /// The name of the pool.
    pub name: String,
    /// Whether the config declares the pool.
    pub is_declared: bool,
    /// The taint of the pool, as `key=value:effect`.
    pub taint: String,
    /// Instances that belong to the pool.
    pub instances: Vec<String>,
    /// Declared zones and those with nodes, by name.
    pub zones: Vec<ZonePicture>,
}

/// A zone of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZonePicture {
    /// The name of the zone; empty for nodes that do not show their zone.
    pub name: String,
    /// Whether the pool is for this zone.
    pub is_meant: bool,
    /// Nodes, by name.
    pub nodes: Vec<NodePicture>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePicture {
    /// The name of the node.
    pub name: String,
    /// The machine type; empty if the node does not show it.
    pub machine_type: String,
    /// Whether the condition `Ready` of the node is true.
    pub ready: bool,
    /// Whether the node is closed for new pods.
    pub cordoned: bool,
    /// Whether the node carries the taint of its pool.
    pub tainted: bool,
    /// Pods on the node; `None` if the input holds no pods.
    pub residents: Option<Vec<ResidentPicture>>,
}

/// A pod on a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResidentPicture {
    /// The kind of the pod, by its owner; intruders come first.
    pub kind: ResidentKind,
    /// The name of the pod, as `namespace/name`.
    pub name: String,
}

/// The kind of a pod, by its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResidentKind {
    /// A pod that is neither AutoMQ's nor exempt.
    Intruder,
    /// An AutoMQ pod of an instance that belongs elsewhere.
    Misplaced,
    /// An AutoMQ pod that is not misplaced: it belongs here, or to no instance.
    AutoMq,
    /// An exempt pod.
    Exempt,
}

pub(super) fn draw(facts: &CheckFacts<'_>) -> Vec<PoolPicture> {
    let mut by_node: BTreeMap<&str, Vec<&Resident<'_>>> = BTreeMap::new();
    for resident in facts.pods.iter().filter(|it| it.pool.is_some()) {
        by_node.entry(&resident.pod.spec.node_name).or_default().push(resident);
    }
    let on = |node: &NodeRecord| by_node.get(&*node.name).map_or(&[][..], Vec::as_slice);
    let pools = facts.pools.iter().enumerate();
    pools
        .map(|(index, pool)| {
            let declared = &pool.facts.declared_zones;
            let with_nodes = pool.nodes.iter().map(|node| zone(node).to_owned());
            let of_config = declared.names.iter().map(ToString::to_string);
            let mut names: Vec<String> = of_config.chain(with_nodes).collect();
            names.sort();
            names.dedup();
            let zones = names.into_iter().map(|name| ZonePicture {
                is_meant: declared.may_have(&name),
                nodes: pool
                    .nodes
                    .iter()
                    .filter(|node| zone(node) == name)
                    .map(|node| {
                        let tainted = node.taints.contains(&pool.facts.taint);
                        picture(facts, node, tainted, on(node))
                    })
                    .collect(),
                name,
            });
            let is_declared = matches!(pool.facts.origin, PoolOrigin::Declared(_));
            let instances = facts.policy.instances.iter();
            let instances = instances.filter(|it| is_declared && it.pool == index);
            PoolPicture {
                name: pool.name().to_owned(),
                is_declared,
                taint: pool.facts.taint.to_string(),
                instances: instances.map(|it| it.name.clone()).collect(),
                zones: zones.collect(),
            }
        })
        .collect()
}

fn zone(node: &NodeRecord) -> &str {
    node.label(ZONE_LABEL).map_or("", AsRef::as_ref)
}

/// Whether a pod of an instance is on a node where its pool's pods do not belong.
pub(super) fn is_misplaced(facts: &CheckFacts<'_>, pod: &Pod<'_>) -> bool {
    let found = facts.strict.inspect_pod(facts.snapshot, pod);
    found.iter().any(|it| it.rule == RuleName::PodPlacement)
}

fn picture(
    facts: &CheckFacts<'_>,
    node: &NodeRecord,
    tainted: bool,
    residents: &[&Resident<'_>],
) -> NodePicture {
    let mut residents: Vec<ResidentPicture> = residents
        .iter()
        .map(|it| ResidentPicture {
            kind: match it.owner {
                ResidentOwner::AutoMq(_) if is_misplaced(facts, &it.pod) => ResidentKind::Misplaced,
                ResidentOwner::AutoMq(_) => ResidentKind::AutoMq,
                ResidentOwner::Exempt => ResidentKind::Exempt,
                ResidentOwner::Neither => ResidentKind::Intruder,
            },
            name: format!("{}/{}", it.pod.metadata.namespace, it.pod.metadata.name),
        })
        .collect();
    residents.sort();
    NodePicture {
        name: node.name.to_string(),
        machine_type: machine_type(node).unwrap_or_default().to_owned(),
        ready: node.ready,
        cordoned: node.cordoned,
        tainted,
        residents: facts.knows(crate::kubernetes::resource::PODS).then_some(residents),
    }
}
