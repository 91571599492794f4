//! The registered webhook configurations: written by the Lease holder once something answers, healed
//! when somebody edits or deletes them, written again when the config changes, and never removed.

mod contest;
pub mod drift;
mod ownership;
mod probe;
mod trouble;
mod trust;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{
    Client,
    api::{Patch, PatchParams},
    core::Request,
};
use serde_json::{Value, json};
use tokio::{
    select,
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{info, warn};

pub use self::trust::registered;
use self::{
    contest::Contest,
    drift::{Difference, differences, with_foreign_parts},
    ownership::Ownership,
    probe::Probe,
    trouble::Trouble,
};
use crate::{
    certs::{Bundle, bundle},
    client::{self, REQUEST_TIMEOUT},
    config,
    entries::{Address, Installation, entries},
    events::{Event, Gravity, Recorder},
    guarding::InForce,
    lease::{Held, is_held, turned},
    metrics::{Metrics, label::RegistrationWrite},
    rights::{self, ADMISSION_GROUP, Names, WEBHOOK_CONFIGURATIONS},
    server::readiness::Readiness,
    watch::{Source, one::Seen},
};

/// How often everything is looked at without a reason.
const LOOK: Duration = Duration::from_secs(5);

/// The watch shows what was written after this long, or something has come in between.
const WATCH_LAG: Duration = Duration::from_secs(2);

const FIELD_MANAGER: &str = "poolguard";
const BUNDLE_MANAGER: &str = "poolguard-ca-bundle";

/// Kinds of the two configurations, in the order of [`WEBHOOK_CONFIGURATIONS`].
const KINDS: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// What is registered, and in whose name.
#[derive(Clone)]
pub struct Settings {
    /// PoolGuard's own namespace.
    pub namespace: String,
    /// What its objects are called.
    pub names: Names,
    /// Where the API server finds it.
    pub address: Address,
}

/// What others know.
pub struct Inputs {
    /// The config.
    pub in_force: watch::Receiver<Option<InForce>>,
    /// The two configurations, mutating first.
    pub seen: [watch::Receiver<Seen>; 2],
    /// The authorities to register; `None` while there are none yet.
    pub bundle: watch::Receiver<Option<Bundle>>,
    /// The Lease.
    pub held: watch::Receiver<Held>,
    /// Whether this replica answers.
    pub readiness: Readiness,
}

/// Keeps the configurations as they should be.
pub struct Registration {
    client: Client,
    settings: Settings,
    inputs: Inputs,
    metrics: Arc<Metrics>,
    recorder: Recorder,
    holds: bool,
    ownership: Ownership,
    probe: Probe,
    contests: [Contest; 2],
    written: [Option<Written>; 2],
    reported: [Vec<Difference>; 2],
    is_absence_reported: [bool; 2],
    troubles: [Trouble; 2],
}

/// What was written, which the watch has yet to show.
struct Written {
    at: Instant,
    /// The version that the watch had shown by then.
    over: Option<String>,
    object: Value,
}

/// The configurations, and what it takes to watch them; mutating first.
pub fn sources(names: &Names) -> [Source; 2] {
    WEBHOOK_CONFIGURATIONS.map(|resource| Source {
        path: path(resource),
        metadata_only: false,
        name: Some(names.release.clone()),
        right: rights::configuration(resource, names),
    })
}

fn path(resource: &str) -> String {
    format!("/apis/{ADMISSION_GROUP}/v1/{resource}")
}

impl Registration {
    /// With nothing written yet.
    pub fn new(
        client: Client,
        settings: Settings,
        inputs: Inputs,
        metrics: Arc<Metrics>,
        recorder: Recorder,
    ) -> Self {
        let ownership = Ownership::new(client.clone(), settings.names.clone());
        let Settings { namespace, address, .. } = &settings;
        let probe = Probe::new(address.clone(), namespace.clone(), inputs.readiness.clone());
        Self {
            client,
            settings,
            inputs,
            metrics,
            recorder,
            holds: false,
            ownership,
            probe,
            contests: Default::default(),
            written: Default::default(),
            reported: Default::default(),
            is_absence_reported: Default::default(),
            troubles: Default::default(),
        }
    }

    /// Keeps them, for ever.
    pub async fn run(mut self) -> Infallible {
        loop {
            let wait = self.step().await;
            let [mutating, validating] = &mut self.inputs.seen;
            // A sender that is gone says nothing more, which must not turn this loop into a spin.
            select! {
                Ok(()) = mutating.changed() => {}
                Ok(()) = validating.changed() => {}
                Ok(()) = self.inputs.bundle.changed() => {}
                Ok(()) = self.inputs.in_force.changed() => {}
                () = turned(&mut self.inputs.held, self.holds) => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Does what is to be done now; when to look again at the latest.
    async fn step(&mut self) -> Duration {
        let holds = is_held(*self.inputs.held.borrow(), Instant::now());
        self.holds = holds;
        self.metrics.set_holds_lease(holds);
        let in_force = self.inputs.in_force.borrow_and_update().clone();
        let bundle = self.inputs.bundle.borrow_and_update().clone();
        let (Some(in_force), Some(bundle), true) = (in_force, bundle, holds) else {
            if !holds {
                self.ownership.forget();
                self.metrics.set_registration_drift(0);
            }
            return Duration::from_secs(1);
        };
        let is_gone = |seen: &watch::Receiver<Seen>| *seen.borrow() == Seen::Absent;
        self.ownership.find(self.inputs.seen.iter().any(is_gone)).await;
        let pem = bundle::pem(&bundle);
        let pem = Some(pem.as_bytes()).filter(|pem| !pem.is_empty());
        let all = entries(&in_force.policy, &self.settings.namespace);
        let desired = all.objects(&self.installation(), pem);
        let (mut wait, mut drifted) = (LOOK, 0);
        for (index, desired) in desired.iter().enumerate() {
            let Some(receiver) = self.inputs.seen.get_mut(index) else { continue };
            let seen = receiver.borrow_and_update().clone();
            let seen = self.or_written(index, seen);
            let kept = match in_force.settings.registration {
                config::Registration::Managed => self.keep(index, desired, &seen, &bundle).await,
                config::Registration::External => self.complete(index, desired, &seen).await,
            };
            wait = wait.min(kept.look_again);
            drifted += usize::from(kept.is_drifted);
        }
        self.metrics.set_registration_drift(drifted);
        wait
    }

    /// What was just written, until the watch shows something else than before: to write it again
    /// would not make it come sooner.
    fn or_written(&mut self, index: usize, seen: Seen) -> Seen {
        let Some(written) = self.written.get_mut(index) else { return seen };
        let is_behind =
            |it: &mut Written| it.at.elapsed() < WATCH_LAG && it.over == version(seen.object());
        match written.take_if(|it| !is_behind(it)) {
            Some(_) => seen,
            None => match written {
                Some(written) => Seen::Present(written.object.clone()),
                None => seen,
            },
        }
    }

    fn installation(&self) -> Installation {
        Installation {
            name: self.settings.names.release.clone(),
            namespace: self.settings.namespace.clone(),
            address: self.settings.address.clone(),
            owner: self.ownership.owner().cloned(),
            labels: BTreeMap::new(),
        }
    }

    /// Keeps a configuration as it should be.
    async fn keep(&mut self, index: usize, desired: &Value, seen: &Seen, bundle: &Bundle) -> Kept {
        let has_entries = desired.pointer("/webhooks/0").is_some();
        let (found, reason) = match seen {
            Seen::Unknown(_) => return Kept::LATER,
            Seen::Absent if !has_entries => return Kept::GOOD,
            Seen::Absent => {
                if self.ownership.is_absent() || !self.probe.answers(bundle).await {
                    return Kept::SOON;
                }
                (Vec::new(), RegistrationWrite::Absent)
            }
            Seen::Present(live) => match differences(desired, live) {
                found if found.is_empty() => {
                    self.reported_mut(index).clear();
                    return Kept::GOOD;
                }
                found => (found, RegistrationWrite::Changed),
            },
        };
        if let Some(wait) = self.contest(index, desired) {
            return Kept { look_again: wait, is_drifted: true };
        }
        let body = match seen.object() {
            Some(live) => with_foreign_parts(desired, live),
            None => desired.clone(),
        };
        self.say_why(index, &found, reason).await;
        self.apply(index, &body, FIELD_MANAGER, reason).await
    }

    /// With the configurations written by others: completes their `caBundle`, and reports the rest.
    async fn complete(&mut self, index: usize, desired: &Value, seen: &Seen) -> Kept {
        let kind = kind(index);
        let live = match seen {
            Seen::Unknown(_) => return Kept::LATER,
            Seen::Absent if desired.pointer("/webhooks/0").is_none() => return Kept::GOOD,
            Seen::Absent => {
                let reported = self.is_absence_reported.get_mut(index);
                if reported.is_some_and(|reported| !std::mem::replace(reported, true)) {
                    let name = &self.settings.names.release;
                    warn!(
                        "{kind} {name} is not there: apply what `poolguard render webhooks` prints"
                    );
                }
                return Kept { look_again: LOOK, is_drifted: true };
            }
            Seen::Present(live) => live,
        };
        let desired = without_metadata(desired.clone());
        let found = differences(&desired, live);
        let (of_bundle, rest): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|it| it.field == "clientConfig.caBundle");
        let only_bundle = bundle_only(&desired, live);
        if !of_bundle.is_empty()
            && let Some(body) = only_bundle
            && self.contest(index, &desired).is_none()
        {
            self.apply(index, &body, BUNDLE_MANAGER, RegistrationWrite::Changed).await;
        }
        let is_drifted = !rest.is_empty();
        if is_drifted {
            self.say_why(index, &rest, RegistrationWrite::Changed).await;
        } else {
            self.reported_mut(index).clear();
        }
        Kept { look_again: LOOK, is_drifted }
    }

    fn contest(&mut self, index: usize, desired: &Value) -> Option<Duration> {
        self.contests.get_mut(index)?.wait(desired, Instant::now())
    }

    /// Server-side apply; and where others own what an apply does not take away, such as a condition,
    /// or a selector of an entry that is to go, the list of entries is replaced as a whole.
    async fn apply(
        &mut self,
        index: usize,
        body: &Value,
        manager: &str,
        reason: RegistrationWrite,
    ) -> Kept {
        if let Some(contest) = self.contests.get_mut(index) {
            contest.wrote(Instant::now());
        }
        let seen = self.inputs.seen.get(index);
        let over = seen.and_then(|seen| version(seen.borrow().object()));
        let parameters = PatchParams::apply(manager).force();
        let mut applied = self.patch(index, &parameters, &Patch::Apply(body)).await;
        let left_over = match &applied {
            Ok(live) => version(Some(live)).filter(|_| !differences(body, live).is_empty()),
            // What is left of an entry that is to go, and somebody else's, is no entry.
            Err(error) if client::code(error) == Some(422) => over.clone(),
            Err(_) => None,
        };
        if manager == FIELD_MANAGER
            && let Some(version) = left_over
        {
            let whole = json!({
                "metadata": with_version(body.get("metadata"), &version),
                "webhooks": body.get("webhooks"),
            });
            let parameters =
                PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
            applied = self.patch(index, &parameters, &Patch::Merge(&whole)).await;
        }
        match applied {
            Ok(object) => {
                if let Some(written) = self.written.get_mut(index) {
                    *written = Some(Written { at: Instant::now(), over, object });
                }
                self.trouble_mut(index).end();
                self.metrics.registration_written(reason);
                Kept::WRITTEN
            }
            Err(error) => {
                self.metrics.registration_written(RegistrationWrite::Failed);
                let Names { release: name, .. } = &self.settings.names;
                let right = rights::configuration(resource(index), &self.settings.names);
                let why = client::explain_with(&error, &right);
                let why = format!("cannot write the {} {name}: {why}", kind(index));
                self.trouble_mut(index).tell(why);
                Kept::SOON
            }
        }
    }

    async fn patch(
        &self,
        index: usize,
        parameters: &PatchParams,
        patch: &Patch<&Value>,
    ) -> Result<Value, kube::Error> {
        let request = Request::new(path(resource(index)))
            .patch(&self.settings.names.release, parameters, patch)
            .map_err(kube::Error::BuildRequest)?;
        match timeout(REQUEST_TIMEOUT, self.client.request::<Value>(request)).await {
            Ok(patched) => patched,
            Err(_) => Err(kube::Error::Service("the API server does not answer".into())),
        }
    }

    /// Tells of a difference once, however long it lasts.
    async fn say_why(&mut self, index: usize, found: &[Difference], reason: RegistrationWrite) {
        let (kind, name) = (kind(index), self.settings.names.release.clone());
        let reported = self.reported_mut(index);
        if reason != RegistrationWrite::Absent && *reported == found {
            return;
        }
        *reported = found.to_vec();
        let text: Vec<_> = found.iter().map(ToString::to_string).collect();
        let (gravity, word, note) = if reason == RegistrationWrite::Absent {
            (Gravity::Normal, "Registered", format!("registering the {kind} {name}"))
        } else {
            let note =
                format!("the {kind} {name} is not as the config asks for: {}", text.join("; "));
            (Gravity::Warning, "Drifted", note)
        };
        match gravity {
            Gravity::Normal => info!("{note}"),
            Gravity::Warning => warn!("{note}"),
        }
        let regarding = json!({
            "apiVersion": format!("{ADMISSION_GROUP}/v1"),
            "kind": kind,
            "name": name,
        });
        let event = Event { regarding, gravity, reason: word, action: "Register", note };
        self.recorder.publish(event).await;
    }

    fn reported_mut(&mut self, index: usize) -> &mut Vec<Difference> {
        let [mutating, validating] = &mut self.reported;
        if index == 0 { mutating } else { validating }
    }

    fn trouble_mut(&mut self, index: usize) -> &mut Trouble {
        let [mutating, validating] = &mut self.troubles;
        if index == 0 { mutating } else { validating }
    }
}

/// How a configuration stands.
struct Kept {
    look_again: Duration,
    is_drifted: bool,
}

impl Kept {
    const WRITTEN: Self = Self { look_again: WATCH_LAG, is_drifted: false };
    const GOOD: Self = Self { look_again: LOOK, is_drifted: false };
    const LATER: Self = Self { look_again: LOOK, is_drifted: false };
    const SOON: Self = Self { look_again: Duration::from_secs(1), is_drifted: true };
}

fn with_version(metadata: Option<&Value>, version: &str) -> Value {
    let mut metadata = metadata.and_then(Value::as_object).cloned().unwrap_or_default();
    metadata.insert("resourceVersion".to_owned(), version.into());
    metadata.into()
}

fn version(object: Option<&Value>) -> Option<String> {
    let version = object?.pointer("/metadata/resourceVersion")?;
    version.as_str().map(str::to_owned)
}

fn resource(index: usize) -> &'static str {
    WEBHOOK_CONFIGURATIONS.get(index).copied().unwrap_or_default()
}

fn kind(index: usize) -> &'static str {
    KINDS.get(index).copied().unwrap_or_default()
}

/// Whoever applies the configurations decides who owns them, and how they are labelled.
fn without_metadata(mut desired: Value) -> Value {
    if let Some(metadata) = desired.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| field == "name");
    }
    desired
}

/// The entries that are there, with nothing but their `caBundle`.
fn bundle_only(desired: &Value, live: &Value) -> Option<Value> {
    let registered = live.get("webhooks")?.as_array()?;
    let is_there = |entry: &&Value| registered.iter().any(|it| it.get("name") == entry.get("name"));
    let entries: Vec<_> = desired
        .get("webhooks")?
        .as_array()?
        .iter()
        .filter(is_there)
        .map(|entry| {
            json!({
                "name": entry.get("name"),
                "clientConfig": {"caBundle": entry.pointer("/clientConfig/caBundle")},
            })
        })
        .collect();
    Some(json!({
        "apiVersion": desired.get("apiVersion"),
        "kind": desired.get("kind"),
        "metadata": {"name": desired.pointer("/metadata/name")},
        "webhooks": entries,
    }))
}
