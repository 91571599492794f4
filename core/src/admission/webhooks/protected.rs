//! `role-binding`: objects that show themselves that they are protected.
//!
//! The entries are split by namespace, so that the API server evaluates as little as possible for an
//! unrelated object, and each object belongs to one entry. Namespaces have an entry of their own
//! without a selector: the API server evaluates a `namespaceSelector` on the Namespace object itself,
//! so that the split would leave out the namespaces that it names.

mod fields;
mod harm;
mod subjects;

use std::collections::{BTreeMap, BTreeSet};

use self::harm::harmed;
pub(super) use self::harm::{changes_at, goes_or};
use super::{
    FailurePolicy, MatchCondition, NamespaceScope, ResourceScope, WebhookEntry, WebhookRule,
    cel::{Cel, matches_any, patterns},
    pod_owner::automq_namespaces,
    principals,
    reach::has_no_sub_resource,
    sorted, whole,
};
use crate::{
    kubernetes::{
        name::Glob,
        resource::{GroupResource, Resource, version_read},
    },
    policy::{
        Phase, Policy,
        mode::Mode,
        protection::{Namespaces, Protected, Recognition},
        request::Operation,
    },
};

/// The resource for which the API server evaluates a `namespaceSelector` on the object itself. It
/// looks at the plural name only, whatever the API group.
const NAMESPACES: &str = "namespaces";

pub(super) fn entries(policy: &Policy) -> Vec<WebhookEntry> {
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
        .chain([Group::Others(others), Group::Namespaces]);
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
    /// One namespace that an entry of the config or a preset names.
    Named(&'p str),
    /// AutoMQ's other namespaces.
    AutoMq(Vec<String>),
    /// All namespaces but these, and objects without a namespace.
    Others(Vec<String>),
    /// Namespaces as objects.
    Namespaces,
}

impl Group<'_> {
    fn entry(&self, policy: &Policy) -> Option<WebhookEntry> {
        let meant = policy.protected.iter().filter_map(|entry| {
            let in_namespace = self.includes(policy, entry);
            (in_namespace != Cel::Never).then_some((entry, in_namespace))
        });
        let meant: Vec<(&Protected, Cel)> = meant.collect();
        let first = meant.first()?.0;
        let is_only = meant.iter().all(|(entry, _)| entry.resource == first.resource);
        let (stem, namespaces, scope) = match self {
            Group::Named(name) => {
                let only = NamespaceScope::Only(vec![(*name).to_owned()]);
                (format!("protected.{name}"), only, ResourceScope::Namespaced)
            }
            Group::AutoMq(names) => {
                let only = NamespaceScope::Only(names.clone());
                ("protected-automq".to_owned(), only, ResourceScope::Namespaced)
            }
            Group::Others(names) => {
                ("protected".to_owned(), NamespaceScope::Except(names.clone()), ResourceScope::Any)
            }
            Group::Namespaces => {
                let all = NamespaceScope::Except(Vec::new());
                ("protected-namespaces".to_owned(), all, ResourceScope::Cluster)
            }
        };
        let mut entry = WebhookEntry::new(&stem, Phase::Validate, rules(&meant, scope));
        entry.failure_policy = FailurePolicy::of(policy.rules.role_binding);
        entry.namespaces = namespaces;
        let harmed = harmed(policy, &meant, is_only);
        entry.conditions.extend(MatchCondition::new("harms-what-is-protected", harmed));
        entry.conditions.extend(principals::by_no_trusted_principal(policy));
        if entry.failure_policy == FailurePolicy::Fail {
            entry.conditions.extend(principals::by_no_break_glass_group(policy));
        }
        Some(entry)
    }

    /// Whether an entry of the config or a preset is about objects in these namespaces.
    fn includes(&self, policy: &Policy, entry: &Protected) -> Cel {
        let GroupResource { group, resource } = &entry.resource;
        if (resource == NAMESPACES) != matches!(self, Group::Namespaces) {
            return Cel::Never;
        }
        let is_cluster_scoped = match &entry.recognition {
            Recognition::NodePool(kind) => !kind.is_namespaced,
            Recognition::Always | Recognition::HoldsAField | Recognition::AutoMqBinding { .. } => {
                Resource::of_plural(group, resource).is_some_and(|it| !it.is_namespaced)
            }
        };
        match self {
            Group::Named(_) | Group::AutoMq(_) if is_cluster_scoped => Cel::Never,
            Group::Named(name) => named_is_in(policy, entry, name),
            Group::AutoMq(_) if matches!(entry.namespaces, Namespaces::AutoMq) => Cel::Always,
            Group::AutoMq(_) | Group::Others(_) => {
                namespaces(policy, entry).map_or(Cel::Always, |globs| is_in(patterns(globs)))
            }
            Group::Namespaces => namespaces(policy, entry).map_or(Cel::Always, is_in),
        }
    }
}

fn rules(meant: &[(&Protected, Cel)], scope: ResourceScope) -> Vec<WebhookRule> {
    let mut groups: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
    for (entry, _) in meant {
        let GroupResource { group, resource } = &entry.resource;
        let version = version_read(group, resource);
        groups.entry((group, version)).or_default().insert(resource);
    }
    let operations = [Operation::Update, Operation::Delete];
    let rule = |((group, _), resources): ((&String, _), BTreeSet<&str>)| {
        WebhookRule::new(group, resources, &operations, scope)
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
    let is_one = matches_any("request.namespace", globs);
    if is_one == Cel::Always {
        // A glob that matches everything matches an object without a namespace as well.
        return Cel::Always;
    }
    Cel::all([Cel::term("has(request.namespace)"), is_one])
}

/// Whether a request that one of these rules matches harms a protected object, wherever it is.
pub(super) fn harmed_among(policy: &Policy, rules: &[WebhookRule]) -> Cel {
    let changes = |rule: &&WebhookRule| {
        rule.operations.iter().any(|it| matches!(it, Operation::Update | Operation::Delete))
    };
    let covers = |entry: &&Protected| {
        let GroupResource { group, resource } = &entry.resource;
        rules.iter().filter(changes).any(|it| it.group == *group && it.resources.contains(resource))
    };
    let meant: Vec<(&Protected, Cel)> = policy
        .protected
        .iter()
        .filter(covers)
        .map(|entry| (entry, namespaces(policy, entry).map_or(Cel::Always, is_in)))
        .collect();
    if meant.is_empty() || policy.rules.role_binding == Mode::Off {
        return Cel::Never;
    }
    let matched: BTreeSet<(&str, &str)> = rules
        .iter()
        .flat_map(|rule| rule.resources.iter().map(|it| (rule.group.as_str(), it.as_str())))
        .map(|(group, resource)| (group, whole(resource)))
        .collect();
    let has_sub_resources = rules.iter().flat_map(|it| &it.resources).any(|it| it.contains('/'));
    // Of a protected object, only the resource itself is judged.
    let is_whole = if has_sub_resources { has_no_sub_resource() } else { Cel::Always };
    Cel::all([is_whole, harmed(policy, &meant, matched.len() == 1)])
}
