//! The rules of the file, by their names.

use schemars::JsonSchema;
use serde::Deserialize;

use super::choice::Mode;

/// What each rule does when it finds something.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::config) struct Rules {
    /// A pod that is neither AutoMQ's nor exempt can land on a dedicated node.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "enforce", "daemonSets": "enforce"}))]
    pub(in crate::config) pod_intrusion: PodIntrusionRule,
    /// The same, of a pod template.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "warn"}))]
    pub(in crate::config) workload_intrusion: Rule,
    /// A pod of an instance belongs on the nodes of its pool.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "enforce"}))]
    pub(in crate::config) pod_placement: Rule,
    /// A pod that is not AutoMQ's runs in AutoMQ's cluster at all.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "audit"}))]
    pub(in crate::config) cluster_exclusive: Rule,
    /// A node of a pool keeps the pool's taint.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "enforce"}))]
    pub(in crate::config) node_taint: Rule,
    /// A node keeps the labels that make it a pool's member, its zone and its machine type.
    ///
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "enforce"}))]
    pub(in crate::config) node_identity: Rule,
    /// A node of a pool has an approved machine type. With a list that AutoMQ did
    /// not publish, `enforce` is no more than `warn`.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "warn", "denyJoin": false}))]
    pub(in crate::config) node_machine_type: JoinRule,
    /// A node of a pool is in one of the pool's zones.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "warn", "denyJoin": false}))]
    pub(in crate::config) node_zone: JoinRule,
    /// The objects that hold a pool's role together stay as they are.
    #[serde(default)]
    #[schemars(extend("default" = {"mode": "enforce"}))]
    pub(in crate::config) role_binding: Rule,
}

/// A rule.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Rule {
    /// What the rule does when it finds something.
    pub(in crate::config) mode: Option<Mode>,
}

/// The rule `pod-intrusion`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct PodIntrusionRule {
    /// What the rule does when it finds something.
    pub(in crate::config) mode: Option<Mode>,
    /// The same for pods of DaemonSets. Left out, it is `mode`.
    pub(in crate::config) daemon_sets: Option<Mode>,
}

/// A rule that could keep a node from joining.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct JoinRule {
    /// What the rule does when it finds something.
    pub(in crate::config) mode: Option<Mode>,
    /// Whether `enforce` also denies the creation of such a node. An autoscaler that brings such
    /// nodes will then start machines for ever: each is paid for, none can join, and the next one
    /// is started.
    #[serde(default)]
    pub(in crate::config) deny_join: bool,
}
