//! Node-pool objects that a plan applies, such as Karpenter's `NodePool`.

use crate::{
    check::{
        finding::CheckFinding,
        node_pools::{self, MadeBy},
        picture::PoolPicture,
    },
    json,
    kubernetes::object::RawObject,
    policy::{Policy, membership::Membership},
    terraform::{Plan, PlannedManifest},
};

/// Judges the node-pool objects of a plan. Returns the pools whose nodes they make.
pub(super) fn judge(
    policy: &Policy,
    plan: &Plan,
    findings: &mut Vec<CheckFinding>,
) -> Vec<PoolPicture> {
    let zones = policy.placement.zone_spelling.without_nodes();
    let mut pools = Vec::new();
    for manifest in &plan.manifests {
        let PlannedManifest { address, kind: kind_name, name, text, .. } = manifest;
        let is_kind = |group: &str, kind: &str| group == manifest.group() && kind == kind_name;
        let mut kinds = policy.node_pool_kinds.iter();
        let Some(kind) = kinds.find(|it| is_kind(&it.resource.group, &it.kind)) else { continue };
        let Ok(object) = json::from_str::<RawObject<'_>>(text) else { continue };
        let membership = policy.node_pool_membership(&kind.read(&object));
        let Some((pool, taint)) = policy.pool_of(&membership) else { continue };
        let title = format!("{kind_name} {name}");
        let made_by = MadeBy { kind, title: &title, object: &object };
        findings.extend(node_pools::examine(policy, &zones, made_by, address));
        pools.push(PoolPicture {
            name: pool,
            is_declared: matches!(membership, Membership::Declared(_)),
            taint: taint.to_string(),
            instances: Vec::new(),
            zones: Vec::new(),
        });
    }
    pools
}
