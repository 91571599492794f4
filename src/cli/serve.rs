//! `poolguard serve`: the webhook.

mod banner;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{bail, ensure};
use tracing::warn;

use super::input::{Input, Inputs};
use crate::{
    audit,
    policy::Policy,
    runtime,
    server::{
        limits::Limits,
        tls::{Certificates, Credentials, server_config},
    },
    telemetry::{Log, LogFormat},
    webhook::Guard,
};

/// Run the webhook.
///
/// With --cluster it guards an embedded snapshot on loopback, with a certificate made in memory: to
/// try a config on a laptop, without any cluster.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    #[command(flatten)]
    input: Input,

    /// Address of the webhook; port 0 picks one [default: 0.0.0.0:8443, 127.0.0.1:8443 with --cluster]
    #[arg(long, env = "POOLGUARD_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Address of /livez, /readyz and /metrics [default: 0.0.0.0:8080, 127.0.0.1:8080 with --cluster]
    #[arg(long, env = "POOLGUARD_ADMIN_LISTEN", value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,

    /// Certificate chain, as PEM
    #[arg(long, env = "POOLGUARD_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Private key of the certificate, as PEM
    #[arg(long, env = "POOLGUARD_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Certificate authority of the clients, as PEM; without it any client may ask
    #[arg(long, env = "POOLGUARD_CLIENT_CA", value_name = "FILE")]
    client_ca: Option<PathBuf>,

    #[command(flatten)]
    limits: Limits,

    #[command(flatten)]
    log: Log,
}

const WEBHOOK_PORT: u16 = 8443;
const ADMIN_PORT: u16 = 8080;

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { input, listen, admin_listen, tls_cert, tls_key, client_ca, limits, log } = self;
        if input.cluster.is_none() {
            bail!(
                "`poolguard serve` needs a cluster to guard: give it a dump with --cluster FILE \
                 (`kubectl get nodes,namespaces -o yaml` prints one)"
            );
        }
        let inputs = input.load()?;
        log.start()?;
        let people = log.log_format == LogFormat::Human;
        if people {
            for warning in inputs.warnings() {
                anstream::eprintln!("{warning}\n");
            }
        } else {
            for warning in inputs.warning_lines() {
                warn!("{warning}");
            }
        }
        let Inputs { loaded, index, .. } = inputs;
        let guard = guard(loaded.policy, &index)?;
        let credentials = match (tls_cert, tls_key) {
            (Some(certificate), Some(key)) => Credentials::load(&certificate, &key)?,
            (_, _) => Credentials::self_signed(["localhost", "127.0.0.1", "::1"])?,
        };
        let certificate_expires_at = credentials.expires_at();
        let tls = server_config(Arc::new(Certificates::new(credentials)), client_ca.as_deref())?;
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let settings = runtime::Settings {
            listen: listen.unwrap_or_else(|| loopback(WEBHOOK_PORT)),
            admin_listen: admin_listen.unwrap_or_else(|| loopback(ADMIN_PORT)),
            tls,
            certificate_expires_at,
            shutdown_delay: limits.shutdown_delay.unwrap_or(Duration::ZERO),
            limits,
            audit_format: audit_format(log.log_format),
            guard,
        };
        let unseen = banner::unseen(&index);
        runtime::serve(settings, move |bound, guard| {
            if people {
                banner::print(bound, guard, &unseen);
            } else {
                banner::log(bound, guard, &unseen);
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn audit_format(format: LogFormat) -> audit::Format {
    match format {
        LogFormat::Json => audit::Format::Json,
        LogFormat::Human if anstream::stdout().is_terminal() => audit::Format::Coloured,
        LogFormat::Human => audit::Format::Plain,
    }
}

fn guard(policy: Policy, index: &crate::cluster::Index) -> anyhow::Result<Guard> {
    let snapshot = index.snapshot(&policy);
    ensure!(
        !snapshot.pools().is_empty(),
        "there is nothing to guard: the config declares no pool, and no node of the cluster carries \
         the taint {}. Declare a pool under `pools`, or taint the nodes",
        policy.taint
    );
    Ok(Guard { policy: policy.into(), snapshot })
}
