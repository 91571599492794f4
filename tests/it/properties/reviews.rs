//! Generated admission reviews, most of them as an API server would send them.

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Value, json};

use crate::generate::{any_node_name, node_labels, object, pod_spec, some_of, taint};

/// A review; one in three has something in it that does not belong there.
pub(crate) fn review() -> impl Strategy<Value = Value> {
    // Boxed, like all that is large: a strategy lies on the stack with every branch that it has.
    prop_oneof![
        2 => wholesome_review(),
        1 => (wholesome_review(), vec((any::<Index>(), damage()), 1..4)).prop_map(|(mut review, damages)| {
            for (at, damage) in damages {
                damage.apply(&mut review, at);
            }
            review
        }),
    ]
}

/// A review as an API server would send it.
pub(crate) fn wholesome_review() -> BoxedStrategy<Value> {
    let operation = prop_oneof![
        4 => Just("CREATE"),
        4 => Just("UPDATE"),
        2 => Just("DELETE"),
        1 => Just("CONNECT"),
    ];
    (subject(), operation, user(), any::<bool>(), name())
        .prop_map(|(subject, operation, user, dry_run, name)| {
            let Subject { resource, sub_resource, namespace, old, new } = subject;
            let (old, new) =
                if resource == "pods" { (with_spec(old), with_spec(new)) } else { (old, new) };
            let (group, resource) = resource.split_once('/').unwrap_or(("", resource));
            let (version, kind) = ("v1", "Some");
            json!({
                "kind": "AdmissionReview",
                "apiVersion": "admission.k8s.io/v1",
                "request": {
                    "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
                    "kind": { "group": group, "version": version, "kind": kind },
                    "resource": { "group": group, "version": version, "resource": resource },
                    "subResource": sub_resource,
                    "name": name,
                    "namespace": namespace,
                    "operation": operation,
                    "userInfo": user,
                    "dryRun": dry_run,
                    "object": if operation == "DELETE" { Value::Null } else { new },
                    "oldObject": if operation == "CREATE" { Value::Null } else { old },
                    "options": { "kind": "Options", "deep": [[{ "x": null }]] },
                },
            })
        })
        .boxed()
}

/// A pod has a spec, or there is nothing to decide.
fn with_spec(mut pod: Value) -> Value {
    if let Some(object) = pod.as_object_mut()
        && object.get("spec").is_none_or(Value::is_null)
    {
        object.insert("spec".to_owned(), json!({}));
    }
    pod
}

/// What a request is about.
#[derive(Clone, Debug)]
struct Subject {
    /// `group/plural`, or `plural` of the core group.
    resource: &'static str,
    sub_resource: &'static str,
    namespace: &'static str,
    old: Value,
    new: Value,
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        5 => of(select(&["pods"][..]), sub_resource(), namespace(), pod()),
        3 => of(select(&["nodes"][..]), sub_resource(), Just(""), node()),
        2 => of(workload_resource(), sub_resource(), namespace(), workload()),
        1 => of(select(&["pods", "bindings"][..]), Just("binding"), namespace(), binding()),
        1 => of(select(&["bindings"][..]), Just(""), namespace(), binding()),
        2 => of(rbac_resource(), Just(""), namespace(), rbac_object()),
        1 => of(select(&["configmaps"][..]), Just(""), namespace(), config_map()),
        1 => of(select(&["serviceaccounts"][..]), sub_resource(), namespace(), other()),
        1 => of(select(&["namespaces", "coordination.k8s.io/leases"][..]), Just(""), namespace(), other()),
    ]
}

fn of(
    resource: impl Strategy<Value = &'static str> + 'static,
    sub_resource: impl Strategy<Value = &'static str> + 'static,
    namespace: impl Strategy<Value = &'static str> + 'static,
    object: BoxedStrategy<Value>,
) -> BoxedStrategy<Subject> {
    (resource, sub_resource, namespace, object.clone(), object)
        .prop_map(|(resource, sub_resource, namespace, old, new)| Subject {
            resource,
            sub_resource,
            namespace,
            old,
            new,
        })
        .boxed()
}

fn sub_resource() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just(""), 1 => select(&["status", "binding", "eviction", "exec", "scale"][..])]
}

fn workload_resource() -> impl Strategy<Value = &'static str> {
    select(
        &[
            "apps/deployments",
            "apps/daemonsets",
            "apps/statefulsets",
            "apps/replicasets",
            "batch/jobs",
            "batch/cronjobs",
            "replicationcontrollers",
        ][..],
    )
}

fn rbac_resource() -> impl Strategy<Value = &'static str> {
    select(
        &[
            "rbac.authorization.k8s.io/rolebindings",
            "rbac.authorization.k8s.io/clusterrolebindings",
            "rbac.authorization.k8s.io/roles",
            "rbac.authorization.k8s.io/clusterroles",
        ][..],
    )
}

fn namespace() -> impl Strategy<Value = &'static str> {
    let automq = ["automq", "automq-instance-1", "automq-instance-2", "automq-instance-3"];
    let others = ["shop", "kube-system", "monitoring", "default", ""];
    prop_oneof![3 => select(automq.to_vec()), 2 => select(others.to_vec())]
}

fn name() -> impl Strategy<Value = String> {
    let names = ["p", "automq-operator", "automq-nodepool", "aws-auth", "odd", "node-agent", ""];
    prop_oneof![
        4 => select(names.to_vec()).prop_map(str::to_owned),
        1 => any_node_name(),
        1 => "[a-z]{200,250}",
        1 => "\\PC{0,90}",
    ]
}

fn user() -> impl Strategy<Value = Value> {
    let names = [
        "alice",
        "",
        "trusted-1",
        "system:apiserver",
        "system:kube-scheduler",
        "eks:node-manager",
        "system:node:ip-10-0-1-11.ec2.internal",
        "system:serviceaccount:automq:operator",
        "system:serviceaccount:kube-system:daemon-set-controller",
        "system:serviceaccount:kube-system:node-controller",
        "system:serviceaccount:odd",
    ];
    let groups = &["system:authenticated", "system:nodes", "platform", "system:masters"];
    (select(names.to_vec()), option::weighted(0.9, some_of(groups)))
        .prop_map(|(name, groups)| json!({ "username": name, "groups": groups, "extra": {} }))
}

fn metadata(labels: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    let owner = (
        select(&["DaemonSet", "ReplicaSet", "Job", "Node", ""][..]),
        select(&["apps/v1", "batch/v1", "v1", ""][..]),
        select(&["node-agent", "web", ""][..]),
        option::of(any::<bool>()),
    )
        .prop_map(|(kind, api_version, name, controller)| {
            json!({ "kind": kind, "apiVersion": api_version, "name": name, "controller": controller })
        });
    let annotations = [
        json!({ "kubernetes.io/config.mirror": "x" }),
        json!({ "eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/a" }),
        json!({ "eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/b", "a/b~c": "\u{1F980}\"\\" }),
        json!({}),
    ];
    (
        option::weighted(0.8, name()),
        option::weighted(0.8, labels),
        option::weighted(0.3, select(annotations.to_vec())),
        option::weighted(0.3, vec(owner, 0..3)),
        option::weighted(0.05, Just("2026-11-23T00:00:00Z")),
    )
        .prop_map(|(name, labels, annotations, owners, deleted)| {
            object([
                ("name", name.map(Value::from)),
                ("generateName", Some("web-".into())),
                ("labels", labels),
                ("annotations", annotations),
                ("ownerReferences", owners.map(Value::from)),
                ("deletionTimestamp", deleted.map(Value::from)),
            ])
        })
        .boxed()
}

fn labels() -> impl Strategy<Value = Value> {
    let labels = [
        json!({}),
        json!({ "app": "kafka" }),
        json!({ "app": "web", "foreign": "" }),
        json!({ "automq.cloud/instance-id": "kf-1", "a/b": "~" }),
        json!({ "kubernetes.io/bootstrapping": "rbac-defaults" }),
    ];
    select(labels.to_vec())
}

fn pod() -> BoxedStrategy<Value> {
    let spec = pod_spec();
    let pod = (metadata(labels()), option::weighted(0.97, spec));
    let pod = pod.prop_map(|(metadata, spec)| {
        object([("metadata", Some(metadata)), ("spec", spec), ("status", Some(json!({})))])
    });
    pod.boxed()
}

fn node() -> BoxedStrategy<Value> {
    let spec = option::weighted(0.9, option::weighted(0.8, vec(taint(), 0..4)));
    let node = (metadata(node_labels()), spec).prop_map(|(metadata, spec)| {
        let spec = spec.map(|taints| object([("taints", taints.map(Value::from))]));
        object([("metadata", Some(metadata)), ("spec", spec)])
    });
    node.boxed()
}

fn workload() -> BoxedStrategy<Value> {
    let template = (metadata(labels()), pod_spec());
    let template =
        template.prop_map(|(metadata, spec)| json!({ "metadata": metadata, "spec": spec }));
    let workload = (metadata(labels()), template, any::<bool>());
    let workload = workload.prop_map(|(metadata, template, is_cron_job)| {
        let spec = json!({ "template": template });
        let spec = if is_cron_job { json!({ "jobTemplate": { "spec": spec } }) } else { spec };
        json!({ "metadata": metadata, "spec": spec })
    });
    workload.boxed()
}

fn binding() -> BoxedStrategy<Value> {
    let binding = (metadata(labels()), option::weighted(0.9, any_node_name()));
    let binding = binding.prop_map(|(metadata, node)| {
        json!({ "metadata": metadata, "target": { "kind": "Node", "name": node } })
    });
    binding.boxed()
}

fn rbac_object() -> BoxedStrategy<Value> {
    let subject = (
        select(&["ServiceAccount", "User", "Group"][..]),
        select(&["automq", "shop", ""][..]),
        name(),
    );
    let subject = subject.prop_map(
        |(kind, namespace, name)| json!({ "kind": kind, "namespace": namespace, "name": name }),
    );
    let role = (select(&["Role", "ClusterRole"][..]), name())
        .prop_map(|(kind, name)| json!({ "kind": kind, "name": name }));
    let rules = vec(select(&["get", "list", "*"][..]), 0..3);
    let odd = option::of(select(vec![json!({ "m~n": 1 }), json!({ "m~n": 2 })]));
    let object = (metadata(labels()), vec(subject, 0..3), role, rules, odd).prop_map(
        |(metadata, subjects, role, verbs, odd)| {
            object([
                ("kind", Some("Some".into())),
                ("metadata", Some(metadata)),
                ("subjects", Some(subjects.into())),
                ("roleRef", Some(role)),
                ("rules", Some(json!([{ "verbs": verbs }]))),
                ("a/b", odd),
            ])
        },
    );
    object.boxed()
}

fn config_map() -> BoxedStrategy<Value> {
    let kept = "- rolearn: arn:aws:iam::111122223333:role/automq-node\n  username: node\n";
    let texts = [
        kept.to_owned(),
        format!("{kept}- rolearn: other\n"),
        kept.replace("username: node", "username: other"),
        "[".to_owned(),
        "text".to_owned(),
        String::new(),
        format!("{}{}", "[".repeat(3000), "]".repeat(3000)),
    ];
    let data = option::weighted(0.9, option::weighted(0.9, select(texts.to_vec())));
    let map = (metadata(labels()), data).prop_map(|(metadata, data)| {
        let data = data.map(|roles| object([("mapRoles", roles.map(Value::from))]));
        object([("metadata", Some(metadata)), ("data", data)])
    });
    map.boxed()
}

fn other() -> BoxedStrategy<Value> {
    metadata(labels()).prop_map(|metadata| json!({ "metadata": metadata })).boxed()
}

/// Something that does not belong into a review.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Becomes(Value),
    Goes,
    Gains(String, Value),
}

fn damage() -> impl Strategy<Value = Damage> {
    let leaf = prop_oneof![
        4 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        2 => "\\PC{0,8}".prop_map(Value::from),
        1 => select(vec![json!([]), json!({}), json!([null]), json!([{}]), json!({ "": null })]),
    ];
    prop_oneof![
        3 => leaf.clone().prop_map(Damage::Becomes),
        1 => Just(Damage::Goes),
        2 => ("[a-z/~\"é]{0,4}", leaf).prop_map(|(key, value)| Damage::Gains(key, value)),
    ]
}

impl Damage {
    /// Damages one place of all that there are.
    fn apply(self, review: &mut Value, at: Index) {
        let mut pointers = Vec::new();
        collect("", review, &mut pointers);
        let pointer = at.get(&pointers);
        match self {
            Self::Becomes(value) => *review.pointer_mut(pointer).unwrap() = value,
            Self::Gains(key, value) => {
                if let Some(object) = review.pointer_mut(pointer).and_then(Value::as_object_mut) {
                    object.insert(key, value);
                }
            }
            Self::Goes => {
                let Some((parent, key)) = pointer.rsplit_once('/') else { return };
                let key = key.replace("~1", "/").replace("~0", "~");
                match review.pointer_mut(parent).unwrap() {
                    Value::Object(object) => drop(object.remove(&key)),
                    Value::Array(list) => drop(list.remove(key.parse().unwrap())),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
                }
            }
        }
    }
}

/// The pointers to everything below a value, itself included.
fn collect(pointer: &str, value: &Value, pointers: &mut Vec<String>) {
    pointers.push(pointer.to_owned());
    match value {
        Value::Object(object) => {
            for (key, below) in object {
                let key = key.replace('~', "~0").replace('/', "~1");
                collect(&format!("{pointer}/{key}"), below, pointers);
            }
        }
        Value::Array(list) => {
            for (index, below) in list.iter().enumerate() {
                collect(&format!("{pointer}/{index}"), below, pointers);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
