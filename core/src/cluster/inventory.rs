//! The objects of a cluster, as far as a check reads them: nodes, and other objects trimmed to the fields that
//! a check needs. An inventory is made for one check; an [`Index`] follows a cluster for longer.
//!
//! A kind that the input does not contain is unknown. A list of many kinds does not say which of them the cluster does
//! not have. A kind therefore counts as known once the list has an object of it, or once the kind was listed alone.

mod listed;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::{Map, Value};

use super::{
    DumpError, Index, ObjectError,
    dump::{TypeMeta, item_title},
    wire::ListPage,
};
use crate::{
    json,
    kubernetes::{
        documents::{self, Documents, TypedList},
        object::LAST_APPLIED,
        resource::{
            CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, CRON_JOBS, DAEMON_SETS, DEPLOYMENTS,
            GroupResource, JOBS, NAMESPACES, NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES,
            PODS, REPLICA_SETS, REPLICATION_CONTROLLERS, ROLE_BINDINGS, ROLES, Resource,
            SERVICE_ACCOUNTS, STATEFUL_SETS, STORAGE_CLASSES, plural,
        },
    },
};

/// The resources that a check reads, the most important first.
pub const READ: [Resource; 18] = [
    NODES,
    NAMESPACES,
    PODS,
    DEPLOYMENTS,
    STATEFUL_SETS,
    DAEMON_SETS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    JOBS,
    CRON_JOBS,
    SERVICE_ACCOUNTS,
    ROLES,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLE_BINDINGS,
    PERSISTENT_VOLUMES,
    PERSISTENT_VOLUME_CLAIMS,
    STORAGE_CLASSES,
];

/// Whether a check reads no more of a resource than its metadata.
pub fn is_metadata_only(resource: Resource) -> bool {
    [NAMESPACES, SERVICE_ACCOUNTS, ROLES, CLUSTER_ROLES].contains(&resource)
}

/// The command that dumps everything a check reads, and what else a config asks for.
pub fn dump_command(others: &[String]) -> String {
    let own = READ.iter().map(|it| match it.group {
        "" | "apps" | "batch" => it.plural.to_owned(),
        group => format!("{}.{group}", it.plural),
    });
    let others = others.iter().filter(|it| *it != "secrets").cloned();
    let all: Vec<String> = own.chain(others).collect();
    format!("kubectl get {} -A -o json > cluster.json", all.join(","))
}

/// The objects of a cluster, as far as a check reads them.
#[derive(Debug, Default)]
pub struct Inventory {
    index: Index,
    /// Whether nodes are kept as objects, too, and not in the index only.
    keeps_nodes: bool,
    types: BTreeMap<GroupResource, ObjectType>,
    objects: BTreeMap<GroupResource, BTreeMap<ObjectName, Box<str>>>,
    known: BTreeSet<GroupResource>,
    gaps: BTreeMap<GroupResource, String>,
    absent: BTreeSet<GroupResource>,
}

/// The type of the objects of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ObjectType {
    /// The API version, such as `v1` or `apps/v1`.
    api_version: String,
    kind: String,
}

/// The namespace and the name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// The namespace; empty for an object without one.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
}

impl fmt::Display for ObjectName {
    /// Writes `shop/web`, or `web` for an object without a namespace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name } = self;
        if namespace.is_empty() { f.write_str(name) } else { write!(f, "{namespace}/{name}") }
    }
}

impl Inventory {
    /// Creates an empty inventory that keeps the nodes as objects: for a dump.
    pub fn for_dump() -> Self {
        Self { keeps_nodes: true, ..Self::default() }
    }

    /// Reads a dump: lists or any number of documents, as JSON or YAML.
    pub fn read_dump(text: &str) -> Result<Self, DumpError> {
        let mut inventory = Self::default();
        inventory.add_dump(text)?;
        if inventory.has_something_to_check() {
            Ok(inventory)
        } else {
            Err(DumpError::NothingToCheck)
        }
    }

    /// Whether there is a kind that a check reads.
    pub fn has_something_to_check(&self) -> bool {
        READ.iter().any(|it| self.knows(&it.group_resource()))
    }

    /// Adds what a text holds, one of several files of a dump say.
    pub fn add_dump(&mut self, text: &str) -> Result<(), DumpError> {
        let page = ListPage::read(text);
        if let Some(items) = page.as_ref().ok().and_then(ListPage::items) {
            let list: TypeMeta<'_> = json::from_str(text).unwrap_or_default();
            // `kind: PodList` says of its items what they do not say themselves.
            let kind = list.kind.as_str().strip_suffix("List").unwrap_or_default();
            let group = list.group();
            if !kind.is_empty() {
                self.begin(&resource_of(group, kind));
            }
            for (position, item) in items.enumerate() {
                self.add_item(position, item, (group, kind))?;
            }
            return Ok(());
        }
        let Documents { objects, lists } = documents::read(text)?;
        for TypedList { api_version, kind } in lists {
            let group = api_version.split_once('/').map_or("", |(group, _)| group);
            self.begin(&resource_of(group, &kind));
        }
        for (position, document) in objects.into_iter().enumerate() {
            self.add_item(position, &document?.to_string(), ("", ""))?;
        }
        Ok(())
    }

    fn add_item(
        &mut self,
        position: usize,
        item: &str,
        (list_group, list_kind): (&str, &str),
    ) -> Result<(), DumpError> {
        let fault = |kind: &str, error: ObjectError| DumpError::Item {
            index: position,
            title: item_title(kind, item),
            error,
        };
        let meta = TypeMeta::of(item).map_err(|error| fault("without a kind", error.into()))?;
        let (group, kind) = if meta.kind.is_empty() {
            (list_group, list_kind)
        } else {
            (meta.group(), meta.kind.as_str())
        };
        if kind.is_empty() {
            return Ok(());
        }
        if let Some(kind) = kind.strip_suffix("List").filter(|kind| !kind.is_empty())
            && let Some(items) = ListPage::read(item).ok().as_ref().and_then(ListPage::items)
        {
            // A list in a list, as `poolguard dump` writes one for a kind without objects.
            self.begin(&resource_of(group, kind));
            for item in items {
                self.add_item(position, item, (group, kind))?;
            }
            return Ok(());
        }
        self.add(&resource_of(group, kind), item).map_err(|error| fault(kind, error))
    }

    /// Marks a resource as known because it is listed by itself: it stays known even if it has no objects.
    pub fn begin(&mut self, resource: &GroupResource) {
        self.known.insert(resource.clone());
    }

    /// Adds an object, as JSON.
    pub fn add(&mut self, resource: &GroupResource, object: &str) -> Result<(), ObjectError> {
        self.begin(resource);
        if *resource == NODES.group_resource() {
            self.index.add_node(object)?;
            if !self.keeps_nodes {
                return Ok(());
            }
        }
        let mut object: Value = serde_json::from_str(object)?;
        trim(resource, &mut object);
        let text = |pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let name =
            ObjectName { namespace: text("/metadata/namespace"), name: text("/metadata/name") };
        let objects = self.objects.entry(resource.clone()).or_default();
        objects.insert(name, object.to_string().into());
        Ok(())
    }

    /// Marks a resource as one that could not be read, with the reason.
    pub fn mark_unreadable(&mut self, resource: &GroupResource, why: String) {
        self.known.remove(resource);
        self.objects.remove(resource);
        self.gaps.insert(resource.clone(), why);
    }

    /// Marks a resource as one that the API server does not have.
    pub fn mark_absent(&mut self, resource: &GroupResource) {
        self.known.remove(resource);
        self.absent.insert(resource.clone());
    }

    /// Whether the API server said that it does not have a resource.
    pub fn is_absent(&self, resource: &GroupResource) -> bool {
        self.absent.contains(resource)
    }

    /// The index of the nodes, and of the facts that they show.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Whether the input holds this kind.
    pub fn knows(&self, resource: &GroupResource) -> bool {
        self.known.contains(resource)
    }

    /// The resources that could not be read, with the reason.
    pub fn gaps(&self) -> impl Iterator<Item = (&GroupResource, &str)> {
        self.gaps.iter().map(|(resource, why)| (resource, why.as_str()))
    }

    /// Returns the reason why a resource could not be read; `None` if no attempt failed.
    pub fn gap(&self, resource: &GroupResource) -> Option<&str> {
        self.gaps.get(resource).map(String::as_str)
    }

    /// Returns the reason why nothing is known of a resource.
    pub fn why_unknown(&self, resource: Resource) -> String {
        match self.gap(&resource.group_resource()) {
            Some(why) => format!("{} could not be read: {why}", resource.plural),
            None => format!("The input contains no {}", resource.plural),
        }
    }

    /// The objects of a kind, by namespace and name; each as JSON.
    pub fn objects(
        &self,
        resource: &GroupResource,
    ) -> impl Iterator<Item = (&ObjectName, &str)> + use<'_> {
        let objects = self.objects.get(resource);
        objects.into_iter().flatten().map(|(name, text)| (name, &**text))
    }

    /// Returns the number of objects of a resource.
    pub fn count(&self, resource: &GroupResource) -> usize {
        if *resource == NODES.group_resource() {
            return self.index.nodes().count();
        }
        self.objects.get(resource).map_or(0, BTreeMap::len)
    }

    /// Returns an object, as JSON.
    pub fn get(&self, resource: &GroupResource, namespace: &str, name: &str) -> Option<&str> {
        let name = ObjectName { namespace: namespace.to_owned(), name: name.to_owned() };
        self.objects.get(resource)?.get(&name).map(|text| &**text)
    }

    /// Whether the inventory contains this object.
    pub fn has(&self, resource: &GroupResource, namespace: &str, name: &str) -> bool {
        self.get(resource, namespace, name).is_some()
    }
}

fn resource_of(group: &str, kind: &str) -> GroupResource {
    GroupResource { group: group.to_owned(), resource: plural(kind) }
}

/// Removes the fields that no check reads, such as containers, whose environment can contain secrets.
fn trim(resource: &GroupResource, object: &mut Value) {
    let Some(object) = object.as_object_mut() else { return };
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
    }
    if let Some(Value::Object(status)) = object.remove("status") {
        // The conditions of a node say whether it is ready.
        let is_node = *resource == NODES.group_resource();
        let is_read = |key: &str| key == "phase" || is_node && key == "conditions";
        let status: Map<_, _> = status.into_iter().filter(|(key, _)| is_read(key)).collect();
        if !status.is_empty() {
            object.insert("status".to_owned(), Value::Object(status));
        }
    }
    if resource.resource == "secrets" {
        object.remove("data");
        object.remove("stringData");
    }
    if let Some(spec) = object.get_mut("spec") {
        without_containers(spec);
        for template in ["/template/spec", "/jobTemplate/spec/template/spec"] {
            if let Some(spec) = spec.pointer_mut(template) {
                without_containers(spec);
            }
        }
    }
}

fn without_containers(spec: &mut Value) {
    let Some(spec) = spec.as_object_mut() else { return };
    for key in ["containers", "initContainers", "ephemeralContainers"] {
        spec.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_come_first_since_they_tell_the_provider() {
        assert_eq!(READ.first(), Some(&NODES));
    }

    #[test]
    fn the_dump_command_reads_no_secrets() {
        let command = dump_command(&["configmaps".to_owned(), "secrets".to_owned()]);
        assert!(command.contains(",configmaps -A"), "{command}");
    }

    #[test]
    fn plurals_are_what_kinds_become() {
        for resource in READ {
            assert_eq!(resource_of(resource.group, resource.kind), resource.group_resource());
        }
    }

    #[test]
    fn containers_and_what_repeats_the_object_are_let_go() {
        let text = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"b",
            "managedFields":[{"x":1}],"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"s3cret"}},
            "spec":{"nodeName":"n","containers":[{"env":[{"name":"PASSWORD","value":"s3cret"}]}]},
            "status":{"phase":"Running","podIP":"10.0.0.1"}}"#;
        let inventory = Inventory::read_dump(text).expect("is an object");
        let (name, kept) = inventory.objects(&PODS.group_resource()).next().expect("is kept");
        assert_eq!(name.to_string(), "b/a");
        for gone in ["s3cret", "podIP", "managedFields"] {
            assert!(!kept.contains(gone), "{kept}");
        }
        assert!(kept.contains(r#""nodeName":"n""#) && kept.contains("Running"), "{kept}");
    }

    #[test]
    fn a_list_of_its_own_is_known_even_if_it_is_empty() {
        let text = r#"{"apiVersion":"v1","kind":"PodList","metadata":{},"items":[]}"#;
        let inventory = Inventory::read_dump(text).expect("is a list");
        assert!(inventory.knows(&PODS.group_resource()));
        assert!(!inventory.knows(&NODES.group_resource()));
    }

    #[test]
    fn what_could_not_be_read_is_not_known() {
        let mut inventory = Inventory::default();
        let pods = PODS.group_resource();
        inventory.begin(&pods);
        inventory.mark_unreadable(&pods, "forbidden".to_owned());
        assert_eq!((inventory.knows(&pods), inventory.gap(&pods)), (false, Some("forbidden")));
    }
}
