//! The requirements of a term or a `nodeSelector` on one label, as one test.

use std::cell::OnceCell;

use super::values::ValueSet;
use crate::{
    json::text::Text,
    kubernetes::object::NodeSelectorRequirement,
    policy::{
        pool::HOST_NAME_LABEL,
        snapshot::{NodeToCome, Snapshot},
    },
};

/// The test of all requirements on one label. Many requirements on a key cost as much as one.
#[derive(Clone, Debug)]
pub(in crate::policy) struct LabelTest<'p> {
    /// Label key.
    pub(in crate::policy) key: &'p str,
    presence: Presence,
    /// The values of `In`, of which the label must have one.
    listed: Option<ValueSet<'p>>,
    /// The values of `NotIn`, of which the label must have none.
    excluded: ValueSet<'p>,
    /// The bound of `Gt`: the label must be an integer above it.
    above: Option<i64>,
    /// The bound of `Lt`: the label must be an integer below it.
    below: Option<i64>,
    /// Whether any value meets the test, after the first evaluation.
    is_satisfiable: OnceCell<bool>,
}

/// The requirement on the presence of the label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Optional,
    Required,
    Forbidden,
    /// Required and forbidden at once, which no node meets.
    Contradictory,
}

/// The knowledge about a label of a node that is not there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelKnowledge<T> {
    /// The label has this value.
    Is(T),
    /// The label is absent.
    Absent,
    /// The label has one of these values, or may be absent as well.
    Among {
        /// The values.
        values: Vec<T>,
        /// Whether it may be absent.
        or_absent: bool,
    },
    /// The label has any value but these, or may be absent as well.
    NoneOf {
        /// The values.
        values: Vec<T>,
        /// Whether it may be absent.
        or_absent: bool,
    },
}

impl<T> LabelKnowledge<T> {
    /// The knowledge about a label of which nothing is known.
    pub(in crate::policy) const UNKNOWN: Self =
        Self::NoneOf { values: Vec::new(), or_absent: true };
}

impl<T: AsRef<str>> LabelKnowledge<T> {
    /// Whether the label may have this value.
    pub(super) fn may_be(&self, value: &str) -> bool {
        let has = |values: &[T]| values.iter().any(|it| it.as_ref() == value);
        match self {
            Self::Is(known) => known.as_ref() == value,
            Self::Absent => false,
            Self::Among { values, .. } => has(values),
            Self::NoneOf { values, .. } => !has(values),
        }
    }
}

impl<'p> LabelTest<'p> {
    pub(super) fn new(key: &'p str) -> Self {
        Self {
            key,
            presence: Presence::Optional,
            listed: None,
            excluded: ValueSet::default(),
            above: None,
            below: None,
            is_satisfiable: OnceCell::new(),
        }
    }

    /// The test of one requirement of a readable term.
    pub(in crate::policy) fn of(requirement: &'p NodeSelectorRequirement<'_>) -> Self {
        let mut test = Self::new(&requirement.key);
        test.add(requirement);
        test
    }

    /// Adds a requirement of a readable term on the same key.
    pub(super) fn add(&mut self, requirement: &'p NodeSelectorRequirement<'_>) {
        let NodeSelectorRequirement { key: _, operator, values } = requirement;
        let values = || values.iter().map(Text::as_str);
        let bound = || values().next().and_then(|value| value.parse::<i64>().ok());
        match operator.as_str() {
            "In" => {
                self.require();
                match &mut self.listed {
                    // What is left is a part of the shorter list, so that all of them cost their length.
                    Some(listed) => {
                        let further: ValueSet<'_> = values().collect();
                        listed.retain(|value| further.contains(value));
                    }
                    None => self.listed = Some(values().collect()),
                }
            }
            "NotIn" => values().for_each(|value| self.excluded.insert(value)),
            "Exists" => self.require(),
            "DoesNotExist" => {
                self.presence = match self.presence {
                    Presence::Optional | Presence::Forbidden => Presence::Forbidden,
                    Presence::Required | Presence::Contradictory => Presence::Contradictory,
                };
            }
            "Gt" => {
                self.require();
                self.above = self.above.max(bound());
            }
            "Lt" => {
                self.require();
                self.below = match (self.below, bound()) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
            }
            // `check_term` lets no other operator through.
            _ => self.presence = Presence::Contradictory,
        }
    }

    fn require(&mut self) {
        self.presence = match self.presence {
            Presence::Optional | Presence::Required => Presence::Required,
            Presence::Forbidden | Presence::Contradictory => Presence::Contradictory,
        };
    }

    /// Whether a node with this value, or without the label, meets the test.
    pub(in crate::policy) fn holds(&self, value: Option<&str>) -> bool {
        match value {
            Some(value) => self.allows_presence() && self.allows(value),
            None => matches!(self.presence, Presence::Optional | Presence::Forbidden),
        }
    }

    fn allows_presence(&self) -> bool {
        matches!(self.presence, Presence::Optional | Presence::Required)
    }

    fn allows(&self, value: &str) -> bool {
        let is_within = || {
            let Ok(number) = value.parse::<i64>() else { return false };
            self.above.is_none_or(|bound| number > bound)
                && self.below.is_none_or(|bound| number < bound)
        };
        self.listed.as_ref().is_none_or(|listed| listed.contains(value))
            && !self.excluded.contains(value)
            && ((self.above.is_none() && self.below.is_none()) || is_within())
    }

    /// Whether a node of which only this is known of the label may meet the test.
    pub(in crate::policy) fn may_hold<T: AsRef<str>>(&self, expected: &LabelKnowledge<T>) -> bool {
        match expected {
            LabelKnowledge::Is(value) => self.holds(Some(value.as_ref())),
            LabelKnowledge::Absent => self.holds(None),
            LabelKnowledge::Among { values, or_absent } => {
                let mut values = values.iter();
                (*or_absent && self.holds(None))
                    || values.any(|value| self.holds(Some(value.as_ref())))
            }
            LabelKnowledge::NoneOf { values, or_absent } => {
                let is_possible = |value: &str| !values.iter().any(|it| it.as_ref() == value);
                (*or_absent && self.holds(None))
                    || (self.is_satisfiable()
                        && (values.is_empty() || self.may_hold_for(is_possible)))
            }
        }
    }

    /// Whether a node to come may meet the test.
    pub(super) fn may_hold_on(&self, snapshot: &Snapshot, node: &NodeToCome) -> bool {
        if self.key == HOST_NAME_LABEL {
            self.may_hold_on_new_host(snapshot)
        } else {
            self.may_hold(node.expected(self.key))
        }
    }

    /// Whether a node with a host of its own may meet the test of the host's name.
    pub(super) fn may_hold_on_new_host(&self, snapshot: &Snapshot) -> bool {
        self.holds(None) || self.may_hold_for(|host| !snapshot.knows_host(host))
    }

    /// Whether any value meets the test.
    fn is_satisfiable(&self) -> bool {
        *self.is_satisfiable.get_or_init(|| self.may_hold_for(|_| true))
    }

    /// Whether there may be a value that meets the test, among those that are possible.
    pub(super) fn may_hold_for(&self, is_possible: impl Fn(&str) -> bool) -> bool {
        self.allows_presence()
            && match &self.listed {
                Some(listed) => listed.any(|value| is_possible(value) && self.allows(value)),
                // Of all other values, no list excludes every one.
                None => match (self.above, self.below) {
                    (Some(above), Some(below)) => above.checked_add(1).is_some_and(|it| it < below),
                    (Some(above), None) => above < i64::MAX,
                    (None, Some(below)) => below > i64::MIN,
                    (None, None) => true,
                },
            }
    }

    /// The values that the label must have one of, if the test lists them.
    pub(super) fn listed(&self) -> Option<&ValueSet<'p>> {
        self.listed.as_ref()
    }
}
