//! Two replicas in service for minutes: ordinary and hostile clients, a cluster whose nodes come and go,
//! rotations of the certificate authority and reloads of the config, all at the same time.
//!
//! `make soak` runs it, for `SOAK_MINUTES`. It prints a line a minute. The exit code is 1 if a call of
//! the well-behaved client failed, if a replica has more than 5 % more memory in the last minute than in the
//! second, or if one of the disturbances did not happen.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it tells people what it does")]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod churn;
mod hostile;
mod measure;
mod slow;

/// Parts of the rollout test.
#[path = "../rollout"]
#[allow(dead_code, reason = "the rollout test uses more")]
mod rollout {
    pub(crate) mod client;
    pub(crate) mod endpoints;
    pub(crate) mod load;
    pub(crate) mod pair;
    pub(crate) mod reviews;
    pub(crate) mod tally;
}

/// Parts of the integration tests.
#[path = "../it"]
#[allow(dead_code, unfulfilled_lint_expectations, unused_imports, reason = "other tests use more")]
mod it {
    pub(crate) mod apiserver;
    pub(crate) mod http;
    pub(crate) mod scenario;
    pub(crate) mod live {
        pub(crate) mod cluster;
        pub(crate) mod replica;
        pub(crate) mod service;

        use replica::eventually;
    }
}

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use self::{
    it::{apiserver, http, scenario},
    measure::{Counts, Meter},
    rollout::{
        client, endpoints,
        load::Load,
        pair,
        pair::{PROMOTED, Pair},
        reviews,
        reviews::Reviews,
        tally,
        tally::Tally,
    },
};

const MINUTE: Duration = Duration::from_mins(1);
/// The number of minutes of a run that compares the last with the second.
const MINUTES_MIN: u32 = 3;
const MINUTES: u32 = 10;

/// The workers of the well-behaved client.
const WORKERS: usize = 8;

/// What the image sets.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
    ("TOKIO_WORKER_THREADS", "2"),
];

const RELOAD_EVERY: Duration = Duration::from_secs(15);
const ROTATE_EVERY: Duration = Duration::from_secs(45);

fn main() -> ExitCode {
    let minutes = match std::env::var("SOAK_MINUTES").as_deref() {
        Err(_) | Ok("") => MINUTES,
        Ok(text) => match text.parse() {
            Ok(minutes) if minutes >= MINUTES_MIN => minutes,
            _ => {
                eprintln!("SOAK_MINUTES is a number from {MINUTES_MIN}: {text}");
                return ExitCode::from(2);
            }
        },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let complaints = runtime.block_on(async { tokio::spawn(run(minutes)).await });
    match complaints {
        Ok(complaints) if complaints.is_empty() => ExitCode::SUCCESS,
        Ok(complaints) => {
            for complaint in complaints {
                println!("FAILED: {complaint}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("the run ended early: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves for so many minutes; what must not have happened.
async fn run(minutes: u32) -> Vec<String> {
    let mut pair = Pair::start(ENVIRONMENT).await;
    let (tally, counts) = (Arc::new(Tally::default()), Arc::new(Counts::default()));
    let load = Load::start(&pair, &tally, Reviews::recorded().with_heartbeats(), WORKERS);
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let addresses: Vec<_> = pair.replicas.iter().map(|replica| replica.webhook).collect();
    hostile::start(&mut tasks, &pair.cluster, &addresses, &counts, &stop);
    slow::start(&mut tasks, &pair.cluster, &addresses, &counts, &stop);
    tasks.spawn(churn::churn(Arc::clone(&pair.cluster), Arc::clone(&counts), stop.clone()));
    let mut meter = Meter::of(&pair.replicas);
    tasks.spawn(meter.sample(stop.clone()));

    for _ in 0..minutes {
        change_for_a_minute(&mut pair, &counts).await;
        let line = meter.minute_ends(&tally, &counts);
        println!("{line}");
    }
    stop.cancel();
    load.stop().await;
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    tally.print_failures();
    println!("soak: {} calls, {} failed, {counts}", tally.calls(), tally.failed());
    let mut complaints = meter.complaints();
    complaints.extend(counts.complaints());
    if tally.failed() > 0 {
        complaints.push(format!("{} calls of the well-behaved client failed", tally.failed()));
    }
    complaints
}

/// Reloads the config and rotates the certificate authority, time and again.
async fn change_for_a_minute(pair: &mut Pair, counts: &Counts) {
    let began = Instant::now();
    let every = |period| {
        let mut interval = interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    };
    let (mut reloads, mut rotations) = (every(RELOAD_EVERY), every(ROTATE_EVERY));
    loop {
        let Some(left) = MINUTE.checked_sub(began.elapsed()) else { return };
        tokio::select! {
            _ = reloads.tick() => {
                pair.reload().await;
                counts.reloads.add(1);
            }
            _ = rotations.tick() => {
                let before = pair.counts(PROMOTED).await;
                pair.ask_for_rotation();
                pair.until_more(PROMOTED, before).await;
                pair.until_signed_by_current().await;
                counts.rotations.add(1);
            }
            () = tokio::time::sleep(left) => return,
        }
    }
}
