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
use serde_json::Value;

use super::Context;
use crate::policy::{
    Policy,
    mode::{Mode, RuleName},
    name::any_matches,
    protection::{Field, FieldChange, Guard, LabelMark, Namespaces, Protected, Recognition},
    request::{Change, Target},
    snapshot::{ProtectedReference, Snapshot},
    verdict::{Decision, Finding, Report},
};

const RULE: RuleName = RuleName::RoleBinding;

/// Objects with this label are reconciled by the API server at its start.
const BOOTSTRAPPING_LABEL: &str = "kubernetes.io/bootstrapping";

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
        Change::Delete { old } if old.pointer("/metadata/deletionTimestamp").is_some() => return,
        Change::Delete { old } => (old, None),
    };
    let name = object_name(&request.target, old);
    let covering: Vec<&Protected> = policy
        .protected
        .iter()
        .filter(|entry| {
            entry.covers_name(policy, &request.target, name) && entry.recognises(policy, old)
        })
        .collect();
    let referred = refers(snapshot, &request.target, name).filter(|_| !is_bootstrapping(old));
    for entry in covering {
        let about = About { context, name, protected_by: format!("entry {}", entry.name) };
        match new {
            None => report.violation(mode, about.deletion()),
            Some(new) => about.judge_update(entry, old, new, report),
        }
    }
    if let Some(binding) = referred {
        let protected_by =
            format!("{} {}, which refers to it", binding.resource.resource, binding.name);
        let about = About { context, name, protected_by };
        match new {
            None => report.violation(mode, about.deletion()),
            Some(new) => {
                let pointers = ["/rules", "/aggregationRule"];
                for pointer in pointers.into_iter().filter(|p| old.pointer(p) != new.pointer(p)) {
                    report.violation(mode, about.change(pointer));
                }
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

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

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
    pub fn recognises(&self, policy: &Policy, object: &Value) -> bool {
        match &self.recognition {
            Recognition::Always => true,
            Recognition::HoldsAField => match &self.guard {
                Guard::Content => true,
                Guard::Fields(fields) => {
                    fields.iter().any(|field| value_at(object, &field.pointer).is_some())
                }
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
        let namespace = if text("namespace").is_empty() { own } else { text("namespace") };
        text("kind") == "ServiceAccount" && policy.automq.owns_namespace(namespace)
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

/// The value at a pointer; `null` is absent.
fn value_at<'v>(object: &'v Value, pointer: &PointerBuf) -> Option<&'v Value> {
    object.pointer(pointer.as_str()).filter(|value| !value.is_null())
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
    labels.is_some_and(|labels| labels.get(BOOTSTRAPPING_LABEL).is_some())
}

/// What is being judged, for messages.
struct About<'a> {
    context: Context<'a>,
    name: &'a str,
    protected_by: String,
}

const WAY_OUT: &str = "If AutoMQ's operator meant it, add its principal to principals.trusted";

impl About<'_> {
    fn object(&self) -> String {
        let Target { resource, namespace, .. } = &self.context.request.target;
        let name = self.name;
        if namespace.is_empty() {
            format!("{resource} {name}")
        } else {
            format!("{resource} {namespace}/{name}")
        }
    }

    fn deletion(&self) -> Finding {
        let message = format!(
            "{} holds AutoMQ's role together ({}) and may not be deleted. {WAY_OUT}",
            self.object(),
            self.protected_by
        );
        Finding::new(RULE, message)
    }

    fn change(&self, field: &str) -> Finding {
        let message = format!(
            "{field} of {} holds AutoMQ's role together ({}) and may not change; everything else \
             may. {WAY_OUT}",
            self.object(),
            self.protected_by
        );
        Finding::new(RULE, message).field(field)
    }

    fn judge_update(&self, entry: &Protected, old: &Value, new: &Value, report: &mut Report) {
        let mode = self.context.policy.rules.role_binding;
        match &entry.guard {
            Guard::Content => {
                for field in changed_content(old, new) {
                    report.violation(mode, self.change(&field));
                }
            }
            Guard::Fields(fields) => {
                for field in fields {
                    self.judge_field(field, old, new, report);
                }
            }
        }
        if !entry.recognises(self.context.policy, new)
            && matches!(entry.recognition, Recognition::AutoMqBinding { .. })
            && old.get("subjects") == new.get("subjects")
        {
            let finding = self.change("/metadata/labels");
            report.violation(mode, finding);
        }
    }

    fn judge_field(&self, field: &Field, old: &Value, new: &Value, report: &mut Report) {
        let mode = self.context.policy.rules.role_binding;
        let (before, after) = (value_at(old, &field.pointer), value_at(new, &field.pointer));
        match &field.change {
            FieldChange::Any if before != after => {
                report.violation(mode, self.change(field.pointer.as_str()));
            }
            FieldChange::OnceSet if before.is_some() && before != after => {
                report.violation(mode, self.change(field.pointer.as_str()));
            }
            FieldChange::Any | FieldChange::OnceSet => {}
            FieldChange::Items(items) => {
                let pointer = field.pointer.as_str();
                match items::lost(items, before, after) {
                    Ok(lost) => {
                        for item in lost {
                            let finding = self.lost_item(pointer, &item);
                            report.violation(mode, finding);
                        }
                    }
                    Err(items::Unreadable::New(why)) => {
                        report.violation(mode, self.unreadable(pointer, &why));
                    }
                    Err(items::Unreadable::Old(why)) => {
                        let message = format!(
                            "{pointer} of {} cannot be read and was not judged: {why}",
                            self.object()
                        );
                        let finding = Finding::new(RULE, message).field(pointer);
                        report.note(Decision::Unknown, finding);
                    }
                }
            }
        }
    }

    fn lost_item(&self, pointer: &str, item: &str) -> Finding {
        let message = format!(
            "{pointer} of {} would lose or change its item with {item}, which holds AutoMQ's role \
             together ({}). Leave that item; the others may change. {WAY_OUT}",
            self.object(),
            self.protected_by
        );
        Finding::new(RULE, message).field(pointer)
    }

    fn unreadable(&self, pointer: &str, why: &str) -> Finding {
        let message = format!(
            "{pointer} of {} would not be a list that can be read ({why}), and holds AutoMQ's role \
             together ({}). Write it as a YAML list",
            self.object(),
            self.protected_by
        );
        Finding::new(RULE, message).field(pointer)
    }
}

/// The top-level fields outside `metadata` and `status` that differ, as pointers.
fn changed_content(old: &Value, new: &Value) -> Vec<String> {
    const NOT_CONTENT: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
        return if old == new { Vec::new() } else { vec![String::new()] };
    };
    let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
    keys.filter(|key| !NOT_CONTENT.contains(&key.as_str()) && old.get(*key) != new.get(*key))
        .map(|key| PointerBuf::from_tokens([key.as_str()]).to_string())
        .collect()
}
