//! Warnings, undecided requests, and denials of the pods of DaemonSets by DaemonSet. An alert compares the latter
//! with the pods that each DaemonSet lacks.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use prometheus::{IntCounterVec, Registry};

use super::{Metrics, counters};
use crate::{kubernetes::name::is_dns_subdomain, policy::mode::RuleName};

/// The number of DaemonSets that have a series of their own. A user who creates more of them adds no series.
const DAEMON_SETS_MAX: usize = 64;

/// The counters, and the DaemonSets that have one.
#[derive(Debug)]
pub(super) struct FindingMetrics {
    warnings: IntCounterVec,
    undecided: IntCounterVec,
    daemon_set_denials: IntCounterVec,
    daemon_sets: Mutex<BTreeSet<(String, String)>>,
}

impl FindingMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let warnings = counters(
            registry,
            "poolguard_warnings_total",
            "Requests allowed with a warning, by rule and pool.",
            &["rule", "pool"],
        )?;
        let undecided = counters(
            registry,
            "poolguard_undecided_total",
            "Requests allowed because a fact was missing, by rule: mostly pods that name a node \
             that PoolGuard does not know.",
            &["rule"],
        )?;
        let daemon_set_denials = counters(
            registry,
            "poolguard_daemonset_denials_total",
            "Denied pods of the DaemonSet controller, by DaemonSet: the first 64; then both labels \
             are empty.",
            &["daemonset_namespace", "daemonset"],
        )?;
        Ok(Self { warnings, undecided, daemon_set_denials, daemon_sets: Mutex::default() })
    }
}

impl Metrics {
    /// Counts a warning by a rule; `pool` as for [`Self::denied`].
    pub fn warned(&self, rule: RuleName, pool: &str) {
        self.findings.warnings.with_label_values(&[rule.as_str(), pool]).inc();
    }

    /// Counts a request that a rule allowed because a fact that would decide is not known.
    pub fn undecided(&self, rule: RuleName) {
        self.findings.undecided.with_label_values(&[rule.as_str()]).inc();
    }

    /// Counts a denied pod that the controller of a DaemonSet wanted to create.
    pub fn daemon_set_denied(&self, namespace: &str, name: &str) {
        let FindingMetrics { daemon_set_denials, daemon_sets, .. } = &self.findings;
        // The name comes from the request.
        let has_series = is_dns_subdomain(name) && is_dns_subdomain(namespace) && {
            let mut known = daemon_sets.lock().unwrap_or_else(PoisonError::into_inner);
            let daemon_set = (namespace.to_owned(), name.to_owned());
            known.contains(&daemon_set)
                || (known.len() < DAEMON_SETS_MAX && known.insert(daemon_set))
        };
        let labels = if has_series { [namespace, name] } else { ["", ""] };
        daemon_set_denials.with_label_values(&labels).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_daemon_sets_get_a_series() {
        let metrics = Metrics::new().expect("names are unique");
        for number in 0..DAEMON_SETS_MAX + 5 {
            metrics.daemon_set_denied("monitoring", &format!("agent-{number}"));
        }
        metrics.daemon_set_denied("monitoring", "agent-0");
        let long = "x".repeat(2_000_000);
        metrics.daemon_set_denied("monitoring", &long);
        metrics.daemon_set_denied(&long, "agent-0");
        let text = metrics.render().expect("renders");
        let line = |daemon_set: &str, namespace: &str, count: u32| {
            format!(
                "poolguard_daemonset_denials_total{{daemonset=\"{daemon_set}\",\
                 daemonset_namespace=\"{namespace}\"}} {count}\n"
            )
        };
        assert!(text.contains(&line("agent-0", "monitoring", 2)), "no series");
        assert!(text.contains(&line("", "", 7)), "counted elsewhere");
        assert!(!text.contains(&long), "a name of any length");
        assert!(!text.contains("agent-64"), "more series than there may be");
    }
}
