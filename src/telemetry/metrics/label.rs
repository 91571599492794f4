//! The values that labels may take. They are closed sets: no request can add a series.

macro_rules! labels {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label's value.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

labels! {
    /// The two halves of admission, each with a path of its own.
    WebhookLabel {
        /// The webhook that may patch the object.
        Mutate = "mutate",
        /// The webhook that allows or denies the final object.
        Validate = "validate",
    }
}

labels! {
    /// The operation of the request on the object.
    OperationLabel {
        /// A new object.
        Create = "create",
        /// A changed object.
        Update = "update",
        /// A removed object.
        Delete = "delete",
        /// A connection into one, such as exec.
        Connect = "connect",
        /// An operation that is not known, because the request could not be read.
        Unknown = "unknown",
    }
}

labels! {
    /// The kind of object, by the plural that the API gives it.
    ResourceLabel {
        /// Pods.
        Pods = "pods",
        /// A scheduler's choice of a node, by either of its two addresses.
        Bindings = "pods/binding",
        /// Containers added to a running pod.
        EphemeralContainers = "pods/ephemeralcontainers",
        /// Any other subresource of a pod.
        PodsOther = "pods/other",
        /// Nodes.
        Nodes = "nodes",
        /// The status of a node.
        NodesStatus = "nodes/status",
        /// Deployments.
        Deployments = "deployments",
        /// Replica sets.
        ReplicaSets = "replicasets",
        /// Stateful sets.
        StatefulSets = "statefulsets",
        /// Daemon sets.
        DaemonSets = "daemonsets",
        /// Replication controllers.
        ReplicationControllers = "replicationcontrollers",
        /// Jobs.
        Jobs = "jobs",
        /// Cron jobs.
        CronJobs = "cronjobs",
        /// Namespaces.
        Namespaces = "namespaces",
        /// Service accounts.
        ServiceAccounts = "serviceaccounts",
        /// Role bindings.
        RoleBindings = "rolebindings",
        /// Cluster role bindings.
        ClusterRoleBindings = "clusterrolebindings",
        /// Config maps.
        ConfigMaps = "configmaps",
        /// Any other kind, and a request that could not be read.
        Other = "other",
    }
}

impl ResourceLabel {
    /// Returns the kind for the plural and the subresource of a request; an empty subresource is none.
    pub fn from_plural(plural: &str, subresource: &str) -> Self {
        match (plural, subresource) {
            ("pods", "") => Self::Pods,
            ("pods", "binding") | ("bindings", _) => Self::Bindings,
            ("pods", "ephemeralcontainers") => Self::EphemeralContainers,
            ("pods", _) => Self::PodsOther,
            ("nodes", "") => Self::Nodes,
            ("nodes", "status") => Self::NodesStatus,
            ("deployments", _) => Self::Deployments,
            ("replicasets", _) => Self::ReplicaSets,
            ("statefulsets", _) => Self::StatefulSets,
            ("daemonsets", _) => Self::DaemonSets,
            ("replicationcontrollers", _) => Self::ReplicationControllers,
            ("jobs", _) => Self::Jobs,
            ("cronjobs", _) => Self::CronJobs,
            ("namespaces", _) => Self::Namespaces,
            ("serviceaccounts", _) => Self::ServiceAccounts,
            ("rolebindings", _) => Self::RoleBindings,
            ("clusterrolebindings", _) => Self::ClusterRoleBindings,
            ("configmaps", _) => Self::ConfigMaps,
            _ => Self::Other,
        }
    }
}

labels! {
    /// The outcome of a request.
    DecisionLabel {
        /// Allowed, with nothing to report.
        Allow = "allow",
        /// Allowed, and the client sees a warning.
        Warn = "warn",
        /// Allowed, and a finding was recorded.
        Audit = "audit",
        /// Allowed, with changes to the object.
        Patch = "patch",
        /// Denied.
        Deny = "deny",
        /// Allowed because the requester is in a break-glass group.
        BreakGlass = "break-glass",
        /// Failed before a decision was made.
        Fault = "fault",
    }
}

labels! {
    /// Whether the client that asked showed a certificate of the client CA.
    ClientLabel {
        /// A client that showed no certificate of the client CA.
        Anonymous = "anonymous",
        /// A client that showed a certificate of the client CA.
        Authenticated = "authenticated",
    }
}

labels! {
    /// The sink of the audit stream.
    AuditSink {
        /// Standard output.
        Stdout = "stdout",
        /// The file of `--audit-file`.
        File = "file",
    }
}

labels! {
    /// The reason why a request got an HTTP error instead of an answer.
    FaultReason {
        /// 400: the request makes no sense.
        Malformed = "malformed",
        /// 404: no such path.
        UnknownPath = "unknown-path",
        /// 405: not a POST.
        WrongMethod = "wrong-method",
        /// 408: the body did not arrive in time.
        SlowBody = "slow-body",
        /// 413: the body is over the limit.
        BodyTooLarge = "body-too-large",
        /// 415: the body is not JSON.
        NotJson = "not-json",
        /// 429: too much in flight.
        Overloaded = "overloaded",
        /// 500: a bug.
        Panicked = "panicked",
        /// 503: the cluster's facts are not loaded yet.
        NotLoaded = "not-loaded",
        /// 504: the client's own time limit has passed.
        DeadlinePassed = "deadline-passed",
    }
}

labels! {
    /// The result of a reload of the config.
    ReloadResult {
        /// The new config is in force.
        Success = "success",
        /// The old config stays in force.
        Failure = "failure",
    }
}

labels! {
    /// The state of a node in a pool.
    NodeStateLabel {
        /// Ready and schedulable.
        Ready = "ready",
        /// Ready, but cordoned.
        Cordoned = "cordoned",
        /// A node that is not ready.
        NotReady = "not-ready",
    }
}

labels! {
    /// A certificate whose expiry a metric shows.
    CertificateLabel {
        /// The certificate that the server presents.
        Serving = "serving",
        /// The certificate of the authority that signs the serving certificate.
        Authority = "authority",
    }
}

labels! {
    /// A step in the life of the certificate authority.
    AuthorityStep {
        /// The creation of an authority, because there was none.
        Created = "created",
        /// The restoration of the Secret, which was gone or damaged, from the memory of this replica.
        Restored = "restored",
        /// The replacement of an authority that was not valid any more.
        Replaced = "replaced",
        /// The creation of the next authority.
        Announced = "announced",
        /// The registration of the next authority: the registered webhooks trust it.
        Published = "published",
        /// The start of signing with the next authority.
        Promoted = "promoted",
        /// The removal of an old authority, which is trusted no more.
        Retired = "retired",
    }
}

labels! {
    /// The reason why a webhook configuration was written, or that it could not be written.
    RegistrationWrite {
        /// The configuration did not exist.
        Absent = "absent",
        /// The configuration was not as the config asks for.
        Changed = "changed",
        /// The configuration could not be written.
        Failed = "failed",
    }
}

labels! {
    /// The condition of a backstop that the config asks for.
    BackstopCondition {
        /// The API server evaluates the backstop.
        InForce = "in-force",
        /// The backstop was created, and some API servers may not evaluate it yet.
        Settling = "settling",
        /// An older version of the backstop exists, and PoolGuard cannot write the current one.
        Outdated = "outdated",
        /// PoolGuard cannot write the backstop, and does not know of an older version.
        Absent = "absent",
        /// The API server has no kind for the backstop: no ValidatingAdmissionPolicy in version v1.
        Unsupported = "unsupported",
        /// The config or the cluster allows no backstop.
        Impossible = "impossible",
    }
}
