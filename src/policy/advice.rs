//! What to do about a finding: the text that a denial ends with.

use super::{
    Policy,
    placement::Landing,
    pool::ZONE_LABEL,
    selector::{Operator, Requirement},
    snapshot::{PoolFacts, PoolOrigin, Snapshot},
};

/// The requirements of a node affinity that keeps a pod off these pools: at most one a label.
///
/// Negating one requirement of a pool's selector suffices, since its nodes meet all of them.
fn keep_off(policy: &Policy, pools: &[&PoolFacts]) -> Vec<Requirement> {
    let mut merged: Vec<Requirement> = Vec::new();
    for pool in pools {
        let Some(requirement) = negated(policy, pool) else { continue };
        let same = merged.iter_mut().find(|known| {
            known.key == requirement.key
                && known.operator == Operator::NotIn
                && requirement.operator == Operator::NotIn
        });
        match same {
            Some(known) => known.values.extend(requirement.values),
            None => merged.push(requirement),
        }
    }
    for requirement in &mut merged {
        requirement.values.sort();
        requirement.values.dedup();
    }
    merged
}

fn negated(policy: &Policy, pool: &PoolFacts) -> Option<Requirement> {
    let PoolOrigin::Declared(index) = pool.origin else {
        let key = pool.label.as_ref()?.to_string();
        let values = vec![pool.name.to_string()];
        return Some(Requirement { key, operator: Operator::NotIn, values });
    };
    let requirements = policy.pools.get(index)?.nodes.requirements();
    let by_value = requirements.iter().find(|requirement| requirement.operator == Operator::In);
    let Requirement { key, operator, values } = by_value.or_else(|| requirements.first())?.clone();
    let operator = match operator {
        Operator::In => Operator::NotIn,
        Operator::NotIn => Operator::In,
        Operator::Exists => Operator::DoesNotExist,
        Operator::DoesNotExist => Operator::Exists,
    };
    Some(Requirement { key, operator, values })
}

/// What keeps a pod off these pools, as an order. Nodes without a label that tells their pool are
/// kept free of a pod only by its not tolerating their taint.
pub(in crate::policy) fn keep_off_text(policy: &Policy, pools: &[&PoolFacts]) -> String {
    let remove = "remove the toleration".to_owned();
    let has_label = |pool: &&PoolFacts| negated(policy, pool).is_some();
    if !pools.iter().all(has_label) {
        return remove;
    }
    let affinity = requirements_yaml(&keep_off(policy, pools));
    format!("{remove}, or add required node affinity {affinity}")
}

/// `{key: …, operator: NotIn, values: […]}` for every requirement, as YAML to paste.
fn requirements_yaml(requirements: &[Requirement]) -> String {
    let flow = |Requirement { key, operator, values }: &Requirement| {
        let operator = operator.as_str();
        if values.is_empty() {
            format!("{{key: {key}, operator: {operator}}}")
        } else {
            format!("{{key: {key}, operator: {operator}, values: [{}]}}", values.join(", "))
        }
    };
    requirements.iter().map(flow).collect::<Vec<_>>().join(", ")
}

/// The pools of these landings.
pub(in crate::policy) fn pools_of<'s>(
    snapshot: &'s Snapshot,
    landings: &[Landing<'_>],
) -> Vec<&'s PoolFacts> {
    landings.iter().filter_map(|landing| snapshot.pool(landing.pool)).collect()
}

/// What a pod needs of its nodes to stay in a pool: the pool's selector, and its zones.
pub(in crate::policy) fn pool_requirements(pool: &super::pool::Pool) -> Vec<Requirement> {
    let mut requirements = pool.nodes.requirements().to_vec();
    if !pool.zones.is_empty() {
        requirements.push(Requirement {
            key: ZONE_LABEL.to_owned(),
            operator: Operator::In,
            values: pool.zones.clone(),
        });
    }
    requirements
}
