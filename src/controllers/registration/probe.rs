//! The probe before a first registration: it checks that the webhook answers where the API server is going to ask.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tracing::{info, warn};

use crate::{
    admission::webhooks::Address, controllers::certificates::Bundle, server::readiness::Readiness,
    telemetry::log_once::LogOnce,
};

/// The time limit for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The time that a first registration waits for the Service to lead to a replica. After that, PoolGuard
/// registers in any case: some networks let the API server reach the webhook, but not pods.
const PROBE_TIMEOUT: Duration = Duration::from_mins(1);

const HTTPS: u16 = 443;

pub(super) struct Probe {
    address: Address,
    namespace: String,
    readiness: Readiness,
    ready_since: Option<Instant>,
    failure_log: LogOnce,
}

impl Probe {
    pub(super) fn new(address: Address, namespace: String, readiness: Readiness) -> Self {
        Self { address, namespace, readiness, ready_since: None, failure_log: LogOnce::default() }
    }

    /// Whether the webhook answers, so that a first registration rejects no request. A ready replica stops waiting
    /// for the answer after [`PROBE_TIMEOUT`].
    pub(super) async fn answers(&mut self, bundle: &Bundle) -> bool {
        if !self.readiness.unmet().is_empty() {
            self.ready_since = None;
            return false;
        }
        let since = *self.ready_since.get_or_insert_with(Instant::now);
        match connect(&self.address, &self.namespace, bundle).await {
            Ok(()) => {
                self.failure_log.end();
                true
            }
            Err(why) if since.elapsed() > PROBE_TIMEOUT => {
                warn!("registering the webhooks although this pod cannot reach them: {why}");
                true
            }
            Err(why) => {
                // Why a connection fails differs from one to the next.
                if self.failure_log.why().is_none() && self.failure_log.is_news(&why.to_string()) {
                    info!(
                        "waiting to register: this pod cannot reach the webhook yet ({why}). This \
                         is normal until its Service has endpoints; after {} s PoolGuard registers \
                         it in any case",
                        PROBE_TIMEOUT.as_secs()
                    );
                }
                false
            }
        }
    }
}

/// The reason why this pod cannot reach the webhook.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    /// The configured address is not a URL with a host name.
    #[error("{0}")]
    Address(String),
    /// The connection failed because of the network, the name, or the server that answers there.
    #[error("{host}:{port}: {error}")]
    Unreachable { host: String, port: u16, error: std::io::Error },
    /// The connection timed out: something on the way drops the packets.
    #[error("{host}:{port} does not answer")]
    Silent { host: String, port: u16 },
}

/// Connects as the API server will, and does the TLS handshake. With an authority to trust, the certificate is
/// checked against it. Without one, the system's authorities decide, so only the connection is tried.
async fn connect(address: &Address, namespace: &str, bundle: &Bundle) -> Result<(), ProbeError> {
    let (host, port) = target(address, namespace)?;
    let attempt = async {
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        if bundle.is_empty() {
            return Ok(());
        }
        let name = ServerName::try_from(host.clone()).map_err(std::io::Error::other)?;
        let connector = TlsConnector::from(Arc::new(trusting(bundle)?));
        connector.connect(name, stream).await.map(drop)
    };
    match timeout(ANSWER_WITHIN, attempt).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(ProbeError::Unreachable { host, port, error }),
        Err(_) => Err(ProbeError::Silent { host, port }),
    }
}

/// Host and port that the API server connects to.
fn target(address: &Address, namespace: &str) -> Result<(String, u16), ProbeError> {
    match address {
        Address::Service { name, port } => Ok((format!("{name}.{namespace}.svc"), *port)),
        Address::Url(url) => {
            let uri: http::Uri = url.parse().map_err(|error: http::uri::InvalidUri| {
                ProbeError::Address(format!("{url}: {error}"))
            })?;
            let host =
                uri.host().ok_or_else(|| ProbeError::Address(format!("{url} has no host name")))?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Ok((host.to_owned(), uri.port_u16().unwrap_or(HTTPS)))
        }
    }
}

fn trusting(bundle: &Bundle) -> std::io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in bundle {
        roots.add(certificate.clone()).map_err(std::io::Error::other)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_what_the_api_server_connects_to() {
        let service = Address::Service { name: "poolguard".to_owned(), port: 443 };
        let of = |address: &Address| target(address, "automq-guard");
        assert_eq!(of(&service).unwrap(), ("poolguard.automq-guard.svc".to_owned(), 443));
        let url = |url: &str| of(&Address::Url(url.to_owned()));
        assert_eq!(url("https://127.0.0.1:9443").unwrap(), ("127.0.0.1".to_owned(), 9443));
        assert_eq!(url("https://[::1]/hooks").unwrap(), ("::1".to_owned(), 443));
        assert!(url("nonsense").is_ok_and(|(host, _)| host == "nonsense"));
        assert!(url("/only/a/path").is_err());
    }
}
