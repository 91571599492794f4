//! A dump as kubectl prints it: `kubectl get nodes,namespaces -o yaml`, or `-o json`.

use super::{Index, ObjectKey, kind::NODE_POOLS, node::ObservedNode, wire::ListPage};
use crate::{
    cluster::ObjectError,
    json::{self, Cursor, JsonError, read_object, text::Text},
    kubernetes::{
        documents::{self, DocumentError, NoObject},
        object::RawObject,
        resource::{
            CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, CONFIG_MAPS, ROLE_BINDINGS, ROLES, Resource,
            SERVICE_ACCOUNTS,
        },
    },
};

/// The reason why PoolGuard cannot read a dump.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The text is neither JSON nor YAML.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A document or an item is no object at all.
    #[error(transparent)]
    NoObject(#[from] NoObject),
    /// An item is not an object of the API.
    #[error("item {} ({title}): {error}", index + 1)]
    Item {
        /// The position of the item in the dump, from 0.
        index: usize,
        /// The kind and the name of the item, as far as it has them.
        title: String,
        /// The mistake in the item.
        error: ObjectError,
    },
    /// The dump contains no objects.
    #[error("it contains no objects; create a dump with `kubectl get nodes,namespaces -o yaml`")]
    Empty,
    /// The dump contains objects, but none of a kind that a check reads.
    #[error("it contains nothing that a check reads, such as nodes")]
    NothingToCheck,
}

/// The type of an object: its API version and its kind.
#[derive(Clone, Debug, Default)]
pub(super) struct TypeMeta<'a> {
    pub(super) api_version: Text<'a>,
    pub(super) kind: Text<'a>,
}

impl<'a> TypeMeta<'a> {
    /// Reads the type of an item of a list. The item must be an object.
    pub(super) fn of(item: &'a str) -> Result<Self, JsonError> {
        let mut cursor = Cursor::new(item);
        if cursor.clone().takes_null()? {
            Err(cursor.expected("an object"))
        } else {
            cursor.value()
        }
    }

    /// The API group; empty for the core group.
    pub(super) fn group(&self) -> &str {
        self.api_version.as_str().split_once('/').map_or("", |(group, _)| group)
    }
}

read_object!(TypeMeta { "apiVersion" => api_version, "kind" => kind });

/// Resources whose objects can be protected. Others are counted and left out.
const PROTECTED: [Resource; 6] =
    [CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS, CLUSTER_ROLES, ROLES, CONFIG_MAPS, SERVICE_ACCOUNTS];

impl Index {
    /// Reads a dump: a list or any number of documents, as JSON or YAML.
    pub fn read_dump(text: &str) -> Result<Self, DumpError> {
        let mut index = Self::default();
        index.add_dump(text)?;
        if index.is_empty() { Err(DumpError::Empty) } else { Ok(index) }
    }

    /// Whether there is no object of any kind.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Adds what a text holds, one of several files of a dump say.
    pub fn add_dump(&mut self, text: &str) -> Result<(), DumpError> {
        // A dump of 5,000 nodes has 40 MB: its items are read where they lie.
        let page = ListPage::read(text);
        if let Some(items) = page.as_ref().ok().and_then(ListPage::items) {
            let list: TypeMeta<'_> = json::from_str(text).unwrap_or_default();
            for (position, item) in items.enumerate() {
                self.apply_item(position, item, &list)?;
            }
            return Ok(());
        }
        let list = TypeMeta::default();
        for (position, document) in documents::read(text)?.objects.into_iter().enumerate() {
            self.apply_item(position, &document?.to_string(), &list)?;
        }
        Ok(())
    }

    /// Adds a node, as JSON.
    pub(super) fn add_node(&mut self, item: &str) -> Result<(), JsonError> {
        let record = self.node_record(json::from_str::<ObservedNode<'_>>(item)?);
        self.nodes.insert(record.name.clone(), record.into());
        Ok(())
    }

    /// Adds an item of a dump. `list` gives the type of items that do not have a type themselves.
    fn apply_item(
        &mut self,
        position: usize,
        item: &str,
        list: &TypeMeta<'_>,
    ) -> Result<(), DumpError> {
        let fault = |kind: &str| {
            let title = item_title(kind, item);
            move |error: JsonError| DumpError::Item { index: position, title, error: error.into() }
        };
        let meta = TypeMeta::of(item).map_err(fault("without a kind"))?;
        let (group, kind) = if meta.kind.is_empty() {
            (list.group(), list.kind.as_str().strip_suffix("List").unwrap_or_default())
        } else {
            (meta.group(), meta.kind.as_str())
        };
        if kind.ends_with("List")
            && let Some(items) = ListPage::read(item).ok().as_ref().and_then(ListPage::items)
        {
            // A list in a list, as `poolguard dump` writes one for a kind without objects.
            for item in items {
                self.apply_item(position, item, &meta)?;
            }
            return Ok(());
        }
        if kind == "Node" && group.is_empty() {
            self.add_node(item).map_err(fault("Node"))?;
        } else if let Some(resource) = kept_of_kind(group, kind) {
            let object: RawObject<'_> = json::from_str(item).map_err(fault(kind))?;
            let text = |pointer: &str| object.text_at(pointer).to_string();
            let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
            let key = ObjectKey { resource: resource.group_resource(), namespace, name };
            self.objects.insert(key.into(), item.into());
        }
        if !kind.is_empty() {
            self.kinds.insert(kind.to_owned());
        }
        Ok(())
    }
}

/// The resource of a kind, if its objects are kept.
fn kept_of_kind(group: &str, kind: &str) -> Option<Resource> {
    if (group, kind) == (NODE_POOLS.group, NODE_POOLS.kind) {
        return Some(NODE_POOLS);
    }
    Resource::of_kind(group, kind).filter(|it| PROTECTED.contains(it))
}

/// Returns the title of an item, such as `Node a`: its kind, and its name if it has one.
pub(super) fn item_title(kind: &str, item: &str) -> String {
    let object = json::from_str::<RawObject<'_>>(item);
    match object.map(|object| object.text_at("/metadata/name")) {
        Ok(name) if !name.is_empty() => format!("{kind} {name}"),
        Ok(_) | Err(_) => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_are_no_objects_are_faults_of_the_dump() {
        let fault = |text: &str| Index::read_dump(text).unwrap_err().to_string();
        for item in ["null", "7", "\"text\"", "[]"] {
            let node = r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}}"#;
            let list = format!(r#"{{"kind":"List","items":[{node},{item}]}}"#);
            let expected = "item 2 (without a kind): expected an object";
            assert_eq!(fault(&list), expected, "{item}");
        }
        let node = r#"{"kind":"Node","metadata":{"name":"a","labels":{"x":1}}}"#;
        assert_eq!(fault(node), "item 1 (Node a): metadata.labels.x: expected a string");
        assert_eq!(fault("- null"), "line 1, column 3: expected an object, found null");
    }
}
