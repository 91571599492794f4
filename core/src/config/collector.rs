//! The mistakes in a file, as they are found.

use super::{diagnostic::Diagnostic, path::KeyPath};

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
    /// Creates a collector without mistakes; messages call the file by this noun.
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
    pub(super) fn is_broken(&self, path: &KeyPath) -> bool {
        self.broken.iter().any(|broken| broken.is_within(path) || path.is_within(broken))
    }

    pub(super) fn as_slice(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}
