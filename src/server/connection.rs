//! One connection, from the handshake to its end.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    body::Incoming,
    rt,
    server::conn::{http1, http2},
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::TcpStream,
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::debug;

use super::{
    Service, Shared,
    activity::{ConnectionActivity, Monitored},
    answer::AnswerBody,
    capacity::Peer,
    handler::{Client, handle},
    limits::Limits,
    tls::HTTP_2,
    watchdog::{Expired, Watchdog},
};
use crate::server::shutdown::Lifecycle;

/// The buffers of an HTTP/1.1 connection, and so the largest header: as large as a record of TLS. Larger
/// bodies pass through them in pieces.
const BUFFER: usize = 16 << 10;

/// The largest part of an answer that TLS keeps until the client has read it.
const TLS_BUFFER: usize = 16 << 10;

/// The number of bytes that an HTTP/2 client may send on a stream before the server reads them. The bytes
/// of this window and of the connection's window are in no other limit.
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;
const HEADER_LIST: u32 = 16 << 10;

/// The largest part of an answer that HTTP/2 copies until the client has read it.
const SEND_BUFFER: usize = 16 << 10;

/// The time for which a drain waits for the first request of a connection that has never carried one: this
/// request may be on its way when the drain begins.
const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);

/// Serves a connection that was just accepted.
pub(super) async fn serve<S: Service>(
    stream: TcpStream,
    tls: TlsAcceptor,
    shared: Arc<Shared<S>>,
    peer: Arc<Peer>,
) {
    let accepting = tls.accept_with(stream, |tls| tls.set_buffer_limit(Some(TLS_BUFFER)));
    let stream = match timeout(shared.limits.handshake_timeout, accepting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%error, "a TLS handshake failed"),
        Err(_) => return debug!("a TLS handshake took too long"),
    };
    let (_, session) = stream.get_ref();
    let is_authenticated = session.peer_certificates().is_some();
    let client = Arc::new(Client { shared, peer, is_authenticated });
    if session.alpn_protocol() == Some(HTTP_2) {
        serve_http2(stream, &client).await;
    } else {
        serve_http1(stream, &client).await;
    }
}

async fn serve_http1<S: Service>(stream: TlsStream<TcpStream>, client: &Arc<Client<S>>) {
    let service = service_fn(|request| handle(Arc::clone(client), request));
    let Client { shared, peer, .. } = &**client;
    let stream = TokioIo::new(Monitored::new(stream, &peer.activity));
    let connection = http1_builder().serve_connection(stream, service);
    drive(connection, &peer.activity, &shared.lifecycle, &shared.limits).await;
}

async fn serve_http2<S: Service>(stream: TlsStream<TcpStream>, client: &Arc<Client<S>>) {
    let owned = Arc::clone(client);
    let service = service_fn(move |request| handle(Arc::clone(&owned), request));
    let Client { shared, peer, .. } = &**client;
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(shared.limits.max_streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_LIST)
        .max_send_buf_size(SEND_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    drive(connection, &peer.activity, &shared.lifecycle, &shared.limits).await;
}

/// Creates an HTTP/1.1 builder without hyper's time limit for headers, which cuts idle connections too. The
/// watchdog enforces the limits for headers and for idle connections instead.
pub(super) fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(BUFFER);
    builder
}

/// A connection that can be asked to end once it has answered what it has read.
pub(super) trait Graceful: Future<Output = hyper::Result<()>> {
    fn end_gracefully(self: Pin<&mut Self>);
}

impl<I, S> Graceful for http1::Connection<I, S>
where
    I: rt::Read + rt::Write + Unpin,
    S: HttpService<Incoming, ResBody = AnswerBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn end_gracefully(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Graceful for http2::Connection<I, S, TokioExecutor>
where
    I: rt::Read + rt::Write + Unpin,
    S: HttpService<Incoming, ResBody = AnswerBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
{
    fn end_gracefully(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// The stage of a connection on its way from serving to its end.
enum ConnectionState {
    Serving,
    /// The wait for a first request after the drain has begun, until this timer expires.
    FirstRequest(Pin<Box<Sleep>>),
    /// The wait for a connection that has been asked to end. The server cuts it when this timer expires.
    Ending(Pin<Box<Sleep>>),
}

/// Runs a connection until it ends, is too slow, or is drained.
pub(super) async fn drive(
    connection: impl Graceful,
    activity: &ConnectionActivity,
    lifecycle: &Lifecycle,
    limits: &Limits,
) {
    let mut connection = pin!(connection);
    let mut draining = pin!(lifecycle.draining());
    let mut waits_for_drain = false;
    let mut watchdog = Watchdog::new(limits.into());
    let mut state = ConnectionState::Serving;
    let ended = poll_fn(|cx: &mut Context<'_>| {
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            state = match &mut state {
                ConnectionState::Serving => {
                    // The drain's own future takes a lock that all connections share, so it is
                    // polled once, for the wake-up; from then on the stage tells.
                    let drains = if waits_for_drain {
                        lifecycle.is_draining()
                    } else {
                        waits_for_drain = true;
                        draining.as_mut().poll(cx).is_ready()
                    };
                    if drains {
                        first_request(connection.as_mut(), activity, limits)
                    } else {
                        match watchdog.poll(cx, activity) {
                            Poll::Pending => return Poll::Pending,
                            Poll::Ready(Expired::Header | Expired::Unread) => {
                                return Poll::Ready(Ok(()));
                            }
                            Poll::Ready(Expired::Idle) => end(connection.as_mut(), limits),
                        }
                    }
                }
                ConnectionState::FirstRequest(grace) => {
                    if activity.turns() == 0 && grace.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    end(connection.as_mut(), limits)
                }
                ConnectionState::Ending(limit) => return limit.as_mut().poll(cx).map(Ok),
            };
        }
    })
    .await;
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
}

fn first_request(
    connection: Pin<&mut impl Graceful>,
    activity: &ConnectionActivity,
    limits: &Limits,
) -> ConnectionState {
    if activity.turns() == 0 {
        ConnectionState::FirstRequest(Box::pin(sleep(FIRST_REQUEST_GRACE)))
    } else {
        end(connection, limits)
    }
}

fn end(connection: Pin<&mut impl Graceful>, limits: &Limits) -> ConnectionState {
    connection.end_gracefully();
    ConnectionState::Ending(Box::pin(sleep(limits.drain_timeout)))
}
