//! A verdict to bytes.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::{API_VERSION, KIND};
use crate::policy::{
    mode::RuleName,
    request::Request,
    verdict::{Finding, Outcome, Record, Verdict},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    kind: &'static str,
    api_version: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_annotations: Option<Annotations<'a>>,
}

/// What the API server writes into its audit log, under the name of the webhook.
#[derive(Serialize)]
struct Annotations<'a> {
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exempt: Option<&'a str>,
}

impl<'a> From<&'a Record> for Annotations<'a> {
    fn from(record: &'a Record) -> Self {
        Self {
            decision: record.decision.as_str(),
            rule: record.rule.map(RuleName::as_str),
            pool: record.pool.as_deref(),
            node: record.node.as_deref(),
            exempt: record.exemption.as_deref(),
        }
    }
}

/// What a client sees of a denial.
#[derive(Serialize)]
struct Status {
    code: u16,
    reason: &'static str,
    message: String,
}

/// A denial's message and annotations fit into this, so that an answer is one allocation.
const ANSWER_BYTES: usize = 1024;

/// Writes the answer to a request.
///
/// # Errors
/// None in practice: there is no map with keys that are not text, which alone JSON cannot write.
pub fn render(request: &Request<'_>, verdict: &Verdict) -> Result<Vec<u8>, serde_json::Error> {
    let Verdict { outcome, warnings, records: _ } = verdict;
    let mut response = Response {
        uid: &request.uid,
        allowed: verdict.is_allowed(),
        status: None,
        patch: None,
        patch_type: None,
        warnings: warnings.iter().flat_map(Finding::warning_texts).collect(),
        audit_annotations: verdict.gravest().map(Annotations::from),
    };
    match outcome {
        Outcome::Allow(operations) if operations.is_empty() => {}
        Outcome::Allow(operations) => {
            response.patch = Some(STANDARD.encode(serde_json::to_vec(operations)?));
            response.patch_type = Some("JSONPatch");
        }
        Outcome::Deny(denials) => {
            let texts: Vec<String> = denials.iter().map(Finding::denial_text).collect();
            response.status =
                Some(Status { code: 403, reason: "Forbidden", message: texts.join("; ") });
        }
    }
    let mut bytes = Vec::with_capacity(ANSWER_BYTES);
    serde_json::to_writer(&mut bytes, &Review { kind: KIND, api_version: API_VERSION, response })?;
    Ok(bytes)
}
