//! `poolguard check`, constraint by constraint: a config, a cluster, and what is found.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod exemptions;
mod labels;
mod node_roles;
mod remedies;

use poolguard::{
    check::{CheckFinding, FindingSeverity, Fitness, Status, examine},
    cluster::inventory::Inventory,
    config,
};
use serde_json::{Value, json};

/// A cluster of three pools on a provider that has no tool of its own, and names of its own.
struct Cluster {
    config: String,
    items: Vec<Value>,
}

const CONFIG: &str = "apiVersion: poolguard.io/v1alpha1
kind: PoolGuardConfig
pools:
- name: north
  nodes: {matchLabels: {team: kafka-north}}
  zones: [z1]
  machineTypes: [big.1]
- name: wide
  nodes: {matchLabels: {team: kafka-wide}}
  zones: [z1, z2, z3]
  machineTypes: [big.1, big.2]
automq: {namespaces: [kafka-one, kafka-two]}
instances:
- {name: one, namespace: kafka-one, pool: north}
- {name: two, namespace: kafka-two, pool: wide}
";

fn node(name: &str, team: &str, zone: &str) -> Value {
    let is_kafka = team.starts_with("kafka");
    let taints = if is_kafka {
        json!([{"key": "dedicated", "value": "automq", "effect": "NoSchedule"}])
    } else {
        json!([])
    };
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {
            "team": team, "topology.kubernetes.io/zone": zone,
            "node.kubernetes.io/instance-type": if is_kafka { "big.1" } else { "small.1" },
        }},
        "spec": {"taints": taints},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn object(api_version: &str, kind: &str, namespace: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind,
           "metadata": {"namespace": namespace, "name": name}})
}

fn pod(namespace: &str, name: &str, node: &str) -> Value {
    let mut pod = object("v1", "Pod", namespace, name);
    pod["spec"] = json!({"nodeName": node, "containers": []});
    pod["status"] = json!({"phase": "Running"});
    pod
}

impl Cluster {
    /// Nothing is wrong with it.
    fn sound() -> Self {
        let mut items = vec![
            node("n1", "kafka-north", "z1"),
            node("n2", "kafka-north", "z1"),
            node("n3", "kafka-north", "z1"),
            node("w1", "kafka-wide", "z1"),
            node("w2", "kafka-wide", "z2"),
            node("w3", "kafka-wide", "z3"),
            node("s1", "system", "z1"),
            node("s2", "system", "z2"),
        ];
        for name in ["kafka-one", "kafka-two", "shop"] {
            items.push(object("v1", "Namespace", "", name));
        }
        items.push(pod("kube-system", "dns", "s1"));
        items.push(pod("kafka-one", "broker-0", "n1"));
        let mut account = object("v1", "ServiceAccount", "kafka-one", "broker");
        account["metadata"]["annotations"] = json!({"eks.amazonaws.com/role-arn": "arn:broker"});
        items.push(account);
        let mut volume = object("v1", "PersistentVolume", "", "pv-0");
        let zone =
            json!({"key": "topology.ebs.csi.aws.com/zone", "operator": "In", "values": ["z1"]});
        volume["spec"] = json!({"nodeAffinity": {"required": {"nodeSelectorTerms": [
            {"matchExpressions": [zone]}]}}});
        items.push(volume);
        let mut claim = object("v1", "PersistentVolumeClaim", "kafka-one", "wal-0");
        claim["spec"] = json!({"volumeName": "pv-0"});
        items.push(claim);
        let mut workload = object("apps/v1", "Deployment", "kube-system", "dns");
        workload["spec"] = json!({"template": {"spec": {"containers": []}}});
        items.push(workload);
        items.push(object("rbac.authorization.k8s.io/v1", "ClusterRole", "", "view"));
        items.push(object("rbac.authorization.k8s.io/v1", "Role", "kafka-one", "own"));
        Self { config: CONFIG.to_owned(), items }
    }

    fn with(mut self, item: Value) -> Self {
        self.items.push(item);
        self
    }

    fn without(mut self, kind: &str, name: &str) -> Self {
        let before = self.items.len();
        self.items
            .retain(|it| it["kind"] != kind || (it["metadata"]["name"] != name && name != "*"));
        assert!(self.items.len() < before, "there is no {kind} {name}");
        self
    }

    fn change(mut self, name: &str, change: impl FnOnce(&mut Value)) -> Self {
        let found = self.items.iter_mut().find(|it| it["metadata"]["name"] == name);
        change(found.unwrap_or_else(|| panic!("there is no {name}")));
        self
    }

    fn config(mut self, lines: &str) -> Self {
        self.config.push_str(lines);
        self.config.push('\n');
        self
    }

    fn examine(&self) -> Fitness {
        let dump = json!({"apiVersion": "v1", "kind": "List", "items": self.items}).to_string();
        let inventory = Inventory::read_dump(&dump).unwrap();
        let loaded = config::load("config.yaml", &self.config, inventory.index().provider())
            .unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        examine(&loaded.policy, &inventory)
    }

    /// The only thing that fails.
    #[track_caller]
    fn only(&self, expected: &str) -> CheckFinding {
        let found = self.examine().findings;
        let failing: Vec<&CheckFinding> =
            found.iter().filter(|it| it.status == Status::Fail).collect();
        let lines: Vec<String> = failing.iter().map(|it| line(it)).collect();
        assert_eq!(lines, [expected], "{failing:#?}");
        failing[0].clone()
    }

    fn fix(&self, rule: &str) -> String {
        let found = self.examine().findings;
        let is_meant = |it: &&CheckFinding| it.rule.as_str() == rule && it.status == Status::Fail;
        found.iter().find(is_meant).unwrap().fix.clone().unwrap()
    }

    fn facts(&self, status: Status) -> Vec<String> {
        let found = self.examine().findings;
        found.into_iter().filter(|it| it.status == status).map(|it| it.fact).collect()
    }
}

/// `error node-zone pool node object`
fn line(finding: &CheckFinding) -> String {
    let CheckFinding { rule, severity, pool, node, object, .. } = finding;
    let part = |part: &Option<String>| part.as_deref().unwrap_or("-").to_owned();
    format!("{} {rule} {} {} {}", severity.as_str(), part(pool), part(node), part(object))
}

#[test]
fn nothing_is_wrong_with_a_sound_cluster() {
    let fitness = Cluster::sound().examine();
    let others = fitness.findings.iter().filter(|it| it.status != Status::Pass);
    assert_eq!(others.map(line).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(fitness.verdict(), "fit for AutoMQ: every check passes");
}

#[test]
fn the_verdict_says_how_much_is_unknown_and_then_does_not_say_fit() {
    let unlisted = "protected: [{name: auth, resource: configmaps, names: [auth]}]";
    let fitness = Cluster::sound().config(unlisted).examine();
    let checks = fitness.findings.len();
    let verdict = format!("no error found, but 1 of {checks} checks is unknown");
    assert_eq!(fitness.verdict(), verdict);
}

#[test]
fn nodes_are_tainted_and_with_nothing_else() {
    let taints =
        |taints: Value| Cluster::sound().change("w2", move |node| node["spec"]["taints"] = taints);
    let own = json!({"key": "dedicated", "value": "automq", "effect": "NoSchedule"});
    taints(json!([])).only("error node-taint wide w2 -");
    taints(json!([{"key": "dedicated", "value": "automq", "effect": "NoExecute"}, own]))
        .only("error node-taint wide w2 -");
    let spot = json!({"key": "spot", "value": "true", "effect": "NoSchedule"});
    let found = taints(json!([&own, &spot])).only("warning node-taint wide w2 -");
    let fix = found.fix.unwrap();
    assert!(fix.contains("{key: spot, value: \"true\", effect: NoSchedule}"), "{fix}");
    assert!(fix.ends_with("kubectl taint node w2 spot=true:NoSchedule-"), "{fix}");
    // One that the config declares beside the pool's own is there on purpose.
    let mut declared = taints(json!([own, spot]));
    declared.config = declared.config.replace(
        "- name: wide\n",
        "- name: wide\n  additionalTaints: [{key: spot, value: \"true\", effect: NoSchedule}]\n",
    );
    assert_eq!(declared.facts(Status::Fail), [""; 0]);
    let soft = json!({"key": "soft", "value": "", "effect": "PreferNoSchedule"});
    let transient = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"});
    assert_eq!(taints(json!([own, soft, transient])).facts(Status::Fail), [""; 0]);
}

#[test]
fn a_pool_is_in_one_zone_or_in_three() {
    Cluster::sound().with(node("n4", "kafka-north", "z2")).only("error node-zone north n4 -");
    let two = Cluster::sound().without("Node", "w3").with(node("w4", "kafka-wide", "z2"));
    let found = two.only("error node-zone wide - -");
    assert_eq!(found.fact, "Pool wide has 2 zones (z1, z2): its zone z3 has no node");
    Cluster::sound().with(node("w4", "kafka-wide", "z4")).only("error node-zone wide w4 -");
    // What the config does not judge, AutoMQ does.
    let mut undeclared = Cluster::sound().with(node("n4", "kafka-north", "z2"));
    undeclared.config = undeclared.config.replace("  zones: [z1]\n", "");
    undeclared.only("error node-zone north - -");
}

#[test]
fn machine_types_are_of_the_pool_or_of_the_catalog() {
    let typed = |name: &'static str| {
        move |node: &mut Value| {
            node["metadata"]["labels"]["node.kubernetes.io/instance-type"] = json!(name);
        }
    };
    Cluster::sound().change("n2", typed("big.2")).only("error node-machine-type north n2 -");
    Cluster::sound().change("w2", typed("big.2")).examine().verdict();
    let mut unlisted = Cluster::sound();
    unlisted.config = unlisted.config.replace("  machineTypes: [big.1]\n", "");
    assert_eq!(
        unlisted.facts(Status::Unknown),
        ["PoolGuard has no list of machine types for this provider"]
    );
    // AutoMQ published no list for AWS, but one for Google.
    for (provider, severity) in [("aws", "warning"), ("gcp", "error")] {
        let mut cluster = Cluster::sound().config(&format!("provider: {provider}"));
        cluster.config = cluster.config.replace("  machineTypes: [big.1]\n", "");
        cluster.only(&format!("{severity} node-machine-type north - -"));
    }
}

#[test]
fn three_nodes_of_a_pool_are_ready() {
    let unready = |node: &mut Value| node["status"]["conditions"] = json!([]);
    let found = Cluster::sound().change("n1", unready).only("warning pool-size north n1 -");
    assert!(found.fact.contains("2 ready nodes") && found.fact.contains("n1"), "{}", found.fact);
    let cordoned = |node: &mut Value| node["spec"]["unschedulable"] = json!(true);
    let found = Cluster::sound().change("w1", cordoned).only("warning pool-size wide w1 -");
    let fix = "# unless the node is being drained, repaired or replaced:\nkubectl uncordon w1";
    assert_eq!(found.fix.unwrap(), fix);
    let none = Cluster::sound()
        .change("n1", unready)
        .change("n2", cordoned)
        .change("n3", unready)
        .only("error pool-size north - -");
    assert!(none.fact.contains("no ready node"), "{}", none.fact);
    let empty = Cluster::sound()
        .without("Node", "n1")
        .without("Node", "n2")
        .without("Node", "n3")
        .without("Pod", "broker-0");
    empty.only("error pool-size north - -");
    let spare = Cluster::sound().with(node("n4", "kafka-north", "z1")).change("n4", cordoned);
    spare.only("note pool-size north n4 -");
}

#[test]
fn nodes_carry_the_labels_that_they_are_found_by() {
    let unlabelled = |node: &mut Value| {
        let labels = node["metadata"]["labels"].as_object_mut().unwrap();
        labels.remove("topology.kubernetes.io/zone");
    };
    Cluster::sound().change("n2", unlabelled).only("warning node-identity north n2 -");
    let stray = Cluster::sound()
        .with(node("x", "kafka-lost", "z1"))
        .with(node("y", "kafka-lost", "z1"))
        .with(node("z", "kafka-lost", "z1"));
    let found = stray.examine();
    let lines: Vec<String> =
        found.findings.iter().filter(|it| it.status == Status::Fail).map(line).collect();
    assert_eq!(lines, ["warning node-identity undeclared - -"]);
    let both = Cluster::sound().config("provider: other\n");
    let mut both = both;
    both.config = both.config.replace(
        "nodes: {matchLabels: {team: kafka-wide}}",
        "nodes: {matchExpressions: [{key: team, operator: In, values: [kafka-wide, kafka-north]}]}",
    );
    let found = both.examine();
    let claims = found.findings.iter().filter(|it| it.fails_with(FindingSeverity::Error)).map(line);
    let claims: Vec<String> = claims.collect();
    let expected = ["n1", "n2", "n3"].map(|name| format!("error node-identity north {name} -"));
    assert_eq!(claims, expected);
}

#[test]
fn the_system_has_nodes_of_its_own() {
    let closed = |node: &mut Value| node["spec"]["unschedulable"] = json!(true);
    Cluster::sound().change("s1", closed).change("s2", closed).only("error system-pool - - -");
    let tainted = |key: &'static str| {
        move |node: &mut Value| {
            node["spec"]["taints"] = json!([{"key": key, "effect": "NoSchedule"}]);
        }
    };
    let gpu = Cluster::sound().change("s1", tainted("gpu")).change("s2", tainted("gpu"));
    gpu.only("error system-pool - - -");
    // Where the cloud keeps a pool to the system, that is it.
    let aks =
        Cluster::sound().change("s1", tainted("CriticalAddonsOnly")).change("s2", tainted("gpu"));
    assert_eq!(aks.facts(Status::Fail), [""; 0]);
    // Where DNS runs and tolerates the taint, the system has a place.
    let dns = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "coredns", "namespace": "kube-system"},
        "spec": {"nodeName": "s1", "tolerations": [{"key": "gpu", "operator": "Exists"}]}});
    let hosts =
        Cluster::sound().change("s1", tainted("gpu")).change("s2", tainted("gpu")).with(dns);
    assert_eq!(hosts.facts(Status::Fail), [""; 0]);
    let windows =
        |node: &mut Value| node["metadata"]["labels"]["kubernetes.io/os"] = json!("windows");
    Cluster::sound().change("s1", windows).change("s2", windows).only("error system-pool - - -");
}

#[test]
fn pods_of_a_workload_are_one_finding() {
    let tolerating = json!([{"operator": "Exists"}]);
    let mut set = object("apps/v1", "DaemonSet", "shop", "agent");
    set["spec"] = json!({"template": {"spec": {"tolerations": tolerating, "containers": []}}});
    let workload = Cluster::sound().with(set.clone());
    workload.only("error workload-intrusion - - DaemonSet shop/agent");
    let mut resident = workload;
    for (index, node) in ["n1", "n2", "s1"].into_iter().enumerate() {
        let mut pod = pod("shop", &format!("agent-{index}"), node);
        pod["metadata"]["ownerReferences"] = json!([
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "controller": true}]);
        resident.items.push(pod);
    }
    let found = resident.examine();
    let lines: Vec<String> =
        found.findings.iter().filter(|it| it.status == Status::Fail).map(line).collect();
    assert_eq!(
        lines,
        [
            "error pod-intrusion north - DaemonSet shop/agent",
            "note cluster-exclusive - - Namespace shop",
        ]
    );
    let fix = resident.fix("pod-intrusion");
    assert!(fix.starts_with("kubectl edit daemonset -n shop agent\n"), "{fix}");
    assert!(
        fix.contains("{key: team, operator: NotIn, values: [kafka-north, kafka-wide]}"),
        "{fix}"
    );
    assert!(fix.contains("{namespace: shop, daemonSets: [agent], reason: …}"), "{fix}");
    // With that entry, nothing is left.
    let exempt = "exempt:\n- {namespace: kube-system, reason: system}\n\
                  - {namespace: shop, daemonSets: [agent], reason: logs}";
    assert_eq!(resident.config(exempt).facts(Status::Fail), [""; 0]);
}

#[test]
fn an_exempt_pod_that_is_no_agent_of_a_node_is_a_note() {
    let stray = Cluster::sound().with(pod("kube-system", "console", "n1"));
    stray.only("note pod-intrusion north - Pod kube-system/console");
    let fix = stray.fix("pod-intrusion");
    assert!(
        fix.contains("{namespace: kube-system, serviceAccounts: [default], reason: …}"),
        "{fix}"
    );
}

#[test]
fn a_pod_is_traced_to_its_deployment() {
    let owned = |mut object: Value, api_version: &str, kind: &str, name: &str| {
        object["metadata"]["ownerReferences"] =
            json!([{"apiVersion": api_version, "kind": kind, "name": name, "controller": true}]);
        object
    };
    let set = object("apps/v1", "ReplicaSet", "shop", "web-5d9c");
    let cluster = Cluster::sound().with(owned(set, "apps/v1", "Deployment", "web")).with(owned(
        pod("shop", "web-5d9c-x", "w1"),
        "apps/v1",
        "ReplicaSet",
        "web-5d9c",
    ));
    cluster.only("error pod-intrusion wide w1 Deployment shop/web");
}

#[test]
fn a_pod_that_waits_may_be_an_intruder_and_one_that_has_ended_is_none() {
    let mut waiting = pod("shop", "waiting", "");
    waiting["spec"]["tolerations"] = json!([{"key": "dedicated", "operator": "Exists"}]);
    waiting["spec"]["nodeSelector"] = json!({"team": "kafka-wide"});
    Cluster::sound().with(waiting).only("error pod-intrusion wide - Pod shop/waiting");
    let mut ended = pod("shop", "ended", "w1");
    ended["status"]["phase"] = json!("Succeeded");
    let mut leaving = pod("shop", "leaving", "w1");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(Cluster::sound().with(ended).with(leaving).facts(Status::Fail), [""; 0]);
}

#[test]
fn a_pod_that_tolerates_nothing_came_to_a_node_without_its_taint() {
    let fix = Cluster::sound().with(pod("shop", "web", "w1")).fix("pod-intrusion");
    assert!(
        fix.starts_with("# the pod does not tolerate the taint dedicated=automq:NoSchedule. "),
        "{fix}"
    );
    assert!(!fix.contains("remove the toleration"), "{fix}");
}

#[test]
fn pods_of_the_cluster_itself_need_no_other_cluster() {
    for (namespace, elsewhere) in [("shop", true), ("openshift-ingress", false)] {
        let fix = Cluster::sound().with(pod(namespace, "web", "s1")).fix("cluster-exclusive");
        assert_eq!(fix.contains("in another cluster"), elsewhere, "{fix}");
    }
}

#[test]
fn a_pod_with_automqs_labels_needs_its_namespace_in_the_config() {
    let hint =
        "# these pods have AutoMQ's labels. If they are AutoMQ's pods, add namespace kafka-new to";
    for node in ["w1", "s1"] {
        let mut broker = pod("kafka-new", "broker-0", node);
        broker["metadata"]["labels"] = json!({"app.kubernetes.io/part-of": "automq"});
        let rule = if node == "w1" { "pod-intrusion" } else { "cluster-exclusive" };
        let fix = Cluster::sound().with(broker).fix(rule);
        assert!(fix.starts_with(hint), "{fix}");
    }
    let fix = Cluster::sound().with(pod("kafka-new", "web", "s1")).fix("cluster-exclusive");
    assert!(!fix.contains("automq.namespaces"), "{fix}");
}

#[test]
fn the_fix_of_a_workload_is_one_that_helps() {
    let tolerating = json!([{"operator": "Exists"}]);
    let mut job = object("batch/v1", "Job", "shop", "load");
    job["spec"] = json!({"template": {"spec": {"tolerations": tolerating, "containers": []}}});
    let fix = Cluster::sound().with(job).fix("workload-intrusion");
    assert!(fix.contains("\nkubectl delete job -n shop load\n"), "{fix}");
    assert!(!fix.contains("kubectl edit"), "{fix}");
    let mut deployment = object("apps/v1", "Deployment", "shop", "pinned");
    deployment["spec"] = json!({"template": {"spec": {"nodeName": "w1", "containers": []}}});
    let fix = Cluster::sound().with(deployment).fix("workload-intrusion");
    assert!(fix.contains("\n# remove spec.nodeName from the pod template\n"), "{fix}");
    assert!(!fix.contains("toleration"), "{fix}");
}

#[test]
fn the_cluster_is_automqs_alone_as_far_as_the_config_asks() {
    let cluster = || Cluster::sound().with(pod("shop", "web", "s1"));
    cluster().only("note cluster-exclusive - - Namespace shop");
    for (mode, severity) in [("warn", "warning"), ("enforce", "error"), ("off", "note")] {
        let config = format!("rules: {{cluster-exclusive: {{mode: {mode}}}}}");
        cluster().config(&config).only(&format!("{severity} cluster-exclusive - - Namespace shop"));
    }
}

#[test]
fn what_the_config_turned_off_is_a_note() {
    let cluster = Cluster::sound()
        .change("w2", |node| node["spec"]["taints"] = json!([]))
        .config("rules: {node-taint: {mode: off}}");
    cluster.only("note node-taint wide w2 -");
}

#[test]
fn service_accounts_have_their_role() {
    let bare = |name: &str| object("v1", "ServiceAccount", "kafka-two", name);
    // Another has one.
    let found = Cluster::sound()
        .with(bare("broker"))
        .only("error role-binding wide - ServiceAccount kafka-two/broker");
    let fix = found.fix.unwrap();
    let command =
        "kubectl annotate serviceaccount -n kafka-two broker eks.amazonaws.com/role-arn=$ROLE\n";
    assert!(fix.starts_with(command), "{fix}");
    // Every namespace has this one, and mostly nobody uses it.
    assert_eq!(Cluster::sound().with(bare("default")).facts(Status::Fail), [""; 0]);
    let used = Cluster::sound().with(bare("default")).with(pod("kafka-two", "b", "w1"));
    used.only("error role-binding wide - ServiceAccount kafka-two/default");
    // Those that the config does not name are not AutoMQ's.
    let named = Cluster::sound().with(bare("other")).config("");
    let mut named = named;
    named.config = named.config.replace(
        "automq: {namespaces: [kafka-one, kafka-two]}",
        "automq: {namespaces: [kafka-one, kafka-two], serviceAccounts: [broker]}",
    );
    named.items.retain(|it| it["kind"] != "Pod" || it["metadata"]["name"] != "broker-0");
    assert_eq!(named.facts(Status::Fail), [""; 0]);
}

#[test]
fn a_role_is_expected_where_a_pool_declares_one() {
    let alone = |role: &str| {
        let mut cluster = Cluster::sound().config("provider: aws");
        cluster = cluster.change("broker", |it| {
            it["metadata"].as_object_mut().unwrap().remove("annotations");
        });
        cluster.config =
            cluster.config.replace("  zones: [z1]\n", &format!("  zones: [z1]\n{role}"));
        cluster
    };
    alone("").only("warning role-binding north - ServiceAccount kafka-one/broker");
    let role = "  role: \"arn:aws:iam::1:role/north\"\n";
    let found = alone(role).only("error role-binding north - ServiceAccount kafka-one/broker");
    assert!(
        found.fix.unwrap().contains("role-arn=$ROLE\n"),
        "the pool's role is that of its nodes"
    );
}

#[test]
fn protected_objects_are_there_with_what_they_must_keep() {
    let config = "protected:\n\
                  - {name: auth, resource: configmaps, namespace: kube-system, names: [auth], \
                  fields: [/data/roles], mustKeepItems: [{by: arn, value: kafka}]}";
    let unknown = Cluster::sound().config(config);
    assert_eq!(unknown.facts(Status::Unknown).len(), 1);
    let other = unknown.with(object("v1", "ConfigMap", "shop", "auth"));
    other.only("error role-binding - - configmaps kube-system/auth");
    let mut map = object("v1", "ConfigMap", "kube-system", "auth");
    map["data"] = json!({"roles": "- arn: shop\n"});
    let lost = Cluster::sound().config(config).with(map.clone());
    let found = lost.only("error role-binding - - configmaps kube-system/auth");
    assert!(found.fact.contains("arn: kafka in /data/roles"), "{}", found.fact);
    map["data"] = json!({"roles": "- arn: shop\n- arn: kafka\n"});
    assert_eq!(Cluster::sound().config(config).with(map).facts(Status::Fail), [""; 0]);
}

#[test]
fn bindings_of_automqs_refer_to_roles_that_are_there() {
    let binding = |kind: &str, role_kind: &str, role: &str| {
        let namespace = if kind == "RoleBinding" { "kafka-one" } else { "" };
        let mut binding = object("rbac.authorization.k8s.io/v1", kind, namespace, "operator");
        binding["subjects"] =
            json!([{"kind": "ServiceAccount", "namespace": "kafka-one", "name": "broker"}]);
        binding["roleRef"] = json!({"kind": role_kind, "name": role});
        binding
    };
    for (kind, role_kind, role) in
        [("RoleBinding", "Role", "own"), ("RoleBinding", "ClusterRole", "view")]
    {
        let sound = Cluster::sound().with(binding(kind, role_kind, role));
        assert_eq!(sound.facts(Status::Fail), [""; 0]);
    }
    let lost = Cluster::sound().with(binding("ClusterRoleBinding", "ClusterRole", "gone"));
    lost.only("error role-binding - - ClusterRoleBinding operator");
    let lost = Cluster::sound().with(binding("RoleBinding", "Role", "view"));
    lost.only("error role-binding - - RoleBinding kafka-one/operator");
}

#[test]
fn instances_are_where_they_belong() {
    let found = Cluster::sound().without("Namespace", "kafka-two");
    found.only("warning instance wide - Namespace kafka-two");
    let outside = Cluster::sound().with(pod("kafka-one", "broker-1", "w1"));
    outside.only("error pod-placement north w1 Pod kafka-one/broker-1");
}

#[test]
fn a_pool_has_one_instance() {
    let mut shared = Cluster::sound();
    shared.config = shared.config.replace("pool: wide}", "pool: north}");
    shared.only("warning instance north - -");
    // One is in a zone, the other in three: the first of the two would need a pool of its own.
    let mut mixed =
        Cluster::sound().without("Pod", "broker-0").without("PersistentVolumeClaim", "*");
    mixed.config = mixed.config.replace("pool: north}", "pool: wide}");
    let mixed = mixed
        .with(object("v1", "PersistentVolumeClaim", "shop", "other"))
        .with(pod("kafka-one", "a", "w1"))
        .with(pod("kafka-two", "a", "w2"))
        .with(pod("kafka-two", "b", "w3"));
    mixed.only("error instance wide - -");
}

#[test]
fn volumes_are_in_the_zones_of_their_pool() {
    let zone = |zone: &'static str| {
        move |volume: &mut Value| {
            *volume
                .pointer_mut(
                    "/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values",
                )
                .unwrap() = json!([zone]);
        }
    };
    let found = Cluster::sound()
        .change("pv-0", zone("z2"))
        .only("error volume-zone north - PersistentVolumeClaim kafka-one/wal-0");
    assert!(found.fact.contains("is in z2"), "{}", found.fact);
    let by_label = |volume: &mut Value| {
        volume["spec"] = json!({});
        volume["metadata"]["labels"] = json!({"topology.kubernetes.io/zone": "z3"});
    };
    let labelled = Cluster::sound().change("pv-0", by_label);
    labelled.only("error volume-zone north - PersistentVolumeClaim kafka-one/wal-0");
    let mut class = object("storage.k8s.io/v1", "StorageClass", "", "quick");
    class["volumeBindingMode"] = json!("Immediate");
    let waiting = Cluster::sound().with(class).change("wal-0", |claim| {
        claim["spec"] = json!({"storageClassName": "quick"});
    });
    waiting.only("warning volume-zone north - StorageClass quick");
}

#[test]
fn what_the_input_lacks_is_unknown_and_named() {
    for (kind, rules) in [
        ("Pod", &["pod-intrusion", "cluster-exclusive", "pod-placement", "pod-placement"][..]),
        ("Deployment", &["workload-intrusion"]),
        ("ServiceAccount", &["role-binding"]),
        ("PersistentVolume", &["volume-zone"]),
        ("Namespace", &["instance", "instance"]),
        (
            "Node",
            &[
                "node-taint",
                "node-machine-type",
                "node-zone",
                "node-identity",
                "pod-intrusion",
                "pool-size",
                "system-pool",
                "workload-intrusion",
            ],
        ),
    ] {
        let fitness = Cluster::sound().without(kind, "*").examine();
        let unknown = fitness.findings.iter().filter(|it| it.status == Status::Unknown);
        let mut found: Vec<&str> = unknown.map(|it| it.rule.as_str()).collect();
        let mut rules = rules.to_vec();
        found.sort_unstable();
        rules.sort_unstable();
        assert_eq!(found, rules, "{kind}");
        let is_named = fitness.missing.iter().any(|it| it.starts_with(&kind.to_lowercase()));
        assert!(is_named, "{kind}: {:?}", fitness.missing);
        assert_eq!(fitness.failures(FindingSeverity::Error), 0, "{kind}: {:#?}", fitness.findings);
    }
}

#[test]
fn fixes_are_for_the_provider() {
    let on = |provider: &str, label: &str| {
        let mut cluster = Cluster::sound().without("Node", "w3");
        for node in cluster.items.iter_mut().filter(|it| it["kind"] == "Node") {
            let team = node["metadata"]["labels"]["team"].clone();
            node["metadata"]["labels"][label] = team;
        }
        cluster
            .change("n1", |node| node["spec"]["taints"] = json!([]))
            .config(&format!("provider: {provider}"))
    };
    for (provider, label, taint, scale) in [
        (
            "aws",
            "eks.amazonaws.com/nodegroup",
            "aws eks update-nodegroup-config",
            "eksctl scale nodegroup",
        ),
        (
            "gcp",
            "cloud.google.com/gke-nodepool",
            "gcloud container node-pools update kafka-north",
            "--num-nodes 1",
        ),
        (
            "azure",
            "kubernetes.azure.com/agentpool",
            "az aks nodepool update",
            "az aks nodepool scale",
        ),
        (
            "huawei",
            "cce.cloud.com/cce-nodepool",
            "# then add the taint to the settings of the node pool",
            "# scale the node pool to 3 nodes",
        ),
    ] {
        let cluster = on(provider, label);
        let fix = cluster.fix("node-taint");
        assert!(fix.starts_with("kubectl taint node n1 dedicated=automq:NoSchedule\n"), "{fix}");
        assert!(fix.contains(taint), "{provider}: {fix}");
        let fix = cluster.fix("node-zone");
        assert!(fix.contains(scale), "{provider}: {fix}");
    }
}

#[test]
fn no_pod_runs_where_there_is_no_pool() {
    let mut bare = Cluster::sound();
    bare.config = format!(
        "{}\nautomq: {{namespaces: [kafka-one]}}\n",
        bare.config.split("\npools:").next().unwrap()
    );
    for node in bare.items.iter_mut().filter(|it| it["kind"] == "Node") {
        node["spec"]["taints"] = json!([]);
    }
    bare.only("error node-taint - - -");
}

#[test]
fn what_makes_nodes_gives_them_the_taint_types_and_zones_of_their_pool() {
    let node_pool = |taints: Value, types: Value| {
        let mut pool = object("karpenter.sh/v1", "NodePool", "", "north");
        let kind = "node.kubernetes.io/instance-type";
        pool["spec"] = json!({"template": {
            "metadata": {"labels": {"team": "kafka-north"}},
            "spec": {"taints": taints, "requirements": [{"key": kind, "operator": "In", "values": types}]},
        }});
        pool
    };
    let taint = || json!([{"key": "dedicated", "value": "automq", "effect": "NoSchedule"}]);
    let sound = Cluster::sound().with(node_pool(taint(), json!(["big.1"]))).examine().findings;
    assert!(sound.iter().any(|it| it.rule.as_str() == "node-pool" && it.status == Status::Pass));
    assert!(!sound.iter().any(|it| it.status == Status::Fail));
    let untainted = Cluster::sound().with(node_pool(json!([]), json!(["big.1"])));
    untainted.only("warning node-pool north - NodePool north");
    let untyped = Cluster::sound().with(node_pool(taint(), json!(["big.1", "small.1"])));
    let found = untyped.only("warning node-pool north - NodePool north");
    assert!(found.fact.contains("machine type small.1"), "{}", found.fact);
}
