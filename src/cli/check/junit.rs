//! The findings as a report for a build server. A finding that `--fail-on` counts is a failure, and a check
//! that the input does not answer is skipped.

use std::collections::BTreeMap;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{Checked, FailOn, whole};
use crate::{
    check::{CheckFinding, Status},
    cli::markup::xml_text as text,
};

/// Renders the report without times, so that the same findings are the same text.
pub(super) fn render(checked: &[Checked], fail_on: FailOn) -> Result<String, SerializeError> {
    let mut report = Report::new("poolguard check");
    report.add_test_suites(checked.iter().map(|it| suite(it, fail_on)));
    report.to_string()
}

fn suite(checked: &Checked, fail_on: FailOn) -> TestSuite {
    let Checked { name, fitness, .. } = checked;
    let whole = whole(fitness);
    let mut suite = TestSuite::new(text(name));
    let mut names = Names::default();
    for finding in &fitness.findings {
        suite.add_test_case(case(finding, whole, fail_on, &mut names));
    }
    suite.set_system_out(text(&fitness.verdict()));
    suite
}

/// The names of the cases so far, each with the number of its occurrences.
#[derive(Default)]
struct Names(BTreeMap<String, usize>);

impl Names {
    /// Returns the name of a case: the constraint and the object that it is about, never a sentence. A build
    /// server follows a case by its name from run to run, and tells the cases of a run apart by it. A name
    /// that occurs again therefore gets a number.
    fn of(&mut self, finding: &CheckFinding, whole: &str) -> String {
        let CheckFinding { rule, pool, node, object, .. } = finding;
        let name = match (object, node, pool) {
            (Some(object), _, _) => format!("{rule} {object}"),
            (None, Some(node), _) => format!("{rule} Node {node}"),
            (None, None, Some(pool)) => format!("{rule} pool {pool}"),
            (None, None, None) => format!("{rule} {whole}"),
        };
        let count = self.0.entry(name.clone()).or_default();
        *count += 1;
        if *count == 1 { name } else { format!("{name} ({count})") }
    }
}

fn case(finding: &CheckFinding, whole: &str, fail_on: FailOn, names: &mut Names) -> TestCase {
    let pool = finding.pool.as_deref().unwrap_or(whole);
    let name = names.of(finding, whole);
    let message = finding.message();
    let fix = finding.fix.as_deref().unwrap_or_default();
    let severity = finding.severity.as_str();
    let (mut status, mut out) = (TestCaseStatus::success(), None);
    if fail_on.counts(finding.status, finding.severity) {
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type(severity).set_message(text(&message)).set_description(text(fix));
    } else if finding.status == Status::Unknown {
        status = TestCaseStatus::skipped();
        status.set_message(text(&message));
    } else if finding.status == Status::Fail {
        out = Some(text(&format!("{severity}: {message}\n{fix}")));
    }
    let mut case = TestCase::new(text(&name), status);
    case.set_classname(text(&format!("{pool}.{}", finding.rule)));
    case.system_out = out;
    case
}
