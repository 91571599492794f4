//! `pod-intrusion`: a pod that is neither AutoMQ's nor exempt must not be able to land on a
//! dedicated node.
//!
//! Judged are pods as they are created or updated, and bindings, by which a scheduler puts a pod on
//! a node. What the pod's labels, annotations or owners say of it counts for nothing.
//!
//! - A *node to come* is the node that a pool would bring next ([`crate::policy::snapshot::NodeToCome`]).
//!   A pod that waits for it makes the autoscaler bring it, so that aiming at it is as good as landing.
//! - An UPDATE is denied when the set of pools that the pod can reach gains a member, or when the
//!   pod loses the labels or the owner that made it AutoMQ's or exempt. What Kubernetes' own controllers
//!   change in owners, finalizers and labels passes.
//! - A binding shows only names. It is judged by its node, and passes, recorded, where any pod of
//!   its namespace could be AutoMQ's or exempt. `system:kube-scheduler` is trusted.
//! - A mirror pod is the shadow of a static pod that the kubelet runs already: it is allowed, and
//!   recorded. The annotation from anyone but the node's kubelet buys nothing.
//! - Pods that the DaemonSet controller creates have a mode of their own: denying one stops the DaemonSet's
//!   rollout. A node that one of them names and that is not known is left to the scan.

use std::{fmt::Write, sync::Arc};

use super::{Context, UNKNOWN_NODE, sentence, witness_name, witness_parts, witness_text};
use crate::policy::pod_owner::{PodOwner, daemon_set};
use crate::{
    json::text::write_parts,
    kubernetes::object::{Binding, Pod},
    policy::{
        advice::{pools_of, write_keep_off},
        mode::{Mode, RuleName},
        placement::{Landing, Reach, UnknownNames, reach, reach_of_node},
        pod_owner::Exemption,
        snapshot::PoolFacts,
        verdict::{Decision, Finding, FindingCollector},
    },
};

const RULE: RuleName = RuleName::PodIntrusion;

pub(super) fn judge_create(context: Context<'_>, pod: &Pod<'_>, report: &mut FindingCollector) {
    let daemon_set = context.creating_daemon_set(&pod.metadata);
    let mode = mode(context, daemon_set.is_some());
    if mode == Mode::Off {
        return;
    }
    let names = if daemon_set.is_some() { UnknownNames::AreThere } else { UnknownNames::MayCome };
    let reach = reach(context.snapshot, &context.policy.placement, &pod.spec, names);
    let owner = context.pod_owner(&pod.metadata, &pod.spec, daemon_set);
    if let (Some(landing), PodOwner::Neither) = (&reach.lost_taint, owner) {
        report.note(Decision::Audit, lost_taint(context, landing));
    }
    let Some(landing) = reach.landings.first() else {
        if reach.names_unknown_node && matches!(owner, PodOwner::Neither) {
            report.note(Decision::Unknown, unknown_node(context, pod));
        }
        return;
    };
    match owner {
        PodOwner::AutoMq => {}
        PodOwner::Exempt(exemption) => {
            report.exempt(&exemption.reason, intrusion(context, pod, daemon_set, &reach, landing));
        }
        PodOwner::Neither if context.is_mirror_pod(pod) => {
            let fact = format!(
                "{} mirrors a static pod, which the kubelet of {} runs whatever is answered",
                context.object_name("Pod"),
                pod.spec.node_name,
            );
            let finding = Finding::new(RULE, fact)
                .advice("Remove its manifest from the node")
                .field("spec.nodeName");
            report.note(Decision::Audit, located(context, finding, landing));
        }
        PodOwner::Neither => {
            report.violation(mode, intrusion(context, pod, daemon_set, &reach, landing));
        }
    }
}

pub(super) fn judge_update(
    context: Context<'_>,
    old: &Pod<'_>,
    new: &Pod<'_>,
    report: &mut FindingCollector,
) {
    // The owner that is stored counts while it stays, and none that the update brings.
    let owner = daemon_set(&old.metadata);
    let kept_owner = daemon_set(&new.metadata).filter(|name| owner == Some(*name));
    let mode = mode(context, owner.is_some());
    if mode == Mode::Off || new.metadata.deletion_timestamp.is_some() {
        return;
    }
    if !matches!(context.pod_owner(&new.metadata, &new.spec, kept_owner), PodOwner::Neither) {
        return;
    }
    let stays = new.spec.is_placed_like(&old.spec);
    // Adoption, release, orphaning and relabelling by Kubernetes itself move no pod.
    if stays && context.request.user.is_pod_controller() {
        return;
    }
    let before = context.pod_owner(&old.metadata, &old.spec, owner);
    let had_owner = !matches!(before, PodOwner::Neither);
    if stays && !had_owner {
        return;
    }
    let settings = &context.policy.placement;
    let mut gained = reach(context.snapshot, settings, &new.spec, UnknownNames::MayCome);
    if !had_owner {
        let before = reach(context.snapshot, settings, &old.spec, UnknownNames::MayCome);
        gained.landings.retain(|landing| !before.includes(landing.pool));
    }
    let Some(landing) = gained.landings.first() else { return };
    let finding = if had_owner && stays {
        lost_exemption(context, before, owner.filter(|_| kept_owner.is_none()), new, landing)
    } else {
        intrusion(context, new, kept_owner, &gained, landing)
    };
    report.violation(mode, finding);
}

pub(super) fn judge_binding(
    context: Context<'_>,
    binding: &Binding<'_>,
    report: &mut FindingCollector,
) {
    let Context { policy, snapshot, request } = context;
    let mode = policy.rules.pod_intrusion;
    if mode == Mode::Off {
        return;
    }
    let reach = reach_of_node(snapshot, &binding.target.name);
    let pod = context.object_name("Pod");
    let node = &binding.target.name;
    if reach.names_unknown_node {
        let fact = format!("{pod} is bound to node {node}, which PoolGuard does not know");
        report.note(Decision::Unknown, unknown(fact).field("target.name"));
        return;
    }
    let Some(landing) = reach.landings.first() else { return };
    let namespace = &request.target.namespace;
    let Some(pool) = snapshot.pool(landing.pool) else { return };
    let fact = format!("{pod} is bound to node {node} of pool {}", pool.name);
    let finding =
        |fact: String| located(context, Finding::new(RULE, fact).field("target.name"), landing);
    let may_be_free = policy.automq.owns_namespace(namespace)
        || policy.exempt.iter().any(|exemption| exemption.namespace.matches(namespace));
    if may_be_free {
        let fact = format!(
            "{fact}; a binding shows no labels, and pods of namespace {namespace} may run there"
        );
        report.note(Decision::Audit, finding(fact));
    } else if request.user.is_kube_scheduler() {
        report.note(Decision::Audit, finding(format!("{fact} by kube-scheduler")));
    } else {
        let fact = format!(
            "{fact}, which is reserved for AutoMQ: target.name puts it there past the taint {}",
            pool.taint
        );
        let advice = format!(
            "Let the scheduler place the pod, or ask for an exempt entry for namespace {namespace}"
        );
        report.violation(mode, finding(fact).advice(advice));
    }
}

fn mode(context: Context<'_>, is_daemon: bool) -> Mode {
    let rules = &context.policy.rules;
    if is_daemon { rules.daemon_set_intrusion } else { rules.pod_intrusion }
}

fn located(context: Context<'_>, finding: Finding, landing: &Landing<'_>) -> Finding {
    let finding = match context.snapshot.pool(landing.pool) {
        Some(pool) => finding.pool(Arc::clone(&pool.name)),
        None => finding,
    };
    match witness_name(&landing.witness) {
        Some(node) => finding.node(node),
        None => finding,
    }
}

fn intrusion(
    context: Context<'_>,
    pod: &Pod<'_>,
    daemon_set: Option<&str>,
    reach: &Reach<'_>,
    landing: &Landing<'_>,
) -> Finding {
    let cause = context.cause(&pod.spec, "spec", landing);
    let pools = pools_of(context.snapshot, &reach.landings);
    let fact = sentence(|out| {
        write_parts(out, context.object_name_parts("Pod"))?;
        out.write_str(" can land on ")?;
        write_parts(out, witness_parts(&landing.witness))?;
        out.write_str(" of pool ")?;
        for (index, pool) in pools.iter().enumerate() {
            let before = match index {
                0 => "",
                1 => " (and of ",
                _ => ", ",
            };
            write_parts(out, [before, &pool.name])?;
        }
        let end = if pools.len() > 1 { ")" } else { "" };
        write_parts(out, [end, ", which is reserved for AutoMQ: "])?;
        cause.write(out)
    });
    let advice = advice(context, pod, daemon_set, &pools);
    located(context, Finding::new(RULE, fact).advice(advice).field(cause.field), landing)
}

fn advice(
    context: Context<'_>,
    pod: &Pod<'_>,
    daemon_set: Option<&str>,
    pools: &[&PoolFacts],
) -> String {
    let namespace = &context.request.target.namespace;
    match daemon_set {
        Some(name) => format!(
            "Denying it holds up the rollout of DaemonSet {namespace}/{name}, whose controller \
             counts this node. In its spec.template, {}; or ask for the exempt entry \
             {{namespace: {namespace}, daemonSets: [{name}], reason: …}}",
            context.policy.keep_off(pools, &pod.spec),
        ),
        None if !pod.spec.node_name.is_empty() => format!(
            "Remove spec.nodeName: the scheduler sets it; or ask for an exempt entry for namespace \
             {namespace}"
        ),
        None => sentence(|out| {
            out.write_str("To keep the pod off, ")?;
            write_keep_off(out, context.policy, pools, &pod.spec)?;
            let rest = "; if it belongs there, ask for an exempt entry for namespace ";
            write_parts(out, [rest, namespace])
        }),
    }
}

/// A pod that stays where it is, and loses what let it be there: its owner, or else a label.
fn lost_exemption(
    context: Context<'_>,
    before: PodOwner<'_>,
    lost_owner: Option<&str>,
    pod: &Pod<'_>,
    landing: &Landing<'_>,
) -> Finding {
    let who = context.object_name("Pod");
    let (field, what, keep) = match (before, lost_owner) {
        (PodOwner::Exempt(Exemption { namespace, reason, .. }), Some(owner)) => (
            "metadata.ownerReferences",
            format!(
                "its owner, DaemonSet {owner}, by which the exempt entry of namespace {namespace} ({reason}) covers it"
            ),
            "Keep the owner",
        ),
        (PodOwner::Exempt(Exemption { namespace, pods, reason, .. }), None) => (
            "metadata.labels",
            format!(
                "the labels ({pods}) by which the exempt entry of namespace {namespace} ({reason}) covers it"
            ),
            "Keep the labels",
        ),
        (PodOwner::AutoMq | PodOwner::Neither, _) => (
            "metadata.labels",
            format!(
                "the labels ({}) that make it one of the AutoMQ pods",
                context.policy.automq.pods
            ),
            "Keep the labels",
        ),
    };
    let pool = context.snapshot.pool(landing.pool).map_or("", |pool| &*pool.name);
    let is_bound = !pod.spec.node_name.is_empty();
    let verb = if is_bound { "runs" } else { "can land" };
    let off = if is_bound { "take it off the node" } else { "keep it off the pool" };
    let fact = format!(
        "{who} would lose {what}, and it {verb} on {} of pool {pool}, which is reserved for AutoMQ",
        witness_text(&landing.witness),
    );
    let advice = format!("{keep}. To {off}, delete the pod");
    located(context, Finding::new(RULE, fact).advice(advice).field(field), landing)
}

fn lost_taint(context: Context<'_>, landing: &Landing<'_>) -> Finding {
    let who = context.object_name("Pod");
    let taint =
        context.snapshot.pool(landing.pool).map_or_else(String::new, |p| p.taint.to_string());
    let witness = witness_text(&landing.witness);
    let fact = format!("{who} lands on {witness} because that node lost its taint {taint}");
    located(context, Finding::new(RULE, fact).advice("Put the taint back"), landing)
}

fn unknown_node(context: Context<'_>, pod: &Pod<'_>) -> Finding {
    let who = context.object_name("Pod");
    let node = pod.spec.node_name.as_str();
    if node.is_empty() {
        let fact = format!("{who} demands by node affinity a node that PoolGuard does not know");
        unknown(fact).field("spec.affinity.nodeAffinity")
    } else {
        let fact = format!("{who} is bound to node {node}, which PoolGuard does not know");
        unknown(fact).field("spec.nodeName")
    }
}

fn unknown(fact: String) -> Finding {
    Finding::new(RULE, fact).node(UNKNOWN_NODE)
}
