//! The findings as JSON, for machines: `docs/check.schema.json` is their schema.

use serde_json::{Value, json};

use super::{Checked, verdict};
use crate::check::CheckFinding;

/// Renders `{"verdict": …, "findings": […]}`. With several clusters, each finding names its cluster.
pub(super) fn render(checked: &[Checked]) -> Result<String, serde_json::Error> {
    let several = checked.len() > 1;
    let findings: Vec<Value> = checked
        .iter()
        .flat_map(|it| {
            it.fitness.findings.iter().map(move |found| {
                let mut value = finding(found);
                if several {
                    value["cluster"] = json!(it.name);
                }
                value
            })
        })
        .collect();
    serde_json::to_string_pretty(&json!({ "verdict": verdict(checked), "findings": findings }))
}

fn finding(finding: &CheckFinding) -> Value {
    json!({
        "rule": finding.rule.as_str(),
        "status": finding.status.as_str(),
        "severity": finding.severity.as_str(),
        "pool": finding.pool,
        "node": finding.node,
        "object": finding.object,
        "message": finding.message(),
        "fix": finding.fix,
    })
}
