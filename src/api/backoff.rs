//! The time between a failed attempt and the next one.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// Waits that double up to 30 seconds. Each has jitter, so that replicas that failed at the same time do
/// not retry at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// Returns the time to wait now: between half of the current wait and all of it. Doubles the current wait.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        wait.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Resets the wait after a success, so that the next failure counts as the first one.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::default();
        let first = backoff.wait();
        assert!(first >= FIRST / 2 && first <= FIRST, "{first:?}");
        let waits: Vec<_> = (0..20).map(|_| backoff.wait()).collect();
        assert!(waits.iter().all(|wait| *wait <= LONGEST), "{waits:?}");
        assert!(waits.last().is_some_and(|wait| *wait >= LONGEST / 2), "{waits:?}");
        backoff.reset();
        assert!(backoff.wait() <= FIRST);
    }
}
