//! Reviews of resources in another version than the one that the rules read.

use poolguard::{admission::review::parse, policy::Phase};
use serde_json::{Value, json};

use crate::scenario::{Scenario, create, delete, recorded, update};

/// What is wrong with a review, as this scenario reads it.
fn fault(scenario: &Scenario, phase: Phase, review: &Value) -> Option<String> {
    let body = serde_json::to_vec(review).unwrap();
    let parsed = parse(&body, |target| scenario.policy.reads(&scenario.snapshot, phase, target));
    parsed.err().map(|error| error.to_string())
}

/// The same request in another version.
fn in_version(mut review: Value, version: &str) -> Value {
    review["request"]["resource"]["version"] = json!(version);
    review
}

fn object(api_version: &str, kind: &str) -> String {
    format!("{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: o}}, spec: {{}}}}")
}

#[test]
fn a_resource_that_the_rules_read_is_a_fault_in_another_version() {
    let scenario = Scenario::recorded();
    for (api_version, kind, resource, group, version) in [
        ("v1", "Pod", "pods", "", "v2"),
        ("v1", "Node", "nodes", "", "v1beta3"),
        ("v1", "ReplicationController", "replicationcontrollers", "", "v2"),
        ("apps/v1", "Deployment", "deployments", "apps/", "v1beta1"),
        ("apps/v1", "StatefulSet", "statefulsets", "apps/", "v1beta2"),
        ("batch/v1", "CronJob", "cronjobs", "batch/", "v1beta1"),
    ] {
        let created = create("shop", &object(api_version, kind));
        for review in [created.clone(), update(created, |_| {})] {
            assert_eq!(fault(&scenario, Phase::Validate, &review), None, "{kind}");
            let expected = format!(
                "PoolGuard cannot judge {resource} of {group}{version}: it reads only {resource} of {group}v1"
            );
            let found = fault(&scenario, Phase::Validate, &in_version(review, version));
            assert_eq!(found, Some(expected));
        }
    }
}

#[test]
fn a_mutating_call_is_a_fault_in_another_version_for_pods_and_nodes_only() {
    let scenario = Scenario::recorded();
    for (api_version, kind, is_read) in
        [("v1", "Pod", true), ("v1", "Node", true), ("apps/v1", "Deployment", false)]
    {
        let review = in_version(create("shop", &object(api_version, kind)), "v2");
        assert_eq!(fault(&scenario, Phase::Mutate, &review).is_some(), is_read, "{kind}");
    }
}

#[test]
fn a_binding_and_the_deletion_of_a_namespace_are_faults_in_another_version() {
    let scenario = Scenario::recorded();
    for name in ["pod-binding-by-custom-scheduler-to-pool-a", "namespace-delete-unprotected"] {
        assert_eq!(fault(&scenario, Phase::Validate, &recorded(name)), None);
        let found = fault(&scenario, Phase::Validate, &in_version(recorded(name), "v2"));
        assert!(
            found.is_some_and(
                |it| it.starts_with("PoolGuard cannot judge ") && it.contains(" of v2: ")
            ),
            "{name}"
        );
    }
}

#[test]
fn a_protected_object_is_a_fault_in_another_version_where_an_entry_covers_it() {
    let scenario = Scenario::recorded();
    for (name, version) in [
        ("configmap-update-aws-auth-node-role-removed-by-admin", "v2"),
        ("rolebinding-delete-by-admin", "v1beta1"),
        ("serviceaccount-update-role-arn-removed-by-admin", "v2"),
    ] {
        let review = in_version(recorded(name), version);
        let found = fault(&scenario, Phase::Validate, &review);
        let says = format!("{version}: it reads only ");
        let is_said = |it: String| {
            it.starts_with("PoolGuard cannot judge ") && it.contains(&says) && it.ends_with("v1")
        };
        assert!(found.is_some_and(is_said), "{name}");
    }
    let mut unrelated = recorded("configmap-update-aws-auth-node-role-removed-by-admin");
    unrelated["request"]["name"] = json!("other");
    assert_eq!(fault(&scenario, Phase::Validate, &in_version(unrelated, "v2")), None);
}

#[test]
fn what_no_rule_reads_passes_in_any_version() {
    let scenario = Scenario::recorded();
    for (api_version, kind) in [
        ("networking.k8s.io/v1beta1", "Ingress"),
        ("v2", "Secret"),
        ("extensions/v1beta1", "Deployment"),
        ("apps.example.com/v1beta1", "Deployment"),
    ] {
        let created = create("shop", &object(api_version, kind));
        for review in [created.clone(), update(created.clone(), |_| {}), delete(created)] {
            assert_eq!(fault(&scenario, Phase::Validate, &review), None, "{kind}");
        }
    }
    // A deletion of a pod is not judged, and a scale is a resource of its own.
    let pod = create("shop", &object("v1", "Pod"));
    assert_eq!(fault(&scenario, Phase::Validate, &in_version(delete(pod), "v2")), None);
    let mut scale = in_version(create("shop", &object("apps/v1", "Deployment")), "v1beta2");
    scale["request"]["subResource"] = json!("scale");
    assert_eq!(fault(&scenario, Phase::Validate, &scale), None);
}

#[test]
fn a_custom_resource_is_judged_in_any_version() {
    let scenario = Scenario::replacing(&[(
        "protected:\n",
        "protected:\n- {name: pool, resource: nodepools.karpenter.sh, names: [automq-*]}\n",
    )]);
    for version in ["v1", "v1beta1", "v1alpha5"] {
        let object = format!(
            "{{apiVersion: karpenter.sh/{version}, kind: NodePool, metadata: {{name: automq-a}}, spec: {{}}}}"
        );
        let review = delete(create("", &object));
        assert_eq!(scenario.verdict(&review), "deny role-binding", "{version}");
    }
}

#[test]
fn an_object_that_does_not_look_like_its_view_is_a_fault_of_its_version() {
    let scenario = Scenario::recorded();
    let mut review = create("shop", &object("apps/v1beta1", "Deployment"));
    review["request"]["object"]["spec"] = json!(["not", "a", "spec"]);
    let found = fault(&scenario, Phase::Validate, &review).unwrap();
    assert!(found.starts_with("PoolGuard cannot judge deployments of apps/v1beta1"), "{found}");
    // Nor does a version tear the line apart.
    let review = in_version(review, "v1\nbeta");
    let found = fault(&scenario, Phase::Validate, &review).unwrap();
    assert!(!found.contains('\n') && found.contains(r"apps/v1\nbeta"), "{found}");
}
