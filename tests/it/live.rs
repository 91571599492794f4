//! The binary in a cluster: an API server in memory, a Service, and as many replicas as a test wants.

#![expect(clippy::float_cmp, reason = "a metric that counts is exact")]

mod certificates;
mod cluster;
mod events;
mod lease;
mod memory;
mod readiness;
mod registration;
mod reload;
mod replica;
mod rights;
mod scan;
mod service;
mod watches;

use std::time::Duration;

use tokio::time::{sleep, timeout};

use self::replica::PATIENCE;

/// Waits until something is so that can only be asked for.
async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let met = timeout(PATIENCE, async {
        while !is_so().await {
            sleep(Duration::from_millis(20)).await;
        }
    });
    met.await.unwrap_or_else(|_| panic!("never: {what}"));
}
