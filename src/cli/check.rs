//! `poolguard check`: a report on whether a cluster is fit for AutoMQ.

mod html;
mod json;
mod junit;
mod table;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::ValueEnum;

use super::{
    fail_on::FailOn,
    input::{ConfigText, Named, add_dump, no_dump, read},
    live::{LiveCluster, block_on},
    page::count,
};
use crate::{
    check::{
        CheckFinding, CheckedSubject, Fitness, examine, examine_plan, is_always_read, read_by_name,
    },
    cluster::{
        DumpError,
        inventory::{Inventory, dump_command},
    },
    kubernetes::resource::GroupResource,
    policy::Policy,
    terraform::{Plan, PlanError},
};

/// Check whether a cluster is fit for AutoMQ, and print the commands that fix what is wrong.
///
/// Reads a live cluster, a dump of a cluster, or a Terraform plan of its node pools. If the input does not
/// contain something, the result of that check is `unknown`, and the output names what is missing. Exit code 0:
/// no check failed. 1: a check failed (--fail-on says which results count). 2: PoolGuard could not
/// read the input.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// Config file; without it PoolGuard uses the defaults: nodes with the taint dedicated=automq:NoSchedule
    /// are AutoMQ's pools
    #[arg(long, env = "POOLGUARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Read this dump instead of a live cluster: the output of `poolguard dump` or of `kubectl get KINDS -A -o json`,
    /// or the folder that `kubectl cluster-info dump --output-directory` writes; `-` reads standard input. If the
    /// dump lacks kinds, PoolGuard prints the command that dumps all of them
    #[arg(long, env = "POOLGUARD_CLUSTER", value_name = "FILE")]
    cluster: Option<PathBuf>,

    /// Check this Terraform plan, the output of `terraform show -json PLAN`, before the cluster exists; `-`
    /// reads standard input
    #[arg(
        long,
        env = "POOLGUARD_TERRAFORM_PLAN",
        value_name = "FILE",
        conflicts_with_all = ["cluster", "kubeconfig", "contexts"]
    )]
    terraform_plan: Option<PathBuf>,

    /// Kubeconfig file; without it PoolGuard uses $KUBECONFIG, ~/.kube/config, or the cluster of its own pod
    #[arg(long, env = "POOLGUARD_KUBECONFIG", value_name = "FILE", conflicts_with = "cluster")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig; repeat it to check several clusters
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

    /// Output format
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table for people
    Table,
    /// JSON for programs: {"verdict": …, "findings": […]}
    Json,
    /// A test report in XML for CI; each finding that --fail-on counts is a failed test
    Junit,
    /// One self-contained HTML page
    Html,
}

/// A cluster that was checked.
struct Checked {
    /// The name of the cluster: its context, the URL of its API server, or the file.
    name: String,
    fitness: Fitness,
    /// The kinds that the input lacks, with those that only this config asks for.
    missing: Vec<String>,
    /// The command that dumps every kind that a check reads.
    dump_command: Option<String>,
    /// Whether a live cluster refused to list kinds.
    is_refused: bool,
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { config, cluster, terraform_plan, kubeconfig, contexts, fail_on, output } = self;
        let config = ConfigText::read(config.as_deref())?;
        let checked = match (&cluster, &terraform_plan) {
            (Some(file), _) => {
                let inventory = read_inventory(file)?;
                let policy = config.load(inventory.index().provider())?.policy;
                vec![Checked::of(Named(file).to_string(), &policy, &inventory)]
            }
            (None, Some(file)) => {
                let plan = read_plan(file)?;
                let policy = config.load(plan.provider())?.policy;
                let name = Named(file).to_string();
                let fitness = examine_plan(&policy, &plan);
                vec![Checked {
                    name,
                    fitness,
                    missing: Vec::new(),
                    dump_command: None,
                    is_refused: false,
                }]
            }
            (None, None) => block_on(check_live(kubeconfig.as_deref(), &contexts, &config))?,
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
        let fails = checked.iter().any(|it| fails(&it.fitness.findings, fail_on));
        Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Whether one of these findings makes the exit code 1.
pub(super) fn fails(findings: &[CheckFinding], fail_on: FailOn) -> bool {
    findings.iter().any(|finding| fail_on.counts(finding.status, finding.severity))
}

/// Reads the dump of a cluster, a file or a folder.
pub(super) fn read_inventory(file: &Path) -> anyhow::Result<Inventory> {
    let mut inventory = Inventory::default();
    add_dump(file, |text| inventory.add_dump(text))?;
    if inventory.has_something_to_check() {
        Ok(inventory)
    } else {
        Err(DumpError::NothingToCheck).with_context(|| no_dump(file))
    }
}

/// Reads a Terraform plan.
pub(super) fn read_plan(file: &Path) -> anyhow::Result<Plan> {
    Plan::read(&read(file)?).map_err(|error| {
        let name = Named(file);
        let context = if matches!(error, PlanError::NoPool) {
            name.to_string()
        } else {
            format!("{name} is not a plan in the format of `terraform show -json PLAN`")
        };
        anyhow::Error::new(error).context(context)
    })
}

/// Checks the cluster of each context, or of the default one.
async fn check_live(
    kubeconfig: Option<&Path>,
    contexts: &[String],
    config: &ConfigText,
) -> anyhow::Result<Vec<Checked>> {
    let usual = contexts.is_empty().then_some(None);
    let mut checked = Vec::new();
    for context in usual.into_iter().chain(contexts.iter().map(|it| Some(it.as_str()))) {
        let mut cluster = LiveCluster::read(kubeconfig, context).await?;
        let policy = config.load(cluster.inventory().index().provider())?.policy;
        cluster.read_named(&read_by_name(&policy)).await;
        let (name, inventory) = cluster.into_parts();
        checked.push(Checked::of(name, &policy, &inventory));
    }
    Ok(checked)
}

impl Checked {
    fn of(name: String, policy: &Policy, inventory: &Inventory) -> Self {
        let others = read_by_name(policy).into_iter().filter(|object| !is_always_read(object));
        let mut others: Vec<_> = others.map(|object| object.resource).collect();
        others.sort_by_key(ToString::to_string);
        others.dedup();
        let lacks = |it: &&GroupResource| !inventory.knows(it) && !inventory.is_absent(it);
        let lacking: Vec<String> = others.iter().filter(lacks).map(ToString::to_string).collect();
        let others: Vec<String> = others.iter().map(ToString::to_string).collect();
        let dump_command = Some(dump_command(&others));
        let fitness = examine(policy, inventory);
        let missing = fitness.missing.iter().cloned().chain(lacking).collect();
        let is_refused = inventory.gaps().next().is_some();
        Self { name, fitness, missing, dump_command, is_refused }
    }

    /// Returns two sentences, above the command that dumps all kinds: what the input lacks, and what to do.
    fn lacks(&self) -> [String; 2] {
        let missing = self.missing.join(", ");
        // The command would write the data of all Secrets.
        let reads_all = !self.missing.iter().any(|kind| kind == "secrets");
        let command =
            if reads_all { "this command" } else { "this command, which reads no Secrets" };
        if self.is_refused {
            [
                format!("PoolGuard could not read {missing}."),
                format!(
                    "Give this user the missing rights, or let a user with these rights create a dump with {command}:"
                ),
            ]
        } else {
            [
                format!("The input does not contain {missing}."),
                format!(
                    "To include them, run `poolguard dump`, which leaves out the data of Secrets. Or create the dump with \
                     {command}:"
                ),
            ]
        }
    }
}

/// The sentence about what a plan does not contain.
const AFTER_PLAN: &str = "A plan does not contain pods, Kubernetes roles and volumes. After you apply it, \
 run `poolguard check` on the cluster.";

/// The subject of findings without a pool: the cluster or the plan.
fn whole(fitness: &Fitness) -> &'static str {
    match fitness.subject {
        CheckedSubject::Cluster => "cluster",
        CheckedSubject::Plan { .. } => "plan",
    }
}

/// The number of nodes, or of planned nodes.
fn node_count(fitness: &Fitness) -> String {
    let nodes = count(fitness.nodes, "node");
    match fitness.subject {
        CheckedSubject::Cluster => nodes,
        CheckedSubject::Plan { is_whole: true } => format!("{nodes} planned"),
        CheckedSubject::Plan { is_whole: false } if fitness.nodes == 0 => {
            "number of nodes not known".to_owned()
        }
        CheckedSubject::Plan { is_whole: false } => format!("at least {nodes} planned"),
    }
}

/// The verdict of one cluster, or the verdicts of several clusters with their names in one line.
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
