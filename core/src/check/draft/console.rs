//! The identity of AutoMQ's console, which no object of a cluster names for sure.

use serde_json::Value;

use super::aws_auth::{MappedRole, mapped_roles};
use crate::{
    cluster::inventory::Inventory,
    config::console_identity,
    json::text::is_control,
    kubernetes::resource::{CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS},
    policy::{Policy, provider::Provider},
};

/// The largest number of candidates that a draft names.
const CANDIDATES_MAX: usize = 5;

/// The known facts about the console's identity.
#[derive(Clone, Debug)]
pub(super) struct DraftConsole {
    /// The description of the console's user on this provider.
    pub(super) looks: &'static str,
    /// The user that a person named.
    pub(super) user: Option<String>,
    /// Users that may be the console.
    pub(super) candidates: Vec<Candidate>,
}

/// A user that may be the console.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    /// The user's name, as the API server has it.
    pub(super) user: String,
    /// The object in which the user was found.
    pub(super) found: String,
}

/// Users of bindings, and roles of aws-auth, that are called after AutoMQ.
pub(super) fn console(
    policy: &Policy,
    inventory: &Inventory,
    chosen: Option<&str>,
) -> DraftConsole {
    let mut candidates = Vec::new();
    if policy.provider == Some(Provider::Aws) {
        let roles = mapped_roles(inventory).into_iter().filter(|it| !it.is_of_nodes);
        let is_meant = |role: &MappedRole| is_of_automq(&role.arn) && is_user(&role.user);
        let found = roles.filter(is_meant).map(|role| Candidate {
            user: role.user,
            found: "ConfigMap kube-system/aws-auth".to_owned(),
        });
        candidates.extend(found);
    }
    for resource in [CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS] {
        for (name, text) in inventory.objects(&resource.group_resource()) {
            let binding: Value = serde_json::from_str(text).unwrap_or_default();
            let subjects = binding.get("subjects").and_then(Value::as_array);
            let users = subjects
                .into_iter()
                .flatten()
                .filter(|it| it.get("kind").and_then(Value::as_str) == Some("User"));
            let users = users.filter_map(|it| it.get("name").and_then(Value::as_str));
            let found =
                users.filter(|user| is_of_automq(user) && !user.contains('*')).map(|user| {
                    Candidate { user: user.to_owned(), found: format!("{} {name}", resource.kind) }
                });
            candidates.extend(found);
        }
    }
    candidates.sort();
    candidates.dedup_by(|one, other| one.user == other.user);
    candidates.truncate(CANDIDATES_MAX);
    let user = chosen.map(str::to_owned);
    DraftConsole { looks: console_identity(policy.provider), user, candidates }
}

/// Whether a name is called after AutoMQ.
fn is_of_automq(name: &str) -> bool {
    name.to_ascii_lowercase().contains("automq") && is_user(name)
}

/// Whether a user name says whom it means, in characters that a person and a glob can read.
fn is_user(name: &str) -> bool {
    const LENGTH_MAX: usize = 512;
    let is_readable = |it: char| !is_control(it) && !it.is_whitespace() && !"?[]{}\\!".contains(it);
    name.len() <= LENGTH_MAX
        && name.contains(|it: char| it.is_alphanumeric())
        && name.chars().all(is_readable)
}
