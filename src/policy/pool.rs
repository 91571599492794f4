//! Pools, and the instances that are bound to them.

use std::sync::Arc;

use super::{
    name::Glob,
    selector::LabelSelector,
    taint::{ComparisonOperators, Taint},
};

/// The label that names a node's zone.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";
/// The label that names a node's machine type.
pub const MACHINE_TYPE_LABEL: &str = "node.kubernetes.io/instance-type";

/// A pool that the config declares.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Unique among the pools.
    pub name: Arc<str>,
    /// Selects the nodes of the pool; never everything.
    pub nodes: LabelSelector,
    /// One or three; empty: zones are not judged.
    pub zones: Vec<String>,
    /// `None`: the provider's catalog.
    pub machine_types: Option<Vec<String>>,
    /// The pool's cloud identity.
    pub role: Option<String>,
    /// The taint that its nodes carry.
    pub taint: Taint<'static>,
}

/// An AutoMQ cluster: pods of one namespace that belong to one pool.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Unique among the instances.
    pub name: String,
    /// The namespace of its pods, one of AutoMQ's.
    pub namespace: String,
    /// Which pods of the namespace; everything if the config says nothing.
    pub pods: LabelSelector,
    /// Index of its pool in [`super::Policy::pools`].
    pub pool: usize,
    /// Whether and how its pods are spread over zones.
    pub zone_spread: Option<ZoneSpread>,
}

/// `whenUnsatisfiable` of the spread over zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneSpread {
    /// A pod that cannot be spread waits.
    DoNotSchedule,
    /// A pod that cannot be spread is scheduled all the same.
    ScheduleAnyway,
}

impl ZoneSpread {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DoNotSchedule => "DoNotSchedule",
            Self::ScheduleAnyway => "ScheduleAnyway",
        }
    }
}

/// What placement needs to know beside pods and nodes.
#[derive(Clone, Debug)]
pub struct PlacementSettings {
    /// Whether tolerations with `Lt` and `Gt` compare.
    pub comparison_operators: ComparisonOperators,
    /// Keys of taints that come and go, so that they keep no pod out for good.
    pub transient_taints: Vec<Glob>,
}

/// Taints that Kubernetes, clouds and autoscalers put on a node for a while.
pub const TRANSIENT_TAINTS: [&str; 8] = [
    "node.kubernetes.io/*",
    "node.cloudprovider.kubernetes.io/*",
    "ToBeDeletedByClusterAutoscaler",
    "karpenter.sh/*",
    "*/agent-not-ready",
    "startup-taint.cluster-autoscaler.kubernetes.io/*",
    "status-taint.cluster-autoscaler.kubernetes.io/*",
    "ignore-taint.cluster-autoscaler.kubernetes.io/*",
];
