//! `pod-placement`: a pod of an instance belongs on the nodes of the instance's pool.
//!
//! The mutating half gives it its pool's toleration, node affinity to the pool's labels and zones,
//! and the spread over zones that the config asks for. All pools share one taint, so that the
//! toleration alone would let instance 1 land in the pool of instance 3: the affinity is what keeps
//! them apart. The validating half denies a pod that no node of its pool can take, says which
//! constraint is in the way, and warns when the final pod can land outside its pool.
//!
//! Mirror pods and pods of DaemonSets belong to their node, not to a pool, and are left alone.

mod binding;
mod fit;
mod place;

pub(super) use self::{
    binding::judge as judge_binding,
    fit::{judge as judge_create, why_misplaced},
    place::patch_placement,
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

/// The instance that a pod belongs to, and its pool.
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
