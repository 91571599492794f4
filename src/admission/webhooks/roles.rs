//! `role-binding`, as far as it needs a look-up: the roles that protected bindings refer to. Nothing
//! of a role itself tells, so that it fails open.

use super::{
    Condition, Entry, Rule, Scope,
    cel::{Cel, Path},
    people, protected,
};
use crate::policy::{
    Phase, Policy,
    mode::Mode,
    protection::{BOOTSTRAPPING, BOOTSTRAPPING_LABEL, RBAC_GROUP, ROLE_FIELDS},
    request::Operation,
};

const ROLES: [&str; 2] = ["clusterroles", "roles"];

pub(super) fn entries(policy: &Policy) -> Option<Entry> {
    if policy.rules.role_binding == Mode::Off {
        return None;
    }
    let operations = [Operation::Update, Operation::Delete];
    let rule = Rule::new(RBAC_GROUP, ROLES, &operations, Scope::Any);
    let mut entry = Entry::new("referred-roles", Phase::Validate, vec![rule]);
    let sent = Cel::all([
        Cel::term("oldObject != null"),
        Cel::not(is_bootstrapping(&Path::old_object())),
        protected::goes_or(Cel::any(
            ROLE_FIELDS
                .map(protected::changes_at)
                .into_iter()
                // With that label the next change would not be judged.
                .chain([is_bootstrapping(&Path::object())]),
        )),
    ]);
    entry.conditions.extend(Condition::new("changes-the-role", sent));
    entry.conditions.extend(people::by_no_trusted_principal(policy));
    Some(entry)
}

/// The API server reconciles these at its start.
fn is_bootstrapping(object: &Path) -> Cel {
    let metadata = object.key("metadata");
    Cel::all([
        metadata.holds("labels"),
        metadata.key("labels").text_is(BOOTSTRAPPING_LABEL, [BOOTSTRAPPING]),
    ])
}
