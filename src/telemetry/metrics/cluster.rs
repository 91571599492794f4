//! Metrics of what is known of the cluster: its nodes, how old that is, what is wrong with it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use prometheus::{
    GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, PullingGauge, Registry,
};

use super::{
    Metrics, counter, counters, gauge, gauges,
    label::{NodeStateLabel, ReloadResult},
    register,
};
use crate::policy::mode::RuleName;

/// The metrics of the cluster.
#[derive(Debug)]
pub(super) struct ClusterMetrics {
    pool_nodes: IntGaugeVec,
    snapshot_taken: Arc<Mutex<Option<Instant>>>,
    snapshot_rebuilds: IntCounter,
    pool_conflicts: IntGauge,
    config_reloads: IntCounterVec,
    violations: IntGaugeVec,
    exempt_residents: IntGaugeVec,
    scan_succeeded: GaugeVec,
}

impl ClusterMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            pool_nodes: gauges(
                registry,
                "poolguard_pool_nodes",
                "Nodes of each pool by zone and state.",
                &["pool", "zone", "state"],
            )?,
            snapshot_taken: snapshot_age(registry)?,
            config_reloads: counters(
                registry,
                "poolguard_config_reloads_total",
                "Reloads of the config; after a failure PoolGuard keeps the previous config.",
                &["result"],
            )?,
            snapshot_rebuilds: counter(
                registry,
                "poolguard_snapshot_rebuilds_total",
                "Snapshots made; heartbeats of nodes do not cause one.",
            )?,
            pool_conflicts: gauge(
                registry,
                "poolguard_pool_conflicts",
                "Nodes that match more than one declared pool; the first pool in the config \
                 counts.",
            )?,
            violations: gauges(
                registry,
                "poolguard_violations",
                "Violations that the scan found, by rule and pool; reported by the Lease holder.",
                &["rule", "pool"],
            )?,
            exempt_residents: gauges(
                registry,
                "poolguard_exempt_residents",
                "Pods on dedicated nodes that are exempt only by their namespace and belong to no \
                 DaemonSet; reported by the Lease holder.",
                &["pool"],
            )?,
            scan_succeeded: register(
                registry,
                // Without labels, and without a series until there is something to say.
                GaugeVec::new(
                    Opts::new(
                        "poolguard_scan_last_success_timestamp_seconds",
                        "Unix time of the last complete scan of this replica; absent before the \
                         first scan.",
                    ),
                    &[],
                )?,
            )?,
        })
    }
}

impl Metrics {
    /// Replaces the node counts: pools and zones that are gone leave no series behind.
    pub fn set_pool_nodes<'a>(
        &self,
        counts: impl IntoIterator<Item = (&'a str, &'a str, NodeStateLabel, i64)>,
    ) {
        self.cluster.pool_nodes.reset();
        for (pool, zone, state, count) in counts {
            self.cluster.pool_nodes.with_label_values(&[pool, zone, state.as_str()]).set(count);
        }
    }

    /// Records that the snapshot was confirmed up to date at that instant.
    pub fn snapshot_confirmed(&self, at: Instant) {
        *self.cluster.snapshot_taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// Counts a snapshot that was made.
    pub fn snapshot_rebuilt(&self) {
        self.cluster.snapshot_rebuilds.inc();
    }

    /// Sets the number of nodes that more than one declared pool claims.
    pub fn set_pool_conflicts(&self, nodes: usize) {
        self.cluster.pool_conflicts.set(i64::try_from(nodes).unwrap_or(i64::MAX));
    }

    /// Replaces the violations that the scan found: violations that are gone leave no series behind.
    pub fn set_violations<'a>(&self, counts: impl IntoIterator<Item = (RuleName, &'a str, usize)>) {
        self.cluster.violations.reset();
        for (rule, pool, count) in counts {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.cluster.violations.with_label_values(&[rule.as_str(), pool]).set(count);
        }
    }

    /// Replaces the number of pods in each pool that an exemption allows although it was probably not
    /// written for them: only their namespace is exempt, and they belong to no DaemonSet.
    pub fn set_exempt_residents<'a>(&self, counts: impl IntoIterator<Item = (&'a str, usize)>) {
        self.cluster.exempt_residents.reset();
        for (pool, count) in counts {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.cluster.exempt_residents.with_label_values(&[pool]).set(count);
        }
    }

    /// Records a complete scan at that Unix time.
    #[expect(clippy::cast_precision_loss, reason = "exact for the next 285 million years")]
    pub fn scan_succeeded(&self, unix_seconds: i64) {
        self.cluster.scan_succeeded.with_label_values::<&str>(&[]).set(unix_seconds as f64);
    }

    /// Counts a reload of the config by its result.
    pub fn config_reloaded(&self, result: ReloadResult) {
        self.cluster.config_reloads.with_label_values(&[result.as_str()]).inc();
    }
}

/// Registers the age of the snapshot, and returns the instant from which it counts. The age is computed
/// when it is asked for: a gauge that PoolGuard had to set would stand still exactly when the watches do.
fn snapshot_age(registry: &Registry) -> prometheus::Result<Arc<Mutex<Option<Instant>>>> {
    let taken = Arc::new(Mutex::new(None::<Instant>));
    let shared = Arc::clone(&taken);
    let age = PullingGauge::new(
        "poolguard_snapshot_age_seconds",
        "Seconds since the snapshot was last confirmed as current; +Inf before the first snapshot.",
        Box::new(move || {
            let taken = *shared.lock().unwrap_or_else(PoisonError::into_inner);
            taken.map_or(f64::INFINITY, |instant| instant.elapsed().as_secs_f64())
        }),
    )?;
    register(registry, age)?;
    Ok(taken)
}
