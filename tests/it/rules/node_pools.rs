//! Objects that make nodes: `node-pool`, and their roles under `role-binding`.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use poolguard::{
    kubernetes::object::{NodePoolKind, Part},
    policy::{Policy, verdict::Record},
};
use serde_json::{Value, json};

use crate::{
    scenario::{Scenario, create, delete, recorded, update},
    webhooks::{api_server::ApiServer, registered},
};

const ROLE: &str = "arn:aws:iam::111122223333:role/automq-node";

/// The recorded cluster, with a pool whose selector Karpenter's labels match.
fn scenario() -> Scenario {
    Scenario::replacing(&[(
        "pools:\n",
        "pools:\n- name: karpenter\n  nodes: {matchLabels: {karpenter.sh/nodepool: brokers}}\n  zones: [us-east-1a]\n  \
         machineTypes: [r6in.large]\n  role: \"arn:aws:iam::111122223333:role/automq-node\"\n",
    )])
}

/// A review of an object of this kind that makes nodes of a pool.
fn review(kind: &NodePoolKind, object: &Value) -> Value {
    let mut review = recorded("rolebinding-delete-by-admin");
    let request = &mut review["request"];
    let resource = &kind.resource;
    request["operation"] = json!("CREATE");
    request["resource"] =
        json!({ "group": resource.group, "version": "v1", "resource": resource.resource });
    request["kind"] = json!({ "group": resource.group, "version": "v1", "kind": kind.kind });
    request["requestResource"] = request["resource"].clone();
    request["requestKind"] = request["kind"].clone();
    request["name"] = json!("brokers");
    request["namespace"] = if kind.is_namespaced { json!("default") } else { json!("") };
    request["oldObject"] = Value::Null;
    request["object"] = object.clone();
    review
}

/// Puts a value where keys lead to; `*` is the first item of a list.
fn put(object: &mut Value, path: &[String], value: Value) {
    match path {
        [] => *object = value,
        [key, rest @ ..] if key == "*" => {
            if !object.is_array() {
                *object = json!([null]);
            }
            put(&mut object[0], rest, value);
        }
        [key, rest @ ..] => {
            if !object.is_object() {
                *object = json!({});
            }
            put(&mut object[key], rest, value);
        }
    }
}

fn at_role(object: &mut Value, kind: &NodePoolKind, index: usize, value: Value) {
    let pointer = &kind.roles[index];
    let path: Vec<String> = pointer.tokens().map(|it| it.decoded().into_owned()).collect();
    put(object, &path, value);
}

/// An object that gives its nodes the taint, as far as its kind can, and a role.
fn object(kind: &NodePoolKind) -> Value {
    let mut object = json!({
        "apiVersion": format!("{}/v1", kind.resource.group), "kind": kind.kind,
        "metadata": { "name": "brokers" },
    });
    for field in kind.fields_of(Part::Taints).take(1) {
        put(
            &mut object,
            &field.path,
            json!([{ "key": "dedicated", "value": "automq", "effect": "NoSchedule" }]),
        );
    }
    // One of them alone would do.
    for index in 0..kind.roles.len() {
        at_role(&mut object, kind, index, json!(ROLE));
    }
    object
}

#[test]
fn every_role_field_of_every_kind_is_kept_and_the_entries_fail_closed() {
    let scenario = scenario();
    for kind in &scenario.policy.node_pool_kinds {
        let server = server(&scenario, kind);
        let created = review(kind, &object(kind));
        let resource = &kind.resource;
        for (index, pointer) in kind.roles.iter().enumerate() {
            let changed = update(created.clone(), |it| at_role(it, kind, index, json!("other")));
            let expected = format!("deny role-binding {pointer}");
            assert_eq!(scenario.verdict(&changed), expected, "{resource}");
            let called = server.called(&changed);
            let closed = called.iter().filter(|it| it.fails_closed()).count();
            assert_eq!((called.len(), closed), (1, 1), "{resource} {pointer}");
        }
        let annotated =
            update(created.clone(), |it| it["metadata"]["annotations"] = json!({ "a": "b" }));
        assert_eq!(scenario.verdict(&annotated), "allow", "{resource}");
        assert!(server.called(&annotated).is_empty(), "{resource}");
        let deleted = if kind.roles.is_empty() { "allow" } else { "deny role-binding" };
        assert_eq!(scenario.verdict(&delete(created)), deleted, "{resource}");
    }
}

#[test]
fn every_kind_that_has_taints_is_judged_by_them() {
    let scenario = scenario();
    for kind in &scenario.policy.node_pool_kinds {
        let Some(field) = kind.fields_of(Part::Taints).next() else { continue };
        let server = server(&scenario, kind);
        let created = review(kind, &object(kind));
        let untainted = update(created.clone(), |it| put(it, &field.path, json!([])));
        let verdict = scenario.verdict(&untainted);
        assert!(verdict.starts_with("warn node-pool "), "{}: {verdict}", kind.resource);
        assert_eq!(server.called(&untainted).len(), 1, "{}", kind.resource);
        for spelled in [
            json!([{ "key": "dedicated", "value": "automq", "effect": "NO_SCHEDULE" }]),
            json!([{ "key": "dedicated", "value": "automq", "effect": "no-schedule" }]),
            json!(["dedicated=automq:NoSchedule"]),
        ] {
            let same = update(created.clone(), |it| put(it, &field.path, spelled));
            assert_eq!(scenario.verdict(&same), "allow", "{}", kind.resource);
        }
    }
}

/// The API server of a cluster with this kind.
fn server(scenario: &Scenario, kind: &NodePoolKind) -> ApiServer {
    ApiServer::lazy(&registered(&scenario.policy, &[&kind.resource.to_string()]))
}

fn karpenter(spec: &str) -> Value {
    let object = format!(
        "{{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {{name: brokers}}, spec: {{template: {{spec: {spec}}}}}}}"
    );
    create("", &object)
}

const TAINT: &str = "taints: [{key: dedicated, value: automq, effect: NoSchedule}]";
const TYPES: &str = "{key: node.kubernetes.io/instance-type, operator: In, values: [r6in.large]}";

fn told(scenario: &Scenario, review: &Value) -> String {
    let verdict = scenario.validate(review);
    let records = verdict.records.iter();
    records.map(Record::message).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_a_node_pool_does_wrong_is_said_with_its_field() {
    let scenario = scenario();
    let told = |spec: &str| told(&scenario, &karpenter(spec));
    let good = format!(
        "{{{TAINT}, requirements: [{TYPES}, {{key: topology.kubernetes.io/zone, operator: In, values: [us-east-1a]}}]}}"
    );
    assert_snapshot!(told(&good), @"");
    assert_snapshot!(told(&format!("{{requirements: [{TYPES}]}}")), @"NodePool brokers creates nodes of pool karpenter without the pool's taint dedicated=automq:NoSchedule (spec.template.spec.taints). Any pod could run on these nodes. Add the taint dedicated=automq:NoSchedule to spec.template.spec.taints");
    assert_snapshot!(told(&format!("{{{TAINT}, requirements: [{{key: node.kubernetes.io/instance-type, operator: In, values: [r6in.large, m5.large]}}]}}")), @"NodePool brokers creates nodes of pool karpenter with machine type m5.large (spec.template.spec.requirements[0].values), which is not in the pool's list: r6in.large. List only approved machine types, or add this type to the pool's machineTypes in PoolGuard's config");
    assert_snapshot!(told(&format!("{{{TAINT}, requirements: [{{key: kubernetes.io/arch, operator: In, values: [amd64]}}]}}")), @"NodePool brokers creates nodes of pool karpenter with any machine type, because spec.template.spec.requirements does not limit node.kubernetes.io/instance-type to the pool's list: r6in.large. Add to spec.template.spec.requirements: {key: node.kubernetes.io/instance-type, operator: In, values: [r6in.large]}");
    assert_snapshot!(told(&format!("{{{TAINT}, requirements: [{{key: karpenter.k8s.aws/instance-family, operator: In, values: [r6in]}}]}}")), @"");
    assert_snapshot!(told(&format!("{{{TAINT}, requirements: [{TYPES}, {{key: topology.kubernetes.io/zone, operator: In, values: [us-east-1a, us-east-1c]}}]}}")), @"NodePool brokers creates nodes of pool karpenter in zone us-east-1c (spec.template.spec.requirements[1].values), but the pool's zones are us-east-1a. List only the pool's own zones; use a separate pool for other zones");
    assert_snapshot!(told(&format!("{{taints: [{{key: dedicated, value: automq, effect: NoSchedule}}, {{key: gpu, effect: NoSchedule}}, {{key: node.kubernetes.io/x, effect: NoSchedule}}], requirements: [{TYPES}]}}")), @"NodePool brokers creates nodes of pool karpenter with the taint gpu:NoSchedule in addition to the pool's taint dedicated=automq:NoSchedule (spec.template.spec.taints). AutoMQ's pods do not tolerate gpu:NoSchedule. Remove this taint. Or add it to the pool's additionalTaints in PoolGuard's config: with pod-placement in mode enforce, PoolGuard then adds the toleration to AutoMQ's pods");
}

#[test]
fn only_what_gets_worse_is_judged() {
    let scenario = scenario();
    let wrong = karpenter(
        "{requirements: [{key: node.kubernetes.io/instance-type, operator: In, values: [m5.large]}]}",
    );
    let limited = update(wrong.clone(), |it| it["spec"]["limits"] = json!({ "cpu": 100 }));
    assert_eq!(scenario.verdict(&limited), "allow");
    let further = update(wrong, |it| {
        it["spec"]["template"]["spec"]["requirements"][0]["values"] =
            json!(["m5.large", "c5.large"]);
    });
    let told = told(&scenario, &further);
    assert!(told.contains("machine type c5.large ") && !told.contains("m5.large"), "{told}");
}

#[test]
fn a_pool_that_is_left_is_judged_by_what_is_lost() {
    let scenario = Scenario::replacing(&[(
        "pools:\n",
        "pools:\n- name: labelled\n  nodes: {matchLabels: {team: kafka}}\n",
    )]);
    let object = format!(
        "{{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {{name: brokers}}, spec: {{template: {{metadata: {{labels: {{team: kafka}}}}, spec: {{{TAINT}}}}}}}}}"
    );
    let left =
        update(create("", &object), |it| it["spec"]["template"]["metadata"]["labels"] = json!({}));
    assert_snapshot!(told(&scenario, &left), @"NodePool brokers would no longer give its nodes the labels of pool labelled, so new nodes would not be in the pool. Keep the labels that the pool's selector in PoolGuard's config requires (spec.template.metadata.labels)");
    let other = update(create("", &object), |it| {
        it["spec"]["template"]["metadata"]["labels"]["a"] = json!("b");
    });
    assert_eq!(scenario.verdict(&other), "allow");
}

#[test]
fn a_node_class_is_protected_by_the_node_pool_that_refers_to_it() {
    let pool = format!(
        "{{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {{name: brokers}}, spec: {{template: {{spec: {{{TAINT}, \
         nodeClassRef: {{group: karpenter.k8s.aws, kind: EC2NodeClass, name: kafka}}}}}}}}}}"
    );
    let scenario = Scenario::over(|objects| objects.push(crate::scenario::yaml(&pool)));
    let class = |name: &str| {
        let object = format!(
            "{{apiVersion: karpenter.k8s.aws/v1, kind: EC2NodeClass, metadata: {{name: {name}}}, spec: {{role: some-role}}}}"
        );
        create("", &object)
    };
    let changed = |name: &str| update(class(name), |it| it["spec"]["role"] = json!("other"));
    assert_eq!(scenario.verdict(&changed("kafka")), "deny role-binding /spec/role");
    assert_eq!(scenario.verdict(&changed("other")), "allow");
    assert_snapshot!(told(&scenario, &changed("kafka")), @"The request changes /spec/role of EC2NodeClass kafka. AutoMQ's permissions depend on this field, so it must not change, not even by an addition (NodePool brokers of an AutoMQ pool refers to this object). Keep the value of /spec/role; you can change other fields. If AutoMQ's console or operator makes this change, ask your platform team to add its user to principals.trusted.users in PoolGuard's config");
    let custom = ["ec2nodeclasses.karpenter.k8s.aws", "nodepools.karpenter.sh"];
    let server = ApiServer::lazy(&registered(&scenario.policy, &custom));
    let called = server.called(&changed("kafka"));
    assert_eq!(called.iter().map(|it| it.fails_closed()).collect::<Vec<_>>(), [false]);
}

#[test]
fn entries_are_there_for_what_the_config_names_or_the_cluster_has() {
    let resources = |policy: &Policy, found: &[&str]| {
        let entries = registered(policy, found);
        let rules = entries.validating.iter().flat_map(|entry| entry.rules.iter());
        let of_custom = rules.filter(|rule| rule.group.contains("karpenter"));
        let resources = of_custom.flat_map(|rule| rule.resources.clone());
        resources.collect::<BTreeSet<_>>()
    };
    let Scenario { policy, .. } = scenario();
    assert_eq!(resources(&policy, &[]), [].into());
    let found = ["nodepools.karpenter.sh"];
    assert_eq!(resources(&policy, &found), ["nodepools".to_owned()].into());
    let lines = "nodePoolObjects: [ec2nodeclasses.karpenter.k8s.aws]\n";
    let Scenario { policy, .. } = Scenario::with(lines);
    assert_eq!(resources(&policy, &found), ["ec2nodeclasses".to_owned()].into());
}

#[test]
fn objects_of_googles_iam_are_known_by_the_service_account_of_a_pool() {
    let scenario = Scenario::replacing(&[(
        "pools:\n",
        "pools:\n- name: g\n  nodes: {matchLabels: {a: b}}\n  role: kafka@p.iam.gserviceaccount.com\n",
    )]);
    let member = |account: &str| {
        let object = format!(
            "{{apiVersion: iam.cnrm.cloud.google.com/v1beta1, kind: IAMPolicyMember, metadata: {{name: m}}, \
             spec: {{member: \"serviceAccount:{account}\", role: roles/storage.admin}}}}"
        );
        update(create("infra", &object), |it| it["spec"]["role"] = json!("roles/viewer"))
    };
    let own = member("kafka@p.iam.gserviceaccount.com");
    assert_eq!(scenario.verdict(&own), "deny role-binding /spec/role");
    assert_eq!(scenario.verdict(&member("other@p.iam.gserviceaccount.com")), "allow");
    let custom = ["iampolicymembers.iam.cnrm.cloud.google.com"];
    let server = ApiServer::lazy(&registered(&scenario.policy, &custom));
    assert!(server.called(&own).iter().any(|it| it.fails_closed()));
}

#[test]
fn a_missing_taint_of_cluster_api_is_no_denial() {
    let scenario = Scenario::with("rules: {node-pool: {mode: enforce}}\n");
    let labels = "{eks.amazonaws.com/nodegroup: automq-a}";
    let machines = format!(
        "{{apiVersion: cluster.x-k8s.io/v1beta2, kind: MachineDeployment, metadata: {{name: m}}, \
         spec: {{template: {{metadata: {{labels: {labels}}}, spec: {{}}}}}}}}"
    );
    let pool = format!(
        "{{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {{name: m}}, \
         spec: {{template: {{metadata: {{labels: {labels}}}, spec: {{}}}}}}}}"
    );
    let verdict = |object: &str| scenario.verdict(&create("default", object));
    assert_eq!(verdict(&machines), "warn node-pool pool-a spec.template.spec.taints");
    assert_eq!(verdict(&pool), "deny node-pool pool-a spec.template.spec.taints");
}
