//! The background scan: the Lease holder looks at what runs already, page by page, at an interval and
//! when the config has changed. What it finds is a metric, and a line of the log when it comes and goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{Client, api::ListParams, core::Request};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use crate::{
    client::{self, REQUEST_TIMEOUT},
    cluster::wire::Page,
    guarding::InForce,
    lease::{Held, is_held},
    metrics::Metrics,
    policy::{Policy, json, mode::RuleName, object::Pod, snapshot::Snapshot, verdict::Finding},
    rights,
    webhook::GuardCell,
};

/// Pods have a few kilobytes each: a page is about a megabyte.
const PAGE: u32 = 200;

/// Between two pages, so that a scan is never what an API server is busy with.
const BREATH: Duration = Duration::from_millis(100);

/// Pods that have ended hold no node.
const RUNNING: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// So many findings are told one by one; the others are in the counts.
const TOLD_MAX: usize = 100;

/// How often it is looked whether a scan is due.
const LOOK: Duration = Duration::from_secs(1);

/// Scans while this replica holds the Lease.
pub struct Scan {
    client: Client,
    guard: GuardCell,
    in_force: watch::Receiver<Option<InForce>>,
    held: watch::Receiver<Held>,
    metrics: Arc<Metrics>,
    told: BTreeSet<String>,
    trouble: Option<String>,
}

/// What a scan found.
#[derive(Debug, Default)]
struct Found {
    counts: BTreeMap<(RuleName, String), usize>,
    /// Pods of others by namespace: in a cluster that is not AutoMQ's alone they are many.
    strangers: BTreeMap<String, usize>,
    told: BTreeSet<String>,
    pods: usize,
}

impl Scan {
    /// With nothing found yet.
    pub fn new(
        client: Client,
        guard: GuardCell,
        in_force: watch::Receiver<Option<InForce>>,
        held: watch::Receiver<Held>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (told, trouble) = (BTreeSet::new(), None);
        Self { client, guard, in_force, held, metrics, told, trouble }
    }

    /// Scans when it is time, for ever.
    pub async fn run(mut self) -> Infallible {
        let mut last: Option<Instant> = None;
        loop {
            sleep(LOOK).await;
            let settings = self.in_force.borrow().as_ref().map(|it| it.settings.scan);
            let holds = is_held(*self.held.borrow(), Instant::now());
            let Some(settings) = settings.filter(|it| holds && it.enabled) else {
                if last.take().is_some() {
                    self.metrics.set_violations([]);
                    self.told.clear();
                }
                continue;
            };
            let is_changed = self.in_force.has_changed().unwrap_or(false);
            if !is_changed && last.is_some_and(|last| last.elapsed() < settings.interval) {
                continue;
            }
            self.in_force.mark_unchanged();
            last = Some(Instant::now());
            match self.scan().await {
                Ok(found) => self.tell(found),
                Err(why) => self.complain(why),
            }
        }
    }

    async fn scan(&self) -> Result<Found, String> {
        let mut found = Found::default();
        let Some(guard) = self.guard.load_full() else {
            return Err("nothing is loaded yet".into());
        };
        for finding in guard.policy.inspect_nodes(&guard.snapshot) {
            found.add(&finding, "");
        }
        let mut parameters = ListParams { limit: Some(PAGE), ..ListParams::default() };
        parameters.field_selector = Some(RUNNING.to_owned());
        loop {
            let request = Request::new("/api/v1/pods").list(&parameters);
            let request = request.map_err(|error| error.to_string())?;
            let text = timeout(REQUEST_TIMEOUT, self.client.request_text(request))
                .await
                .map_err(|_| "the API server does not answer".to_owned())?
                .map_err(|error| client::explain_with(&error, &rights::listing_pods()))?;
            let page =
                Page::read(&text).map_err(|error| format!("the list is not JSON: {error}"))?;
            // Facts may have changed between two pages: the newest count.
            let guard = self.guard.load_full().unwrap_or_else(|| Arc::clone(&guard));
            for object in page.items().into_iter().flatten() {
                found.inspect(&guard.policy, &guard.snapshot, object);
            }
            let Some(next) = page.next() else { return Ok(found) };
            parameters.continue_token = Some(next.to_owned());
            sleep(BREATH).await;
        }
    }

    fn tell(&mut self, found: Found) {
        let Found { counts, strangers, told, pods } = found;
        self.trouble = None;
        let counted = counts.iter().map(|((rule, pool), count)| (*rule, pool.as_str(), *count));
        self.metrics.set_violations(counted);
        self.metrics.scan_succeeded(Timestamp::now().as_second());
        for finding in told.difference(&self.told) {
            warn!("found: {finding}");
        }
        for finding in self.told.difference(&told) {
            info!("found no more: {finding}");
        }
        for (namespace, count) in strangers {
            debug!(
                namespace,
                count, "pods in AutoMQ's cluster that are neither AutoMQ's nor exempt"
            );
        }
        self.told = told;
        let findings: usize = counts.values().sum();
        debug!(pods, findings, "scanned");
    }

    fn complain(&mut self, why: String) {
        if self.trouble.as_ref() != Some(&why) {
            warn!("cannot scan what runs already: {why}");
        }
        self.trouble = Some(why);
    }
}

impl Found {
    /// A pod that cannot be read is one that the API server would not have taken.
    fn inspect(&mut self, policy: &Policy, snapshot: &Snapshot, object: &str) {
        let Ok(pod) = json::from_str::<Pod<'_>>(object) else { return };
        self.pods += 1;
        for finding in policy.inspect_pod(snapshot, &pod) {
            self.add(&finding, &pod.metadata.namespace);
        }
    }

    fn add(&mut self, finding: &Finding, namespace: &str) {
        let pool = finding.pool.clone().unwrap_or_default();
        *self.counts.entry((finding.rule, pool)).or_default() += 1;
        if finding.rule == RuleName::ClusterExclusive {
            *self.strangers.entry(namespace.to_owned()).or_default() += 1;
        } else if self.told.len() < TOLD_MAX {
            self.told.insert(finding.denial_text());
        }
    }
}
