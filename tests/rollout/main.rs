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
mod reviews;
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

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use self::{
    client::Caller,
    endpoints::Endpoints,
    it::{
        apiserver, http,
        live::{
            cluster::{CONFIGURATIONS, Cluster, NAMESPACE},
            replica::Replica,
        },
        scenario,
    },
    reviews::Reviews,
    tally::Tally,
};

/// What has to have happened for the run to count.
const CALLS_MIN: u64 = 20_000;
const RESTARTS_MIN: u64 = 4;

/// A load that cannot reach [`CALLS_MIN`] in this time is none.
const TIME_MAX: Duration = Duration::from_mins(3);

/// So many calls are made at a time, each after a pause: a constant load, which two cores carry in a
/// debug build.
const WORKERS: usize = 16;
const PAUSE: Duration = Duration::from_millis(20);

/// Shorter than in a cluster, in the same proportions: an endpoint is gone, and every connection has
/// been used once more, before the drain.
const SHUTDOWN_DELAY: &str = "2s";
/// Longer than the client needs to see a new `caBundle`, and than a replica takes to end: the one that
/// begins a rotation does not finish it.
const ROTATION_WAIT: &str = "4s";

const RELOADED: &str = "poolguard_config_reloads_total{result=\"success\"}";
const PROMOTED: &str = "poolguard_certificate_authority_steps_total{step=\"promoted\"}";
const ANNOUNCED: &str = "poolguard_certificate_authority_steps_total{step=\"announced\"}";

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
    let load = Load::start(&rollout);
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

/// Two replicas, and what is done to them.
struct Rollout {
    cluster: Arc<Cluster>,
    endpoints: Endpoints,
    replicas: Vec<Replica>,
    tally: Arc<Tally>,
    configs: u32,
}

const NAMES: [&str; 2] = ["one", "two"];

impl Rollout {
    async fn start(tally: Arc<Tally>) -> Self {
        let cluster = Arc::new(Cluster::start().await);
        let mut replicas = Vec::new();
        for name in NAMES {
            replicas.push(start(&cluster, name).await);
        }
        let endpoints = Endpoints::default();
        let mut rollout = Self { cluster, endpoints, replicas, tally, configs: 0 };
        rollout.lead_to_all();
        for index in 0..rollout.replicas.len() {
            rollout.until_serving(index).await;
        }
        rollout.cluster.until_registered().await;
        rollout.say("two replicas serve, and are registered: the load begins");
        rollout
    }

    fn say(&self, what: &str) {
        self.tally.say(what);
    }

    fn lead_to_all(&mut self) {
        let addresses: Vec<_> = self.replicas.iter().map(|replica| replica.webhook).collect();
        self.cluster.service.lead_to(&addresses);
        for replica in &self.replicas {
            self.endpoints.follow(replica.webhook, replica.admin);
        }
    }

    /// Waits until a replica is ready, and the client knows.
    async fn until_serving(&self, index: usize) {
        self.replicas[index].ready().await;
        self.endpoints.until_ready(self.replicas[index].webhook).await;
    }

    /// As a Deployment does it: the old one goes, a new one comes, and the next is not touched before
    /// that is ready.
    async fn restart(&mut self, index: usize) {
        let name = NAMES[index];
        self.say(&format!("restart of {name}: SIGTERM"));
        let told = Instant::now();
        let replica = &mut self.replicas[index];
        let webhook = replica.webhook;
        replica.signal("TERM");
        let code = replica.ended().await;
        let took = told.elapsed().as_secs_f64();
        assert_eq!(code, 0, "{name}: {:#?}", replica.log());
        // Its last line may be read after its end.
        replica.logged("every request was answered").await;
        self.say(&format!("restart of {name}: it drained and ended after {took:.1} s"));
        self.endpoints.forget(webhook);
        self.replicas[index] = start(&self.cluster, name).await;
        self.lead_to_all();
        self.until_serving(index).await;
        self.tally.restarted();
        self.say(&format!("restart of {name}: serving again"));
    }

    /// Another config is mounted, which every replica has to put in force.
    async fn reload(&mut self) {
        self.configs += 1;
        let mut before = Vec::new();
        for replica in &self.replicas {
            before.push(replica.metric_now(RELOADED).await);
        }
        let more = format!("# {}\nscan: {{interval: {}m}}\n", self.configs, 10 + self.configs);
        self.cluster.configure(&format!("{}{more}", scenario::data_text("config.yaml")));
        self.say("reload: another config is mounted");
        for (replica, before) in self.replicas.iter().zip(before) {
            replica.metric(RELOADED, |count| count > before).await;
        }
        self.tally.reloaded();
        self.say("reload: both replicas have it in force");
    }

    /// The certificate authority changes, and the one that sees to that is restarted meanwhile.
    async fn rotate(&mut self) {
        let secret = format!("{NAMESPACE}/poolguard-ca");
        self.cluster.api.edit("secrets", &secret, |secret| {
            secret["metadata"]["annotations"]["poolguard.io/rotate"] = "now".into();
        });
        self.say("rotation: asked for, by an annotation of the Secret");
        let holder = self.until_any(ANNOUNCED).await;
        self.say(&format!("rotation: {} has made the next authority", NAMES[holder]));
        self.restart(holder).await;
        let promoter = self.until_any(PROMOTED).await;
        self.say(&format!("rotation: {} has promoted it", NAMES[promoter]));
        self.until_signed_by_current(&secret).await;
        self.tally.rotated();
        self.say("rotation: it has signed what both replicas serve");
    }

    /// Waits until every replica serves a certificate of the authority that signs now.
    async fn until_signed_by_current(&self, secret: &str) {
        let secret = self.cluster.api.get("secrets", secret).unwrap();
        let current = secret["data"]["current.crt"].as_str().unwrap();
        let current = STANDARD.decode(current).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&current).unwrap()).unwrap();
        let (config, began) = (http::client_config(&roots, &[]), Instant::now());
        for (name, replica) in NAMES.iter().zip(&self.replicas) {
            while let Err(error) =
                http::Connection::open_as(replica.webhook, "127.0.0.1", config.clone()).await
            {
                assert!(began.elapsed() < Duration::from_secs(40), "{name}: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Waits until a count of one of the replicas is not zero any more; which one.
    async fn until_any(&self, series: &str) -> usize {
        let began = Instant::now();
        loop {
            for (index, replica) in self.replicas.iter().enumerate() {
                if replica.metric_now(series).await > 0.0 {
                    return index;
                }
            }
            let logs: Vec<_> = self.replicas.iter().map(Replica::log).collect();
            assert!(began.elapsed() < Duration::from_secs(40), "no {series}: {logs:#?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn start(cluster: &Cluster, name: &str) -> Replica {
    let mut arguments = cluster.arguments(name);
    for (flag, value) in
        [("--shutdown-delay", SHUTDOWN_DELAY), ("--ca-rotation-wait", ROTATION_WAIT)]
    {
        let at = arguments.iter().position(|argument| argument == flag).unwrap();
        value.clone_into(&mut arguments[at + 1]);
    }
    Replica::start(&arguments).await
}

/// Workers that call, until they are told to stop.
struct Load {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(rollout: &Rollout) -> Self {
        let stop = CancellationToken::new();
        let callers = ["/mutate", "/validate"].into_iter().zip(CONFIGURATIONS).map(|it| {
            let (path, configuration) = it;
            let cluster = Arc::clone(&rollout.cluster);
            Arc::new(Caller::new(path, configuration, cluster, rollout.endpoints.clone()))
        });
        let callers: Vec<_> = callers.collect();
        let following = callers.iter().map(|caller| {
            let (caller, stopped) = (Arc::clone(caller), stop.clone());
            tokio::spawn(async move {
                stopped.run_until_cancelled(caller.follow_the_bundle()).await;
            })
        });
        let mut tasks: Vec<_> = following.collect();
        let reviews = Arc::new(Reviews::recorded());
        for worker in 0..WORKERS {
            let (callers, reviews) = (callers.clone(), Arc::clone(&reviews));
            let (tally, stopped) = (Arc::clone(&rollout.tally), stop.clone());
            tasks.push(tokio::spawn(async move {
                let mut turn = worker;
                while !stopped.is_cancelled() {
                    turn += 1;
                    let review = reviews.get(turn);
                    let caller = callers.iter().find(|it| it.path == review.path).unwrap();
                    tally.called(&review.name, caller.call(review).await);
                    sleep(PAUSE).await;
                }
            }));
        }
        Self { stop, tasks }
    }

    /// Lets every worker finish its call.
    async fn stop(mut self) {
        self.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            task.await.unwrap();
        }
    }
}

/// A run that ends early leaves nobody to call.
impl Drop for Load {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
