//! Takes connections from a listener. It never fails: a server outlives every error it can get here.

use std::{future::poll_fn, io, net::SocketAddr, sync::Arc, task::Poll, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tracing::{error, info, warn};

use super::capacity::{Capacity, Peer};

/// Connections that the kernel keeps until they are accepted: as many as the machine allows, since the kernel
/// takes the smaller of this and its own limit, `net.core.somaxconn`.
const BACKLOG: u32 = 65_535;

/// The pause after a failed `accept` if no connection could be cut. Errors such as "too many open files"
/// pass when connections end, so PoolGuard does not retry at once.
const PAUSE: Duration = Duration::from_millis(100);

/// The time that a connection needs to end after it was cut, estimated generously.
const CONNECTION_CUT_TIME: Duration = Duration::from_millis(5);

/// The time that a new connection waits for a place after the server has cut a connection for it. After
/// this time the server cuts another one.
const PLACE_TIMEOUT: Duration = Duration::from_millis(20);

/// Opens a listener.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart must not wait for the old connections' time to pass.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A listener that takes no more connections at a time than it has places. When there is none, the connection
/// that needs its place the least is cut for the new one.
pub(super) struct Acceptor {
    listener: TcpListener,
    places: Arc<Semaphore>,
    capacity: Arc<Capacity>,
    /// A connection that waits for a place.
    accepted: Option<TcpStream>,
    is_failing: bool,
}

/// The place of a connection, and its entry among the open connections. Dropping it gives back both.
pub(super) struct ConnectionPermit {
    pub(super) peer: Arc<Peer>,
    number: u64,
    _place: OwnedSemaphorePermit,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.peer.capacity.peers.remove(self.number);
    }
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener, places: usize, capacity: Arc<Capacity>) -> Self {
        let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Self { listener, places, capacity, accepted: None, is_failing: false }
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits for the next connection and its place. No connection is lost if the caller drops the future
    /// and calls this again.
    pub(super) async fn next(&mut self) -> (TcpStream, ConnectionPermit) {
        if self.accepted.is_none() {
            self.accepted = Some(self.accept().await);
        }
        let place = self.place().await;
        match self.accepted.take() {
            Some(stream) => (without_delay(stream), self.permit(place)),
            // It has just been put there.
            None => std::future::pending().await,
        }
    }

    async fn accept(&mut self) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    if self.is_failing {
                        self.is_failing = false;
                        info!("accepting connections again");
                    }
                    return stream;
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    if !self.is_failing {
                        self.is_failing = true;
                        error!(%error, "cannot accept connections: closing idle connections");
                    }
                    let makes_room = self.capacity.peers.make_room();
                    sleep(if makes_room { CONNECTION_CUT_TIME } else { PAUSE }).await;
                }
            }
        }
    }

    async fn place(&self) -> OwnedSemaphorePermit {
        loop {
            let place = Arc::clone(&self.places);
            if let Ok(place) = Arc::clone(&place).try_acquire_owned() {
                return place;
            }
            self.capacity.peers.make_room();
            // The semaphore is never closed, so that an error is the time's.
            if let Ok(Ok(place)) = timeout(PLACE_TIMEOUT, place.acquire_owned()).await {
                return place;
            }
        }
    }

    fn permit(&self, place: OwnedSemaphorePermit) -> ConnectionPermit {
        let peer = Arc::new(Peer::new(Arc::clone(&self.capacity)));
        let number = self.capacity.peers.add(Arc::clone(&peer));
        ConnectionPermit { peer, number, _place: place }
    }

    /// Returns a connection that has already arrived, and its place. The kernel has told its client that it
    /// is connected, so closing the listener would break the connection.
    pub(super) async fn waiting(&mut self) -> Option<(TcpStream, ConnectionPermit)> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        if let Some(stream) = self.accepted.take() {
            return Some((without_delay(stream), self.permit(place)));
        }
        let accepted = poll_fn(|cx| match self.listener.poll_accept(cx) {
            Poll::Ready(Ok((stream, _))) => Poll::Ready(Some(stream)),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Ready(None),
        });
        Some((without_delay(accepted.await?), self.permit(place)))
    }
}

/// Logs an error if a connection's task panicked. A connection's task must never panic; it may end in any
/// other way.
pub(super) fn ended(result: Result<(), JoinError>) {
    if let Err(error) = result
        && error.is_panic()
    {
        error!(%error, "a connection's task panicked");
    }
}

/// Ends the remaining `tasks` and returns their number.
pub(super) async fn cut(tasks: &mut JoinSet<()>) -> usize {
    let left = tasks.len();
    tasks.shutdown().await;
    left
}

fn without_delay(stream: TcpStream) -> TcpStream {
    // An answer is one small write, which must not wait for an acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        warn!(%error, "cannot set TCP_NODELAY on a connection");
    }
    stream
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
