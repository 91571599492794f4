//! The status of the registered webhook configurations.

use std::fmt;

use serde_json::Value;
use tokio::sync::watch;

use super::{
    additions::CloudAdditions,
    drift::{Difference, differences},
};
use crate::{
    api::{
        list_watch::single_object::ObservedObject, object_ref::ObjectRef, rbac::ADMISSION_GROUP,
    },
    telemetry::metrics::{Metrics, label::RegistrationWrite},
};

/// The webhook configurations that are not registered as they should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistrationStatus(pub Vec<Deviation>);

/// A configuration that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// `MutatingWebhookConfiguration` or `ValidatingWebhookConfiguration`.
    pub kind: &'static str,
    /// The name of the configuration.
    pub name: String,
    /// The drift of the configuration.
    pub drift: Drift,
}

/// The way in which a configuration is not as the config asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// The configuration does not exist.
    Absent,
    /// The configuration exists, with these differences.
    Differs(Vec<Difference>),
}

/// Publishes the status to the metric and to the followers. If the status is not known, because another replica
/// keeps the configurations or because PoolGuard cannot read them, followers get `None`: an empty status would
/// say that all is well.
pub(super) fn publish(
    status: RegistrationStatus,
    is_known: bool,
    metrics: &Metrics,
    followers: &watch::Sender<Option<RegistrationStatus>>,
) {
    metrics.set_registration_drift(status.0.len());
    let status = is_known.then_some(status);
    followers.send_if_modified(|before| {
        let is_new = *before != status;
        *before = status;
        is_new
    });
}

impl Drift {
    /// Returns the drift of the seen configuration from the desired one, if PoolGuard knows it and there is any.
    /// A configuration without entries may be absent.
    pub(super) fn of(
        desired: &Value,
        seen: &ObservedObject,
        additions: CloudAdditions,
    ) -> Option<Self> {
        match seen {
            ObservedObject::Unknown(_) => None,
            ObservedObject::Absent => desired.pointer("/webhooks/0").map(|_| Self::Absent),
            ObservedObject::Present(live) => {
                let found = differences(desired, live, additions);
                Some(found).filter(|it| !it.is_empty()).map(Self::Differs)
            }
        }
    }

    /// Returns the reason, for the metric, of the write that ends this drift.
    pub(super) fn reason(&self) -> RegistrationWrite {
        match self {
            Self::Absent => RegistrationWrite::Absent,
            Self::Differs(_) => RegistrationWrite::Changed,
        }
    }
}

impl Deviation {
    /// Returns the reference to the configuration, for Events and reports.
    pub fn regarding(&self) -> ObjectRef {
        ObjectRef::named(&format!("{ADMISSION_GROUP}/v1"), self.kind, &self.name)
    }
}

/// A sentence that names the configuration and its drift.
impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, drift } = self;
        match drift {
            Drift::Absent => write!(f, "the {kind} {name} does not exist"),
            Drift::Differs(_) => {
                write!(f, "the {kind} {name} differs from the config: {drift}")
            }
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Differs(found) => {
                let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join("; "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::drift::DifferenceKind, *};

    #[test]
    fn drift_is_what_is_known_to_be_otherwise() {
        let entries = |policy: &str| {
            json!({"webhooks": [
                {"name": "pods.poolguard.io", "failurePolicy": policy, "timeoutSeconds": 10},
            ]})
        };
        let desired = entries("Fail");
        let nothing = json!({"webhooks": []});
        let two = json!({"webhooks": [{"name": "pods.poolguard.io", "failurePolicy": "Ignore"}]});
        for (desired, seen, text) in [
            (&desired, ObservedObject::Unknown(None), None),
            (&desired, ObservedObject::Absent, Some("absent")),
            (&nothing, ObservedObject::Absent, None),
            (&desired, ObservedObject::Present(desired.clone()), None),
            (
                &desired,
                ObservedObject::Present(entries("Ignore")),
                Some("failurePolicy of entry pods.poolguard.io was changed"),
            ),
            (
                &desired,
                ObservedObject::Present(two),
                Some(
                    "failurePolicy of entry pods.poolguard.io was changed; timeoutSeconds of entry \
                     pods.poolguard.io was changed",
                ),
            ),
            (
                &nothing,
                ObservedObject::Present(desired.clone()),
                Some("entry pods.poolguard.io is not in the config any more"),
            ),
        ] {
            let drift =
                Drift::of(desired, &seen, CloudAdditions::None).map(|drift| drift.to_string());
            assert_eq!(drift.as_deref(), text, "{seen:?}");
        }
    }

    #[test]
    fn the_metric_follows_and_only_what_is_new_is_sent() {
        let metrics = Metrics::new().unwrap();
        let (sender, mut receiver) = watch::channel(None);
        let deviating = |drift| {
            let kind = "ValidatingWebhookConfiguration";
            Some(RegistrationStatus(vec![Deviation { kind, name: "poolguard".to_owned(), drift }]))
        };
        let changed = |field: &str| {
            let (entry, field) = ("pods.poolguard.io".to_owned(), field.to_owned());
            deviating(Drift::Differs(vec![Difference {
                entry,
                field,
                how: DifferenceKind::Changed,
            }]))
        };
        for (status, gauge, is_sent) in [
            (None, 0, false),
            (Some(RegistrationStatus::default()), 0, true),
            (deviating(Drift::Absent), 1, true),
            (deviating(Drift::Absent), 1, false),
            (changed("failurePolicy"), 1, true),
            (changed("timeoutSeconds"), 1, true),
            (Some(RegistrationStatus::default()), 0, true),
            (None, 0, true),
        ] {
            let is_known = status.is_some();
            publish(status.clone().unwrap_or_default(), is_known, &metrics, &sender);
            assert_eq!(receiver.has_changed().unwrap(), is_sent, "{status:?}");
            assert_eq!(*receiver.borrow_and_update(), status);
            let line = format!("poolguard_webhook_registration_drift {gauge}\n");
            assert!(metrics.render().unwrap().contains(&line), "{status:?}");
        }
    }
}
