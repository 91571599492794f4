//! What holds a pool's role together.

use serde_json::{Value, json};

use crate::world::{RBAC, World, eventually, says};

pub(crate) fn bindings() -> String {
    format!("{RBAC}/namespaces/automq/rolebindings")
}

/// The binding that the config protects by name.
pub(crate) fn protected() -> Value {
    json!({
        "metadata": {"name": "automq-nodepool"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "nodepool"},
        "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": "automq"}],
    })
}

/// Has the protected binding there.
pub(crate) async fn have_binding(world: &World) {
    let path = format!("{}/automq-nodepool", bindings());
    if world.admin.get(&path).await.is_err() {
        world.admin.create(&bindings(), &protected()).await.unwrap();
    }
}

pub(crate) async fn a_role_binding_is_kept(world: &mut World) {
    world.scale(1).await;
    have_binding(world).await;
    let path = format!("{}/automq-nodepool", bindings());
    let refusal = world.alice.delete(&path).await.unwrap_err();
    says(&refusal, "[role-binding]").unwrap();
    let refusal = world.alice.delete(&bindings()).await.unwrap_err();
    says(&refusal, "[role-binding]").unwrap();
    let refusal = world.alice.merge(&path, &json!({"subjects": []})).await.unwrap_err();
    says(&refusal, "[role-binding]").unwrap();
    world.alice.merge(&path, &json!({"metadata": {"labels": {"team": "data"}}})).await.unwrap();
}

pub(crate) async fn a_trusted_principal_may_delete_a_role_binding(world: &mut World) {
    world.scale(1).await;
    have_binding(world).await;
    let path = format!("{}/automq-nodepool", bindings());
    world.user("console").delete(&path).await.unwrap();
    assert_eq!(world.admin.get(&path).await.unwrap_err().code, 404);
}

pub(crate) async fn break_glass_passes_and_is_recorded(world: &mut World) {
    world.scale(1).await;
    have_binding(world).await;
    let before = world.sum("poolguard_break_glass_total").await;
    world.break_glass().delete(&format!("{}/automq-nodepool", bindings())).await.unwrap();
    assert_eq!(world.sum("poolguard_break_glass_total").await, before + 1);
    let recorded = async || {
        let is_there = world.has_logged("break-glass") && world.has_logged("automq-nodepool");
        is_there.then_some(()).ok_or_else(|| "nothing is recorded".to_owned())
    };
    eventually("break-glass is recorded", recorded).await;
}

pub(crate) async fn identities_and_named_items_are_kept(world: &mut World) {
    world.scale(1).await;
    let accounts = "/api/v1/namespaces/automq/serviceaccounts";
    let role = json!({"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/broker"});
    let account = json!({"metadata": {"name": "broker", "annotations": role}});
    world.alice.create(accounts, &account).await.unwrap();
    let broker = format!("{accounts}/broker");
    let gone = json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": null}}});
    says(&world.alice.merge(&broker, &gone).await.unwrap_err(), "[role-binding]").unwrap();
    says(&world.alice.delete(&broker).await.unwrap_err(), "[role-binding]").unwrap();

    have_node_roles(world).await;
    let more = format!("{}{}", item("automq-node"), item("dev"));
    world.alice.merge(NODE_ROLES, &json!({"data": {"mapRoles": more}})).await.unwrap();
    let less = json!({"data": {"mapRoles": item("dev")}});
    says(&world.alice.merge(NODE_ROLES, &less).await.unwrap_err(), "[role-binding]").unwrap();
    world.alice.merge(NODE_ROLES, &json!({"data": {"mapUsers": "[]"}})).await.unwrap();
}

/// The config map of whose items the config protects one.
pub(crate) const NODE_ROLES: &str = "/api/v1/namespaces/kube-system/configmaps/aws-auth";

/// An item of it.
pub(crate) fn item(role: &str) -> String {
    format!("- rolearn: arn:aws:iam::111122223333:role/{role}\n  username: {role}\n")
}

/// Has the config map there.
pub(crate) async fn have_node_roles(world: &World) {
    if world.admin.get(NODE_ROLES).await.is_err() {
        let (folder, _) = NODE_ROLES.rsplit_once('/').unwrap();
        let data = json!({"mapRoles": item("automq-node")});
        let map = json!({"metadata": {"name": "aws-auth"}, "data": data});
        world.admin.create(folder, &map).await.unwrap();
    }
}

pub(crate) async fn a_role_that_a_protected_binding_refers_to_is_kept(world: &mut World) {
    world.scale(1).await;
    have_binding(world).await;
    let folder = format!("{RBAC}/namespaces/automq/roles");
    let rules = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]);
    for name in ["nodepool", "unrelated"] {
        let role = json!({"metadata": {"name": name}, "rules": rules});
        world.alice.create(&folder, &role).await.unwrap();
    }
    let denied = async || match world.alice.delete(&format!("{folder}/nodepool?dryRun=All")).await {
        Ok(_) => Err("it passes".to_owned()),
        Err(refusal) => says(&refusal, "[role-binding]"),
    };
    eventually("the binding has been seen", denied).await;
    world.alice.delete(&format!("{folder}/unrelated")).await.unwrap();
}

pub(crate) async fn a_namespace_of_an_instance_is_kept(world: &mut World) {
    world.scale(1).await;
    let path = "/api/v1/namespaces/automq-instance-1";
    says(&world.alice.delete(path).await.unwrap_err(), "[role-binding]").unwrap();
    let temporary = json!({"metadata": {"name": "temporary"}});
    world.alice.create("/api/v1/namespaces", &temporary).await.unwrap();
    world.alice.delete("/api/v1/namespaces/temporary").await.unwrap();
}

pub(crate) async fn whatever_is_not_protected_can_be_changed(world: &mut World) {
    world.scale(1).await;
    change_what_is_not_protected(world, "guarded").await;
}

/// Creates, changes and deletes what is nobody's business.
pub(crate) async fn change_what_is_not_protected(world: &World, name: &str) {
    let metadata = json!({"name": name});
    let label = json!({"metadata": {"labels": {"team": "web"}}});
    let subject =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "somebody"});
    let role =
        |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "view"});
    let binding =
        json!({"metadata": metadata, "roleRef": role("ClusterRole"), "subjects": [subject]});
    let no_subjects = json!({"subjects": []});
    let rules = json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    let data = json!({"data": {"key": "value"}});
    for (folder, object, change) in [
        (format!("{RBAC}/namespaces/shop/rolebindings"), binding.clone(), no_subjects.clone()),
        (format!("{RBAC}/namespaces/automq/rolebindings"), binding.clone(), no_subjects.clone()),
        (format!("{RBAC}/clusterrolebindings"), binding, no_subjects),
        (format!("{RBAC}/namespaces/shop/roles"), json!({"metadata": metadata}), rules.clone()),
        (format!("{RBAC}/clusterroles"), json!({"metadata": metadata}), rules),
        (
            "/api/v1/namespaces/shop/configmaps".to_owned(),
            json!({"metadata": metadata}),
            data.clone(),
        ),
        (
            "/api/v1/namespaces/kube-system/configmaps".to_owned(),
            json!({"metadata": metadata}),
            data,
        ),
        (
            "/api/v1/namespaces/automq/serviceaccounts".to_owned(),
            json!({"metadata": metadata}),
            label.clone(),
        ),
        ("/api/v1/namespaces".to_owned(), json!({"metadata": metadata}), label),
    ] {
        let path = format!("{folder}/{name}");
        let result = async {
            world.alice.create(&folder, &object).await?;
            world.alice.merge(&path, &change).await?;
            world.alice.delete(&path).await
        };
        result.await.unwrap_or_else(|refusal| panic!("{path}: {refusal}"));
    }
}
