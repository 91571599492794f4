//! `pod-placement`: what a pod of an instance is given, and what it may not contradict.

use poolguard::policy::{Phase, verdict::Outcome};
use serde_json::{Value, json};

use crate::scenario::{Scenario, by, create, pod_in, recorded, yaml};

/// The patch of a pod of instance 1 with this spec, one operation a line.
#[track_caller]
fn patch(scenario: &Scenario, review: &Value) -> String {
    let verdict = scenario.decide(Phase::Mutate, review);
    let Outcome::Allow(operations) = verdict.outcome else { panic!("denied") };
    // Judged again, the patched object gets nothing more.
    let mut again = review.clone();
    again["request"]["object"] = scenario.mutated(review);
    let second = scenario.decide(Phase::Mutate, &again).outcome;
    assert_eq!(second, Outcome::Allow(Vec::new()), "the second pass patches again");
    let lines: Vec<String> =
        operations.iter().map(|it| serde_json::to_string(it).unwrap()).collect();
    lines.join("\n")
}

fn instance_1(spec: &str) -> Value {
    pod_in("automq-instance-1", spec)
}

#[test]
fn a_bare_pod_gets_toleration_and_affinity() {
    insta::assert_snapshot!(patch(&Scenario::recorded(), &instance_1("{}")), @r#"
    {"op":"add","path":"/spec/tolerations","value":[{"effect":"NoSchedule","key":"dedicated","operator":"Equal","value":"automq"}]}
    {"op":"add","path":"/spec/affinity","value":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"eks.amazonaws.com/nodegroup","operator":"In","values":["automq-a"]},{"key":"topology.kubernetes.io/zone","operator":"In","values":["us-east-1a"]}]}]}}}}
    "#);
}

#[test]
fn only_what_is_missing_is_added() {
    let spec = "{tolerations: [{key: dedicated, operator: Exists}], \
                nodeSelector: {eks.amazonaws.com/nodegroup: automq-a}}";
    insta::assert_snapshot!(patch(&Scenario::recorded(), &instance_1(spec)), @r#"{"op":"add","path":"/spec/affinity","value":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"topology.kubernetes.io/zone","operator":"In","values":["us-east-1a"]}]}]}}}}"#);
    let spec = "{tolerations: [{operator: Exists}], nodeSelector: \
                {eks.amazonaws.com/nodegroup: automq-a, topology.kubernetes.io/zone: us-east-1a}}";
    assert_eq!(patch(&Scenario::recorded(), &instance_1(spec)), "");
}

#[test]
fn every_term_is_narrowed_but_those_that_match_nothing() {
    let spec = "
tolerations: []
affinity:
  podAntiAffinity: {keep: me}
  nodeAffinity:
    preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1}]
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
      - {}
      - {matchFields: [{key: metadata.name, operator: In, values: [ip-10-0-1-11.ec2.internal]}]}
      - {matchExpressions: [{key: a, operator: Near}]}
      - {matchExpressions: [{key: eks.amazonaws.com/nodegroup, operator: In, values: [automq-a]}]}
";
    let spec = yaml(spec).to_string();
    insta::assert_snapshot!(patch(&Scenario::recorded(), &instance_1(&spec)), @r#"
    {"op":"add","path":"/spec/tolerations/-","value":{"effect":"NoSchedule","key":"dedicated","operator":"Equal","value":"automq"}}
    {"op":"add","path":"/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/1/matchExpressions","value":[{"key":"eks.amazonaws.com/nodegroup","operator":"In","values":["automq-a"]},{"key":"topology.kubernetes.io/zone","operator":"In","values":["us-east-1a"]}]}
    {"op":"add","path":"/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/3/matchExpressions/-","value":{"key":"topology.kubernetes.io/zone","operator":"In","values":["us-east-1a"]}}
    "#);
}

#[test]
fn null_is_absent() {
    for spec in [
        "{tolerations: null, affinity: null}",
        "{affinity: {nodeAffinity: null}}",
        "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: null}}}",
    ] {
        let scenario = Scenario::recorded();
        let review = instance_1(spec);
        assert_ne!(patch(&scenario, &review), "");
        let placed = scenario.mutated(&review);
        let terms = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/\
                     nodeSelectorTerms/0/matchExpressions/0/key";
        assert_eq!(placed.pointer(terms), Some(&json!("eks.amazonaws.com/nodegroup")), "{spec}");
    }
}

#[test]
fn an_affinity_without_terms_matches_nothing_and_stays_so() {
    let spec = "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: \
                {nodeSelectorTerms: []}}}, tolerations: [{operator: Exists}]}";
    assert_eq!(patch(&Scenario::recorded(), &instance_1(spec)), "");
}

#[test]
fn unknown_fields_are_left_as_they_are() {
    let scenario = Scenario::recorded();
    let review =
        instance_1("{futureField: {a: [1, 2.50, \"x\"]}, containers: [{name: c, future: 1}]}");
    let placed = scenario.mutated(&review);
    let before = &review["request"]["object"]["spec"];
    assert_eq!(placed["spec"]["futureField"], before["futureField"]);
    assert_eq!(placed["spec"]["containers"], before["containers"]);
}

#[test]
fn zone_spread_is_added_where_it_is_configured() {
    let scenario = Scenario::replacing(&[(
        "- {name: instance-3, namespace: automq-instance-3, pool: pool-abc}",
        "- {name: instance-3, namespace: automq-instance-3, pods: {matchLabels: \
         {app.kubernetes.io/instance: kf-3}}, pool: pool-abc, zoneSpread: DoNotSchedule}",
    )]);
    let review = recorded("mutate-pod-create-automq-broker");
    insta::assert_snapshot!(patch(&scenario, &review).lines().last().unwrap(), @r#"{"op":"add","path":"/spec/topologySpreadConstraints","value":[{"labelSelector":{"matchLabels":{"app.kubernetes.io/instance":"kf-3"}},"maxSkew":1,"topologyKey":"topology.kubernetes.io/zone","whenUnsatisfiable":"DoNotSchedule"}]}"#);
    // One on the same key stays the only one; one on another key stays beside it.
    let with = |key: &str| {
        let mut review = review.clone();
        review["request"]["object"]["spec"]["topologySpreadConstraints"] =
            json!([{ "topologyKey": key }]);
        scenario.mutated(&review)["spec"]["topologySpreadConstraints"].as_array().unwrap().len()
    };
    assert_eq!(with("topology.kubernetes.io/zone"), 1);
    assert_eq!(with("kubernetes.io/hostname"), 2);
}

#[test]
fn pods_of_nodes_and_daemon_sets_and_unrelated_pods_are_left_alone() {
    let scenario = Scenario::recorded();
    let untouched = |review: &Value| {
        assert_eq!(scenario.mutated(review), review["request"]["object"]);
    };
    untouched(&instance_1("{nodeName: ip-10-0-1-11.ec2.internal}"));
    untouched(&pod_in("shop", "{}"));
    // A namespace of AutoMQ's without an instance has no pool.
    untouched(&pod_in("automq", "{}"));
    let mut daemon = instance_1("{}");
    daemon["request"]["object"]["metadata"]["ownerReferences"] =
        json!([{ "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": true }]);
    let controller = "system:serviceaccount:kube-system:daemon-set-controller";
    untouched(&by(daemon.clone(), controller, &[]));
    // Anyone can write an owner, and is placed all the same.
    assert_ne!(scenario.mutated(&daemon), daemon["request"]["object"]);
}

#[test]
fn pod_placement_tolerates_the_additional_taints_of_a_pool() {
    let arm = "key: kubernetes.io/arch, value: arm64, effect: NoSchedule";
    let scenario = Scenario::replacing(&[(
        "zones: [us-east-1a]\n",
        &format!("zones: [us-east-1a]\n  additionalTaints: [{{{arm}}}]\n"),
    )]);
    let placed = scenario.mutated(&instance_1("{}"));
    let tolerations = &placed["spec"]["tolerations"];
    assert_eq!(tolerations.as_array().unwrap().len(), 2, "{tolerations}");
    assert_eq!(tolerations[1]["key"], "kubernetes.io/arch");
    // Nodes to come have them: who tolerates the pool's own taint only does not wait for one.
    let waiting = pod_in(
        "shop",
        "{tolerations: [{key: dedicated, operator: Exists}], affinity: {nodeAffinity: \
         {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [\
         {key: eks.amazonaws.com/nodegroup, operator: In, values: [automq-a]}, \
         {key: kubernetes.io/hostname, operator: NotIn, values: [ip-10-0-1-11.ec2.internal]}]}]}}}}",
    );
    assert_eq!(scenario.verdict(&waiting), "allow");
    assert!(!Scenario::recorded().validate(&waiting).is_allowed());
}

#[test]
fn a_placed_pod_passes() {
    let scenario = Scenario::recorded();
    let mut review = instance_1("{}");
    review["request"]["object"] = scenario.mutated(&review);
    assert_eq!(scenario.verdict(&review), "allow");
}

#[track_caller]
fn check(spec: &str, expected: &str) {
    let scenario = Scenario::recorded();
    let mut review = instance_1(spec);
    review["request"]["object"] = scenario.mutated(&review);
    assert_eq!(scenario.verdict(&review), expected, "{spec}");
}

const REQUIRED: &str = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";

#[test]
fn a_pod_that_contradicts_its_pool_is_denied_by_the_field_that_does() {
    check(
        "{nodeSelector: {topology.kubernetes.io/zone: us-east-1c}}",
        "deny pod-placement pool-a spec.nodeSelector[topology.kubernetes.io/zone]",
    );
    check(
        "{nodeSelector: {eks.amazonaws.com/nodegroup: automq-b}}",
        "deny pod-placement pool-a spec.nodeSelector[eks.amazonaws.com/nodegroup]",
    );
    let term = "{matchExpressions: [{key: node.kubernetes.io/instance-type, operator: In, values: [m5.large]}]}";
    let spec = format!(
        "{{affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: \
         {{nodeSelectorTerms: [{term}]}}}}}}}}"
    );
    let expected =
        format!("deny pod-placement pool-a {REQUIRED}.nodeSelectorTerms[0].matchExpressions[0]");
    check(&spec, &expected);
    let nothing = "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: \
                   {nodeSelectorTerms: []}}}}";
    check(nothing, &format!("deny pod-placement pool-a {REQUIRED}"));
}

#[test]
fn a_pod_without_its_toleration_is_denied_where_the_mutating_half_did_not_run() {
    let scenario = Scenario::recorded();
    let expected = "deny pod-placement pool-a spec.tolerations";
    assert_eq!(scenario.verdict(&instance_1("{}")), expected);
}

#[test]
fn a_node_name_outside_the_pool_is_denied() {
    let expected = |node: &str| format!("deny pod-placement pool-a {node} spec.nodeName");
    for node in ["ip-10-0-2-21.ec2.internal", "ip-10-0-9-91.ec2.internal"] {
        check(&format!("{{nodeName: {node}}}"), &expected(node));
    }
    check("{nodeName: ip-10-0-1-11.ec2.internal}", "allow");
    check("{nodeName: ip-10-9-9-9}", "unknown pod-placement pool-a unknown spec.nodeName");
}

#[test]
fn a_pod_that_can_land_outside_its_pool_is_warned_about() {
    let scenario = Scenario::recorded();
    let review = instance_1("{tolerations: [{operator: Exists}]}");
    let expected = "warn pod-placement pool-a spec.affinity.nodeAffinity";
    assert_eq!(scenario.verdict(&review), expected);
}

#[test]
fn a_pool_that_is_still_empty_can_take_its_pods() {
    let scenario = Scenario::over(|nodes| {
        nodes.retain(|node| !node["metadata"]["name"].as_str().unwrap().starts_with("ip-10-0-1"));
    });
    let mut review = instance_1("{}");
    review["request"]["object"] = scenario.mutated(&review);
    assert_eq!(scenario.verdict(&review), "allow");
}

#[test]
fn a_mode_below_enforce_patches_nothing_and_says_what_it_would() {
    for (mode, decision) in [("warn", "warn"), ("audit", "audit")] {
        let scenario = Scenario::with(&format!("rules: {{pod-placement: {{mode: {mode}}}}}"));
        let verdict = scenario.decide(Phase::Mutate, &instance_1("{}"));
        assert_eq!(verdict.outcome, Outcome::Allow(Vec::new()));
        assert_eq!(crate::scenario::line(&verdict), format!("{decision} pod-placement pool-a"));
    }
    let off = Scenario::with("rules: {pod-placement: {mode: off}}");
    assert_eq!(crate::scenario::line(&off.decide(Phase::Mutate, &instance_1("{}"))), "allow");
}

#[test]
fn a_binding_outside_the_pool_is_denied() {
    let scenario = Scenario::recorded();
    let binding = |namespace: &str, node: &str| {
        create(
            namespace,
            &format!(
                "{{apiVersion: v1, kind: Binding, metadata: {{name: p}}, target: {{name: {node}}}}}"
            ),
        )
    };
    let verdict = scenario.verdict(&binding("automq-instance-1", "ip-10-0-2-21.ec2.internal"));
    assert!(
        verdict.ends_with("deny pod-placement pool-a ip-10-0-2-21.ec2.internal target.name"),
        "{verdict}"
    );
    let verdict = scenario.validate(&binding("automq-instance-1", "ip-10-0-1-11.ec2.internal"));
    assert!(verdict.is_allowed());
    assert!(scenario.validate(&binding("automq", "ip-10-0-1-11.ec2.internal")).is_allowed());
}

#[test]
fn the_first_instance_that_matches_has_the_pod() {
    let scenario = Scenario::replacing(&[(
        "- {name: instance-1, namespace: automq-instance-1, pool: pool-a}",
        "- {name: first, namespace: automq-instance-1, pods: {matchLabels: {which: first}}, pool: pool-b}\n\
         - {name: instance-1, namespace: automq-instance-1, pool: pool-a}",
    )]);
    let group = |labels: Value| {
        let mut review = instance_1("{}");
        review["request"]["object"]["metadata"]["labels"] = labels;
        let terms = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/\
                     nodeSelectorTerms/0/matchExpressions/0/values/0";
        scenario.mutated(&review).pointer(terms).cloned().unwrap()
    };
    assert_eq!(group(json!({ "which": "first" })), "automq-b");
    assert_eq!(group(json!({})), "automq-a");
}

#[test]
fn a_mirror_annotation_from_anyone_but_the_kubelet_buys_nothing() {
    let scenario = Scenario::recorded();
    let mut review = instance_1("{nodeName: ip-10-0-2-21.ec2.internal}");
    review["request"]["object"]["metadata"]["annotations"] =
        json!({ "kubernetes.io/config.mirror": "x" });
    let denied = "deny pod-placement pool-a ip-10-0-2-21.ec2.internal spec.nodeName";
    assert_eq!(scenario.verdict(&review), denied);
    let own = "system:node:ip-10-0-2-21.ec2.internal";
    assert_eq!(scenario.verdict(&by(review, own, &["system:nodes"])), "allow");
}

#[test]
fn an_individual_label_is_named_as_the_obstacle_it_is() {
    check(
        "{nodeSelector: {kubernetes.io/hostname: ip-10-0-2-21.ec2.internal}}",
        "deny pod-placement pool-a spec.nodeSelector[kubernetes.io/hostname]",
    );
    check("{nodeSelector: {kubernetes.io/hostname: ip-10-0-1-11.ec2.internal}}", "allow");
}

#[test]
fn below_enforce_a_pod_is_judged_as_if_it_had_been_placed() {
    let scenario = Scenario::with("rules: {pod-placement: {mode: warn}}");
    assert_eq!(scenario.verdict(&instance_1("{}")), "allow");
    let contradicts = instance_1("{nodeSelector: {eks.amazonaws.com/nodegroup: automq-b}}");
    let warned = "warn pod-placement pool-a spec.nodeSelector[eks.amazonaws.com/nodegroup]";
    assert_eq!(scenario.verdict(&contradicts), warned);
}

#[test]
fn a_node_of_the_pool_outside_its_zones_is_contradicted_by_node_name_and_by_binding() {
    let scenario = Scenario::over(|nodes| {
        let mut stray = nodes[0].clone();
        stray["metadata"]["name"] = json!("stray");
        stray["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!("us-east-1b");
        nodes.push(stray);
    });
    let denied = "deny pod-placement pool-a stray";
    let by_name = scenario.verdict(&instance_1("{nodeName: stray}"));
    assert_eq!(by_name, format!("{denied} spec.nodeName"));
    let binding = create(
        "automq-instance-1",
        "{apiVersion: v1, kind: Binding, metadata: {name: p}, target: {name: stray}}",
    );
    let by_binding = scenario.verdict(&binding);
    assert!(by_binding.ends_with(&format!("{denied} target.name")), "{by_binding}");
}
