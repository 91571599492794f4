//! Workloads: objects that hold a pod template.

use super::{custom_workload::CustomTemplate, metadata::Metadata, pod::PodSpec};
use crate::{
    json::read_object,
    kubernetes::resource::{self, Resource},
};

/// The kinds of workloads that are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// `cronjobs.batch`
    CronJob,
    /// `daemonsets.apps`
    DaemonSet,
    /// `deployments.apps`
    Deployment,
    /// `jobs.batch`
    Job,
    /// `replicasets.apps`
    ReplicaSet,
    /// `replicationcontrollers`
    ReplicationController,
    /// `statefulsets.apps`
    StatefulSet,
    /// A custom kind, by one of the places where it keeps a template. It is read as if it had the template where a
    /// Deployment has it.
    Custom(&'static CustomTemplate),
}

impl WorkloadKind {
    /// Every kind of Kubernetes itself.
    pub const ALL: [Self; 7] = [
        Self::CronJob,
        Self::DaemonSet,
        Self::Deployment,
        Self::Job,
        Self::ReplicaSet,
        Self::ReplicationController,
        Self::StatefulSet,
    ];

    /// The kind of a resource, if it is one.
    pub fn of(resource: Resource) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.resource() == resource)
    }

    /// The resource of the kind.
    pub fn resource(self) -> Resource {
        match self {
            Self::CronJob => resource::CRON_JOBS,
            Self::DaemonSet => resource::DAEMON_SETS,
            Self::Deployment => resource::DEPLOYMENTS,
            Self::Job => resource::JOBS,
            Self::ReplicaSet => resource::REPLICA_SETS,
            Self::ReplicationController => resource::REPLICATION_CONTROLLERS,
            Self::StatefulSet => resource::STATEFUL_SETS,
            Self::Custom(CustomTemplate { group, kind, plural, .. }) => {
                Resource { kind, group, plural, is_namespaced: true }
            }
        }
    }

    /// The field path of the `spec` of the pods.
    pub fn spec_path(self) -> String {
        match self {
            Self::CronJob => "spec.jobTemplate.spec.template.spec".to_owned(),
            Self::DaemonSet
            | Self::Deployment
            | Self::Job
            | Self::ReplicaSet
            | Self::ReplicationController
            | Self::StatefulSet => "spec.template.spec".to_owned(),
            Self::Custom(CustomTemplate { path, .. }) => format!("{path}.spec"),
        }
    }
}

/// A workload of any kind: a CronJob has `jobTemplate`, the others `template`.
#[derive(Clone, Debug, Default)]
pub struct Workload<'a> {
    /// `metadata`.
    pub metadata: Metadata<'a>,
    spec: WorkloadSpec<'a>,
}

#[derive(Clone, Debug, Default)]
struct WorkloadSpec<'a> {
    template: PodTemplate<'a>,
    job_template: JobTemplate<'a>,
}

#[derive(Clone, Debug, Default)]
struct JobTemplate<'a> {
    spec: JobSpec<'a>,
}

#[derive(Clone, Debug, Default)]
struct JobSpec<'a> {
    template: PodTemplate<'a>,
}

/// A pod template.
#[derive(Clone, Debug, Default)]
pub struct PodTemplate<'a> {
    /// `metadata` of the pods to come.
    pub metadata: Metadata<'a>,
    /// `spec` of the pods to come.
    pub spec: PodSpec<'a>,
}

impl<'a> Workload<'a> {
    /// The template of a workload of this kind.
    pub fn template(&self, kind: WorkloadKind) -> &PodTemplate<'a> {
        match kind {
            WorkloadKind::CronJob => &self.spec.job_template.spec.template,
            WorkloadKind::DaemonSet
            | WorkloadKind::Deployment
            | WorkloadKind::Job
            | WorkloadKind::ReplicaSet
            | WorkloadKind::ReplicationController
            | WorkloadKind::StatefulSet
            | WorkloadKind::Custom(_) => &self.spec.template,
        }
    }
}

read_object!(Workload { "metadata" => metadata, "spec" => spec });
read_object!(WorkloadSpec { "template" => template, "jobTemplate" => job_template });
read_object!(JobTemplate { "spec" => spec });
read_object!(JobSpec { "template" => template });
read_object!(PodTemplate { "metadata" => metadata, "spec" => spec });
