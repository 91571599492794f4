//! The objects as they are applied: when there are any, their fields, and how large they get.

use std::collections::BTreeSet;

use cel::Context;
use poolguard::{admission::webhooks::placement_policy, policy::mode::Mode};
use serde_json::json;

use super::{World, objects, worlds};
use crate::{
    scenario::{Scenario, create, data_text},
    webhooks::api_server::installation,
};

#[test]
fn only_a_config_that_enforces_and_has_instances_has_a_policy() {
    let has_policy = |name: &str| {
        let mut worlds = worlds().into_iter();
        worlds.find(|it| it.name == name).unwrap().policy.is_some()
    };
    assert!(has_policy("recorded") && has_policy("trusted"));
    assert!(!has_policy("warn") && !has_policy("audit") && !has_policy("empty"));
    for world in worlds() {
        let policy = &world.scenario.policy;
        let is_due = policy.rules.pod_placement == Mode::Enforce && !policy.instances.is_empty();
        assert_eq!(world.policy.is_some(), is_due, "{}", world.name);
    }
}

#[test]
fn what_the_api_server_would_add_is_written_out() {
    let mut installation = installation();
    installation.labels.insert("team".to_owned(), "data".to_owned());
    let scenario = Scenario::recorded();
    let version = "admissionregistration.k8s.io/v1beta1";
    let [mut policy, binding] =
        placement_policy(&scenario.policy, &scenario.snapshot, &installation, version).unwrap();
    let spec = policy["spec"].as_object_mut().unwrap();
    assert!(spec.remove("variables").is_some() && spec.remove("mutations").is_some());
    assert!(spec.remove("matchConditions").is_some());
    let metadata = json!({
        "name": "poolguard-placement",
        "labels": {
            "app.kubernetes.io/managed-by": "poolguard",
            "app.kubernetes.io/name": "poolguard",
            "team": "data",
        },
        "annotations": { "admissions.enforcer/disabled": "true" },
    });
    let namespaces = ["automq-instance-1", "automq-instance-2", "automq-instance-3"];
    let expression =
        json!({ "key": "kubernetes.io/metadata.name", "operator": "In", "values": namespaces });
    assert_eq!(
        policy,
        json!({
            "apiVersion": version,
            "kind": "MutatingAdmissionPolicy",
            "metadata": metadata,
            "spec": {
                "failurePolicy": "Ignore",
                "reinvocationPolicy": "IfNeeded",
                "matchConstraints": {
                    "matchPolicy": "Equivalent",
                    "namespaceSelector": { "matchExpressions": [expression] },
                    "objectSelector": {},
                    "resourceRules": [{
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "resources": ["pods"],
                        "operations": ["CREATE"],
                        "scope": "Namespaced",
                    }],
                },
            },
        })
    );
    assert_eq!(
        binding,
        json!({
            "apiVersion": version,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": metadata,
            "spec": { "policyName": "poolguard-placement" },
        })
    );
}

/// A config of so many pools and instances, two to a namespace.
fn large(count: usize) -> Scenario {
    let pool = |index: usize| {
        let group = format!("{}-{index}", "g".repeat(50));
        format!(
            "- {{name: pool-{index}, zones: [z-{index}], nodes: {{matchLabels: {{example.com/group: {group}}}}}}}"
        )
    };
    let instance = |index: usize| {
        let apps = if index < count / 2 { "[a]" } else { "[a, b]" };
        format!(
            "- {{name: i-{index}, namespace: kafka-{}, pool: pool-{index}, pods: {{matchExpressions: \
             [{{key: app, operator: In, values: {apps}}}]}}}}",
            index % (count / 2)
        )
    };
    let recorded = data_text("config.yaml");
    let start = recorded.lines().take(3).map(str::to_owned);
    let pools = (0..count).map(pool);
    let instances = (0..count).map(instance);
    let lines: Vec<String> = start
        .chain(["automq: {namespaces: [\"kafka-*\"]}".to_owned(), "pools:".to_owned()])
        .chain(pools)
        .chain(["instances:".to_owned()])
        .chain(instances)
        .collect();
    Scenario::new(&lines.join("\n"), &data_text("cluster.json"))
}

#[test]
fn a_large_config_keeps_to_the_limits_of_an_expression() {
    const CHARACTERS_MAX: usize = 100_000;
    let scenario = large(400);
    let [policy, _] = objects(&scenario).unwrap();
    let variables = policy["spec"]["variables"].as_array().unwrap();
    for variable in variables {
        let text = variable["expression"].as_str().unwrap();
        assert!(text.chars().count() <= CHARACTERS_MAX, "{}", variable["name"]);
    }
    let tables =
        variables.iter().filter(|it| it["name"].as_str().unwrap().starts_with("instances"));
    assert!(tables.count() > 1);
    let world = World::new("large", scenario);
    // The instances of a namespace are in tables of their own.
    for namespace in (0..200).step_by(7) {
        for app in ["a", "b", "c"] {
            let object = format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: p, labels: {{app: {app}}}}}, spec: {{}}}}"
            );
            let review = create(&format!("kafka-{namespace}"), &object);
            world.assert_equal(&review);
            assert_eq!(world.policy.as_ref().unwrap().patch(&review).is_empty(), app == "c");
        }
    }
}

/// The type of a constant, whose lists and maps are not empty and have items of one type.
#[expect(clippy::wildcard_enum_match_arm, reason = "an instance has only texts")]
fn type_of(value: &cel::Value) -> String {
    let one = |types: BTreeSet<String>| {
        assert_eq!(types.len(), 1, "{types:?}");
        types.into_iter().collect::<String>()
    };
    match value {
        cel::Value::String(_) => "string".to_owned(),
        cel::Value::List(items) => format!("list({})", one(items.iter().map(type_of).collect())),
        cel::Value::Map(map) => format!("map({})", one(map.map.values().map(type_of).collect())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tables_of_instances_have_items_of_one_type() {
    for world in worlds() {
        let Some(policy) = &world.policy else { continue };
        let tables = policy.variables.iter().filter(|(name, _)| name.starts_with("instances"));
        for (name, program) in tables {
            let table = program.execute(&Context::default()).unwrap();
            let expected = "map(list(map(list(map(list(string))))))";
            assert_eq!(type_of(&table), expected, "{}: {name}", world.name);
        }
    }
}

#[test]
fn an_instance_that_no_expression_can_hold_leaves_no_policy() {
    let values: Vec<String> = (0..2_000).map(|it| format!("{}-{it}", "v".repeat(50))).collect();
    let pool = "nodes: {matchLabels: {eks.amazonaws.com/nodegroup: automq-a}}";
    let listed = format!(
        "nodes: {{matchExpressions: [{{key: eks.amazonaws.com/nodegroup, operator: In, values: [{}]}}]}}",
        values.join(", ")
    );
    assert!(objects(&Scenario::replacing(&[(pool, &listed)])).is_none());
}
