//! `pod-intrusion`: who gets onto a dedicated node, on every path that exists at admission.

use serde_json::{Value, json};

use crate::scenario::{Scenario, by, create, delete, line, node, pod, pod_in, recorded, update};

/// A toleration that reaches every pool.
const DENIED: &str = "deny pod-intrusion pool-a ip-10-0-1-11.ec2.internal spec.tolerations[0]";

#[track_caller]
fn check(spec: &str, expected: &str) {
    assert_eq!(Scenario::recorded().verdict(&pod(spec)), expected, "{spec}");
}

#[test]
fn a_plain_pod_passes() {
    check("{}", "allow");
    check("{tolerations: null, nodeSelector: null, affinity: null}", "allow");
}

#[test]
fn an_exists_toleration_with_an_empty_key_is_an_intruder() {
    check("{tolerations: [{operator: Exists}]}", DENIED);
}

#[test]
fn a_toleration_with_an_empty_effect_is_an_intruder() {
    check("{tolerations: [{key: dedicated, operator: Equal, value: automq}]}", DENIED);
    check("{tolerations: [{key: dedicated, value: automq}]}", DENIED);
}

#[test]
fn an_equal_toleration_with_an_empty_value_is_an_intruder_where_the_taint_has_none() {
    let scenario = Scenario::over(|nodes| {
        let taints = json!([{ "key": "dedicated", "effect": "NoSchedule" }]);
        node(nodes, "ip-10-0-9-91.ec2.internal")["spec"]["taints"] = taints;
    });
    let config = "
apiVersion: poolguard.io/v1alpha1
kind: PoolGuardConfig
taint: {key: dedicated, value: '', effect: NoSchedule}
";
    let dump = crate::scenario::data_text("cluster.json")
        .replace("\"key\": \"dedicated\",\n      \"value\": \"automq\"", "\"key\": \"dedicated\"");
    let valueless = Scenario::new(config, &dump);
    for tolerations in ["[{key: dedicated}]", "[{key: dedicated, operator: Equal, value: ''}]"] {
        let review = pod(&format!("{{tolerations: {tolerations}}}"));
        assert!(!valueless.validate(&review).is_allowed(), "{tolerations}");
        // Against a taint with a value, the same toleration tolerates nothing.
        assert_eq!(scenario.verdict(&review), "allow", "{tolerations}");
    }
}

#[test]
fn an_equal_toleration_with_an_empty_key_is_an_intruder() {
    check("{tolerations: [{operator: Equal, value: automq}]}", DENIED);
}

#[test]
fn a_toleration_of_another_value_or_effect_passes() {
    check("{tolerations: [{key: dedicated, value: other}]}", "allow");
    check("{tolerations: [{key: dedicated, operator: Exists, effect: NoExecute}]}", "allow");
    check("{tolerations: [{key: other, operator: Exists}]}", "allow");
    check("{tolerations: [{key: dedicated, operator: exists}]}", "allow");
}

#[test]
fn a_node_name_is_an_intruder_whatever_it_tolerates() {
    let denied = "deny pod-intrusion pool-a ip-10-0-1-11.ec2.internal spec.nodeName";
    check("{nodeName: ip-10-0-1-11.ec2.internal}", denied);
    check("{nodeName: ip-10-0-9-91.ec2.internal, tolerations: [{operator: Exists}]}", "allow");
}

#[test]
fn an_unknown_node_name_is_allowed_and_recorded() {
    check("{nodeName: ip-10-9-9-9}", "unknown pod-intrusion unknown spec.nodeName");
}

/// The required node affinity of one term.
fn affinity(term: &str) -> String {
    format!(
        "affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: \
         {{nodeSelectorTerms: [{term}]}}}}}}"
    )
}

#[test]
fn match_fields_to_a_dedicated_node_are_an_intruder() {
    let to = |name: &str| {
        let term = affinity(&format!(
            "{{matchFields: [{{key: metadata.name, operator: In, values: [{name}]}}]}}"
        ));
        format!("{{tolerations: [{{operator: Exists}}], {term}}}")
    };
    let denied = "deny pod-intrusion pool-b ip-10-0-2-21.ec2.internal spec.tolerations[0]";
    check(&to("ip-10-0-2-21.ec2.internal"), denied);
    check(&to("ip-10-0-9-91.ec2.internal"), "allow");
    // A pod that waits for a name which no node has makes an autoscaler bring one.
    check(&to("ip-10-9-9-9"), "deny pod-intrusion pool-a spec.tolerations[0]");
}

#[test]
fn a_selector_narrows_the_pools_that_a_tolerant_pod_reaches() {
    let spec = |selector: &str| {
        format!("{{tolerations: [{{operator: Exists}}], nodeSelector: {{{selector}}}}}")
    };
    let denied = "deny pod-intrusion pool-abc ip-10-0-3-3c.ec2.internal spec.tolerations[0]";
    check(&spec("topology.kubernetes.io/zone: us-east-1c"), denied);
    check(&spec("eks.amazonaws.com/nodegroup: system"), "allow");
    let denied = "deny pod-intrusion pool-b ip-10-0-2-21.ec2.internal spec.tolerations[0]";
    check(&spec("kubernetes.io/hostname: ip-10-0-2-21.ec2.internal"), denied);
    check(&spec("kubernetes.io/hostname: ip-10-0-9-91.ec2.internal"), "allow");
}

#[test]
fn a_pod_that_keeps_off_the_pools_passes() {
    let term = "{matchExpressions: [{key: eks.amazonaws.com/nodegroup, operator: NotIn, values: \
                [automq-a, automq-b, automq-abc]}]}";
    check(&format!("{{tolerations: [{{operator: Exists}}], {}}}", affinity(term)), "allow");
}

#[test]
fn a_term_that_is_empty_or_cannot_be_read_matches_nothing() {
    for term in ["{}", "{matchExpressions: [{key: a, operator: Near, values: [b]}]}"] {
        check(&format!("{{tolerations: [{{operator: Exists}}], {}}}", affinity(term)), "allow");
    }
}

#[test]
fn labels_and_a_mirror_annotation_that_pretend_buy_nothing() {
    let mut review = pod("{nodeName: ip-10-0-1-11.ec2.internal}");
    review["request"]["object"]["metadata"]["labels"] = json!({
        "app.kubernetes.io/name": "automq-enterprise",
        "automq.cloud/instance-id": "kf-1",
    });
    review["request"]["object"]["metadata"]["annotations"] =
        json!({ "kubernetes.io/config.mirror": "x" });
    let denied = "deny pod-intrusion pool-a ip-10-0-1-11.ec2.internal spec.nodeName";
    let scenario = Scenario::recorded();
    assert_eq!(scenario.verdict(&review), denied);
    // Not even from a user who only calls himself a kubelet, or from another node's kubelet.
    let own = "system:node:ip-10-0-1-11.ec2.internal";
    assert_eq!(scenario.verdict(&by(review.clone(), own, &[])), denied);
    let other = "system:node:ip-10-0-9-91.ec2.internal";
    assert_eq!(scenario.verdict(&by(review.clone(), other, &["system:nodes"])), denied);
    let recorded = "audit pod-intrusion pool-a ip-10-0-1-11.ec2.internal spec.nodeName";
    assert_eq!(scenario.verdict(&by(review, own, &["system:nodes"])), recorded);
}

#[test]
fn a_pool_scaled_to_zero_is_guarded() {
    let scenario = Scenario::over(|nodes| {
        nodes.retain(|node| !node["metadata"]["name"].as_str().unwrap().starts_with("ip-10-0-1"));
    });
    let review = pod(
        "{tolerations: [{operator: Exists}], nodeSelector: {eks.amazonaws.com/nodegroup: automq-a}}",
    );
    assert_eq!(scenario.verdict(&review), "deny pod-intrusion pool-a spec.tolerations[0]");
    // A label that is not fixed may have any value; the zone is fixed.
    let with = |selector: &str| {
        pod(&format!(
            "{{tolerations: [{{operator: Exists}}], nodeSelector: {{\
             eks.amazonaws.com/nodegroup: automq-a, {selector}}}}}"
        ))
    };
    assert!(!scenario.validate(&with("disk: fast")).is_allowed());
    assert_eq!(scenario.verdict(&with("topology.kubernetes.io/zone: us-east-1b")), "allow");
}

#[test]
fn the_first_daemon_set_pod_of_a_node_that_is_not_known_yet_is_left_to_the_scan() {
    let scenario = Scenario::over(|nodes| {
        nodes.retain(|node| !node["metadata"]["name"].as_str().unwrap().starts_with("ip-10-0-1"));
    });
    let mut review = recorded("pod-create-daemonset-log-agent-for-pool-a");
    let unknown = "unknown pod-intrusion unknown spec.affinity.nodeAffinity";
    assert_eq!(scenario.verdict(&review), unknown);
    // Who only says that a DaemonSet owns the pod waits for a node to come, as everybody does.
    let forged = by(review.clone(), "developer", &["system:authenticated"]);
    assert_eq!(scenario.verdict(&forged), "deny pod-intrusion pool-a spec.tolerations[0]");
    // A name that is known to be elsewhere is not the next node's.
    let term = "/request/object/spec/affinity/nodeAffinity/\
                requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
    *review.pointer_mut(term).unwrap() = json!("ip-10-0-9-91.ec2.internal");
    assert_eq!(scenario.verdict(&review), "allow");
}

#[test]
fn a_zone_without_a_node_has_what_all_live_nodes_share() {
    let scenario = Scenario::over(|nodes| {
        nodes.retain(|node| node["metadata"]["name"] != "ip-10-0-3-3c.ec2.internal");
    });
    let with = |selector: &str| {
        pod(&format!(
            "{{tolerations: [{{operator: Exists}}], nodeSelector: {{\
             topology.kubernetes.io/zone: us-east-1c, {selector}}}}}"
        ))
    };
    let denied = "deny pod-intrusion pool-abc spec.tolerations[0]";
    assert_eq!(scenario.verdict(&with("node.kubernetes.io/instance-type: r6in.xlarge")), denied);
    assert_eq!(scenario.verdict(&with("node.kubernetes.io/instance-type: m5.large")), "allow");
}

#[test]
fn a_lost_taint_does_not_turn_plain_pods_into_intruders() {
    let scenario = Scenario::over(|nodes| {
        node(nodes, "ip-10-0-1-11.ec2.internal")["spec"]["taints"] = json!(null);
    });
    assert_eq!(scenario.verdict(&pod("{}")), "allow");
    let selects = "{nodeSelector: {eks.amazonaws.com/nodegroup: automq-a}}";
    assert_eq!(scenario.verdict(&pod(selects)), "allow");
    // A pod that is bound to that very node is recorded: it truly lands.
    let mut review = recorded("pod-create-daemonset-log-agent-for-pool-a");
    review["request"]["object"]["spec"]["tolerations"] = json!([]);
    let expected = "audit pod-intrusion pool-a ip-10-0-1-11.ec2.internal";
    assert_eq!(scenario.verdict(&review), expected);
}

#[test]
fn transient_taints_keep_no_pod_out() {
    let scenario = Scenario::over(|nodes| {
        for (key, effect) in [
            ("node.kubernetes.io/not-ready", "NoExecute"),
            ("ToBeDeletedByClusterAutoscaler", "NoSchedule"),
            ("node.cilium.io/agent-not-ready", "NoExecute"),
        ] {
            let taints = &mut node(nodes, "ip-10-0-1-11.ec2.internal")["spec"]["taints"];
            taints.as_array_mut().unwrap().push(json!({ "key": key, "effect": effect }));
        }
    });
    let spec = "{tolerations: [{key: dedicated, operator: Exists}], \
                nodeSelector: {eks.amazonaws.com/nodegroup: automq-a}}";
    assert_eq!(scenario.verdict(&pod(spec)), DENIED);
}

#[test]
fn a_stable_taint_of_another_key_keeps_a_pod_out() {
    let scenario = Scenario::over(|nodes| {
        let taints = &mut node(nodes, "ip-10-0-1-11.ec2.internal")["spec"]["taints"];
        taints.as_array_mut().unwrap().push(json!({ "key": "gpu", "effect": "NoSchedule" }));
    });
    let spec = |tolerations: &str| {
        pod(&format!(
            "{{tolerations: [{tolerations}], nodeSelector: {{eks.amazonaws.com/nodegroup: automq-a}}}}"
        ))
    };
    assert_eq!(scenario.verdict(&spec("{key: dedicated, operator: Exists}")), "allow");
    assert_eq!(scenario.verdict(&spec("{operator: Exists}")), DENIED);
}

#[test]
fn a_toleration_added_by_an_update_is_an_intruder() {
    let add = |review: Value| {
        update(review, |pod| pod["spec"]["tolerations"] = json!([{ "operator": "Exists" }]))
    };
    let scenario = Scenario::recorded();
    assert_eq!(scenario.verdict(&add(pod("{}"))), DENIED);
    // Bound to a node elsewhere, it goes nowhere any more.
    assert_eq!(scenario.verdict(&add(pod("{nodeName: ip-10-0-9-91.ec2.internal}"))), "allow");
}

#[test]
fn an_update_is_denied_only_for_a_pool_that_it_gains() {
    let scenario = Scenario::recorded();
    let tolerant = "{tolerations: [{key: dedicated, operator: Exists}], \
                    nodeSelector: {eks.amazonaws.com/nodegroup: automq-a}}";
    let widen = update(pod(tolerant), |pod| pod["spec"]["nodeSelector"] = json!({}));
    let denied = "deny pod-intrusion pool-b ip-10-0-2-21.ec2.internal spec.tolerations[0]";
    assert_eq!(scenario.verdict(&widen), denied);
    let narrow = update(pod("{tolerations: [{operator: Exists}]}"), |pod| {
        pod["spec"]["nodeSelector"] = json!({ "eks.amazonaws.com/nodegroup": "automq-a" });
    });
    assert_eq!(scenario.verdict(&narrow), "allow");
}

#[test]
fn an_old_intruder_may_be_labelled_finalised_and_deleted() {
    let scenario = Scenario::recorded();
    let old = pod("{nodeName: ip-10-0-1-11.ec2.internal, tolerations: [{operator: Exists}]}");
    let labelled = update(old.clone(), |pod| pod["metadata"]["labels"] = json!({ "a": "b" }));
    assert_eq!(scenario.verdict(&labelled), "allow");
    let finalised = update(old.clone(), |pod| pod["metadata"]["finalizers"] = json!([]));
    assert_eq!(scenario.verdict(&finalised), "allow");
    assert_eq!(scenario.verdict(&delete(old)), "allow");
}

#[test]
fn an_update_that_loses_the_exemption_is_denied() {
    let scenario = Scenario::replacing(&[(
        "- {namespace: kube-system,",
        "- {namespace: ops, pods: {matchLabels: {allowed: \"yes\"}}, reason: agents}\n- {namespace: kube-system,",
    )]);
    let mut review = pod_in("ops", "{nodeName: ip-10-0-1-11.ec2.internal}");
    review["request"]["object"]["metadata"]["labels"] = json!({ "allowed": "yes" });
    let exempt = "exempt pod-intrusion pool-a ip-10-0-1-11.ec2.internal spec.nodeName";
    assert_eq!(scenario.verdict(&review), exempt);
    let lost = update(review.clone(), |pod| pod["metadata"]["labels"] = json!({}));
    let denied = "deny pod-intrusion pool-a ip-10-0-1-11.ec2.internal metadata.labels";
    assert_eq!(scenario.verdict(&lost), denied);
    // The node of a running pod is fixed, so the advice is about the label if other fields change as well.
    let both = update(review, |pod| {
        pod["metadata"]["labels"] = json!({});
        pod["spec"]["tolerations"] = json!([{ "key": "gone", "operator": "Exists" }]);
    });
    assert_eq!(scenario.verdict(&both), denied);
    let advice = scenario.validate(&both).records[0].message();
    assert!(
        advice.ends_with("Keep these labels. If the pod should not run there, delete it"),
        "{advice}"
    );
    // The controllers of Kubernetes relabel what they release.
    for user in [
        "system:serviceaccount:kube-system:replicaset-controller",
        "system:kube-controller-manager",
    ] {
        assert_eq!(scenario.verdict(&by(lost.clone(), user, &[])), "allow", "{user}");
    }
}

#[test]
fn pod_intrusion_lets_only_kubernetes_orphan_the_pods_of_a_daemon_set() {
    let scenario = Scenario::replacing(&[(
        "- {namespace: kube-system,",
        "- {namespace: ops, daemonSets: [agent], reason: agents}\n- {namespace: kube-system,",
    )]);
    let owner = json!([{ "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "controller": true }]);
    let mut running = pod_in("ops", "{nodeName: ip-10-0-1-11.ec2.internal}");
    running["request"]["object"]["metadata"]["ownerReferences"] = owner.clone();
    let orphaned = update(running.clone(), |pod| pod["metadata"]["ownerReferences"] = json!([]));
    for user in [
        "system:kube-controller-manager",
        "system:serviceaccount:kube-system:generic-garbage-collector",
        "system:serviceaccount:kube-system:daemon-set-controller",
    ] {
        assert_eq!(scenario.verdict(&by(orphaned.clone(), user, &[])), "allow", "{user}");
    }
    let denied = "deny pod-intrusion pool-a ip-10-0-1-11.ec2.internal metadata.ownerReferences";
    for user in ["developer", "system:serviceaccount:ops:generic-garbage-collector"] {
        assert_eq!(scenario.verdict(&by(orphaned.clone(), user, &[])), denied, "{user}");
    }
    // An owner that an update brings exempts nobody: the pod that it is taken on for can land already.
    let mut stray = pod_in(
        "ops",
        "{tolerations: [{operator: Exists}], nodeSelector: {eks.amazonaws.com/nodegroup: system}}",
    );
    stray["request"]["object"]["metadata"]["ownerReferences"] = json!([]);
    let adopted = update(stray, |pod| {
        pod["metadata"]["ownerReferences"] = owner;
        pod["spec"]["nodeSelector"] = json!({});
    });
    assert!(!scenario.validate(&adopted).is_allowed());
}

#[test]
fn an_exemption_holds_only_where_all_of_its_conditions_do() {
    let scenario = Scenario::replacing(&[(
        "- {namespace: kube-system,",
        "- {namespace: monitor*, serviceAccounts: [agent], daemonSets: [log-agent], reason: logs}\n\
         - {namespace: kube-system,",
    )]);
    let review = |account: &str, daemon_set: &str| {
        let mut review = recorded("pod-create-daemonset-log-agent-for-pool-a");
        let object = &mut review["request"]["object"];
        object["spec"]["serviceAccountName"] = json!(account);
        object["metadata"]["ownerReferences"][0]["name"] = json!(daemon_set);
        review
    };
    assert!(scenario.validate(&review("agent", "log-agent")).is_allowed());
    assert!(!scenario.validate(&review("default", "log-agent")).is_allowed());
    assert!(!scenario.validate(&review("agent", "other")).is_allowed());
    // An owner that only calls itself a DaemonSet is none.
    let mut fake = review("agent", "log-agent");
    fake["request"]["object"]["metadata"]["ownerReferences"][0]["apiVersion"] = json!("evil/v1");
    assert!(!scenario.validate(&fake).is_allowed());
}

#[test]
fn the_namespace_is_that_of_the_request() {
    let mut review = pod("{tolerations: [{operator: Exists}]}");
    review["request"]["object"]["metadata"]["namespace"] = json!("kube-system");
    assert_eq!(Scenario::recorded().verdict(&review), DENIED);
}

#[test]
fn pods_of_daemon_sets_have_a_mode_of_their_own() {
    let scenario = Scenario::with("rules: {pod-intrusion: {mode: enforce, daemonSets: warn}}");
    let review = recorded("pod-create-daemonset-log-agent-for-pool-a");
    let warned = "warn pod-intrusion pool-a ip-10-0-1-11.ec2.internal spec.tolerations[0]";
    assert_eq!(scenario.verdict(&review), warned);
    assert_eq!(scenario.verdict(&pod("{tolerations: [{operator: Exists}]}")), DENIED);
}

#[test]
fn a_daemon_set_is_kept_off_every_pool_to_which_it_sends_pods() {
    let review = recorded("pod-create-daemonset-log-agent-for-pool-a");
    let advice = advice_on(&review);
    let affinity = "or add required node affinity (if the template has terms, add to every term) {key: \
                    eks.amazonaws.com/nodegroup, operator: NotIn, values: [automq-a, automq-abc, automq-b]}";
    assert!(advice.contains(affinity), "{advice}");
}

#[test]
fn a_daemon_set_pod_of_a_system_node_passes_with_a_blanket_toleration() {
    let review = recorded("pod-create-daemonset-log-agent-for-system-node");
    assert_eq!(Scenario::recorded().verdict(&review), "allow");
}

fn binding(namespace: &str, resource: &str, node: &str) -> Value {
    let object = format!(
        "{{apiVersion: v1, kind: Binding, metadata: {{name: p}}, target: {{kind: Node, name: {node}}}}}"
    );
    let mut review = create(namespace, &object);
    if resource == "pods/binding" {
        review["request"]["resource"]["resource"] = json!("pods");
        review["request"]["subResource"] = json!("binding");
    }
    review
}

#[test]
fn a_binding_by_a_custom_scheduler_is_an_intruder() {
    let scenario = Scenario::recorded();
    let denied = "deny pod-intrusion pool-b ip-10-0-2-21.ec2.internal target.name";
    for resource in ["pods/binding", "bindings"] {
        let to = |node: &str| scenario.verdict(&binding("shop", resource, node));
        assert_eq!(to("ip-10-0-2-21.ec2.internal"), denied);
        assert_eq!(to("ip-10-0-9-91.ec2.internal"), "allow");
        assert_eq!(to("ip-10-9-9-9"), "unknown pod-intrusion unknown target.name");
    }
}

#[test]
fn a_binding_passes_recorded_where_pods_of_its_namespace_could_be_free() {
    let scenario = Scenario::recorded();
    let recorded = "audit pod-intrusion pool-b ip-10-0-2-21.ec2.internal target.name";
    for namespace in ["automq", "kube-system"] {
        let review = binding(namespace, "pods/binding", "ip-10-0-2-21.ec2.internal");
        assert_eq!(scenario.verdict(&review), recorded, "{namespace}");
    }
}

#[test]
fn kube_scheduler_is_trusted_with_bindings() {
    let review = binding("shop", "pods/binding", "ip-10-0-2-21.ec2.internal");
    let review = by(review, "system:kube-scheduler", &["system:authenticated"]);
    let recorded = "audit pod-intrusion pool-b ip-10-0-2-21.ec2.internal target.name";
    assert_eq!(Scenario::recorded().verdict(&review), recorded);
}

#[test]
fn comparison_operators_compare_only_where_they_are_switched_on() {
    let taint = "taint: {key: dedicated, value: automq, effect: NoSchedule}";
    let numbered = "taint: {key: tier, value: \"5\", effect: NoSchedule}";
    let spec = "{tolerations: [{key: tier, operator: Gt, value: \"3\"}, {key: dedicated, \
                operator: Exists}], nodeSelector: {eks.amazonaws.com/nodegroup: automq-a}}";
    let off = Scenario::replacing(&[(taint, numbered)]);
    assert_eq!(off.verdict(&pod(spec)), "allow");
    let on = format!("{numbered}\nplacement: {{comparisonOperators: true}}");
    let on = Scenario::replacing(&[(taint, &on)]);
    assert!(!on.validate(&pod(spec)).is_allowed());
}

#[test]
fn without_a_config_pools_are_found_by_their_taint() {
    let scenario = Scenario::new("", &crate::scenario::data_text("cluster.json"));
    let names: Vec<_> = scenario.snapshot.pools().iter().map(|pool| &*pool.name).collect();
    assert_eq!(names, ["automq-a", "automq-abc", "automq-b"]);
    let denied = "deny pod-intrusion automq-a ip-10-0-1-11.ec2.internal spec.tolerations[0]";
    assert_eq!(scenario.verdict(&pod("{tolerations: [{operator: Exists}]}")), denied);
}

#[test]
fn a_stray_taint_does_not_make_its_whole_group_dedicated() {
    let scenario = Scenario::over(|nodes| {
        node(nodes, "ip-10-0-9-91.ec2.internal")["spec"]["taints"] =
            json!([{ "key": "dedicated", "value": "automq", "effect": "NoSchedule" }]);
    });
    let to = |node: &str| line(&scenario.validate(&pod(&format!("{{nodeName: {node}}}"))));
    let denied = "deny pod-intrusion system ip-10-0-9-91.ec2.internal spec.nodeName";
    assert_eq!(to("ip-10-0-9-91.ec2.internal"), denied);
    assert_eq!(to("ip-10-0-9-92.ec2.internal"), "allow");
}

#[test]
fn the_first_pool_that_claims_a_node_has_it() {
    let scenario = Scenario::replacing(&[(
        "- name: pool-b",
        "- name: pool-z\n  nodes: {matchLabels: {node.kubernetes.io/instance-type: r6in.large}}\n\
         - name: pool-b",
    )]);
    let conflicts = scenario.snapshot.conflicts();
    let texts: Vec<_> = conflicts
        .iter()
        .map(|it| format!("{}: {} before {}", it.node, it.pool, it.other))
        .collect();
    assert_eq!(
        texts,
        [
            "ip-10-0-1-11.ec2.internal: pool-a before pool-z",
            "ip-10-0-2-21.ec2.internal: pool-z before pool-b",
        ]
    );
}

#[test]
fn a_denial_explains_itself() {
    let verdict = Scenario::recorded().validate(&pod("{tolerations: [{operator: Exists}]}"));
    let poolguard::policy::verdict::Outcome::Deny(denials) = verdict.outcome else { panic!() };
    insta::assert_snapshot!(denials.first().denial(), @"[pod-intrusion] Pod shop/p can run on node ip-10-0-1-11.ec2.internal of pool pool-a and on nodes of pools pool-b, pool-abc, which are reserved for AutoMQ: spec.tolerations[0] {operator: Exists} tolerates dedicated=automq:NoSchedule. To keep the pod off, remove the toleration, or add required node affinity {key: eks.amazonaws.com/nodegroup, operator: NotIn, values: [automq-a, automq-abc, automq-b]}. If the pod must run there, ask your platform team to add {namespace: shop, serviceAccounts: [default], reason: …} to exempt in PoolGuard's config. This entry exempts every pod of namespace shop that names no service account. To exempt fewer pods, first set serviceAccountName in the pod or in its template");
}

/// The advice of the first record.
fn advice_on(review: &Value) -> String {
    let verdict = Scenario::recorded().validate(review);
    verdict.records[0].finding.as_ref().unwrap().advice.clone().unwrap()
}

#[test]
fn advice_about_a_service_account_of_its_own_names_only_this_account() {
    let advice = advice_on(&pod("{serviceAccountName: web, tolerations: [{operator: Exists}]}"));
    let entry =
        "{namespace: shop, serviceAccounts: [web], reason: …} to exempt in PoolGuard's config";
    assert!(advice.ends_with(entry), "{advice}");
}

#[test]
fn advice_for_a_pod_that_selects_the_pool_includes_the_selection() {
    let start = "To keep the pod off, remove the toleration and";
    let selecting = "{tolerations: [{operator: Exists}], nodeSelector: {eks.amazonaws.com/nodegroup: automq-a}}";
    let advice = advice_on(&pod(selecting));
    assert!(
        advice.starts_with(&format!("{start} nodeSelector[eks.amazonaws.com/nodegroup]. ")),
        "{advice}"
    );
    let term = "{matchExpressions: [{key: eks.amazonaws.com/nodegroup, operator: In, values: [automq-a]}]}";
    let advice =
        advice_on(&pod(&format!("{{tolerations: [{{operator: Exists}}], {}}}", affinity(term))));
    assert!(
        advice.starts_with(&format!("{start} the requirement for eks.amazonaws.com/nodegroup in ")),
        "{advice}"
    );
    let other = "{matchExpressions: [{key: eks.amazonaws.com/nodegroup, operator: In, values: [automq-a, web]}]}";
    let advice =
        advice_on(&pod(&format!("{{tolerations: [{{operator: Exists}}], {}}}", affinity(other))));
    assert!(
        advice.contains(", or add to nodeSelectorTerms[0] of the required node affinity {key: "),
        "{advice}"
    );
}

#[test]
fn advice_about_pools_of_two_labels_asks_for_one_term() {
    let selector = "{eks.amazonaws.com/nodegroup: automq-b}";
    let by_zone = "{topology.kubernetes.io/zone: us-east-1b}";
    let scenario = Scenario::replacing(&[(selector, by_zone)]);
    let verdict = scenario.validate(&pod("{tolerations: [{operator: Exists}]}"));
    let advice = verdict.records[0].finding.as_ref().unwrap().advice.clone().unwrap();
    let together = "add required node affinity with all of these expressions in one term: {key: ";
    assert!(advice.contains(together), "{advice}");
}

#[test]
fn advice_names_all_that_the_user_must_remove() {
    let pool = "eks.amazonaws.com/nodegroup";
    let host = "kubernetes.io/hostname";
    let node = "ip-10-0-1-11.ec2.internal";
    let all = "{operator: Exists}";
    let own = "{key: dedicated, operator: Exists}";
    let field =
        format!("{{matchFields: [{{key: metadata.name, operator: In, values: [{node}]}}]}}");
    for (spec, expected) in [
        (
            format!("tolerations: [{all}, {{key: gpu, operator: Exists}}, {own}]"),
            "remove tolerations[0] and tolerations[2], or add required".to_owned(),
        ),
        (
            format!("tolerations: [{all}, {own}, {own}, {all}, {own}, {own}]"),
            "remove tolerations[0], tolerations[1], tolerations[2], tolerations[3] and every further toleration that \
             matches, or"
                .to_owned(),
        ),
        (
            format!("tolerations: [{all}], nodeSelector: {{{host}: {node}}}"),
            format!(
                "remove the toleration and nodeSelector[{host}]. If you remove only the toleration, no node fits"
            ),
        ),
        (
            format!("tolerations: [{all}], {}", affinity(&field)),
            "remove the toleration and the requirement for metadata.name in the required node affinity. If you remove \
             only the toleration, no node fits"
                .to_owned(),
        ),
        (format!("nodeName: {node}"), "remove spec.nodeName. The scheduler".to_owned()),
        (
            format!("nodeName: {node}, tolerations: [{all}], nodeSelector: {{{pool}: automq-a}}"),
            format!("remove spec.nodeName, tolerations[0] and nodeSelector[{pool}]. The scheduler"),
        ),
    ] {
        let advice = advice_on(&pod(&format!("{{{spec}}}")));
        assert!(advice.starts_with(&format!("To keep the pod off, {expected}")), "{spec}: {advice}");
    }
}

#[test]
fn an_owner_that_a_person_writes_is_not_to_be_changed() {
    for (kind, change) in [
        ("StatefulSet", "change its owner StatefulSet p: "),
        ("ReplicaSet", "change the Deployment or other owner of ReplicaSet p: "),
    ] {
        let mut review = pod("{nodeName: ip-10-0-1-11.ec2.internal}");
        review["request"]["object"]["metadata"]["ownerReferences"] = json!([
            { "apiVersion": "apps/v1", "kind": kind, "name": "p", "controller": true },
        ]);
        for (user, change) in
            [("bob", ""), ("system:serviceaccount:kube-system:statefulset-controller", change)]
        {
            review["request"]["userInfo"]["username"] = json!(user);
            let advice = advice_on(&review);
            let expected = format!("To keep the pod off, {change}remove spec.nodeName. ");
            assert!(advice.starts_with(&expected), "{user}: {advice}");
        }
    }
}

#[test]
fn advice_about_a_node_debugger_does_not_ask_to_remove_its_node_name() {
    let debugger = recorded("pod-create-kubectl-debug-node-on-pool-a");
    let set = "breakGlass: {groups: [\"poolguard:break-glass\"]}";
    for (config, expected) in [
        (
            set,
            "run the command with --as=poolguard:break-glass --as-group=poolguard:break-glass. This needs the right to \
             impersonate this user and group, and the group needs the right to create pods",
        ),
        (
            "breakGlass: {groups: []}",
            "add a group to breakGlass.groups in PoolGuard's config, and to run the command as a member of this group",
        ),
    ] {
        let verdict = Scenario::replacing(&[(set, config)]).validate(&debugger);
        let advice = verdict.records[0].finding.as_ref().unwrap().advice.clone().unwrap();
        let expected = format!(
            "`kubectl debug node/…` always sets spec.nodeName. Debug a node outside AutoMQ's pools, or ask your platform team \
             to {expected}"
        );
        assert_eq!(advice, expected);
    }
}

#[test]
fn an_owner_that_an_update_brings_does_not_choose_the_mode() {
    let scenario = Scenario::with("rules: {pod-intrusion: {mode: enforce, daemonSets: audit}}");
    let review = update(pod("{}"), |pod| {
        pod["metadata"]["ownerReferences"] = json!([
            { "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": true },
        ]);
        pod["spec"]["tolerations"] = json!([{ "operator": "Exists" }]);
    });
    assert_eq!(scenario.verdict(&review), DENIED);
}

#[test]
fn advice_for_a_pool_that_no_label_names_is_not_an_affinity() {
    let dump = json!({ "kind": "List", "items": [
        { "kind": "Node", "metadata": { "name": "a", "labels": {
            "karpenter.sh/nodepool": "kafka", "kubernetes.io/hostname": "a" } },
          "spec": { "taints": [{ "key": "dedicated", "value": "automq", "effect": "NoSchedule" }] } },
        { "kind": "Node", "metadata": { "name": "s", "labels": { "kubernetes.io/hostname": "s" } } },
        { "kind": "Node", "metadata": { "name": "b", "labels": { "kubernetes.io/hostname": "b" } },
          "spec": { "taints": [{ "key": "dedicated", "value": "automq", "effect": "NoSchedule" }] } },
    ] });
    let scenario = Scenario::new(
        "provider: aws\napiVersion: poolguard.io/v1alpha1\nkind: PoolGuardConfig\n",
        &dump.to_string(),
    );
    let advice = |names: &str| {
        let spec = format!(
            "{{tolerations: [{{operator: Exists}}], {}}}",
            affinity(&format!(
                "{{matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: {names}}}]}}"
            ))
        );
        let verdict = scenario.validate(&pod(&spec));
        verdict.records[0].message().split(". ").nth(1).unwrap().to_owned()
    };
    assert!(
        advice("[a, s]").contains("{key: karpenter.sh/nodepool, operator: NotIn, values: [kafka]}")
    );
    assert!(
        advice("[b, s]").eq("To keep the pod off, remove the toleration"),
        "{}",
        advice("[b, s]")
    );
}
