//! The server itself, as the real client sees it.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod access;
mod applies;
mod faults;
mod reads;
mod watches;
mod writes;

use std::fmt::Debug;

use futures_util::{StreamExt as _, stream::BoxStream};
use k8s_openapi::api::{
    admissionregistration::v1::ValidatingWebhookConfiguration,
    core::v1::{ConfigMap, Node},
};
use kube::{
    Api, Error,
    api::{WatchEvent, WatchParams},
    core::Status,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{ADMIN, ApiServer, PATIENCE};

fn node(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } })
}

fn config_map(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": namespace },
    })
}

/// A server with nodes.
async fn with_nodes(names: &[&str]) -> ApiServer {
    let server = ApiServer::start().await;
    for name in names {
        server.put(node(name));
    }
    server
}

fn nodes(server: &ApiServer) -> Api<Node> {
    Api::all(server.client(ADMIN))
}

fn config_maps(server: &ApiServer) -> Api<ConfigMap> {
    Api::namespaced(server.client(ADMIN), "default")
}

fn webhooks(server: &ApiServer) -> Api<ValidatingWebhookConfiguration> {
    Api::all(server.client(ADMIN))
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The status that a request failed with.
fn status<T: Debug>(result: Result<T, Error>) -> Status {
    let error = result.unwrap_err();
    let Error::Api(status) = error else { panic!("not a status: {error}") };
    *status
}

fn code_and_reason<T: Debug>(result: Result<T, Error>) -> (u16, String) {
    let status = status(result);
    (status.code, status.reason)
}

type Events = BoxStream<'static, Result<WatchEvent<Node>, Error>>;

/// A watch of the nodes from a version on, without bookmarks.
async fn watch_from(server: &ApiServer, version: u64) -> Events {
    let params = WatchParams::default().disable_bookmarks();
    watch_with(server, &params, version).await
}

async fn watch_with(server: &ApiServer, params: &WatchParams, version: u64) -> Events {
    nodes(server).watch(params, &version.to_string()).await.unwrap().boxed()
}

async fn item(events: &mut Events) -> Option<Result<WatchEvent<Node>, Error>> {
    timeout(PATIENCE, events.next()).await.unwrap()
}

/// The next event, as `ADDED a`.
async fn next(events: &mut Events) -> String {
    let name = |node: Node| node.metadata.name.unwrap();
    match item(events).await.unwrap().unwrap() {
        WatchEvent::Added(node) => format!("ADDED {}", name(node)),
        WatchEvent::Modified(node) => format!("MODIFIED {}", name(node)),
        WatchEvent::Deleted(node) => format!("DELETED {}", name(node)),
        WatchEvent::Bookmark(it) => format!("BOOKMARK {}", it.metadata.resource_version),
        WatchEvent::Error(status) => format!("ERROR {} {}", status.code, status.reason),
    }
}
