//! The time limits of a connection between its requests: one timer each, which is seldom re-armed.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    activity::{ConnectionActivity, ConnectionPhase},
    limits::Limits,
};

/// The number of checks in one idle limit. An idle connection is cut too late by at most the time between
/// two checks.
const IDLE_CHECKS: u32 = 4;

/// The limit that a connection has exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// The connection was idle for too long.
    Idle,
    /// A request's header took too long.
    Header,
    /// The client did not read an answer.
    Unread,
}

/// The time limits of one connection. The connection's task polls the watchdog with the connection, so the
/// watchdog sees every phase that lasts. The usual request, whose header arrives whole, costs it one
/// comparison.
///
/// Hyper's own limit for headers would not do: it runs on connections without a request as well, and
/// would cut them long before the API server does.
pub(super) struct Watchdog {
    timer: Pin<Box<Sleep>>,
    limits: Times,
    /// The turns of the activity at the last change that the watchdog saw; `since` is the time of that.
    seen: u32,
    since: Instant,
    /// The turns at which the timer was set for a header.
    header_at: Option<u32>,
    /// The answer for which the timer was set, identified by the time at which it was made.
    unread_since: Option<Instant>,
}

/// The time limits that a watchdog keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) header: Duration,
    pub(super) answer: Duration,
    pub(super) idle: Duration,
}

impl From<&Limits> for Times {
    fn from(limits: &Limits) -> Self {
        let Limits { header_timeout, answer_timeout, idle_timeout, .. } = *limits;
        Self { header: header_timeout, answer: answer_timeout, idle: idle_timeout }
    }
}

impl Watchdog {
    pub(super) fn new(limits: Times) -> Self {
        let since = Instant::now();
        let timer = Box::pin(sleep_until(since + limits.idle));
        Self { timer, limits, seen: 0, since, header_at: None, unread_since: None }
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        activity: &ConnectionActivity,
    ) -> Poll<Expired> {
        let Times { header, answer, idle } = self.limits;
        loop {
            let (phase, turns) = (activity.phase(), activity.turns());
            if phase == ConnectionPhase::Header && self.header_at != Some(turns) {
                self.header_at = Some(turns);
                self.timer.as_mut().reset(Instant::now() + header);
            }
            let unread = activity.oldest_unwritten();
            if let Some(since) = unread
                && self.unread_since != unread
            {
                self.unread_since = unread;
                self.timer.as_mut().reset(since + answer);
            }
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            if turns != self.seen {
                self.seen = turns;
                self.since = now;
            }
            if unread.is_some_and(|since| now >= since + answer) {
                return Poll::Ready(Expired::Unread);
            }
            let next = match phase {
                ConnectionPhase::Header => return Poll::Ready(Expired::Header),
                ConnectionPhase::Idle if now >= self.since + idle => {
                    return Poll::Ready(Expired::Idle);
                }
                ConnectionPhase::Idle => (self.since + idle).min(now + idle / IDLE_CHECKS),
                ConnectionPhase::Answering => now + idle / IDLE_CHECKS,
            };
            let unread = unread.map(|since| since + answer);
            self.timer.as_mut().reset(unread.map_or(next, |unread| unread.min(next)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Waker};

    use super::*;

    const LIMITS: Times = Times {
        header: Duration::from_secs(10),
        answer: Duration::from_secs(5),
        idle: Duration::from_mins(2),
    };

    fn start() -> (Watchdog, ConnectionActivity) {
        (Watchdog::new(LIMITS), ConnectionActivity::new(Instant::now()))
    }

    async fn expiry(watchdog: &mut Watchdog, activity: &ConnectionActivity) -> (Expired, u64) {
        let start = Instant::now();
        let expired = poll_fn(|cx| watchdog.poll(cx, activity)).await;
        (expired, start.elapsed().as_secs())
    }

    fn look(watchdog: &mut Watchdog, activity: &ConnectionActivity) -> Poll<Expired> {
        watchdog.poll(&mut Context::from_waker(Waker::noop()), activity)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_idle() {
        let (mut watchdog, activity) = start();
        assert_eq!(expiry(&mut watchdog, &activity).await, (Expired::Idle, 120));
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_has_its_limit_from_its_first_byte() {
        let (mut watchdog, activity) = start();
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(look(&mut watchdog, &activity).is_pending());
        activity.byte_arrived();
        assert_eq!(expiry(&mut watchdog, &activity).await, (Expired::Header, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn every_header_has_a_limit_of_its_own() {
        let (mut watchdog, activity) = start();
        activity.byte_arrived();
        assert!(look(&mut watchdog, &activity).is_pending());
        tokio::time::advance(Duration::from_secs(9)).await;
        activity.begin(Instant::now());
        activity.end();
        activity.byte_arrived();
        assert_eq!(expiry(&mut watchdog, &activity).await, (Expired::Header, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn no_limit_applies_while_a_request_is_decided() {
        let (mut watchdog, activity) = start();
        activity.begin(Instant::now());
        for _ in 0..100 {
            tokio::time::advance(Duration::from_mins(1)).await;
            assert!(look(&mut watchdog, &activity).is_pending());
        }
        activity.end();
        let (expired, seconds) = expiry(&mut watchdog, &activity).await;
        assert_eq!(expired, Expired::Idle);
        assert!((120..=150).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_must_be_read_in_time_whatever_else_is_read() {
        let (mut watchdog, activity) = start();
        activity.begin(Instant::now());
        let unread = activity.answered(Instant::now());
        assert!(look(&mut watchdog, &activity).is_pending());
        for _ in 0..4 {
            tokio::time::advance(Duration::from_secs(1)).await;
            activity.begin(Instant::now());
            activity.written(activity.answered(Instant::now()));
            activity.end();
            assert!(look(&mut watchdog, &activity).is_pending());
        }
        assert_eq!(expiry(&mut watchdog, &activity).await, (Expired::Unread, 1));
        activity.written(unread);
        assert_eq!(activity.oldest_unwritten(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn every_answer_has_a_limit_of_its_own() {
        let (mut watchdog, activity) = start();
        activity.begin(Instant::now());
        let first = activity.answered(Instant::now());
        assert!(look(&mut watchdog, &activity).is_pending());
        tokio::time::advance(Duration::from_secs(4)).await;
        let second = activity.answered(Instant::now());
        activity.written(first);
        assert_eq!(expiry(&mut watchdog, &activity).await, (Expired::Unread, 5));
        activity.written(second);
    }
}
