//! An inventory as the items of one List: a dump that [`Inventory::read_dump`] reads.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Inventory, ObjectType};
use crate::{
    cluster::wire::ListPage,
    kubernetes::resource::{GroupResource, Resource, V1},
};

/// The kind of an object that was requested with its metadata only. It does not show what the object is.
const METADATA_ONLY: &str = "PartialObjectMetadata";

impl Inventory {
    /// Learns from a page of a list what the objects of its resource are: the items of Kubernetes' own lists do
    /// not say that themselves.
    pub fn add_type_of(&mut self, resource: &GroupResource, page: &ListPage<'_>) {
        let kind = page.kind().strip_suffix("List").unwrap_or_default();
        if !kind.is_empty() && kind != METADATA_ONLY {
            let (api_version, kind) = (page.api_version().to_owned(), kind.to_owned());
            self.types.insert(resource.clone(), ObjectType { api_version, kind });
        }
    }

    /// The items of a List, as JSON: every object, each with its kind and version. A resource that was listed and
    /// has no object is an empty list of its own.
    pub fn listed(&self) -> impl Iterator<Item = String> {
        self.known.iter().flat_map(|resource| {
            let kept = self.type_of(resource);
            let objects = self.objects.get(resource).into_iter().flat_map(BTreeMap::values);
            let items: Vec<String> = objects.filter_map(|it| item(it, kept.as_ref())).collect();
            if items.is_empty() { kept.iter().map(empty_list).collect() } else { items }
        })
    }

    fn type_of(&self, resource: &GroupResource) -> Option<ObjectType> {
        let GroupResource { group, resource: plural } = resource;
        let own = Resource::of_plural(group, plural).map(|it| ObjectType {
            api_version: if group.is_empty() { V1.to_owned() } else { format!("{group}/{V1}") },
            kind: it.kind.to_owned(),
        });
        own.or_else(|| self.types.get(resource).cloned())
    }
}

/// Returns an object with its kind; `None` if it has none.
fn item(object: &str, kept: Option<&ObjectType>) -> Option<String> {
    let mut object: Value = serde_json::from_str(object).ok()?;
    if let Some(ObjectType { api_version, kind }) = kept {
        let object = object.as_object_mut()?;
        object.insert("apiVersion".to_owned(), api_version.as_str().into());
        object.insert("kind".to_owned(), kind.as_str().into());
    }
    object.get("kind")?;
    Some(object.to_string())
}

fn empty_list(of: &ObjectType) -> String {
    let ObjectType { api_version, kind } = of;
    json!({"apiVersion": api_version, "kind": format!("{kind}List"), "metadata": {}, "items": []})
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::resource::{DAEMON_SETS, NODES, PODS};

    #[test]
    fn a_dump_of_an_inventory_is_the_same_inventory() {
        let mut inventory = Inventory::for_dump();
        let node = r#"{"metadata":{"name":"a","labels":{"x":"y"}},"spec":{"providerID":"aws:///z/i-1"},
            "status":{"conditions":[{"type":"Ready","status":"True"}],"images":[{"names":["b"]}]}}"#;
        inventory.add(&NODES.group_resource(), node).unwrap();
        let pod = r#"{"metadata":{"name":"p","namespace":"n"},"spec":{"nodeName":"a","containers":[{}]}}"#;
        inventory.add(&PODS.group_resource(), pod).unwrap();
        inventory.begin(&DAEMON_SETS.group_resource());
        let items: Vec<String> = inventory.listed().collect();
        let text = format!(r#"{{"apiVersion":"v1","kind":"List","items":[{}]}}"#, items.join(","));
        assert!(!text.contains("images") && !text.contains("containers"), "{text}");
        let read = Inventory::read_dump(&text).unwrap();
        for resource in [NODES, PODS, DAEMON_SETS].map(Resource::group_resource) {
            assert!(read.knows(&resource), "{resource}");
            assert_eq!(read.count(&resource), inventory.count(&resource), "{resource}");
        }
        assert!(read.index().nodes().all(|node| node.ready && node.labels.len() == 1));
        assert_eq!(read.known, inventory.known);
    }

    #[test]
    fn a_list_says_what_its_items_are() {
        let mut inventory = Inventory::default();
        let routes = GroupResource { group: "route.io".to_owned(), resource: "routes".to_owned() };
        let page = r#"{"apiVersion":"route.io/v2","kind":"RouteList","items":[{"metadata":{"name":"r"}}]}"#;
        let page = ListPage::read(page).unwrap();
        inventory.add_type_of(&routes, &page);
        for route in page.items().unwrap() {
            inventory.add(&routes, route).unwrap();
        }
        let items: Vec<String> = inventory.listed().collect();
        let expected =
            json!({"apiVersion": "route.io/v2", "kind": "Route", "metadata": {"name": "r"}});
        assert_eq!(items, [expected.to_string()]);
    }
}
