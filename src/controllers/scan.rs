//! The background scan: the Lease holder looks at what is there already, pods page by page, at an
//! interval and when the config has changed. What it finds is a metric, a line of the log when it comes
//! and goes, and a report.

mod found;
mod roles;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{Client, api::ListParams, core::Request};
use tokio::{sync::watch, time::sleep};
use tracing::{debug, info, warn};

use self::found::Found;
use crate::{
    admission::webhooks::BackstopState,
    api::{
        client::{self, ApiError},
        lease::{LeaseHeld, is_held},
        list_watch::RUNNING_PODS,
        rbac,
        reports::{
            Examined, Report, ReportOutcome, reports,
            writer::{ReportSubject, Reports},
        },
    },
    cluster::{ObjectError, wire::ListPage},
    controllers::{
        backstop::BackstopStatus,
        guard::AppliedConfig,
        registration::{self, Deviation},
    },
    json::JsonError,
    policy::mode::{BackstopMode, RuleModes},
    service::PolicyAndSnapshotCell,
    telemetry::{
        log_once::LogOnce,
        metrics::{Metrics, label::BackstopCondition},
    },
};

/// The number of pods in a page. Pods have a few kilobytes each, so a page is about a megabyte.
const PAGE: u32 = 200;

/// The pause between two pages, so that a scan never keeps an API server busy.
const REQUEST_INTERVAL: Duration = Duration::from_millis(100);

/// The interval at which PoolGuard looks whether a scan is due.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The shortest time between two writes of the reports for changes that happen between two scans.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The reason why a scan, or a part of it, is not complete.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// PoolGuard has not loaded the config and the cluster yet: the next scan tries again.
    #[error("PoolGuard has not loaded the config and the cluster yet")]
    NotLoaded,
    /// The API server does not return the objects that the scan asks for.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The API server does not have the resource of an object that the config protects.
    #[error("the API server does not have the resource")]
    Absent,
    /// An object does not have the form of its kind.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// AutoMQ's bindings refer to more roles of one kind than the scan reads, because reading them all would take the
    /// API server's time.
    #[error("AutoMQ's bindings refer to {wanted} roles, but PoolGuard reads at most {most}")]
    TooManyRoles {
        /// The number of roles of this kind that the bindings refer to.
        wanted: usize,
        /// The largest number of roles of one kind that the scan reads.
        most: usize,
    },
}

impl From<JsonError> for ScanError {
    fn from(error: JsonError) -> Self {
        Self::Api(error.into())
    }
}

/// The state that the scan reads, and the places where it publishes its results.
pub struct ScanInputs {
    /// The policy and the snapshot in force.
    pub guard: PolicyAndSnapshotCell,
    /// The config.
    pub applied_config: watch::Receiver<Option<AppliedConfig>>,
    /// The Lease.
    pub held: watch::Receiver<LeaseHeld>,
    /// The status of the registered configurations; `None` while that is not known.
    pub registration: watch::Receiver<Option<registration::RegistrationStatus>>,
    /// The status of the backstop; `None` while that is not known.
    pub backstop: watch::Receiver<Option<BackstopStatus>>,
    /// The sender of the time of the last scan that succeeded.
    pub scanned: watch::Sender<Option<Timestamp>>,
    /// The writer of reports, if this replica writes any.
    pub reports: Option<Reports>,
}

/// The controller that scans while this replica holds the Lease.
pub struct ScanController {
    client: Client,
    inputs: ScanInputs,
    metrics: Arc<Metrics>,
    reported: BTreeSet<String>,
    last: Option<Last>,
    /// Whether the reports of a scan that is off have been taken away.
    is_withdrawn: bool,
    failure_log: LogOnce,
    reports_trouble: LogOnce,
}

/// The last scan.
struct Last {
    at: Instant,
    /// The result of the scan and the modes of the rules, if the scan was complete.
    examined: Option<(Examined, RuleModes)>,
    reported: Instant,
}

impl ScanController {
    /// Creates the controller in its initial state, before its first scan.
    pub fn new(client: Client, inputs: ScanInputs, metrics: Arc<Metrics>) -> Self {
        Self {
            client,
            inputs,
            metrics,
            reported: BTreeSet::new(),
            last: None,
            is_withdrawn: false,
            failure_log: LogOnce::default(),
            reports_trouble: LogOnce::default(),
        }
    }

    /// Runs the controller until the process ends: it scans whenever a scan is due.
    pub async fn run(mut self) -> Infallible {
        loop {
            sleep(POLL_INTERVAL).await;
            let settings = self.inputs.applied_config.borrow().as_ref().map(|it| it.settings.scan);
            let holds = is_held(*self.inputs.held.borrow(), Instant::now());
            match settings.filter(|_| holds) {
                None => {
                    self.is_withdrawn = false;
                    self.forget();
                }
                Some(settings) if !settings.enabled => {
                    self.forget();
                    self.withdraw().await;
                }
                Some(settings) => {
                    self.is_withdrawn = false;
                    self.look(settings.interval).await;
                }
            }
        }
    }

    /// Scans if a scan is due; otherwise reports changes of the registration and the backstop.
    async fn look(&mut self, interval: Duration) {
        let is_changed = self.inputs.applied_config.has_changed().unwrap_or(false);
        let is_due = |last: &Last| is_changed || last.at.elapsed() >= interval;
        if self.last.as_ref().is_none_or(is_due) {
            self.inputs.applied_config.mark_unchanged();
            let now = Instant::now();
            let examined = match self.scan().await {
                Ok((found, rules)) => Some((self.publish(found), rules)),
                Err(why) => {
                    if self.failure_log.is_news(&why.to_string()) {
                        warn!("cannot scan the cluster: {why}");
                    }
                    None
                }
            };
            self.last = Some(Last { at: now, examined, reported: now });
            self.report().await;
        } else if self.has_news()
            && self.last.as_ref().is_some_and(|last| last.reported.elapsed() >= REPORT_INTERVAL)
        {
            self.report().await;
        }
    }

    /// Whether something else than a scan has changed what there is to report.
    fn has_news(&self) -> bool {
        let ScanInputs { registration, backstop, .. } = &self.inputs;
        registration.has_changed().unwrap_or(false) || backstop.has_changed().unwrap_or(false)
    }

    async fn scan(&self) -> Result<(Found, RuleModes), ScanError> {
        let mut found = Found::default();
        let Some(guard) = self.inputs.guard.load_full() else {
            return Err(ScanError::NotLoaded);
        };
        found.inspect_nodes(&guard.policy, &guard.snapshot);
        roles::inspect(&self.client, &guard.policy, &guard.snapshot, &mut found).await;
        let mut parameters = ListParams { limit: Some(PAGE), ..ListParams::default() };
        parameters.field_selector = Some(RUNNING_PODS.to_owned());
        loop {
            let request = Request::new("/api/v1/pods").list(&parameters);
            let request = request.map_err(ApiError::from)?;
            let text = client::text(&self.client, request)
                .await
                .map_err(|error| client::explain_with(&error, &rbac::listing_pods()))?;
            let page = ListPage::read(&text)?;
            // Facts may have changed between two pages: the newest count.
            let guard = self.inputs.guard.load_full().unwrap_or_else(|| Arc::clone(&guard));
            for object in page.items().into_iter().flatten() {
                found.inspect_pod(&guard.policy, &guard.snapshot, object);
            }
            let Some(next) = page.next() else { return Ok((found, guard.policy.rules.clone())) };
            parameters.continue_token = Some(next.to_owned());
            sleep(REQUEST_INTERVAL).await;
        }
    }

    fn publish(&mut self, found: Found) -> Examined {
        let Found { counts, exempt, reported, examined, pods } = found;
        match examined.unjudged.iter().next() {
            None => self.failure_log.end(),
            Some((rule, why)) if self.failure_log.is_news(why) => warn!(
                "the scan cannot check \
             {rule}: {why}"
            ),
            Some(_) => {}
        }
        let counted = counts.iter().map(|((rule, pool), count)| (*rule, &**pool, *count));
        self.metrics.set_violations(counted);
        let exempt = exempt.iter().map(|(pool, count)| (&**pool, *count));
        self.metrics.set_exempt_residents(exempt);
        let now = Timestamp::now();
        self.metrics.scan_succeeded(now.as_second());
        self.inputs.scanned.send_replace(Some(now));
        for finding in reported.difference(&self.reported) {
            warn!("the scan found: {finding}");
        }
        for finding in self.reported.difference(&reported) {
            info!("the scan no longer finds: {finding}");
        }
        for (namespace, count) in &examined.unrelated_pods {
            debug!(
                namespace,
                count, "pods in AutoMQ's cluster that are neither AutoMQ pods nor exempt"
            );
        }
        self.reported = reported;
        let findings: usize = counts.values().sum();
        debug!(pods, findings, "scanned");
        examined
    }

    /// Clears the findings, because another replica scans or the scan is off.
    fn forget(&mut self) {
        if self.last.take().is_some() {
            self.metrics.set_violations([]);
            self.metrics.set_exempt_residents([]);
            self.reported.clear();
        }
    }

    /// Writes the reports anew with what is known now.
    async fn report(&mut self) {
        let registered = self.inputs.registration.borrow_and_update().clone();
        let backstop = *self.inputs.backstop.borrow_and_update();
        let mode_of = |it: &AppliedConfig| it.policy.backstop;
        let mode = self.inputs.applied_config.borrow().as_ref().map(mode_of);
        let Some(Last { examined: Some((examined, rules)), reported, .. }) = &mut self.last else {
            return;
        };
        *reported = Instant::now();
        examined.deviations = registered.map(|status| {
            let report = |it: &Deviation| (it.regarding(), it.to_string());
            status.0.iter().map(report).collect()
        });
        examined.backstop =
            mode.zip(backstop).and_then(|(mode, status)| backstop_result(mode, status));
        let wanted = reports(examined, rules, Timestamp::now().as_second());
        self.write(wanted).await;
    }

    /// Takes away the reports of a scan that is off.
    async fn withdraw(&mut self) {
        if !self.is_withdrawn {
            self.is_withdrawn = self.write(BTreeMap::new()).await;
        }
    }

    /// Writes the reports. Returns whether that succeeded.
    async fn write(&mut self, wanted: BTreeMap<String, Report>) -> bool {
        let Some(reports) = &self.inputs.reports else { return true };
        let written = async {
            let mut done = Ok(());
            for api in reports.kinds().await? {
                done = done.and(reports.replace(api, ReportSubject::Findings, &wanted).await);
            }
            done
        };
        let written = written.await;
        match &written {
            Ok(()) => self.reports_trouble.end(),
            Err(why) if self.reports_trouble.is_news(&why.to_string()) => {
                warn!("cannot report the findings of the scan: {why}");
            }
            Err(_) => {}
        }
        written.is_ok()
    }
}

/// Returns the result for the reports about the backstop and the entries beside it, or `None` if the config asks
/// for no backstop.
fn backstop_result(mode: BackstopMode, status: BackstopStatus) -> Option<(ReportOutcome, String)> {
    let BackstopStatus { state, condition } = status;
    let (outcome, fact) = match condition? {
        BackstopCondition::InForce => (ReportOutcome::Pass, "the backstop is up to date"),
        BackstopCondition::Settling => {
            (ReportOutcome::Pass, "the backstop was created a moment ago")
        }
        BackstopCondition::Outdated => {
            (ReportOutcome::Fail, "the backstop is outdated, because PoolGuard cannot write it")
        }
        BackstopCondition::Absent => {
            (ReportOutcome::Fail, "there is no backstop, because PoolGuard cannot write it")
        }
        BackstopCondition::Unsupported => (
            ReportOutcome::Fail,
            "there is no backstop, because the API server has no ValidatingAdmissionPolicy in version v1",
        ),
        BackstopCondition::Impossible => (
            ReportOutcome::Fail,
            "there is no backstop, because pod-intrusion is not in enforce, there is no pool, or the policy would be \
             too large",
        ),
    };
    let entries = match (mode, state) {
        (BackstopMode::Off, _) => return None,
        (BackstopMode::Instead, BackstopState::InForce) => "open",
        (BackstopMode::Beside | BackstopMode::Instead, _) => "closed",
    };
    let message = format!("{fact}; the entries pods and bindings fail {entries}");
    Some((outcome, message))
}
