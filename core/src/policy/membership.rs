//! The pool that a node belongs to.

use super::Policy;
use crate::kubernetes::{name::any_matches, selector::LabelSet, taint::Taint};

/// The name of a pool whose nodes carry no label of a node pool, or that is no pool at all.
const UNNAMED_POOL: &str = "undeclared";

/// The pool that a node belongs to, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership<'p> {
    /// A member of the declared pool with this index.
    Declared(usize),
    /// A node in no declared pool that carries a pool's taint.
    Tainted {
        /// The taint.
        taint: &'p Taint<'static>,
        /// The provider's name of the node's group, or `undeclared` if no label names it.
        group: String,
        /// The label that names the group.
        label: Option<&'p str>,
    },
    /// A node that is not dedicated.
    Elsewhere,
}

impl Policy {
    /// The pool of a node with these labels and taints.
    pub fn membership(&self, labels: &impl LabelSet, taints: &[Taint<'_>]) -> Membership<'_> {
        match self.declared_pool_of(labels) {
            Some(index) => Membership::Declared(index),
            None => self.tainted_membership(labels, taints),
        }
    }

    /// The pool of a node that is in no declared one.
    pub(super) fn tainted_membership(
        &self,
        labels: &impl LabelSet,
        taints: &[Taint<'_>],
    ) -> Membership<'_> {
        // With discovery off, only the taints of declared pools make a node dedicated.
        let counts = |taint: &Taint<'_>| {
            self.discovery || self.pools.iter().any(|pool| pool.taint == *taint)
        };
        let overrides = self.pools.iter().map(|pool| &pool.taint);
        let mut pool_taints = std::iter::once(&self.taint).chain(overrides);
        let Some(taint) = pool_taints.find(|taint| taints.contains(taint) && counts(taint)) else {
            return Membership::Elsewhere;
        };
        let named = if self.discovery { self.node_pool_of(labels) } else { None };
        let (label, group) =
            named.map_or((None, UNNAMED_POOL), |(label, group)| (Some(label), group));
        Membership::Tainted { taint, group: group.to_owned(), label }
    }

    /// The label by which the provider names a node's pool, and the name.
    pub fn node_pool_of<'l>(&self, labels: &'l impl LabelSet) -> Option<(&str, &'l str)> {
        let mut keys = self.node_pool_labels.iter();
        keys.find_map(|key| Some((key.as_str(), labels.value(key)?)))
    }

    /// The first declared pool that selects these labels.
    pub fn declared_pool_of(&self, labels: &impl LabelSet) -> Option<usize> {
        self.pools.iter().position(|pool| pool.nodes.matches(labels))
    }

    /// Whether a taint comes and goes, so that it keeps no pod out for good.
    pub fn is_transient(&self, taint: &Taint<'_>) -> bool {
        any_matches(&self.placement.transient_taints, &taint.key)
    }

    /// Whether a taint keeps pods out for good.
    pub fn is_lasting(&self, taint: &Taint<'_>) -> bool {
        taint.keeps_pods_out() && !self.is_transient(taint)
    }

    /// The name and the taint of the pool that a membership means.
    pub fn pool_of(&self, membership: &Membership<'_>) -> Option<(String, Taint<'static>)> {
        match membership {
            Membership::Declared(index) => {
                self.pools.get(*index).map(|pool| (pool.name.to_string(), pool.taint.clone()))
            }
            Membership::Tainted { taint, group, label: _ } => {
                Some((group.clone(), (*taint).clone()))
            }
            Membership::Elsewhere => None,
        }
    }
}
