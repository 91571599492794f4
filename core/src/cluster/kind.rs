//! The kinds of objects that a live cluster is watched for.

use crate::kubernetes::resource::{
    CLUSTER_ROLE_BINDINGS, NODES, ROLE_BINDINGS, Resource, SERVICE_ACCOUNTS,
};

/// A kind that PoolGuard watches: nodes, and the objects that show which roles are AutoMQ's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Nodes, on which the pods of all namespaces run.
    Node,
    /// Role bindings of every namespace: any of them may have AutoMQ's service accounts as subjects.
    RoleBinding,
    /// Cluster role bindings.
    ClusterRoleBinding,
    /// Metadata of service accounts: their annotations are cloud identities.
    ServiceAccount,
    /// Karpenter's node pools, which refer to objects that have a role.
    NodePool,
}

/// Karpenter's node pools.
pub(super) const NODE_POOLS: Resource =
    Resource { kind: "NodePool", group: "karpenter.sh", plural: "nodepools", is_namespaced: false };

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Node,
        Self::RoleBinding,
        Self::ClusterRoleBinding,
        Self::ServiceAccount,
        Self::NodePool,
    ];

    /// Returns the resource of the kind.
    pub fn resource(self) -> Resource {
        match self {
            Self::Node => NODES,
            Self::RoleBinding => ROLE_BINDINGS,
            Self::ClusterRoleBinding => CLUSTER_ROLE_BINDINGS,
            Self::ServiceAccount => SERVICE_ACCOUNTS,
            Self::NodePool => NODE_POOLS,
        }
    }

    /// Whether a cluster may lack the resource.
    pub fn may_be_absent(self) -> bool {
        self == Self::NodePool
    }

    /// Whether PoolGuard needs only the metadata of the objects.
    pub fn is_metadata_only(self) -> bool {
        self == Self::ServiceAccount
    }
}
