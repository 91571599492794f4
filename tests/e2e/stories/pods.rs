//! Pods, and what makes them.

use serde_json::{Value, json};

use crate::world::{World, intruder, pod, says};

pub(crate) const SHOP: &str = "/api/v1/namespaces/shop/pods";
pub(crate) const BROKERS: &str = "/api/v1/namespaces/automq-instance-3/pods";
pub(crate) const POOL_A_NODE: &str = "ip-10-0-1-11.ec2.internal";
const SYSTEM_NODE: &str = "ip-10-0-9-91.ec2.internal";

/// What pod-placement gives a pod of instance-3.
pub(crate) fn is_placed(pod: &Value) -> bool {
    let tolerates = pod["spec"]["tolerations"].as_array().is_some_and(|tolerations| {
        let expected = json!({"key": "dedicated", "operator": "Equal", "value": "automq", "effect": "NoSchedule"});
        tolerations.contains(&expected)
    });
    let terms = &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        ["nodeSelectorTerms"];
    let selects = terms.as_array().is_some_and(|terms| {
        let has = |key: &str, values: &[&str]| {
            let expected = json!({"key": key, "operator": "In", "values": values});
            let holds = |term: &Value| {
                term["matchExpressions"].as_array().is_some_and(|it| it.contains(&expected))
            };
            !terms.is_empty() && terms.iter().all(holds)
        };
        has("eks.amazonaws.com/nodegroup", &["automq-abc"])
            && has("topology.kubernetes.io/zone", &["us-east-1a", "us-east-1b", "us-east-1c"])
    });
    tolerates && selects
}

/// The change that makes a pod tolerate everything; of tolerations it may be given more only.
pub(crate) async fn tolerate(world: &World, path: &str) -> Value {
    let mut tolerations = world.alice.get(path).await.unwrap()["spec"]["tolerations"].clone();
    tolerations.as_array_mut().unwrap().push(json!({"operator": "Exists"}));
    json!({"spec": {"tolerations": tolerations}})
}

pub(crate) fn binding(pod: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    })
}

pub(crate) async fn an_intruder_is_denied(world: &mut World) {
    world.scale(1).await;
    let refusal = world.alice.create(SHOP, &intruder("sneaky")).await.unwrap_err();
    says(&refusal, "[pod-intrusion]").unwrap();
    says(&refusal, "spec.tolerations[0] {operator: Exists} tolerates dedicated=automq:NoSchedule")
        .unwrap();
    assert_eq!(world.alice.get(&format!("{SHOP}/sneaky")).await.unwrap_err().code, 404);
    let dry = world.alice.create(&format!("{SHOP}?dryRun=All"), &intruder("sneaky")).await;
    says(&dry.unwrap_err(), "[pod-intrusion]").unwrap();
}

pub(crate) async fn an_intruder_by_the_name_of_a_node_is_denied(world: &mut World) {
    world.scale(1).await;
    let mut pinned = pod("pinned");
    pinned["spec"]["nodeName"] = POOL_A_NODE.into();
    let refusal = world.alice.create(SHOP, &pinned).await.unwrap_err();
    says(&refusal, "[pod-intrusion]").unwrap();
    says(&refusal, "spec.nodeName").unwrap();
    let mut elsewhere = pod("pinned-elsewhere");
    elsewhere["spec"]["nodeName"] = SYSTEM_NODE.into();
    world.alice.create(SHOP, &elsewhere).await.unwrap();
}

pub(crate) async fn an_intruder_by_another_scheduler_is_denied(world: &mut World) {
    world.scale(1).await;
    let mut picky = pod("picky");
    picky["spec"]["schedulerName"] = "picky-scheduler".into();
    world.alice.create(SHOP, &picky).await.unwrap();
    let scheduler = world.user("picky-scheduler");
    let to_pool = binding("picky", POOL_A_NODE);
    for path in [format!("{SHOP}/picky/binding"), "/api/v1/namespaces/shop/bindings".to_owned()] {
        let refusal = scheduler.create(&path, &to_pool).await.unwrap_err();
        says(&refusal, "[pod-intrusion]").unwrap();
    }
    let path = format!("{SHOP}/picky/binding");
    scheduler.create(&path, &binding("picky", SYSTEM_NODE)).await.unwrap();
    world.alice.create(SHOP, &pod("scheduled")).await.unwrap();
    let asked = world.asked_count().await;
    let kubernetes = world.user("system:kube-scheduler");
    let path = format!("{SHOP}/scheduled/binding");
    kubernetes.create(&path, &binding("scheduled", SYSTEM_NODE)).await.unwrap();
    assert_eq!(world.asked_count().await, asked, "kube-scheduler knows what it does");
}

pub(crate) async fn a_change_that_makes_an_intruder_is_denied(world: &mut World) {
    world.scale(1).await;
    let mut gated = pod("gated");
    gated["spec"]["schedulingGates"] = json!([{"name": "example.com/wait"}]);
    world.alice.create(SHOP, &gated).await.unwrap();
    let path = format!("{SHOP}/gated");
    let refusal = world.alice.merge(&path, &tolerate(world, &path).await).await.unwrap_err();
    says(&refusal, "[pod-intrusion]").unwrap();
    let asked = world.asked_count().await;
    world.alice.merge(&path, &json!({"metadata": {"labels": {"tier": "web"}}})).await.unwrap();
    assert_eq!(world.asked_count().await, asked, "a label moves no pod");
    world.alice.delete(&format!("{path}?gracePeriodSeconds=0")).await.unwrap();
    assert_eq!(world.asked_count().await, asked, "pods may always be deleted");
}

pub(crate) async fn a_plain_pod_passes_and_costs_no_call(world: &mut World) {
    world.scale(1).await;
    let before = world.asked_count().await;
    let controller = world.user("system:serviceaccount:kube-system:replicaset-controller");
    for number in 0..10 {
        world.alice.create(SHOP, &pod(&format!("plain-{number}"))).await.unwrap();
        let by_controller = pod(&format!("plain-by-controller-{number}"));
        controller.create(SHOP, &by_controller).await.unwrap();
    }
    assert_eq!(world.asked_count().await, before);
}

pub(crate) async fn a_broker_is_placed(world: &mut World) {
    world.scale(1).await;
    let broker = world.alice.create(BROKERS, &pod("broker-0")).await.unwrap();
    assert!(is_placed(&broker), "{broker:#}");
    let mut misplaced = pod("broker-1");
    misplaced["spec"]["nodeSelector"] = json!({"eks.amazonaws.com/nodegroup": "automq-a"});
    let refusal = world.alice.create(BROKERS, &misplaced).await.unwrap_err();
    says(&refusal, "[pod-placement]").unwrap();
}

pub(crate) async fn a_workload_of_intruders_passes_with_a_warning(world: &mut World) {
    world.scale(1).await;
    let before = world.asked_count().await;
    let deployment = json!({
        "metadata": {"name": "sneaky"},
        "spec": {
            "selector": {"matchLabels": {"app": "sneaky"}},
            "template": {
                "metadata": {"labels": {"app": "sneaky"}},
                "spec": intruder("sneaky")["spec"],
            },
        },
    });
    let path = "/apis/apps/v1/namespaces/shop/deployments";
    world.alice.create(path, &deployment).await.unwrap();
    assert_eq!(world.asked_count().await, before + 1);
    assert!(world.has_logged("workload-intrusion"));
    // Scaling leaves the template alone.
    world.alice.merge(&format!("{path}/sneaky"), &json!({"spec": {"replicas": 3}})).await.unwrap();
    assert_eq!(world.asked_count().await, before + 1);
}
