//! The form in which tools write `aws-auth`, read in one pass over its bytes:
//!
//! ```yaml
//! - rolearn: arn:aws:iam::111122223333:role/node
//!   username: system:node:{{EC2PrivateDNSName}}
//!   groups:
//!   - "system:nodes"
//! ```
//!
//! This is a small part of YAML, in which every reader reads the same. Whatever else stands in a text
//! is left to the parser, which takes about thirty times as long.

use std::borrow::Cow;

use super::{NodeId, Tree, YamlNode, scalar::resolve};

/// The bytes that a key or a value without quotes may have. Every byte is looked up.
const KEY: u128 = bytes(b"_-./", 0);
const VALUE: u128 = bytes(b":+=,@{}", KEY);

/// Letters and digits of ASCII, these bytes and others, a bit for each.
const fn bytes(mut these: &[u8], others: u128) -> u128 {
    let mut bits = others;
    let mut byte: u8 = 0;
    while byte.is_ascii() {
        if byte.is_ascii_alphanumeric() {
            bits |= 1 << byte;
        }
        byte += 1;
    }
    while let [first, rest @ ..] = these {
        bits |= 1 << *first;
        these = rest;
    }
    bits
}

/// The largest length of a text, in bytes. Longer texts are left to the parser, which refuses them: no
/// ConfigMap has more.
const BLOCK_TEXT_BYTES_MAX: usize = 1 << 20;
/// The largest number of nodes that are read. An item that AWS documents has twelve, in 150 bytes.
const BLOCK_NODES_MAX: usize = 100_000;
/// The largest number of values in the list of an item: a role is in a few groups.
const LIST_MAX: usize = 1_000;
/// The largest length of a key, in bytes. Longer keys are left to the parser.
const KEY_BYTES_MAX: usize = 64;

/// Reads a text of this form; `None` if it has another one.
pub(super) fn read(text: &str) -> Option<Tree<'_>> {
    if text.len() > BLOCK_TEXT_BYTES_MAX {
        return None;
    }
    // Without a way out in the middle, a chunk is looked at in one go.
    let is_plain = |chunk: &[u8]| {
        chunk.iter().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~' | b'\n'))
    };
    if !text.as_bytes().chunks(64).all(is_plain) {
        return None;
    }
    let lines = text.bytes().filter(|byte| *byte == b'\n').count().min(BLOCK_NODES_MAX);
    let mut reader = Reader::with_capacity(lines);
    let mut is_first = true;
    for line in text.split('\n') {
        let indent = line.bytes().take_while(|byte| *byte == b' ').count();
        let content = line.get(indent..)?;
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let is_marker = is_first && line == "---";
        is_first = false;
        if !is_marker {
            reader.line(indent, content)?;
        }
        if reader.tree.nodes.len() > BLOCK_NODES_MAX {
            return None;
        }
    }
    reader.finish()
}

struct Reader<'t> {
    tree: Tree<'t>,
    items: Vec<NodeId>,
    /// The indentation of the item that is being read.
    indent: Option<usize>,
    /// The keys and values of this item so far.
    pairs: Vec<(NodeId, NodeId)>,
    open: Option<Open>,
    /// The list of `open` so far.
    list: Vec<NodeId>,
}

/// A key without a value on its line.
struct Open {
    key: NodeId,
    /// The indentation of its list.
    indent: Option<usize>,
}

impl<'t> Reader<'t> {
    fn with_capacity(lines: usize) -> Self {
        let mut tree = Tree::default();
        // A line has a key and a value. Its item is one more, and a line without a value one less.
        tree.nodes.reserve(2 * lines + lines / 2);
        tree.pairs.reserve(lines);
        let (items, pairs, list) = (Vec::new(), Vec::new(), Vec::new());
        Self { tree, items, indent: None, pairs, open: None, list }
    }

    fn line(&mut self, indent: usize, content: &'t str) -> Option<()> {
        match content.strip_prefix("- ") {
            Some(rest) if indent == 0 => {
                self.close_item();
                let first = rest.trim_start_matches(' ');
                self.indent = Some(content.len() - first.len());
                self.entry(first)
            }
            Some(rest) => self.list_item(indent, rest),
            None if self.indent == Some(indent) => {
                self.close_list();
                self.entry(content)
            }
            None => None,
        }
    }

    /// Reads `key: value`, or `key:` with a list or nothing on the next lines.
    fn entry(&mut self, content: &'t str) -> Option<()> {
        let (key, rest) = scalar(content, true)?;
        let rest = rest.strip_prefix(':')?;
        let YamlNode::Text(name) = &key else { return None };
        if name.len() > KEY_BYTES_MAX {
            return None;
        }
        let value = rest.trim_start_matches(' ');
        let is_separated = value.len() < rest.len();
        let is_open = value.is_empty() || (is_separated && value.starts_with('#'));
        if !is_open && !is_separated {
            return None;
        }
        let key = self.tree.add(key);
        if is_open {
            self.open = Some(Open { key, indent: None });
        } else {
            let value = self.tree.add(whole_scalar(value)?);
            self.pairs.push((key, value));
        }
        Some(())
    }

    fn list_item(&mut self, indent: usize, rest: &'t str) -> Option<()> {
        let open = self.open.as_mut()?;
        if indent < self.indent? || *open.indent.get_or_insert(indent) != indent {
            return None;
        }
        let value = whole_scalar(rest.trim_start_matches(' '))?;
        if self.list.len() == LIST_MAX {
            return None;
        }
        self.list.push(self.tree.add(value));
        Some(())
    }

    fn close_list(&mut self) {
        if let Some(Open { key, .. }) = self.open.take() {
            let list = match self.list.as_slice() {
                [] => YamlNode::Null,
                list => self.tree.add_sequence(list),
            };
            self.list.clear();
            let list = self.tree.add(list);
            self.pairs.push((key, list));
        }
    }

    fn close_item(&mut self) {
        self.close_list();
        if self.indent.is_some() {
            let item = self.tree.add_mapping(&self.pairs);
            self.pairs.clear();
            self.items.push(self.tree.add(item));
        }
    }

    fn finish(mut self) -> Option<Tree<'t>> {
        self.close_item();
        if self.items.is_empty() {
            return None;
        }
        let root = self.tree.add_sequence(&self.items);
        self.tree.root = Some(self.tree.add(root));
        Some(self.tree)
    }
}

/// A scalar that ends with its line, or before a comment.
fn whole_scalar(text: &str) -> Option<YamlNode<'_>> {
    let (node, rest) = scalar(text, false)?;
    let end = rest.trim_start_matches(' ');
    let is_comment = end.starts_with('#') && end.len() < rest.len();
    (end.is_empty() || is_comment).then_some(node)
}

/// The scalar at the beginning of a line's content, and what follows it.
fn scalar(text: &str, is_key: bool) -> Option<(YamlNode<'_>, &str)> {
    let first = *text.as_bytes().first()?;
    if first == b'"' || first == b'\'' {
        let inside = text.get(1..)?;
        let end = inside.bytes().position(|byte| byte == first || byte == b'\\')?;
        // No escape of either kind: neither `\"` nor `''`.
        let rest = inside.get(end..)?.strip_prefix(char::from(first))?;
        if rest.starts_with(char::from(first)) {
            return None;
        }
        return Some((YamlNode::Text(Cow::Borrowed(inside.get(..end)?)), rest));
    }
    let parts = if is_key { KEY } else { VALUE };
    let is_part = |byte: u8| byte.is_ascii() && (parts >> byte) & 1 == 1;
    let end = text.bytes().position(|byte| !is_part(byte)).unwrap_or(text.len());
    let (plain, rest) = text.split_at_checked(end)?;
    let begins_plain = first.is_ascii_alphanumeric() || matches!(first, b'_' | b'/');
    if !begins_plain || plain.ends_with(':') {
        return None;
    }
    Some((resolve(Cow::Borrowed(plain)).ok()?, rest))
}
