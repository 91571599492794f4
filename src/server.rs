//! The webhook's server: sockets, TLS, HTTP and limits around a [`Service`] that turns bytes into
//! bytes.
//!
//! ```text
//! accept ─▶ tls ─▶ connection (watchdog: idle, header) ─▶ handler ─▶ body ─▶ Service::answer
//! ```
//!
//! It knows no rule and no wire format. Nothing in it is unbounded, and nothing a client does ends
//! it: a bad request gets a [`Fault`], a bad connection is cut.

use std::{io, net::SocketAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::OwnedSemaphorePermit,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tracing::warn;

use self::{accept::Acceptor, fault::Fault, limits::Limits};
use crate::{
    metrics::{Metrics, label::Webhook},
    shutdown::Lifecycle,
};

mod accept;
pub mod admin;
mod body;
mod connection;
pub mod fault;
mod handler;
pub mod limits;
mod pulse;
pub mod quantity;
pub mod readiness;
pub mod tls;
mod watchdog;

/// Answers requests whose body has been read.
pub trait Service: Send + Sync + 'static {
    /// The body of a 200 with content type `application/json`, or why there is none.
    ///
    /// It runs on the connection's task, so it must take microseconds and never wait. A panic costs
    /// this one request.
    fn answer(&self, request: Received<'_>) -> Result<Bytes, Fault>;
}

/// A request, ready to be answered.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The webhook that is called, by its path.
    pub webhook: Webhook,
    /// The whole body, within the limits.
    pub body: &'a Bytes,
    /// When its header had been read.
    pub arrived: Instant,
    /// When the client gives up, if it said so. An answer after it becomes a fault by itself.
    pub deadline: Option<Instant>,
}

/// What all connections share.
struct Shared<S> {
    service: S,
    limits: Limits,
    metrics: Arc<Metrics>,
    lifecycle: Lifecycle,
}

/// A server with its socket open, not yet accepting.
pub struct Server<S> {
    acceptor: Acceptor,
    tls: TlsAcceptor,
    shared: Arc<Shared<S>>,
}

/// How a server's drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that had not ended by themselves within the time limit.
    pub cut: usize,
}

impl<S: Service> Server<S> {
    /// Takes over a listener; what it is bound to is the caller's choice.
    pub fn new(
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        limits: Limits,
        metrics: Arc<Metrics>,
        lifecycle: Lifecycle,
        service: S,
    ) -> Self {
        if limits.idle_timeout <= Limits::API_SERVER_IDLE {
            warn!(
                idle_timeout = ?limits.idle_timeout,
                "the API server keeps idle connections for 90 s: one that it uses just as this \
                 server closes it is a failed call"
            );
        }
        let acceptor = Acceptor::new(listener, limits.max_connections);
        let shared = Arc::new(Shared { service, limits, metrics, lifecycle });
        Self { acceptor, tls: TlsAcceptor::from(tls), shared }
    }

    /// The address that clients connect to, with the port that was chosen for port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.local_addr()
    }

    /// Serves until the lifecycle drains, then until every connection has ended or the time limit
    /// of the drain has passed.
    pub async fn run(self) -> Drained {
        let mut connections = JoinSet::new();
        loop {
            select! {
                // Connections that have ended make room before new ones come.
                biased;
                Some(result) = connections.join_next() => accept::ended(result),
                () = self.shared.lifecycle.draining() => break,
                (stream, place) = self.acceptor.next() => {
                    self.spawn(&mut connections, stream, place);
                }
            }
        }
        while let Some((stream, place)) = self.acceptor.waiting().await {
            self.spawn(&mut connections, stream, place);
        }
        let Self { acceptor, tls: _, shared } = self;
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
        warn!(cut, "the drain took too long: connections were cut");
        Drained { cut }
    }

    fn spawn(&self, connections: &mut JoinSet<()>, stream: TcpStream, place: OwnedSemaphorePermit) {
        let (tls, shared) = (self.tls.clone(), Arc::clone(&self.shared));
        connections.spawn(async move {
            let open = shared.metrics.connections.clone();
            // The semaphore is what bounds connections; the level only shows them.
            let _open = open.hold(1, usize::MAX);
            connection::serve(stream, tls, shared).await;
            drop(place);
        });
    }
}
