//! `node-taint`: a node of a pool carries the pool's taint.
//!
//! The mutating webhook adds the taint to a node that joins a declared pool without it, or that gets the labels of a
//! declared pool, and at no other time. The validating webhook denies an UPDATE that removes the exact taint (key,
//! value, effect) from a member. It warns if an UPDATE adds another `NoExecute` taint: AutoMQ's pods tolerate only
//! `NoSchedule`, so they would be evicted.

use std::{collections::HashSet, fmt::Display};

use json_patch::{AddOperation, PatchOperation};
use jsonptr::PointerBuf;
use serde_json::json;

use super::{Context, membership};
use crate::{
    kubernetes::{
        object::Node,
        taint::{NO_EXECUTE, Taint},
    },
    policy::{
        membership::Membership,
        mode::{Mode, RuleName},
        request::Change,
        verdict::{Finding, FindingCollector},
    },
};

const RULE: RuleName = RuleName::NodeTaint;

/// Judges, in the mutating webhook, a node that joins a declared pool without its taint. Adds the taint in mode
/// `enforce`.
pub(super) fn add(context: Context<'_>, change: &Change<Node<'_>>, report: &mut FindingCollector) {
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
    let node = context.object_name("Node");
    let about = |fact: String| {
        let finding = Finding::new(RULE, fact).field("spec.taints").pool(&*pool.name);
        finding.node(new.metadata.name.to_string())
    };
    let joins = format!("{node} joins pool {}", pool.name);
    // Taints are unique by key and effect: beside such a one, the node could not be stored.
    let in_the_way = new
        .taints()
        .iter()
        .find(|taint| taint.key == pool.taint.key && taint.effect == pool.taint.effect);
    if let Some(other) = in_the_way {
        let fact = format!(
            "{joins} with the taint {other} instead of the pool's taint {}. A node cannot have both, so PoolGuard does not \
             add the pool's taint",
            pool.taint
        );
        let advice = format!(
            "Configure the node pool to start its nodes with the taint {}, and change the taint of this node",
            pool.taint
        );
        report.violation(mode.min(Mode::Warn), about(fact).advice(advice));
    } else if mode == Mode::Enforce {
        let fact = format!("{joins}, and PoolGuard adds the pool's taint {}", pool.taint);
        report.patch(add_taint(new, &pool.taint), about(fact));
    } else {
        let fact = format!("{joins} without the pool's taint {}", pool.taint);
        let advice = format!(
            "Configure the node pool to start its nodes with this taint. Or set rules.{RULE}.mode: enforce in \
             PoolGuard's config: PoolGuard then adds the taint"
        );
        report.violation(mode, about(fact).advice(advice));
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

/// Keys of taints that the API server lets every pod tolerate for five minutes.
const TOLERATED_BY_ALL: [&str; 2] =
    ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

fn is_tolerated_by_all(taint: &Taint<'_>) -> bool {
    TOLERATED_BY_ALL.contains(&taint.key.as_str())
}

/// Judges, in the validating webhook, an update of a node.
pub(super) fn judge(
    context: Context<'_>,
    change: &Change<Node<'_>>,
    report: &mut FindingCollector,
) {
    let policy = context.policy;
    let mode = policy.rules.node_taint;
    let Change::Update { old, new } = change else { return };
    if mode == Mode::Off || context.is_trusted() {
        return;
    }
    let membership = membership(policy, old);
    let Some((pool, taint)) = policy.pool_of(&membership) else { return };
    let about = |fact: String| {
        let finding = Finding::new(RULE, fact).field("spec.taints").pool(pool.as_str());
        finding.node(new.metadata.name.to_string())
    };
    let node = context.object_name("Node");
    if old.taints().contains(&taint) && !new.taints().contains(&taint) {
        let (fact, advice) = loss(&node, &pool, &taint, new, &membership);
        report.violation(mode, about(fact).advice(advice));
    }
    let before: HashSet<&Taint<'_>> = old.taints().iter().collect();
    let declared = match membership {
        Membership::Declared(index) => policy.pools.get(index),
        Membership::Tainted { .. } | Membership::Elsewhere => None,
    };
    let is_declared = |taint: &Taint<'_>| {
        declared.is_some_and(|pool| pool.additional_taints.iter().any(|own| own == taint))
    };
    let evicts = |taint: &&Taint<'_>| {
        taint.effect == NO_EXECUTE
            && !before.contains(taint)
            && !is_tolerated_by_all(taint)
            && !is_declared(taint)
    };
    let mut added = new.taints().iter().filter(evicts);
    let warn = |what: &str| {
        let fact = format!(
            "With {what}, Kubernetes evicts AutoMQ's pods from {node} of pool {pool}, because these pods tolerate \
             only {taint}"
        );
        about(fact).advice(EVICTION_ADVICE)
    };
    for added in added.by_ref().take(WARNINGS_MAX) {
        report.violation(mode.min(Mode::Warn), warn(&format!("the taint {added}")));
    }
    let further = added.count();
    if further > 0 {
        let what = format!("{further} more taints with effect NoExecute");
        report.violation(mode.min(Mode::Warn), warn(&what));
    }
}

/// The fact about a node that loses its pool's taint, and the advice.
fn loss(
    node: &impl Display,
    pool: &str,
    taint: &Taint<'_>,
    new: &Node<'_>,
    membership: &Membership<'_>,
) -> (String, String) {
    let principal = match membership {
        Membership::Declared(_) => "change the pool label of the node and then to remove the taint",
        Membership::Tainted { .. } | Membership::Elsewhere => "remove the taint",
    };
    let (fact, keep) = match other_effect(new, taint) {
        Some(effect) => (
            format!(
                "The update would change the effect of the taint {taint} on {node} of pool {pool} to {effect}"
            ),
            &*taint.effect,
        ),
        None => (
            format!(
                "{node} of pool {pool} would lose the taint {taint} in spec.taints. Any pod could then run on it"
            ),
            "the taint",
        ),
    };
    let advice = format!(
        "Keep {keep}. To take the node out of the pool, drain the node and delete its machine in the cloud. Or ask a user \
         from principals.trusted in PoolGuard's config to {principal}"
    );
    (fact, advice)
}

/// The effect with which the node has the taint instead, if this effect keeps pods out too.
fn other_effect<'n>(node: &'n Node<'_>, taint: &Taint<'_>) -> Option<&'n str> {
    let is_same =
        |it: &&Taint<'_>| it.key == taint.key && it.value == taint.value && it.keeps_pods_out();
    node.taints().iter().find(is_same).map(|it| &*it.effect)
}

/// The advice for a `NoExecute` taint. Termination handlers set such taints on machines that the cloud takes away. The
/// API server may have denied the request for another reason, so the node need not have the taint.
const EVICTION_ADVICE: &str = "If the machine is down, or the cloud takes it away, the eviction is intended. \
     Otherwise do not set the NoExecute taint before AutoMQ's pods tolerate it, and remove it at once if the node has it";

/// The largest number of taints that warnings name; one more warning counts the others.
const WARNINGS_MAX: usize = 4;
