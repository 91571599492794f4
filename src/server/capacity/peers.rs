//! The open connections of a server, and which of them makes room for a new one.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::{super::activity::ConnectionActivity, Capacity};

/// The time that an answer must have been unread before its connection may be cut. It spares an answer that
/// is just being written.
const UNREAD: Duration = Duration::from_millis(10);

/// The client's end of one connection: what it is doing, and a way to end it.
pub(in crate::server) struct Peer {
    pub(in crate::server) activity: ConnectionActivity,
    pub(in crate::server) capacity: Arc<Capacity>,
    is_cut: AtomicBool,
    waker: AtomicWaker,
}

impl Peer {
    pub(in crate::server) fn new(capacity: Arc<Capacity>) -> Self {
        let activity = ConnectionActivity::new(Instant::now());
        Self { activity, capacity, is_cut: AtomicBool::default(), waker: AtomicWaker::new() }
    }

    /// Ends the connection at once.
    pub(in crate::server) fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Runs the connection until it ends or is cut.
    pub(in crate::server) async fn until_cut(
        &self,
        mut connection: Pin<&mut impl Future<Output = ()>>,
    ) {
        let mut is_registered = false;
        poll_fn(|cx| {
            if !is_registered {
                // A task's waker stays the same.
                self.waker.register(cx.waker());
                is_registered = true;
            }
            if self.is_cut() { Poll::Ready(()) } else { connection.as_mut().poll(cx) }
        })
        .await;
    }

    fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }

    /// Returns the rank of the connection, and the time of its last request or of its opening. The
    /// connection with the lowest pair makes room first. `None` while a request is being decided.
    fn rank(&self) -> Option<(EvictionOrder, Instant)> {
        let activity = &self.activity;
        if activity.turns() == 0 {
            Some((EvictionOrder::Unused, activity.last_arrival()))
        } else if !activity.is_active() {
            Some((EvictionOrder::Idle, activity.last_arrival()))
        } else if activity.waits_for_client() {
            Some((EvictionOrder::Waiting, activity.last_arrival()))
        } else {
            None
        }
    }
}

/// The state of a connection that may have to make room, in the order in which connections make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EvictionOrder {
    /// A connection that has never carried a request.
    Unused,
    /// A connection that has carried requests and has none in flight.
    Idle,
    /// A connection whose requests wait for the client: to send a body, or to read an answer.
    Waiting,
}

/// The open connections.
#[derive(Default)]
pub(in crate::server) struct Peers(Mutex<State>);

#[derive(Default)]
struct State {
    by_age: BTreeMap<u64, Arc<Peer>>,
    next: u64,
}

impl Peers {
    /// Registers a connection, to be removed by its number.
    pub(in crate::server) fn add(&self, peer: Arc<Peer>) -> u64 {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.by_age.insert(number, peer);
        number
    }

    pub(in crate::server) fn remove(&self, number: u64) {
        let removed = self.state().by_age.remove(&number);
        // Outside the lock: it may be the last one that holds the connection's part.
        drop(removed);
    }

    /// Cuts the connection that makes room for a new one: one that has never carried a request, else the one
    /// that is idle the longest, else the one whose client has kept its requests waiting the longest. `false`
    /// if every connection has a request that is being decided.
    pub(in crate::server) fn make_room(&self) -> bool {
        self.cut_first(Peer::rank)
    }

    /// Cuts the connection whose client has left an answer unread the longest; `false` if there is none.
    pub(super) fn cut_unread(&self, now: Instant) -> bool {
        self.cut_first(|peer| {
            let since = peer.activity.oldest_unwritten()?;
            (now.saturating_duration_since(since) >= UNREAD).then_some(since)
        })
    }

    fn cut_first<K: Ord>(&self, key: impl Fn(&Peer) -> Option<K>) -> bool {
        let state = self.state();
        let candidates = state.by_age.values().filter(|peer| !peer.is_cut());
        let first = candidates
            .filter_map(|peer| key(peer).map(|key| (key, peer)))
            .min_by(|(left, _), (right, _)| left.cmp(right));
        first.map(|(_, peer)| peer.cut()).is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::limits::Limits;

    fn connect(capacity: &Arc<Capacity>) -> Arc<Peer> {
        let peer = Arc::new(Peer::new(Arc::clone(capacity)));
        capacity.peers.add(Arc::clone(&peer));
        peer
    }

    async fn pass() {
        tokio::time::advance(Duration::from_secs(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_made_by_unused_then_idle_then_waiting_and_never_by_busy_connections() {
        let capacity = Capacity::unmeasured(&Limits::default());
        let busy = connect(&capacity);
        busy.activity.begin(Instant::now());
        let waiting = connect(&capacity);
        waiting.activity.begin(Instant::now());
        waiting.activity.wait();
        let idle = connect(&capacity);
        idle.activity.begin(Instant::now());
        idle.activity.end();
        pass().await;
        let idle_later = connect(&capacity);
        idle_later.activity.begin(Instant::now());
        idle_later.activity.end();
        let unused = connect(&capacity);
        pass().await;
        let unused_later = connect(&capacity);
        for expected in [&unused, &unused_later, &idle, &idle_later, &waiting] {
            assert!(!expected.is_cut());
            assert!(capacity.peers.make_room());
            assert!(expected.is_cut());
        }
        assert!(!capacity.peers.make_room());
        assert!(!busy.is_cut());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_just_being_written_is_no_reason_to_cut() {
        let capacity = Capacity::unmeasured(&Limits::default());
        let (first, second) = (connect(&capacity), connect(&capacity));
        first.activity.begin(Instant::now());
        first.activity.answered(Instant::now());
        assert!(!capacity.peers.cut_unread(Instant::now()));
        tokio::time::advance(UNREAD).await;
        second.activity.begin(Instant::now());
        second.activity.answered(Instant::now());
        assert!(capacity.peers.cut_unread(Instant::now()));
        assert!(first.is_cut() && !second.is_cut());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_cut_ends_whatever_it_does() {
        let capacity = Capacity::unmeasured(&Limits::default());
        let peer = connect(&capacity);
        let cut = async {
            pass().await;
            assert!(capacity.peers.make_room());
        };
        let connection = std::pin::pin!(std::future::pending());
        tokio::join!(peer.until_cut(connection), cut);
    }
}
