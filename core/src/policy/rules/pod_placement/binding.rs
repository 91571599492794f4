//! Bindings of an instance's pods: the node must be one of a pool that the pod can belong to.

use super::{Context, RULE, judge::why_misplaced};
use crate::{
    kubernetes::object::Binding,
    policy::{
        mode::Mode,
        verdict::{Finding, FindingCollector},
    },
};

pub(in crate::policy::rules) fn judge(
    context: Context<'_>,
    binding: &Binding<'_>,
    report: &mut FindingCollector,
) {
    let Context { policy, snapshot, request } = context;
    let mode = policy.rules.pod_placement;
    if mode == Mode::Off || request.user.is_kube_scheduler() {
        return;
    }
    let Some(pools) = possible_pools(context) else { return };
    let node = &binding.target.name;
    // A node that one of the pools takes may be meant; else the first pool says what is wrong.
    let places = pools.iter().map(|index| why_misplaced(snapshot, node, *index));
    let Some(places) = places.collect::<Option<Vec<String>>>() else { return };
    let Some(place) = places.first() else { return };
    let names: Vec<&str> =
        pools.iter().filter_map(|index| policy.pools.get(*index)).map(|pool| &*pool.name).collect();
    let fact = format!(
        "The request would bind {} to node {node}, which is {place}, but pods of namespace {} belong to \
         pool {}",
        context.object_name("Pod"),
        request.target.namespace,
        names.join(" or "),
    );
    let finding = Finding::new(RULE, fact)
        .advice("Let the scheduler choose the node")
        .field("target.name")
        .node(node.to_string());
    let finding = match names.first() {
        Some(pool) => finding.pool(*pool),
        None => finding,
    };
    report.violation(mode, finding);
}

/// The pools that a pod of the request's namespace can belong to. A Binding shows no labels, so
/// that this is only known where an instance takes every pod of the namespace.
fn possible_pools(context: Context<'_>) -> Option<Vec<usize>> {
    let Context { policy, snapshot: _, request } = context;
    let namespace = request.target.namespace.as_str();
    if !policy.automq.owns_namespace(namespace) || !policy.automq.is_by_namespace_only() {
        return None;
    }
    let mut pools = Vec::new();
    for instance in policy.instances.iter().filter(|instance| instance.namespace == namespace) {
        if !pools.contains(&instance.pool) {
            pools.push(instance.pool);
        }
        if instance.pods.is_everything() {
            return Some(pools);
        }
    }
    None
}
