//! Plain manifests as the reviews that the API server would send if they were created.

use serde_json::{Value, json};

use super::{API_VERSION, KIND};
use crate::kubernetes::resource::{is_cluster_scoped, plural};

/// The user who applies a manifest, and the namespace that it is applied to.
#[derive(Clone, Debug)]
pub struct Requester {
    /// User name.
    pub user: String,
    /// Groups.
    pub groups: Vec<String>,
    /// The namespace of manifests that name none.
    pub namespace: String,
}

/// The reason why a document is not a manifest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The document has no `apiVersion` or no `kind`; every object has both.
    #[error("it has no `{0}`, so it is neither a manifest nor an AdmissionReview")]
    Missing(&'static str),
}

/// Wraps an object into the review of its creation.
#[expect(clippy::indexing_slicing, reason = "`Value` adds a key that is assigned")]
pub fn create_review(object: Value, requester: &Requester) -> Result<Value, ManifestError> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("/apiVersion"), text("/kind"));
    if api_version.is_empty() {
        return Err(ManifestError::Missing("apiVersion"));
    }
    if kind.is_empty() {
        return Err(ManifestError::Missing("kind"));
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let namespace = match text("/metadata/namespace") {
        _ if is_cluster_scoped(group, kind) => "",
        "" => requester.namespace.as_str(),
        own => own,
    };
    let resource = json!({ "group": group, "version": version, "resource": plural(kind) });
    let request = json!({
        "uid": "manifest",
        "kind": { "group": group, "version": version, "kind": kind },
        "resource": resource,
        "name": text("/metadata/name"),
        "namespace": namespace,
        "operation": "CREATE",
        "userInfo": { "username": requester.user, "groups": requester.groups },
    });
    let mut review = json!({ "kind": KIND, "apiVersion": API_VERSION, "request": request });
    review["request"]["object"] = object;
    Ok(review)
}
