//! A rolling restart under load, with a rotation of the certificate authority and reloads of the
//! config in the middle: no call may fail.
//!
//! `make rollout-test` runs it. Two replicas, as processes, serve a client that does what an API
//! server does: it keeps connections, trusts what is registered at that moment, hears of endpoints
//! a little late, and does not try again what may have been received. Meanwhile the replicas are
//! restarted in turn. The last line counts what happened, and the exit code is 1 unless no call
//! failed and enough of everything did happen.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it tells people what it does")]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod client;
mod endpoints;
mod load;
mod pair;
#[allow(dead_code, reason = "the soak test uses more")]
mod reviews;
#[allow(dead_code, reason = "the soak test uses more")]
mod tally;

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

use std::{process::ExitCode, sync::Arc, time::Duration};

use tokio::time::sleep;

use self::{
    it::{apiserver, http, scenario},
    load::Load,
    pair::{ANNOUNCED, NAMES, PROMOTED, Pair},
    reviews::Reviews,
    tally::Tally,
};

/// What has to have happened for the run to count.
const CALLS_MIN: u64 = 20_000;
const RESTARTS_MIN: u64 = 4;

/// A load that cannot reach [`CALLS_MIN`] in this time is none.
const TIME_MAX: Duration = Duration::from_mins(3);

/// So many calls are made at a time: a constant load, which two cores carry in a debug build.
const WORKERS: usize = 16;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let tally = Arc::new(Tally::default());
    let rollout = runtime.block_on(async { tokio::spawn(run(Arc::clone(&tally))).await });
    if let Err(error) = &rollout {
        eprintln!("the run ended early: {error}");
    }
    let is_enough = tally.calls() >= CALLS_MIN
        && tally.restarts() >= RESTARTS_MIN
        && tally.rotations() >= 1
        && tally.reloads() >= 1;
    if rollout.is_ok() && !is_enough {
        eprintln!("not enough has happened for this to count");
    }
    tally.print_summary();
    if rollout.is_ok() && is_enough && tally.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn run(tally: Arc<Tally>) {
    let mut rollout = Rollout::start(tally).await;
    let load = Load::start(&rollout.pair, &rollout.tally, Reviews::recorded(), WORKERS);
    sleep(Duration::from_secs(1)).await;
    rollout.restart(0).await;
    rollout.restart(1).await;
    rollout.reload().await;
    rollout.rotate().await;
    rollout.reload().await;
    let mut index = 1;
    while rollout.tally.calls() < CALLS_MIN && rollout.tally.elapsed() < TIME_MAX {
        rollout.restart(index).await;
        index = 1 - index;
    }
    load.stop().await;
    rollout.say("the load has ended");
}

/// What is done to two replicas, and counted.
struct Rollout {
    pair: Pair,
    tally: Arc<Tally>,
}

impl Rollout {
    async fn start(tally: Arc<Tally>) -> Self {
        let rollout = Self { pair: Pair::start(&[]).await, tally };
        rollout.say("two replicas serve, and are registered: the load begins");
        rollout
    }

    fn say(&self, what: &str) {
        self.tally.say(what);
    }

    async fn restart(&mut self, index: usize) {
        let name = NAMES[index];
        self.say(&format!("restart of {name}: SIGTERM"));
        let took = self.pair.end(index).await.as_secs_f64();
        self.say(&format!("restart of {name}: it drained and ended after {took:.1} s"));
        self.pair.begin(index).await;
        self.tally.restarted();
        self.say(&format!("restart of {name}: serving again"));
    }

    /// Another config is mounted, which every replica has to put in force.
    async fn reload(&mut self) {
        self.say("reload: another config is mounted");
        self.pair.reload().await;
        self.tally.reloaded();
        self.say("reload: both replicas have it in force");
    }

    /// The certificate authority changes, and the one that sees to that is restarted meanwhile.
    async fn rotate(&mut self) {
        let (announced, promoted) =
            (self.pair.counts(ANNOUNCED).await, self.pair.counts(PROMOTED).await);
        self.pair.ask_for_rotation();
        self.say("rotation: asked for, by an annotation of the Secret");
        let holder = self.pair.until_more(ANNOUNCED, announced).await;
        self.say(&format!("rotation: {} has made the next authority", NAMES[holder]));
        self.restart(holder).await;
        let holder = self.pair.until_more(PROMOTED, promoted).await;
        self.say(&format!("rotation: {} has promoted it", NAMES[holder]));
        self.pair.until_signed_by_current().await;
        self.tally.rotated();
        self.say("rotation: it has signed what both replicas serve");
    }
}
