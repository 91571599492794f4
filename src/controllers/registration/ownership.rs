//! The ownership of the webhook configurations by a ClusterRole: Kubernetes deletes them with the release.

use kube::Client;
use tracing::error;

use crate::{
    admission::webhooks::Owner,
    api::{
        installation::InstallationNames,
        owner::{self, OwnerLookup},
    },
    telemetry::log_once::LogOnce,
};

pub(super) struct Ownership {
    client: Client,
    names: InstallationNames,
    known: Known,
    failure_log: LogOnce,
}

/// The owner, as far as PoolGuard knows it.
enum Known {
    /// An unknown owner: the installation names none, or PoolGuard has not read it yet, or cannot read it.
    Nothing,
    /// The owner that PoolGuard has found.
    Owner(Owner),
    /// The owner does not exist. Webhooks that PoolGuard registered then would outlive the release, and block
    /// a cluster that PoolGuard has left. So PoolGuard registers nothing until the owner exists again.
    Absence,
}

impl Ownership {
    /// Creates the state in which the owner is not known yet.
    pub(super) fn new(client: Client, names: InstallationNames) -> Self {
        Self { client, names, known: Known::Nothing, failure_log: LogOnce::default() }
    }

    /// The owner, if there is one.
    pub(super) fn owner(&self) -> Option<&Owner> {
        match &self.known {
            Known::Owner(owner) => Some(owner),
            Known::Nothing | Known::Absence => None,
        }
    }

    /// Whether the installation names an owner that does not exist.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.known, Known::Absence)
    }

    pub(super) fn forget(&mut self) {
        self.known = Known::Nothing;
    }

    /// Looks for the owner until PoolGuard has found it. If a configuration is gone, it may have gone with its
    /// owner, so PoolGuard looks for the owner again.
    pub(super) async fn find(&mut self, is_something_gone: bool) {
        let Some(name) = &self.names.owner else { return };
        if self.owner().is_some() && !is_something_gone {
            return;
        }
        match owner::search(&self.client, &self.names).await {
            OwnerLookup::NotNamed => {}
            OwnerLookup::Found(owner) => {
                self.known = Known::Owner(owner);
                self.failure_log.end();
            }
            OwnerLookup::Absent => {
                self.known = Known::Absence;
                let why = format!(
                    "ClusterRole {name}, the owner of the webhook configurations, does not exist: \
                     PoolGuard registers no webhooks until it exists"
                );
                self.complain(&why);
            }
            OwnerLookup::Unreadable(why) => {
                self.known = Known::Nothing;
                let why = format!(
                    "PoolGuard cannot read ClusterRole {name}, the owner of the \
                 webhook configurations: {why}"
                );
                self.complain(&why);
            }
        }
    }

    fn complain(&mut self, why: &str) {
        if self.failure_log.is_news(why) {
            error!("{why}");
        }
    }
}
