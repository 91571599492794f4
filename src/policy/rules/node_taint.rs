//! `node-taint`: a node of a pool carries the pool's taint.
//!
//! The mutating half adds the taint to a node that joins a declared pool, or is labelled into one,
//! without it, and at no other time. The validating half denies an UPDATE that removes the exact
//! taint (key, value, effect) from a member. Adding a `NoExecute` taint beside it warns: AutoMQ's
//! pods tolerate `NoSchedule` only, and would be evicted.

use json_patch::{AddOperation, PatchOperation};
use jsonptr::PointerBuf;
use serde_json::json;

use super::{Context, membership};
use crate::policy::{
    membership::Membership,
    mode::{Mode, RuleName},
    object::Node,
    request::Change,
    taint::{NO_EXECUTE, Taint},
    verdict::{Finding, Report},
};

const RULE: RuleName = RuleName::NodeTaint;

/// The mutating half.
pub(super) fn add(context: Context<'_>, change: &Change<Node<'_>>, report: &mut Report) {
    let policy = context.policy;
    let mode = policy.rules.node_taint;
    let (old, new) = match change {
        Change::Create { new } => (None, new),
        Change::Update { old, new } => (Some(old), new),
        Change::Delete { .. } => return,
    };
    let is_excused =
        || context.is_trusted() || policy.break_glass_group(&context.request.user).is_some();
    // A status update cannot change a taint.
    if mode == Mode::Off || !context.request.target.sub_resource.is_empty() || is_excused() {
        return;
    }
    let declared = |node: &Node<'_>| policy.declared_pool_of(&node.metadata.labels);
    let Some(index) = declared(new) else { return };
    let Some(pool) = policy.pools.get(index) else { return };
    if old.is_some_and(|old| declared(old) == Some(index)) || new.taints().contains(&pool.taint) {
        return;
    }
    let node = context.object_name("Node", &new.metadata);
    let finding = |message: String| {
        Finding::new(RULE, message).field("spec.taints").pool(&*pool.name).node(&*new.metadata.name)
    };
    if mode == Mode::Enforce {
        let message = format!("{node} joins pool {} and gets its taint {}", pool.name, pool.taint);
        report.patch(add_taint(new, &pool.taint), finding(message));
    } else {
        let message = format!(
            "{node} joins pool {} without its taint {}, and would get it if this rule enforced",
            pool.name, pool.taint
        );
        report.violation(mode, finding(message));
    }
}

fn add_taint(node: &Node<'_>, taint: &Taint<'_>) -> Vec<PatchOperation> {
    let add = |tokens: &[&str], value| {
        let path = PointerBuf::from_tokens(tokens.iter().copied());
        PatchOperation::Add(AddOperation { path, value })
    };
    vec![match &node.spec {
        None => add(&["spec"], json!({ "taints": [taint] })),
        Some(spec) if spec.taints.is_none() => add(&["spec", "taints"], json!([taint])),
        Some(_) => add(&["spec", "taints", "-"], json!(taint)),
    }]
}

/// The validating half.
pub(super) fn judge(context: Context<'_>, change: &Change<Node<'_>>, report: &mut Report) {
    let policy = context.policy;
    let mode = policy.rules.node_taint;
    let Change::Update { old, new } = change else { return };
    if mode == Mode::Off || context.is_trusted() {
        return;
    }
    let membership = membership(policy, old);
    let Some((pool, taint)) = policy.pool_of(&membership) else { return };
    let about = |message: String| {
        Finding::new(RULE, message)
            .field("spec.taints")
            .pool(pool.as_str())
            .node(new.metadata.name.to_string())
    };
    let node = context.object_name("Node", &new.metadata);
    if old.taints().contains(&taint) && !new.taints().contains(&taint) {
        let way_out = match membership {
            Membership::Declared(_) => {
                "To take the node out of the pool, drain and delete it, or have a trusted \
                 principal relabel it and remove the taint in one change"
            }
            Membership::Tainted { .. } | Membership::Elsewhere => {
                "To take the node out of the pool, drain and delete it, or ask a trusted principal \
                 to remove the taint"
            }
        };
        let message = format!(
            "{node} of pool {pool} would lose {taint}, and any pod could land on it. Keep the \
             taint in spec.taints. {way_out}"
        );
        let summary =
            || format!("{node} of pool {pool} would lose {taint}; keep it in spec.taints");
        report.violation(mode, about(message).summary(mode, summary));
    }
    for added in new.taints().iter().filter(|taint| !old.taints().contains(taint)) {
        if added.effect == NO_EXECUTE && !policy.is_transient(added) {
            let message = format!(
                "{added} on {node} of pool {pool} evicts AutoMQ's pods, which tolerate {taint} only"
            );
            report.violation(mode.min(Mode::Warn), about(message));
        }
    }
}
