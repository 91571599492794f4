//! The only place that wires the process together: bind, read, get ready, serve, drain.

mod live;

use std::{convert::Infallible, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::{
    net::TcpListener,
    select,
    sync::watch,
    task::{JoinError, JoinSet},
};
use tracing::info;

pub use self::live::{Live, ReplicaSettings};

use crate::{
    config,
    controllers::{
        certificates::{
            Clock, Registered,
            client_ca::ClientCa,
            files::{Files, Paths},
        },
        config_file::ConfigFile,
        guard::{AppliedConfig, ClusterSource, GuardReloader},
    },
    server::{
        Drained, Server,
        admin::Admin,
        limits::Limits,
        listen,
        readiness::{Readiness, ReadinessCondition},
        shutdown::{Ending, Lifecycle, ProcessSignals, Stage, run_until_signalled},
        tls::{Certificates, Credentials, server_config},
    },
    service::{AdmissionService, PolicyAndSnapshot, PolicyAndSnapshotCell},
    telemetry::{
        audit::{self, Audit, AuditOutput, RotatingFile},
        metrics::{
            Metrics,
            label::{self, AuditSink},
        },
    },
};

/// The settings of a process that serves the webhook.
pub struct ServeSettings {
    /// The webhook's address; port 0 picks one.
    pub listen: SocketAddr,
    /// The admin address; port 0 picks one.
    pub admin_listen: SocketAddr,
    /// The cluster that this process protects.
    pub cluster: Cluster,
    /// The config, which PoolGuard follows as it changes.
    pub config: ConfigFile,
    /// The certificate that this process serves.
    pub certificate: Certificate,
    /// The file of the authority of the clients. Without it, PoolGuard accepts requests from any client.
    pub client_ca: Option<PathBuf>,
    /// The limits of the server.
    pub limits: Limits,
    /// Time to keep serving after the first signal.
    pub shutdown_delay: Duration,
    /// The outputs of the audit stream.
    pub audit: Stream,
    /// Wall clock, for certificates.
    pub clock: Clock,
}

/// The cluster that this process protects.
pub enum Cluster {
    /// A dump, read already.
    Dump {
        /// The file, which is read again with the config.
        file: PathBuf,
        /// The guard that was made from the dump and the config.
        guard: Box<PolicyAndSnapshot>,
        /// The rest of the config.
        settings: config::ConfigSettings,
    },
    /// A live cluster.
    Live(Box<Live>),
}

/// The outputs of the audit stream.
#[derive(Debug)]
pub struct Stream {
    /// The format of the lines on standard output.
    pub format: audit::Format,
    /// A file that gets the lines as well, as JSON.
    pub file: Option<RotatingFile>,
}

/// The certificate that this process serves.
#[derive(Clone, Debug)]
pub enum Certificate {
    /// A self-signed certificate for this run.
    InMemory,
    /// The certificate in the given files.
    Files(Paths),
    /// A certificate signed by PoolGuard's own authority, which the cluster keeps.
    Managed,
}

/// The addresses that this process listens on.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The address of the webhook.
    pub webhook: SocketAddr,
    /// The address of liveness, readiness and metrics.
    pub admin: SocketAddr,
}

/// Names that a certificate for one run is good for.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The tasks that run beside the server until the process ends. If one of them ends early, the process ends too,
/// so that the failure is noticed.
type Tasks = JoinSet<Infallible>;

/// Serves until a signal, then drains. `announce` is told the addresses once there is a guard.
pub fn serve(
    settings: ServeSettings,
    announce: impl FnOnce(Bound, &PolicyAndSnapshot) + Send + 'static,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(run(settings, announce))
}

/// The state that the parts of the process share.
struct Shared {
    metrics: Arc<Metrics>,
    readiness: Readiness,
    certified: ReadinessCondition,
    clock: Clock,
}

async fn run(
    settings: ServeSettings,
    announce: impl FnOnce(Bound, &PolicyAndSnapshot) + Send + 'static,
) -> anyhow::Result<()> {
    // Before anything is bound: a signal during start-up drains like any other.
    let mut signals = ProcessSignals::listen().context("cannot listen for signals")?;
    let lifecycle = Lifecycle::default();
    let metrics = Arc::new(Metrics::new().context("cannot register the metrics")?);
    let readiness = Readiness::new(lifecycle.clone());
    let loaded = readiness.condition("snapshot", "PoolGuard has not read the cluster yet");
    let certified = readiness.condition("certificate", "there is no certificate yet");
    let shared = Shared { metrics, readiness, certified, clock: settings.clock };
    let listener = bind(settings.listen, "--listen")?;
    let admin_listener = bind(settings.admin_listen, "--admin-listen")?;
    let admin = Admin::new(admin_listener, shared.readiness.clone(), Arc::clone(&shared.metrics));
    let bound = Bound { webhook: listener.local_addr()?, admin: admin.local_addr()? };
    let (audit, mut writer) = settings.audit.start(&settings.cluster, &shared.metrics)?;
    let cell = PolicyAndSnapshotCell::default();
    let mut tasks = Tasks::new();

    let (facts, connected, start) = match settings.cluster {
        Cluster::Dump { file, guard, settings } => {
            (ClusterSource::Dump(file), None, Some((*guard, settings)))
        }
        Cluster::Live(live) => {
            info!("listening on https://{} (admin on http://{})", bound.webhook, bound.admin);
            let connected = live.connect()?;
            let facts = ClusterSource::Live(connected.observe(&shared.metrics, &mut tasks));
            (facts, Some(connected), None)
        }
    };
    let metrics = Arc::clone(&shared.metrics);
    let mut guarding =
        GuardReloader::new(settings.config, facts, Arc::clone(&cell), metrics, loaded);
    if let Some((guard, settings)) = start {
        guarding.start_with(guard, settings);
    }
    let applied_config = guarding.applied_config();
    let announced = (Arc::clone(&cell), applied_config.clone());
    let metrics = Arc::clone(&shared.metrics);
    let denials = connected.as_ref().and_then(|it| it.start_event_writer(&shared, &mut tasks));
    let service = AdmissionService::new(Arc::clone(&cell), metrics, audit, guarding.is_stale())
        .with_event_queue(denials);
    tasks.spawn(guarding.run());

    let certificate = settings.certificate;
    let (certificates, lease) = match connected {
        Some(connected) => connected.start_replica_tasks(
            certificate,
            (cell, applied_config),
            &shared,
            &mut tasks,
        )?,
        None => (certificates_without_authority(certificate, &shared, &mut tasks)?, None),
    };
    let tls = match settings.client_ca {
        Some(path) => {
            let client_ca = ClientCa::open(path, certificates, Arc::clone(&shared.metrics))?;
            let tls = client_ca.tls();
            tasks.spawn(client_ca.run());
            tls
        }
        None => Arc::new(ArcSwap::from(server_config(certificates, None)?)),
    };
    // Not before: a mistake in the certificate files ends the process.
    let (cell, applied_config) = announced;
    announce_when_loaded(announce, bound, &cell, applied_config);
    let metrics = Arc::clone(&shared.metrics);
    let server = Server::new(listener, tls, settings.limits, metrics, lifecycle.clone(), service);
    let work = async {
        select! {
            drained = server.run() => Ok(drained),
            never = admin.run() => match never {},
            Some(ended) = tasks.join_next() => Err(task_ended(ended)),
            sink = writer.ended() => Err(anyhow!(
                "the thread that writes the audit stream to {sink} has ended: the log says why"
            )),
        }
    };
    let ending = run_until_signalled(work, &mut signals, &lifecycle, settings.shutdown_delay).await;
    lifecycle.advance(Stage::Draining);
    if let Some(lease) = lease {
        lease.release().await;
    }
    writer.finish();
    report(ending)
}

impl Stream {
    fn start(
        self,
        cluster: &Cluster,
        metrics: &Metrics,
    ) -> anyhow::Result<(Audit, audit::AuditWriter)> {
        let Self { format, file } = self;
        let sink = |sink: AuditSink, format, out| AuditOutput {
            name: sink.as_str(),
            format,
            out,
            dropped: metrics.audit_dropped(sink),
        };
        let stdout = sink(AuditSink::Stdout, format, Box::new(io::stdout()));
        let file = file.map(|file| sink(AuditSink::File, audit::Format::Json, Box::new(file)));
        let replica = match cluster {
            Cluster::Dump { .. } => None,
            Cluster::Live(live) => live.installed.as_ref().map(|it| it.identity.clone()),
        };
        Audit::start([Some(stdout), file].into_iter().flatten(), replica)
            .context("cannot start the audit stream")
    }
}

/// A certificate that needs no cluster: given files, or one for this run.
fn certificates_without_authority(
    certificate: Certificate,
    shared: &Shared,
    tasks: &mut Tasks,
) -> anyhow::Result<Arc<Certificates>> {
    let Shared { metrics, readiness: _, certified, clock } = shared;
    match certificate {
        Certificate::Files(paths) => {
            let files = Files::open(paths, Arc::clone(metrics), Arc::clone(clock))?;
            let certificates = files.certificates();
            let nothing = watch::channel(Registered::Nothing).1;
            tasks.spawn(files.run(watch::Sender::new(None), nothing, certified.clone()));
            Ok(certificates)
        }
        Certificate::InMemory | Certificate::Managed => {
            let credentials = Credentials::self_signed(LOOPBACK_NAMES)?;
            let expiry = credentials.expires_at();
            metrics.set_certificate_expiry(label::CertificateLabel::Serving, expiry);
            certified.meet();
            Ok(Arc::new(Certificates::new(credentials)))
        }
    }
}

fn announce_when_loaded(
    announce: impl FnOnce(Bound, &PolicyAndSnapshot) + Send + 'static,
    bound: Bound,
    cell: &Arc<ArcSwapOption<PolicyAndSnapshot>>,
    mut applied_config: watch::Receiver<Option<AppliedConfig>>,
) {
    if let Some(guard) = cell.load().as_deref() {
        announce(bound, guard);
        return;
    }
    let cell = Arc::clone(cell);
    tokio::spawn(async move {
        if applied_config.wait_for(Option::is_some).await.is_ok()
            && let Some(guard) = cell.load().as_deref()
        {
            announce(bound, guard);
        }
    });
}

fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    listen(address).map_err(|error| {
        anyhow!("cannot listen on {address}: {error}. Choose another address with {flag}")
    })
}

fn task_ended(ended: Result<Infallible, JoinError>) -> anyhow::Error {
    match ended {
        Ok(never) => match never {},
        Err(error) => anyhow!(error).context("a task that must run until shutdown has ended"),
    }
}

fn report(ending: Ending<anyhow::Result<Drained>>) -> anyhow::Result<()> {
    match ending {
        Ending::Finished(Ok(Drained { cut: 0 })) => info!("stopped: every request was answered"),
        Ending::Finished(Ok(Drained { cut })) => info!(
            cut,
            "stopped: PoolGuard closed \
         connections whose requests had no answer yet"
        ),
        Ending::Finished(Err(error)) => return Err(error),
        Ending::Interrupted => info!("stopped at once by a second signal"),
    }
    Ok(())
}
