//! `mustKeepItems`: items of a YAML list that a field holds as text.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
};

use super::{
    Held,
    yaml::{NodeId, Tree, UnreadableYaml, YamlNode},
};
use crate::policy::protection::KeepItem;

/// The text that could not be read, with the reason.
pub(super) enum Refused {
    Old(UnreadableYaml),
    New(UnreadableYaml),
}

/// The items that were there and are not there unchanged any more.
pub(super) fn lost<'i>(
    items: &[&'i KeepItem],
    before: &Held<'_>,
    after: &Held<'_>,
) -> Result<Vec<&'i KeepItem>, Refused> {
    if before == after {
        return Ok(Vec::new());
    }
    let before = List::read(before).map_err(Refused::Old)?;
    let after = List::read(after).map_err(Refused::New)?;
    let state = RandomState::new();
    let there: HashSet<u64> = after.hashes(&state).into_iter().map(|(_, hash)| hash).collect();
    let gone = before.hashes(&state).into_iter().filter(|(_, hash)| !there.contains(hash));
    let lost = before.kept(items, gone.map(|(id, _)| id));
    Ok(items.iter().zip(lost).filter_map(|(item, is_lost)| is_lost.then_some(*item)).collect())
}

/// Whether the field's list has any of the items. One that cannot be read may have.
pub(super) fn any(items: &[&KeepItem], field: &Held<'_>) -> bool {
    List::read(field)
        .map_or(true, |list| list.kept(items, list.ids().iter().copied()).contains(&true))
}

/// The list that a field's text holds; absent or blank text is an empty list.
struct List<'t>(Tree<'t>);

impl<'t> List<'t> {
    fn read(field: &'t Held<'_>) -> Result<Self, UnreadableYaml> {
        let tree = match field {
            Held::Nothing => Tree::default(),
            Held::Text(text) => Tree::read(text)?,
            Held::Other => return Err(UnreadableYaml("it is not a string".to_owned())),
        };
        match tree.root() {
            None | Some(YamlNode::Null | YamlNode::Sequence(_)) => Ok(Self(tree)),
            Some(_) => Err(UnreadableYaml("it is not a YAML list".to_owned())),
        }
    }

    fn ids(&self) -> &[NodeId] {
        self.0.root_list().unwrap_or_default()
    }

    /// The items, each with a hash of what it says. Keys of a mapping have no order.
    fn hashes(&self, state: &RandomState) -> Vec<(NodeId, u64)> {
        let mut hashes: Vec<u64> = Vec::new();
        let of = |hashes: &[u64], id: &NodeId| hashes.get(*id).copied();
        for (id, node) in self.0.nodes().iter().enumerate() {
            let hash = match node {
                YamlNode::Alias(target) => of(&hashes, target).unwrap_or_default(),
                YamlNode::Null => state.hash_one(0),
                YamlNode::Text(text) => state.hash_one((1, text)),
                YamlNode::Other(text) => state.hash_one((2, text)),
                YamlNode::Merge => state.hash_one(3),
                YamlNode::Sequence(_) => {
                    let ids = self.0.list(id).unwrap_or_default();
                    let parts: Vec<_> = ids.iter().map(|id| of(&hashes, id)).collect();
                    state.hash_one((4, parts))
                }
                YamlNode::Mapping(_) => {
                    let pairs = self.0.pairs(id).unwrap_or_default().iter();
                    let mut parts: Vec<_> =
                        pairs.map(|(key, value)| (of(&hashes, key), of(&hashes, value))).collect();
                    parts.sort_unstable();
                    state.hash_one((5, parts))
                }
            };
            hashes.push(hash);
        }
        self.ids().iter().filter_map(|id| Some((*id, of(&hashes, id)?))).collect()
    }

    /// Returns, for each item to keep, whether it is one of these.
    fn kept(&self, items: &[&KeepItem], ids: impl Iterator<Item = NodeId>) -> Vec<bool> {
        let named = items.iter().map(|item| (item.by.as_str(), item.value.as_str()));
        let mut places: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
        for (place, item) in named.enumerate() {
            places.entry(item).or_default().push(place);
        }
        let mut kept = vec![false; items.len()];
        for id in ids {
            let Some(pairs) = self.0.pairs(id) else { continue };
            for (key, value) in pairs {
                let (Some(YamlNode::Text(key)), Some(YamlNode::Text(value))) =
                    (self.0.get(*key), self.0.get(*value))
                else {
                    continue;
                };
                for place in places.get(&(key.as_ref(), value.as_ref())).into_iter().flatten() {
                    if let Some(kept) = kept.get_mut(*place) {
                        *kept = true;
                    }
                }
            }
        }
        kept
    }
}
