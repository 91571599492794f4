//! What has happened so far.

use std::{
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::client::Call;

/// Failures that are printed; the others are counted only.
const SHOWN: usize = 10;

/// Times of calls in microseconds, in ascending order.
pub(crate) struct Times(Vec<u64>);

impl Times {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time in milliseconds that this share of the calls, in thousandths, did not exceed.
    fn at(&self, thousandths: usize) -> f64 {
        let index = (self.0.len() * thousandths / 1000).min(self.0.len().saturating_sub(1));
        let micros = self.0.get(index).copied().unwrap_or_default();
        Duration::from_micros(micros).as_secs_f64() * 1000.0
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, p99, p999] = [500, 990, 999].map(|it| self.at(it));
        write!(f, "p50 {median:.1} ms, p99 {p99:.1} ms, p99.9 {p999:.1} ms")
    }
}

/// Counts, which everybody may add to.
pub(crate) struct Tally {
    began: Instant,
    calls: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    opened: AtomicU64,
    slowest_micros: AtomicU64,
    restarts: AtomicU64,
    rotations: AtomicU64,
    reloads: AtomicU64,
    failures: Mutex<Vec<String>>,
    /// The times of the calls since they were last taken, in microseconds.
    times: Mutex<Vec<u64>>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            calls: AtomicU64::default(),
            failed: AtomicU64::default(),
            retried: AtomicU64::default(),
            opened: AtomicU64::default(),
            slowest_micros: AtomicU64::default(),
            restarts: AtomicU64::default(),
            rotations: AtomicU64::default(),
            reloads: AtomicU64::default(),
            failures: Mutex::default(),
            times: Mutex::default(),
        }
    }
}

fn one_more(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

impl Tally {
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// One line of what happens, with the time and the calls until then.
    pub(crate) fn say(&self, what: &str) {
        let seconds = self.elapsed().as_secs_f64();
        println!("{seconds:5.1} s {:6} calls, {} failed  {what}", self.calls(), self.failed());
    }

    /// Counts a call.
    pub(crate) fn called(&self, name: &str, call: Call) {
        let Call { took, failure, opened, retries } = call;
        one_more(&self.calls);
        self.opened.fetch_add(opened, Ordering::Relaxed);
        self.retried.fetch_add(retries, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.slowest_micros.fetch_max(micros, Ordering::Relaxed);
        self.times.lock().unwrap().push(micros);
        let Some(why) = failure else { return };
        one_more(&self.failed);
        let mut failures = self.failures.lock().unwrap();
        if failures.len() < SHOWN {
            let at = self.elapsed().as_secs_f64();
            failures.push(format!("{at:5.1} s {name}: {why}"));
        }
    }

    /// The times of the calls since this was last asked, in ascending order.
    pub(crate) fn take_times(&self) -> Times {
        let mut times = std::mem::take(&mut *self.times.lock().unwrap());
        times.sort_unstable();
        Times(times)
    }

    pub(crate) fn restarted(&self) {
        one_more(&self.restarts);
    }

    pub(crate) fn rotated(&self) {
        one_more(&self.rotations);
    }

    pub(crate) fn reloaded(&self) {
        one_more(&self.reloads);
    }

    pub(crate) fn calls(&self) -> u64 {
        get(&self.calls)
    }

    pub(crate) fn failed(&self) -> u64 {
        get(&self.failed)
    }

    pub(crate) fn restarts(&self) -> u64 {
        get(&self.restarts)
    }

    pub(crate) fn rotations(&self) -> u64 {
        get(&self.rotations)
    }

    pub(crate) fn reloads(&self) -> u64 {
        get(&self.reloads)
    }

    /// The first failures, each with its reason.
    pub(crate) fn print_failures(&self) {
        for failure in self.failures.lock().unwrap().iter() {
            println!("failed: {failure}");
        }
    }

    /// The first failures, and the line that counts.
    pub(crate) fn print_summary(&self) {
        self.print_failures();
        println!("the calls took {}", self.take_times());
        println!(
            "{} connections were opened, {} calls sent again since nothing had been sent; the slowest call took {} ms",
            get(&self.opened),
            get(&self.retried),
            get(&self.slowest_micros) / 1000,
        );
        println!(
            "rollout: {} calls, {} failed, {} restarts, {} rotations, {} reloads",
            self.calls(),
            self.failed(),
            self.restarts(),
            self.rotations(),
            self.reloads(),
        );
    }
}
