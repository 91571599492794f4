//! Refusals, as the `Status` objects of a real API server.

use serde_json::{Value, json};

use super::resources::Resource;

/// Why a request is refused.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    reason: &'static str,
    message: String,
    details: Value,
}

impl Failure {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: json!({}) }
    }

    /// About an object.
    fn about(mut self, resource: &Resource, name: &str) -> Self {
        self.details = json!({ "group": resource.group, "kind": resource.plural });
        if !name.is_empty() {
            self.details["name"] = json!(name);
        }
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::new(404, "NotFound", message).about(resource, name)
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::new(409, "Conflict", message).about(resource, name)
    }

    pub(crate) fn modified(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        Self::conflict(resource, name, why)
    }

    pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let quoted = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let message = format!("{}{quoted} is forbidden: {why}", resource.qualified());
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    /// Causes are a reason, a field and a message each.
    pub(crate) fn invalid(
        resource: &Resource,
        name: &str,
        causes: &[(&str, String, String)],
    ) -> Self {
        let all: Vec<String> =
            causes.iter().map(|(_, field, message)| format!("{field}: {message}")).collect();
        let all = if all.len() == 1 { all.concat() } else { format!("[{}]", all.join(", ")) };
        let message = format!("{} \"{name}\" is invalid: {all}", resource.qualified_kind());
        let mut failure = Self::new(422, "Invalid", message);
        let causes = causes.iter().map(
            |(reason, field, message)| json!({"reason": reason, "field": field, "message": message}),
        );
        failure.details = json!({
            "name": name,
            "group": resource.group,
            "kind": resource.kind,
            "causes": causes.collect::<Value>(),
        });
        failure
    }

    /// Conflicts of server-side apply: the manager and the field of each.
    pub(crate) fn owned_by_others(api_version: &str, conflicts: &[(String, String)]) -> Self {
        let one = |manager: &str| format!("conflict with \"{manager}\" using {api_version}");
        let message = if let [(manager, field)] = conflicts {
            format!("Apply failed with 1 conflict: {}: {field}", one(manager))
        } else {
            let lines =
                conflicts.iter().map(|(manager, field)| format!("\n- {}: {field}", one(manager)));
            format!("Apply failed with {} conflicts:{}", conflicts.len(), lines.collect::<String>())
        };
        let mut failure = Self::new(409, "Conflict", message);
        let causes = conflicts.iter().map(|(manager, field)| {
            json!({"reason": "FieldManagerConflict", "message": one(manager), "field": field})
        });
        failure.details = json!({ "causes": causes.collect::<Value>() });
        failure
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.details["retryAfterSeconds"] = json!(seconds);
        self
    }

    /// The refusals that a test asks for.
    pub(crate) fn injected(code: u16) -> Self {
        match code {
            401 => Self::unauthorized(),
            403 => Self::new(403, "Forbidden", "forbidden: refused by the test"),
            404 => Self::no_such_path(),
            409 => Self::new(409, "Conflict", "refused by the test"),
            410 => Self::expired("refused by the test"),
            429 => Self::new(
                429,
                "TooManyRequests",
                "The apiserver is overloaded, please try again later.",
            ),
            500 => Self::new(500, "InternalError", "Internal error occurred: refused by the test"),
            503 => Self::new(
                503,
                "ServiceUnavailable",
                "the server is currently unable to handle the request",
            ),
            504 => Self::new(504, "Timeout", "Timeout: request did not complete within the time"),
            _ => Self::new(code, "", "refused by the test"),
        }
    }

    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.details["retryAfterSeconds"].as_u64()
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        });
        if self.details.as_object().is_some_and(|details| !details.is_empty()) {
            status["details"] = self.details.clone();
        }
        status
    }
}
