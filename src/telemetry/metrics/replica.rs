//! Metrics of what a replica is to its cluster: certificates, registration, Lease.

use prometheus::{GaugeVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::{
    Metrics, counters, gauge, gauges,
    label::{AuthorityStep, BackstopCondition, CertificateLabel, RegistrationWrite, ReloadResult},
    register,
};

/// The metrics of a replica.
#[derive(Debug)]
pub(super) struct ReplicaMetrics {
    certificate_expiry: GaugeVec,
    certificate_reloads: IntCounterVec,
    authority_steps: IntCounterVec,
    registration_drift: IntGauge,
    registration_writes: IntCounterVec,
    holds_lease: IntGauge,
    backstop: IntGaugeVec,
}

impl ReplicaMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            certificate_expiry: certificate_expiry(registry)?,
            certificate_reloads: counters(
                registry,
                "poolguard_certificate_reloads_total",
                "Reloads of changed certificate files; after a failure PoolGuard keeps the \
                 previous pair.",
                &["result"],
            )?,
            authority_steps: counters(
                registry,
                "poolguard_certificate_authority_steps_total",
                "Actions of this replica on the certificate authority; promoted means a rotation.",
                &["step"],
            )?,
            registration_drift: gauge(
                registry,
                "poolguard_webhook_registration_drift",
                "Registered webhook configurations that are absent or differ from the config; \
                 counted by the Lease holder.",
            )?,
            registration_writes: counters(
                registry,
                "poolguard_webhook_registration_writes_total",
                "Webhook configurations written, by reason: absent, changed or failed.",
                &["reason"],
            )?,
            holds_lease: gauge(
                registry,
                "poolguard_holds_lease",
                "Whether this replica holds the Lease; the holder registers webhooks and rotates \
                 the certificate authority.",
            )?,
            backstop: gauges(
                registry,
                "poolguard_backstop",
                "1 for the condition of the backstop, 0 for the other conditions; counted by the Lease \
                 holder, and absent if the config asks for none.",
                &["condition"],
            )?,
        })
    }
}

impl Metrics {
    /// Counts a reload of given certificate files by its result.
    pub fn certificate_reloaded(&self, result: ReloadResult) {
        self.replica.certificate_reloads.with_label_values(&[result.as_str()]).inc();
    }

    /// Counts a step of this replica in the life of the certificate authority.
    pub fn authority_step(&self, step: AuthorityStep) {
        self.replica.authority_steps.with_label_values(&[step.as_str()]).inc();
    }

    /// Sets the number of webhook configurations that are absent or differ from the config.
    pub fn set_registration_drift(&self, configurations: usize) {
        self.replica.registration_drift.set(i64::try_from(configurations).unwrap_or(i64::MAX));
    }

    /// Counts a webhook configuration that was written, or could not be, by the reason.
    pub fn registration_written(&self, reason: RegistrationWrite) {
        self.replica.registration_writes.with_label_values(&[reason.as_str()]).inc();
    }

    /// Shows whether this replica holds the Lease.
    pub fn set_holds_lease(&self, holds: bool) {
        self.replica.holds_lease.set(holds.into());
    }

    /// Shows the condition of the backstop; `None` if there is none to keep, or another replica keeps it.
    pub fn set_backstop(&self, now: Option<BackstopCondition>) {
        let Some(now) = now else { return self.replica.backstop.reset() };
        for condition in BackstopCondition::ALL {
            let gauge = self.replica.backstop.with_label_values(&[condition.as_str()]);
            gauge.set((*condition == now).into());
        }
    }

    /// Sets the Unix time at which a certificate that is in use expires.
    #[expect(clippy::cast_precision_loss, reason = "exact for the next 285 million years")]
    pub fn set_certificate_expiry(&self, certificate: CertificateLabel, unix_seconds: i64) {
        self.replica
            .certificate_expiry
            .with_label_values(&[certificate.as_str()])
            .set(unix_seconds as f64);
    }
}

fn certificate_expiry(registry: &Registry) -> prometheus::Result<GaugeVec> {
    let options = Opts::new(
        "poolguard_certificate_expiry_timestamp_seconds",
        "Unix time when the served certificate or its authority expires.",
    );
    register(registry, GaugeVec::new(options, &["certificate"])?)
}
