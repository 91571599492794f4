//! Updates of the index from a live cluster: a list replaces all objects of a kind, an event changes one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Index, Kind, Nodes, ObjectKey, Objects, node::ObservedNode};
use crate::{
    json::{self, JsonError},
    kubernetes::object::LAST_APPLIED,
};

/// The reason why PoolGuard cannot read an observed object.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// A mistake in a field that PoolGuard keeps whole.
    #[error(transparent)]
    Whole(#[from] serde_json::Error),
    /// A mistake in a field that PoolGuard reads. The message has no line and column, because users do not see
    /// the text of the object.
    #[error("{}", .0.clone().within(&[]))]
    Read(#[from] JsonError),
}

/// The objects that a list has shown so far. The index shows them only when the list is complete.
#[derive(Debug, Default)]
pub(super) struct ListInProgress {
    nodes: Nodes,
    objects: Objects,
}

/// An object other than a node, with the fields that PoolGuard reads.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Observed {
    metadata: Metadata,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    subjects: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    role_ref: Value,
    /// The `spec` of an object that makes nodes.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    spec: Value,
}

#[derive(Deserialize, Serialize)]
struct Metadata {
    #[serde(default)]
    namespace: String,
    name: String,
    #[serde(default)]
    labels: Option<Map<String, Value>>,
    #[serde(default)]
    annotations: Option<Map<String, Value>>,
}

impl Index {
    /// Begins a list of this kind.
    pub fn begin_list(&mut self, kind: Kind) {
        self.lists_in_progress.insert(kind, ListInProgress::default());
    }

    /// Adds an object to the list that has begun.
    pub fn list(&mut self, kind: Kind, object: &str) -> Result<(), ObjectError> {
        if kind == Kind::Node {
            let node = self.node_record(json::from_str::<ObservedNode<'_>>(object)?);
            // The same node is kept once, however many lists show it.
            let node = match self.nodes.get(&node.name) {
                Some(known) if **known == node => known.clone(),
                Some(_) | None => node.into(),
            };
            if let Some(list_in_progress) = self.lists_in_progress.get_mut(&kind) {
                list_in_progress.nodes.insert(node.name.clone(), node);
            }
        } else if let Some((key, object)) = observed(kind, object)?
            && let Some(list_in_progress) = self.lists_in_progress.get_mut(&kind)
        {
            list_in_progress.objects.insert(key.into(), object.into());
        }
        Ok(())
    }

    /// Ends a list, which then replaces all that was known of its kind. Returns whether that changes anything.
    pub fn end_list(&mut self, kind: Kind) -> bool {
        let Some(ListInProgress { nodes, mut objects }) = self.lists_in_progress.remove(&kind)
        else {
            return false;
        };
        let is_first = self.kinds.insert(kind.resource().kind.to_owned());
        let changes = if kind == Kind::Node {
            let changes = self.nodes != nodes;
            self.nodes = nodes;
            changes
        } else {
            let resource = kind.resource().group_resource();
            let is_kind = |key: &ObjectKey| key.resource == resource;
            let known = self.objects.iter().filter(|(key, _)| is_kind(key));
            let changes = !known.eq(objects.iter());
            self.objects.retain(|key, _| !is_kind(key));
            self.objects.append(&mut objects);
            changes
        };
        self.forget_texts();
        changes || is_first
    }

    /// Adds an object, or replaces it after a change. Returns whether that changes anything.
    pub fn apply(&mut self, kind: Kind, object: &str) -> Result<bool, ObjectError> {
        if kind == Kind::Node {
            let node = self.node_record(json::from_str::<ObservedNode<'_>>(object)?);
            let changes = self.nodes.get(&node.name).is_none_or(|known| **known != node);
            if changes {
                self.nodes.insert(node.name.clone(), node.into());
                self.forget_texts_if_many();
            }
            return Ok(changes);
        }
        let Some((key, object)) = observed(kind, object)? else {
            // It may have lost what made it worth keeping.
            return self.delete(kind, object);
        };
        let changes = self.objects.get(&key).is_none_or(|known| **known != *object);
        self.objects.insert(key.into(), object.into());
        Ok(changes)
    }

    /// Removes an object. Returns whether that changes anything.
    pub fn delete(&mut self, kind: Kind, object: &str) -> Result<bool, ObjectError> {
        let Observed { metadata: Metadata { namespace, name, .. }, .. } =
            serde_json::from_str(object)?;
        if kind == Kind::Node {
            return Ok(self.nodes.remove(name.as_str()).is_some());
        }
        let key = ObjectKey { resource: kind.resource().group_resource(), namespace, name };
        Ok(self.objects.remove(&key).is_some())
    }

    /// Whether every kind has been listed that a cluster has.
    pub fn is_complete(&self) -> bool {
        let mut needed = Kind::ALL.iter().filter(|kind| !kind.may_be_absent());
        needed.all(|kind| self.has_seen(kind.resource().kind))
    }
}

/// Returns an object trimmed to the fields that PoolGuard may need; `None` if it needs none of them.
fn observed(kind: Kind, object: &str) -> Result<Option<(ObjectKey, Box<str>)>, ObjectError> {
    let mut object: Observed = serde_json::from_str(object)?;
    let annotations = object.metadata.annotations.take();
    if kind == Kind::ServiceAccount {
        let mut annotations = annotations.unwrap_or_default();
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty() {
            return Ok(None);
        }
        object.metadata.annotations = Some(annotations);
    }
    let Metadata { namespace, name, .. } = &object.metadata;
    let (namespace, name) = (namespace.clone(), name.clone());
    let key = ObjectKey { resource: kind.resource().group_resource(), namespace, name };
    Ok(Some((key, serde_json::to_string(&object)?.into())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, zone: &str, heartbeat: u32) -> String {
        json!({
            "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone},
                         "resourceVersion": heartbeat.to_string()},
            "spec": {"providerID": "aws:///us-east-1a/i-0"},
            "status": {"conditions": [
                {"type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat.to_string()},
            ]},
        })
        .to_string()
    }

    fn listed(index: &mut Index, kind: Kind, objects: &[String]) -> bool {
        index.begin_list(kind);
        for object in objects {
            index.list(kind, object).expect("is an object");
        }
        index.end_list(kind)
    }

    #[test]
    fn a_moment_stays_as_it_was_while_the_index_goes_on() {
        let mut index = Index::default();
        listed(&mut index, Kind::Node, &[node("a", "z1", 1)]);
        let snapshot = index.index_snapshot();
        listed(&mut index, Kind::Node, &[node("b", "z1", 1), node("c", "z1", 1)]);
        assert_eq!(snapshot.nodes.iter().map(|node| &*node.name).collect::<Vec<_>>(), ["a"]);
        assert_eq!(snapshot.provider(), index.provider());
    }

    #[test]
    fn a_list_replaces_its_kind_at_once() {
        let mut index = Index::default();
        assert!(listed(&mut index, Kind::Node, &[node("a", "z1", 1), node("b", "z1", 1)]));
        index.begin_list(Kind::Node);
        index.list(Kind::Node, &node("b", "z1", 2)).expect("is a node");
        assert_eq!(index.nodes.len(), 2, "half a list is nobody's business");
        assert!(index.end_list(Kind::Node));
        assert_eq!(index.nodes.keys().map(AsRef::as_ref).collect::<Vec<&str>>(), ["b"]);
        assert!(!listed(&mut index, Kind::Node, &[node("b", "z1", 3)]), "nothing is new");
    }

    #[test]
    fn a_list_without_objects_is_knowledge_too() {
        let mut index = Index::default();
        assert!(!index.is_complete());
        for kind in Kind::ALL {
            assert!(listed(&mut index, kind, &[]));
        }
        assert!(index.is_complete());
    }

    #[test]
    fn index_lets_texts_go_while_it_is_watching() {
        let mut index = Index::default();
        listed(&mut index, Kind::Node, &[]);
        for round in 0..10_000 {
            index.apply(Kind::Node, &node("a", &format!("z{round}"), 1)).expect("is a node");
        }
        assert!(index.texts.len() < 2_000, "{} texts of one node", index.texts.len());
    }

    #[test]
    fn heartbeats_change_nothing() {
        let mut index = Index::default();
        listed(&mut index, Kind::Node, &[node("a", "z1", 1)]);
        assert!(!index.apply(Kind::Node, &node("a", "z1", 2)).expect("is a node"));
        assert!(index.apply(Kind::Node, &node("a", "z2", 2)).expect("is a node"));
        assert!(index.delete(Kind::Node, &node("a", "z2", 3)).expect("is a node"));
        assert!(!index.delete(Kind::Node, &node("a", "z2", 3)).expect("is a node"));
    }

    #[test]
    fn service_accounts_count_while_they_have_annotations() {
        let account = |annotations: Value| {
            json!({"metadata": {"namespace": "automq", "name": "kafka", "annotations": annotations}})
                .to_string()
        };
        let mut index = Index::default();
        let with_role = account(json!({"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/kafka"}));
        let without = account(json!({LAST_APPLIED: "{}"}));
        assert!(!index.apply(Kind::ServiceAccount, &without).expect("is an object"));
        assert!(index.apply(Kind::ServiceAccount, &with_role).expect("is an object"));
        assert!(!index.apply(Kind::ServiceAccount, &with_role).expect("is an object"));
        assert!(index.apply(Kind::ServiceAccount, &without).expect("is an object"));
        assert!(index.objects.is_empty());
    }

    #[test]
    fn a_binding_keeps_what_tells_whose_it_is() {
        let binding = json!({
            "metadata": {"namespace": "automq", "name": "nodepool", "labels": {"a": "b"},
                         "annotations": {"long": "text"}, "managedFields": [{"manager": "kubectl"}]},
            "subjects": [{"kind": "ServiceAccount", "name": "kafka"}],
            "roleRef": {"kind": "Role", "name": "nodepool"},
        });
        let mut index = Index::default();
        assert!(index.apply(Kind::RoleBinding, &binding.to_string()).expect("is an object"));
        let kept = index.objects.values().next().expect("is kept");
        let kept: Value = serde_json::from_str(kept).expect("is an object");
        assert_eq!(kept["subjects"], binding["subjects"]);
        assert_eq!(kept["roleRef"], binding["roleRef"]);
        assert_eq!(kept["metadata"]["labels"], binding["metadata"]["labels"]);
        assert!(kept["metadata"].get("managedFields").is_none());
    }

    #[test]
    fn values_that_no_node_has_any_more_are_let_go() {
        let mut index = Index::default();
        listed(&mut index, Kind::Node, &[node("a", "z1", 1)]);
        assert!(index.texts.iter().any(|text| text.as_ref() == "z1"));
        listed(&mut index, Kind::Node, &[node("a", "z2", 1)]);
        listed(&mut index, Kind::Node, &[node("a", "z2", 1)]);
        assert!(!index.texts.iter().any(|text| text.as_ref() == "z1"));
    }

    #[test]
    fn an_object_without_a_name_is_refused() {
        let mut index = Index::default();
        assert!(index.apply(Kind::RoleBinding, r#"{"metadata":{}}"#).is_err());
        assert!(index.apply(Kind::Node, "[]").is_err());
    }
}
