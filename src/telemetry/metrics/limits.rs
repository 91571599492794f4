//! The limits of the webhook's server, beside the levels that they limit.

use prometheus::{IntGauge, Registry};

use super::{Metrics, gauge};

/// The limits.
#[derive(Debug)]
pub(super) struct LimitMetrics {
    connections: IntGauge,
    requests: IntGauge,
    body_bytes: IntGauge,
}

impl LimitMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            connections: gauge(
                registry,
                "poolguard_connections_limit",
                "Limit of poolguard_connections: --max-connections, or less if the process may not \
                 open so many files.",
            )?,
            requests: gauge(
                registry,
                "poolguard_requests_in_flight_limit",
                "Limit of poolguard_requests_in_flight: --max-requests-in-flight.",
            )?,
            body_bytes: gauge(
                registry,
                "poolguard_body_bytes_in_flight_limit",
                "Limit of poolguard_body_bytes_in_flight: --max-body-bytes-in-flight.",
            )?,
        })
    }
}

impl Metrics {
    /// Shows the limits of the webhook's server.
    pub fn set_limits(&self, connections: usize, requests: usize, body_bytes: usize) {
        let set = |gauge: &IntGauge, limit| gauge.set(i64::try_from(limit).unwrap_or(i64::MAX));
        set(&self.limits.connections, connections);
        set(&self.limits.requests, requests);
        set(&self.limits.body_bytes, body_bytes);
    }
}
