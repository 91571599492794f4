//! A dump as kubectl prints it: `kubectl get nodes,namespaces -o yaml`, or `-o json`.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{Index, node::ObservedNode};
use crate::{
    documents::{self, DocumentError},
    policy::{name::GroupResource, text::Text},
};

/// Why a dump cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// Neither JSON nor YAML.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// An item is not an object of the API.
    #[error("item {index} ({kind}): {error}")]
    Item {
        /// Position in the dump, from 0.
        index: usize,
        /// Its kind, if it has one.
        kind: String,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// There is nothing in it.
    #[error("it holds no objects; `kubectl get nodes,namespaces -o yaml` prints a dump")]
    Empty,
}

/// A list of objects.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct List<'a> {
    #[serde(default, borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), rename_all = "camelCase")]
struct TypeMeta<'a> {
    #[serde(default)]
    api_version: Text<'a>,
    #[serde(default)]
    kind: Text<'a>,
}

/// Kinds whose objects can be protected, with their resource. Others are counted and left out.
const PROTECTED_KINDS: [(&str, &str, &str); 6] = [
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", "clusterrolebindings"),
    ("rbac.authorization.k8s.io", "RoleBinding", "rolebindings"),
    ("rbac.authorization.k8s.io", "ClusterRole", "clusterroles"),
    ("rbac.authorization.k8s.io", "Role", "roles"),
    ("", "ConfigMap", "configmaps"),
    ("", "ServiceAccount", "serviceaccounts"),
];

impl Index {
    /// Reads a dump: a list or any number of documents, as JSON or YAML.
    pub fn read_dump(text: &str) -> Result<Self, DumpError> {
        let mut index = Self::default();
        // A dump of 5,000 nodes has 40 MB: as JSON, its items are read where they lie.
        if let Ok(List { items: Some(items) }) = serde_json::from_str(text) {
            for (position, item) in items.into_iter().enumerate() {
                index.apply_item(position, item.get())?;
            }
        } else {
            for (position, document) in documents::read(text)?.into_iter().enumerate() {
                index.apply_item(position, &document.to_string())?;
            }
        }
        if index.kinds.is_empty() { Err(DumpError::Empty) } else { Ok(index) }
    }

    fn apply_item(&mut self, position: usize, json: &str) -> Result<(), DumpError> {
        let fault = |kind: &str| {
            let kind = kind.to_owned();
            move |error| DumpError::Item { index: position, kind, error }
        };
        let TypeMeta { api_version, kind } =
            serde_json::from_str(json).map_err(fault("without a kind"))?;
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        if kind == "Node" && group.is_empty() {
            self.apply_node(serde_json::from_str::<ObservedNode<'_>>(json).map_err(fault("Node"))?);
        } else if let Some((group, _, resource)) = PROTECTED_KINDS
            .into_iter()
            .find(|(known_group, known, _)| kind == *known && group == *known_group)
        {
            let object: Value = serde_json::from_str(json).map_err(fault(&kind))?;
            let resource = GroupResource { group: group.to_owned(), resource: resource.to_owned() };
            self.objects.push((resource, object));
        }
        if !kind.is_empty() {
            self.kinds.insert(kind.to_string());
        }
        Ok(())
    }
}
