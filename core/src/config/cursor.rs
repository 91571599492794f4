//! A place in a file while the file is checked, and the report that mistakes go to.

use super::{
    diagnostic::{Diagnostic, DiagnosticSeverity, Span},
    path::KeyPath,
    tree::{TreeEntry, TreeNode, Value},
};

/// A key of a file, whether the file has it or not.
#[derive(Clone, Debug)]
pub struct TreeCursor<'t> {
    node: Option<&'t TreeNode>,
    path: KeyPath,
    /// The place that messages point at. For a key that the file does not have, it is the mapping that would
    /// hold the key.
    focus: Span,
    /// The key itself, if the file has one here.
    key: Option<Span>,
    /// Whether the file has the key, or a mapping below the top level that would hold it.
    has_line: bool,
}

impl<'t> TreeCursor<'t> {
    pub(super) fn root(node: Option<&'t TreeNode>) -> Self {
        let focus = node.map_or(Span::START, TreeNode::focus);
        Self { node, path: KeyPath::default(), focus, key: None, has_line: true }
    }

    /// A key of the mapping at this place.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let entry = self.node.and_then(|node| node.entry(key));
        Self {
            node: entry.map(|entry| &entry.node),
            path: self.path.key(key),
            focus: entry.map_or(self.focus, TreeEntry::focus),
            key: entry.map(|entry| entry.key_span),
            has_line: entry.is_some() || (self.has_line && !self.path.as_str().is_empty()),
        }
    }

    /// An item of the list at this place.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let item = match self.node.map(|node| &node.value) {
            Some(Value::Sequence(items)) => items.get(index),
            _ => None,
        };
        Self {
            node: item,
            path: self.path.index(index),
            focus: item.map_or(self.focus, TreeNode::focus),
            key: None,
            has_line: self.has_line,
        }
    }

    /// The items of a list with their places.
    pub fn items<'r, T>(
        &self,
        items: &'r [T],
    ) -> impl Iterator<Item = (Self, &'r T)> + use<'_, 't, 'r, T> {
        items.iter().enumerate().map(|(index, item)| (self.index(index), item))
    }

    /// Whether the file has this key.
    pub(super) fn is_present(&self) -> bool {
        self.node.is_some()
    }

    /// The place that messages point at.
    pub(super) fn focus(&self) -> Span {
        self.focus
    }

    /// The path of this place.
    pub(super) fn path(&self) -> &KeyPath {
        &self.path
    }

    /// An error at this place.
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(DiagnosticSeverity::Error, self.path.as_str(), self.focus, message.into())
    }

    /// An error about the key at this place, and not about its value.
    pub fn key_error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic { span: self.key.unwrap_or(self.focus), ..self.error(message) }
    }

    /// A warning at this place.
    pub(super) fn warning(&self, message: impl Into<String>) -> Diagnostic {
        let severity = DiagnosticSeverity::Warning;
        let warning = Diagnostic::new(severity, self.path.as_str(), self.focus, message.into());
        Diagnostic { has_line: self.has_line, ..warning }
    }
}

/// The mistakes that were found so far in one file.
#[derive(Debug)]
pub(super) struct DiagnosticCollector {
    /// The name of the file in messages, as in [`super::FileFormat`].
    noun: &'static str,
    diagnostics: Vec<Diagnostic>,
    /// The paths that the check of the structure removed, so that later checks do not report them as missing.
    broken: Vec<KeyPath>,
}

impl DiagnosticCollector {
    /// Creates a report without mistakes; messages call the file by this noun.
    pub(super) fn new(noun: &'static str) -> Self {
        Self { noun, diagnostics: Vec::new(), broken: Vec::new() }
    }

    /// `the config`: the name of the file in messages.
    pub(super) fn noun(&self) -> &'static str {
        self.noun
    }

    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Marks a place as broken: later checks do not see the value that the file has there.
    pub(super) fn mark_broken(&mut self, path: KeyPath) {
        self.broken.push(path);
    }

    /// Whether something at this place or below it was taken out.
    pub(super) fn is_broken(&self, place: &TreeCursor<'_>) -> bool {
        self.broken
            .iter()
            .any(|broken| broken.is_within(place.path()) || place.path().is_within(broken))
    }

    pub(super) fn as_slice(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}
