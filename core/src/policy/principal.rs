//! The principals of requests: users, groups and service accounts, and those that are trusted.

use crate::kubernetes::name::{Glob, any_matches};

/// Principals that `node-taint`, `node-identity` and `role-binding` let pass.
#[derive(Clone, Debug, Default)]
pub struct TrustedPrincipals {
    /// The principals that the config trusts.
    pub configured: Principals,
    /// The principals that the provider's preset trusts: the cloud's own controllers.
    pub preset: Principals,
}

/// Globs over user names, groups and service accounts.
#[derive(Clone, Debug, Default)]
pub struct Principals {
    /// User names.
    pub users: Vec<Glob>,
    /// Groups.
    pub groups: Vec<Glob>,
    /// Service accounts, as `namespace/name`.
    pub service_accounts: Vec<Glob>,
}

impl Principals {
    /// Whether the lists are empty.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty() && self.service_accounts.is_empty()
    }

    /// Whether this user is one of them.
    pub fn include(&self, user: &User<'_>) -> bool {
        any_matches(&self.users, &user.name)
            || user.groups.iter().any(|group| any_matches(&self.groups, group))
            || user
                .service_account()
                .is_some_and(|account| any_matches(&self.service_accounts, &account))
    }
}

/// `userInfo` of a request: after impersonation, only the impersonated identity shows.
#[derive(Clone, Debug, Default)]
pub struct User<'a> {
    /// `username`.
    pub name: crate::json::text::Text<'a>,
    /// `groups`.
    pub groups: Vec<crate::json::text::Text<'a>>,
}

/// The prefix before `namespace:name` in the user name of a service account.
pub const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";
/// The prefix before the namespace in the name of the group of all its service accounts.
pub const SERVICE_ACCOUNTS_GROUP_PREFIX: &str = "system:serviceaccounts:";
const NODE_PREFIX: &str = "system:node:";
/// The group of all kubelets.
pub const NODES_GROUP: &str = "system:nodes";
/// The scheduler of Kubernetes itself.
pub const KUBE_SCHEDULER: &str = "system:kube-scheduler";

/// The controllers of Kubernetes, where they share one identity.
pub const KUBE_CONTROLLER_MANAGER: &str = "system:kube-controller-manager";
/// The controller that creates the pods of DaemonSets.
pub const DAEMON_SET_CONTROLLER: &str = "system:serviceaccount:kube-system:daemon-set-controller";

/// The controllers that create workloads for other workloads, by exact name.
pub const WORKLOAD_CONTROLLERS: [&str; 3] = [
    KUBE_CONTROLLER_MANAGER,
    "system:serviceaccount:kube-system:cronjob-controller",
    "system:serviceaccount:kube-system:deployment-controller",
];

/// The controllers that adopt, release, orphan and relabel pods that are there, by exact name.
pub const POD_CONTROLLERS: [&str; 8] = [
    KUBE_CONTROLLER_MANAGER,
    DAEMON_SET_CONTROLLER,
    "system:serviceaccount:kube-system:deployment-controller",
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:serviceaccount:kube-system:job-controller",
    "system:serviceaccount:kube-system:replicaset-controller",
    "system:serviceaccount:kube-system:replication-controller",
    "system:serviceaccount:kube-system:statefulset-controller",
];

/// The API server and the controllers whose cascades and upkeep no rule may stop, by exact name.
pub const NEVER_JUDGED: [&str; 7] = [
    "system:apiserver",
    KUBE_CONTROLLER_MANAGER,
    "system:serviceaccount:kube-system:namespace-controller",
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:serviceaccount:kube-system:clusterrole-aggregation-controller",
    "system:serviceaccount:kube-system:node-controller",
    "system:serviceaccount:kube-system:ttl-controller",
];

impl User<'_> {
    /// Returns `namespace/name`, if the user is a service account.
    pub fn service_account(&self) -> Option<String> {
        let (namespace, name) = self.name.strip_prefix(SERVICE_ACCOUNT_PREFIX)?.split_once(':')?;
        Some(format!("{namespace}/{name}"))
    }

    /// The node whose kubelet this is. The name alone is not enough: it must be in the group, too.
    pub fn kubelet_of(&self) -> Option<&str> {
        let node = self.name.strip_prefix(NODE_PREFIX)?;
        self.is_in(NODES_GROUP).then_some(node)
    }

    /// Whether the user is a member of `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|member| member.as_str() == group)
    }

    /// Whether the user is the scheduler of Kubernetes itself, which PoolGuard trusts with bindings.
    pub fn is_kube_scheduler(&self) -> bool {
        self.name == KUBE_SCHEDULER
    }

    /// Whether the user creates the pods of DaemonSets, so that the owner which such a pod names is true.
    pub fn is_daemon_set_controller(&self) -> bool {
        [DAEMON_SET_CONTROLLER, KUBE_CONTROLLER_MANAGER].contains(&self.name.as_str())
    }

    /// Whether the user is one of [`WORKLOAD_CONTROLLERS`].
    pub fn is_workload_controller(&self) -> bool {
        WORKLOAD_CONTROLLERS.contains(&self.name.as_str())
    }

    /// Whether the user is one of [`POD_CONTROLLERS`].
    pub fn is_pod_controller(&self) -> bool {
        POD_CONTROLLERS.contains(&self.name.as_str())
    }

    /// Whether the user is the API server or one of the controllers of [`NEVER_JUDGED`].
    pub fn is_never_judged(&self) -> bool {
        NEVER_JUDGED.contains(&self.name.as_str())
    }
}
