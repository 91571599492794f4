//! Advice: the text at the end of a denial that says what to do.

use std::fmt;

use super::{
    Policy,
    placement::Landing,
    pod_owner::DEFAULT_ACCOUNT,
    pool::{Pool, ZONE_LABEL},
    protection::Recognition,
    snapshot::{PoolFacts, PoolOrigin, Snapshot},
    zone::PoolZones,
};
use crate::{
    json::text::write_parts,
    kubernetes::{
        object::{NodeSelectorTerm, PodSpec},
        selector::{LabelSet, Operator, Requirement},
    },
};

/// Writes the change that keeps a pod off these pools: `remove the toleration, or …`. Where a pool's nodes have
/// no label that identifies the pool, only removing the toleration helps. A pod that selects the pool's nodes fits no
/// other node, so the change includes this selection. The terms of a node affinity are alternatives, so every term
/// needs the requirement. `spec` is the spec of the pod, where it has the terms that its user wrote.
pub(in crate::policy) fn write_keep_off(
    out: &mut impl fmt::Write,
    policy: &Policy,
    pools: &[&PoolFacts],
    spec: Option<&PodSpec<'_>>,
) -> fmt::Result {
    out.write_str("remove the toleration")?;
    let affinity = negations(policy, pools).unwrap_or_default();
    if let Some((spec, negation)) = spec.and_then(|spec| {
        let selected = affinity.iter().find(|negation| negation.contradicts(spec));
        selected.map(|negation| (spec, negation))
    }) {
        let key = negation.key;
        return if negation.contradicts_node_selector(spec) {
            write_parts(
                out,
                [
                    " and nodeSelector[",
                    key,
                    "]. If you remove only the toleration, no node fits, because ",
                ],
            )?;
            out.write_str("nodeSelector selects AutoMQ's nodes")
        } else {
            let start = " and the requirement for ";
            write_parts(
                out,
                [start, key, " in the required node affinity. If you remove only the toleration, "],
            )?;
            out.write_str("no node fits, because the node affinity selects AutoMQ's nodes")
        };
    }
    let terms = spec.map(terms);
    for (index, negation) in affinity.iter().enumerate() {
        out.write_str(match (index, terms) {
            (0, Some(0)) if affinity.len() > 1 => {
                ", or add required node affinity with all of these expressions in one term: "
            }
            (0, Some(0)) => ", or add required node affinity ",
            (0, Some(1)) => ", or add to nodeSelectorTerms[0] of the required node affinity ",
            (0, Some(_)) => {
                ", or add to every item of nodeSelectorTerms in the required node affinity "
            }
            (0, None) => {
                ", or add to the required node affinity (if it has several terms, to every term) "
            }
            _ => ", ",
        })?;
        negation.write_yaml(out)?;
    }
    Ok(())
}

/// Writes the `exempt` entry for a pod with this service account, to paste. Pods that name no service account have
/// the account `default`, so the text says how many pods an entry for this account exempts.
pub(in crate::policy) fn write_exempt_entry(
    out: &mut impl fmt::Write,
    namespace: &str,
    account: &str,
) -> fmt::Result {
    write_parts(out, ["{namespace: ", namespace, ", serviceAccounts: [", account])?;
    out.write_str("], reason: …} to exempt in PoolGuard's config")?;
    if account != DEFAULT_ACCOUNT {
        return Ok(());
    }
    write_parts(out, [". This entry exempts every pod of namespace ", namespace])?;
    out.write_str(
        " that names no service account. To exempt fewer pods, first set serviceAccountName in the pod or in its template",
    )
}

/// Writes what to do if a pod that the config does not know is AutoMQ's: it has one of AutoMQ's labels, and the config
/// does not name its namespace. Anyone can write the labels, so they only choose this sentence.
pub(in crate::policy) fn write_automq_hint(
    out: &mut impl fmt::Write,
    policy: &Policy,
    namespace: &str,
    labels: &impl LabelSet,
) -> fmt::Result {
    let marks = policy.protected.iter().filter_map(|entry| match &entry.recognition {
        Recognition::AutoMqBinding { labels } => Some(labels),
        Recognition::Always | Recognition::HoldsAField | Recognition::NodePool(_) => None,
    });
    let has_mark = marks.flatten().any(|mark| {
        let value = labels.value(&mark.key);
        value.is_some_and(|value| mark.value.as_deref().is_none_or(|wanted| wanted == value))
    });
    if !has_mark || policy.automq.owns_namespace(namespace) {
        return Ok(());
    }
    let start =
        ". If this belongs to AutoMQ, as its labels say, ask your platform team to add namespace ";
    write_parts(out, [start, namespace, " to automq.namespaces in PoolGuard's config"])
}

/// `add {namespace: …, serviceAccounts: […], reason: …} to exempt in PoolGuard's config`, and what the entry takes in.
pub(in crate::policy) fn add_exempt_entry(namespace: &str, account: &str) -> String {
    let mut text = String::from("add ");
    // Writing to a string does not fail.
    let _ = write_exempt_entry(&mut text, namespace, account);
    text
}

/// The number of terms of the required node affinity.
fn terms(spec: &PodSpec<'_>) -> usize {
    spec.required_node_affinity().map_or(0, |it| it.node_selector_terms.len())
}

impl Policy {
    /// The change that keeps a pod with this spec off these pools: `remove the toleration, or …`.
    pub fn keep_off(&self, pools: &[&PoolFacts], spec: &PodSpec<'_>) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write_keep_off(&mut text, self, pools, Some(spec));
        text
    }

    /// The change of a DaemonSet that keeps its pods off these pools. The DaemonSet controller replaces the required
    /// node affinity of the template in each pod, so the pod does not show how many terms the template has.
    pub fn keep_daemon_set_off(&self, pools: &[&PoolFacts]) -> String {
        let mut text = String::new();
        let _ = write_keep_off(&mut text, self, pools, None);
        text
    }

    /// Node affinity requirements that no node of these pools meets, now or later. `None` if one of the pools has no
    /// label that identifies it.
    pub fn keep_off_requirements(&self, pools: &[&PoolFacts]) -> Option<Vec<Requirement>> {
        let requirement = |Negation { key, operator, values }: Negation<'_>| Requirement {
            key: key.to_owned(),
            operator,
            values: values.into_iter().map(str::to_owned).collect(),
        };
        Some(negations(self, pools)?.into_iter().map(requirement).collect())
    }
}

/// A requirement that no node of a pool meets.
struct Negation<'p> {
    key: &'p str,
    operator: Operator,
    /// Sorted.
    values: Vec<&'p str>,
}

impl Negation<'_> {
    /// Whether a pod with this spec could run on no node if it had this requirement too.
    fn contradicts(&self, spec: &PodSpec<'_>) -> bool {
        let terms = spec.required_node_affinity().map(|it| it.node_selector_terms.as_slice());
        let terms = terms.unwrap_or_default();
        let is_required = |term: &NodeSelectorTerm<'_>| {
            let requirements = term.expressions().iter();
            let mut of_key = requirements.filter(|it| it.key == *self.key && it.operator == *"In");
            of_key.any(|it| it.values.iter().all(|value| self.rejects(value)))
        };
        self.contradicts_node_selector(spec) || !terms.is_empty() && terms.iter().all(is_required)
    }

    fn contradicts_node_selector(&self, spec: &PodSpec<'_>) -> bool {
        spec.node_selector.value(self.key).is_some_and(|value| self.rejects(value))
    }

    /// Whether no node with this value of the label meets the requirement.
    fn rejects(&self, value: &str) -> bool {
        let is_listed = || self.values.binary_search(&value).is_ok();
        match self.operator {
            Operator::In => !is_listed(),
            Operator::NotIn => is_listed(),
            Operator::Exists => false,
            Operator::DoesNotExist => true,
        }
    }

    /// `{key: …, operator: NotIn, values: […]}`, to paste.
    fn write_yaml(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let Self { key, operator, values } = self;
        write_parts(out, ["{key: ", key, ", operator: ", operator.as_str()])?;
        for (index, value) in values.iter().enumerate() {
            let quote = if is_read_as_text(value) { "" } else { "\"" };
            write_parts(out, [if index == 0 { ", values: [" } else { ", " }, quote, value, quote])?;
        }
        out.write_str(if values.is_empty() { "}" } else { "]}" })
    }
}

/// Whether YAML reads a label value without quotes as text, and not as a number, a boolean or null.
fn is_read_as_text(value: &str) -> bool {
    const OTHER: [&str; 7] = ["true", "false", "yes", "no", "on", "off", "null"];
    value.starts_with(|first: char| first.is_ascii_alphabetic())
        && !OTHER.iter().any(|other| value.eq_ignore_ascii_case(other))
}

/// Requirements that no node of these pools meets, merged by label where possible. `None` if one of the pools
/// has no label that identifies it.
fn negations<'p>(policy: &'p Policy, pools: &[&'p PoolFacts]) -> Option<Vec<Negation<'p>>> {
    let mut merged: Vec<Negation<'_>> = Vec::with_capacity(pools.len());
    for pool in pools {
        let negation = negated(policy, pool)?;
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
    Some(merged)
}

/// The negation of one requirement of a pool's selector. One is enough, because its nodes meet all of them.
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

/// What a pod needs of its nodes to stay in a pool: the pool's selector, and its zones as nodes spell them.
pub(in crate::policy) fn pool_requirements(pool: &Pool, zones: &PoolZones) -> Vec<Requirement> {
    let mut requirements = pool.nodes.requirements().to_vec();
    if zones.are_clear() {
        requirements.push(Requirement {
            key: ZONE_LABEL.to_owned(),
            operator: Operator::In,
            values: zones.names.iter().map(ToString::to_string).collect(),
        });
    }
    requirements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_yaml_does_not_read_as_text_are_quoted() {
        let values = vec!["a", "true", "1", "automq-1"];
        let negation = Negation { key: "pool", operator: Operator::NotIn, values };
        let mut text = String::new();
        negation.write_yaml(&mut text).unwrap();
        let expected = r#"{key: pool, operator: NotIn, values: [a, "true", "1", automq-1]}"#;
        assert_eq!(text, expected);
    }
}
