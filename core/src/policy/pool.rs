//! Pools, and the instances that are bound to them.

use std::sync::Arc;

pub use crate::kubernetes::labels::{
    BETA_MACHINE_TYPE_LABEL, BETA_ZONE_LABEL, HOST_NAME_LABEL, MACHINE_TYPE_LABEL, ZONE_LABEL,
};

use super::zone::ZoneSpelling;
use crate::kubernetes::{
    name::Glob,
    selector::LabelSelector,
    taint::{ComparisonOperators, Taint},
};

/// A pool that the config declares.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The name, unique among the pools.
    pub name: Arc<str>,
    /// The selector of the pool's nodes; never everything.
    pub nodes: LabelSelector,
    /// The zones, one or three, as the config spells them. If there are none, zones are not judged.
    /// [`super::zone`] compares them.
    pub zones: Vec<String>,
    /// The machine types of the pool; `None` for the provider's catalog.
    pub machine_types: Option<Vec<String>>,
    /// The pool's cloud identity.
    pub role: Option<String>,
    /// The taint that its nodes carry.
    pub taint: Taint<'static>,
    /// Taints that its nodes carry beside it for good, and on purpose.
    pub additional_taints: Vec<Taint<'static>>,
}

impl Pool {
    /// The taints that its nodes carry for good: its own, and those beside it.
    pub fn all_taints(&self) -> impl Iterator<Item = &Taint<'static>> {
        std::iter::once(&self.taint).chain(&self.additional_taints)
    }
}

/// An AutoMQ cluster: pods of one namespace that belong to one pool.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The name, unique among the instances.
    pub name: String,
    /// The namespace of its pods, which is one of the AutoMQ namespaces.
    pub namespace: String,
    /// The selector of the pods in the namespace; everything if the config says nothing.
    pub pods: LabelSelector,
    /// Index of its pool in [`super::Policy::pools`].
    pub pool: usize,
    /// The spread of its pods over zones, if the config sets one.
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
    /// The value as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DoNotSchedule => "DoNotSchedule",
            Self::ScheduleAnyway => "ScheduleAnyway",
        }
    }
}

/// The settings that placement reads beside pods and nodes.
#[derive(Clone, Debug)]
pub struct PlacementSettings {
    /// Whether tolerations with `Lt` and `Gt` compare.
    pub comparison_operators: ComparisonOperators,
    /// Keys of taints that come and go, so that they keep no pod out for good.
    pub transient_taints: Vec<Glob>,
    /// Keys of labels that differ from node to node, or from one generation of nodes to the next.
    pub individual_labels: Vec<Glob>,
    /// Keys of labels that name the zone of a node, in any spelling.
    pub zone_labels: Vec<Glob>,
    /// Keys of taints of nodes that pods of the system run on all the same.
    pub system_taints: Vec<Glob>,
    /// Namespaces in which pods of the system run.
    pub system_namespaces: Vec<Glob>,
    /// The provider's spelling of its zones.
    pub zone_spelling: ZoneSpelling,
    /// Provisioners that give a new node the labels which a waiting pod asks for.
    pub provisioners: Vec<Provisioner>,
}

/// A provisioner that gives a new node the labels which a waiting pod asks for.
#[derive(Clone, Debug)]
pub struct Provisioner {
    /// The label of its node pools.
    pub label: String,
    /// Domains whose labels it sets itself, and on no demand.
    pub reserved_domains: Vec<String>,
    /// Labels of these domains whose values it chooses, so that live nodes say nothing of the next.
    pub individual_labels: Vec<Glob>,
}
