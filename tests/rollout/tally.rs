//! What has happened so far.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::client::Call;

/// Failures that are printed; the others are counted only.
const SHOWN: usize = 10;

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
        let Some(why) = failure else { return };
        one_more(&self.failed);
        let mut failures = self.failures.lock().unwrap();
        if failures.len() < SHOWN {
            let at = self.elapsed().as_secs_f64();
            failures.push(format!("{at:5.1} s {name}: {why}"));
        }
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

    /// The first failures, and the line that counts.
    pub(crate) fn print_summary(&self) {
        for failure in self.failures.lock().unwrap().iter() {
            println!("failed: {failure}");
        }
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
