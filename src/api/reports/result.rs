//! A line of a report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SOURCE;
use crate::{
    api::object_ref::ObjectRef,
    json::text::cut,
    policy::{mode::RuleName, verdict::Finding},
};

/// Longer messages are cut.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Viewers group by it.
const CATEGORY: &str = "AutoMQ node pools";

/// One thing that was judged, as both kinds of reports have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportResult {
    /// Who judged.
    pub source: String,
    /// The rule.
    pub policy: String,
    /// The same value in all results of PoolGuard.
    pub category: String,
    /// How grave.
    pub severity: ReportSeverity,
    /// What came out.
    pub result: ReportOutcome,
    /// Whether it counts against the cluster.
    #[serde(default)]
    pub scored: bool,
    /// Since when it stands, or when it happened last.
    pub timestamp: Timestamp,
    /// The object, if it is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Value>,
    /// What happened, and what to do about it.
    pub message: String,
    /// `process`, `pool`, `node`, `field`, `count`, `first`: those that there are.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// Unix time, as `metav1.Timestamp` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp {
    /// Seconds.
    pub seconds: i64,
    /// Always 0.
    pub nanos: i32,
}

/// What comes out of judging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportOutcome {
    /// The rule holds.
    Pass,
    /// It does not, or a request was denied.
    Fail,
    /// It does not, but its mode only warns.
    Warn,
    /// It could not be judged.
    Error,
    /// It is off.
    Skip,
}

/// How grave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportSeverity {
    /// AutoMQ fails, now or at its next change.
    High,
    /// AutoMQ is weaker for it.
    Medium,
    /// Good to know.
    Low,
    /// Nothing is wrong.
    Info,
}

/// What judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// The scan.
    Scan,
    /// A request.
    Admission,
}

impl ReportOutcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [Self::Pass, Self::Fail, Self::Warn, Self::Error, Self::Skip];

    /// As reports spell it.
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
    /// How grave it is to break a rule.
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
    /// What a rule found. `at` is Unix time, in seconds.
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
        result.resources = object.map(ObjectRef::of_report).into_iter().collect();
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

    /// What there is to say of a policy as a whole.
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

    /// It stands for so many.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.properties.insert("count".to_owned(), count.to_string());
        self
    }

    /// For how many it stands.
    pub fn count(&self) -> u64 {
        self.properties.get("count").and_then(|text| text.parse().ok()).unwrap_or(1)
    }

    /// What makes it the same as one of an earlier look.
    pub(super) fn identity(&self) -> (&str, ReportOutcome, &str, String) {
        let objects = Value::Array(self.resources.clone()).to_string();
        (&self.policy, self.result, &self.message, objects)
    }
}
