//! Bindings: what a scheduler writes to put a pod on a node.

use serde::Deserialize;

use super::metadata::Metadata;
use crate::policy::text::{Text, null_as_default};

/// A Binding. It shows neither labels nor tolerations of the pod that it binds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), default)]
pub struct Binding<'a> {
    /// `metadata`; the name is the pod's.
    #[serde(deserialize_with = "null_as_default")]
    pub metadata: Metadata<'a>,
    /// `target`.
    #[serde(deserialize_with = "null_as_default")]
    pub target: Target<'a>,
}

/// `target` of a Binding.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), default)]
pub struct Target<'a> {
    /// Name of the node.
    pub name: Text<'a>,
}
