//! `pod-intrusion`: a pod that is neither AutoMQ's nor exempt must not be able to run on a
//! dedicated node.
//!
//! The rule judges pods when they are created or updated, and bindings, with which a scheduler assigns a pod to
//! a node. It does not believe the pod's own labels, annotations or owners: anyone can write them.
//!
//! - A *node to come* is the next node that the autoscaler would add to a pool
//!   ([`crate::policy::snapshot::NodeToCome`]). A pod that waits for such a node makes the autoscaler add it, so
//!   the rule treats it like a node that exists.
//! - The rule denies an UPDATE if the pod can then reach a further pool, or if the pod loses the labels or the owner
//!   that made it an AutoMQ pod or exempt. Kubernetes' own controllers may change owners, finalizers and labels.
//! - A Binding shows only names, so the rule judges it by its node. It allows and records the Binding if any pod of
//!   the namespace could be an AutoMQ pod or exempt. It trusts `system:kube-scheduler`.
//! - A mirror pod shows a static pod that the kubelet already runs: the rule allows and records it. The annotation
//!   counts only if the node's own kubelet writes it.
//! - Pods that the DaemonSet controller creates have their own mode, because denying one stops the rollout of
//!   its DaemonSet. If such a pod names a node that PoolGuard does not know, the scan judges it later.

use std::{fmt::Write, sync::Arc};

use super::{Context, UNKNOWN_NODE, sentence, witness_name, witness_parts, witness_text};
use crate::policy::pod_owner::{PodOwner, daemon_set};
use crate::{
    json::text::write_parts,
    kubernetes::object::{Binding, Pod},
    policy::{
        advice::{KeepOff, pools_of, write_automq_hint, write_exempt_entry},
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
                "{} is a mirror pod: the kubelet of node {} already runs its static pod, and PoolGuard \
                 cannot stop it",
                context.object_name("Pod"),
                pod.spec.node_name,
            );
            let finding = Finding::new(RULE, fact)
                .advice("If it should not run there, remove its manifest from the node")
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
    // The node of a running pod is fixed, so the finding is about the label or owner that the pod loses.
    let finding = if had_owner && (stays || !old.spec.node_name.is_empty()) {
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
        let fact = format!(
            "The request would bind {pod} to node {node}, which PoolGuard does not know, so {RULE} does not deny it"
        );
        report.note(Decision::Unknown, unknown(fact).field("target.name"));
        return;
    }
    let Some(landing) = reach.landings.first() else { return };
    let namespace = &request.target.namespace;
    let Some(pool) = snapshot.pool(landing.pool) else { return };
    let fact = format!("The request would bind {pod} to node {node} of pool {}", pool.name);
    let finding =
        |fact: String| located(context, Finding::new(RULE, fact).field("target.name"), landing);
    let may_be_free = policy.automq.owns_namespace(namespace)
        || policy.exempt.iter().any(|exemption| exemption.namespace.matches(namespace));
    if may_be_free {
        let fact = format!(
            "{fact}. A Binding does not show the pod's labels, and AutoMQ's or exempt pods of namespace {namespace} \
             may run there, so {RULE} does not deny it"
        );
        report.note(Decision::Audit, finding(fact));
    } else if request.user.is_kube_scheduler() {
        report.note(
            Decision::Audit,
            finding(format!("{fact}. It comes from kube-scheduler, which PoolGuard trusts")),
        );
    } else {
        let fact = format!(
            "{fact}, which is reserved for AutoMQ: target.name selects this node directly, so its taint {} has \
             no effect",
            pool.taint
        );
        let advice = format!(
            "Let kube-scheduler choose the node. If the pod must run there, ask your platform team to add \
             {{namespace: {namespace}, serviceAccounts: [SERVICE_ACCOUNT], reason: …}} to exempt in PoolGuard's \
             config. SERVICE_ACCOUNT is the service account of the pod"
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
        out.write_str(" can run on ")?;
        write_parts(out, witness_parts(&landing.witness))?;
        for (index, pool) in pools.iter().enumerate() {
            let before = match (index, pools.len()) {
                (0, _) => " of pool ",
                (1, 2) => " and on nodes of pool ",
                (1, _) => " and on nodes of pools ",
                _ => ", ",
            };
            write_parts(out, [before, &pool.name])?;
        }
        out.write_str(if pools.len() > 1 {
            ", which are reserved for AutoMQ: "
        } else {
            ", which is reserved for AutoMQ: "
        })?;
        cause.write(out, pools.len(), &landing.witness)
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
            "The rollout of DaemonSet {namespace}/{name} stops until you fix this, because the DaemonSet needs \
             a pod on this node too. In spec.template of the DaemonSet (or in the settings of the operator \
             that manages the DaemonSet), {}. If the pods must run there, ask your platform team to add \
             {{namespace: {namespace}, daemonSets: [{name}], reason: …}} to exempt in PoolGuard's config",
            context.policy.keep_daemon_set_off(context.snapshot, pools, &pod.spec),
        ),
        None => sentence(|out| {
            if !pod.spec.node_name.is_empty() && pod.metadata.name.starts_with(NODE_DEBUGGER) {
                return write_debug_elsewhere(out, &context.policy.break_glass_groups);
            }
            write_template_of(out, context, pod)?;
            let Context { policy, snapshot, .. } = context;
            let keep_off = KeepOff { policy, snapshot, spec: &pod.spec, is_of_daemon_set: false };
            if pod.spec.node_name.is_empty() {
                keep_off.write(out, pools)?;
            } else {
                keep_off.write_without_node_name(out)?;
                out.write_str(LET_THE_SCHEDULER_CHOOSE)?;
            }
            write_automq_hint(out, context.policy, namespace, &pod.metadata.labels)?;
            out.write_str(". If the pod must run there, ask your platform team to add ")?;
            write_exempt_entry(out, namespace, pod.spec.service_account())
        }),
    }
}

/// The end of the advice for a pod that names its node.
const LET_THE_SCHEDULER_CHOOSE: &str = ". The scheduler then chooses the node. If a tool sets this \
     field (for example a node shell), use the tool on a node outside AutoMQ's pools, or ask your platform team \
     for break-glass";

/// The beginning of the name of a pod of `kubectl debug node/…`.
const NODE_DEBUGGER: &str = "node-debugger-";

/// Writes the advice for a pod of `kubectl debug node/…`. Its user cannot remove `spec.nodeName`. Kubernetes does not
/// check that the user of `--as` exists, so the user has the name of the group.
fn write_debug_elsewhere(out: &mut impl Write, groups: &[String]) -> std::fmt::Result {
    out.write_str(
        "`kubectl debug node/…` always sets spec.nodeName. Debug a node outside AutoMQ's pools, or ask your platform team to ",
    )?;
    let Some(group) = groups.first() else {
        return out.write_str(
            "add a group to breakGlass.groups in PoolGuard's config, and to run the command as a member of this group",
        );
    };
    write_parts(out, ["run the command with --as=", group, " --as-group=", group])?;
    out.write_str(
        ". This needs the right to impersonate this user and group, and the group needs the right to create pods",
    )
}

/// Writes `To keep the pod off, `, and the workload to change if a controller creates the pod. Otherwise a
/// person wrote the owner into the pod, and no workload changes it.
fn write_template_of(
    out: &mut impl Write,
    context: Context<'_>,
    pod: &Pod<'_>,
) -> std::fmt::Result {
    // The DaemonSet controller does not create this pod.
    let is_controller = context.request.user.name.starts_with("system:");
    let owner = pod.metadata.controller().filter(|it| is_controller && it.kind != "DaemonSet");
    let Some(owner) = owner else {
        return out.write_str("To keep the pod off, ");
    };
    let (start, kind): (_, &str) = match &*owner.kind {
        "ReplicaSet" => ("the Deployment or other owner of ReplicaSet", ""),
        // The template of a Job cannot change.
        "Job" => ("the CronJob or manifest that creates Job", ""),
        kind => ("its owner ", kind),
    };
    write_parts(out, ["To keep the pod off, change ", start, kind, " ", &owner.name, ": "])
}

/// The finding about a pod that stays on its node and loses its exemption: its owner, or else a label.
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
                "the pod's owner DaemonSet {owner}. Without this owner, the exempt entry for namespace \
                 {namespace} (reason: \"{reason}\") does not cover the pod"
            ),
            "Keep this owner",
        ),
        (PodOwner::Exempt(Exemption { namespace, pods, reason, .. }), None) => (
            "metadata.labels",
            format!(
                "labels of the pod. The exempt entry for namespace {namespace} (reason: \"{reason}\") covers only pods with \
                 the labels {pods}"
            ),
            "Keep these labels",
        ),
        (PodOwner::AutoMq | PodOwner::Neither, _) => (
            "metadata.labels",
            format!("the labels ({}) that make the pod an AutoMQ pod", context.policy.automq.pods),
            "Keep these labels",
        ),
    };
    let pool = context.snapshot.pool(landing.pool).map_or("", |pool| &*pool.name);
    let is_bound = !pod.spec.node_name.is_empty();
    let verb = if is_bound { "runs" } else { "can run" };
    let fact = format!(
        "{who} {verb} on {} of pool {pool}, which is reserved for AutoMQ. The update would remove {what}",
        witness_text(&landing.witness),
    );
    let advice = format!("{keep}. If the pod should not run there, delete it");
    located(context, Finding::new(RULE, fact).advice(advice).field(field), landing)
}

fn lost_taint(context: Context<'_>, landing: &Landing<'_>) -> Finding {
    let who = context.object_name("Pod");
    let taint =
        context.snapshot.pool(landing.pool).map_or_else(String::new, |p| p.taint.to_string());
    let witness = witness_text(&landing.witness);
    let fact = format!("{who} can run on {witness}, because this node has lost its taint {taint}");
    let advice = match witness_name(&landing.witness) {
        Some(node) => format!("Add the taint again: kubectl taint node {node} {taint}"),
        None => format!("Add the taint {taint} to the node again"),
    };
    located(context, Finding::new(RULE, fact).advice(advice), landing)
}

fn unknown_node(context: Context<'_>, pod: &Pod<'_>) -> Finding {
    let who = context.object_name("Pod");
    let node = pod.spec.node_name.as_str();
    if node.is_empty() {
        let fact = format!(
            "The node affinity of {who} requires a node that PoolGuard does not know, so {RULE} does not deny it"
        );
        unknown(fact).field("spec.affinity.nodeAffinity")
    } else {
        let fact = format!(
            "{who} names node {node}, which PoolGuard does not know, so {RULE} does not deny it"
        );
        unknown(fact).field("spec.nodeName")
    }
}

fn unknown(fact: String) -> Finding {
    Finding::new(RULE, fact).node(UNKNOWN_NODE)
}
