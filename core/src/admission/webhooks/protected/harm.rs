//! Conditions that tell which objects are protected, and which requests harm one.

use super::{
    fields::{Siblings, by_parent},
    subjects::has_automq_subject,
};
use crate::{
    admission::webhooks::{
        cel::{Cel, CelPath, is_one_of, list, matches_any},
        node_pools,
        reach::operation_is,
    },
    kubernetes::resource::GroupResource,
    policy::{
        Policy,
        protection::{GuardedFields, LabelMark, Protected, Recognition},
        request::Operation,
    },
};

/// Whether one of these entries is about the object, and the request changes what it guards.
/// `is_only` says that requests about another resource do not come.
pub(super) fn harmed(policy: &Policy, meant: &[(&Protected, Cel)], is_only: bool) -> Cel {
    // What is said of several resources is said once.
    let mut parts: Vec<(Cel, Vec<&GroupResource>)> = Vec::new();
    for (entry, in_namespace) in meant {
        let part = Cel::all([
            in_namespace.clone(),
            is_named(entry),
            is_recognised(policy, entry),
            goes_or(changes(entry)),
        ]);
        match parts.iter_mut().find(|(said, _)| *said == part) {
            Some((_, resources)) => resources.push(&entry.resource),
            None => parts.push((part, vec![&entry.resource])),
        }
    }
    let parts = parts.into_iter().map(|(part, resources)| {
        let resource =
            if is_only { Cel::Always } else { Cel::any(resources.into_iter().map(is_resource)) };
        Cel::all([resource, part])
    });
    Cel::all([
        Cel::term("oldObject != null"),
        // What is going already may go.
        Cel::any([
            operation_is(Operation::Update.as_str()),
            Cel::not(CelPath::old_object().key("metadata").has("deletionTimestamp")),
        ]),
        Cel::any(parts),
    ])
}

/// Whether the request is a deletion, or an update that changes something.
pub(in crate::admission::webhooks) fn goes_or(changes: Cel) -> Cel {
    Cel::any([operation_is(Operation::Delete.as_str()), changes])
}

fn is_resource(resource: &GroupResource) -> Cel {
    Cel::all([
        is_one_of("request.resource.resource", [&resource.resource]),
        is_one_of("request.resource.group", [&resource.group]),
    ])
}

/// Whether the entry names the object. The condition reads the name from the object, because the request of a
/// DELETECOLLECTION has no name.
fn is_named(entry: &Protected) -> Cel {
    let metadata = CelPath::old_object().key("metadata");
    let is_one = matches_any(&metadata.key("name").to_string(), &entry.names);
    let is_there = if is_one == Cel::Always { Cel::Always } else { metadata.has("name") };
    Cel::all([is_there, is_one])
}

fn is_recognised(policy: &Policy, entry: &Protected) -> Cel {
    let old = CelPath::old_object();
    match &entry.recognition {
        Recognition::Always => Cel::Always,
        Recognition::HoldsAField => match &entry.guard {
            GuardedFields::Content => Cel::Always,
            // What a text holds is not looked into: the same item can be written in many ways.
            GuardedFields::Fields(fields) => {
                Cel::any(by_parent(fields).iter().map(|it| it.is_held(&old)))
            }
        },
        Recognition::AutoMqBinding { labels } => {
            Cel::any([has_automq_subject(policy), carries_mark(&old, labels)])
        }
        Recognition::NodePool(kind) => node_pools::gives_pool_role(policy, kind),
    }
}

fn changes(entry: &Protected) -> Cel {
    let (new, old) = (CelPath::object(), CelPath::old_object());
    let guarded = match &entry.guard {
        GuardedFields::Content => content_changes(),
        GuardedFields::Fields(fields) => Cel::any(by_parent(fields).iter().map(Siblings::change)),
    };
    match &entry.recognition {
        Recognition::Always | Recognition::HoldsAField | Recognition::NodePool(_) => guarded,
        Recognition::AutoMqBinding { labels } => {
            let loses_mark =
                Cel::all([carries_mark(&old, labels), Cel::not(carries_mark(&new, labels))]);
            Cel::any([guarded, loses_mark])
        }
    }
}

/// A condition that holds if anything outside `metadata` and `status` changes, for any kind.
fn content_changes() -> Cel {
    let is_content = format!("!(k in {})", list(["apiVersion", "kind", "metadata", "status"]));
    let any = |texts: [&str; 2]| Cel::any(texts.map(Cel::term));
    let differs = any(["!(k in oldObject)", "object[k] != oldObject[k]"]);
    Cel::any([
        Cel::exists("object", "k", Cel::all([Cel::term(is_content.as_str()), differs])),
        Cel::exists(
            "oldObject",
            "k",
            Cel::all([is_content.as_str(), "!(k in object)"].map(Cel::term)),
        ),
    ])
}

/// Whether the value at a pointer of one key changes.
pub(in crate::admission::webhooks) fn changes_at(pointer: &str) -> Cel {
    CelPath::object().differs(&CelPath::old_object(), pointer.trim_start_matches('/'))
}

fn carries_mark(object: &CelPath, marks: &[LabelMark]) -> Cel {
    let metadata = object.key("metadata");
    let labels = metadata.key("labels");
    let any = marks.iter().map(|LabelMark { key, value }| match value {
        None => labels.has(key),
        Some(value) => labels.text_is(key, [value]),
    });
    Cel::all([metadata.holds("labels"), Cel::any(any)])
}
