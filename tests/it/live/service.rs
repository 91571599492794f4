//! A Service: an address that leads to whichever replica has its turn.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Connections come in here, and go to the endpoints in turn.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    endpoints: Arc<Mutex<Endpoints>>,
    forwarding: JoinHandle<()>,
}

#[derive(Default)]
struct Endpoints {
    addresses: Vec<SocketAddr>,
    turn: usize,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}

impl Service {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoints = Arc::<Mutex<Endpoints>>::default();
        let forwarding = tokio::spawn(forward(listener, Arc::clone(&endpoints)));
        Self { address, endpoints, forwarding }
    }

    /// From now on these are the replicas.
    pub(crate) fn lead_to(&self, addresses: &[SocketAddr]) {
        self.endpoints.lock().unwrap().addresses = addresses.to_vec();
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

async fn forward(listener: TcpListener, endpoints: Arc<Mutex<Endpoints>>) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let endpoint = {
            let mut endpoints = endpoints.lock().unwrap();
            endpoints.turn += 1;
            let turn = endpoints.turn;
            let count = endpoints.addresses.len();
            turn.checked_rem(count).map(|index| endpoints.addresses[index])
        };
        // Without an endpoint the connection ends, as with a real Service.
        let Some(endpoint) = endpoint else { continue };
        tokio::spawn(async move {
            if let Ok(mut replica) = TcpStream::connect(endpoint).await {
                drop(copy_bidirectional(&mut client, &mut replica).await);
            }
        });
    }
}
