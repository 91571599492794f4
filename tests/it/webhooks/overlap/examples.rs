//! Single requests about protected objects of kinds that other rules are about as well.

use poolguard::policy::Phase;
use serde_json::{Value, json};

use crate::{
    scenario::{Scenario, by, create, delete, pod_in, recorded, update},
    webhooks::{
        CUSTOM,
        api_server::{ApiServer, OWN_NAMESPACE},
        names, registered,
    },
};

const ALICE: (&str, &[&str]) = ("alice", &["system:authenticated"]);
const BREAK_GLASS: (&str, &[&str]) = ("alice", &["poolguard:break-glass"]);
const TRUSTED: (&str, &[&str]) = ("trusted", &[]);

const OWNER: &str = "fields: [/metadata/labels/owner]";

/// The API server of a scenario.
fn api_server(scenario: &Scenario) -> ApiServer {
    ApiServer::lazy(&registered(&scenario.policy, &CUSTOM))
}

/// The recorded config with further protected entries, a trusted principal, and these lines.
fn protecting(entries: &[&str], lines: &str) -> Scenario {
    let entries: Vec<String> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| format!("- {{name: further-{index}, {entry}}}\n"))
        .collect();
    let protected = format!("protected:\n{}", entries.concat());
    let last = "breakGlass: {groups: [\"poolguard:break-glass\"]}";
    let trusted = "principals: {trusted: {users: [trusted]}}";
    Scenario::replacing(&[
        ("protected:\n", &protected),
        (last, &format!("{last}\n{trusted}\n{lines}")),
    ])
}

fn relabel(created: Value) -> Value {
    update(created, |object| object["metadata"]["labels"]["owner"] = json!("b"))
}

fn namespace(name: &str) -> Value {
    let object = format!(
        "{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}, labels: {{owner: a}}}}}}"
    );
    let mut review = create("", &object);
    review["request"]["namespace"] = json!(name);
    review
}

/// The only entry of a configuration that is called, and whether it fails closed.
fn called<'s>(
    server: &'s ApiServer,
    configuration: Phase,
    review: &Value,
) -> Option<(&'s str, bool)> {
    let all = server.called(review).into_iter().filter(|it| it.configuration == configuration);
    let all: Vec<_> = all.map(|it| (it.name(), it.fails_closed())).collect();
    assert!(all.len() <= 1, "{all:?}");
    all.first().copied()
}

#[test]
fn a_protected_namespace_fails_closed_whichever_it_is() {
    let scenario = protecting(&[&format!("resource: namespaces, names: [\"*\"], {OWNER}")], "");
    let server = api_server(&scenario);
    for name in ["kube-system", "automq", "automq-instance-1", "shop", OWN_NAMESPACE] {
        for review in [relabel(namespace(name)), delete(namespace(name))] {
            assert!(!scenario.validate(&review).is_allowed(), "{name}");
            let sent = called(&server, Phase::Validate, &review);
            assert_eq!(sent, Some(("protected-namespaces", true)), "{name}");
            let sent = called(&server, Phase::Mutate, &by(review, BREAK_GLASS.0, BREAK_GLASS.1));
            assert_eq!(sent, Some(("recorded-protected-namespaces", false)), "{name}");
        }
    }
}

#[test]
fn a_namespace_that_is_not_protected_itself_keeps_its_entry() {
    let entry = format!("resource: namespaces, names: [monitoring], {OWNER}");
    let server = api_server(&protecting(&[&entry], ""));
    for (name, entry, fails_closed) in [
        ("monitoring", "protected-namespaces", true),
        ("automq-instance-1", "named-namespaces", true),
        ("shop", "other-namespaces", false),
    ] {
        let sent = called(&server, Phase::Validate, &delete(namespace(name)));
        assert_eq!(sent, Some((entry, fails_closed)), "{name}");
    }
}

fn tolerant_pod(namespace: &str) -> Value {
    let mut pod = pod_in(namespace, "{tolerations: [{operator: Exists}]}");
    pod["request"]["object"]["metadata"]["labels"] = json!({ "owner": "a" });
    pod
}

/// A change that harms a protected pod, and by which it can run on a pool.
fn harmful_and_intruding(namespace: &str) -> Value {
    let mut review = relabel(tolerant_pod(namespace));
    review["request"]["oldObject"]["spec"] = json!({});
    review
}

#[test]
fn a_protected_pod_is_sent_by_one_entry() {
    let entry = format!("resource: pods, names: [p], {OWNER}");
    for (mode, expected) in [
        // Of two entries that fail closed, that of protected objects; of one, that one.
        ("enforce", ("protected", true)),
        ("warn", ("pods", true)),
    ] {
        let lines = format!("rules: {{role-binding: {{mode: {mode}}}}}");
        let server = api_server(&protecting(&[&entry], &lines));
        let review = harmful_and_intruding("shop");
        assert_eq!(called(&server, Phase::Validate, &review), Some(expected), "{mode}");
        let only_relabelled = relabel(tolerant_pod("shop"));
        let sent = called(&server, Phase::Validate, &only_relabelled);
        assert_eq!(sent, Some(("protected", mode == "enforce")), "{mode}");
        // Whom the rule about roles lets pass, the rule about pods does not.
        let trusted = by(review.clone(), TRUSTED.0, TRUSTED.1);
        let sent = called(&server, Phase::Validate, &trusted);
        assert_eq!(sent, Some(("pods", true)), "{mode}");
        let open = by(review, BREAK_GLASS.0, BREAK_GLASS.1);
        assert_eq!(server.called(&open).len(), 1, "{mode}");
        let recorded = format!("recorded-{}", expected.0);
        let sent = called(&server, Phase::Mutate, &open);
        assert_eq!(sent, Some((recorded.as_str(), false)), "{mode}");
    }
}

#[test]
fn a_protected_node_is_sent_by_one_entry() {
    let server =
        api_server(&protecting(&[&format!("resource: nodes, names: [\"*\"], {OWNER}")], ""));
    let review = relabel(recorded("node-create-pool-a-by-kubelet"));
    let sent = |(user, groups), configuration| {
        called(&server, configuration, &by(review.clone(), user, groups))
    };
    assert_eq!(sent(ALICE, Phase::Validate), Some(("protected", true)));
    assert_eq!(sent(ALICE, Phase::Mutate), Some(("join-nodes", false)));
    assert_eq!(sent(TRUSTED, Phase::Validate), Some(("nodes", false)));
    assert_eq!(sent(TRUSTED, Phase::Mutate), Some(("join-nodes", false)));
    assert_eq!(sent(BREAK_GLASS, Phase::Validate), None);
    assert_eq!(sent(BREAK_GLASS, Phase::Mutate), Some(("recorded-protected", false)));
    // The status is no protected object.
    let mut status = by(review.clone(), ALICE.0, ALICE.1);
    status["request"]["subResource"] = json!("status");
    assert_eq!(called(&server, Phase::Validate, &status), Some(("nodes", false)));
}

#[test]
fn a_protected_workload_is_sent_by_one_entry() {
    let entry = "resource: deployments.apps, namespace: shop, names: [web]";
    let server = api_server(&protecting(&[entry], ""));
    let of_kind = |kind: &str, name: &str| {
        let template = "template: {spec: {tolerations: [{operator: Exists}]}}";
        let object = format!(
            "{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: {name}}}, spec: {{{template}}}}}"
        );
        update(create("shop", &object), |it| it["spec"]["template"]["metadata"] = json!({}))
    };
    for (kind, name, expected) in [
        ("Deployment", "web", ("protected.shop", true)),
        ("Deployment", "other", ("workloads", false)),
        ("StatefulSet", "web", ("workloads", false)),
    ] {
        let sent = called(&server, Phase::Validate, &of_kind(kind, name));
        assert_eq!(sent, Some(expected), "{kind} {name}");
    }
    let trusted = by(of_kind("Deployment", "web"), TRUSTED.0, TRUSTED.1);
    assert_eq!(called(&server, Phase::Validate, &trusted), Some(("workloads", false)));
}

#[test]
fn a_role_is_sent_beside_a_protected_cluster_role_of_its_name() {
    let entry = "resource: clusterroles.rbac.authorization.k8s.io, names: [automq]";
    let server = api_server(&protecting(&[entry], ""));
    for (kind, namespace, expected) in
        [("ClusterRole", "", ("protected", true)), ("Role", "automq", ("referred-roles", false))]
    {
        let object = format!(
            "{{apiVersion: rbac.authorization.k8s.io/v1, kind: {kind}, metadata: {{name: automq}}, rules: []}}"
        );
        let sent = called(&server, Phase::Validate, &delete(create(namespace, &object)));
        assert_eq!(sent, Some(expected), "{kind}");
    }
}

#[test]
fn a_custom_kind_that_is_called_like_nodes_is_sent_from_every_namespace() {
    let server =
        api_server(&protecting(&["resource: nodes.metrics.example.com, names: [\"*\"]"], ""));
    for (namespace, entry) in [
        ("kube-system", "protected.kube-system"),
        ("automq-instance-1", "protected-automq"),
        ("shop", "protected"),
    ] {
        let object = "{apiVersion: metrics.example.com/v1, kind: Node, metadata: {name: n1}}";
        let mut review = delete(create("", object));
        review["request"]["namespace"] = json!(namespace);
        assert_eq!(names(&server, Phase::Validate, &review), [entry], "{namespace}");
    }
}

#[test]
fn an_object_without_a_namespace_is_sent_for_a_glob_that_matches_everything() {
    let entry = "resource: nodeclasses.karpenter.example.com, namespace: \"*\", names: [\"*\"]";
    let scenario = protecting(&[entry], "");
    let object = "{apiVersion: karpenter.example.com/v1, kind: NodeClass, metadata: {name: n1}}";
    let mut review = delete(create("", object));
    review["request"]["resource"]["resource"] = json!("nodeclasses");
    review["request"]["namespace"] = json!("");
    assert!(!scenario.validate(&review).is_allowed());
    let server = api_server(&scenario);
    assert_eq!(called(&server, Phase::Validate, &review), Some(("protected", true)));
}

#[test]
fn an_entry_of_an_unprotected_kind_is_as_without_protected_objects() {
    let plain = registered(&Scenario::recorded().policy, &CUSTOM);
    let scenario = protecting(&["resource: secrets, names: [\"*\"]"], "");
    let protecting = registered(&scenario.policy, &CUSTOM);
    let stems = ["pods.", "daemonset-pods.", "bindings.", "workloads.", "nodes.", "recorded-pods."];
    let of = |all: &poolguard::admission::webhooks::Entries| {
        let all = all.mutating.iter().chain(&all.validating);
        all.filter(|it| stems.iter().any(|stem| it.name.starts_with(stem)))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&plain).len(), stems.len());
    assert_eq!(of(&plain), of(&protecting));
}

#[test]
fn resources_of_kubernetes_are_registered_in_v1_and_custom_ones_in_any_version() {
    let scenario = protecting(
        &["resource: nodepools.karpenter.sh, names: [\"*\"]", "resource: secrets, names: [\"*\"]"],
        "",
    );
    for webhook in api_server(&scenario).webhooks() {
        assert_eq!(webhook.object["matchPolicy"], "Equivalent", "{}", webhook.name());
        for rule in webhook.object["rules"].as_array().unwrap() {
            let group = rule["apiGroups"][0].as_str().unwrap();
            let is_of_kubernetes = !group.contains('.') || group.ends_with("authorization.k8s.io");
            let expected = if is_of_kubernetes { "v1" } else { "*" };
            assert_eq!(rule["apiVersions"], json!([expected]), "{}: {rule}", webhook.name());
        }
    }
}
