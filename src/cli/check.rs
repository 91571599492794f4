//! `poolguard check`: is this cluster fit for AutoMQ?

mod json;
mod table;

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::ValueEnum;

use super::input::{ConfigText, read};
use crate::{
    cluster::inventory::{Inventory, Stock},
    fitness::{Fitness, Severity, examine, wanted},
};

/// Is this cluster fit for AutoMQ? Every constraint, with the command that mends what is wrong.
///
/// Reads a live cluster, or a dump of one. Exits with 0 if the cluster is fit, 1 if it is not (from
/// what severity up is what --fail-on says), 2 if it cannot be read. What the input does not hold is
/// unknown, and named.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// Config file; without it everything is at its defaults and pools are found by their taint
    #[arg(long, env = "POOLGUARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// A dump instead of a live cluster, as `kubectl get … -A -o json` prints it; `-` for standard
    /// input
    #[arg(long, env = "POOLGUARD_CLUSTER", value_name = "FILE")]
    cluster: Option<PathBuf>,

    /// What makes the exit code 1
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = FailOn::Error)]
    fail_on: FailOn,

    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// From what on a cluster is not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum FailOn {
    /// Errors
    Error,
    /// Errors and warnings
    Warning,
    /// Errors, warnings, and what the input does not tell
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// For machines: {"verdict": …, "findings": […]}
    Json,
}

/// A cluster that was checked.
struct Checked {
    /// Context or file.
    name: String,
    fitness: Fitness,
    /// The command that dumps all that is asked for.
    dump_command: String,
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { config, cluster, fail_on, output } = self;
        let config = ConfigText::read(config.as_deref())?;
        let mut checked = Vec::new();
        if let Some(file) = &cluster {
            let text = read(file)?;
            let inventory = Inventory::read_dump(&text)
                .with_context(|| format!("{} is no dump of a cluster", file.display()))?;
            checked.push(Checked::of(file.display().to_string(), &config, &inventory)?);
        }
        let mut out = anstream::stdout().lock();
        match output {
            Output::Table => write!(out, "{}", table::Page { checked: &checked })?,
            Output::Json => writeln!(out, "{}", json::render(&checked)?)?,
        }
        let fails = checked.iter().any(|it| fail_on.is_met_by(&it.fitness));
        Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl FailOn {
    fn is_met_by(self, fitness: &Fitness) -> bool {
        let fails = |severity| fitness.failures(severity) > 0;
        fails(Severity::Error)
            || (self >= Self::Warning && fails(Severity::Warning))
            || (self >= Self::Unknown && fitness.unknowns() > 0)
    }
}

impl Checked {
    fn of(name: String, config: &ConfigText, inventory: &Inventory) -> anyhow::Result<Self> {
        let policy = config.load(inventory.index().provider())?.policy;
        let mut others: Vec<String> =
            wanted(&policy).into_iter().map(|(resource, ..)| resource.to_string()).collect();
        others.sort();
        others.dedup();
        let dump_command = Stock::dump_command(&others);
        Ok(Self { name, fitness: examine(&policy, inventory), dump_command })
    }
}

/// Several clusters in one line, each by its name; one by its verdict.
fn verdict(checked: &[Checked]) -> String {
    match checked {
        [one] => one.fitness.verdict(),
        several => {
            let verdicts =
                several.iter().map(|it| format!("{}: {}", it.name, it.fitness.verdict()));
            verdicts.collect::<Vec<_>>().join("; ")
        }
    }
}
