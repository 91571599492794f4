//! The findings as JSON, for programs.

use serde_json::{Value, json};

use super::finding::{StatusFinding, StatusReport};

/// Renders `{"verdict": …, "findings": […]}`.
pub(super) fn render(report: &StatusReport) -> Result<String, serde_json::Error> {
    let finding = |it: &StatusFinding| {
        json!({
            "check": it.check.as_str(),
            "status": it.status.as_str(),
            "severity": it.severity.as_str(),
            "message": it.message,
            "fix": it.fix,
        })
    };
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
    serde_json::to_string_pretty(&json!({ "verdict": report.verdict(), "findings": findings }))
}
