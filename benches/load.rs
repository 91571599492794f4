//! How much of the machine PoolGuard needs beyond what any webhook needs.
//!
//! `cargo bench --bench load` starts two servers of their own processes, a no-op and PoolGuard, and
//! loads them in turn over TLS. The no-op is this same executable: the same accept loop, TLS and
//! body collection, with a constant for an answer. What counts are ratios within one run, since the
//! machine changes between runs. Every response is checked; one that is wrong fails the run.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `POOLGUARD_BENCH_SECONDS` | time for all of it, roughly | 60 |
//! | `POOLGUARD_BENCH_SUBJECT` | `poolguard`, or `noop`: the no-op against itself, which shows the noise | `poolguard` |
//! | `TOKIO_WORKER_THREADS` | threads of either server | one for each core it may use |
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark reports on stdout")]

#[path = "load/client.rs"]
mod client;
#[path = "load/fixture.rs"]
mod fixture;
#[path = "load/noop.rs"]
mod noop;
#[path = "load/process.rs"]
mod process;
#[path = "load/report.rs"]
mod report;
#[path = "load/run.rs"]
mod run;
#[path = "load/statistics.rs"]
mod statistics;

use std::{env, time::Duration};

use anyhow::{Context, bail};

use self::{
    fixture::Fixtures,
    process::{Cores, Server, Subject},
};

fn main() -> anyhow::Result<()> {
    if noop::is_requested() {
        return noop::serve();
    }
    // Without the flag it is a test run that only wants to know whether this compiles and starts.
    if !env::args().any(|argument| argument == "--bench") {
        println!("run it with: cargo bench --bench load");
        return Ok(());
    }
    let seconds = match env::var("POOLGUARD_BENCH_SECONDS") {
        Ok(text) => text.parse().context("POOLGUARD_BENCH_SECONDS is a number of seconds")?,
        Err(_) => 60.0,
    };
    let subject = match env::var("POOLGUARD_BENCH_SUBJECT").as_deref() {
        Ok("noop") => Subject::Noop,
        Ok("poolguard") | Err(_) => Subject::PoolGuard,
        Ok(other) => bail!("POOLGUARD_BENCH_SUBJECT is poolguard or noop, not {other}"),
    };
    let cores = Cores::detect();
    match cores {
        Cores::OneForServers => println!("Each server runs on core 1, with one worker thread."),
        Cores::Any => println!("Servers run on any core."),
    }
    let results = run::all(subject, cores, Duration::from_secs_f64(seconds))?;
    println!("{}", report::render(subject, &results));
    Ok(())
}
