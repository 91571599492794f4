//! `poolguard serve`: the webhook.

mod banner;
mod cluster;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use clap::builder::RangedU64ValueParser;
use jiff::Timestamp;
use tracing::warn;

use self::cluster::ClusterFlags;
use super::input::{ConfigAndCluster, Input};
use crate::{
    controllers::{certificates::files::Paths, config_file::ConfigFile},
    policy::Policy,
    runtime::{self, Certificate, Cluster, Live, Stream},
    server::{limits::Limits, size::parse_size},
    service::PolicyAndSnapshot,
    telemetry::{
        audit::{self, RotatingFile},
        log::{Log, LogFormat},
    },
};

/// Run the webhook.
///
/// In a cluster, PoolGuard watches nodes and role bindings. With --service or --webhook-url, it also manages its own
/// certificates and registers its webhooks. To try a config on a laptop without a cluster, use --cluster: PoolGuard
/// then reads the dump FILE, listens only on loopback, and uses a temporary certificate.
#[derive(Debug, clap::Args)]
// Of a flag that is given twice, the last one counts: the chart puts `extraArgs` after its own flags.
#[command(args_override_self = true)]
pub(super) struct Serve {
    #[command(flatten)]
    input: Input,

    /// IP address and port of the webhook; with port 0 the system chooses a free port [default: 0.0.0.0:8443 with --service
    /// or --webhook-url, else 127.0.0.1:8443]
    #[arg(long, env = "POOLGUARD_LISTEN", value_name = "ADDRESS:PORT", value_parser = parse_address)]
    listen: Option<SocketAddr>,

    /// IP address and port of /livez, /readyz and /metrics; with port 0 the system chooses a free port [default:
    /// 0.0.0.0:8080 with --service or --webhook-url, else 127.0.0.1:8080]
    #[arg(long, env = "POOLGUARD_ADMIN_LISTEN", value_name = "ADDRESS:PORT", value_parser = parse_address)]
    admin_listen: Option<SocketAddr>,

    /// PEM file with the CA of the clients; without it PoolGuard accepts requests from every client
    #[arg(long, env = "POOLGUARD_CLIENT_CA", value_name = "FILE")]
    client_ca: Option<PathBuf>,

    #[command(flatten)]
    tls: TlsFlags,

    #[command(flatten)]
    live: ClusterFlags,

    #[command(flatten)]
    audit: AuditFlags,

    #[command(flatten)]
    limits: Limits,

    #[command(flatten)]
    log: Log,
}

/// The flags of the audit file.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Audit")]
#[expect(clippy::struct_field_names, reason = "flags and variables are named after the fields")]
struct AuditFlags {
    /// File to which PoolGuard also writes the audit stream, as JSON lines; PoolGuard rotates it to FILE.1,
    /// FILE.2 and so on
    #[arg(long, env = "POOLGUARD_AUDIT_FILE", value_name = "FILE")]
    audit_file: Option<PathBuf>,

    /// Size at which PoolGuard rotates the audit file; at least 64KiB
    #[arg(
        long,
        env = "POOLGUARD_AUDIT_FILE_SIZE",
        value_name = "SIZE",
        value_parser = parse_file_size,
        default_value = "100MiB"
    )]
    audit_file_size: usize,

    /// Largest number of audit files, including the current one
    #[arg(
        long,
        env = "POOLGUARD_AUDIT_FILE_COUNT",
        value_name = "NUMBER",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1000),
        default_value = "5"
    )]
    audit_file_count: usize,
}

/// The flags for certificate files, which PoolGuard reloads when they change.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Certificate")]
#[expect(clippy::struct_field_names, reason = "flags and variables are named after the fields")]
struct TlsFlags {
    /// PEM file with the certificate chain; without it PoolGuard creates its own certificate
    #[arg(long, env = "POOLGUARD_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// PEM file with the private key of the certificate
    #[arg(long, env = "POOLGUARD_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// PEM file with the CA of the certificate, which PoolGuard registers as caBundle
    #[arg(long, env = "POOLGUARD_TLS_CA", value_name = "FILE", requires = "tls_cert")]
    tls_ca: Option<PathBuf>,
}

const WEBHOOK_PORT: u16 = 8443;
const ADMIN_PORT: u16 = 8080;

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { input, live, listen, admin_listen, tls, client_ca, audit, limits, log } = self;
        // First of all, because without a cluster the command only reports this error.
        let config = if input.cluster.is_none() { Some(live.configure()?) } else { None };
        let inputs = input.load()?;
        log.start()?;
        let people = log.log_format == LogFormat::Human;
        let is_installed = live.is_installed();
        let is_dump = input.cluster.is_some();
        // In a live cluster the guard logs the warnings once it knows the provider.
        if is_dump {
            show_warnings(&inputs, people);
        }
        let unseen = if is_dump { banner::unseen(&inputs.index) } else { Vec::new() };
        let text = inputs.config_text;
        let cluster = match (input.cluster, config) {
            (_, Some(config)) => {
                Cluster::Live(Box::new(Live { config, installed: live.installed() }))
            }
            (file, None) => Cluster::Dump {
                file: file.unwrap_or_default(),
                guard: Box::new(guard(inputs.loaded.policy, &inputs.index)?),
                settings: inputs.loaded.settings,
            },
        };
        let address = |port| {
            let host = if is_installed { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
            SocketAddr::from((host, port))
        };
        let delay = if is_installed { Limits::CLUSTER_SHUTDOWN_DELAY } else { Duration::ZERO };
        let settings = runtime::ServeSettings {
            listen: listen.unwrap_or_else(|| address(WEBHOOK_PORT)),
            admin_listen: admin_listen.unwrap_or_else(|| address(ADMIN_PORT)),
            cluster,
            config: ConfigFile::new(input.config, text),
            certificate: tls.certificate(is_installed),
            client_ca,
            shutdown_delay: limits.shutdown_delay.unwrap_or(delay),
            limits,
            audit: audit.stream(log.log_format)?,
            clock: Arc::new(Timestamp::now),
        };
        runtime::serve(settings, move |bound, guard| {
            if people && is_dump {
                banner::print(bound, guard, &unseen);
            } else {
                banner::log(bound, guard, &unseen);
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl TlsFlags {
    fn certificate(self, is_installed: bool) -> Certificate {
        let Self { tls_cert, tls_key, tls_ca } = self;
        match (tls_cert, tls_key) {
            (Some(certificate), Some(key)) => {
                Certificate::Files(Paths { certificate, key, authority: tls_ca })
            }
            (_, _) if is_installed => Certificate::Managed,
            (_, _) => Certificate::InMemory,
        }
    }
}

/// The smallest size of an audit file: smaller files would be rotated away before you can read them.
const FILE_SIZE_MIN: usize = 64 << 10;

fn parse_file_size(text: &str) -> anyhow::Result<usize> {
    let size = parse_size(text)?;
    ensure!(size >= FILE_SIZE_MIN, "is less than 64KiB");
    Ok(size)
}

impl AuditFlags {
    fn stream(self, format: LogFormat) -> anyhow::Result<Stream> {
        let Self { audit_file, audit_file_size, audit_file_count } = self;
        let open = |path: PathBuf| {
            let context = format!("cannot open the audit file {}", path.display());
            RotatingFile::open(path, audit_file_size as u64, audit_file_count).context(context)
        };
        Ok(Stream { format: audit_format(format), file: audit_file.map(open).transpose()? })
    }
}

fn show_warnings(inputs: &ConfigAndCluster, people: bool) {
    if people {
        for warning in inputs.warnings() {
            anstream::eprintln!("{warning}\n");
        }
    } else {
        for warning in inputs.warning_lines() {
            warn!("{warning}");
        }
    }
}

fn parse_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "is not an IP address with a port from 0 to 65535, such as 127.0.0.1:8443")
}

fn audit_format(format: LogFormat) -> audit::Format {
    match format {
        LogFormat::Json => audit::Format::Json,
        LogFormat::Human if anstream::stdout().is_terminal() => audit::Format::Coloured,
        LogFormat::Human => audit::Format::Plain,
    }
}

fn guard(policy: Policy, index: &crate::cluster::Index) -> anyhow::Result<PolicyAndSnapshot> {
    let snapshot = index.snapshot(&policy);
    ensure!(
        !snapshot.pools().is_empty() || snapshot.node_count() > 0,
        "the file of --cluster contains no nodes, and the config declares no pool: use the output of `poolguard dump`"
    );
    ensure!(
        !snapshot.pools().is_empty() || policy.discovery,
        "there is no pool to protect: the config declares none, and `discovery.enabled` is false. Declare a pool under \
         `pools`, or remove `discovery`"
    );
    ensure!(
        !snapshot.pools().is_empty(),
        "there is no pool to protect: the config declares none, and no node of the cluster has \
         the taint {}. Declare a pool under `pools`, or add the taint to the nodes",
        policy.taint
    );
    Ok(PolicyAndSnapshot { policy: policy.into(), snapshot })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    enum Command {
        Serve(Box<Serve>),
    }

    fn serve(arguments: &[&str]) -> Serve {
        let Command::Serve(serve) =
            Command::parse_from([&["poolguard", "serve"], arguments].concat());
        *serve
    }

    #[test]
    fn of_a_repeated_flag_the_last_one_counts() {
        let chart = ["--log-format=json", "--log-level=info", "--max-body=7MiB", "--reports=false"];
        let extra =
            ["--log-format=human", "--log-level=debug", "--max-body=4MiB", "--reports=true"];
        let files = ["--tls-cert=a.crt", "--tls-key=a.key", "--tls-cert=b.crt"];
        let given = serve(&[&chart[..], &extra, &files].concat());
        assert_eq!(given.log.log_format, LogFormat::Human);
        assert_eq!(given.limits.max_body, 4 << 20);
        assert_eq!(given.tls.tls_cert, Some(PathBuf::from("b.crt")));
        assert_eq!(given.tls.tls_key, Some(PathBuf::from("a.key")));
    }

    #[test]
    fn a_repeated_flag_is_still_checked() {
        let wrong = ["poolguard", "serve", "--max-body=4MiB", "--max-body=none"];
        assert!(Command::try_parse_from(wrong).is_err());
    }
}
