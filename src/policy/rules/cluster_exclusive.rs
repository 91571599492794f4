//! `cluster-exclusive`: AutoMQ asks for a Kubernetes cluster of its own.
//!
//! In `audit` this is the business of the scan and of `poolguard check`, so that plain pods need no
//! call at admission. Only `warn` and `enforce` judge every pod outside AutoMQ's and the exempt
//! namespaces.

use super::Context;
use crate::policy::pod_owner::PodOwner;
use crate::{
    kubernetes::object::Pod,
    policy::{
        mode::{Mode, RuleName},
        verdict::{Finding, FindingCollector},
    },
};

pub(super) fn judge_create(context: Context<'_>, pod: &Pod<'_>, report: &mut FindingCollector) {
    let mode = context.policy.rules.cluster_exclusive;
    if mode < Mode::Warn {
        return;
    }
    let namespace = &context.request.target.namespace;
    let owner =
        context.pod_owner(&pod.metadata, &pod.spec, context.creating_daemon_set(&pod.metadata));
    if !matches!(owner, PodOwner::Neither)
        || context.policy.automq.owns_namespace(namespace)
        || context.request.user.kubelet_of().is_some()
    {
        return;
    }
    let who = context.object_name("Pod");
    let fact = format!("{who} would run in a cluster that is AutoMQ's own");
    let advice =
        format!("Run it in another cluster, or ask for an exempt entry for namespace {namespace}");
    let finding =
        Finding::new(RuleName::ClusterExclusive, fact).advice(advice).field("metadata.namespace");
    report.violation(mode, finding);
}
