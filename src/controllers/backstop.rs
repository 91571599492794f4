//! The backstop in the API server: written by the Lease holder, restored when another client changes or deletes it,
//! written again when the config or the nodes change, and removed when the config asks for none.

mod objects;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use serde_json::Value;
use tokio::{select, sync::watch, time::sleep};
use tracing::{error, info, warn};

use self::objects::{KeepResult, PolicyApi, kind, name};
use super::guard::AppliedConfig;
use crate::{
    admission::webhooks::{
        Address, Backstop, BackstopState, Installation, NoBackstop, Omitted, backstop,
        placement_policy,
    },
    api::{
        client::ApiError,
        installation::InstallationNames,
        lease::{LeaseHeld, is_held, wait_for_change},
        owner::{OwnerLookup, search},
    },
    policy::mode::BackstopMode,
    service::PolicyAndSnapshotCell,
    telemetry::{
        log_once::LogOnce,
        metrics::{Metrics, label::BackstopCondition},
    },
};

/// The interval at which PoolGuard compares the objects with what they should be, and writes changes of the nodes.
const POLL_INTERVAL: Duration = Duration::from_secs(10);
/// The interval at which this replica looks whether it has read the nodes.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(1);

/// The status of the backstop, as far as this replica knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackstopStatus {
    /// Whether the API server denies intruders by itself.
    pub state: BackstopState,
    /// More about a backstop that the config asks for; `None` if it asks for none.
    pub condition: Option<BackstopCondition>,
}

/// The state that other tasks publish and this controller reads.
pub struct BackstopInputs {
    /// The policy and the nodes.
    pub guard: PolicyAndSnapshotCell,
    /// The config.
    pub applied_config: watch::Receiver<Option<AppliedConfig>>,
    /// The Lease.
    pub held: watch::Receiver<LeaseHeld>,
    /// The time after the creation of a policy by which every API server evaluates it.
    pub settling: Duration,
}

/// The controller that keeps the backstop in the API server.
pub struct BackstopController {
    client: Client,
    namespace: String,
    names: InstallationNames,
    inputs: BackstopInputs,
    metrics: Arc<Metrics>,
    status: watch::Sender<Option<BackstopStatus>>,
    /// The time at which PoolGuard last created a policy that was not there.
    created: Option<Instant>,
    /// Whether nothing is left of a backstop that the config does not ask for.
    is_removed: bool,
    /// The objects that PoolGuard wrote last, by kind and name.
    written: BTreeMap<(String, String), Value>,
    omitted: Omitted,
    failure_log: LogOnce,
}

/// The result of one look at the backstop.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// This replica has not read the nodes yet.
    Unknown,
    /// The config asks for no backstop, or the owner of its objects does not exist.
    Off,
    /// The backstop cannot exist, for this reason.
    Impossible(NoBackstop),
    /// The API server does not serve the kinds of the backstop.
    Unsupported,
    /// The backstop is as it should be; `is_new` says whether a policy was not there before.
    Kept { is_new: bool },
    /// The backstop cannot be written, for the reason `why`; `is_there` says whether this replica knows of an older
    /// version.
    Failed { why: String, is_there: bool },
}

impl BackstopController {
    /// Creates the controller in its initial state, before its first look.
    pub fn new(
        client: Client,
        namespace: String,
        names: InstallationNames,
        inputs: BackstopInputs,
        metrics: Arc<Metrics>,
        status: watch::Sender<Option<BackstopStatus>>,
    ) -> Self {
        Self {
            client,
            namespace,
            names,
            inputs,
            metrics,
            status,
            created: None,
            is_removed: false,
            written: BTreeMap::new(),
            omitted: Omitted::default(),
            failure_log: LogOnce::default(),
        }
    }

    /// Runs the controller until the process ends.
    pub async fn run(mut self) -> Infallible {
        loop {
            let holds = is_held(*self.inputs.held.borrow(), Instant::now());
            if holds {
                let outcome = self.look().await;
                self.report(&outcome);
            } else {
                self.is_removed = false;
                self.report(&Outcome::Unknown);
            }
            let is_unknown = holds && self.status.borrow().is_none();
            let interval = if is_unknown { SNAPSHOT_INTERVAL } else { POLL_INTERVAL };
            let wait = self.settles_in().unwrap_or(interval).min(interval);
            select! {
                Ok(()) = self.inputs.applied_config.changed() => { self.is_removed = false; }
                () = wait_for_change(&mut self.inputs.held, holds) => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Returns the time until a new policy is in force everywhere, or `None` if no policy waits for that.
    fn settles_in(&self) -> Option<Duration> {
        let left = self.inputs.settling.checked_sub(self.created?.elapsed())?;
        (!left.is_zero()).then_some(left)
    }

    async fn look(&mut self) -> Outcome {
        let guard = self.inputs.guard.load_full();
        let Some(guard) = guard else { return Outcome::Unknown };
        let owner = match search(&self.client, &self.names).await {
            OwnerLookup::Found(owner) => Some(owner),
            OwnerLookup::NotNamed => None,
            // What is written then would outlive the release.
            OwnerLookup::Absent => return Outcome::Off,
            OwnerLookup::Unreadable(why) => return Outcome::Failed { why, is_there: false },
        };
        let installation = Installation {
            name: self.names.release.clone(),
            namespace: self.namespace.clone(),
            // A policy names no address.
            address: Address::Url(String::new()),
            owner,
            labels: BTreeMap::new(),
        };
        let asked = match guard.policy.backstop {
            BackstopMode::Off => None,
            BackstopMode::Beside | BackstopMode::Instead => {
                Some(backstop(&guard.policy, &guard.snapshot, &installation))
            }
        };
        let api = match asked {
            None if self.is_removed => return Outcome::Off,
            _ => PolicyApi::find(&self.client).await,
        };
        match (api, asked) {
            (Err(why), _) => self.failed(&why),
            (Ok(api), None) => self.remove(&api, &[]).await.unwrap_or(Outcome::Off),
            (Ok(api), Some(_)) if !api.validates() => Outcome::Unsupported,
            (Ok(api), Some(Err(why))) => {
                self.remove(&api, &[]).await.unwrap_or(Outcome::Impossible(why))
            }
            (Ok(api), Some(Ok(mut backstop))) => {
                let placement = api.mutating_version().and_then(|version| {
                    placement_policy(&guard.policy, &guard.snapshot, &installation, &version)
                });
                backstop.objects.extend(placement.into_iter().flatten());
                self.keep(&api, backstop).await
            }
        }
    }

    /// Removes the objects of this installation that are not among these. `None`: nothing is left of them.
    async fn remove(&mut self, api: &PolicyApi, asked: &[Value]) -> Option<Outcome> {
        match api.remove_others(&self.client, &self.names, asked).await {
            Ok(removed) => {
                for object in removed {
                    info!(
                        "deleted {object}, because the config and the nodes do not need it any more"
                    );
                }
                self.written.retain(|_, it| asked.contains(it));
                self.is_removed = asked.is_empty();
                None
            }
            Err(why) => Some(self.failed(&why)),
        }
    }

    fn failed(&self, why: &ApiError) -> Outcome {
        Outcome::Failed { why: why.to_string(), is_there: !self.written.is_empty() }
    }

    async fn keep(&mut self, api: &PolicyApi, backstop: Backstop) -> Outcome {
        let Backstop { objects, omitted } = backstop;
        self.report_omitted(omitted);
        let mut is_new = false;
        for object in &objects {
            match self.keep_one(api, object).await {
                Ok(kept) => is_new |= kept == KeepResult::Created,
                Err(why) => return self.failed(&why),
            }
        }
        self.remove(api, &objects).await.unwrap_or(Outcome::Kept { is_new })
    }

    async fn keep_one(&mut self, api: &PolicyApi, object: &Value) -> Result<KeepResult, ApiError> {
        let kept = api.keep(&self.client, &self.names, object).await?;
        let (kind, name) = (kind(object), name(object));
        let before = self.written.insert((kind.to_owned(), name.to_owned()), object.clone());
        match (kept, before) {
            (KeepResult::AsItIs, _) => {}
            (KeepResult::Created, None) => info!("created the {kind} {name}"),
            (KeepResult::Created, Some(_)) => {
                warn!(
                    "the {kind} {name} was deleted by another client; PoolGuard created it again"
                );
            }
            (KeepResult::Updated, Some(before)) if before == *object => {
                warn!("the {kind} {name} was changed by another client; PoolGuard restored it");
            }
            (KeepResult::Updated, _) => {
                info!("updated the {kind} {name} to the current config and nodes");
            }
        }
        Ok(kept)
    }

    fn report_omitted(&mut self, omitted: Omitted) {
        if omitted != self.omitted && omitted != Omitted::default() {
            warn!(
                "the backstop leaves out {} nodes and {} groups of nodes, because the policy would be larger than the \
                 API server accepts: while PoolGuard does not answer, the API server allows pods that can run only on these \
                 nodes",
                omitted.nodes, omitted.classes
            );
        }
        self.omitted = omitted;
    }

    fn report(&mut self, outcome: &Outcome) {
        let absent = Some(BackstopState::Absent);
        let before = self.status.borrow().map(|it| it.state);
        let (state, condition) = match outcome {
            Outcome::Unknown => (None, None),
            Outcome::Off => (absent, None),
            Outcome::Impossible(_) => (absent, Some(BackstopCondition::Impossible)),
            Outcome::Unsupported => (absent, Some(BackstopCondition::Unsupported)),
            Outcome::Kept { is_new } => {
                if *is_new {
                    self.created = Some(Instant::now());
                }
                match self.settles_in() {
                    Some(_) => (absent, Some(BackstopCondition::Settling)),
                    None => (Some(BackstopState::InForce), Some(BackstopCondition::InForce)),
                }
            }
            Outcome::Failed { is_there: true, .. } => {
                (before.or(absent), Some(BackstopCondition::Outdated))
            }
            Outcome::Failed { is_there: false, .. } => (absent, Some(BackstopCondition::Absent)),
        };
        let why = match outcome {
            Outcome::Impossible(why) => Some(why.to_string()),
            Outcome::Unsupported => Some(UNSUPPORTED.to_owned()),
            Outcome::Failed { why, .. } => {
                Some(format!("PoolGuard cannot keep its backstop: {why}"))
            }
            Outcome::Unknown | Outcome::Off | Outcome::Kept { .. } => None,
        };
        match why {
            Some(why) if self.failure_log.is_news(&why) => error!("{why}"),
            Some(_) => {}
            None => self.failure_log.end(),
        }
        self.metrics.set_backstop(condition);
        let status = state.map(|state| BackstopStatus { state, condition });
        self.status.send_if_modified(|before| std::mem::replace(before, status) != status);
    }
}

const UNSUPPORTED: &str = "backstop.mode is managed, but this API server has no ValidatingAdmissionPolicy in version v1 \
     (Kubernetes 1.30): there is no backstop, and the webhooks guard the pools as before";
