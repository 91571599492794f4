//! The backstop: the API server's own denials while PoolGuard is away, and PoolGuard's while it is there.

use serde_json::{Value, json};

use super::{
    nodes::NODES,
    pods::{BROKERS, POOL_A_NODE, SHOP, binding, is_placed, tolerate},
    registration::webhooks,
};
use crate::{
    user::Refusal,
    world::{RBAC, World, eventually, intruder, pod, says},
};

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";
const CONFIG: &str = "backstop: {mode: managed}\nonOutage: backstop";
const NEW_NODE: &str = "ip-10-0-8-88.ec2.internal";

/// The kinds of objects that a backstop consists of, as far as the API server has them.
async fn kinds(world: &World) -> Vec<String> {
    let served = world.admin.get(GROUP).await.unwrap();
    let names = served["resources"].as_array().unwrap().iter().map(|it| it["name"].clone());
    let names = names.filter_map(|name| name.as_str().map(str::to_owned));
    names.filter(|name| name.contains("admissionpolic") && !name.contains('/')).collect()
}

/// The objects of the backstop.
async fn objects(world: &World) -> Vec<Value> {
    let mut objects = Vec::new();
    for kind in kinds(world).await {
        let list = world.admin.get(&format!("{GROUP}/{kind}")).await.unwrap();
        objects.extend(list["items"].as_array().unwrap().clone());
    }
    objects
}

/// Waits until the entry for pods is registered with this failure policy.
async fn until_pods_fail(world: &World, policy: &str) {
    let is_so = async || {
        let [_, validating] = webhooks(world).await;
        let mut entries = validating.as_array().into_iter().flatten();
        let pods = entries.find(|it| it["name"] == "pods.poolguard.io");
        let is_it = pods.is_some_and(|it| it["failurePolicy"] == policy);
        is_it.then_some(()).ok_or_else(|| format!("{pods:?}"))
    };
    eventually("the entry for pods has its failure policy", is_so).await;
}

/// Has PoolGuard keep a backstop, and go.
async fn away(world: &mut World) {
    world.configure(CONFIG);
    world.scale(1).await;
    until_pods_fail(world, "Ignore").await;
    world.scale(0).await;
}

/// Asserts that the API server decided by itself.
fn assert_backstop(refusal: &Refusal) {
    assert_eq!(refusal.code, 403, "{refusal}");
    for part in ["ValidatingAdmissionPolicy 'poolguard", "[pod-intrusion]", "did not answer"] {
        assert!(refusal.message.contains(part), "{refusal}");
    }
}

/// Creates a pod that names its node.
async fn pin(world: &World, name: &str, node: &str) -> Result<Value, Refusal> {
    let mut pinned = pod(name);
    pinned["spec"]["nodeName"] = node.into();
    world.alice.create(&format!("{SHOP}?dryRun=All"), &pinned).await
}

pub(crate) async fn poolguard_answers_before_the_backstop(world: &mut World) {
    world.configure(CONFIG);
    world.scale(1).await;
    until_pods_fail(world, "Ignore").await;
    let before = world.sum("poolguard_denials_total").await;
    let refusal = world.alice.create(SHOP, &intruder("first-answer")).await.unwrap_err();
    says(&refusal, "spec.tolerations[0] {operator: Exists} tolerates").unwrap();
    assert!(!refusal.message.contains("did not answer"), "{refusal}");
    let is_recorded = async || match world.replicas[0].lines("first-answer") {
        0 => Err("there is no record".to_owned()),
        _ => Ok(()),
    };
    eventually("the denial is recorded", is_recorded).await;
    assert_eq!(world.sum("poolguard_denials_total").await, before + 1);
    assert_eq!(world.replicas[0].lines("first-answer"), 1);
}

pub(crate) async fn the_api_server_denies_intruders_while_poolguard_is_away(world: &mut World) {
    away(world).await;
    let refusal = world.alice.create(SHOP, &intruder("while-away")).await.unwrap_err();
    assert_backstop(&refusal);
    assert!(refusal.message.contains("on a node of pool pool-"), "{refusal}");
    assert_backstop(&pin(world, "pinned-while-away", POOL_A_NODE).await.unwrap_err());
    world.alice.create(SHOP, &pod("unbound-while-away")).await.unwrap();
    let unbound = format!("{SHOP}/unbound-while-away");
    let bound = binding("unbound-while-away", POOL_A_NODE);
    let scheduler = world.user("picky-scheduler");
    let refusal = scheduler.create(&format!("{unbound}/binding"), &bound).await.unwrap_err();
    assert_backstop(&refusal);
    let refusal = world.alice.merge(&unbound, &tolerate(world, &unbound).await).await.unwrap_err();
    assert_backstop(&refusal);
}

pub(crate) async fn other_pods_pass_while_poolguard_is_away(world: &mut World) {
    away(world).await;
    let shop = format!("{SHOP}?dryRun=All");
    world.alice.create(&shop, &pod("plain")).await.unwrap();
    let mut elsewhere = intruder("elsewhere");
    elsewhere["spec"]["nodeSelector"] = json!({"eks.amazonaws.com/nodegroup": "system"});
    world.alice.create(&shop, &elsewhere).await.unwrap();
    world.break_glass().create(&shop, &intruder("by-break-glass")).await.unwrap();
    let system = "/api/v1/namespaces/kube-system/pods?dryRun=All";
    world.alice.create(system, &intruder("system")).await.unwrap();
    let broker = world.alice.create(&format!("{BROKERS}?dryRun=All"), &pod("broker")).await;
    let mutates = kinds(world).await.iter().any(|it| it == "mutatingadmissionpolicies");
    assert_eq!(is_placed(&broker.unwrap()), mutates, "the API server places brokers if it can");
}

pub(crate) async fn a_pool_that_is_added_meanwhile_is_protected_afterwards(world: &mut World) {
    away(world).await;
    let taint = json!({"key": "dedicated", "value": "automq", "effect": "NoSchedule"});
    let labels = json!({
        "eks.amazonaws.com/nodegroup": "automq-new",
        "kubernetes.io/hostname": NEW_NODE,
        "topology.kubernetes.io/zone": "us-east-1a",
    });
    let node =
        json!({"metadata": {"name": NEW_NODE, "labels": labels}, "spec": {"taints": [taint]}});
    world.alice.create(NODES, &node).await.unwrap();
    pin(world, "pinned-to-new-node", NEW_NODE).await.unwrap();
    world.scale(1).await;
    let number = NEW_NODE.trim_start_matches("ip-10-0-").trim_end_matches(".ec2.internal");
    let is_known = async || {
        let objects = objects(world).await;
        let knows = objects.iter().filter(|it| it.to_string().contains(&format!("'{number}':")));
        (knows.count() == 2).then_some(()).ok_or_else(|| "no policy knows the node".to_owned())
    };
    eventually("the policies know the new node", is_known).await;
    world.scale(0).await;
    let is_denied = async || match pin(world, "pinned-to-new-node", NEW_NODE).await {
        Ok(_) => Err("it passes".to_owned()),
        Err(refusal) => {
            assert_backstop(&refusal);
            Ok(())
        }
    };
    eventually("the API server denies pods on the new node", is_denied).await;
    world.alice.delete(&format!("{NODES}/{NEW_NODE}")).await.unwrap();
}

pub(crate) async fn nothing_of_the_backstop_is_left(world: &mut World) {
    away(world).await;
    let owner = world.admin.get(&format!("{RBAC}/clusterroles/poolguard")).await.unwrap();
    let kept = objects(world).await;
    assert_eq!(kept.len(), kinds(world).await.len() + 2, "a pair more, for bindings");
    for object in &kept {
        // The garbage collector deletes them with their only owner.
        let owners = object["metadata"]["ownerReferences"].as_array().unwrap();
        assert_eq!(owners.len(), 1, "{owners:?}");
        assert_eq!(owners[0]["uid"], owner["metadata"]["uid"]);
    }
    world.configure("");
    world.scale(1).await;
    until_pods_fail(world, "Fail").await;
    let is_gone = async || match objects(world).await.len() {
        0 => Ok(()),
        count => Err(format!("{count} objects are left")),
    };
    eventually("the objects are gone", is_gone).await;
}
