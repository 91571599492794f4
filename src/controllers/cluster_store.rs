//! The live cluster as the watches observe it. The watches feed the index, and the store notifies the maker of
//! snapshots of each change.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use tracing::warn;

use crate::{
    api::{
        list_watch::{WatchSink, WatchSource},
        rbac,
    },
    cluster::{Index, Kind, ObjectError},
    telemetry::metrics::Metrics,
};

/// The error while PoolGuard has not listed every kind, which may be the API server's fault.
#[derive(Debug, thiserror::Error)]
#[error("PoolGuard has not read these yet: {missing}")]
pub struct NotReadYet {
    /// The missing kinds, each with the reason if it is known.
    missing: String,
}

/// The observed cluster, shared by the watches and by whoever makes snapshots.
#[derive(Debug)]
pub struct ClusterStore {
    state: Mutex<State>,
    changed: Notify,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    index: Index,
    confirmed: BTreeMap<Kind, Instant>,
    failures: BTreeMap<Kind, String>,
}

impl ClusterStore {
    /// Creates the store of a cluster of which nothing is known yet.
    pub fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: Notify::new(), metrics })
    }

    /// Returns the watches, one for each kind: the source, and the sink that receives its objects.
    pub fn watches(self: &Arc<Self>) -> impl Iterator<Item = (WatchSource, KindSink)> {
        Kind::ALL.into_iter().map(|kind| {
            let source = WatchSource {
                path: kind.resource().path(),
                metadata_only: kind.is_metadata_only(),
                may_be_absent: kind.may_be_absent(),
                name: None,
                right: rbac::watch_of(kind),
            };
            (source, KindSink { kind, cluster_store: Arc::clone(self) })
        })
    }

    /// Completes when there is something new since it last did.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Reads the index, if every kind has been listed; otherwise returns the missing kinds. Watches and other
    /// readers wait meanwhile, so `read` should take only what it needs.
    pub fn read<T>(&self, read: impl FnOnce(&Index) -> T) -> Result<T, NotReadYet> {
        let state = self.state();
        if state.index.is_complete() {
            return Ok(read(&state.index));
        }
        let missing: Vec<_> = Kind::ALL
            .into_iter()
            .filter(|kind| !kind.may_be_absent() && !state.index.has_seen(kind.resource().kind))
            .map(|kind| match state.failures.get(&kind) {
                Some(why) => format!("{} ({why})", kind.resource().plural),
                None => kind.resource().plural.to_owned(),
            })
            .collect();
        Err(NotReadYet { missing: missing.join(", ") })
    }

    /// Returns the age of the last confirmation of the kind that was confirmed longest ago; `None` while a kind was
    /// never confirmed. Kinds that a cluster may lack do not count.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        oldest(&self.state()).map(|confirmed| now.saturating_duration_since(confirmed))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the time of the last confirmation of the kind that was confirmed longest ago; `None` while a kind was
/// never confirmed. Kinds that a cluster may lack do not count.
fn oldest(state: &State) -> Option<Instant> {
    let needed = Kind::ALL.into_iter().filter(|kind| !kind.may_be_absent());
    let all = needed.map(|kind| state.confirmed.get(&kind).copied());
    all.collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// The sink that receives the objects from the watch of one kind.
#[derive(Debug)]
pub struct KindSink {
    kind: Kind,
    cluster_store: Arc<ClusterStore>,
}

impl KindSink {
    /// Changes the index. An object that cannot be read is left out, and the others count.
    fn change(&self, change: impl FnOnce(&mut Index) -> Result<bool, ObjectError>) {
        let result = change(&mut self.cluster_store.state().index);
        match result {
            Ok(true) => self.cluster_store.changed.notify_one(),
            Ok(false) => {}
            Err(error) => {
                let kind = self.kind.resource().kind;
                warn!(kind, "left out a {kind} that PoolGuard cannot read: {error}");
            }
        }
    }
}

impl WatchSink for KindSink {
    fn begin(&mut self) {
        self.cluster_store.state().index.begin_list(self.kind);
    }

    fn list(&mut self, object: &str) {
        self.change(|index| index.list(self.kind, object).map(|()| false));
    }

    fn end(&mut self) {
        self.change(|index| Ok(index.end_list(self.kind)));
    }

    fn apply(&mut self, object: &str) {
        self.change(|index| index.apply(self.kind, object));
    }

    fn delete(&mut self, object: &str) {
        self.change(|index| index.delete(self.kind, object));
    }

    fn confirm(&mut self) {
        let mut state = self.cluster_store.state();
        state.confirmed.insert(self.kind, Instant::now());
        state.failures.remove(&self.kind);
        if let Some(oldest) = oldest(&state) {
            self.cluster_store.metrics.snapshot_confirmed(oldest);
        }
    }

    fn fail(&mut self, why: &str) {
        self.cluster_store.state().failures.insert(self.kind, why.to_owned());
        // Whoever waits for the first snapshot can say what is in the way.
        self.cluster_store.changed.notify_one();
    }
}
