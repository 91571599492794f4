//! The ClusterRole that owns what PoolGuard makes at run time, so that it goes when the release goes. An
//! object with a namespace may have an owner without one.

use kube::Client;
use serde_json::Value;

use crate::{
    admission::webhooks::Owner,
    api::{
        client,
        rbac::{self, Names},
    },
};

/// What a search for the owner comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// None is named.
    Nobody,
    /// This one.
    Found(Owner),
    /// It is not there.
    Absent,
    /// It cannot be read, and why.
    Unreadable(String),
}

/// Looks for the owner that an installation names.
pub async fn search(client: &Client, names: &Names) -> Search {
    let (Some(name), Some(right)) = (&names.owner, rbac::owner(names)) else {
        return Search::Nobody;
    };
    let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}");
    let found = match http::Request::get(&path).body(Vec::new()) {
        Ok(request) => client.request::<Value>(request).await,
        Err(error) => Err(kube::Error::HttpError(error)),
    };
    match found {
        Ok(role) => {
            let uid = role.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
            Search::Found(Owner { name: name.clone(), uid: uid.to_owned() })
        }
        Err(error) if client::code(&error) == Some(404) => Search::Absent,
        Err(error) => Search::Unreadable(client::explain_with(&error, &right).to_string()),
    }
}

/// What a new object names as its owners: one, if there is one.
pub async fn references(client: &Client, names: &Names) -> Vec<Value> {
    match search(client, names).await {
        Search::Found(owner) => vec![owner.reference()],
        Search::Nobody | Search::Absent | Search::Unreadable(_) => Vec::new(),
    }
}
