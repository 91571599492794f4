//! `poolguard status`: a report on whether PoolGuard itself is well.

mod examine;
mod facts;
mod finding;
mod intruder;
mod json;
mod table;

use std::{
    io::Write,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::ValueEnum;

use self::{
    examine::examine,
    facts::{InstallationFlags, read},
    finding::StatusReport,
};
use super::{fail_on::FailOn, live::block_on};
use crate::{api::client, kubernetes::duration::parse_duration};

/// The time between two examinations with `--wait`.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Check whether PoolGuard itself is well, and print how to fix what is not.
///
/// Reads the replicas, the Lease, the registered webhooks and their certificates, the config and the rights. It
/// also creates an intruder as a dry run: a pod that could run on a pool, which the API server must deny. It
/// stores nothing. Exit code 0: no check
/// failed. 1: a check failed (--fail-on sets the lowest severity that counts). 2: PoolGuard could not reach the
/// API server.
#[derive(Debug, clap::Args)]
pub(super) struct StatusCommand {
    /// Namespace in which PoolGuard runs
    #[arg(
        short,
        long,
        env = "POOLGUARD_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "poolguard-system"
    )]
    namespace: String,

    /// Name of the Deployment and of the webhook configurations
    #[arg(long, env = "POOLGUARD_NAME", value_name = "NAME", default_value = "poolguard")]
    name: String,

    /// ConfigMap of the config, if it has another name
    #[arg(long, value_name = "NAME")]
    config_map: Option<String>,

    /// Namespace of the pod that is created as a dry run; name one that the config does not exempt
    #[arg(long, value_name = "NAMESPACE", default_value = "default")]
    dry_run_namespace: String,

    /// Do not create a pod as a dry run, for example if you have no right to create pods
    #[arg(long)]
    skip_dry_run: bool,

    /// Kubeconfig file; without it PoolGuard uses $KUBECONFIG, ~/.kube/config, or the cluster of its own pod
    #[arg(long, env = "POOLGUARD_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig
    #[arg(long, env = "POOLGUARD_CONTEXT", value_name = "NAME")]
    context: Option<String>,

    /// Wait until no check fails any more
    #[arg(long)]
    wait: bool,

    /// With --wait: how long to wait at most
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    timeout: Duration,

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
}

impl StatusCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let report = block_on(self.report())?;
        let mut out = anstream::stdout().lock();
        match self.output {
            Output::Table => write!(out, "{}", table::StatusTable(&report))?,
            Output::Json => writeln!(out, "{}", json::render(&report)?)?,
        }
        let fails = report
            .findings
            .iter()
            .any(|finding| self.fail_on.counts(finding.status, finding.severity));
        Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    async fn report(&self) -> anyhow::Result<StatusReport> {
        let config = client::configure(self.kubeconfig.as_deref(), self.context.as_deref()).await?;
        let client = client::connect(config)?;
        let installed = InstallationFlags {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            config_map: self.config_map.clone().unwrap_or_else(|| self.name.clone()),
            dry_run_namespace: (!self.skip_dry_run).then(|| self.dry_run_namespace.clone()),
        };
        let started = Instant::now();
        loop {
            let report = examine(&installed, &read(&client, &installed).await?);
            let fails = report
                .findings
                .iter()
                .any(|finding| self.fail_on.counts(finding.status, finding.severity));
            if !self.wait || !fails || started.elapsed() >= self.timeout {
                return Ok(report);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}
