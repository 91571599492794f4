//! `poolguard render`: prints the objects that a config asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};

use super::input::{ConfigAndCluster, Input, read};
use crate::{
    admission::webhooks::{
        Address, BackstopState, Installation, backstop, entries, placement_policy,
    },
    policy::Policy,
};

/// Prints the objects that a config asks for.
#[derive(Debug, Subcommand)]
pub(super) enum RenderCommand {
    /// Print the webhook configurations: which requests the API server sends to PoolGuard, and what it does if
    /// PoolGuard does not answer.
    ///
    /// By default PoolGuard registers these objects itself. Print them to read them, to compare them before and
    /// after a change of the config, or to apply them with another tool (`registration: external`). If you
    /// apply them without --ca-bundle, PoolGuard writes the caBundle.
    Webhooks(Webhooks),
    /// Print the backstop: admission policies and their bindings. The API server evaluates them itself,
    /// also while PoolGuard does not answer.
    ///
    /// The backstop denies most of the pods that pod-intrusion denies. It never denies a pod that PoolGuard allows. With
    /// `backstop: {mode: managed}` in the config, PoolGuard itself creates these objects, and restores them after a change.
    Policy(PolicyArguments),
}

/// Arguments of `poolguard render policy`.
#[derive(Args, Debug)]
pub(super) struct PolicyArguments {
    #[command(flatten)]
    common: Common,

    /// Dump of the cluster: the policies protect its nodes. Without it they protect only the nodes to come of the
    /// declared pools
    #[arg(long, env = "POOLGUARD_CLUSTER", value_name = "FILE")]
    cluster: Option<PathBuf>,
}

/// Arguments of every rendering.
#[derive(Args, Debug)]
pub(super) struct Common {
    /// Config file; without it PoolGuard uses the defaults
    #[arg(long, env = "POOLGUARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Namespace in which PoolGuard runs
    ///
    /// The objects exclude the pods of this namespace, so that PoolGuard itself can always start.
    #[arg(
        short,
        long,
        env = "POOLGUARD_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "poolguard-system"
    )]
    namespace: String,

    /// Name of the objects
    #[arg(long, env = "POOLGUARD_NAME", value_name = "NAME", default_value = "poolguard")]
    name: String,

    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Arguments of `poolguard render webhooks`.
#[derive(Args, Debug)]
pub(super) struct Webhooks {
    #[command(flatten)]
    common: Common,

    /// Service through which the API server calls PoolGuard
    #[arg(long, env = "POOLGUARD_SERVICE", value_name = "NAME", default_value = "poolguard")]
    service: String,

    /// Port of the Service
    #[arg(
        long,
        alias = "port",
        env = "POOLGUARD_SERVICE_PORT",
        value_name = "PORT",
        default_value_t = 443,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    service_port: u16,

    /// URL that the API server calls instead of a Service: https://host:port, if PoolGuard runs outside the
    /// cluster
    #[arg(
        long,
        alias = "url",
        env = "POOLGUARD_WEBHOOK_URL",
        value_name = "URL",
        conflicts_with_all = ["service", "service_port"]
    )]
    webhook_url: Option<String>,

    /// PEM file with the CA certificates that the API server trusts for the webhook
    #[arg(long, env = "POOLGUARD_CA_BUNDLE", value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
}

/// The output format of `poolguard render`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// YAML, one document for each object.
    #[default]
    Yaml,
    /// JSON, one List.
    Json,
}

/// Runs the command.
pub(super) fn run(command: &RenderCommand) -> anyhow::Result<ExitCode> {
    match command {
        RenderCommand::Webhooks(webhooks) => webhooks.run(),
        RenderCommand::Policy(arguments) => arguments.run(),
    }
}

impl PolicyArguments {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let Self { common, cluster } = self;
        let input = Input { config: common.config.clone(), cluster: cluster.clone() };
        let ConfigAndCluster { loaded, index, .. } = input.load()?;
        let snapshot = index.snapshot(&loaded.policy);
        // A policy names no address.
        let installation = common.installation(Address::Url(String::new()));
        let mut backstop = match backstop(&loaded.policy, &snapshot, &installation) {
            Ok(backstop) => backstop,
            Err(why) => bail!("{why}"),
        };
        let version = "admissionregistration.k8s.io/v1";
        let placement = placement_policy(&loaded.policy, &snapshot, &installation, version);
        backstop.objects.extend(placement.into_iter().flatten());
        common.write("policy", "docs/backstop.md explains it", &backstop.objects)
    }
}

impl Webhooks {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let Self { common, service, service_port, webhook_url, ca_bundle } = self;
        let policy = common.policy()?;
        let address = match webhook_url {
            Some(url) if !url.starts_with("https://") => {
                bail!(
                    "--webhook-url {url} must begin with https://, because the API server \
                     requires it"
                )
            }
            Some(url) => Address::Url(url.clone()),
            None => Address::Service { name: service.clone(), port: *service_port },
        };
        let ca_bundle = ca_bundle.as_ref().map(|file| certificates(file)).transpose()?;
        let installation = common.installation(address);
        // Without a cluster, those that the config names are all.
        let policy = policy.with_node_pool_objects(&BTreeSet::new());
        let entries = entries(&policy, &common.namespace, BackstopState::Absent);
        let objects = entries.objects(&installation, ca_bundle.as_deref());
        common.write("webhooks", "docs/webhooks.md explains each entry", &objects)
    }
}

impl Common {
    fn policy(&self) -> anyhow::Result<Policy> {
        let input = Input { config: self.config.clone(), cluster: None };
        Ok(input.load()?.loaded.policy)
    }

    fn installation(&self, address: Address) -> Installation {
        Installation {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            address,
            owner: None,
            labels: BTreeMap::new(),
        }
    }

    fn write(
        &self,
        what: &str,
        where_to_read: &str,
        objects: &[Value],
    ) -> anyhow::Result<ExitCode> {
        let mut out = anstream::stdout();
        match self.output {
            Output::Yaml => {
                let yaml = serde_saphyr::to_string_multiple(objects)?;
                write!(out, "{}{yaml}", self.heading(what, where_to_read))?;
            }
            Output::Json => {
                let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
                writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The comment at the top of the output: which command and config it comes from.
    fn heading(&self, what: &str, where_to_read: &str) -> String {
        let config = match &self.config {
            Some(file) => file.display().to_string(),
            None => "the built-in defaults".to_owned(),
        };
        format!(
            "# Generated by poolguard {} (`poolguard render {what}`) from {config}.\n# Do not \
             edit this file: change the config and generate it again. {where_to_read}.\n",
            env!("CARGO_PKG_VERSION"),
        )
    }
}

/// A file's text, if there is a certificate in it.
fn certificates(file: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let pem = read(file)?.into_bytes();
    let count = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("{} is not PEM", file.display()))?
        .len();
    if count == 0 {
        bail!("{} contains no PEM certificate", file.display());
    }
    Ok(pem)
}
