//! A stored object: its bytes, and what selectors and owners need to know of it.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{apply::Manager, resources::Resource};

/// How much of an object an answer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
}

/// An object at one version. Most are only ever sent, so it is kept as bytes.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) resource: &'static Resource,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) version: u64,
    pub(crate) labels: BTreeMap<String, String>,
    /// The uids of its owners.
    pub(crate) owners: Vec<String>,
    /// What field selectors may ask for besides the name and the namespace.
    pub(crate) fields: BTreeMap<&'static str, String>,
    pub(crate) managers: Vec<Manager>,
    /// Without apiVersion and kind, which the items of a list do not have.
    body: Bytes,
    metadata: OnceLock<Bytes>,
}

#[derive(Deserialize)]
struct OnlyMetadata<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Object {
    pub(crate) fn new(
        resource: &'static Resource,
        mut value: Value,
        version: u64,
        managers: Vec<Manager>,
    ) -> Arc<Self> {
        let map = value.as_object_mut().unwrap();
        map.remove("apiVersion");
        map.remove("kind");
        let metadata = &value["metadata"];
        let labels = metadata["labels"].as_object().into_iter().flatten();
        let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
        let mut fields = BTreeMap::new();
        if resource.plural == "pods" {
            fields.insert("spec.nodeName", text(&value["spec"]["nodeName"]));
            fields.insert("status.phase", text(&value["status"]["phase"]));
        }
        Arc::new(Self {
            resource,
            namespace: text(&metadata["namespace"]),
            name: text(&metadata["name"]),
            uid: text(&metadata["uid"]),
            version,
            labels: labels.map(|(key, value)| (key.clone(), text(value))).collect(),
            owners: owners.map(|owner| text(&owner["uid"])).collect(),
            fields,
            managers,
            body: serde_json::to_vec(&value).unwrap().into(),
            metadata: OnceLock::new(),
        })
    }

    pub(crate) fn key(&self) -> (String, String) {
        (self.namespace.clone(), self.name.clone())
    }

    pub(crate) fn value(&self) -> Value {
        let mut value: Value = serde_json::from_slice(&self.body).unwrap();
        value["apiVersion"] = json!(self.resource.api_version());
        value["kind"] = json!(self.resource.kind);
        value
    }

    fn head(&self) -> Bytes {
        let Resource { kind, .. } = self.resource;
        format!(r#"{{"kind":"{kind}","apiVersion":"{}","#, self.resource.api_version()).into()
    }

    fn partial(&self) -> Bytes {
        let build = || {
            let only: OnlyMetadata<'_> = serde_json::from_slice(&self.body).unwrap();
            let metadata = only.metadata.get();
            format!(
                r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{metadata}}}"#
            )
            .into()
        };
        self.metadata.get_or_init(build).clone()
    }

    /// The pieces of the object by itself.
    pub(crate) fn pieces(&self, shape: Shape) -> Vec<Bytes> {
        match shape {
            Shape::Whole => vec![self.head(), self.body.slice(1..)],
            Shape::Metadata => vec![self.partial()],
        }
    }

    /// The pieces of the object as an item of a list.
    pub(crate) fn item(&self, shape: Shape) -> Vec<Bytes> {
        if shape == Shape::Whole && !self.resource.is_custom() {
            vec![self.body.clone()]
        } else {
            self.pieces(shape)
        }
    }
}
