//! Subjects of bindings that are service accounts of AutoMQ's namespaces.

use crate::{
    admission::webhooks::cel::{
        Cel, CelPath, Wildcards, is_one_of, matches, matches_any, pattern, patterns,
    },
    kubernetes::name::Glob,
    policy::{
        Policy,
        principal::{SERVICE_ACCOUNT_PREFIX, SERVICE_ACCOUNTS_GROUP_PREFIX},
    },
};

/// Whether one of the subjects is an AutoMQ service account, by one of its three names.
pub(super) fn has_automq_subject(policy: &Policy) -> Cel {
    let (old, subject) = (CelPath::old_object(), CelPath::bound("s"));
    let globs = &policy.automq.namespaces;
    let subjects = old.key("subjects");
    let is_meant = if policy.automq.owns_namespace("") {
        // AutoMQ has every namespace, and even what names none.
        Cel::Always
    } else {
        Cel::any([is_service_account(globs), is_user(globs, &subject), is_group(globs, &subject)])
    };
    Cel::all([old.holds("subjects"), Cel::exists(subjects, "s", is_meant)])
}

/// Whether the subject is a service account of these namespaces. A subject without a namespace is in the namespace
/// of the binding.
fn is_service_account(globs: &[Glob]) -> Cel {
    let subject = CelPath::bound("s");
    let own = CelPath::old_object().key("metadata");
    let named = matches_any(&subject.key("namespace").to_string(), globs);
    let own_is = matches_any(&own.key("namespace").to_string(), globs);
    Cel::all([
        subject.text_is("kind", ["ServiceAccount"]),
        Cel::any([
            Cel::all([subject.has("namespace"), named]),
            Cel::all([subject.lacks_text("namespace"), own.has("namespace"), own_is]),
        ]),
    ])
}

/// Whether the subject is a user `system:serviceaccount:namespace:name` of these namespaces.
fn is_user(globs: &[Glob], subject: &CelPath) -> Cel {
    let pattern = |glob: &Glob| pattern(&glob.to_string(), Wildcards::NO_COLON);
    let patterns: Vec<String> = globs.iter().map(pattern).collect();
    let name = subject.key("name").to_string();
    Cel::all([
        subject.text_is("kind", ["User"]),
        subject.has("name"),
        matches(&name, SERVICE_ACCOUNT_PREFIX, &patterns, r":[\s\S]*"),
    ])
}

/// Whether the subject is a group `system:serviceaccounts:namespace`: all service accounts of a namespace.
fn is_group(globs: &[Glob], subject: &CelPath) -> Cel {
    let exact = globs.iter().filter_map(Glob::as_exact);
    let exact = exact.map(|namespace| format!("{SERVICE_ACCOUNTS_GROUP_PREFIX}{namespace}"));
    let patterns: Vec<String> =
        patterns(globs).map(|glob| pattern(&glob.to_string(), Wildcards::ANYTHING)).collect();
    let name = subject.key("name").to_string();
    Cel::all([
        subject.text_is("kind", ["Group"]),
        subject.has("name"),
        Cel::any([
            is_one_of(&name, exact),
            matches(&name, SERVICE_ACCOUNTS_GROUP_PREFIX, &patterns, ""),
        ]),
    ])
}
