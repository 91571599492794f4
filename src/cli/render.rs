//! `poolguard render`: prints the objects that a config asks for.

use std::{collections::BTreeMap, io::Write, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};

use super::input::{Input, read};
use crate::{
    admission::webhooks::{Address, Installation, backstop, entries},
    policy::Policy,
};

/// Prints the objects that a config asks for.
#[derive(Debug, Subcommand)]
pub(super) enum RenderCommand {
    /// Print the webhook configurations: what the API server sends to PoolGuard, and what becomes
    /// of it while PoolGuard does not answer.
    ///
    /// They are what PoolGuard registers by itself. Print them to read them, to see what a change
    /// of the config changes, or to apply them by other means with `registration: external`;
    /// without --ca-bundle, PoolGuard then writes the caBundle into them.
    Webhooks(Webhooks),
    /// Print the backstop: a ValidatingAdmissionPolicy and its binding, which the API server evaluates
    /// by itself, also while PoolGuard does not answer.
    ///
    /// It keeps the part of pod-intrusion that needs no look at the cluster, and never denies what
    /// PoolGuard allows. It costs every pod an evaluation in the API server.
    Policy(Common),
}

/// Arguments of every rendering.
#[derive(Args, Debug)]
pub(super) struct Common {
    /// Config file; without it everything is at its defaults
    #[arg(long, env = "POOLGUARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// The namespace that PoolGuard runs in
    ///
    /// Its pods are never judged, so that PoolGuard can start.
    #[arg(
        short,
        long,
        env = "POOLGUARD_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "poolguard"
    )]
    namespace: String,

    /// The name of the objects
    #[arg(long, env = "POOLGUARD_NAME", value_name = "NAME", default_value = "poolguard")]
    name: String,

    /// How they are written
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Arguments of `poolguard render webhooks`.
#[derive(Args, Debug)]
pub(super) struct Webhooks {
    #[command(flatten)]
    common: Common,

    /// The Service that the API server calls
    #[arg(long, env = "POOLGUARD_SERVICE", value_name = "NAME", default_value = "poolguard")]
    service: String,

    /// The port of the Service
    #[arg(
        long,
        alias = "port",
        env = "POOLGUARD_SERVICE_PORT",
        value_name = "PORT",
        default_value_t = 443,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    service_port: u16,

    /// Call this address instead of a Service: https://host:port, for a PoolGuard outside the cluster
    #[arg(
        long,
        alias = "url",
        env = "POOLGUARD_WEBHOOK_URL",
        value_name = "URL",
        conflicts_with_all = ["service", "service_port"]
    )]
    webhook_url: Option<String>,

    /// The certificates, in PEM, that the API server trusts for the webhook
    #[arg(long, env = "POOLGUARD_CA_BUNDLE", value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
}

/// How objects are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A document an object.
    #[default]
    Yaml,
    /// One List.
    Json,
}

/// Runs the command.
pub(super) fn run(command: &RenderCommand) -> anyhow::Result<ExitCode> {
    match command {
        RenderCommand::Webhooks(webhooks) => webhooks.run(),
        RenderCommand::Policy(common) => render_policy(common),
    }
}

fn render_policy(common: &Common) -> anyhow::Result<ExitCode> {
    let policy = common.policy()?;
    // A policy names no address.
    let installation = common.installation(Address::Url(String::new()));
    let Some(objects) = backstop(&policy, &installation) else {
        bail!(
            "there is nothing that can be decided without a look at the cluster: the config declares \
             no pool under `pools`, or pod-intrusion is off"
        );
    };
    common.write("policy", "docs/backstop.md says what it decides", &objects)
}

impl Webhooks {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let Self { common, service, service_port, webhook_url, ca_bundle } = self;
        let policy = common.policy()?;
        let address = match webhook_url {
            Some(url) if !url.starts_with("https://") => {
                bail!(
                    "--webhook-url {url} does not begin with https://, which the API server demands"
                )
            }
            Some(url) => Address::Url(url.clone()),
            None => Address::Service { name: service.clone(), port: *service_port },
        };
        let ca_bundle = ca_bundle.as_ref().map(|file| certificates(file)).transpose()?;
        let installation = common.installation(address);
        let entries = entries(&policy, &common.namespace);
        let objects = entries.objects(&installation, ca_bundle.as_deref());
        common.write("webhooks", "docs/webhooks.md says what each entry is for", &objects)
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

    /// Where the objects come from, for those who find them in a repository.
    fn heading(&self, what: &str, where_to_read: &str) -> String {
        let config = match &self.config {
            Some(file) => file.display().to_string(),
            None => "the built-in defaults".to_owned(),
        };
        format!(
            "# Made by poolguard {} (`poolguard render {what}`) from {config}.\n\
             # Change the config and not this: {where_to_read}.\n",
            env!("CARGO_PKG_VERSION"),
        )
    }
}

/// A file's text, if there is a certificate in it.
fn certificates(file: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let pem = read(file)?.into_bytes();
    let count = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("{} is no PEM", file.display()))?
        .len();
    if count == 0 {
        bail!("{} holds no certificate in PEM", file.display());
    }
    Ok(pem)
}
