//! What a real API server fills in and refuses, in webhook configurations and secrets.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{resources::Resource, status::Failure};

/// Fills in the defaults of an object.
pub(crate) fn fill(resource: &Resource, value: &mut Value) {
    if resource.plural == "secrets" {
        fill_secret(value);
    }
    if !resource.is_webhook_configuration() {
        return;
    }
    for webhook in value["webhooks"].as_array_mut().into_iter().flatten() {
        let Some(webhook) = webhook.as_object_mut() else { continue };
        let mut or = |key: &str, default: Value| {
            let present = webhook.get(key).is_some_and(|value| !value.is_null());
            if !present {
                webhook.insert(key.to_owned(), default);
            }
        };
        or("failurePolicy", json!("Fail"));
        or("matchPolicy", json!("Equivalent"));
        or("namespaceSelector", json!({}));
        or("objectSelector", json!({}));
        or("timeoutSeconds", json!(10));
        if resource.kind == "MutatingWebhookConfiguration" {
            or("reinvocationPolicy", json!("Never"));
        }
        for rule in webhook.get_mut("rules").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(rule) = rule.as_object_mut() {
                rule.entry("scope").or_insert_with(|| json!("*"));
            }
        }
        let service = webhook.get_mut("clientConfig").and_then(|config| config.get_mut("service"));
        if let Some(service) = service.and_then(Value::as_object_mut) {
            service.entry("port").or_insert_with(|| json!(443));
        }
    }
}

/// Texts become data, which is base64.
fn fill_secret(value: &mut Value) {
    let texts = value.as_object_mut().and_then(|secret| secret.remove("stringData"));
    for (key, text) in texts.iter().filter_map(Value::as_object).flatten() {
        value["data"][key] = json!(STANDARD.encode(text.as_str().unwrap_or_default()));
    }
    if value["type"].is_null() {
        value["type"] = json!("Opaque");
    }
}

fn check_secret(resource: &Resource, name: &str, value: &Value) -> Result<(), Failure> {
    let missing = ["tls.crt", "tls.key"].into_iter().filter(|&key| value["data"][key].is_null());
    let cause = |key| ("FieldValueRequired", format!("data[{key}]"), "Required value".to_owned());
    let causes: Vec<Cause> = missing.map(cause).collect();
    if value["type"] != "kubernetes.io/tls" || causes.is_empty() {
        return Ok(());
    }
    Err(Failure::invalid(resource, name, &causes))
}

/// Refuses what a real API server refuses.
pub(crate) fn check(resource: &Resource, name: &str, value: &Value) -> Result<(), Failure> {
    if resource.plural == "secrets" {
        return check_secret(resource, name, value);
    }
    if !resource.is_webhook_configuration() {
        return Ok(());
    }
    let mut causes = Vec::new();
    let mut names = BTreeSet::new();
    let webhooks = value["webhooks"].as_array().into_iter().flatten();
    for (index, webhook) in webhooks.enumerate() {
        let place = format!("webhooks[{index}]");
        let Some(webhook) = webhook.as_object() else {
            return Err(Failure::bad_request(format!("{place} is not an object")));
        };
        check_webhook(&place, webhook, &mut causes);
        let webhook_name = webhook.get("name").and_then(Value::as_str).unwrap_or_default();
        if !webhook_name.is_empty() && !names.insert(webhook_name.to_owned()) {
            let message = format!("Duplicate value: \"{webhook_name}\"");
            causes.push(("FieldValueDuplicate", format!("{place}.name"), message));
        }
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid(resource, name, &causes)) }
}

type Cause = (&'static str, String, String);

fn check_webhook(place: &str, webhook: &Map<String, Value>, causes: &mut Vec<Cause>) {
    let mut refuse = |reason, field: &str, message: &str| {
        causes.push((reason, format!("{place}.{field}"), message.to_owned()));
    };
    let text = |key: &str| webhook.get(key).and_then(Value::as_str).unwrap_or_default();
    if text("name").is_empty() {
        refuse("FieldValueRequired", "name", "Required value");
    } else if text("name").split('.').count() < 3 {
        let message = format!(
            "Invalid value: \"{}\": should be a domain with at least three segments separated by \
             dots",
            text("name")
        );
        refuse("FieldValueInvalid", "name", &message);
    }
    let versions = webhook.get("admissionReviewVersions").and_then(Value::as_array);
    if versions.is_none_or(Vec::is_empty) {
        let message = "Required value: must specify one of v1, v1beta1";
        refuse("FieldValueRequired", "admissionReviewVersions", message);
    }
    match text("sideEffects") {
        "None" | "NoneOnDryRun" => {}
        "" => {
            let message = "Required value: must specify one of None, NoneOnDryRun";
            refuse("FieldValueRequired", "sideEffects", message);
        }
        other => {
            let message = format!(
                "Unsupported value: \"{other}\": supported values: \"None\", \"NoneOnDryRun\""
            );
            refuse("FieldValueNotSupported", "sideEffects", &message);
        }
    }
    let seconds = webhook.get("timeoutSeconds").and_then(Value::as_i64).unwrap_or_default();
    if !(1..=30).contains(&seconds) {
        let message =
            format!("Invalid value: {seconds}: the timeout value must be between 1 and 30 seconds");
        refuse("FieldValueInvalid", "timeoutSeconds", &message);
    }
    let config = webhook.get("clientConfig");
    let has = |key| config.and_then(|config| config.get(key)).is_some_and(|it| !it.is_null());
    if has("url") == has("service") {
        let message = "Required value: exactly one of url or service is required";
        refuse("FieldValueRequired", "clientConfig", message);
    }
}
