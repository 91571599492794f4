//! `node-identity`: a node keeps the labels that make it a pool's member, and its zone and machine
//! type once they are set.
//!
//! The rule judges updates of nodes and of their status. It records a kubelet's update of its own Node and never
//! denies it: the kubelet owns some of these labels, and a kubelet that cannot update its Node becomes `NotReady`.

use super::{Context, membership};
use crate::{
    kubernetes::{object::Node, selector::LabelSet},
    policy::{
        Policy,
        membership::Membership,
        mode::{Mode, RuleName},
        pool::{MACHINE_TYPE_LABEL, ZONE_LABEL},
        request::Change,
        verdict::{Decision, Finding, FindingCollector},
    },
};

const RULE: RuleName = RuleName::NodeIdentity;

pub(super) fn judge(
    context: Context<'_>,
    change: &Change<Node<'_>>,
    report: &mut FindingCollector,
) {
    let policy = context.policy;
    let mode = policy.rules.node_identity;
    let Change::Update { old, new } = change else { return };
    if mode == Mode::Off || context.is_trusted() {
        return;
    }
    let membership = membership(policy, old);
    let Some((pool, _)) = policy.pool_of(&membership) else { return };
    let mut changed: Vec<(&str, String)> = Vec::new();
    if let Membership::Declared(index) = membership
        && let now = policy.declared_pool_of(&new.metadata.labels)
        && now != Some(index)
    {
        changed.push(membership_change(policy, index, now, new));
    }
    for (key, what) in
        [(ZONE_LABEL, "is the node's zone"), (MACHINE_TYPE_LABEL, "is the node's machine type")]
    {
        let before = old.metadata.labels.value(key);
        if before.is_some() && before != new.metadata.labels.value(key) {
            changed.push((key, what.to_owned()));
        }
    }
    for (key, what) in changed {
        let finding = finding(context, old, new, &pool, key, &what);
        if context.is_own_kubelet() {
            report.note(Decision::Audit, finding);
        } else {
            report.violation(mode, finding);
        }
    }
}

/// The label whose change takes the node out of its pool, and the end of the sentence `This label …`.
fn membership_change<'p>(
    policy: &'p Policy,
    index: usize,
    now: Option<usize>,
    node: &Node<'_>,
) -> (&'p str, String) {
    let requirements = |index: usize| {
        policy.pools.get(index).map(|pool| pool.nodes.requirements()).unwrap_or_default()
    };
    let broken = requirements(index).iter().find(|wanted| !wanted.matches(&node.metadata.labels));
    if let Some(broken) = broken {
        return (&broken.key, "makes the node a member of the pool".to_owned());
    }
    // An earlier pool of the config takes the node over.
    let other = now.and_then(|other| policy.pools.get(other));
    let key = now.and_then(|other| requirements(other).first()).map_or("", |wanted| &wanted.key);
    let name = other.map_or("", |pool| &*pool.name);
    (
        key,
        format!(
            "makes the node a member of pool {name}, which comes earlier in PoolGuard's config"
        ),
    )
}

fn finding(
    context: Context<'_>,
    old: &Node<'_>,
    new: &Node<'_>,
    pool: &str,
    key: &str,
    what: &str,
) -> Finding {
    let node = context.object_name("Node");
    let before = old.metadata.labels.value(key).unwrap_or_default();
    let field = format!("metadata.labels[{key}]");
    let fact = match new.metadata.labels.value(key) {
        Some(after) => format!(
            "{node} of pool {pool}: {field} would change from {before:?} to {after:?}. This label {what}"
        ),
        None => format!(
            "{node} of pool {pool}: {field} ({before:?}) would be removed. This label {what}"
        ),
    };
    let advice = if context.is_own_kubelet() {
        "The kubelet of this node sends the change, so PoolGuard allows it. Compare the node's labels with the \
         settings of its node pool in the cloud"
    } else {
        "Keep the label. To take the node out of the pool, drain the node and delete its machine in the cloud. The \
         cloud's node pool then starts a new machine"
    };
    Finding::new(RULE, fact)
        .advice(advice)
        .field(field)
        .pool(pool)
        .node(new.metadata.name.to_string())
}
