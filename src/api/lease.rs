//! The Lease, which allows one replica at a time to do the work that only one should do. Every replica
//! answers requests.
//!
//! A replica decides by its own clock whether the holder is alive: the holder is alive while its Lease
//! changes. The clocks of other machines do not matter. A holder that cannot renew the Lease stops acting
//! as the holder before another replica can take the Lease.
//!
//! Every replica publishes facts in annotations of the Lease, which `poolguard status` reads.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use crate::{
    api::{
        client::{self, ApiError},
        installation::InstallationNames,
        owner,
        rbac::{self, RoleScope},
    },
    telemetry::log_once::LogOnce,
};

/// The time for which a Lease is valid without being renewed.
const DURATION: Duration = Duration::from_secs(15);

/// The time for which a replica acts as the holder without having renewed the Lease. It is shorter than
/// [`DURATION`], so that two replicas never act as the holder at the same time.
const RENEW_WITHIN: Duration = Duration::from_secs(10);

/// The average interval at which a replica reads the Lease, and the holder renews it.
const PERIOD: Duration = Duration::from_secs(2);

/// The time until which this replica holds the Lease; `None` while it does not.
pub type LeaseHeld = Option<Instant>;

/// Whether the Lease is held at that moment.
pub fn is_held(held: LeaseHeld, now: Instant) -> bool {
    held.is_some_and(|until| now < until)
}

/// Completes when the state of the Lease differs from the given one: gained or lost.
pub async fn wait_for_change(held: &mut watch::Receiver<LeaseHeld>, was_held: bool) {
    let is_other = |held: &LeaseHeld| is_held(*held, Instant::now()) != was_held;
    let is_gone = held.wait_for(is_other).await.is_err();
    if is_gone {
        // A sender that is gone says nothing more, which must not turn the caller's loop into a spin.
        std::future::pending::<Infallible>().await;
    }
}

/// The annotation with what each replica publishes, by its name.
pub const REPLICAS: &str = "poolguard.io/replicas";
/// The annotation with the time of the last scan that succeeded.
pub const LAST_SCAN: &str = "poolguard.io/last-scan";
/// The largest number of replicas that publish. Replicas that are gone stay until others need their place.
const REPLICAS_MAX: usize = 20;

/// The facts that a replica publishes about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaFacts {
    /// The hash of the config that is in force at the replica.
    pub config: Option<String>,
    /// The time of the replica's last scan that succeeded.
    pub scanned: Option<Timestamp>,
}

/// The published facts about a replica.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PublishedFacts {
    /// The hash of the config that is in force at the replica.
    pub config: String,
    /// The time since which the replica has published this hash.
    since: Timestamp,
}

/// Returns the facts that the replicas have published in this annotation, by the names of the replicas.
pub fn published(annotation: Option<&str>) -> BTreeMap<String, PublishedFacts> {
    annotation.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Publishes the facts of a replica in these annotations. Returns whether that changes the annotations.
fn publish(
    annotations: &mut BTreeMap<String, String>,
    identity: &str,
    facts: ReplicaFacts,
    now: Timestamp,
) -> bool {
    let before = annotations.clone();
    let mut all = published(annotations.get(REPLICAS).map(String::as_str));
    if let Some(config) =
        facts.config.filter(|it| all.get(identity).is_none_or(|all| all.config != *it))
    {
        all.insert(identity.to_owned(), PublishedFacts { config, since: now });
        while all.len() > REPLICAS_MAX {
            let oldest =
                all.iter().min_by_key(|(_, facts)| facts.since).map(|(name, _)| name.clone());
            all.remove(&oldest.unwrap_or_default());
        }
        annotations
            .extend(serde_json::to_string(&all).ok().map(|text| (REPLICAS.to_owned(), text)));
    }
    annotations.extend(facts.scanned.map(|at| (LAST_SCAN.to_owned(), at.to_string())));
    *annotations != before
}

/// The last observed state of the Lease, and the time at which a change was observed last.
#[derive(Debug, Default)]
struct Observed {
    holder: String,
    renewed: Option<MicroTime>,
    changed_at: Option<Instant>,
}

/// The next step of a replica for the Lease.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Renew,
    Take,
    Wait,
}

impl Observed {
    /// Records the current state of the Lease.
    fn note(&mut self, spec: &LeaseSpec, now: Instant) {
        let holder = spec.holder_identity.clone().unwrap_or_default();
        if self.changed_at.is_none() || self.holder != holder || self.renewed != spec.renew_time {
            self.changed_at = Some(now);
        }
        self.holder = holder;
        self.renewed.clone_from(&spec.renew_time);
    }

    fn step(&self, identity: &str, now: Instant) -> Step {
        if self.holder == identity {
            return Step::Renew;
        }
        let silent = self.changed_at.is_some_and(|at| now.duration_since(at) >= DURATION);
        if self.holder.is_empty() || silent { Step::Take } else { Step::Wait }
    }
}

/// A replica that competes for the Lease.
pub struct Candidate {
    client: Client,
    api: Api<Lease>,
    names: InstallationNames,
    identity: String,
    facts: Box<dyn Fn() -> ReplicaFacts + Send + Sync>,
    held: watch::Sender<LeaseHeld>,
    observed: Observed,
    failure_log: LogOnce,
}

impl Candidate {
    /// Creates a candidate of this name that publishes these facts, and a receiver that tells whether the
    /// candidate holds the Lease.
    pub fn new(
        client: Client,
        namespace: &str,
        names: InstallationNames,
        identity: String,
        facts: Box<dyn Fn() -> ReplicaFacts + Send + Sync>,
    ) -> (Self, watch::Receiver<LeaseHeld>) {
        let (held, receiver) = watch::channel(None);
        let (observed, failure_log) = (Observed::default(), LogOnce::default());
        let api = Api::namespaced(client.clone(), namespace);
        (Self { client, api, names, identity, facts, held, observed, failure_log }, receiver)
    }

    /// Takes the Lease when it is free, and renews it, until the process ends.
    pub async fn run(&mut self) -> Infallible {
        loop {
            let asked = Instant::now();
            let deadline = self
                .held
                .borrow()
                .map_or(RENEW_WITHIN, |until| until.saturating_duration_since(asked));
            let tried = timeout(deadline.max(PERIOD), self.try_once()).await;
            match tried
                .unwrap_or_else(|_| Err(ApiError::NotAnswered("it does not answer".to_owned())))
            {
                Ok(true) => self.hold(asked + RENEW_WITHIN),
                Ok(false) => self.lose("another replica holds the Lease"),
                Err(why) => self.complain(&why.to_string()),
            }
            if !is_held(*self.held.borrow(), Instant::now()) {
                self.lose("this replica could not renew the Lease in time");
            }
            sleep(PERIOD.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        }
    }

    /// Releases the Lease, so that another replica need not wait until it expires.
    pub async fn release(&mut self) {
        if self.held.borrow().is_none() {
            return;
        }
        self.held.send_replace(None);
        let freed = async {
            let mut lease = self.api.get(&self.names.release).await?;
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.identity) {
                spec.holder_identity = Some(String::new());
                self.api.replace(&self.names.release, &PostParams::default(), &lease).await?;
            }
            Ok::<_, kube::Error>(())
        };
        match timeout(PERIOD, freed).await {
            Ok(Ok(())) => info!("released the Lease"),
            Ok(Err(error)) => warn!("could not release the Lease: {}", client::explain(&error)),
            Err(_) => warn!("could not release the Lease: the API server does not answer"),
        }
    }

    /// Tries once to take or renew the Lease, and publishes the facts. Returns whether this replica holds
    /// the Lease now.
    async fn try_once(&mut self) -> Result<bool, ApiError> {
        // Another replica may publish at the same moment.
        for _ in 0..2 {
            if let Some(holds) = self.try_to_write().await? {
                return Ok(holds);
            }
        }
        Ok(false)
    }

    /// Writes the Lease. Returns whether this replica holds the Lease now; `None` if another client wrote
    /// it meanwhile.
    async fn try_to_write(&mut self) -> Result<Option<bool>, ApiError> {
        let right = rbac::leading(&self.names);
        let found = self.api.get_opt(&self.names.release).await;
        let Some(mut lease) = found.map_err(|error| client::explain_with(&error, &right))? else {
            return self.create().await.map(Some);
        };
        let annotations = lease.metadata.annotations.get_or_insert_default();
        let facts = (self.facts)();
        let has_news = publish(annotations, &self.identity, facts, Timestamp::now());
        let spec = lease.spec.get_or_insert_default();
        self.observed.note(spec, Instant::now());
        let step = self.observed.step(&self.identity, Instant::now());
        if step == Step::Take {
            spec.holder_identity = Some(self.identity.clone());
            spec.acquire_time = Some(now());
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default() + 1);
        }
        if step != Step::Wait {
            spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
            spec.renew_time = Some(now());
        } else if !has_news {
            return Ok(Some(false));
        }
        let replaced = self.api.replace(&self.names.release, &PostParams::default(), &lease).await;
        match replaced {
            Ok(_) => Ok(Some(step != Step::Wait)),
            Err(error) if client::code(&error) == Some(409) => Ok(None),
            Err(error) => Err(client::explain_with(&error, &right)),
        }
    }

    async fn create(&self) -> Result<bool, ApiError> {
        let owners = owner::references(&self.client, &self.names).await;
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(now()),
            renew_time: Some(now()),
            lease_transitions: Some(0),
            ..LeaseSpec::default()
        };
        let metadata = ObjectMeta {
            name: Some(self.names.release.clone()),
            owner_references: serde_json::from_value(owners.into()).ok(),
            ..ObjectMeta::default()
        };
        let lease = Lease { metadata, spec: Some(spec) };
        match self.api.create(&PostParams::default(), &lease).await {
            Ok(_) => Ok(true),
            Err(error) if client::code(&error) == Some(409) => Ok(false),
            Err(error) => {
                let right = rbac::creating(RoleScope::Namespace, "coordination.k8s.io", "leases");
                Err(client::explain_with(&error, &right))
            }
        }
    }

    fn hold(&mut self, until: Instant) {
        self.failure_log.end();
        if self.held.send_replace(Some(until)).is_none() {
            info!(
                identity = self.identity,
                "this replica holds the Lease: it registers the webhooks and rotates the \
                 certificate authority"
            );
        }
    }

    fn lose(&self, why: &str) {
        if self.held.send_replace(None).is_some() {
            warn!("this replica no longer holds the Lease: {why}");
        }
    }

    fn complain(&mut self, why: &str) {
        if self.failure_log.is_news(why) {
            warn!("this replica cannot compete for the Lease: {why}");
        }
    }
}

fn now() -> MicroTime {
    MicroTime(Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(holder: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            renew_time: Some(MicroTime(Timestamp::from_second(renewed).expect("is a time"))),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_that_stands_still_can_be_taken_whatever_its_times_say() {
        let start = Instant::now();
        let mut observed = Observed::default();
        observed.note(&spec("other", 0), start);
        assert_eq!(observed.step("me", start), Step::Wait, "its clock may be wrong");
        observed.note(&spec("other", 0), start + DURATION / 2);
        assert_eq!(observed.step("me", start + DURATION / 2), Step::Wait);
        observed.note(&spec("other", 1), start + DURATION);
        assert_eq!(observed.step("me", start + DURATION), Step::Wait, "it was renewed");
        assert_eq!(observed.step("me", start + DURATION * 2), Step::Take);
    }

    #[test]
    fn replicas_that_are_gone_make_room() {
        let mut annotations = BTreeMap::new();
        let at = |second| Timestamp::from_second(second).expect("is a time");
        let facts = |config: &str| ReplicaFacts { config: Some(config.to_owned()), scanned: None };
        for number in 0..=20 {
            assert!(publish(&mut annotations, &number.to_string(), facts("a"), at(number)));
        }
        assert!(!publish(&mut annotations, "20", facts("a"), at(30)), "nothing is new");
        assert!(publish(&mut annotations, "20", facts("b"), at(30)));
        let all = published(annotations.get(REPLICAS).map(String::as_str));
        assert_eq!((all.len(), all.contains_key("0"), &*all["20"].config), (20, false, "b"));
        let scanned = ReplicaFacts { config: None, scanned: Some(at(5)) };
        assert!(publish(&mut annotations, "20", scanned, at(31)));
        assert_eq!(annotations[LAST_SCAN], "1970-01-01T00:00:05Z");
    }

    #[test]
    fn a_lease_without_a_holder_is_free() {
        let mut observed = Observed::default();
        observed.note(&spec("", 0), Instant::now());
        assert_eq!(observed.step("me", Instant::now()), Step::Take);
        observed.note(&spec("me", 0), Instant::now());
        assert_eq!(observed.step("me", Instant::now()), Step::Renew);
    }

    #[test]
    fn whoever_cannot_renew_stops_before_anybody_can_follow() {
        assert!(RENEW_WITHIN < DURATION);
        let renewed = Instant::now();
        let held = Some(renewed + RENEW_WITHIN);
        assert!(is_held(held, renewed));
        assert!(!is_held(held, renewed + RENEW_WITHIN));
        assert!(!is_held(None, renewed));
    }
}
