//! Protected objects: the config's entries, then those of the presets.

use jsonptr::PointerBuf;

use crate::{
    config::{
        collector::DiagnosticCollector,
        cursor::TreeCursor,
        presets::{self, Presets, presets},
        raw,
    },
    kubernetes::{
        name::Glob,
        resource::{GroupResource, Resource},
    },
    policy::{
        pool::Pool,
        protection::{
            Field, FieldChange, GuardedFields, KeepItem, LabelMark, Namespaces, Origin, Protected,
            Recognition,
        },
        provider::Provider,
    },
};

use super::{
    identity::{glob, globs},
    names::unique_names,
};

/// Reads the entries of the config; those that cannot be one are left out.
pub(super) fn configured(
    list: &[raw::Protected],
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> Vec<Protected> {
    let names = at.items(list).filter_map(|(at, it)| Some((at.key("name"), it.name.as_ref()?)));
    unique_names("protected", names, report);
    at.items(list).filter_map(|(at, entry)| protected(entry, &at, report)).collect()
}

fn protected(
    raw: &raw::Protected,
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> Option<Protected> {
    let text = raw.resource.as_deref();
    let resource = text.and_then(|text| resource(text, &at.key("resource"), report));
    let namespace = raw.namespace.as_deref();
    let namespaces = match namespace {
        Some(text) => glob(text, &at.key("namespace"), report).map(Namespaces::Named),
        None => Some(Namespaces::Any),
    };
    if let (Some(namespace), Some(resource)) = (namespace, &resource)
        && Resource::of_plural_in_any_group(&resource.resource).is_some_and(|it| !it.is_namespaced)
    {
        report.push(
            at.key("namespace")
                .error(format!(
                    "objects of `{resource}` have no namespace, so none is in \
                 `{namespace}`"
                ))
                .with_help("remove `namespace`"),
        );
    }
    if raw.names.as_ref().is_some_and(Vec::is_empty) {
        report.push(
            at.key("names")
                .error("`names` is empty, so this entry protects nothing")
                .with_help("list the names of the objects, or write `[\"*\"]` for all objects"),
        );
    }
    let names = raw.names.as_ref().map(|names| globs(names, &at.key("names"), report));
    let guard = guard(raw, at, report);
    Some(Protected {
        name: raw.name.clone()?,
        resource: resource?,
        namespaces: namespaces?,
        names: names?,
        recognition: Recognition::Always,
        guard,
        origin: Origin::Config,
    })
}

fn resource(
    text: &str,
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> Option<GroupResource> {
    match GroupResource::parse(text) {
        Ok(resource) => {
            if let Some(meant) = Resource::meant_by(&resource) {
                let meant = meant.group_resource();
                report.push(
                    at.error(format!("the API server has no resource `{text}`"))
                        .with_help(format!("write `{meant}`")),
                );
            } else if let Some(meant) = Resource::misspelt(&resource) {
                let help = format!("did you mean `{}`?", meant.group_resource());
                let warning = at.warning(format!("Kubernetes has no resource `{text}`"));
                report.push(warning.with_help(help));
            }
            Some(resource)
        }
        Err(why) => {
            report.push(at.error(format!("the resource `{text}` {why}")).with_help(
                "write it as `configmaps` or `rolebindings.rbac.authorization.k8s.io`; `kubectl \
                 api-resources` lists the resources",
            ));
            None
        }
    }
}

fn guard(
    raw: &raw::Protected,
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> GuardedFields {
    let items = raw
        .must_keep_items
        .as_ref()
        .map(|items| keep_items(items, &at.key("mustKeepItems"), report));
    let Some(fields) = &raw.fields else {
        if items.is_some() && !report.is_broken(at.path()) {
            report.push(
                at.key("mustKeepItems")
                    .error(
                        "`mustKeepItems` requires `fields`, which names the field that \
                     contains the list",
                    )
                    .with_help("for `aws-auth`, add `fields: [/data/mapRoles]`"),
            );
        }
        return GuardedFields::Content;
    };
    let at = at.key("fields");
    if fields.is_empty() {
        report.push(at.error("`fields` is empty, so this entry protects nothing").with_help(
            "list the fields, or remove this key to protect everything except `metadata` and \
             `status`",
        ));
    }
    let change = || items.clone().map_or(FieldChange::Any, FieldChange::Items);
    let read = |(at, text): (TreeCursor<'_>, &String)| match PointerBuf::parse(text.as_str()) {
        Ok(pointer) if !pointer.is_root() => Some(Field { pointer, change: change() }),
        Ok(_) => {
            report.push(
                at.error(
                    "the JSON pointer of a field is empty, and an empty pointer means the \
                 whole object",
                )
                .with_help("remove `fields` to protect everything except `metadata` and `status`"),
            );
            None
        }
        Err(_) => {
            report.push(at.error(format!("`{text}` is not a JSON pointer")).with_help(
                "start it with `/`, for example `/data/mapRoles`; in a key, write `~1` for `/` \
                 and `~0` for `~`",
            ));
            None
        }
    };
    GuardedFields::Fields(at.items(fields).filter_map(read).collect())
}

fn keep_items(
    items: &[raw::KeepItem],
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> Vec<KeepItem> {
    if items.is_empty() {
        report.push(
            at.error("`mustKeepItems` is empty, so anyone could remove every item")
                .with_help("remove this key to protect the whole field"),
        );
    }
    let read = |(at, item): (TreeCursor<'_>, &raw::KeepItem)| {
        if item.by.as_ref().is_some_and(String::is_empty) {
            report.push(at.key("by").error("`by` is empty: write a key of the items"));
        }
        Some(KeepItem { by: item.by.clone()?, value: item.value.clone()? })
    };
    at.items(items).filter_map(read).collect()
}

/// Returns the entries of the presets: those for every provider, and those for this one.
pub(super) fn preset(provider: Option<Provider>, pools: &[Pool]) -> Vec<Protected> {
    let presets = presets();
    let own = provider.and_then(|provider| presets.of(provider));
    let own = own.map(|preset| preset.protected.as_slice()).unwrap_or_default();
    let entries = presets.protected.iter().chain(own);
    entries.filter_map(|entry| from_preset(entry, presets, pools)).collect()
}

/// The entry of a preset; `None` if there is nothing to guard, as where no pool names its role.
fn from_preset(
    entry: &presets::ProtectedPreset,
    presets: &Presets,
    pools: &[Pool],
) -> Option<Protected> {
    let fields = preset_fields(&entry.guard, presets, pools);
    if fields.is_empty() {
        return None;
    }
    let read = |text: &String| Glob::parse(text).ok();
    Some(Protected {
        name: entry.name.clone(),
        resource: GroupResource::parse(&entry.resource).ok()?,
        namespaces: match &entry.namespaces {
            presets::NamespacesPreset::Any => Namespaces::Any,
            presets::NamespacesPreset::Automq => Namespaces::AutoMq,
            presets::NamespacesPreset::Named(text) => Namespaces::Named(Glob::parse(text).ok()?),
        },
        names: entry.names.iter().filter_map(read).collect(),
        recognition: match entry.recognition {
            presets::RecognitionPreset::Always => Recognition::Always,
            presets::RecognitionPreset::HoldsAField => Recognition::HoldsAField,
            presets::RecognitionPreset::AutomqBinding => {
                Recognition::AutoMqBinding { labels: label_marks(presets) }
            }
        },
        guard: GuardedFields::Fields(fields),
        origin: Origin::Preset,
    })
}

fn preset_fields(guard: &presets::GuardPreset, presets: &Presets, pools: &[Pool]) -> Vec<Field> {
    match guard {
        // Of every provider: the annotation decides, not where the cluster runs.
        presets::GuardPreset::IdentityAnnotations => presets
            .all()
            .flat_map(|preset| &preset.identity_annotations)
            .map(|key| Field {
                pointer: PointerBuf::from_tokens(["metadata", "annotations", key]),
                change: FieldChange::OnceSet,
            })
            .collect(),
        presets::GuardPreset::Fields(pointers) => pointers
            .iter()
            .filter_map(|text| PointerBuf::parse(text.as_str()).ok())
            .map(|pointer| Field { pointer, change: FieldChange::Any })
            .collect(),
        presets::GuardPreset::RoleItems { field, by } => {
            let mut items: Vec<KeepItem> = Vec::new();
            let roles = pools.iter().filter_map(|pool| pool.role.as_deref());
            for role in roles {
                let item = KeepItem { by: by.clone(), value: role.to_owned() };
                if !items.contains(&item) {
                    items.push(item);
                }
            }
            match PointerBuf::parse(field.as_str()) {
                Ok(pointer) if !items.is_empty() => {
                    vec![Field { pointer, change: FieldChange::Items(items) }]
                }
                _ => Vec::new(),
            }
        }
    }
}

fn label_marks(presets: &Presets) -> Vec<LabelMark> {
    let mark = |mark: &presets::LabelMarkPreset| LabelMark {
        key: mark.key.clone(),
        value: mark.value.clone(),
    };
    presets.automq_labels.iter().map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_entry_becomes_a_protected_object() {
        let pool = Pool {
            name: "pool-a".into(),
            nodes: crate::kubernetes::selector::LabelSelector::default(),
            zones: Vec::new(),
            machine_types: None,
            role: Some("arn:aws:iam::111122223333:role/automq-node".to_owned()),
            taint: crate::kubernetes::taint::Taint::default(),
            additional_taints: Vec::new(),
        };
        for provider in Provider::ALL {
            let own = presets().of(provider).unwrap();
            let made = preset(Some(provider), std::slice::from_ref(&pool));
            assert_eq!(made.len(), presets().protected.len() + own.protected.len(), "{provider}");
            assert!(made.iter().all(|entry| !entry.names.is_empty()), "{provider}");
        }
    }

    #[test]
    fn annotations_are_escaped_in_pointers() {
        let made = preset(None, &[]);
        let GuardedFields::Fields(fields) = &made[0].guard else { panic!("no fields") };
        assert_eq!(fields[0].pointer.as_str(), "/metadata/annotations/eks.amazonaws.com~1role-arn");
    }
}
