//! The file as it is written: plain mirrors, nothing else.
//!
//! What is documented here is what the JSON Schema says and editors show. A required key is an
//! `Option`, since one run reports every mistake: the check of the structure says that it is
//! missing, and the rest is looked at all the same.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

mod choice;
mod rules;

pub(super) use self::{
    choice::{
        ApiVersion, BackstopMode, CatalogMode, Effect, Kind, OnOutage, Operator, Provider,
        Registration, ZoneSpread,
    },
    rules::{JoinRule, Rule, Rules},
};

/// The configuration of PoolGuard, which keeps AutoMQ's dedicated node pools dedicated.
///
/// Only `apiVersion` and `kind` are required. Without the other keys, PoolGuard finds pools by their taint and
/// reads the provider from the nodes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "PoolGuardConfig", extend("x-refusals" = {
    "mode": "set the mode of each rule under `rules`; `mode` is a value of the Helm chart"
}))]
pub(super) struct Raw {
    /// Version of this format.
    #[schemars(required)]
    #[expect(dead_code, reason = "the check of the structure is all there is to say about it")]
    pub(super) api_version: Option<ApiVersion>,
    /// Kind of this document.
    #[schemars(required)]
    #[expect(dead_code, reason = "the check of the structure is all there is to say about it")]
    pub(super) kind: Option<Kind>,
    /// The cloud on which the cluster runs. If you omit it, PoolGuard reads it from the nodes' `providerID`.
    #[schemars(example = &"aws")]
    pub(super) provider: Option<Provider>,
    /// The taint of every pool's nodes. PoolGuard finds pools that you did not declare by it. Parts that you omit have
    /// the values of `dedicated=automq:NoSchedule`.
    #[serde(default)]
    #[schemars(extend("default" = {"key": "dedicated", "value": "automq", "effect": "NoSchedule"}))]
    pub(super) taint: Taint,
    /// The conditions that make a pod an AutoMQ pod.
    #[serde(default)]
    pub(super) automq: AutoMq,
    /// The discovery of pools that this file does not declare.
    #[serde(default)]
    pub(super) discovery: Discovery,
    /// The node pools that are dedicated to AutoMQ. If a node matches two pools, the first one counts.
    #[serde(default)]
    pub(super) pools: Vec<Pool>,
    /// The AutoMQ clusters (instances), each with its pool. If a pod matches two instances, the first one
    /// counts.
    #[serde(default)]
    pub(super) instances: Vec<Instance>,
    /// Which built-in lists are in force.
    #[serde(default)]
    pub(super) presets: Presets,
    /// Other pods that may run on dedicated nodes, in addition to those of the presets.
    #[serde(default)]
    pub(super) exempt: Vec<Exemption>,
    /// Objects that AutoMQ's permissions depend on, in addition to those that the provider's preset protects.
    #[serde(default)]
    pub(super) protected: Vec<Protected>,
    /// The custom resources that make nodes, and whose changes the API server sends to PoolGuard, such as
    /// `nodepools.karpenter.sh`. If you omit this key, these are all that PoolGuard knows and the cluster has.
    pub(super) node_pool_objects: Option<Vec<String>>,
    /// The users who may change nodes and protected objects.
    #[serde(default)]
    pub(super) principals: Principals,
    /// The groups whose requests PoolGuard always allows. It records those that the API server sends to it.
    #[serde(default)]
    pub(super) break_glass: BreakGlass,
    /// How PoolGuard evaluates tolerations and taints.
    #[serde(default)]
    pub(super) placement: Placement,
    /// The machine types for pools without `machineTypes`.
    #[serde(default)]
    pub(super) catalog: Catalog,
    /// The state of the cluster that PoolGuard uses for decisions.
    #[serde(default)]
    pub(super) snapshot: Snapshot,
    /// The background scan, which checks the objects that already exist.
    #[serde(default)]
    pub(super) scan: Scan,
    /// How the webhook configurations are applied: by PoolGuard itself (`managed`), or by another tool with the
    /// output of `poolguard render webhooks` (`external`).
    #[serde(default)]
    pub(super) registration: Registration,
    /// The policies with which the API server itself denies intruders while PoolGuard does not answer.
    #[serde(default)]
    pub(super) backstop: Backstop,
    /// What the API server does with pods that could be intruders while PoolGuard does not answer.
    #[serde(default)]
    pub(super) on_outage: OnOutage,
    /// The mode of each rule: what it does when it finds a violation.
    #[serde(default)]
    pub(super) rules: Rules,
}

/// The policies with which the API server itself denies intruders while PoolGuard does not answer.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Backstop {
    /// Whether PoolGuard creates these policies, and restores them after a change.
    #[serde(default)]
    pub(super) mode: BackstopMode,
}

/// A taint. Parts that you omit have the default values.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Taint {
    /// The key of the taint.
    #[schemars(example = &"dedicated")]
    pub(super) key: Option<String>,
    /// The value; it may be empty.
    #[schemars(example = &"automq")]
    pub(super) value: Option<String>,
    /// What the taint does to pods that do not tolerate it.
    #[schemars(extend("x-refusals" = {
        "PreferNoSchedule": "`PreferNoSchedule` does not keep pods out: write `NoSchedule`"
    }))]
    pub(super) effect: Option<Effect>,
}

/// The conditions that make a pod an AutoMQ pod. All of them must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AutoMq {
    /// The namespaces of AutoMQ, as names or globs. Anyone who can create a namespace that matches a glob can
    /// run pods on the pools.
    #[serde(default = "automq_namespaces")]
    #[schemars(length(min = 1))]
    pub(super) namespaces: Vec<String>,
    /// A selector for the labels that the pods must have.
    #[serde(default)]
    pub(super) pods: Selector,
    /// Service accounts, as names or globs; a pod must use one of them. Empty: any service account.
    #[serde(default)]
    pub(super) service_accounts: Vec<String>,
}

impl Default for AutoMq {
    fn default() -> Self {
        Self {
            namespaces: automq_namespaces(),
            pods: Selector::default(),
            service_accounts: Vec::new(),
        }
    }
}

fn automq_namespaces() -> Vec<String> {
    vec!["automq".to_owned()]
}

/// The discovery of pools that this file does not declare.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Discovery {
    /// Whether PoolGuard treats nodes that have the taint but match no declared pool as further pools, named by
    /// the provider's node-pool label.
    #[serde(default = "yes")]
    pub(super) enabled: bool,
}

impl Default for Discovery {
    fn default() -> Self {
        Self { enabled: yes() }
    }
}

/// An example of a list. Schemars reads an array only where another crate has asked `syn` for all its features.
const fn list(item: &str) -> [&str; 1] {
    [item]
}

fn yes() -> bool {
    true
}

/// A label selector as in Kubernetes: all its parts must match.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Selector {
    /// Labels with their values.
    #[serde(default)]
    pub(super) match_labels: BTreeMap<String, String>,
    /// Requirements on labels.
    #[serde(default)]
    pub(super) match_expressions: Vec<Requirement>,
}

/// A requirement on one label.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Requirement {
    /// The key of the label.
    #[schemars(required)]
    pub(super) key: Option<String>,
    /// How the label is compared with the values.
    #[schemars(required)]
    pub(super) operator: Option<Operator>,
    /// The values: at least one for `In` and `NotIn`, none for `Exists` and `DoesNotExist`.
    #[serde(default)]
    pub(super) values: Vec<String>,
}

/// A node pool that is dedicated to AutoMQ.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Pool {
    /// The name of the pool, which no other pool has.
    #[schemars(required, example = &"pool-a")]
    pub(super) name: Option<String>,
    /// A selector for the labels of the pool's nodes, with at least one condition.
    #[schemars(required)]
    pub(super) nodes: Option<Selector>,
    /// The zones of the pool: one or three. If you omit them, PoolGuard does not judge zones.
    #[schemars(length(min = 1, max = 3), extend("uniqueItems" = true), example = list("us-east-1a"))]
    pub(super) zones: Option<Vec<String>>,
    /// The machine types that the pool's nodes may have. If you omit them, the catalog's types apply.
    #[schemars(length(min = 1), extend("uniqueItems" = true), example = list("r6in.large"))]
    pub(super) machine_types: Option<Vec<String>>,
    /// The cloud role of the pool's nodes, in the provider's spelling. On AWS, PoolGuard protects the item of
    /// this role in `aws-auth`.
    #[schemars(example = &"arn:aws:iam::111122223333:role/automq-node")]
    pub(super) role: Option<String>,
    /// The pool's taint, if it differs from the default.
    #[serde(default)]
    pub(super) taint: Taint,
    /// Further permanent taints of the pool's nodes. `pod-placement` adds their tolerations to the pool's pods.
    #[serde(default)]
    pub(super) additional_taints: Vec<AdditionalTaint>,
}

/// A further taint of a pool's nodes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AdditionalTaint {
    /// The key of the taint.
    #[schemars(required, example = &"kubernetes.io/arch")]
    pub(super) key: Option<String>,
    /// The value. If you omit it, it is empty.
    #[serde(default)]
    #[schemars(example = &"arm64")]
    pub(super) value: String,
    /// What the taint does to pods that do not tolerate it.
    #[schemars(required, extend("x-refusals" = {
        "PreferNoSchedule": "`PreferNoSchedule` does not keep pods out, so you need not declare \
         this taint"
    }))]
    pub(super) effect: Option<Effect>,
}

/// Which built-in lists are in force.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Presets {
    /// Whether `kube-system` and the agents that the provider runs on every node are exempt, as
    /// `poolguard provider NAME` lists them. With `false`, only the entries of `exempt` count.
    #[serde(default = "yes")]
    pub(super) exempt: bool,
}

impl Default for Presets {
    fn default() -> Self {
        Self { exempt: true }
    }
}

/// An AutoMQ cluster.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Instance {
    /// The name of the instance, which no other instance has.
    #[schemars(required, example = &"instance-1")]
    pub(super) name: Option<String>,
    /// The namespace of its pods, which `automq.namespaces` must contain.
    #[schemars(required, example = &"automq-instance-1")]
    pub(super) namespace: Option<String>,
    /// A selector for the labels of its pods. If you omit it, every pod of the namespace belongs to the
    /// instance.
    #[serde(default)]
    pub(super) pods: Selector,
    /// The name of its pool, which `pools` must declare.
    #[schemars(required, example = &"pool-a")]
    pub(super) pool: Option<String>,
    /// How PoolGuard spreads the instance's pods over the zones: what the scheduler does with a pod that would break
    /// the spread. If you omit it, PoolGuard adds no spread.
    pub(super) zone_spread: Option<ZoneSpread>,
}

/// Pods that may run on dedicated nodes. All conditions of an entry must hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Exemption {
    /// The namespace, as a name or glob.
    #[schemars(required, example = &"kube-system")]
    pub(super) namespace: Option<String>,
    /// Service accounts, as names or globs. Empty: any service account.
    #[serde(default)]
    pub(super) service_accounts: Vec<String>,
    /// DaemonSets that control the pod, as names or globs. Empty: any pod.
    #[serde(default)]
    pub(super) daemon_sets: Vec<String>,
    /// A selector for labels of the pod. Anyone who can create pods can set labels.
    #[serde(default)]
    pub(super) pods: Selector,
    /// A short text that says why these pods are exempt; records and reports quote it.
    #[schemars(required, length(min = 1), example = &"node metrics")]
    pub(super) reason: Option<String>,
}

/// Objects that AutoMQ's permissions depend on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Protected {
    /// The name of the entry, which no other entry has; messages and records quote it.
    #[schemars(required, example = &"operator-binding")]
    pub(super) name: Option<String>,
    /// The resource, for example `configmaps` or `rolebindings.rbac.authorization.k8s.io`, without an API version.
    #[schemars(required, example = &"clusterrolebindings.rbac.authorization.k8s.io")]
    pub(super) resource: Option<String>,
    /// The namespace, as a name or glob. If you omit it, the entry covers all namespaces and cluster-scoped
    /// objects.
    #[schemars(example = &"kube-system")]
    pub(super) namespace: Option<String>,
    /// The names of the objects, as names or globs.
    #[schemars(required, length(min = 1), example = list("aws-auth"))]
    pub(super) names: Option<Vec<String>>,
    /// JSON pointers to the fields that must not change. If you omit them, nothing outside `metadata` and
    /// `status` may change.
    #[schemars(length(min = 1), example = list("/data/mapRoles"))]
    pub(super) fields: Option<Vec<String>>,
    /// For fields that contain a YAML list as text: these items of the list must not change. Everything else
    /// may change.
    #[schemars(length(min = 1))]
    pub(super) must_keep_items: Option<Vec<KeepItem>>,
}

/// An item of a list, identified by one of its keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct KeepItem {
    /// The key that identifies the item.
    #[schemars(required, example = &"rolearn")]
    pub(super) by: Option<String>,
    /// The value of this key.
    #[schemars(required, example = &"arn:aws:iam::111122223333:role/automq-node")]
    pub(super) value: Option<String>,
}

/// The users who may change nodes and protected objects.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Principals {
    /// Users to whom the rules `node-taint`, `node-identity` and `role-binding` do not apply; all other rules
    /// do. Add AutoMQ's console here: it is an external user that changes its own objects.
    #[serde(default)]
    pub(super) trusted: TrustedPrincipals,
}

/// Users, groups and service accounts, as names or globs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TrustedPrincipals {
    /// User names, in the spelling of `userInfo.username`.
    #[serde(default)]
    #[schemars(example = list("arn:aws:sts::111122223333:assumed-role/automq-console/*"))]
    pub(super) users: Vec<String>,
    /// Groups.
    #[serde(default)]
    pub(super) groups: Vec<String>,
    /// Service accounts, as `namespace/name`.
    #[serde(default)]
    #[schemars(example = list("argocd/argocd-application-controller"))]
    pub(super) service_accounts: Vec<String>,
}

/// The groups whose requests PoolGuard always allows. It records those that the API server sends to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BreakGlass {
    /// The exact names of the groups. An administrator uses them by impersonation.
    #[serde(default = "break_glass_groups")]
    pub(super) groups: Vec<String>,
}

impl Default for BreakGlass {
    fn default() -> Self {
        Self { groups: break_glass_groups() }
    }
}

fn break_glass_groups() -> Vec<String> {
    vec!["poolguard:break-glass".to_owned()]
}

/// How PoolGuard evaluates tolerations and taints.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Placement {
    /// Whether the toleration operators `Lt` and `Gt` compare numbers. Set it to true if the cluster has the
    /// feature gate `TaintTolerationComparisonOperators`.
    #[serde(default)]
    pub(super) comparison_operators: bool,
    /// The keys of further temporary taints, as names or globs. PoolGuard ignores temporary taints when it
    /// decides where a pod can run.
    #[serde(default)]
    #[schemars(example = list("example.com/initialising"))]
    pub(super) transient_taints: Vec<String>,
}

/// The machine types for pools without `machineTypes`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Catalog {
    /// Whether the types below extend or replace the provider's built-in list.
    #[serde(default)]
    pub(super) mode: CatalogMode,
    /// Machine types by size class.
    #[serde(default)]
    pub(super) machine_types: MachineTypes,
}

/// Machine types by size class.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MachineTypes {
    /// Machine types of the class small.
    #[serde(default)]
    pub(super) small: Vec<String>,
    /// Machine types of the class medium.
    #[serde(default)]
    pub(super) medium: Vec<String>,
    /// Machine types of the class large.
    #[serde(default)]
    pub(super) large: Vec<String>,
}

/// The state of the cluster that PoolGuard uses for decisions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Snapshot {
    /// The age of the cluster state above which PoolGuard marks its decisions with `staleSnapshot`. PoolGuard
    /// continues to decide. A duration in `h`, `m`, `s` and `ms`, for example `10m` or `1h30m`.
    #[serde(default = "ten_minutes")]
    #[schemars(regex(pattern = super::duration::PATTERN), example = &"10m")]
    pub(super) max_age: String,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { max_age: ten_minutes() }
    }
}

fn ten_minutes() -> String {
    "10m".to_owned()
}

/// The background scan, which checks the objects that already exist.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Scan {
    /// Whether PoolGuard scans.
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    /// The time between two scans. A duration in `h`, `m`, `s` and `ms`, for example `10m` or `1h30m`.
    #[serde(default = "ten_minutes")]
    #[schemars(regex(pattern = super::duration::PATTERN), example = &"10m")]
    pub(super) interval: String,
}

impl Default for Scan {
    fn default() -> Self {
        Self { enabled: yes(), interval: ten_minutes() }
    }
}
