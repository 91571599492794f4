//! A place in the file while the config is looked at, and the report that mistakes go to.

use super::{
    diagnostic::{Diagnostic, DiagnosticSeverity, Span},
    path::KeyPath,
    tree::{TreeEntry, TreeNode, Value},
};

/// A key of the config, whether the file has it or not.
#[derive(Clone, Debug)]
pub(super) struct TreeCursor<'t> {
    node: Option<&'t TreeNode>,
    path: KeyPath,
    /// Where to point at: for a key that the file does not have, at what would hold it.
    focus: Span,
    /// Whether the file has the key, or a mapping below the top level that would hold it.
    has_line: bool,
}

impl<'t> TreeCursor<'t> {
    pub(super) fn root(node: Option<&'t TreeNode>) -> Self {
        let focus = node.map_or(Span::START, TreeNode::focus);
        Self { node, path: KeyPath::default(), focus, has_line: true }
    }

    /// A key of the mapping at this place.
    pub(super) fn key(&self, key: &str) -> Self {
        let entry = self.node.and_then(|node| node.entry(key));
        Self {
            node: entry.map(|entry| &entry.node),
            path: self.path.key(key),
            focus: entry.map_or(self.focus, TreeEntry::focus),
            has_line: entry.is_some() || (self.has_line && !self.path.as_str().is_empty()),
        }
    }

    /// An item of the list at this place.
    pub(super) fn index(&self, index: usize) -> Self {
        let item = match self.node.map(|node| &node.value) {
            Some(Value::Sequence(items)) => items.get(index),
            _ => None,
        };
        Self {
            node: item,
            path: self.path.index(index),
            focus: item.map_or(self.focus, TreeNode::focus),
            has_line: self.has_line,
        }
    }

    /// The items of a list with their places.
    pub(super) fn items<'r, T>(
        &self,
        items: &'r [T],
    ) -> impl Iterator<Item = (Self, &'r T)> + use<'_, 't, 'r, T> {
        items.iter().enumerate().map(|(index, item)| (self.index(index), item))
    }

    /// Whether the file has this key.
    pub(super) fn is_present(&self) -> bool {
        self.node.is_some()
    }

    /// Where to point at.
    pub(super) fn focus(&self) -> Span {
        self.focus
    }

    /// The way here.
    pub(super) fn path(&self) -> &KeyPath {
        &self.path
    }

    /// An error at this place.
    pub(super) fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(DiagnosticSeverity::Error, self.path.as_str(), self.focus, message.into())
    }

    /// A warning at this place.
    pub(super) fn warning(&self, message: impl Into<String>) -> Diagnostic {
        let severity = DiagnosticSeverity::Warning;
        let warning = Diagnostic::new(severity, self.path.as_str(), self.focus, message.into());
        Diagnostic { has_line: self.has_line, ..warning }
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct DiagnosticCollector {
    diagnostics: Vec<Diagnostic>,
    /// The paths that the check of the structure removed, so that later checks do not report them as missing.
    broken: Vec<KeyPath>,
}

impl DiagnosticCollector {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Notes that what the file has at this place is not in what is looked at further.
    pub(super) fn mark_broken(&mut self, path: KeyPath) {
        self.broken.push(path);
    }

    /// Whether something at this place or below it was taken out.
    pub(super) fn is_broken(&self, place: &TreeCursor<'_>) -> bool {
        self.broken
            .iter()
            .any(|broken| broken.is_within(place.path()) || place.path().is_within(broken))
    }

    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}
