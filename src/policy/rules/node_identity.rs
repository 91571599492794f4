//! `node-identity`: a node keeps the labels that make it a pool's member, and its zone and machine
//! type once they are set.
//!
//! Judged are updates of nodes and of their status. A kubelet's update of its own Node is recorded,
//! never denied: the kubelet owns some of these labels, and a Node that it cannot update is lost.

use super::{Context, membership};
use crate::policy::{
    membership::Membership,
    mode::{Mode, RuleName},
    object::Node,
    pool::{MACHINE_TYPE_LABEL, ZONE_LABEL},
    request::Change,
    selector::LabelSet,
    verdict::{Decision, Finding, Report},
};

const RULE: RuleName = RuleName::NodeIdentity;

pub(super) fn judge(context: Context<'_>, change: &Change<Node<'_>>, report: &mut Report) {
    let policy = context.policy;
    let mode = policy.rules.node_identity;
    let Change::Update { old, new } = change else { return };
    if mode == Mode::Off || context.is_trusted() {
        return;
    }
    let membership = membership(policy, old);
    let Some((pool, _)) = policy.pool_of(&membership) else { return };
    let mut changed: Vec<(&str, &'static str)> = Vec::new();
    if let Membership::Declared(index) = membership
        && policy.declared_pool_of(&new.metadata.labels) != Some(index)
    {
        let requirements =
            policy.pools.get(index).map(|pool| pool.nodes.requirements()).unwrap_or_default();
        let broken = requirements.iter().find(|wanted| !wanted.matches(&new.metadata.labels));
        // None is broken when an earlier pool of the config takes the node over.
        let key = broken.or_else(|| requirements.first()).map_or("", |wanted| wanted.key.as_str());
        changed.push((key, "makes the node a member of the pool"));
    }
    for (key, what) in [(ZONE_LABEL, "is its zone"), (MACHINE_TYPE_LABEL, "is its machine type")] {
        let before = old.metadata.labels.value(key);
        if before.is_some() && before != new.metadata.labels.value(key) {
            changed.push((key, what));
        }
    }
    let is_own_kubelet = context.request.user.kubelet_of() == Some(&context.request.target.name);
    for (key, what) in changed {
        let finding = finding(context, old, new, &pool, key, what);
        if is_own_kubelet {
            report.note(Decision::Audit, finding);
        } else {
            report.violation(mode, finding);
        }
    }
}

fn finding(
    context: Context<'_>,
    old: &Node<'_>,
    new: &Node<'_>,
    pool: &str,
    key: &str,
    what: &str,
) -> Finding {
    let node = context.object_name("Node", &new.metadata);
    let before = old.metadata.labels.value(key).unwrap_or_default();
    let after = match new.metadata.labels.value(key) {
        Some(after) => format!("become {after:?}"),
        None => "be removed".to_owned(),
    };
    let field = format!("metadata.labels[{key}]");
    let message = format!(
        "{field} {before:?} of {node} would {after}, and {what}: pool {pool} would not be what \
         AutoMQ checked. Leave the label; to move the node, delete it and let the cloud bring a \
         new one"
    );
    let summary =
        || format!("{field} {before:?} of {node} would {after}; pool {pool} relies on it");
    Finding::new(RULE, message)
        .summary(context.policy.rules.node_identity, summary)
        .field(field)
        .pool(pool)
        .node(new.metadata.name.to_string())
}
