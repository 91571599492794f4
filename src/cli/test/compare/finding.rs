//! The comparison of the findings of `check`.

use super::Difference;
use crate::{
    check::{CheckFinding, Status},
    cli::{page::count, test::raw::ExpectedFinding},
};

/// The largest number of findings that are shown. More findings are only counted.
const SHOWN_MAX: usize = 6;

/// Adds the findings that are missing, and those that should not be there.
pub(super) fn compare(
    has: &[ExpectedFinding],
    has_not: &[ExpectedFinding],
    findings: &[CheckFinding],
    differences: &mut Vec<Difference>,
) {
    for wanted in has {
        if findings.iter().any(|finding| is_meant(wanted, finding)) {
            continue;
        }
        let similar: Vec<_> =
            findings.iter().filter(|it| wanted.rule.as_deref() == Some(it.rule.as_str())).collect();
        let (got, said) = match (&wanted.rule, similar.as_slice()) {
            (Some(rule), []) => (format!("no finding of {rule}"), Vec::new()),
            (Some(_), similar) => (String::new(), limited(similar)),
            (None, _) => {
                ("no such finding".to_owned(), limited(&findings.iter().collect::<Vec<_>>()))
            }
        };
        let expected = format!("a finding with {}", shown(wanted));
        differences.push(Difference::new("findings", expected, got).saying(said));
    }
    for unwanted in has_not {
        let found: Vec<_> = findings.iter().filter(|it| is_meant(unwanted, it)).collect();
        if !found.is_empty() {
            let expected = format!("no finding with {}", shown(unwanted));
            differences.push(Difference::new("findings", expected, "").saying(limited(&found)));
        }
    }
}

fn is_meant(wanted: &ExpectedFinding, finding: &CheckFinding) -> bool {
    let ExpectedFinding { rule, status, severity, pool, node, object, says } = wanted;
    let is = |wanted: &Option<String>, found: Option<&str>| {
        wanted.is_none() || wanted.as_deref() == found
    };
    let text = format!("{} {}", finding.message(), finding.fix.as_deref().unwrap_or_default());
    is(rule, Some(finding.rule.as_str()))
        && is(status, Some(finding.status.as_str()))
        && is(severity, Some(finding.severity.as_str()))
        && is(pool, finding.pool.as_deref())
        && is(node, finding.node.as_deref())
        && is(object, finding.object.as_deref())
        && says.iter().all(|it| text.contains(it))
}

/// Returns an expected finding as text, for example `rule node-taint, status fail, pool pool-a`.
fn shown(wanted: &ExpectedFinding) -> String {
    let ExpectedFinding { rule, status, severity, pool, node, object, says } = wanted;
    let values = [
        ("rule", rule),
        ("status", status),
        ("severity", severity),
        ("pool", pool),
        ("node", node),
        ("object", object),
    ];
    let mut parts: Vec<_> = values
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key} {}", value.as_ref()?)))
        .collect();
    if !says.is_empty() {
        let says: Vec<_> = says.iter().map(String::as_str).collect();
        parts.push(format!("text {}", super::list(&says, "and")));
    }
    parts.join(", ")
}

/// Returns one line for each finding; those after the first ones are only counted.
pub(super) fn lines(findings: &[CheckFinding]) -> Vec<String> {
    limited(&findings.iter().collect::<Vec<_>>())
}

/// Returns one line for each of the first findings of a list, and the number of the others.
pub(super) fn limited(findings: &[&CheckFinding]) -> Vec<String> {
    let mut lines: Vec<_> = findings.iter().take(SHOWN_MAX).map(|it| line(it)).collect();
    let more = findings.len() - lines.len();
    if more > 0 {
        lines.push(format!("… and {}", count(more, "further finding")));
    }
    lines
}

/// A finding as text.
pub(super) fn line(finding: &CheckFinding) -> String {
    let CheckFinding { rule, status, severity, pool, .. } = finding;
    let severity = match status {
        Status::Pass => String::new(),
        Status::Fail | Status::Unknown => format!(" ({})", severity.as_str()),
    };
    let pool = pool.as_ref().map(|pool| format!(", pool {pool}")).unwrap_or_default();
    format!("{rule} {}{severity}{pool}: {}", status.as_str(), finding.message())
}
