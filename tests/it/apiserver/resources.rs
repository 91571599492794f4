//! The kinds that the server knows. A new kind is a new row.

/// A kind: where it is served and what it is called.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) namespaced: bool,
    /// Whether `status` is a subresource.
    pub(crate) status: bool,
}

/// The index of a row in [`TABLE`].
pub(crate) type Id = usize;

const fn row(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    scope: Scope,
    status: bool,
) -> Resource {
    Resource { group, version, plural, kind, namespaced: matches!(scope, Namespace), status }
}

#[derive(Clone, Copy)]
enum Scope {
    Cluster,
    Namespace,
}

use Scope::{Cluster, Namespace};

const ADMISSION: &str = "admissionregistration.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const POLICY: &str = "wgpolicyk8s.io";
const REPORTS: &str = "openreports.io";
const KARPENTER: &str = "karpenter.sh";
const KARPENTER_OF_AWS: &str = "karpenter.k8s.aws";

/// Groups that come with a custom resource definition: absent until a test serves them.
pub(crate) const CUSTOM: [&str; 4] = [POLICY, REPORTS, KARPENTER, KARPENTER_OF_AWS];

pub(crate) static TABLE: [Resource; 40] = [
    row("", "v1", "nodes", "Node", Cluster, true),
    row("", "v1", "namespaces", "Namespace", Cluster, true),
    row("", "v1", "pods", "Pod", Namespace, true),
    row("", "v1", "configmaps", "ConfigMap", Namespace, false),
    row("", "v1", "secrets", "Secret", Namespace, false),
    row("", "v1", "serviceaccounts", "ServiceAccount", Namespace, false),
    row("", "v1", "services", "Service", Namespace, true),
    row("", "v1", "events", "Event", Namespace, false),
    row("", "v1", "persistentvolumes", "PersistentVolume", Cluster, true),
    row("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", Namespace, true),
    row("", "v1", "replicationcontrollers", "ReplicationController", Namespace, true),
    row("storage.k8s.io", "v1", "storageclasses", "StorageClass", Cluster, false),
    row("events.k8s.io", "v1", "events", "Event", Namespace, false),
    row("coordination.k8s.io", "v1", "leases", "Lease", Namespace, false),
    row(RBAC, "v1", "roles", "Role", Namespace, false),
    row(RBAC, "v1", "rolebindings", "RoleBinding", Namespace, false),
    row(RBAC, "v1", "clusterroles", "ClusterRole", Cluster, false),
    row(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", Cluster, false),
    row(ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", Cluster, true),
    row(
        ADMISSION,
        "v1",
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
        Cluster,
        false,
    ),
    row(ADMISSION, "v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", Cluster, false),
    row(
        ADMISSION,
        "v1",
        "mutatingadmissionpolicybindings",
        "MutatingAdmissionPolicyBinding",
        Cluster,
        false,
    ),
    row(
        ADMISSION,
        "v1",
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        Cluster,
        false,
    ),
    row(
        ADMISSION,
        "v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        Cluster,
        false,
    ),
    row("apps", "v1", "replicasets", "ReplicaSet", Namespace, true),
    row("apps", "v1", "deployments", "Deployment", Namespace, true),
    row("apps", "v1", "daemonsets", "DaemonSet", Namespace, true),
    row("apps", "v1", "statefulsets", "StatefulSet", Namespace, true),
    row("apps", "v1", "controllerrevisions", "ControllerRevision", Namespace, false),
    row("batch", "v1", "jobs", "Job", Namespace, true),
    row("batch", "v1", "cronjobs", "CronJob", Namespace, true),
    row("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", Namespace, false),
    row("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", Namespace, true),
    row("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", Cluster, false),
    row(POLICY, "v1alpha2", "policyreports", "PolicyReport", Namespace, false),
    row(POLICY, "v1alpha2", "clusterpolicyreports", "ClusterPolicyReport", Cluster, false),
    row(REPORTS, "v1alpha1", "reports", "Report", Namespace, false),
    row(REPORTS, "v1alpha1", "clusterreports", "ClusterReport", Cluster, false),
    row(KARPENTER, "v1", "nodepools", "NodePool", Cluster, true),
    row(KARPENTER_OF_AWS, "v1", "ec2nodeclasses", "EC2NodeClass", Cluster, true),
];

/// The row of `nodes`, or of `events.events.k8s.io` where the plural alone is not enough.
pub(crate) fn named(name: &str) -> Id {
    let found = TABLE.iter().position(|row| row.plural == name || row.qualified() == name);
    found.unwrap_or_else(|| panic!("the table has no resource {name}"))
}

/// The row of an object's apiVersion and kind.
pub(crate) fn of_kind(api_version: &str, kind: &str) -> Option<Id> {
    TABLE.iter().position(|row| row.kind == kind && row.api_version() == api_version)
}

impl Resource {
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `nodes` or `leases.coordination.k8s.io`, as messages call it.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// `Node` or `Lease.coordination.k8s.io`, as messages about invalid objects call it.
    pub(crate) fn qualified_kind(&self) -> String {
        if self.group.is_empty() {
            self.kind.to_owned()
        } else {
            format!("{}.{}", self.kind, self.group)
        }
    }

    pub(crate) fn is_custom(&self) -> bool {
        CUSTOM.contains(&self.group)
    }

    /// Whether `metadata.generation` counts the changes.
    pub(crate) fn has_generation(&self) -> bool {
        self.is_custom() || ["apps", "batch", "policy", ADMISSION].contains(&self.group)
    }

    /// Whether an update has to say which version it is of.
    pub(crate) fn needs_version(&self) -> bool {
        self.is_custom() || self.plural == "leases" || self.group == ADMISSION
    }

    /// Whether an update of nothing creates.
    pub(crate) fn creates_on_update(&self) -> bool {
        self.plural == "leases"
    }

    pub(crate) fn is_webhook_configuration(&self) -> bool {
        self.group == ADMISSION
    }
}
