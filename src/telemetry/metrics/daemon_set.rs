//! Denials of the pods of DaemonSets, by DaemonSet: an alert compares them with what each DaemonSet lacks.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use prometheus::{IntCounterVec, Registry};

use super::{Metrics, counters};

/// The number of DaemonSets that have a series of their own. A user who creates more of them adds no series.
const DAEMON_SETS_MAX: usize = 64;

/// The counters, and the DaemonSets that have one.
#[derive(Debug)]
pub(super) struct DaemonSetMetrics {
    denials: IntCounterVec,
    known: Mutex<BTreeSet<(String, String)>>,
}

impl DaemonSetMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let denials = counters(
            registry,
            "poolguard_daemonset_denials_total",
            "Denied pods of the DaemonSet controller, by DaemonSet: the first 64; then both labels \
             are empty.",
            &["daemonset_namespace", "daemonset"],
        )?;
        Ok(Self { denials, known: Mutex::default() })
    }
}

impl Metrics {
    /// A pod of a DaemonSet was denied, which its controller wanted to create.
    pub fn daemon_set_denied(&self, namespace: &str, name: &str) {
        let DaemonSetMetrics { denials, known } = &self.daemon_sets;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let daemon_set = (namespace.to_owned(), name.to_owned());
        let has_series = known.contains(&daemon_set)
            || (known.len() < DAEMON_SETS_MAX && known.insert(daemon_set));
        drop(known);
        let labels = if has_series { [namespace, name] } else { ["", ""] };
        denials.with_label_values(&labels).inc();
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
        let text = metrics.render().expect("renders");
        let line = |daemon_set: &str, namespace: &str, count: u32| {
            format!(
                "poolguard_daemonset_denials_total{{daemonset=\"{daemon_set}\",\
                 daemonset_namespace=\"{namespace}\"}} {count}\n"
            )
        };
        assert!(text.contains(&line("agent-0", "monitoring", 2)), "{text}");
        assert!(text.contains(&line("", "", 5)), "{text}");
        assert!(!text.contains("agent-64"), "{text}");
    }
}
