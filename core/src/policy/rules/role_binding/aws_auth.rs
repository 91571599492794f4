//! `mapRoles` of the ConfigMap `kube-system/aws-auth`, as aws-iam-authenticator reads it.
//!
//! The authenticator decides by this text which Kubernetes user an IAM role is. Nodes of a role that
//! has lost its mapping can neither join nor report. What counts is the mapping in force, and not
//! how the text spells it. Where the rules come from, in the authenticator and in Go's libraries:
//!
//! - `ParseMap` reads `data` alone, skips a text that is blank or a pair of quotes, and keeps what
//!   it can: an item that it does not understand is skipped, a text that is no YAML leaves nothing.
//! - `utilyaml.ToJSON` turns the YAML into JSON: `yaml` says how.
//! - `encoding/json` sorts the keys of an item by their bytes, reads them without regard to case,
//!   and lets the last one win; it skips a value of another type: `items`.
//! - `RoleMapping.Validate` drops an item without `rolearn`, or with `sso` beside it.
//! - `saveMap` keeps one item for each ARN, the last one. `RoleMapping.Matches` compares it, without
//!   regard to case, with the ARN of the assumed role, which has no path: `arn`.
//! - `IdentityMapping` takes `username` and `groups`, and nothing else.

mod arn;
mod items;
#[cfg(test)]
mod tests;

use std::{cell::OnceCell, collections::HashSet, rc::Rc};

use self::items::{Item, Items, mapping};
use super::{
    Held,
    yaml::{Tree, UnreadableYaml},
};
use crate::policy::{protection::KeepItem, request::Target};

pub(super) use self::{
    arn::{key, written_without_path},
    items::Mapping,
};

/// The pointer to `mapRoles`.
pub(super) const POINTER: &str = "/data/mapRoles";

/// Whether an object is the ConfigMap that the authenticator reads.
pub(super) fn is_aws_auth(target: &Target<'_>, name: &str) -> bool {
    target.group.is_empty()
        && target.resource == "configmaps"
        && target.namespace == "kube-system"
        && name == "aws-auth"
}

/// Whether an item to keep is known by the role that it maps.
pub(super) fn is_role(item: &KeepItem) -> bool {
    arn::fold(&item.by) == "rolearn"
}

/// The keys of the roles that are asked for, as [`key`] returns them.
pub(super) type Roles = Rc<HashSet<String>>;

/// The text of `mapRoles`, read when it is first asked.
pub(super) struct MapRoles<'v> {
    held: &'v Held<'v>,
    roles: Roles,
    reading: OnceCell<Result<Reading<'v>, UnreadableYaml>>,
}

/// The items that the authenticator reads in a text, and the tree that holds them.
#[derive(Default)]
struct Reading<'v> {
    tree: Tree<'v>,
    items: Items<'v>,
}

/// The harm that a change does to the mapping of a role.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Harm<'t> {
    /// No item maps the role as before any more: the role has no item, or only items with its path, which are never
    /// in force.
    Lost(Mapping<'t>),
    /// The role is written with its path, so that no item matches.
    Path(Mapping<'t>),
    /// The item in this place maps the role to something else.
    Altered { position: usize, old: Mapping<'t>, new: Mapping<'t> },
    /// The item in this place maps the role to something else, and the item that maps it as before stands above
    /// it.
    Shadowed { position: usize, old: Mapping<'t>, new: Mapping<'t> },
    /// The new text cannot be read, and the old one maps the role.
    Unreadable(String),
    /// The old text cannot be read and names the role, and the new one does not map it to nodes.
    NotMended,
}

/// The mapping of a role in a text.
#[derive(Default)]
struct Mapped<'t> {
    /// The mapping in force, and the place of its item.
    effective: Option<(usize, Mapping<'t>)>,
    /// The mapping of the last item that names the role with a path. This mapping is never in force.
    with_path: Option<Mapping<'t>>,
}

impl<'v> MapRoles<'v> {
    /// Creates the reader of a field's text, which is asked for these roles only.
    pub(super) fn new(held: &'v Held<'v>, roles: Roles) -> Self {
        Self { held, roles, reading: OnceCell::new() }
    }

    fn reading(&self) -> Result<&Reading<'v>, &UnreadableYaml> {
        let read = || match self.text() {
            None => Ok(Reading::default()),
            Some(Ok(text)) => Reading::read(text, &self.roles),
            Some(Err(error)) => Err(error),
        };
        self.reading.get_or_init(read).as_ref()
    }

    /// The text; `None` where the authenticator skips it.
    fn text(&self) -> Option<Result<&'v str, UnreadableYaml>> {
        match self.held {
            Held::Nothing => None,
            Held::Text(text) => {
                let is_skipped = matches!(text.trim(), "" | "``" | "\"\"" | "''");
                (!is_skipped).then_some(Ok(text))
            }
            Held::Other => Some(Err(UnreadableYaml("it is not a string".to_owned()))),
        }
    }

    /// Whether another text is the same to the byte.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.held == other.held
    }

    /// The reason why the text cannot be read; `None` if it can.
    pub(super) fn unreadable(&self) -> Option<&str> {
        self.reading().err().map(|UnreadableYaml(why)| why.as_str())
    }

    /// Whether the text maps no role at all.
    pub(super) fn is_empty(&self) -> bool {
        self.reading().is_ok_and(|reading| !reading.items.has_any)
    }

    /// Whether an item names the role, or could: a text that cannot be read names what stands in it.
    pub(super) fn names(&self, role: &str) -> bool {
        match self.reading() {
            Ok(reading) => reading.items.by_role.contains_key(key(role).as_ref()),
            Err(_) => self.shows(role),
        }
    }

    fn shows(&self, role: &str) -> bool {
        let Some(Ok(text)) = self.text() else { return false };
        arn::stands_in(&arn::fold(role), text) || arn::stands_in(&key(role), text)
    }
}

impl<'v> Reading<'v> {
    fn read(text: &'v str, roles: &HashSet<String>) -> Result<Self, UnreadableYaml> {
        let tree = Tree::read(text)?;
        let items = Items::read(&tree, roles);
        Ok(Self { tree, items })
    }

    /// The items of a role, the last one first.
    fn of<'r>(&'r self, role: &str) -> impl Iterator<Item = &'r Item<'v>> {
        self.items.by_role.get(key(role).as_ref()).into_iter().flatten().rev()
    }

    fn mapped(&self, role: &str) -> Mapped<'v> {
        let matching = || self.of(role).filter(|item| !item.has_path);
        let read = |item: &Item<'v>| (item.position, mapping(&self.tree, item));
        let with_path = self.of(role).find(|item| item.has_path).map(|item| read(item).1);
        let Some(last) = matching().next().map(read) else {
            return Mapped { effective: None, with_path };
        };
        // An ARN with the long s for an `s` is another key, and the same role: either of them may be
        // in force, so the worse one is taken for it.
        let mut rivals = matching().filter(|item| !item.arn.is_ascii()).map(read);
        let is_worse = |(_, it): &(usize, Mapping<'_>)| *it != last.1 && !it.serves_nodes();
        let effective = Some(rivals.find(is_worse).unwrap_or(last));
        Mapped { effective, with_path }
    }

    /// Whether an item of the role other than the last few says this.
    fn has_before(&self, role: &str, position: usize, mapping: &Mapping<'_>) -> bool {
        /// The largest number of items that are compared. A text that repeats a role more often is not looked
        /// through.
        const ITEMS_MAX: usize = 16;
        let before = self.of(role).filter(|item| !item.has_path && item.position < position);
        before.take(ITEMS_MAX).any(|item| self::mapping(&self.tree, item) == *mapping)
    }
}

/// The harm that a change of the text does to the mapping of a role; `None` if it does no harm.
pub(super) fn harm<'v>(role: &str, old: &MapRoles<'v>, new: &MapRoles<'v>) -> Option<Harm<'v>> {
    if old.is_same(new) {
        return None;
    }
    let Ok(before) = old.reading() else {
        let is_mended = || match new.reading() {
            Ok(after) => after.mapped(role).serves_nodes(),
            Err(_) => false,
        };
        return (old.shows(role) && !is_mended()).then_some(Harm::NotMended);
    };
    let was = before.mapped(role);
    let after = match new.reading() {
        Ok(after) => after,
        Err(_) if was.effective.is_none() && was.with_path.is_none() => return None,
        Err(UnreadableYaml(why)) => return Some(Harm::Unreadable(why.clone())),
    };
    let is = after.mapped(role);
    // A repair: nodes have a mapping again.
    if is.serves_nodes() && !was.serves_nodes() {
        return None;
    }
    let is_with_path = is.with_path.is_some();
    match (was.effective, was.with_path) {
        (None, None) => None,
        // It was never in force: as long as the item says the same, nothing changes.
        (None, Some(old)) => {
            let is_kept = is.with_path.as_ref() == Some(&old)
                || is.effective.as_ref().is_some_and(|(_, mapping)| *mapping == old);
            match is.effective {
                _ if is_kept => None,
                Some((position, new)) => Some(Harm::Altered { position, old, new }),
                None => Some(Harm::Lost(old)),
            }
        }
        (Some((_, old)), _) => match is.effective {
            Some((_, new)) if new == old => None,
            Some((position, new)) if after.has_before(role, position, &old) => {
                Some(Harm::Shadowed { position, old, new })
            }
            Some((position, new)) => Some(Harm::Altered { position, old, new }),
            None if is_with_path => Some(Harm::Path(old)),
            None => Some(Harm::Lost(old)),
        },
    }
}

impl Mapped<'_> {
    fn serves_nodes(&self) -> bool {
        self.effective.as_ref().is_some_and(|(_, mapping)| mapping.serves_nodes())
    }
}
