//! The rules, one a file, and the choice of the rules that judge a request.

mod cluster_exclusive;
mod inspect;
mod node_identity;
mod node_machine_type;
mod node_pool;
mod node_taint;
mod node_zone;
mod pod_intrusion;
mod pod_placement;
mod role_binding;
mod workload_intrusion;

pub use self::{
    node_pool::NodePoolFinding,
    pod_placement::{PlacementAdditions, TERMS_MAX},
};

use std::{
    fmt::{self, Display, Write},
    sync::Arc,
};

use super::{
    Phase, Policy,
    membership::Membership,
    placement::{Landing, Witness},
    pod_owner::{PodIdentity, PodOwner, daemon_set},
    principal::NODES_GROUP,
    request::{Change, Request, RequestObjects},
    snapshot::Snapshot,
    verdict::FindingCollector,
};
use crate::{
    json::text::write_parts,
    kubernetes::{
        object::{Labels, Metadata, Node, Pod, PodSpec},
        taint::{Taint, Toleration, tolerating},
    },
};

/// The values that every rule reads.
#[derive(Clone, Copy)]
struct Context<'a> {
    policy: &'a Policy,
    snapshot: &'a Snapshot,
    request: &'a Request<'a>,
}

/// Judges a request by each rule that reads its kind of object.
pub(in crate::policy) fn judge(
    policy: &Policy,
    snapshot: &Snapshot,
    phase: Phase,
    request: &Request<'_>,
    report: &mut FindingCollector,
) {
    let context = Context { policy, snapshot, request };
    if phase == Phase::Mutate && policy.answers_before_backstop() {
        answer_before_backstop(context, report);
        if report.denies() {
            return;
        }
    }
    match (phase, &request.subject) {
        (Phase::Mutate, RequestObjects::Pod(Change::Create { new })) => {
            pod_placement::patch_placement(context, new, report);
        }
        (Phase::Mutate, RequestObjects::Node(change)) => node_taint::add(context, change, report),
        (Phase::Mutate, _) => {}
        (Phase::Validate, subject) => validate(context, subject, report),
    }
}

/// Denies an intruder already in the mutating phase. The API server evaluates a backstop before it calls `/validate`,
/// and the denial would be the backstop's: without PoolGuard's message, record and Event.
///
/// For members of break-glass groups and for kubelets this is the only call about a pod that is not AutoMQ's: they
/// are outside the entries that fail closed.
fn answer_before_backstop(context: Context<'_>, report: &mut FindingCollector) {
    let Context { policy, request, .. } = context;
    let break_glass = policy.break_glass_group(&request.user);
    if break_glass.is_some() || request.user.is_in(NODES_GROUP) {
        if context.is_about_another_pod() {
            validate(context, &request.subject, report);
            if let Some(group) = break_glass {
                report.break_glass(group);
            }
        }
        return;
    }
    let mut found = FindingCollector::default();
    match &request.subject {
        RequestObjects::Pod(Change::Create { new })
            if context.creating_daemon_set(&new.metadata).is_none() =>
        {
            pod_intrusion::judge_create(context, new, &mut found);
        }
        // A backstop decides about pods that wait for a node.
        RequestObjects::Pod(Change::Update { old, new }) if is_moved(old, new) => {
            pod_intrusion::judge_update(context, old, new, &mut found);
        }
        RequestObjects::Binding(binding) => {
            pod_intrusion::judge_binding(context, binding, &mut found);
        }
        RequestObjects::Irrelevant
        | RequestObjects::Pod(_)
        | RequestObjects::Workload(..)
        | RequestObjects::Node(_)
        | RequestObjects::Namespace(_) => {}
    }
    report.take_denials(found);
}

/// Whether an update changes where a pod that waits for a node can land.
fn is_moved(old: &Pod<'_>, new: &Pod<'_>) -> bool {
    old.spec.node_name.is_empty() && !new.spec.is_placed_like(&old.spec)
}

fn validate(context: Context<'_>, subject: &RequestObjects<'_>, report: &mut FindingCollector) {
    match subject {
        RequestObjects::Irrelevant | RequestObjects::Pod(Change::Delete { .. }) => {}
        RequestObjects::Pod(Change::Create { new }) => {
            pod_intrusion::judge_create(context, new, report);
            pod_placement::judge_create(context, new, report);
            cluster_exclusive::judge_create(context, new, report);
        }
        RequestObjects::Pod(Change::Update { old, new }) => {
            pod_intrusion::judge_update(context, old, new, report);
        }
        RequestObjects::Binding(binding) => {
            pod_intrusion::judge_binding(context, binding, report);
            pod_placement::judge_binding(context, binding, report);
        }
        RequestObjects::Workload(kind, change) => {
            workload_intrusion::judge(context, *kind, change, report);
        }
        RequestObjects::Node(change) => {
            node_identity::judge(context, change, report);
            // An update of the status cannot change a taint, and is a kubelet's heartbeat.
            if context.request.target.sub_resource.is_empty() {
                node_taint::judge(context, change, report);
                node_machine_type::judge(context, change, report);
                node_zone::judge(context, change, report);
            }
        }
        RequestObjects::Namespace(namespace) => {
            role_binding::judge_namespace(context, namespace, report);
        }
    }
    if let Some(change) = &context.request.raw_objects {
        role_binding::judge(context, change, report);
        node_pool::judge(context, change, report);
    }
}

impl<'a> Context<'a> {
    /// Whether the request is about a pod that neither AutoMQ nor a DaemonSet has: those have entries of their own.
    fn is_about_another_pod(&self) -> bool {
        match &self.request.subject {
            RequestObjects::Pod(Change::Create { new }) => {
                self.creating_daemon_set(&new.metadata).is_none()
                    && !self.policy.automq.owns_pod(&self.identity(&new.metadata, &new.spec, None))
            }
            RequestObjects::Pod(Change::Update { old, new }) => is_moved(old, new),
            RequestObjects::Binding(_) => {
                !self.policy.automq.owns_namespace(&self.request.target.namespace)
            }
            RequestObjects::Irrelevant
            | RequestObjects::Pod(Change::Delete { .. })
            | RequestObjects::Workload(..)
            | RequestObjects::Node(_)
            | RequestObjects::Namespace(_) => false,
        }
    }

    /// Whether a kubelet updates its own node. PoolGuard never denies that.
    fn is_own_kubelet(&self) -> bool {
        self.request.user.kubelet_of() == Some(&self.request.target.name)
    }

    /// Whether the pod is a mirror pod that the kubelet of its node writes.
    fn is_mirror_pod(&self, pod: &Pod<'_>) -> bool {
        pod.metadata.mirror.0
            && !pod.spec.node_name.is_empty()
            && self.request.user.kubelet_of() == Some(&pod.spec.node_name)
    }

    /// Whether the principal passes the rules that guard nodes and roles.
    fn is_trusted(&self) -> bool {
        let user = &self.request.user;
        user.is_never_judged() || self.policy.trusts(user)
    }

    /// `Pod shop/web-0`: the object of the request, as people name it.
    fn object_name(&self, kind: &str) -> impl Display {
        fmt::from_fn(move |f| write_parts(f, self.object_name_parts(kind)))
    }

    /// The parts of [`Self::object_name`].
    fn object_name_parts<'k>(&self, kind: &'k str) -> [&'k str; 6]
    where
        'a: 'k,
    {
        let namespace = self.request.target.namespace.as_str();
        let slash = if namespace.is_empty() { "" } else { "/" };
        let [name, rest] = self.request.name_parts();
        [kind, " ", namespace, slash, name, rest]
    }

    /// The DaemonSet whose controller asks for this new pod. Anyone can write an owner into an object.
    fn creating_daemon_set<'m>(&self, metadata: &'m Metadata<'_>) -> Option<&'m str> {
        if self.request.user.is_daemon_set_controller() { daemon_set(metadata) } else { None }
    }

    /// The identity of a pod, or of the pods of a template.
    fn identity<'p, 'l>(
        &'p self,
        metadata: &'p Metadata<'l>,
        spec: &'p PodSpec<'_>,
        daemon_set: Option<&'p str>,
    ) -> PodIdentity<'p, Labels<'l>> {
        PodIdentity {
            namespace: &self.request.target.namespace,
            labels: &metadata.labels,
            service_account: spec.service_account(),
            daemon_set,
        }
    }

    /// Whether a pod, or a pod of a template, may run on dedicated nodes, and why.
    fn pod_owner(
        &self,
        metadata: &Metadata<'_>,
        spec: &PodSpec<'_>,
        daemon_set: Option<&str>,
    ) -> PodOwner<'a> {
        self.policy.pod_owner(&self.identity(metadata, spec, daemon_set))
    }

    /// The field that lets a pod run on a pool's node. `path` is the path of the pod's spec.
    fn cause<'c>(&self, spec: &'c PodSpec<'_>, path: &str, landing: &Landing<'_>) -> Cause<'c>
    where
        'a: 'c,
    {
        let is_examined = landing.witness != Witness::Unexamined;
        let term = landing.term;
        let cause = |field: String, means| Cause { field, means, term, is_examined };
        if !spec.node_name.is_empty() {
            return cause([path, ".nodeName"].concat(), Means::NodeName);
        }
        let taint = self.snapshot.pool(landing.pool).map(|pool| &pool.taint);
        let comparison = self.policy.placement.comparison_operators;
        let found = taint.and_then(|taint| {
            let (index, toleration) = tolerating(spec.tolerations(), taint, comparison)?;
            Some((index, Means::Toleration(toleration, taint)))
        });
        let Some((index, means)) = found else {
            return cause([path, ".tolerations"].concat(), Means::Unclear);
        };
        let mut digits = itoa::Buffer::new();
        cause([path, ".tolerations[", digits.format(index), "]"].concat(), means)
    }
}

/// The field that lets a pod run on a pool's node, and how.
struct Cause<'c> {
    field: String,
    means: Means<'c>,
    /// The term that the node meets, by its place in the pod's required node affinity.
    term: Option<usize>,
    /// Whether PoolGuard evaluated all constraints of the pod.
    is_examined: bool,
}

/// The way in which a field lets a pod run on a pool's node.
enum Means<'c> {
    NodeName,
    Toleration(&'c Toleration<'c>, &'c Taint<'static>),
    Unclear,
}

impl Cause<'_> {
    /// Writes the field, and how it lets the pod run there. The sentence names `witness` before, and then the other
    /// pools. `witness` is a node of the first pool, and `pools` is the number of all these pools.
    fn write(&self, out: &mut impl Write, pools: usize, witness: &Witness<'_>) -> fmt::Result {
        let Self { field, means, term, is_examined } = self;
        match means {
            Means::NodeName => {
                let rest = " selects this node directly, so the scheduler does not check the node's taints";
                write_parts(out, [field, rest])?;
            }
            Means::Toleration(toleration, taint) => {
                write_parts(out, [field, " "])?;
                toleration.write_yaml(out)?;
                out.write_str(" tolerates ")?;
                write_parts(out, taint.parts())?;
            }
            Means::Unclear => write_parts(out, [field, " may tolerate the pool's taint"])?,
        }
        if let Some(index) = term {
            let mut digits = itoa::Buffer::new();
            let index = digits.format(*index);
            write_parts(
                out,
                [", and nodeSelectorTerms[", index, "] of the required node affinity matches "],
            )?;
            let node = if pools > 1 { witness_parts(witness) } else { ["this node", ""] };
            write_parts(out, node)?;
        }
        if !is_examined {
            out.write_str(
                ". The node affinity or the tolerations are too long for PoolGuard to evaluate within one request, \
                 so PoolGuard assumes that the pod can run there",
            )?;
        }
        Ok(())
    }
}

/// The capacity of a sentence in bytes. Most sentences of a finding are shorter, so one allocation holds them.
const SENTENCE_BYTES: usize = 640;

/// Creates a sentence of a finding.
fn sentence(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut sentence = String::with_capacity(SENTENCE_BYTES);
    // Writing to a string does not fail.
    let _ = write(&mut sentence);
    sentence
}

/// The name in records of a node that the snapshot does not know. The scan judges its pods later.
const UNKNOWN_NODE: &str = "unknown";

/// `node ip-10-0-1-11`, or a name for a node to come.
fn witness_text(witness: &Witness<'_>) -> impl Display {
    fmt::from_fn(move |f| write_parts(f, witness_parts(witness)))
}

/// The parts of [`witness_text`].
fn witness_parts<'w>(witness: &Witness<'w>) -> [&'w str; 2] {
    match witness {
        Witness::Node(name) => ["node ", name],
        Witness::ToCome { zone: Some(zone) } => ["the next new node in zone ", zone],
        Witness::ToCome { zone: None } => ["the next new node", ""],
        Witness::Unexamined => ["a node", ""],
    }
}

/// The name of an existing node.
fn witness_name(witness: &Witness<'_>) -> Option<Arc<str>> {
    match witness {
        Witness::Node(name) => Some(Arc::clone(name)),
        Witness::ToCome { .. } | Witness::Unexamined => None,
    }
}

/// The pool of a node as the request shows it.
fn membership<'p>(policy: &'p Policy, node: &Node<'_>) -> Membership<'p> {
    policy.membership(&node.metadata.labels, node.taints())
}
