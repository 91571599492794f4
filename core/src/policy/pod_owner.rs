//! The owner of a pod: AutoMQ, an exemption, or neither.

use super::{Policy, pool::Instance, protection::Origin};
use crate::kubernetes::{
    name::{Glob, any_matches},
    object::{Labels, Metadata, Pod},
    selector::{LabelSelector, LabelSet},
};

/// The service account of pods that name none.
pub const DEFAULT_ACCOUNT: &str = "default";

/// The facts that decide whose a pod is: those of the pod or of the template that makes it.
#[derive(Clone, Copy, Debug)]
pub struct PodIdentity<'a, L> {
    /// The namespace of the request. The object's own text does not decide it.
    pub namespace: &'a str,
    /// Labels, which anyone can write.
    pub labels: &'a L,
    /// The service account; empty for `default`.
    pub service_account: &'a str,
    /// The DaemonSet that controls the pod, if anything but the pod says so: its controller created the
    /// pod, or the pod is stored with that owner.
    pub daemon_set: Option<&'a str>,
}

impl<L> PodIdentity<'_, L> {
    pub(in crate::policy) fn service_account(&self) -> &str {
        if self.service_account.is_empty() { DEFAULT_ACCOUNT } else { self.service_account }
    }
}

/// The conditions for an AutoMQ pod. All conditions must hold.
#[derive(Clone, Debug)]
pub struct AutoMq {
    /// The AutoMQ namespaces. Outside them, no label makes a pod an AutoMQ pod.
    pub namespaces: Vec<Glob>,
    /// The selector of AutoMQ's pods in these namespaces; everything if the config says nothing.
    pub pods: LabelSelector,
    /// The service accounts of AutoMQ's pods; empty for any service account.
    pub service_accounts: Vec<Glob>,
}

impl AutoMq {
    /// Whether the config gives this namespace to AutoMQ.
    pub fn owns_namespace(&self, namespace: &str) -> bool {
        any_matches(&self.namespaces, namespace)
    }

    /// Whether this pod is AutoMQ's.
    pub fn owns_pod(&self, pod: &PodIdentity<'_, impl LabelSet>) -> bool {
        let Self { namespaces, pods, service_accounts } = self;
        any_matches(namespaces, pod.namespace)
            && pods.matches(pod.labels)
            && (service_accounts.is_empty() || any_matches(service_accounts, pod.service_account()))
    }

    /// Whether every pod of the AutoMQ namespaces is an AutoMQ pod.
    pub fn is_by_namespace_only(&self) -> bool {
        self.pods.is_everything() && self.service_accounts.is_empty()
    }
}

/// Pods that may run on dedicated nodes. All conditions must hold.
#[derive(Clone, Debug)]
pub struct Exemption {
    /// Namespace, or a glob over namespaces.
    pub namespace: Glob,
    /// The service accounts of the pods; empty for any service account.
    pub service_accounts: Vec<Glob>,
    /// The DaemonSets, one of which must control the pod; empty for any pod.
    pub daemon_sets: Vec<Glob>,
    /// The selector of the pods; everything if the config says nothing.
    pub pods: LabelSelector,
    /// The reason, for people and records.
    pub reason: String,
    /// The source of the entry.
    pub origin: Origin,
}

impl Exemption {
    /// Whether this pod is exempt.
    pub fn covers(&self, pod: &PodIdentity<'_, impl LabelSet>) -> bool {
        let Self { namespace, service_accounts, daemon_sets, pods, reason: _, origin: _ } = self;
        // Most entries are about pods of DaemonSets, and most pods are not.
        if !daemon_sets.is_empty() && pod.daemon_set.is_none() {
            return false;
        }
        namespace.matches(pod.namespace)
            && (service_accounts.is_empty() || any_matches(service_accounts, pod.service_account()))
            && (daemon_sets.is_empty()
                || pod.daemon_set.is_some_and(|name| any_matches(daemon_sets, name)))
            && pods.matches(pod.labels)
    }

    /// Whether this is a preset for DaemonSets that the provider runs on every node.
    pub fn is_agent(&self) -> bool {
        self.origin == Origin::Preset && !self.daemon_sets.is_empty()
    }

    /// Whether the whole namespace is exempt, whatever the pod.
    pub fn is_by_namespace_only(&self) -> bool {
        let Self { namespace: _, service_accounts, daemon_sets, pods, reason: _, origin: _ } = self;
        service_accounts.is_empty() && daemon_sets.is_empty() && pods.is_everything()
    }
}

/// The answer to the question whether a pod may run on dedicated nodes, with the reason.
#[derive(Clone, Copy, Debug)]
pub enum PodOwner<'p> {
    /// An AutoMQ pod, which may run there.
    AutoMq,
    /// A pod that an entry exempts, which may run there.
    Exempt(&'p Exemption),
    /// Any other pod, which may not run there.
    Neither,
}

impl<'a, 'l> PodIdentity<'a, Labels<'l>> {
    /// Creates the identity of a stored pod. The owner that a stored pod names counts.
    pub fn stored(pod: &'a Pod<'l>) -> Self {
        Self {
            namespace: &pod.metadata.namespace,
            labels: &pod.metadata.labels,
            service_account: pod.spec.service_account(),
            daemon_set: daemon_set(&pod.metadata),
        }
    }
}

impl Policy {
    /// Returns the owner of a pod.
    pub fn pod_owner(&self, pod: &PodIdentity<'_, impl LabelSet>) -> PodOwner<'_> {
        if self.automq.owns_pod(pod) {
            return PodOwner::AutoMq;
        }
        let exemption = self.exempt.iter().find(|exemption| exemption.covers(pod));
        exemption.map_or(PodOwner::Neither, PodOwner::Exempt)
    }
}

impl Policy {
    /// The instance of an AutoMQ pod, by its place in the config: the first that matches.
    pub fn instance_of(&self, namespace: &str, labels: &impl LabelSet) -> Option<usize> {
        let is_its = |it: &Instance| namespace == it.namespace.as_str() && it.pods.matches(labels);
        self.instances.iter().position(is_its)
    }
}

/// The DaemonSet that a pod names as its controller. It counts only in what is stored, or where the
/// DaemonSet controller asks.
pub fn daemon_set<'m>(metadata: &'m Metadata<'_>) -> Option<&'m str> {
    metadata.controller().filter(|owner| owner.is_daemon_set()).map(|owner| owner.name.as_str())
}
