//! Sets of values, for which a look-up costs the same however long the list was.

use std::collections::HashSet;

/// The largest length of a list that is searched one by one, which is faster than hashing.
const FEW: usize = 16;

/// A set of label values or names.
#[derive(Clone, Debug)]
pub(super) enum ValueSet<'p> {
    /// At most [`FEW`] values, in any order.
    Few(Vec<&'p str>),
    /// More than [`FEW`] values.
    Many(HashSet<&'p str>),
}

impl Default for ValueSet<'_> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<'p> ValueSet<'p> {
    pub(super) fn contains(&self, value: &str) -> bool {
        match self {
            Self::Few(values) => values.contains(&value),
            Self::Many(values) => values.contains(value),
        }
    }

    pub(super) fn insert(&mut self, value: &'p str) {
        match self {
            Self::Few(values) if values.contains(&value) => {}
            Self::Few(values) if values.len() < FEW => values.push(value),
            Self::Few(values) => {
                let mut many: HashSet<&str> = values.drain(..).collect();
                many.insert(value);
                *self = Self::Many(many);
            }
            Self::Many(values) => {
                values.insert(value);
            }
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        match self {
            Self::Few(values) => values.retain(|value| keep(value)),
            Self::Many(values) => values.retain(|value| keep(value)),
        }
    }

    /// Whether `holds` is true for one of the values.
    pub(super) fn any(&self, holds: impl Fn(&'p str) -> bool) -> bool {
        match self {
            Self::Few(values) => values.iter().any(|value| holds(value)),
            Self::Many(values) => values.iter().any(|value| holds(value)),
        }
    }

    /// Returns the values for which `holds` is true, in order, so that no answer depends on the order of a
    /// hash.
    pub(super) fn sorted_where(&self, holds: impl Fn(&str) -> bool) -> Vec<&'p str> {
        let mut values: Vec<&str> = match self {
            Self::Few(values) => values.iter().copied().filter(|value| holds(value)).collect(),
            Self::Many(values) => values.iter().copied().filter(|value| holds(value)).collect(),
        };
        values.sort_unstable();
        values
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(values) => values.len(),
            Self::Many(values) => values.len(),
        }
    }
}

impl<'p> FromIterator<&'p str> for ValueSet<'p> {
    fn from_iter<I: IntoIterator<Item = &'p str>>(values: I) -> Self {
        let mut set = Self::default();
        for value in values {
            set.insert(value);
        }
        set
    }
}
