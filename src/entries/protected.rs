//! `role-binding`: objects that show themselves that they are protected.
//!
//! The entries are split by namespace, so that an unrelated object of a namespace that nobody named
//! is looked at as little as can be, and each object belongs to one entry.

use std::collections::{BTreeMap, BTreeSet};

use jsonptr::PointerBuf;

use super::{
    Condition, Entry, FailurePolicy, NamespaceScope, Rule, Scope,
    cel::{Cel, Path, Wildcards, is_one_of, list, matches, matches_any, pattern, patterns},
    freedom::automq_namespaces,
    people,
    reach::operation_is,
    sorted,
};
use crate::policy::{
    Phase, Policy,
    identity::{SERVICE_ACCOUNT_PREFIX, SERVICE_ACCOUNTS_GROUP_PREFIX},
    mode::Mode,
    name::{Glob, GroupResource},
    protection::{Field, FieldChange, Guard, LabelMark, Namespaces, Protected, Recognition},
    request::Operation,
};

/// Resources that have no namespace, among those that hold a role together.
const CLUSTER_SCOPED: [&str; 5] =
    ["clusterrolebindings", "clusterroles", "storageclasses", "namespaces", "nodes"];

pub(super) fn entries(policy: &Policy) -> Vec<Entry> {
    if policy.rules.role_binding == Mode::Off {
        return Vec::new();
    }
    let named: BTreeSet<&str> = policy.protected.iter().filter_map(exact_namespace).collect();
    let automq: Vec<String> = automq_namespaces(policy)
        .into_iter()
        .filter(|namespace| !named.contains(namespace.as_str()))
        .collect();
    let others = sorted(named.iter().copied().chain(automq.iter().map(String::as_str)));
    let groups = named
        .iter()
        .map(|&name| Group::Named(name))
        .chain((!automq.is_empty()).then_some(Group::AutoMq(automq)))
        .chain([Group::Others(others)]);
    groups.filter_map(|group| group.entry(policy)).collect()
}

fn exact_namespace(entry: &Protected) -> Option<&str> {
    match &entry.namespaces {
        Namespaces::Named(glob) => glob.as_exact(),
        Namespaces::Any | Namespaces::AutoMq => None,
    }
}

/// Namespaces that share an entry.
enum Group<'p> {
    /// One that an entry of the config or a preset names.
    Named(&'p str),
    /// AutoMQ's others.
    AutoMq(Vec<String>),
    /// All but these, and objects without a namespace.
    Others(Vec<String>),
}

impl Group<'_> {
    fn entry(&self, policy: &Policy) -> Option<Entry> {
        let meant = policy.protected.iter().filter_map(|entry| {
            let is_cluster_scoped = CLUSTER_SCOPED.contains(&entry.resource.resource.as_str());
            let in_namespace = match self {
                Group::Named(_) | Group::AutoMq(_) if is_cluster_scoped => Cel::Never,
                Group::Named(name) => named_is_in(policy, entry, name),
                Group::AutoMq(_) if matches!(entry.namespaces, Namespaces::AutoMq) => Cel::Always,
                Group::AutoMq(_) | Group::Others(_) => {
                    namespaces(policy, entry).map_or(Cel::Always, |globs| is_in(patterns(globs)))
                }
            };
            (in_namespace != Cel::Never).then_some((entry, in_namespace))
        });
        let meant: Vec<(&Protected, Cel)> = meant.collect();
        if meant.is_empty() {
            return None;
        }
        let (stem, namespaces) = match self {
            Group::Named(name) => {
                (format!("protected.{name}"), NamespaceScope::Only(vec![(*name).to_owned()]))
            }
            Group::AutoMq(names) => {
                ("protected-automq".to_owned(), NamespaceScope::Only(names.clone()))
            }
            Group::Others(names) => ("protected".to_owned(), NamespaceScope::Except(names.clone())),
        };
        let scope = match self {
            Group::Named(_) | Group::AutoMq(_) => Scope::Namespaced,
            Group::Others(_) => Scope::Any,
        };
        let mut entry = Entry::new(&stem, Phase::Validate, rules(&meant, scope));
        entry.failure_policy = FailurePolicy::of(policy.rules.role_binding);
        entry.namespaces = namespaces;
        let harmed = harmed(policy, &meant);
        entry.conditions.extend(Condition::new("harms-what-is-protected", harmed));
        entry.conditions.extend(people::by_no_trusted_principal(policy));
        if entry.failure_policy == FailurePolicy::Fail {
            entry.conditions.extend(people::by_no_break_glass_group(policy));
        }
        Some(entry)
    }
}

fn rules(meant: &[(&Protected, Cel)], scope: Scope) -> Vec<Rule> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (entry, _) in meant {
        let resource = &entry.resource;
        groups.entry(&resource.group).or_default().push(&resource.resource);
    }
    let rule = |(group, resources): (&str, Vec<&str>)| Rule {
        group: group.to_owned(),
        resources: sorted(resources),
        operations: vec![Operation::Update, Operation::Delete],
        scope,
    };
    groups.into_iter().map(rule).collect()
}

/// Whether an entry is about a namespace of this name.
fn named_is_in(policy: &Policy, entry: &Protected, name: &str) -> Cel {
    let is_in = match &entry.namespaces {
        Namespaces::Any => true,
        Namespaces::Named(glob) => glob.matches(name),
        Namespaces::AutoMq => policy.automq.owns_namespace(name),
    };
    if is_in { Cel::Always } else { Cel::Never }
}

/// The namespaces that an entry is about; `None` for any.
fn namespaces<'p>(policy: &'p Policy, entry: &'p Protected) -> Option<&'p [Glob]> {
    match &entry.namespaces {
        Namespaces::Any => None,
        Namespaces::Named(glob) => Some(std::slice::from_ref(glob)),
        Namespaces::AutoMq => Some(&policy.automq.namespaces),
    }
}

/// Whether the request's namespace is one of these.
fn is_in<'g>(globs: impl IntoIterator<Item = &'g Glob>) -> Cel {
    Cel::all([Cel::term("has(request.namespace)"), matches_any("request.namespace", globs)])
}

/// Whether the request harms a protected object of these resources, wherever it is.
pub(super) fn is_protected(policy: &Policy, of: impl Fn(&str, &str) -> bool) -> Cel {
    let entries = policy.protected.iter();
    let entries = entries.filter(|entry| of(&entry.resource.group, &entry.resource.resource));
    let in_namespace = |entry| namespaces(policy, entry).map_or(Cel::Always, is_in);
    let meant: Vec<(&Protected, Cel)> = entries.map(|entry| (entry, in_namespace(entry))).collect();
    if meant.is_empty() { Cel::Never } else { harmed(policy, &meant) }
}

/// Whether one of these entries is about the object, and the request changes what it guards.
fn harmed(policy: &Policy, meant: &[(&Protected, Cel)]) -> Cel {
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
    let only = meant.first().map(|(entry, _)| &entry.resource);
    let is_only = meant.iter().all(|(entry, _)| Some(&entry.resource) == only);
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
            Cel::not(Path::old_object().key("metadata").has("deletionTimestamp")),
        ]),
        Cel::any(parts),
    ])
}

/// A deletion, or an update that changes something.
pub(super) fn goes_or(changes: Cel) -> Cel {
    Cel::any([operation_is(Operation::Delete.as_str()), changes])
}

fn is_resource(resource: &GroupResource) -> Cel {
    Cel::all([
        is_one_of("request.resource.resource", [&resource.resource]),
        is_one_of("request.resource.group", [&resource.group]),
    ])
}

/// By the object: a DELETECOLLECTION has no name in the request.
fn is_named(entry: &Protected) -> Cel {
    let metadata = Path::old_object().key("metadata");
    let is_one = matches_any(&metadata.key("name").to_string(), &entry.names);
    let is_there = if is_one == Cel::Always { Cel::Always } else { metadata.has("name") };
    Cel::all([is_there, is_one])
}

fn is_recognised(policy: &Policy, entry: &Protected) -> Cel {
    let old = Path::old_object();
    match &entry.recognition {
        Recognition::Always => Cel::Always,
        Recognition::HoldsAField => match &entry.guard {
            Guard::Content => Cel::Always,
            // What a text holds is not looked into: the same item can be written in many ways.
            Guard::Fields(fields) => Cel::any(by_parent(fields).iter().map(|it| it.is_held(&old))),
        },
        Recognition::AutoMqBinding { labels } => {
            Cel::any([has_automq_subject(policy), carries_mark(&old, labels)])
        }
    }
}

fn changes(entry: &Protected) -> Cel {
    let (new, old) = (Path::object(), Path::old_object());
    let guarded = match &entry.guard {
        Guard::Content => content_changes(),
        Guard::Fields(fields) => Cel::any(by_parent(fields).iter().map(Siblings::change)),
    };
    match &entry.recognition {
        Recognition::Always | Recognition::HoldsAField => guarded,
        Recognition::AutoMqBinding { labels } => {
            let loses_mark =
                Cel::all([carries_mark(&old, labels), Cel::not(carries_mark(&new, labels))]);
            Cel::any([guarded, loses_mark])
        }
    }
}

/// Everything outside `metadata` and `status`, whatever the kind.
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

/// Guarded fields of one object, told apart by their last key.
struct Siblings {
    parent: Vec<String>,
    /// Empty: CEL cannot tell, and whatever the parent holds may be one.
    keys: Vec<String>,
    once_set: bool,
}

/// The fields as far as CEL can follow their pointers. What is inside a list is guarded as the whole
/// list.
fn by_parent(fields: &[Field]) -> Vec<Siblings> {
    let mut all: Vec<Siblings> = Vec::new();
    for Field { pointer, change } in fields {
        let once_set = match change {
            FieldChange::OnceSet => true,
            FieldChange::Any | FieldChange::Items(_) => false,
        };
        let mut parent = keys(pointer);
        let key = parent.pop();
        let is_sibling = |it: &&mut Siblings| {
            it.parent == parent && it.once_set == once_set && !it.keys.is_empty()
        };
        match (all.iter_mut().find(is_sibling), key) {
            (Some(siblings), Some(key)) => siblings.keys.push(key),
            (_, key) => all.push(Siblings { parent, keys: Vec::from_iter(key), once_set }),
        }
    }
    all
}

fn keys(pointer: &PointerBuf) -> Vec<String> {
    let is_index = |token: &str| token == "-" || token.bytes().all(|it| it.is_ascii_digit());
    let tokens = pointer.tokens().map(|token| token.decoded().into_owned());
    tokens.take_while(|token| !is_index(token)).collect()
}

impl Siblings {
    /// The object that holds the fields, and whether it is one.
    fn parent(&self, root: &Path) -> (Path, Cel) {
        let (mut path, mut is_there) = (root.clone(), Vec::new());
        for (depth, key) in self.parent.iter().enumerate() {
            let of_metadata = self.parent.first().is_some_and(|first| first == "metadata");
            match depth {
                // Every object has it, and what it has is known.
                0 if of_metadata => {}
                1 if of_metadata => is_there.push(path.holds(key)),
                _ => is_there.extend([path.has(key), path.key(key).is_object()]),
            }
            path = path.key(key);
        }
        (path, Cel::all(is_there))
    }

    /// Whether one of the fields is there.
    fn is_held(&self, root: &Path) -> Cel {
        let (parent, is_there) = self.parent(root);
        let held = match self.keys.as_slice() {
            [] => Cel::Always,
            [key] => parent.holds(key),
            keys => {
                Cel::term(format!("{}.exists(k, k in {parent} && {parent}[k] != null)", list(keys)))
            }
        };
        Cel::all([is_there, held])
    }

    /// Whether one of the fields changes.
    fn change(&self) -> Cel {
        let (new, is_there) = self.parent(&Path::object());
        let (old, was_there) = self.parent(&Path::old_object());
        let keys = match self.keys.as_slice() {
            // A pointer of nothing but indexes.
            [] => return Cel::Always,
            [key] if !self.once_set => {
                let differs = new.differs(&old, key);
                return change_of(differs, new.has(key), old.has(key), is_there, was_there);
            }
            keys => list(keys),
        };
        let is_in = |parent: &Path| Cel::term(format!("k in {parent}"));
        let differs = Cel::term(format!("{new}[k] != {old}[k]"));
        let was_set = Cel::all([is_in(&old), Cel::term(format!("{old}[k] != null"))]);
        let differs = if self.once_set {
            let is_gone = Cel::not(Cel::all([is_there, is_in(&new)]));
            let changes = Cel::all([was_set, Cel::any([is_gone, differs])]);
            return Cel::all([was_there, Cel::exists(keys, "k", changes)]);
        } else {
            let one = Cel::term(format!("(k in {new}) != (k in {old})"));
            Cel::any([one, Cel::all([is_in(&new), differs])])
        };
        let exists = |of: Cel| Cel::exists(&keys, "k", of);
        change_of(exists(differs), exists(is_in(&new)), exists(is_in(&old)), is_there, was_there)
    }
}

/// A change of a field whose parent may be absent on either side.
fn change_of(differs: Cel, is_in_new: Cel, was_in_old: Cel, is_there: Cel, was_there: Cel) -> Cel {
    if is_there == Cel::Always && was_there == Cel::Always {
        return differs;
    }
    Cel::any([
        Cel::all([is_there.clone(), was_there.clone(), differs]),
        Cel::all([is_there.clone(), Cel::not(was_there.clone()), is_in_new]),
        Cel::all([was_there, Cel::not(is_there), was_in_old]),
    ])
}

/// Whether what is at a pointer of one key changes.
pub(super) fn changes_at(pointer: &str) -> Cel {
    Path::object().differs(&Path::old_object(), pointer.trim_start_matches('/'))
}

fn carries_mark(object: &Path, marks: &[LabelMark]) -> Cel {
    let metadata = object.key("metadata");
    let labels = metadata.key("labels");
    let any = marks.iter().map(|LabelMark { key, value }| match value {
        None => labels.has(key),
        Some(value) => labels.text_is(key, [value]),
    });
    Cel::all([metadata.holds("labels"), Cel::any(any)])
}

/// Whether one of the subjects is a service account of AutoMQ's, by one of its three names.
fn has_automq_subject(policy: &Policy) -> Cel {
    let (old, subject) = (Path::old_object(), Path::bound("s"));
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

/// Without a namespace it is one of the binding's own.
fn is_service_account(globs: &[Glob]) -> Cel {
    let subject = Path::bound("s");
    let own = Path::old_object().key("metadata");
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

/// `system:serviceaccount:namespace:name`.
fn is_user(globs: &[Glob], subject: &Path) -> Cel {
    let pattern = |glob: &Glob| pattern(&glob.to_string(), Wildcards::NO_COLON);
    let patterns: Vec<String> = globs.iter().map(pattern).collect();
    let name = subject.key("name").to_string();
    Cel::all([
        subject.text_is("kind", ["User"]),
        subject.has("name"),
        matches(&name, SERVICE_ACCOUNT_PREFIX, &patterns, r":[\s\S]*"),
    ])
}

/// `system:serviceaccounts:namespace`: all service accounts of a namespace.
fn is_group(globs: &[Glob], subject: &Path) -> Cel {
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
