//! Values of a resource in a plan, each of which is known, absent, or known later.

use serde_json::Value;

/// The values of a resource, and which of them are not known yet.
#[derive(Clone, Copy)]
pub(super) struct Values<'p> {
    pub(super) known: &'p Value,
    /// The unknown values, in the same shape, with `true` for each value that is not known.
    pub(super) unknown: &'p Value,
}

/// A value of a plan.
pub(super) enum Planned<'p> {
    Is(&'p Value),
    /// A value that neither the configuration nor the provider sets.
    Absent,
    Unknown,
}

impl<'p> Values<'p> {
    /// Returns the known and the unknown part of the value at `path`, which is in keys and indices:
    /// `scaling_config.0.desired_size`.
    pub(super) fn parts(self, path: &str) -> (Option<&'p Value>, Option<&'p Value>) {
        let (mut known, mut unknown) = (Some(self.known), Some(self.unknown));
        for step in path.split('.') {
            let index = step.parse::<usize>();
            let descend = |value: &'p Value| match index {
                Ok(index) => value.get(index),
                Err(_) => value.get(step),
            };
            known = known.and_then(descend);
            // Nothing below what is not known is.
            if unknown != Some(&Value::Bool(true)) {
                unknown = unknown.and_then(descend);
            }
        }
        (known, unknown)
    }

    /// The values of each item of a list.
    pub(super) fn items(self, path: &str) -> Vec<Self> {
        let (known, unknown) = self.parts(path);
        let known = known.and_then(Value::as_array).into_iter().flatten();
        let of_item = |(index, known)| {
            let unknown = match unknown {
                Some(all @ Value::Bool(true)) => Some(all),
                Some(list) => list.get(index),
                None => None,
            };
            Self { known, unknown: unknown.unwrap_or(&Value::Null) }
        };
        known.enumerate().map(of_item).collect()
    }

    pub(super) fn get(self, path: &str) -> Planned<'p> {
        match self.parts(path) {
            // A list with something unknown in it is not known.
            (_, Some(unknown)) if has_unknown(unknown) => Planned::Unknown,
            (None | Some(Value::Null), _) => Planned::Absent,
            (Some(known), _) => Planned::Is(known),
        }
    }

    /// A text, number or flag, as text.
    pub(super) fn text(self, path: &str) -> Option<String> {
        match self.get(path) {
            Planned::Is(value) => scalar(value),
            Planned::Absent | Planned::Unknown => None,
        }
    }

    /// Returns one text or several; `None` if there is none or one is not known.
    pub(super) fn texts(self, path: &str) -> Option<Vec<String>> {
        let texts: Vec<String> = match self.get(path) {
            Planned::Is(Value::Array(values)) => {
                values.iter().map(scalar).collect::<Option<_>>()?
            }
            Planned::Is(value) => vec![scalar(value)?],
            Planned::Absent | Planned::Unknown => return None,
        };
        (!texts.is_empty()).then_some(texts)
    }

    /// Whether the plan has a value at the path. A value that the provider may yet set does not count.
    pub(super) fn has_some(self, path: &str) -> bool {
        match self.parts(path).0 {
            None | Some(Value::Null) => false,
            Some(Value::Array(values)) => !values.is_empty(),
            Some(_) => true,
        }
    }
}

pub(super) fn has_unknown(unknown: &Value) -> bool {
    match unknown {
        Value::Bool(is_unknown) => *is_unknown,
        Value::Array(values) => values.iter().any(has_unknown),
        Value::Object(values) => values.values().any(has_unknown),
        Value::Null | Value::Number(_) | Value::String(_) => false,
    }
}

pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
