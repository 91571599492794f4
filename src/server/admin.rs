//! Liveness, readiness and metrics, in plain HTTP on a port of their own.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    task::JoinSet,
};
use tracing::error;

use super::{
    accept::{self, Acceptor},
    connection::{drive, http1_builder},
    limits::Limits,
    pulse::{Monitored, Pulse},
    readiness::Readiness,
};
use crate::{metrics::Metrics, shutdown::Lifecycle};

/// A kubelet and a few scrapers.
const MAX_CONNECTIONS: usize = 64;

/// Longer than scrapes are usually apart.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);

const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

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
        Self { acceptor: Acceptor::new(listener, MAX_CONNECTIONS), shared }
    }

    /// The address that clients connect to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.local_addr()
    }

    /// Serves for as long as it is polled: through the drain of the webhook's server, so that it can
    /// be watched.
    pub async fn run(self) -> Infallible {
        let mut connections = JoinSet::new();
        loop {
            select! {
                biased;
                Some(result) = connections.join_next() => accept::ended(result),
                (stream, place) = self.acceptor.next() => {
                    let shared = Arc::clone(&self.shared);
                    connections.spawn(async move {
                        serve(stream, &shared).await;
                        drop(place);
                    });
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, shared: &Shared) {
    let pulse = Pulse::default();
    let service = service_fn(|request: Request<Incoming>| {
        let busy = pulse.begin();
        let response = answer(shared, &request);
        drop(busy);
        async { Ok::<_, Infallible>(response) }
    });
    let stream = TokioIo::new(Monitored::new(stream, &pulse));
    let connection = http1_builder().serve_connection(stream, service);
    let limits =
        Limits { header_timeout: HEADER_TIMEOUT, idle_timeout: IDLE_TIMEOUT, ..Limits::default() };
    // It lives until the process ends, so its lifecycle never goes down.
    drive(connection, &pulse, &Lifecycle::default(), &limits).await;
}

fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(path, "/livez" | "/readyz" | "/metrics") {
        let text = "there is no such path: see /livez, /readyz and /metrics\n";
        return response(StatusCode::NOT_FOUND, PLAIN_TEXT, text);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal =
            response(StatusCode::METHOD_NOT_ALLOWED, PLAIN_TEXT, "this path is read with GET\n");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match path {
        "/livez" => response(StatusCode::OK, PLAIN_TEXT, "ok\n"),
        "/readyz" => ready(&shared.readiness),
        _ => metrics(&shared.metrics),
    }
}

fn ready(readiness: &Readiness) -> Response<Full<Bytes>> {
    let unmet = readiness.unmet();
    if unmet.is_empty() {
        return response(StatusCode::OK, PLAIN_TEXT, "ok\n");
    }
    let mut lines = unmet.join("\n");
    lines.push('\n');
    response(StatusCode::SERVICE_UNAVAILABLE, PLAIN_TEXT, lines)
}

fn metrics(metrics: &Metrics) -> Response<Full<Bytes>> {
    match metrics.render() {
        Ok(text) => response(StatusCode::OK, crate::metrics::TEXT_FORMAT, text),
        Err(error) => {
            error!(%error, "cannot render the metrics");
            response(StatusCode::INTERNAL_SERVER_ERROR, PLAIN_TEXT, "see the log\n")
        }
    }
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
