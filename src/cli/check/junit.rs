//! The findings for a build server: what `--fail-on` counts is a failure, what the
//! input does not tell is skipped.

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{Checked, FailOn, whole};
use crate::{
    check::{CheckFinding, Status},
    cli::markup::xml_text as text,
};

/// The report, without times: the same findings are the same text.
pub(super) fn render(checked: &[Checked], fail_on: FailOn) -> Result<String, SerializeError> {
    let mut report = Report::new("poolguard check");
    report.add_test_suites(checked.iter().map(|it| suite(it, fail_on)));
    report.to_string()
}

fn suite(checked: &Checked, fail_on: FailOn) -> TestSuite {
    let Checked { name, fitness, .. } = checked;
    let whole = whole(fitness);
    let mut suite = TestSuite::new(text(name));
    suite.add_test_cases(fitness.findings.iter().map(|it| case(it, whole, fail_on)));
    suite.set_system_out(text(&fitness.verdict()));
    suite
}

fn case(finding: &CheckFinding, whole: &str, fail_on: FailOn) -> TestCase {
    let pool = finding.pool.as_deref().unwrap_or(whole);
    // Two findings of a rule are two cases, and a build server tells cases apart by their name.
    let about = finding.object.as_deref().or(finding.node.as_deref());
    let name = about.unwrap_or(&finding.fact);
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
    let mut case = TestCase::new(text(name), status);
    case.set_classname(text(&format!("{pool}.{}", finding.rule)));
    case.system_out = out;
    case
}
