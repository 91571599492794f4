//! `pod-intrusion`: a pod that is neither AutoMQ's nor exempt must not be able to land on a
//! dedicated node.
//!
//! Judged are pods as they are created or updated, and bindings, by which a scheduler puts a pod on
//! a node. What the pod's labels or annotations say of it counts for nothing.
//!
//! - An UPDATE is denied when the set of pools that the pod can reach gains a member, or when the
//!   pod loses what made it AutoMQ's or exempt.
//! - A binding shows only names. It is judged by its node, and passes, recorded, where any pod of
//!   its namespace could be AutoMQ's or exempt. `system:kube-scheduler` is trusted.
//! - A mirror pod is the shadow of a static pod that the kubelet runs already: it is allowed, and
//!   recorded. The annotation from anyone but the node's kubelet buys nothing.
//! - Pods of DaemonSets have a mode of their own: denying one stops the DaemonSet's rollout.

use super::{Context, Freedom, daemon_set, witness_name, witness_text};
use crate::policy::{
    advice::{keep_off, pools_of, requirements_yaml},
    mode::{Mode, RuleName},
    object::{Binding, Pod},
    placement::{Landing, Reach, reach, reach_of_node},
    verdict::{Decision, Finding, Report},
};

const RULE: RuleName = RuleName::PodIntrusion;

pub(super) fn judge_create(context: Context<'_>, pod: &Pod<'_>, report: &mut Report) {
    let mode = mode(context, pod);
    if mode == Mode::Off {
        return;
    }
    let reach = reach(context.snapshot, &context.policy.placement, &pod.spec);
    let free = freedom(context, pod);
    if let (Some(landing), Freedom::None) = (&reach.lost_taint, free) {
        report.note(Decision::Audit, lost_taint(context, pod, landing));
    }
    let Some(landing) = reach.landings.first() else {
        if reach.names_unknown_node && matches!(free, Freedom::None) {
            report.note(Decision::Unknown, unknown_node(context, pod));
        }
        return;
    };
    match free {
        Freedom::AutoMq => {}
        Freedom::Exempt(exemption) => {
            report.exempt(&exemption.reason, intrusion(context, pod, &reach, landing));
        }
        Freedom::None if is_mirror(context, pod) => {
            let message = format!(
                "{} mirrors a static pod, which the kubelet of {} runs whatever is answered; \
                 remove its manifest from the node",
                context.object_name("Pod", &pod.metadata),
                pod.spec.node_name,
            );
            let finding = Finding::new(RULE, message).field("spec.nodeName");
            report.note(Decision::Audit, located(context, finding, landing));
        }
        Freedom::None => report.violation(mode, intrusion(context, pod, &reach, landing)),
    }
}

pub(super) fn judge_update(
    context: Context<'_>,
    old: &Pod<'_>,
    new: &Pod<'_>,
    report: &mut Report,
) {
    let mode = mode(context, new);
    if mode == Mode::Off || new.metadata.deletion_timestamp.is_some() {
        return;
    }
    if !matches!(freedom(context, new), Freedom::None) {
        return;
    }
    let settings = &context.policy.placement;
    let mut gained = reach(context.snapshot, settings, &new.spec);
    if matches!(freedom(context, old), Freedom::None) {
        let before = reach(context.snapshot, settings, &old.spec);
        gained.landings.retain(|landing| !before.includes(landing.pool));
    }
    if let Some(landing) = gained.landings.first() {
        report.violation(mode, intrusion(context, new, &gained, landing));
    }
}

pub(super) fn judge_binding(context: Context<'_>, binding: &Binding<'_>, report: &mut Report) {
    let Context { policy, snapshot, request } = context;
    let mode = policy.rules.pod_intrusion;
    if mode == Mode::Off {
        return;
    }
    let reach = reach_of_node(snapshot, &binding.target.name);
    let pod = context.object_name("Pod", &binding.metadata);
    let node = &binding.target.name;
    if reach.names_unknown_node {
        let message = format!("{pod} is bound to node {node}, which is not known here");
        let finding = Finding::new(RULE, message).field("target.name").node(node.to_string());
        report.note(Decision::Unknown, finding);
        return;
    }
    let Some(landing) = reach.landings.first() else { return };
    let namespace = &request.target.namespace;
    let pool = snapshot.pool(landing.pool).map_or("", |pool| pool.name.as_ref());
    let finding = |message: String| {
        located(context, Finding::new(RULE, message).field("target.name"), landing)
    };
    let may_be_free = policy.automq.owns_namespace(namespace)
        || policy.exempt.iter().any(|exemption| exemption.namespace.matches(namespace));
    if may_be_free {
        let message = format!(
            "{pod} is bound to node {node} of pool {pool}; a binding shows no labels, and pods of \
             namespace {namespace} may run there"
        );
        report.note(Decision::Audit, finding(message));
    } else if request.user.is_kube_scheduler() {
        let message = format!("{pod} is bound to node {node} of pool {pool} by kube-scheduler");
        report.note(Decision::Audit, finding(message));
    } else {
        let message = format!(
            "{pod} is bound to node {node} of pool {pool}, which is reserved for AutoMQ: \
             target.name puts it there past the taint {taint}. Let the scheduler place the pod, \
             or ask for an exempt entry for namespace {namespace}",
            taint = snapshot.pool(landing.pool).map_or_else(String::new, |p| p.taint.to_string()),
        );
        report.violation(mode, finding(message));
    }
}

fn mode(context: Context<'_>, pod: &Pod<'_>) -> Mode {
    let rules = &context.policy.rules;
    match daemon_set(&pod.metadata) {
        Some(_) => rules.daemon_set_intrusion,
        None => rules.pod_intrusion,
    }
}

fn freedom<'c>(context: Context<'c>, pod: &Pod<'_>) -> Freedom<'c> {
    context.freedom(&pod.metadata, &pod.spec, daemon_set(&pod.metadata))
}

/// A mirror pod as only the node's own kubelet can write one.
fn is_mirror(context: Context<'_>, pod: &Pod<'_>) -> bool {
    pod.metadata.mirror.0
        && !pod.spec.node_name.is_empty()
        && context.request.user.kubelet_of() == Some(&pod.spec.node_name)
}

fn located(context: Context<'_>, finding: Finding, landing: &Landing<'_>) -> Finding {
    let finding = match context.snapshot.pool(landing.pool) {
        Some(pool) => finding.pool(&*pool.name),
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
    reach: &Reach<'_>,
    landing: &Landing<'_>,
) -> Finding {
    let who = context.object_name("Pod", &pod.metadata);
    let (field, why) = context.cause(&pod.spec, "spec", landing);
    let pools = pools_of(context.snapshot, &reach.landings);
    let names: Vec<&str> = pools.iter().map(|pool| pool.name.as_ref()).collect();
    let (first, others) = names.split_first().map_or(("", String::new()), |(first, rest)| {
        let others =
            if rest.is_empty() { String::new() } else { format!(" (and of {})", rest.join(", ")) };
        (*first, others)
    });
    let witness = witness_text(&landing.witness);
    let advice = advice(context, pod, &requirements_yaml(&keep_off(context.policy, &pools)));
    let message = format!(
        "{who} can land on {witness} of pool {first}{others}, which is reserved for AutoMQ: {why}. \
         {advice}"
    );
    let summary = || format!("{who} can land on pool {first}, reserved for AutoMQ: {why}");
    let finding = Finding::new(RULE, message).summary(mode(context, pod), summary);
    located(context, finding.field(field), landing)
}

fn advice(context: Context<'_>, pod: &Pod<'_>, keep_off: &str) -> String {
    let namespace = &context.request.target.namespace;
    match daemon_set(&pod.metadata) {
        Some(name) => format!(
            "Denying it holds up the rollout of DaemonSet {namespace}/{name}, whose controller \
             counts this node. Keep the DaemonSet off the pool with required node affinity \
             {keep_off} in spec.template, or ask for the exempt entry {{namespace: {namespace}, \
             daemonSets: [{name}], reason: …}}"
        ),
        None if !pod.spec.node_name.is_empty() => format!(
            "Leave spec.nodeName to the scheduler, or ask for an exempt entry for namespace \
             {namespace}"
        ),
        None => format!(
            "Remove the toleration, or keep the pod off the pool with required node affinity \
             {keep_off}; if it belongs there, ask for an exempt entry for namespace {namespace}"
        ),
    }
}

fn lost_taint(context: Context<'_>, pod: &Pod<'_>, landing: &Landing<'_>) -> Finding {
    let who = context.object_name("Pod", &pod.metadata);
    let taint =
        context.snapshot.pool(landing.pool).map_or_else(String::new, |p| p.taint.to_string());
    let message = format!(
        "{who} lands on {} because that node lost its taint {taint}; put the taint back",
        witness_text(&landing.witness)
    );
    located(context, Finding::new(RULE, message), landing)
}

fn unknown_node(context: Context<'_>, pod: &Pod<'_>) -> Finding {
    let who = context.object_name("Pod", &pod.metadata);
    let node = pod.spec.node_name.as_str();
    if node.is_empty() {
        let message = format!("{who} demands by node affinity a node that is not known here");
        Finding::new(RULE, message).field("spec.affinity.nodeAffinity")
    } else {
        let message = format!("{who} is bound to node {node}, which is not known here");
        Finding::new(RULE, message).field("spec.nodeName").node(node)
    }
}
