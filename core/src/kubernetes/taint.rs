//! Taints and tolerations, as Kubernetes' own `ToleratesTaint` has them.

use std::fmt;

use serde::Serialize;

use crate::json::{
    read_object,
    text::{Text, write_parts},
};

/// A node's taint.
///
/// The effect stays text: an effect that this version does not know keeps no pod out, and must
/// not make a node unreadable.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Taint<'a> {
    /// Label key.
    pub key: Text<'a>,
    /// The value, which may be empty.
    pub value: Text<'a>,
    /// `NoSchedule`, `NoExecute` or `PreferNoSchedule`.
    pub effect: Text<'a>,
}

/// The effect that keeps pods from being scheduled.
pub const NO_SCHEDULE: &str = "NoSchedule";
/// The effect that keeps pods from being scheduled and evicts those that run.
pub const NO_EXECUTE: &str = "NoExecute";

/// The effect that asks the scheduler to avoid the node, and keeps no pod out.
pub const PREFER_NO_SCHEDULE: &str = "PreferNoSchedule";

impl Taint<'_> {
    /// Whether the taint keeps out a pod that does not tolerate it. `PreferNoSchedule` does not.
    pub fn keeps_pods_out(&self) -> bool {
        self.effect == NO_SCHEDULE || self.effect == NO_EXECUTE
    }

    /// A copy that borrows nothing.
    pub fn to_static(&self) -> Taint<'static> {
        let own = |text: &Text<'_>| Text::from(text.to_string());
        Taint { key: own(&self.key), value: own(&self.value), effect: own(&self.effect) }
    }
}

impl Taint<'static> {
    /// Reads `key=value:Effect` or `key:Effect`.
    pub fn parse(text: &str) -> Option<Self> {
        let (pair, effect) = text.rsplit_once(':')?;
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some(Self::of_cloud(key, value, effect))
    }

    /// A taint whose effect is spelled as a cloud's API has it, such as `NO_SCHEDULE` or `no-schedule`.
    pub fn of_cloud(key: &str, value: &str, effect: &str) -> Self {
        let letters = effect.chars().filter(|it| !matches!(it, '_' | '-'));
        let spelled: String = letters.map(|it| it.to_ascii_lowercase()).collect();
        let known = [NO_SCHEDULE, NO_EXECUTE, PREFER_NO_SCHEDULE];
        let known = known.into_iter().find(|it| it.eq_ignore_ascii_case(&spelled));
        let effect = known.unwrap_or(effect).to_owned();
        let own = |text: &str| Text::from(text.to_owned());
        Self { key: own(key), value: own(value), effect: Text::from(effect) }
    }
}

impl Taint<'_> {
    /// The parts of the displayed text.
    pub(crate) fn parts(&self) -> [&str; 5] {
        let Self { key, value, effect } = self;
        let equals = if value.is_empty() { "" } else { "=" };
        [key, equals, value, ":", effect]
    }
}

impl fmt::Display for Taint<'_> {
    /// `dedicated=automq:NoSchedule`, as kubectl takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_parts(f, self.parts())
    }
}

/// A pod's toleration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Toleration<'a> {
    /// The key; an empty key stands for every key.
    #[serde(skip_serializing_if = "is_empty")]
    pub key: Text<'a>,
    /// `Equal` (the meaning of empty), `Exists`, `Lt` or `Gt`.
    #[serde(skip_serializing_if = "is_empty")]
    pub operator: Text<'a>,
    /// The value, which is compared unless the operator is `Exists`.
    #[serde(skip_serializing_if = "is_empty")]
    pub value: Text<'a>,
    /// The effect; an empty effect stands for every effect.
    #[serde(skip_serializing_if = "is_empty")]
    pub effect: Text<'a>,
}

fn is_empty(text: &Text<'_>) -> bool {
    text.is_empty()
}

/// Whether `Lt` and `Gt` compare (feature gate `TaintTolerationComparisonOperators`) or never match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComparisonOperators {
    /// The gate is on: integers are compared.
    On,
    /// The gate is off, as by default.
    Off,
}

impl Toleration<'_> {
    /// Whether this toleration tolerates `taint`.
    pub fn tolerates(&self, taint: &Taint<'_>, comparison: ComparisonOperators) -> bool {
        if !self.effect.is_empty() && self.effect != taint.effect {
            return false;
        }
        if !self.key.is_empty() && self.key != taint.key {
            return false;
        }
        match self.operator.as_str() {
            "" | "Equal" => self.value == taint.value,
            "Exists" => true,
            "Lt" => comparison == ComparisonOperators::On && compare(taint, self, i64::lt),
            "Gt" => comparison == ComparisonOperators::On && compare(taint, self, i64::gt),
            _ => false,
        }
    }
}

fn compare(taint: &Taint<'_>, toleration: &Toleration<'_>, holds: fn(&i64, &i64) -> bool) -> bool {
    match (decimal(&taint.value), decimal(&toleration.value)) {
        (Some(taint), Some(toleration)) => holds(&taint, &toleration),
        _ => false,
    }
}

/// A decimal integer without leading zeros or plus sign, as the API validates both sides.
fn decimal(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = match digits.as_bytes() {
        [b'0'] => text == "0",
        [b'1'..=b'9', ..] => true,
        _ => false,
    };
    if canonical { text.parse().ok() } else { None }
}

impl Toleration<'_> {
    /// `{key: dedicated, operator: Exists}`: the fields that are set, as YAML.
    pub(crate) fn write_yaml(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let Self { key, operator, value, effect } = self;
        let fields = [("key", key), ("operator", operator), ("value", value), ("effect", effect)];
        let mut separator = "{";
        for (name, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
            write_parts(out, [separator, name, ": ", text])?;
            separator = ", ";
        }
        out.write_str(if separator == "{" { "{}" } else { "}" })
    }
}

impl fmt::Display for Toleration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_yaml(f)
    }
}

/// The first toleration that tolerates `taint`, with its index.
pub fn tolerating<'t, 'a>(
    tolerations: &'t [Toleration<'a>],
    taint: &Taint<'_>,
    comparison: ComparisonOperators,
) -> Option<(usize, &'t Toleration<'a>)> {
    tolerations.iter().enumerate().find(|(_, toleration)| toleration.tolerates(taint, comparison))
}

/// Whether every taint that keeps pods out is tolerated.
pub fn tolerates_all<'t>(
    tolerations: &[Toleration<'_>],
    mut taints: impl Iterator<Item = &'t Taint<'t>>,
    comparison: ComparisonOperators,
) -> bool {
    taints.all(|taint| {
        !taint.keeps_pods_out() || tolerating(tolerations, taint, comparison).is_some()
    })
}

read_object!(Taint { "key" => key, "value" => value, "effect" => effect });
read_object!(Toleration {
    "key" => key,
    "operator" => operator,
    "value" => value,
    "effect" => effect,
});
