//! Bindings: what a scheduler writes to put a pod on a node.

use super::metadata::Metadata;
use crate::json::{read_object, text::Text};

/// A Binding. It shows neither labels nor tolerations of the pod that it binds.
#[derive(Clone, Debug, Default)]
pub struct Binding<'a> {
    /// `metadata`; the name is the pod's.
    pub metadata: Metadata<'a>,
    /// `target`.
    pub target: BindingTarget<'a>,
}

/// `target` of a Binding.
#[derive(Clone, Debug, Default)]
pub struct BindingTarget<'a> {
    /// Name of the node.
    pub name: Text<'a>,
}

read_object!(Binding { "metadata" => metadata, "target" => target });
read_object!(BindingTarget { "name" => name });
