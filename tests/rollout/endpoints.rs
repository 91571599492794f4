//! Which replicas a client may open connections to: those that were ready a moment ago.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// How often a replica is asked, as a kubelet's probe does.
const PROBE: Duration = Duration::from_millis(100);
/// How long it takes until a client knows: the kubelet tells the API server, which writes
/// down what others watch.
const SPREAD: Duration = Duration::from_millis(400);

/// The endpoints. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Endpoints(Arc<Mutex<BTreeMap<SocketAddr, Endpoint>>>);

struct Endpoint {
    is_ready: bool,
    probing: JoinHandle<()>,
}

impl Endpoints {
    /// Probes a replica from now on, unless that is done already.
    pub(crate) fn follow(&self, webhook: SocketAddr, admin: SocketAddr) {
        let mut endpoints = self.0.lock().unwrap();
        endpoints.entry(webhook).or_insert_with(|| {
            let all = self.clone();
            let probing = tokio::spawn(async move {
                loop {
                    all.note(webhook, is_ready(admin).await);
                    sleep(PROBE).await;
                }
            });
            Endpoint { is_ready: false, probing }
        });
    }

    /// A replica is gone for good.
    pub(crate) fn forget(&self, webhook: SocketAddr) {
        if let Some(endpoint) = self.0.lock().unwrap().remove(&webhook) {
            endpoint.probing.abort();
        }
    }

    /// Those that new connections may go to.
    pub(crate) fn ready(&self) -> Vec<SocketAddr> {
        let endpoints = self.0.lock().unwrap();
        endpoints.iter().filter(|(_, it)| it.is_ready).map(|(&address, _)| address).collect()
    }

    pub(crate) async fn until_ready(&self, webhook: SocketAddr) {
        while !self.ready().contains(&webhook) {
            sleep(PROBE).await;
        }
    }

    fn note(&self, webhook: SocketAddr, is_ready: bool) {
        let all = self.clone();
        tokio::spawn(async move {
            sleep(SPREAD).await;
            if let Some(endpoint) = all.0.lock().unwrap().get_mut(&webhook) {
                endpoint.is_ready = is_ready;
            }
        });
    }
}

async fn is_ready(admin: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(admin).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer.starts_with("HTTP/1.1 200 "))
    };
    matches!(timeout(Duration::from_secs(1), asked).await, Ok(Ok(true)))
}
