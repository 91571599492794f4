//! One result of a report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SOURCE;
use crate::{
    api::object_ref::ObjectRef,
    json::text::cut,
    policy::{mode::RuleName, verdict::Finding},
};

/// The largest number of bytes in a message. PoolGuard cuts longer messages.
const MESSAGE_BYTES_MAX: usize = 1024;

/// The category of all results of PoolGuard. Report viewers group results by it.
const CATEGORY: &str = "AutoMQ node pools";

/// One result, as both kinds of reports have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportResult {
    /// The name of the program that judged.
    pub source: String,
    /// The rule.
    pub policy: String,
    /// The same value in all results of PoolGuard.
    pub category: String,
    /// The severity of the result.
    pub severity: ReportSeverity,
    /// The outcome of the rule.
    pub result: ReportOutcome,
    /// Whether the result counts against the cluster.
    #[serde(default)]
    pub scored: bool,
    /// The time since which the result of a scan is the same, or the time of the last denial or warning.
    pub timestamp: Timestamp,
    /// The object that the result is about, if there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Value>,
    /// The description of what happened, and the remedy.
    pub message: String,
    /// The properties that are known, of `process`, `pool`, `node`, `field`, `count` and `first`.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// Unix time, as `metav1.Timestamp` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp {
    /// Seconds.
    pub seconds: i64,
    /// The nanoseconds, which are always 0.
    pub nanos: i32,
}

/// The outcome of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportOutcome {
    /// The rule holds.
    Pass,
    /// The rule does not hold, or PoolGuard denied a request.
    Fail,
    /// The rule does not hold, but its mode only warns.
    Warn,
    /// The scan could not judge the rule.
    Error,
    /// The rule is off.
    Skip,
}

/// The severity of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportSeverity {
    /// AutoMQ fails, now or at its next change.
    High,
    /// The problem makes AutoMQ weaker.
    Medium,
    /// A fact that is good to know.
    Low,
    /// A result without a problem.
    Info,
}

/// The process that judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// The scan.
    Scan,
    /// The admission of a request.
    Admission,
}

impl ReportOutcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [Self::Pass, Self::Fail, Self::Warn, Self::Error, Self::Skip];

    /// Returns the outcome as reports spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Skip => "skip",
        }
    }
}

impl Process {
    fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Admission => "admission",
        }
    }
}

impl ReportSeverity {
    /// Returns the severity of a broken rule.
    fn of(rule: RuleName) -> Self {
        match rule {
            RuleName::PodIntrusion
            | RuleName::NodeTaint
            | RuleName::NodeIdentity
            | RuleName::NodeZone
            | RuleName::RoleBinding => Self::High,
            RuleName::PodPlacement | RuleName::NodeMachineType | RuleName::NodePool => Self::Medium,
            RuleName::WorkloadIntrusion | RuleName::ClusterExclusive => Self::Low,
        }
    }
}

impl ReportResult {
    /// Creates the result of a finding. `at` is Unix time, in seconds.
    pub fn of(
        finding: &Finding,
        process: Process,
        outcome: ReportOutcome,
        object: Option<&ObjectRef>,
        at: i64,
    ) -> Self {
        let mut result =
            Self::about(finding.rule.as_str(), process, outcome, finding.message(), at);
        result.severity = ReportSeverity::of(finding.rule);
        result.resources = object.map(ObjectRef::report_reference).into_iter().collect();
        let properties = [
            ("pool", finding.pool.as_deref()),
            ("node", finding.node.as_deref()),
            ("field", finding.field.as_deref()),
        ];
        for (key, value) in properties {
            if let Some(value) = value {
                result.properties.insert(key.to_owned(), value.to_owned());
            }
        }
        result
    }

    /// Creates a result about a policy as a whole, without an object.
    pub(super) fn about(
        policy: &str,
        process: Process,
        outcome: ReportOutcome,
        message: String,
        at: i64,
    ) -> Self {
        Self {
            source: SOURCE.to_owned(),
            policy: policy.to_owned(),
            category: CATEGORY.to_owned(),
            severity: ReportSeverity::Info,
            result: outcome,
            scored: matches!(outcome, ReportOutcome::Pass | ReportOutcome::Fail),
            timestamp: Timestamp { seconds: at, nanos: 0 },
            resources: Vec::new(),
            message: cut(message, MESSAGE_BYTES_MAX),
            properties: BTreeMap::from([("process".to_owned(), process.as_str().to_owned())]),
        }
    }

    /// Sets the number of occurrences that the result stands for.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.properties.insert("count".to_owned(), count.to_string());
        self
    }

    /// Returns the number of occurrences that the result stands for.
    pub fn count(&self) -> u64 {
        self.properties.get("count").and_then(|text| text.parse().ok()).unwrap_or(1)
    }

    /// Returns the parts that identify the result: a result of an earlier scan with the same parts is the
    /// same result.
    pub(super) fn identity(&self) -> (&str, ReportOutcome, &str, String) {
        let objects = Value::Array(self.resources.clone()).to_string();
        (&self.policy, self.result, &self.message, objects)
    }
}
