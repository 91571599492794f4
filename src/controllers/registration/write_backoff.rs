//! Back-off for a client that keeps changing the webhook configurations: PoolGuard writes less often and reports it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde_json::Value;

/// The number of writes in [`WINDOW`] after which PoolGuard backs off.
const WRITES: usize = 5;
const WINDOW: Duration = Duration::from_mins(1);

/// The shortest wait: a shorter one would turn the loop into a spin.
const WAIT_MIN: Duration = Duration::from_millis(100);

/// The recent writes of the same desired configuration.
#[derive(Debug, Default)]
pub(super) struct WriteBackoff {
    asked_for: Value,
    writes: VecDeque<Instant>,
}

impl WriteBackoff {
    /// Returns the time to wait before the next write, or `None` if PoolGuard may write now. A new desired
    /// configuration clears the count, because no other client caused that write.
    pub(super) fn wait(&mut self, asked_for: &Value, now: Instant) -> Option<Duration> {
        if self.asked_for != *asked_for {
            self.asked_for.clone_from(asked_for);
            self.writes.clear();
        }
        let age = |at: &Instant| now.saturating_duration_since(*at);
        while self.writes.front().is_some_and(|at| age(at) > WINDOW) {
            self.writes.pop_front();
        }
        let oldest = self.writes.front().filter(|_| self.writes.len() >= WRITES)?;
        Some(WINDOW.saturating_sub(age(oldest)).max(WAIT_MIN))
    }

    /// Records a write at this moment.
    pub(super) fn wrote(&mut self, now: Instant) {
        self.writes.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_again_and_again_waits_until_the_oldest_write_is_long_ago() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let asked_for = json!({"failurePolicy": "Fail"});
        for (writes, now, wait) in [
            (&[][..], 0, None),
            (&[0, 1, 2, 3], 4, None),
            (&[0, 1, 2, 3, 4], 4, Some(Duration::from_secs(56))),
            (&[0, 1, 2, 3, 4], 59, Some(Duration::from_secs(1))),
            (&[0, 1, 2, 3, 4], 60, Some(WAIT_MIN)),
            (&[0, 1, 2, 3, 4], 61, None),
            (&[0, 1, 2, 3, 4, 61], 61, Some(WAIT_MIN)),
            (&[0, 1, 2, 3, 4, 61], 62, None),
            (&[0, 20, 40, 60, 80], 80, None),
        ] {
            let mut write_backoff = WriteBackoff::default();
            assert_eq!(write_backoff.wait(&asked_for, start), None);
            for at in writes {
                write_backoff.wrote(after(*at));
            }
            assert_eq!(write_backoff.wait(&asked_for, after(now)), wait, "{writes:?}, at {now}");
        }
    }

    #[test]
    fn what_is_newly_asked_for_is_written_at_once() {
        let now = Instant::now();
        let mut write_backoff = WriteBackoff::default();
        let [before, after] = ["Fail", "Ignore"].map(Value::from);
        assert_eq!(write_backoff.wait(&before, now), None);
        (0..WRITES).for_each(|_| write_backoff.wrote(now));
        assert_eq!(write_backoff.wait(&before, now), Some(WINDOW));
        assert_eq!(write_backoff.wait(&after, now), None);
        assert_eq!(write_backoff.wait(&before, now), None, "what was written before is forgotten");
    }
}
