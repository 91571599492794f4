//! What an API server is to a webhook: it keeps connections, reuses the one that was used last, opens
//! another when none is free, and trusts the `caBundle` that it has seen last.
//!
//! Like Go's HTTP client, it notices when an idle connection is closed, and sends again only what
//! has not been sent at all. Whatever else goes wrong is a failed call.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{RootCertStore, client::Resumption};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    endpoints::Endpoints, http::client_config, it::live::cluster::Cluster, reviews::Review,
};

/// What the entries give a call.
const TIME_LIMIT: Duration = Duration::from_secs(3);
/// How long after a change an API server acts on it.
const LAG: Duration = Duration::from_millis(300);

/// Calls the webhooks of one configuration.
pub(crate) struct Caller {
    pub(crate) path: &'static str,
    configuration: &'static str,
    cluster: Arc<Cluster>,
    endpoints: Endpoints,
    state: Mutex<State>,
}

struct State {
    bundle: Value,
    trust: TlsConnector,
    idle: BTreeMap<SocketAddr, Vec<Connection>>,
    turn: usize,
}

/// How a call went.
pub(crate) struct Call {
    pub(crate) took: Duration,
    /// Why it failed.
    pub(crate) failure: Option<String>,
    /// Connections that it opened.
    pub(crate) opened: u64,
    /// How often nothing had been sent, and it was sent again.
    pub(crate) retries: u64,
}

impl Caller {
    pub(crate) fn new(
        path: &'static str,
        configuration: &'static str,
        cluster: Arc<Cluster>,
        endpoints: Endpoints,
    ) -> Self {
        let bundle = bundle(&cluster, configuration);
        let trust = connector(&bundle);
        let state = State { bundle, trust, idle: BTreeMap::new(), turn: 0 };
        Self { path, configuration, cluster, endpoints, state: Mutex::new(state) }
    }

    /// Trusts what is registered, as it changes. An API server has another client for another
    /// bundle, so that connections are opened anew.
    pub(crate) async fn follow_the_bundle(&self) {
        loop {
            sleep(LAG).await;
            let bundle = bundle(&self.cluster, self.configuration);
            if self.state.lock().unwrap().bundle != bundle {
                let trust = connector(&bundle);
                let mut state = self.state.lock().unwrap();
                (state.bundle, state.trust) = (bundle, trust);
                state.idle.clear();
            }
        }
    }

    /// Sends a review, and looks at the answer.
    pub(crate) async fn call(&self, review: &Review) -> Call {
        let began = Instant::now();
        let mut call = Call { took: Duration::ZERO, failure: None, opened: 0, retries: 0 };
        let answered = timeout(TIME_LIMIT, self.send(review, &mut call)).await;
        call.failure = match answered {
            Ok(Ok(failure)) => failure,
            Ok(Err(error)) => Some(error),
            Err(_) => Some("no answer in time".to_owned()),
        };
        call.took = began.elapsed();
        call
    }

    async fn send(&self, review: &Review, call: &mut Call) -> Result<Option<String>, String> {
        loop {
            let (address, idle) = self.connection().ok_or("no endpoint is ready")?;
            let is_reused = idle.is_some();
            let mut connection = if let Some(connection) = idle {
                connection
            } else {
                call.opened += 1;
                self.open(address).await.map_err(|why| format!("{address}: {why}"))?
            };
            let sent = connection.send(self.path, &review.body).await;
            if sent.is_err() && is_reused {
                call.retries += 1;
                continue;
            }
            sent.map_err(|error| format!("{address}: cannot send: {error}"))?;
            let reply = connection.reply().await;
            let reply = reply.map_err(|error| {
                let kind = if is_reused { "a kept" } else { "a new" };
                format!("{address}: {kind} connection ended without an answer: {error}")
            })?;
            let complaint = review.complaint(reply.status, &reply.body);
            if !reply.closes {
                self.keep(address, connection);
            }
            return Ok(complaint.map(|complaint| format!("{address}: {complaint}")));
        }
    }

    /// A kept connection, or where to open one. Those that are kept are used for as long as they
    /// live, whatever has become of their endpoint.
    fn connection(&self) -> Option<(SocketAddr, Option<Connection>)> {
        let ready = self.endpoints.ready();
        let mut state = self.state.lock().unwrap();
        state.turn += 1;
        loop {
            state.idle.retain(|_, connections| !connections.is_empty());
            let mut targets: Vec<SocketAddr> = state.idle.keys().copied().collect();
            targets.extend(&ready);
            targets.sort_unstable();
            targets.dedup();
            let turn = state.turn.checked_rem(targets.len())?;
            let address = targets[turn];
            match state.idle.get_mut(&address).and_then(Vec::pop) {
                Some(mut connection) => {
                    if connection.is_open() {
                        return Some((address, Some(connection)));
                    }
                }
                None => return Some((address, None)),
            }
        }
    }

    async fn open(&self, address: SocketAddr) -> Result<Connection, String> {
        let trust = self.state.lock().unwrap().trust.clone();
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
        let name = ServerName::IpAddress(address.ip().into());
        let stream = trust.connect(name, stream).await;
        let stream = stream.map_err(|error| format!("the TLS handshake failed: {error}"))?;
        Ok(Connection { stream, unread: Vec::new() })
    }

    fn keep(&self, address: SocketAddr, connection: Connection) {
        self.state.lock().unwrap().idle.entry(address).or_default().push(connection);
    }
}

fn bundle(cluster: &Cluster, configuration: &str) -> Value {
    let registered = cluster.registered(configuration).unwrap();
    registered["webhooks"][0]["clientConfig"]["caBundle"].clone()
}

fn connector(bundle: &Value) -> TlsConnector {
    let pem = STANDARD.decode(bundle.as_str().unwrap()).unwrap();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let mut config = client_config(&roots, &[b"http/1.1"]);
    // A connection that goes on where another ended would not look at the certificate.
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

struct Connection {
    stream: TlsStream<TcpStream>,
    unread: Vec<u8>,
}

struct Reply {
    status: u16,
    body: Vec<u8>,
    closes: bool,
}

impl Connection {
    /// Whether the server has not closed it, as far as can be told.
    fn is_open(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
        Pin::new(&mut self.stream).poll_read(context, &mut buffer).is_pending()
    }

    async fn send(&mut self, path: &str, body: &str) -> io::Result<()> {
        let head = format!(
            "POST {path}?timeout={}s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            TIME_LIMIT.as_secs(),
            body.len()
        );
        self.stream.write_all(format!("{head}{body}").as_bytes()).await?;
        self.stream.flush().await
    }

    async fn reply(&mut self) -> io::Result<Reply> {
        loop {
            if let Some((reply, length)) = parse(&self.unread) {
                self.unread.drain(..length);
                return Ok(reply);
            }
            let mut chunk = [0; 8192];
            match self.stream.read(&mut chunk).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => self.unread.extend_from_slice(&chunk[..length]),
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Option<(Reply, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let header = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
    };
    let length: usize = header("content-length")?.parse().unwrap();
    let body = bytes.get(end..end + length)?.to_vec();
    let status = head.split(' ').nth(1)?.parse().unwrap();
    let closes = header("connection").is_some_and(|value| value == "close");
    Some((Reply { status, body, closes }, end + length))
}
