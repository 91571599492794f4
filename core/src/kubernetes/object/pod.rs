//! A pod: where it may run, and what it tolerates.

use super::metadata::{Labels, Metadata};
use crate::{
    json::{Cursor, JsonError, Read, read_object, text::Text},
    kubernetes::taint::Toleration,
};

/// A Pod.
#[derive(Clone, Debug, Default)]
pub struct Pod<'a> {
    /// `metadata`.
    pub metadata: Metadata<'a>,
    /// `spec`, without which there is no pod to decide.
    pub spec: PodSpec<'a>,
}

/// The fields that decide where a pod can land, and its identity. `None` is absent or `null`, which a patch must
/// tell from an empty list.
#[derive(Clone, Debug, Default)]
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
    /// Returns a copy without `nodeName`: the scheduler chooses the node.
    #[must_use]
    pub fn without_node_name(&self) -> Self {
        Self { node_name: Text::default(), ..self.clone() }
    }

    /// Returns a copy without affinity.
    #[must_use]
    pub fn without_affinity(&self) -> Self {
        Self { affinity: None, ..self.clone() }
    }

    /// The service account: `default` if the pod names none.
    pub fn service_account(&self) -> &str {
        let names = [&self.service_account_name, &self.service_account];
        names.into_iter().find(|name| !name.is_empty()).map_or("default", |name| name.as_str())
    }

    /// The required node affinity. Present without terms, it matches no node.
    pub fn required_node_affinity(&self) -> Option<&NodeSelector<'a>> {
        self.affinity.as_ref()?.node_affinity.as_ref()?.required.as_ref()
    }

    /// Whether this pod can land where the other pod can, because all fields that decide it are the same.
    pub fn is_placed_like(&self, other: &PodSpec<'_>) -> bool {
        self.node_name == *other.node_name
            && self.node_selector == other.node_selector
            && self.tolerations() == other.tolerations()
            && self.required_node_affinity() == other.required_node_affinity()
    }

    /// The tolerations, an absent list being empty.
    pub fn tolerations(&self) -> &[Toleration<'a>] {
        self.tolerations.as_deref().unwrap_or_default()
    }
}

/// `spec.affinity`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affinity<'a> {
    /// `nodeAffinity`.
    pub node_affinity: Option<NodeAffinity<'a>>,
}

/// `spec.affinity.nodeAffinity`; preferences are not read, since they keep no pod out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeAffinity<'a> {
    /// `requiredDuringSchedulingIgnoredDuringExecution`.
    pub required: Option<NodeSelector<'a>>,
}

/// Terms of which one must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSelector<'a> {
    /// The terms; without terms, no node matches.
    pub node_selector_terms: Vec<NodeSelectorTerm<'a>>,
}

/// Requirements that must all hold; an empty term matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeSelectorTerm<'a> {
    /// Requirements on labels.
    pub match_expressions: Option<Vec<NodeSelectorRequirement<'a>>>,
    /// Requirements on fields; `metadata.name` is the only one that a node has.
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeSelectorRequirement<'a> {
    /// Label key or field path.
    pub key: Text<'a>,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`; anything else cannot be read.
    pub operator: Text<'a>,
    /// The values; how many there may be depends on the operator.
    pub values: Vec<Text<'a>>,
}

/// An entry of `spec.topologySpreadConstraints`.
#[derive(Clone, Debug, Default)]
pub struct TopologySpreadConstraint<'a> {
    /// The label that names the domains.
    pub topology_key: Text<'a>,
}

impl<'a> Read<'a> for Pod<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        let mut has_spec = false;
        cursor.object(|key, cursor| match key.as_str() {
            "metadata" => cursor.fill(&mut self.metadata),
            "spec" => {
                has_spec = cursor.peek() != Some(b'n');
                cursor.fill(&mut self.spec)
            }
            _ => cursor.skip(),
        })?;
        if has_spec { Ok(()) } else { Err(cursor.expected("a pod with a spec")) }
    }
}

read_object!(PodSpec {
    "nodeName" => node_name,
    "serviceAccountName" => service_account_name,
    "serviceAccount" => service_account,
    "nodeSelector" => node_selector,
    "tolerations" => tolerations,
    "affinity" => affinity,
    "topologySpreadConstraints" => topology_spread_constraints,
});
read_object!(Affinity { "nodeAffinity" => node_affinity });
read_object!(NodeAffinity { "requiredDuringSchedulingIgnoredDuringExecution" => required });
read_object!(NodeSelector { "nodeSelectorTerms" => node_selector_terms });
read_object!(NodeSelectorTerm {
    "matchExpressions" => match_expressions,
    "matchFields" => match_fields,
});
read_object!(NodeSelectorRequirement { "key" => key, "operator" => operator, "values" => values });
read_object!(TopologySpreadConstraint { "topologyKey" => topology_key });
