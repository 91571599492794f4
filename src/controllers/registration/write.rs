//! The writer of a webhook configuration.

use kube::{
    Client,
    api::{Patch, PatchParams},
    core::Request,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{additions::CloudAdditions, drift::differences};
use crate::api::client::{self, REQUEST_TIMEOUT};

/// The part of a configuration that PoolGuard writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteScope {
    /// Everything that is asked for, beside what this cloud adds.
    Everything(CloudAdditions),
    /// Only the `caBundle` of its entries: another tool owns everything else.
    Bundle,
}

impl WriteScope {
    fn field_manager(self) -> &'static str {
        match self {
            Self::Everything(_) => "poolguard",
            Self::Bundle => "poolguard-ca-bundle",
        }
    }
}

/// The writer of one configuration.
pub(super) struct ConfigurationWriter {
    client: Client,
    path: String,
    name: String,
}

impl ConfigurationWriter {
    /// Creates the writer for the object with this name in the collection at this path.
    pub(super) fn new(client: Client, path: String, name: String) -> Self {
        Self { client, path, name }
    }

    /// Writes the configuration by server-side apply. An apply does not remove what other clients own, such as
    /// a condition, or a selector of an entry that is to go. If such a part remains, PoolGuard replaces the list of
    /// entries as a whole, but never in the scope [`WriteScope::Bundle`]. `over` is the version that is there, as far
    /// as it is known.
    pub(super) async fn write(
        &self,
        body: &Value,
        scope: WriteScope,
        over: Option<&str>,
    ) -> Result<Value, kube::Error> {
        let manager = scope.field_manager();
        let parameters = PatchParams::apply(manager).force();
        let applied = self.patch(&parameters, &Patch::Apply(body)).await;
        let left_over = match (scope, &applied) {
            (WriteScope::Everything(additions), Ok(live)) => {
                version(live).filter(|_| !differences(body, live, additions).is_empty())
            }
            // What is left of an entry that is to go, and somebody else's, is no entry.
            (WriteScope::Everything(_), Err(error)) if client::code(error) == Some(422) => over,
            (WriteScope::Everything(_), Err(_)) | (WriteScope::Bundle, _) => None,
        };
        let Some(version) = left_over else { return applied };
        let whole = json!({
            "metadata": with_version(body.get("metadata"), version),
            "webhooks": body.get("webhooks"),
        });
        let parameters =
            PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        self.patch(&parameters, &Patch::Merge(&whole)).await
    }

    async fn patch(
        &self,
        parameters: &PatchParams,
        patch: &Patch<&Value>,
    ) -> Result<Value, kube::Error> {
        let request = Request::new(&self.path)
            .patch(&self.name, parameters, patch)
            .map_err(kube::Error::BuildRequest)?;
        match timeout(REQUEST_TIMEOUT, self.client.request::<Value>(request)).await {
            Ok(patched) => patched,
            Err(_) => Err(kube::Error::Service("the API server does not answer".into())),
        }
    }
}

fn with_version(metadata: Option<&Value>, version: &str) -> Value {
    let mut metadata = metadata.and_then(Value::as_object).cloned().unwrap_or_default();
    metadata.insert("resourceVersion".to_owned(), version.into());
    metadata.into()
}

/// The version of a live object.
pub(super) fn version(object: &Value) -> Option<&str> {
    object.pointer("/metadata/resourceVersion")?.as_str()
}
