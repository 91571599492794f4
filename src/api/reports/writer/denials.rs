//! Reports of recent denials and warnings. Every replica adds its own, and the Lease holder removes those
//! that are no longer recent.

use std::{
    convert::Infallible,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use super::{ReportSubject, Reports};
use crate::{
    api::{
        client::ApiError,
        lease::{LeaseHeld, is_held},
        object_ref::ObjectRef,
        reports::{ReportPlace, UnreportedDenials, recent},
    },
    policy::verdict::{Decision, Finding},
    telemetry::log_once::LogOnce,
};

/// The time that the task waits for more denials, so that all denials of one rollout make one write.
const DEBOUNCE: Duration = Duration::from_secs(2);

/// The pause between two rounds of writing.
const WRITE_INTERVAL: Duration = Duration::from_secs(10);

/// The interval at which the Lease holder removes denials and warnings that are no longer recent.
const PRUNING: Duration = Duration::from_mins(10);

/// The queue that takes denials and warnings for reports.
#[derive(Clone, Debug, Default)]
pub struct ReportQueue(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    news: Mutex<UnreportedDenials>,
    is_there: Notify,
}

/// The task that writes reports of denials and warnings.
pub struct DenialReports {
    reports: Reports,
    report_queue: ReportQueue,
    held: watch::Receiver<LeaseHeld>,
    failure_log: LogOnce,
}

impl ReportQueue {
    /// Records a denial or a warning, if there is room.
    pub fn note(&self, regarding: &ObjectRef, decision: Decision, finding: &Arc<Finding>) {
        let now = Timestamp::now().as_second();
        let mut news = self.0.news.lock().unwrap_or_else(PoisonError::into_inner);
        if !news.note(regarding, decision, finding, now) {
            debug!(
                "denials concern more objects than the reports can hold; the audit stream contains the others"
            );
        }
        drop(news);
        self.0.is_there.notify_one();
    }

    fn take(&self) -> UnreportedDenials {
        mem::take(&mut self.0.news.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl DenialReports {
    /// Creates the task that reports the denials and warnings of `report_queue`.
    pub fn new(
        reports: Reports,
        report_queue: ReportQueue,
        held: watch::Receiver<LeaseHeld>,
    ) -> Self {
        Self { reports, report_queue, held, failure_log: LogOnce::default() }
    }

    /// Runs the task until the process ends.
    pub async fn run(mut self) -> Infallible {
        let mut pruned = Instant::now();
        loop {
            let is_news = timeout(PRUNING, self.report_queue.0.is_there.notified()).await.is_ok();
            sleep(DEBOUNCE).await;
            let mut done = self.write(self.report_queue.take()).await;
            let is_due =
                pruned.elapsed() >= PRUNING && is_held(*self.held.borrow(), Instant::now());
            if is_due && done.is_ok() {
                pruned = Instant::now();
                done = self.prune().await;
            }
            self.judge(done);
            if is_news {
                sleep(WRITE_INTERVAL).await;
            }
        }
    }

    /// Adds the new denials and warnings to the reports. Drops those that it cannot write, because the
    /// audit stream has them.
    async fn write(&self, news: UnreportedDenials) -> Result<(), ApiError> {
        if news.is_empty() {
            return Ok(());
        }
        let kinds = self.reports.kinds().await?;
        let now = Timestamp::now().as_second();
        // One namespace that refuses does not keep the others from being told.
        let mut done = Ok(());
        for (namespace, news) in news.by_namespace() {
            for api in &kinds {
                let add = |before: &_| recent(before, &news, now);
                let added = self.reports.add(*api, ReportSubject::Denials, &namespace, add).await;
                done = done.and(added);
            }
        }
        done
    }

    async fn prune(&self) -> Result<(), ApiError> {
        let now = Timestamp::now().as_second();
        let mut done = Ok(());
        for api in self.reports.kinds().await? {
            for place in [ReportPlace::Everywhere, ReportPlace::Cluster] {
                let still =
                    |_: &str, before: &_| recent(before, &UnreportedDenials::default(), now);
                done =
                    done.and(self.reports.edit(api, ReportSubject::Denials, place, still).await.1);
            }
        }
        done
    }

    fn judge(&mut self, done: Result<(), ApiError>) {
        match done {
            Ok(()) => self.failure_log.end(),
            Err(why) if self.failure_log.is_news(&why.to_string()) => {
                warn!("cannot report denials: {why}");
            }
            Err(_) => {}
        }
    }
}
