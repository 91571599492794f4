//! The findings of a check.

use std::fmt;

use crate::policy::mode::RuleName;

/// One constraint, held against one part of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFinding {
    /// The constraint.
    pub rule: Constraint,
    /// The status: whether the constraint holds.
    pub status: Status,
    /// The weight of the finding if the constraint does not hold.
    pub severity: FindingSeverity,
    /// The pool concerned.
    pub pool: Option<String>,
    /// The node concerned, where it is one.
    pub node: Option<String>,
    /// The object concerned, as `Kind namespace/name`, or the address of a Terraform resource.
    pub object: Option<String>,
    /// The fact, in one sentence without a full stop.
    pub fact: String,
    /// The reason why the fact matters, also without a full stop at the end.
    pub why: Option<&'static str>,
    /// The command that repairs the problem, or advice if there is no such command.
    pub fix: Option<String>,
}

/// A constraint: a rule of the webhook, or a requirement that only a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Constraint {
    /// A rule of the webhook, judged by the objects that exist already.
    Rule(RuleName),
    /// The constraint that a pool has enough nodes that are ready.
    PoolSize,
    /// The constraint that pods of the system have nodes of their own.
    SystemPool,
    /// The constraint that an instance has its namespace and a pool of its own.
    Instance,
    /// The constraint that a volume is where its instance's pool is.
    VolumeZone,
}

impl Constraint {
    /// Every constraint, the rules first.
    pub fn all() -> impl Iterator<Item = Self> {
        let others = [Self::PoolSize, Self::SystemPool, Self::Instance, Self::VolumeZone];
        RuleName::ALL.into_iter().map(Self::Rule).chain(others)
    }

    /// Returns the name of the constraint, as outputs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.as_str(),
            Self::PoolSize => "pool-size",
            Self::SystemPool => "system-pool",
            Self::Instance => "instance",
            Self::VolumeZone => "volume-zone",
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The status of a constraint: whether it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// The constraint holds.
    Pass,
    /// The input does not show whether the constraint holds.
    Unknown,
    /// The constraint does not hold.
    Fail,
}

impl Status {
    /// Returns the status, as outputs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }
}

/// The weight of a constraint that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingSeverity {
    /// A fact that is good to know.
    Note,
    /// A problem that makes AutoMQ weaker.
    Warning,
    /// A problem that makes AutoMQ fail, now or at its next change.
    Error,
}

impl FindingSeverity {
    /// Returns the severity, as outputs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl CheckFinding {
    fn new(rule: Constraint, status: Status, severity: FindingSeverity, fact: String) -> Self {
        Self {
            rule,
            status,
            severity,
            pool: None,
            node: None,
            object: None,
            fact,
            why: None,
            fix: None,
        }
    }

    pub(super) fn pass(
        rule: Constraint,
        severity: FindingSeverity,
        fact: impl Into<String>,
    ) -> Self {
        Self::new(rule, Status::Pass, severity, fact.into())
    }

    pub(super) fn unknown(
        rule: Constraint,
        severity: FindingSeverity,
        fact: impl Into<String>,
    ) -> Self {
        Self::new(rule, Status::Unknown, severity, fact.into())
    }

    pub(super) fn fail(
        rule: Constraint,
        severity: FindingSeverity,
        fact: impl Into<String>,
    ) -> Self {
        Self::new(rule, Status::Fail, severity, fact.into())
    }

    #[must_use]
    pub(super) fn pool(mut self, pool: &str) -> Self {
        self.pool = Some(pool.to_owned());
        self
    }

    /// Names the node, if it is only one.
    #[must_use]
    pub(super) fn nodes(mut self, nodes: &[&str]) -> Self {
        if let [node] = nodes {
            self.node = Some((*node).to_owned());
        }
        self
    }

    #[must_use]
    pub(super) fn object(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    #[must_use]
    pub(super) fn why(mut self, why: &'static str) -> Self {
        self.why = Some(why);
        self
    }

    #[must_use]
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Returns the fact, and the reason why it matters.
    pub fn message(&self) -> String {
        match self.why {
            Some(why) => format!("{}. {why}", self.fact),
            None => self.fact.clone(),
        }
    }

    /// Whether the constraint does not hold, with this severity.
    pub fn fails_with(&self, severity: FindingSeverity) -> bool {
        self.status == Status::Fail && self.severity == severity
    }
}
