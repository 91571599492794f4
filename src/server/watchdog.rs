//! The time limits of a connection between its requests: one timer each, which is seldom re-armed.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::pulse::{Phase, Pulse};

/// An idle connection is cut at most this part of the idle limit too late.
const IDLE_CHECKS: u32 = 4;

/// Which limit a connection has exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// It was idle for too long.
    Idle,
    /// A request's header took too long.
    Header,
}

/// Polled with its connection, by the same task: it sees every phase that lasts, and the usual
/// request, whose header arrives whole, costs it a comparison.
///
/// Hyper's own limit for headers would not do: it runs on connections without a request as well, and
/// would cut them long before the API server does.
pub(super) struct Watchdog {
    timer: Pin<Box<Sleep>>,
    header: Duration,
    idle: Duration,
    /// The turns of the pulse when they were last seen to change, and when that was.
    seen: u32,
    since: Instant,
    /// The turns at which the timer was set for a header.
    header_at: Option<u32>,
}

impl Watchdog {
    pub(super) fn new(header: Duration, idle: Duration) -> Self {
        let since = Instant::now();
        let timer = Box::pin(sleep_until(since + idle));
        Self { timer, header, idle, seen: 0, since, header_at: None }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, pulse: &Pulse) -> Poll<Expired> {
        loop {
            let (phase, turns) = (pulse.phase(), pulse.turns());
            if phase == Phase::Header && self.header_at != Some(turns) {
                self.header_at = Some(turns);
                self.timer.as_mut().reset(Instant::now() + self.header);
            }
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            if turns != self.seen {
                self.seen = turns;
                self.since = now;
            }
            let next = match phase {
                Phase::Header => return Poll::Ready(Expired::Header),
                Phase::Idle if now >= self.since + self.idle => {
                    return Poll::Ready(Expired::Idle);
                }
                Phase::Idle => (self.since + self.idle).min(now + self.idle / IDLE_CHECKS),
                Phase::Answering => now + self.idle / IDLE_CHECKS,
            };
            self.timer.as_mut().reset(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Waker};

    use super::*;

    const HEADER: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_mins(2);

    async fn expiry(watchdog: &mut Watchdog, pulse: &Pulse) -> (Expired, u64) {
        let start = Instant::now();
        let expired = poll_fn(|cx| watchdog.poll(cx, pulse)).await;
        (expired, start.elapsed().as_secs())
    }

    fn look(watchdog: &mut Watchdog, pulse: &Pulse) -> Poll<Expired> {
        watchdog.poll(&mut Context::from_waker(Waker::noop()), pulse)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_idle() {
        let (mut watchdog, pulse) = (Watchdog::new(HEADER, IDLE), Pulse::default());
        assert_eq!(expiry(&mut watchdog, &pulse).await, (Expired::Idle, 120));
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_has_its_limit_from_its_first_byte() {
        let (mut watchdog, pulse) = (Watchdog::new(HEADER, IDLE), Pulse::default());
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(look(&mut watchdog, &pulse).is_pending());
        pulse.byte_arrived();
        assert_eq!(expiry(&mut watchdog, &pulse).await, (Expired::Header, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn every_header_has_a_limit_of_its_own() {
        let (mut watchdog, pulse) = (Watchdog::new(HEADER, IDLE), Pulse::default());
        pulse.byte_arrived();
        assert!(look(&mut watchdog, &pulse).is_pending());
        tokio::time::advance(Duration::from_secs(9)).await;
        drop(pulse.begin());
        pulse.byte_arrived();
        assert_eq!(expiry(&mut watchdog, &pulse).await, (Expired::Header, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn no_limit_applies_while_a_request_is_answered() {
        let (mut watchdog, pulse) = (Watchdog::new(HEADER, IDLE), Pulse::default());
        let busy = pulse.begin();
        for _ in 0..100 {
            tokio::time::advance(Duration::from_mins(1)).await;
            assert!(look(&mut watchdog, &pulse).is_pending());
        }
        drop(busy);
        let (expired, seconds) = expiry(&mut watchdog, &pulse).await;
        assert_eq!(expired, Expired::Idle);
        assert!((120..=150).contains(&seconds), "{seconds}");
    }
}
