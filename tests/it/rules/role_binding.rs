//! `role-binding`: protected objects, and the namespaces that hold them.

use insta::assert_snapshot;
use poolguard::policy::verdict::Outcome;
use serde_json::{Value, json};

use crate::scenario::{Scenario, by, create, data_text, delete, recorded, update, yaml_list};

fn verdict(review: &Value) -> String {
    Scenario::recorded().verdict(review)
}

/// What the client is told.
fn denials(scenario: &Scenario, review: &Value) -> String {
    match scenario.validate(review).outcome {
        Outcome::Deny(denials) => {
            denials.iter().map(|finding| finding.denial()).collect::<Vec<_>>().join("\n")
        }
        Outcome::Allow(_) => "allowed".to_owned(),
    }
}

fn service_account(namespace: &str, annotations: &Value) -> Value {
    let object = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": { "name": "kf", "annotations": annotations },
    });
    create(namespace, &object.to_string())
}

#[test]
fn identity_annotations_of_every_provider_are_kept() {
    for key in [
        "eks.amazonaws.com/role-arn",
        "iam.gke.io/gcp-service-account",
        "azure.workload.identity/client-id",
        "pod-identity.alibabacloud.com/role-name",
    ] {
        let account = service_account("automq-instance-1", &json!({ key: "role" }));
        let field = format!("/metadata/annotations/{}", key.replace('/', "~1"));
        let denied = format!("deny role-binding {field}");
        let changed =
            update(account.clone(), |it| it["metadata"]["annotations"][key] = json!("other"));
        assert_eq!(verdict(&changed), denied);
        let removed = update(account.clone(), |it| it["metadata"]["annotations"] = json!(null));
        assert_eq!(verdict(&removed), denied);
        assert_eq!(verdict(&delete(account.clone())), "deny role-binding");
        let labelled = update(account, |it| it["metadata"]["labels"] = json!({ "a": "b" }));
        assert_eq!(verdict(&labelled), "allow");
    }
}

#[test]
fn an_account_that_holds_no_role_yet_is_free() {
    let account = service_account("automq-instance-1", &json!({}));
    let set = update(account.clone(), |it| {
        it["metadata"]["annotations"] = json!({ "eks.amazonaws.com/role-arn": "role" });
    });
    assert_eq!(verdict(&set), "allow");
    assert_eq!(verdict(&delete(account)), "allow");
}

#[test]
fn an_empty_identity_annotation_is_not_set() {
    let key = "eks.amazonaws.com/role-arn";
    let denied = "deny role-binding /metadata/annotations/eks.amazonaws.com~1role-arn";
    let empty = service_account("automq-instance-1", &json!({ key: "" }));
    let set = update(empty.clone(), |it| it["metadata"]["annotations"][key] = json!("role"));
    assert_eq!(verdict(&set), "allow");
    assert_eq!(verdict(&delete(empty.clone())), "allow");
    let removed = update(empty, |it| it["metadata"]["annotations"] = json!({}));
    assert_eq!(verdict(&removed), "allow");
    let full = service_account("automq-instance-1", &json!({ key: "role" }));
    let emptied = update(full, |it| it["metadata"]["annotations"][key] = json!(""));
    assert_eq!(verdict(&emptied), denied);
    let message = denials(&Scenario::recorded(), &emptied);
    assert!(message.contains("Removing annotation eks.amazonaws.com/role-arn"), "{message}");
    assert!(message.contains("principals.trusted"), "{message}");
}

#[test]
fn accounts_of_other_namespaces_are_free() {
    let account = service_account("shop", &json!({ "eks.amazonaws.com/role-arn": "role" }));
    assert_eq!(verdict(&delete(account)), "allow");
}

fn binding(kind: &str, namespace: &str, labels: &Value, subject_namespace: &str) -> Value {
    let object = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": { "name": "b", "labels": labels },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r" },
        "subjects": [{ "kind": "ServiceAccount", "name": "kf", "namespace": subject_namespace }],
    });
    create(namespace, &object.to_string())
}

#[test]
fn bindings_of_automqs_service_accounts_are_kept() {
    for kind in ["RoleBinding", "ClusterRoleBinding"] {
        let ours = binding(kind, "shop", &json!({}), "automq-instance-1");
        assert_eq!(verdict(&delete(ours.clone())), "deny role-binding", "{kind}");
        let extended = update(ours.clone(), |it| {
            it["subjects"].as_array_mut().unwrap().push(json!({ "kind": "User", "name": "bob" }));
        });
        assert_eq!(verdict(&extended), "deny role-binding /subjects", "{kind}");
        let annotated = update(ours, |it| it["metadata"]["annotations"] = json!({ "a": "b" }));
        assert_eq!(verdict(&annotated), "allow", "{kind}");
        let theirs = binding(kind, "shop", &json!({}), "shop");
        assert_eq!(verdict(&delete(theirs)), "allow", "{kind}");
    }
}

#[test]
fn subjects_in_another_order_are_the_same() {
    let automq = json!({ "kind": "ServiceAccount", "name": "kf", "namespace": "automq" });
    let bob = json!({ "kind": "User", "name": "bob" });
    let bob_in_full =
        json!({ "kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "bob" });
    let mut guarded = Vec::new();
    for kind in ["RoleBinding", "ClusterRoleBinding"] {
        guarded.push(binding(kind, "shop", &json!({}), ""));
    }
    // An entry without `fields` guards the same subjects.
    guarded.push(recorded("clusterrolebinding-create-automq-operator"));
    for mut ours in guarded {
        ours["request"]["object"]["subjects"] = json!([automq, bob]);
        let reordered =
            update(ours.clone(), |it| it["subjects"] = json!([bob_in_full, automq, bob]));
        assert_eq!(verdict(&reordered), "allow");
        for other in [json!([automq]), json!([bob]), json!([]), json!(null)] {
            let changed = update(ours.clone(), |it| it["subjects"] = other.clone());
            assert_eq!(verdict(&changed), "deny role-binding /subjects", "{other}");
        }
    }
}

#[test]
fn a_label_is_kept_whatever_the_order_of_the_subjects() {
    let labels = json!({ "automq.cloud/instance-id": "kf-1" });
    let mut ours = binding("RoleBinding", "shop", &labels, "shop");
    let subjects = ["a", "b"].map(|name| json!({ "kind": "User", "name": name }));
    ours["request"]["object"]["subjects"] = json!(subjects);
    let unlabelled = update(ours, |it| {
        it["metadata"]["labels"] = json!({});
        it["subjects"].as_array_mut().unwrap().reverse();
    });
    assert_eq!(verdict(&unlabelled), "deny role-binding /metadata/labels");
}

#[test]
fn bindings_with_automqs_labels_are_kept_and_keep_the_label() {
    let labels = json!({ "automq.cloud/instance-id": "kf-1" });
    let ours = binding("RoleBinding", "shop", &labels, "shop");
    assert_eq!(verdict(&delete(ours.clone())), "deny role-binding");
    let unlabelled = update(ours, |it| it["metadata"]["labels"] = json!({}));
    assert_eq!(verdict(&unlabelled), "deny role-binding /metadata/labels");
}

#[test]
fn a_deletecollection_is_judged_by_the_object() {
    let mut review = delete(binding("RoleBinding", "shop", &json!({}), "automq"));
    review["request"]["name"] = json!("");
    assert_eq!(verdict(&review), "deny role-binding");
    let mut review = recorded("rolebinding-delete-by-admin");
    review["request"].as_object_mut().unwrap().remove("name");
    assert_eq!(verdict(&review), "deny role-binding");
}

#[test]
fn an_entry_without_fields_guards_all_content() {
    let ours = recorded("clusterrolebinding-create-automq-operator");
    let changed = update(ours.clone(), |it| it["subjects"] = json!([]));
    assert_eq!(verdict(&changed), "deny role-binding /subjects");
    let touched = update(ours, |it| {
        it["metadata"]["labels"]["x"] = json!("y");
        it["status"] = json!({});
    });
    assert_eq!(verdict(&touched), "allow");
}

/// The API server names a Namespace as the namespace of its request.
#[test]
fn a_namespace_is_named_once() {
    let entry = "protected:\n- {name: owner, resource: namespaces, names: [automq], fields: [/metadata/labels/owner]}\n";
    let scenario = Scenario::replacing(&[("protected:\n", entry)]);
    let object = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": "automq", "labels": { "owner": "kafka" } },
    });
    let review = update(create("automq", &object.to_string()), |namespace| {
        namespace["metadata"]["labels"] = json!({});
    });
    let denials = denials(&scenario, &review);
    assert!(denials.contains("changes /metadata/labels/owner of Namespace automq. "), "{denials}");
}

#[test]
fn the_group_of_a_resource_counts() {
    let mut review = delete(recorded("clusterrolebinding-create-automq-operator"));
    review["request"]["resource"]["group"] = json!("example.com");
    assert_eq!(verdict(&review), "allow");
}

/// An update of aws-auth to this list.
fn map_roles(before: &str, after: &Value) -> Value {
    let mut review = recorded("configmap-update-aws-auth-node-role-removed-by-admin");
    review["request"]["oldObject"]["data"]["mapRoles"] = json!(before);
    review["request"]["object"]["data"]["mapRoles"] = after.clone();
    review
}

const ROLE: &str =
    "- rolearn: arn:aws:iam::111122223333:role/automq-node\n  username: u\n  groups: [g]\n";

#[test]
fn aws_auth_is_judged_by_the_mapping_in_force() {
    let denied = "deny role-binding /data/mapRoles";
    let check = |after: &str, expected: &str| {
        assert_eq!(verdict(&map_roles(ROLE, &json!(after))), expected, "{after}");
    };
    check(&format!("{ROLE}- rolearn: other\n"), "allow");
    check(&format!("- {{rolearn: other}}\n{ROLE}"), "allow");
    let flow =
        "[{groups: [g], username: u, rolearn: 'arn:aws:iam::111122223333:role/automq-node'}]";
    check(flow, "allow");
    check(&ROLE.replace("rolearn", "RoleARN").replace("[g]", "[g, g]"), "allow");
    check(&ROLE.replace("username", "note: x\n  username"), "allow");
    check("[]", denied);
    check("", denied);
    check(&ROLE.replace("[g]", "[g, admin]"), denied);
    check(&ROLE.replace("username: u", "username: v"), denied);
    check(&format!("{ROLE}{}", ROLE.replace("username: u", "username: v")), denied);
    let mut moved = map_roles(ROLE, &json!(null));
    moved["request"]["object"]["binaryData"] = json!({ "mapRoles": "W10=" });
    assert_eq!(verdict(&moved), denied);
}

#[test]
fn what_aws_auth_would_lose_is_said_with_a_remedy() {
    let scenario = Scenario::replacing(&[(
        "machineTypes: [r6in.large]\n- name: pool-b",
        "machineTypes: [r6in.large]\n  role: arn:aws:iam::111122223333:role/kafka/automq-node\n- name: pool-b",
    )]);
    let message = |after: &str| denials(&scenario, &map_roles(ROLE, &json!(after)));
    assert_snapshot!(message("[]"), @"[role-binding] mapRoles of ConfigMap kube-system/aws-auth would no longer map role arn:aws:iam::111122223333:role/automq-node of pool pool-a (protected entry node-role). Nodes with this role could no longer join the cluster or report their status. Keep the item in mapRoles: {rolearn: arn:aws:iam::111122223333:role/automq-node, username: 'u', groups: ['g']}. If AutoMQ's console or operator makes this change, ask your platform team to add its user to principals.trusted.users in PoolGuard's config");
    assert_snapshot!(message(&ROLE.replace("[g]", "[h]")), @"[role-binding] Item 1 (counted from 1) of mapRoles of ConfigMap kube-system/aws-auth would change groups of role arn:aws:iam::111122223333:role/automq-node of pool pool-a (protected entry node-role). Nodes with this role could no longer join the cluster or report their status. Keep groups ['g']; the order of groups does not matter. If AutoMQ's console or operator makes this change, ask your platform team to add its user to principals.trusted.users in PoolGuard's config");
    assert_snapshot!(message(&format!("{ROLE}{}", ROLE.replace("username: u", "username: v"))), @"[role-binding] Item 2 (counted from 1) of mapRoles of ConfigMap kube-system/aws-auth would override the mapping of role arn:aws:iam::111122223333:role/automq-node of pool pool-a with another username (protected entry node-role). If several items contain the same role, only the last item counts. Remove item 2, or give it username 'u'. If AutoMQ's console or operator makes this change, ask your platform team to add its user to principals.trusted.users in PoolGuard's config");
    assert_snapshot!(message(&ROLE.replace("role/", "role/kafka/")), @"[role-binding] mapRoles of ConfigMap kube-system/aws-auth would contain the ARN of role arn:aws:iam::111122223333:role/automq-node of pool pool-a with its path. An ARN with a path matches no node (protected entry node-role). Write the ARN without the path: {rolearn: arn:aws:iam::111122223333:role/automq-node, username: 'u', groups: ['g']}. If AutoMQ's console or operator makes this change, ask your platform team to add its user to principals.trusted.users in PoolGuard's config");
    assert_snapshot!(message("- \tx"), @"[role-binding] The new mapRoles of ConfigMap kube-system/aws-auth is not readable YAML (line 1 is indented with a tab), so it would no longer map role arn:aws:iam::111122223333:role/automq-node of pool pool-a (protected entry node-role). Nodes with this role could no longer join the cluster or report their status. Correct the YAML of mapRoles");
    let broken = denials(&scenario, &map_roles(&format!("{ROLE}- \tx"), &json!("[]")));
    assert_snapshot!(broken, @"[role-binding] The current mapRoles of ConfigMap kube-system/aws-auth is not readable but names role arn:aws:iam::111122223333:role/automq-node of pool pool-a. The new text would not map this role to nodes (protected entry node-role). Add the item to mapRoles: {rolearn: arn:aws:iam::111122223333:role/automq-node, username: 'system:node:{{EC2PrivateDNSName}}', groups: ['system:bootstrappers', 'system:nodes']}. If AutoMQ's console or operator makes this change, ask your platform team to add its user to principals.trusted.users in PoolGuard's config");
    let mut deletion = map_roles(ROLE, &json!(null));
    deletion["request"]["operation"] = json!("DELETE");
    deletion["request"]["object"] = json!(null);
    assert_snapshot!(denials(&scenario, &deletion), @"[role-binding] Deleting ConfigMap kube-system/aws-auth would delete its mapRoles, which maps role arn:aws:iam::111122223333:role/automq-node of pool pool-a (protected entry node-role). Nodes with this role could no longer join the cluster or report their status. If AutoMQ's console or operator makes this change, ask your platform team to add its user to principals.trusted.users in PoolGuard's config");
}

#[test]
fn aws_auth_of_the_preset_is_judged_as_that_of_an_entry() {
    let role = "arn:aws:iam::111122223333:role/kafka/automq-node";
    let scenario = Scenario::replacing(&[
        (
            "machineTypes: [r6in.large]\n- name: pool-b",
            &format!("machineTypes: [r6in.large]\n  role: {role}\n- name: pool-b"),
        ),
        ("names: [aws-auth]", "names: [other]"),
    ]);
    let denied = "deny role-binding pool-a /data/mapRoles";
    let check = |before: &str, after: &str, expected: &str| {
        let review = map_roles(before, &json!(after));
        assert_eq!(scenario.verdict(&review), expected, "{before}\n→\n{after}");
    };
    check(ROLE, "[]", denied);
    check(&ROLE.replace("rolearn", "roleARN"), "[]", denied);
    check(ROLE, &ROLE.replace("[g]", "[g, g]"), "allow");
    check(ROLE, &format!("{ROLE}{}", ROLE.replace("[g]", "[h]")), denied);
    check(&format!("{ROLE}- \tx"), "[]", denied);
    // Such a text names no role of a pool.
    check("- rolearn: other\n", "{{", "allow");
    check("- \tx", "[]", "allow");
}

#[test]
fn unreadable_new_text_is_denied_and_unreadable_old_text_is_reported() {
    let denied = "deny role-binding /data/mapRoles";
    assert_eq!(verdict(&map_roles(ROLE, &json!("{{ not yaml"))), denied);
    assert_eq!(verdict(&map_roles(ROLE, &json!("just: a map"))), denied);
    assert_eq!(verdict(&map_roles(ROLE, &json!(null))), denied);
    let unknown = "unknown role-binding /data/mapRoles";
    assert_eq!(verdict(&map_roles("{{ not yaml", &json!("[]"))), unknown);
    assert_eq!(verdict(&map_roles("- rolearn: other\n", &json!("{{"))), denied);
    assert_eq!(verdict(&map_roles("- rolearn: other\n", &json!("[]"))), "allow");
    assert_eq!(verdict(&map_roles("[]", &json!("{{"))), "allow");
}

#[test]
fn an_item_of_another_list_stays_as_it_is() {
    let scenario = Scenario::replacing(&[
        ("fields: [/data/mapRoles]", "fields: [/data/mapUsers]"),
        (
            "mustKeepItems: [{by: rolearn, value: \"arn:aws:iam::111122223333:role/automq-node\"}]",
            "mustKeepItems: [{by: userarn, value: u}]",
        ),
    ]);
    let denied = "deny role-binding /data/mapUsers";
    let unknown = "unknown role-binding /data/mapUsers";
    let item = "- userarn: u\n  groups: [a, b]\n";
    for (before, after, expected) in [
        (item, "[{groups: [a, b], userarn: 'u'}, {userarn: v}]", "allow"),
        ("- userarn: v\n- userarn: u\n", "- userarn: u\n- userarn: w\n", "allow"),
        (item, "- userarn: u\n  groups: [b, a]\n", denied),
        (item, "- userarn: u\n  groups: [a, b]\n  note: x\n", denied),
        (item, "[]", denied),
        (item, "", denied),
        (item, "{{", denied),
        (item, "text", denied),
        ("- userarn: v\n", "{{", denied),
        ("- userarn: v\n", "[]", "allow"),
        ("{{", item, unknown),
    ] {
        let mut review = map_roles("", &json!(""));
        review["request"]["oldObject"]["data"] = json!({ "mapUsers": before });
        review["request"]["object"]["data"] = json!({ "mapUsers": after });
        assert_eq!(scenario.verdict(&review), expected, "{before}\n→\n{after}");
    }
}

fn with_objects(objects: &[Value]) -> Scenario {
    let mut items = yaml_list("cluster.json");
    items.extend(objects.iter().map(|review| {
        let mut object = review["request"]["object"].clone();
        object["metadata"]["namespace"] = review["request"]["namespace"].clone();
        object
    }));
    let dump = json!({ "kind": "List", "items": items });
    Scenario::new(&data_text("config.yaml"), &dump.to_string())
}

#[test]
fn roles_that_protected_bindings_refer_to_are_kept() {
    let scenario = with_objects(&[binding("ClusterRoleBinding", "", &json!({}), "automq")]);
    let role = |name: &str, labels: Value| {
        let object = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": { "name": name, "labels": labels },
            "rules": [{ "verbs": ["get"] }],
        });
        create("", &object.to_string())
    };
    let ours = role("r", json!({}));
    assert_eq!(scenario.verdict(&delete(ours.clone())), "deny role-binding");
    let changed = update(ours.clone(), |it| it["rules"] = json!([]));
    assert_eq!(scenario.verdict(&changed), "deny role-binding /rules");
    let labelled = update(ours.clone(), |it| it["metadata"]["labels"]["a"] = json!("b"));
    assert_eq!(scenario.verdict(&labelled), "allow");
    assert_eq!(scenario.verdict(&delete(role("other", json!({})))), "allow");
    let built_in = role("r", json!({ "kubernetes.io/bootstrapping": "rbac-defaults" }));
    assert_eq!(scenario.verdict(&delete(built_in)), "allow");
    // The label cannot be put on to get past, and no other value of it counts.
    let unprotect = update(ours.clone(), |it| {
        it["metadata"]["labels"]["kubernetes.io/bootstrapping"] = json!("rbac-defaults");
    });
    assert_eq!(scenario.verdict(&unprotect), "deny role-binding /metadata/labels");
    let pretends = role("r", json!({ "kubernetes.io/bootstrapping": "x" }));
    assert_eq!(scenario.verdict(&delete(pretends)), "deny role-binding");
    // Without the binding in sight, nothing is known of the role.
    assert_eq!(verdict(&delete(ours)), "allow");
}

fn namespace_deletion(name: &str) -> Value {
    let mut review = recorded("namespace-delete-unprotected");
    for pointer in ["/request/name", "/request/namespace", "/request/oldObject/metadata/name"] {
        *review.pointer_mut(pointer).unwrap() = json!(name);
    }
    review
}

#[test]
fn namespaces_of_instances_and_entries_and_protected_objects_are_kept() {
    for name in ["automq-instance-1", "automq", "kube-system"] {
        assert_eq!(verdict(&namespace_deletion(name)), "deny role-binding", "{name}");
    }
    assert_eq!(verdict(&namespace_deletion("shop")), "allow");
    let scenario = with_objects(&[binding("RoleBinding", "shop", &json!({}), "automq")]);
    assert_eq!(scenario.verdict(&namespace_deletion("shop")), "deny role-binding");
}

#[test]
fn what_is_going_already_may_go() {
    let mut review = namespace_deletion("automq");
    review["request"]["oldObject"]["metadata"]["deletionTimestamp"] = json!("2026-11-23T00:00:00Z");
    assert_eq!(verdict(&review), "allow");
    let mut review = recorded("rolebinding-delete-by-admin");
    review["request"]["oldObject"]["metadata"]["deletionTimestamp"] = json!("2026-11-23T00:00:00Z");
    assert_eq!(verdict(&review), "allow");
}

#[test]
fn cascades_of_controllers_pass() {
    for controller in ["namespace-controller", "generic-garbage-collector"] {
        let user = format!("system:serviceaccount:kube-system:{controller}");
        for review in [recorded("rolebinding-delete-by-admin"), namespace_deletion("automq")] {
            assert_eq!(verdict(&by(review, &user, &[])), "allow");
        }
    }
    // By exact name only.
    let pretender = "system:serviceaccount:shop:namespace-controller";
    let review = by(recorded("rolebinding-delete-by-admin"), pretender, &[]);
    assert_eq!(verdict(&review), "deny role-binding");
}

#[test]
fn null_is_absent_for_protected_objects_too() {
    let mut review = recorded("rolebinding-delete-by-admin");
    review["request"]["oldObject"]["metadata"]["deletionTimestamp"] = json!(null);
    assert_eq!(verdict(&review), "deny role-binding");
    let mut ours = recorded("clusterrolebinding-create-automq-operator");
    ours["request"]["object"]["subjects"] = json!(null);
    let absent = update(ours, |it| {
        it.as_object_mut().unwrap().remove("subjects");
    });
    assert_eq!(verdict(&absent), "allow");
}

#[test]
fn automqs_service_accounts_are_known_by_their_other_names() {
    for (kind, name) in [
        ("User", "system:serviceaccount:automq:operator"),
        ("Group", "system:serviceaccounts:automq"),
    ] {
        let mut review = binding("RoleBinding", "shop", &json!({}), "");
        review["request"]["object"]["subjects"] = json!([{ "kind": kind, "name": name }]);
        assert_eq!(verdict(&delete(review)), "deny role-binding", "{kind}");
    }
}

#[test]
fn every_item_that_is_lost_is_named() {
    let scenario = Scenario::replacing(&[(
        "mustKeepItems: [",
        "mustKeepItems: [{by: rolearn, value: second}, ",
    )]);
    let review = map_roles(&format!("{ROLE}- rolearn: second\n"), &json!("[]"));
    let denied = "deny role-binding /data/mapRoles";
    assert_eq!(scenario.verdict(&review), format!("{denied}; {denied}"));
}

#[test]
fn a_glob_names_no_namespace() {
    let scenario = Scenario::replacing(&[(
        "- {name: operator-binding,",
        "- {name: everywhere, resource: configmaps, namespace: \"*\", names: [x]}\n- {name: operator-binding,",
    )]);
    assert_eq!(scenario.verdict(&namespace_deletion("shop")), "allow");
}
