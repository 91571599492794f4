//! YAML text as a tree whose nodes know where they are.
//!
//! Only what a config or a policy test needs: mappings with string keys, sequences, scalars of the core schema of
//! YAML 1.2, in which `off`, `no` and `yes` are strings. Aliases, merge keys and tags are errors: nothing expands, and
//! nothing can be read in two ways. JSON is YAML.

use std::{borrow::Cow, collections::HashMap};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span as YamlSpan, Tag, options};

use super::{
    collector::DiagnosticCollector,
    diagnostic::{Diagnostic, DiagnosticSeverity, Span},
    path::KeyPath,
};

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct TreeNode {
    pub(super) value: Value,
    pub(super) span: Span,
}

/// The content of a node.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// An absent value, `null` or `~`.
    Null,
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    String(String),
    Sequence(Vec<TreeNode>),
    Mapping(Vec<TreeEntry>),
    /// Something that a diagnostic has already refused.
    Refused,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct TreeEntry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) node: TreeNode,
}

impl TreeNode {
    /// The entry of a mapping with this key.
    pub(super) fn entry(&self, key: &str) -> Option<&TreeEntry> {
        let Value::Mapping(entries) = &self.value else { return None };
        entries.iter().find(|entry| entry.key == key)
    }

    /// The place to point at: what fits on one line as a whole, else its beginning.
    pub(super) fn focus(&self) -> Span {
        if !self.is_longer_than_a_line() {
            return self.span;
        }
        let first = match &self.value {
            Value::Mapping(entries) => entries.first().map(|entry| entry.key_span),
            Value::Sequence(items) => items.first().map(Self::focus),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Refused => {
                None
            }
        };
        first.unwrap_or(self.span)
    }

    /// Whether the node has more than one line. Its last line is not recorded: it is that of its last part.
    fn is_longer_than_a_line(&self) -> bool {
        match &self.value {
            Value::Mapping(entries) => entries.last().is_some_and(|entry| {
                entry.key_span.line > self.span.line
                    || entry.node.span.line > self.span.line
                    || entry.node.is_longer_than_a_line()
            }),
            Value::Sequence(items) => items.last().is_some_and(|item| {
                item.span.line > self.span.line || item.is_longer_than_a_line()
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Refused => {
                false
            }
        }
    }
}

impl TreeEntry {
    /// The place to point at for the value: the key, if the value is empty or spans lines.
    pub(super) fn focus(&self) -> Span {
        let Span { start, end, line, .. } = self.node.span;
        let is_far = line > self.key_span.line || self.node.is_longer_than_a_line();
        if start == end || (is_far && !self.node.value.is_scalar()) {
            self.key_span
        } else {
            self.node.span
        }
    }
}

impl Value {
    fn is_scalar(&self) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Refused => true,
            Self::Sequence(_) | Self::Mapping(_) => false,
        }
    }

    /// The value as a message names it: `the number 1`, `a list`.
    pub(super) fn describe(&self) -> Cow<'static, str> {
        match self {
            Self::Null => "nothing".into(),
            Self::Bool(value) => value.to_string().into(),
            Self::Number(text) => format!("the number {text}").into(),
            Self::String(text) => format!("the string `{text}`").into(),
            Self::Sequence(_) => "a list".into(),
            Self::Mapping(_) => "a mapping".into(),
            Self::Refused => "an unsupported value".into(),
        }
    }
}

/// The largest number of bytes of a text: a ConfigMap cannot hold more.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// The largest depth of nested collections: no key of the config is as deep, and recursion over the tree is safe.
const DEPTH_MAX: usize = 32;

/// Reads YAML; `None` if the text cannot be read to its end. Keys and values that are refused leave
/// the rest readable.
pub(super) fn parse(text: &str, report: &mut DiagnosticCollector) -> Option<TreeNode> {
    let mut builder = Builder { root: None, stack: Vec::new(), documents: 0, report };
    if text.len() > TEXT_BYTES_MAX {
        builder
            .refuse(Span::START, "is larger than 1 MiB, the limit of PoolGuard and of a ConfigMap");
        return None;
    }
    let options = options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((event, span)) => {
                if !builder.apply(event, to_span(span)) {
                    break;
                }
            }
            Err(error) => {
                builder.report.push(syntax_error(text, &error));
                return None;
            }
        }
    }
    Some(builder.root.unwrap_or(TreeNode { value: Value::Null, span: Span::START }))
}

fn to_span(span: YamlSpan) -> Span {
    let bytes = span.byte_range().unwrap_or_default();
    Span {
        start: bytes.start,
        end: bytes.end,
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

fn syntax_error(text: &str, error: &ScanError) -> Diagnostic {
    let marker = error.marker();
    let start = marker.byte_offset().unwrap_or(text.len());
    let span = Span { start, end: start + 1, line: marker.line(), column: marker.col() + 1 };
    let message = format!("this is not YAML: {}", error.info());
    Diagnostic::new(DiagnosticSeverity::Error, "", span, message)
        .with_help("check the indentation of this line and of the lines above and below (spaces, no tabs), put text that contains `: ` in quotes, and close every `[`, `{` and quotation mark")
}

/// A collection that is not complete yet.
#[derive(Debug)]
enum Frame {
    Sequence { span: Span, items: Vec<TreeNode> },
    Mapping { span: Span, entries: Vec<TreeEntry>, seen: HashMap<String, Span>, key: PendingKey },
}

/// The state of a mapping that is being read: the part that comes next.
#[derive(Debug)]
enum PendingKey {
    /// The next part is a key.
    None,
    /// The next part is the value of this key.
    Some(String, Span),
    /// The next part is the value of a refused key.
    Refused,
}

#[derive(Debug)]
struct Builder<'r> {
    root: Option<TreeNode>,
    stack: Vec<Frame>,
    documents: usize,
    report: &'r mut DiagnosticCollector,
}

impl Builder<'_> {
    /// Takes the next event; returns false if the rest must not be read.
    fn apply(&mut self, event: Event<'_>, span: Span) -> bool {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.refuse(span, "has a second YAML document; write one document only");
                    return false;
                }
            }
            Event::Scalar(text, style, _, tag) => {
                let value = self.scalar(&text, style, tag.as_deref(), span);
                self.attach(TreeNode { value, span });
            }
            Event::SequenceStart(_, _, tag) => {
                self.check_tag(tag.as_deref(), span);
                self.stack.push(Frame::Sequence { span, items: Vec::new() });
            }
            Event::MappingStart(_, _, tag) => {
                self.check_tag(tag.as_deref(), span);
                self.stack.push(Frame::Mapping {
                    span,
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: PendingKey::None,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(frame) = self.stack.pop() {
                    self.attach(frame.close(span));
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.refuse(
                    span,
                    "uses a YAML alias, which PoolGuard does not support: write the \
                 value itself",
                );
                self.attach(TreeNode { value: Value::Refused, span });
            }
            // The rest, to which later versions may add, is presentation.
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::Comment(..)
            | _ => {}
        }
        true
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Value {
        match tag {
            Some(tag) if tag.is_yaml_core_schema_tag("str") => Value::String(text.to_owned()),
            Some(_) => {
                self.check_tag(tag, span);
                Value::Refused
            }
            None if style == ScalarStyle::Plain => resolve(text),
            None => Value::String(text.to_owned()),
        }
    }

    fn check_tag(&mut self, tag: Option<&Tag>, span: Span) {
        if let Some(tag) = tag
            && !tag.is_yaml_core_schema_tag("map")
            && !tag.is_yaml_core_schema_tag("seq")
        {
            let what =
                format!("uses the YAML tag `{}`, which PoolGuard does not support", tag.original());
            self.refuse(span, &what);
        }
    }

    /// Puts a complete node where it belongs.
    fn attach(&mut self, node: TreeNode) {
        let refusal = match self.stack.last_mut() {
            None => {
                self.root = Some(node);
                return;
            }
            Some(Frame::Sequence { items, .. }) => {
                items.push(node);
                return;
            }
            Some(Frame::Mapping { entries, seen, key, .. }) => {
                match std::mem::replace(key, PendingKey::None) {
                    PendingKey::Some(key, key_span) => {
                        entries.push(TreeEntry { key, key_span, node });
                        return;
                    }
                    PendingKey::Refused => return,
                    PendingKey::None => match read_key(node, seen) {
                        Ok((text, span)) => {
                            seen.insert(text.clone(), span);
                            *key = PendingKey::Some(text, span);
                            return;
                        }
                        Err(refusal) => {
                            *key = PendingKey::Refused;
                            refusal
                        }
                    },
                }
            }
        };
        if let Some(refusal) = refusal {
            let path = self.path();
            self.report.push(Diagnostic { key: path.to_string(), ..*refusal });
        }
    }

    fn refuse(&mut self, span: Span, what: &str) {
        let path = self.path();
        let message = match path.as_str() {
            "" => format!("{} {what}", self.report.noun()),
            path => format!("`{path}` {what}"),
        };
        self.report.push(Diagnostic::new(DiagnosticSeverity::Error, path.as_str(), span, message));
    }

    /// The key of the node that is being read.
    fn path(&self) -> KeyPath {
        self.stack.iter().fold(KeyPath::default(), |path, frame| match frame {
            Frame::Sequence { items, .. } => path.index(items.len()),
            Frame::Mapping { key: PendingKey::Some(key, _), .. } => path.key(key),
            Frame::Mapping { .. } => path,
        })
    }
}

impl Frame {
    fn close(self, end: Span) -> TreeNode {
        match self {
            Self::Sequence { span, items } => {
                let last = items.last().map(|item| item.span.end);
                let span = Span { end: end_of(end, last, span), ..span };
                TreeNode { value: Value::Sequence(items), span }
            }
            Self::Mapping { span, entries, .. } => {
                let last = entries.last().map(|entry| entry.node.span.end);
                let span = Span { end: end_of(end, last, span), ..span };
                TreeNode { value: Value::Mapping(entries), span }
            }
        }
    }
}

/// Returns the end of a collection. A flow collection ends with its bracket. A block collection, whose end
/// event is empty, ends with its last part.
fn end_of(end: Span, last: Option<usize>, start: Span) -> usize {
    if end.end > end.start { end.end } else { last.unwrap_or(start.end) }
}

/// Reads a node as a key. The error says why it is none; it is `None` if a diagnostic has said that already.
fn read_key(
    node: TreeNode,
    seen: &HashMap<String, Span>,
) -> Result<(String, Span), Option<Box<Diagnostic>>> {
    let span = node.focus();
    let refusal = |message: String| Diagnostic::new(DiagnosticSeverity::Error, "", span, message);
    let key = match node.value {
        Value::String(key) => key,
        Value::Refused => return Err(None),
        value @ (Value::Bool(_) | Value::Number(_)) => {
            let refusal = refusal(format!("a key must be a string, not {}", value.describe()));
            return Err(Some(Box::new(refusal.with_help("put it in quotes"))));
        }
        value @ (Value::Null | Value::Sequence(_) | Value::Mapping(_)) => {
            let refusal = refusal(format!("a key must be a string, not {}", value.describe()));
            return Err(Some(Box::new(refusal)));
        }
    };
    if key == "<<" {
        let message = "PoolGuard does not support YAML merge keys (`<<`): write the keys \
         themselves"
            .to_owned();
        return Err(Some(Box::new(refusal(message))));
    }
    if let Some(first) = seen.get(&key) {
        let refusal = refusal(format!("the key `{key}` occurs twice"));
        return Err(Some(Box::new(refusal.with_related(*first, "the first one is here"))));
    }
    Ok((key, span))
}

/// Returns the value that a plain scalar stands for in the core schema.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if is_number(text) => Value::Number(text.to_owned()),
        _ => Value::String(text.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    let in_radix = |prefix, radix| {
        text.strip_prefix(prefix).is_some_and(|digits: &str| {
            !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix))
        })
    };
    let is_decimal = text.bytes().any(|byte| byte.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'))
        && text.parse::<f64>().is_ok();
    is_decimal || in_radix("0x", 16) || in_radix("0o", 8)
}
