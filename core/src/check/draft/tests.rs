//! What a cluster holds, and the lines of its draft.

mod names;

use serde_json::{Value, json};

use super::*;
use crate::{
    check::{Constraint, Fitness, Status, examine},
    config,
    policy::mode::RuleName,
};

const TAINT: &str = "dedicated=automq:NoSchedule";

/// A node of EKS: its name, node group, zone, machine type and taints. An empty label is left out.
fn node(name: &str, group: &str, zone: &str, machine_type: &str, taints: &[&str]) -> Value {
    let labels = [
        ("kubernetes.io/hostname", name),
        ("eks.amazonaws.com/nodegroup", group),
        ("topology.kubernetes.io/zone", zone),
        ("node.kubernetes.io/instance-type", machine_type),
    ];
    let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
    let labels: serde_json::Map<String, Value> =
        labels.map(|(key, value)| (key.to_owned(), json!(value))).collect();
    let taint = |text: &&str| {
        let (pair, effect) = text.rsplit_once(':').unwrap();
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        json!({"key": key, "value": value, "effect": effect})
    };
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
        "spec": {"providerID": "aws:///z/i-1", "taints": taints.iter().map(taint).collect::<Vec<_>>()},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// A node of pool `a`, in zone `z1`.
fn broker_node(name: &str) -> Value {
    node(name, "a", "z1", "r6in.large", &[TAINT])
}

/// Pool `a` of two nodes, pool `b` of one, and a node for the system.
fn broker_nodes() -> [Value; 4] {
    [
        broker_node("a1"),
        broker_node("a2"),
        node("b1", "b", "z2", "r6in.large", &[TAINT]),
        node("s", "system", "z1", "m5.large", &[]),
    ]
}

fn labelled(mut object: Value, key: &str, value: &str) -> Value {
    object["metadata"]["labels"][key] = json!(value);
    object
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {}}})
}

fn pod(namespace: &str, name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": {}},
        "spec": {"nodeName": node, "containers": []}, "status": {"phase": "Running"},
    })
}

/// A pod of an instance that AutoMQ's console made.
fn broker(namespace: &str, instance: &str, node: &str) -> Value {
    labelled(
        pod(namespace, &format!("{instance}-{node}"), node),
        "automq.cloud/instance-id",
        instance,
    )
}

fn selecting(mut pod: Value, group: &str) -> Value {
    pod["spec"]["nodeSelector"] = json!({"eks.amazonaws.com/nodegroup": group});
    pod
}

fn daemon_set(namespace: &str, name: &str, tolerations: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"namespace": namespace, "name": name},
        "spec": {"template": {"spec": {"tolerations": tolerations, "containers": []}}},
    })
}

fn stateful_set(namespace: &str, instance: &str) -> Value {
    let labels = json!({"app.kubernetes.io/name": "automq-enterprise", "app.kubernetes.io/instance": instance});
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"namespace": namespace, "name": instance},
        "spec": {"template": {"metadata": {"labels": labels}, "spec": {"containers": []}}},
    })
}

fn aws_auth_of(roles: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "kube-system", "name": "aws-auth"}, "data": {"mapRoles": roles},
    })
}

fn inventory(items: &[Value]) -> Inventory {
    let dump = json!({"apiVersion": "v1", "kind": "List", "items": items});
    Inventory::read_dump(&dump.to_string()).unwrap()
}

fn text_with(items: &[Value], choices: &DraftChoices) -> String {
    let inventory = inventory(items);
    let defaults = config::load("", "", inventory.index().provider()).unwrap().policy;
    let origin = DraftOrigin { command: "poolguard init", source: "a test", check_flags: "" };
    ConfigDraft::of(&defaults, &inventory, choices).to_yaml(&defaults, origin)
}

/// The draft, which every reader of configs takes, and what a check with it finds.
#[track_caller]
fn drafted(items: &[Value]) -> (String, Fitness) {
    let text = text_with(items, &DraftChoices::default());
    let loaded = config::load("poolguard.yaml", &text, None)
        .unwrap_or_else(|diagnostics| panic!("{diagnostics}\n{text}"));
    let warnings: Vec<_> = loaded.warnings.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}\n{text}");
    assert!(warnings[0].starts_with("`principals.trusted` is empty"), "{warnings:?}");
    let inventory = inventory(items);
    let provider = inventory.index().provider();
    let policy = config::load("poolguard.yaml", &text, provider).unwrap().policy;
    let fitness = examine(&policy, &inventory);
    (text, fitness)
}

/// Nodes with AutoMQ's taint that no declared pool selects.
fn undeclared(fitness: &Fitness) -> Vec<&str> {
    let rule = Constraint::Rule(RuleName::NodeIdentity);
    let failing = fitness.findings.iter().filter(|it| it.rule == rule && it.status == Status::Fail);
    failing.map(|it| it.fact.as_str()).filter(|it| it.contains("no declared pool")).collect()
}

/// Drafts a config of these objects, and compares lines of it.
#[track_caller]
fn check(items: &[Value], lines: &[&str]) {
    let (text, fitness) = drafted(items);
    // A comment that goes on has the rest below it.
    let mut unwrapped = String::new();
    let mut is_check = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        let rest = trimmed.strip_prefix("#   ").filter(|_| is_check);
        match rest {
            Some(rest) => unwrapped.extend([" ", rest]),
            None => unwrapped.extend(["\n", line]),
        }
        is_check = trimmed.starts_with("# check:") || rest.is_some();
    }
    for line in lines {
        match line.strip_prefix('!') {
            Some(absent) => assert!(!unwrapped.contains(absent), "{absent}\n{text}"),
            None => assert!(unwrapped.lines().any(|it| it.trim() == *line), "{line}\n{text}"),
        }
    }
    assert_eq!(undeclared(&fitness), [""; 0], "{text}");
}

#[test]
fn nodes_become_pools() {
    let n = node;
    for (items, lines) in [
        (
            vec![
                n("1", "automq-b", "z2", "r6in.large", &[TAINT]),
                n("2", "automq-a", "z1", "r6in.large", &[TAINT]),
            ],
            &["- name: automq-a", "zones: [z1]", "- name: automq-b", "zones: [z2]", "!two zones"][..],
        ),
        (
            vec![n("1", "a", "z1", "r6in.large", &[TAINT]), n("2", "a", "z2", "m9.big", &[])],
            &[
                "# check: 1 of 2 nodes lacks the taint dedicated=automq:NoSchedule",
                "# check: the nodes are in two zones (z1 and z2), but AutoMQ needs one zone or three",
                "!zones:",
                "# check: PoolGuard's catalog for aws does not contain m9.big; ask AutoMQ whether it approves this type",
                "machineTypes: [m9.big, r6in.large]",
            ],
        ),
        (
            vec![n(
                "1",
                "a",
                "",
                "",
                &[TAINT, "arch=arm:NoSchedule", "node.kubernetes.io/not-ready:NoExecute"],
            )],
            &[
                "# check: no node has a zone in the label topology.kubernetes.io/zone",
                "# check: no node has a machine type in the label node.kubernetes.io/instance-type",
                "additionalTaints: [{key: arch, value: arm, effect: NoSchedule}]",
            ],
        ),
    ] {
        check(&items, lines);
    }
}

#[test]
fn nodes_without_the_usual_marks_become_pools_to_check() {
    let n = node;
    for (items, lines) in [
        (
            vec![n("1", "c", "z1", "r6in.large", &["dedicated=automq-connect:NoSchedule"])],
            &[
                "# check: the nodes have this taint instead of dedicated=automq:NoSchedule",
                "taint: {value: automq-connect}",
            ][..],
        ),
        (
            vec![
                n("1", "", "z1", "r6in.large", &[TAINT]),
                n("2", "", "z1", "r6in.large", &[TAINT]),
            ],
            &[
                "nodes: {matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [\"1\", \"2\"]}]}",
            ],
        ),
        (
            vec![
                labelled(
                    n("1", "", "z1", "r6in.large", &[TAINT]),
                    "node-role.kubernetes.io/automq",
                    "",
                ),
                n("2", "", "z1", "t", &[]),
            ],
            &[
                "- name: automq",
                "# check: these nodes have no node-pool label of the provider, so PoolGuard took a label that only these nodes have",
                "nodes: {matchLabels: {node-role.kubernetes.io/automq: \"\"}}",
            ],
        ),
        (
            vec![
                n("1", "a", "z1", "r6in.large", &[TAINT]),
                n("2", "b", "z1", "r6in.large", &["dedicated=automq:PreferNoSchedule"]),
            ],
            &["# check: node pool b has the taint dedicated=automq:PreferNoSchedule, not \
               dedicated=automq:NoSchedule, so it is not in this draft and PoolGuard does not protect it. If it is \
               AutoMQ's, correct the taint and add the pool"],
        ),
        (
            vec![n("1", "system", "z1", "m5.large", &[])],
            &[
                "# check: no node carries the taint dedicated=automq:NoSchedule; add each pool, for example:",
                "# pools:",
                "#   nodes: {matchLabels: {eks.amazonaws.com/nodegroup: automq-a}}",
            ],
        ),
    ] {
        check(&items, lines);
    }
}

#[test]
fn pods_become_instances() {
    for (pods, lines) in [
        (
            vec![broker("kafka", "kf-1", "a1")],
            &["namespaces: [kafka]", "- {name: kf-1, namespace: kafka, pool: a}"][..],
        ),
        (
            vec![broker("kafka", "kf-1", "a1"), broker("kafka", "kf-2", "b1")],
            &[
                "- {name: kf-1, namespace: kafka, pods: {matchLabels: {automq.cloud/instance-id: kf-1}}, pool: a}",
                "- {name: kf-2, namespace: kafka, pods: {matchLabels: {automq.cloud/instance-id: kf-2}}, pool: b}",
            ],
        ),
        (
            vec![
                broker("kafka", "kf-1", "a1"),
                broker("kafka", "kf-1", "a2"),
                broker("kafka", "kf-1", "b1"),
                broker("kafka", "kf-1", "s"),
            ],
            &[
                "# check: its pods run in pools a (2) and b (1)",
                "# check: 1 of 4 pods runs on nodes that are in no pool",
                "- {name: kf-1, namespace: kafka, pool: a}",
            ],
        ),
        (
            vec![selecting(broker("kafka", "kf-1", ""), "b")],
            &[
                "# check: no pod of this instance runs on a pool; the nodeSelector and node affinity of its pods match only this pool",
                "- {name: kf-1, namespace: kafka, pool: b}",
            ],
        ),
        (
            vec![stateful_set("kafka", "release"), pod("shop", "web", "s")],
            &[
                "# check: no pod of this instance runs on a pool; replace POOL by one of a and b, and uncomment the entry (and the line `instances:` above, if it is a comment)",
                "# - {name: release, namespace: kafka, pool: POOL}",
                "# instances:",
            ],
        ),
        (
            vec![broker("kafka", "kf-1", "a1"), pod("kafka", "operator", "s")],
            &[
                "# check: 1 of 2 pods lacks AutoMQ's labels, but PoolGuard treats it as an AutoMQ pod",
                "- {name: kf-1, namespace: kafka, pods: {matchLabels: {automq.cloud/instance-id: kf-1}}, pool: a}",
            ],
        ),
        (
            vec![broker("kafka", "kf-1", "s")],
            &[
                "- name: system",
                "# check: this pool is in the draft only because pods of kf-1 run on its nodes",
                "# check: no node of this pool has the taint dedicated=automq:NoSchedule, so other pods can run on these nodes",
                "- {name: kf-1, namespace: kafka, pool: system}",
            ],
        ),
    ] {
        check(&[&broker_nodes()[..], &pods].concat(), lines);
    }
}

#[test]
fn without_pods_a_pool_is_chosen_by_the_pod_template() {
    let items = [&broker_nodes()[..], &[stateful_set("kafka", "release")]].concat();
    let (text, _) = drafted(&items);
    assert!(text.contains("# check: the input contains no pods; replace POOL by one of"), "{text}");
}

#[test]
fn namespaces_are_those_of_pods_or_fit_by_name() {
    for (pods, lines) in [
        (
            vec![
                namespace("automq"),
                namespace("automq-1"),
                namespace("shop"),
                pod("automq-1", "x", "a1"),
            ],
            &[
                "# check: a guess from the names of the namespaces, because no pod has AutoMQ's labels. Remove each namespace that is not AutoMQ's, because PoolGuard lets every pod of these namespaces run on the pools",
                "namespaces: [automq, automq-1]",
                "# check: no pod in this namespace has a label for its instance, so the whole namespace is one instance",
                "- {name: automq-1, namespace: automq-1, pool: a}",
            ][..],
        ),
        (
            vec![
                broker("kafka", "kf-1", "a1"),
                namespace("automq-next"),
                broker("kube-system", "kf-9", "a1"),
            ],
            &[
                "# check: add automq-next if AutoMQ uses it: its name looks like AutoMQ's, but no AutoMQ pod runs there",
                "namespaces: [kafka]",
                "# check: kube-system has pods with AutoMQ's labels, but is a system namespace",
                "!kf-9",
            ],
        ),
        (
            vec![broker("one", "kf", "a1"), broker("two", "kf", "b1")],
            &["- {name: kf, namespace: one, pool: a}", "- {name: kf-2, namespace: two, pool: b}"],
        ),
        (
            vec![pod("shop", "web", "s")],
            &[
                "# check: no pod has AutoMQ's labels, so this is only the default name",
                "namespaces: [automq]",
                "# - {name: instance-1, namespace: automq, pool: a}",
            ],
        ),
    ] {
        check(&[&broker_nodes()[..], &pods].concat(), lines);
    }
}

#[test]
fn daemon_sets_on_pools_become_exemptions() {
    let anything = json!([{"operator": "Exists"}]);
    let mut running = pod("logs", "agent-1", "a1");
    running["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "u", "controller": true}]);
    let items = [
        broker_node("a1"),
        broker("kafka", "kf-1", "a1"),
        running,
        daemon_set("monitoring", "node-exporter", &anything),
        daemon_set("monitoring", "elsewhere", &json!([])),
        daemon_set("kube-system", "aws-node", &anything),
        daemon_set("amazon-cloudwatch", "fluent-bit", &anything),
        daemon_set("kafka", "own", &anything),
    ];
    check(
        &items,
        &[
            "# check: keep only the agents that every node needs, and write the reason for each",
            "- {namespace: logs, daemonSets: [agent], reason: \"runs on the pools' nodes\"}",
            "- {namespace: monitoring, daemonSets: [node-exporter], reason: \"tolerates the pools' taint\"}",
            "!elsewhere",
            "!aws-node",
            "!fluent-bit",
            "!daemonSets: [own]",
        ],
    );
    check(&[broker_node("a1")], &["!exempt:"]);
}

#[test]
fn roles_and_console_come_from_aws_auth_and_bindings() {
    const NODE: &str = "- {rolearn: 'arn:aws:iam::1:role/node', username: 'system:node:{{EC2PrivateDNSName}}', groups: ['system:nodes']}\n";
    const OTHER: &str = "- {rolearn: 'arn:aws:iam::1:role/other', groups: ['system:nodes']}\n";
    const CONSOLE: &str = "- {rolearn: 'arn:aws:iam::1:role/path/automq-console', username: 'console:{{SessionName}}', groups: ['system:masters']}\n";
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "console"},
        "subjects": [{"kind": "User", "name": "automq@example.com"}, {"kind": "User", "name": "automq\n*"}],
    });
    for (roles, lines) in [
        (
            [NODE, CONSOLE].concat(),
            &[
                "# check: aws-auth has only this node role; make sure that the nodes of this pool use it",
                "role: \"arn:aws:iam::1:role/node\"",
                "#     # check: ConfigMap kube-system/aws-auth names this user",
                "#     - \"console:*\"",
            ][..],
        ),
        (
            [NODE, OTHER].concat(),
            &[
                "# check: aws-auth has 2 node roles; add `role:` with the role of this pool, one of arn:aws:iam::1:role/node and arn:aws:iam::1:role/other",
                "!  role:",
            ],
        ),
        (
            "{not: [a list".to_owned(),
            &[
                "# To protect the entry of a pool's IAM role in aws-auth, add `role:` with its ARN to the pool.",
                "!  role:",
            ],
        ),
    ] {
        check(&[broker_node("a1"), aws_auth_of(&roles), binding.clone()], lines);
    }
    check(
        &[broker_node("a1"), binding],
        &[
            "#     # check: ClusterRoleBinding console names this user",
            "#     - \"automq@example.com\"",
            "!CONSOLE",
        ],
    );
    check(&[broker_node("a1")], &["#     - CONSOLE"]);
}

#[test]
fn choices_count_for_more_than_what_was_found() {
    let items = [
        broker_node("a1"),
        node("b1", "b", "z2", "r6in.large", &[TAINT]),
        broker("kafka", "kf-1", "a1"),
        pod("team", "x", "b1"),
    ];
    let choices = DraftChoices {
        namespaces: Some(vec!["team".to_owned()]),
        pools: Some(vec!["b".to_owned()]),
        console: Some("system:serviceaccount:console:automq".to_owned()),
    };
    let text = text_with(&items, &choices);
    assert!(
        text.contains("namespaces: [team]")
            && text.contains("- {name: team, namespace: team, pool: b}"),
        "{text}"
    );
    assert!(!text.contains("- name: a\n") && !text.contains("kf-1"), "{text}");
    assert!(text.contains("serviceAccounts: [console/automq]"), "{text}");
    let loaded = config::load("", &text, None).unwrap();
    assert_eq!(loaded.warnings.len(), 0);
}

#[test]
fn gaps_of_the_input_are_told() {
    let (text, _) = drafted(&[broker_node("a1")]);
    assert!(
        text.contains("# check: the draft does not show which instances run, because the input contains no pods"),
        "{text}"
    );
    assert!(text.contains("#   kubectl get nodes,"), "{text}");
    let (text, _) =
        drafted(&[broker_node("a1"), pod("kafka", "x", "a1"), daemon_set("a", "b", &json!([]))]);
    assert!(!text.contains("The input holds no"), "{text}");
    let mut unknown = node("1", "a", "z1", "t", &[TAINT]);
    unknown["spec"]["providerID"] = json!("");
    unknown["metadata"]["labels"] = json!({"karpenter.sh/nodepool": "a"});
    check(&[unknown], &["!\nprovider:", "- name: a"]);
    let mut huawei = node("1", "", "z1", "", &[TAINT]);
    huawei["metadata"]["labels"]["cce.cloud.com/cce-nodepool"] = json!("a");
    huawei["spec"]["providerID"] = json!("huaweicloud://1");
    check(&[huawei], &["provider: huawei", "node-machine-type: {mode: \"off\"}"]);
}
