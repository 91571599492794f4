//! A node: its labels and taints.

use super::metadata::Metadata;
use crate::{json::read_object, kubernetes::taint::Taint};

/// A Node, without its status: a heartbeat has nothing that a rule reads.
#[derive(Clone, Debug, Default)]
pub struct Node<'a> {
    /// `metadata`.
    pub metadata: Metadata<'a>,
    /// `spec`; `None` is absent or `null`.
    pub spec: Option<NodeSpec<'a>>,
}

/// `spec` of a Node.
#[derive(Clone, Debug, Default)]
pub struct NodeSpec<'a> {
    /// `taints`; `None` is absent or `null`.
    pub taints: Option<Vec<Taint<'a>>>,
}

impl<'a> Node<'a> {
    /// The taints, an absent list being empty.
    pub fn taints(&self) -> &[Taint<'a>] {
        self.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
    }
}

read_object!(Node { "metadata" => metadata, "spec" => spec });
read_object!(NodeSpec { "taints" => taints });
