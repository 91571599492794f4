//! The self-managed authority: its Secret, and the leaf that this replica serves.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::PostParams};
use serde_json::{Value, json};
use tokio::{
    select,
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{error, info, warn};

use super::{
    Bundle, Clock, Registered,
    authority::AuthorityError,
    leaf::Leaf,
    plan::{PlanInput, Reason, RotationStep, plan},
    stored::{Stored, StoredError},
};
use crate::{
    api::{
        backoff::Backoff,
        client,
        installation::InstallationNames,
        lease::{LeaseHeld, is_held, wait_for_change},
        list_watch::{WatchSource, single_object::ObservedObject},
        owner,
        rbac::{self, RoleScope},
    },
    server::{
        readiness::ReadinessCondition,
        tls::{Certificates, Credentials, TlsError},
    },
    telemetry::{
        log_once::LogOnce,
        metrics::{Metrics, label},
    },
};

/// The interval at which PoolGuard reads the wall clock: a sleep until a certificate's end would sleep through a
/// clock that jumps, or a machine that was suspended.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The shortest interval at which PoolGuard looks at a rotation, even if the rotation waits for less time.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(250);

/// The settings of the self-managed authority: where it is kept, and the names that it signs for.
pub struct AuthoritySettings {
    /// PoolGuard's own namespace.
    pub namespace: String,
    /// The names of PoolGuard's objects.
    pub names: InstallationNames,
    /// DNS names and addresses that the API server calls PoolGuard by.
    pub server_names: Vec<String>,
    /// The time that an authority waits after its publication before it signs.
    pub wait: Duration,
    /// Wall clock.
    pub clock: Clock,
}

/// The state that other tasks publish and this controller reads.
pub struct AuthorityInputs {
    /// The Secret.
    pub secret: watch::Receiver<ObservedObject>,
    /// The registered authorities.
    pub registered: watch::Receiver<Registered>,
    /// The Lease.
    pub held: watch::Receiver<LeaseHeld>,
}

/// The places where this controller publishes its results.
pub struct AuthorityOutputs {
    /// The certificate that is served.
    pub certificates: Arc<Certificates>,
    /// The authorities to register in the webhook configurations.
    pub bundle: watch::Sender<Option<Bundle>>,
    /// Whether the API server can trust the certificate that is served.
    pub certified: ReadinessCondition,
    /// The metrics of certificate expiry and rotation steps.
    pub metrics: Arc<Metrics>,
}

/// The controller that keeps the self-managed authority and the leaf of this replica.
pub struct OwnAuthority {
    client: Client,
    settings: AuthoritySettings,
    inputs: AuthorityInputs,
    outputs: AuthorityOutputs,
    remembered: Option<Stored>,
    leaf: Option<Leaf>,
    holds: bool,
    failure_log: LogOnce,
}

/// The error that stops a step. The controller retries it with back-off.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot write the Secret of the certificate authority: {0}")]
    Unwritten(String),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Returns the watch source of the authority's Secret, with the right that the watch needs.
pub fn source(namespace: &str, names: &InstallationNames) -> WatchSource {
    WatchSource {
        path: format!("/api/v1/namespaces/{namespace}/secrets"),
        metadata_only: false,
        may_be_absent: false,
        name: Some(names.authority.clone()),
        right: rbac::authority(names),
    }
}

impl OwnAuthority {
    /// Creates the controller in its initial state, before it has read anything.
    pub fn new(
        client: Client,
        settings: AuthoritySettings,
        inputs: AuthorityInputs,
        outputs: AuthorityOutputs,
    ) -> Self {
        let (remembered, leaf, holds, failure_log) = (None, None, false, LogOnce::default());
        Self { client, settings, inputs, outputs, remembered, leaf, holds, failure_log }
    }

    /// Runs the controller until the process ends.
    pub async fn run(mut self) -> Infallible {
        let mut backoff = Backoff::default();
        loop {
            let wait = match self.step().await {
                Ok(()) => {
                    self.failure_log.end();
                    backoff.reset();
                    POLL_INTERVAL.min(self.settings.wait.max(POLL_INTERVAL_MIN))
                }
                Err(failure_log) => {
                    let failure_log = failure_log.to_string();
                    if self.failure_log.is_news(&failure_log) {
                        error!("{failure_log}");
                    }
                    backoff.wait()
                }
            };
            self.show_readiness();
            // A sender that is gone says nothing more, which must not turn this loop into a spin.
            select! {
                Ok(()) = self.inputs.secret.changed() => {}
                Ok(()) = self.inputs.registered.changed() => {}
                () = wait_for_change(&mut self.inputs.held, self.holds) => {}
                () = sleep(wait) => {}
            }
        }
    }

    fn now(&self) -> Timestamp {
        (self.settings.clock)()
    }

    async fn step(&mut self) -> Result<(), Failure> {
        let seen = self.inputs.secret.borrow_and_update().clone();
        let secret = match &seen {
            ObservedObject::Unknown(_) => return Ok(()),
            ObservedObject::Absent => None,
            ObservedObject::Present(secret) => Some(Stored::read(secret)),
        };
        if let Some(Ok(stored)) = &secret {
            self.remembered = Some(stored.clone());
        }
        let registered = self.inputs.registered.borrow_and_update().clone();
        self.holds = is_held(*self.inputs.held.borrow(), Instant::now());
        // Before the registration is known, nobody can tell what a new authority would break.
        let is_known = !matches!(registered, Registered::Unknown(_));
        if self.holds && is_known {
            self.advance(seen.object(), secret, &registered).await?;
        } else if let Some(Err(error)) = secret {
            self.complain_of(&error);
        }
        let Some(stored) = &self.remembered else { return Ok(()) };
        let end = stored.current.validity().end.as_second();
        self.outputs.metrics.set_certificate_expiry(label::CertificateLabel::Authority, end);
        let bundle = stored.bundle();
        self.outputs.bundle.send_if_modified(|sent| {
            let is_new = sent.as_ref() != Some(&bundle);
            *sent = Some(bundle);
            is_new
        });
        self.renew_leaf(&registered)
    }

    /// Takes one step of the plan, as the holder of the Lease.
    async fn advance(
        &mut self,
        object: Option<&Value>,
        secret: Option<Result<Stored, StoredError>>,
        registered: &Registered,
    ) -> Result<(), Failure> {
        let step = plan(PlanInput {
            secret,
            remembered: self.remembered.as_ref(),
            registered: registered.bundle(),
            now: self.now(),
            wait: self.settings.wait,
        })?;
        let RotationStep::Store(stored, reason) = step else { return Ok(()) };
        if !self.write(&stored, object).await? {
            // Somebody else has written it: look again.
            return Ok(());
        }
        self.remembered = Some(*stored);
        self.outputs.metrics.authority_step(label_of(reason));
        info!(step = label_of(reason).as_str(), "{}", reason.as_str());
        // What was planned next would be planned from the Secret as it was.
        drop(timeout(POLL_INTERVAL, self.inputs.secret.changed()).await);
        self.inputs.secret.mark_changed();
        Ok(())
    }

    /// Writes the Secret, unless it has changed meanwhile.
    async fn write(&self, stored: &Stored, before: Option<&Value>) -> Result<bool, Failure> {
        let AuthoritySettings { namespace, names, .. } = &self.settings;
        let (data, annotations) = stored.write();
        let version = before.and_then(|it| it.pointer("/metadata/resourceVersion"));
        // Whoever has changed its owners since knows better.
        let owners = match before {
            Some(before) => before.pointer("/metadata/ownerReferences").cloned(),
            None => Some(owner::references(&self.client, names).await.into()),
        };
        let secret = json!({
            "metadata": {
                "name": names.authority,
                "namespace": namespace,
                "resourceVersion": version,
                "ownerReferences": owners,
                "annotations": annotations,
                "labels": {"app.kubernetes.io/name": "poolguard", "app.kubernetes.io/managed-by": "poolguard"},
            },
            // It cannot be changed, whatever somebody has made of it.
            "type": before.and_then(|it| it.get("type")).cloned().unwrap_or_else(|| "Opaque".into()),
            "data": data,
        });
        let unwritten = |why: String| Failure::Unwritten(why);
        let secret: Secret =
            serde_json::from_value(secret).map_err(|error| unwritten(error.to_string()))?;
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let parameters = PostParams::default();
        let (written, right) = if before.is_some() {
            let written = api.replace(&names.authority, &parameters, &secret).await;
            (written, rbac::authority(names))
        } else {
            let written = api.create(&parameters, &secret).await;
            (written, rbac::creating(RoleScope::Namespace, "", "secrets"))
        };
        match written {
            Ok(_) => Ok(true),
            Err(error) if matches!(client::code(&error), Some(404 | 409)) => Ok(false),
            Err(error) => Err(unwritten(client::explain_with(&error, &right).to_string())),
        }
    }

    /// Signs a new leaf if the one that is served is not good any more.
    fn renew_leaf(&mut self, registered: &Registered) -> Result<(), Failure> {
        let now = self.now();
        let Some(stored) = &self.remembered else { return Ok(()) };
        let successor = Leaf::successor(self.leaf.as_ref(), stored, registered.bundle(), now);
        let Some(authority) = successor else { return Ok(()) };
        let signed = authority.sign(&self.settings.server_names, now)?;
        let leaf = Leaf { signer: authority.certificate().clone(), validity: signed.validity };
        self.outputs.certificates.swap(Credentials::signed(signed.certificate, signed.key)?);
        let end = leaf.validity.end;
        self.outputs
            .metrics
            .set_certificate_expiry(label::CertificateLabel::Serving, end.as_second());
        info!(expires = %end, "serving a new certificate");
        self.leaf = Some(leaf);
        Ok(())
    }

    /// Updates the readiness condition, which is met while the leaf is valid and the registered webhooks trust it.
    fn show_readiness(&self) {
        let certified = &self.outputs.certified;
        let Some(leaf) = &self.leaf else {
            certified.fail(self.why_no_leaf());
            return;
        };
        let registered = self.inputs.registered.borrow();
        let unread = unread(&registered);
        if !leaf.validity.contains(self.now()) {
            certified.fail("the certificate is not valid now");
        } else if let Some(why) = unread {
            certified.fail(why);
        } else if registered.bundle().is_some_and(|bundle| !bundle.contains(&leaf.signer)) {
            certified.fail(
                "the registered caBundle does not yet contain the authority of this \
             certificate",
            );
        } else {
            certified.meet();
        }
    }

    fn why_no_leaf(&self) -> String {
        if let Some(failure_log) = self.failure_log.why() {
            return failure_log.to_owned();
        }
        let name = &self.settings.names.authority;
        match &*self.inputs.secret.borrow() {
            ObservedObject::Unknown(Some(why)) => format!("cannot read the Secret {name}: {why}"),
            ObservedObject::Unknown(None) => {
                format!("PoolGuard has not read the Secret {name} yet")
            }
            ObservedObject::Absent | ObservedObject::Present(_) => {
                unread(&self.inputs.registered.borrow()).unwrap_or_else(|| {
                    "there is no certificate authority yet; the replica that holds the Lease \
                     creates one"
                        .to_owned()
                })
            }
        }
    }

    fn complain_of(&self, error: &StoredError) {
        if self.failure_log.why().is_none() {
            let name = &self.settings.names.authority;
            warn!(
                "the Secret {name} is damaged ({error}); the replica that holds the Lease \
             restores it"
            );
        }
    }
}

/// Returns the reason why the registered authorities are not known, or `None` if they are known.
fn unread(registered: &Registered) -> Option<String> {
    let Registered::Unknown(why) = registered else { return None };
    let not_yet = "PoolGuard has not read the registered webhook configurations yet";
    Some(why.as_ref().map_or_else(|| not_yet.to_owned(), |why| format!("{not_yet}: {why}")))
}

fn label_of(reason: Reason) -> label::AuthorityStep {
    match reason {
        Reason::Created => label::AuthorityStep::Created,
        Reason::Restored => label::AuthorityStep::Restored,
        Reason::Replaced => label::AuthorityStep::Replaced,
        Reason::Announced => label::AuthorityStep::Announced,
        Reason::Published => label::AuthorityStep::Published,
        Reason::Promoted => label::AuthorityStep::Promoted,
        Reason::Retired => label::AuthorityStep::Retired,
    }
}
