//! The readiness of the process: every named condition is met, and the process is not shutting down.

use std::sync::{Arc, Mutex, PoisonError};

use crate::server::shutdown::Lifecycle;

/// The conditions for being ready. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    conditions: Arc<Mutex<Vec<State>>>,
    lifecycle: Lifecycle,
}

#[derive(Debug)]
struct State {
    name: &'static str,
    /// The reason why the condition is not met; `None` if it is met.
    unmet: Option<String>,
}

/// One condition of readiness. The part that knows whether it holds sets it.
#[derive(Clone, Debug)]
pub struct ReadinessCondition {
    conditions: Arc<Mutex<Vec<State>>>,
    index: usize,
}

impl Readiness {
    /// Creates a readiness without conditions: the process is ready until `lifecycle` reaches
    /// `Stage::Leaving`.
    pub fn new(lifecycle: Lifecycle) -> Self {
        Self { conditions: Arc::default(), lifecycle }
    }

    /// Adds a condition, which is not met until its holder marks it as met.
    pub fn condition(&self, name: &'static str, why_not_yet: &str) -> ReadinessCondition {
        let mut states = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        let index = states.len();
        states.push(State { name, unmet: Some(why_not_yet.to_owned()) });
        ReadinessCondition { conditions: Arc::clone(&self.conditions), index }
    }

    /// One line for each condition that is not met; none when ready.
    pub fn unmet(&self) -> Vec<String> {
        let states = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        let conditions = states.iter().filter_map(|State { name, unmet }| {
            unmet.as_ref().map(|reason| format!("{name}: {reason}"))
        });
        let leaving = self.lifecycle.is_leaving().then(|| "draining: shutting down".to_owned());
        conditions.chain(leaving).collect()
    }
}

impl ReadinessCondition {
    /// Marks the condition as met.
    pub fn meet(&self) {
        self.set(None);
    }

    /// Marks the condition as not met, or no longer met, and records the reason.
    pub fn fail(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, unmet: Option<String>) {
        let mut states = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = states.get_mut(self.index) {
            state.unmet = unmet;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::shutdown::Stage;

    #[test]
    fn is_ready_once_every_condition_is_met() {
        let readiness = Readiness::default();
        let snapshot = readiness.condition("snapshot", "not loaded yet");
        let certificate = readiness.condition("certificate", "not issued yet");
        snapshot.meet();
        assert_eq!(readiness.unmet(), ["certificate: not issued yet"]);
        certificate.meet();
        assert!(readiness.unmet().is_empty());
        snapshot.fail("older than 10m");
        assert_eq!(readiness.unmet(), ["snapshot: older than 10m"]);
    }

    #[test]
    fn is_not_ready_from_the_first_signal_on() {
        let lifecycle = Lifecycle::default();
        let readiness = Readiness::new(lifecycle.clone());
        lifecycle.advance(Stage::Leaving);
        assert_eq!(readiness.unmet(), ["draining: shutting down"]);
    }
}
