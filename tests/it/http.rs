//! A server under test, and a client that sends exactly the bytes it is told to.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use poolguard::{
    server::{
        Drained, Received, Server, Service,
        fault::Fault,
        limits::Limits,
        shutdown::{Lifecycle, Stage},
        tls::{Certificates, Credentials, server_config},
    },
    telemetry::metrics::Metrics,
};
use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Nothing in these tests takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A service made of a function.
pub(crate) struct Stub<F>(pub(crate) F);

impl<F> Service for Stub<F>
where
    F: Fn(Received<'_>) -> Result<Bytes, Fault> + Send + Sync + 'static,
{
    fn answer(&self, request: Received<'_>) -> Result<Bytes, Fault> {
        (self.0)(request)
    }
}

/// Answers with what it was sent.
pub(crate) fn echo() -> impl Service {
    Stub(|request: Received<'_>| Ok(request.body.clone()))
}

/// Answers with whether the client is authenticated.
pub(crate) fn authentication() -> impl Service {
    Stub(|request: Received<'_>| Ok(request.is_authenticated.to_string().into()))
}

/// Answers with the length of what it was sent.
pub(crate) fn lengths() -> impl Service {
    Stub(|request: Received<'_>| Ok(request.body.len().to_string().into()))
}

/// Panics at bodies of this length, and echoes all others.
pub(crate) fn panics_at(length: usize) -> impl Service {
    Stub(move |request: Received<'_>| {
        assert_ne!(request.body.len(), length);
        Ok(request.body.clone())
    })
}

/// A gate that holds decisions up until it is opened.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    waiting: usize,
    asked: usize,
    is_open: bool,
}

/// The size up to which a body is decided on the connection's own task.
pub(crate) const SMALL: usize = 64 << 10;

/// A body that a gate holds up, on a thread that it may block.
pub(crate) fn large() -> String {
    format!("wait{}", "x".repeat(SMALL))
}

impl Gate {
    /// Echoes, but bodies that begin with `wait` only once the gate is open.
    pub(crate) fn service(&self) -> impl Service {
        let gate = self.clone();
        Stub(move |request: Received<'_>| {
            let (state, opened) = &*gate.0;
            let mut state = state.lock().unwrap();
            state.asked += 1;
            if request.body.starts_with(b"wait") {
                state.waiting += 1;
                let is_shut = |state: &mut GateState| !state.is_open;
                let (mut state, _) =
                    opened.wait_timeout_while(state, PATIENCE / 2, is_shut).unwrap();
                state.waiting -= 1;
            }
            Ok(request.body.clone())
        })
    }

    /// How many decisions are held up.
    pub(crate) fn waiting(&self) -> usize {
        self.0.0.lock().unwrap().waiting
    }

    /// How many decisions have begun.
    pub(crate) fn asked(&self) -> usize {
        self.0.0.lock().unwrap().asked
    }

    pub(crate) fn open(&self) {
        self.0.0.lock().unwrap().is_open = true;
        self.0.1.notify_all();
    }
}

/// A running server.
pub(crate) struct Harness {
    pub(crate) address: SocketAddr,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) running: JoinHandle<Drained>,
    /// Trusts the server's certificate.
    pub(crate) roots: RootCertStore,
}

impl Harness {
    pub(crate) async fn start(service: impl Service, limits: Limits) -> Self {
        let credentials = Credentials::self_signed(["localhost"]).unwrap();
        let roots = roots(&credentials);
        let certificates = Arc::new(Certificates::new(credentials));
        let tls = server_config(certificates, None).unwrap();
        Self::start_with_tls(service, limits, tls, roots).await
    }

    pub(crate) async fn start_with_tls(
        service: impl Service,
        limits: Limits,
        tls: Arc<ServerConfig>,
        roots: RootCertStore,
    ) -> Self {
        let tls = Arc::new(ArcSwap::from(tls));
        Self::start_with_tls_cell(service, limits, tls, roots).await
    }

    /// With TLS settings that may change.
    pub(crate) async fn start_with_tls_cell(
        service: impl Service,
        limits: Limits,
        tls: Arc<ArcSwap<ServerConfig>>,
        roots: RootCertStore,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let lifecycle = Lifecycle::default();
        let server =
            Server::new(listener, tls, limits, Arc::clone(&metrics), lifecycle.clone(), service);
        let address = server.local_addr().unwrap();
        let running = tokio::spawn(server.run());
        Self { address, metrics, lifecycle, running, roots }
    }

    /// An HTTP/1.1 connection.
    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address, client_config(&self.roots, &[b"http/1.1"])).await.unwrap()
    }

    /// Drains the server and returns how that went.
    pub(crate) async fn stop(self) -> Drained {
        self.lifecycle.advance(Stage::Draining);
        timeout(PATIENCE, self.running).await.unwrap().unwrap()
    }

    /// The value of a metric's first series with this start.
    pub(crate) fn metric(&self, start: &str) -> f64 {
        let text = self.metrics.render().unwrap();
        let line = text.lines().find(|line| line.starts_with(start));
        line.and_then(|line| line.rsplit(' ').next()).unwrap().parse().unwrap()
    }
}

/// Waits for something that another task brings about.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
}

pub(crate) fn roots(credentials: &Credentials) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(credentials.chain()[0].clone()).unwrap();
    roots
}

pub(crate) fn client_config(roots: &RootCertStore, protocols: &[&[u8]]) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

/// A client's side of a TLS connection.
pub(crate) struct Connection {
    pub(crate) stream: TlsStream<TcpStream>,
    unread: Vec<u8>,
}

/// An HTTP/1.1 response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Connection {
    pub(crate) async fn open(
        address: SocketAddr,
        config: ClientConfig,
    ) -> Result<Self, std::io::Error> {
        Self::open_as(address, "localhost", config).await
    }

    /// To a server of this name.
    pub(crate) async fn open_as(
        address: SocketAddr,
        name: &'static str,
        config: ClientConfig,
    ) -> Result<Self, std::io::Error> {
        Self::over(TcpStream::connect(address).await?, name, config).await
    }

    /// On a connection of TCP that is there.
    pub(crate) async fn over(
        stream: TcpStream,
        name: &'static str,
        config: ClientConfig,
    ) -> Result<Self, std::io::Error> {
        let name = ServerName::try_from(name).unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = timeout(PATIENCE, connecting).await.unwrap()?;
        Ok(Self { stream, unread: Vec::new() })
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Posts JSON and returns the response.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> Reply {
        self.send(&request(path, body)).await;
        self.reply().await
    }

    /// The next response.
    pub(crate) async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("a response, not the end of the connection")
    }

    /// The next response, or `None` when the connection ends before it.
    pub(crate) async fn try_reply(&mut self) -> Option<Reply> {
        timeout(PATIENCE, async {
            loop {
                if let Some((reply, length)) = parse(&self.unread) {
                    self.unread.drain(..length);
                    return Some(reply);
                }
                let mut chunk = [0; 4096];
                match self.stream.read(&mut chunk).await {
                    Ok(0) | Err(_) => return None,
                    Ok(length) => self.unread.extend_from_slice(&chunk[..length]),
                }
            }
        })
        .await
        .expect("the server answers or closes")
    }

    /// Whether the server has closed the connection, with nothing more to read.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.try_reply().await.is_none()
    }
}

/// A well-formed request.
pub(crate) fn request(path: &str, body: &str) -> String {
    format!("{}{body}", header(path, body.len()))
}

/// A well-formed request whose body comes in these chunks.
pub(crate) fn chunked(chunks: &[&str]) -> String {
    let header = "POST /mutate HTTP/1.1\r\nhost: localhost\r\n\
                  content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    let body = chunks.collect::<Vec<_>>().concat();
    format!("{header}{body}0\r\n\r\n")
}

/// The header of a well-formed request.
pub(crate) fn header(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    )
}

fn parse(bytes: &[u8]) -> Option<(Reply, usize)> {
    let text = String::from_utf8_lossy(bytes);
    let (head, rest) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let reply = Reply { status, head: head.to_owned(), body: String::new() };
    let length: usize = reply.header("content-length").map_or(0, |value| value.parse().unwrap());
    let body = rest.get(..length)?.to_owned();
    Some((Reply { body, ..reply }, head.len() + 4 + length))
}
