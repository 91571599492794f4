//! YAML text that a field holds, as the cluster's own components read it.
//!
//! Components written in Go read such text with `sigs.k8s.io/yaml`, which is `go.yaml.in/yaml/v2`
//! in its lenient mode followed by `encoding/json`. That is YAML 1.1, and this module follows it:
//! the first document counts, `yes` is a boolean, aliases are followed, a merge key (`<<`) merges.
//! The text is parsed as YAML 1.2, so [`strict`] rejects what YAML 1.2 allows and Go rejects. What
//! only Go accepts is unreadable here: no caller takes such a text for an empty one.
//!
//! The cost is bounded: [`block`] reads the form that tools write, in one pass over the bytes. Any
//! other text is limited in bytes, nodes and depth, and in the nodes that its aliases unfold to.

mod block;
mod build;
mod scalar;
mod strict;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, ops::Range};

/// The most bytes of a text that [`block`] cannot read: about 500 items of `aws-auth`.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// The most nodes of such a text.
const NODES_MAX: usize = 10_000;
/// The most nodes once every alias stands for what it names.
const UNFOLDED_MAX: u64 = 100_000;
/// The deepest nesting, with every alias followed: shallow enough for recursion.
const DEPTH_MAX: usize = 32;

/// The reason why a text cannot be read, as the end of a sentence: `line 3 is indented with a tab`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnreadableYaml(pub(super) String);

impl UnreadableYaml {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// The place of a node in its tree. Children come before their parents.
pub(super) type NodeId = usize;

/// A value of the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum YamlNode<'t> {
    /// `null`, `~`, or nothing at all.
    Null,
    /// A string.
    Text(Cow<'t, str>),
    /// A boolean or a number, as it is written.
    Other(Box<str>),
    /// `<<`, which merges where it is a key, and is a string elsewhere.
    Merge,
    /// A list: the range of its items in `Tree::items`.
    Sequence(Range<usize>),
    /// A mapping: the range of its keys and values in `Tree::pairs`, in their order, with every repetition.
    Mapping(Range<usize>),
    /// An alias of another node, with the value of that node.
    Alias(NodeId),
}

/// The first document of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tree<'t> {
    nodes: Vec<YamlNode<'t>>,
    /// The items of all lists, one list after another.
    items: Vec<NodeId>,
    /// The pairs of all mappings, one mapping after another.
    pairs: Vec<(NodeId, NodeId)>,
    root: Option<NodeId>,
}

impl<'t> Tree<'t> {
    /// Reads a text.
    pub(super) fn read(text: &'t str) -> Result<Self, UnreadableYaml> {
        match block::read(text) {
            Some(tree) => Ok(tree),
            None => build::read(text),
        }
    }

    /// The value of the document; `None` if the text has none.
    pub(super) fn root(&self) -> Option<&YamlNode<'t>> {
        self.get(self.root?)
    }

    /// All nodes, children before their parents.
    pub(super) fn nodes(&self) -> &[YamlNode<'t>] {
        &self.nodes
    }

    /// A node, with aliases followed.
    pub(super) fn get(&self, id: NodeId) -> Option<&YamlNode<'t>> {
        let node = self.nodes.get(id)?;
        // An alias never names an alias: those have no anchor.
        if let YamlNode::Alias(target) = node { self.nodes.get(*target) } else { Some(node) }
    }

    /// The items of a list, with aliases followed; `None` if the node is none.
    pub(super) fn list(&self, id: NodeId) -> Option<&[NodeId]> {
        let YamlNode::Sequence(place) = self.get(id)? else { return None };
        self.items.get(place.clone())
    }

    /// The items of the list that the document is; `None` if it is none.
    pub(super) fn root_list(&self) -> Option<&[NodeId]> {
        self.list(self.root?)
    }

    /// The keys and values of a mapping, with aliases followed; `None` if the node is none.
    pub(super) fn pairs(&self, id: NodeId) -> Option<&[(NodeId, NodeId)]> {
        let YamlNode::Mapping(place) = self.get(id)? else { return None };
        self.pairs.get(place.clone())
    }

    fn add_sequence(&mut self, items: &[NodeId]) -> YamlNode<'t> {
        let start = self.items.len();
        self.items.extend_from_slice(items);
        YamlNode::Sequence(start..self.items.len())
    }

    fn add_mapping(&mut self, pairs: &[(NodeId, NodeId)]) -> YamlNode<'t> {
        let start = self.pairs.len();
        self.pairs.extend_from_slice(pairs);
        YamlNode::Mapping(start..self.pairs.len())
    }

    fn add(&mut self, node: YamlNode<'t>) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}
