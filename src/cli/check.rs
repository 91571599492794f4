//! `poolguard check`: is this cluster fit for AutoMQ?

mod html;
mod json;
mod junit;
mod live;
mod markup;
mod table;

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::ValueEnum;

use super::{
    input::{ConfigText, Named, add_dump, no_dump, read},
    page::count,
};
use crate::{
    check::{
        CheckFinding, CheckedSubject, FindingSeverity, Fitness, Status, examine, examine_plan,
        named,
    },
    cluster::{
        DumpError,
        inventory::{Inventory, dump_command},
    },
    policy::Policy,
    terraform::{Plan, PlanError},
};

/// Is this cluster fit for AutoMQ? Every constraint, with the command that mends what is wrong.
///
/// Reads a live cluster, a dump of one, or the Terraform plan of its node pools. Exits with 0 if the
/// cluster is fit, 1 if it is not (from what severity up is what --fail-on says), 2 if it cannot be read.
/// What the input does not hold is unknown, and named.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// Config file; without it everything is at its defaults and pools are found by their taint
    #[arg(long, env = "POOLGUARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// A dump instead of a live cluster, as `kubectl get … -A -o json` prints it, or the folder that
    /// `kubectl cluster-info dump --output-directory` writes; `-` for standard input
    #[arg(long, env = "POOLGUARD_CLUSTER", value_name = "FILE")]
    cluster: Option<PathBuf>,

    /// A Terraform plan instead, before there is a cluster, as `terraform show -json PLAN` prints it;
    /// `-` for standard input
    #[arg(
        long,
        env = "POOLGUARD_TERRAFORM_PLAN",
        value_name = "FILE",
        conflicts_with_all = ["cluster", "kubeconfig", "contexts"]
    )]
    terraform_plan: Option<PathBuf>,

    /// How to reach the API server; without it $KUBECONFIG, ~/.kube/config, or the pod's own cluster
    #[arg(long, env = "POOLGUARD_KUBECONFIG", value_name = "FILE", conflicts_with = "cluster")]
    kubeconfig: Option<PathBuf>,

    /// Which context of the kubeconfig; given several times, several clusters are checked
    #[arg(
        long = "context",
        env = "POOLGUARD_CONTEXT",
        value_name = "NAME",
        value_delimiter = ',',
        conflicts_with = "cluster"
    )]
    contexts: Vec<String>,

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
    /// For a build server: failures are what --fail-on counts
    Junit,
    /// One page for a colleague, self-contained
    Html,
}

/// A cluster that was checked.
struct Checked {
    /// Context or file.
    name: String,
    fitness: Fitness,
    /// The command that dumps all that is asked for of a cluster.
    dump_command: Option<String>,
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { config, cluster, terraform_plan, kubeconfig, contexts, fail_on, output } = self;
        let config = ConfigText::read(config.as_deref())?;
        let checked = match (&cluster, &terraform_plan) {
            (Some(file), _) => {
                let mut inventory = Inventory::default();
                add_dump(file, |text| inventory.add_dump(text))?;
                if !inventory.has_something_to_check() {
                    return Err(DumpError::NothingToCheck).with_context(|| no_dump(file));
                }
                let policy = config.load(inventory.index().provider())?.policy;
                vec![Checked::of(Named(file).to_string(), &policy, &inventory)]
            }
            (None, Some(file)) => {
                let plan = Plan::read(&read(file)?).map_err(|error| match error {
                    PlanError::NoPool => anyhow::Error::new(error).context(Named(file).to_string()),
                    error => anyhow::Error::new(error).context(format!(
                        "{} is no plan as `terraform show -json PLAN` prints it",
                        Named(file)
                    )),
                })?;
                let policy = config.load(plan.provider())?.policy;
                let name = Named(file).to_string();
                vec![Checked { name, fitness: examine_plan(&policy, &plan), dump_command: None }]
            }
            (None, None) => live::check(kubeconfig.as_deref(), &contexts, &config)?,
        };
        let mut out = anstream::stdout().lock();
        match output {
            Output::Table => write!(out, "{}", table::CheckTable { checked: &checked })?,
            Output::Json => writeln!(out, "{}", json::render(&checked)?)?,
            Output::Junit => write!(out, "{}", junit::render(&checked, fail_on)?)?,
            Output::Html => {
                let made = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string();
                writeln!(out, "{}", html::render(&checked, &made))?;
            }
        }
        let fails = checked.iter().any(|it| fail_on.is_met_by(&it.fitness));
        Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl FailOn {
    fn is_met_by(self, fitness: &Fitness) -> bool {
        fitness.findings.iter().any(|finding| self.counts(finding))
    }

    /// Whether a finding makes a cluster unfit.
    fn counts(self, finding: &CheckFinding) -> bool {
        match finding.status {
            Status::Pass => false,
            Status::Unknown => self >= Self::Unknown,
            Status::Fail => match finding.severity {
                FindingSeverity::Error => true,
                FindingSeverity::Warning => self >= Self::Warning,
                FindingSeverity::Note => false,
            },
        }
    }
}

impl Checked {
    fn of(name: String, policy: &Policy, inventory: &Inventory) -> Self {
        let others = named(policy).into_iter().filter(|object| !object.is_always_read());
        let mut others: Vec<String> = others.map(|object| object.resource.to_string()).collect();
        others.sort();
        others.dedup();
        let dump_command = Some(dump_command(&others));
        Self { name, fitness: examine(policy, inventory), dump_command }
    }
}

/// What a plan cannot tell, and where to ask.
const AFTER_PLAN: &str = "A plan knows no pods, roles and volumes: once it is applied, `poolguard check` looks at the \
     cluster.";

/// What findings are about that belong to no pool.
fn whole(fitness: &Fitness) -> &'static str {
    match fitness.subject {
        CheckedSubject::Cluster => "cluster",
        CheckedSubject::Plan { .. } => "plan",
    }
}

/// How many nodes there are, or are planned.
fn node_count(fitness: &Fitness) -> String {
    let nodes = count(fitness.nodes, "node");
    match fitness.subject {
        CheckedSubject::Cluster => nodes,
        CheckedSubject::Plan { is_whole: true } => format!("{nodes} planned"),
        CheckedSubject::Plan { is_whole: false } => format!("at least {nodes} planned"),
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
