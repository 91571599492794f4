//! Parses, decides and answers one request, with its metrics and records.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;

use crate::{
    admission::review,
    api::events::EventQueue,
    policy::{
        Phase, Policy, decide,
        mode::RuleName,
        pod_owner::daemon_set,
        request::{Operation, Request, Target},
        snapshot::Snapshot,
        verdict::{Decision, Denials, Outcome, Verdict},
    },
    server::{Received, Service, fault::Fault},
    telemetry::{
        audit::{Audit, Circumstances},
        metrics::{
            Metrics,
            label::{self, ResourceLabel, WebhookLabel},
        },
    },
};

/// A policy with a snapshot that was compiled for it: they are swapped together.
#[derive(Debug)]
pub struct PolicyAndSnapshot {
    /// The policy that the config describes.
    pub policy: Arc<Policy>,
    /// The facts of the cluster, compiled for this policy.
    pub snapshot: Snapshot,
}

/// The policy and snapshot in force; none until the first ones are loaded.
pub type PolicyAndSnapshotCell = Arc<ArcSwapOption<PolicyAndSnapshot>>;

/// The service that answers admission reviews.
pub struct AdmissionService {
    guard: PolicyAndSnapshotCell,
    metrics: Arc<Metrics>,
    audit: Audit,
    denials: Option<EventQueue>,
    is_stale: Arc<AtomicBool>,
}

impl AdmissionService {
    /// A service that reads the guard anew for every request. `is_stale` tells whether the snapshot
    /// is older than it may be.
    pub fn new(
        guard: PolicyAndSnapshotCell,
        metrics: Arc<Metrics>,
        audit: Audit,
        is_stale: Arc<AtomicBool>,
    ) -> Self {
        Self { guard, metrics, audit, denials: None, is_stale }
    }

    /// Reports denials and warnings as Events, through this queue.
    #[must_use]
    pub fn with_event_queue(self, denials: Option<EventQueue>) -> Self {
        Self { denials, ..self }
    }
}

impl Service for AdmissionService {
    fn answer(&self, received: Received<'_>) -> Result<Bytes, Fault> {
        let Received { webhook, body, arrived, is_authenticated, deadline: _ } = received;
        let mut recorder = self.metrics.recorder(webhook, arrived);
        self.metrics.asked(is_authenticated);
        let guard = self.guard.load();
        let Some(guard) = guard.as_ref() else {
            return Err(Fault::NotLoaded("it has not read the nodes of the cluster yet".into()));
        };
        let PolicyAndSnapshot { policy, snapshot } = &**guard;
        let phase = match webhook {
            WebhookLabel::Mutate => Phase::Mutate,
            WebhookLabel::Validate => Phase::Validate,
        };
        let request = review::parse(body, |target| policy.reads(snapshot, phase, target))
            .map_err(|error| Fault::Malformed(error.to_string().into()))?;
        let (operation, resource) = labels(&request.target);
        recorder.subject(operation, resource);
        let verdict = decide(policy, snapshot, phase, &request);
        let answer = review::render(&request, &verdict)
            .map_err(|error| Fault::Malformed(error.to_string().into()))?;
        let duration = recorder.decided(decision(&verdict));
        self.count(&request, &verdict, snapshot);
        let is_stale = self.is_stale.load(Ordering::Relaxed);
        let circumstances = Circumstances { duration, is_authenticated, is_stale };
        self.audit.record(&request, &verdict, circumstances);
        if let Some(denials) = &self.denials {
            denials.record(&request, &verdict);
        }
        Ok(answer.into())
    }
}

impl AdmissionService {
    /// Counts a verdict in the metrics. A request can make up the name of a pool, so the pool of a label
    /// comes from the snapshot.
    fn count(&self, request: &Request<'_>, verdict: &Verdict, snapshot: &Snapshot) {
        if let Outcome::Deny(denials) = &verdict.outcome {
            for denial in denials.iter() {
                self.metrics.denied(denial.rule, known(snapshot, denial.pool.as_deref()));
            }
            if let Some(name) = denied_daemon_set(request, denials) {
                self.metrics.daemon_set_denied(&request.target.namespace, name);
            }
        }
        for record in &verdict.records {
            match (record.decision, record.rule()) {
                (Decision::Warn, Some(rule)) => {
                    self.metrics.warned(rule, known(snapshot, record.pool()));
                }
                (Decision::Unknown, Some(rule)) => self.metrics.undecided(rule),
                (_, _) => {}
            }
        }
        if verdict.records.iter().any(|record| record.decision == Decision::BreakGlass) {
            self.metrics.broke_glass();
        }
    }
}

/// The name of a pool, if the snapshot has it.
fn known<'p>(snapshot: &Snapshot, pool: Option<&'p str>) -> &'p str {
    pool.filter(|pool| snapshot.has_pool(pool)).unwrap_or_default()
}

/// The DaemonSet whose controller wanted to create a pod that is an intruder.
fn denied_daemon_set<'r>(request: &'r Request<'_>, denials: &Denials) -> Option<&'r str> {
    let is_intruder = denials.iter().any(|denial| denial.rule == RuleName::PodIntrusion);
    let is_of_controller = request.user.is_daemon_set_controller();
    let metadata = request.metadata().filter(|_| is_intruder && is_of_controller)?;
    daemon_set(metadata)
}

fn labels(target: &Target<'_>) -> (label::OperationLabel, ResourceLabel) {
    let operation = match target.operation {
        Operation::Create => label::OperationLabel::Create,
        Operation::Update => label::OperationLabel::Update,
        Operation::Delete => label::OperationLabel::Delete,
        Operation::Connect => label::OperationLabel::Connect,
    };
    (operation, ResourceLabel::from_plural(&target.resource, &target.sub_resource))
}

fn decision(verdict: &Verdict) -> label::DecisionLabel {
    match &verdict.outcome {
        Outcome::Deny(_) => return label::DecisionLabel::Deny,
        Outcome::Allow(patch) if !patch.is_empty() => return label::DecisionLabel::Patch,
        Outcome::Allow(_) => {}
    }
    match verdict.gravest().map(|record| record.decision) {
        None | Some(Decision::Exempt) => label::DecisionLabel::Allow,
        Some(Decision::Warn) => label::DecisionLabel::Warn,
        Some(Decision::BreakGlass) => label::DecisionLabel::BreakGlass,
        Some(Decision::Audit | Decision::Unknown | Decision::Patch | Decision::Deny) => {
            label::DecisionLabel::Audit
        }
    }
}
