//! One of the two webhook configurations: the state that the watch shows, and the writes of PoolGuard.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use serde_json::Value;
use tokio::sync::watch::{self, error::RecvError};
use tracing::{error, info, warn};

use super::{
    additions::CloudAdditions,
    drift::differences,
    status::{Deviation, Drift},
    write::{ConfigurationWriter, WriteScope, version},
    write_backoff::WriteBackoff,
};
use crate::{
    api::{
        client,
        events::{Event, EventRecorder, EventType},
        installation::InstallationNames,
        list_watch::{WatchSource, single_object::ObservedObject},
        rbac::{self, ADMISSION_GROUP, PolicyRule, WEBHOOK_CONFIGURATIONS},
    },
    telemetry::{
        log_once::LogOnce,
        metrics::{Metrics, label::RegistrationWrite},
    },
};

/// The interval at which PoolGuard compares the configurations even if nothing has changed.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The interval at which PoolGuard looks again for something that may come at any moment.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The time after which the watch should show a write. If it does not, another write has come in between.
const WATCH_LAG: Duration = Duration::from_secs(2);

pub(super) struct Configuration {
    kind: &'static str,
    name: String,
    right: PolicyRule,
    writer: ConfigurationWriter,
    metrics: Arc<Metrics>,
    recorder: EventRecorder,
    seen: watch::Receiver<ObservedObject>,
    written: Option<Written>,
    /// The configuration that the config asked for when the registered object last matched it, or the object as
    /// another holder of the Lease keeps it.
    agreed: Option<Value>,
    pub(super) write_backoff: WriteBackoff,
    last_reported: Option<Drift>,
    failure_log: LogOnce,
}

/// A write that the watch has yet to show.
struct Written {
    at: Instant,
    /// The version that the watch had shown by then.
    over: Option<String>,
    object: Value,
}

/// The result of a step for one configuration: the time until the next look, and the drift that remains.
pub(super) struct StepResult {
    pub(super) look_again: Duration,
    pub(super) drift: Option<Drift>,
}

impl StepResult {
    pub(super) const WRITTEN: Self = Self { look_again: WATCH_LAG, drift: None };

    /// Creates the result for a drift that may end soon.
    pub(super) fn soon(drift: Drift) -> Self {
        Self { look_again: RETRY_INTERVAL, drift: Some(drift) }
    }
}

/// Returns the watch sources of the two configurations, mutating first.
pub fn sources(names: &InstallationNames) -> [WatchSource; 2] {
    WEBHOOK_CONFIGURATIONS.map(|resource| WatchSource {
        path: path(resource),
        metadata_only: false,
        may_be_absent: false,
        name: Some(names.release.clone()),
        right: rbac::configuration(resource, names),
    })
}

fn path(resource: &str) -> String {
    format!("/apis/{ADMISSION_GROUP}/v1/{resource}")
}

impl Configuration {
    /// Creates both configurations in their initial state, mutating first, with nothing written yet.
    pub(super) fn both(
        seen: [watch::Receiver<ObservedObject>; 2],
        client: &Client,
        names: &InstallationNames,
        metrics: &Arc<Metrics>,
        recorder: &EventRecorder,
    ) -> [Self; 2] {
        let one = |kind, resource, seen| {
            let name = names.release.clone();
            Self {
                kind,
                right: rbac::configuration(resource, names),
                writer: ConfigurationWriter::new(client.clone(), path(resource), name.clone()),
                name,
                metrics: Arc::clone(metrics),
                recorder: recorder.clone(),
                seen,
                written: None,
                agreed: None,
                write_backoff: WriteBackoff::default(),
                last_reported: None,
                failure_log: LogOnce::default(),
            }
        };
        let [mutating, validating] = WEBHOOK_CONFIGURATIONS;
        let [seen_mutating, seen_validating] = seen;
        [
            one("MutatingWebhookConfiguration", mutating, seen_mutating),
            one("ValidatingWebhookConfiguration", validating, seen_validating),
        ]
    }

    /// Completes when the watch shows something new.
    pub(super) async fn changed(&mut self) -> Result<(), RecvError> {
        self.seen.changed().await
    }

    /// Returns the object that the watch shows. After a write, returns the written object until the watch shows
    /// another version than before: to write it again would not make it come sooner.
    pub(super) fn look(&mut self) -> ObservedObject {
        let seen = self.seen.borrow_and_update().clone();
        let shown = seen.object().and_then(version);
        let is_ahead = |it: &Written| it.at.elapsed() < WATCH_LAG && it.over.as_deref() == shown;
        self.written = self.written.take().filter(is_ahead);
        match &self.written {
            Some(written) => ObservedObject::Present(written.object.clone()),
            None => seen,
        }
    }

    /// Notes how the holder of the Lease keeps the configuration. If this replica takes the Lease and finds it like
    /// that, no other client changed it: this replica asks for something else, such as after an upgrade.
    pub(super) fn follow(&mut self) {
        let seen = self.seen.borrow_and_update();
        if let Some(live) = seen.object()
            && self.agreed.as_ref() != Some(live)
        {
            self.agreed = Some(live.clone());
        }
    }

    /// Notes that the configuration is as it should be, as far as PoolGuard knows.
    pub(super) fn as_asked_for(&mut self, desired: &Value) -> StepResult {
        self.agree(desired);
        self.last_reported = None;
        StepResult { look_again: POLL_INTERVAL, drift: None }
    }

    /// Notes the desired configuration, now that the registered object matches it.
    pub(super) fn agree(&mut self, desired: &Value) {
        if self.agreed.as_ref() != Some(desired) {
            self.agreed = Some(desired.clone());
        }
    }

    /// Whether the registered object is still as it was asked for before: then no other client changed it, and
    /// it differs only because something else is asked for now.
    pub(super) fn is_outdated(&self, seen: &ObservedObject, additions: CloudAdditions) -> bool {
        let (Some(agreed), Some(live)) = (&self.agreed, seen.object()) else { return false };
        differences(agreed, live, additions).is_empty()
    }

    pub(super) fn deviation(&self, drift: Drift) -> Deviation {
        Deviation { kind: self.kind, name: self.name.clone(), drift }
    }

    /// Writes the configuration. Returns whether the write succeeded.
    pub(super) async fn write(
        &mut self,
        body: &Value,
        scope: WriteScope,
        reason: RegistrationWrite,
    ) -> bool {
        self.write_backoff.wrote(Instant::now());
        let over = self.seen.borrow().object().and_then(version).map(str::to_owned);
        let written = self.writer.write(body, scope, over.as_deref()).await;
        match written {
            Ok(object) => {
                self.written = Some(Written { at: Instant::now(), over, object });
                self.failure_log.end();
                self.metrics.registration_written(reason);
                true
            }
            Err(error) => {
                self.metrics.registration_written(RegistrationWrite::Failed);
                let why = client::explain_with(&error, &self.right);
                if self.failure_log.is_news(&why.to_string()) {
                    error!("cannot write the {} {}: {why}", self.kind, self.name);
                }
                false
            }
        }
    }

    /// Reports each creation, and each difference once, however long it lasts.
    pub(super) async fn report_drift(&mut self, drift: &Drift) {
        if *drift != Drift::Absent && self.last_reported.as_ref() == Some(drift) {
            return;
        }
        self.last_reported = Some(drift.clone());
        let deviation = self.deviation(drift.clone());
        let (event_type, reason, note) = match drift {
            Drift::Absent => {
                let Self { kind, name, .. } = self;
                (EventType::Normal, "Registered", format!("registering the {kind} {name}"))
            }
            Drift::Differs(_) => (EventType::Warning, "Drifted", deviation.to_string()),
        };
        match event_type {
            EventType::Normal => info!("{note}"),
            EventType::Warning => warn!("{note}"),
        }
        let regarding = deviation.regarding();
        let event = Event { regarding, event_type, reason, action: "Register", note };
        self.recorder.publish(event).await;
    }

    /// Logs that something else is asked for than before, by the config, a rotation or the kinds of the cluster.
    pub(super) fn log_update(&self, drift: &Drift) {
        let Self { kind, name, .. } = self;
        info!(
            "updating the {kind} {name} to the current config and certificate authority: {drift}"
        );
    }

    /// Logs once that the configuration does not exist and that another tool has to create it.
    pub(super) fn report_absence(&mut self) {
        if self.last_reported.replace(Drift::Absent) != Some(Drift::Absent) {
            let Self { kind, name, .. } = self;
            warn!("{kind} {name} does not exist: apply the output of `poolguard render webhooks`");
        }
    }
}
