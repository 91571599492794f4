//! The object that an Event or a report is about. A denied pod does not exist, but the controller that
//! creates it does.

use serde_json::{Value, json};

use crate::{
    json::text::cut,
    kubernetes::object::{Metadata, OwnerReference, RawObject, RawValue},
    policy::request::{Change, Operation, Request, RequestObjects},
};

/// The largest number of bytes in the name of an object.
const NAME_BYTES_MAX: usize = 253;

/// A reference to an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    api_version: String,
    kind: String,
    /// The namespace of the object and of its Events and reports; empty for an object without a namespace.
    namespace: String,
    name: String,
    /// The UID of the object; empty if it is not known.
    uid: String,
}

impl ObjectRef {
    /// Returns the object that an Event or a report about a request refers to. This is the controller of
    /// the requested object. If there is no controller, it is the object itself if it exists already, and
    /// otherwise the namespace.
    pub fn of(request: &Request<'_>) -> Option<Self> {
        let namespace = request.target.namespace.as_str();
        let controller = request.controller().map(|owner| Self::owner(owner, namespace));
        controller.or_else(|| Self::object(request)).or_else(|| Self::namespace(namespace))
    }

    /// Creates a reference to a pod that exists.
    pub fn pod(metadata: &Metadata<'_>) -> Self {
        Self {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            namespace: metadata.namespace.to_string(),
            name: metadata.name.to_string(),
            uid: metadata.uid.to_string(),
        }
    }

    /// Creates a reference to an object without a namespace from its name.
    pub fn named(api_version: &str, kind: &str, name: &str) -> Self {
        let (namespace, uid) = (String::new(), String::new());
        Self {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace,
            name: name.into(),
            uid,
        }
    }

    /// Creates a reference to the owner of an object, with texts of at most [`NAME_BYTES_MAX`] bytes. The
    /// API server does not limit the texts of an owner reference in a request.
    fn owner(owner: &OwnerReference<'_>, namespace: &str) -> Self {
        let OwnerReference { api_version, kind, name, uid, controller: _ } = owner;
        let bounded = |text: &str| cut(text.to_owned(), NAME_BYTES_MAX);
        Self {
            api_version: bounded(api_version),
            kind: bounded(kind),
            namespace: namespace.to_owned(),
            name: bounded(name),
            uid: bounded(uid),
        }
    }

    fn object(request: &Request<'_>) -> Option<Self> {
        if let Some(Change::Update { old: object, .. } | Change::Delete { old: object }) =
            &request.raw_objects
        {
            return Self::whole(object, &request.target.namespace);
        }
        let is_there = request.target.operation != Operation::Create;
        let (group, kind) = match &request.subject {
            RequestObjects::Pod(_) if is_there => ("", "Pod"),
            RequestObjects::Binding(_) => ("", "Pod"),
            RequestObjects::Workload(kind, _) if is_there => {
                (kind.resource().group, kind.resource().kind)
            }
            RequestObjects::Node(_) => ("", "Node"),
            RequestObjects::Namespace(_) => return Self::namespace(&request.target.name),
            RequestObjects::Irrelevant | RequestObjects::Pod(_) | RequestObjects::Workload(..) => {
                return None;
            }
        };
        let Metadata { name, uid, .. } = request.metadata()?;
        let name = if request.target.name.is_empty() { name } else { &request.target.name };
        Some(Self {
            api_version: if group.is_empty() { "v1".into() } else { format!("{group}/v1") },
            kind: kind.to_owned(),
            namespace: request.target.namespace.to_string(),
            name: name.to_string(),
            uid: uid.to_string(),
        })
    }

    fn whole(object: &RawObject<'_>, namespace: &str) -> Option<Self> {
        let text = |path| object.at(path).and_then(RawValue::text).map(|text| text.to_string());
        Some(Self {
            api_version: text("/apiVersion")?,
            kind: text("/kind")?,
            namespace: namespace.to_owned(),
            name: text("/metadata/name")?,
            uid: text("/metadata/uid").unwrap_or_default(),
        })
    }

    /// Creates a reference to a namespace. Its Events and reports are kept in this namespace, because its
    /// users look for them there.
    fn namespace(name: &str) -> Option<Self> {
        let namespace = Self::named("v1", "Namespace", name);
        (!name.is_empty()).then(|| Self { namespace: name.to_owned(), ..namespace })
    }

    /// Returns the namespace of the object's Events and reports; empty for an object without a namespace.
    pub fn namespace_of_events(&self) -> &str {
        &self.namespace
    }

    /// Returns the reference as an Event has it. The API server requires that the object's namespace is
    /// that of the Event.
    pub fn event_reference(&self) -> Value {
        // Kubelets, and kubectl after them, look for the Events of a node by its name.
        let uid = if self.kind == "Node" { &self.name } else { &self.uid };
        self.reference(&self.namespace, uid)
    }

    /// Returns the reference as a report has it.
    pub fn report_reference(&self) -> Value {
        let namespace = if self.kind == "Namespace" { "" } else { &self.namespace };
        self.reference(namespace, &self.uid)
    }

    fn reference(&self, namespace: &str, uid: &str) -> Value {
        let Self { api_version, kind, name, .. } = self;
        let mut value = json!({"apiVersion": api_version, "kind": kind, "name": name});
        for (key, text) in [("namespace", namespace), ("uid", uid)] {
            if !text.is_empty() {
                value[key] = text.into();
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admission::review,
        policy::request::{Reads, Target, View},
    };

    fn regarding(request: &Value, whole: bool) -> Option<Value> {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": request,
        });
        let body = review.to_string();
        let reads = |target: &Target<'_>| Reads { view: View::of(target), raw_objects: whole };
        let request = review::parse(body.as_bytes(), reads).unwrap();
        ObjectRef::of(&request).map(|it| it.event_reference())
    }

    fn request(operation: &str, resource: &str, object: &Value) -> Value {
        let group = if resource == "deployments" { "apps" } else { "" };
        let namespace = if resource == "nodes" { "" } else { "shop" };
        json!({
            "uid": "1",
            "operation": operation,
            "resource": {"group": group, "version": "v1", "resource": resource},
            "namespace": namespace,
            "name": object["metadata"]["name"],
            "object": object,
            "oldObject": object,
        })
    }

    #[test]
    fn an_object_ref_is_the_controller_or_a_stored_object_or_the_namespace() {
        let controller = json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": true,
        });
        let bare = json!({"metadata": {"name": "p", "uid": "p-uid"}, "spec": {}});
        let mut pod = bare.clone();
        pod["metadata"]["ownerReferences"] = json!([controller]);
        let daemon_set = json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "namespace": "shop", "name": "d", "uid": "u",
        });
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "namespace": "shop", "name": "shop"});
        let itself = |api_version: &str, kind: &str| {
            json!({
                "apiVersion": api_version,
                "kind": kind,
                "namespace": "shop",
                "name": "p",
                "uid": "p-uid",
            })
        };
        let node = json!({"apiVersion": "v1", "kind": "Node", "name": "p", "uid": "p"});
        for (operation, resource, object, expected) in [
            ("CREATE", "pods", &pod, &daemon_set),
            ("UPDATE", "pods", &pod, &daemon_set),
            ("CREATE", "pods", &bare, &namespace),
            ("UPDATE", "pods", &bare, &itself("v1", "Pod")),
            ("CREATE", "deployments", &bare, &namespace),
            ("UPDATE", "deployments", &bare, &itself("apps/v1", "Deployment")),
            ("CREATE", "nodes", &bare, &node),
            ("UPDATE", "nodes", &bare, &node),
        ] {
            let found = regarding(&request(operation, resource, object), false);
            assert_eq!(found.as_ref(), Some(expected), "{operation} {resource}");
        }
    }

    #[test]
    fn a_protected_object_is_named_by_itself() {
        let object = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "p", "uid": "u"},
        });
        let found = regarding(&request("DELETE", "serviceaccounts", &object), true);
        let expected = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "namespace": "shop", "name": "p", "uid": "u",
        });
        assert_eq!(found, Some(expected));
    }
}
