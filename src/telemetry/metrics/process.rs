//! Metrics of the process, with the names that every Prometheus client uses for them.
//!
//! The collector of the `prometheus` crate would bring `procfs` and a second version of `rustix`. This one reads
//! the same files. Where there is no `/proc`, there are no such metrics.

use std::fs;

use prometheus::{
    Counter, Gauge, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// The unit of times in `/proc/self/stat`: Linux reports hundredths of a second on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
struct ProcessMetrics {
    cpu: Counter,
    resident: Gauge,
    virtual_memory: Gauge,
    threads: Gauge,
    start: Gauge,
    open_files: Gauge,
    max_files: Gauge,
}

/// Adds the metrics to a registry.
pub(super) fn register(registry: &Registry) -> prometheus::Result<()> {
    registry.register(Box::new(ProcessMetrics {
        cpu: Counter::new(
            "process_cpu_seconds_total",
            "CPU time of the process, user and system.",
        )?,
        resident: Gauge::new("process_resident_memory_bytes", "Resident memory of the process.")?,
        virtual_memory: Gauge::new(
            "process_virtual_memory_bytes",
            "Virtual memory of the process.",
        )?,
        threads: Gauge::new("process_threads", "Threads of the process.")?,
        start: Gauge::new("process_start_time_seconds", "Unix time when the process started.")?,
        open_files: Gauge::new("process_open_fds", "Open file descriptors.")?,
        max_files: Gauge::new("process_max_fds", "Limit of open file descriptors.")?,
    }))
}

impl Collector for ProcessMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if self.read().is_none() {
            return Vec::new();
        }
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}

impl ProcessMetrics {
    fn all(&self) -> [&dyn Collector; 7] {
        let Self { cpu, resident, virtual_memory, threads, start, open_files, max_files } = self;
        [cpu, resident, virtual_memory, threads, start, open_files, max_files]
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of open files")]
    fn read(&self) -> Option<()> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let times = Times::of(&stat)?;
        // Two scrapes at a time may both add the difference; a counter cannot be set.
        self.cpu.inc_by((times.cpu - self.cpu.get()).max(0.0));
        let boot = fs::read_to_string("/proc/stat").ok()?;
        self.start.set(field(&boot, "btime")? + times.start);
        let status = fs::read_to_string("/proc/self/status").ok()?;
        self.resident.set(field(&status, "VmRSS:")? * 1024.0);
        self.virtual_memory.set(field(&status, "VmSize:")? * 1024.0);
        self.threads.set(field(&status, "Threads:")?);
        // The folder itself is open while it is read.
        let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
        self.open_files.set(open as f64);
        let limits = fs::read_to_string("/proc/self/limits").ok()?;
        self.max_files.set(field(&limits, "Max open files").unwrap_or(f64::INFINITY));
        Some(())
    }
}

/// Times of the process, in seconds.
#[derive(Debug, PartialEq)]
struct Times {
    /// CPU time, user and system.
    cpu: f64,
    /// The start, since the machine started.
    start: f64,
}

impl Times {
    /// Reads `/proc/self/stat`. Its second field is the name of the process, which may contain anything.
    fn of(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let field = |number: usize| rest.split_whitespace().nth(number - 3)?.parse::<f64>().ok();
        let (in_user_mode, in_kernel, began) = (field(14)?, field(15)?, field(22)?);
        Some(Self {
            cpu: (in_user_mode + in_kernel) / TICKS_PER_SECOND,
            start: began / TICKS_PER_SECOND,
        })
    }
}

/// The number after a name at the start of a line.
fn field(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let fields: Vec<_> = (4..=52).map(|number| (number * 100).to_string()).collect();
        let stat = format!("7 (pool) guard) S {}\n", fields.join(" "));
        assert_eq!(Times::of(&stat), Some(Times { cpu: 29.0, start: 22.0 }));
        assert_eq!(Times::of("7 (poolguard) S 1"), None);
    }

    #[test]
    fn numbers_are_found_by_their_names() {
        let text = "VmPeak:\t 9 kB\nVmRSS:\t    8104 kB\nMax open files            1024     4096\n";
        assert_eq!(field(text, "VmRSS:"), Some(8104.0));
        assert_eq!(field(text, "Max open files"), Some(1024.0));
        assert_eq!(field("Max open files   unlimited", "Max open files"), None);
    }
}
