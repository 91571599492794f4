//! A place in a file while the file is checked, and the errors and warnings that point at it.

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
