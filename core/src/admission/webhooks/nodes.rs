//! The rules about nodes. None fails closed: a node that cannot be updated is lost.

use super::{
    MatchCondition, ResourceScope, SHORT_TIMEOUT_SECONDS, WebhookEntry, WebhookRule,
    cel::{Cel, CelPath},
    principals,
    reach::{has_no_sub_resource, operation_is},
};
use crate::policy::{Phase, Policy, mode::Mode, request::Operation};

fn rule(resources: &[&str], operations: &[Operation]) -> WebhookRule {
    WebhookRule::new("", resources.iter().copied(), operations, ResourceScope::Cluster)
}

pub(super) fn validating(policy: &Policy) -> Option<WebhookEntry> {
    let rules = &policy.rules;
    let judges_identity = rules.node_identity > Mode::Off;
    let judges_taint = rules.node_taint > Mode::Off;
    let judges_facts = rules.node_machine_type.mode.max(rules.node_zone.mode) > Mode::Off;
    if !judges_identity && !judges_taint && !judges_facts {
        return None;
    }
    let created = if judges_facts { operation_is(Operation::Create.as_str()) } else { Cel::Never };
    let relabelled = if judges_identity || judges_facts { relabelled() } else { Cel::Never };
    // A taint that is put on a node may also make it one of an undeclared pool's.
    let tainted = if judges_taint || judges_facts { retainted() } else { Cel::Never };
    let updated = operation_is(Operation::Update.as_str());
    let sent = Cel::any([created, Cel::all([updated, Cel::any([relabelled, tainted])])]);
    let operations: &[_] =
        if judges_facts { &[Operation::Create, Operation::Update] } else { &[Operation::Update] };
    let mut listed = vec![rule(&["nodes"], operations)];
    if judges_identity {
        listed.push(rule(&["nodes/status"], &[Operation::Update]));
    }
    let mut entry = WebhookEntry::new("nodes", Phase::Validate, listed);
    entry.timeout_seconds = SHORT_TIMEOUT_SECONDS;
    entry.conditions.extend(MatchCondition::new("changes-labels-or-taints", sent));
    Some(entry)
}

/// Returns the mutating entry, which adds the pool's taint.
pub(super) fn mutating(policy: &Policy) -> Option<WebhookEntry> {
    if policy.rules.node_taint == Mode::Off || policy.pools.is_empty() {
        return None;
    }
    let rule = rule(&["nodes"], &[Operation::Create, Operation::Update]);
    let mut entry = WebhookEntry::new("join-nodes", Phase::Mutate, vec![rule]);
    entry.timeout_seconds = SHORT_TIMEOUT_SECONDS;
    let sent = Cel::any([operation_is(Operation::Create.as_str()), relabelled()]);
    entry.conditions.extend(MatchCondition::new("joins-or-changes-labels", sent));
    Some(entry)
}

/// A filter for changed labels. Heartbeats do not change labels.
fn relabelled() -> Cel {
    CelPath::object().key("metadata").differs(&CelPath::old_object().key("metadata"), "labels")
}

/// A filter for changed taints by users that the rule judges. The node controller changes its own taints all day.
fn retainted() -> Cel {
    let (new, old) = (CelPath::object(), CelPath::old_object());
    let without_spec = Cel::all([Cel::not(new.holds("spec")), old.holds("spec")]);
    let with_both = Cel::all([
        new.holds("spec"),
        old.holds("spec"),
        new.key("spec").differs(&old.key("spec"), "taints"),
    ]);
    let with_new = Cel::all([new.holds("spec"), Cel::not(old.holds("spec"))]);
    Cel::all([
        has_no_sub_resource(),
        Cel::any([with_both, without_spec, with_new]),
        Cel::not(principals::is_never_judged()),
    ])
}
