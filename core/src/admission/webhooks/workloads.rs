//! `workload-intrusion`: objects that hold a pod template. It never fails closed: what the pods may
//! do is decided when they come.

use std::collections::BTreeMap;

use super::{
    MatchCondition, ResourceScope, WebhookEntry, WebhookRule,
    cel::{Cel, CelPath, is_one_of, literal},
    pod_owner::Outside,
    principals,
    reach::{operation_is, pool_taints, reaches},
    sorted,
};
use crate::{
    kubernetes::{object::WorkloadKind, resource::Resource},
    policy::{Phase, Policy, mode::Mode, request::Operation},
};

pub(super) fn entries(policy: &Policy, outside: &Outside<'_>) -> Option<WebhookEntry> {
    if policy.rules.workload_intrusion == Mode::Off || pool_taints(policy).is_empty() {
        return None;
    }
    let operations = [Operation::Create, Operation::Update];
    let resources = by_group(|_, resource, _| resource);
    let rules = resources.into_iter().map(|(group, resources)| {
        WebhookRule::new(group, resources, &operations, ResourceScope::Namespaced)
    });
    let mut entry = WebhookEntry::new("workloads", Phase::Validate, rules.collect());
    entry.namespaces = outside.scope();
    let changes = Cel::any([operation_is(Operation::Create.as_str()), template_changes()]);
    let sent = Cel::all([changes, template_reaches(policy)]);
    entry.conditions.extend(MatchCondition::new("template-reaches-a-pool", sent));
    let by_itself = Cel::not(was_made_by_a_workload());
    entry.conditions.extend(MatchCondition::new("by-no-other-workload", by_itself));
    let outside = outside.in_no_free_namespace();
    entry.conditions.extend(MatchCondition::new("in-no-namespace-of-automq-or-exempt", outside));
    Some(entry)
}

/// Returns the names that `name` chooses for all kinds, by API group.
fn by_group(
    name: impl Fn(&'static str, &'static str, &'static str) -> &'static str,
) -> BTreeMap<&'static str, Vec<String>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for kind in WorkloadKind::ALL {
        let Resource { group, plural: resource, kind, .. } = kind.resource();
        groups.entry(group).or_default().push(name(group, resource, kind));
    }
    groups.into_iter().map(|(group, names)| (group, sorted(names))).collect()
}

/// The keys of the templates: a CronJob has `jobTemplate`, the others `template`.
const TEMPLATES: [&str; 2] = ["template", "jobTemplate"];

fn template_changes() -> Cel {
    let (new, old) = (CelPath::object(), CelPath::old_object());
    let (spec, old_spec) = (new.key("spec"), old.key("spec"));
    Cel::all([
        new.holds("spec"),
        old.holds("spec"),
        Cel::any(TEMPLATES.map(|template| spec.differs(&old_spec, template))),
    ])
}

fn template_reaches(policy: &Policy) -> Cel {
    let at = |path: &[&str]| {
        let (mut parent, mut holds) = (CelPath::object(), Vec::new());
        for key in path {
            holds.push(parent.holds(key));
            parent = parent.key(key);
        }
        holds.push(reaches(policy, &parent, "spec"));
        Cel::all(holds)
    };
    Cel::any([at(&["spec", "template"]), at(&["spec", "jobTemplate", "spec", "template"])])
}

/// Whether another workload made this one. PoolGuard judges the other workload itself. Anyone can write an owner,
/// so an owner counts only if its controller sends the request, or if the owner is stored.
fn was_made_by_a_workload() -> Cel {
    let is_create = operation_is(Operation::Create.as_str());
    let vouched = Cel::any([
        Cel::all([is_create.clone(), principals::is_workload_controller()]),
        Cel::all([Cel::not(is_create), is_owned_by_a_workload(&CelPath::old_object())]),
    ]);
    Cel::all([is_owned_by_a_workload(&CelPath::object()), vouched])
}

/// Whether the object names a workload as its controller.
fn is_owned_by_a_workload(object: &CelPath) -> Cel {
    let owner = CelPath::bound("o");
    let kinds = by_group(|_, _, kind| kind);
    let of_group = kinds.iter().map(|(group, kinds)| {
        let kind = is_one_of("o.kind", kinds);
        let group = if group.is_empty() {
            Cel::not(Cel::term("o.apiVersion.contains('/')"))
        } else {
            Cel::term(format!("o.apiVersion.startsWith({})", literal(&format!("{group}/"))))
        };
        Cel::all([kind, group])
    });
    let is_workload = Cel::all([
        owner.has("controller"),
        Cel::term("o.controller == true"),
        owner.has("kind"),
        owner.has("apiVersion"),
        Cel::any(of_group),
    ]);
    let metadata = object.key("metadata");
    let owners = metadata.key("ownerReferences");
    Cel::all([metadata.holds("ownerReferences"), Cel::exists(owners, "o", is_workload)])
}
