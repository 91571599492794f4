//! `nodeSelector` and required node affinity, compiled once a decision.
//!
//! Compiling validates and deduplicates the terms, joins what they demand of one label into one test,
//! and hashes long lists. It costs as much as the constraints are long; a look at a node then costs
//! one test for each label that is asked for.

use std::collections::{HashMap, HashSet};

use super::{
    budget::{Budget, Exceeded},
    label_test::LabelTest,
    term::{NAME_FIELD, check_term},
    values::ValueSet,
};
use crate::kubernetes::object::{Labels, NodeSelectorRequirement, NodeSelectorTerm, PodSpec};

/// The largest number of terms or labels that are compared one by one, which is faster than hashing.
const FEW: usize = 16;

/// The requirements of a pod on its node, except for taints and `nodeName`.
#[derive(Clone, Debug)]
pub struct Constraints<'p> {
    /// The entries of `nodeSelector`, all of which must hold.
    pub(super) selector: &'p Labels<'p>,
    /// The readable terms, of which one must hold. `None`: the pod has no required node affinity.
    pub(super) terms: Option<Vec<Term<'p>>>,
}

/// A readable term.
#[derive(Clone, Debug)]
pub(super) struct Term<'p> {
    /// The tests of the node's labels, all of which must hold.
    pub(super) labels: Vec<LabelTest<'p>>,
    /// The test of the node's name.
    pub(super) name: NameTest<'p>,
    /// The place of the term in the pod's list.
    pub(super) index: usize,
}

/// The requirements of a term on the node's name.
#[derive(Clone, Debug, Default)]
pub(super) struct NameTest<'p> {
    /// The only name that meets the test, if the term demands one.
    pub(super) demanded: Option<&'p str>,
    excluded: ValueSet<'p>,
    is_contradictory: bool,
}

impl<'p> Constraints<'p> {
    /// Compiles the constraints of a pod.
    pub fn compile(spec: &'p PodSpec<'p>) -> Self {
        let compiled = Self::within(spec, &mut Budget::unlimited());
        // Which is never exceeded.
        compiled.unwrap_or(Self { selector: &spec.node_selector, terms: Some(Vec::new()) })
    }

    /// Compiles the constraints of a pod, unless that takes more than the budget.
    pub(super) fn within(spec: &'p PodSpec<'p>, budget: &mut Budget) -> Result<Self, Exceeded> {
        let selector = &spec.node_selector;
        let Some(required) = spec.required_node_affinity() else {
            return Ok(Self { selector, terms: None });
        };
        let mut seen = HashSet::new();
        let is_long = required.node_selector_terms.len() > FEW;
        let mut terms = Vec::with_capacity(required.node_selector_terms.len().min(FEW));
        for (index, term) in required.node_selector_terms.iter().enumerate() {
            let values = |it: &NodeSelectorRequirement<'_>| it.values.len();
            let requirements = || term.expressions().iter().chain(term.fields());
            budget.spend(1 + requirements().map(|it| 1 + values(it)).sum::<usize>())?;
            // One bad requirement spoils its term, and an empty term matches nothing.
            let is_readable = !term.is_empty() && check_term(term).is_ok();
            if is_readable && (!is_long || seen.insert(term)) {
                terms.push(Term::compile(index, term));
            }
        }
        Ok(Self { selector, terms: Some(terms) })
    }

    /// Whether a node with these labels and this name meets the constraints.
    pub fn matches<'n>(&self, label: impl Fn(&str) -> Option<&'n str>, name: &str) -> bool {
        self.selector.iter().all(|(key, value)| label(key) == Some(value))
            && self
                .terms
                .as_ref()
                .is_none_or(|terms| terms.iter().any(|term| term.matches(&label, name)))
    }
}

impl<'p> Term<'p> {
    fn compile(index: usize, term: &'p NodeSelectorTerm<'_>) -> Self {
        let expressions = term.expressions();
        let mut labels: Vec<LabelTest<'p>> = Vec::with_capacity(expressions.len().min(FEW));
        let mut places: HashMap<&str, usize> = HashMap::new();
        for requirement in expressions {
            let key = requirement.key.as_str();
            let known = if labels.len() < FEW {
                labels.iter().position(|test| test.key == key)
            } else {
                if places.is_empty() {
                    places.extend(labels.iter().enumerate().map(|(at, test)| (test.key, at)));
                }
                places.get(key).copied()
            };
            if let Some(test) = known.and_then(|at| labels.get_mut(at)) {
                test.add(requirement);
            } else {
                if !places.is_empty() {
                    places.insert(key, labels.len());
                }
                labels.push(LabelTest::of(requirement));
            }
        }
        Self { labels, name: NameTest::compile(term.fields()), index }
    }

    pub(super) fn matches<'n>(&self, label: impl Fn(&str) -> Option<&'n str>, name: &str) -> bool {
        self.name.holds(name) && self.labels.iter().all(|test| test.holds(label(test.key)))
    }
}

impl<'p> NameTest<'p> {
    fn compile(fields: &'p [NodeSelectorRequirement<'_>]) -> Self {
        let mut test = Self::default();
        for NodeSelectorRequirement { key, operator, values } in fields {
            let value = values.first().map_or("", |value| value.as_str());
            match (key == NAME_FIELD, operator == "In") {
                (true, true) => match test.demanded {
                    Some(other) if other != value => test.is_contradictory = true,
                    Some(_) | None => test.demanded = Some(value),
                },
                (true, false) => test.excluded.insert(value),
                // Any other field reads as empty.
                (false, is_in) => test.is_contradictory |= value.is_empty() != is_in,
            }
        }
        test
    }

    /// Whether the test allows every name.
    pub(super) fn is_free(&self) -> bool {
        self.demanded.is_none() && self.excluded.len() == 0 && !self.is_contradictory
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        !self.is_contradictory
            && self.demanded.is_none_or(|demanded| demanded == name)
            && !self.excluded.contains(name)
    }

    /// Whether a node with a new name may meet the test. `is_taken` says which names are taken already.
    pub(super) fn may_hold_beside(&self, is_taken: impl Fn(&str) -> bool) -> bool {
        !self.is_contradictory
            && self.demanded.is_none_or(|name| !is_taken(name) && !self.excluded.contains(name))
    }
}
