//! The results as JSON, for machines.

use serde_json::{Value, json};

use super::judge::{Reviewed, UnreadableFile};
use crate::policy::{
    mode::{Mode, RuleName},
    verdict::{Finding, Record},
};

/// Renders `{"results": […], "errors": […]}`, in the order of the input.
pub(super) fn render(
    results: &[Reviewed],
    errors: &[UnreadableFile],
) -> Result<String, serde_json::Error> {
    let results: Vec<Value> = results.iter().map(result).collect();
    let errors: Vec<Value> =
        errors.iter().map(|it| json!({ "file": it.file, "error": it.error })).collect();
    serde_json::to_string_pretty(&json!({ "results": results, "errors": errors }))
}

fn result(reviewed: &Reviewed) -> Value {
    json!({
        "file": reviewed.file,
        "uid": reviewed.uid,
        "operation": reviewed.operation,
        "resource": reviewed.resource,
        "namespace": reviewed.namespace,
        "name": reviewed.name,
        "allowed": reviewed.allowed,
        "judged": !reviewed.is_not_judged,
        "denials": reviewed.denials.iter().map(|it| denial(it)).collect::<Vec<_>>(),
        "warnings": reviewed.warnings.iter().flat_map(|it| it.warning_texts()).collect::<Vec<_>>(),
        "patch": reviewed.patch,
        "records": reviewed.records.iter().map(record).collect::<Vec<_>>(),
    })
}

fn denial(finding: &Finding) -> Value {
    json!({
        "rule": finding.rule.as_str(),
        "message": finding.denial(),
        "field": finding.field,
        "pool": finding.pool.as_deref(),
        "node": finding.node.as_deref(),
    })
}

fn record(record: &Record) -> Value {
    json!({
        "decision": record.decision.as_str(),
        "rule": record.rule().map(RuleName::as_str),
        "mode": record.mode.map(Mode::as_str),
        "message": record.message(),
        "field": record.field(),
        "pool": record.pool(),
        "node": record.node(),
        "exempt": record.exemption,
    })
}
