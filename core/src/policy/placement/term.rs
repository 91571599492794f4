//! Terms of a required node affinity, as the scheduler reads them.

use crate::kubernetes::{
    name::{NameError, check_label_key, check_label_value},
    object::{NodeSelectorRequirement, NodeSelectorTerm},
};

/// The field by which a term selects nodes; a node has no other.
pub(super) const NAME_FIELD: &str = "metadata.name";

/// The reason why a term cannot be read. Such a term matches nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermError {
    /// A key that is not a label key.
    #[error("key `{0}` {1}")]
    Key(String, NameError),
    /// A value that is not a label value.
    #[error("value `{0}` {1}")]
    Value(String, NameError),
    /// An operator that does not exist for labels or for fields.
    #[error("operator `{0}` does not exist for {1}")]
    Operator(String, &'static str),
    /// A number of values that the operator does not take.
    #[error("operator {0} does not take {1} values")]
    Count(String, usize),
    /// A value of `Gt` or `Lt` that is not an integer.
    #[error("value `{0}` is not an integer")]
    Integer(String),
}

/// Checks what the scheduler checks when it reads a term. One bad requirement spoils its term.
pub fn check_term(term: &NodeSelectorTerm<'_>) -> Result<(), TermError> {
    for NodeSelectorRequirement { key, operator, values } in term.expressions() {
        check_label_key(key).map_err(|why| TermError::Key(key.to_string(), why))?;
        let counts = match operator.as_str() {
            "In" | "NotIn" => !values.is_empty(),
            "Exists" | "DoesNotExist" => values.is_empty(),
            "Gt" | "Lt" => values.len() == 1,
            other => return Err(TermError::Operator(other.to_owned(), "labels")),
        };
        if !counts {
            return Err(TermError::Count(operator.to_string(), values.len()));
        }
        for value in values {
            if matches!(operator.as_str(), "Gt" | "Lt") && value.parse::<i64>().is_err() {
                return Err(TermError::Integer(value.to_string()));
            }
            check_label_value(value).map_err(|why| TermError::Value(value.to_string(), why))?;
        }
    }
    for NodeSelectorRequirement { key: _, operator, values } in term.fields() {
        match operator.as_str() {
            "In" | "NotIn" if values.len() == 1 => {}
            "In" | "NotIn" => return Err(TermError::Count(operator.to_string(), values.len())),
            other => return Err(TermError::Operator(other.to_owned(), "fields")),
        }
    }
    Ok(())
}
