//! A file in another format of PoolGuard, such as a policy test: read as the config is, with the place of every
//! mistake.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    collector::DiagnosticCollector,
    cursor::TreeCursor,
    decode,
    diagnostic::{ConfigSource, Diagnostic, Diagnostics},
    tree::{self, TreeNode},
};

/// A format of files.
#[derive(Clone, Copy, Debug)]
pub struct FileFormat {
    /// The name of such a file in messages, for example `the config`.
    pub noun: &'static str,
    /// Its JSON Schema.
    pub schema: &'static Value,
}

/// The text of a file, with the place of each key and the mistakes that were found.
#[derive(Debug)]
pub struct SourceFile {
    name: String,
    text: String,
    root: Option<TreeNode>,
    report: DiagnosticCollector,
}

impl SourceFile {
    /// Reads a file, with its value as far as the schema allows it. There is no value if the text is not YAML or
    /// JSON.
    pub fn read<T: DeserializeOwned>(
        name: String,
        text: String,
        format: FileFormat,
    ) -> (Self, Option<T>) {
        let mut report = DiagnosticCollector::new(format.noun);
        let root = tree::parse(&text, &mut report);
        let value = root.as_ref().and_then(|root| decode(root, format.schema, &mut report));
        (Self { name, text, root, report }, value)
    }

    /// The place of the whole file.
    pub fn root(&self) -> TreeCursor<'_> {
        TreeCursor::root(self.root.as_ref())
    }

    /// Whether the schema does not allow something at this place or below it.
    pub fn is_broken(&self, place: &TreeCursor<'_>) -> bool {
        self.report.is_broken(place.path())
    }

    /// Adds mistakes that the schema does not show.
    pub fn add(&mut self, mistakes: Vec<Diagnostic>) {
        for mistake in mistakes {
            self.report.push(mistake);
        }
    }

    /// The mistakes so far by position; `None` if there are none.
    pub fn mistakes(&self) -> Option<Diagnostics> {
        let mut mistakes = self.report.as_slice().to_vec();
        mistakes.sort_by_key(|mistake| mistake.span.start);
        let source = ConfigSource { name: &self.name, text: &self.text };
        (!mistakes.is_empty()).then(|| Diagnostics::new(source, mistakes))
    }
}
