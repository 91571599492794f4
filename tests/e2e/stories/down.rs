//! With PoolGuard down: what fails closed, and that nothing else does.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    nodes::{NODES, joining, taint, untaint},
    pods::{BROKERS, POOL_A_NODE, SHOP, binding, tolerate},
    registration::{erred, webhooks},
    roles::{
        NODE_ROLES, bindings, change_what_is_not_protected, have_binding, have_node_roles, item,
        protected,
    },
};
use crate::{
    user::Refusal,
    world::{CONFIGURATIONS, World, eventually, intruder, pod},
};

/// Whether it was refused since nobody answered, and not denied.
fn is_unanswered(refusal: &Refusal) -> bool {
    refusal.code == 500 && refusal.message.contains("failed calling webhook")
}

/// A process that is there, and does not answer, is worse than one that is not: each call waits.
pub(crate) async fn a_replica_that_hangs_delays_by_seconds(world: &mut World) {
    world.scale(1).await;
    world.replicas[0].signal("STOP");
    let began = Instant::now();
    world.alice.create(SHOP, &pod("plain-meanwhile")).await.unwrap();
    let status = json!({"status": {"phase": "Running"}});
    let node = format!("{NODES}/{POOL_A_NODE}");
    world.node(POOL_A_NODE).merge(&format!("{node}/status"), &status).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "nobody is asked about these");
    let label = json!({"metadata": {"labels": {"team": "nobody"}}});
    world.alice.merge(&node, &label).await.unwrap();
    let broker = world.alice.create(BROKERS, &pod("broker-meanwhile")).await.unwrap();
    assert_eq!(broker["spec"].get("affinity"), None, "nobody could place it");
    assert!(began.elapsed() < Duration::from_secs(6), "one second for each of the two phases");
    let refusal = world.alice.create(SHOP, &intruder("meanwhile")).await.unwrap_err();
    assert!(is_unanswered(&refusal), "{refusal}");
    world.replicas[0].signal("CONT");
    world.until_asked().await;
}

pub(crate) async fn the_registration_stays_at_scale_zero(world: &mut World) {
    world.scale(1).await;
    let before = webhooks(world).await;
    world.scale(0).await;
    assert_eq!(webhooks(world).await, before);
}

pub(crate) async fn an_intruder_is_refused(world: &mut World) {
    world.down().await;
    let refusal = world.alice.create(SHOP, &intruder("while-down")).await.unwrap_err();
    assert!(is_unanswered(&refusal), "{refusal}");
    let mut pinned = pod("pinned-while-down");
    pinned["spec"]["nodeName"] = POOL_A_NODE.into();
    let refusal = world.alice.create(SHOP, &pinned).await.unwrap_err();
    assert!(is_unanswered(&refusal), "{refusal}");
    world.alice.create(SHOP, &pod("unbound-while-down")).await.unwrap();
    let path = format!("{SHOP}/unbound-while-down/binding");
    let bound = binding("unbound-while-down", POOL_A_NODE);
    let refusal = world.user("picky-scheduler").create(&path, &bound).await.unwrap_err();
    assert!(is_unanswered(&refusal), "{refusal}");
    let unbound = format!("{SHOP}/unbound-while-down");
    let refusal = world.alice.merge(&unbound, &tolerate(world, &unbound).await).await.unwrap_err();
    assert!(is_unanswered(&refusal), "{refusal}");
}

pub(crate) async fn what_is_no_intruder_passes(world: &mut World) {
    world.down().await;
    let alice = &world.alice;
    alice.create(SHOP, &pod("plain-while-down")).await.unwrap();
    let plain = format!("{SHOP}/plain-while-down");
    let mut tolerant = pod("tolerant-while-down");
    tolerant["spec"]["tolerations"] = json!([{"key": "example.com/gpu", "operator": "Exists"}]);
    alice.create(SHOP, &tolerant).await.unwrap();
    let kubernetes = world.user("system:kube-scheduler");
    let bound = binding("plain-while-down", POOL_A_NODE);
    kubernetes.create(&format!("{plain}/binding"), &bound).await.unwrap();
    alice.merge(&plain, &json!({"metadata": {"labels": {"tier": "web"}}})).await.unwrap();
    // On a node already, so that it moves no more.
    alice.merge(&plain, &tolerate(world, &plain).await).await.unwrap();
    let running = json!({"status": {"phase": "Running"}});
    let kubelet = world.node(POOL_A_NODE);
    kubelet.merge(&format!("{plain}/status"), &running).await.unwrap();
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "plain-while-down"},
    });
    alice.create(&format!("{plain}/eviction"), &eviction).await.unwrap();

    let broker = alice.create(BROKERS, &pod("broker-while-down")).await.unwrap();
    assert_eq!(broker["spec"].get("affinity"), None, "nobody could place it");

    let mut exporter = intruder("exporter-while-down");
    exporter["metadata"]["labels"] = json!({"app": "exporter", "pod-template-generation": "1"});
    exporter["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "name": "exporter",
        "uid": "11111111-2222-3333-4444-555555555555",
        "controller": true,
    }]);
    let controller = world.user("system:serviceaccount:kube-system:daemon-set-controller");
    controller.create("/api/v1/namespaces/monitoring/pods", &exporter).await.unwrap();

    let mut mirror = intruder("mirror-while-down");
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "1"});
    mirror["spec"]["nodeName"] = POOL_A_NODE.into();
    kubelet.create(SHOP, &mirror).await.unwrap();

    let system = "/api/v1/namespaces/kube-system/pods";
    alice.create(system, &intruder("system-while-down")).await.unwrap();
}

pub(crate) async fn nodes_pass(world: &mut World) {
    world.down().await;
    let path = format!("{NODES}/{POOL_A_NODE}");
    for cordoned in [true, false] {
        let cordon = json!({"spec": {"unschedulable": cordoned}});
        world.alice.merge(&path, &cordon).await.unwrap();
    }
    world.alice.merge(&path, &json!({"metadata": {"labels": {"team": "data"}}})).await.unwrap();
    world.alice.merge(&path, &untaint(world).await).await.unwrap();
    world.alice.merge(&path, &taint(world).await).await.unwrap();
    let status = json!({"status": {"conditions": []}});
    world.node(POOL_A_NODE).merge(&format!("{path}/status"), &status).await.unwrap();
    world.node("late").create(NODES, &joining("late")).await.unwrap();
    world.alice.delete(&format!("{NODES}/late")).await.unwrap();
}

pub(crate) async fn a_role_binding_is_not_changed(world: &mut World) {
    world.down().await;
    have_binding(world).await;
    let path = format!("{}/automq-nodepool", bindings());
    let refusal = world.alice.delete(&path).await.unwrap_err();
    assert!(is_unanswered(&refusal), "{refusal}");
    let refusal = world.alice.merge(&path, &json!({"subjects": []})).await.unwrap_err();
    assert!(is_unanswered(&refusal), "{refusal}");
    let refusal = world.alice.delete("/api/v1/namespaces/automq-instance-1").await.unwrap_err();
    assert!(is_unanswered(&refusal), "{refusal}");
    world.alice.merge(&path, &json!({"metadata": {"labels": {"team": "web"}}})).await.unwrap();
    have_node_roles(world).await;
    let less = json!({"data": {"mapRoles": item("dev")}});
    let refusal = world.alice.merge(NODE_ROLES, &less).await.unwrap_err();
    assert!(is_unanswered(&refusal), "{refusal}");
    world.alice.merge(NODE_ROLES, &json!({"data": {"mapUsers": "- dev"}})).await.unwrap();
    world.user("console").delete(&path).await.unwrap();
    world.user("console").create(&bindings(), &protected()).await.unwrap();
    let collector = world.plane.user(
        "system:serviceaccount:kube-system:generic-garbage-collector",
        &["system:serviceaccounts", "system:masters"],
    );
    collector.delete(&path).await.unwrap();
}

pub(crate) async fn what_is_not_protected_passes(world: &mut World) {
    world.down().await;
    change_what_is_not_protected(world, "unguarded").await;
    let deployment = json!({
        "metadata": {"name": "while-down"},
        "spec": {
            "selector": {"matchLabels": {"app": "while-down"}},
            "template": {
                "metadata": {"labels": {"app": "while-down"}},
                "spec": intruder("while-down")["spec"],
            },
        },
    });
    world.alice.create("/apis/apps/v1/namespaces/shop/deployments", &deployment).await.unwrap();
}

pub(crate) async fn break_glass_passes(world: &mut World) {
    world.down().await;
    have_binding(world).await;
    let somebody = world.break_glass();
    somebody.create(SHOP, &intruder("by-break-glass")).await.unwrap();
    somebody.delete(&format!("{}/automq-nodepool", bindings())).await.unwrap();
    let dry_run = "/api/v1/namespaces/automq-instance-1?dryRun=All";
    somebody.delete(dry_run).await.unwrap();
}

pub(crate) async fn everything_is_as_before_afterwards(world: &mut World) {
    world.down().await;
    let before = webhooks(world).await;
    world.scale(2).await;
    assert_eq!(webhooks(world).await, before);
}

pub(crate) async fn no_condition_has_erred(world: &mut World) {
    world.scale(1).await;
    assert_eq!(erred(world).await, Vec::<String>::new());
    // One that does is seen.
    let webhook = json!({
        "name": "erring.example.com",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://127.0.0.1:1"},
        "failurePolicy": "Ignore",
        "matchConditions": [{"name": "errs", "expression": "object.data.absent == 'x'"}],
        "rules": [{
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE"],
            "resources": ["configmaps"],
        }],
        "sideEffects": "None",
    });
    let (folder, _) = CONFIGURATIONS[1].rsplit_once('/').unwrap();
    let erring = json!({"metadata": {"name": "erring"}, "webhooks": [webhook]});
    world.admin.create(folder, &erring).await.unwrap();
    let maps = "/api/v1/namespaces/shop/configmaps?dryRun=All";
    let is_seen = async || {
        let map = json!({"metadata": {"name": "erring"}});
        world.admin.create(maps, &map).await.map_err(|refusal| refusal.to_string())?;
        let errors = erred(world).await;
        if errors.is_empty() { Err("no error is counted".to_owned()) } else { Ok(()) }
    };
    eventually("an error is counted", is_seen).await;
    world.admin.delete(&format!("{folder}/erring")).await.unwrap();
}
