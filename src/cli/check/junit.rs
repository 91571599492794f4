//! The findings for a build server: what `--fail-on` counts is a failure, what the
//! input does not tell is skipped.

use std::fmt;

use super::{Checked, FailOn, markup::HtmlText, whole};
use crate::check::{CheckFinding, Status};

pub(super) struct JunitReport<'a> {
    pub(super) checked: &'a [Checked],
    pub(super) fail_on: FailOn,
}

impl fmt::Display for JunitReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
        writeln!(f, r#"<testsuites name="poolguard check">"#)?;
        for checked in self.checked {
            self.suite(f, checked)?;
        }
        writeln!(f, "</testsuites>")
    }
}

impl JunitReport<'_> {
    fn suite(&self, f: &mut fmt::Formatter<'_>, checked: &Checked) -> fmt::Result {
        let Checked { name, fitness, dump_command: _ } = checked;
        let findings = &fitness.findings;
        let whole = whole(fitness);
        let failures = findings.iter().filter(|it| self.fail_on.counts(it)).count();
        let skipped = findings.iter().filter(|it| self.is_skipped(it)).count();
        writeln!(
            f,
            r#"  <testsuite name="{}" tests="{}" failures="{failures}" errors="0" skipped="{skipped}">"#,
            HtmlText(name),
            findings.len()
        )?;
        for finding in findings {
            self.case(f, finding, whole)?;
        }
        writeln!(f, "    <system-out>{}</system-out>", HtmlText(&fitness.verdict()))?;
        writeln!(f, "  </testsuite>")
    }

    fn is_skipped(&self, finding: &CheckFinding) -> bool {
        finding.status == Status::Unknown && !self.fail_on.counts(finding)
    }

    fn case(&self, f: &mut fmt::Formatter<'_>, finding: &CheckFinding, whole: &str) -> fmt::Result {
        let pool = finding.pool.as_deref().unwrap_or(whole);
        // Two findings of a rule are two cases, and a build server tells cases apart by their name.
        let about = finding.object.as_deref().or(finding.node.as_deref());
        let name = about.unwrap_or(&finding.fact);
        write!(
            f,
            r#"    <testcase classname="{}.{}" name="{}">"#,
            HtmlText(pool),
            finding.rule,
            HtmlText(name)
        )?;
        let message = finding.message();
        let fix = finding.fix.as_deref().unwrap_or_default();
        let severity = finding.severity.as_str();
        if self.fail_on.counts(finding) {
            write!(
                f,
                r#"<failure type="{severity}" message="{}">{}</failure>"#,
                HtmlText(&message),
                HtmlText(fix)
            )?;
        } else if self.is_skipped(finding) {
            write!(f, r#"<skipped message="{}"/>"#, HtmlText(&message))?;
        } else if finding.status == Status::Fail {
            write!(
                f,
                "<system-out>{severity}: {}\n{}</system-out>",
                HtmlText(&message),
                HtmlText(fix)
            )?;
        }
        writeln!(f, "</testcase>")
    }
}
