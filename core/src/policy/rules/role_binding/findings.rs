//! The findings about changes of a protected object.

use super::{
    Objects, RULE,
    aws_auth::{self, Harm, Mapping},
};
use crate::{
    json::text::cut,
    policy::{pool::Pool, protection::KeepItem, verdict::Finding},
};

/// The advice for a user who may make the change.
const TRUST: &str = "If AutoMQ's console or operator makes this change, ask your platform team to \
 add its user to principals.trusted.users in PoolGuard's config";
/// The consequence for nodes whose role has no mapping.
const CANNOT_JOIN: &str = "Nodes with this role could no longer join the cluster or report their \
 status";
/// The largest number of bytes of a quoted name in a message. A list may have twice as many.
const QUOTE_BYTES_MAX: usize = 120;

/// The object that is judged, and the reason why it is protected.
#[derive(Clone, Copy)]
pub(super) struct About<'o, 'a> {
    pub(super) objects: &'o Objects<'a>,
    /// The reason why the object is protected, such as `protected entry node-role`.
    pub(super) protected_by: &'o str,
}

impl<'a> About<'_, 'a> {
    /// Creates the finding about the deletion of the object.
    pub(super) fn deletion(self) -> Finding {
        let Self { objects, protected_by } = self;
        let fact = format!(
            "Deleting {} would remove permissions that AutoMQ needs ({protected_by})",
            objects.title()
        );
        Finding::new(RULE, fact).advice(TRUST)
    }

    /// Creates the finding about the deletion of the ConfigMap that maps this role.
    pub(super) fn deletion_of_map_roles(self, role: &str) -> Finding {
        let Self { objects, protected_by } = self;
        let fact = format!(
            "Deleting {} would delete its mapRoles, which maps {} ({protected_by})",
            objects.title(),
            self.role(role)
        );
        self.about_role(role, fact, format!("{CANNOT_JOIN}. {TRUST}"))
    }

    /// Creates the finding about the change of a guarded field.
    pub(super) fn change(self, field: &str) -> Finding {
        let Self { objects, protected_by } = self;
        let fact = format!(
            "The request changes {field} of {}. AutoMQ's permissions depend on this field, so it must not \
             change, not even by an addition ({protected_by})",
            objects.title()
        );
        let advice = format!("Keep the value of {field}; you can change other fields. {TRUST}");
        Finding::new(RULE, fact).advice(advice).field(field)
    }

    /// Creates the finding about the change or loss of an annotation that gives pods their cloud identity.
    pub(super) fn annotation(self, field: &str, key: &str, is_lost: bool) -> Finding {
        let Self { objects, protected_by } = self;
        let (what, consequence) = if is_lost {
            ("Removing", "leave AutoMQ's new pods without their cloud identity")
        } else {
            ("Changing", "give AutoMQ's new pods another cloud identity")
        };
        let fact = format!(
            "{what} annotation {key} of {} would {consequence} ({protected_by})",
            objects.title()
        );
        let advice = format!("Keep the annotation {key} as it is. {TRUST}");
        Finding::new(RULE, fact).advice(advice).field(field)
    }

    /// Creates the finding about the loss or change of an item of a list.
    pub(super) fn lost_item(self, pointer: &str, item: &KeepItem) -> Finding {
        let Self { objects, protected_by } = self;
        let KeepItem { by, value } = item;
        let fact = format!(
            "The request would remove or change an item of {pointer} of {} that AutoMQ needs: the item with \
             {by}: {value} ({protected_by})",
            objects.title()
        );
        let advice = format!("Keep this item unchanged; you can change the other items. {TRUST}");
        let finding = Finding::new(RULE, fact).advice(advice).field(pointer);
        match self.pool(value) {
            Some(pool) => finding.pool(&*pool.name),
            None => finding,
        }
    }

    /// Creates the finding about a new text of a list that cannot be read.
    pub(super) fn unreadable(self, pointer: &str, why: &str) -> Finding {
        let Self { objects, protected_by } = self;
        let fact = format!(
            "PoolGuard cannot read the new {pointer} of {} ({why}), so it must assume that AutoMQ's items are \
             missing ({protected_by})",
            objects.title()
        );
        let advice = format!("Write {pointer} as a YAML list");
        Finding::new(RULE, fact).advice(advice).field(pointer)
    }

    /// Creates the finding about an old text that cannot be read, so that the change was not judged.
    pub(super) fn not_judged(self, pointer: &str, why: &str) -> Finding {
        let fact = format!(
            "PoolGuard cannot read the old {pointer} of {} ({why}), so it does not judge this \
             change and allows it",
            self.objects.title()
        );
        Finding::new(RULE, fact).field(pointer)
    }

    /// Creates the finding about the harm that a change of `mapRoles` does to the mapping of a role.
    pub(super) fn harm(self, role: &str, harm: &Harm<'_>) -> Finding {
        let title = self.objects.title();
        let named = self.role(role);
        let protected_by = self.protected_by;
        let (fact, remedy) = match harm {
            Harm::Lost(old) => (
                format!("mapRoles of {title} would no longer map {named} ({protected_by})"),
                format!("{CANNOT_JOIN}. Keep the item in mapRoles: {}", item(role, old)),
            ),
            Harm::Path(old) => (
                format!(
                    "mapRoles of {title} would contain the ARN of {named} with its path. An ARN with a path matches \
                     no node ({protected_by})"
                ),
                format!("Write the ARN without the path: {}", item(role, old)),
            ),
            Harm::Altered { position, old, new } => (
                format!(
                    "Item {position} (counted from 1) of mapRoles of {title} would change {} of {named} \
                     ({protected_by})",
                    difference(old, new, ["username", "groups"])
                ),
                format!(
                    "{}Keep {}{}",
                    if new.serves_nodes() { String::new() } else { format!("{CANNOT_JOIN}. ") },
                    values(old, new),
                    if old.groups == new.groups {
                        ""
                    } else {
                        "; the order of groups does not matter"
                    }
                ),
            ),
            Harm::Shadowed { position, old, new } => (
                format!(
                    "Item {position} (counted from 1) of mapRoles of {title} would override the mapping of {named} with \
                     {} ({protected_by})",
                    difference(old, new, ["another username", "other groups"])
                ),
                format!(
                    "If several items contain the same role, only the last item counts. Remove item {position}, \
                     or give it {}",
                    values(old, new)
                ),
            ),
            Harm::Unreadable(why) => (
                format!(
                    "The new mapRoles of {title} is not readable YAML ({why}), so it would no \
                     longer map {named} ({protected_by})"
                ),
                format!("{CANNOT_JOIN}. Correct the YAML of mapRoles"),
            ),
            Harm::NotMended => (
                format!(
                    "The current mapRoles of {title} is not readable but names {named}. The new \
                     text would not map this role to nodes ({protected_by})"
                ),
                format!("Add the item to mapRoles: {}", item(role, &Mapping::of_nodes())),
            ),
        };
        // To trust a user does not make a text readable.
        let is_unreadable = matches!(harm, Harm::Unreadable(_));
        let advice = if is_unreadable { remedy } else { format!("{remedy}. {TRUST}") };
        self.about_role(role, fact, advice)
    }

    fn about_role(self, role: &str, fact: String, advice: String) -> Finding {
        let finding = Finding::new(RULE, fact).advice(advice).field(aws_auth::POINTER);
        match self.pool(role) {
            Some(pool) => finding.pool(&*pool.name),
            None => finding,
        }
    }

    /// Returns the role as a sentence names it: `role arn:aws:… of pool pool-a`.
    fn role(self, role: &str) -> String {
        match self.pool(role) {
            Some(pool) => format!("role {role} of pool {}", pool.name),
            None => format!("role {role}"),
        }
    }

    /// The first pool that has this role, with or without its path.
    fn pool(self, role: &str) -> Option<&'a Pool> {
        let is_it = |pool: &&Pool| {
            let own = pool.role.as_deref();
            own.is_some_and(|own| own == role || aws_auth::key(own) == aws_auth::key(role))
        };
        self.objects.context.policy.pools.iter().find(is_it)
    }
}

/// Returns the words for the difference: the username, the groups or both, in these words.
fn difference(old: &Mapping<'_>, new: &Mapping<'_>, [username, groups]: [&str; 2]) -> String {
    match (old.username == new.username, old.groups == new.groups) {
        (false, false) => format!("{username} and {groups}"),
        (false, true) => username.to_owned(),
        (true, _) => groups.to_owned(),
    }
}

/// The values that must stay, of what differs.
fn values(old: &Mapping<'_>, new: &Mapping<'_>) -> String {
    let username = format!("username {}", quoted(&old.username));
    difference(old, new, [&username, &format!("groups [{}]", list(old))])
}

/// An item as it can be pasted into `mapRoles`.
fn item(role: &str, mapping: &Mapping<'_>) -> String {
    let role = aws_auth::written_without_path(role);
    let username = quoted(&mapping.username);
    format!("{{rolearn: {role}, username: {username}, groups: [{}]}}", list(mapping))
}

fn list(mapping: &Mapping<'_>) -> String {
    let groups: Vec<String> = mapping.groups.iter().take(8).map(|it| quoted(it)).collect();
    let more = if mapping.groups.len() > groups.len() { ", …" } else { "" };
    cut(groups.join(", "), 2 * QUOTE_BYTES_MAX) + more
}

fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(QUOTE_BYTES_MAX).collect();
    format!("'{}'", cut(shown.replace('\'', "''"), QUOTE_BYTES_MAX))
}
