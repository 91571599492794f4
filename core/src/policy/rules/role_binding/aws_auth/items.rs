//! The items of `mapRoles`: what `encoding/json` makes of the YAML.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use super::{
    super::yaml::{NodeId, Tree, YamlNode},
    arn::{fold, key},
};
use crate::policy::principal::NODES_GROUP;

/// A list item with a `rolearn`.
#[derive(Debug)]
pub(super) struct Item<'t> {
    /// The place of the item in the list, from 1.
    pub(super) position: usize,
    /// `rolearn`, as it is written.
    pub(super) arn: Cow<'t, str>,
    /// Whether the role is written with its path.
    pub(super) has_path: bool,
    /// The YAML mapping of the item in the tree.
    id: NodeId,
}

/// The mapping that an item means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Mapping<'t> {
    /// The user name, as a pattern such as `system:node:{{EC2PrivateDNSName}}`.
    pub(in super::super) username: Cow<'t, str>,
    /// The groups, sorted, each once.
    pub(in super::super) groups: Vec<Cow<'t, str>>,
}

impl Mapping<'_> {
    /// The mapping that AWS documents for nodes.
    pub(in super::super) fn of_nodes() -> Self {
        Self {
            username: "system:node:{{EC2PrivateDNSName}}".into(),
            groups: vec!["system:bootstrappers".into(), NODES_GROUP.into()],
        }
    }

    /// Whether a node with this mapping is a node of the cluster.
    pub(in super::super) fn serves_nodes(&self) -> bool {
        let has = |group: &str| self.groups.iter().any(|it| it == group);
        self.username.starts_with("system:node:{{")
            && has(NODES_GROUP)
            && has("system:bootstrappers")
    }
}

/// The fields of an item that count: every spelling of their keys with the value it has at last, in
/// the order of bytes.
type Fields<'t> = Vec<(Field, Cow<'t, str>, NodeId)>;

/// A key that the authenticator reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Role,
    Username,
    Groups,
    SingleSignOn,
}

impl Field {
    /// Returns the field of a key. `encoding/json` reads keys without regard to case.
    fn of(key: &str) -> Option<Self> {
        // The long s takes two bytes, and the longest key has one `s`.
        if key.len() > "uſername".len() {
            return None;
        }
        let is =
            |name: &str| key.eq_ignore_ascii_case(name) || (!key.is_ascii() && fold(key) == name);
        if is("rolearn") {
            Some(Self::Role)
        } else if is("username") {
            Some(Self::Username)
        } else if is("groups") {
            Some(Self::Groups)
        } else if is("sso") {
            Some(Self::SingleSignOn)
        } else {
            None
        }
    }
}

/// The items of roles that are asked for, and whether there are any at all.
#[derive(Default)]
pub(super) struct Items<'t> {
    /// The items by the key of their role, in the order of the list.
    pub(super) by_role: HashMap<String, Vec<Item<'t>>>,
    /// Whether the authenticator keeps an item, whatever its role.
    pub(super) has_any: bool,
}

impl<'t> Items<'t> {
    /// Reads the items that the authenticator keeps. It skips what is no mapping, and a mapping that
    /// names no role by `rolearn`, or `sso` beside it.
    pub(super) fn read(tree: &Tree<'t>, roles: &HashSet<String>) -> Self {
        let mut items = Self::default();
        let Some(list) = tree.root_list() else { return items };
        let mut fields = Fields::new();
        for (position, id) in (1..).zip(list) {
            fields.clear();
            read_fields(tree, *id, &mut fields);
            let Some(arn) = last_text(tree, &fields, Field::Role) else { continue };
            if arn.is_empty() || has_single_sign_on(tree, &fields) {
                continue;
            }
            items.has_any = true;
            let key = key(&arn);
            if roles.contains(key.as_ref()) {
                let has_path = key.len() < fold(&arn).len();
                let item = Item { position, has_path, arn: arn.clone(), id: *id };
                match items.by_role.get_mut(key.as_ref()) {
                    Some(of_role) => of_role.push(item),
                    None => drop(items.by_role.insert(key.into_owned(), vec![item])),
                }
            }
        }
        items
    }
}

/// Reads the fields of a mapping; nothing else has any.
fn read_fields<'t>(tree: &Tree<'t>, id: NodeId, fields: &mut Fields<'t>) {
    let Some(pairs) = tree.pairs(id) else { return };
    for (key, value) in pairs {
        match tree.get(*key) {
            Some(YamlNode::Merge) => {
                *fields = merged_fields(tree, id);
                return;
            }
            Some(YamlNode::Text(key)) => {
                fields.extend(Field::of(key).map(|it| (it, key.clone(), *value)));
            }
            _ => {}
        }
    }
    // Keys that merge nothing need no map.
    fields.sort_by(|(_, one, _), (_, other, _)| one.cmp(other));
    // Of a key that is written twice the last value counts.
    fields.dedup_by(|later, kept| {
        let is_same = later.1 == kept.1;
        if is_same {
            std::mem::swap(later, kept);
        }
        is_same
    });
}

fn merged_fields<'t>(tree: &Tree<'t>, id: NodeId) -> Fields<'t> {
    let mut by_key = BTreeMap::new();
    collect(tree, id, &mut by_key);
    by_key.into_iter().map(|(key, (field, value))| (field, key, value)).collect()
}

/// Puts the keys of a mapping over those that are there. A merge does the same where it stands, so
/// that it overrides the keys before it; of a list of mappings the first overrides the others.
fn collect<'t>(tree: &Tree<'t>, id: NodeId, by_key: &mut BTreeMap<Cow<'t, str>, (Field, NodeId)>) {
    let Some(pairs) = tree.pairs(id) else { return };
    for (key, value) in pairs {
        match tree.get(*key) {
            Some(YamlNode::Merge) => match tree.list(*value) {
                Some(list) => list.iter().rev().for_each(|id| collect(tree, *id, by_key)),
                None => collect(tree, *value, by_key),
            },
            Some(YamlNode::Text(key)) => {
                if let Some(field) = Field::of(key) {
                    by_key.insert(key.clone(), (field, *value));
                }
            }
            _ => {}
        }
    }
}

fn values<'f>(fields: &'f Fields<'_>, field: Field) -> impl Iterator<Item = NodeId> + 'f {
    fields.iter().filter(move |(it, ..)| *it == field).map(|(.., value)| *value)
}

/// The last string of a field; a value of another type is skipped.
fn last_text<'t>(tree: &Tree<'t>, fields: &Fields<'t>, field: Field) -> Option<Cow<'t, str>> {
    let texts = values(fields, field).filter_map(|value| text(tree, value));
    texts.last()
}

fn text<'t>(tree: &Tree<'t>, id: NodeId) -> Option<Cow<'t, str>> {
    match tree.get(id)? {
        YamlNode::Text(text) => Some(text.clone()),
        YamlNode::Merge => Some("<<".into()),
        YamlNode::Null
        | YamlNode::Other(_)
        | YamlNode::Sequence(_)
        | YamlNode::Mapping(_)
        | YamlNode::Alias(_) => None,
    }
}

/// Whether an item sets `sso`. Any value but `null` makes the pointer in Go one that is set.
fn has_single_sign_on(tree: &Tree<'_>, fields: &Fields<'_>) -> bool {
    let last = values(fields, Field::SingleSignOn).last();
    last.is_some_and(|value| tree.get(value) != Some(&YamlNode::Null))
}

/// The mapping of an item. It is read apart from the items, most of which are never asked.
pub(super) fn mapping<'t>(tree: &Tree<'t>, item: &Item<'t>) -> Mapping<'t> {
    let mut fields = Fields::new();
    read_fields(tree, item.id, &mut fields);
    let username = last_text(tree, &fields, Field::Username).unwrap_or_default();
    let mut groups = Vec::new();
    for value in values(&fields, Field::Groups) {
        if tree.get(value) == Some(&YamlNode::Null) {
            groups.clear();
        }
        let Some(list) = tree.list(value) else { continue };
        // What is no string leaves what another spelling of the key has put there.
        groups.resize_with(list.len(), Cow::default);
        for (slot, id) in groups.iter_mut().zip(list) {
            if let Some(group) = text(tree, *id) {
                *slot = group;
            }
        }
    }
    groups.sort_unstable();
    groups.dedup();
    // No user can be in a group without a name.
    groups.retain(|group| !group.is_empty());
    Mapping { username, groups }
}
