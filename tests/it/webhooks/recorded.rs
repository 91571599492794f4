//! The recorded reviews: what is sent, by which entry, and what PoolGuard's absence would refuse.

use poolguard::policy::Phase;
use serde_json::{Value, json};

use super::{
    api_server,
    api_server::Webhook,
    assert_sent, assert_sent_once, names,
    variants::{all_in, variants},
};
use crate::{
    reviews::outcomes,
    scenario::{Scenario, by, delete, recorded, update, yaml},
};

const BREAK_GLASS: &str = "poolguard:break-glass";
const DAEMON_SET_CONTROLLER: &str = "system:serviceaccount:kube-system:daemon-set-controller";

/// Every recorded review, by its name.
fn all() -> Vec<(String, Value)> {
    outcomes().into_keys().map(|name| (name.clone(), recorded(&name))).collect()
}

/// The same request by somebody who is in these groups besides.
fn also_in(mut review: Value, group: &str) -> Value {
    let groups = &mut review["request"]["userInfo"]["groups"];
    match groups.as_array_mut() {
        Some(groups) => groups.push(group.into()),
        None => *groups = json!([group]),
    }
    review
}

#[test]
fn whatever_is_denied_warned_about_or_patched_is_sent_under_every_config() {
    for variant in variants() {
        let server = api_server(&variant.scenario);
        for (name, review) in all() {
            let about = format!("{}: {name}", variant.name);
            assert_sent(&server, &variant.scenario, &review, &about);
            assert_sent(&server, &variant.scenario, &also_in(review, "system:nodes"), &about);
        }
    }
}

#[test]
fn nothing_is_sent_twice() {
    for variant in variants() {
        let server = api_server(&variant.scenario);
        for (name, review) in all() {
            let about = format!("{}: {name}", variant.name);
            assert_sent_once(&server, &review, &about);
            for group in [BREAK_GLASS, "it's", "system:nodes"] {
                assert_sent_once(&server, &also_in(review.clone(), group), &about);
            }
        }
    }
}

#[test]
fn plain_pods_are_not_sent_and_cost_one_filter_a_phase() {
    for variant in variants() {
        let server = api_server(&variant.scenario);
        for name in ["pod-create-plain-by-replicaset-controller", "pod-create-plain-with-finalizer"]
        {
            let review = recorded(name);
            for configuration in [Phase::Mutate, Phase::Validate] {
                let selected = server.selected(&review).into_iter();
                let filters = selected
                    .filter(|it| it.configuration == configuration && it.has_filter())
                    .count();
                assert!(filters <= 1, "{}: {name}: {filters} filters", variant.name);
            }
            let is_exclusive = variant.name.starts_with("cluster-exclusive");
            assert_eq!(
                server.called(&review).is_empty(),
                !is_exclusive,
                "{}: {name}",
                variant.name
            );
        }
    }
}

#[test]
fn what_is_sent_is_a_minority() {
    let server = api_server(&Scenario::recorded());
    let all = all();
    let sent = |configuration| {
        all.iter().filter(|(_, it)| !names(&server, configuration, it).is_empty()).count()
    };
    let (mutating, validating) = (sent(Phase::Mutate), sent(Phase::Validate));
    let calls: usize = all.iter().map(|(_, review)| server.called(review).len()).sum();
    println!(
        "entries: {} of {} recorded reviews are sent; {mutating} by the mutating configuration, \
         {validating} by the validating one, {calls} calls",
        all.iter().filter(|(_, review)| !server.called(review).is_empty()).count(),
        all.len(),
    );
    let lines: Vec<String> = all
        .iter()
        .filter_map(|(name, review)| {
            let called: Vec<&str> = server.called(review).into_iter().map(Webhook::name).collect();
            (!called.is_empty()).then(|| format!("{name}: {}", called.join(", ")))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    clusterrolebinding-update-subject-removed-by-admin: protected
    configmap-update-aws-auth-node-role-removed-by-admin: protected.kube-system
    cronjob-create-equal-toleration-without-effect: workloads
    daemonset-create-blanket-toleration: workloads
    deployment-create-tolerates-and-selects-pool-a: workloads
    job-create-key-exists-toleration: workloads
    mutate-pod-create-automq-broker: place-pods, automq-pods
    namespace-delete-unprotected: other-namespaces
    node-create-pool-a-by-kubelet: join-nodes, nodes
    node-create-untainted-system-by-kubelet: join-nodes, nodes
    node-update-dedicated-taint-added-by-admin: nodes
    node-update-dedicated-taint-removed-by-admin: nodes
    pod-binding-by-custom-scheduler-to-pool-a: bindings
    pod-create-daemonset-log-agent-for-pool-a: daemonset-pods
    pod-create-daemonset-log-agent-for-system-node: daemonset-pods
    pod-create-dry-run-key-exists-toleration: pods
    pod-create-job-key-exists-toleration: pods
    pod-create-kubectl-debug-node-on-pool-a: pods
    pod-create-mirror-by-kubelet-on-pool-a: recorded-pods
    pod-create-nodename-pinned-to-pool-a: pods
    pod-create-tolerates-and-selects-pool-a: pods
    rolebinding-delete-by-admin: protected.automq
    serviceaccount-update-role-arn-removed-by-admin: protected.automq
    ");
}

#[test]
fn while_poolguard_is_down_only_harm_is_refused() {
    let scenario = Scenario::recorded();
    let server = api_server(&scenario);
    let mut refused = Vec::new();
    for (name, review) in all() {
        let closed: Vec<&str> = server
            .called(&review)
            .into_iter()
            .filter(|it| it.fails_closed())
            .map(Webhook::name)
            .collect();
        if !closed.is_empty() {
            assert!(!scenario.validate(&review).is_allowed(), "{name} would be allowed");
            refused.push(format!("{name}: {}", closed.join(", ")));
        }
    }
    println!("entries: refused while PoolGuard is down:\n  {}", refused.join("\n  "));
    insta::assert_snapshot!(refused.join("\n"), @"
    clusterrolebinding-update-subject-removed-by-admin: protected
    configmap-update-aws-auth-node-role-removed-by-admin: protected.kube-system
    pod-binding-by-custom-scheduler-to-pool-a: bindings
    pod-create-dry-run-key-exists-toleration: pods
    pod-create-job-key-exists-toleration: pods
    pod-create-kubectl-debug-node-on-pool-a: pods
    pod-create-nodename-pinned-to-pool-a: pods
    pod-create-tolerates-and-selects-pool-a: pods
    rolebinding-delete-by-admin: protected.automq
    serviceaccount-update-role-arn-removed-by-admin: protected.automq
    ");
}

#[test]
fn break_glass_is_never_blocked_and_always_recorded_where_a_rule_would_deny() {
    let scenario = Scenario::recorded();
    let server = api_server(&scenario);
    for (name, review) in all() {
        let was_closed = server.called(&review).iter().any(|it| it.fails_closed());
        let review = also_in(review, BREAK_GLASS);
        let called = server.called(&review);
        assert!(!called.iter().any(|it| it.fails_closed()), "{name}");
        if was_closed {
            let twins: Vec<&str> = called.iter().copied().map(Webhook::name).collect();
            assert!(twins.len() == 1 && twins[0].starts_with("recorded-"), "{name}: {twins:?}");
            assert_eq!(
                (called[0].configuration, called[0].path()),
                (Phase::Mutate, Phase::Validate)
            );
            assert!(scenario.validate(&review).is_allowed(), "{name}");
        }
    }
}

#[test]
fn nodes_and_their_components_are_never_blocked() {
    let server = api_server(&Scenario::recorded());
    let controllers = [
        "system:apiserver",
        "system:serviceaccount:kube-system:namespace-controller",
        "system:serviceaccount:kube-system:generic-garbage-collector",
        "system:serviceaccount:kube-system:clusterrole-aggregation-controller",
        "system:serviceaccount:kube-system:node-controller",
        "system:serviceaccount:kube-system:ttl-controller",
    ];
    let closed = |review: &Value| {
        let called = server.called(review).into_iter();
        called.filter(|it| it.fails_closed()).map(Webhook::name).collect::<Vec<_>>()
    };
    for (name, review) in all() {
        let resource = review["request"]["resource"]["resource"].as_str().unwrap().to_owned();
        let sub_resource = review["request"].get("subResource").is_some();
        if resource == "pods" && !sub_resource {
            let kubelet = by(review.clone(), "system:node:n", &["system:nodes"]);
            assert_eq!(closed(&kubelet), [""; 0], "{name}");
            let controller = by(review.clone(), DAEMON_SET_CONTROLLER, &[]);
            assert_eq!(closed(&controller), [""; 0], "{name}");
        }
        if resource != "pods" {
            for controller in controllers {
                assert_eq!(closed(&by(review.clone(), controller, &[])), [""; 0], "{name}");
            }
        }
    }
}

#[test]
fn a_change_that_leaves_placement_alone_is_never_blocked() {
    let server = api_server(&Scenario::recorded());
    let intruder = recorded("pod-create-tolerates-and-selects-pool-a");
    let changed = |change: fn(&mut Value)| server.called(&update(intruder.clone(), change)).len();
    assert_eq!(changed(|_| {}), 0);
    assert_eq!(changed(|pod| pod["metadata"]["labels"] = json!({ "a": "b" })), 0);
    assert_eq!(changed(|pod| pod["metadata"]["finalizers"] = json!([])), 0);
    assert_eq!(changed(|pod| pod["spec"]["activeDeadlineSeconds"] = json!(1)), 0);
    assert_eq!(changed(|pod| pod["spec"]["nodeSelector"] = json!({ "a": "b" })), 1);
    assert_eq!(
        changed(|pod| {
            pod["spec"]["nodeSelector"] = json!({ "a": "b" });
            pod["metadata"]["deletionTimestamp"] = json!("2026-11-23T00:00:00Z");
        }),
        0
    );
    let mut bound = intruder.clone();
    bound["request"]["object"]["spec"]["nodeName"] = json!("ip-10-0-9-91.ec2.internal");
    let widened =
        update(bound, |pod| pod["spec"]["tolerations"] = json!([{ "operator": "Exists" }]));
    assert_eq!(server.called(&widened).len(), 0);
}

#[test]
fn automqs_own_pods_start_while_poolguard_is_down() {
    for variant in variants() {
        let server = api_server(&variant.scenario);
        let mut review = recorded("mutate-pod-create-automq-broker");
        let pod = &mut review["request"]["object"];
        pod["metadata"]["labels"]["app"] = json!("kafka");
        pod["spec"]["serviceAccountName"] = json!("automq-broker");
        let is_automqs = variant.name != "empty";
        let closed = server.called(&review).iter().any(|it| it.fails_closed());
        assert!(!closed || !is_automqs, "{}", variant.name);
        let placed = server.called(&review).iter().any(|it| it.path() == Phase::Mutate);
        assert_eq!(placed, is_automqs, "{}", variant.name);
    }
}

#[test]
fn in_warn_and_audit_nothing_fails_closed_and_off_asks_for_nothing() {
    for mode in ["warn", "audit", "off"] {
        let server = api_server(&Scenario::with(&all_in(mode)));
        assert!(server.webhooks().iter().all(|it| !it.fails_closed()), "{mode}");
        assert!(!server.webhooks().iter().any(|it| it.name().starts_with("recorded")), "{mode}");
        assert_eq!(server.webhooks().is_empty(), mode == "off", "{mode}");
    }
}

#[test]
fn deletions_of_collections_are_recognised_by_the_object() {
    let server = api_server(&Scenario::recorded());
    let mut review = recorded("rolebinding-delete-by-admin");
    review["request"].as_object_mut().unwrap().remove("name");
    assert_eq!(server.called(&review)[0].name(), "protected.automq");
    review["request"]["oldObject"]["metadata"]["deletionTimestamp"] = json!("2026-11-23T00:00:00Z");
    assert!(server.called(&review).is_empty());
}

#[test]
fn namespaces_that_the_config_names_fail_closed_and_others_open() {
    let server = api_server(&Scenario::recorded());
    let review = |name: &str| {
        let mut review = recorded("namespace-delete-unprotected");
        for pointer in ["/request/name", "/request/namespace", "/request/oldObject/metadata/name"] {
            *review.pointer_mut(pointer).unwrap() = json!(name);
        }
        review
    };
    for (name, entry) in [
        ("automq-instance-1", "named-namespaces"),
        ("kube-system", "named-namespaces"),
        ("shop", "other-namespaces"),
    ] {
        let called = server.called(&review(name));
        assert_eq!(called[0].name(), entry, "{name}");
        assert_eq!(called[0].fails_closed(), entry == "named-namespaces");
    }
}

#[test]
fn an_unrelated_object_of_a_protected_kind_is_not_sent() {
    let server = api_server(&Scenario::recorded());
    let binding = |namespace: &str, subject: &str| {
        let object = format!(
            "{{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: b, \
             namespace: {namespace}}}, subjects: [{subject}], roleRef: {{kind: Role, name: r}}}}"
        );
        crate::scenario::create(namespace, &object)
    };
    let name_of = |review: &Value| server.called(review).first().map(|it| it.name().to_owned());
    for (namespace, subject, sent) in [
        ("shop", "{kind: ServiceAccount, namespace: shop, name: a}", None),
        ("shop", "{kind: User, name: alice}", None),
        ("shop", "{kind: User, name: \"system:serviceaccount:automq-x:a\"}", None),
        ("shop", "{kind: ServiceAccount, namespace: automq, name: a}", Some("protected")),
        ("shop", "{kind: User, name: \"system:serviceaccount:automq:a\"}", Some("protected")),
        ("shop", "{kind: Group, name: \"system:serviceaccounts:automq\"}", Some("protected")),
        ("automq-instance-1", "{kind: ServiceAccount, name: a}", Some("protected-automq")),
        ("automq", "{kind: ServiceAccount, namespace: shop, name: a}", None),
        ("automq", "{kind: ServiceAccount, name: a}", Some("protected.automq")),
    ] {
        let created = binding(namespace, subject);
        assert_eq!(name_of(&created), None);
        let sent = sent.map(str::to_owned);
        assert_eq!(name_of(&delete(created.clone())), sent, "{namespace} {subject}");
        let changed = update(created.clone(), |it| it["roleRef"]["name"] = json!("other"));
        assert_eq!(name_of(&changed), sent, "{namespace} {subject}");
        let annotated = update(created, |it| it["metadata"]["annotations"] = json!({ "a": "b" }));
        assert_eq!(name_of(&annotated), None, "{namespace} {subject}");
    }
}

#[test]
fn daemon_set_pods_need_their_label_to_be_looked_at() {
    let server = api_server(&Scenario::recorded());
    let review = recorded("pod-create-daemonset-log-agent-for-pool-a");
    assert_eq!(names(&server, Phase::Validate, &review), ["daemonset-pods"]);
    let plain = recorded("pod-create-plain-with-finalizer");
    assert!(server.selected(&plain).iter().all(|it| it.name() != "daemonset-pods"));
}

#[test]
fn heartbeats_and_the_node_controllers_taints_are_not_sent() {
    let server = api_server(&Scenario::recorded());
    for name in [
        "node-update-cordon-by-admin",
        "node-update-not-ready-taint-removed-by-node-controller",
        "node-update-ttl-annotation-by-ttl-controller",
        "node-update-unschedulable-taint-by-node-controller",
    ] {
        let review = recorded(name);
        let changes_taints = review["request"]["object"]["spec"]["taints"]
            != review["request"]["oldObject"]["spec"]["taints"];
        let sent = !server.called(&review).is_empty();
        assert!(!sent || (changes_taints && name.ends_with("by-admin")), "{name}");
    }
    let mut heartbeat = recorded("node-update-cordon-by-admin");
    heartbeat["request"]["subResource"] = json!("status");
    assert!(server.called(&heartbeat).is_empty());
    heartbeat["request"]["object"]["metadata"]["labels"]["a"] = json!("b");
    assert_eq!(names(&server, Phase::Validate, &heartbeat), ["nodes"]);
    assert!(names(&server, Phase::Mutate, &heartbeat).is_empty());
}

#[test]
fn a_lost_label_is_sent_only_where_the_config_asks_for_labels() {
    let scenario = Scenario::replacing(&[(
        "- {namespace: kube-system, reason: \"CNI, kube-proxy, CSI\"}",
        "- {namespace: shop, pods: {matchLabels: {app: agent}}, reason: agents}",
    )]);
    let server = api_server(&scenario);
    let object = "{apiVersion: v1, kind: Pod, metadata: {name: p, labels: {app: agent}}, spec: \
                  {nodeName: ip-10-0-1-11.ec2.internal, tolerations: [{operator: Exists}]}}";
    let relabelled = |namespace: &str, to: &str| {
        let labels = yaml(to);
        update(crate::scenario::create(namespace, object), |pod| pod["metadata"]["labels"] = labels)
    };
    let lost = relabelled("shop", "{app: web}");
    assert_eq!(names(&server, Phase::Validate, &lost), ["relabelled-pods"]);
    assert!(!scenario.validate(&lost).is_allowed());
    assert!(server.called(&relabelled("shop", "{app: agent, x: y}")).is_empty());
    assert!(server.called(&relabelled("other", "{app: web}")).is_empty());
    assert!(api_server(&Scenario::recorded()).called(&lost).is_empty());
}

#[test]
fn odd_objects_are_no_error() {
    let oddities = [
        "{}",
        "{spec: null}",
        "{spec: {}}",
        "{spec: {tolerations: null, nodeName: null, nodeSelector: null, affinity: null, serviceAccountName: null}}",
        "{spec: {tolerations: [], nodeName: \"\"}}",
        "{spec: {tolerations: [{}, {key: null}, {operator: null, value: null, effect: null}, {key: dedicated}]}}",
        "{spec: {template: null, jobTemplate: null}}",
        "{spec: {template: {}, jobTemplate: {}}}",
        "{spec: {template: {spec: null}, jobTemplate: {spec: null}}}",
        "{spec: {template: {spec: {tolerations: null}}, jobTemplate: {spec: {template: null}}}}",
        "{spec: {jobTemplate: {spec: {template: {spec: {tolerations: [{}]}}}}}}",
        "{spec: {taints: null}}",
        "{spec: {taints: []}}",
        "{data: null, subjects: null, roleRef: null, rules: null}",
        "{data: {}, subjects: [], roleRef: {}, a/b: null}",
        "{data: {mapRoles: null, x: text}, subjects: [{}, {kind: User}, {kind: ServiceAccount}, {kind: Group}], a/b: text}",
        "{data: text, roleRef: text, a/b: []}",
    ];
    let metadata = [
        "{name: odd}",
        "{name: odd, labels: null, annotations: null, ownerReferences: null}",
        "{name: odd, labels: {}, annotations: {}, ownerReferences: []}",
        "{name: odd, labels: {pod-template-generation: \"1\"}, ownerReferences: [{}, {controller: null}, {controller: true}]}",
        "{}",
    ];
    let mut objects = Vec::new();
    for object in oddities {
        for metadata in metadata {
            let mut object = yaml(object);
            object["metadata"] = yaml(metadata);
            objects.push(object);
        }
    }
    let resources = [
        ("", "pods", "shop"),
        ("", "nodes", ""),
        ("apps", "deployments", "shop"),
        ("batch", "cronjobs", "monitoring"),
        ("", "configmaps", "kube-system"),
        ("", "configmaps", "shop"),
        ("", "serviceaccounts", "automq"),
        ("", "serviceaccounts", "shop"),
        ("rbac.authorization.k8s.io", "rolebindings", "shop"),
        ("rbac.authorization.k8s.io", "clusterroles", ""),
        ("rbac.authorization.k8s.io", "clusterrolebindings", ""),
        ("", "namespaces", "odd"),
    ];
    for variant in variants() {
        let server = api_server(&variant.scenario);
        for (index, object) in objects.iter().enumerate() {
            let old = &objects[(index * 7 + 3) % objects.len()];
            for (group, resource, namespace) in resources {
                for operation in ["CREATE", "UPDATE", "DELETE"] {
                    let review = json!({ "request": {
                        "operation": operation,
                        "resource": { "group": group, "version": "v1", "resource": resource },
                        "kind": { "group": group, "version": "v1", "kind": "Some" },
                        "name": "odd",
                        "namespace": namespace,
                        "userInfo": {},
                        "object": if operation == "DELETE" { &Value::Null } else { object },
                        "oldObject": if operation == "CREATE" { &Value::Null } else { old },
                    } });
                    // A condition that errs panics.
                    assert_sent_once(&server, &review, variant.name);
                }
            }
        }
    }
}

#[test]
fn the_table_of_entries_names_each() {
    let page = std::fs::read_to_string(
        [env!("CARGO_MANIFEST_DIR"), "docs/webhooks.md"].iter().collect::<std::path::PathBuf>(),
    )
    .unwrap();
    let mut known = std::collections::BTreeSet::new();
    for variant in variants() {
        for webhook in api_server(&variant.scenario).webhooks() {
            let name = webhook.name().trim_start_matches("recorded-");
            known.insert(name.split_once('.').map_or(name, |(stem, _)| stem).to_owned());
        }
    }
    for name in known {
        assert!(page.contains(&format!("| `{name}")), "docs/webhooks.md has no row for {name}");
    }
}

/// Anyone can write an owner into a pod: it exempts nobody, and keeps no request back.
#[test]
fn filters_send_a_pod_that_only_says_that_a_daemon_set_owns_it() {
    let scenario = Scenario::replacing(&[(
        "- {namespace: kube-system,",
        "- {namespace: ops, daemonSets: [log-agent], reason: logs}\n- {namespace: kube-system,",
    )]);
    let server = api_server(&scenario);
    let mut owned = recorded("pod-create-daemonset-log-agent-for-pool-a");
    for field in ["/request/namespace", "/request/object/metadata/namespace"] {
        *owned.pointer_mut(field).unwrap() = json!("ops");
    }
    let names = |user: &str| {
        let review = by(owned.clone(), user, &["system:authenticated"]);
        names(&server, Phase::Validate, &review).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names("developer"), ["pods"]);
    assert_eq!(names("system:serviceaccount:kube-system:replicaset-controller"), ["pods"]);
    // Exempt, as the config has it.
    for controller in [DAEMON_SET_CONTROLLER, "system:kube-controller-manager"] {
        assert_eq!(names(controller), [""; 0], "{controller}");
    }
    let other = Scenario::recorded();
    let server = api_server(&other);
    for controller in [DAEMON_SET_CONTROLLER, "system:kube-controller-manager"] {
        let review = by(owned.clone(), controller, &[]);
        assert_eq!(super::names(&server, Phase::Validate, &review), ["daemonset-pods"]);
    }
}
