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
    choice::{ApiVersion, CatalogMode, Effect, Kind, Operator, Provider, Registration, ZoneSpread},
    rules::{JoinRule, Rule, Rules},
};

/// Configuration of PoolGuard, which keeps AutoMQ's dedicated node pools dedicated.
///
/// Everything but `apiVersion` and `kind` may be left out: pools are then discovered from the
/// taint, and the provider is read from the nodes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "PoolGuardConfig")]
pub(super) struct Raw {
    /// Version of this format.
    #[schemars(required)]
    #[expect(dead_code, reason = "the check of the structure is all there is to say about it")]
    pub(super) api_version: Option<ApiVersion>,
    /// Kind of this document.
    #[schemars(required)]
    #[expect(dead_code, reason = "the check of the structure is all there is to say about it")]
    pub(super) kind: Option<Kind>,
    /// The cloud that the cluster runs on. Left out, it is read from the nodes' `providerID`.
    #[schemars(example = &"aws")]
    pub(super) provider: Option<Provider>,
    /// The taint of every pool's nodes, by which undeclared pools are found as well. A part that is
    /// left out is that of `dedicated=automq:NoSchedule`.
    #[serde(default)]
    #[schemars(extend("default" = {"key": "dedicated", "value": "automq", "effect": "NoSchedule"}))]
    pub(super) taint: Taint,
    /// Which pods are AutoMQ's.
    #[serde(default)]
    pub(super) automq: AutoMq,
    /// Pools that this file does not declare.
    #[serde(default)]
    pub(super) discovery: Discovery,
    /// The node pools that are dedicated to AutoMQ. Should two claim one node, the first has it.
    #[serde(default)]
    pub(super) pools: Vec<Pool>,
    /// The AutoMQ clusters, each bound to a pool. The first that matches a pod has it.
    #[serde(default)]
    pub(super) instances: Vec<Instance>,
    /// Which built-in lists are in force.
    #[serde(default)]
    pub(super) presets: Presets,
    /// Pods that may run on dedicated nodes, beside those of the presets.
    #[serde(default)]
    pub(super) exempt: Vec<Exemption>,
    /// Objects that hold a pool's role together, beside those that the provider's preset protects.
    #[serde(default)]
    pub(super) protected: Vec<Protected>,
    /// Who may change nodes and protected objects.
    #[serde(default)]
    pub(super) principals: Principals,
    /// Who is always allowed, and always recorded.
    #[serde(default)]
    pub(super) break_glass: BreakGlass,
    /// How tolerations and taints are read.
    #[serde(default)]
    pub(super) placement: Placement,
    /// Machine types for the pools that list none.
    #[serde(default)]
    pub(super) catalog: Catalog,
    /// The cluster facts that decisions read.
    #[serde(default)]
    pub(super) snapshot: Snapshot,
    /// The background scan of what is there already.
    #[serde(default)]
    pub(super) scan: Scan,
    /// Who writes the webhook configurations: PoolGuard itself (`managed`), or somebody who applies
    /// what `poolguard render webhooks` prints (`external`).
    #[serde(default)]
    pub(super) registration: Registration,
    /// What each rule does when it finds something.
    #[serde(default)]
    pub(super) rules: Rules,
}

/// A taint, or the parts of it that differ from the default.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Taint {
    /// Label key.
    #[schemars(example = &"dedicated")]
    pub(super) key: Option<String>,
    /// May be empty.
    #[schemars(example = &"automq")]
    pub(super) value: Option<String>,
    /// What the taint does to pods that do not tolerate it.
    #[schemars(extend("x-refusals" = {
        "PreferNoSchedule": "`PreferNoSchedule` keeps no pod out, so that everybody could run there"
    }))]
    pub(super) effect: Option<Effect>,
}

/// Which pods are AutoMQ's. All conditions must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AutoMq {
    /// Namespaces of AutoMQ, names or globs. Whoever may create a namespace that a glob matches can
    /// make its pods AutoMQ's.
    #[serde(default = "automq_namespaces")]
    #[schemars(length(min = 1))]
    pub(super) namespaces: Vec<String>,
    /// Labels that the pods must have.
    #[serde(default)]
    pub(super) pods: Selector,
    /// Service accounts that the pods must have one of, names or globs. Empty: any.
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

/// Pools that this file does not declare.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Discovery {
    /// Whether nodes that carry the taint outside every declared pool form pools of their own,
    /// named by the provider's node-pool label.
    #[serde(default = "yes")]
    pub(super) enabled: bool,
}

impl Default for Discovery {
    fn default() -> Self {
        Self { enabled: yes() }
    }
}

fn yes() -> bool {
    true
}

/// A label selector, as Kubernetes has it: everything in it must hold.
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
    /// Label key.
    #[schemars(required)]
    pub(super) key: Option<String>,
    /// How the label is compared with the values.
    #[schemars(required)]
    pub(super) operator: Option<Operator>,
    /// At least one for `In` and `NotIn`, none for `Exists` and `DoesNotExist`.
    #[serde(default)]
    pub(super) values: Vec<String>,
}

/// A pool of nodes that is dedicated to AutoMQ.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Pool {
    /// Name, unique among the pools.
    #[schemars(required, example = &"pool-a")]
    pub(super) name: Option<String>,
    /// Labels of the pool's nodes, at least one.
    #[schemars(required)]
    pub(super) nodes: Option<Selector>,
    /// The zones of the pool: one, or three. Left out, they are not judged.
    #[schemars(length(min = 1, max = 3), extend("uniqueItems" = true), example = &["us-east-1a"])]
    pub(super) zones: Option<Vec<String>>,
    /// Machine types that the pool's nodes may have. Left out, the catalog's.
    #[schemars(length(min = 1), extend("uniqueItems" = true), example = &["r6in.large"])]
    pub(super) machine_types: Option<Vec<String>>,
    /// The pool's cloud identity, as the provider spells it. On AWS, the `aws-auth` entry of this
    /// role is protected.
    #[schemars(example = &"arn:aws:iam::111122223333:role/automq-node")]
    pub(super) role: Option<String>,
    /// The pool's taint, where it differs from the default.
    #[serde(default)]
    pub(super) taint: Taint,
    /// Taints that the pool's nodes carry beside it for good, and on purpose: `pod-placement` gives the
    /// pool's pods their tolerations.
    #[serde(default)]
    pub(super) additional_taints: Vec<AdditionalTaint>,
}

/// A taint that a pool's nodes carry beside the pool's own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AdditionalTaint {
    /// Label key.
    #[schemars(required, example = &"kubernetes.io/arch")]
    pub(super) key: Option<String>,
    /// Left out, it is empty.
    #[serde(default)]
    #[schemars(example = &"arm64")]
    pub(super) value: String,
    /// What the taint does to pods that do not tolerate it.
    #[schemars(required, extend("x-refusals" = {
        "PreferNoSchedule": "`PreferNoSchedule` keeps no pod out and need not be declared"
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
    /// Name, unique among the instances.
    #[schemars(required, example = &"instance-1")]
    pub(super) name: Option<String>,
    /// The namespace of its pods, one of AutoMQ's.
    #[schemars(required, example = &"automq-instance-1")]
    pub(super) namespace: Option<String>,
    /// Labels of its pods. Left out: every pod of the namespace.
    #[serde(default)]
    pub(super) pods: Selector,
    /// Name of the pool that its pods belong on, one of `pools`.
    #[schemars(required, example = &"pool-a")]
    pub(super) pool: Option<String>,
    /// Whether its pods are spread over the zones, and what happens to one that cannot be. Left
    /// out: they are not spread.
    pub(super) zone_spread: Option<ZoneSpread>,
}

/// Pods that may run on dedicated nodes. All conditions must hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Exemption {
    /// Namespace, name or glob.
    #[schemars(required, example = &"kube-system")]
    pub(super) namespace: Option<String>,
    /// Service accounts, names or globs. Empty: any.
    #[serde(default)]
    pub(super) service_accounts: Vec<String>,
    /// DaemonSets that control the pod, names or globs. Empty: any pod.
    #[serde(default)]
    pub(super) daemon_sets: Vec<String>,
    /// Labels of the pod, which anyone can write.
    #[serde(default)]
    pub(super) pods: Selector,
    /// Why, for people and records.
    #[schemars(required, length(min = 1), example = &"node metrics")]
    pub(super) reason: Option<String>,
}

/// Objects that hold a pool's role together.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Protected {
    /// Name of the entry, unique, for people and records.
    #[schemars(required, example = &"operator-binding")]
    pub(super) name: Option<String>,
    /// `plural` or `plural.group`, in any version.
    #[schemars(required, example = &"clusterrolebindings.rbac.authorization.k8s.io")]
    pub(super) resource: Option<String>,
    /// Namespace, name or glob. Left out: any, and cluster-scoped objects.
    #[schemars(example = &"kube-system")]
    pub(super) namespace: Option<String>,
    /// Names of the objects, names or globs.
    #[schemars(required, length(min = 1), example = &["aws-auth"])]
    pub(super) names: Option<Vec<String>>,
    /// JSON pointers to the fields that may not change. Left out: nothing outside `metadata` and
    /// `status` may.
    #[schemars(length(min = 1), example = &["/data/mapRoles"])]
    pub(super) fields: Option<Vec<String>>,
    /// For fields that hold a YAML list as text: these items of the list must stay as they are, and
    /// everything else may change.
    #[schemars(length(min = 1))]
    pub(super) must_keep_items: Option<Vec<KeepItem>>,
}

/// An item of a list, found by one of its keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct KeepItem {
    /// A key of the items.
    #[schemars(required, example = &"rolearn")]
    pub(super) by: Option<String>,
    /// The value of that key.
    #[schemars(required, example = &"arn:aws:iam::111122223333:role/automq-node")]
    pub(super) value: Option<String>,
}

/// Who may change nodes and protected objects.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Principals {
    /// Pass `node-taint`, `node-identity` and `role-binding`, and nothing else. AutoMQ's console
    /// belongs here: it is an outside identity that changes its own objects.
    #[serde(default)]
    pub(super) trusted: TrustedPrincipals,
}

/// Principals, names or globs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TrustedPrincipals {
    /// User names, as `userInfo.username` has them.
    #[serde(default)]
    #[schemars(example = &["arn:aws:sts::111122223333:assumed-role/automq-console/*"])]
    pub(super) users: Vec<String>,
    /// Groups.
    #[serde(default)]
    pub(super) groups: Vec<String>,
    /// Service accounts, as `namespace/name`.
    #[serde(default)]
    #[schemars(example = &["argocd/argocd-application-controller"])]
    pub(super) service_accounts: Vec<String>,
}

/// Who is always allowed, and always recorded.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BreakGlass {
    /// Groups, by exact name; reached by impersonation.
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

/// How tolerations and taints are read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Placement {
    /// Whether tolerations with the operators `Lt` and `Gt` compare, as in a cluster with the
    /// feature gate `TaintTolerationComparisonOperators`.
    #[serde(default)]
    pub(super) comparison_operators: bool,
    /// Keys of further taints that come and go and so keep no pod out for good, names or globs.
    #[serde(default)]
    #[schemars(example = &["example.com/initialising"])]
    pub(super) transient_taints: Vec<String>,
}

/// Machine types for the pools that list none.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Catalog {
    /// Whether the types below are added to the provider's built-in list or stand in its place.
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
    /// Types of class small.
    #[serde(default)]
    pub(super) small: Vec<String>,
    /// Types of class medium.
    #[serde(default)]
    pub(super) medium: Vec<String>,
    /// Types of class large.
    #[serde(default)]
    pub(super) large: Vec<String>,
}

/// The cluster facts that decisions read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Snapshot {
    /// The age of the cluster facts above which PoolGuard marks its decisions with `staleSnapshot`. It goes on
    /// deciding. A duration in `h`, `m`, `s` and `ms`, as `10m` or `1h30m`.
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

/// The background scan of what is there already.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Scan {
    /// Whether to scan.
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    /// Time between two scans. A duration in `h`, `m`, `s` and `ms`, as `10m` or `1h30m`.
    #[serde(default = "ten_minutes")]
    #[schemars(regex(pattern = super::duration::PATTERN), example = &"10m")]
    pub(super) interval: String,
}

impl Default for Scan {
    fn default() -> Self {
        Self { enabled: yes(), interval: ten_minutes() }
    }
}
