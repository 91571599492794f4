//! The check whether a pod's own constraints already keep it within given requirements.

use crate::kubernetes::{
    object::{NodeSelectorRequirement, NodeSelectorTerm, PodSpec},
    selector::{Operator, Requirement},
};

/// The requirements that neither `nodeSelector` nor the term implies.
pub fn missing_in_term<'r>(
    spec: &PodSpec<'_>,
    term: Option<&NodeSelectorTerm<'_>>,
    requirements: &'r [Requirement],
) -> Vec<&'r Requirement> {
    let expressions = term.map(NodeSelectorTerm::expressions).unwrap_or_default();
    requirements
        .iter()
        .filter(|wanted| {
            let mut selector = spec.node_selector.iter();
            let by_selector =
                selector.any(|(key, value)| key == wanted.key && value_satisfies(wanted, value));
            !by_selector && !expressions.iter().any(|expression| implies(expression, wanted))
        })
        .collect()
}

fn value_satisfies(wanted: &Requirement, value: &str) -> bool {
    let is_listed = wanted.values.iter().any(|listed| listed == value);
    match wanted.operator {
        Operator::In => is_listed,
        Operator::NotIn => !is_listed,
        Operator::Exists => true,
        Operator::DoesNotExist => false,
    }
}

/// Whether every node that meets `expression` meets `wanted`.
fn implies(expression: &NodeSelectorRequirement<'_>, wanted: &Requirement) -> bool {
    if expression.key.as_str() != wanted.key {
        return false;
    }
    let values = &expression.values;
    match (expression.operator.as_str(), wanted.operator) {
        ("In", _) => {
            !values.is_empty() && values.iter().all(|value| value_satisfies(wanted, value))
        }
        ("NotIn", Operator::NotIn) => {
            wanted.values.iter().all(|refused| values.iter().any(|value| value.as_str() == refused))
        }
        ("DoesNotExist", operator) => matches!(operator, Operator::DoesNotExist | Operator::NotIn),
        ("Exists" | "Gt" | "Lt", operator) => operator == Operator::Exists,
        _ => false,
    }
}
