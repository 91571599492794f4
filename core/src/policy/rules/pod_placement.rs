//! `pod-placement`: a pod of an instance runs only on the nodes of the instance's pool.
//!
//! The mutating webhook adds to the pod the toleration of its pool's taint, node affinity to the pool's labels and
//! zones, and the zone spread that the config sets. All pools share one taint. With the toleration alone, a pod of
//! instance 1 could run in the pool of instance 3, so the node affinity is necessary. The validating webhook denies a
//! pod that no node of its pool can run, and names the constraint that prevents it. It warns if the final pod can
//! also run outside its pool.
//!
//! The rule ignores mirror pods and DaemonSet pods, because they belong to a node and not to a pool.

mod binding;
mod judge;
mod patch;

pub use self::patch::{PlacementAdditions, TERMS_MAX};
pub(super) use self::{
    binding::judge as judge_binding,
    judge::{judge as judge_create, why_misplaced},
    patch::patch_placement,
};

use super::Context;
use crate::{
    kubernetes::object::Pod,
    policy::{
        mode::RuleName,
        pool::{Instance, Pool},
    },
};

const RULE: RuleName = RuleName::PodPlacement;

/// The instance of a pod, and the instance's pool.
fn instance_of<'p>(context: Context<'p>, pod: &Pod<'_>) -> Option<(&'p Instance, &'p Pool)> {
    if context.creating_daemon_set(&pod.metadata).is_some() || context.is_mirror_pod(pod) {
        return None;
    }
    let namespace = &context.request.target.namespace;
    let identity = context.identity(&pod.metadata, &pod.spec, None);
    if !context.policy.automq.owns_pod(&identity) {
        return None;
    }
    let index = context.policy.instance_of(namespace, &pod.metadata.labels)?;
    let instance = context.policy.instances.get(index)?;
    Some((instance, context.policy.pools.get(instance.pool)?))
}
