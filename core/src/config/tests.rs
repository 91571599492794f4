//! What configs say, and what is said about them.

mod files;
mod meaning;
mod policy;
mod random;
mod structure;
mod warnings;

use super::*;

/// The lines that every config begins with.
const HEAD: &str = "apiVersion: poolguard.io/v1alpha1\nkind: PoolGuardConfig\n";

/// A trusted console, so that a test about something else has no warning of its absence.
const CONSOLE: &str = "principals: {trusted: {users: [console]}}\n";

/// Loads a config with its first lines put before it.
fn load_body(body: &str) -> Result<Loaded, Diagnostics> {
    load("config.yaml", &format!("{HEAD}{CONSOLE}{body}"), None)
}

/// The policy of a config without mistakes.
#[track_caller]
fn policy_of(body: &str) -> Policy {
    match load_body(body) {
        Ok(loaded) => loaded.policy,
        Err(diagnostics) => panic!("{}", diagnostics.render(Decoration::Plain)),
    }
}

/// The errors of a config as people see them.
#[track_caller]
fn errors_of(text: &str) -> String {
    match load("config.yaml", text, None) {
        Ok(loaded) => panic!("no error in {loaded:?}"),
        Err(diagnostics) => diagnostics.render(Decoration::Plain),
    }
}

/// Every diagnostic of a config, one line each; the first three lines are not counted.
fn lines_of(body: &str) -> String {
    let diagnostics = match load_body(body) {
        Ok(loaded) => loaded.warnings,
        Err(diagnostics) => diagnostics.as_slice().to_vec(),
    };
    let shown: Vec<_> = diagnostics
        .into_iter()
        .map(|mut diagnostic| {
            diagnostic.span.line = diagnostic.span.line.saturating_sub(3);
            diagnostic.one_line("config.yaml").replace("config.yaml:", "")
        })
        .collect();
    shown.join("\n")
}
