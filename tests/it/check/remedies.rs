//! Remedies of `check` that a user pastes: none stops several brokers at once, or changes what is right.

use poolguard::check::{CheckFinding, Status};
use serde_json::{Value, json};

use super::{Cluster, line, node, object, pod};

/// The lines that a shell would run.
fn commands(fix: &str) -> Vec<&str> {
    fix.lines().filter(|line| !line.starts_with('#')).collect()
}

fn taint(key: &str, value: &str, effect: &str) -> Value {
    json!({"key": key, "value": value, "effect": effect})
}

fn on(mut cluster: Cluster, provider: &str, label: &str) -> Cluster {
    for node in cluster.items.iter_mut().filter(|it| it["kind"] == "Node") {
        let team = node["metadata"]["labels"]["team"].clone();
        node["metadata"]["labels"][label] = team;
    }
    cluster.config(&format!("provider: {provider}"))
}

#[test]
fn pods_of_an_instance_are_moved_one_at_a_time() {
    let outside = Cluster::sound()
        .with(pod("kafka-one", "broker-1", "w1"))
        .with(pod("kafka-one", "broker-2", "w2"))
        .fix("pod-placement");
    assert_eq!(commands(&outside), ["kubectl delete pod -n kafka-one broker-1"], "{outside}");
    assert!(outside.starts_with("# if the config names the wrong pool or zones: "), "{outside}");
    let repeat =
        "# wait until AutoMQ is healthy again. Then repeat this, one at a time, for broker-2";
    assert!(outside.ends_with(repeat), "{outside}");
}

#[test]
fn an_intruder_is_kept_off_every_pool_that_it_can_run_on() {
    let mut stranger = pod("shop", "web", "n1");
    stranger["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    let fix = Cluster::sound().with(stranger).fix("pod-intrusion");
    let affinity = "{key: team, operator: NotIn, values: [kafka-north, kafka-wide]}";
    assert!(fix.contains(affinity), "{fix}");
}

#[test]
fn nodes_are_drained_one_at_a_time_after_new_ones_are_there() {
    let strays = || {
        Cluster::sound().with(node("n4", "kafka-north", "z4")).with(node("n5", "kafka-north", "z5"))
    };
    let fix = strays().fix("node-zone");
    assert_eq!(commands(&fix), ["kubectl drain n4 --ignore-daemonsets"], "{fix}");
    assert!(fix.contains("Then repeat this, one at a time, for n5"), "{fix}");
    // GKE deletes the nodes of every zone that a command does not list.
    let fix = on(strays(), "gcp", "cloud.google.com/gke-nodepool").fix("node-zone");
    let update =
        "gcloud container node-pools update kafka-north --cluster $CLUSTER --node-locations";
    let expected = [&format!("{update} z1,z4,z5"), "kubectl drain n4 --ignore-daemonsets"];
    assert_eq!(commands(&fix), expected, "{fix}");
    assert!(fix.contains(&format!(": {update} z1\n")), "{fix}");
}

#[test]
fn a_node_pool_is_replaced_node_by_node_on_every_cloud() {
    let wrong = |node: &mut Value| {
        node["metadata"]["labels"]["node.kubernetes.io/instance-type"] = json!("small.1");
    };
    for (provider, label) in [
        ("aws", "eks.amazonaws.com/nodegroup"),
        ("gcp", "cloud.google.com/gke-nodepool"),
        ("azure", "kubernetes.azure.com/agentpool"),
        ("huawei", "cce.cloud.com/cce-nodepool"),
    ] {
        let fix =
            on(Cluster::sound().change("n1", wrong), provider, label).fix("node-machine-type");
        let deletes = commands(&fix).into_iter().filter(|it| it.contains("delete"));
        assert_eq!(deletes.count(), 0, "{fix}");
        let example = format!("[{{key: {label}, operator: In, values: [kafka-north, $NEW_POOL]}}]");
        assert!(fix.contains(&example), "{fix}");
        assert!(fix.contains("drain the nodes of kafka-north one at a time"), "{fix}");
    }
}

#[test]
fn data_moves_before_a_pool_moves_to_other_zones() {
    let volume = "first ask AutoMQ to move its data: a volume cannot move to another zone";
    let mut two_zones = Cluster::sound().without("Node", "w3");
    two_zones.config = two_zones.config.replace("  zones: [z1, z2, z3]\n", "");
    let fix = two_zones.fix("node-zone");
    let order = ["$NEW_POOL", volume, "drain the nodes"].map(|it| fix.find(it));
    assert!(order.is_sorted() && order[0].is_some(), "{fix}");
    // The new pool is in the zones of the old one.
    let wrong = |node: &mut Value| {
        node["metadata"]["labels"]["node.kubernetes.io/instance-type"] = json!("small.1");
    };
    let fix = Cluster::sound().change("n1", wrong).fix("node-machine-type");
    assert!(!fix.contains(volume), "{fix}");
}

#[test]
fn a_pool_is_never_made_smaller() {
    let mut cluster = Cluster::sound().without("Node", "w3");
    for name in ["w4", "w5", "w6", "w7"] {
        cluster = cluster.with(node(name, "kafka-wide", "z1"));
    }
    let fix = on(cluster, "gcp", "cloud.google.com/gke-nodepool").fix("node-zone");
    assert!(fix.ends_with("--num-nodes 5"), "{fix}");
    let mut cluster = Cluster::sound().without("Node", "w3");
    for name in ["w4", "w5", "w6", "w7"] {
        cluster = cluster.with(node(name, "kafka-wide", "z1"));
    }
    let fix = on(cluster, "aws", "eks.amazonaws.com/nodegroup").fix("node-zone");
    assert!(fix.ends_with("--nodes 7 --nodes-min 7"), "{fix}");
}

#[test]
fn a_taint_on_the_wrong_nodes_may_be_a_mistake() {
    let own = || json!([taint("dedicated", "automq", "NoSchedule")]);
    let tainted = |node: &mut Value| node["spec"]["taints"] = own();
    let found = Cluster::sound().change("s1", tainted).change("s2", tainted).examine().findings;
    let failing = found.iter().filter(|it| it.status == Status::Fail);
    let (identity, others): (Vec<&CheckFinding>, Vec<&CheckFinding>) =
        failing.partition(|it| it.rule.as_str() == "node-identity");
    let [identity] = identity.as_slice() else { panic!("{identity:#?}") };
    assert!(identity.fact.ends_with("and no AutoMQ pod runs on them"), "{}", identity.fact);
    let fix = identity.fix.as_deref().unwrap();
    assert!(fix.contains("kubectl taint node s1 s2 dedicated=automq:NoSchedule-"), "{fix}");
    // PoolGuard denies this command, so no shell runs it.
    assert_eq!(commands(fix), [""; 0], "{fix}");
    assert!(others.len() > 2, "{others:#?}");
    for other in others {
        let fix = other.fix.as_deref().unwrap();
        assert!(fix.starts_with("# first decide whether "), "{}: {fix}", line(other));
        assert_eq!(commands(fix), [""; 0], "{fix}");
    }
}

#[test]
fn a_taint_instead_of_the_pools_is_not_a_further_one() {
    let with = |instead: Value| {
        let change = move |node: &mut Value| node["spec"]["taints"] = json!([instead]);
        let found = Cluster::sound().change("w2", change);
        let found = found.only("error node-taint wide w2 -");
        (found.fact, found.fix.unwrap(), found.why.unwrap())
    };
    let (fact, fix, why) = with(taint("dedicated", "kafka", "NoSchedule"));
    let expected = "Node w2 of pool wide has the taint dedicated=kafka:NoSchedule instead of dedicated=automq:NoSchedule";
    assert_eq!(fact, expected);
    assert!(why.ends_with("so the scheduler does not place them on these nodes"), "{why}");
    assert_eq!(commands(&fix), ["kubectl taint node w2 dedicated=automq:NoSchedule --overwrite"]);
    assert!(fix.contains("taint: {key: dedicated, value: \"kafka\", effect: NoSchedule}"), "{fix}");
    let (_, fix, why) = with(taint("dedicated", "automq", "NoExecute"));
    assert!(why.ends_with("so Kubernetes evicts them from these nodes"), "{why}");
    let expected = [
        "kubectl taint node w2 dedicated=automq:NoSchedule",
        "kubectl taint node w2 dedicated=automq:NoExecute-",
    ];
    assert_eq!(commands(&fix), expected);
}

#[test]
fn a_taint_that_makes_pods_leave_goes_to_one_node_at_a_time() {
    let effect = "taint: {key: dedicated, value: automq, effect: NoExecute}";
    let found = Cluster::sound().config(effect).examine().findings;
    let fixes: Vec<&str> = found
        .iter()
        .filter(|it| it.status == Status::Fail && it.rule.as_str() == "node-taint")
        .flat_map(|it| commands(it.fix.as_deref().unwrap()))
        .collect();
    let expected = [
        "kubectl taint node n1 dedicated=automq:NoExecute",
        "kubectl taint node n1 dedicated=automq:NoSchedule-",
        "kubectl taint node w1 dedicated=automq:NoExecute",
        "kubectl taint node w1 dedicated=automq:NoSchedule-",
    ];
    assert_eq!(fixes, expected);
}

#[test]
fn each_further_taint_is_named_on_its_own_nodes() {
    let further = |key: &'static str| {
        move |node: &mut Value| {
            let own = taint("dedicated", "automq", "NoSchedule");
            node["spec"]["taints"] = json!([own, taint(key, "", "NoSchedule")]);
        }
    };
    let cluster = Cluster::sound().change("w1", further("spot")).change("w2", further("gpu"));
    let found = cluster.examine().findings;
    let fixes: Vec<&str> = found
        .iter()
        .filter(|it| it.status == Status::Fail)
        .flat_map(|it| commands(it.fix.as_deref().unwrap()))
        .collect();
    assert_eq!(
        fixes,
        ["kubectl taint node w1 spot:NoSchedule-", "kubectl taint node w2 gpu:NoSchedule-"]
    );
    let fix = cluster.fix("node-taint");
    assert!(fix.contains("PoolGuard then adds the toleration to AutoMQ's pods"), "{fix}");
    assert!(!fix.contains("add a toleration"), "{fix}");
}

#[test]
fn without_nodes_nothing_is_said_to_be_well() {
    let unplaced = Cluster::sound().without("Node", "*");
    let found = unplaced.with(pod("shop", "web", "n1")).examine().findings;
    for rule in ["pod-intrusion", "workload-intrusion", "pod-placement", "volume-zone"] {
        let passes =
            found.iter().filter(|it| it.rule.as_str() == rule && it.status == Status::Pass);
        let passes: Vec<&str> = passes.map(|it| it.fact.as_str()).collect();
        // Two pools declare their zones, so their volumes are judged.
        let expected = usize::from(rule == "volume-zone");
        assert_eq!(passes.len(), expected, "{rule}: {passes:?}");
    }
    let mut zoneless = Cluster::sound().without("Node", "*");
    zoneless.config = zoneless.config.replace("  zones: [z1]\n", "");
    let found = zoneless.examine().findings;
    let volumes: Vec<_> = found.iter().filter(|it| it.rule.as_str() == "volume-zone").collect();
    assert!(volumes.iter().all(|it| it.status == Status::Unknown), "{volumes:#?}");
}

#[test]
fn where_discovery_is_off_no_node_lost_its_taint() {
    let mut bare = Cluster::sound();
    bare.config = "apiVersion: poolguard.io/v1alpha1\nkind: PoolGuardConfig\nprovider: other\n\
                   discovery: {enabled: false}\n"
        .to_owned();
    let found = bare.with(object("v1", "Namespace", "", "other")).examine().findings;
    let taint = found.iter().find(|it| it.rule.as_str() == "node-taint").unwrap();
    assert_eq!(
        taint.fact,
        "There is no pool: the config declares none, and `discovery.enabled` is false"
    );
    let fix = taint.fix.as_deref().unwrap();
    assert!(fix.contains("remove `discovery`") && !fix.contains("create a node pool"), "{fix}");
}
