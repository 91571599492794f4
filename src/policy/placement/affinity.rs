//! `nodeSelector` and required node affinity, against one node or against what is known of many.

use crate::policy::{
    name::{NameError, check_label_key, check_label_value},
    object::{NodeSelectorRequirement, NodeSelectorTerm, PodSpec},
};

/// Whether something matches, where not every fact is known. The order makes AND a minimum and OR
/// a maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// It does not match, whatever the unknown facts are.
    No,
    /// It depends on a fact that is not known.
    Maybe,
    /// It matches, whatever the unknown facts are.
    Yes,
}

impl From<bool> for Answer {
    fn from(matches: bool) -> Self {
        if matches { Self::Yes } else { Self::No }
    }
}

/// What is known of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelFact<'a> {
    /// The label has this value.
    Is(&'a str),
    /// The label is not there.
    Absent,
    /// The label has one of these values.
    Among(&'a [String]),
    /// The label is there, with some value.
    Present,
    /// Nothing is known.
    Unknown,
}

impl<'a> LabelFact<'a> {
    /// The value, if there is only one that the label can have.
    pub fn value(self) -> Option<&'a str> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Among(_) | Self::Present | Self::Unknown => None,
        }
    }
}

/// What is known of a node's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFact<'a> {
    /// This name.
    Is(&'a str),
    /// Some name.
    Unknown,
}

/// A node, or what several nodes have in common.
pub trait NodeFacts {
    /// What is known of a label.
    fn label(&self, key: &str) -> LabelFact<'_>;

    /// What is known of the name.
    fn name(&self) -> NameFact<'_>;

    /// Whether a node of this name can be meant. Asked only if the name is unknown.
    fn may_be_named(&self, name: &str) -> bool {
        let _ = name;
        true
    }
}

impl<T: NodeFacts + ?Sized> NodeFacts for &T {
    fn label(&self, key: &str) -> LabelFact<'_> {
        T::label(self, key)
    }

    fn name(&self) -> NameFact<'_> {
        T::name(self)
    }

    fn may_be_named(&self, name: &str) -> bool {
        T::may_be_named(self, name)
    }
}

/// Whether `nodeSelector` and the required node affinity match.
pub fn node_affinity(spec: &PodSpec<'_>, node: &(impl NodeFacts + ?Sized)) -> Answer {
    let selector = spec
        .node_selector
        .iter()
        .map(|(key, value)| fact_matches(node.label(key), |is| is == value, Answer::No))
        .min()
        .unwrap_or(Answer::Yes);
    if selector == Answer::No {
        return Answer::No;
    }
    match spec.required_node_affinity() {
        None => selector,
        Some(required) => {
            let terms = required.node_selector_terms.iter();
            selector.min(terms.map(|term| term_matches(term, node)).max().unwrap_or(Answer::No))
        }
    }
}

/// Why a term cannot be read, so that it matches nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermError {
    /// The key is no label key.
    #[error("key `{0}` {1}")]
    Key(String, NameError),
    /// A value is no label value.
    #[error("value `{0}` {1}")]
    Value(String, NameError),
    /// The operator is not known here.
    #[error("operator `{0}` is not known for {1}")]
    Operator(String, &'static str),
    /// The operator takes another number of values.
    #[error("operator {0} does not take {1} values")]
    Count(String, usize),
    /// `Gt` and `Lt` compare integers.
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

fn term_matches(term: &NodeSelectorTerm<'_>, node: &(impl NodeFacts + ?Sized)) -> Answer {
    if term.is_empty() || check_term(term).is_err() {
        return Answer::No;
    }
    let labels = term
        .expressions()
        .iter()
        .map(|requirement| requirement_holds(requirement, node.label(&requirement.key)));
    let fields = term.fields().iter().map(|requirement| field_matches(requirement, node));
    labels.chain(fields).min().unwrap_or(Answer::No)
}

/// Whether a requirement of a readable term holds for what is known of its label.
pub fn requirement_holds(requirement: &NodeSelectorRequirement<'_>, fact: LabelFact<'_>) -> Answer {
    let NodeSelectorRequirement { key: _, operator, values } = requirement;
    let is_listed = |value: &str| values.iter().any(|listed| listed.as_str() == value);
    let compares = |holds: fn(&i64, &i64) -> bool| {
        let bound = values.first().and_then(|value| value.parse::<i64>().ok());
        move |value: &str| match (value.parse::<i64>(), bound) {
            (Ok(value), Some(bound)) => holds(&value, &bound),
            _ => false,
        }
    };
    match operator.as_str() {
        "Exists" if fact == LabelFact::Present => Answer::Yes,
        "DoesNotExist" if fact == LabelFact::Present => Answer::No,
        "In" => fact_matches(fact, is_listed, Answer::No),
        "NotIn" => fact_matches(fact, |value| !is_listed(value), Answer::Yes),
        "Exists" => fact_matches(fact, |_| true, Answer::No),
        "DoesNotExist" => fact_matches(fact, |_| false, Answer::Yes),
        "Gt" => fact_matches(fact, compares(i64::gt), Answer::No),
        "Lt" => fact_matches(fact, compares(i64::lt), Answer::No),
        _ => Answer::No,
    }
}

/// Asks `holds` of every value that the label can have, and takes `absent` where it is not there.
fn fact_matches(fact: LabelFact<'_>, holds: impl Fn(&str) -> bool, absent: Answer) -> Answer {
    match fact {
        LabelFact::Is(value) => holds(value).into(),
        LabelFact::Absent => absent,
        LabelFact::Among(values) => {
            let matching = values.iter().filter(|value| holds(value)).count();
            match matching {
                0 => Answer::No,
                some if some == values.len() => Answer::Yes,
                _ => Answer::Maybe,
            }
        }
        LabelFact::Present | LabelFact::Unknown => Answer::Maybe,
    }
}

/// A node has one field, its name; any other field reads as empty.
fn field_matches(
    requirement: &NodeSelectorRequirement<'_>,
    node: &(impl NodeFacts + ?Sized),
) -> Answer {
    let wanted = requirement.values.first().map_or("", |value| value.as_str());
    let equal = if requirement.key == "metadata.name" {
        match node.name() {
            NameFact::Is(name) => (name == wanted).into(),
            NameFact::Unknown if node.may_be_named(wanted) => Answer::Maybe,
            NameFact::Unknown => Answer::No,
        }
    } else {
        wanted.is_empty().into()
    };
    match (requirement.operator.as_str(), equal) {
        ("In", equal) => equal,
        (_, Answer::No) => Answer::Yes,
        (_, Answer::Maybe) => Answer::Maybe,
        (_, Answer::Yes) => Answer::No,
    }
}
