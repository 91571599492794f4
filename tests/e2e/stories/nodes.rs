//! Nodes: taints, labels, and what kubelets do all day.

use serde_json::{Value, json};

use super::pods::POOL_A_NODE;
use crate::world::{World, says};

pub(crate) const NODES: &str = "/api/v1/nodes";

fn dedicated() -> Value {
    json!({"key": "dedicated", "value": "automq", "effect": "NoSchedule"})
}

async fn taints(world: &World) -> Vec<Value> {
    let node = world.admin.get(&format!("{NODES}/{POOL_A_NODE}")).await.unwrap();
    node["spec"]["taints"].as_array().cloned().unwrap_or_default()
}

/// The change that takes the dedicated taint off.
pub(crate) async fn untaint(world: &World) -> Value {
    let rest: Vec<_> = taints(world).await.into_iter().filter(|it| *it != dedicated()).collect();
    json!({"spec": {"taints": rest}})
}

/// The change that puts it back on.
pub(crate) async fn taint(world: &World) -> Value {
    let mut all = taints(world).await;
    all.push(dedicated());
    json!({"spec": {"taints": all}})
}

/// A node of pool-a as its kubelet creates it.
pub(crate) fn joining(name: &str) -> Value {
    json!({
        "metadata": {
            "name": name,
            "labels": {
                "eks.amazonaws.com/nodegroup": "automq-a",
                "topology.kubernetes.io/zone": "us-east-1a",
                "node.kubernetes.io/instance-type": "r6in.large",
            },
        },
    })
}

pub(crate) async fn a_taint_is_kept(world: &mut World) {
    world.scale(1).await;
    let path = format!("{NODES}/{POOL_A_NODE}");
    let refusal = world.alice.merge(&path, &untaint(world).await).await.unwrap_err();
    says(&refusal, "[node-taint]").unwrap();
    assert!(taints(world).await.contains(&dedicated()));
    let mut more = taints(world).await;
    more.push(json!({"key": "example.com/full", "effect": "PreferNoSchedule"}));
    world.alice.merge(&path, &json!({"spec": {"taints": more}})).await.unwrap();
}

pub(crate) async fn a_joining_node_gets_the_taint(world: &mut World) {
    world.scale(1).await;
    let node = world.node("joining").create(NODES, &joining("joining")).await.unwrap();
    assert!(node["spec"]["taints"].as_array().unwrap().contains(&dedicated()), "{node:#}");
    world.alice.delete(&format!("{NODES}/joining")).await.unwrap();
}

pub(crate) async fn labels_are_kept(world: &mut World) {
    world.scale(1).await;
    let labels = json!({"metadata": {"labels": {"eks.amazonaws.com/nodegroup": "system"}}});
    for path in [format!("{NODES}/{POOL_A_NODE}"), format!("{NODES}/{POOL_A_NODE}/status")] {
        let refusal = world.alice.merge(&path, &labels).await.unwrap_err();
        says(&refusal, "[node-identity]").unwrap();
    }
}

pub(crate) async fn heartbeats_and_cordons_pass(world: &mut World) {
    world.scale(1).await;
    let path = format!("{NODES}/{POOL_A_NODE}");
    for is_cordoned in [true, false] {
        let cordon = json!({"spec": {"unschedulable": is_cordoned}});
        world.alice.merge(&path, &cordon).await.unwrap();
    }
    let annotation = json!({"metadata": {"annotations": {"node.alpha.kubernetes.io/ttl": "15"}}});
    world
        .user("system:serviceaccount:kube-system:ttl-controller")
        .merge(&path, &annotation)
        .await
        .unwrap();
}

pub(crate) async fn heartbeats_cost_no_call(world: &mut World) {
    world.scale(1).await;
    let before = world.asked_count().await;
    let rebuilds = world.sum("poolguard_snapshot_rebuilds_total").await;
    let kubelet = world.node(POOL_A_NODE);
    for minute in 10..20 {
        let time = format!("2026-01-01T00:{minute}:00Z");
        let condition = json!({
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "",
            "lastHeartbeatTime": time, "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let status = json!({"status": {"conditions": [condition]}});
        kubelet.merge(&format!("{NODES}/{POOL_A_NODE}/status"), &status).await.unwrap();
    }
    assert_eq!(world.asked_count().await, before);
    let rebuilds = world.sum("poolguard_snapshot_rebuilds_total").await - rebuilds;
    assert!(rebuilds <= 1, "the node is ready now, which is news once: {rebuilds}");
}
