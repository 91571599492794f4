//! The only place that wires: bind, load, ready, serve, drain.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use tokio::{net::TcpListener, select};
use tracing::info;

use crate::{
    audit::{self, Audit},
    metrics::{Metrics, label},
    policy::snapshot::{NodeState, Snapshot},
    server::{Drained, Server, admin::Admin, limits::Limits, readiness::Readiness},
    shutdown::{Ending, Lifecycle, ProcessSignals, run_until_signalled},
    webhook::{AdmissionService, Guard},
};

/// What to serve, and where.
pub struct Settings {
    /// The webhook's address; port 0 picks one.
    pub listen: SocketAddr,
    /// The admin address; port 0 picks one.
    pub admin_listen: SocketAddr,
    /// TLS, with the certificate.
    pub tls: Arc<ServerConfig>,
    /// When that certificate expires, in Unix time.
    pub certificate_expires_at: i64,
    /// Bounds.
    pub limits: Limits,
    /// Time to keep serving after the first signal.
    pub shutdown_delay: Duration,
    /// What lines of the audit stream look like.
    pub audit_format: audit::Format,
    /// Policy and snapshot.
    pub guard: Guard,
}

/// Where it is served.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The webhook.
    pub webhook: SocketAddr,
    /// Liveness, readiness and metrics.
    pub admin: SocketAddr,
}

/// Serves until a signal, then drains. `announce` is told the addresses once requests are taken.
pub fn serve(settings: Settings, announce: impl FnOnce(Bound, &Guard)) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(run(settings, announce))
}

async fn run(settings: Settings, announce: impl FnOnce(Bound, &Guard)) -> anyhow::Result<()> {
    let Settings {
        listen,
        admin_listen,
        tls,
        certificate_expires_at,
        limits,
        shutdown_delay,
        audit_format,
        guard,
    } = settings;
    // Before anything is bound: a signal during start-up drains like any other.
    let mut signals = ProcessSignals::listen().context("cannot listen for signals")?;
    let metrics = Arc::new(Metrics::new().context("cannot register the metrics")?);
    let lifecycle = Lifecycle::default();
    let readiness = Readiness::new(lifecycle.clone());
    let loaded = readiness.condition("snapshot", "the cluster's nodes have not been read yet");
    let certified = readiness.condition("certificate", "there is no certificate yet");
    let listener = bind(listen, "--listen").await?;
    let admin_listener = bind(admin_listen, "--admin-listen").await?;
    let admin = Admin::new(admin_listener, readiness, Arc::clone(&metrics));
    let guard = Arc::new(guard);
    let cell = Arc::new(ArcSwapOption::from(Some(Arc::clone(&guard))));
    let dropped = metrics.audit_dropped.clone();
    let (audit, writer) = Audit::start(audit_format, io::stdout(), dropped)
        .context("cannot start the audit stream")?;
    let service = AdmissionService::new(cell, Arc::clone(&metrics), audit);
    let server =
        Server::new(listener, tls, limits, Arc::clone(&metrics), lifecycle.clone(), service);
    show_snapshot(&metrics, &guard.snapshot);
    metrics.set_certificate_expiry(label::Certificate::Serving, certificate_expires_at);
    loaded.meet();
    certified.meet();
    announce(Bound { webhook: server.local_addr()?, admin: admin.local_addr()? }, &guard);
    let work = async {
        select! {
            drained = server.run() => drained,
            never = admin.run() => match never {},
        }
    };
    let ending = run_until_signalled(work, &mut signals, &lifecycle, shutdown_delay).await;
    writer.finish();
    report(&ending);
    Ok(())
}

fn bind(address: SocketAddr, flag: &str) -> impl Future<Output = anyhow::Result<TcpListener>> {
    let context = format!("cannot listen on {address}: choose another address with {flag}");
    async move { TcpListener::bind(address).await.context(context) }
}

fn report(ending: &Ending<Drained>) {
    match ending {
        Ending::Finished(Drained { cut: 0 }) => info!("stopped: every request was answered"),
        Ending::Finished(Drained { cut }) => info!(cut, "stopped: connections had to be cut"),
        Ending::Interrupted => info!("stopped at once by a second signal"),
    }
}

fn show_snapshot(metrics: &Metrics, snapshot: &Snapshot) {
    metrics.snapshot_confirmed(Instant::now());
    let mut counts: BTreeMap<(&str, &str, NodeState), i64> = BTreeMap::new();
    for pool in snapshot.pools() {
        for (zone, state, number) in &pool.states {
            let zone = zone.as_deref().unwrap_or_default();
            *counts.entry((&pool.name, zone, *state)).or_default() += i64::from(*number);
        }
    }
    metrics.set_pool_nodes(counts.into_iter().map(|((pool, zone, state), number)| {
        let state = match state {
            NodeState::Ready => label::NodeState::Ready,
            NodeState::Cordoned => label::NodeState::Cordoned,
            NodeState::NotReady => label::NodeState::NotReady,
        };
        (pool, zone, state, number)
    }));
}
