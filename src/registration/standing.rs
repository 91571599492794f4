//! How what is registered stands.

use std::fmt;

use serde_json::Value;

use super::drift::{Difference, differences};
use crate::{metrics::label::RegistrationWrite, watch::one::Seen};

/// How a configuration is not as the config asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// It is not there.
    Absent,
    /// It is something else.
    Differs(Vec<Difference>),
}

impl Drift {
    /// Of what is seen from what is asked for, if it is known and there is any. What has no entries
    /// need not be there.
    pub(super) fn of(desired: &Value, seen: &Seen) -> Option<Self> {
        match seen {
            Seen::Unknown(_) => None,
            Seen::Absent => desired.pointer("/webhooks/0").map(|_| Self::Absent),
            Seen::Present(live) => {
                Some(differences(desired, live)).filter(|it| !it.is_empty()).map(Self::Differs)
            }
        }
    }

    /// Why somebody writes who takes it away.
    pub(super) fn reason(&self) -> RegistrationWrite {
        match self {
            Self::Absent => RegistrationWrite::Absent,
            Self::Differs(_) => RegistrationWrite::Changed,
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

    use super::*;

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
            (&desired, Seen::Unknown(None), None),
            (&desired, Seen::Absent, Some("absent")),
            (&nothing, Seen::Absent, None),
            (&desired, Seen::Present(desired.clone()), None),
            (
                &desired,
                Seen::Present(entries("Ignore")),
                Some("failurePolicy of entry pods.poolguard.io was changed"),
            ),
            (
                &desired,
                Seen::Present(two),
                Some(
                    "failurePolicy of entry pods.poolguard.io was changed; timeoutSeconds of entry \
                     pods.poolguard.io was changed",
                ),
            ),
            (
                &nothing,
                Seen::Present(desired.clone()),
                Some("entry pods.poolguard.io is not asked for any more"),
            ),
        ] {
            let drift = Drift::of(desired, &seen).map(|drift| drift.to_string());
            assert_eq!(drift.as_deref(), text, "{seen:?}");
        }
    }
}
