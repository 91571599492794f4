//! Label selectors, as `metav1.LabelSelector` has them.

use std::fmt;

use serde_json::{Map, Value, json};

use super::name::{NameError, check_label_key, check_label_value};

/// Something with labels.
pub trait LabelSet {
    /// The value of a label.
    fn value(&self, key: &str) -> Option<&str>;
}

/// Requirements on labels that must all hold; without any, everything matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// One requirement of a label selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Label key.
    pub key: String,
    /// The operator, which says how the values are compared.
    pub operator: Operator,
    /// The values: at least one for `In` and `NotIn`, none for the others.
    pub values: Vec<String>,
}

/// Operators of a label selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The label is there, with one of the values.
    In,
    /// The label is absent, or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 4] = [Self::In, Self::NotIn, Self::Exists, Self::DoesNotExist];

    /// Returns the operator as the API writes it; node affinity has the same names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
        }
    }
}

/// The reason why a requirement is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequirementError {
    /// The key is not a label key.
    #[error("label key `{0}` {1}")]
    Key(String, NameError),
    /// A value is not a label value.
    #[error("label value `{0}` {1}")]
    Value(String, NameError),
    /// `In` or `NotIn` has no value to compare with.
    #[error("operator {0} needs at least one value")]
    NoValues(&'static str),
    /// `Exists` or `DoesNotExist` has values, but compares with none.
    #[error("operator {0} takes no values")]
    Values(&'static str),
}

impl Requirement {
    /// Makes a requirement, checking what the API server would check.
    pub fn new(
        key: impl Into<String>,
        operator: Operator,
        values: Vec<String>,
    ) -> Result<Self, RequirementError> {
        let key = key.into();
        if let Err(why) = check_label_key(&key) {
            return Err(RequirementError::Key(key, why));
        }
        match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                return Err(RequirementError::NoValues(operator.as_str()));
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                return Err(RequirementError::Values(operator.as_str()));
            }
            Operator::In | Operator::NotIn | Operator::Exists | Operator::DoesNotExist => {}
        }
        for value in &values {
            if let Err(why) = check_label_value(value) {
                return Err(RequirementError::Value(value.clone(), why));
            }
        }
        Ok(Self { key, operator, values })
    }

    /// Whether the requirement holds for these labels.
    pub fn matches(&self, labels: &impl LabelSet) -> bool {
        self.allows(labels.value(&self.key))
    }

    /// Whether the requirement holds for this value of its label, or for its absence.
    pub fn allows(&self, value: Option<&str>) -> bool {
        let is_listed = |value: &str| self.values.iter().any(|listed| listed == value);
        match self.operator {
            Operator::In => value.is_some_and(is_listed),
            Operator::NotIn => !value.is_some_and(is_listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }

    /// The requirement as node affinity has it.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("key".into(), json!(self.key));
        object.insert("operator".into(), json!(self.operator.as_str()));
        if !self.values.is_empty() {
            object.insert("values".into(), json!(self.values));
        }
        Value::Object(object)
    }
}

impl fmt::Display for Requirement {
    /// `key In [a, b]`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.operator.as_str())?;
        if self.values.is_empty() { Ok(()) } else { write!(f, " [{}]", self.values.join(", ")) }
    }
}

impl LabelSelector {
    /// A selector of these requirements.
    pub fn new(requirements: Vec<Requirement>) -> Self {
        Self { requirements }
    }

    /// The requirements; `matchLabels` are `In` with one value.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether there is no requirement, so that everything matches.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether every requirement holds for these labels.
    pub fn matches(&self, labels: &impl LabelSet) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// The selector as a `metav1.LabelSelector`.
    pub fn to_json(&self) -> Value {
        let mut labels = Map::new();
        let mut expressions = Vec::new();
        for requirement in &self.requirements {
            match (requirement.operator, requirement.values.as_slice()) {
                (Operator::In, [value]) if !labels.contains_key(&requirement.key) => {
                    labels.insert(requirement.key.clone(), json!(value));
                }
                _ => expressions.push(requirement.to_json()),
            }
        }
        let mut selector = Map::new();
        if !labels.is_empty() {
            selector.insert("matchLabels".into(), Value::Object(labels));
        }
        if !expressions.is_empty() {
            selector.insert("matchExpressions".into(), Value::Array(expressions));
        }
        Value::Object(selector)
    }
}

impl fmt::Display for LabelSelector {
    /// `a=b,c In [d, e]`, or `everything`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() {
            return f.write_str("everything");
        }
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match (requirement.operator, requirement.values.as_slice()) {
                (Operator::In, [value]) => write!(f, "{}={value}", requirement.key)?,
                _ => write!(f, "{requirement}")?,
            }
        }
        Ok(())
    }
}
