//! Classes: dedicated nodes that a pod cannot tell apart but by name or by an individual label.

use std::{cmp::Ordering, sync::Arc};

use super::TaintId;

/// Nodes of one pool with equal taints and equal labels, but for the individual ones.
#[derive(Clone, Debug)]
pub struct Class {
    /// Index of the pool in the snapshot.
    pub pool: usize,
    /// Taints that keep pods out for good, the pool's own among them even where it is missing.
    pub taints: Box<[TaintId]>,
    /// Whether the nodes lack the pool's taint.
    pub lost_taint: bool,
    /// Labels that all of them have with the same value, in [`key_order`].
    pub(super) labels: Vec<(Arc<str>, Arc<str>)>,
    /// Keys of labels with many values in the pool, in [`key_order`]; the values are with the nodes.
    pub(super) individual: Arc<[Arc<str>]>,
    /// The nodes.
    pub nodes: Vec<ClassNode>,
}

/// Compares label keys, the shorter ones first. The keys of a node's labels have long beginnings in common, and
/// lengths are compared without a look at the text.
pub(super) fn key_order(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// A node of a class.
#[derive(Clone, Debug)]
pub struct ClassNode {
    /// The name of the node.
    pub name: Arc<str>,
    /// Values of the individual labels, in the order of their keys.
    pub(super) individual: Box<[Option<Arc<str>>]>,
}

impl Class {
    /// The labels that the nodes have in common.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Keys of the labels that are individual: a node may have a value of its own, or none.
    pub fn individual_keys(&self) -> impl Iterator<Item = &str> {
        self.individual.iter().map(|key| &**key)
    }

    /// The value of a label that the nodes have in common.
    pub fn label(&self, key: &str) -> Option<&str> {
        let index = self.labels.binary_search_by(|(name, _)| key_order(name, key)).ok()?;
        self.labels.get(index).map(|(_, value)| value.as_ref())
    }

    /// Returns a node of the class with all of its labels.
    pub fn member<'c>(&'c self, node: &'c ClassNode) -> Member<'c> {
        Member { class: self, node }
    }

    /// Whether the nodes of the class differ in this label, so that they are looked at one by one.
    pub(in crate::policy) fn is_individual(&self, key: &str) -> bool {
        self.individual_index(key).is_some()
    }

    fn individual_index(&self, key: &str) -> Option<usize> {
        self.individual.binary_search_by(|name| key_order(name, key)).ok()
    }
}

/// A node with all of its labels.
#[derive(Clone, Copy, Debug)]
pub struct Member<'c> {
    class: &'c Class,
    node: &'c ClassNode,
}

impl<'c> Member<'c> {
    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&'c str> {
        match self.class.individual_index(key) {
            Some(index) => self.node.individual.get(index).and_then(Option::as_deref),
            None => self.class.label(key),
        }
    }

    /// The node's name.
    pub fn name(&self) -> &'c Arc<str> {
        &self.node.name
    }
}
