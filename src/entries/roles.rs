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
    let rule = Rule {
        group: RBAC_GROUP.to_owned(),
        resources: ROLES.map(str::to_owned).to_vec(),
        operations: vec![Operation::Update, Operation::Delete],
        scope: Scope::Any,
    };
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
    // What is protected by an entry of its own is sent by that.
    let is_role = |group: &str, resource: &str| group == RBAC_GROUP && ROLES.contains(&resource);
    let protected = protected::is_protected(policy, is_role);
    entry.conditions.extend(Condition::new("not-protected-itself", Cel::not(protected)));
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
