//! The tables.

use crate::{
    burst::{self, Burst, Bursts, Round},
    process::Subject,
    run::{CONNECTIONS, Closed, Memory, Pair, Results},
    statistics::{Latency, median},
    worst::Cost,
};

/// Whether a smaller or a larger number is better.
#[derive(Clone, Copy)]
enum Bound {
    AtLeast,
    AtMost,
}

impl Bound {
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::AtLeast => value >= limit,
            Self::AtMost => value <= limit,
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::AtLeast => "≥",
            Self::AtMost => "≤",
        }
    }
}

/// One number to reach.
struct Target {
    what: String,
    measured: f64,
    unit: &'static str,
    bound: Bound,
    first: f64,
    goal: f64,
    /// The machine was too busy to tell.
    noisy: bool,
}

impl Target {
    fn row(self) -> Vec<String> {
        let Self { what, measured, unit, bound, first, goal, noisy } = self;
        let verdict = match (bound.holds(measured, goal), bound.holds(measured, first)) {
            _ if noisy => "unknown: the machine was busy",
            (true, _) => "goal reached",
            (false, true) => "first reached",
            (false, false) => "MISSED",
        };
        let limit = |value: f64| format!("{} {value}{unit}", bound.sign());
        vec![what, format!("{measured:.2}{unit}"), limit(first), limit(goal), verdict.to_owned()]
    }
}

/// Above it, latency says more about the other work on this machine than about the servers.
const BUSY: f64 = 0.05;

/// Everything, as text.
pub(crate) fn render(subject: Subject, results: &Results) -> String {
    let name = subject.name();
    let sections = [
        ("Numbers to reach".to_owned(), targets(results)),
        (format!("Throughput: {name} against the no-op, closed loop"), throughput(name, results)),
        (
            format!("Latency in ms at {:.0} requests/s, half of {name}'s saturation", results.rate),
            latency(name, results),
        ),
        (format!("Memory of {name} in MiB"), memory(results)),
    ];
    in_sections(&sections)
}

/// What bursts of denials do to answers, as text.
pub(crate) fn render_bursts(bursts: &[Bursts]) -> String {
    let requests = burst::REQUESTS;
    let title = format!(
        "Bursts: {requests} denials, {requests} allows, on {CONNECTIONS} connections; times in ms"
    );
    in_sections(&[
        ("Numbers to reach".to_owned(), burst_targets(bursts)),
        (title, burst_times(bursts)),
        ("Records of the denials, in all rounds".to_owned(), burst_records(bursts)),
    ])
}

/// What the worst requests cost, as text.
pub(crate) fn render_worst(alone: Latency, costs: &[Cost]) -> String {
    let cells = |what: &str, others: [String; 4]| [vec![what.to_owned()], others.to_vec()].concat();
    let title = ["KiB", "CPU ms", "p50 beside", "p99 beside"].map(str::to_owned);
    let times = |latency: Latency| [latency.p50, latency.p99].map(|time| format!("{time:.2}"));
    let [p50, p99] = times(alone);
    let mut rows =
        vec![cells("request", title), cells("none", ["0".to_owned(), "0".to_owned(), p50, p99])];
    for Cost { what, kibibytes, cpu, beside } in costs {
        let [p50, p99] = times(*beside);
        rows.push(cells(what, [format!("{kibibytes:.0}"), format!("{cpu:.2}"), p50, p99]));
    }
    let title = "The worst requests: CPU of each, and plain reviews beside them in ms".to_owned();
    in_sections(&[(title, rows)])
}

fn in_sections(sections: &[(String, Vec<Vec<String>>)]) -> String {
    let mut text = String::new();
    for (title, rows) in sections {
        text += &["\n", title, "\n", &table(rows)].concat();
    }
    text
}

fn targets(results: &Results) -> Vec<Vec<String>> {
    let mut targets = Vec::new();
    for closed in &results.closed {
        targets.push(Target {
            what: format!("requests per CPU-second, x no-op ({})", closed.body),
            measured: per_cpu_ratio(closed),
            unit: "",
            bound: Bound::AtLeast,
            first: 0.6,
            goal: 0.75,
            noisy: false,
        });
    }
    targets.push(Target {
        what: "p99 latency at half of saturation, x no-op (allowed)".to_owned(),
        measured: ratio(&results.open, |latency| latency.p99),
        unit: "",
        bound: Bound::AtMost,
        first: 1.5,
        goal: 1.2,
        noisy: load_waited(results) > BUSY,
    });
    if let [small, large] = results.memory.as_slice() {
        targets.extend(memory_targets(small, large));
    }
    targets.extend(results.binary_megabytes.map(|measured| Target {
        what: "binary, stripped".to_owned(),
        measured,
        unit: " MB",
        bound: Bound::AtMost,
        first: 15.0,
        goal: 10.0,
        noisy: false,
    }));
    target_rows(targets)
}

fn target_rows(targets: Vec<Target>) -> Vec<Vec<String>> {
    let head = ["what", "measured", "first", "goal", "verdict"].map(str::to_owned).to_vec();
    std::iter::once(head).chain(targets.into_iter().map(Target::row)).collect()
}

fn memory_targets(small: &Memory, large: &Memory) -> [Target; 3] {
    let growth = (large.after_load / large.warm - 1.0) * 100.0;
    [
        Target {
            what: "resident memory with 5,000 nodes, after load".to_owned(),
            measured: large.after_load,
            unit: " MiB",
            bound: Bound::AtMost,
            first: 25.0,
            goal: 18.0,
            noisy: false,
        },
        Target {
            what: "its growth under load, once warm".to_owned(),
            measured: growth,
            unit: " %",
            bound: Bound::AtMost,
            first: 5.0,
            goal: 5.0,
            noisy: false,
        },
        Target {
            what: "first answer after start, embedded snapshot".to_owned(),
            measured: small.ready_milliseconds,
            unit: " ms",
            bound: Bound::AtMost,
            first: 100.0,
            goal: 30.0,
            noisy: false,
        },
    ]
}

fn throughput(name: &str, results: &Results) -> Vec<Vec<String>> {
    let head = ["body", "bytes", "server", "requests/s", "CPU µs/request", "requests/CPU-s"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for closed in &results.closed {
        let sides = [
            ("no-op", closed.rounds.iter().map(|round| round.noop).collect::<Vec<_>>()),
            (name, closed.rounds.iter().map(|round| round.subject).collect()),
        ];
        for (server, rounds) in sides {
            let per_second = median(rounds.iter().map(|round| round.per_second));
            let per_cpu_second = median(rounds.iter().map(|round| round.per_cpu_second));
            rows.push(vec![
                closed.body.to_owned(),
                closed.bytes.to_string(),
                server.to_owned(),
                format!("{per_second:.0}"),
                format!("{:.2}", 1e6 / per_cpu_second),
                format!("{per_cpu_second:.0}"),
            ]);
        }
    }
    rows
}

fn latency(name: &str, results: &Results) -> Vec<Vec<String>> {
    let percentiles: [fn(&Latency) -> f64; 3] =
        [|latency| latency.p50, |latency| latency.p99, |latency| latency.p999];
    let side = |choose: fn(&Pair<Latency>) -> Latency| {
        percentiles.map(|at| format!("{:.3}", median(results.open.iter().map(|p| at(&choose(p))))))
    };
    let ratios = percentiles.map(|at| format!("{:.2}", ratio(&results.open, at)));
    let waited = |choose: fn(&Pair<Latency>) -> Latency| {
        let share = median(results.open.iter().map(|pair| choose(pair).load_waited));
        format!("{:.1} %", share * 100.0)
    };
    let row = |server: &str, cells: [String; 3], waited: &str| {
        let last = std::iter::once(waited.to_owned());
        std::iter::once(server.to_owned()).chain(cells).chain(last).collect::<Vec<_>>()
    };
    vec![
        row("server", ["p50", "p99", "p99.9"].map(str::to_owned), "load waited for a core"),
        row("no-op", side(|pair| pair.noop), &waited(|pair| pair.noop)),
        row(name, side(|pair| pair.subject), &waited(|pair| pair.subject)),
        row("ratio, median of rounds", ratios, ""),
    ]
}

fn memory(results: &Results) -> Vec<Vec<String>> {
    let head = ["cluster", "first answer, ms", "at start", "warm", "after load", "peak"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for memory in &results.memory {
        let Memory { cluster, ready_milliseconds, at_start, warm, after_load, peak } = *memory;
        let numbers = [ready_milliseconds, at_start, warm, after_load, peak];
        let cells = numbers.map(|number| format!("{number:.1}"));
        rows.push(std::iter::once(cluster.to_owned()).chain(cells).collect());
    }
    rows
}

/// A time of a burst, in ms.
struct Column {
    name: &'static str,
    digits: usize,
    at: fn(&Burst) -> f64,
}

/// One of the bursts of a round.
type Side = fn(&Round) -> &Burst;

/// What is promised of a burst.
const ANSWERS: [Column; 3] = [
    Column { name: "all answers", digits: 1, at: |burst| burst.seconds * 1e3 },
    Column { name: "p50", digits: 3, at: |burst| burst.latency.p50 },
    Column { name: "p99", digits: 3, at: |burst| burst.latency.p99 },
];

const OTHERS: [Column; 2] = [
    Column { name: "others' p50", digits: 3, at: |burst| burst.others.p50 },
    Column { name: "others' p99", digits: 3, at: |burst| burst.others.p99 },
];

fn burst_targets(bursts: &[Bursts]) -> Vec<Vec<String>> {
    let mut targets = Vec::new();
    for Bursts { with, rounds } in bursts {
        targets.extend(ANSWERS.map(|Column { name, at, .. }| Target {
            what: format!("burst of denials, x allows: {name} ({with})"),
            measured: burst_ratio(rounds, at),
            unit: "",
            bound: Bound::AtMost,
            first: 1.2,
            goal: 1.2,
            // Both bursts of a round share the machine with the load and what else there is.
            noisy: false,
        }));
    }
    target_rows(targets)
}

fn burst_times(bursts: &[Bursts]) -> Vec<Vec<String>> {
    let columns: Vec<_> = ANSWERS.into_iter().chain(OTHERS).collect();
    let names = columns.iter().map(|column| column.name);
    let head = ["with", "burst"].into_iter().chain(names);
    let head = head.chain(["server busy, of a core", "load waited for a core"]);
    let mut rows = vec![head.map(str::to_owned).collect()];
    for Bursts { with, rounds } in bursts {
        let sides: [(_, Side); 2] =
            [("allowed", |round| &round.allowed), ("denied", |round| &round.denied)];
        for (name, side) in sides {
            let bursts = || rounds.iter().map(side);
            let times = columns.iter().map(|Column { digits, at, .. }| {
                let digits = *digits;
                format!("{:.digits$}", median(bursts().map(at)))
            });
            // Of all rounds together: the kernel counts CPU time in units of 10 ms.
            let cpu: f64 = bursts().map(|burst| burst.cpu_seconds).sum();
            let busy = cpu / bursts().map(|burst| burst.seconds).sum::<f64>();
            let waited = median(bursts().map(|burst| burst.latency.load_waited));
            let shares = [busy, waited].map(|share| format!("{:.1} %", share * 100.0));
            let names = [with, name].map(str::to_owned);
            rows.push(names.into_iter().chain(times).chain(shares).collect());
        }
        let ratios = columns.iter().map(|column| format!("{:.2}", burst_ratio(rounds, column.at)));
        let names = [with, "ratio, median of rounds"].map(str::to_owned);
        rows.push(names.into_iter().chain(ratios).collect());
    }
    rows
}

/// Together they are the denials, or the run would have failed.
fn burst_records(bursts: &[Bursts]) -> Vec<Vec<String>> {
    let head = ["with", "sink", "written", "reported as dropped"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for Bursts { with, rounds } in bursts {
        for (index, sink) in ["stdout", "file"].into_iter().enumerate() {
            let tallies: Vec<_> =
                rounds.iter().filter_map(|round| round.denied.tallies.get(index)).collect();
            if tallies.is_empty() {
                continue;
            }
            let written: u32 = tallies.iter().map(|tally| tally.written).sum();
            let dropped: u32 = tallies.iter().map(|tally| tally.dropped).sum();
            let cells = [*with, sink, &written.to_string(), &dropped.to_string()];
            rows.push(cells.map(str::to_owned).to_vec());
        }
    }
    rows
}

fn burst_ratio(rounds: &[Round], at: fn(&Burst) -> f64) -> f64 {
    median(rounds.iter().map(|round| at(&round.denied) / at(&round.allowed)))
}

/// In the median round, of whichever server was unluckier.
fn load_waited(results: &Results) -> f64 {
    let noop = median(results.open.iter().map(|pair| pair.noop.load_waited));
    noop.max(median(results.open.iter().map(|pair| pair.subject.load_waited)))
}

fn per_cpu_ratio(closed: &Closed) -> f64 {
    median(closed.rounds.iter().map(|r| r.subject.per_cpu_second / r.noop.per_cpu_second))
}

/// The median of the ratios within rounds: what the machine does to a whole round cancels out.
fn ratio(rounds: &[Pair<Latency>], at: fn(&Latency) -> f64) -> f64 {
    median(rounds.iter().map(|round| at(&round.subject) / at(&round.noop)))
}

/// Columns as wide as their widest cell; numbers to the right.
fn table(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let is_number = |cell: &str| cell.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let body = rows.get(1..).unwrap_or_default();
    let aligned_right = |column: usize| {
        body.iter()
            .filter_map(|row| row.get(column))
            .all(|cell| is_number(cell) && !cell.ends_with(" nodes"))
    };
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<_> = row
            .iter()
            .enumerate()
            .map(|(column, cell)| {
                let width = width(column);
                if aligned_right(column) {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            })
            .collect();
        text += "  ";
        text += cells.join("  ").trim_end();
        text.push('\n');
        if index == 0 {
            let rule: Vec<_> = (0..row.len()).map(|column| "─".repeat(width(column))).collect();
            text += "  ";
            text += &rule.join("  ");
            text.push('\n');
        }
    }
    text
}
