//! `poolguard version`: the commit, compiler and target that this binary was built from.

use std::{io::Write, process::ExitCode};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::page::{FAINT, HEADING, Styled, Table};
use crate::telemetry::metrics::REVISION;

/// Show the version, and what this binary was built from: commit, compiler and target.
///
/// Include the output in a bug report. `poolguard --version` prints the version only.
#[derive(Args, Debug)]
pub(super) struct VersionCommand {
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table for people
    Table,
    /// One JSON object
    Json,
}

/// The build of this binary.
#[derive(Serialize)]
struct Build {
    version: &'static str,
    /// The git commit; `None` if the build did not set it.
    commit: Option<&'static str>,
    /// The version of the compiler.
    rust: &'static str,
    target: &'static str,
    features: Vec<&'static str>,
}

/// Returns the features in which two builds of a commit for one target can differ, each with whether this
/// build has it.
fn features() -> [(&'static str, bool); 2] {
    let is_debug = env!("POOLGUARD_PROFILE") == "debug";
    [("static", cfg!(target_feature = "crt-static")), ("debug", is_debug)]
}

impl Build {
    fn of_this_binary() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: (!REVISION.is_empty()).then_some(REVISION),
            rust: env!("POOLGUARD_RUSTC"),
            target: env!("POOLGUARD_TARGET"),
            features: features().into_iter().filter(|(_, is_on)| *is_on).map(|it| it.0).collect(),
        }
    }

    fn table(&self) -> String {
        let Self { version, commit, rust, target, features } = self;
        let mut table = Table::indented(2);
        let features = features.join(", ");
        for (name, value) in [
            ("commit", commit.unwrap_or("unknown")),
            ("rust", rust),
            ("target", target),
            ("features", if features.is_empty() { "none" } else { &features }),
        ] {
            table.row([(FAINT, name.to_owned()), (anstyle::Style::new(), value.to_owned())]);
        }
        format!("{}\n{table}", Styled(HEADING, format!("poolguard {version}")))
    }
}

impl VersionCommand {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let build = Build::of_this_binary();
        let mut out = anstream::stdout();
        match self.output {
            Output::Table => write!(out, "{}", build.table())?,
            Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&build)?)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
