//! The dedicated nodes by their names, as the backstop's expressions look them up.

use super::{
    landing::row_of_number,
    table::{CHUNK_MAX, Table, parts},
};
use crate::admission::webhooks::cel::literal;

/// A dedicated node.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamedNode<'s> {
    pub(super) name: &'s str,
    /// The number of its row.
    pub(super) row: usize,
    /// Whether its host has the same name.
    pub(super) is_host: bool,
}

/// Maps from the names of nodes to the numbers of their rows. What all names begin and end with is written once.
#[derive(Debug, Default)]
pub(super) struct NodeNames {
    prefix: String,
    suffix: String,
    /// Literals of maps from what is particular to a name. A further key, with a tilde before it, says that the host of
    /// the node has another name.
    pub(super) maps: Vec<String>,
}

impl NodeNames {
    /// The names, as far as their texts have this length together, and how many are left out.
    pub(super) fn new(nodes: &[NamedNode<'_>], length: usize) -> (Self, usize) {
        let (prefix, suffix) = shared_affixes(nodes);
        let mut entries = Vec::new();
        let mut size = 0;
        for NamedNode { name, row, is_host } in nodes {
            let stem = &name[prefix.len()..name.len() - suffix.len()];
            let mut entry = format!("{}:{row}", literal(stem));
            if !is_host {
                entry = format!("{entry},{}:{row}", literal(&format!("~{stem}")));
            }
            size += entry.len();
            if size > length {
                break;
            }
            entries.push(entry);
        }
        let maps = parts(&entries, String::len, CHUNK_MAX);
        let maps = maps.into_iter().map(|part| format!("{{{}}}", part.join(","))).collect();
        let left_out = nodes.len() - entries.len();
        (Self { prefix: prefix.to_owned(), suffix: suffix.to_owned(), maps }, left_out)
    }

    /// Returns the part that is particular to a name, as a list of one. The list is empty if no dedicated node has such
    /// a name.
    fn stems(&self, name: &str) -> String {
        let Self { prefix, suffix, .. } = self;
        let (before, after) = (prefix.chars().count(), suffix.chars().count());
        format!(
            "[{name}].filter(s, s.startsWith({}) && s.endsWith({}) && s.size() >= {}).map(s, s.substring({before}, \
             s.size() - {after}))",
            literal(prefix),
            literal(suffix),
            before + after,
        )
    }

    /// Whether one of the maps has this key.
    fn has(&self, key: &str) -> String {
        let looks = (0..self.maps.len()).map(|at| format!("{key} in variables.names{at}"));
        looks.collect::<Vec<_>>().join(" || ")
    }

    /// The number behind this key; below zero if no map has it.
    fn number(&self, key: &str) -> String {
        let looks = (0..self.maps.len())
            .map(|at| format!("{key} in variables.names{at} ? variables.names{at}[{key}] : "));
        format!("{}-1", looks.collect::<String>())
    }
}

/// Whether a node of this name is dedicated.
pub(super) fn is_dedicated(table: &Table, name: &str) -> String {
    let names = &table.names;
    format!("{}.exists(s, {})", names.stems(name), names.has("s"))
}

/// The row of a dedicated node, by its name.
pub(super) fn row_of_dedicated(table: &Table, name: &str) -> String {
    let names = &table.names;
    let row = row_of_number(table, "i");
    format!("{}.map(s, {}).map(i, {row})[0]", names.stems(name), names.number("s"))
}

/// The row of a named node whose host has the same name, as a list of one; empty if there is none.
pub(super) fn row_of_host(table: &Table, name: &str) -> String {
    let names = &table.names;
    let row = row_of_number(table, "i");
    format!(
        "{}.filter(s, !({})).map(s, {}).filter(i, i >= 0).map(i, {row})",
        names.stems(name),
        names.has("('~' + s)"),
        names.number("s")
    )
}

/// Returns the text that all names begin with, and the text that they end with behind it.
fn shared_affixes<'s>(nodes: &[NamedNode<'s>]) -> (&'s str, &'s str) {
    let Some(first) = nodes.first() else { return ("", "") };
    let prefix = nodes.iter().fold(first.name, |prefix, node| {
        let equal = prefix.chars().zip(node.name.chars()).take_while(|(a, b)| a == b);
        &prefix[..equal.map(|(a, _)| a.len_utf8()).sum()]
    });
    let rest = |node: &NamedNode<'s>| &node.name[prefix.len()..];
    let suffix = nodes.iter().fold(rest(first), |suffix, node| {
        let equal = suffix.chars().rev().zip(rest(node).chars().rev()).take_while(|(a, b)| a == b);
        &suffix[suffix.len() - equal.map(|(a, _)| a.len_utf8()).sum::<usize>()..]
    });
    (prefix, suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_names_share_is_written_once() {
        for (names, prefix, suffix, maps) in [
            (&[][..], "", "", ""),
            (&["n1"], "n1", "", "{'':0}"),
            (&["aa", "aaa"], "aa", "", "{'':0,'a':1}"),
            (&["n-1.a", "n-22.a", "n-3.a"], "n-", ".a", "{'1':0,'22':1,'3':2}"),
            (&["é1ü", "é2ü"], "é", "ü", "{'1':0,'2':1}"),
        ] {
            let node = |(row, name)| NamedNode { name, row, is_host: true };
            let nodes: Vec<NamedNode<'_>> = names.iter().copied().enumerate().map(node).collect();
            let (names, left_out) = NodeNames::new(&nodes, 1_000);
            assert_eq!((&*names.prefix, &*names.suffix), (prefix, suffix));
            assert_eq!((names.maps.concat(), left_out), (maps.to_owned(), 0));
        }
        let other_host = NamedNode { name: "n", row: 7, is_host: false };
        assert_eq!(NodeNames::new(&[other_host], 12).0.maps, ["{'':7,'~':7}"]);
        assert_eq!(NodeNames::new(&[other_host], 8).1, 1);
    }
}
