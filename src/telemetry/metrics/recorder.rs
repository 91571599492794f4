//! Records one admission request when it is dropped, on every way out.

use std::time::{Duration, Instant};

use super::{
    Metrics,
    label::{DecisionLabel, OperationLabel, ResourceLabel, WebhookLabel},
};

/// A guard that records one request. It counts the request as a fault of an unknown object until [`Self::subject`]
/// and [`Self::decided`] say more: a path that forgets to call them shows up, and does not pass for an allow.
#[derive(Debug)]
#[must_use = "dropping it records the request"]
pub struct Recorder<'a> {
    metrics: &'a Metrics,
    arrived: Instant,
    webhook: WebhookLabel,
    operation: OperationLabel,
    resource: ResourceLabel,
    decision: DecisionLabel,
    duration: Option<Duration>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(metrics: &'a Metrics, webhook: WebhookLabel, arrived: Instant) -> Self {
        Self {
            metrics,
            arrived,
            webhook,
            operation: OperationLabel::Unknown,
            resource: ResourceLabel::Other,
            decision: DecisionLabel::Fault,
            duration: None,
        }
    }

    /// Sets the operation and the resource, which are known once the request is read.
    pub fn subject(&mut self, operation: OperationLabel, resource: ResourceLabel) {
        self.operation = operation;
        self.resource = resource;
    }

    /// Sets the decision. Returns the time since the request arrived, which is the duration that is
    /// recorded.
    pub fn decided(&mut self, decision: DecisionLabel) -> Duration {
        self.decision = decision;
        *self.duration.insert(self.arrived.elapsed())
    }
}

impl Drop for Recorder<'_> {
    fn drop(&mut self) {
        self.metrics.admission_request(self.webhook, self.operation, self.resource, self.decision);
        let duration = self.duration.unwrap_or_else(|| self.arrived.elapsed());
        self.metrics.admission_duration(self.webhook, duration);
    }
}
