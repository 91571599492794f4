//! What to do about a finding: the text that a denial ends with.

use std::fmt;

use super::{
    Policy,
    placement::Landing,
    pool::ZONE_LABEL,
    selector::{Operator, Requirement},
    snapshot::{PoolFacts, PoolOrigin, Snapshot},
    text::write_parts,
};

/// What keeps a pod off these pools, as an order. Nodes without a label that tells their pool are
/// kept free of a pod only by its not tolerating their taint.
pub(in crate::policy) fn keep_off_text<'p>(
    policy: &'p Policy,
    pools: &[&'p PoolFacts],
) -> impl fmt::Display + use<'p> {
    let negated: Option<Vec<Negation<'_>>> =
        pools.iter().map(|pool| negated(policy, pool)).collect();
    let affinity = negated.map(merged).unwrap_or_default();
    fmt::from_fn(move |f| {
        f.write_str("remove the toleration")?;
        for (index, negation) in affinity.iter().enumerate() {
            f.write_str(if index == 0 { ", or add required node affinity " } else { ", " })?;
            negation.write_yaml(f)?;
        }
        Ok(())
    })
}

impl Policy {
    /// What keeps a pod off these pools, as an order: `remove the toleration, or …`.
    pub fn keep_off(&self, pools: &[&PoolFacts]) -> String {
        keep_off_text(self, pools).to_string()
    }
}

/// A requirement that no node of a pool meets.
struct Negation<'p> {
    key: &'p str,
    operator: Operator,
    values: Vec<&'p str>,
}

impl Negation<'_> {
    /// `{key: …, operator: NotIn, values: […]}`, to paste.
    fn write_yaml(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, operator, values } = self;
        write_parts(f, ["{key: ", key, ", operator: ", operator.as_str()])?;
        for (index, value) in values.iter().enumerate() {
            write_parts(f, [if index == 0 { ", values: [" } else { ", " }, value])?;
        }
        f.write_str(if values.is_empty() { "}" } else { "]}" })
    }
}

/// At most one requirement a label, where they can be merged.
fn merged(negations: Vec<Negation<'_>>) -> Vec<Negation<'_>> {
    let mut merged: Vec<Negation<'_>> = Vec::with_capacity(negations.len());
    for negation in negations {
        let is_list = |it: &Negation<'_>| it.operator == Operator::NotIn && it.key == negation.key;
        match merged.iter_mut().find(|known| is_list(known)) {
            Some(known) if negation.operator == Operator::NotIn => {
                known.values.extend(negation.values);
            }
            Some(_) | None => merged.push(negation),
        }
    }
    for negation in &mut merged {
        negation.values.sort_unstable();
        negation.values.dedup();
    }
    merged
}

/// Negating one requirement of a pool's selector suffices, since its nodes meet all of them.
fn negated<'p>(policy: &'p Policy, pool: &'p PoolFacts) -> Option<Negation<'p>> {
    let PoolOrigin::Declared(index) = pool.origin else {
        let key = pool.label.as_deref()?;
        return Some(Negation { key, operator: Operator::NotIn, values: vec![&pool.name] });
    };
    let requirements = policy.pools.get(index)?.nodes.requirements();
    let by_value = requirements.iter().find(|requirement| requirement.operator == Operator::In);
    let Requirement { key, operator, values } = by_value.or_else(|| requirements.first())?;
    let operator = match operator {
        Operator::In => Operator::NotIn,
        Operator::NotIn => Operator::In,
        Operator::Exists => Operator::DoesNotExist,
        Operator::DoesNotExist => Operator::Exists,
    };
    Some(Negation { key, operator, values: values.iter().map(String::as_str).collect() })
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
