//! Requests that two entries could send: those that harm a protected object of a kind which has an
//! entry of its own, such as a pod, a node or a Deployment. Only one of the two entries sends such a
//! request.
//!
//! The entries of protected objects send it, and the other entry leaves it out. The exception is an
//! other entry that fails closed while `role-binding` does not enforce: that entry sends the request,
//! because a rule that enforces fails closed.
//!
//! What one entry leaves out is what the other one and its fail-open counterpart send together. A request of a
//! trusted principal, which the entries of protected objects leave out, is therefore still sent by the
//! other entry; and a break-glass request, which the counterpart sends, is judged once.

use super::{
    FailurePolicy, MatchCondition, NamespaceScope, WebhookEntry, WebhookRule,
    cel::{Cel, is_one_of},
    principals, protected,
    reach::operation_is,
};
use crate::policy::Policy;

/// The name of the condition that leaves requests to the entries of protected objects.
const NOT_PROTECTED_ITSELF: &str = "not-protected-itself";

/// Parts the entries of the validating configuration.
pub(super) fn part(policy: &Policy, others: &mut [WebhookEntry], protected: &mut [WebhookEntry]) {
    let of_protected = FailurePolicy::of(policy.rules.role_binding);
    for other in others {
        if other.failure_policy == FailurePolicy::Fail && of_protected == FailurePolicy::Ignore {
            for entry in &mut *protected {
                entry.leave_to(other, policy);
            }
        } else {
            other.leave_to_protected(policy);
        }
    }
}

/// Parts entries of the mutating configuration from the fail-open counterparts of the entries of protected
/// objects.
pub(super) fn leave_to_counterparts(policy: &Policy, others: &mut [WebhookEntry]) {
    if FailurePolicy::of(policy.rules.role_binding) == FailurePolicy::Ignore {
        return;
    }
    for other in others {
        let harmed = protected::harmed_among(policy, &other.rules);
        let recorded = Cel::all([harmed, principals::is_break_glass(policy)]);
        other.conditions.extend(MatchCondition::new(NOT_PROTECTED_ITSELF, Cel::not(recorded)));
    }
}

impl WebhookEntry {
    fn leave_to_protected(&mut self, policy: &Policy) {
        let harmed = protected::harmed_among(policy, &self.rules);
        let is_trusted_left_out =
            self.conditions.iter().any(|it| it.name == principals::BY_NO_TRUSTED_PRINCIPAL);
        let by_sent = if is_trusted_left_out {
            Cel::Always
        } else {
            let recorded = match FailurePolicy::of(policy.rules.role_binding) {
                FailurePolicy::Fail => principals::is_break_glass(policy),
                FailurePolicy::Ignore => Cel::Never,
            };
            Cel::any([Cel::not(principals::is_trusted(policy)), recorded])
        };
        let sent = Cel::not(Cel::all([harmed, by_sent]));
        self.conditions.extend(MatchCondition::new(NOT_PROTECTED_ITSELF, sent));
    }

    /// Leaves out what another entry or its fail-open counterpart sends.
    fn leave_to(&mut self, other: &Self, policy: &Policy) {
        let common = other
            .rules
            .iter()
            .map(|theirs| Cel::any(self.rules.iter().map(|own| own.common_with(theirs))));
        let common = Cel::any(common);
        if common == Cel::Never {
            return;
        }
        let namespace = |names| is_one_of("request.namespace", names);
        let in_namespace = match &other.namespaces {
            NamespaceScope::Except(names) => Cel::not(namespace(names)),
            NamespaceScope::Only(names) => namespace(names),
        };
        let (by_recorded_requesters, about_objects): (Vec<_>, Vec<_>) =
            other.conditions.iter().partition(|it| it.is_about_recorded_requesters());
        let texts = |conditions: Vec<&MatchCondition>| {
            let texts = conditions.into_iter().map(|it| format!("({})", it.expression));
            Cel::all(texts.map(Cel::Term))
        };
        let (_, recorded) = other.recorded(policy);
        let sent = Cel::all([
            common,
            in_namespace,
            texts(about_objects),
            Cel::any([texts(by_recorded_requesters), recorded]),
        ]);
        let stem = other.name.split('.').next().unwrap_or_default();
        let name = format!("not-sent-by-{stem}");
        self.conditions.extend(MatchCondition::new(&name, Cel::not(sent)));
    }
}

impl WebhookRule {
    /// Whether a request that this rule matches is one that another rule matches as well.
    fn common_with(&self, other: &Self) -> Cel {
        let resources = self.resources.iter().filter(|it| other.resources.contains(it));
        let operations = self.operations.iter().filter(|it| other.operations.contains(it));
        if self.group != other.group {
            return Cel::Never;
        }
        Cel::all([
            is_one_of("request.resource.group", [&self.group]),
            is_one_of("request.resource.resource", resources),
            Cel::any(operations.map(|it| operation_is(it.as_str()))),
        ])
    }
}
