//! Workloads: objects that hold a pod template.

use serde::Deserialize;

use super::{metadata::Metadata, pod::PodSpec};
use crate::policy::text::null_as_default;

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
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), default)]
pub struct Workload<'a> {
    /// `metadata`.
    #[serde(deserialize_with = "null_as_default")]
    pub metadata: Metadata<'a>,
    #[serde(deserialize_with = "null_as_default")]
    spec: WorkloadSpec<'a>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), rename_all = "camelCase", default)]
struct WorkloadSpec<'a> {
    #[serde(deserialize_with = "null_as_default")]
    template: PodTemplate<'a>,
    #[serde(deserialize_with = "null_as_default")]
    job_template: JobTemplate<'a>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), default)]
struct JobTemplate<'a> {
    #[serde(deserialize_with = "null_as_default")]
    spec: JobSpec<'a>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), default)]
struct JobSpec<'a> {
    #[serde(deserialize_with = "null_as_default")]
    template: PodTemplate<'a>,
}

/// A pod template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), default)]
pub struct PodTemplate<'a> {
    /// `metadata` of the pods to come.
    #[serde(deserialize_with = "null_as_default")]
    pub metadata: Metadata<'a>,
    /// `spec` of the pods to come.
    #[serde(deserialize_with = "null_as_default")]
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
