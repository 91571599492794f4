//! The placement policy: it gives every pod what PoolGuard gives it, and nothing the second time.
//!
//! The API server evaluates a variable when an expression needs it. Here all of them are evaluated in their order, so
//! none may fail for any pod. The interpreter checks no types: the API server also rejects lists and maps whose items
//! have different types.

/// Pods, one by one.
mod examples;
/// The objects, and what an expression can hold.
mod objects;

use std::{collections::BTreeMap, sync::Arc};

use cel::{
    Env, ExecutionError, Program, StructType,
    common::{
        types::{CelStruct as Struct, Type},
        value::{CowVal, Val},
    },
    objects::Key,
};
use json_patch::Patch;
use poolguard::admission::webhooks::placement_policy;
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{
    api_server::{context, installation, namespace_matches, rule_matches},
    expressions::standard,
    variants::variants,
};
use crate::{
    generate::{object, pod_spec},
    reviews::outcomes,
    scenario::{SOMEONE, Scenario, by, create, data_text, recorded},
};

/// The type of an operation, whose `value` is of any type.
struct Operation(Type);

impl StructType for Operation {
    fn get_type(&self) -> &Type {
        &self.0
    }

    fn new_value<'b, 'v>(
        &self,
        fields: BTreeMap<String, CowVal<'b, 'v>>,
    ) -> Result<Box<dyn Val + 'v>, ExecutionError> {
        let mut operation = Struct::new(self.0.name().to_owned());
        for (name, value) in fields {
            assert!(["op", "path", "value"].contains(&&*name), "{name}");
            operation.add_field_value(name, value);
        }
        Ok(Box::new(operation))
    }
}

/// The policy of a scenario, compiled.
struct PlacementPolicy {
    env: Arc<Env>,
    constraints: Value,
    conditions: Vec<Program>,
    variables: Vec<(String, Program)>,
    mutation: Program,
}

impl PlacementPolicy {
    fn new(scenario: &Scenario) -> Option<Self> {
        let [policy, _] = objects(scenario)?;
        let mut env = standard();
        env.add_type(Operation(Type::new_struct("JSONPatch".to_owned()))).unwrap();
        let compile = |text: &Value| {
            let text = text.as_str().unwrap();
            env.compile(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
        };
        let spec = &policy["spec"];
        let list = |name: &str| spec[name].as_array().unwrap().iter();
        let named =
            |it: &Value| (it["name"].as_str().unwrap().to_owned(), compile(&it["expression"]));
        let conditions = list("matchConditions").map(|it| compile(&it["expression"])).collect();
        let variables = list("variables").map(named).collect();
        let mutation = compile(&spec["mutations"][0]["jsonPatch"]["expression"]);
        let constraints = spec["matchConstraints"].clone();
        Some(Self { env: Arc::new(env), constraints, conditions, variables, mutation })
    }

    /// The operations by which the API server changes the object of a request.
    #[track_caller]
    fn patch(&self, review: &Value) -> Vec<Value> {
        let request = &review["request"];
        let rules = self.constraints["resourceRules"].as_array().unwrap();
        let is_meant = rules.iter().any(|rule| rule_matches(rule, request))
            && namespace_matches(&self.constraints["namespaceSelector"], request);
        if !is_meant {
            return Vec::new();
        }
        let mut context = context(&self.env, review);
        let holds = |program: &Program| match program.execute(&context) {
            Ok(cel::Value::Bool(holds)) => holds,
            other => panic!("{other:?}\n{review:#}"),
        };
        if !self.conditions.iter().all(holds) {
            return Vec::new();
        }
        for (name, program) in &self.variables {
            let value = program.execute(&context);
            let value = value.unwrap_or_else(|error| panic!("{name}: {error}\n{review:#}"));
            context.add_variable_from_value(format!("variables.{name}"), value);
        }
        match self.mutation.execute(&context) {
            Ok(cel::Value::List(list)) => list.iter().map(to_json).collect(),
            other => panic!("{other:?}\n{review:#}"),
        }
    }

    /// The object as the API server leaves it.
    #[track_caller]
    fn mutated(&self, review: &Value) -> Value {
        let operations = Value::Array(self.patch(review));
        let operations: Patch = serde_json::from_value(operations).unwrap();
        let mut object = review["request"]["object"].clone();
        json_patch::patch(&mut object, &operations).unwrap();
        object
    }
}

/// A value of an expression, as the API server puts it into a patch.
#[expect(clippy::wildcard_enum_match_arm, reason = "a patch has no other values")]
fn to_json(value: &cel::Value) -> Value {
    match value {
        cel::Value::Int(number) => json!(number),
        cel::Value::String(text) => json!(**text),
        cel::Value::List(items) => items.iter().map(to_json).collect(),
        cel::Value::Map(map) => {
            let field = |(key, value): (&Key, &cel::Value)| match key {
                Key::String(key) => (key.to_string(), to_json(value)),
                other => panic!("{other:?}"),
            };
            Value::Object(map.map.iter().map(field).collect())
        }
        cel::Value::Struct(fields) => {
            let field = |name: &str| cel::Value::try_from(fields.field_value(name).unwrap());
            let field = |name: &str| to_json(&field(name).unwrap());
            json!({ "op": field("op"), "path": field("path"), "value": field("value") })
        }
        other => panic!("{other:?}"),
    }
}

fn objects(scenario: &Scenario) -> Option<[Value; 2]> {
    let version = "admissionregistration.k8s.io/v1";
    placement_policy(&scenario.policy, &scenario.snapshot, &installation(), version)
}

/// A scenario with its policy, if it has one.
struct World {
    name: &'static str,
    scenario: Scenario,
    policy: Option<PlacementPolicy>,
}

impl World {
    fn new(name: &'static str, scenario: Scenario) -> Self {
        let policy = PlacementPolicy::new(&scenario);
        Self { name, scenario, policy }
    }

    /// The API server and PoolGuard leave the same pod, and the API server has no more to add.
    #[track_caller]
    fn assert_equal(&self, review: &Value) {
        let Self { name, scenario, policy } = self;
        let expected = scenario.mutated(review);
        let Some(policy) = policy else {
            assert_eq!(expected, review["request"]["object"], "{name} has no policy\n{review:#}");
            return;
        };
        let placed = policy.mutated(review);
        assert_eq!(placed, expected, "{name}\n{review:#}");
        let mut again = review.clone();
        again["request"]["object"] = placed;
        assert_eq!(policy.patch(&again), Vec::<Value>::new(), "{name}: the second pass\n{again:#}");
    }
}

const INSTANCE_1: &str = "- {name: instance-1, namespace: automq-instance-1, pool: pool-a}";
const INSTANCE_3: &str = "- {name: instance-3, namespace: automq-instance-3, pool: pool-abc}";

/// Configs that differ in what a pod is given.
fn placements() -> Vec<World> {
    let replacing =
        |name, replacements: &[(&str, &str)]| World::new(name, Scenario::replacing(replacements));
    let group_a =
        "nodes: {matchLabels: {eks.amazonaws.com/nodegroup: automq-a}}\n  zones: [us-east-1a]";
    let group_b =
        "nodes: {matchLabels: {eks.amazonaws.com/nodegroup: automq-b}}\n  zones: [us-east-1b]";
    vec![
        replacing(
            "several instances of a namespace, and zone spread",
            &[
                (
                    INSTANCE_1,
                    "- {name: one, namespace: automq-instance-1, pool: pool-abc, zoneSpread: DoNotSchedule, pods: \
                     {matchLabels: {app: kafka}, matchExpressions: [{key: role, operator: NotIn, values: [client, it]}]}}\n\
                     - {name: two, namespace: automq-instance-1, pool: pool-b, zoneSpread: ScheduleAnyway, pods: \
                     {matchExpressions: [{key: role, operator: Exists}, {key: app, operator: In, values: [kafka, web]}]}}\n\
                     - {name: three, namespace: automq-instance-1, pool: pool-a, pods: \
                     {matchExpressions: [{key: role, operator: DoesNotExist}]}}",
                ),
                (
                    INSTANCE_3,
                    "- {name: four, namespace: automq-instance-3, pool: pool-abc, zoneSpread: ScheduleAnyway}\n\
                     - {name: five, namespace: automq-instance-3, pool: pool-a}",
                ),
            ],
        ),
        replacing(
            "selectors with every operator",
            &[
                (
                    group_a,
                    "nodes: {matchLabels: {eks.amazonaws.com/nodegroup: automq-a}, matchExpressions: [{key: tier, \
                     operator: NotIn, values: [cold, warm]}, {key: rack.example.com/serial, operator: Exists}]}",
                ),
                (
                    group_b,
                    "nodes: {matchExpressions: [{key: eks.amazonaws.com/nodegroup, operator: In, values: [automq-b, \
                     automq-a]}, {key: tier, operator: DoesNotExist}]}\n  zones: [us-east-1b]",
                ),
            ],
        ),
        replacing(
            "several taints",
            &[(
                group_a,
                "nodes: {matchLabels: {eks.amazonaws.com/nodegroup: automq-a}}\n  additionalTaints: \
                 [{key: special, effect: NoSchedule}, {key: gpu, value: \"true\", effect: NoExecute}, \
                 {key: spot, value: \"\", effect: NoSchedule}]",
            )],
        ),
        World::new(
            "taints that compare",
            Scenario::new(
                &format!(
                    "{}placement: {{comparisonOperators: true}}\n",
                    data_text("config.yaml")
                        .replace("- name: pool-a\n", "- name: pool-a\n  taint: {key: level, value: \"5\", effect: NoSchedule}\n")
                        .replace("- name: pool-b\n", "- name: pool-b\n  taint: {key: level, value: \"7\", effect: NoExecute}\n"),
                ),
                &data_text("cluster.json"),
            ),
        ),
    ]
}

fn worlds() -> Vec<World> {
    let variants = variants().into_iter().map(|it| World::new(it.name, it.scenario));
    variants.chain(placements()).collect()
}

#[test]
fn recorded_requests_are_placed_alike_under_any_config() {
    let worlds = worlds();
    let mut placed = 0;
    for name in outcomes().into_keys() {
        let review = recorded(&name);
        if review["request"]["kind"]["kind"] != "Pod" {
            continue;
        }
        for world in &worlds {
            world.assert_equal(&review);
            placed +=
                usize::from(world.policy.as_ref().is_some_and(|it| !it.patch(&review).is_empty()));
        }
    }
    assert!(placed > 10, "{placed}");
}

thread_local! {
    static WORLDS: Vec<World> = distinct(worlds());
}

/// Those whose policies differ.
fn distinct(mut worlds: Vec<World>) -> Vec<World> {
    let mut known = Vec::new();
    worlds.retain(|world| {
        let policy = objects(&world.scenario);
        let is_new = !known.contains(&policy);
        known.push(policy);
        is_new
    });
    worlds
}

/// A request to create a pod: of AutoMQ's namespaces mostly, by this one and that one.
fn request() -> impl Strategy<Value = Value> {
    let label = |values: &'static [&'static str]| option::of(select(values));
    let labels = (
        label(&["kafka", "web", ""]),
        label(&["broker", "client"]),
        option::weighted(0.1, Just("yes")),
    );
    let labels = labels.prop_map(|(app, role, foreign)| {
        let text = |text: Option<&str>| text.map(Value::from);
        object([("app", text(app)), ("role", text(role)), ("foreign", text(foreign))])
    });
    let users = [
        SOMEONE,
        "system:serviceaccount:kube-system:daemon-set-controller",
        "system:kube-controller-manager",
        "system:node:n-1",
    ];
    let owner = select(&["DaemonSet", "ReplicaSet"][..]).prop_map(|kind| {
        json!({ "apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": "u", "controller": true })
    });
    let namespaces =
        ["automq-instance-1", "automq-instance-2", "automq-instance-3", "automq", "shop"];
    (
        pod_spec(),
        option::weighted(0.7, labels),
        select(namespaces.to_vec()),
        prop_oneof![4 => Just(SOMEONE), 1 => select(users.to_vec())],
        option::weighted(0.3, vec(owner, 0..2)),
    )
        .prop_map(|(spec, labels, namespace, user, owners)| {
            let metadata = object([
                ("name", Some(json!("p"))),
                ("labels", labels),
                ("ownerReferences", owners.map(Value::from)),
            ]);
            let pod =
                json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec });
            by(create(namespace, &pod.to_string()), user, &["system:nodes"])
        })
}

proptest! {
    #[test]
    fn any_pod_is_placed_alike(review in request()) {
        WORLDS.with(|worlds| worlds.iter().for_each(|world| world.assert_equal(&review)));
    }
}
