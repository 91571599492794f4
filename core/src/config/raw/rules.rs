//! The rules of the file, by their names.

use schemars::JsonSchema;
use serde::Deserialize;

use super::choice::Mode;

/// The mode of each rule: what it does when it finds a violation.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::config) struct Rules {
    /// Finds pods that are neither AutoMQ pods nor exempt, and that can run on a dedicated node.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "enforce", "daemonSets": "enforce"}))]
    pub(in crate::config) pod_intrusion: PodIntrusionRule,
    /// Finds workloads whose pod template would violate `pod-intrusion`.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "warn"}))]
    pub(in crate::config) workload_intrusion: Rule,
    /// Keeps the pods of an instance on the nodes of its pool.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "enforce"}))]
    pub(in crate::config) pod_placement: Rule,
    /// Finds other pods anywhere in AutoMQ's cluster.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "audit"}))]
    pub(in crate::config) cluster_exclusive: Rule,
    /// Keeps the pool's taint on the nodes of a pool.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "enforce"}))]
    pub(in crate::config) node_taint: Rule,
    /// Keeps the labels that make a node a member of its pool, and the labels of its zone and machine type.
    ///
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "enforce"}))]
    pub(in crate::config) node_identity: Rule,
    /// Finds nodes of a pool without an approved machine type. If AutoMQ did not publish the list, `enforce`
    /// acts as `warn`.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "warn", "denyJoin": false}))]
    pub(in crate::config) node_machine_type: JoinRule,
    /// Finds nodes of a pool that are outside the pool's zones.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "warn", "denyJoin": false}))]
    pub(in crate::config) node_zone: JoinRule,
    /// Finds custom resources, such as Karpenter's NodePool, that make nodes of a pool without its taint, or with
    /// other machine types or zones.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "warn"}))]
    pub(in crate::config) node_pool: Rule,
    /// Protects the objects that AutoMQ's permissions depend on.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "enforce"}))]
    pub(in crate::config) role_binding: Rule,
}

/// The settings of a rule.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Rule {
    /// What the rule does when it finds a violation.
    pub(in crate::config) mode: Option<Mode>,
}

/// The settings of the rule `pod-intrusion`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct PodIntrusionRule {
    /// What the rule does when it finds a violation.
    pub(in crate::config) mode: Option<Mode>,
    /// The mode for DaemonSet pods. If you omit it, `mode` applies to them too.
    pub(in crate::config) daemon_sets: Option<Mode>,
}

/// The settings of a rule that can prevent a node from joining.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct JoinRule {
    /// What the rule does when it finds a violation.
    pub(in crate::config) mode: Option<Mode>,
    /// Whether `enforce` also denies the creation of such a node. An autoscaler that starts such nodes then
    /// never stops: you pay for each machine, no machine can join, and the autoscaler starts the next one.
    #[serde(default)]
    pub(in crate::config) deny_join: bool,
}
