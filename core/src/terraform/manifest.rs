//! Kubernetes objects in a plan: what the providers of Kubernetes and kubectl apply.

use serde_json::Value;

use super::{Action, Change, values::Planned};
use crate::kubernetes::documents;

/// An object that the plan applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedManifest {
    /// The address in Terraform: `kubectl_manifest.node_pool`.
    pub address: String,
    /// The `apiVersion` of the object.
    pub api_version: String,
    /// The kind, as the API spells it.
    pub kind: String,
    /// The name of the object.
    pub name: String,
    /// The object, as JSON.
    pub text: String,
}

/// The objects of a resource; `None` if it has none, or they are not known yet.
pub(super) fn manifests(change: &Change<'_>) -> Option<Vec<PlannedManifest>> {
    if change.action == Action::Delete {
        return None;
    }
    let objects = match change.kind {
        "kubernetes_manifest" => match change.values.get("manifest") {
            Planned::Is(object) => vec![object.clone()],
            Planned::Absent | Planned::Unknown => return None,
        },
        "kubectl_manifest" => {
            let text = change.values.text("yaml_body")?;
            documents::read(&text).ok()?.objects.into_iter().collect::<Result<_, _>>().ok()?
        }
        // With the provider's experiment `manifest`, a release has what it renders, by name, as JSON.
        "helm_release" => {
            let text = change.values.text("manifest")?;
            let rendered: serde_json::Map<String, Value> = serde_json::from_str(&text).ok()?;
            rendered.into_iter().map(|(_, object)| object).collect()
        }
        _ => return None,
    };
    Some(objects.iter().map(|object| PlannedManifest::new(change.address, object)).collect())
}

impl PlannedManifest {
    fn new(address: &str, object: &Value) -> Self {
        let text = |pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Self {
            address: address.to_owned(),
            api_version: text("/apiVersion"),
            kind: text("/kind"),
            name: text("/metadata/name"),
            text: object.to_string(),
        }
    }

    /// The API group; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}
