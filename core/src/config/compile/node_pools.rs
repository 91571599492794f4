//! Custom resources that make nodes: those that are compiled in, and which of them the config names.

use std::sync::Arc;

use jsonptr::PointerBuf;

use crate::{
    config::{
        collector::DiagnosticCollector,
        cursor::TreeCursor,
        presets::{NodePoolObject, presets},
        raw::Raw,
    },
    json::text::likely,
    kubernetes::{
        name::Glob,
        object::{NodePoolField, NodePoolKind, Part},
        resource::GroupResource,
    },
    policy::protection::{
        Field, FieldChange, GuardedFields, Namespaces, Origin, Protected, Recognition,
    },
};

/// The name of the entries that protect the roles of node pools.
const ROLES: &str = "node-pool-roles";

/// The kinds that are compiled in.
pub(super) fn kinds() -> Vec<Arc<NodePoolKind>> {
    presets().node_pool_objects().filter_map(|object| kind(object).map(Arc::new)).collect()
}

fn kind(object: &NodePoolObject) -> Option<NodePoolKind> {
    let name = [String::from("/metadata/name")];
    let is_named = !object.pool_labels.is_empty();
    let names: &[String] = match object.pool_name.as_slice() {
        [] if is_named => &name,
        names => names,
    };
    let requirements = object.requirements.as_slice();
    let parts = [
        (Part::Name, names),
        (Part::Labels, object.labels.as_slice()),
        (Part::Taints, object.taints.as_slice()),
        (Part::Requirements, requirements),
        (Part::MachineTypes, object.machine_types.as_slice()),
        (Part::Zones, object.zones.as_slice()),
    ];
    let fields = parts.into_iter().flat_map(|(part, pointers)| {
        pointers
            .iter()
            .filter_map(move |text| Some(NodePoolField { part, path: path(&pointer(text)?) }))
    });
    Some(NodePoolKind {
        resource: GroupResource::parse(&object.resource).ok()?,
        kind: object.kind.clone(),
        is_namespaced: object.namespaced,
        pool_labels: object.pool_labels.clone(),
        fields: fields.collect(),
        roles: object.roles.iter().filter_map(|text| pointer(text)).collect(),
        node_class: object.node_class.as_ref().and_then(|text| pointer(text)),
    })
}

fn pointer(text: &str) -> Option<PointerBuf> {
    PointerBuf::parse(text).ok()
}

fn path(pointer: &PointerBuf) -> Vec<String> {
    pointer.tokens().map(|token| token.decoded().into_owned()).collect()
}

/// Returns the entries that protect the roles which objects of these kinds give their nodes.
pub(super) fn protected(kinds: &[Arc<NodePoolKind>]) -> impl Iterator<Item = Protected> {
    kinds.iter().filter(|kind| !kind.roles.is_empty()).map(|kind| {
        let field =
            |pointer: &PointerBuf| Field { pointer: pointer.clone(), change: FieldChange::Any };
        Protected {
            name: ROLES.to_owned(),
            resource: kind.resource.clone(),
            namespaces: Namespaces::Any,
            names: Glob::parse("*").into_iter().collect(),
            recognition: Recognition::NodePool(Arc::clone(kind)),
            guard: GuardedFields::Fields(kind.roles.iter().map(field).collect()),
            origin: Origin::Preset,
        }
    })
}

/// The resources that the config names, if it names any.
pub(super) fn configured(
    raw: &Raw,
    root: &TreeCursor<'_>,
    kinds: &[Arc<NodePoolKind>],
    report: &mut DiagnosticCollector,
) -> Option<Vec<GroupResource>> {
    let read = |(at, text): (TreeCursor<'_>, &String)| {
        let known = kinds.iter().find(|kind| kind.resource.to_string() == *text);
        if known.is_none() {
            report.push(unknown(text, kinds, &at));
        }
        known.map(|kind| kind.resource.clone())
    };
    let list = raw.node_pool_objects.as_ref()?;
    Some(root.key("nodePoolObjects").items(list).filter_map(read).collect())
}

fn unknown(
    text: &str,
    kinds: &[Arc<NodePoolKind>],
    at: &TreeCursor<'_>,
) -> crate::config::Diagnostic {
    let is_meant = |kind: &&Arc<NodePoolKind>| {
        kind.kind.eq_ignore_ascii_case(text) || kind.resource.resource == text
    };
    let meant: Vec<String> =
        kinds.iter().filter(is_meant).map(|kind| format!("`{}`", kind.resource)).collect();
    let known: Vec<String> = kinds.iter().map(|kind| kind.resource.to_string()).collect();
    let help = if let Some(meant) = likely(text, known.iter().map(String::as_str)) {
        format!("did you mean `{meant}`?")
    } else if meant.is_empty() {
        "`poolguard provider NAME` lists the known objects under nodePoolObjects; to protect another resource, use \
         `protected`"
            .to_owned()
    } else {
        format!("write {}", meant.join(" or "))
    };
    at.error(format!("`{text}` is not a node-pool object that PoolGuard knows")).with_help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_becomes_a_kind() {
        let kinds = kinds();
        assert_eq!(kinds.len(), presets().node_pool_objects().count());
        for kind in &kinds {
            let paths: Vec<&[String]> =
                kind.fields.iter().map(|field| field.path.as_slice()).collect();
            let leads_on = |one: &&[String]| {
                paths.iter().any(|other| other.len() > one.len() && other.starts_with(one))
            };
            assert!(!paths.iter().any(leads_on), "{}: a field within another", kind.resource);
        }
    }
}
