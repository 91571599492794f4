//! Generated pods, taints and tolerations, in the words of the recorded cluster.
//!
//! Most of what comes out is what people write; some of it is empty, null or cannot be read.

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};
use serde_json::{Map, Value, json};

pub(crate) const GROUP: &str = "eks.amazonaws.com/nodegroup";
pub(crate) const GROUPS: [&str; 4] = ["automq-a", "automq-b", "automq-abc", "system"];
pub(crate) const ZONE: &str = "topology.kubernetes.io/zone";
pub(crate) const ZONES: [&str; 4] = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"];
pub(crate) const MACHINE_TYPE: &str = "node.kubernetes.io/instance-type";
pub(crate) const MACHINE_TYPES: [&str; 3] = ["r6in.large", "r6in.xlarge", "m5.large"];
pub(crate) const HOSTNAME: &str = "kubernetes.io/hostname";
/// A label that nearly every node has with a value of its own, as a number.
pub(crate) const SERIAL: &str = "rack.example.com/serial";
/// A label that some nodes have.
pub(crate) const TIER: &str = "tier";

/// How many nodes a generated cluster has at most; the next one is unknown.
pub(crate) const NODES_MAX: usize = 20;

/// The name of a generated node.
pub(crate) fn node_name(index: usize) -> String {
    format!("n-{index}")
}

/// The name of a node, of a generated or of the recorded cluster, or of none.
pub(crate) fn any_node_name() -> impl Strategy<Value = String> {
    let recorded = ["ip-10-0-1-11", "ip-10-0-2-21", "ip-10-0-3-3b", "ip-10-0-9-91"];
    prop_oneof![
        3 => (0..=NODES_MAX).prop_map(node_name),
        3 => select(recorded.to_vec()).prop_map(|name| format!("{name}.ec2.internal")),
        1 => Just("nowhere".to_owned()),
    ]
}

/// An object of those fields that are there.
pub(crate) fn object<'k>(fields: impl IntoIterator<Item = (&'k str, Option<Value>)>) -> Value {
    let present = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(present.collect::<Map<_, _>>())
}

/// A taint; a third of them is that of AutoMQ's pools.
pub(crate) fn taint() -> impl Strategy<Value = Value> {
    let taint = |text: &str| {
        let (label, effect) = text.rsplit_once(':').unwrap_or((text, ""));
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        json!({ "key": key, "value": value, "effect": effect })
    };
    let others = [
        "dedicated=other:NoSchedule",
        "dedicated=automq:NoExecute",
        "dedicated=automq:PreferNoSchedule",
        "special:NoSchedule",
        "gpu=true:NoSchedule",
        "gpu=true:NoExecute",
        "level=5:NoSchedule",
        "level=-7:NoExecute",
        "spot:PreferNoSchedule",
        "spot:Unheard",
        "node.kubernetes.io/not-ready:NoExecute",
        "node.kubernetes.io/unschedulable:NoSchedule",
        "karpenter.sh/disrupted:NoSchedule",
        "ToBeDeletedByClusterAutoscaler=1:NoSchedule",
        "ebs.csi.aws.com/agent-not-ready:NoExecute",
    ];
    prop_oneof![
        1 => Just("dedicated=automq:NoSchedule"),
        2 => select(others.to_vec()),
    ]
    .prop_map(taint)
}

/// A toleration.
pub(crate) fn toleration() -> impl Strategy<Value = Value> {
    let field = |values: &'static [&'static str]| option::weighted(0.6, select(values));
    let arbitrary = (
        field(&["dedicated", "special", "gpu", "level", "spot", ""]),
        field(&["Equal", "Exists", "Lt", "Gt", "", "Near"]),
        field(&["automq", "other", "true", "3", "5", "9", "07", ""]),
        field(&["NoSchedule", "NoExecute", "PreferNoSchedule", ""]),
    )
        .prop_map(|(key, operator, value, effect)| {
            let text = |text: Option<&str>| text.map(Value::from);
            object([
                ("key", text(key)),
                ("operator", text(operator)),
                ("value", text(value)),
                ("effect", text(effect)),
            ])
        });
    let usual = [
        json!({ "operator": "Exists" }),
        json!({ "key": "dedicated", "operator": "Exists" }),
        json!({ "key": "dedicated", "operator": "Exists", "effect": "NoSchedule" }),
        json!({ "key": "dedicated", "value": "automq", "effect": "NoSchedule" }),
    ];
    prop_oneof![3 => arbitrary, 2 => select(usual.to_vec())]
}

/// A label that nodes have, with a value that some of them have.
fn label() -> impl Strategy<Value = (&'static str, String)> {
    let of = |key: &'static str, values: &'static [&'static str]| {
        select(values).prop_map(move |value| (key, value.to_owned()))
    };
    prop_oneof![
        4 => of(GROUP, &GROUPS),
        2 => of(ZONE, &ZONES),
        1 => of(MACHINE_TYPE, &MACHINE_TYPES),
        1 => of(TIER, &["hot", "cold"]),
        1 => (0..NODES_MAX).prop_map(|serial| (SERIAL, serial.to_string())),
        1 => any_node_name().prop_map(|name| (HOSTNAME, name)),
    ]
}

/// An entry of `matchExpressions`. One in ten cannot be read.
fn expression() -> impl Strategy<Value = Value> {
    let listed = (label(), vec(label(), 0..3), select(&["In", "NotIn"][..]));
    let listed = listed.prop_map(|((key, value), more, operator)| {
        let more = more.into_iter().filter(|(other, _)| *other == key).map(|(_, value)| value);
        let values: Vec<String> = [value].into_iter().chain(more).collect();
        json!({ "key": key, "operator": operator, "values": values })
    });
    let bare = (label(), select(&["Exists", "DoesNotExist"][..]));
    let bare = bare.prop_map(|((key, _), operator)| json!({ "key": key, "operator": operator }));
    let compared = (select(&["Gt", "Lt"][..]), -1_i32..20);
    let compared = compared.prop_map(|(operator, bound): (&str, i32)| {
        json!({ "key": SERIAL, "operator": operator, "values": [bound.to_string()] })
    });
    let unreadable = [
        json!({}),
        json!({ "key": GROUP, "operator": "Near", "values": ["automq-a"] }),
        json!({ "key": GROUP, "operator": "In" }),
        json!({ "key": GROUP, "operator": "Exists", "values": ["automq-a"] }),
        json!({ "key": "not a key", "operator": "Exists" }),
        json!({ "key": GROUP, "operator": "In", "values": ["not a value"] }),
        json!({ "key": SERIAL, "operator": "Gt", "values": ["many"] }),
    ];
    prop_oneof![
        5 => listed,
        2 => bare,
        1 => compared,
        1 => select(unreadable.to_vec()),
    ]
}

/// An entry of `matchFields`.
fn field() -> impl Strategy<Value = Value> {
    let key = prop_oneof![9 => Just("metadata.name"), 1 => Just("metadata.namespace")];
    let operator = prop_oneof![7 => Just("In"), 2 => Just("NotIn"), 1 => Just("Exists")];
    let values = prop_oneof![
        8 => vec(any_node_name(), 1),
        1 => Just(vec![String::new()]),
        1 => vec(any_node_name(), 0..3),
    ];
    (key, operator, values).prop_map(
        |(key, operator, values)| json!({ "key": key, "operator": operator, "values": values }),
    )
}

/// An entry of `nodeSelectorTerms`; empty now and then.
fn term() -> impl Strategy<Value = Value> {
    let expressions = option::weighted(0.7, vec(expression(), 0..3));
    (expressions, option::weighted(0.25, vec(field(), 0..3))).prop_map(|(expressions, fields)| {
        object([
            ("matchExpressions", expressions.map(Value::from)),
            ("matchFields", fields.map(Value::from)),
        ])
    })
}

fn affinity() -> BoxedStrategy<Value> {
    let required = option::weighted(0.9, vec(term(), 0..4));
    (required, option::weighted(0.9, Just(())), any::<bool>())
        .prop_map(|(terms, node, with_others)| {
            let required = terms.map(|terms| json!({ "nodeSelectorTerms": terms }));
            let preferred = with_others.then(|| json!([{ "weight": 1, "preference": {} }]));
            let node_affinity = node.map(|()| {
                object([
                    ("requiredDuringSchedulingIgnoredDuringExecution", required),
                    ("preferredDuringSchedulingIgnoredDuringExecution", preferred),
                ])
            });
            let others = with_others.then(|| json!({ "keep": "me" }));
            object([("nodeAffinity", node_affinity), ("podAntiAffinity", others)])
        })
        .boxed()
}

fn spread() -> impl Strategy<Value = Value> {
    let key = select(&[ZONE, HOSTNAME, ""][..]);
    key.prop_map(|key| json!({ "maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "X" }))
}

/// `spec` of a pod, without a node.
pub(crate) fn unbound_pod_spec() -> BoxedStrategy<Value> {
    let selector = vec(label(), 1..3).prop_map(|labels| {
        Value::Object(
            labels.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect(),
        )
    });
    (
        option::weighted(0.8, vec(toleration(), 0..4)),
        option::weighted(0.25, selector),
        option::weighted(0.5, affinity()),
        option::weighted(0.15, vec(spread(), 0..3)),
        option::weighted(0.2, select(&["", "default", "automq", "operator"][..])),
    )
        .prop_map(|(tolerations, selector, affinity, spread, account)| {
            object([
                ("containers", Some(json!([{ "name": "c", "image": "i" }]))),
                ("tolerations", tolerations.map(Value::from)),
                ("nodeSelector", selector),
                ("affinity", affinity),
                ("topologySpreadConstraints", spread.map(Value::from)),
                ("serviceAccountName", account.map(Value::from)),
            ])
        })
        .boxed()
}

/// `spec` of a pod, now and then bound to a node.
pub(crate) fn pod_spec() -> impl Strategy<Value = Value> {
    (unbound_pod_spec(), option::weighted(0.1, any_node_name())).prop_map(|(mut spec, node)| {
        if let Some(node) = node {
            spec["nodeName"] = node.into();
        }
        spec
    })
}

/// Labels of a node. Three in four are in AutoMQ's groups, so that pools get large.
pub(crate) fn node_labels() -> impl Strategy<Value = Value> {
    let group =
        prop_oneof![6 => Just("automq-a"), 2 => Just("automq-abc"), 3 => select(&GROUPS[..])];
    let values = |share, values: &'static [&'static str]| option::weighted(share, select(values));
    (
        option::weighted(0.9, group),
        values(0.9, &ZONES),
        values(0.8, &MACHINE_TYPES),
        values(0.3, &["hot", "cold"]),
        option::weighted(0.9, 0..NODES_MAX),
    )
        .prop_map(|(group, zone, machine_type, tier, serial)| {
            object([
                (GROUP, group.map(Value::from)),
                (ZONE, zone.map(Value::from)),
                (MACHINE_TYPE, machine_type.map(Value::from)),
                (TIER, tier.map(Value::from)),
                (SERIAL, serial.map(|serial| serial.to_string().into())),
            ])
        })
}

/// Some of these, in their order.
pub(crate) fn some_of(values: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(values, 0..=values.len())
}
