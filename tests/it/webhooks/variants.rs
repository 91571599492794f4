//! Configs that ask for different entries, over the recorded cluster.

use crate::scenario::{Scenario, data_text};

const RULES: [&str; 10] = [
    "pod-intrusion",
    "workload-intrusion",
    "pod-placement",
    "cluster-exclusive",
    "node-taint",
    "node-identity",
    "node-machine-type",
    "node-zone",
    "node-pool",
    "role-binding",
];

/// Every rule in this mode.
pub(super) fn all_in(mode: &str) -> String {
    let rules: Vec<String> = RULES
        .iter()
        .map(|rule| match *rule {
            "pod-intrusion" => format!("pod-intrusion: {{mode: {mode}, daemonSets: {mode}}}"),
            // Anything above audit asks for every pod.
            "cluster-exclusive" if mode != "off" => "cluster-exclusive: {mode: audit}".to_owned(),
            rule => format!("{rule}: {{mode: {mode}}}"),
        })
        .collect();
    format!("rules: {{{}}}", rules.join(", "))
}

/// A config that asks for entries of its own.
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) scenario: Scenario,
}

/// With the recorded config first.
pub(super) fn variants() -> Vec<Variant> {
    let with = |name, lines: &str| Variant { name, scenario: Scenario::with(lines) };
    let replacing = |name, replacements: &[(&str, &str)]| Variant {
        name,
        scenario: Scenario::replacing(replacements),
    };
    let namespaces =
        "namespaces: [automq, automq-instance-1, automq-instance-2, automq-instance-3]";
    let exempt = "- {namespace: kube-system, reason: \"CNI, kube-proxy, CSI\"}";
    let pool_b = "- name: pool-b\n";
    let group = "breakGlass: {groups: [\"poolguard:break-glass\"]}";
    let protected = "protected:\n";
    vec![
        Variant { name: "recorded", scenario: Scenario::recorded() },
        with("warn", &all_in("warn")),
        with("audit", &all_in("audit")),
        with("backstop", "backstop: {mode: managed}"),
        with("backstop and warn", &format!("backstop: {{mode: managed}}\n{}", all_in("warn"))),
        with("backstop instead", "backstop: {mode: managed}\nonOutage: backstop"),
        with("cluster-exclusive warn", "rules: {cluster-exclusive: {mode: warn}}"),
        with("cluster-exclusive enforce", "rules: {cluster-exclusive: {mode: enforce}}"),
        with(
            "cluster-exclusive alone",
            "rules: {pod-intrusion: {mode: off, daemonSets: off}, cluster-exclusive: {mode: enforce}}",
        ),
        with("discovery off", "discovery: {enabled: false}"),
        with("comparisons", "placement: {comparisonOperators: true}"),
        with("DaemonSets in warn", "rules: {pod-intrusion: {daemonSets: warn}}"),
        with(
            "nodes off but for zones",
            "rules: {node-taint: {mode: off}, node-identity: {mode: off}, node-machine-type: {mode: off}}",
        ),
        with(
            "trusted",
            "principals: {trusted: {users: [\"arn:aws:sts::*:assumed-role/automq.(x)-*/*\", \"it's\"], \
             groups: [platform, \"team-?\"], serviceAccounts: [automq/operator-*, \"shop*/x\", a/b]}}",
        ),
        replacing(
            "a glob beside names",
            &[(namespaces, "namespaces: [automq, automq-instance-*]")],
        ),
        replacing("one glob", &[(namespaces, "namespaces: [\"automq*\"]")]),
        replacing(
            "labels",
            &[(
                namespaces,
                "namespaces: [automq, \"automq-instance-?\"]\n  pods: {matchExpressions: [{key: app, operator: \
                 In, values: [kafka, \"\"]}, {key: foreign, operator: DoesNotExist}]}",
            )],
        ),
        replacing(
            "labels and service accounts",
            &[(
                namespaces,
                "namespaces: [automq, automq-instance-1, automq-instance-2, automq-instance-3]\n  \
                 pods: {matchLabels: {app: kafka}}\n  serviceAccounts: [default, \"automq*\"]",
            )],
        ),
        replacing(
            "exemptions",
            &[(
                exempt,
                "- {namespace: monitoring, serviceAccounts: [\"node-*\", default], reason: a}\n\
                 - {namespace: \"shop*\", daemonSets: [\"node-*\", log-agent], reason: b}\n\
                 - {namespace: shop, pods: {matchLabels: {app: web}}, reason: c}\n\
                 - {namespace: \"kube-*\", reason: d}\n\
                 - {namespace: default, reason: e}",
            )],
        ),
        replacing(
            "taints",
            &[(
                pool_b,
                "- name: pool-b\n  taint: {key: special, value: \"\", effect: NoExecute}\n",
            )],
        ),
        replacing("two break-glass groups", &[(group, "breakGlass: {groups: [it's, other]}")]),
        replacing("no break-glass group", &[(group, "breakGlass: {groups: []}")]),
        replacing(
            "protected",
            &[(
                protected,
                "protected:\n\
                 - {name: a, resource: clusterroles.rbac.authorization.k8s.io, names: [automq-*]}\n\
                 - {name: b, resource: roles.rbac.authorization.k8s.io, namespace: \"automq*\", names: [\"*\"]}\n\
                 - {name: c, resource: configmaps, namespace: \"s?op\", names: [odd], fields: [/data/mapRoles, /data/x/0/y, /0]}\n\
                 - {name: d, resource: serviceaccounts, namespace: shop, names: [odd, p], fields: [/metadata/annotations/a~1b~0c, /metadata/labels]}\n\
                 - {name: e, resource: rolebindings.rbac.authorization.k8s.io, names: [\"automq-*\"], fields: [/a~1b/m~0n, /roleRef/name]}\n\
                 - {name: f, resource: namespaces, names: [\"*\"], fields: [/metadata/labels/owner]}\n\
                 - {name: g, resource: pods, names: [\"*\"], fields: [/metadata/labels/owner]}\n\
                 - {name: h, resource: nodes, names: [\"*\"], fields: [/metadata/labels/owner]}\n",
            )],
        ),
        Variant { name: "empty", scenario: Scenario::new("", &data_text("cluster.json")) },
    ]
}
