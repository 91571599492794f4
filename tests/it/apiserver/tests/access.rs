//! Who may do what.

use k8s_openapi::api::{
    admissionregistration::v1::ValidatingWebhookConfiguration,
    core::v1::{ConfigMap, Node, Pod},
};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams, PostParams, WatchParams},
};
use serde_json::json;

use super::{
    super::{ADMIN, ApiServer, Asked, Rule},
    config_map, node, nodes, status, typed, with_nodes,
};

/// A server where the token `t` is of the user `u` with these rights.
async fn with_rules(rules: Vec<Rule>) -> ApiServer {
    let server = with_nodes(&["a"]).await;
    server.grant("t", "u", rules);
    server
}

#[tokio::test]
async fn a_refusal_is_worded_as_kubernetes_does() {
    let server = with_rules(Vec::new()).await;
    let client = server.client("t");
    let nodes: Api<Node> = Api::all(client.clone());
    assert_eq!(
        status(nodes.list(&ListParams::default()).await).message,
        "nodes is forbidden: User \"u\" cannot list resource \"nodes\" in API group \"\" at the \
         cluster scope"
    );
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let patch = Patch::Merge(json!({ "status": {} }));
    let refused = status(pods.patch_status("p", &PatchParams::default(), &patch).await);
    assert_eq!(
        refused.message,
        "pods \"p\" is forbidden: User \"u\" cannot patch resource \"pods/status\" in API group \
         \"\" in the namespace \"default\""
    );
    assert_eq!((refused.code, refused.reason.as_str()), (403, "Forbidden"));
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(client);
    assert_eq!(
        status(webhooks.get("w").await).message,
        "validatingwebhookconfigurations.admissionregistration.k8s.io \"w\" is forbidden: User \
         \"u\" cannot get resource \"validatingwebhookconfigurations\" in API group \
         \"admissionregistration.k8s.io\" at the cluster scope"
    );
}

#[tokio::test]
async fn an_unknown_token_is_unauthorized() {
    let server = with_nodes(&["a"]).await;
    let nodes: Api<Node> = Api::all(server.client("unknown"));
    assert_eq!(status(nodes.get("a").await).code, 401);
    server.grant("t", "u", vec![Rule::everything()]);
    let nodes: Api<Node> = Api::all(server.client("t"));
    assert!(nodes.get("a").await.is_ok());
    server.forget_token("t");
    assert_eq!(status(nodes.get("a").await).code, 401);
}

#[tokio::test]
async fn a_right_by_name_needs_the_field_selector() {
    let rule = Rule::new(&[""], &["nodes"], &["list", "watch", "get"]).named(&["a"]);
    let server = with_rules(vec![rule]).await;
    let nodes: Api<Node> = Api::all(server.client("t"));
    assert!(nodes.get("a").await.is_ok());
    assert_eq!(status(nodes.get("b").await).code, 403);
    assert_eq!(status(nodes.list(&ListParams::default()).await).code, 403);
    let other = ListParams::default().fields("metadata.name=b");
    assert_eq!(status(nodes.list(&other).await).code, 403);
    let own = ListParams::default().fields("metadata.name=a");
    assert!(nodes.list(&own).await.is_ok());
    assert!(nodes.watch(&WatchParams::default().fields("metadata.name=a"), "0").await.is_ok());
    let everything = nodes.watch(&WatchParams::default(), "0").await.map(|_| ());
    assert_eq!(status(everything).code, 403);
}

#[tokio::test]
async fn a_create_cannot_be_granted_by_name() {
    let rule = Rule::new(&[""], &["configmaps"], &["create", "patch"]).named(&["x"]);
    let server = with_rules(vec![rule]).await;
    let maps: Api<ConfigMap> = Api::namespaced(server.client("t"), "default");
    let map: ConfigMap = typed(config_map("default", "x"));
    assert_eq!(status(maps.create(&PostParams::default(), &map).await).code, 403);
    let apply = PatchParams::apply("m");
    assert!(maps.patch("x", &apply, &Patch::Apply(&map)).await.is_ok(), "an apply has the name");
}

#[tokio::test]
async fn an_apply_that_creates_needs_the_right_to_create() {
    let server = with_rules(vec![Rule::new(&[""], &["configmaps"], &["patch"])]).await;
    let maps: Api<ConfigMap> = Api::namespaced(server.client("t"), "default");
    let map: ConfigMap = typed(config_map("default", "x"));
    let apply = PatchParams::apply("m");
    assert_eq!(status(maps.patch("x", &apply, &Patch::Apply(&map)).await).code, 403);
    server.put(config_map("default", "x"));
    assert!(maps.patch("x", &apply, &Patch::Apply(&map)).await.is_ok());
}

#[tokio::test]
async fn rights_of_a_role_end_at_its_namespace() {
    let role = json!({
        "kind": "Role",
        "metadata": { "name": "r", "namespace": "default" },
        "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"] }],
    });
    let server = with_rules(Rule::of_role(&role)).await;
    for namespace in ["default", "kube-system"] {
        server.put(config_map(namespace, "x"));
    }
    let maps = |namespace| Api::<ConfigMap>::namespaced(server.client("t"), namespace);
    assert!(maps("default").get("x").await.is_ok());
    assert_eq!(status(maps("kube-system").get("x").await).code, 403);
    let everywhere: Api<ConfigMap> = Api::all(server.client("t"));
    assert_eq!(status(everywhere.list(&ListParams::default()).await).code, 403);
}

#[tokio::test]
async fn a_subresource_is_granted_by_itself() {
    let server = with_rules(vec![Rule::new(&[""], &["nodes"], &["*"])]).await;
    let nodes: Api<Node> = Api::all(server.client("t"));
    let patch = Patch::Merge(json!({ "status": { "phase": "x" } }));
    let params = PatchParams::default();
    assert_eq!(status(nodes.patch_status("a", &params, &patch).await).code, 403);
    server.grant("t", "u", vec![Rule::new(&[""], &["nodes/status"], &["patch"])]);
    assert!(nodes.patch_status("a", &params, &patch).await.is_ok());
    assert_eq!(status(nodes.get("a").await).code, 403);
}

#[tokio::test]
async fn what_was_asked_is_recorded() {
    let server = with_rules(vec![Rule::new(&[""], &["nodes"], &["get"])]).await;
    let nodes: Api<Node> = Api::all(server.client("t"));
    nodes.get("a").await.unwrap();
    let by_name = ListParams::default().fields("metadata.name=a");
    nodes.list(&by_name).await.unwrap_err();
    let asked = |verb: &str, allowed| Asked {
        user: "u".to_owned(),
        verb: verb.to_owned(),
        resource: "nodes".to_owned(),
        name: "a".to_owned(),
        allowed,
        ..Asked::default()
    };
    assert_eq!(server.asked(), [asked("get", true), asked("list", false)]);
    assert_eq!(server.asked_count("list", "nodes"), 1);
    server.clear_asked();
    assert_eq!(server.asked(), []);
}

#[tokio::test]
async fn the_admin_may_do_everything() {
    let server = with_nodes(&[]).await;
    let node: Node = typed(node("new"));
    nodes(&server).create(&PostParams::default(), &node).await.unwrap();
    let pods: Api<Pod> = Api::all(server.client(ADMIN));
    assert!(pods.list(&ListParams::default()).await.is_ok());
}
