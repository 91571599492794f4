//! What is measured: memory and descriptors of the replicas, and how often what happened.

use std::{
    fmt::{self, Write as _},
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::{it::live::replica::Replica, pair::NAMES, tally::Tally};

/// How often the memory is looked at. The median of a minute does not depend on which large reviews are
/// there at the moment.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);

/// How much more memory the last minute may have than the second.
const GROWTH_MAX: f64 = 1.05;

/// A count, which everybody may add to.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the well-behaved client had beside it.
#[derive(Default)]
pub(crate) struct Counts {
    /// Hostile reviews with an answer of any status.
    pub(crate) answered: Count,
    /// Hostile requests whose connection ended without one.
    pub(crate) cut: Count,
    /// Slow clients that have been there.
    pub(crate) slow: Count,
    /// Writes of nodes.
    pub(crate) nodes: Count,
    pub(crate) reloads: Count,
    pub(crate) rotations: Count,
}

impl Counts {
    fn all(&self) -> [(&'static str, u64); 6] {
        [
            ("hostile answered", self.answered.get()),
            ("hostile cut", self.cut.get()),
            ("slow clients", self.slow.get()),
            ("node writes", self.nodes.get()),
            ("reloads", self.reloads.get()),
            ("rotations", self.rotations.get()),
        ]
    }

    /// What should have happened and did not. A server may answer everything, and cut nobody.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let missing =
            self.all().into_iter().filter(|(what, count)| *count == 0 && *what != "hostile cut");
        missing.map(|(what, _)| format!("there were no {what}: the run does not count")).collect()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all().map(|(what, count)| format!("{count} {what}"));
        f.write_str(&all.join(", "))
    }
}

/// The memory in KiB of one replica, since the minute began.
type Samples = Arc<Mutex<Vec<u64>>>;

/// Looks at the replicas while they serve.
pub(crate) struct Meter {
    pids: Vec<u32>,
    samples: Vec<Samples>,
    /// The median of each replica, in KiB, minute by minute.
    minutes: Vec<Vec<u64>>,
}

impl Meter {
    pub(crate) fn of(replicas: &[Replica]) -> Self {
        let pids: Vec<_> = replicas.iter().map(Replica::pid).collect();
        let samples = pids.iter().map(|_| Samples::default()).collect();
        Self { pids, samples, minutes: Vec::new() }
    }

    /// Looks at the memory until it is told to stop.
    pub(crate) fn sample(&self, stop: CancellationToken) -> impl Future<Output = ()> + use<> {
        let watched: Vec<_> = self.pids.iter().copied().zip(self.samples.clone()).collect();
        async move {
            let mut ticks = interval(SAMPLE_EVERY);
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                for (pid, samples) in &watched {
                    samples.lock().unwrap().push(resident_kib(*pid));
                }
            }
        }
    }

    /// The line of a minute, and the beginning of the next.
    pub(crate) fn minute_ends(&mut self, tally: &Tally, counts: &Counts) -> String {
        let times = tally.take_times();
        let mut line = format!(
            "minute {}: {} calls, {} failed so far, {times}",
            self.minutes.len() + 1,
            times.count(),
            tally.failed(),
        );
        let mut medians = Vec::new();
        for ((name, pid), samples) in NAMES.iter().zip(&self.pids).zip(&self.samples) {
            let mut samples = std::mem::take(&mut *samples.lock().unwrap());
            samples.sort_unstable();
            let median = samples[samples.len() / 2];
            let (low, high) = (mib(samples[0]), mib(samples[samples.len() - 1]));
            let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
            write!(
                line,
                "; {name}: {:.1} MiB ({low:.1} to {high:.1}), {descriptors} descriptors",
                mib(median)
            )
            .unwrap();
            medians.push(median);
        }
        self.minutes.push(medians);
        format!("{line}; so far {counts}")
    }

    /// The replicas whose memory has grown from the second minute to the last.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let ([_, second, ..], Some(last)) = (self.minutes.as_slice(), self.minutes.last()) else {
            return vec!["there is no second minute".to_owned()];
        };
        let grown = NAMES
            .iter()
            .zip(second)
            .zip(last)
            .map(|((name, second), last)| (name, mib(*second), mib(*last)));
        grown
            .filter(|(_, second, last)| *last > second * GROWTH_MAX)
            .map(|(name, second, last)| {
                format!("the memory of {name} grew from {second:.1} MiB to {last:.1} MiB")
            })
            .collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below what a float counts exactly")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// The resident memory of a process.
fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
