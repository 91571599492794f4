//! The roles of `kube-system/aws-auth`: those of nodes, and one that may be the console's.

use serde_json::Value;

use super::{DraftList, nodes::DraftPool};
use crate::{
    check::words::list,
    cluster::inventory::Inventory,
    kubernetes::{documents, resource::CONFIG_MAPS},
    policy::{Policy, principal::NODES_GROUP, protection::NamedObject, provider::Provider},
};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "aws-auth";
/// The largest number of roles that PoolGuard takes from the ConfigMap.
const ROLES_MAX: usize = 50;

/// The ConfigMap that maps IAM roles to users and groups, to be read beside what every check reads.
pub fn aws_auth() -> NamedObject {
    NamedObject {
        resource: CONFIG_MAPS.group_resource(),
        namespace: Some(NAMESPACE.to_owned()),
        name: NAME.to_owned(),
    }
}

/// A role that the ConfigMap maps.
pub(super) struct MappedRole {
    /// The ARN of the role, checked.
    pub(super) arn: String,
    /// Whether nodes have the role.
    pub(super) is_of_nodes: bool,
    /// The user that the role is to the API server, in every session.
    pub(super) user: String,
}

/// The roles that the ConfigMap maps, each once; none if it is not there or cannot be read.
pub(super) fn mapped_roles(inventory: &Inventory) -> Vec<MappedRole> {
    let text = inventory.get(&CONFIG_MAPS.group_resource(), NAMESPACE, NAME);
    let object: Value = text.and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
    let roles = object.pointer("/data/mapRoles").and_then(Value::as_str).unwrap_or_default();
    let items = documents::read(roles).unwrap_or_default();
    let mut mapped: Vec<MappedRole> = items
        .objects
        .into_iter()
        .filter_map(|item| {
            let item = item.ok()?;
            let arn = item.get("rolearn")?.as_str()?.to_owned();
            let groups = item.get("groups").and_then(Value::as_array);
            let is_of_nodes = groups.into_iter().flatten().any(|it| *it == *NODES_GROUP);
            let user = item.get("username").and_then(Value::as_str).map(every_session);
            let user = user.unwrap_or_default();
            is_role(&arn).then_some(MappedRole { arn, is_of_nodes, user })
        })
        .collect();
    mapped.sort_by(|one, other| one.arn.cmp(&other.arn));
    mapped.dedup_by(|one, other| one.arn == other.arn);
    mapped.truncate(ROLES_MAX);
    mapped
}

/// A user name with `*` for the parts that differ from session to session: `console:{{SessionName}}`.
fn every_session(username: &str) -> String {
    let mut parts = username.split("{{");
    let mut user = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        user.push('*');
        user.push_str(part.split_once("}}").map_or("", |(_, rest)| rest));
    }
    user
}

/// Whether text is the ARN of an IAM role, of characters that IAM allows.
fn is_role(arn: &str) -> bool {
    const LENGTH_MAX: usize = 2048;
    let is_allowed = |it: char| it.is_ascii_alphanumeric() || ":/+=,.@_-".contains(it);
    arn.len() <= LENGTH_MAX
        && arn.starts_with("arn:")
        && arn.contains(":role/")
        && arn.chars().all(is_allowed)
}

/// Gives the pools the role of the nodes, if there is only one. If there are several, adds a comment to each pool.
pub(super) fn add_roles(policy: &Policy, inventory: &Inventory, pools: &mut DraftList<DraftPool>) {
    if policy.provider != Some(Provider::Aws) {
        return;
    }
    let roles = mapped_roles(inventory).into_iter().filter(|role| role.is_of_nodes);
    let roles: Vec<String> = roles.map(|role| role.arn).collect();
    match roles.as_slice() {
        [] => {}
        [role] => {
            for pool in &mut pools.entries {
                pool.role.value = Some(role.clone());
                pool.role.checks.push("aws-auth has only this node role; make sure that the nodes of this pool use it".to_owned());
            }
        }
        roles => {
            for pool in &mut pools.entries {
                pool.role.checks.push(format!(
                    "aws-auth has {} node roles; add `role:` with the role of this pool, one of {}",
                    roles.len(),
                    list(roles)
                ));
            }
        }
    }
}
