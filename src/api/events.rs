//! Events: what `kubectl get events` shows of what PoolGuard did.

mod aggregate;
mod denials;

use std::time::Duration;

use jiff::Timestamp;
use kube::{Client, core::Request};
use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::debug;

pub use self::denials::{EventQueue, EventWriter, denials};
use crate::{
    api::{
        client::{self, ApiError},
        object_ref::ObjectRef,
        rbac,
    },
    json::text::cut,
};

/// Nothing waits for an Event for longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Notes of Events may have so many bytes.
const NOTE_MAX: usize = 1024;

/// Objects without a namespace have their Events here.
const CLUSTER_SCOPED_NAMESPACE: &str = "default";

/// How grave an Event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// As it should be.
    Normal,
    /// An event that an administrator should look at.
    Warning,
}

/// Writes Events in the name of this replica.
#[derive(Clone)]
pub struct EventRecorder {
    client: Client,
    instance: String,
}

/// What an Event says.
#[derive(Clone, Debug)]
pub struct Event<'e> {
    /// The object that it is about.
    pub regarding: ObjectRef,
    /// How grave.
    pub event_type: EventType,
    /// Why, as one word for machines.
    pub reason: &'e str,
    /// What was done, as one word for machines.
    pub action: &'e str,
    /// What happened, for people.
    pub note: String,
}

impl EventRecorder {
    /// In the name of this replica.
    pub fn new(client: Client, instance: String) -> Self {
        Self { client, instance }
    }

    /// Writes an Event. One that cannot be written is a line of the log, and no more.
    pub async fn publish(&self, event: Event<'_>) {
        let written = timeout(PATIENCE, self.write(event)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(why)) => debug!("cannot write an Event: {why}"),
            Err(_) => debug!("cannot write an Event: the API server does not answer"),
        }
    }

    async fn write(&self, event: Event<'_>) -> Result<(), ApiError> {
        let Event { regarding, event_type, reason, action, note } = event;
        let namespace = match regarding.kept_in() {
            "" => CLUSTER_SCOPED_NAMESPACE,
            namespace => namespace,
        };
        let body = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"generateName": "poolguard-", "namespace": namespace},
            "eventTime": format!("{:.6}", Timestamp::now()),
            "type": match event_type {
                EventType::Normal => "Normal",
                EventType::Warning => "Warning",
            },
            "reason": reason,
            "action": action,
            "note": cut(note, NOTE_MAX),
            "regarding": regarding.of_event(),
            "reportingController": "poolguard.io/poolguard",
            "reportingInstance": self.instance,
        });
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        let body = serde_json::to_vec(&body)?;
        let request = Request::new(path).create(&kube::api::PostParams::default(), body)?;
        let created = self.client.request::<Value>(request).await;
        let right = rbac::creating(rbac::RoleScope::Cluster, "events.k8s.io", "events");
        created.map(drop).map_err(|error| client::explain_with(&error, &right))
    }
}
