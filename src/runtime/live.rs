//! A live cluster: its watches, and what an installed replica does beside answering.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Client, Config};
use tokio::{select, sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{Certificate, Shared, Tasks, certificates_without_authority};
use crate::{
    admission::webhooks::Address,
    api::{
        client,
        events::{EventQueue, EventRecorder, denials},
        installation::InstallationNames,
        lease::{Candidate, LeaseHeld, ReplicaFacts},
        list_watch::{
            WatchSource, follow,
            single_object::{ObservedObject, watch_one},
        },
        reports::writer::{
            Reports,
            denials::{DenialReports, ReportQueue},
        },
    },
    controllers::{
        backstop::{BackstopController, BackstopInputs, BackstopStatus},
        certificates::{
            Bundle, Registered,
            files::Files,
            own_authority::{
                self, AuthorityInputs, AuthorityOutputs, AuthoritySettings, OwnAuthority,
            },
        },
        cluster_store::ClusterStore,
        found_objects,
        guard::AppliedConfig,
        registration::{
            self, RegistrationInputs, RegistrationSettings, RegistrationStatus, WebhookRegistration,
        },
        scan::{ScanController, ScanInputs},
    },
    server::tls::Certificates,
    service::PolicyAndSnapshotCell,
    telemetry::metrics::Metrics,
};

/// A live cluster, and the installation in it that this replica belongs to, if any.
#[derive(Clone, Debug)]
pub struct Live {
    /// The client configuration to reach the API server.
    pub config: Config,
    /// The installation that this replica works for beside answering. Without it, this process only watches.
    pub installed: Option<ReplicaSettings>,
}

/// The settings of this process as a replica of an installation.
#[derive(Clone, Debug)]
pub struct ReplicaSettings {
    /// The namespace of the installation; without it, the pod's own.
    pub namespace: Option<String>,
    /// The names of the installation's objects.
    pub names: InstallationNames,
    /// The name of this replica.
    pub identity: String,
    /// The address at which the API server reaches PoolGuard.
    pub address: Address,
    /// The time that a new certificate authority waits before it signs.
    pub rotation_wait: Duration,
    /// Whether PoolGuard writes reports, if the cluster has a kind for them.
    pub writes_reports: bool,
}

/// A live cluster with a client for it.
pub(super) struct Connected {
    client: Client,
    installed: Option<ReplicaSettings>,
    /// The denials that are still to be written to reports.
    report_queue: ReportQueue,
}

/// The task that keeps the Lease.
pub(super) struct LeaseTask {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The time limit for releasing the Lease, which takes two requests: one to read it and one to write it.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);

impl Live {
    /// Creates the client. It opens no connection yet, because PoolGuard waits for an API server that cannot be
    /// reached.
    pub(super) fn connect(self) -> anyhow::Result<Connected> {
        let Self { config, installed } = self;
        let client = client::connect(config)?;
        Ok(Connected { client, installed, report_queue: ReportQueue::default() })
    }
}

impl Connected {
    /// Begins to watch the cluster.
    pub(super) fn observe(&self, metrics: &Arc<Metrics>, tasks: &mut Tasks) -> Arc<ClusterStore> {
        let cluster_store = ClusterStore::new(Arc::clone(metrics));
        for (source, sink) in cluster_store.watches() {
            tasks.spawn(follow(self.client.clone(), source, sink));
        }
        cluster_store
    }

    /// Begins to write Events of denials and warnings, if this is a replica of an installation.
    pub(super) fn start_event_writer(
        &self,
        shared: &Shared,
        tasks: &mut Tasks,
    ) -> Option<EventQueue> {
        let installed = self.installed.as_ref()?;
        let recorder = EventRecorder::new(self.client.clone(), installed.identity.clone());
        let report_queue = installed.writes_reports.then(|| self.report_queue.clone());
        let (denials, event_writer) =
            denials(recorder, shared.metrics.events_dropped.clone(), report_queue);
        tasks.spawn(event_writer.run());
        Some(denials)
    }

    /// Starts the tasks of a replica of an installation.
    pub(super) fn start_replica_tasks(
        self,
        certificate: Certificate,
        (guard, applied_config): (PolicyAndSnapshotCell, watch::Receiver<Option<AppliedConfig>>),
        shared: &Shared,
        tasks: &mut Tasks,
    ) -> anyhow::Result<(Arc<Certificates>, Option<LeaseTask>)> {
        let Self { client, installed, report_queue } = self;
        let Some(installed) = installed else {
            return Ok((certificates_without_authority(certificate, shared, tasks)?, None));
        };
        let ReplicaSettings { namespace, names, identity, address, rotation_wait, writes_reports } =
            installed;
        let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        let server_names = server_names(&address, &namespace);
        let (scanned, facts) = replica_facts(applied_config.clone());
        let (lease, held) = LeaseTask::of_replica(&client, (&namespace, &identity), &names, facts);
        let status = watch::Sender::new(None);
        let reports = writes_reports.then(|| Reports::new(client.clone(), names.clone()));
        write_denial_reports(reports.clone(), report_queue, &held, tasks);
        let backstop = BackstopInputs {
            guard: Arc::clone(&guard),
            applied_config: applied_config.clone(),
            held: held.clone(),
            settling: rotation_wait,
        };
        let backstop = keep_backstop(&client, (&namespace, &names), backstop, shared, tasks);
        let inputs = ScanInputs {
            guard,
            applied_config: applied_config.clone(),
            held: held.clone(),
            registration: status.subscribe(),
            backstop: backstop.clone(),
            scanned,
            reports,
        };
        tasks.spawn(ScanController::new(client.clone(), inputs, Arc::clone(&shared.metrics)).run());
        let seen = registration::sources(&names).map(|source| watch_object(&client, source, tasks));
        let registered = registered(&seen, tasks);
        let (bundle, found) = (watch::Sender::new(None), watch::Sender::new(None));
        let inputs = RegistrationInputs {
            applied_config,
            seen,
            bundle: bundle.subscribe(),
            held: held.clone(),
            found: found.subscribe(),
            backstop,
            readiness: shared.readiness.clone(),
        };
        let settings =
            RegistrationSettings { namespace: namespace.clone(), names: names.clone(), address };
        keep_registration(&client, settings, inputs, identity, status, shared, tasks);
        tasks.spawn(found_objects::follow(client.clone(), found));
        let (wait, clock) = (rotation_wait, Arc::clone(&shared.clock));
        let certificates = match certificate {
            Certificate::Files(paths) => {
                let files = Files::open(paths, Arc::clone(&shared.metrics), clock)?;
                let certificates = files.certificates();
                tasks.spawn(files.run(bundle, registered, shared.certified.clone()));
                certificates
            }
            Certificate::InMemory | Certificate::Managed => {
                let source = own_authority::source(&namespace, &names);
                let secret = watch_object(&client, source, tasks);
                let settings = AuthoritySettings { namespace, names, server_names, wait, clock };
                let inputs = AuthorityInputs { secret, registered, held };
                keep_authority(client, settings, inputs, bundle, shared, tasks)
            }
        };
        Ok((certificates, Some(lease)))
    }
}

/// Begins to keep the webhook configurations.
fn keep_registration(
    client: &Client,
    settings: RegistrationSettings,
    inputs: RegistrationInputs,
    identity: String,
    status: watch::Sender<Option<RegistrationStatus>>,
    shared: &Shared,
    tasks: &mut Tasks,
) {
    let recorder = EventRecorder::new(client.clone(), identity);
    let (client, metrics) = (client.clone(), Arc::clone(&shared.metrics));
    let registration =
        WebhookRegistration::new(client, settings, inputs, metrics, &recorder, status);
    tasks.spawn(registration.run());
}

/// Begins to write reports of denials, if the installation has reports.
fn write_denial_reports(
    reports: Option<Reports>,
    queue: ReportQueue,
    held: &watch::Receiver<LeaseHeld>,
    tasks: &mut Tasks,
) {
    if let Some(reports) = reports {
        tasks.spawn(DenialReports::new(reports, queue, held.clone()).run());
    }
}

/// Returns the sender of the time of the last scan, and the function that reads the facts that this replica
/// publishes about itself.
fn replica_facts(
    applied_config: watch::Receiver<Option<AppliedConfig>>,
) -> (watch::Sender<Option<Timestamp>>, Box<dyn Fn() -> ReplicaFacts + Send + Sync>) {
    let (scanned, last_scan) = watch::channel(None);
    let facts = move || ReplicaFacts {
        config: applied_config.borrow().as_ref().map(|it| it.hash.clone()),
        scanned: *last_scan.borrow(),
    };
    (scanned, Box::new(facts))
}

/// Begins to keep the backstop. Returns its status, which is `None` until this replica knows it.
fn keep_backstop(
    client: &Client,
    (namespace, names): (&str, &InstallationNames),
    inputs: BackstopInputs,
    shared: &Shared,
    tasks: &mut Tasks,
) -> watch::Receiver<Option<BackstopStatus>> {
    let (status, receiver) = watch::channel(None);
    let (namespace, names) = (namespace.to_owned(), names.clone());
    let metrics = Arc::clone(&shared.metrics);
    let controller =
        BackstopController::new(client.clone(), namespace, names, inputs, metrics, status);
    tasks.spawn(controller.run());
    receiver
}

/// Begins to keep a certificate authority, and to serve what it signs.
fn keep_authority(
    client: Client,
    settings: AuthoritySettings,
    inputs: AuthorityInputs,
    bundle: watch::Sender<Option<Bundle>>,
    shared: &Shared,
    tasks: &mut Tasks,
) -> Arc<Certificates> {
    let certificates = Arc::new(Certificates::default());
    let outputs = AuthorityOutputs {
        certificates: Arc::clone(&certificates),
        bundle,
        certified: shared.certified.clone(),
        metrics: Arc::clone(&shared.metrics),
    };
    tasks.spawn(OwnAuthority::new(client, settings, inputs, outputs).run());
    certificates
}

/// Watches one object.
fn watch_object(
    client: &Client,
    source: WatchSource,
    tasks: &mut Tasks,
) -> watch::Receiver<ObservedObject> {
    let (sink, seen) = watch_one(&source);
    tasks.spawn(follow(client.clone(), source, sink));
    seen
}

/// Begins to follow the registered configurations. Returns the authorities that they trust, as they change.
fn registered(
    seen: &[watch::Receiver<ObservedObject>; 2],
    tasks: &mut Tasks,
) -> watch::Receiver<Registered> {
    let (sender, receiver) = watch::channel(Registered::Unknown(None));
    let [mut mutating, mut validating] = seen.clone();
    tasks.spawn(async move {
        loop {
            let now = registration::registered([
                &mutating.borrow_and_update(),
                &validating.borrow_and_update(),
            ]);
            sender.send_if_modified(|before| {
                let is_new = *before != now;
                *before = now;
                is_new
            });
            select! {
                Ok(()) = mutating.changed() => {}
                Ok(()) = validating.changed() => {}
                else => std::future::pending().await,
            }
        }
    });
    receiver
}

/// Returns the host names by which the API server calls the webhook.
fn server_names(address: &Address, namespace: &str) -> Vec<String> {
    match address {
        Address::Service { name, .. } => ["svc", "svc.cluster.local"]
            .into_iter()
            .map(|suffix| format!("{name}.{namespace}.{suffix}"))
            .collect(),
        Address::Url(url) => {
            let uri = url.parse::<http::Uri>().ok();
            let host = uri.as_ref().and_then(http::Uri::host).unwrap_or("localhost");
            vec![host.trim_start_matches('[').trim_end_matches(']').to_owned()]
        }
    }
}

impl LeaseTask {
    /// Starts the task that competes for the Lease.
    fn of_replica(
        client: &Client,
        (namespace, identity): (&str, &str),
        names: &InstallationNames,
        facts: Box<dyn Fn() -> ReplicaFacts + Send + Sync>,
    ) -> (Self, watch::Receiver<LeaseHeld>) {
        let (client, identity) = (client.clone(), identity.to_owned());
        let (candidate, held) = Candidate::new(client, namespace, names.clone(), identity, facts);
        (Self::spawn(candidate), held)
    }

    fn spawn(mut candidate: Candidate) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            select! {
                never = candidate.run() => match never {},
                () = stopped.cancelled() => {}
            }
            candidate.release().await;
        });
        Self { stop, task }
    }

    /// Releases the Lease, if this replica holds it.
    pub(super) async fn release(self) {
        self.stop.cancel();
        // A task that panicked has said so in the log, and the Lease runs out by itself.
        drop(timeout(RELEASE_TIMEOUT, self.task).await);
    }
}
