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
        rbac,
        reports::{
            Examined, Report, ReportOutcome, reports,
            writer::{ReportScope, Reports},
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

/// Pods have a few kilobytes each: a page is about a megabyte.
const PAGE: u32 = 200;

/// Between two pages, so that a scan is never what an API server is busy with.
const REQUEST_INTERVAL: Duration = Duration::from_millis(100);

/// Pods that have ended hold no node.
const RUNNING: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// How often it is looked whether a scan is due.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Reports are not written more often for what happens between two scans.
const REPORT_REST: Duration = Duration::from_secs(10);

/// Why a scan, or a part of it, is not complete.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// It is for the next scan.
    #[error("PoolGuard has not loaded the config and the cluster yet")]
    NotLoaded,
    /// The API server does not show what is looked at.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The API server does not have the resource of an object that the config protects.
    #[error("the API server does not have the resource")]
    Absent,
    /// An object is not what its kind has.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A cluster in which everything refers to something else would take the API server's time.
    #[error("AutoMQ's bindings refer to {wanted} roles, but PoolGuard reads at most {most}")]
    TooManyRoles {
        /// As many roles.
        wanted: usize,
        /// As many are looked at.
        most: usize,
    },
}

impl From<JsonError> for ScanError {
    fn from(error: JsonError) -> Self {
        Self::Api(error.into())
    }
}

/// Where a scan looks, and where it tells.
pub struct ScanInputs {
    /// What is in force.
    pub guard: PolicyAndSnapshotCell,
    /// The config.
    pub applied_config: watch::Receiver<Option<AppliedConfig>>,
    /// The Lease.
    pub held: watch::Receiver<LeaseHeld>,
    /// How what is registered stands; `None` while that is not known.
    pub registration: watch::Receiver<Option<registration::RegistrationStatus>>,
    /// How the backstop stands; `None` while that is not known.
    pub backstop: watch::Receiver<Option<BackstopStatus>>,
    /// Where the time of a scan that succeeded is noted.
    pub scanned: watch::Sender<Option<Timestamp>>,
    /// Where reports are written, if anywhere.
    pub reports: Option<Reports>,
}

/// Scans while this replica holds the Lease.
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
    /// What it came to, if it was complete.
    examined: Option<(Examined, RuleModes)>,
    reported: Instant,
}

impl ScanController {
    /// With nothing found yet.
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

    /// Scans when it is time, for ever.
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

    /// Scans if it is time, and else reports what else has changed.
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
            && self.last.as_ref().is_some_and(|last| last.reported.elapsed() >= REPORT_REST)
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
        parameters.field_selector = Some(RUNNING.to_owned());
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
        for (namespace, count) in &examined.strangers {
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

    /// Another replica scans, or none.
    fn forget(&mut self) {
        if self.last.take().is_some() {
            self.metrics.set_violations([]);
            self.metrics.set_exempt_residents([]);
            self.reported.clear();
        }
    }

    /// Makes the reports say what is known now.
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

    /// Whether what there is to say is written.
    async fn write(&mut self, wanted: BTreeMap<String, Report>) -> bool {
        let Some(reports) = &self.inputs.reports else { return true };
        let written = async {
            let mut done = Ok(());
            for api in reports.kinds().await? {
                done = done.and(reports.replace(api, ReportScope::Findings, &wanted).await);
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

/// What a report says of the backstop, and of the entries beside it. Nothing if the config asks for none.
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
