//! `workload-intrusion` and `cluster-exclusive`.

use poolguard::kubernetes::{object::WorkloadKind, resource::Resource};
use serde_json::json;

use crate::scenario::{Scenario, by, create, pod, pod_in, recorded, update};

fn workload(kind: WorkloadKind, namespace: &str, spec: &str) -> serde_json::Value {
    let Resource { group, kind: name, .. } = kind.resource();
    let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    let template = format!("template: {{spec: {spec}}}");
    let spec = if kind == WorkloadKind::CronJob {
        format!("{{jobTemplate: {{spec: {{{template}}}}}}}")
    } else {
        format!("{{{template}}}")
    };
    create(
        namespace,
        &format!("{{apiVersion: {version}, kind: {name}, metadata: {{name: w}}, spec: {spec}}}"),
    )
}

const TOLERANT: &str = "{tolerations: [{operator: Exists}]}";

#[test]
fn every_workload_kind_is_judged_by_its_pod_template() {
    let scenario = Scenario::recorded();
    for kind in WorkloadKind::ALL {
        let expected = format!(
            "warn workload-intrusion pool-a ip-10-0-1-11.ec2.internal {}.tolerations[0]",
            kind.spec_path()
        );
        assert_eq!(scenario.verdict(&workload(kind, "shop", TOLERANT)), expected, "{kind:?}");
        assert_eq!(scenario.verdict(&workload(kind, "shop", "{}")), "allow", "{kind:?}");
        assert_eq!(scenario.verdict(&workload(kind, "automq", TOLERANT)), "allow", "{kind:?}");
        let exempt = scenario.verdict(&workload(kind, "kube-system", TOLERANT));
        assert!(exempt.starts_with("exempt workload-intrusion pool-a"), "{kind:?}: {exempt}");
    }
}

#[test]
fn a_node_name_in_a_template_is_an_intruder() {
    let review =
        workload(WorkloadKind::Deployment, "shop", "{nodeName: ip-10-0-1-11.ec2.internal}");
    let expected = "warn workload-intrusion pool-a ip-10-0-1-11.ec2.internal \
                    spec.template.spec.nodeName";
    assert_eq!(Scenario::recorded().verdict(&review), expected);
}

#[test]
fn a_workload_that_another_one_controls_is_not_warned_about_again() {
    let mut review = workload(WorkloadKind::ReplicaSet, "shop", TOLERANT);
    let owner =
        json!([{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "w", "controller": true }]);
    review["request"]["object"]["metadata"]["ownerReferences"] = owner;
    // Anyone can write an owner: it counts where its controller asks, or where it is stored.
    assert!(Scenario::recorded().verdict(&review).starts_with("warn workload-intrusion"));
    let controller = "system:serviceaccount:kube-system:deployment-controller";
    review = by(review, controller, &[]);
    assert_eq!(Scenario::recorded().verdict(&review), "allow");
    // A custom resource is judged nowhere else.
    let owner =
        json!([{ "apiVersion": "x.io/v1", "kind": "Rollout", "name": "w", "controller": true }]);
    review["request"]["object"]["metadata"]["ownerReferences"] = owner;
    assert!(Scenario::recorded().verdict(&review).starts_with("warn workload-intrusion"));
}

#[test]
fn scaling_or_labelling_an_old_intruder_says_nothing() {
    let scenario = Scenario::recorded();
    let old = workload(WorkloadKind::Deployment, "shop", TOLERANT);
    let scaled = update(old, |it| it["spec"]["replicas"] = json!(3));
    assert_eq!(scenario.verdict(&scaled), "allow");
    let tolerating = update(workload(WorkloadKind::Deployment, "shop", "{}"), |it| {
        it["spec"]["template"]["spec"]["tolerations"] = json!([{ "operator": "Exists" }]);
    });
    assert!(scenario.verdict(&tolerating).starts_with("warn workload-intrusion"));
}

#[test]
fn a_subresource_is_not_read() {
    assert_eq!(Scenario::recorded().verdict(&recorded("deployment-scale")), "allow");
}

#[test]
fn a_daemon_set_is_shown_the_affinity_that_keeps_it_off() {
    let review = workload(WorkloadKind::DaemonSet, "shop", TOLERANT);
    let verdict = Scenario::recorded().validate(&review);
    let texts: Vec<String> = verdict.warnings.iter().flat_map(|it| it.warning_texts()).collect();
    insta::assert_snapshot!(texts.join("\n"), @r"
    [workload-intrusion] Pods of DaemonSet shop/w will be denied: they can run on AutoMQ's pools pool-a, pool-b, pool-abc (for example node ip-10-0-1-11.ec2.internal): spec.template.spec.tolerations[0] {operator: Exists} tolerates dedicated=automq:NoSchedule
    [workload-intrusion] To keep these pods off, remove the toleration, or add required node affinity {key: eks.amazonaws.com/nodegroup, operator: NotIn, values: [automq-a, automq-abc, automq-b]}
    [workload-intrusion] If they must run there, ask your platform team to add {namespace: shop, daemonSets: [w], reason: …} to exempt in PoolGuard's config
    ");
}

#[test]
fn a_workload_is_denied_where_the_rule_enforces() {
    let scenario = Scenario::with("rules: {workload-intrusion: {mode: enforce}}");
    let review = workload(WorkloadKind::StatefulSet, "shop", TOLERANT);
    assert!(!scenario.validate(&review).is_allowed());
}

#[test]
fn a_cluster_of_its_own_is_no_business_of_admission_in_audit() {
    assert_eq!(Scenario::recorded().verdict(&pod("{}")), "allow");
}

#[test]
fn a_cluster_of_its_own_is_kept_where_the_rule_says_so() {
    let warns = Scenario::with("rules: {cluster-exclusive: {mode: warn}}");
    assert_eq!(warns.verdict(&pod("{}")), "warn cluster-exclusive metadata.namespace");
    let enforces = Scenario::with("rules: {cluster-exclusive: {mode: enforce}}");
    assert!(!enforces.validate(&pod("{}")).is_allowed());
    assert_eq!(enforces.verdict(&pod_in("automq", "{}")), "allow");
    assert_eq!(enforces.verdict(&pod_in("kube-system", "{}")), "allow");
    // The shadow of a static pod: denying it stops nothing.
    let kubelet = by(pod("{}"), "system:node:ip-10-0-9-91.ec2.internal", &["system:nodes"]);
    assert_eq!(enforces.verdict(&kubelet), "allow");
}

#[test]
fn cluster_exclusive_takes_a_daemon_sets_name_from_its_controller_only() {
    let exempts = Scenario::replacing(&[(
        "exempt:\n",
        "rules: {cluster-exclusive: {mode: enforce}}\nexempt:\n\
         - {namespace: shop, daemonSets: [agent], reason: node metrics}\n",
    )]);
    let mut forged = pod("{}");
    forged["request"]["object"]["metadata"]["ownerReferences"] = serde_json::json!([
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "1", "controller": true},
    ]);
    assert!(!exempts.validate(&forged).is_allowed());
    let controller = "system:serviceaccount:kube-system:daemon-set-controller";
    let made = by(forged, controller, &["system:serviceaccounts"]);
    assert!(exempts.validate(&made).is_allowed());
}
