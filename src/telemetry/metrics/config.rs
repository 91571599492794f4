//! Metrics of the config in force. Alerts take their thresholds from them.

use std::time::Duration;

use prometheus::{GaugeVec, IntGaugeVec, Opts, Registry};

use super::{Metrics, gauges, register};
use crate::policy::{
    Policy,
    mode::{Mode, RuleModes, RuleName},
};

/// The metrics of the config.
#[derive(Debug)]
pub(super) struct ConfigMetrics {
    info: IntGaugeVec,
    reload_successful: GaugeVec,
    reload_success_time: GaugeVec,
    scan_interval: GaugeVec,
    snapshot_max_age: GaugeVec,
    rule_mode: IntGaugeVec,
    rule_lowered: IntGaugeVec,
    console_trusted: GaugeVec,
}

/// The values of a config that metrics show.
#[derive(Clone, Copy, Debug)]
pub struct AppliedConfigValues<'a> {
    /// The hash of its text.
    pub hash: &'a str,
    /// The rules, and the trusted principals.
    pub policy: &'a Policy,
    /// The time between two scans; `None` if the scan is off.
    pub scan_interval: Option<Duration>,
    /// The largest age of a snapshot.
    pub snapshot_max_age: Duration,
}

impl ConfigMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let optional = |name: &str, help: &str| optional(registry, name, help);
        Ok(Self {
            info: gauges(
                registry,
                "poolguard_config_info",
                "Always 1; the label is the hash of the config in force.",
                &["hash"],
            )?,
            reload_successful: optional(
                "poolguard_config_last_reload_successful",
                "Whether the config file is in force: 0 if PoolGuard could not load or read it and \
                 keeps the previous config.",
            )?,
            reload_success_time: optional(
                "poolguard_config_last_reload_success_timestamp_seconds",
                "Unix time when this replica last loaded the config file.",
            )?,
            scan_interval: optional(
                "poolguard_scan_interval_seconds",
                "The time between two scans; absent if the scan is off.",
            )?,
            snapshot_max_age: optional(
                "poolguard_snapshot_max_age_seconds",
                "The age above which a snapshot is stale.",
            )?,
            rule_mode: gauges(
                registry,
                "poolguard_rule_mode",
                "1 for the mode in force of each rule, 0 for the other modes.",
                &["rule", "mode"],
            )?,
            rule_lowered: gauges(
                registry,
                "poolguard_rule_lowered",
                "Whether the mode of a rule is weaker than its default; for pod-intrusion, also its mode for DaemonSet pods.",
                &["rule"],
            )?,
            console_trusted: optional(
                "poolguard_console_trusted",
                "Whether principals.trusted has an entry; absent unless role-binding enforces.",
            )?,
        })
    }
}

impl Metrics {
    /// Shows the config in force.
    pub fn set_config(&self, config: AppliedConfigValues<'_>) {
        let AppliedConfigValues { hash, policy, scan_interval, snapshot_max_age } = config;
        let metrics = &self.config;
        metrics.info.reset();
        metrics.info.with_label_values(&[hash]).set(1);
        set(&metrics.scan_interval, scan_interval.map(|it| it.as_secs_f64()));
        set(&metrics.snapshot_max_age, Some(snapshot_max_age.as_secs_f64()));
        for rule in RuleName::ALL {
            let mode = policy.rules.mode(rule);
            for one in Mode::ALL {
                let is_in_force = i64::from(one == mode);
                metrics
                    .rule_mode
                    .with_label_values(&[rule.as_str(), one.as_str()])
                    .set(is_in_force);
            }
            let is_lowered = is_lowered(&policy.rules, rule);
            metrics.rule_lowered.with_label_values(&[rule.as_str()]).set(is_lowered.into());
        }
        let enforces = policy.rules.mode(RuleName::RoleBinding) == Mode::Enforce;
        let is_trusted = !policy.trusted.configured.is_empty();
        set(&metrics.console_trusted, enforces.then(|| f64::from(u8::from(is_trusted))));
    }

    /// Shows whether the config file is in force.
    pub fn set_config_successful(&self, is_in_force: bool) {
        set(&self.config.reload_successful, Some(f64::from(u8::from(is_in_force))));
    }

    /// Records that the config file was loaded at that Unix time.
    #[expect(clippy::cast_precision_loss, reason = "exact for the next 285 million years")]
    pub fn config_loaded(&self, unix_seconds: i64) {
        set(&self.config.reload_success_time, Some(unix_seconds as f64));
    }
}

fn is_lowered(modes: &RuleModes, rule: RuleName) -> bool {
    let default = RuleModes::default();
    let is_of_daemon_sets =
        rule == RuleName::PodIntrusion && modes.daemon_set_intrusion < default.daemon_set_intrusion;
    modes.mode(rule) < default.mode(rule) || is_of_daemon_sets
}

/// A gauge without labels, and without a series until it has a value.
fn optional(registry: &Registry, name: &str, help: &str) -> prometheus::Result<GaugeVec> {
    register(registry, GaugeVec::new(Opts::new(name, help), &[])?)
}

fn set(gauge: &GaugeVec, value: Option<f64>) {
    match value {
        Some(value) => gauge.with_label_values::<&str>(&[]).set(value),
        None => gauge.reset(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_lowered_below_its_own_default_or_for_daemon_sets() {
        let all = |modes: &RuleModes| {
            RuleName::ALL.into_iter().filter(|rule| is_lowered(modes, *rule)).collect::<Vec<_>>()
        };
        assert_eq!(all(&RuleModes::default()), []);
        let modes = RuleModes {
            daemon_set_intrusion: Mode::Warn,
            workload_intrusion: Mode::Enforce,
            node_taint: Mode::Warn,
            cluster_exclusive: Mode::Off,
            ..RuleModes::default()
        };
        let lowered = [RuleName::PodIntrusion, RuleName::ClusterExclusive, RuleName::NodeTaint];
        assert_eq!(all(&modes), lowered);
    }
}
