//! `role-binding`, as far as it needs a look-up: the roles that protected bindings refer to. A role itself does not
//! show which bindings refer to it, so the entry fails open.

use super::{
    MatchCondition, ResourceScope, WebhookEntry, WebhookRule,
    cel::{Cel, CelPath},
    principals, protected,
};
use crate::{
    kubernetes::resource::RBAC_GROUP,
    policy::{
        Phase, Policy,
        mode::Mode,
        protection::{BOOTSTRAPPING, BOOTSTRAPPING_LABEL, ROLE_FIELDS},
        request::Operation,
    },
};

const ROLES: [&str; 2] = ["clusterroles", "roles"];

pub(super) fn entries(policy: &Policy) -> Option<WebhookEntry> {
    if policy.rules.role_binding == Mode::Off {
        return None;
    }
    let operations = [Operation::Update, Operation::Delete];
    let rule = WebhookRule::new(RBAC_GROUP, ROLES, &operations, ResourceScope::Any);
    let mut entry = WebhookEntry::new("referred-roles", Phase::Validate, vec![rule]);
    let sent = Cel::all([
        Cel::term("oldObject != null"),
        Cel::not(is_bootstrapping(&CelPath::old_object())),
        protected::goes_or(Cel::any(
            ROLE_FIELDS
                .map(protected::changes_at)
                .into_iter()
                // With that label the next change would not be judged.
                .chain([is_bootstrapping(&CelPath::object())]),
        )),
    ]);
    entry.conditions.extend(MatchCondition::new("changes-the-role", sent));
    entry.conditions.extend(principals::by_no_trusted_principal(policy));
    Some(entry)
}

/// Whether the object is a bootstrapping role, which the API server reconciles at its start.
fn is_bootstrapping(object: &CelPath) -> Cel {
    let metadata = object.key("metadata");
    Cel::all([
        metadata.holds("labels"),
        metadata.key("labels").text_is(BOOTSTRAPPING_LABEL, [BOOTSTRAPPING]),
    ])
}
