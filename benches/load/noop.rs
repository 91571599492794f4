//! The server to compare with: it parses nothing, counts nothing and always says the same.

use std::{env, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use poolguard::{
    server::{
        Received, Server, Service,
        fault::Fault,
        limits::Limits,
        shutdown::Lifecycle,
        tls::{Certificates, Credentials, server_config},
    },
    telemetry::metrics::Metrics,
};
use tokio::{net::TcpListener, runtime::Runtime};

/// Set by the parent for the child that is to be the no-op.
pub(crate) const REQUEST: &str = "POOLGUARD_BENCH_CHILD";

const ANSWER: &[u8] = br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"148a7c94-7cf3-417e-a190-340c73262910","allowed":true}}"#;

struct Noop;

impl Service for Noop {
    fn answer(&self, _request: Received<'_>) -> Result<Bytes, Fault> {
        Ok(Bytes::from_static(ANSWER))
    }
}

pub(crate) fn is_requested() -> bool {
    env::var_os(REQUEST).is_some()
}

/// Serves until the process is killed.
pub(crate) fn serve() -> anyhow::Result<()> {
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let certificates = Certificates::new(Credentials::self_signed(["localhost", "127.0.0.1"])?);
        let tls = Arc::new(ArcSwap::from(server_config(Arc::new(certificates), None)?));
        let metrics = Arc::new(Metrics::new()?);
        let lifecycle = Lifecycle::default();
        let server = Server::new(listener, tls, Limits::default(), metrics, lifecycle, Noop);
        eprintln!("listening on https://{}", server.local_addr()?);
        server.run().await;
        Ok(())
    })
}
