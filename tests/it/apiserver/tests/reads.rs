//! Gets, lists and discovery.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{ListParams, VersionMatch},
};
use serde_json::json;

use super::{
    super::{ADMIN, ApiServer},
    code_and_reason, config_map, node, nodes, status, with_nodes,
};

#[tokio::test]
async fn a_list_comes_in_pages() {
    let server = with_nodes(&["a", "b", "c", "d", "e"]).await;
    let nodes = nodes(&server);
    let (mut names, mut sizes, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let mut params = ListParams::default().limit(2);
        if !token.is_empty() {
            params = params.continue_token(&token);
        }
        let page = nodes.list(&params).await.unwrap();
        sizes.push((page.items.len(), page.metadata.remaining_item_count));
        names.extend(page.items.into_iter().map(|node| node.metadata.name.unwrap()));
        token = page.metadata.continue_.unwrap_or_default();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    assert_eq!(sizes, [(2, Some(3)), (2, Some(1)), (1, None)]);
}

#[tokio::test]
async fn all_pages_are_of_one_version() {
    let server = with_nodes(&["a", "b", "c", "d"]).await;
    let nodes = nodes(&server);
    let params = ListParams::default().limit(2);
    let first = nodes.list(&params).await.unwrap();
    server.remove("nodes", "c");
    server.put(node("bb"));
    server.edit("nodes", "d", |node| node["metadata"]["labels"] = json!({ "new": "" }));
    let token = first.metadata.continue_.unwrap();
    let second = nodes.list(&params.continue_token(&token)).await.unwrap();
    let names: Vec<_> =
        second.items.iter().map(|node| node.metadata.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["c", "d"]);
    assert_eq!(second.items[1].metadata.labels, None);
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    assert_eq!(second.metadata.continue_, None);
}

#[tokio::test]
async fn a_page_that_outlived_compaction_is_gone() {
    let server = with_nodes(&["a", "b"]).await;
    let params = ListParams::default().limit(1);
    let first = nodes(&server).list(&params).await.unwrap();
    let params = params.continue_token(&first.metadata.continue_.unwrap());
    server.compact();
    assert!(nodes(&server).list(&params).await.is_ok(), "nothing newer is there yet");
    server.put(node("c"));
    server.compact();
    let gone = code_and_reason(nodes(&server).list(&params).await);
    assert_eq!(gone, (410, "Expired".to_owned()));
}

#[tokio::test]
async fn a_list_of_an_exact_version_shows_what_was() {
    let server = with_nodes(&["a"]).await;
    let version = server.version();
    server.put(node("b"));
    let params = ListParams::default().matching(VersionMatch::Exact).at(&version.to_string());
    assert_eq!(nodes(&server).list(&params).await.unwrap().items.len(), 1);
    let params = ListParams::default().match_any();
    assert_eq!(nodes(&server).list(&params).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn a_version_of_the_future_times_out() {
    let server = with_nodes(&[]).await;
    let params = ListParams::default().matching(VersionMatch::NotOlderThan).at("1000000");
    assert_eq!(status(nodes(&server).list(&params).await).code, 504);
}

#[tokio::test]
async fn selectors_select() {
    let server = ApiServer::start().await;
    for (name, node, labels) in [
        ("a", "n1", json!({ "app": "x" })),
        ("b", "n2", json!({ "app": "y", "tier": "z" })),
        ("c", "n1", json!({})),
    ] {
        server.put(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name, "namespace": "default", "labels": labels },
            "spec": { "nodeName": node, "containers": [] },
        }));
    }
    let pods: Api<Pod> = Api::all(server.client(ADMIN));
    for (fields, labels, expected) in [
        ("", "", "abc"),
        ("metadata.name=b", "", "b"),
        ("spec.nodeName=n1", "", "ac"),
        ("spec.nodeName!=n1", "", "b"),
        ("metadata.namespace==default,spec.nodeName=n2", "", "b"),
        ("", "app=x", "a"),
        ("", "app==y", "b"),
        ("", "app!=x", "bc"),
        ("", "app in (x, y)", "ab"),
        ("", "app notin (x,z)", "bc"),
        ("", "tier", "b"),
        ("", "!app", "c"),
        ("", "app in (x,y),tier", "b"),
        ("spec.nodeName=n1", "app", "a"),
    ] {
        let params = ListParams::default().fields(fields).labels(labels);
        let list = pods.list(&params).await.unwrap();
        let names: String = list.items.into_iter().filter_map(|pod| pod.metadata.name).collect();
        assert_eq!(names, expected, "{fields} {labels}");
    }
    let unknown = pods.list(&ListParams::default().fields("spec.other=1")).await;
    assert_eq!(status(unknown).message, "field label not supported: spec.other");
}

#[tokio::test]
async fn metadata_comes_alone_when_asked_for() {
    let server = with_nodes(&[]).await;
    let mut value = node("a");
    value["spec"] = json!({ "providerID": "secret" });
    value["metadata"]["labels"] = json!({ "k": "v" });
    server.put(value);
    let nodes = nodes(&server);
    let one = nodes.get_metadata("a").await.unwrap();
    let list = nodes.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(one.metadata.labels.unwrap()["k"], "v");
    assert_eq!(list.types.kind, "PartialObjectMetadataList");
    assert_eq!(list.items[0].metadata.name.as_deref(), Some("a"));
    assert_eq!(nodes.get("a").await.unwrap().spec.unwrap().provider_id.unwrap(), "secret");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = with_nodes(&[]).await;
    let missing = status(nodes(&server).get("x").await);
    assert_eq!(missing.message, "nodes \"x\" not found");
    assert_eq!((missing.code, missing.reason.as_str()), (404, "NotFound"));
    assert_eq!(missing.details.unwrap().kind, "nodes");
    assert!(nodes(&server).get_opt("x").await.unwrap().is_none());
}

#[tokio::test]
async fn groups_are_discovered() {
    let server = ApiServer::start().await;
    let client = server.client(ADMIN);
    assert_eq!(client.apiserver_version().await.unwrap().major, "1");
    let core = client.list_core_api_resources("v1").await.unwrap();
    assert!(core.resources.iter().any(|it| it.name == "nodes" && !it.namespaced));
    let version = "wgpolicyk8s.io/v1alpha2";
    assert_eq!(status(client.list_api_group_resources(version).await).code, 404);
    let groups = |list: Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup>| {
        list.into_iter().any(|group| group.name == "wgpolicyk8s.io")
    };
    assert!(!groups(client.list_api_groups().await.unwrap().groups));
    server.serve_group("wgpolicyk8s.io", true);
    assert!(groups(client.list_api_groups().await.unwrap().groups));
    let reports = client.list_api_group_resources(version).await.unwrap();
    assert!(reports.resources.iter().any(|it| it.name == "policyreports" && it.namespaced));
}

#[tokio::test]
async fn a_process_finds_the_server_by_a_kubeconfig() {
    let server = with_nodes(&["a"]).await;
    let file = server.kubeconfig(ADMIN);
    let kubeconfig = kube::config::Kubeconfig::read_from(file.path()).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    let nodes: Api<k8s_openapi::api::core::v1::Node> =
        Api::all(kube::Client::try_from(config).unwrap());
    assert_eq!(nodes.list(&ListParams::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn thousands_of_nodes_list_in_pages() {
    let server = ApiServer::start().await;
    let filler = "x".repeat(15_000);
    for number in 0..5_000 {
        let mut value = node(&format!("node-{number:04}"));
        value["metadata"]["annotations"] = json!({ "filler": filler });
        server.put(value);
    }
    let nodes = nodes(&server);
    let (mut count, mut pages, mut params) = (0, 0, ListParams::default().limit(50));
    loop {
        let page = nodes.list(&params).await.unwrap();
        count += page.items.len();
        pages += 1;
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = ListParams::default().limit(50).continue_token(&token),
            None => break,
        }
    }
    assert_eq!((count, pages), (5_000, 100));
}

#[tokio::test]
async fn servers_are_independent() {
    let (one, other) = (with_nodes(&["a"]).await, with_nodes(&[]).await);
    one.put(config_map("default", "x"));
    assert_eq!((one.count("nodes"), other.count("nodes")), (1, 0));
    assert_eq!(other.get("configmaps", "default/x"), None);
    assert_ne!(one.uri(), other.uri());
}
