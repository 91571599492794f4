//! Advice: the text at the end of a denial that says what to do.

use std::{fmt, ptr};

use super::{
    Policy,
    placement::{Landing, UnknownNames, reach},
    pod_owner::DEFAULT_ACCOUNT,
    pool::{HOST_NAME_LABEL, Pool, ZONE_LABEL},
    protection::Recognition,
    snapshot::{Located, PoolFacts, PoolOrigin, Snapshot},
    zone::PoolZones,
};
use crate::{
    json::text::write_parts,
    kubernetes::{
        object::{NodeSelectorRequirement, NodeSelectorTerm, PodSpec},
        selector::{LabelSet, Operator, Requirement},
        taint::Taint,
    },
};

/// The advice that keeps a pod off pools. If the pod can run only on the pools' nodes, the advice also removes
/// its selection of these nodes.
pub(in crate::policy) struct KeepOff<'a> {
    pub(in crate::policy) policy: &'a Policy,
    pub(in crate::policy) snapshot: &'a Snapshot,
    pub(in crate::policy) spec: &'a PodSpec<'a>,
    /// Whether the DaemonSet controller has replaced the required node affinity that the user wrote.
    pub(in crate::policy) is_of_daemon_set: bool,
}

impl KeepOff<'_> {
    /// Writes the change: `remove the toleration, or add …`. Where a pool's nodes have no label that identifies the
    /// pool, only removing the toleration helps. The terms of a node affinity are alternatives, so every term needs the
    /// requirement.
    pub(in crate::policy) fn write(
        &self,
        out: &mut impl fmt::Write,
        pools: &[&PoolFacts],
    ) -> fmt::Result {
        let tolerations = self.tolerations(pools);
        let affinity = negations(self.policy, pools).unwrap_or_default();
        let (selectors, requirements) =
            if self.is_of_daemon_set { Default::default() } else { self.selections(&affinity) };
        out.write_str("remove ")?;
        let several = tolerations.len() > 1;
        let what = if several { "these tolerations" } else { "the toleration" };
        let mut items = Vec::new();
        if several {
            items.extend(tolerations);
        } else {
            items.push("the toleration".to_owned());
        }
        items.extend(selectors.iter().map(|key| format!("nodeSelector[{key}]")));
        items.extend(
            requirements
                .iter()
                .map(|key| format!("the requirement for {key} in the required node affinity")),
        );
        write_list(out, &items)?;
        let selecting = match (selectors.is_empty(), requirements.is_empty()) {
            (true, true) => return write_affinity(out, &affinity, self.terms()),
            (false, true) => "nodeSelector selects",
            (true, false) => "the node affinity selects",
            (false, false) => "nodeSelector and the node affinity select",
        };
        write_parts(
            out,
            [
                ". If you remove only ",
                what,
                ", no node fits, because ",
                selecting,
                " AutoMQ's nodes",
            ],
        )
    }

    /// Writes what a pod that names its node must lose to reach no pool: `spec.nodeName`, and what would
    /// then let the scheduler place it on a pool.
    pub(in crate::policy) fn write_without_node_name(
        &self,
        out: &mut impl fmt::Write,
    ) -> fmt::Result {
        let spec = self.spec.without_node_name();
        let settings = &self.policy.placement;
        let reach = reach(self.snapshot, settings, &spec, UnknownNames::MayCome);
        let mut items = vec!["spec.nodeName".to_owned()];
        if !reach.landings.is_empty() {
            let pools = pools_of(self.snapshot, &reach.landings);
            let scheduled = KeepOff { spec: &spec, ..*self };
            items.extend(scheduled.tolerations(&pools));
            let affinity = negations(self.policy, &pools).unwrap_or_default();
            let (selectors, requirements) = scheduled.selections(&affinity);
            items.extend(selectors.iter().map(|key| format!("nodeSelector[{key}]")));
            items.extend(
                requirements
                    .iter()
                    .map(|key| format!("the requirement for {key} in the required node affinity")),
            );
        }
        out.write_str("remove ")?;
        write_list(out, &items)
    }

    /// The tolerations that match a taint of these pools, as `tolerations[0]`; the last item stands for all further ones.
    fn tolerations(&self, pools: &[&PoolFacts]) -> Vec<String> {
        let comparison = self.policy.placement.comparison_operators;
        let mut taints: Vec<&Taint<'_>> = pools.iter().map(|pool| &pool.taint).collect();
        taints.sort_unstable();
        taints.dedup();
        let tolerations = self.spec.tolerations().iter().enumerate();
        let mut matching = tolerations.filter(|(_, toleration)| {
            taints.iter().any(|taint| toleration.tolerates(taint, comparison))
        });
        let mut named: Vec<String> = matching
            .by_ref()
            .take(NAMED_MAX)
            .map(|(index, _)| format!("tolerations[{index}]"))
            .collect();
        if matching.next().is_some() {
            named.push("every further toleration that matches".to_owned());
        }
        named
    }

    /// The keys of nodeSelector, and of the required node affinity, that leave the pod only nodes of these pools.
    fn selections<'s>(&'s self, affinity: &[Negation<'s>]) -> (Vec<&'s str>, Vec<&'s str>) {
        let spec = self.spec;
        let has_host = spec.node_selector.value(HOST_NAME_LABEL).is_some();
        let contradicting = || affinity.iter().map(|it| (it.key, it));
        let mut selectors: Vec<&str> = contradicting()
            .filter(|(_, it)| it.contradicts_node_selector(spec))
            .map(|(key, _)| key)
            .collect();
        selectors.extend(has_host.then_some(HOST_NAME_LABEL));
        let mut requirements: Vec<&str> = contradicting()
            .filter(|(_, it)| it.contradicts_affinity(spec))
            .map(|(key, _)| key)
            .collect();
        for (key, is_pinned) in [
            (
                HOST_NAME_LABEL,
                self.every_term(|term| self.pins(term.expressions(), HOST_NAME_LABEL)),
            ),
            (NODE_NAME_FIELD, self.every_term(|term| self.pins(term.fields(), NODE_NAME_FIELD))),
        ] {
            requirements.extend(is_pinned.then_some(key));
        }
        (selectors, requirements)
    }

    fn every_term(&self, holds: impl Fn(&NodeSelectorTerm<'_>) -> bool) -> bool {
        let terms = self.spec.required_node_affinity().map(|it| it.node_selector_terms.as_slice());
        let terms = terms.unwrap_or_default();
        !terms.is_empty() && terms.iter().all(holds)
    }

    /// Whether one of these requirements leaves only nodes of pools, by their names.
    fn pins(&self, requirements: &[NodeSelectorRequirement<'_>], key: &str) -> bool {
        let is_of_pool =
            |name: &str| matches!(self.snapshot.locate(name), Located::Dedicated { .. });
        requirements.iter().any(|it| {
            it.key == *key
                && it.operator == *"In"
                && (it.values.len() == 1 || it.values.iter().all(|name| is_of_pool(name)))
        })
    }

    /// The number of terms of the required node affinity that the user wrote, if it is known.
    fn terms(&self) -> Option<usize> {
        let terms =
            || self.spec.required_node_affinity().map_or(0, |it| it.node_selector_terms.len());
        (!self.is_of_daemon_set).then(terms)
    }
}

/// The largest number of tolerations that advice names.
const NAMED_MAX: usize = 4;

/// The field by which node affinity selects a node.
const NODE_NAME_FIELD: &str = "metadata.name";

/// Writes `a, b and c`.
fn write_list(out: &mut impl fmt::Write, items: &[String]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        let before = match index {
            0 => "",
            _ if index + 1 == items.len() => " and ",
            _ => ", ",
        };
        write_parts(out, [before, item])?;
    }
    Ok(())
}

/// Writes the node affinity that keeps a pod off instead, for a pod with this number of terms.
fn write_affinity(
    out: &mut impl fmt::Write,
    affinity: &[Negation<'_>],
    terms: Option<usize>,
) -> fmt::Result {
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
                ", or add required node affinity (if the template has terms, add to every term) "
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

/// Returns the advice `add {namespace: …, serviceAccounts: […], reason: …} to exempt in PoolGuard's config`.
/// For the account `default`, the text also says which pods the entry exempts.
pub(in crate::policy) fn add_exempt_entry(namespace: &str, account: &str) -> String {
    let mut text = String::from("add ");
    // Writing to a string does not fail.
    let _ = write_exempt_entry(&mut text, namespace, account);
    text
}

impl Policy {
    /// The change that keeps a pod with this spec off these pools: `remove the toleration, or …`.
    pub fn keep_off(
        &self,
        snapshot: &Snapshot,
        pools: &[&PoolFacts],
        spec: &PodSpec<'_>,
    ) -> String {
        let keep_off = KeepOff { policy: self, snapshot, spec, is_of_daemon_set: false };
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = if spec.node_name.is_empty() {
            keep_off.write(&mut text, pools)
        } else {
            keep_off.write_without_node_name(&mut text)
        };
        text
    }

    /// The change of a DaemonSet that keeps its pods off these pools, and off the others to which it sends pods. The
    /// DaemonSet controller replaces the required node affinity of the template in each pod, so the pod shows neither
    /// the terms of the template nor the other pools.
    pub fn keep_daemon_set_off(
        &self,
        snapshot: &Snapshot,
        pools: &[&PoolFacts],
        spec: &PodSpec<'_>,
    ) -> String {
        let keep_off = KeepOff { policy: self, snapshot, spec, is_of_daemon_set: true };
        let pools =
            self.also_reached(snapshot, pools, &spec.without_node_name().without_affinity());
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = keep_off.write(&mut text, &pools);
        text
    }

    /// These pools, and the others that a pod with this spec can reach.
    pub fn also_reached<'s>(
        &self,
        snapshot: &'s Snapshot,
        pools: &[&'s PoolFacts],
        spec: &PodSpec<'_>,
    ) -> Vec<&'s PoolFacts> {
        let reach = reach(snapshot, &self.placement, spec, UnknownNames::MayCome);
        let others = pools_of(snapshot, &reach.landings).into_iter();
        let mut all = pools.to_vec();
        all.extend(others.filter(|other| !pools.iter().any(|pool| ptr::eq(*pool, *other))));
        all
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
    /// The values, sorted.
    values: Vec<&'p str>,
}

impl Negation<'_> {
    /// Whether every term of the required node affinity requires what this requirement excludes.
    fn contradicts_affinity(&self, spec: &PodSpec<'_>) -> bool {
        let terms = spec.required_node_affinity().map(|it| it.node_selector_terms.as_slice());
        let terms = terms.unwrap_or_default();
        let is_required = |term: &NodeSelectorTerm<'_>| {
            let requirements = term.expressions().iter();
            let mut of_key = requirements.filter(|it| it.key == *self.key && it.operator == *"In");
            of_key.any(|it| it.values.iter().all(|value| self.rejects(value)))
        };
        !terms.is_empty() && terms.iter().all(is_required)
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

    /// Writes the requirement as YAML to paste: `{key: …, operator: NotIn, values: […]}`.
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

/// Returns the requirements that keep a pod in a pool: the pool's selector and, if they are clear, its zones as
/// nodes spell them.
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
