//! The scan of AutoMQ's roles: the objects that the config protects by name, and the roles that AutoMQ's
//! bindings refer to.

use std::collections::BTreeSet;

use kube::{Client, api::ListParams, core::Request};

use super::found::Found;
use crate::{
    api::{
        client::{self, ApiError},
        rbac,
    },
    check::{Status, examine_roles, named},
    cluster::{inventory::Inventory, wire::ListPage},
    controllers::scan::ScanError,
    kubernetes::resource::{CLUSTER_ROLES, RBAC_GROUP, ROLES, Resource},
    policy::{
        Policy,
        mode::{Mode, RuleName},
        protection::NamedObject,
        snapshot::Snapshot,
        verdict::Finding,
    },
};

/// The largest number of roles of each kind, `Role` and `ClusterRole`, that the scan reads, with one request
/// each. AutoMQ has a few roles; more than this mean a config that takes everything for AutoMQ's.
const ROLES_MAX: usize = 200;

/// Reads these objects and roles, and judges them as `poolguard check` does.
pub(super) async fn inspect(
    client: &Client,
    policy: &Policy,
    snapshot: &Snapshot,
    found: &mut Found,
) {
    if policy.rules.mode(RuleName::RoleBinding) == Mode::Off {
        return;
    }
    let mut inventory = Inventory::default();
    // Told at the end: what is read of a kind later must not hide that a part of it is not known.
    let mut gaps = Vec::new();
    for object in named(policy) {
        inventory.begin(&object.resource);
        match read_named(client, &object, &mut inventory).await {
            Ok(()) => {}
            Err(ScanError::Absent) => inventory.mark_absent(&object.resource),
            Err(why) => gaps.push((object.resource, why)),
        }
    }
    for kind in [ROLES, CLUSTER_ROLES] {
        if let Err(why) = read_roles(client, snapshot, kind, &mut inventory).await {
            gaps.push((kind.group_resource(), why));
        }
    }
    for (resource, why) in gaps {
        inventory.mark_unreadable(&resource, why.to_string());
    }
    for judged in examine_roles(policy, snapshot.protected(), &inventory) {
        match judged.status {
            Status::Pass => {}
            Status::Unknown => {
                found.examined.unjudged.entry(RuleName::RoleBinding).or_insert(judged.fact);
            }
            Status::Fail => {
                let mut finding = Finding::new(RuleName::RoleBinding, judged.message());
                finding.advice = judged.fix.as_deref().map(sentence);
                found.add(finding, None);
            }
        }
    }
}

/// Turns a fix that is a shell comment into a sentence.
fn sentence(fix: &str) -> String {
    match fix.strip_prefix("# ") {
        Some(text) => {
            text.get(..1).unwrap_or_default().to_uppercase() + text.get(1..).unwrap_or_default()
        }
        None => fix.to_owned(),
    }
}

async fn read_named(
    client: &Client,
    object: &NamedObject,
    inventory: &mut Inventory,
) -> Result<(), ScanError> {
    let NamedObject { resource, namespace, name } = object;
    let explained = |error: &_| match client::code(error) {
        Some(404) => ScanError::Absent,
        _ => client::explain_with(error, &rbac::protected(object)).into(),
    };
    let base = client::base(client, &resource.group).await.map_err(|error| explained(&error))?;
    let path = match namespace {
        Some(namespace) => format!("{base}/namespaces/{namespace}/{}", resource.resource),
        None => format!("{base}/{}", resource.resource),
    };
    let parameters = ListParams::default().fields(&format!("metadata.name={name}"));
    let request = Request::new(path).list(&parameters).map_err(ApiError::from)?;
    let text = client::text(client, request).await.map_err(|error| explained(&error))?;
    let page = ListPage::read(&text)?;
    for item in page.items().into_iter().flatten() {
        inventory.add(resource, item)?;
    }
    Ok(())
}

async fn read_roles(
    client: &Client,
    snapshot: &Snapshot,
    kind: Resource,
    inventory: &mut Inventory,
) -> Result<(), ScanError> {
    let resource = kind.group_resource();
    inventory.begin(&resource);
    let mut wanted = BTreeSet::new();
    for reference in snapshot.protected() {
        let Some(role) = reference.role.as_ref().filter(|it| it.kind == kind.kind) else {
            continue;
        };
        let namespace = if kind == ROLES { reference.namespace.as_str() } else { "" };
        wanted.insert((namespace, role.name.as_str()));
    }
    if wanted.len() > ROLES_MAX {
        return Err(ScanError::TooManyRoles { wanted: wanted.len(), most: ROLES_MAX });
    }
    for (namespace, name) in wanted {
        let path = if namespace.is_empty() {
            format!("/apis/{RBAC_GROUP}/v1/{}/{name}", kind.plural)
        } else {
            format!("/apis/{RBAC_GROUP}/v1/namespaces/{namespace}/{}/{name}", kind.plural)
        };
        let request = http::Request::get(path).body(Vec::new());
        match client::text(client, request.map_err(ApiError::from)?).await {
            Ok(role) => inventory.add(&resource, &role)?,
            Err(error) if client::code(&error) == Some(404) => {}
            Err(error) => return Err(client::explain_with(&error, &rbac::role(kind.plural)).into()),
        }
    }
    Ok(())
}
