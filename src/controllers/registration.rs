//! The registered webhook configurations. The Lease holder writes them once a replica answers, writes them again when
//! the config changes, restores them when a client edits or deletes them, and never removes them.

pub mod additions;
mod configuration;
pub mod drift;
mod external;
mod own_registration;
mod ownership;
mod probe;
mod status;
mod trust;
mod write;
mod write_backoff;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use serde_json::Value;
use tokio::{select, sync::watch, time::sleep};

use self::{
    additions::CloudAdditions,
    configuration::{Configuration, POLL_INTERVAL, RETRY_INTERVAL, StepResult},
    external::without_metadata,
    ownership::Ownership,
    probe::Probe,
    status::publish,
};
pub use self::{
    configuration::sources,
    status::{Deviation, Drift, RegistrationStatus},
    trust::registered,
};
use crate::{
    admission::webhooks::{Address, BackstopState, Installation, entries},
    api::{
        events::EventRecorder,
        installation::InstallationNames,
        lease::{LeaseHeld, is_held, wait_for_change},
        list_watch::single_object::ObservedObject,
    },
    config,
    controllers::{
        backstop::BackstopStatus,
        certificates::{Bundle, bundle},
        found_objects::FoundObjects,
        guard::AppliedConfig,
    },
    kubernetes::resource::GroupResource,
    policy::mode::BackstopMode,
    server::readiness::Readiness,
    telemetry::metrics::Metrics,
};

/// The identity of the installation that is registered: its namespace, its names and its address.
#[derive(Clone)]
pub struct RegistrationSettings {
    /// PoolGuard's own namespace.
    pub namespace: String,
    /// The names of PoolGuard's objects.
    pub names: InstallationNames,
    /// The address at which the API server reaches PoolGuard.
    pub address: Address,
}

/// The state that other tasks publish and this controller reads.
pub struct RegistrationInputs {
    /// The config.
    pub applied_config: watch::Receiver<Option<AppliedConfig>>,
    /// The two configurations, mutating first.
    pub seen: [watch::Receiver<ObservedObject>; 2],
    /// The authorities to register; `None` while there are none yet.
    pub bundle: watch::Receiver<Option<Bundle>>,
    /// The Lease.
    pub held: watch::Receiver<LeaseHeld>,
    /// The node-pool objects that the cluster has.
    pub found: watch::Receiver<FoundObjects>,
    /// The status of the backstop; `None` while this replica does not know it.
    pub backstop: watch::Receiver<Option<BackstopStatus>>,
    /// The readiness of this replica.
    pub readiness: Readiness,
}

/// The controller that keeps the webhook configurations as the config asks for.
pub struct WebhookRegistration {
    settings: RegistrationSettings,
    applied_config: watch::Receiver<Option<AppliedConfig>>,
    bundle: watch::Receiver<Option<Bundle>>,
    held: watch::Receiver<LeaseHeld>,
    found: watch::Receiver<FoundObjects>,
    backstop: watch::Receiver<Option<BackstopStatus>>,
    metrics: Arc<Metrics>,
    status: watch::Sender<Option<RegistrationStatus>>,
    holds: bool,
    ownership: Ownership,
    probe: Probe,
    configurations: [Configuration; 2],
}

impl WebhookRegistration {
    /// Creates the controller in its initial state, before it has written anything.
    pub fn new(
        client: Client,
        settings: RegistrationSettings,
        inputs: RegistrationInputs,
        metrics: Arc<Metrics>,
        recorder: &EventRecorder,
        status: watch::Sender<Option<RegistrationStatus>>,
    ) -> Self {
        let RegistrationSettings { namespace, names, address } = &settings;
        let RegistrationInputs { applied_config, seen, bundle, held, found, backstop, readiness } =
            inputs;
        let probe = Probe::new(address.clone(), namespace.clone(), readiness);
        let configurations = Configuration::both(seen, &client, names, &metrics, recorder);
        let ownership = Ownership::new(client, names.clone());
        Self {
            settings,
            applied_config,
            bundle,
            held,
            found,
            backstop,
            metrics,
            status,
            holds: false,
            ownership,
            probe,
            configurations,
        }
    }

    /// Runs the controller until the process ends.
    pub async fn run(mut self) -> Infallible {
        loop {
            let wait = self.step().await;
            let [mutating, validating] = &mut self.configurations;
            // A sender that is gone says nothing more, which must not turn this loop into a spin.
            select! {
                Ok(()) = mutating.changed() => {}
                Ok(()) = validating.changed() => {}
                Ok(()) = self.bundle.changed() => {}
                Ok(()) = self.applied_config.changed() => {}
                Ok(()) = self.found.changed() => {}
                Ok(()) = self.backstop.changed() => {}
                () = wait_for_change(&mut self.held, self.holds) => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Compares the configurations and writes those that need it, if this replica holds the Lease. Returns the longest
    /// time to wait before the next step.
    async fn step(&mut self) -> Duration {
        self.holds = is_held(*self.held.borrow(), Instant::now());
        self.metrics.set_holds_lease(self.holds);
        let applied_config = self.applied_config.borrow_and_update().clone();
        let bundle = self.bundle.borrow_and_update().clone();
        let found = self.found.borrow_and_update().clone();
        let backstop = *self.backstop.borrow_and_update();
        if !self.holds {
            self.ownership.forget();
            self.configurations.iter_mut().for_each(Configuration::follow);
            publish(RegistrationStatus::default(), false, &self.metrics, &self.status);
            return RETRY_INTERVAL;
        }
        let (Some(applied_config), Some(bundle), Some(found)) = (applied_config, bundle, found)
        else {
            return RETRY_INTERVAL;
        };
        // A new holder does not close what is open because of a backstop that it has not looked at.
        let backstop = match (applied_config.policy.backstop, backstop) {
            (_, Some(status)) => status.state,
            (BackstopMode::Off | BackstopMode::Beside, None) => BackstopState::Absent,
            (BackstopMode::Instead, None) => return RETRY_INTERVAL,
        };
        // Looked at before their owner: one that goes later goes with an owner that is looked for again.
        let seen = self.configurations.each_mut().map(Configuration::look);
        self.ownership.find(seen.contains(&ObservedObject::Absent)).await;
        let is_known = !seen.iter().any(|it| matches!(it, ObservedObject::Unknown(_)));
        let is_external =
            applied_config.settings.registration == config::RegistrationMode::External;
        let desired = self.desired(&applied_config, &found, &bundle, backstop);
        let additions = CloudAdditions::from(applied_config.policy.provider);
        let (mut wait, mut status) = (POLL_INTERVAL, RegistrationStatus::default());
        let all = self.configurations.iter_mut().zip(desired).zip(seen);
        for ((configuration, mut desired), seen) in all {
            if is_external {
                desired = without_metadata(desired);
            }
            let kept = match Drift::of(&desired, &seen, additions) {
                None => configuration.as_asked_for(&desired),
                Some(drift) if is_external => {
                    configuration.patch_ca_bundle_only(&desired, &seen, drift).await
                }
                Some(drift @ Drift::Absent)
                    if self.ownership.is_absent() || !self.probe.answers(&bundle).await =>
                {
                    StepResult::soon(drift)
                }
                Some(drift) => configuration.overwrite(&desired, &seen, drift, additions).await,
            };
            wait = wait.min(kept.look_again);
            status.0.extend(kept.drift.map(|drift| configuration.deviation(drift)));
        }
        publish(status, is_known, &self.metrics, &self.status);
        wait
    }

    /// Returns the two configurations that PoolGuard should register, mutating first.
    fn desired(
        &self,
        applied_config: &AppliedConfig,
        found: &BTreeSet<GroupResource>,
        bundle: &Bundle,
        backstop: BackstopState,
    ) -> [Value; 2] {
        let RegistrationSettings { namespace, names, address } = &self.settings;
        let installation = Installation {
            name: names.release.clone(),
            namespace: namespace.clone(),
            address: address.clone(),
            owner: self.ownership.owner().cloned(),
            labels: BTreeMap::new(),
        };
        let pem = bundle::pem(bundle);
        let pem = Some(pem.as_bytes()).filter(|pem| !pem.is_empty());
        let policy = applied_config.policy.with_node_pool_objects(found);
        entries(&policy, namespace, backstop).objects(&installation, pem)
    }
}
