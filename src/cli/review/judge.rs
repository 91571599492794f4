//! The decision about one document. It passes through both phases, as if the API server had sent it.

use std::{fmt, sync::Arc};

use anyhow::Context;
use json_patch::PatchOperation;
use serde_json::{Value, json};

use crate::{
    admission::review::{self, Malformed, Requester, create_review, parse},
    json::{self, text::cut},
    kubernetes::object::{WorkloadKind, custom_templates, makes_pods},
    policy::{
        Phase, Policy, decide,
        principal::User,
        request::{Change, Operation, Request, RequestObjects, Target},
        snapshot::Snapshot,
        verdict::{Finding, Outcome, Record, Verdict},
    },
};

pub(in crate::cli) struct Judge<'a> {
    pub(in crate::cli) policy: &'a Policy,
    pub(in crate::cli) snapshot: &'a Snapshot,
    pub(in crate::cli) asker: Requester,
}

/// A document that was decided.
pub(in crate::cli) struct Reviewed {
    pub(in crate::cli) file: String,
    pub(in crate::cli) uid: String,
    pub(in crate::cli) operation: &'static str,
    pub(in crate::cli) resource: String,
    pub(in crate::cli) namespace: String,
    pub(in crate::cli) name: String,
    pub(in crate::cli) allowed: bool,
    pub(in crate::cli) denials: Vec<Arc<Finding>>,
    pub(in crate::cli) warnings: Vec<Arc<Finding>>,
    pub(in crate::cli) patch: Vec<PatchOperation>,
    pub(in crate::cli) records: Vec<Record>,
    /// Whether no rule reads this kind, although its objects make pods.
    pub(in crate::cli) is_not_judged: bool,
    /// Whether the manifest is of a pod that a cluster has stored.
    pub(in crate::cli) is_stored_pod: bool,
}

/// A file or document that PoolGuard could not decide.
pub(in crate::cli) struct UnreadableFile {
    pub(in crate::cli) file: String,
    pub(in crate::cli) error: String,
}

/// The field of a document that does not have the shape that the API requires.
pub(super) struct Misshapen {
    pub(super) path: json::JsonPath,
    expected: String,
    found: Option<Value>,
}

impl Misshapen {
    /// Finds the field that an error is about, in a document or in the object that its review was made of.
    pub(super) fn of(error: &anyhow::Error, document: &Value) -> Option<Self> {
        let Malformed::Json(error) = error.downcast_ref()? else { return None };
        let is_review = document.get("kind").and_then(Value::as_str) == Some(review::KIND);
        let path = if is_review {
            error.path().clone()
        } else {
            error.path().below(&["request", "object"])?
        };
        let found = path.steps().iter().try_fold(document, |value, step| match step {
            json::PathStep::Key(key) => value.get(key),
            json::PathStep::Index(index) => value.get(index),
        });
        let expected = error.expectation().to_owned();
        Some(Self { expected, found: found.cloned(), path })
    }
}

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, expected, found } = self;
        if !path.steps().is_empty() {
            write!(f, "{path}: ")?;
        }
        write!(f, "expected {expected}")?;
        match found {
            // What a mapping lacks is said already.
            None | Some(Value::Object(_)) => {}
            Some(Value::Array(_)) => f.write_str(", found a list")?,
            Some(scalar) => write!(f, ", found {}", cut(scalar.to_string(), FOUND_BYTES_MAX))?,
        }
        let is_bare = matches!(found, Some(Value::Bool(_) | Value::Number(_)));
        if is_bare && expected == "a string" { write!(f, "; put it in quotes") } else { Ok(()) }
    }
}

/// The largest number of bytes of a value in a message. Longer values are cut.
const FOUND_BYTES_MAX: usize = 64;

/// Whether the manifest is of a pod that a cluster has stored: only the API server gives an object a `uid`.
fn is_stored_pod(document: &Value) -> bool {
    document.get("kind").and_then(Value::as_str) == Some("Pod")
        && document.pointer("/metadata/uid").is_some_and(Value::is_string)
}

impl Judge<'_> {
    pub(super) fn review(&self, file: String, document: &Value) -> anyhow::Result<Reviewed> {
        let is_review = document.get("kind").and_then(Value::as_str) == Some(review::KIND);
        if !is_review && let Some(reviewed) = self.review_custom(&file, document)? {
            return Ok(reviewed);
        }
        let is_not_judged = !is_review && makes_pods(document);
        let is_stored_pod = !is_review && is_stored_pod(document);
        let document = document.clone();
        let mut review = if is_review { document } else { create_review(document, &self.asker)? };
        let mutated = self.decide(Phase::Mutate, &review)?;
        let patch = match &mutated.verdict.outcome {
            Outcome::Allow(operations) => operations.clone(),
            // The validating phase denies it as well, and says more.
            Outcome::Deny(_) => Vec::new(),
        };
        if !patch.is_empty() {
            let object =
                review.pointer_mut("/request/object").context("the review has no object")?;
            json_patch::patch(object, &patch).context("the patch does not apply to the object")?;
        }
        let validated = self.decide(Phase::Validate, &review)?;
        let Target { operation, namespace, name, .. } = &validated.target;
        let denials = match &validated.verdict.outcome {
            Outcome::Allow(_) => Vec::new(),
            Outcome::Deny(denials) => denials.iter().cloned().collect(),
        };
        // What the mutating phase says before a backstop does, the validating phase says again.
        let mut warnings = mutated.verdict.warnings;
        warnings.retain(|it| !validated.verdict.warnings.contains(it));
        warnings.extend(validated.verdict.warnings);
        let mut records = mutated.verdict.records;
        records.retain(|it| !validated.verdict.records.contains(it));
        records.extend(validated.verdict.records);
        Ok(Reviewed {
            file,
            uid: validated.uid,
            operation: operation.as_str(),
            resource: validated.target.full_resource(),
            namespace: namespace.to_string(),
            name: name.to_string(),
            allowed: denials.is_empty(),
            denials,
            warnings,
            patch,
            records,
            is_not_judged,
            is_stored_pod,
        })
    }

    /// Reviews an object of a custom kind by its pod templates. Returns `None` if PoolGuard knows no template
    /// in it.
    fn review_custom(&self, file: &str, document: &Value) -> anyhow::Result<Option<Reviewed>> {
        let templates = custom_templates(document);
        let Some((first, _)) = templates.first() else { return Ok(None) };
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
        let namespace = text("/metadata/namespace").unwrap_or(&self.asker.namespace).to_owned();
        let mut reviewed = Reviewed {
            file: file.to_owned(),
            uid: "manifest".to_owned(),
            operation: Operation::Create.as_str(),
            resource: format!("{}.{}", first.plural, first.group),
            namespace: namespace.clone(),
            name: text("/metadata/name").unwrap_or_default().to_owned(),
            allowed: true,
            denials: Vec::new(),
            warnings: Vec::new(),
            patch: Vec::new(),
            records: Vec::new(),
            is_not_judged: false,
            is_stored_pod: false,
        };
        for (template, found) in &templates {
            let object = json!({
                "metadata": document.get("metadata"),
                "spec": { "template": found },
            });
            let object = object.to_string();
            let workload = json::from_str(&object).map_err(Malformed::Json)?;
            let request = Request {
                uid: reviewed.uid.as_str().into(),
                target: Target {
                    operation: Operation::Create,
                    group: template.group.into(),
                    version: "".into(),
                    resource: template.plural.into(),
                    sub_resource: "".into(),
                    namespace: namespace.as_str().into(),
                    name: reviewed.name.as_str().into(),
                },
                user: User {
                    name: self.asker.user.as_str().into(),
                    groups: self.asker.groups.iter().map(|it| it.as_str().into()).collect(),
                },
                dry_run: true,
                subject: RequestObjects::Workload(
                    WorkloadKind::Custom(template),
                    Box::new(Change::Create { new: workload }),
                ),
                raw_objects: None,
            };
            let verdict = decide(self.policy, self.snapshot, Phase::Validate, &request);
            if let Outcome::Deny(denials) = &verdict.outcome {
                reviewed.denials.extend(denials.iter().cloned());
            }
            reviewed.warnings.extend(verdict.warnings);
            reviewed.records.extend(verdict.records);
        }
        reviewed.allowed = reviewed.denials.is_empty();
        Ok(Some(reviewed))
    }

    fn decide(&self, phase: Phase, review: &Value) -> Result<Decided, Malformed> {
        let Self { policy, snapshot, asker: _ } = self;
        let body = serde_json::to_vec(review)?;
        let request = parse(&body, |target| policy.reads(snapshot, phase, target))?;
        let verdict = decide(policy, snapshot, phase, &request);
        let target = request.target.to_static();
        Ok(Decided { uid: request.uid.to_string(), target, verdict })
    }
}

struct Decided {
    uid: String,
    target: Target<'static>,
    verdict: Verdict,
}
