//! Two replicas in a cluster, as a Deployment has them, and what is done to them while they serve.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::time::sleep;

use crate::{
    endpoints::Endpoints,
    http,
    it::live::{
        cluster::{Cluster, NAMESPACE},
        replica::Replica,
    },
    scenario::data_text,
};

/// Shorter than in a cluster, in the same proportions: an endpoint is gone, and every connection has
/// been used once more, before the drain.
const SHUTDOWN_DELAY: &str = "2s";
/// Longer than the client needs to see a new `caBundle`, and than a replica takes to end: the one that
/// begins a rotation does not finish it.
const ROTATION_WAIT: &str = "4s";

/// Counts of what replicas have done.
const RELOADED: &str = "poolguard_config_reloads_total{result=\"success\"}";
pub(crate) const PROMOTED: &str = "poolguard_certificate_authority_steps_total{step=\"promoted\"}";
pub(crate) const ANNOUNCED: &str =
    "poolguard_certificate_authority_steps_total{step=\"announced\"}";

/// The longest that anything here takes, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(40);

/// What the replicas are called.
pub(crate) const NAMES: [&str; 2] = ["one", "two"];

/// Two replicas, and what they are in.
pub(crate) struct Pair {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) endpoints: Endpoints,
    pub(crate) replicas: Vec<Replica>,
    environment: &'static [(&'static str, &'static str)],
    configs: u32,
}

impl Pair {
    /// Both serve and are registered.
    pub(crate) async fn start(environment: &'static [(&'static str, &'static str)]) -> Self {
        let cluster = Arc::new(Cluster::start().await);
        let mut replicas = Vec::new();
        for name in NAMES {
            replicas.push(start(&cluster, name, environment).await);
        }
        let endpoints = Endpoints::default();
        let pair = Self { cluster, endpoints, replicas, environment, configs: 0 };
        pair.lead_to_all();
        for index in 0..pair.replicas.len() {
            pair.until_serving(index).await;
        }
        pair.cluster.until_registered().await;
        pair
    }

    fn lead_to_all(&self) {
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

    /// Ends a replica, as a Deployment does it; how long that took.
    pub(crate) async fn end(&mut self, index: usize) -> Duration {
        let (name, told) = (NAMES[index], Instant::now());
        let replica = &mut self.replicas[index];
        let webhook = replica.webhook;
        replica.signal("TERM");
        let code = replica.ended().await;
        let took = told.elapsed();
        assert_eq!(code, 0, "{name}: {:#?}", replica.log());
        // Its last line may be read after its end.
        replica.logged("every request was answered").await;
        self.endpoints.forget(webhook);
        took
    }

    /// Starts a replica in the place of one that has ended, and waits until it serves.
    pub(crate) async fn begin(&mut self, index: usize) {
        self.replicas[index] = start(&self.cluster, NAMES[index], self.environment).await;
        self.lead_to_all();
        self.until_serving(index).await;
    }

    /// Mounts another config, and waits until every replica has it in force.
    pub(crate) async fn reload(&mut self) {
        self.configs += 1;
        let before = self.counts(RELOADED).await;
        let more = format!("# {}\nscan: {{interval: {}m}}\n", self.configs, 10 + self.configs % 40);
        self.cluster.configure(&format!("{}{more}", data_text("config.yaml")));
        for (replica, before) in self.replicas.iter().zip(before) {
            replica.metric(RELOADED, |count| count > before).await;
        }
    }

    /// Asks for another certificate authority, as people do.
    pub(crate) fn ask_for_rotation(&self) {
        self.cluster.api.edit("secrets", &authority(), |secret| {
            secret["metadata"]["annotations"]["poolguard.io/rotate"] = "now".into();
        });
    }

    /// Waits until every replica serves a certificate of the authority that signs now.
    pub(crate) async fn until_signed_by_current(&self) {
        let secret = self.cluster.api.get("secrets", &authority()).unwrap();
        let current = secret["data"]["current.crt"].as_str().unwrap();
        let current = STANDARD.decode(current).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&current).unwrap()).unwrap();
        let (config, began) = (http::client_config(&roots, &[]), Instant::now());
        for (name, replica) in NAMES.iter().zip(&self.replicas) {
            while let Err(error) =
                http::Connection::open_as(replica.webhook, "127.0.0.1", config.clone()).await
            {
                assert!(began.elapsed() < PATIENCE, "{name}: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// What a series counts in each replica.
    pub(crate) async fn counts(&self, series: &str) -> Vec<f64> {
        let mut counts = Vec::new();
        for replica in &self.replicas {
            counts.push(replica.metric_now(series).await);
        }
        counts
    }

    /// Waits until a series of one of the replicas counts more than before; which one.
    pub(crate) async fn until_more(&self, series: &str, before: Vec<f64>) -> usize {
        let began = Instant::now();
        // One that has been restarted counts from zero.
        let mut floors = before;
        loop {
            let counts = self.counts(series).await;
            for (index, (count, floor)) in counts.iter().zip(&mut floors).enumerate() {
                if *count > *floor {
                    return index;
                }
                *floor = count.min(*floor);
            }
            let logs: Vec<_> = self.replicas.iter().map(Replica::log).collect();
            assert!(began.elapsed() < PATIENCE, "no {series}: {logs:#?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The Secret of the certificate authority.
fn authority() -> String {
    format!("{NAMESPACE}/poolguard-ca")
}

async fn start(cluster: &Cluster, name: &str, environment: &[(&str, &str)]) -> Replica {
    let mut arguments = cluster.arguments(name);
    for (flag, value) in
        [("--shutdown-delay", SHUTDOWN_DELAY), ("--ca-rotation-wait", ROTATION_WAIT)]
    {
        let at = arguments.iter().position(|argument| argument == flag).unwrap();
        value.clone_into(&mut arguments[at + 1]);
    }
    Replica::start_in(environment, &arguments).await
}
