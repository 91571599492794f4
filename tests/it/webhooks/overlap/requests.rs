//! Generated requests, as an API server would let them through.

use proptest::{option, prelude::*, sample::select};
use serde_json::{Value, json};

pub(super) const KUBELET: &str = "system:node:ip-10-0-1-11.ec2.internal";

/// A kind, and what its objects have beside metadata.
#[derive(Clone, Copy, Debug)]
struct Kind {
    group: &'static str,
    resource: &'static str,
    is_namespaced: bool,
    content: fn(&Choices) -> Value,
}

/// What differs between two generated objects.
#[derive(Clone, Debug)]
struct Choices {
    labels: Value,
    annotations: Value,
    spec: Value,
    datum: &'static str,
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// Those that most entries are about come first, and more than once.
const KINDS: [Kind; 26] = [
    namespaced("", "pods", |it| json!({ "spec": it.spec })),
    namespaced("", "pods", |it| json!({ "spec": it.spec })),
    namespaced("metrics.example.com", "nodes", |it| json!({ "spec": { "role": it.datum } })),
    cluster("", "namespaces", |it| json!({ "spec": { "finalizers": [it.datum] } })),
    cluster("", "nodes", node),
    cluster("", "nodes", node),
    namespaced("", "pods", |it| json!({ "spec": it.spec })),
    namespaced("", "pods", |it| json!({ "spec": it.spec })),
    namespaced("apps", "deployments", workload),
    namespaced("apps", "statefulsets", workload),
    namespaced("batch", "jobs", workload),
    namespaced("", "replicationcontrollers", workload),
    namespaced("", "configmaps", |it| json!({ "data": { "x": it.datum } })),
    namespaced("", "serviceaccounts", |_| json!({})),
    namespaced(RBAC, "roles", |it| json!({ "rules": [{ "verbs": [it.datum] }] })),
    namespaced(
        RBAC,
        "rolebindings",
        |it| json!({ "subjects": [], "roleRef": { "name": it.datum } }),
    ),
    namespaced("example.com", "nodepools", |it| json!({ "spec": { "role": it.datum } })),
    namespaced("metrics.example.com", "nodes", |it| json!({ "spec": { "role": it.datum } })),
    cluster("", "namespaces", |it| json!({ "spec": { "finalizers": [it.datum] } })),
    cluster("", "nodes", node),
    cluster(RBAC, "clusterroles", |it| json!({ "rules": [{ "verbs": [it.datum] }] })),
    cluster("karpenter.sh", "nodepools", |it| json!({ "spec": { "template": node(it) } })),
    cluster("karpenter.k8s.aws", "ec2nodeclasses", |it| json!({ "spec": { "role": it.datum } })),
    cluster("cloud.google.com", "computeclasses", node_pool),
    namespaced("eks.services.k8s.aws", "nodegroups", node_group),
    cluster("karpenter.example.com", "nodeclasses", |it| json!({ "spec": { "role": it.datum } })),
];

const fn namespaced(
    group: &'static str,
    resource: &'static str,
    content: fn(&Choices) -> Value,
) -> Kind {
    Kind { group, resource, is_namespaced: true, content }
}

const fn cluster(
    group: &'static str,
    resource: &'static str,
    content: fn(&Choices) -> Value,
) -> Kind {
    Kind { group, resource, is_namespaced: false, content }
}

fn workload(choices: &Choices) -> Value {
    json!({ "spec": { "replicas": 1, "template": { "spec": choices.spec } } })
}

fn node(choices: &Choices) -> Value {
    let taints = match choices.datum {
        "a" => json!([{ "key": "dedicated", "value": "automq", "effect": "NoSchedule" }]),
        _ => json!([]),
    };
    json!({ "spec": { "taints": taints } })
}

fn node_pool(choices: &Choices) -> Value {
    let account = choices.annotations.clone();
    let config = json!({ "taints": node(choices)["spec"]["taints"], "serviceAccount": account });
    json!({ "spec": { "nodePoolConfig": config } })
}

fn node_group(choices: &Choices) -> Value {
    let taints = match choices.datum {
        "a" => json!(["dedicated=automq:NoSchedule"]),
        _ => json!([{ "key": "dedicated" }, null, 7]),
    };
    json!({ "spec": { "taints": taints, "labels": choices.labels, "nodeRole": choices.datum } })
}

fn choices() -> impl Strategy<Value = Choices> {
    let labels = [
        json!({}),
        json!({ "owner": "a" }),
        json!({ "owner": "b", "app": "web" }),
        json!({ "app": "kafka" }),
        json!({ "eks.amazonaws.com/nodegroup": "automq-a", "topology.kubernetes.io/zone": "us-east-1d" }),
    ];
    let specs = [
        json!({}),
        json!({ "tolerations": [{ "operator": "Exists" }] }),
        json!({ "tolerations": [{ "key": "dedicated", "operator": "Exists" }], "nodeSelector": { "a": "b" } }),
        json!({ "nodeName": "ip-10-0-1-11.ec2.internal" }),
    ];
    let annotations = [json!({}), json!({ "a/b": "1" }), json!({ "a/b": "2" })];
    (
        select(labels.to_vec()),
        select(annotations.to_vec()),
        select(specs.to_vec()),
        select(&["a", "b"][..]),
    )
        .prop_map(|(labels, annotations, spec, datum)| Choices {
            labels,
            annotations,
            spec,
            datum,
        })
}

const NAMESPACES: [&str; 7] =
    ["kube-system", "automq", "automq-instance-1", "shop", "shop-2", "monitoring", "poolguard"];

fn user() -> impl Strategy<Value = Value> {
    let names = prop_oneof![
        4 => Just("alice"),
        3 => select(
            &[
                "trusted-1",
                "system:serviceaccount:shop:deployer",
                KUBELET,
                "system:kube-scheduler",
                "system:serviceaccount:kube-system:namespace-controller",
                "system:serviceaccount:kube-system:node-controller",
                "system:serviceaccount:kube-system:generic-garbage-collector",
                "system:serviceaccount:kube-system:daemon-set-controller",
            ][..],
        ),
    ];
    let group = prop_oneof![
        4 => Just("system:authenticated"),
        4 => select(&["platform", "poolguard:break-glass", "poolguard:break-glass", "it's"][..]),
    ];
    (names, option::weighted(0.9, group)).prop_map(|(name, group)| {
        let is_kubelet = name == KUBELET;
        let groups = group.into_iter().chain(is_kubelet.then_some("system:nodes"));
        match groups.collect::<Vec<_>>() {
            groups if groups.is_empty() => json!({ "username": name }),
            // Those whom the cluster itself runs have no groups of people.
            _ if name.ends_with(":daemon-set-controller") => json!({ "username": name }),
            groups => json!({ "username": name, "groups": groups }),
        }
    })
}

/// A request about one of the kinds.
pub(super) fn request() -> BoxedStrategy<Value> {
    let operation = prop_oneof![
        2 => Just("CREATE"),
        6 => Just("UPDATE"),
        2 => Just("DELETE"),
        1 => Just("DELETECOLLECTION"),
    ];
    let place = (select(&NAMESPACES[..]), select(&["o", "o", "o1", "x"][..]));
    let sub_resource = prop_oneof![9 => Just(""), 1 => Just("status")];
    let objects = (choices(), choices(), any::<bool>());
    (select(&KINDS[..]), operation, place, sub_resource, user(), objects)
        .prop_map(|(kind, operation, (namespace, name), sub_resource, user, (old, new, is_kept))| {
            let Kind { group, resource, is_namespaced, content } = kind;
            // The namespace of a request about a namespace is its name.
            let is_namespace = resource == "namespaces";
            let name = if is_namespace { namespace } else { name };
            let object = |choices: &Choices| {
                let mut object = content(choices);
                let mut labels = choices.labels.clone();
                if is_namespace {
                    labels["kubernetes.io/metadata.name"] = json!(name);
                }
                object["metadata"] =
                    json!({ "name": name, "labels": labels, "annotations": choices.annotations });
                if is_namespaced {
                    object["metadata"]["namespace"] = json!(namespace);
                }
                object
            };
            // Many a change is one of metadata only.
            let new = if is_kept { Choices { labels: new.labels, ..old.clone() } } else { new };
            let (mut old, mut new) = (object(&old), object(&new));
            if resource == "pods" && operation == "UPDATE" {
                // What a pod is bound to cannot be changed.
                let node = old["spec"]["nodeName"].clone();
                for spec in [&mut old["spec"], &mut new["spec"]] {
                    let spec = spec.as_object_mut().unwrap();
                    spec.remove("nodeName");
                    if !node.is_null() {
                        spec.insert("nodeName".to_owned(), node.clone());
                    }
                }
            }
            let is_collection = operation == "DELETECOLLECTION" && !is_namespace;
            let operation = if operation == "DELETECOLLECTION" { "DELETE" } else { operation };
            let sub_resource = if operation == "UPDATE" { sub_resource } else { "" };
            json!({
                "kind": "AdmissionReview",
                "apiVersion": "admission.k8s.io/v1",
                "request": {
                    "uid": "1",
                    "kind": { "group": group, "version": "v1", "kind": "Some" },
                    "resource": { "group": group, "version": "v1", "resource": resource },
                    "subResource": sub_resource,
                    "name": if is_collection { "" } else { name },
                    "namespace": if is_namespaced || is_namespace { namespace } else { "" },
                    "operation": operation,
                    "userInfo": user,
                    "object": if operation == "DELETE" { Value::Null } else { new },
                    "oldObject": if operation == "CREATE" { Value::Null } else { old },
                },
            })
        })
        .boxed()
}
