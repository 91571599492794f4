//! Rules by name, and what each of them does when it finds something.

use std::fmt;

/// The rules, by the names that users know them by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleName {
    /// The rule that a pod which is neither AutoMQ's nor exempt cannot run on a dedicated node.
    PodIntrusion,
    /// The same rule for the pods of a pod template.
    WorkloadIntrusion,
    /// The rule that a pod of an instance runs on the nodes of the instance's pool.
    PodPlacement,
    /// The rule that only pods of AutoMQ's namespaces, exempt pods and static pods run in AutoMQ's cluster.
    ClusterExclusive,
    /// The rule that a node of a pool keeps the pool's taint.
    NodeTaint,
    /// The rule that a node keeps the labels that make it a pool's member, its zone and its machine type.
    NodeIdentity,
    /// The rule that a node of a pool has an approved machine type.
    NodeMachineType,
    /// The rule that a node of a pool is in one of the pool's zones.
    NodeZone,
    /// The rule that an object which makes a pool's nodes gives them the pool's taint, machine types and zones.
    NodePool,
    /// The rule that the objects which hold a pool's role together stay as they are.
    RoleBinding,
}

impl RuleName {
    /// Every rule, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::PodIntrusion,
        Self::WorkloadIntrusion,
        Self::PodPlacement,
        Self::ClusterExclusive,
        Self::NodeTaint,
        Self::NodeIdentity,
        Self::NodeMachineType,
        Self::NodeZone,
        Self::NodePool,
        Self::RoleBinding,
    ];

    /// The name of the rule as the config, messages, metrics and records spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PodIntrusion => "pod-intrusion",
            Self::WorkloadIntrusion => "workload-intrusion",
            Self::PodPlacement => "pod-placement",
            Self::ClusterExclusive => "cluster-exclusive",
            Self::NodeTaint => "node-taint",
            Self::NodeIdentity => "node-identity",
            Self::NodeMachineType => "node-machine-type",
            Self::NodeZone => "node-zone",
            Self::NodePool => "node-pool",
            Self::RoleBinding => "role-binding",
        }
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether policies in the API server hold while PoolGuard does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackstopMode {
    /// The API server has no such policies.
    #[default]
    Off,
    /// The policies hold beside the webhook entries, which fail closed.
    Beside,
    /// The policies hold instead of the webhook entries for pods and bindings, which fail open.
    Instead,
}

/// The consequence of a finding of a rule; the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// PoolGuard does not evaluate the rule.
    Off,
    /// PoolGuard allows the request and records the finding.
    Audit,
    /// PoolGuard allows the request, records the finding, and warns the client.
    Warn,
    /// PoolGuard denies the request.
    Enforce,
}

impl Mode {
    /// Every mode, the strongest first.
    pub const ALL: [Self; 4] = [Self::Enforce, Self::Warn, Self::Audit, Self::Off];

    /// The name of the mode as the config spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Audit => "audit",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The mode of every rule, with the further settings of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleModes {
    /// `pod-intrusion`, for all pods but those of DaemonSets.
    pub pod_intrusion: Mode,
    /// `pod-intrusion`, for pods of DaemonSets.
    pub daemon_set_intrusion: Mode,
    /// `workload-intrusion`
    pub workload_intrusion: Mode,
    /// `pod-placement`
    pub pod_placement: Mode,
    /// `cluster-exclusive`
    pub cluster_exclusive: Mode,
    /// `node-taint`
    pub node_taint: Mode,
    /// `node-identity`
    pub node_identity: Mode,
    /// `node-machine-type`
    pub node_machine_type: JoinMode,
    /// `node-zone`
    pub node_zone: JoinMode,
    /// `node-pool`
    pub node_pool: Mode,
    /// `role-binding`
    pub role_binding: Mode,
}

/// The mode of a rule that could keep a node from joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinMode {
    /// The mode for changes of a node that exists.
    pub mode: Mode,
    /// Whether `enforce` also denies the node's creation. An autoscaler that brings such nodes
    /// would then start machines for ever.
    pub deny_join: bool,
}

impl Default for RuleModes {
    fn default() -> Self {
        let warn = JoinMode { mode: Mode::Warn, deny_join: false };
        Self {
            pod_intrusion: Mode::Enforce,
            daemon_set_intrusion: Mode::Enforce,
            workload_intrusion: Mode::Warn,
            pod_placement: Mode::Enforce,
            cluster_exclusive: Mode::Audit,
            node_taint: Mode::Enforce,
            node_identity: Mode::Enforce,
            node_machine_type: warn,
            node_zone: warn,
            node_pool: Mode::Warn,
            role_binding: Mode::Enforce,
        }
    }
}

impl RuleModes {
    /// The mode of a rule; for `pod-intrusion`, that of pods which no DaemonSet owns.
    pub fn mode(&self, rule: RuleName) -> Mode {
        match rule {
            RuleName::PodIntrusion => self.pod_intrusion,
            RuleName::WorkloadIntrusion => self.workload_intrusion,
            RuleName::PodPlacement => self.pod_placement,
            RuleName::ClusterExclusive => self.cluster_exclusive,
            RuleName::NodeTaint => self.node_taint,
            RuleName::NodeIdentity => self.node_identity,
            RuleName::NodeMachineType => self.node_machine_type.mode,
            RuleName::NodeZone => self.node_zone.mode,
            RuleName::NodePool => self.node_pool,
            RuleName::RoleBinding => self.role_binding,
        }
    }
}
