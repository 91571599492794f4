//! The two kinds of report objects, and the paths at which the API server serves them.

/// The kind of report objects, by the API that defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReportApi {
    /// `wgpolicyk8s.io/v1alpha2`, of the Kubernetes policy working group.
    PolicyReport,
    /// `openreports.io/v1alpha1`, its successor.
    OpenReports,
}

/// The place of one or more reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportPlace<'p> {
    /// All namespaces.
    Everywhere,
    /// The namespace of this name.
    Namespace(&'p str),
    /// The place of reports without a namespace.
    Cluster,
}

impl ReportApi {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::PolicyReport, Self::OpenReports];

    /// Returns the API group.
    pub fn group(self) -> &'static str {
        match self {
            Self::PolicyReport => "wgpolicyk8s.io",
            Self::OpenReports => "openreports.io",
        }
    }

    /// Returns the group and version as objects spell them.
    pub fn group_version(self) -> &'static str {
        match self {
            Self::PolicyReport => "wgpolicyk8s.io/v1alpha2",
            Self::OpenReports => "openreports.io/v1alpha1",
        }
    }

    /// Returns the kind of the objects with a namespace, or of those without.
    pub fn kind(self, is_namespaced: bool) -> &'static str {
        match (self, is_namespaced) {
            (Self::PolicyReport, true) => "PolicyReport",
            (Self::PolicyReport, false) => "ClusterPolicyReport",
            (Self::OpenReports, true) => "Report",
            (Self::OpenReports, false) => "ClusterReport",
        }
    }

    /// Returns the plural of the kind.
    pub fn resource(self, is_namespaced: bool) -> &'static str {
        match (self, is_namespaced) {
            (Self::PolicyReport, true) => "policyreports",
            (Self::PolicyReport, false) => "clusterpolicyreports",
            (Self::OpenReports, true) => "reports",
            (Self::OpenReports, false) => "clusterreports",
        }
    }

    /// Returns the discovery path, which tells whether the cluster has this kind of reports.
    pub fn discovery(self) -> String {
        format!("/apis/{}", self.group_version())
    }

    /// Returns the path at which the API server lists and creates objects.
    pub fn path(self, place: ReportPlace<'_>) -> String {
        let (base, resource) = (self.discovery(), self.resource(place.is_namespaced()));
        match place {
            ReportPlace::Namespace(namespace) => {
                format!("{base}/namespaces/{namespace}/{resource}")
            }
            ReportPlace::Everywhere | ReportPlace::Cluster => format!("{base}/{resource}"),
        }
    }
}

impl<'p> ReportPlace<'p> {
    /// Returns the place of an object in this namespace; an empty namespace means none.
    pub fn of(namespace: &'p str) -> Self {
        if namespace.is_empty() { Self::Cluster } else { Self::Namespace(namespace) }
    }

    /// Whether objects in this place have a namespace.
    pub fn is_namespaced(self) -> bool {
        self != Self::Cluster
    }
}
