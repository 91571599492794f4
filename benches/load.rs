//! How much of the machine PoolGuard needs beyond what any webhook needs.
//!
//! `cargo bench --bench load` starts two servers of their own processes, a no-op and PoolGuard, and
//! loads them in turn over TLS. The no-op is this same executable: the same accept loop, TLS and
//! body collection, with a constant for an answer. What counts are ratios within one run, since the
//! machine changes between runs. Every response is checked; one that is wrong fails the run. Then
//! PoolGuard gets bursts of denials and of allows in turn, on any core and on one, and every record of
//! a denial is counted; and the worst requests that a client can send, by their size, beside plain reviews.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `POOLGUARD_BENCH_PART` | `load`, `burst` or `worst`: only that | all |
//! | `POOLGUARD_BENCH_SECONDS` | time for the load, roughly; the others take what they take | 60 |
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
#[path = "load/worst.rs"]
mod worst;

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
    let part = env::var("POOLGUARD_BENCH_PART").ok();
    if let Some(other) = part.as_deref().filter(|it| !["load", "burst", "worst"].contains(it)) {
        bail!("POOLGUARD_BENCH_PART is load, burst or worst, not {other}");
    }
    let is_wanted = |name| part.as_deref().is_none_or(|part| part == name);
    let folder = tempfile::tempdir()?;
    let fixtures = Fixtures::new(folder.path())?;
    let load = Load::new(cores)?;
    if is_wanted("load") {
        let budget = Duration::from_secs_f64(seconds);
        let results = run::all(&load, subject, &fixtures, folder.path(), budget)?;
        println!("{}", report::render(subject, &results));
    }
    // The no-op has no records.
    if is_wanted("burst") && subject == Subject::PoolGuard {
        println!("{}", report::render_bursts(&burst::all(&load, &fixtures, folder.path())?));
    }
    if is_wanted("worst") && subject == Subject::PoolGuard {
        let (alone, costs) = worst::all(&load, &fixtures)?;
        println!("{}", report::render_worst(alone, &costs));
    }
    Ok(())
}
