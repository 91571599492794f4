//! `pod-intrusion` and `cluster-exclusive`: pods and bindings.

use super::{
    DOMAIN, FailurePolicy, MatchCondition, NamespaceScope, Reinvocation, ResourceScope,
    WebhookEntry, WebhookRule,
    cel::{Cel, CelPath},
    pod_owner::{Changeable, Outside, OwnerCounts},
    principals,
    reach::{moves_unbound_pod, operation_is, pool_taints, reaches},
    sorted,
};
use crate::{
    kubernetes::selector::{LabelSelector, Operator, Requirement},
    policy::{Phase, Policy, mode::Mode, request::Operation},
};

/// A label that the DaemonSet controller sets on every pod that it creates, so that other pods do
/// not cost an evaluation.
const TEMPLATE_GENERATION_LABEL: &str = "pod-template-generation";

pub(super) fn entries(policy: &Policy, outside: &Outside<'_>) -> Vec<WebhookEntry> {
    of_outage(policy, outside, Outage::of)
}

/// Returns the entries for a cluster where a backstop denies the intruders while PoolGuard does not answer.
pub(super) fn entries_beside_backstop(policy: &Policy, outside: &Outside<'_>) -> Vec<WebhookEntry> {
    let open = Outage {
        failure_policy: FailurePolicy::Ignore,
        recorded_requesters: RecordedRequesters::LeftOut,
    };
    of_outage(policy, outside, |_| open)
}

fn of_outage(
    policy: &Policy,
    outside: &Outside<'_>,
    outage: impl Fn(Mode) -> Outage + Copy,
) -> Vec<WebhookEntry> {
    [
        pods(policy, outside, outage),
        daemon_set_pods(policy, outside),
        bindings(policy, outside, outage),
        relabelled_pods(policy, outside),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(super) fn rule(resources: &[&str], operations: &[Operation]) -> WebhookRule {
    WebhookRule::new("", resources.iter().copied(), operations, ResourceScope::Namespaced)
}

/// Returns the condition for created pods that can reach a pool, and the mode of the strictest rule that judges pods.
/// The rules judge no pods, those that can reach a pool, or all.
fn judges(policy: &Policy, intrusion: Mode) -> (Cel, Mode) {
    let exclusive = policy.rules.cluster_exclusive;
    let has_pools = !pool_taints(policy).is_empty();
    let intrusion = if has_pools { intrusion } else { Mode::Off };
    let reaches = match intrusion {
        Mode::Off => Cel::Never,
        Mode::Audit | Mode::Warn | Mode::Enforce => reaches(policy, &CelPath::object(), "spec"),
    };
    // In audit the rule is the scan's business.
    let exclusive = if exclusive < Mode::Warn { Mode::Off } else { exclusive };
    (reaches, intrusion.max(exclusive))
}

/// A condition for all pods outside AutoMQ's namespaces, where the cluster is to be AutoMQ's alone.
fn widened(policy: &Policy, outside: &Outside<'_>) -> Cel {
    if policy.rules.cluster_exclusive < Mode::Warn {
        Cel::Never
    } else {
        outside.in_no_automq_namespace()
    }
}

/// The entries of the mutating configuration in which PoolGuard denies an intruder before a backstop does.
pub(super) fn first_entries(policy: &Policy, outside: &Outside<'_>) -> Vec<WebhookEntry> {
    let first = |stem: &str, entry: WebhookEntry| WebhookEntry {
        name: WebhookEntry::new(stem, Phase::Mutate, Vec::new()).name,
        path: Phase::Mutate,
        reinvocation: Reinvocation::IfNeeded,
        ..entry
    };
    let open = Outage {
        failure_policy: FailurePolicy::Ignore,
        recorded_requesters: RecordedRequesters::Included,
    };
    let pods = pods(policy, outside, |_| open).map(|it| first("intruders", it));
    let bindings = bindings(policy, outside, |_| open).map(|it| first("intruders-bindings", it));
    pods.into_iter().chain(bindings).collect()
}

/// Whether an entry's requests are also sent by one of [`first_entries`], those of break-glass groups and
/// kubelets included.
pub(super) fn is_first(entry: &WebhookEntry) -> bool {
    ["pods", "bindings"].iter().any(|stem| entry.name == format!("{stem}.{DOMAIN}"))
}

/// The failure policy of an entry while PoolGuard does not answer, and whether the entry sends the requests of
/// break-glass groups and kubelets.
#[derive(Clone, Copy)]
struct Outage {
    failure_policy: FailurePolicy,
    recorded_requesters: RecordedRequesters,
}

/// Whether an entry sends the requests of members of break-glass groups, and of kubelets, whose mirror pods no
/// answer stops.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RecordedRequesters {
    Included,
    /// Another entry sends their requests.
    LeftOut,
}

impl Outage {
    /// Creates the outage of a mode. A fail-closed entry leaves people out, and its counterpart sends their requests.
    fn of(mode: Mode) -> Self {
        let failure_policy = FailurePolicy::of(mode);
        let recorded_requesters = match failure_policy {
            FailurePolicy::Fail => RecordedRequesters::LeftOut,
            FailurePolicy::Ignore => RecordedRequesters::Included,
        };
        Self { failure_policy, recorded_requesters }
    }
}

fn pods(
    policy: &Policy,
    outside: &Outside<'_>,
    outage: impl Fn(Mode) -> Outage,
) -> Option<WebhookEntry> {
    let (reaches, mode) = judges(policy, policy.rules.pod_intrusion);
    if mode == Mode::Off {
        return None;
    }
    let widened = widened(policy, outside);
    let (operations, sent): (&[_], _) = if reaches == Cel::Never {
        (&[Operation::Create], widened)
    } else {
        let is_create = || operation_is(Operation::Create.as_str());
        let moves = Cel::any([is_create(), moves_unbound_pod()]);
        let reaching = Cel::all([moves, reaches]);
        let sent = Cel::any([Cel::all([is_create(), widened]), reaching]);
        (&[Operation::Create, Operation::Update], sent)
    };
    let Outage { failure_policy, recorded_requesters } = outage(mode);
    let mut entry = WebhookEntry::new("pods", Phase::Validate, vec![rule(&["pods"], operations)]);
    entry.failure_policy = failure_policy;
    entry.namespaces = outside.scope();
    entry.conditions.extend(MatchCondition::new("reaches-a-pool", sent));
    let controller = principals::creates_daemon_set_pod();
    let left_out = match recorded_requesters {
        RecordedRequesters::LeftOut => Cel::any([controller, principals::is_kubelet()]),
        RecordedRequesters::Included => controller,
    };
    entry
        .conditions
        .extend(MatchCondition::new(principals::BY_NO_NODE_COMPONENT, Cel::not(left_out)));
    entry.conditions.extend(outside.pod_is_outside(OwnerCounts::Stored));
    if recorded_requesters == RecordedRequesters::LeftOut {
        entry.conditions.extend(principals::by_no_break_glass_group(policy));
    }
    Some(entry)
}

fn daemon_set_pods(policy: &Policy, outside: &Outside<'_>) -> Option<WebhookEntry> {
    let (reaches, mode) = judges(policy, policy.rules.daemon_set_intrusion);
    if mode == Mode::Off {
        return None;
    }
    let rule = rule(&["pods"], &[Operation::Create]);
    let mut entry = WebhookEntry::new("daemonset-pods", Phase::Validate, vec![rule]);
    entry.namespaces = outside.scope();
    entry.objects = LabelSelector::new(vec![Requirement {
        key: TEMPLATE_GENERATION_LABEL.to_owned(),
        operator: Operator::Exists,
        values: Vec::new(),
    }]);
    let sent = Cel::any([widened(policy, outside), reaches]);
    entry.conditions.extend(MatchCondition::new("reaches-a-pool", sent));
    let by_controller = principals::creates_daemon_set_pod();
    entry.conditions.extend(MatchCondition::new("by-the-daemonset-controller", by_controller));
    entry.conditions.extend(outside.pod_is_outside(OwnerCounts::Asking));
    Some(entry)
}

/// Returns the entry for bindings. A binding says too little about the pod and its node for CEL, so the entry sends
/// the bindings of every scheduler but Kubernetes' own.
fn bindings(
    policy: &Policy,
    outside: &Outside<'_>,
    outage: impl Fn(Mode) -> Outage,
) -> Option<WebhookEntry> {
    let mode = policy.rules.pod_intrusion;
    if mode == Mode::Off || pool_taints(policy).is_empty() {
        return None;
    }
    let mut entry = WebhookEntry::new("bindings", Phase::Validate, vec![binding_rule()]);
    let Outage { failure_policy, recorded_requesters } = outage(mode);
    entry.failure_policy = failure_policy;
    entry.namespaces = outside.scope_without_automq();
    let by_another = Cel::not(principals::is_kube_scheduler());
    entry.conditions.extend(MatchCondition::new("not-by-kube-scheduler", by_another));
    entry.conditions.extend(outside.binding_is_outside());
    if recorded_requesters == RecordedRequesters::LeftOut {
        entry.conditions.extend(principals::by_no_break_glass_group(policy));
    }
    Some(entry)
}

pub(super) fn binding_rule() -> WebhookRule {
    rule(&["bindings", "pods/binding"], &[Operation::Create])
}

/// Returns the entry for pods that a change of labels or of the owner may turn into intruders, where they are.
fn relabelled_pods(policy: &Policy, outside: &Outside<'_>) -> Option<WebhookEntry> {
    let changeable = Changeable::of(policy);
    let intrusion = policy.rules.pod_intrusion.max(policy.rules.daemon_set_intrusion);
    if intrusion == Mode::Off || pool_taints(policy).is_empty() {
        return None;
    }
    let (namespaces, in_one) = match changeable.exact() {
        Some(exact) => {
            let inside = exact.into_iter().filter(|namespace| !outside.includes(namespace));
            (NamespaceScope::Only(sorted(inside)), Cel::Always)
        }
        None => (outside.scope(), changeable.in_one()),
    };
    if namespaces == NamespaceScope::Only(Vec::new()) {
        return None;
    }
    let (new, old) = (CelPath::object().key("metadata"), CelPath::old_object().key("metadata"));
    let owners = if changeable.owners { new.differs(&old, "ownerReferences") } else { Cel::Never };
    let changes = Cel::all([
        in_one,
        Cel::not(new.has("deletionTimestamp")),
        Cel::any([new.differs(&old, "labels"), owners]),
        // Those are sent by `pods`.
        Cel::not(moves_unbound_pod()),
        reaches(policy, &CelPath::object(), "spec"),
    ]);
    let rule = rule(&["pods"], &[Operation::Update]);
    let mut entry = WebhookEntry::new("relabelled-pods", Phase::Validate, vec![rule]);
    entry.namespaces = namespaces;
    entry.conditions.extend(MatchCondition::new("changes-who-it-is", changes));
    entry.conditions.extend(outside.pod_is_outside(OwnerCounts::Stored));
    Some(entry)
}
