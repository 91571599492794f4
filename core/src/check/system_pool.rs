//! A place for the pods of the system, outside the pools: DNS and the cloud's components run on nodes without a
//! taint, and on tainted ones where they tolerate it.

use super::{
    facts::{CheckFacts, PoolNodes, Resident},
    finding::{CheckFinding, Constraint, FindingSeverity},
    words::{count, named},
};
use crate::{
    kubernetes::{
        name::any_matches,
        resource::{NODES, PODS},
        taint::{Taint, tolerating},
    },
    policy::{Policy, pod_owner::daemon_set, snapshot::NodeRecord},
};

/// Whether pods of the system tolerate these taints.
pub(super) fn takes_system_pods(policy: &Policy, taints: &[Taint<'static>]) -> bool {
    let keeps_out = |taint: &Taint<'static>| {
        taint.keeps_pods_out()
            && !policy.is_transient(taint)
            && !any_matches(&policy.placement.system_taints, &taint.key)
    };
    !taints.iter().any(keeps_out)
}

const OS_LABEL: &str = "kubernetes.io/os";
const WINDOWS: &str = "windows";

/// Whether a pod of the system runs on a node and tolerates what keeps others off. DaemonSets are on every node
/// and show nothing.
fn hosts_system_pod(facts: &CheckFacts<'_>, node: &NodeRecord) -> bool {
    let policy = facts.policy;
    let comparison = policy.placement.comparison_operators;
    facts.pods.iter().any(|Resident { pod, .. }| {
        let tolerates = |taint: &Taint<'_>| {
            !taint.keeps_pods_out()
                || policy.is_transient(taint)
                || tolerating(pod.spec.tolerations(), taint, comparison).is_some()
        };
        any_matches(&policy.placement.system_namespaces, &pod.metadata.namespace)
            && pod.spec.node_name == *node.name
            && !pod.metadata.mirror.0
            && daemon_set(&pod.metadata).is_none()
            && node.taints.iter().all(tolerates)
    })
}

/// Judges whether the cluster has a place for the pods of the system.
pub(super) fn judge(facts: &CheckFacts<'_>, findings: &mut Vec<CheckFinding>) {
    let rule = Constraint::SystemPool;
    if !facts.knows(NODES) {
        let why = facts.inventory.why_unknown(NODES);
        findings.push(CheckFinding::unknown(rule, FindingSeverity::Error, why));
        return;
    }
    let is_windows = |node: &NodeRecord| node.label(OS_LABEL).is_some_and(|os| **os == *WINDOWS);
    let usable =
        facts.elsewhere.iter().filter(|node| node.ready && !node.cordoned && !is_windows(node));
    let is_open = |node: &&&NodeRecord| {
        takes_system_pods(facts.policy, &node.taints) || hosts_system_pod(facts, node)
    };
    let open = usable.clone().filter(is_open).count();
    let finding = if open == 0 && usable.count() > 0 && !facts.knows(PODS) {
        let fact = "Every ready node outside AutoMQ's pools has a taint. The input contains no pods, so PoolGuard \
                    cannot tell whether system pods run on these nodes";
        CheckFinding::unknown(rule, FindingSeverity::Error, fact.to_owned())
    } else if open == 0 {
        let fact = if facts.elsewhere.is_empty() {
            "Every node belongs to an AutoMQ pool".to_owned()
        } else {
            "Outside AutoMQ's pools, there is no node that is ready, runs Linux and accepts system pods"
                .to_owned()
        };
        let pools = facts.pools.iter().filter(|pool| facts.may_be_a_mistake(pool));
        let pools: Vec<&str> = pools.map(PoolNodes::name).collect();
        let mistaken = if pools.is_empty() {
            String::new()
        } else {
            let pools = named("pool", &pools);
            format!(
                "# first decide whether {pools} must have AutoMQ's taint (see node-identity)\n# then, if still needed:\n"
            )
        };
        CheckFinding::fail(rule, FindingSeverity::Error, fact)
            .why(
                "System pods such as CoreDNS have no node to run on, or they run on the brokers' \
             nodes",
            )
            .fix(format!(
                "{mistaken}# add a node pool without AutoMQ's taint, with at least two small nodes"
            ))
    } else {
        let fact = format!("{} outside AutoMQ's pools", count(open, "ready node"));
        CheckFinding::pass(rule, FindingSeverity::Error, fact)
    };
    findings.push(finding);
}
