//! Reports of findings and denials, as the objects that report viewers read. The reports are values,
//! without a client and without a clock.
//!
//! Two kinds of objects are in use, `PolicyReport` of the Kubernetes policy working group and its
//! successor, `OpenReports`. Their results are the same, and so is what PoolGuard writes into them.

mod denials;
mod findings;
mod report_api;
mod result;
pub mod writer;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub use self::{
    denials::{UnreportedDenials, recent},
    findings::{Examined, ReportedFinding, Weight, reports},
    report_api::{ReportApi, ReportPlace},
    result::{Process, ReportOutcome, ReportResult, ReportSeverity, Timestamp},
};

/// The largest number of results in a report object. A result has up to two kilobytes, and an object has
/// to fit etcd, which takes 1.5 MiB.
pub const RESULTS_MAX: usize = 500;

/// The annotation with the number of results that did not fit into the report.
const LEFT_OUT: &str = "poolguard.io/left-out";

/// The name of PoolGuard as the source of a report and of its results. Report viewers show this name.
const SOURCE: &str = "poolguard";

/// The content of one report object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The results, at most [`RESULTS_MAX`].
    results: Vec<ReportResult>,
    left_out: usize,
}

impl Report {
    /// Creates a report from results, of which the most important ones come first. The report keeps the
    /// first [`RESULTS_MAX`] results and counts the others.
    pub fn new(mut results: Vec<ReportResult>) -> Self {
        let left_out = results.len().saturating_sub(RESULTS_MAX);
        results.truncate(RESULTS_MAX);
        Self { results, left_out }
    }

    /// Returns the results that the report keeps.
    pub fn results(&self) -> &[ReportResult] {
        &self.results
    }

    /// Reads the content of a report object of either kind. The report has no results if the object is
    /// not readable.
    pub fn read(object: &Value) -> Self {
        let results = object.get("results").cloned().unwrap_or_default();
        let left_out = object.pointer("/metadata/annotations").and_then(|it| it.get(LEFT_OUT));
        let left_out = left_out.and_then(Value::as_str).and_then(|text| text.parse().ok());
        Self {
            results: serde_json::from_value(results).unwrap_or_default(),
            left_out: left_out.unwrap_or_default(),
        }
    }

    /// Keeps the timestamps of the earlier report for the results that it contains already.
    #[must_use]
    pub fn since(mut self, before: &Self) -> Self {
        let known: BTreeMap<_, _> =
            before.results.iter().map(|result| (result.identity(), result.timestamp)).collect();
        for result in &mut self.results {
            if let Some(since) = known.get(&result.identity()) {
                result.timestamp = *since;
            }
        }
        self
    }

    /// Whether the object already has this content.
    pub fn is_said_by(&self, object: &Value) -> bool {
        *self == Self::read(object) && object.get("summary") == Some(&self.summary())
    }

    /// Creates the object with this content. `metadata` is the metadata of the existing object, or of the
    /// object to create.
    pub fn object(
        &self,
        api: ReportApi,
        is_namespaced: bool,
        mut metadata: Map<String, Value>,
    ) -> Value {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.remove(LEFT_OUT);
            if self.left_out > 0 {
                annotations.insert(LEFT_OUT.to_owned(), self.left_out.to_string().into());
            }
        }
        let mut object = json!({
            "apiVersion": api.group_version(),
            "kind": api.kind(is_namespaced),
            "metadata": metadata,
            "results": self.results,
            "summary": self.summary(),
        });
        if api == ReportApi::OpenReports {
            object["source"] = SOURCE.into();
            object["configuration"] = json!({"limits": {"maxResults": RESULTS_MAX}});
        }
        object
    }

    /// Counts the results of each outcome.
    fn summary(&self) -> Value {
        let count = |outcome| self.results.iter().filter(|it| it.result == outcome).count();
        ReportOutcome::ALL
            .into_iter()
            .map(|it| (it.as_str().to_owned(), json!(count(it))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{mode::RuleName, verdict::Finding};

    fn result(fact: &str, at: i64) -> ReportResult {
        let finding = Finding::new(RuleName::NodeTaint, fact).pool("a").node("n");
        ReportResult::of(&finding, Process::Scan, ReportOutcome::Fail, None, at)
    }

    #[test]
    fn what_is_written_reads_back() {
        let report = Report::new(vec![result("lost", 5), result("found", 6)]);
        for api in ReportApi::ALL {
            let object = report.object(api, false, Map::new());
            assert!(report.is_said_by(&object), "{object}");
            assert_eq!(object["summary"]["fail"], 2);
            assert_eq!(object["summary"]["pass"], 0);
        }
        let object = Report::default().object(ReportApi::OpenReports, true, Map::new());
        assert!(!report.is_said_by(&object));
    }

    #[test]
    fn a_finding_that_stays_keeps_its_time() {
        let before = Report::new(vec![result("lost", 5)]);
        let now = Report::new(vec![result("lost", 9), result("new", 9)]).since(&before);
        let times: Vec<i64> = now.results.iter().map(|it| it.timestamp.seconds).collect();
        assert_eq!(times, [5, 9]);
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let results: Vec<_> = (0..=RESULTS_MAX).map(|at| result(&at.to_string(), 0)).collect();
        let report = Report::new(results);
        let object = report.object(ReportApi::PolicyReport, false, Map::new());
        assert_eq!(object["results"].as_array().map(Vec::len), Some(RESULTS_MAX));
        assert_eq!(object["metadata"]["annotations"][LEFT_OUT], "1");
        assert!(report.is_said_by(&object));
        assert!(object.to_string().len() < 1_000_000);
    }

    #[test]
    fn a_broken_report_object_says_nothing() {
        let object = json!({"results": [{"policy": 1}], "summary": {}});
        assert_eq!(Report::read(&object), Report::default());
        assert!(!Report::default().is_said_by(&object));
    }
}
