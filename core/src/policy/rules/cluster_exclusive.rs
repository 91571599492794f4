//! `cluster-exclusive`: AutoMQ requires its own Kubernetes cluster.
//!
//! In mode `audit`, the scan and `poolguard check` look for other pods, so the API server does not send ordinary pods
//! to PoolGuard. In the modes `warn` and `enforce`, the rule judges every pod outside AutoMQ's and the exempt
//! namespaces.

use super::Context;
use crate::policy::pod_owner::PodOwner;
use crate::{
    kubernetes::object::Pod,
    policy::{
        advice::add_exempt_entry,
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
    let fact = format!("{who} would run in this cluster, which is reserved for AutoMQ");
    let advice = format!(
        "Run it in another cluster, or ask your platform team to {}. An exempt pod may also run on AutoMQ's pools",
        add_exempt_entry(namespace, pod.spec.service_account())
    );
    let finding =
        Finding::new(RuleName::ClusterExclusive, fact).advice(advice).field("metadata.namespace");
    report.violation(mode, finding);
}
