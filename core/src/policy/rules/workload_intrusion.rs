//! `workload-intrusion`: the pods that a workload creates must not be able to run on a dedicated node.
//!
//! The rule judges the pod template as `pod-intrusion` judges pods. The user therefore sees the problem in the
//! answer to `kubectl apply`, and not later at a ReplicaSet that cannot create its pods. The warning shows the node
//! affinity that keeps the pods off. The rule ignores workloads that another judged workload controls.

use std::{fmt::Write, sync::Arc};

use super::{Context, sentence, witness_name, witness_text};
use crate::policy::pod_owner::PodOwner;
use crate::{
    kubernetes::{
        object::{OwnerReference, Workload, WorkloadKind},
        resource::Resource,
    },
    policy::{
        advice::{add_exempt_entry, pools_of, write_automq_hint},
        mode::{Mode, RuleName},
        placement::{Landing, Reach, UnknownNames, reach},
        request::Change,
        verdict::{Finding, FindingCollector},
    },
};

const RULE: RuleName = RuleName::WorkloadIntrusion;

pub(super) fn judge(
    context: Context<'_>,
    kind: WorkloadKind,
    change: &Change<Workload<'_>>,
    report: &mut FindingCollector,
) {
    let mode = context.policy.rules.workload_intrusion;
    let (old, new) = match change {
        Change::Create { new } => (None, new),
        Change::Update { old, new } => (Some(old), new),
        Change::Delete { .. } => return,
    };
    // Anyone can write an owner: it counts where its controller asks, or where it is stored.
    let has_judged_owner = |it: &Workload<'_>| it.metadata.controller().is_some_and(is_judged);
    let is_owned = has_judged_owner(new)
        && old.map_or_else(|| context.request.user.is_workload_controller(), has_judged_owner);
    if mode == Mode::Off || is_owned {
        return;
    }
    let owner = owner_of_pods(context, kind, new);
    if let PodOwner::AutoMq = owner {
        return;
    }
    let settings = &context.policy.placement;
    let names = UnknownNames::MayCome;
    let mut gained = reach(context.snapshot, settings, &new.template(kind).spec, names);
    if let Some(old) = old {
        let loses_owner = matches!(owner, PodOwner::Neither)
            && !matches!(owner_of_pods(context, kind, old), PodOwner::Neither);
        if !loses_owner {
            let before = reach(context.snapshot, settings, &old.template(kind).spec, names);
            gained.landings.retain(|landing| !before.includes(landing.pool));
        }
    }
    let Some(landing) = gained.landings.first() else { return };
    let finding = finding(context, kind, new, &gained, landing);
    match owner {
        PodOwner::Exempt(exemption) => report.exempt(&exemption.reason, finding),
        PodOwner::AutoMq | PodOwner::Neither => report.violation(mode, finding),
    }
}

/// Whether the owner is a workload that was judged itself.
fn is_judged(owner: &OwnerReference<'_>) -> bool {
    WorkloadKind::ALL.into_iter().any(|kind| {
        let Resource { group, kind: name, .. } = kind.resource();
        owner.kind == name && owner.group() == group
    })
}

/// Returns `change Kafka logs, the owner of this StatefulSet: ` for a workload with an owner, or else an empty
/// text.
fn manager(kind: WorkloadKind, workload: &Workload<'_>) -> String {
    let owner = workload.metadata.controller();
    owner.map_or_else(String::new, |it| {
        format!("change {} {}, the owner of this {}: ", it.kind, it.name, kind.resource().kind)
    })
}

fn owner_of_pods<'c>(
    context: Context<'c>,
    kind: WorkloadKind,
    workload: &Workload<'_>,
) -> PodOwner<'c> {
    let template = workload.template(kind);
    let daemon_set = (kind == WorkloadKind::DaemonSet).then_some(&*workload.metadata.name);
    context.pod_owner(&template.metadata, &template.spec, daemon_set)
}

fn finding(
    context: Context<'_>,
    kind: WorkloadKind,
    workload: &Workload<'_>,
    reach: &Reach<'_>,
    landing: &Landing<'_>,
) -> Finding {
    let who = context.object_name(kind.resource().kind);
    let path = kind.spec_path();
    let cause = context.cause(&workload.template(kind).spec, &path, landing);
    let pools = pools_of(context.snapshot, &reach.landings);
    let names: Vec<&str> = pools.iter().map(|pool| pool.name.as_ref()).collect();
    let names = match names.as_slice() {
        [name] => format!("pool {name}"),
        names => format!("pools {}", names.join(", ")),
    };
    let witness = witness_text(&landing.witness);
    let rules = &context.policy.rules;
    let is_daemon_set = kind == WorkloadKind::DaemonSet;
    let mode = if is_daemon_set { rules.daemon_set_intrusion } else { rules.pod_intrusion };
    // Short, since a warning has room for 256 bytes.
    let outcome = if mode == Mode::Enforce { "will be denied: they can" } else { "can" };
    let fact = sentence(|out| {
        write!(out, "Pods of {who} {outcome} run on AutoMQ's {names} (for example {witness}): ")?;
        cause.write(out, pools.len(), &landing.witness)
    });
    let namespace = &context.request.target.namespace;
    let spec = &workload.template(kind).spec;
    let mut keep_off = context.policy.keep_off(context.snapshot, &pools, spec);
    if !spec.node_name.is_empty() {
        keep_off.push_str(" from the pod template");
    }
    // An operator would undo a change of a workload that it manages.
    let managed = manager(kind, workload);
    let entry = if kind == WorkloadKind::DaemonSet {
        format!(
            "add {{namespace: {namespace}, daemonSets: [{}], reason: …}} to exempt in PoolGuard's config",
            workload.metadata.name
        )
    } else {
        add_exempt_entry(namespace, workload.template(kind).spec.service_account())
    };
    let template = workload.template(kind);
    let mut hint = String::new();
    // Writing to a string does not fail.
    let _ = write_automq_hint(&mut hint, context.policy, namespace, &template.metadata.labels);
    let advice = format!(
        "To keep these pods off, {managed}{keep_off}{hint}. If they must run there, ask your platform team to {entry}"
    );
    let finding = Finding::new(RULE, fact).advice(advice).field(cause.field);
    let finding = match pools.first() {
        Some(pool) => finding.pool(Arc::clone(&pool.name)),
        None => finding,
    };
    match witness_name(&landing.witness) {
        Some(node) => finding.node(node),
        None => finding,
    }
}
