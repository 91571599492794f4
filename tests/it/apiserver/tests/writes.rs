//! Create, update, patch, delete.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{ConfigMap, Namespace, Node, Secret},
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::{Value, json};

use super::{
    super::ADMIN, code_and_reason, config_map, config_maps, node, nodes, status, typed, webhooks,
    with_nodes,
};

#[tokio::test]
async fn a_create_fills_in_what_every_object_has() {
    let server = with_nodes(&[]).await;
    let created: Node =
        nodes(&server).create(&PostParams::default(), &typed(node("a"))).await.unwrap();
    assert!(created.metadata.uid.is_some() && created.metadata.creation_timestamp.is_some());
    assert_eq!(created.metadata.resource_version, Some(server.version().to_string()));
    let again = status(nodes(&server).create(&PostParams::default(), &typed(node("a"))).await);
    assert_eq!(again.message, "nodes \"a\" already exists");
    assert_eq!((again.code, again.reason.as_str()), (409, "AlreadyExists"));
}

#[tokio::test]
async fn a_generated_name_is_new_each_time() {
    let server = with_nodes(&[]).await;
    let map: ConfigMap = typed(json!({ "metadata": { "generateName": "x-" } }));
    let maps = config_maps(&server);
    let mut names = Vec::new();
    for _ in 0..2 {
        let created = maps.create(&PostParams::default(), &map).await.unwrap();
        names.push(created.metadata.name.unwrap());
    }
    assert!(names.iter().all(|name| name.starts_with("x-") && name.len() == 7), "{names:?}");
    assert_ne!(names[0], names[1]);
}

#[tokio::test]
async fn a_namespace_has_to_be_there_first() {
    let server = with_nodes(&[]).await;
    let maps: Api<ConfigMap> = Api::namespaced(server.client(ADMIN), "new");
    let map: ConfigMap = typed(config_map("new", "x"));
    let missing = status(maps.create(&PostParams::default(), &map).await);
    assert_eq!(missing.message, "namespaces \"new\" not found");
    let namespaces: Api<Namespace> = Api::all(server.client(ADMIN));
    let namespace: Namespace = typed(json!({ "metadata": { "name": "new" } }));
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    namespaces.delete("new", &DeleteParams::default()).await.unwrap();
    assert_eq!(server.get("configmaps", "new/x"), None, "it goes with its namespace");
}

#[tokio::test]
async fn a_stale_update_conflicts() {
    let server = with_nodes(&["a"]).await;
    let nodes = nodes(&server);
    let stale = nodes.get("a").await.unwrap();
    server.edit("nodes", "a", |node| node["metadata"]["labels"] = json!({ "k": "v" }));
    let refused = status(nodes.replace("a", &PostParams::default(), &stale).await);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        refused.message,
        "Operation cannot be fulfilled on nodes \"a\": the object has been modified; please apply \
         your changes to the latest version and try again"
    );
    let fresh = nodes.get("a").await.unwrap();
    assert!(nodes.replace("a", &PostParams::default(), &fresh).await.is_ok());
}

#[tokio::test]
async fn an_update_of_nothing_keeps_the_version() {
    let server = with_nodes(&["a"]).await;
    let nodes = nodes(&server);
    let version = server.version();
    let same = nodes.get("a").await.unwrap();
    let same = nodes.replace("a", &PostParams::default(), &same).await.unwrap();
    let patch = Patch::Merge(json!({ "metadata": { "labels": null } }));
    nodes.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(same.metadata.resource_version, Some(version.to_string()));
    assert_eq!(server.version(), version);
}

#[tokio::test]
async fn a_lease_is_taken_by_one() {
    let server = with_nodes(&[]).await;
    let leases: Api<Lease> = Api::default_namespaced(server.client(ADMIN));
    let lease = |holder: &str| -> Lease {
        typed(json!({ "metadata": { "name": "l" }, "spec": { "holderIdentity": holder } }))
    };
    let params = PostParams::default();
    let first = leases.replace("l", &params, &lease("a")).await.unwrap();
    assert_eq!(status(leases.replace("l", &params, &lease("b")).await).code, 422);
    let mut next = lease("b");
    next.metadata.resource_version = first.metadata.resource_version;
    leases.replace("l", &params, &next).await.unwrap();
    assert_eq!(status(leases.replace("l", &params, &next).await).code, 409);
}

#[tokio::test]
async fn a_merge_patch_merges() {
    let server = with_nodes(&[]).await;
    server.put(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x" },
        "data": { "a": "1", "b": "2" },
    }));
    let patch = Patch::Merge(json!({ "data": { "a": null, "c": "3" } }));
    let maps = config_maps(&server);
    let patched = maps.patch("x", &PatchParams::default(), &patch).await.unwrap();
    let data: Vec<_> = patched.data.unwrap().into_iter().collect();
    assert_eq!(data, [("b", "2"), ("c", "3")].map(|(k, v)| (k.to_owned(), v.to_owned())));
    let stale = Patch::Merge(json!({ "metadata": { "resourceVersion": "1" }, "data": {} }));
    assert_eq!(status(maps.patch("x", &PatchParams::default(), &stale).await).code, 409);
}

#[tokio::test]
async fn a_patch_does_not_rename() {
    let server = with_nodes(&["a"]).await;
    for name in [json!("b"), Value::Null] {
        let patch = Patch::Merge(json!({ "metadata": { "name": name } }));
        let refused = nodes(&server).patch("a", &PatchParams::default(), &patch).await;
        assert_eq!(status(refused).code, 422);
    }
}

#[tokio::test]
async fn a_secret_is_kept_as_data() {
    let server = with_nodes(&[]).await;
    let secrets: Api<Secret> = Api::default_namespaced(server.client(ADMIN));
    let secret = |kind: &str, key: &str| -> Secret {
        typed(json!({ "metadata": { "name": "s" }, "type": kind, "stringData": { key: "x" } }))
    };
    let params = PostParams::default();
    let incomplete = secrets.create(&params, &secret("kubernetes.io/tls", "tls.crt")).await;
    assert_eq!(
        status(incomplete).message,
        "Secret \"s\" is invalid: data[tls.key]: Required value"
    );
    let created = secrets.create(&params, &secret("Opaque", "k")).await.unwrap();
    assert_eq!(created.data.unwrap()["k"].0, b"x");
    assert_eq!(created.string_data, None);
}

/// Sends a JSON patch, for which the client has no type here.
async fn json_patch(client: &Client, uri: &str, patch: Value) -> kube::Result<Value> {
    let request = http::Request::patch(uri)
        .header("content-type", "application/json-patch+json")
        .body(patch.to_string().into_bytes())
        .unwrap();
    client.request(request).await
}

#[tokio::test]
async fn a_json_patch_may_test_first() {
    let server = with_nodes(&["a"]).await;
    let client = server.client(ADMIN);
    let patch = |expected: &str| {
        json!([
            { "op": "test", "path": "/metadata/name", "value": expected },
            { "op": "add", "path": "/metadata/labels", "value": { "k": "v" } },
        ])
    };
    let refused = json_patch(&client, "/api/v1/nodes/a", patch("other")).await;
    assert_eq!(code_and_reason(refused), (422, "Invalid".to_owned()));
    let patched = json_patch(&client, "/api/v1/nodes/a", patch("a")).await.unwrap();
    assert_eq!(patched["metadata"]["labels"]["k"], "v");
}

#[tokio::test]
async fn the_status_is_changed_by_itself() {
    let server = with_nodes(&["a"]).await;
    let nodes = nodes(&server);
    let both = Patch::Merge(json!({
        "spec": { "unschedulable": true },
        "status": { "phase": "Running" },
    }));
    let params = PatchParams::default();
    let main = nodes.patch("a", &params, &both).await.unwrap();
    assert_eq!(main.spec.unwrap().unschedulable, Some(true));
    assert_eq!(main.status, None);
    let both = Patch::Merge(json!({
        "spec": { "unschedulable": false },
        "status": { "phase": "Running" },
    }));
    let status = nodes.patch_status("a", &params, &both).await.unwrap();
    assert_eq!(status.spec.unwrap().unschedulable, Some(true));
    assert_eq!(status.status.unwrap().phase.as_deref(), Some("Running"));
}

#[tokio::test]
async fn a_deletion_may_have_conditions() {
    let server = with_nodes(&["a"]).await;
    let nodes = nodes(&server);
    let version = server.version().to_string();
    let delete = |uid: Option<&str>, resource_version: Option<&str>| {
        let conditions = Preconditions {
            uid: uid.map(str::to_owned),
            resource_version: resource_version.map(str::to_owned),
        };
        DeleteParams::default().preconditions(conditions)
    };
    assert_eq!(status(nodes.delete("a", &delete(Some("other"), None)).await).code, 409);
    assert_eq!(status(nodes.delete("a", &delete(None, Some("1"))).await).code, 409);
    assert!(nodes.delete("a", &delete(None, Some(&version))).await.is_ok());
    assert_eq!(status(nodes.delete("a", &delete(None, None)).await).code, 404);
}

#[tokio::test]
async fn deleting_the_owner_deletes_what_it_owns() {
    let server = with_nodes(&[]).await;
    let uid = |value: &Value| value["metadata"]["uid"].clone();
    let owned = |name: &str, owners: &[&Value]| {
        let mut value = config_map("default", name);
        let owner = |uid: &&Value| json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": uid });
        value["metadata"]["ownerReferences"] = owners.iter().map(owner).collect();
        server.put(value)
    };
    let root = uid(&server.put(config_map("default", "root")));
    let other = uid(&server.put(config_map("default", "other")));
    let child = uid(&owned("child", &[&root]));
    owned("grandchild", &[&child]);
    owned("shared", &[&root, &other]);
    config_maps(&server).delete("root", &DeleteParams::default()).await.unwrap();
    let left: Vec<_> =
        server.list("configmaps").iter().map(|map| map["metadata"]["name"].clone()).collect();
    assert_eq!(left, ["other", "shared"]);
    let owners =
        &server.get("configmaps", "default/shared").unwrap()["metadata"]["ownerReferences"];
    assert_eq!(owners.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_finalizer_keeps_an_object_until_it_is_taken_off() {
    let server = with_nodes(&["a"]).await;
    server.edit("nodes", "a", |node| node["metadata"]["finalizers"] = json!(["x/y"]));
    let nodes = nodes(&server);
    nodes.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(nodes.get("a").await.unwrap().metadata.deletion_timestamp.is_some());
    let patch = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    nodes.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(server.get("nodes", "a"), None);
}

#[tokio::test]
async fn a_collection_is_deleted_by_its_selector() {
    let server = with_nodes(&["a", "b"]).await;
    server.edit("nodes", "b", |node| node["metadata"]["labels"] = json!({ "k": "v" }));
    let selected = kube::api::ListParams::default().labels("k");
    nodes(&server).delete_collection(&DeleteParams::default(), &selected).await.unwrap();
    assert_eq!(server.count("nodes"), 1);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let server = with_nodes(&["a"]).await;
    let nodes = nodes(&server);
    let version = server.version();
    let post = PostParams { dry_run: true, ..PostParams::default() };
    nodes.create(&post, &typed(node("b"))).await.unwrap();
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "k": "v" } } }));
    let patched = nodes.patch("a", &PatchParams::default().dry_run(), &patch).await.unwrap();
    assert!(patched.metadata.labels.is_some());
    let apply = Patch::Apply(node("c"));
    nodes.patch("c", &PatchParams::apply("m").dry_run(), &apply).await.unwrap();
    nodes.delete("a", &DeleteParams::default().dry_run()).await.unwrap();
    assert_eq!((server.version(), server.count("nodes")), (version, 1));
}

#[tokio::test]
async fn a_webhook_gets_the_defaults_of_a_real_server() {
    let server = with_nodes(&[]).await;
    let webhook = json!({
        "name": "a.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": { "service": { "name": "s", "namespace": "n" } },
        "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"] }],
    });
    let value = json!({ "metadata": { "name": "w" }, "webhooks": [webhook] });
    let created = webhooks(&server).create(&PostParams::default(), &typed(value)).await.unwrap();
    let webhook = serde_json::to_value(&created.webhooks.unwrap()[0]).unwrap();
    for (field, expected) in [
        ("/failurePolicy", json!("Fail")),
        ("/matchPolicy", json!("Equivalent")),
        ("/timeoutSeconds", json!(10)),
        ("/namespaceSelector", json!({})),
        ("/objectSelector", json!({})),
        ("/rules/0/scope", json!("*")),
        ("/clientConfig/service/port", json!(443)),
    ] {
        assert_eq!(webhook.pointer(field), Some(&expected), "{field}");
    }
    assert_eq!(created.metadata.generation, Some(1));
}

#[tokio::test]
async fn a_webhook_without_what_is_required_is_invalid() {
    let server = with_nodes(&[]).await;
    let client = server.client(ADMIN);
    let value = json!({ "metadata": { "name": "w" }, "webhooks": [{ "name": "a.example.com" }] });
    let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    let request = http::Request::post(path).body(value.to_string().into_bytes()).unwrap();
    let refused = status(client.request::<Value>(request).await);
    assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"));
    let fields: Vec<_> =
        refused.details.unwrap().causes.into_iter().map(|cause| cause.field).collect();
    let expected = ["admissionReviewVersions", "sideEffects", "clientConfig"];
    assert_eq!(fields, expected.map(|field| format!("webhooks[0].{field}")));
}
