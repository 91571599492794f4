//! The queue of denials and warnings between the requests and the task that writes Events about them. The
//! task also passes them on to the reports.

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

/// The capacity of the queue: a few tenths of a second of requests that are all denied.
const WAITING_MAX: usize = 1024;
/// The time that the task waits for more denials. Waking a task for every denial of a burst would cost
/// more than the denial.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// The interval at which the task checks whether an Event is due.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The queue that takes denials and warnings. All clones send to the same task.
#[derive(Clone, Debug)]
pub struct EventQueue {
    sender: mpsc::Sender<Occurrence>,
    dropped: IntCounter,
}

/// The task that writes Events about denials and warnings.
pub struct EventWriter {
    receiver: mpsc::Receiver<Occurrence>,
    recorder: EventRecorder,
    aggregate: Aggregate,
    dropped: IntCounter,
    report_queue: Option<ReportQueue>,
}

/// Creates the queue of denials and warnings, and the task that writes Events about them. The task also
/// passes them on to `report_queue`, if there is one. `dropped` counts those that will not become Events.
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
    /// Records the denials and warnings of a verdict. Never waits: if the queue is full, it drops and
    /// counts them.
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
    /// Runs the task until the process ends.
    pub async fn run(mut self) -> Infallible {
        loop {
            select! {
                Some(occurrence) = self.receiver.recv() => self.observe(occurrence),
                () = sleep(POLL_INTERVAL) => {}
            }
            while let Ok(occurrence) = self.receiver.try_recv() {
                self.observe(occurrence);
            }
            while let Some(event_to_write) = self.aggregate.due(Instant::now()) {
                self.publish(event_to_write).await;
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

    /// Writes one Event, and records the occurrences that arrive meanwhile.
    async fn publish(&mut self, event_to_write: EventToWrite) {
        let EventToWrite { regarding, decision, note } = event_to_write;
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
