//! Restarts and a rotation, under a load that sees every failed call.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    pods::{BROKERS, SHOP, is_placed},
    registration::erred,
};
use crate::{
    plane::Protocol,
    user::User,
    world::{NAMESPACE, World, eventually, intruder, pod, says},
};

const WORKERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(5);

/// Pods that are created without being kept: an intruder, which must be denied and not merely
/// refused, and a broker, which must be placed and not merely pass.
struct Load {
    stop: CancellationToken,
    workers: Vec<JoinHandle<Vec<Result<(), String>>>>,
    began: Instant,
}

impl Load {
    fn start(world: &World) -> Self {
        let stop = CancellationToken::new();
        let worker = |_| {
            let (stopped, alice) = (stop.clone(), world.user("alice"));
            tokio::spawn(async move {
                let mut results = Vec::new();
                while !stopped.is_cancelled() {
                    results.push(deny(&alice).await);
                    results.push(place(&alice).await);
                    sleep(PAUSE).await;
                }
                results
            })
        };
        let workers = (0..WORKERS).map(worker).collect();
        Self { stop, workers, began: Instant::now() }
    }

    /// Ends it, and asserts that no call failed.
    async fn stop(self) {
        self.stop.cancel();
        let mut results = Vec::new();
        for worker in self.workers {
            results.extend(worker.await.unwrap());
        }
        let count = results.len();
        let failed: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        let seconds = self.began.elapsed().as_secs_f64();
        print!("{count} calls in {seconds:.0} s, {} failed ... ", failed.len());
        assert!(failed.is_empty(), "{failed:#?}");
        assert!(count > 100, "{count} calls are no load");
    }
}

async fn deny(alice: &User) -> Result<(), String> {
    match alice.create(&format!("{SHOP}?dryRun=All"), &intruder("loaded")).await {
        Ok(_) => Err("an intruder passed".to_owned()),
        Err(refusal) => says(&refusal, "[pod-intrusion]"),
    }
}

async fn place(alice: &User) -> Result<(), String> {
    match alice.create(&format!("{BROKERS}?dryRun=All"), &pod("loaded")).await {
        Ok(broker) if is_placed(&broker) => Ok(()),
        Ok(_) => Err("a broker was not placed".to_owned()),
        Err(refusal) => Err(refusal.to_string()),
    }
}

pub(crate) async fn restarts_fail_no_call(world: &mut World) {
    world.scale(2).await;
    let load = Load::start(world);
    for index in [0, 1, 0, 1] {
        world.restart(index).await;
    }
    load.stop().await;
}

pub(crate) async fn a_rotation_fails_no_call(world: &mut World) {
    world.scale(2).await;
    let load = Load::start(world);
    let secret = format!("/api/v1/namespaces/{NAMESPACE}/secrets/poolguard-ca");
    let before = world.admin.get(&secret).await.unwrap()["data"].clone();
    let annotation = json!({"metadata": {"annotations": {"poolguard.io/rotate": "now"}}});
    world.admin.merge(&secret, &annotation).await.unwrap();
    let promoted = async || {
        let series = "poolguard_certificate_authority_steps_total{step=\"promoted\"}";
        let count = world.sum(series).await;
        (count > 0).then_some(()).ok_or_else(|| "nothing is promoted".to_owned())
    };
    eventually("the next authority is promoted", promoted).await;
    let after = world.admin.get(&secret).await.unwrap()["data"].clone();
    assert_ne!(before["current.crt"], after["current.crt"]);
    // New connections meet the new certificate.
    for index in [0, 1] {
        world.restart(index).await;
    }
    load.stop().await;
}

pub(crate) async fn an_api_server_that_restarts_is_guarded_again(world: &mut World) {
    world.scale(2).await;
    // It forgets what has happened.
    assert_eq!(erred(world).await, Vec::<String>::new());
    world.plane.restart_api(Protocol::Http1).await;
    world.until_asked().await;
    let broker = world.alice.create(&format!("{BROKERS}?dryRun=All"), &pod("again")).await;
    assert!(is_placed(&broker.unwrap()));
}

/// As an API server calls a Service.
pub(crate) async fn restarts_fail_no_call_over_http_1(world: &mut World) {
    if world.plane.protocol() != Protocol::Http1 {
        world.plane.restart_api(Protocol::Http1).await;
    }
    restarts_fail_no_call(world).await;
}
