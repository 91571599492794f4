//! Objects that make nodes: `node-pool`, which never fails closed, and how CEL recognises an object that gives
//! nodes of a pool their role.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    MatchCondition, ResourceScope, WebhookEntry, WebhookRule,
    cel::{Cel, CelPath, list, literal},
    reach::{operation_is, pool_taints},
};
use crate::{
    kubernetes::{
        object::{NodePoolKind, Part},
        selector::{Operator, Requirement},
        taint::Taint,
    },
    policy::{Phase, Policy, mode::Mode, node_pool::asks_for_a_label, request::Operation},
};

/// Returns the entry for the objects that the rules about node pools judge, except those that the entries of
/// protected objects send.
pub(super) fn entry(policy: &Policy) -> Option<WebhookEntry> {
    let mut listed: BTreeMap<(&str, bool, Judged), BTreeSet<&str>> = BTreeMap::new();
    for kind in &policy.node_pool_kinds {
        let key = (kind.resource.group.as_str(), kind.is_namespaced, Judged::of(policy, kind));
        listed.entry(key).or_default().insert(&kind.resource.resource);
    }
    let rule = |((group, is_namespaced, judged), resources): ((&str, bool, Judged), _)| {
        let scope = if is_namespaced { ResourceScope::Namespaced } else { ResourceScope::Cluster };
        let operations = judged.operations();
        (!operations.is_empty()).then(|| WebhookRule::new(group, resources, &operations, scope))
    };
    let rules: Vec<WebhookRule> = listed.into_iter().filter_map(rule).collect();
    if rules.is_empty() {
        return None;
    }
    let mut entry = WebhookEntry::new("node-pools", Phase::Validate, rules);
    let (new, old) = (CelPath::object(), CelPath::old_object());
    let is_update = operation_is(Operation::Update.as_str());
    let sent = Cel::any([Cel::not(is_update), new.differs(&old, "spec")]);
    entry.conditions.extend(MatchCondition::new("changes-the-spec", sent));
    Some(entry)
}

/// The parts of the objects of a kind that a rule judges.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Judged {
    nodes: bool,
    /// Whether a rule judges the role by a look-up. The entries of protected objects send the objects that show the
    /// role themselves.
    role: bool,
}

impl Judged {
    fn of(policy: &Policy, kind: &NodePoolKind) -> Self {
        Self {
            nodes: policy.rules.node_pool > Mode::Off && !kind.fields.is_empty(),
            role: policy.rules.role_binding > Mode::Off && !kind.roles.is_empty(),
        }
    }

    fn operations(self) -> Vec<Operation> {
        let Self { nodes, role } = self;
        let operations = [
            (Operation::Create, nodes),
            (Operation::Update, nodes || role),
            (Operation::Delete, role),
        ];
        operations.into_iter().filter(|(_, is_judged)| *is_judged).map(|(it, _)| it).collect()
    }
}

/// Whether an object shows that it gives nodes of a pool their role. Of a selector and of a taint, one part
/// is enough, so that this holds more often than the rule's own answer, and wherever that does.
pub(super) fn gives_pool_role(policy: &Policy, kind: &NodePoolKind) -> Cel {
    let old = CelPath::old_object();
    let taints = kind.fields_of(Part::Taints).map(|field| {
        let has_taint = Cel::any(pool_taints(policy).into_iter().map(is_taint));
        within(&old, &field.path, |parent, key| {
            Cel::all([parent.holds(key), Cel::exists(parent.key(key), "t", has_taint.clone())])
        })
    });
    let selectors = policy.pools.iter().map(|pool| &pool.nodes).filter(|it| asks_for_a_label(it));
    let asked = selectors.filter_map(|selector| {
        let asks = |operator| selector.requirements().iter().find(|it| it.operator == operator);
        asks(Operator::In).or_else(|| asks(Operator::Exists))
    });
    let labels = asked.map(|requirement| has_label(kind, requirement, &old));
    let roles = policy.pool_roles();
    let names_role = kind.roles.iter().filter(|_| !roles.is_empty()).map(|pointer| {
        let path: Vec<String> =
            pointer.tokens().map(|token| token.decoded().into_owned()).collect();
        within(&old, &path, |parent, key| parent.text_is(key, &roles))
    });
    Cel::any(taints.chain(labels).chain(names_role))
}

/// Whether the object gives its nodes a label with one of these values.
fn has_label(kind: &NodePoolKind, requirement: &Requirement, object: &CelPath) -> Cel {
    let Requirement { key, operator, values } = requirement;
    let is_any = *operator == Operator::Exists;
    let on_nodes = kind.fields_of(Part::Labels).map(|field| {
        within(object, &field.path, |parent, last| {
            let labels = parent.key(last);
            let has = if is_any { labels.has(key) } else { labels.text_is(key, values) };
            Cel::all([parent.holds(last), labels.is_object(), has])
        })
    });
    let is_name = kind.pool_labels.contains(key);
    let by_name = kind.fields_of(Part::Name).filter(|_| is_name).map(|field| {
        within(object, &field.path, |parent, last| {
            if is_any { parent.has(last) } else { parent.text_is(last, values) }
        })
    });
    let chosen = kind.fields_of(Part::Requirements).map(|field| {
        let item = CelPath::bound("r");
        let allows = if is_any {
            Cel::Always
        } else {
            let one_of = format!("{}.exists(v, v in {})", item.key("values"), list(values));
            Cel::all([item.holds("values"), Cel::term(one_of)])
        };
        let is_asked = Cel::all([item.text_is("key", [key]), allows]);
        within(object, &field.path, |parent, last| {
            Cel::all([parent.holds(last), Cel::exists(parent.key(last), "r", is_asked.clone())])
        })
    });
    Cel::any(on_nodes.chain(by_name).chain(chosen))
}

/// Whether something holds at the end of a path, whose objects must all be there.
fn within(root: &CelPath, path: &[String], holds: impl FnOnce(&CelPath, &str) -> Cel) -> Cel {
    let Some((last, keys)) = path.split_last() else { return Cel::Never };
    let (mut at, mut is_there) = (root.clone(), Vec::new());
    for key in keys {
        is_there.extend([at.has(key), at.key(key).is_object()]);
        at = at.key(key);
    }
    is_there.push(holds(&at, last));
    Cel::all(is_there)
}

/// Whether an item is this taint, as an object or as text, whatever its effect.
fn is_taint(taint: &Taint<'_>) -> Cel {
    let item = CelPath::bound("t");
    let has_value = if taint.value.is_empty() {
        item.lacks_text("value")
    } else {
        item.text_is("value", [taint.value.as_str()])
    };
    let as_object =
        Cel::all([item.is_object(), item.text_is("key", [taint.key.as_str()]), has_value]);
    let Taint { key, value, effect: _ } = taint;
    let mut starts = vec![format!("{key}={value}:")];
    if value.is_empty() {
        starts.push(format!("{key}:"));
    }
    let begins = |text: &String| Cel::term(format!("{item}.startsWith({})", literal(text)));
    let is_text = Cel::term(format!("type({item}) == string"));
    let as_text = Cel::all([is_text, Cel::any(starts.iter().map(begins))]);
    Cel::any([as_object, as_text])
}
