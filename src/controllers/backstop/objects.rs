//! Admission policies and their bindings, as the API server serves them.

use std::collections::BTreeMap;

use http::header::CONTENT_TYPE;
use kube::{
    Client,
    api::{DeleteParams, Patch, PatchParams},
    core::Request,
};
use serde_json::Value;

use crate::{
    api::{
        client::{self, ApiError},
        discovery,
        installation::InstallationNames,
        rbac::{self, ADMISSION_GROUP, ADMISSION_POLICIES, policy_names},
    },
    controllers::registration::drift::covers,
};

/// The result of keeping an object as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeepResult {
    /// The object was as it should be, so PoolGuard did not write it.
    AsItIs,
    /// The object did not exist, so PoolGuard created it.
    Created,
    /// The object was different, so PoolGuard updated it.
    Updated,
}

/// Versions in which policies may be served, the best first.
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// The kinds of admission policies that the API server serves, each with its version.
pub(super) struct PolicyApi(BTreeMap<String, &'static str>);

impl PolicyApi {
    /// Reads the kinds that this API server serves, each in the best version.
    pub(super) async fn find(client: &Client) -> Result<Self, ApiError> {
        let mut served = BTreeMap::new();
        for version in VERSIONS {
            let path = format!("/apis/{ADMISSION_GROUP}/{version}");
            match discovery::resources(client, &path).await {
                Ok(found) => found.into_iter().for_each(|name| {
                    served.entry(name).or_insert(version);
                }),
                Err(error) if client::code(&error) == Some(404) => {}
                Err(error) => return Err(client::explain(&error)),
            }
        }
        Ok(Self(served))
    }

    /// Whether the API server evaluates validating policies in the version that PoolGuard writes.
    pub(super) fn validates(&self) -> bool {
        let mut validating = ADMISSION_POLICIES.iter().filter(|it| it.starts_with("validating"));
        validating.all(|resource| self.0.get(*resource) == Some(&"v1"))
    }

    /// The API version in which the API server evaluates mutating policies, if it does.
    pub(super) fn mutating_version(&self) -> Option<String> {
        let [_, _, policies, bindings] = ADMISSION_POLICIES;
        let version = self.0.get(policies)?;
        (self.0.get(bindings) == Some(version)).then(|| format!("{ADMISSION_GROUP}/{version}"))
    }

    /// Makes an object as it should be.
    pub(super) async fn keep(
        &self,
        client: &Client,
        names: &InstallationNames,
        object: &Value,
    ) -> Result<KeepResult, ApiError> {
        let (resource, name) = (resource_of(object), name(object));
        let live = self.read(client, names, resource, name).await?;
        let kept = match &live {
            Some(live) if is_like(object, live) => return Ok(KeepResult::AsItIs),
            Some(_) => KeepResult::Updated,
            None => KeepResult::Created,
        };
        let parameters = PatchParams::apply("poolguard").force();
        let request = Request::new(self.path(resource));
        let request = request.patch(name, &parameters, &Patch::Apply(object))?;
        let applied = send(client, names, resource, request).await?;
        if !is_like(object, &applied) {
            // An apply leaves the fields that another client added.
            let version = applied.pointer("/metadata/resourceVersion");
            let whole = with_version(object, version.and_then(Value::as_str).unwrap_or_default());
            let path = format!("{}/{name}", self.path(resource));
            let request = http::Request::put(path).header(CONTENT_TYPE, "application/json");
            send(client, names, resource, request.body(whole.to_string().into_bytes())?).await?;
        }
        Ok(kept)
    }

    /// Deletes the objects of an installation that are not among these, and names them.
    pub(super) async fn remove_others(
        &self,
        client: &Client,
        names: &InstallationNames,
        asked: &[Value],
    ) -> Result<Vec<String>, ApiError> {
        let mut removed = Vec::new();
        for resource in ADMISSION_POLICIES.into_iter().filter(|it| self.0.contains_key(*it)) {
            for name in policy_names(&names.release) {
                let is_it = |it: &Value| resource_of(it) == resource && self::name(it) == name;
                if asked.iter().any(is_it) {
                    continue;
                }
                if self.read(client, names, resource, &name).await?.is_none() {
                    continue;
                }
                let request = Request::new(self.path(resource));
                let request = request.delete(&name, &DeleteParams::default())?;
                send(client, names, resource, request).await?;
                removed.push(format!("{resource} {name}"));
            }
        }
        Ok(removed)
    }

    fn path(&self, resource: &str) -> String {
        let version = self.0.get(resource).copied().unwrap_or("v1");
        format!("/apis/{ADMISSION_GROUP}/{version}/{resource}")
    }

    async fn read(
        &self,
        client: &Client,
        names: &InstallationNames,
        resource: &'static str,
        name: &str,
    ) -> Result<Option<Value>, ApiError> {
        let path = format!("{}/{name}", self.path(resource));
        match client::text(client, http::Request::get(path).body(Vec::new())?).await {
            Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
            Err(error) if client::code(&error) == Some(404) => Ok(None),
            Err(error) => {
                Err(client::explain_with(&error, &rbac::admission_policy(resource, names)))
            }
        }
    }
}

async fn send(
    client: &Client,
    names: &InstallationNames,
    resource: &'static str,
    request: http::Request<Vec<u8>>,
) -> Result<Value, ApiError> {
    let right = rbac::admission_policy(resource, names);
    let sent = client::text(client, request).await;
    let text = sent.map_err(|error| client::explain_with(&error, &right))?;
    Ok(serde_json::from_str(&text)?)
}

fn with_version(object: &Value, version: &str) -> Value {
    let mut whole = object.clone();
    if let Some(metadata) = whole.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".to_owned(), version.into());
    }
    whole
}

/// Returns the name of an object's kind in an API path.
fn resource_of(object: &Value) -> &'static str {
    let mutates = kind(object).starts_with("Mutating");
    let binds = kind(object).ends_with("Binding");
    let [policy, binding, mutating, mutating_binding] = ADMISSION_POLICIES;
    match (mutates, binds) {
        (false, false) => policy,
        (false, true) => binding,
        (true, false) => mutating,
        (true, true) => mutating_binding,
    }
}

/// The kind of an object.
pub(super) fn kind(object: &Value) -> &str {
    object.get("kind").and_then(Value::as_str).unwrap_or_default()
}

/// The name of an object.
pub(super) fn name(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

/// Whether the live object is what is asked for. A field more in its spec could narrow the policy.
fn is_like(asked: &Value, live: &Value) -> bool {
    let both = |pointer: &str| (asked.pointer(pointer), live.pointer(pointer));
    let (asked_spec, live_spec) = both("/spec");
    covers(asked_spec, live_spec)
        && covers(live_spec, asked_spec)
        && ["labels", "annotations", "ownerReferences"].iter().all(|field| {
            let (asked, live) = both(&format!("/metadata/{field}"));
            covers(asked, live)
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_more_is_a_difference_where_it_could_narrow() {
        let asked = json!({
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": "poolguard", "labels": {"a": "b"}},
            "spec": {"policyName": "poolguard", "validationActions": ["Deny"]},
        });
        assert_eq!((resource_of(&asked), name(&asked)), (ADMISSION_POLICIES[1], "poolguard"));
        let mut live = asked.clone();
        live["metadata"]["uid"] = "1".into();
        live["metadata"]["labels"]["other"] = "label".into();
        assert!(is_like(&asked, &live));
        live["spec"]["matchResources"] = json!({"namespaceSelector": {"matchLabels": {"a": "b"}}});
        assert!(!is_like(&asked, &live));
        live["spec"] = json!({"policyName": "poolguard", "validationActions": ["Audit"]});
        assert!(!is_like(&asked, &live));
    }
}
