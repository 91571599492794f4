//! Writing of a verdict as the bytes of a review.

use std::iter;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{API_VERSION, KIND};
use crate::{
    json::{ObjectFields, write_object},
    policy::{
        request::Request,
        verdict::{Denials, Outcome, Record, Verdict},
    },
};

/// The initial capacity of an answer with a record. The message and the annotations of a denial fit into it, so
/// an answer is one allocation, and one that is small enough for glibc's caches, which end at 1,032 bytes.
const ANSWER_BYTES: usize = 1024;
/// The initial capacity of an answer without a record: the request is allowed, and there is nothing to say.
const PLAIN_BYTES: usize = 256;

/// Writes the answer to a request.
///
/// # Errors
/// In practice there is no error: JSON can write everything but a map with keys that are not text, and there is
/// no such map.
pub fn render(request: &Request<'_>, verdict: &Verdict) -> Result<Vec<u8>, serde_json::Error> {
    let Verdict { outcome, warnings, records: _ } = verdict;
    let patch = match outcome {
        Outcome::Allow(operations) if !operations.is_empty() => {
            Some(STANDARD.encode(serde_json::to_vec(operations)?))
        }
        Outcome::Allow(_) | Outcome::Deny(_) => None,
    };
    let record = verdict.gravest();
    let mut bytes = Vec::with_capacity(record.map_or(PLAIN_BYTES, |_| ANSWER_BYTES));
    write_object(&mut bytes, |review| {
        review.name("kind", KIND);
        review.name("apiVersion", API_VERSION);
        review.object("response", |response| {
            response.text("uid", &request.uid);
            response.bool("allowed", verdict.is_allowed());
            if let Outcome::Deny(denials) = outcome {
                response.object("status", |fields| status(fields, denials));
            }
            if let Some(patch) = &patch {
                response.text("patch", patch);
                response.name("patchType", "JSONPatch");
            }
            if !warnings.is_empty() {
                response.texts("warnings", warnings.iter().flat_map(|it| it.warning_texts()));
            }
            if let Some(record) = record {
                response.object("auditAnnotations", |fields| annotations(fields, record));
            }
        });
    });
    Ok(bytes)
}

/// Writes the `status` of a denial, which the client sees.
fn status(fields: &mut ObjectFields<'_>, denials: &Denials) {
    fields.number("code", 403_u16);
    fields.name("reason", "Forbidden");
    let parts = denials.iter().enumerate().flat_map(|(index, denial)| {
        iter::once(if index > 0 { "; " } else { "" }).chain(denial.denial_parts())
    });
    fields.parts("message", parts);
}

/// Writes the audit annotations, which the API server writes into its audit log under the name of the webhook.
fn annotations(fields: &mut ObjectFields<'_>, record: &Record) {
    fields.name("decision", record.decision.as_str());
    if let Some(rule) = record.rule() {
        fields.name("rule", rule.as_str());
    }
    let details =
        [("pool", record.pool()), ("node", record.node()), ("exempt", record.exemption.as_deref())];
    for (key, detail) in details {
        if let Some(text) = detail {
            fields.text(key, text);
        }
    }
}
