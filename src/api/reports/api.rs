//! The two kinds of report objects, and where they are served.

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    /// `wgpolicyk8s.io/v1alpha2`, of the Kubernetes policy working group.
    PolicyReport,
    /// `openreports.io/v1alpha1`, its successor.
    OpenReports,
}

/// Where a report is, or reports are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportPlace<'p> {
    /// In every namespace.
    Everywhere,
    /// In this one.
    Namespace(&'p str),
    /// In none.
    Cluster,
}

impl Api {
    /// Both.
    pub const ALL: [Self; 2] = [Self::PolicyReport, Self::OpenReports];

    /// API group.
    pub fn group(self) -> &'static str {
        match self {
            Self::PolicyReport => "wgpolicyk8s.io",
            Self::OpenReports => "openreports.io",
        }
    }

    /// As objects spell it.
    pub fn group_version(self) -> &'static str {
        match self {
            Self::PolicyReport => "wgpolicyk8s.io/v1alpha2",
            Self::OpenReports => "openreports.io/v1alpha1",
        }
    }

    /// Kind of the objects with a namespace, or of those without.
    pub fn kind(self, is_namespaced: bool) -> &'static str {
        match (self, is_namespaced) {
            (Self::PolicyReport, true) => "PolicyReport",
            (Self::PolicyReport, false) => "ClusterPolicyReport",
            (Self::OpenReports, true) => "Report",
            (Self::OpenReports, false) => "ClusterReport",
        }
    }

    /// Plural of the kind.
    pub fn resource(self, is_namespaced: bool) -> &'static str {
        match (self, is_namespaced) {
            (Self::PolicyReport, true) => "policyreports",
            (Self::PolicyReport, false) => "clusterpolicyreports",
            (Self::OpenReports, true) => "reports",
            (Self::OpenReports, false) => "clusterreports",
        }
    }

    /// Where it is told whether the cluster has them.
    pub fn discovery(self) -> String {
        format!("/apis/{}", self.group_version())
    }

    /// Where objects are listed and created.
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
    /// The place of an object in this namespace; empty for none.
    pub fn of(namespace: &'p str) -> Self {
        if namespace.is_empty() { Self::Cluster } else { Self::Namespace(namespace) }
    }

    /// Whether objects there have a namespace.
    pub fn is_namespaced(self) -> bool {
        self != Self::Cluster
    }
}
