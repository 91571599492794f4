//! The facts by which constraints are judged: the inventory under a policy, read once.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::is_marked;
use crate::{
    cluster::inventory::Inventory,
    json::{self, Cursor, JsonError, Read, text::Text},
    kubernetes::{
        object::Pod,
        resource::{PODS, Resource},
        taint::{Taint, tolerating},
    },
    policy::{
        Policy,
        mode::{JoinMode, Mode, RuleModes},
        pod_owner::{PodIdentity, PodOwner},
        pool::{MACHINE_TYPE_LABEL, Pool, ZONE_LABEL},
        snapshot::{Located, NodeRecord, PoolFacts, PoolOrigin, Snapshot},
    },
};

pub(super) struct CheckFacts<'a> {
    /// The policy of the config.
    pub(super) policy: &'a Policy,
    /// The policy with every rule enforced: a problem is a fact even if the config turned its rule off.
    pub(super) strict: Policy,
    /// The policy like [`Self::strict`], but for workloads: a finding does not say that PoolGuard denies their
    /// pods, because the cluster may not have PoolGuard yet.
    pub(super) strict_for_workloads: Policy,
    pub(super) inventory: &'a Inventory,
    pub(super) snapshot: &'a Snapshot,
    /// The pools, declared ones first, with their nodes.
    pub(super) pools: Vec<PoolNodes<'a>>,
    /// Nodes that are in no pool.
    pub(super) elsewhere: Vec<&'a NodeRecord>,
    /// Pods that run or will run.
    pub(super) pods: Vec<Resident<'a>>,
}

/// A pool with its nodes.
pub(super) struct PoolNodes<'a> {
    pub(super) facts: &'a PoolFacts,
    pub(super) declared: Option<&'a Pool>,
    pub(super) nodes: Vec<&'a NodeRecord>,
}

/// A pod with its owner.
pub(super) struct Resident<'a> {
    pub(super) pod: Pod<'a>,
    pub(super) claims: Vec<Text<'a>>,
    pub(super) owner: ResidentOwner,
    /// Index of the pool of its node.
    pub(super) pool: Option<usize>,
}

#[derive(Clone, Copy)]
pub(super) enum ResidentOwner {
    /// A pod of AutoMQ, with the index of its instance.
    AutoMq(Option<usize>),
    Exempt,
    Neither,
}

impl<'a> CheckFacts<'a> {
    pub(super) fn new(
        policy: &'a Policy,
        inventory: &'a Inventory,
        snapshot: &'a Snapshot,
    ) -> Self {
        let mut pools: Vec<PoolNodes<'a>> = snapshot
            .pools()
            .iter()
            .map(|facts| PoolNodes {
                facts,
                declared: match facts.origin {
                    PoolOrigin::Declared(index) => policy.pools.get(index),
                    PoolOrigin::Discovered | PoolOrigin::Stray => None,
                },
                nodes: Vec::new(),
            })
            .collect();
        let mut elsewhere = Vec::new();
        for node in inventory.index().nodes() {
            match pool_of(snapshot, &node.name).and_then(|index| pools.get_mut(index)) {
                Some(pool) => pool.nodes.push(node),
                None => elsewhere.push(node),
            }
        }
        let strict = Policy { rules: enforced(), ..policy.clone() };
        let audit = Mode::Audit;
        let rules = RuleModes { pod_intrusion: audit, daemon_set_intrusion: audit, ..enforced() };
        let strict_for_workloads = Policy { rules, ..policy.clone() };
        let pods = inventory.objects(&PODS.group_resource());
        let pods = pods.filter_map(|(_, text)| resident(policy, snapshot, text)).collect();
        Self { policy, strict, strict_for_workloads, inventory, snapshot, pools, elsewhere, pods }
    }

    /// Whether the pool has pods of instances, and all of them tolerate this taint.
    pub(super) fn brokers_tolerate(&self, pool: &PoolNodes<'_>, taint: &Taint<'_>) -> bool {
        let is_own = |it: &&Resident<'_>| {
            let ResidentOwner::AutoMq(Some(index)) = it.owner else { return false };
            let instance = self.policy.instances.get(index);
            let belongs = instance.and_then(|it| self.policy.pools.get(it.pool));
            belongs.is_some_and(|own| pool.declared.is_some_and(|it| it.name == own.name))
        };
        let comparison = self.policy.placement.comparison_operators;
        let mut own = self.pods.iter().filter(is_own).peekable();
        own.peek().is_some()
            && own.all(|it| tolerating(it.pod.spec.tolerations(), taint, comparison).is_some())
    }

    /// Whether the config declares pools, but not this one.
    pub(super) fn is_undeclared(&self, pool: &PoolNodes<'_>) -> bool {
        pool.declared.is_none() && !self.policy.pools.is_empty()
    }

    /// Whether there is an undeclared pool, which has the taint of a pool, and perhaps nodes of a declared one.
    pub(super) fn has_undeclared_nodes(&self) -> bool {
        self.pools.iter().any(|pool| self.is_undeclared(pool))
    }

    /// Whether the taint of these nodes may be a mistake: the config declares pools, but none that selects them, and
    /// no pod there is an AutoMQ pod or has AutoMQ's labels.
    pub(super) fn may_be_a_mistake(&self, pool: &PoolNodes<'_>) -> bool {
        let is_here = |it: &&Resident<'_>| {
            pool.nodes.iter().any(|node| *node.name == *it.pod.spec.node_name.as_str())
        };
        let is_automq = |it: &Resident<'_>| {
            matches!(it.owner, ResidentOwner::AutoMq(_)) || is_marked(&it.pod.metadata.labels)
        };
        self.is_undeclared(pool) && !self.pods.iter().filter(is_here).any(is_automq)
    }

    /// Whether the input holds this kind.
    pub(super) fn knows(&self, kind: Resource) -> bool {
        self.inventory.knows(&kind.group_resource())
    }
}

impl PoolNodes<'_> {
    /// Whether the config declares this taint beside the pool's own.
    pub(super) fn declares(&self, taint: &Taint<'_>) -> bool {
        self.declared.is_some_and(|pool| pool.additional_taints.iter().any(|it| it == taint))
    }

    pub(super) fn name(&self) -> &str {
        &self.facts.name
    }

    /// The zones that nodes are in, each with them.
    pub(super) fn by_zone(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut zones: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for node in &self.nodes {
            if let Some(zone) = node.label(ZONE_LABEL) {
                zones.entry(zone).or_default().push(&node.name);
            }
        }
        zones
    }

    /// The declared zones, as nodes spell them.
    pub(super) fn declared_zones(&self) -> Vec<&str> {
        self.facts.declared_zones.names.iter().map(AsRef::as_ref).collect()
    }

    /// The zones that pods of the pool can be in: those declared, else those with nodes.
    pub(super) fn zones(&self) -> BTreeSet<&str> {
        let declared = self.declared_zones();
        if declared.is_empty() {
            self.by_zone().into_keys().collect()
        } else {
            declared.into_iter().collect()
        }
    }

    /// Names of the nodes for which something holds.
    pub(super) fn names(&self, holds: impl Fn(&NodeRecord) -> bool) -> Vec<&str> {
        self.nodes.iter().filter(|node| holds(node)).map(|node| &*node.name).collect()
    }
}

/// The machine type of a node.
pub(super) fn machine_type(node: &NodeRecord) -> Option<&str> {
    node.label(MACHINE_TYPE_LABEL).map(AsRef::as_ref)
}

/// The index of a node's pool in the snapshot.
pub(super) fn pool_of(snapshot: &Snapshot, node: &str) -> Option<usize> {
    match snapshot.locate(node) {
        Located::Dedicated { class, node: _ } => Some(class.pool),
        Located::Elsewhere | Located::Unknown => None,
    }
}

/// A pod as far as a check reads it; `None` if it has ended, is on its way out, or cannot be read.
fn resident<'a>(policy: &Policy, snapshot: &Snapshot, text: &'a str) -> Option<Resident<'a>> {
    let pod: Pod<'a> = json::from_str(text).ok()?;
    let More { phase, claims } = json::from_str(text).ok()?;
    let has_ended = matches!(phase.as_str(), "Succeeded" | "Failed");
    if has_ended || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let pool = pool_of(snapshot, &pod.spec.node_name);
    let owner = owner(policy, &pod);
    Some(Resident { pod, claims, owner, pool })
}

fn owner(policy: &Policy, pod: &Pod<'_>) -> ResidentOwner {
    match policy.pod_owner(&PodIdentity::stored(pod)) {
        PodOwner::AutoMq => {
            ResidentOwner::AutoMq(policy.instance_of(&pod.metadata.namespace, &pod.metadata.labels))
        }
        PodOwner::Exempt(_) => ResidentOwner::Exempt,
        PodOwner::Neither => ResidentOwner::Neither,
    }
}

/// The fields of a pod that a check reads and the rules do not.
#[derive(Default)]
struct More<'a> {
    phase: Text<'a>,
    claims: Vec<Text<'a>>,
}

impl<'a> Read<'a> for More<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        cursor.object(|key, cursor| match key.as_str() {
            "status" => cursor.object(|key, cursor| match key.as_str() {
                "phase" => cursor.fill(&mut self.phase),
                _ => cursor.skip(),
            }),
            "spec" => cursor.object(|key, cursor| match key.as_str() {
                "volumes" => cursor.array(|cursor| claim(cursor, &mut self.claims)),
                _ => cursor.skip(),
            }),
            _ => cursor.skip(),
        })
    }
}

fn claim<'a>(cursor: &mut Cursor<'a>, claims: &mut Vec<Text<'a>>) -> Result<(), JsonError> {
    cursor.object(|key, cursor| match key.as_str() {
        "persistentVolumeClaim" => cursor.object(|key, cursor| match key.as_str() {
            "claimName" => {
                claims.push(cursor.value()?);
                Ok::<_, JsonError>(())
            }
            _ => cursor.skip(),
        }),
        _ => cursor.skip(),
    })
}

/// Returns the modes with every rule enforced.
fn enforced() -> RuleModes {
    let enforce = Mode::Enforce;
    let on_change = JoinMode { mode: enforce, deny_join: false };
    RuleModes {
        pod_intrusion: enforce,
        daemon_set_intrusion: enforce,
        workload_intrusion: enforce,
        pod_placement: enforce,
        cluster_exclusive: enforce,
        node_taint: enforce,
        node_identity: enforce,
        node_machine_type: on_change,
        node_zone: on_change,
        node_pool: enforce,
        role_binding: enforce,
    }
}
