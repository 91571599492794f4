//! What a check finds.

use std::fmt;

use crate::policy::mode::RuleName;

/// One constraint, held against one part of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFinding {
    /// Which constraint.
    pub rule: Constraint,
    /// Whether it holds.
    pub status: Status,
    /// What it means if it does not.
    pub severity: FindingSeverity,
    /// The pool concerned.
    pub pool: Option<String>,
    /// The node concerned, where it is one.
    pub node: Option<String>,
    /// The object concerned, as `Kind namespace/name`, or the address of a Terraform resource.
    pub object: Option<String>,
    /// What is, in one sentence without a full stop.
    pub fact: String,
    /// Why it matters, likewise.
    pub why: Option<&'static str>,
    /// The command that mends it, or what to do where there is none.
    pub fix: Option<String>,
}

/// A constraint: a rule of the webhook, or what only a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Constraint {
    /// A rule of the webhook, by what stands already.
    Rule(RuleName),
    /// A pool has nodes enough that are ready.
    PoolSize,
    /// Pods of the system have nodes of their own.
    SystemPool,
    /// An instance has its namespace and a pool of its own.
    Instance,
    /// A volume is where its instance's pool is.
    VolumeZone,
}

impl Constraint {
    /// Every constraint, the rules first.
    pub fn all() -> impl Iterator<Item = Self> {
        let others = [Self::PoolSize, Self::SystemPool, Self::Instance, Self::VolumeZone];
        RuleName::ALL.into_iter().map(Self::Rule).chain(others)
    }

    /// As outputs spell it.
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

/// Whether a constraint holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It holds.
    Pass,
    /// The input does not tell.
    Unknown,
    /// It does not hold.
    Fail,
}

impl Status {
    /// As outputs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }
}

/// What it means that a constraint does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingSeverity {
    /// Good to know.
    Note,
    /// AutoMQ is weaker for it.
    Warning,
    /// AutoMQ fails, now or at its next change.
    Error,
}

impl FindingSeverity {
    /// As outputs spell it.
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

    /// What is, and why it matters.
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
