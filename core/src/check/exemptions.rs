//! Entries under `exempt` in the config, and names in them, that match nothing in the cluster: they are probably
//! misspelt, and then the pods for which they were written are intruders.

use super::{
    facts::CheckFacts,
    finding::{CheckFinding, Constraint, FindingSeverity},
    words::{named, verb},
};
use crate::{
    json,
    kubernetes::{
        name::Glob,
        object::{Workload, WorkloadKind},
        resource::{DAEMON_SETS, NAMESPACES, PODS, Resource, SERVICE_ACCOUNTS},
        selector::LabelSelector,
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
        let Unmatched { what, why } = unmatched(facts, entry)?;
        let fact = format!(
            "The exempt entry for namespace {} (reason: \"{}\") {what} nothing in the cluster: {why}",
            entry.namespace, entry.reason
        );
        let finding = CheckFinding::fail(RULE, FindingSeverity::Note, fact)
            .why("If the entry is misspelt, PoolGuard treats the pods that it should exempt as intruders");
        Some(finding.fix(
            "# correct this entry under `exempt` in PoolGuard's config, or remove what matches nothing. If you write it \
             before its pods exist, keep it",
        ))
    }));
}

/// The part of an entry that matches nothing.
struct Unmatched {
    /// The verb of which the entry is the subject.
    what: &'static str,
    /// The reason: the objects that the cluster lacks, in words.
    why: String,
}

const ENTRY: &str = "matches";
const SOME_NAMES: &str = "has names that match";

/// Returns the part of an entry that matches nothing; `None` if each of its names matches something, or if the
/// input does not show it.
fn unmatched(facts: &CheckFacts<'_>, entry: &Exemption) -> Option<Unmatched> {
    if let Some(why) = absent_namespace(facts, entry) {
        return Some(Unmatched { what: ENTRY, why });
    }
    let (absent, present) = daemon_sets(facts, entry);
    let unused = unused_accounts(facts, entry);
    let mut whys = Vec::new();
    if !absent.is_empty() {
        let does = verb(&absent, "does", "do");
        whys.push(format!("{} {does} not exist there", named("DaemonSet", &absent)));
    }
    if !unused.is_empty() {
        whys.push(format!(
            "no pod and no workload there uses {}",
            named("service account", &unused)
        ));
    }
    let covers = covers_anything(facts, entry);
    let lacks_all =
        |missing: &[String], names: &[Glob]| !names.is_empty() && missing.len() == names.len();
    let is_explained =
        lacks_all(&absent, &entry.daemon_sets) || lacks_all(&unused, &entry.service_accounts);
    if !covers && !is_explained {
        whys.push(if present.is_empty() {
            "no pod and no workload there meets its conditions".to_owned()
        } else {
            let daemon_sets = named("DaemonSet", &present);
            format!("the pods of {daemon_sets} there do not meet its other conditions")
        });
    }
    let what = if covers { SOME_NAMES } else { ENTRY };
    (!whys.is_empty()).then(|| Unmatched { what, why: whys.join("; ") })
}

fn absent_namespace(facts: &CheckFacts<'_>, entry: &Exemption) -> Option<String> {
    let namespace = &entry.namespace;
    let mut names = facts.inventory.objects(&NAMESPACES.group_resource());
    let mut pods = facts.pods.iter();
    if !facts.knows(NAMESPACES)
        || names.any(|(it, _)| namespace.matches(&it.name))
        || pods.any(|it| namespace.matches(&it.pod.metadata.namespace))
    {
        return None;
    }
    Some(match namespace.as_exact() {
        Some(name) => format!("namespace {name} does not exist"),
        None => "no namespace has such a name".to_owned(),
    })
}

/// The DaemonSets of an entry that do not exist, and those that do. Without the kind in the input, all exist.
fn daemon_sets(facts: &CheckFacts<'_>, entry: &Exemption) -> (Vec<String>, Vec<String>) {
    let (absent, present): (Vec<&Glob>, Vec<&Glob>) = entry
        .daemon_sets
        .iter()
        .partition(|name| facts.knows(DAEMON_SETS) && !has_object(facts, DAEMON_SETS, entry, name));
    let texts = |names: Vec<&Glob>| names.into_iter().map(ToString::to_string).collect();
    (texts(absent), texts(present))
}

/// The service accounts of an entry that do not exist, and that no pod and no workload uses.
fn unused_accounts(facts: &CheckFacts<'_>, entry: &Exemption) -> Vec<String> {
    let is_unused = |name: &&Glob| {
        let alone = Exemption {
            service_accounts: vec![(*name).clone()],
            daemon_sets: Vec::new(),
            pods: LabelSelector::default(),
            ..entry.clone()
        };
        !has_object(facts, SERVICE_ACCOUNTS, entry, name) && !covers_anything(facts, &alone)
    };
    entry.service_accounts.iter().filter(is_unused).map(ToString::to_string).collect()
}

/// Whether the namespaces of an entry have an object of this kind and name.
fn has_object(facts: &CheckFacts<'_>, kind: Resource, entry: &Exemption, name: &Glob) -> bool {
    let mut objects = facts.inventory.objects(&kind.group_resource());
    objects.any(|(it, _)| entry.namespace.matches(&it.namespace) && name.matches(&it.name))
}

/// Whether the entry covers a pod, or the pods of a workload. Without these kinds in the input, it does.
fn covers_anything(facts: &CheckFacts<'_>, entry: &Exemption) -> bool {
    if entry.is_by_namespace_only() {
        return true;
    }
    if !entry.daemon_sets.is_empty() {
        return !facts.knows(DAEMON_SETS) || covers_workload(facts, entry, WorkloadKind::DaemonSet);
    }
    let has_workloads = WorkloadKind::ALL.into_iter().any(|kind| facts.knows(kind.resource()));
    !facts.knows(PODS)
        || !has_workloads
        || covers_pod(facts, entry)
        || WorkloadKind::ALL.into_iter().any(|kind| covers_workload(facts, entry, kind))
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
