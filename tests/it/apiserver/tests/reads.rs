//! Lists.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use k8s_openapi::api::core::v1::Node;
use kube::{Api, api::ListParams};
use serde_json::json;

use super::super::{ADMIN, ApiServer};

#[tokio::test]
async fn a_list_comes_in_pages() {
    let server = ApiServer::start().await;
    for number in 0..5 {
        server.put(json!({"apiVersion":"v1","kind":"Node","metadata":{"name":format!("n{number}")}}));
    }
    let nodes: Api<Node> = Api::all(server.client(ADMIN));
    let list = nodes.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(list.items.len(), 2);
}
