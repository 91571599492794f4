//! Every metric there is, in one struct with a registry of its own.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    PullingGauge, Registry, TextEncoder, core::Collector,
};

use self::{
    cluster::ClusterMetrics,
    config::ConfigMetrics,
    findings::FindingMetrics,
    label::{
        AuditSink, ClientLabel, DecisionLabel, FaultReason, OperationLabel, ResourceLabel,
        WebhookLabel,
    },
    level::Level,
    limits::LimitMetrics,
    recorder::Recorder,
    replica::ReplicaMetrics,
};
use crate::policy::mode::RuleName;

mod cluster;
pub mod config;
mod findings;
pub mod label;
pub mod level;
mod limits;
mod process;
pub mod recorder;
mod replica;

/// The buckets of a duration, in seconds: from 50 µs, because a decision takes a few, to the longest time
/// that an API server waits by default.
const DURATION_BUCKETS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5,
    1.0, 3.0, 10.0,
];

/// The git commit of the build, from the variable `POOLGUARD_REVISION` of its environment; empty without it.
///
/// A build script that asks git would compile the crate again after every commit.
pub const REVISION: &str = match option_env!("POOLGUARD_REVISION") {
    Some(revision) => revision,
    None => "",
};

/// The content type of [`Metrics::render`].
pub const TEXT_FORMAT: &str = prometheus::TEXT_FORMAT;

/// The metrics, and the registry that renders them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    admission_requests: IntCounterVec,
    /// The counters of `admission_requests` by label, so that a request neither hashes nor locks.
    admission_requests_by_label: Box<[OnceLock<IntCounter>]>,
    admission_duration: Vec<Histogram>,
    denials: IntCounterVec,
    findings: FindingMetrics,
    break_glass: IntCounter,
    clients: Vec<IntCounter>,
    cluster: ClusterMetrics,
    config: ConfigMetrics,
    replica: ReplicaMetrics,
    limits: LimitMetrics,
    faults: Vec<IntCounter>,
    panics: IntCounter,
    audit_dropped: IntCounterVec,
    /// Denials and warnings that no Event tells of.
    pub events_dropped: IntCounter,
    /// Open connections to the webhook's port.
    pub connections: Level,
    /// Webhook requests from their header until the client has read the answer.
    pub requests_in_flight: Level,
    /// Bytes of request bodies and answers held in memory.
    pub body_bytes_in_flight: Level,
}

impl Metrics {
    /// Creates all metrics, at zero. Fails only where a name is taken twice.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        build_info(&registry)?;
        process::register(&registry)?;
        Ok(Self {
            admission_requests: admission_requests(&registry)?,
            admission_requests_by_label: (0..REQUEST_SERIES).map(|_| OnceLock::new()).collect(),
            admission_duration: durations(&registry)?,
            denials: counters(
                &registry,
                "poolguard_denials_total",
                "Denials by rule and pool.",
                &["rule", "pool"],
            )?,
            findings: FindingMetrics::new(&registry)?,
            break_glass: counter(
                &registry,
                "poolguard_break_glass_total",
                "Reviews of requests by members of a break-glass group; PoolGuard allows all of them.",
            )?,
            clients: clients(&registry)?,
            cluster: ClusterMetrics::new(&registry)?,
            config: ConfigMetrics::new(&registry)?,
            replica: ReplicaMetrics::new(&registry)?,
            limits: LimitMetrics::new(&registry)?,
            faults: faults(&registry)?,
            panics: counter(
                &registry,
                "poolguard_panics_total",
                "Requests whose decision panicked: each one is a bug.",
            )?,
            audit_dropped: counters(
                &registry,
                "poolguard_audit_dropped_total",
                "Audit records dropped because their queue was full.",
                &["sink"],
            )?,
            events_dropped: counter(
                &registry,
                "poolguard_events_dropped_total",
                "Denials and warnings without an Event, because there were too many.",
            )?,
            connections: level(
                &registry,
                "poolguard_connections",
                "Open connections to the webhook's port.",
            )?,
            requests_in_flight: level(
                &registry,
                "poolguard_requests_in_flight",
                "Webhook requests in flight, from their header until the client has read the \
                 answer.",
            )?,
            body_bytes_in_flight: level(
                &registry,
                "poolguard_body_bytes_in_flight",
                "Bytes of request bodies and answers held in memory.",
            )?,
            registry,
        })
    }

    /// A guard that records one request, which arrived at that instant, when it is dropped.
    pub fn recorder(&self, webhook: WebhookLabel, arrived: Instant) -> Recorder<'_> {
        Recorder::new(self, webhook, arrived)
    }

    fn admission_request(
        &self,
        webhook: WebhookLabel,
        operation: OperationLabel,
        resource: ResourceLabel,
        decision: DecisionLabel,
    ) {
        let index = request_series(webhook, operation, resource, decision);
        let Some(counter) = self.admission_requests_by_label.get(index) else { return };
        counter
            .get_or_init(|| {
                self.admission_requests.with_label_values(&[
                    webhook.as_str(),
                    operation.as_str(),
                    resource.as_str(),
                    decision.as_str(),
                ])
            })
            .inc();
    }

    fn admission_duration(&self, webhook: WebhookLabel, duration: Duration) {
        if let Some(histogram) = self.admission_duration.get(webhook as usize) {
            histogram.observe(duration.as_secs_f64());
        }
    }

    /// Counts a denial by a rule; `pool` is empty where no single pool is concerned.
    pub fn denied(&self, rule: RuleName, pool: &str) {
        self.denials.with_label_values(&[rule.as_str(), pool]).inc();
    }

    /// Counts a request by whether its client showed a certificate of the client CA.
    pub fn asked(&self, is_authenticated: bool) {
        let client =
            if is_authenticated { ClientLabel::Authenticated } else { ClientLabel::Anonymous };
        if let Some(counter) = self.clients.get(client as usize) {
            counter.inc();
        }
    }

    /// Counts a break-glass request.
    pub fn broke_glass(&self) {
        self.break_glass.inc();
    }

    /// The counter of records that a sink of the audit stream had no room for.
    pub fn audit_dropped(&self, sink: AuditSink) -> IntCounter {
        self.audit_dropped.with_label_values(&[sink.as_str()])
    }

    /// Counts a request that got an HTTP error.
    pub fn fault(&self, reason: FaultReason) {
        if let Some(counter) = self.faults.get(reason as usize) {
            counter.inc();
        }
    }

    /// Counts a decision that panicked.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Renders the metrics in Prometheus' text format.
    pub fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// The number of label combinations that `poolguard_admission_requests_total` can have.
const REQUEST_SERIES: usize = WebhookLabel::ALL.len()
    * OperationLabel::ALL.len()
    * ResourceLabel::ALL.len()
    * DecisionLabel::ALL.len();

fn request_series(
    webhook: WebhookLabel,
    operation: OperationLabel,
    resource: ResourceLabel,
    decision: DecisionLabel,
) -> usize {
    let index = webhook as usize;
    let index = index * OperationLabel::ALL.len() + operation as usize;
    let index = index * ResourceLabel::ALL.len() + resource as usize;
    index * DecisionLabel::ALL.len() + decision as usize
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntCounterVec> {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    register(registry, IntGauge::new(name, help)?)
}

fn counter(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    register(registry, IntCounter::new(name, help)?)
}

fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntGaugeVec> {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn admission_requests(registry: &Registry) -> prometheus::Result<IntCounterVec> {
    counters(
        registry,
        "poolguard_admission_requests_total",
        "Admission requests by webhook, operation, resource and decision.",
        &["webhook", "operation", "resource", "decision"],
    )
}

/// The counters of `poolguard_requests_by_client_total`, indexed by client.
fn clients(registry: &Registry) -> prometheus::Result<Vec<IntCounter>> {
    let clients = counters(
        registry,
        "poolguard_requests_by_client_total",
        "Reviews by whether their client had a certificate of --client-ca.",
        &["client"],
    )?;
    let counter = |client: &ClientLabel| clients.with_label_values(&[client.as_str()]);
    Ok(ClientLabel::ALL.iter().map(counter).collect())
}

/// The counters of `poolguard_faults_total`, indexed by reason.
fn faults(registry: &Registry) -> prometheus::Result<Vec<IntCounter>> {
    let faults = counters(
        registry,
        "poolguard_faults_total",
        "Requests answered with an HTTP error; the webhook's failurePolicy then decides.",
        &["reason"],
    )?;
    let counter = |reason: &FaultReason| faults.with_label_values(&[reason.as_str()]);
    Ok(FaultReason::ALL.iter().map(counter).collect())
}

/// The histograms of `poolguard_admission_duration_seconds`, indexed by webhook.
fn durations(registry: &Registry) -> prometheus::Result<Vec<Histogram>> {
    let options = HistogramOpts::new(
        "poolguard_admission_duration_seconds",
        "Time from the request's header to its answer, including reading the body.",
    );
    let durations = register(
        registry,
        HistogramVec::new(options.buckets(DURATION_BUCKETS.to_vec()), &["webhook"])?,
    )?;
    Ok(WebhookLabel::ALL
        .iter()
        .map(|webhook| durations.with_label_values(&[webhook.as_str()]))
        .collect())
}

#[expect(clippy::cast_precision_loss, reason = "exact below 9 PB")]
fn level(registry: &Registry, name: &str, help: &str) -> prometheus::Result<Level> {
    let level = Level::default();
    let shared = level.clone();
    register(registry, PullingGauge::new(name, help, Box::new(move || shared.current() as f64))?)?;
    Ok(level)
}

fn build_info(registry: &Registry) -> prometheus::Result<()> {
    let info = gauges(
        registry,
        "poolguard_build_info",
        "Always 1; the labels are the version and the git commit of the build, if it is known.",
        &["version", "revision"],
    )?;
    info.with_label_values(&[env!("CARGO_PKG_VERSION"), REVISION]).set(1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(metrics: &Metrics, start: &str) -> Option<String> {
        let text = metrics.render().expect("renders");
        text.lines().find(|line| line.starts_with(start)).map(str::to_owned)
    }

    #[test]
    fn every_label_combination_has_a_counter_of_its_own() {
        let mut seen = vec![false; REQUEST_SERIES];
        for &webhook in WebhookLabel::ALL {
            for &operation in OperationLabel::ALL {
                for &resource in ResourceLabel::ALL {
                    for &decision in DecisionLabel::ALL {
                        let index = request_series(webhook, operation, resource, decision);
                        assert!(!seen[index], "{index} is taken twice");
                        seen[index] = true;
                    }
                }
            }
        }
        assert!(seen.into_iter().all(|taken| taken));
    }

    #[test]
    fn a_recorder_that_is_told_nothing_records_a_fault() {
        let metrics = Metrics::new().expect("names are unique");
        drop(metrics.recorder(WebhookLabel::Mutate, Instant::now()));
        let expected = "poolguard_admission_requests_total{decision=\"fault\",operation=\"unknown\",\
                        resource=\"other\",webhook=\"mutate\"} 1";
        assert_eq!(
            line(&metrics, "poolguard_admission_requests_total{").as_deref(),
            Some(expected)
        );
    }

    #[test]
    fn a_recorder_records_what_it_was_told() {
        let metrics = Metrics::new().expect("names are unique");
        let mut recorder = metrics.recorder(WebhookLabel::Validate, Instant::now());
        recorder.subject(OperationLabel::Create, ResourceLabel::Pods);
        recorder.decided(DecisionLabel::Deny);
        drop(recorder);
        let expected = "poolguard_admission_requests_total{decision=\"deny\",operation=\"create\",\
                        resource=\"pods\",webhook=\"validate\"} 1";
        assert_eq!(
            line(&metrics, "poolguard_admission_requests_total{").as_deref(),
            Some(expected)
        );
        assert_eq!(
            line(&metrics, "poolguard_admission_duration_seconds_count{webhook=\"validate\"}")
                .as_deref(),
            Some("poolguard_admission_duration_seconds_count{webhook=\"validate\"} 1")
        );
    }

    #[test]
    fn a_snapshot_that_was_never_taken_is_infinitely_old() {
        let metrics = Metrics::new().expect("names are unique");
        let name = "poolguard_snapshot_age_seconds ";
        assert_eq!(line(&metrics, name).as_deref(), Some("poolguard_snapshot_age_seconds inf"));
        metrics.snapshot_confirmed(Instant::now());
        assert_ne!(line(&metrics, name).as_deref(), Some("poolguard_snapshot_age_seconds inf"));
    }

    #[test]
    fn zones_that_are_gone_leave_no_series() {
        let metrics = Metrics::new().expect("names are unique");
        metrics.set_pool_nodes([("pool-a", "us-east-1a", label::NodeStateLabel::Ready, 3)]);
        metrics.set_pool_nodes([("pool-a", "us-east-1b", label::NodeStateLabel::Ready, 1)]);
        let text = metrics.render().expect("renders");
        assert!(!text.contains("us-east-1a"), "{text}");
    }
}
