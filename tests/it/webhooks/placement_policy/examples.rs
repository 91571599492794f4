//! Pods, one by one: what each gets, and that PoolGuard gives it the same.

use serde_json::{Value, json};

use super::{INSTANCE_1, PlacementPolicy, World, placements};
use crate::scenario::{SOMEONE, Scenario, by, create, pod_in, update};

/// Places a pod of instance 1, alike, and shows the patch.
#[track_caller]
fn patch_of(world: &World, review: &Value) -> String {
    world.assert_equal(review);
    let lines = world.policy.as_ref().unwrap().patch(review);
    lines.iter().map(Value::to_string).collect::<Vec<String>>().join("\n")
}

fn recorded_world() -> World {
    World::new("recorded", Scenario::recorded())
}

fn instance_1(spec: &str) -> Value {
    pod_in("automq-instance-1", spec)
}

#[test]
fn a_pod_gets_what_it_lacks() {
    let world = recorded_world();
    insta::assert_snapshot!(patch_of(&world, &instance_1("{}")), @r#"
    {"op":"add","path":"/spec/tolerations","value":[{"effect":"NoSchedule","key":"dedicated","operator":"Equal","value":"automq"}]}
    {"op":"add","path":"/spec/affinity","value":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"eks.amazonaws.com/nodegroup","operator":"In","values":["automq-a"]},{"key":"topology.kubernetes.io/zone","operator":"In","values":["us-east-1a"]}]}]}}}}
    "#);
    let spec = "{tolerations: [{key: other, operator: Exists}], affinity: {nodeAffinity: {}}, \
                nodeSelector: {topology.kubernetes.io/zone: us-east-1a}}";
    insta::assert_snapshot!(patch_of(&world, &instance_1(spec)), @r#"
    {"op":"add","path":"/spec/tolerations/-","value":{"effect":"NoSchedule","key":"dedicated","operator":"Equal","value":"automq"}}
    {"op":"add","path":"/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution","value":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"eks.amazonaws.com/nodegroup","operator":"In","values":["automq-a"]}]}]}}
    "#);
    let spec = "{tolerations: [{operator: Exists}], affinity: {podAffinity: {keep: me}}}";
    insta::assert_snapshot!(patch_of(&world, &instance_1(spec)), @r#"{"op":"add","path":"/spec/affinity/nodeAffinity","value":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"eks.amazonaws.com/nodegroup","operator":"In","values":["automq-a"]},{"key":"topology.kubernetes.io/zone","operator":"In","values":["us-east-1a"]}]}]}}}"#);
}

/// A spec with these terms, which tolerates everything.
fn terms(terms: &str) -> String {
    format!(
        "{{tolerations: [{{operator: Exists}}], affinity: {{nodeAffinity: \
         {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: {terms}}}}}}}}}"
    )
}

#[test]
fn every_term_gets_what_it_lacks() {
    let world = recorded_world();
    let spec = terms(
        "[{matchExpressions: [{key: tier, operator: Gt, values: ['3']}]}, {}, {matchFields: [{key: metadata.name, \
         operator: In, values: [node]}]}, {matchExpressions: [{key: a, operator: Near}]}, {matchExpressions: \
         [{key: eks.amazonaws.com/nodegroup, operator: In, values: [automq-a]}]}]",
    );
    insta::assert_snapshot!(patch_of(&world, &instance_1(&spec)), @r#"
    {"op":"add","path":"/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchExpressions","value":[{"key":"tier","operator":"Gt","values":["3"]},{"key":"eks.amazonaws.com/nodegroup","operator":"In","values":["automq-a"]},{"key":"topology.kubernetes.io/zone","operator":"In","values":["us-east-1a"]}]}
    {"op":"add","path":"/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/2/matchExpressions","value":[{"key":"eks.amazonaws.com/nodegroup","operator":"In","values":["automq-a"]},{"key":"topology.kubernetes.io/zone","operator":"In","values":["us-east-1a"]}]}
    {"op":"add","path":"/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/4/matchExpressions","value":[{"key":"eks.amazonaws.com/nodegroup","operator":"In","values":["automq-a"]},{"key":"topology.kubernetes.io/zone","operator":"In","values":["us-east-1a"]}]}
    "#);
    assert_eq!(patch_of(&world, &instance_1(&terms("[]"))), "");
    assert_eq!(patch_of(&world, &instance_1(&terms("null"))), "");
}

#[test]
fn terms_are_read_as_the_scheduler_reads_them() {
    let long = |count: usize| "a".repeat(count);
    let prefix = |count: usize| format!("{}/a", long(count));
    let expressions = [
        ("{key: a, operator: In, values: [b]}".to_owned(), true),
        (format!("{{key: {}, operator: Exists}}", long(63)), true),
        (format!("{{key: {}, operator: Exists}}", long(64)), false),
        (format!("{{key: {}, operator: Exists}}", prefix(253)), true),
        (format!("{{key: {}, operator: Exists}}", prefix(254)), false),
        ("{key: a.b-c.d/A_b.C, operator: Exists}".to_owned(), true),
        ("{key: a.-b/c, operator: Exists}".to_owned(), false),
        ("{key: A/c, operator: Exists}".to_owned(), false),
        ("{key: a/b/c, operator: Exists}".to_owned(), false),
        ("{key: '', operator: Exists}".to_owned(), false),
        ("{key: a_, operator: Exists}".to_owned(), false),
        (format!("{{key: a, operator: In, values: [{}]}}", long(63)), true),
        (format!("{{key: a, operator: In, values: [{}]}}", long(64)), false),
        ("{key: a, operator: NotIn, values: ['', B_c.D-1]}".to_owned(), true),
        ("{key: a, operator: NotIn, values: [b, -c]}".to_owned(), false),
        ("{key: a, operator: In, values: []}".to_owned(), false),
        ("{key: a, operator: NotIn}".to_owned(), false),
        ("{key: a, operator: DoesNotExist, values: []}".to_owned(), true),
        ("{key: a, operator: DoesNotExist, values: [b]}".to_owned(), false),
        ("{key: a, operator: Gt, values: ['007']}".to_owned(), true),
        ("{key: a, operator: Lt, values: ['999999999999999999']}".to_owned(), true),
        ("{key: a, operator: Lt, values: ['000999999999999999999']}".to_owned(), true),
        ("{key: a, operator: Lt, values: ['9223372036854775808']}".to_owned(), false),
        ("{key: a, operator: Lt, values: ['1', '2']}".to_owned(), false),
        ("{key: a, operator: Gt, values: ['-1']}".to_owned(), false),
        ("{key: a, operator: Gt, values: ['1.5']}".to_owned(), false),
        ("{key: a, operator: gt, values: ['1']}".to_owned(), false),
    ];
    let world = recorded_world();
    for (expression, is_read) in expressions {
        let spec = terms(&format!("[{{matchExpressions: [{expression}]}}]"));
        let patch = patch_of(&world, &instance_1(&spec));
        assert_eq!(!patch.is_empty(), is_read, "{expression}");
    }
    for (field, is_read) in [
        ("{key: metadata.name, operator: NotIn, values: [node]}", true),
        ("{key: metadata.name, operator: In, values: [node, other]}", false),
        ("{key: metadata.name, operator: In}", false),
        ("{key: metadata.name, operator: Exists}", false),
    ] {
        let spec = terms(&format!("[{{matchFields: [{field}]}}]"));
        let patch = patch_of(&world, &instance_1(&spec));
        assert_eq!(!patch.is_empty(), is_read, "{field}");
    }
}

#[test]
fn numbers_that_are_too_large_are_left_alone() {
    let policy = PlacementPolicy::new(&Scenario::recorded()).unwrap();
    let spec =
        terms("[{matchExpressions: [{key: a, operator: Lt, values: ['1000000000000000000']}]}]");
    assert_eq!(policy.patch(&instance_1(&spec)), Vec::<Value>::new());
}

#[test]
fn what_a_term_implies_is_not_added() {
    let worlds = placements();
    let keys = ["eks.amazonaws.com/nodegroup", "tier", "rack.example.com/serial"];
    let demands = [
        "operator: Exists",
        "operator: DoesNotExist",
        "operator: Gt, values: ['3']",
        "operator: In, values: [automq-a]",
        "operator: In, values: [automq-a, automq-b]",
        "operator: In, values: [automq-b, hot]",
        "operator: In, values: [cold]",
        "operator: In, values: [hot, cold]",
        "operator: NotIn, values: [cold]",
        "operator: NotIn, values: [cold, warm, hot]",
    ];
    for key in keys {
        for demand in demands {
            let spec = terms(&format!("[{{matchExpressions: [{{key: {key}, {demand}}}]}}]"));
            for namespace in ["automq-instance-1", "automq-instance-2"] {
                for world in &worlds {
                    world.assert_equal(&pod_in(namespace, &spec));
                }
            }
        }
    }
}

#[test]
fn tolerations_compare_where_the_config_says_so() {
    let worlds = placements();
    let world = worlds.iter().find(|it| it.name == "taints that compare").unwrap();
    let values =
        ["4", "5", "6", "7", "8", "05", "-1", "-05", "0", "00", "5.0", "", "9223372036854775807"];
    for operator in ["Gt", "Lt", "Ge"] {
        for value in values {
            let spec = format!(
                "{{tolerations: [{{key: level, operator: {operator}, value: '{value}'}}]}}"
            );
            for namespace in ["automq-instance-1", "automq-instance-2"] {
                world.assert_equal(&pod_in(namespace, &spec));
            }
        }
        let spec = format!("{{tolerations: [{{key: level, operator: {operator}}}]}}");
        world.assert_equal(&instance_1(&spec));
    }
}

#[test]
fn pods_that_the_rule_leaves_alone_are_left_alone() {
    let world = recorded_world();
    let policy = world.policy.as_ref().unwrap();
    let many = |count: usize| {
        let list = vec!["{matchExpressions: [{key: a, operator: Exists}]}"; count].join(", ");
        instance_1(&terms(&format!("[{list}]")))
    };
    assert_eq!(policy.patch(&many(100)).len(), 100);
    let owned = |kind: &str, user: &str| {
        let owner =
            format!("{{apiVersion: apps/v1, kind: {kind}, name: o, uid: u, controller: true}}");
        let object = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p, ownerReferences: [{owner}]}}, spec: {{}}}}"
        );
        by(create("automq-instance-1", &object), user, &[])
    };
    let controller = "system:serviceaccount:kube-system:daemon-set-controller";
    let shared = "system:kube-controller-manager";
    for review in [
        many(101),
        instance_1("{nodeName: node}"),
        pod_in("shop", "{}"),
        pod_in("automq", "{}"),
        owned("DaemonSet", controller),
        owned("DaemonSet", shared),
        update(instance_1("{}"), |pod| pod["metadata"]["labels"] = json!({"a": "b"})),
    ] {
        world.assert_equal(&review);
        assert_eq!(policy.patch(&review), Vec::<Value>::new(), "{review:#}");
    }
    for review in [
        instance_1("{nodeName: ''}"),
        owned("DaemonSet", SOMEONE),
        owned("ReplicaSet", shared),
        by(instance_1("{}"), controller, &[]),
        by(instance_1("{}"), "admin", &["poolguard:break-glass"]),
    ] {
        world.assert_equal(&review);
        assert_ne!(policy.patch(&review), Vec::<Value>::new(), "{review:#}");
    }
}

#[test]
fn null_is_absent() {
    let world = World::new(
        "spread",
        Scenario::replacing(&[(
            INSTANCE_1,
            "- {name: instance-1, namespace: automq-instance-1, pool: pool-a, zoneSpread: DoNotSchedule}",
        )]),
    );
    for spec in [
        "{tolerations: null, affinity: null, nodeSelector: null, topologySpreadConstraints: null}",
        "{affinity: {nodeAffinity: null}}",
        "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: null}}}",
    ] {
        assert_ne!(patch_of(&world, &instance_1(spec)), "", "{spec}");
    }
    let term = terms(
        "[{matchExpressions: null, matchFields: [{key: metadata.name, operator: In, values: [node]}]}]",
    );
    assert_ne!(patch_of(&world, &instance_1(&term)), "");
}

#[test]
fn one_constraint_on_zones_is_enough() {
    let worlds = placements();
    let world = worlds.first().unwrap();
    let counts = [
        ("[]", 1),
        ("[{topologyKey: topology.kubernetes.io/zone}]", 1),
        ("[{topologyKey: kubernetes.io/hostname}]", 2),
        ("[{}]", 2),
    ];
    for (constraints, count) in counts {
        let spec = format!("{{topologySpreadConstraints: {constraints}}}");
        let review = pod_in("automq-instance-3", &spec);
        world.assert_equal(&review);
        let placed = world.policy.as_ref().unwrap().mutated(&review);
        let placed = placed["spec"]["topologySpreadConstraints"].as_array().unwrap();
        assert_eq!(placed.len(), count, "{spec}");
    }
}
