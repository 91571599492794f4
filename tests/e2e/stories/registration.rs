//! What PoolGuard registers, and what it may do.

use serde_json::{Value, json};

use super::pods::SHOP;
use crate::world::{CONFIGURATIONS, NAMESPACE, RBAC, World, eventually, intruder, pod};

pub(crate) async fn webhooks(world: &World) -> [Value; 2] {
    let [mutating, validating] = CONFIGURATIONS;
    let webhooks = async |path: &str| match world.admin.get(path).await {
        Ok(configuration) => configuration["webhooks"].clone(),
        Err(_) => Value::Null,
    };
    [webhooks(mutating).await, webhooks(validating).await]
}

/// Waits until the same is registered again.
async fn until_registered(world: &World, expected: &[Value; 2]) {
    let is_so = async || {
        let found = webhooks(world).await;
        let text = || "something else is registered".to_owned();
        (found == *expected).then_some(()).ok_or_else(text)
    };
    eventually("it is registered as before", is_so).await;
}

/// What the API server has counted of filters that erred, since it started. An error is a rejection
/// where they fail closed.
pub(crate) async fn erred(world: &World) -> Vec<String> {
    let metrics = world.admin.text("/metrics").await.unwrap();
    let seen = |name: &str| -> Vec<String> {
        metrics.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    };
    let evaluated = seen("apiserver_admission_match_condition_evaluation_seconds_count");
    assert!(!evaluated.is_empty(), "the API server evaluates no filter");
    seen("apiserver_admission_match_condition_evaluation_errors_total{")
}

pub(crate) async fn poolguard_has_its_rights_and_no_others(world: &mut World) {
    world.scale(1).await;
    for replica in &world.replicas {
        let log = replica.log();
        let missing = log.iter().find(|line| line.contains("forbidden"));
        assert_eq!(missing, None, "a right is missing");
    }
    let poolguard = world.poolguard();
    poolguard.get("/api/v1/nodes").await.unwrap();
    for path in [
        "/api/v1/secrets".to_owned(),
        format!("/api/v1/namespaces/{NAMESPACE}/secrets"),
        "/api/v1/namespaces/kube-system/configmaps".to_owned(),
    ] {
        assert_eq!(poolguard.get(&path).await.unwrap_err().code, 403, "{path}");
    }
    assert_eq!(poolguard.create(SHOP, &pod("by-poolguard")).await.unwrap_err().code, 403);
    let role = poolguard.delete(&format!("{RBAC}/clusterroles/poolguard")).await;
    assert_eq!(role.unwrap_err().code, 403);
    for path in CONFIGURATIONS {
        let refusal = poolguard.delete(path).await.unwrap_err();
        assert_eq!(refusal.code, 403, "what is registered stays: {refusal}");
    }
    let role = world.admin.get(&format!("{RBAC}/clusterroles/poolguard")).await.unwrap();
    for path in CONFIGURATIONS {
        let owners = world.admin.get(path).await.unwrap()["metadata"]["ownerReferences"].clone();
        assert_eq!(owners[0]["uid"], role["metadata"]["uid"]);
    }
}

pub(crate) async fn an_edit_is_healed(world: &mut World) {
    world.scale(1).await;
    let before = webhooks(world).await;
    let [_, path] = CONFIGURATIONS;
    let mut edited = world.admin.get(path).await.unwrap();
    for webhook in edited["webhooks"].as_array_mut().unwrap() {
        webhook["failurePolicy"] = "Ignore".into();
        webhook["matchConditions"] = json!([{"name": "never", "expression": "false"}]);
    }
    world.alice.replace(path, &edited).await.unwrap();
    until_registered(world, &before).await;
    assert!(world.has_logged("differs from the config"));
    world.until_asked().await;
    let mut fewer = world.admin.get(path).await.unwrap();
    fewer["webhooks"].as_array_mut().unwrap().truncate(1);
    world.alice.replace(path, &fewer).await.unwrap();
    until_registered(world, &before).await;
}

pub(crate) async fn a_deletion_is_healed(world: &mut World) {
    world.scale(1).await;
    let before = webhooks(world).await;
    for path in CONFIGURATIONS {
        world.alice.delete(path).await.unwrap();
    }
    until_registered(world, &before).await;
    world.until_asked().await;
}

pub(crate) async fn another_config_is_registered(world: &mut World) {
    // A fresh process: its writes of the last minute do not count.
    world.scale(0).await;
    world.scale(1).await;
    let before = webhooks(world).await;
    world.configure("rules: {pod-intrusion: {mode: warn}}");
    let passes = async || {
        let created = world.alice.create(&format!("{SHOP}?dryRun=All"), &intruder("warned")).await;
        created.map(drop).map_err(|refusal| refusal.to_string())
    };
    eventually("an intruder is only warned about", passes).await;
    let fails_open = async || {
        let [_, validating] = webhooks(world).await;
        let pods =
            validating.as_array().unwrap().iter().find(|it| it["name"] == "pods.poolguard.io");
        let policy = pods.map(|pods| pods["failurePolicy"].clone()).unwrap_or_default();
        (policy == "Ignore").then_some(()).ok_or_else(|| policy.to_string())
    };
    eventually("what is only warned about fails open", fails_open).await;
    world.configure("");
    until_registered(world, &before).await;
    world.until_asked().await;
}
