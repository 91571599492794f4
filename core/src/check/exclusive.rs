//! The rule `cluster-exclusive`, judged by the pods in the cluster: whether AutoMQ has the cluster to itself.

use std::collections::BTreeMap;

use super::{
    draft::is_marked,
    facts::{CheckFacts, Resident},
    finding::{CheckFinding, Constraint, FindingSeverity},
    fix,
    words::count,
};
use crate::{
    kubernetes::{name::any_matches, resource::PODS},
    policy::mode::{Mode, RuleName},
};

const EXCLUSIVE: Constraint = Constraint::Rule(RuleName::ClusterExclusive);

/// Judges whether AutoMQ has the cluster to itself. `reported` are the pods that another finding reports already.
pub(super) fn judge(
    facts: &CheckFacts<'_>,
    unrelated_pods: &[&Resident<'_>],
    reported: &[&Resident<'_>],
    findings: &mut Vec<CheckFinding>,
) {
    let severity = match facts.policy.rules.cluster_exclusive {
        Mode::Enforce => FindingSeverity::Error,
        Mode::Warn => FindingSeverity::Warning,
        Mode::Audit | Mode::Off => FindingSeverity::Note,
    };
    if !facts.knows(PODS) {
        findings.push(CheckFinding::unknown(
            EXCLUSIVE,
            severity,
            facts.inventory.why_unknown(PODS),
        ));
        return;
    }
    // Another finding reports intruders already.
    let is_reported =
        |resident: &Resident<'_>| reported.iter().any(|it| std::ptr::eq(*it, resident));
    // The number of pods, and whether one of them has AutoMQ's labels.
    let mut namespaces: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
    for &resident in unrelated_pods {
        let metadata = &resident.pod.metadata;
        if !facts.policy.automq.owns_namespace(&metadata.namespace)
            && !metadata.mirror.0
            && !is_reported(resident)
        {
            let (pods, has_mark) = namespaces.entry(&metadata.namespace).or_default();
            *pods += 1;
            *has_mark |= is_marked(&metadata.labels);
        }
    }
    if namespaces.is_empty() {
        let fact = if reported.is_empty() {
            "Only AutoMQ's pods, exempt pods and static pods run in the cluster"
        } else {
            "Except the pods that pod-intrusion reports, only AutoMQ's pods, exempt pods and static pods run in the cluster"
        };
        findings.push(CheckFinding::pass(EXCLUSIVE, severity, fact));
    }
    for (namespace, (pods, has_mark)) in namespaces {
        let run = if pods == 1 { "runs" } else { "run" };
        // The pods of the cluster itself cannot run in another one.
        let change = if any_matches(&facts.policy.placement.system_namespaces, namespace) {
            "add"
        } else {
            "run these pods in another cluster, or add"
        };
        let fact =
            format!("{} of namespace {namespace} {run} in AutoMQ's cluster", count(pods, "pod"));
        findings.push(
            CheckFinding::fail(EXCLUSIVE, severity, fact)
                .why(
                    "AutoMQ requires its own cluster: other pods share the network with the brokers, and AutoMQ's \
                 permissions also let AutoMQ read and change these pods",
                )
                .object(format!("Namespace {namespace}"))
                .fix(format!(
                    "{}# {change} under `exempt` in PoolGuard's config: {{namespace: {namespace}, reason: …}}\n# this \
                     entry exempts every pod of the namespace, also on AutoMQ's pools",
                    fix::unless_automq(facts, namespace, has_mark)
                )),
        );
    }
}
