//! Generated configs: protected entries over kinds that other rules are about as well.

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};

pub(super) const BREAK_GLASS_GROUPS: [&str; 2] = ["poolguard:break-glass", "it's"];

/// Cluster-scoped kinds.
const CLUSTER_KINDS: [&str; 5] = [
    "namespaces",
    "nodes",
    "clusterroles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
    "nodeclasses.karpenter.example.com",
];

/// Kinds that have a namespace; two of them are custom, one of which is called like nodes.
const NAMESPACED_KINDS: [&str; 11] = [
    "pods",
    "deployments.apps",
    "statefulsets.apps",
    "jobs.batch",
    "replicationcontrollers",
    "configmaps",
    "serviceaccounts",
    "roles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "nodepools.example.com",
    "nodes.metrics.example.com",
];

/// A protected entry without its name.
fn protected() -> impl Strategy<Value = String> {
    let namespaces =
        ["kube-system", "automq", "automq-instance-1", "shop", "monitoring", "auto*", "s?op*", "*"];
    let resource = prop_oneof![
        // What most other entries are about, in every namespace.
        4 => select(&["pods", "nodes", "namespaces", "nodes.metrics.example.com"][..])
            .prop_map(|kind| format!("resource: {kind}")),
        2 => select(&CLUSTER_KINDS[..]).prop_map(|kind| format!("resource: {kind}")),
        3 => (select(&NAMESPACED_KINDS[..]), option::of(select(namespaces.to_vec()))).prop_map(
            |(kind, namespace)| match namespace {
                // The config takes what is called like nodes for cluster-scoped.
                Some(namespace) if !kind.starts_with("nodes.") => format!("resource: {kind}, namespace: \"{namespace}\""),
                _ => format!("resource: {kind}"),
            },
        ),
    ];
    let names = select(&["[\"*\"]", "[o]", "[\"o*\", shop, kube-system]"][..]);
    let fields = select(
        &[
            "",
            ", fields: [/metadata/labels/owner]",
            ", fields: [/spec]",
            ", fields: [/data/x, /metadata/annotations/a~1b]",
        ][..],
    );
    (resource, names, fields)
        .prop_map(|(resource, names, fields)| format!("{resource}, names: {names}{fields}"))
}

fn modes() -> impl Strategy<Value = String> {
    let mode = || prop_oneof![3 => Just("enforce"), 2 => select(&["warn", "audit", "off"][..])];
    (mode(), mode(), mode(), mode(), mode(), mode(), mode(), select(&["audit", "enforce"][..])).prop_map(
        |(roles, intrusion, daemon_sets, workloads, placement, nodes, node_pools, exclusive)| {
            format!(
                "rules: {{role-binding: {{mode: {roles}}}, pod-intrusion: {{mode: {intrusion}, \
                 daemonSets: {daemon_sets}}}, workload-intrusion: {{mode: {workloads}}}, \
                 pod-placement: {{mode: {placement}}}, node-taint: {{mode: {nodes}}}, \
                 node-identity: {{mode: {nodes}}}, node-zone: {{mode: {nodes}}}, \
                 node-machine-type: {{mode: {nodes}}}, node-pool: {{mode: {node_pools}}}, cluster-exclusive: {{mode: {exclusive}}}}}"
            )
        },
    )
}

/// AutoMQ's namespaces, with one of which an instance may be in.
fn automq() -> impl Strategy<Value = String> {
    let namespaces = select(
        &["[automq]", "[automq, automq-instance-1]", "[\"automq*\"]", "[automq, \"*-1\"]"][..],
    );
    let pods = select(&["", "  pods: {matchLabels: {app: kafka}}\n"][..]);
    (namespaces, pods)
        .prop_map(|(namespaces, pods)| format!("automq:\n  namespaces: {namespaces}\n{pods}"))
}

fn exempt() -> impl Strategy<Value = String> {
    let entries = [
        "{namespace: monitoring, reason: a}",
        "{namespace: \"shop-*\", daemonSets: [agent], reason: b}",
        "{namespace: shop, pods: {matchLabels: {app: web}}, reason: c}",
    ];
    subsequence(entries.to_vec(), 0..=3)
        .prop_map(|entries| format!("exempt: [{}]", entries.join(", ")))
}

fn principals() -> impl Strategy<Value = String> {
    let trusted = select(
        &["{}", "{users: [trusted-*]}", "{groups: [platform], serviceAccounts: [\"shop/*\"]}"][..],
    );
    let groups = prop_oneof![
        3 => Just(BREAK_GLASS_GROUPS.to_vec()),
        1 => subsequence(BREAK_GLASS_GROUPS.to_vec(), 0..=1),
    ];
    let groups = groups.prop_map(|groups| {
        let groups: Vec<String> = groups.iter().map(|group| format!("\"{group}\"")).collect();
        groups.join(", ")
    });
    (trusted, groups).prop_map(|(trusted, groups)| {
        format!("principals: {{trusted: {trusted}}}\nbreakGlass: {{groups: [{groups}]}}")
    })
}

/// A config over the recorded cluster.
pub(super) fn config() -> BoxedStrategy<String> {
    let parts = (automq(), exempt(), principals(), modes());
    (parts, vec(protected(), 1..5), any::<bool>(), any::<bool>())
        .prop_map(|((automq, exempt, principals, modes), protected, has_pool, has_instance)| {
            let pools = if has_pool {
                "[{name: pool-a, nodes: {matchLabels: {eks.amazonaws.com/nodegroup: automq-a}}, zones: [us-east-1a]}]"
            } else {
                "[]"
            };
            let instances = if has_pool && has_instance {
                "[{name: one, namespace: automq, pool: pool-a}]"
            } else {
                "[]"
            };
            let protected: Vec<String> = protected
                .iter()
                .enumerate()
                .map(|(index, entry)| format!("- {{name: p{index}, {entry}}}\n"))
                .collect();
            format!(
                "apiVersion: poolguard.io/v1alpha1\nkind: PoolGuardConfig\nprovider: aws\n{automq}\
                 pools: {pools}\ninstances: {instances}\n{exempt}\nprotected:\n{}{principals}\n{modes}\n",
                protected.concat()
            )
        })
        .boxed()
}
