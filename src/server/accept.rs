//! Takes connections from a listener. It never fails: a server outlives every error it can get here.

use std::{future::poll_fn, io, sync::Arc, task::Poll, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
    time::sleep,
};
use tracing::{error, warn};

/// Errors such as "too many open files" pass when connections end, not by trying again at once.
const PAUSE: Duration = Duration::from_secs(1);

/// A listener that takes no more connections at a time than it has places.
pub(super) struct Acceptor {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener, places: usize) -> Self {
        let places = places.min(Semaphore::MAX_PERMITS);
        Self { listener, places: Arc::new(Semaphore::new(places)) }
    }

    pub(super) fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection and its place. While there is no place, connections wait in the backlog.
    pub(super) async fn next(&self) -> (TcpStream, OwnedSemaphorePermit) {
        // The semaphore is never closed; a place is better lost than the loop.
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
            return std::future::pending().await;
        };
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return (without_delay(stream), place),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    error!(%error, pause = ?PAUSE, "cannot accept connections");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// A connection that is there already. The kernel has told its client that it is connected, so
    /// that closing the listener would break it.
    pub(super) async fn waiting(&self) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let accepted = poll_fn(|cx| match self.listener.poll_accept(cx) {
            Poll::Ready(Ok((stream, _))) => Poll::Ready(Some(stream)),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Ready(None),
        });
        Some((without_delay(accepted.await?), place))
    }
}

/// Looks at the end of a connection's task: whatever else happens in it, it must not panic.
pub(super) fn ended(result: Result<(), JoinError>) {
    if let Err(error) = result
        && error.is_panic()
    {
        error!(%error, "a connection's task panicked");
    }
}

/// Ends what `tasks` are left and returns how many there were.
pub(super) async fn cut(tasks: &mut JoinSet<()>) -> usize {
    let left = tasks.len();
    tasks.shutdown().await;
    left
}

fn without_delay(stream: TcpStream) -> TcpStream {
    // An answer is one small write, which must not wait for an acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        warn!(%error, "cannot turn off delayed sending on a connection");
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
