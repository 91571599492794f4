//! The configuration: text in, a checked [`Policy`] out.
//!
//! ```text
//! text ──tree──▶ nodes with places ──check──▶ Raw ──compile──▶ Policy, Settings
//!                        (against the schema)
//! ```
//!
//! Every mistake is found in one run, each with its line, column and key: what the structure check
//! takes out is reported once, and the rest is looked at all the same. Only a syntax error ends
//! early. The structure is described in one place, the mirror of the file in `raw`: its JSON Schema
//! is what is checked, printed and documented.

mod catalog;
mod check;
mod collector;
mod compile;
mod cursor;
mod diagnostic;
mod duration;
mod path;
mod presets;
mod raw;
mod schema;
mod source_file;
mod tree;

use std::time::Duration;

use serde::de::DeserializeOwned;

use self::{
    collector::DiagnosticCollector,
    raw::Raw,
    tree::{TreeNode, Value},
};
use crate::{
    kubernetes::resource::GroupResource,
    policy::{Policy, provider::Provider},
};

pub use self::{
    cursor::TreeCursor,
    diagnostic::{ConfigSource, Decoration, Diagnostic, DiagnosticSeverity, Diagnostics, Span},
    presets::{COMMON as COMMON_PRESET, preset_file},
    schema::{schema, schema_of},
    source_file::{FileFormat, SourceFile},
};

/// A config that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The policy, which decisions read.
    pub policy: Policy,
    /// The settings, which everything else reads.
    pub settings: ConfigSettings,
    /// Warnings about parts that the author may not have meant, by position.
    pub warnings: Vec<Diagnostic>,
}

/// The annotation that gives pods of a provider's service accounts their cloud identity, from the presets.
pub fn identity_annotation(provider: Provider) -> Option<&'static str> {
    presets::presets().of(provider)?.identity_annotations.first().map(String::as_str)
}

/// Returns a description of the user that AutoMQ's console is to the API server of a provider, as a sentence
/// without its end.
pub fn console_identity(provider: Option<Provider>) -> &'static str {
    presets::presets().console_identity(provider)
}

/// The custom resources that make nodes, and that PoolGuard knows.
pub fn node_pool_resources() -> impl Iterator<Item = GroupResource> {
    let known = presets::presets().node_pool_objects();
    known.filter_map(|object| GroupResource::parse(&object.resource).ok())
}

/// The labels that AutoMQ puts on its objects: keys, with the value where only one value counts.
pub fn automq_labels() -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    presets::presets().automq_labels.iter().map(|mark| (mark.key.as_str(), mark.value.as_deref()))
}

/// The settings of the config that are not part of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSettings {
    /// The largest age of the snapshot. If the snapshot is older, answers say that they rest on old facts.
    pub snapshot_max_age: Duration,
    /// The settings of the background scan.
    pub scan: ScanSettings,
    /// The writer of the webhook configurations.
    pub registration: RegistrationMode,
}

/// The settings of the background scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanSettings {
    /// Whether PoolGuard scans the cluster in the background.
    pub enabled: bool,
    /// Time between two scans.
    pub interval: Duration,
}

/// The writer of the webhook configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationMode {
    /// PoolGuard writes the webhook configurations, and restores them after a change.
    Managed,
    /// Users or their tools apply them; PoolGuard writes the `caBundle` only.
    External,
}

/// Reads a config.
///
/// `detected` is the provider as the nodes tell it; the config's own counts for more.
pub fn load(
    file_name: &str,
    text: &str,
    detected: Option<Provider>,
) -> Result<Loaded, Diagnostics> {
    let mut report = DiagnosticCollector::new("the config");
    let outcome = examine(text, detected, &mut report);
    let mut diagnostics = report.into_diagnostics();
    diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.severity));
    let is_usable = diagnostics.iter().all(|it| it.severity == DiagnosticSeverity::Warning);
    match outcome {
        Some((policy, settings)) if is_usable => {
            Ok(Loaded { policy, settings, warnings: diagnostics })
        }
        Some(_) | None => {
            Err(Diagnostics::new(ConfigSource { name: file_name, text }, diagnostics))
        }
    }
}

/// Reads a config as far as it can be read; the result is only good if no error was reported.
fn examine(
    text: &str,
    detected: Option<Provider>,
    report: &mut DiagnosticCollector,
) -> Option<(Policy, ConfigSettings)> {
    let node = tree::parse(text, report)?;
    let (raw, root) = match &node {
        TreeNode { value: Value::Null, .. } => (Raw::default(), TreeCursor::root(None)),
        TreeNode { value: Value::Mapping(entries), .. } if entries.is_empty() => {
            (Raw::default(), TreeCursor::root(None))
        }
        node => (decode(node, schema(), report)?, TreeCursor::root(Some(node))),
    };
    Some(compile::compile(&raw, &root, detected, report))
}

/// The value of a tree as far as the schema allows it. `None` after a mistake that the schema does not show.
fn decode<T: DeserializeOwned>(
    node: &TreeNode,
    schema: &serde_json::Value,
    report: &mut DiagnosticCollector,
) -> Option<T> {
    let value = check::check(node, schema, report);
    match serde_json::from_value(value) {
        Ok(value) => Some(value),
        Err(error) => {
            let message = format!("PoolGuard cannot read {}: {error}", report.noun());
            report.push(TreeCursor::root(Some(node)).error(message));
            None
        }
    }
}

#[cfg(test)]
mod tests;
