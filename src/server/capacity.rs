//! The requests and bytes that clients may hold of a server at a time, and who makes room when they are
//! used up.
//!
//! A client that is slow costs only itself. When something is used up, the request that has waited longest
//! for its body gives way, and then the connection whose client has left an answer unread longest. A request
//! that arrives in one piece, as an API server sends it, never gives way.

mod peers;
mod waiting;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use self::waiting::Waiting;
pub(super) use self::{
    peers::{Peer, Peers},
    waiting::Ticket,
};
use super::{fault::Fault, limits::Limits};
use crate::telemetry::metrics::{Metrics, level::Level};

/// The size up to which a body or an answer may use the whole budget of bytes.
pub(super) const SMALL: usize = 64 << 10;

/// The part of the budget that only small bodies and answers may use.
const SMALL_SHARE: usize = 4;

/// The time that a request must have waited for its body before it gives way to a large body or answer.
const SLOW: Duration = Duration::from_secs(1);

/// The time that a connection needs to give back what it holds after it was cut, estimated generously.
const BODY_CUT_TIME: Duration = Duration::from_millis(3);

/// The largest number of requests and connections that give way each time a request takes a place or bytes.
const ATTEMPTS: usize = 16;

/// The capacity of one server, which all its clients share, and how much of it is in use.
pub(super) struct Capacity {
    pub(super) peers: Peers,
    waiting: Waiting,
    requests: Level,
    max_requests: usize,
    bytes: Level,
    max_bytes: usize,
    /// The part of `max_bytes` that large bodies and answers may fill.
    max_large_bytes: usize,
    /// Requests that get an error instead of an answer, until it has been written.
    refusals: Level,
}

impl Capacity {
    /// The capacity of the webhook's server, which the metrics show.
    pub(super) fn new(limits: &Limits, metrics: &Metrics) -> Arc<Self> {
        let levels = (metrics.requests_in_flight.clone(), metrics.body_bytes_in_flight.clone());
        Self::with_levels(limits, levels)
    }

    /// The capacity of a server whose answers are few and small.
    pub(super) fn unmeasured(limits: &Limits) -> Arc<Self> {
        Self::with_levels(limits, (Level::default(), Level::default()))
    }

    fn with_levels(limits: &Limits, (requests, bytes): (Level, Level)) -> Arc<Self> {
        let max_bytes = limits.max_body_bytes_in_flight;
        // A body of the largest size must fit where nothing else is in flight.
        let small_share = (max_bytes / SMALL_SHARE).min(max_bytes.saturating_sub(limits.max_body));
        Arc::new(Self {
            peers: Peers::default(),
            waiting: Waiting::default(),
            requests,
            max_requests: limits.max_requests_in_flight,
            bytes,
            max_bytes,
            max_large_bytes: max_bytes - small_share,
            refusals: Level::default(),
        })
    }

    /// Takes a place among the requests in flight.
    pub(super) async fn take_request(&self) -> Result<(), Fault> {
        let mut attempts = 0..ATTEMPTS;
        while !self.requests.take(1, self.max_requests) {
            let may_try = attempts.next().is_some();
            if !may_try || !self.make_room(Duration::ZERO, 0).await {
                return Err(Fault::Overloaded);
            }
        }
        Ok(())
    }

    /// Takes `more` bytes for a request that holds `held`.
    pub(super) async fn take_bytes(&self, held: usize, more: usize) -> Result<(), Fault> {
        let is_small = held.saturating_add(more) <= SMALL;
        let (ceiling, age) =
            if is_small { (self.max_bytes, Duration::ZERO) } else { (self.max_large_bytes, SLOW) };
        let mut attempts = 0..ATTEMPTS;
        while !self.bytes.take(more, ceiling) {
            let may_try = attempts.next().is_some();
            if !may_try || !self.make_room(age, 1).await {
                return Err(Fault::Overloaded);
            }
        }
        Ok(())
    }

    pub(super) fn give_back(&self, requests: usize, bytes: usize) {
        self.requests.give_back(requests);
        self.bytes.give_back(bytes);
    }

    /// Counts a refusal until it has been written. If there are as many refusals as requests may be in
    /// flight, the server cuts the connection whose client has left an answer unread longest.
    pub(super) fn begin_refusal(&self) {
        if !self.refusals.take(1, self.max_requests) {
            self.peers.cut_unread(Instant::now());
            // A refusal is never refused: it is counted all the same.
            let _is_counted = self.refusals.take(1, usize::MAX);
        }
    }

    pub(super) fn end_refusal(&self) {
        self.refusals.give_back(1);
    }

    /// Registers a request that waits for its body and holds this many bytes.
    pub(super) fn wait(&self, bytes: usize) -> Ticket {
        self.waiting.enter(Instant::now(), bytes)
    }

    /// Notes that a request that waits holds more bytes, which it has taken; `false`, and the bytes given
    /// back, if it has given way.
    pub(super) fn hold_while_waiting(&self, ticket: &Ticket, more: usize) -> bool {
        let is_waiting = self.waiting.add(ticket, more);
        if !is_waiting {
            self.bytes.give_back(more);
        }
        is_waiting
    }

    /// Ends the waiting of a request and returns the bytes that it holds; `None` if it has given way and
    /// holds nothing.
    pub(super) fn stop_waiting(&self, ticket: &Ticket) -> Option<usize> {
        self.waiting.leave(ticket)
    }

    /// Makes room for a request. Of the requests that have waited for at least `age` and hold at least
    /// `bytes` bytes, the one that has waited longest gives way. If there is none, the server cuts the
    /// connection whose client has left an answer unread longest. Returns `false` if there is no such
    /// connection either.
    async fn make_room(&self, age: Duration, bytes: usize) -> bool {
        let now = Instant::now();
        if let Some(freed) = self.waiting.evict(now, age, bytes) {
            self.give_back(1, freed);
            return true;
        }
        if !self.peers.cut_unread(now) {
            return false;
        }
        sleep(BODY_CUT_TIME).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(max_requests: usize, max_bytes: usize, max_body: usize) -> Arc<Capacity> {
        Capacity::unmeasured(&Limits {
            max_requests_in_flight: max_requests,
            max_body_bytes_in_flight: max_bytes,
            max_body,
            ..Limits::default()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_leave_a_share_to_small_ones() {
        let capacity = capacity(10, 4 << 20, 1 << 20);
        for _ in 0..3 {
            assert_eq!(capacity.take_bytes(0, 1 << 20).await, Ok(()));
        }
        assert_eq!(capacity.take_bytes(0, SMALL + 1).await, Err(Fault::Overloaded));
        assert_eq!(capacity.take_bytes(SMALL, 1).await, Err(Fault::Overloaded), "it is large now");
        for _ in 0..16 {
            assert_eq!(capacity.take_bytes(0, SMALL).await, Ok(()));
        }
        assert_eq!(capacity.take_bytes(0, 1).await, Err(Fault::Overloaded));
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_body_fits_where_nothing_else_is() {
        for max_bytes in [7 << 20, 8 << 20, 32 << 20] {
            assert_eq!(capacity(1, max_bytes, 7 << 20).take_bytes(0, 7 << 20).await, Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waits_for_its_body_gives_way_to_a_new_one() {
        let capacity = capacity(2, 1000, 1000);
        let mut tickets = Vec::new();
        for _ in 0..2 {
            capacity.take_request().await.expect("there is room");
            capacity.take_bytes(0, 300).await.expect("there is room");
            tickets.push(capacity.wait(300));
        }
        assert_eq!(capacity.take_request().await, Ok(()));
        assert_eq!(capacity.stop_waiting(&tickets[0]), None, "the oldest gives way");
        assert_eq!(capacity.bytes.current(), 300);
        assert_eq!(capacity.stop_waiting(&tickets[1]), Some(300));
        assert_eq!(capacity.take_request().await, Err(Fault::Overloaded), "nobody waits");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_gives_way_to_small_ones_at_once_and_to_large_ones_when_it_is_slow() {
        let capacity = capacity(9, 256 << 10, 128 << 10);
        capacity.take_bytes(0, 100 << 10).await.expect("there is room");
        let ticket = capacity.wait(100 << 10);
        assert_eq!(capacity.take_bytes(0, 128 << 10).await, Err(Fault::Overloaded));
        tokio::time::advance(SLOW).await;
        assert_eq!(capacity.take_bytes(0, 128 << 10).await, Ok(()));
        assert!(!capacity.hold_while_waiting(&ticket, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_holds_nothing_need_not_give_way_for_bytes() {
        let capacity = capacity(9, 100, 100);
        let ticket = capacity.wait(0);
        capacity.take_bytes(0, 100).await.expect("there is room");
        assert_eq!(capacity.take_bytes(0, 1).await, Err(Fault::Overloaded));
        assert_eq!(capacity.stop_waiting(&ticket), Some(0));
    }
}
