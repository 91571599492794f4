//! Liveness, readiness and metrics, in plain HTTP on a port of their own.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    task::JoinSet,
    time::Instant,
};
use tracing::error;

use super::{
    accept::{self, Acceptor},
    activity::Monitored,
    answer::AnswerBody,
    capacity::{Capacity, Peer},
    connection::{drive, http1_builder},
    exchange::Exchange,
    limits::Limits,
    readiness::Readiness,
};
use crate::{server::shutdown::Lifecycle, telemetry::metrics::Metrics};

/// The largest number of connections: enough for a kubelet and a few scrapers. When more connect, the
/// connection that is idle the longest makes room.
const MAX_CONNECTIONS: usize = 32;

/// The time limit of an idle connection: longer than scrapes are usually apart.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);

const HEADER_TIMEOUT: Duration = Duration::from_secs(2);

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// The admin server with its socket open, not yet accepting.
pub struct Admin {
    acceptor: Acceptor,
    shared: Arc<Shared>,
}

struct Shared {
    readiness: Readiness,
    metrics: Arc<Metrics>,
}

impl Admin {
    /// Takes over a listener.
    pub fn new(listener: TcpListener, readiness: Readiness, metrics: Arc<Metrics>) -> Self {
        let shared = Arc::new(Shared { readiness, metrics });
        let capacity = Capacity::unmeasured(&Limits::default());
        Self { acceptor: Acceptor::new(listener, MAX_CONNECTIONS, capacity), shared }
    }

    /// The address that clients connect to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.local_addr()
    }

    /// Serves requests for as long as the future is polled, also during the drain of the webhook's server,
    /// so that the drain can be watched.
    pub async fn run(self) -> Infallible {
        let Self { mut acceptor, shared } = self;
        let mut connections = JoinSet::new();
        loop {
            select! {
                biased;
                Some(result) = connections.join_next() => accept::ended(result),
                (stream, permit) = acceptor.next() => {
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        let serving = pin!(serve(stream, &shared, &permit.peer));
                        permit.peer.until_cut(serving).await;
                    });
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, shared: &Shared, peer: &Arc<Peer>) {
    let service = service_fn(|request: Request<Incoming>| {
        let exchange = Exchange::begin(Arc::clone(peer), Instant::now());
        let response = answer(shared, &request);
        let response = response.map(|bytes| AnswerBody::new(bytes, exchange, Instant::now()));
        async { Ok::<_, Infallible>(response) }
    });
    let stream = TokioIo::new(Monitored::new(stream, &peer.activity));
    let connection = http1_builder().serve_connection(stream, service);
    let limits =
        Limits { header_timeout: HEADER_TIMEOUT, idle_timeout: IDLE_TIMEOUT, ..Limits::default() };
    // It lives until the process ends, so its lifecycle never goes down.
    drive(connection, &peer.activity, &Lifecycle::default(), &limits).await;
}

fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Bytes> {
    let path = request.uri().path();
    if !matches!(path, "/livez" | "/readyz" | "/metrics") {
        let text = "unknown path: use /livez, /readyz or /metrics\n";
        return response(StatusCode::NOT_FOUND, PLAIN_TEXT, text);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal =
            response(StatusCode::METHOD_NOT_ALLOWED, PLAIN_TEXT, "use GET for this path\n");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match path {
        "/livez" => response(StatusCode::OK, PLAIN_TEXT, "ok\n"),
        "/readyz" => ready(&shared.readiness),
        _ => metrics(&shared.metrics),
    }
}

fn ready(readiness: &Readiness) -> Response<Bytes> {
    let unmet = readiness.unmet();
    if unmet.is_empty() {
        return response(StatusCode::OK, PLAIN_TEXT, "ok\n");
    }
    let mut lines = unmet.join("\n");
    lines.push('\n');
    response(StatusCode::SERVICE_UNAVAILABLE, PLAIN_TEXT, lines)
}

fn metrics(metrics: &Metrics) -> Response<Bytes> {
    match metrics.render() {
        Ok(text) => response(StatusCode::OK, crate::telemetry::metrics::TEXT_FORMAT, text),
        Err(error) => {
            error!(%error, "cannot render the metrics");
            response(
                StatusCode::INTERNAL_SERVER_ERROR,
                PLAIN_TEXT,
                "cannot render the metrics: \
             see the log\n",
            )
        }
    }
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
