//! Pods.

use serde::Deserialize;

use super::metadata::{Labels, Metadata};
use crate::policy::{
    taint::Toleration,
    text::{Text, null_as_default},
};

/// A Pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct Pod<'a> {
    /// `metadata`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: Metadata<'a>,
    /// `spec`, without which there is no pod to decide.
    pub spec: PodSpec<'a>,
}

/// What decides where a pod can land, and who it is. `None` is absent or `null`, which a patch
/// must know from an empty list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), rename_all = "camelCase", default)]
pub struct PodSpec<'a> {
    /// The node, when it is fixed already.
    pub node_name: Text<'a>,
    service_account_name: Text<'a>,
    /// The deprecated spelling, which the API server fills in but a manifest may have alone.
    service_account: Text<'a>,
    /// `nodeSelector`.
    pub node_selector: Labels<'a>,
    /// `tolerations`.
    pub tolerations: Option<Vec<Toleration<'a>>>,
    /// `affinity`.
    pub affinity: Option<Affinity<'a>>,
    /// `topologySpreadConstraints`.
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint<'a>>>,
}

impl<'a> PodSpec<'a> {
    /// The service account; empty stands for `default`.
    pub fn service_account(&self) -> &str {
        if self.service_account_name.is_empty() {
            &self.service_account
        } else {
            &self.service_account_name
        }
    }

    /// The required node affinity. Present without terms, it matches no node.
    pub fn required_node_affinity(&self) -> Option<&NodeSelector<'a>> {
        self.affinity.as_ref()?.node_affinity.as_ref()?.required.as_ref()
    }

    /// The tolerations, an absent list being empty.
    pub fn tolerations(&self) -> &[Toleration<'a>] {
        self.tolerations.as_deref().unwrap_or_default()
    }
}

/// `spec.affinity`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), rename_all = "camelCase", default)]
pub struct Affinity<'a> {
    /// `nodeAffinity`.
    pub node_affinity: Option<NodeAffinity<'a>>,
}

/// `spec.affinity.nodeAffinity`; preferences are not read, since they keep no pod out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), default)]
pub struct NodeAffinity<'a> {
    /// `requiredDuringSchedulingIgnoredDuringExecution`.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Option<NodeSelector<'a>>,
}

/// Terms of which one must match.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), rename_all = "camelCase", default)]
pub struct NodeSelector<'a> {
    /// Without terms, no node matches.
    #[serde(deserialize_with = "null_as_default")]
    pub node_selector_terms: Vec<NodeSelectorTerm<'a>>,
}

/// Requirements that must all hold; an empty term matches nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), rename_all = "camelCase", default)]
pub struct NodeSelectorTerm<'a> {
    /// On labels.
    pub match_expressions: Option<Vec<NodeSelectorRequirement<'a>>>,
    /// On fields; `metadata.name` is the only one that a node has.
    pub match_fields: Option<Vec<NodeSelectorRequirement<'a>>>,
}

impl<'a> NodeSelectorTerm<'a> {
    /// Whether the term has no requirement, so that it matches nothing.
    pub fn is_empty(&self) -> bool {
        self.expressions().is_empty() && self.fields().is_empty()
    }

    /// `matchExpressions`, an absent list being empty.
    pub fn expressions(&self) -> &[NodeSelectorRequirement<'a>] {
        self.match_expressions.as_deref().unwrap_or_default()
    }

    /// `matchFields`, an absent list being empty.
    pub fn fields(&self) -> &[NodeSelectorRequirement<'a>] {
        self.match_fields.as_deref().unwrap_or_default()
    }
}

/// `key operator values`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), default)]
pub struct NodeSelectorRequirement<'a> {
    /// Label key or field path.
    pub key: Text<'a>,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`; anything else cannot be read.
    pub operator: Text<'a>,
    /// How many there may be depends on the operator.
    #[serde(deserialize_with = "null_as_default")]
    pub values: Vec<Text<'a>>,
}

/// An entry of `spec.topologySpreadConstraints`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), rename_all = "camelCase", default)]
pub struct TopologySpreadConstraint<'a> {
    /// The label that names the domains.
    pub topology_key: Text<'a>,
}
