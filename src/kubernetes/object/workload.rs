//! Workloads: objects that hold a pod template.

use super::{metadata::Metadata, pod::PodSpec};
use crate::json::read_object;

/// The kinds of workloads that are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// batch
    CronJob,
    /// apps
    DaemonSet,
    /// apps
    Deployment,
    /// batch
    Job,
    /// apps
    ReplicaSet,
    /// core
    ReplicationController,
    /// apps
    StatefulSet,
}

impl WorkloadKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::CronJob,
        Self::DaemonSet,
        Self::Deployment,
        Self::Job,
        Self::ReplicaSet,
        Self::ReplicationController,
        Self::StatefulSet,
    ];

    /// API group, plural resource and kind. The version is `v1` for all of them.
    pub fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::CronJob => ("batch", "cronjobs", "CronJob"),
            Self::DaemonSet => ("apps", "daemonsets", "DaemonSet"),
            Self::Deployment => ("apps", "deployments", "Deployment"),
            Self::Job => ("batch", "jobs", "Job"),
            Self::ReplicaSet => ("apps", "replicasets", "ReplicaSet"),
            Self::ReplicationController => ("", "replicationcontrollers", "ReplicationController"),
            Self::StatefulSet => ("apps", "statefulsets", "StatefulSet"),
        }
    }

    /// Where the pod template lies, as a field path.
    pub fn template_path(self) -> &'static str {
        match self {
            Self::CronJob => "spec.jobTemplate.spec.template",
            Self::DaemonSet
            | Self::Deployment
            | Self::Job
            | Self::ReplicaSet
            | Self::ReplicationController
            | Self::StatefulSet => "spec.template",
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
            | WorkloadKind::StatefulSet => &self.spec.template,
        }
    }
}

read_object!(Workload { "metadata" => metadata, "spec" => spec });
read_object!(WorkloadSpec { "template" => template, "jobTemplate" => job_template });
read_object!(JobTemplate { "spec" => spec });
read_object!(JobSpec { "template" => template });
read_object!(PodTemplate { "metadata" => metadata, "spec" => spec });
