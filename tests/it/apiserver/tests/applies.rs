//! Server-side apply, and others that edit the same objects.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{
    super::{ADMIN, ApiServer},
    config_map, config_maps, node, nodes, status, webhooks, with_nodes,
};

/// A configuration with these webhooks: their names, and a field that each sets.
fn configuration(hooks: &[(&str, &str, Value)]) -> Value {
    let hooks = hooks.iter().map(|(name, field, value)| {
        let mut hook = json!({
            "name": format!("{name}.example.com"),
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": { "url": "https://example.com" },
        });
        if !field.is_empty() {
            hook[*field] = value.clone();
        }
        hook
    });
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": "w" },
        "webhooks": hooks.collect::<Value>(),
    })
}

async fn apply(
    server: &ApiServer,
    params: &PatchParams,
    value: &Value,
) -> kube::Result<ValidatingWebhookConfiguration> {
    webhooks(server).patch("w", params, &Patch::Apply(value)).await
}

fn hook_names(server: &ApiServer) -> Vec<String> {
    let value = server.get("validatingwebhookconfigurations", "w").unwrap();
    let hooks = value["webhooks"].as_array().unwrap();
    hooks.iter().map(|hook| hook["name"].as_str().unwrap().replace(".example.com", "")).collect()
}

#[tokio::test]
async fn apply_creates_and_then_changes_nothing() {
    let server = with_nodes(&[]).await;
    let value = configuration(&[("a", "timeoutSeconds", json!(5))]);
    let params = PatchParams::apply("me");
    let created = apply(&server, &params, &value).await.unwrap();
    let again = apply(&server, &params, &value).await.unwrap();
    assert_eq!(again.metadata.resource_version, created.metadata.resource_version);
    let [entry] = &created.metadata.managed_fields.unwrap()[..] else { panic!("not one") };
    assert_eq!((entry.manager.as_deref(), entry.operation.as_deref()), (Some("me"), Some("Apply")));
    let fields = &entry.fields_v1.as_ref().unwrap().0;
    let hook = &fields["f:webhooks"]["k:{\"name\":\"a.example.com\"}"];
    assert_eq!(hook["f:timeoutSeconds"], json!({}));
    assert_eq!(hook["f:matchPolicy"], Value::Null, "a default has no owner");
}

#[tokio::test]
async fn apply_removes_what_it_no_longer_applies() {
    let server = with_nodes(&[]).await;
    let params = PatchParams::apply("me");
    let label = json!({ "matchLabels": { "k": "v" } });
    let value = configuration(&[("a", "objectSelector", label), ("b", "", Value::Null)]);
    apply(&server, &params, &value).await.unwrap();
    assert_eq!(hook_names(&server), ["a", "b"]);
    let applied = apply(&server, &params, &configuration(&[("a", "", Value::Null)])).await.unwrap();
    assert_eq!(hook_names(&server), ["a"]);
    let hook = &applied.webhooks.unwrap()[0];
    assert_eq!(serde_json::to_value(&hook.object_selector).unwrap(), json!({}));
    assert_eq!(applied.metadata.generation, Some(2));
}

#[tokio::test]
async fn apply_leaves_what_others_set() {
    let server = with_nodes(&[]).await;
    let mine = |data: Value| {
        let mut value = config_map("default", "x");
        value["data"] = data;
        Patch::Apply(value)
    };
    let maps = config_maps(&server);
    let params = PatchParams::apply("me");
    maps.patch("x", &params, &mine(json!({ "a": "1", "b": "2" }))).await.unwrap();
    maps.patch("x", &PatchParams::apply("you"), &mine(json!({ "b": "2" }))).await.unwrap();
    server.edit("configmaps", "default/x", |map| map["data"]["c"] = json!("3"));
    maps.patch("x", &params, &mine(json!({}))).await.unwrap();
    let data = &server.get("configmaps", "default/x").unwrap()["data"];
    assert_eq!(*data, json!({ "b": "2", "c": "3" }));
}

#[tokio::test]
async fn two_managers_conflict_unless_forced() {
    let server = with_nodes(&[]).await;
    let timeout = |seconds: u8| configuration(&[("a", "timeoutSeconds", json!(seconds))]);
    apply(&server, &PatchParams::apply("me"), &timeout(5)).await.unwrap();
    apply(&server, &PatchParams::apply("you"), &timeout(5)).await.unwrap();
    let refused = status(apply(&server, &PatchParams::apply("you"), &timeout(6)).await);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"me\" using admissionregistration.k8s.io/v1: \
         .webhooks[name=\"a.example.com\"].timeoutSeconds"
    );
    let forced = PatchParams::apply("you").force();
    let applied = apply(&server, &forced, &timeout(6)).await.unwrap();
    assert_eq!(applied.webhooks.unwrap()[0].timeout_seconds, Some(6));
    let refused = status(apply(&server, &PatchParams::apply("me"), &timeout(5)).await);
    assert_eq!(refused.code, 409, "it is yours now");
}

#[tokio::test]
async fn an_update_takes_the_fields_that_it_changes() {
    let server = with_nodes(&[]).await;
    let label = |value: &str| {
        let mut it = node("a");
        it["metadata"]["labels"] = json!({ "k": value });
        it
    };
    let params = PatchParams::apply("me");
    nodes(&server).patch("a", &params, &Patch::Apply(label("1"))).await.unwrap();
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "k": "2" } } }));
    let other = PatchParams { field_manager: Some("other".to_owned()), ..PatchParams::default() };
    nodes(&server).patch("a", &other, &patch).await.unwrap();
    let refused = status(nodes(&server).patch("a", &params, &Patch::Apply(label("1"))).await);
    assert!(refused.message.contains("conflict with \"other\""), "{}", refused.message);
}

#[tokio::test]
async fn an_object_from_before_the_first_apply_has_an_owner() {
    let server = with_nodes(&[]).await;
    server.put(configuration(&[("a", "timeoutSeconds", json!(5))]));
    let value = configuration(&[("a", "timeoutSeconds", json!(6))]);
    let params = PatchParams::apply("me");
    let refused = status(apply(&server, &params, &value).await);
    assert!(refused.message.contains("before-first-apply"), "{}", refused.message);
    assert!(apply(&server, &params.force(), &value).await.is_ok());
}

#[tokio::test]
async fn what_is_applied_may_be_yaml() {
    let server = with_nodes(&[]).await;
    let yaml = "apiVersion: v1\nkind: Node\nmetadata:\n  labels: {a: b}\n";
    let request = http::Request::patch("/api/v1/nodes/a?fieldManager=me")
        .header("content-type", "application/apply-patch+yaml")
        .body(yaml.as_bytes().to_vec())
        .unwrap();
    let applied: Value = server.client(ADMIN).request(request).await.unwrap();
    assert_eq!(applied["metadata"]["labels"]["a"], "b");
}

#[tokio::test]
async fn an_apply_without_a_manager_is_invalid() {
    let server = with_nodes(&["a"]).await;
    let patch = Patch::Apply(node("a"));
    let refused = nodes(&server).patch("a", &PatchParams::default(), &patch).await;
    assert_eq!(status(refused).code, 422);
}

#[tokio::test]
async fn an_enforcer_can_edit_after_each_write() {
    let server = with_nodes(&[]).await;
    let exclusion = json!({ "matchExpressions": [{ "key": "k", "operator": "DoesNotExist" }] });
    let enforced = exclusion.clone();
    server.on_write("validatingwebhookconfigurations", "enforcer", move |value| {
        for hook in value["webhooks"].as_array_mut().unwrap() {
            hook["namespaceSelector"] = enforced.clone();
        }
    });
    let params = PatchParams::apply("me");
    let value = configuration(&[("a", "", Value::Null)]);
    let answer = apply(&server, &params, &value).await.unwrap();
    let stored = server.get("validatingwebhookconfigurations", "w").unwrap();
    assert_eq!(stored["webhooks"][0]["namespaceSelector"], exclusion);
    assert_eq!(stored["metadata"]["resourceVersion"], json!(server.version().to_string()));
    assert_ne!(answer.metadata.resource_version, Some(server.version().to_string()));
    let version = server.version();
    apply(&server, &params, &value).await.unwrap();
    assert_eq!(server.version(), version, "an apply of nothing new leaves the enforcer's edit");
    let mine = configuration(&[("a", "namespaceSelector", json!({ "matchLabels": { "x": "y" } }))]);
    let refused = status(apply(&server, &params, &mine).await);
    assert!(refused.message.contains("conflict with \"enforcer\""), "{}", refused.message);
    let answer = apply(&server, &params.force(), &mine).await.unwrap();
    let selector = answer.webhooks.unwrap().remove(0).namespace_selector.unwrap();
    assert_eq!(selector.match_expressions, None, "a selector is set as a whole");
    let stored = server.get("validatingwebhookconfigurations", "w").unwrap();
    assert_eq!(stored["webhooks"][0]["namespaceSelector"], exclusion, "and again");
}
