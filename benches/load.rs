//! How much of the machine PoolGuard needs beyond what any webhook needs.
//!
//! `cargo bench --bench load` starts two servers of their own processes, a no-op and PoolGuard, and
//! loads them in turn over TLS. The no-op is this same executable: the same accept loop, TLS and
//! body collection, with a constant for an answer. What counts are ratios within one run, since the
//! machine changes between runs. Every response is checked; one that is wrong fails the run. Then
//! PoolGuard gets bursts of denials and of allows in turn, on any core and on one, and every record of
//! a denial is counted.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `POOLGUARD_BENCH_PART` | `load` or `burst`: only that | both |
//! | `POOLGUARD_BENCH_SECONDS` | time for the load, roughly; the bursts take what they take | 60 |
//! | `POOLGUARD_BENCH_SUBJECT` | `poolguard`, or `noop`: the no-op against itself, which shows the noise | `poolguard` |
//! | `TOKIO_WORKER_THREADS` | threads of either server | one for each core it may use |
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark reports on stdout")]

#[path = "load/burst.rs"]
mod burst;
#[path = "load/client.rs"]
mod client;
#[path = "load/fixture.rs"]
mod fixture;
#[path = "load/noop.rs"]
mod noop;
#[path = "load/process.rs"]
mod process;
#[path = "load/records.rs"]
mod records;
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
    run::Load,
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
        Cores::OneForServers => {
            println!("Servers run on core 1, with one worker thread, but for bursts on any core.");
        }
        Cores::Any => println!("Servers run on any core."),
    }
    let (loads, bursts) = match env::var("POOLGUARD_BENCH_PART").as_deref() {
        Ok("load") => (true, false),
        Ok("burst") => (false, true),
        Err(_) => (true, true),
        Ok(other) => bail!("POOLGUARD_BENCH_PART is load or burst, not {other}"),
    };
    let folder = tempfile::tempdir()?;
    let fixtures = Fixtures::new(folder.path())?;
    let load = Load::new(cores)?;
    if loads {
        let budget = Duration::from_secs_f64(seconds);
        let results = run::all(&load, subject, &fixtures, folder.path(), budget)?;
        println!("{}", report::render(subject, &results));
    }
    // The no-op has no records.
    if bursts && subject == Subject::PoolGuard {
        println!("{}", report::render_bursts(&burst::all(&load, &fixtures, folder.path())?));
    }
    Ok(())
}
