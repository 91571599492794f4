//! The reader of any text as a tree. It checks the events of the parser against what Go reads.

use std::{borrow::Cow, collections::HashMap};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle, Tag, options};

use super::{
    DEPTH_MAX, NODES_MAX, NodeId, TEXT_BYTES_MAX, Tree, UNFOLDED_MAX, UnreadableYaml, YamlNode,
    scalar::resolve,
    strict::{
        check_alias, check_anchor, check_beginning, check_characters, check_end, check_key,
        check_scalar, check_tabs, check_tabs_within,
    },
};

/// The most anchors, which cost the parser more than other nodes.
const ANCHORS_MAX: usize = 500;
/// The longest number as a key, which certainly fits 64 bits and a sign.
const NUMBER_BYTES_MAX: usize = 18;

/// Reads the first document of a text.
pub(super) fn read(text: &str) -> Result<Tree<'_>, UnreadableYaml> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(UnreadableYaml::new(format!(
            "it is longer than {} KiB and not a plain list with one key per line",
            TEXT_BYTES_MAX >> 10
        )));
    }
    // Go skips the mark of a byte order before the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check_characters(text)?;
    check_beginning(text)?;
    let options = options! {
        disallow_directives: true,
        block_scalar_eof_without_line_feed: true,
        emit_anchor_events: true,
        emit_comments: false,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut builder = Builder::new(text);
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| syntax_error(&error))?;
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        builder.apply(event, span)?;
    }
    check_tabs(text, &builder.may_hold_tabs)?;
    Ok(builder.tree)
}

/// Creates the error about text that is not YAML. The parser's own words are for programmers, so they are left
/// out.
fn syntax_error(error: &ScanError) -> UnreadableYaml {
    let marker = error.marker();
    UnreadableYaml::new(format!("line {}, column {} is not YAML", marker.line(), marker.col() + 1))
}

/// A collection that is not complete yet.
struct Frame {
    anchor: usize,
    start: usize,
    is_flow: bool,
    children: Children,
}

enum Children {
    Sequence(Vec<NodeId>),
    /// The pairs, and the key whose value comes next.
    Mapping(Vec<(NodeId, NodeId)>, Option<NodeId>),
}

/// The size of a node once its aliases are followed.
#[derive(Clone, Copy)]
struct Size {
    /// The number of nodes: the node itself, its descendants, and those that aliases name among them.
    nodes: u64,
    /// The depth, with aliases followed.
    depth: usize,
}

struct Builder<'t> {
    text: &'t str,
    tree: Tree<'t>,
    stack: Vec<Frame>,
    sizes: Vec<Size>,
    anchors: HashMap<usize, NodeId>,
    /// Byte ranges of quoted scalars and of outermost collections in brackets.
    may_hold_tabs: Vec<(usize, usize)>,
    unfolding: Unfolding,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            tree: Tree::default(),
            stack: Vec::new(),
            sizes: Vec::new(),
            anchors: HashMap::new(),
            may_hold_tabs: Vec::new(),
            unfolding: Unfolding::default(),
        }
    }

    fn apply(&mut self, event: Event<'t>, span: Span) -> Result<(), UnreadableYaml> {
        let bytes = span.byte_range().unwrap_or_default();
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let has_property = tag.is_some() || (anchor != 0 && self.is_in_flow());
                if has_property && self.expects_key() {
                    return Err(UnreadableYaml::new("a key has a tag or an anchor"));
                }
                self.check_scalar(style, bytes.start, bytes.end)?;
                let node = scalar(text, style, tag.as_deref())?;
                self.attach(node, anchor, bytes.start, bytes.end)
            }
            Event::SequenceStart(style, anchor, _) => {
                self.open(Children::Sequence(Vec::new()), style, anchor, bytes.start);
                Ok(())
            }
            Event::MappingStart(style, anchor, _) => {
                self.open(Children::Mapping(Vec::new(), None), style, anchor, bytes.start);
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(bytes.end),
            Event::Alias(anchor) => {
                check_alias(self.after(bytes.end))?;
                match self.anchors.get(&anchor) {
                    Some(target) => {
                        self.attach(YamlNode::Alias(*target), 0, bytes.start, bytes.end)
                    }
                    None => Err(UnreadableYaml::new("an anchor's value contains itself")),
                }
            }
            Event::Anchor(_, name) => check_anchor(&name, self.after(bytes.end)),
            // The rest, to which later versions may add, is presentation.
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::UnresolvedAlias(_)
            | Event::Comment(..)
            | _ => Ok(()),
        }
    }

    fn is_in_flow(&self) -> bool {
        self.stack.last().is_some_and(|frame| frame.is_flow)
    }

    fn expects_key(&self) -> bool {
        self.stack.last().is_some_and(|frame| matches!(frame.children, Children::Mapping(_, None)))
    }

    fn after(&self, end: usize) -> &'t str {
        self.text.get(end..).unwrap_or_default()
    }

    fn check_scalar(
        &mut self,
        style: ScalarStyle,
        start: usize,
        end: usize,
    ) -> Result<(), UnreadableYaml> {
        let source = self.text.get(start..end).unwrap_or_default();
        let rest = self.after(end);
        let is_quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
        if is_quoted && !self.is_in_flow() {
            self.may_hold_tabs.push((start, end));
        }
        // Where the whole list is in brackets, no line has to be indented.
        let is_all_flow = self.stack.first().is_some_and(|frame| frame.is_flow);
        if style == ScalarStyle::Plain && self.is_in_flow() && !is_all_flow {
            check_tabs_within(source, rest)?;
        }
        check_scalar(source, rest, style, self.is_in_flow())
    }

    fn open(&mut self, children: Children, style: StructureStyle, anchor: usize, start: usize) {
        let is_flow = style == StructureStyle::Flow;
        self.stack.push(Frame { anchor, start, is_flow, children });
    }

    fn close(&mut self, end: usize) -> Result<(), UnreadableYaml> {
        let Some(Frame { anchor, start, is_flow, children }) = self.stack.pop() else {
            return Ok(());
        };
        if is_flow && !self.is_in_flow() {
            // Quoted scalars inside of it are inside of it.
            self.may_hold_tabs.push((start, end));
        }
        let node = match children {
            Children::Sequence(items) => self.tree.add_sequence(&items),
            Children::Mapping(pairs, _) => self.tree.add_mapping(&pairs),
        };
        self.attach(node, anchor, start, end)
    }

    /// Adds a complete node, and puts it where it belongs.
    fn attach(
        &mut self,
        node: YamlNode<'t>,
        anchor: usize,
        start: usize,
        end: usize,
    ) -> Result<(), UnreadableYaml> {
        let size = self.size(&node);
        let aliased = if matches!(node, YamlNode::Alias(_)) { size.nodes - 1 } else { 0 };
        self.unfolding.add(1, aliased)?;
        if self.sizes.len() >= NODES_MAX
            || self.anchors.len() > ANCHORS_MAX
            || size.nodes > UNFOLDED_MAX
            || size.depth > DEPTH_MAX
        {
            return Err(UnreadableYaml::new("it has more nodes than PoolGuard reads"));
        }
        let id = self.tree.add(node);
        self.sizes.push(size);
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        match self.stack.last_mut().map(|frame| &mut frame.children) {
            None => {
                self.tree.root = Some(id);
                check_end(self.text, end)?;
            }
            Some(Children::Sequence(items)) => items.push(id),
            Some(Children::Mapping(pairs, key)) => {
                if let Some(key) = key.take() {
                    pairs.push((key, id));
                    self.check_merge(key, id)?;
                } else {
                    *key = Some(id);
                    self.check_key(id, start, end)?;
                }
            }
        }
        Ok(())
    }

    /// The size of a node whose children are sized already.
    fn size(&self, node: &YamlNode<'_>) -> Size {
        let mut whole = Size { nodes: 1, depth: 1 };
        let mut add = |id: &NodeId| {
            if let Some(part) = self.sizes.get(*id) {
                whole.nodes = whole.nodes.saturating_add(part.nodes);
                whole.depth = whole.depth.max(part.depth + 1);
            }
        };
        match node {
            YamlNode::Null | YamlNode::Text(_) | YamlNode::Other(_) | YamlNode::Merge => {}
            YamlNode::Sequence(place) => {
                self.tree.items.get(place.clone()).into_iter().flatten().for_each(add);
            }
            YamlNode::Mapping(place) => {
                let pairs = self.tree.pairs.get(place.clone()).into_iter().flatten();
                pairs.for_each(|(key, value)| {
                    add(key);
                    add(value);
                });
            }
            YamlNode::Alias(target) => add(target),
        }
        whole
    }

    /// Checks that Go allows this key: Go has no `null`, list or mapping as a key, and no integer of more than
    /// 63 bits.
    fn check_key(&self, key: NodeId, start: usize, end: usize) -> Result<(), UnreadableYaml> {
        let is_key = match self.tree.get(key) {
            Some(YamlNode::Text(_) | YamlNode::Merge) => true,
            Some(YamlNode::Other(text)) => text.len() <= NUMBER_BYTES_MAX,
            Some(
                YamlNode::Null | YamlNode::Sequence(_) | YamlNode::Mapping(_) | YamlNode::Alias(_),
            )
            | None => false,
        };
        if !is_key {
            return Err(UnreadableYaml::new("a key is not a string"));
        }
        check_key(self.after(start), end.saturating_sub(start))
    }

    /// Checks that a merge key merges only mappings.
    fn check_merge(&self, key: NodeId, value: NodeId) -> Result<(), UnreadableYaml> {
        // An alias of `<<` is a string.
        if self.tree.nodes.get(key) != Some(&YamlNode::Merge) {
            return Ok(());
        }
        let is_mapping = |id: &NodeId| self.tree.pairs(*id).is_some();
        // An alias of a list merges nothing.
        let is_alias = matches!(self.tree.nodes.get(value), Some(YamlNode::Alias(_)));
        let merges = match self.tree.list(value) {
            Some(items) if !is_alias => items.iter().all(is_mapping),
            _ => is_mapping(&value),
        };
        if merges {
            Ok(())
        } else {
            Err(UnreadableYaml::new("`<<` merges a value that is not a mapping"))
        }
    }
}

/// The value of a scalar. Go reads one with most tags as a string and rejects some.
fn scalar<'t>(
    text: Cow<'t, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<YamlNode<'t>, UnreadableYaml> {
    match tag {
        None if style == ScalarStyle::Plain => resolve(text),
        None => Ok(YamlNode::Text(text)),
        Some(tag) if tag.is_yaml_core_schema_tag("str") => Ok(YamlNode::Text(text)),
        Some(tag) => Err(UnreadableYaml::new(format!("it has the tag `{}`", tag.original()))),
    }
}

/// The number of nodes that a document unfolds to, and the number of those that come from aliases.
///
/// Go gives up on a document of which 99% come from aliases. It counts a little differently, so the
/// limit here is lower.
#[derive(Default)]
struct Unfolding {
    nodes: u64,
    aliased: u64,
}

impl Unfolding {
    fn add(&mut self, own: u64, aliased: u64) -> Result<(), UnreadableYaml> {
        self.nodes = self.nodes.saturating_add(own).saturating_add(aliased);
        self.aliased = self.aliased.saturating_add(aliased);
        let is_excessive =
            self.aliased > 100 && self.nodes > 1_000 && self.aliased > self.nodes / 100 * 95;
        if is_excessive || self.nodes > UNFOLDED_MAX {
            return Err(UnreadableYaml::new("its aliases expand to too many values"));
        }
        Ok(())
    }
}
