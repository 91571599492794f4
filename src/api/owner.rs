//! The ClusterRole that owns the objects that PoolGuard creates at run time. Kubernetes deletes them together with the
//! ClusterRole, when the release is uninstalled. An object with a namespace may have an owner without one.

use kube::Client;
use serde_json::Value;

use crate::{
    admission::webhooks::Owner,
    api::{client, installation::InstallationNames, rbac},
};

/// The result of a search for the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerLookup {
    /// The installation names no owner.
    NotNamed,
    /// The owner that the installation names.
    Found(Owner),
    /// The ClusterRole does not exist.
    Absent,
    /// PoolGuard cannot read the ClusterRole; the text is the reason.
    Unreadable(String),
}

/// Looks for the owner that an installation names.
pub async fn search(client: &Client, names: &InstallationNames) -> OwnerLookup {
    let (Some(name), Some(right)) = (&names.owner, rbac::owner(names)) else {
        return OwnerLookup::NotNamed;
    };
    let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}");
    let found = match http::Request::get(&path).body(Vec::new()) {
        Ok(request) => client.request::<Value>(request).await,
        Err(error) => Err(kube::Error::HttpError(error)),
    };
    match found {
        Ok(role) => {
            let uid = role.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
            OwnerLookup::Found(Owner { name: name.clone(), uid: uid.to_owned() })
        }
        Err(error) if client::code(&error) == Some(404) => OwnerLookup::Absent,
        Err(error) => OwnerLookup::Unreadable(client::explain_with(&error, &right).to_string()),
    }
}

/// Returns the owner references for a new object: one if the owner exists, and none otherwise.
pub async fn references(client: &Client, names: &InstallationNames) -> Vec<Value> {
    match search(client, names).await {
        OwnerLookup::Found(owner) => vec![owner.reference()],
        OwnerLookup::NotNamed | OwnerLookup::Absent | OwnerLookup::Unreadable(_) => Vec::new(),
    }
}
