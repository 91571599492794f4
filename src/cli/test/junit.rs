//! The results as a report for a build server.

use anstream::adapter::strip_str;
use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{
    case::About,
    compare::Difference,
    report::{Outcome, TestReport, TestResult},
    table::Differences,
};
use crate::{cli::markup::xml_text, json::text::cut};

/// The width of texts: the report does not depend on the terminal.
const WIDTH: usize = 100;

/// The largest number of bytes of a message. Longer messages are cut; the text after them has everything.
const MESSAGE_BYTES_MAX: usize = 240;

/// Renders the report without times, so that the same results are the same text.
pub(super) fn render(report: &TestReport) -> Result<String, SerializeError> {
    let mut suite = TestSuite::new(xml_text(&report.place));
    suite.add_test_cases(report.results.iter().map(test_case));
    suite.set_system_out(xml_text(&report.summary()));
    let mut junit = Report::new("poolguard test");
    junit.add_test_suite(suite);
    junit.to_string()
}

fn test_case(result: &TestResult) -> TestCase {
    let About { name, title: _, why: _, kind } = &result.about;
    let status = match &result.outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Failed(differences) => {
            let text = Differences { differences, width: WIDTH }.to_string();
            let first = differences.first().map(Difference::one_line).unwrap_or_default();
            let first = cut(first, MESSAGE_BYTES_MAX);
            failed(NonSuccessKind::Failure, "difference", &first, &strip_str(&text).to_string())
        }
        Outcome::NotRun(mistake) => {
            failed(NonSuccessKind::Error, "mistake", mistake.headline(), &mistake.lines)
        }
    };
    let mut case = TestCase::new(xml_text(name), status);
    case.set_classname(xml_text(kind.as_deref().unwrap_or("poolguard")));
    case
}

fn failed(kind: NonSuccessKind, what: &str, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(what).set_message(xml_text(message)).set_description(xml_text(text));
    status
}
