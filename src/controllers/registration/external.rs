//! Configurations that others write: their `caBundle` is completed, and the rest is reported.

use std::time::Instant;

use serde_json::{Value, json};

use super::{
    configuration::{Configuration, POLL_INTERVAL, StepResult},
    status::Drift,
    write::WriteScope,
};
use crate::{
    api::list_watch::single_object::ObservedObject, telemetry::metrics::label::RegistrationWrite,
};

impl Configuration {
    /// Writes the `caBundle` of the entries that are there, and reports every other difference.
    pub(super) async fn patch_ca_bundle_only(
        &mut self,
        desired: &Value,
        seen: &ObservedObject,
        drift: Drift,
    ) -> StepResult {
        let (Some(live), Drift::Differs(found)) = (seen.object(), drift) else {
            self.report_absence();
            return StepResult { look_again: POLL_INTERVAL, drift: Some(Drift::Absent) };
        };
        let (of_bundle, rest): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|it| it.field == "clientConfig.caBundle");
        if !of_bundle.is_empty()
            && let Some(body) = bundle_only(desired, live)
            && self.write_backoff.wait(desired, Instant::now()).is_none()
        {
            self.write(&body, WriteScope::Bundle, RegistrationWrite::Changed).await;
        }
        if rest.is_empty() {
            return self.as_asked_for(desired);
        }
        let drift = Drift::Differs(rest);
        self.report_drift(&drift).await;
        StepResult { look_again: POLL_INTERVAL, drift: Some(drift) }
    }
}

/// The desired configuration without its metadata, except the name: the tool that applies it sets owner and labels.
pub(super) fn without_metadata(mut desired: Value) -> Value {
    if let Some(metadata) = desired.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| field == "name");
    }
    desired
}

/// The entries that are there, with nothing but their `caBundle`.
fn bundle_only(desired: &Value, live: &Value) -> Option<Value> {
    let registered = live.get("webhooks")?.as_array()?;
    let is_there = |entry: &&Value| registered.iter().any(|it| it.get("name") == entry.get("name"));
    let entries: Vec<_> = desired
        .get("webhooks")?
        .as_array()?
        .iter()
        .filter(is_there)
        .map(|entry| {
            json!({
                "name": entry.get("name"),
                "clientConfig": {"caBundle": entry.pointer("/clientConfig/caBundle")},
            })
        })
        .collect();
    Some(json!({
        "apiVersion": desired.get("apiVersion"),
        "kind": desired.get("kind"),
        "metadata": {"name": desired.pointer("/metadata/name")},
        "webhooks": entries,
    }))
}
