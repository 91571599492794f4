//! A verdict to bytes.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer};

use super::{API_VERSION, KIND};
use crate::policy::{
    mode::RuleName,
    request::Request,
    verdict::{Denials, Outcome, Record, Verdict},
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
    status: Option<Status<'a>>,
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
            rule: record.rule().map(RuleName::as_str),
            pool: record.pool(),
            node: record.node(),
            exempt: record.exemption.as_deref(),
        }
    }
}

/// What a client sees of a denial.
#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    reason: &'static str,
    #[serde(serialize_with = "texts")]
    message: &'a Denials,
}

/// Every reason, written without making a text of it first.
fn texts<S: Serializer>(denials: &Denials, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&fmt::from_fn(|f| {
        denials.iter().enumerate().try_for_each(|(index, denial)| {
            f.write_str(if index > 0 { "; " } else { "" })?;
            write!(f, "{}", denial.denial())
        })
    }))
}

/// A denial's message and annotations fit into this, so that an answer is one allocation.
const ANSWER_BYTES: usize = 1536;
/// The same of an allow with nothing to say.
const PLAIN_BYTES: usize = 256;

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
        warnings: warnings.iter().flat_map(|warning| warning.warning_texts()).collect(),
        audit_annotations: verdict.gravest().map(Annotations::from),
    };
    match outcome {
        Outcome::Allow(operations) if operations.is_empty() => {}
        Outcome::Allow(operations) => {
            response.patch = Some(STANDARD.encode(serde_json::to_vec(operations)?));
            response.patch_type = Some("JSONPatch");
        }
        Outcome::Deny(denials) => {
            response.status = Some(Status { code: 403, reason: "Forbidden", message: denials });
        }
    }
    let is_plain = response.audit_annotations.is_none();
    let mut bytes = Vec::with_capacity(if is_plain { PLAIN_BYTES } else { ANSWER_BYTES });
    serde_json::to_writer(&mut bytes, &Review { kind: KIND, api_version: API_VERSION, response })?;
    Ok(bytes)
}
