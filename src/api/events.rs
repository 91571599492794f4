//! Events about what PoolGuard did, as `kubectl get events` shows them.

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

/// The longest time that PoolGuard waits for the API server to create an Event.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest number of bytes in the note of an Event.
const NOTE_MAX: usize = 1024;

/// The namespace of Events about objects without a namespace.
const CLUSTER_SCOPED_NAMESPACE: &str = "default";

/// The severity of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// An expected event, which needs no action.
    Normal,
    /// An event that an administrator should look at.
    Warning,
}

/// The writer of Events in the name of this replica.
#[derive(Clone)]
pub struct EventRecorder {
    client: Client,
    instance: String,
}

/// The content of an Event.
#[derive(Clone, Debug)]
pub struct Event<'e> {
    /// The object that the Event is about.
    pub regarding: ObjectRef,
    /// The severity of the Event.
    pub event_type: EventType,
    /// The reason, as one word for machines.
    pub reason: &'e str,
    /// The action that PoolGuard took, as one word for machines.
    pub action: &'e str,
    /// The description of what happened, for people.
    pub note: String,
}

impl EventRecorder {
    /// Creates a recorder that writes Events in the name of this replica.
    pub fn new(client: Client, instance: String) -> Self {
        Self { client, instance }
    }

    /// Writes an Event. If the API server does not create the Event, PoolGuard only writes a line to its log.
    pub async fn publish(&self, event: Event<'_>) {
        let written = timeout(WRITE_TIMEOUT, self.write(event)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(why)) => debug!("cannot write an Event: {why}"),
            Err(_) => debug!("cannot write an Event: the API server does not answer"),
        }
    }

    async fn write(&self, event: Event<'_>) -> Result<(), ApiError> {
        let Event { regarding, event_type, reason, action, note } = event;
        let namespace = match regarding.namespace_of_events() {
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
            "regarding": regarding.event_reference(),
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
