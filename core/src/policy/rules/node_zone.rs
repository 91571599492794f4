//! `node-zone`: a node of a declared pool is in one of the pool's zones; a pool that was found by
//! its taint spans one zone or three, never two.
//!
//! The rule ignores nodes that have no zone label yet, and declared pools without `zones`. It denies a node that
//! joins only with `denyJoin: true`. An autoscaler then starts one machine after the other. A pool of three zones that
//! PoolGuard found by its taint could then not grow node by node, because its second node makes two zones.

use std::collections::BTreeSet;

use super::{Context, membership};
use crate::{
    kubernetes::{object::Node, selector::LabelSet},
    policy::{
        Policy,
        membership::Membership,
        mode::{Mode, RuleName},
        placement::Ternary,
        pool::ZONE_LABEL,
        request::Change,
        snapshot::PoolOrigin,
        verdict::{Finding, FindingCollector},
    },
};

/// The advice for a node of a declared pool.
const OTHER_ZONES: &str = "Limit the cloud's node group to the pool's zones, and use a separate pool for other zones. If brokers already run \
     in other zones, move them first, one node at a time";
/// The advice for a node of a pool that was found by its taint.
const ONE_OR_THREE: &str = "Give the cloud's node pool nodes in three zones. Or move the brokers into one zone, one node at a time, and then \
     limit the node pool to this zone";

pub(super) fn judge(
    context: Context<'_>,
    change: &Change<Node<'_>>,
    report: &mut FindingCollector,
) {
    let policy = context.policy;
    let rule = policy.rules.node_zone;
    let (old, new) = match change {
        Change::Create { new } => (None, new),
        Change::Update { old, new } => (Some(old), new),
        Change::Delete { .. } => return,
    };
    if rule.mode == Mode::Off {
        return;
    }
    let Some(zone) = new.metadata.labels.value(ZONE_LABEL) else { return };
    let now = membership(policy, new);
    let is_unchanged = old.is_some_and(|old| {
        old.metadata.labels.value(ZONE_LABEL) == Some(zone) && membership(policy, old) == now
    });
    if is_unchanged {
        return;
    }
    let node = context.object_name("Node");
    let (fact, pool, joins, advice) = match now {
        Membership::Elsewhere => return,
        Membership::Declared(index) => {
            let Some(pool) = policy.pools.get(index) else { return };
            let declared = pool.zones.iter().map(String::as_str);
            if pool.zones.is_empty() || context.snapshot.zones().find(zone, declared) != Ternary::No
            {
                return;
            }
            let zones = pool.zones.join(", ");
            let joins = joins(policy, ZONE_LABEL, index, old);
            let is = if joins { "is" } else { "would be" };
            let fact = format!(
                "{node} of pool {} {is} in zone {zone}, but the pool's zones are {zones}",
                pool.name
            );
            (fact, pool.name.to_string(), joins, OTHER_ZONES)
        }
        Membership::Tainted { group, .. } => {
            let known = known_zones(context, &group);
            // Another node in a zone that the pool spans already changes nothing.
            let is_new = !known.contains(zone);
            let zones: BTreeSet<&str> = known.into_iter().chain([zone]).collect();
            if matches!(zones.len(), 1 | 3) || !is_new {
                return;
            }
            let fact = format!(
                "With {node} in zone {zone}, pool {group} has {} zones ({}). AutoMQ supports one zone or three",
                zones.len(),
                zones.into_iter().collect::<Vec<_>>().join(", ")
            );
            (fact, group, true, ONE_OR_THREE)
        }
    };
    let is_capped = if joins { !rule.deny_join } else { context.is_own_kubelet() };
    let mode = if is_capped { rule.mode.min(Mode::Warn) } else { rule.mode };
    let finding = Finding::new(RuleName::NodeZone, fact)
        .advice(advice)
        .field(format!("metadata.labels[{ZONE_LABEL}]"))
        .pool(pool)
        .node(new.metadata.name.to_string());
    report.violation(mode, finding);
}

/// Whether the change brings a node into the pool: it is new, was elsewhere, or had no such label,
/// which clouds set late.
pub(super) fn joins(policy: &Policy, label: &str, index: usize, old: Option<&Node<'_>>) -> bool {
    old.is_none_or(|old| {
        policy.declared_pool_of(&old.metadata.labels) != Some(index)
            || old.metadata.labels.value(label).is_none()
    })
}

/// The zones of a pool that was found by its taint.
fn known_zones<'s>(context: Context<'s>, group: &str) -> BTreeSet<&'s str> {
    let mut pools =
        context.snapshot.pools().iter().filter(|pool| pool.origin == PoolOrigin::Discovered);
    let pool = pools.find(|pool| pool.name.as_ref() == group);
    let zones = pool.map(|pool| &*pool.zones).unwrap_or_default();
    zones.iter().map(AsRef::as_ref).collect()
}
