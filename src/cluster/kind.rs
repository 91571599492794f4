//! The kinds of objects that a live cluster is watched for.

use crate::kubernetes::name::GroupResource;

/// A kind that is watched: nodes, and what tells which roles are AutoMQ's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Nodes, of all namespaces' pods the only place to run.
    Node,
    /// Role bindings of every namespace: any of them may have AutoMQ's service accounts as subjects.
    RoleBinding,
    /// Cluster role bindings.
    ClusterRoleBinding,
    /// Metadata of service accounts: their annotations are cloud identities.
    ServiceAccount,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::Node, Self::RoleBinding, Self::ClusterRoleBinding, Self::ServiceAccount];

    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::RoleBinding => "RoleBinding",
            Self::ClusterRoleBinding => "ClusterRoleBinding",
            Self::ServiceAccount => "ServiceAccount",
        }
    }

    /// API group; empty for the core group.
    pub fn group(self) -> &'static str {
        match self {
            Self::Node | Self::ServiceAccount => "",
            Self::RoleBinding | Self::ClusterRoleBinding => "rbac.authorization.k8s.io",
        }
    }

    /// The plural of the kind.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Node => "nodes",
            Self::RoleBinding => "rolebindings",
            Self::ClusterRoleBinding => "clusterrolebindings",
            Self::ServiceAccount => "serviceaccounts",
        }
    }

    /// Where the objects of every namespace are listed and watched.
    pub fn path(self) -> String {
        match self.group() {
            "" => format!("/api/v1/{}", self.resource()),
            group => format!("/apis/{group}/v1/{}", self.resource()),
        }
    }

    /// Whether the metadata is all that is wanted.
    pub fn is_metadata_only(self) -> bool {
        self == Self::ServiceAccount
    }

    pub(super) fn group_resource(self) -> GroupResource {
        GroupResource { group: self.group().to_owned(), resource: self.resource().to_owned() }
    }
}
