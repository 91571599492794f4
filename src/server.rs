//! The webhook's server: sockets, TLS, HTTP and limits around a [`Service`] that turns bytes into
//! bytes.
//!
//! ```text
//! accept ─▶ tls ─▶ connection (watchdog: idle, header, unread) ─▶ handler ─▶ body ─▶ decision ─▶ Service::answer
//! ```
//!
//! It knows no rule and no wire format. Nothing in it is unbounded, and nothing a client does ends
//! it: a bad request gets a [`Fault`], a bad connection is cut. Who waits for a client makes room for
//! others: see `capacity`.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tracing::warn;

use self::{
    accept::{Acceptor, ConnectionPermit},
    capacity::Capacity,
    decision::LARGE_AT_A_TIME,
    fault::Fault,
    limits::Limits,
};
use crate::{
    server::shutdown::Lifecycle,
    telemetry::metrics::{Metrics, label::WebhookLabel},
};

mod accept;
mod activity;
pub mod admin;
mod answer;
mod body;
mod capacity;
mod connection;
mod decision;
mod descriptors;
mod exchange;
pub mod fault;
mod handler;
pub mod limits;
pub mod readiness;
pub mod shutdown;
pub mod size;
pub mod tls;
mod watchdog;

pub use self::accept::listen;

/// Answers requests whose body has been read.
pub trait Service: Send + Sync + 'static {
    /// Returns the body of a 200 with content type `application/json`, or the fault instead of it.
    ///
    /// For a small body it runs on the connection's task, so it must take microseconds and never wait. A
    /// large one may take milliseconds on a thread of its own. A panic costs this one request.
    fn answer(&self, request: Received<'_>) -> Result<Bytes, Fault>;
}

/// A request, ready to be answered.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The webhook that is called, by its path.
    pub webhook: WebhookLabel,
    /// The whole body, within the limits.
    pub body: &'a Bytes,
    /// The time at which the header had been read.
    pub arrived: Instant,
    /// Whether the client showed a certificate of the client CA.
    pub is_authenticated: bool,
    /// The time at which the client gives up, if the request says so. A later answer becomes a fault by itself.
    pub deadline: Option<Instant>,
}

/// The state that all connections share.
struct Shared<S> {
    service: S,
    limits: Limits,
    metrics: Arc<Metrics>,
    lifecycle: Lifecycle,
    /// Places for requests whose decision may take long.
    large: Arc<Semaphore>,
}

/// A server with its socket open, not yet accepting.
pub struct Server<S> {
    acceptor: Acceptor,
    tls: Arc<ArcSwap<ServerConfig>>,
    shared: Arc<Shared<S>>,
}

/// The result of a server's drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that had not ended by themselves within the time limit.
    pub cut: usize,
}

impl<S: Service> Server<S> {
    /// Takes over a listener; what it is bound to is the caller's choice. New connections get the settings of
    /// `tls` as they are then.
    pub fn new(
        listener: TcpListener,
        tls: Arc<ArcSwap<ServerConfig>>,
        limits: Limits,
        metrics: Arc<Metrics>,
        lifecycle: Lifecycle,
        service: S,
    ) -> Self {
        if limits.idle_timeout <= Limits::API_SERVER_IDLE {
            warn!(
                idle_timeout = ?limits.idle_timeout,
                "--idle-timeout is shorter than 90s, the time for which the API server keeps idle \
                 connections: a call fails if PoolGuard closes its connection first"
            );
        }
        let capacity = Capacity::new(&limits, &metrics);
        let places = max_connections(&limits);
        metrics.set_limits(places, limits.max_requests_in_flight, limits.max_body_bytes_in_flight);
        let acceptor = Acceptor::new(listener, places, capacity);
        let large = Arc::new(Semaphore::new(LARGE_AT_A_TIME));
        let shared = Arc::new(Shared { service, limits, metrics, lifecycle, large });
        Self { acceptor, tls, shared }
    }

    /// The address that clients connect to, with the port that was chosen for port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.local_addr()
    }

    /// Serves until the lifecycle drains, then until every connection has ended or the time limit
    /// of the drain has passed.
    pub async fn run(self) -> Drained {
        let Self { mut acceptor, tls, shared } = self;
        let mut connections = JoinSet::new();
        loop {
            select! {
                // Connections that have ended make room before new ones come.
                biased;
                Some(result) = connections.join_next() => accept::ended(result),
                () = shared.lifecycle.draining() => break,
                (stream, permit) = acceptor.next() => {
                    spawn(&mut connections, (stream, permit), &tls, &shared);
                }
            }
        }
        while let Some(accepted) = acceptor.waiting().await {
            spawn(&mut connections, accepted, &tls, &shared);
        }
        drop(acceptor);
        let all_ended = async {
            while let Some(result) = connections.join_next().await {
                accept::ended(result);
            }
        };
        if timeout(shared.limits.drain_timeout, all_ended).await.is_ok() {
            return Drained { cut: 0 };
        }
        let cut = accept::cut(&mut connections).await;
        warn!(cut, "the drain took longer than --drain-timeout: closing the remaining connections");
        Drained { cut }
    }
}

fn spawn<S: Service>(
    connections: &mut JoinSet<()>,
    (stream, permit): (TcpStream, ConnectionPermit),
    tls: &ArcSwap<ServerConfig>,
    shared: &Arc<Shared<S>>,
) {
    let (tls, shared) = (TlsAcceptor::from(tls.load_full()), Arc::clone(shared));
    connections.spawn(async move {
        let open = shared.metrics.connections.clone();
        // The seat is what bounds connections; the level only shows them.
        let _open = open.hold(1);
        let peer = Arc::clone(&permit.peer);
        let serving = pin!(connection::serve(stream, tls, shared, peer));
        permit.peer.until_cut(serving).await;
    });
}

/// Returns the number of connections that the limits allow, or fewer if the process may open fewer files.
fn max_connections(limits: &Limits) -> usize {
    let wanted = limits.max_connections;
    let allowed = descriptors::max_connections().unwrap_or(usize::MAX);
    if allowed < wanted {
        warn!(
            wanted,
            allowed,
            "the limit of open files is too low for --max-connections, so PoolGuard accepts fewer \
             connections. Raise the limit (ulimit -n, LimitNOFILE)"
        );
    }
    wanted.min(allowed)
}
