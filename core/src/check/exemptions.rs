//! Entries under `exempt` in the config that match nothing in the cluster: they are probably misspelt, and then the
//! pods for which they were written are intruders.

use super::{
    facts::CheckFacts,
    finding::{CheckFinding, Constraint, FindingSeverity},
    words::{named, verb},
};
use crate::{
    json,
    kubernetes::{
        name::any_matches,
        object::{Workload, WorkloadKind},
        resource::{DAEMON_SETS, NAMESPACES, PODS},
    },
    policy::{
        mode::RuleName,
        pod_owner::{Exemption, PodIdentity},
        protection::Origin,
    },
};

const RULE: Constraint = Constraint::Rule(RuleName::PodIntrusion);

pub(super) fn judge(facts: &CheckFacts<'_>, findings: &mut Vec<CheckFinding>) {
    let configured = facts.policy.exempt.iter().filter(|it| it.origin == Origin::Config);
    findings.extend(configured.filter_map(|entry| {
        let why = unmatched(facts, entry)?;
        let fact = format!(
            "The exempt entry for namespace {} ({}) matches nothing in the cluster: {why}",
            entry.namespace, entry.reason
        );
        let finding = CheckFinding::fail(RULE, FindingSeverity::Note, fact)
            .why("If the entry is misspelt, PoolGuard treats the pods that it should exempt as intruders");
        Some(finding.fix(
            "# correct this entry under `exempt` in PoolGuard's config, or remove it. If you write it before its pods \
             exist, keep it",
        ))
    }));
}

/// What the cluster lacks for an entry; `None` if something matches the entry, or if the input does not show it.
fn unmatched(facts: &CheckFacts<'_>, entry: &Exemption) -> Option<String> {
    let namespace = &entry.namespace;
    if facts.knows(NAMESPACES) {
        let mut names = facts.inventory.objects(&NAMESPACES.group_resource());
        let mut pods = facts.pods.iter();
        if !names.any(|(it, _)| namespace.matches(&it.name))
            && !pods.any(|it| namespace.matches(&it.pod.metadata.namespace))
        {
            return Some(match namespace.as_exact() {
                Some(name) => format!("namespace {name} does not exist"),
                None => "no namespace has such a name".to_owned(),
            });
        }
    }
    if entry.is_by_namespace_only() {
        return None;
    }
    if !entry.daemon_sets.is_empty() {
        return unmatched_daemon_sets(facts, entry);
    }
    let has_workloads = WorkloadKind::ALL.into_iter().any(|kind| facts.knows(kind.resource()));
    if !facts.knows(PODS) || !has_workloads || covers_pod(facts, entry) {
        return None;
    }
    let has_workload =
        WorkloadKind::ALL.into_iter().any(|kind| covers_workload(facts, entry, kind));
    (!has_workload).then(|| "no pod and no workload there meets its conditions".to_owned())
}

fn unmatched_daemon_sets(facts: &CheckFacts<'_>, entry: &Exemption) -> Option<String> {
    if !facts.knows(DAEMON_SETS) || covers_workload(facts, entry, WorkloadKind::DaemonSet) {
        return None;
    }
    let mut objects = facts.inventory.objects(&DAEMON_SETS.group_resource());
    let has_such_name = objects.any(|(it, _)| {
        entry.namespace.matches(&it.namespace) && any_matches(&entry.daemon_sets, &it.name)
    });
    let names: Vec<String> = entry.daemon_sets.iter().map(ToString::to_string).collect();
    Some(if has_such_name {
        format!("the pods of {} there do not meet its other conditions", named("DaemonSet", &names))
    } else {
        let (daemon_sets, does) = (named("DaemonSet", &names), verb(&names, "does", "do"));
        format!("{daemon_sets} {does} not exist there")
    })
}

fn covers_pod(facts: &CheckFacts<'_>, entry: &Exemption) -> bool {
    facts.pods.iter().any(|resident| entry.covers(&PodIdentity::stored(&resident.pod)))
}

/// Whether the entry covers the pods of a workload of this kind.
fn covers_workload(facts: &CheckFacts<'_>, entry: &Exemption, kind: WorkloadKind) -> bool {
    let mut objects = facts.inventory.objects(&kind.resource().group_resource());
    objects.any(|(name, text)| {
        let Ok(workload) = json::from_str::<Workload<'_>>(text) else { return false };
        let template = workload.template(kind);
        entry.covers(&PodIdentity {
            namespace: &name.namespace,
            labels: &template.metadata.labels,
            service_account: template.spec.service_account(),
            daemon_set: (kind == WorkloadKind::DaemonSet).then_some(name.name.as_str()),
        })
    })
}
