//! `role-binding`: namespaces that hold an instance or a protected object.

use super::{
    FailurePolicy, MatchCondition, NamespaceScope, ResourceScope, WebhookEntry, WebhookRule,
    cel::Cel, principals, sorted,
};
use crate::policy::{
    Phase, Policy,
    mode::Mode,
    protection::{Namespaces, Origin},
    request::Operation,
};

/// Returns the entries for the deletion of namespaces. The entry for the namespaces that the config names can fail
/// closed. The entry for all others fails open: only a look-up tells whether one of them holds a protected object.
pub(super) fn entries(policy: &Policy) -> Vec<WebhookEntry> {
    let mode = policy.rules.role_binding;
    if mode == Mode::Off {
        return Vec::new();
    }
    let named = named(policy);
    let mut entries = Vec::new();
    if !named.is_empty() {
        let scope = NamespaceScope::Only(named.clone());
        let mut entry = entry("named-namespaces", scope, policy);
        entry.failure_policy = FailurePolicy::of(mode);
        if entry.failure_policy == FailurePolicy::Fail {
            entry.conditions.extend(principals::by_no_break_glass_group(policy));
        }
        entries.push(entry);
    }
    entries.push(entry("other-namespaces", NamespaceScope::Except(named), policy));
    entries
}

fn entry(stem: &str, namespaces: NamespaceScope, policy: &Policy) -> WebhookEntry {
    let rule = WebhookRule::new("", ["namespaces"], &[Operation::Delete], ResourceScope::Cluster);
    let mut entry = WebhookEntry::new(stem, Phase::Validate, vec![rule]);
    entry.namespaces = namespaces;
    let is_going = Cel::term("has(oldObject.metadata.deletionTimestamp)");
    let goes = Cel::all([Cel::term("oldObject != null"), Cel::not(is_going)]);
    entry.conditions.extend(MatchCondition::new("not-going-already", goes));
    entry.conditions.extend(principals::by_no_trusted_principal(policy));
    entry
}

fn named(policy: &Policy) -> Vec<String> {
    let configured = policy.protected.iter().filter(|entry| entry.origin == Origin::Config);
    let of_entries = configured.filter_map(|entry| match &entry.namespaces {
        Namespaces::Named(glob) => glob.as_exact(),
        Namespaces::Any | Namespaces::AutoMq => None,
    });
    let of_instances = policy.instances.iter().map(|instance| instance.namespace.as_str());
    sorted(of_entries.chain(of_instances))
}
