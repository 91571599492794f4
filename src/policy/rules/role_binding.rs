//! `role-binding`: the objects that hold a pool's role together stay as they are.
//!
//! Judged are UPDATE and DELETE of protected objects by anyone but trusted principals: the config's
//! `protected` entries and the provider's preset. Of a protected object only the guarded fields may
//! not change; everything else stays editable. What the object itself shows decides. Beyond it, the
//! roles that protected bindings refer to are protected as far as the snapshot knows them, but for
//! those that the API server itself reconciles (`kubernetes.io/bootstrapping`).
//!
//! A namespace may not be deleted while a `protected` entry or an instance names it, or while a
//! protected object is known in it.

mod items;
mod namespace;

pub(super) use self::namespace::judge as judge_namespace;

use jsonptr::PointerBuf;
use serde_json::{Map, Value};

use super::Context;
use crate::policy::{
    Policy,
    identity::{SERVICE_ACCOUNT_PREFIX, SERVICE_ACCOUNTS_GROUP_PREFIX},
    mode::{Mode, RuleName},
    name::{GroupResource, any_matches},
    protection::{
        BOOTSTRAPPING, BOOTSTRAPPING_LABEL, Field, FieldChange, Guard, KeepItem, LabelMark,
        Namespaces, Protected, RBAC_GROUP, ROLE_FIELDS, Recognition,
    },
    request::{Change, Target},
    snapshot::{ProtectedReference, RoleReference, Snapshot},
    verdict::{Decision, Finding, Report},
};

const RULE: RuleName = RuleName::RoleBinding;

pub(super) fn judge(context: Context<'_>, change: &Change<Value>, report: &mut Report) {
    let Context { policy, snapshot, request } = context;
    let mode = policy.rules.role_binding;
    if mode == Mode::Off || context.is_trusted() {
        return;
    }
    let (old, new) = match change {
        Change::Create { .. } => return,
        Change::Update { old, new } => (old, Some(new)),
        // It is going already.
        Change::Delete { old } if present(old, "/metadata/deletionTimestamp").is_some() => return,
        Change::Delete { old } => (old, None),
    };
    let name = object_name(&request.target, old);
    let is_meant = |entry: &&Protected| {
        entry.covers_name(policy, &request.target, name) && entry.recognises(policy, old)
    };
    let mut reported = Vec::new();
    for entry in policy.protected.iter().filter(is_meant) {
        let about = About { context, old, name, protected_by: format!("entry {}", entry.name) };
        match new {
            None => {
                // One reason not to delete an object is enough.
                report.violation(mode, about.deletion());
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
    let protected_by = format!("{} {binding_name} refers to it", binding.resource.resource);
    let about = About { context, old, name, protected_by };
    match new {
        None => report.violation(mode, about.deletion()),
        Some(new) => {
            for pointer in ROLE_FIELDS.into_iter().filter(|it| present(old, it) != present(new, it))
            {
                report.violation(mode, about.change(pointer));
            }
            // With that label the next change would not be judged.
            if is_bootstrapping(new) {
                report.violation(mode, about.change("/metadata/labels"));
            }
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
    /// What rules need to know of an observed object, if it is a protected one.
    pub fn protected_reference(
        &self,
        resource: &GroupResource,
        object: &Value,
    ) -> Option<ProtectedReference> {
        let text = |pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let target = Target {
            group: resource.group.as_str().into(),
            resource: resource.resource.as_str().into(),
            namespace: namespace.as_str().into(),
            ..Target::default()
        };
        let is_meant = |entry: &Protected| {
            entry.covers_name(self, &target, &name) && entry.recognises(self, object)
        };
        if !self.protected.iter().any(is_meant) {
            return None;
        }
        let role = object
            .get("roleRef")
            .map(|_| RoleReference { kind: text("/roleRef/kind"), name: text("/roleRef/name") });
        Some(ProtectedReference { resource: resource.clone(), namespace, name, role })
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

    /// Whether the object shows that it is one of those that the entry means.
    fn recognises(&self, policy: &Policy, object: &Value) -> bool {
        match &self.recognition {
            Recognition::Always => true,
            Recognition::HoldsAField => match &self.guard {
                Guard::Content => true,
                Guard::Fields(fields) => fields.iter().any(|field| {
                    let value = present(object, field.pointer.as_str());
                    match &field.change {
                        FieldChange::Any | FieldChange::OnceSet => value.is_some(),
                        FieldChange::Items(items) => items::any(items, value),
                    }
                }),
            },
            Recognition::AutoMqBinding { labels } => {
                has_automq_subject(policy, object) || carries_mark(object, labels)
            }
        }
    }
}

fn has_automq_subject(policy: &Policy, binding: &Value) -> bool {
    let subjects = binding.get("subjects").and_then(Value::as_array);
    let own = binding.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
    subjects.into_iter().flatten().any(|subject| {
        let text = |key| subject.get(key).and_then(Value::as_str).unwrap_or_default();
        // The API knows a service account, and all of a namespace, by other names as well.
        let namespace = match text("kind") {
            "ServiceAccount" if text("namespace").is_empty() => own,
            "ServiceAccount" => text("namespace"),
            "User" => service_account_namespace(text("name")),
            "Group" => text("name").strip_prefix(SERVICE_ACCOUNTS_GROUP_PREFIX).unwrap_or_default(),
            _ => "",
        };
        policy.automq.owns_namespace(namespace)
    })
}

fn carries_mark(object: &Value, marks: &[LabelMark]) -> bool {
    marks.iter().any(|LabelMark { key, value }| {
        let label = object.pointer("/metadata/labels").and_then(|labels| labels.get(key));
        let label = label.and_then(Value::as_str);
        match value {
            None => label.is_some(),
            Some(value) => label == Some(value),
        }
    })
}

fn service_account_namespace(user: &str) -> &str {
    let account = user.strip_prefix(SERVICE_ACCOUNT_PREFIX).unwrap_or_default();
    account.split_once(':').map_or("", |(namespace, _)| namespace)
}

/// The value at a pointer; `null` is absent.
fn present<'v>(object: &'v Value, pointer: &str) -> Option<&'v Value> {
    object.pointer(pointer).filter(|value| !value.is_null())
}

/// The name of the object; a DELETECOLLECTION shows it in the object only.
fn object_name<'r>(target: &'r Target<'_>, old: &'r Value) -> &'r str {
    if target.name.is_empty() {
        old.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
    } else {
        &target.name
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

fn is_bootstrapping(object: &Value) -> bool {
    let labels = object.pointer("/metadata/labels");
    labels.is_some_and(|labels| labels.get(BOOTSTRAPPING_LABEL) == Some(&BOOTSTRAPPING.into()))
}

/// What is being judged, for messages.
struct About<'a> {
    context: Context<'a>,
    old: &'a Value,
    name: &'a str,
    protected_by: String,
}

const WAY_OUT: &str = "If AutoMQ's operator meant it, add its principal to principals.trusted";

impl About<'_> {
    fn object(&self) -> String {
        let Target { resource, namespace, .. } = &self.context.request.target;
        let kind = self.old.get("kind").and_then(Value::as_str).unwrap_or(resource);
        let name = self.name;
        if namespace.is_empty() {
            format!("{kind} {name}")
        } else {
            format!("{kind} {namespace}/{name}")
        }
    }

    fn deletion(&self) -> Finding {
        let fact = format!(
            "{} holds AutoMQ's role together ({}) and may not be deleted",
            self.object(),
            self.protected_by
        );
        Finding::new(RULE, fact).advice(WAY_OUT)
    }

    fn change(&self, field: &str) -> Finding {
        let fact = format!(
            "{field} of {} holds AutoMQ's role together ({}) and may not change",
            self.object(),
            self.protected_by
        );
        let advice = format!("Leave it; everything else may change. {WAY_OUT}");
        Finding::new(RULE, fact).advice(advice).field(field)
    }

    fn judge_update(
        &self,
        entry: &Protected,
        new: &Value,
        reported: &mut Vec<String>,
        report: &mut Report,
    ) {
        let mut findings = Vec::new();
        match &entry.guard {
            Guard::Content => {
                let changed = changed_content(self.old, new);
                findings.extend(changed.iter().map(|field| self.change(field)));
            }
            Guard::Fields(guarded) => {
                for field in guarded {
                    findings.extend(self.judge_field(field, new, report));
                }
            }
        }
        // Without its label an object that only the label shows would lose its protection.
        let is_binding = matches!(entry.recognition, Recognition::AutoMqBinding { .. });
        if is_binding
            && self.old.get("subjects") == new.get("subjects")
            && !entry.recognises(self.context.policy, new)
        {
            findings.push(self.change("/metadata/labels"));
        }
        // What another entry has said of a field need not be said again.
        findings.retain(|finding| !reported.iter().any(|it| Some(it) == finding.field.as_ref()));
        reported.extend(findings.iter().filter_map(|finding| finding.field.clone()));
        for finding in findings {
            report.violation(self.context.policy.rules.role_binding, finding);
        }
    }

    fn judge_field(&self, field: &Field, new: &Value, report: &mut Report) -> Vec<Finding> {
        let pointer = field.pointer.as_str();
        let (before, after) = (present(self.old, pointer), present(new, pointer));
        match &field.change {
            FieldChange::Any if before != after => vec![self.change(pointer)],
            FieldChange::OnceSet if before.is_some() && before != after => {
                vec![self.change(pointer)]
            }
            FieldChange::Any | FieldChange::OnceSet => Vec::new(),
            FieldChange::Items(items) => match items::lost(items, before, after) {
                Ok(lost) => lost.into_iter().map(|item| self.lost_item(pointer, item)).collect(),
                Err(items::Unreadable::New(why)) => vec![self.unreadable(pointer, &why)],
                Err(items::Unreadable::Old(why)) => {
                    let object = self.object();
                    let fact =
                        format!("{pointer} of {object} cannot be read and was not judged: {why}");
                    report.note(Decision::Unknown, Finding::new(RULE, fact).field(pointer));
                    Vec::new()
                }
            },
        }
    }

    fn lost_item(&self, pointer: &str, item: &KeepItem) -> Finding {
        let KeepItem { by, value } = item;
        let fact = format!(
            "{pointer} of {} would lose or change its item with {by}: {value}, which holds \
             AutoMQ's role together ({})",
            self.object(),
            self.protected_by
        );
        let advice = format!("Leave that item; the others may change. {WAY_OUT}");
        let finding = Finding::new(RULE, fact).advice(advice).field(pointer);
        let mut pools = self.context.policy.pools.iter();
        match pools.find(|pool| pool.role.as_ref() == Some(value)) {
            Some(pool) => finding.pool(&*pool.name),
            None => finding,
        }
    }

    fn unreadable(&self, pointer: &str, why: &str) -> Finding {
        let fact = format!(
            "{pointer} of {} would not be a list that can be read ({why}), and holds AutoMQ's role \
             together ({})",
            self.object(),
            self.protected_by
        );
        Finding::new(RULE, fact).advice("Write it as a YAML list").field(pointer)
    }
}

/// The top-level fields outside `metadata` and `status` that differ, as pointers.
fn changed_content(old: &Value, new: &Value) -> Vec<String> {
    const NOT_CONTENT: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
        return if old == new { Vec::new() } else { vec![String::new()] };
    };
    let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
    let value = |object: &Map<String, Value>, key| {
        object.get(key).filter(|value: &&Value| !value.is_null()).cloned()
    };
    keys.filter(|key| !NOT_CONTENT.contains(&key.as_str()) && value(old, *key) != value(new, *key))
        .map(|key| PointerBuf::from_tokens([key.as_str()]).to_string())
        .collect()
}
