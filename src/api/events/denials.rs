//! Denials and warnings on their way from the requests to the task that writes Events of them, and hands
//! them on for reports.

use std::{convert::Infallible, time::Instant};

use prometheus::IntCounter;
use tokio::{
    pin, select,
    sync::mpsc,
    time::{Duration, sleep},
};

use super::{
    Event, EventRecorder, EventType,
    aggregate::{Aggregate, EventToWrite, Occurrence},
};
use crate::{
    api::{object_ref::ObjectRef, reports::writer::denials::ReportQueue},
    policy::{
        request::Request,
        verdict::{Decision, Verdict},
    },
};

/// Some tenths of a second of nothing but denials.
const WAITING_MAX: usize = 1024;
/// How long others are waited for: waking a task for every denial of a burst would cost more than
/// the denial.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_secs(1);

/// Takes denials and warnings. Clones feed the same task.
#[derive(Clone, Debug)]
pub struct EventQueue {
    sender: mpsc::Sender<Occurrence>,
    dropped: IntCounter,
}

/// Writes Events of them.
pub struct EventWriter {
    receiver: mpsc::Receiver<Occurrence>,
    recorder: EventRecorder,
    aggregate: Aggregate,
    dropped: IntCounter,
    report_queue: Option<ReportQueue>,
}

/// A way for denials and warnings to become Events, and reports if those are in `report_queue`. `dropped` counts
/// those that will not become Events.
pub fn denials(
    recorder: EventRecorder,
    dropped: IntCounter,
    report_queue: Option<ReportQueue>,
) -> (EventQueue, EventWriter) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let aggregate = Aggregate::new(Instant::now());
    let event_writer =
        EventWriter { receiver, recorder, aggregate, dropped: dropped.clone(), report_queue };
    (EventQueue { sender, dropped }, event_writer)
}

impl EventQueue {
    /// Takes what a decision denies or warns of. Never waits.
    pub fn record(&self, request: &Request<'_>, verdict: &Verdict) {
        if request.dry_run {
            return;
        }
        for record in &verdict.records {
            if !matches!(record.decision, Decision::Deny | Decision::Warn) {
                continue;
            }
            let Some(finding) = &record.finding else { continue };
            // Under a flood, not even the object is named.
            let Ok(permit) = self.sender.try_reserve() else {
                self.dropped.inc();
                continue;
            };
            if let Some(regarding) = ObjectRef::of(request) {
                let (decision, finding) = (record.decision, finding.clone());
                permit.send(Occurrence { regarding, decision, finding });
            }
        }
    }
}

impl EventWriter {
    /// Writes Events, for ever.
    pub async fn run(mut self) -> Infallible {
        loop {
            select! {
                Some(occurrence) = self.receiver.recv() => self.observe(occurrence),
                () = sleep(LOOK) => {}
            }
            while let Ok(occurrence) = self.receiver.try_recv() {
                self.observe(occurrence);
            }
            while let Some(telling) = self.aggregate.due(Instant::now()) {
                self.publish(telling).await;
            }
            sleep(DEBOUNCE).await;
        }
    }

    fn observe(&mut self, occurrence: Occurrence) {
        if let Some(report_queue) = &self.report_queue {
            report_queue.note(&occurrence.regarding, occurrence.decision, &occurrence.finding);
        }
        if !self.aggregate.observe(Instant::now(), occurrence) {
            self.dropped.inc();
        }
    }

    /// Writes one, and takes what comes meanwhile.
    async fn publish(&mut self, telling: EventToWrite) {
        let EventToWrite { regarding, decision, note } = telling;
        let (reason, action) = if decision == Decision::Deny {
            ("DeniedByPoolGuard", "Deny")
        } else {
            ("WarnedByPoolGuard", "Warn")
        };
        let event = Event { regarding, event_type: EventType::Warning, reason, action, note };
        let recorder = self.recorder.clone();
        let publish = recorder.publish(event);
        pin!(publish);
        loop {
            select! {
                () = &mut publish => return,
                Some(occurrence) = self.receiver.recv() => self.observe(occurrence),
            }
        }
    }
}
