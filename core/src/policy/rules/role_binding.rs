//! `role-binding`: protects the objects that AutoMQ's permissions depend on.
//!
//! The rule judges UPDATE and DELETE of protected objects by users who are not in `principals.trusted`. Protected
//! objects are those of the config's `protected` entries and of the provider's preset. Only the guarded fields of a
//! protected object must not change; users can edit all other fields. The object itself decides whether it is
//! protected. The rule also protects the roles that protected bindings refer to, as far as the snapshot knows them,
//! except roles that the API server itself reconciles (`kubernetes.io/bootstrapping`).
//!
//! The rule denies the deletion of a namespace if a `protected` entry or an instance names it, or if the snapshot has
//! a protected object in it.

mod aws_auth;
mod findings;
mod items;
mod judgement;
mod namespace;
mod subjects;
mod yaml;

pub(super) use self::namespace::judge as judge_namespace;

use std::{cell::OnceCell, rc::Rc};

use self::{aws_auth::MapRoles, findings::About, judgement::set};
use super::Context;
use crate::{
    json::text::Text,
    kubernetes::{
        name::any_matches,
        object::{Labels, RawObject, RawValue},
        resource::{GroupResource, RBAC_GROUP},
        selector::LabelSet,
    },
    policy::{
        Policy,
        membership::Membership,
        mode::{Mode, RuleName},
        principal::{SERVICE_ACCOUNT_PREFIX, SERVICE_ACCOUNTS_GROUP_PREFIX},
        protection::{
            BOOTSTRAPPING, BOOTSTRAPPING_LABEL, Field, FieldChange, GuardedFields, KeepItem,
            LabelMark, Namespaces, Origin, Protected, ROLE_FIELDS, Recognition,
        },
        request::{Change, Target},
        snapshot::{NodeClassReference, ProtectedReference, RoleReference, Snapshot},
        verdict::FindingCollector,
    },
};

const RULE: RuleName = RuleName::RoleBinding;

pub(super) fn judge(
    context: Context<'_>,
    change: &Change<RawObject<'_>>,
    report: &mut FindingCollector,
) {
    let Context { policy, snapshot, request } = context;
    let mode = policy.rules.role_binding;
    if mode == Mode::Off || context.is_trusted() {
        return;
    }
    let (old, new) = match change {
        Change::Create { .. } => return,
        Change::Update { old, new } => (old, Some(new)),
        // It is going already.
        Change::Delete { old } if old.at("/metadata/deletionTimestamp").is_some() => return,
        Change::Delete { old } => (old, None),
    };
    let name = &object_name(&request.target, old);
    let texts = [Some(old), new].map(|it| Held::at(it, aws_auth::POINTER));
    let objects = Objects::new(context, old, &texts, name);
    let class_of = class_of(snapshot, &request.target, name, old);
    let is_meant = |entry: &&Protected| {
        entry.covers_name(policy, &request.target, name)
            && (entry.recognises(policy, old, objects.old_map_roles())
                || (class_of.is_some() && matches!(entry.recognition, Recognition::NodePool(_))))
    };
    let mut reported = Vec::new();
    for entry in policy.protected.iter().filter(is_meant) {
        let protected_by = match (&entry.recognition, class_of) {
            (Recognition::NodePool(_), Some(pool)) => {
                format!("NodePool {} of an AutoMQ pool refers to this object", pool.name)
            }
            (Recognition::NodePool(_), None) => {
                "this object makes nodes of an AutoMQ pool".to_owned()
            }
            _ => match entry.origin {
                Origin::Config => format!("protected entry {}", entry.name),
                Origin::Preset => format!("built-in protected entry {}", entry.name),
            },
        };
        let about = About { objects: &objects, protected_by: &protected_by };
        match new {
            None => {
                // One reason not to delete an object is enough.
                report.violation(mode, about.judge_deletion(entry));
                return;
            }
            Some(new) => about.judge_update(entry, new, &mut reported, report),
        }
    }
    let Some(binding) = refers(snapshot, &request.target, name) else { return };
    if is_bootstrapping(old) {
        return;
    }
    let binding_name = &binding.name;
    let protected_by =
        format!("{} {binding_name} refers to this object", binding.resource.resource);
    let about = About { objects: &objects, protected_by: &protected_by };
    match new {
        None => report.violation(mode, about.deletion()),
        Some(new) => {
            for pointer in ROLE_FIELDS.into_iter().filter(|it| about.is_changed(it, new)) {
                report.violation(mode, about.change(pointer));
            }
            // With that label the next change would not be judged.
            if is_bootstrapping(new) {
                report.violation(mode, about.change("/metadata/labels"));
            }
        }
    }
}

/// The object before and after the request.
struct Objects<'a> {
    context: Context<'a>,
    old: &'a RawObject<'a>,
    name: &'a str,
    /// The old and the new `mapRoles`, where the object is `aws-auth`.
    map_roles: Option<[MapRoles<'a>; 2]>,
    /// Whether the request changes the subjects, computed when an entry first asks.
    are_subjects_changed: OnceCell<bool>,
}

impl<'a> Objects<'a> {
    fn new(
        context: Context<'a>,
        old: &'a RawObject<'a>,
        texts: &'a [Held<'a>; 2],
        name: &'a str,
    ) -> Self {
        let map_roles = aws_auth::is_aws_auth(&context.request.target, name).then(|| {
            let roles = protected_roles(context.policy);
            texts.each_ref().map(|text| MapRoles::new(text, Rc::clone(&roles)))
        });
        Self { context, old, name, map_roles, are_subjects_changed: OnceCell::new() }
    }

    fn old_map_roles(&self) -> Option<&MapRoles<'a>> {
        self.map_roles.as_ref().map(|[old, _]| old)
    }

    /// Splits the items to keep into those that are roles of `aws-auth`, and the others.
    fn roles<'i>(
        &self,
        pointer: &str,
        kept: &'i [KeepItem],
    ) -> (Vec<&'i KeepItem>, Vec<&'i KeepItem>) {
        let is_map_roles = self.map_roles.is_some() && pointer == aws_auth::POINTER;
        kept.iter().partition(|item| is_map_roles && aws_auth::is_role(item))
    }

    /// The object as people name it: `ConfigMap kube-system/aws-auth`.
    fn title(&self) -> String {
        let Target { resource, namespace, .. } = &self.context.request.target;
        // The request for a Namespace names it as its namespace as well.
        let is_namespace = *resource == "namespaces";
        let kind = self.old.text_at("/kind");
        let kind = if kind.is_empty() { resource } else { &kind };
        let name = self.name;
        if namespace.is_empty() || is_namespace {
            format!("{kind} {name}")
        } else {
            format!("{kind} {namespace}/{name}")
        }
    }
}

impl Policy {
    /// Whether a request's objects are needed as they are, since an entry could cover them.
    pub(in crate::policy) fn protects(&self, snapshot: &Snapshot, target: &Target<'_>) -> bool {
        let writes = matches!(
            target.operation,
            super::super::request::Operation::Update | super::super::request::Operation::Delete
        );
        if !writes || !target.sub_resource.is_empty() || self.rules.role_binding == Mode::Off {
            return false;
        }
        // Without a name it is one object of a DELETECOLLECTION, and any name is possible.
        self.protected.iter().any(|entry| {
            entry.covers_resource(self, target)
                && (target.name.is_empty() || any_matches(&entry.names, &target.name))
        }) || (target.group == RBAC_GROUP
            && (refers(snapshot, target, &target.name).is_some() || target.name.is_empty()))
    }
}

impl Policy {
    /// Returns the facts that rules need about an observed object, if it is a protected one.
    pub fn protected_reference(
        &self,
        resource: &GroupResource,
        object: &RawObject<'_>,
    ) -> Option<ProtectedReference> {
        let text = |pointer: &str| object.text_at(pointer).to_string();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let target = Target {
            group: resource.group.as_str().into(),
            resource: resource.resource.as_str().into(),
            namespace: namespace.as_str().into(),
            ..Target::default()
        };
        let held = Held::at(Some(object), aws_auth::POINTER);
        let map_roles = aws_auth::is_aws_auth(&target, &name)
            .then(|| MapRoles::new(&held, protected_roles(self)));
        let is_meant = |entry: &Protected| {
            entry.covers_name(self, &target, &name)
                && entry.recognises(self, object, map_roles.as_ref())
        };
        let node_class = self.node_class(&target, object);
        if node_class.is_none() && !self.protected.iter().any(is_meant) {
            return None;
        }
        let role = object
            .field("roleRef")
            .map(|_| RoleReference { kind: text("/roleRef/kind"), name: text("/roleRef/name") });
        Some(ProtectedReference { resource: resource.clone(), namespace, name, role, node_class })
    }

    /// The object that an observed one refers to for the role of a pool's nodes.
    fn node_class(
        &self,
        target: &Target<'_>,
        object: &RawObject<'_>,
    ) -> Option<NodeClassReference> {
        let kind = self.node_pool_kind(target)?;
        let pointer = kind.node_class.as_ref()?;
        let text = |key: &str| object.text_at(&format!("{pointer}/{key}")).to_string();
        let reference = NodeClassReference { kind: text("kind"), name: text("name") };
        let makes_nodes = self.node_pool_membership(&kind.read(object)) != Membership::Elsewhere;
        (makes_nodes && !reference.name.is_empty()).then_some(reference)
    }
}

impl Policy {
    /// The items that an observed object of an entry must hold and does not hold, each with its field. Text
    /// that cannot be read may hold them, so its items do not count as missing.
    pub fn missing_items<'e>(
        &self,
        entry: &'e Protected,
        namespace: &str,
        name: &str,
        object: &RawObject<'_>,
    ) -> Vec<(&'e Field, &'e KeepItem)> {
        let GuardedFields::Fields(fields) = &entry.guard else { return Vec::new() };
        let target = Target {
            group: entry.resource.group.as_str().into(),
            resource: entry.resource.resource.as_str().into(),
            namespace: namespace.into(),
            ..Target::default()
        };
        let held = Held::at(Some(object), aws_auth::POINTER);
        let map_roles = aws_auth::is_aws_auth(&target, name)
            .then(|| MapRoles::new(&held, protected_roles(self)));
        let mut missing = Vec::new();
        for field in fields {
            let FieldChange::Items(items) = &field.change else { continue };
            let pointer = field.pointer.as_str();
            let is_missing = |item: &&KeepItem| {
                !holds_one(std::slice::from_ref(*item), pointer, object, map_roles.as_ref())
            };
            missing.extend(items.iter().filter(is_missing).map(|item| (field, item)));
        }
        missing
    }

    /// The reason why PoolGuard cannot read `mapRoles` of an observed `aws-auth`; `None` if it can.
    pub fn unreadable_map_roles(&self, config_map: &RawObject<'_>) -> Option<String> {
        let held = Held::at(Some(config_map), aws_auth::POINTER);
        MapRoles::new(&held, protected_roles(self)).unreadable().map(str::to_owned)
    }
}

impl Protected {
    fn covers_resource(&self, policy: &Policy, target: &Target<'_>) -> bool {
        let in_namespace = match &self.namespaces {
            Namespaces::Any => true,
            Namespaces::Named(glob) => glob.matches(&target.namespace),
            Namespaces::AutoMq => policy.automq.owns_namespace(&target.namespace),
        };
        in_namespace
            && target.group == self.resource.group.as_str()
            && target.resource == self.resource.resource.as_str()
    }

    fn covers_name(&self, policy: &Policy, target: &Target<'_>, name: &str) -> bool {
        self.covers_resource(policy, target) && any_matches(&self.names, name)
    }

    /// Whether the object shows that it is one of those that the entry means. `map_roles` is its text
    /// if it is `aws-auth`.
    fn recognises(
        &self,
        policy: &Policy,
        object: &RawObject<'_>,
        map_roles: Option<&MapRoles<'_>>,
    ) -> bool {
        match &self.recognition {
            Recognition::Always => true,
            Recognition::HoldsAField => match &self.guard {
                GuardedFields::Content => true,
                GuardedFields::Fields(fields) => fields.iter().any(|field| {
                    let pointer = field.pointer.as_str();
                    match &field.change {
                        FieldChange::Any => object.at(pointer).is_some(),
                        FieldChange::OnceSet => set(object, pointer).is_some(),
                        FieldChange::Items(items) => holds_one(items, pointer, object, map_roles),
                    }
                }),
            },
            Recognition::AutoMqBinding { labels } => {
                has_automq_subject(policy, object) || carries_mark(object, labels)
            }
            Recognition::NodePool(kind) => policy.gives_pool_role(kind, object),
        }
    }
}

/// The roles that any entry keeps in `aws-auth`.
fn protected_roles(policy: &Policy) -> aws_auth::Roles {
    let fields = policy.protected.iter().flat_map(|entry| match &entry.guard {
        GuardedFields::Content => &[],
        GuardedFields::Fields(fields) => fields.as_slice(),
    });
    let kept =
        fields.filter(|field| field.pointer.as_str() == aws_auth::POINTER).flat_map(|field| {
            match &field.change {
                FieldChange::Any | FieldChange::OnceSet => &[],
                FieldChange::Items(kept) => kept.as_slice(),
            }
        });
    let roles = kept.filter(|item| aws_auth::is_role(item));
    Rc::new(roles.map(|item| aws_auth::key(&item.value).into_owned()).collect())
}

/// Whether a list holds one of the items to keep.
fn holds_one(
    items: &[KeepItem],
    pointer: &str,
    object: &RawObject<'_>,
    map_roles: Option<&MapRoles<'_>>,
) -> bool {
    let map_roles = map_roles.filter(|_| pointer == aws_auth::POINTER);
    let is_role = |item: &&KeepItem| map_roles.is_some() && aws_auth::is_role(item);
    let (roles, others): (Vec<&KeepItem>, Vec<&KeepItem>) = items.iter().partition(is_role);
    roles.iter().any(|role| map_roles.is_some_and(|it| it.names(&role.value)))
        || (!others.is_empty() && items::any(&others, &Held::at(Some(object), pointer)))
}

fn has_automq_subject(policy: &Policy, binding: &RawObject<'_>) -> bool {
    let own = binding.text_at("/metadata/namespace");
    subjects::any(binding, |subject| {
        // The API knows a service account, and all of a namespace, by other names as well.
        let namespace = match subject.kind.as_str() {
            "ServiceAccount" if subject.namespace.is_empty() => own.as_str(),
            "ServiceAccount" => &subject.namespace,
            "User" => service_account_namespace(&subject.name),
            "Group" => subject.name.strip_prefix(SERVICE_ACCOUNTS_GROUP_PREFIX).unwrap_or_default(),
            _ => "",
        };
        policy.automq.owns_namespace(namespace)
    })
}

fn carries_mark(object: &RawObject<'_>, marks: &[LabelMark]) -> bool {
    let labels = labels(object);
    marks.iter().any(|LabelMark { key, value }| match (labels.value(key), value) {
        (Some(label), Some(value)) => label == value,
        (label, None) => label.is_some(),
        (None, Some(_)) => false,
    })
}

fn labels<'a>(object: &RawObject<'a>) -> Labels<'a> {
    object.at("/metadata/labels").and_then(RawValue::read).unwrap_or_default()
}

fn service_account_namespace(user: &str) -> &str {
    let account = user.strip_prefix(SERVICE_ACCOUNT_PREFIX).unwrap_or_default();
    account.split_once(':').map_or("", |(namespace, _)| namespace)
}

/// The name of the object; a DELETECOLLECTION shows it in the object only.
fn object_name<'a>(target: &Target<'a>, old: &RawObject<'a>) -> Text<'a> {
    if target.name.is_empty() { old.text_at("/metadata/name") } else { target.name.clone() }
}

/// The content of a field that should hold text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Held<'a> {
    Nothing,
    Text(Text<'a>),
    Other,
}

impl<'a> Held<'a> {
    fn at(object: Option<&RawObject<'a>>, pointer: &str) -> Self {
        match object.and_then(|object| object.at(pointer)) {
            None => Self::Nothing,
            Some(value) => value.text().map_or(Self::Other, Self::Text),
        }
    }
}

/// The protected binding that refers to this role.
fn refers<'s>(
    snapshot: &'s Snapshot,
    target: &Target<'_>,
    name: &str,
) -> Option<&'s ProtectedReference> {
    let kind = match (target.group.as_str(), target.resource.as_str()) {
        (RBAC_GROUP, "roles") => "Role",
        (RBAC_GROUP, "clusterroles") => "ClusterRole",
        _ => return None,
    };
    snapshot.protected().iter().find(|binding| {
        binding.role.as_ref().is_some_and(|role| {
            role.kind == kind
                && role.name == name
                && (kind == "ClusterRole" || target.namespace == binding.namespace.as_str())
        })
    })
}

/// The object of the snapshot that makes nodes of a pool, and refers to this one for their role.
fn class_of<'s>(
    snapshot: &'s Snapshot,
    target: &Target<'_>,
    name: &str,
    object: &RawObject<'_>,
) -> Option<&'s ProtectedReference> {
    if !target.namespace.is_empty() {
        return None;
    }
    let kind = object.text_at("/kind");
    snapshot.protected().iter().find(|pool| {
        pool.node_class
            .as_ref()
            .is_some_and(|class| kind == class.kind.as_str() && class.name == name)
    })
}

fn is_bootstrapping(object: &RawObject<'_>) -> bool {
    labels(object).value(BOOTSTRAPPING_LABEL) == Some(BOOTSTRAPPING)
}
