//! Requests that wait for their body, the oldest first.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

/// The requests that wait for their body. A request whose body has already arrived is never one of them, so
/// it does not take this lock.
#[derive(Default)]
pub(super) struct Waiting(Mutex<State>);

#[derive(Default)]
struct State {
    by_age: BTreeMap<u64, Entry>,
    next: u64,
}

struct Entry {
    since: Instant,
    bytes: usize,
    waiter: Arc<Waiter>,
}

#[derive(Default)]
struct Waiter {
    has_given_way: AtomicBool,
    waker: AtomicWaker,
}

/// A request's entry among those that wait.
pub(in crate::server) struct Ticket {
    number: u64,
    waiter: Arc<Waiter>,
}

impl Ticket {
    /// Completes when the request has given way to another one.
    pub(in crate::server) fn poll_given_way(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waiter.waker.register(cx.waker());
        if self.waiter.has_given_way.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Waiting {
    pub(super) fn enter(&self, now: Instant, bytes: usize) -> Ticket {
        let waiter = Arc::<Waiter>::default();
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        let entry = Entry { since: now, bytes, waiter: Arc::clone(&waiter) };
        state.by_age.insert(number, entry);
        Ticket { number, waiter }
    }

    /// Adds to the bytes of a request; `false` if it has given way.
    pub(super) fn add(&self, ticket: &Ticket, bytes: usize) -> bool {
        let mut state = self.state();
        let entry = state.by_age.get_mut(&ticket.number);
        entry.map(|entry| entry.bytes += bytes).is_some()
    }

    /// Ends the waiting of a request and returns its bytes; `None` if it has given way.
    pub(super) fn leave(&self, ticket: &Ticket) -> Option<usize> {
        self.state().by_age.remove(&ticket.number).map(|entry| entry.bytes)
    }

    /// Makes the oldest request give way that has waited for at least `age` and holds at least `bytes`
    /// bytes, and returns the bytes that it held. From then on the bytes are the caller's, and the request
    /// learns of it when it is polled.
    pub(super) fn evict(&self, now: Instant, age: Duration, bytes: usize) -> Option<usize> {
        let mut state = self.state();
        let old = |entry: &Entry| now.saturating_duration_since(entry.since) >= age;
        let mut by_age = state.by_age.iter().take_while(|(_, entry)| old(entry));
        let number = by_age.find(|(_, entry)| entry.bytes >= bytes).map(|(number, _)| *number)?;
        let entry = state.by_age.remove(&number)?;
        drop(state);
        entry.waiter.has_given_way.store(true, Ordering::Release);
        entry.waiter.waker.wake();
        Some(entry.bytes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_that_is_old_enough_gives_way() {
        let waiting = Waiting::default();
        let start = Instant::now();
        let (old, young) =
            (waiting.enter(start, 10), waiting.enter(start + Duration::from_secs(1), 20));
        assert!(waiting.add(&old, 5));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(old.poll_given_way(cx).is_pending());
        let (now, age) = (start + Duration::from_secs(2), Duration::from_millis(1500));
        assert_eq!(waiting.evict(now, age, 1), Some(15));
        assert!(old.poll_given_way(cx).is_ready());
        assert_eq!(waiting.evict(now, age, 1), None, "the other is too young");
        assert!(!waiting.add(&old, 5));
        assert_eq!((waiting.leave(&old), waiting.leave(&young)), (None, Some(20)));
    }
}
