//! The resources of Kubernetes that PoolGuard reads, watches or names, in one table.

use std::fmt;

use super::name::{NameError, is_dns_subdomain};

/// The API group of roles and their bindings.
pub const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// The version in which PoolGuard reads every resource of Kubernetes itself.
pub const V1: &str = "v1";

/// A resource of Kubernetes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// The kind, as the API spells it.
    pub kind: &'static str,
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Plural of the kind.
    pub plural: &'static str,
    /// Whether its objects are in a namespace.
    pub is_namespaced: bool,
}

macro_rules! resources {
    ($($(#[$doc:meta])* $name:ident = $group:expr, $kind:literal, $plural:literal, $scope:ident;)+) => {
        $(
            #[doc = concat!("`", $plural, "`")]
            pub const $name: Resource = Resource {
                kind: $kind,
                group: $group,
                plural: $plural,
                is_namespaced: scope::$scope,
            };
        )+

        /// All resources of this table.
        const ALL: &[Resource] = &[$($name),+];
    };
}

/// The largest number of differences between a misspelt name and the meant one. More differences make another name:
/// `roles` and `nodes` differ by two.
const SLIPS_MAX: usize = 2;

mod scope {
    pub(super) const NAMESPACED: bool = true;
    pub(super) const CLUSTER: bool = false;
}

resources! {
    NODES = "", "Node", "nodes", CLUSTER;
    NAMESPACES = "", "Namespace", "namespaces", CLUSTER;
    PODS = "", "Pod", "pods", NAMESPACED;
    CONFIG_MAPS = "", "ConfigMap", "configmaps", NAMESPACED;
    SERVICE_ACCOUNTS = "", "ServiceAccount", "serviceaccounts", NAMESPACED;
    PERSISTENT_VOLUMES = "", "PersistentVolume", "persistentvolumes", CLUSTER;
    PERSISTENT_VOLUME_CLAIMS = "", "PersistentVolumeClaim", "persistentvolumeclaims", NAMESPACED;
    REPLICATION_CONTROLLERS = "", "ReplicationController", "replicationcontrollers", NAMESPACED;
    CONTROLLER_REVISIONS = "apps", "ControllerRevision", "controllerrevisions", NAMESPACED;
    DAEMON_SETS = "apps", "DaemonSet", "daemonsets", NAMESPACED;
    DEPLOYMENTS = "apps", "Deployment", "deployments", NAMESPACED;
    REPLICA_SETS = "apps", "ReplicaSet", "replicasets", NAMESPACED;
    STATEFUL_SETS = "apps", "StatefulSet", "statefulsets", NAMESPACED;
    CRON_JOBS = "batch", "CronJob", "cronjobs", NAMESPACED;
    JOBS = "batch", "Job", "jobs", NAMESPACED;
    CLUSTER_ROLE_BINDINGS = RBAC_GROUP, "ClusterRoleBinding", "clusterrolebindings", CLUSTER;
    CLUSTER_ROLES = RBAC_GROUP, "ClusterRole", "clusterroles", CLUSTER;
    ROLE_BINDINGS = RBAC_GROUP, "RoleBinding", "rolebindings", NAMESPACED;
    ROLES = RBAC_GROUP, "Role", "roles", NAMESPACED;
    STORAGE_CLASSES = "storage.k8s.io", "StorageClass", "storageclasses", CLUSTER;
}

/// Other kinds without a namespace, with their groups: manifests do not say which they are.
const OTHER_CLUSTER_SCOPED: [(&str, &str); 15] = [
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("cloud.google.com", "ComputeClass"),
    ("container.gcp.upbound.io", "NodePool"),
    ("containerservice.azure.upbound.io", "KubernetesClusterNodePool"),
    ("eks.amazonaws.com", "NodeClass"),
    ("eks.aws.upbound.io", "NodeGroup"),
    ("karpenter.azure.com", "AKSNodeClass"),
    ("karpenter.k8s.aws", "EC2NodeClass"),
    ("karpenter.sh", "NodeClaim"),
    ("karpenter.sh", "NodePool"),
    ("networking.k8s.io", "IngressClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("poolguard.io", "PoolGuardConfig"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver"),
];

impl Resource {
    /// The resource of a kind.
    pub fn of_kind(group: &str, kind: &str) -> Option<Self> {
        ALL.iter().find(|it| it.group == group && it.kind == kind).copied()
    }

    /// The resource with this plural.
    pub fn of_plural(group: &str, plural: &str) -> Option<Self> {
        ALL.iter().find(|it| it.group == group && it.plural == plural).copied()
    }

    /// The resource with this plural, for text that does not say its group.
    pub fn of_plural_in_any_group(plural: &str) -> Option<Self> {
        ALL.iter().find(|it| it.plural == plural).copied()
    }

    /// The resource of Kubernetes that is meant by a name that the API server does not know: its singular, or its
    /// plural with a part of its group, as people write them.
    pub fn meant_by(written: &GroupResource) -> Option<Self> {
        let GroupResource { group, resource } = written;
        let is_part = |whole: &str| {
            group.is_empty()
                || whole.strip_prefix(group.as_str()).is_some_and(|it| it.starts_with('.'))
        };
        let is_meant = |it: &&Self| {
            let is_plural = it.plural == resource;
            let is_singular = it.kind.eq_ignore_ascii_case(resource);
            (is_plural && it.group != group && is_part(it.group))
                || (is_singular && (it.group == group || is_part(it.group)))
        };
        ALL.iter().find(is_meant).copied()
    }

    /// The resource of Kubernetes that differs from a name by a slip of the fingers. The name can be that of another
    /// resource, since this table does not have all of them.
    pub fn misspelt(written: &GroupResource) -> Option<Self> {
        let written = written.to_string();
        let slips =
            |it: &Self| strsim::damerau_levenshtein(&written, &it.group_resource().to_string());
        let is_meant = |(slips, _): &(usize, Self)| (1..=SLIPS_MAX).contains(slips);
        let meant = ALL.iter().map(|it| (slips(it), *it)).min_by_key(|(slips, _)| *slips);
        meant.filter(is_meant).map(|(_, it)| it)
    }

    /// The resource, as rules name it.
    pub fn group_resource(self) -> GroupResource {
        GroupResource { group: self.group.to_owned(), resource: self.plural.to_owned() }
    }

    /// The URL path at which the objects of every namespace are listed and watched.
    pub fn path(self) -> String {
        match self.group {
            "" => format!("/api/{V1}/{}", self.plural),
            group => format!("/apis/{group}/{V1}/{}", self.plural),
        }
    }
}

/// Whether PoolGuard knows that objects of a kind have no namespace.
pub fn is_cluster_scoped(group: &str, kind: &str) -> bool {
    let known = Resource::of_kind(group, kind);
    known.is_some_and(|it| !it.is_namespaced) || OTHER_CLUSTER_SCOPED.contains(&(group, kind))
}

/// The version in which PoolGuard reads a resource of Kubernetes itself; `None` for a resource whose
/// versions it does not know, such as a custom resource that the config protects.
pub fn version_read(group: &str, plural: &str) -> Option<&'static str> {
    // The core group has no version but this one.
    (group.is_empty() || Resource::of_plural(group, plural).is_some()).then_some(V1)
}

/// The plural that Kubernetes gives a kind by default.
pub fn plural(kind: &str) -> String {
    let lower = kind.to_lowercase();
    let ends_with_any = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    match lower.strip_suffix('y') {
        Some(stem) if !ends_with_any(&["ay", "ey", "oy", "uy"]) => format!("{stem}ies"),
        _ if ends_with_any(&["s", "x", "z", "ch", "sh"]) => format!("{lower}es"),
        _ => format!("{lower}s"),
    }
}

/// A resource without its version: `plural` or `plural.group`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupResource {
    /// API group; empty for the core group.
    pub group: String,
    /// Plural name, lower case.
    pub resource: String,
}

impl GroupResource {
    /// Reads `configmaps` or `rolebindings.rbac.authorization.k8s.io`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let (resource, group) = text.split_once('.').unwrap_or((text, ""));
        if !is_dns_subdomain(resource) || resource.contains('.') {
            return Err("does not have the form `plural` or `plural.group` in lower case");
        }
        if !group.is_empty() && !is_dns_subdomain(group) {
            return Err("has a group that is not a DNS subdomain");
        }
        Ok(Self { group: group.to_owned(), resource: resource.to_owned() })
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_stands_once_in_the_table() {
        for resource in ALL {
            assert_eq!(Resource::of_kind(resource.group, resource.kind), Some(*resource));
            assert_eq!(Resource::of_plural(resource.group, resource.plural), Some(*resource));
            assert_eq!(plural(resource.kind), resource.plural);
        }
    }

    #[test]
    fn resources_are_plural_and_group() {
        let read = GroupResource::parse("rolebindings.rbac.authorization.k8s.io").unwrap();
        assert_eq!(
            (read.resource.as_str(), read.group.as_str()),
            ("rolebindings", "rbac.authorization.k8s.io")
        );
        assert_eq!(GroupResource::parse("configmaps").unwrap().to_string(), "configmaps");
        for bad in ["", "ConfigMaps", "apps/deployments", ".apps", "a..b"] {
            assert!(GroupResource::parse(bad).is_err(), "{bad}");
        }
    }
}
