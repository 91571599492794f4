//! The controller of the guard in force: it makes policy and snapshot anew when the config or the cluster changes,
//! and swaps them together.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use jiff::Timestamp;
use tokio::{
    select,
    sync::watch,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::{error, info, warn};

use crate::{
    cluster::{Index, IndexSnapshot},
    config::{self, ConfigSettings, Diagnostic, DiagnosticSeverity, Diagnostics},
    controllers::{
        cluster_store::{ClusterStore, NotReadYet},
        config_file::{ConfigFile, FileChange},
    },
    policy::{
        Policy,
        provider::Provider,
        snapshot::{NodeState, Snapshot},
    },
    server::readiness::ReadinessCondition,
    service::{PolicyAndSnapshot, PolicyAndSnapshotCell},
    telemetry::metrics::{Metrics, config::AppliedConfigValues, label},
};

/// The interval at which PoolGuard looks at the config file and at the age of what it knows of the cluster.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The time for which changes of the cluster are gathered, so that a hundred nodes that come together make
/// one snapshot.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// The source of facts about the cluster.
#[derive(Clone, Debug)]
pub enum ClusterSource {
    /// A dump, read again with the config.
    Dump(PathBuf),
    /// A live cluster.
    Live(Arc<ClusterStore>),
}

/// The config in force.
#[derive(Clone, Debug)]
pub struct AppliedConfig {
    /// The policy, which decisions read.
    pub policy: Arc<Policy>,
    /// The settings, which the other parts of PoolGuard read.
    pub settings: ConfigSettings,
    /// The hash of the config's text.
    pub hash: String,
}

/// The controller that makes the guard and puts it in force.
pub struct GuardReloader {
    config: ConfigFile,
    /// The text of the config file when it was last good. It is read again when the provider becomes known.
    accepted: String,
    facts: ClusterSource,
    cell: PolicyAndSnapshotCell,
    metrics: Arc<Metrics>,
    loaded: ReadinessCondition,
    applied_config: watch::Sender<Option<AppliedConfig>>,
    is_stale: Arc<AtomicBool>,
    /// The provider that the config in force was read for.
    provider: Option<Provider>,
    conflicts: Vec<String>,
    /// Whether the last config that could be read is in force.
    is_accepted: bool,
    /// The warnings that the log has of the config.
    warnings: Vec<String>,
}

impl GuardReloader {
    /// Creates the controller in its initial state, with nothing in force yet.
    pub fn new(
        config: ConfigFile,
        facts: ClusterSource,
        cell: PolicyAndSnapshotCell,
        metrics: Arc<Metrics>,
        loaded: ReadinessCondition,
    ) -> Self {
        Self {
            accepted: config.text().to_owned(),
            config,
            facts,
            cell,
            metrics,
            loaded,
            applied_config: watch::channel(None).0,
            is_stale: Arc::default(),
            provider: None,
            conflicts: Vec::new(),
            is_accepted: true,
            warnings: Vec::new(),
        }
    }

    /// The config in force, from now on.
    pub fn applied_config(&self) -> watch::Receiver<Option<AppliedConfig>> {
        self.applied_config.subscribe()
    }

    /// Whether answers rest on facts that are older than the config allows.
    pub fn is_stale(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_stale)
    }

    /// Puts a guard in force that has been made already.
    pub fn start_with(&mut self, guard: PolicyAndSnapshot, settings: ConfigSettings) {
        self.provider = guard.policy.provider;
        // The command has shown these.
        let name = self.config.name();
        self.warnings = config::load(&name, &self.accepted, self.provider)
            .map_or_else(|_| Vec::new(), |loaded| warnings(&name, &loaded.warnings));
        self.put_in_force(guard, settings);
    }

    /// Runs the controller until the process ends: it follows the config and the cluster.
    pub async fn run(mut self) -> Infallible {
        let mut looks = interval(POLL_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let cluster_store = match &self.facts {
                ClusterSource::Live(cluster_store) => Some(Arc::clone(cluster_store)),
                ClusterSource::Dump(_) => None,
            };
            let changed = async {
                match &cluster_store {
                    Some(cluster_store) => cluster_store.changed().await,
                    None => std::future::pending().await,
                }
            };
            select! {
                () = changed => {
                    self.renew().await;
                    sleep(DEBOUNCE).await;
                }
                _ = looks.tick() => {
                    if self.look_at_config() {
                        self.reload().await;
                    }
                    self.show_reload();
                    self.judge_age();
                }
            }
        }
    }

    fn look_at_config(&mut self) -> bool {
        match self.config.look() {
            FileChange::Same => false,
            FileChange::Changed => true,
            FileChange::Unreadable(why) => {
                error!("{why}; PoolGuard keeps the current config");
                self.metrics.config_reloaded(label::ReloadResult::Failure);
                false
            }
        }
    }

    /// Makes the guard anew after a change of the cluster. The config stays the same, unless the provider has
    /// become known.
    async fn renew(&mut self) {
        let made = match self.known() {
            Ok((provider, applied_config))
                if provider == self.provider || applied_config.is_none() =>
            {
                self.make(self.accepted.clone(), applied_config).await
            }
            Ok(_) => self.make(self.accepted.clone(), None).await,
            Err(why) => {
                self.loaded.fail(why.to_string());
                return;
            }
        };
        if let Err(error) = made {
            error!("{error:#}");
            if self.applied_config.borrow().is_none() {
                self.loaded.fail(format!("{error:#}"));
            }
        }
    }

    /// Puts the changed config in force, or keeps the current one if the new one cannot be used.
    async fn reload(&mut self) {
        let result = self.accept().await;
        self.is_accepted = result.is_ok();
        match result {
            Ok(()) => {
                self.metrics.config_loaded(Timestamp::now().as_second());
                info!(config = self.config.name(), "loaded the changed config");
                self.metrics.config_reloaded(label::ReloadResult::Success);
            }
            Err(error) => {
                error!("{error:#}\nPoolGuard keeps the current config");
                self.metrics.config_reloaded(label::ReloadResult::Failure);
            }
        }
    }

    /// Checks the text of the config file and puts it in force, now or once the cluster has been read.
    async fn accept(&mut self) -> anyhow::Result<()> {
        let (name, text) = (self.config.name(), self.config.text().to_owned());
        config::load(&name, &text, self.provider).map_err(|found| refused(&name, &found))?;
        self.accepted.clone_from(&text);
        if self.applied_config.borrow().is_none() {
            return Ok(());
        }
        self.make(text, None).await
    }

    /// Returns the provider that the nodes show and the config in force, or the kinds that are not read yet.
    fn known(&self) -> Result<(Option<Provider>, Option<AppliedConfig>), NotReadYet> {
        let applied_config = self.applied_config.borrow().clone();
        match &self.facts {
            ClusterSource::Dump(_) => Ok((self.provider, applied_config)),
            ClusterSource::Live(cluster_store) => {
                let detected = cluster_store.read(Index::provider)?;
                Ok((detected, applied_config))
            }
        }
    }

    /// Makes a guard of what is known now, with the policy in force or, without one, of the text of a
    /// config, and puts it in force.
    async fn make(
        &mut self,
        text: String,
        applied_config: Option<AppliedConfig>,
    ) -> anyhow::Result<()> {
        let (facts, config) = (self.facts.clone(), ConfigText { name: self.config.name(), text });
        // Thousands of nodes take milliseconds, in which requests want their thread.
        let made = spawn_blocking(move || make(&facts, &config, applied_config)).await;
        let Made { guard, settings, provider, warnings } =
            made.context("making a snapshot panicked")??;
        self.provider = provider;
        if let Some(warnings) = warnings {
            self.log_warnings(warnings);
        }
        self.put_in_force(guard, settings);
        Ok(())
    }

    /// Logs each warning of the config once, for as long as the config has it.
    fn log_warnings(&mut self, warnings: Vec<String>) {
        for warning in warnings.iter().filter(|warning| !self.warnings.contains(warning)) {
            warn!("{warning}");
        }
        self.warnings = warnings;
    }

    fn put_in_force(&mut self, guard: PolicyAndSnapshot, settings: ConfigSettings) {
        show_nodes(&self.metrics, &guard.snapshot);
        self.metrics.snapshot_rebuilt();
        self.warn_of_conflicts(&guard.snapshot);
        let policy = Arc::clone(&guard.policy);
        self.cell.store(Some(Arc::new(guard)));
        self.applied_config.send_if_modified(|before| {
            let is_new = before.as_ref().is_none_or(|before| {
                !Arc::ptr_eq(&before.policy, &policy) || before.settings != settings
            });
            if is_new {
                show_config(&self.metrics, &self.accepted, &policy, &settings);
                if before.is_none() {
                    self.metrics.config_loaded(Timestamp::now().as_second());
                }
                let hash = ConfigFile::hash(&self.accepted);
                *before = Some(AppliedConfig { policy, settings, hash });
            }
            is_new
        });
        self.loaded.meet();
    }

    /// Warns of pools that claim the same node, which only a snapshot shows: once for each conflict, as long as it
    /// lasts.
    fn warn_of_conflicts(&mut self, snapshot: &Snapshot) {
        let conflicts: Vec<_> = snapshot.conflicts().iter().map(ToString::to_string).collect();
        for conflict in conflicts.iter().filter(|conflict| !self.conflicts.contains(conflict)) {
            warn!("{conflict}");
        }
        self.metrics.set_pool_conflicts(conflicts.len());
        self.conflicts = conflicts;
    }

    /// Shows whether the config file is in force, once there is a config in force.
    fn show_reload(&self) {
        if self.applied_config.borrow().is_some() {
            self.metrics.set_config_successful(self.is_accepted && self.config.is_readable());
        }
    }

    fn judge_age(&self) {
        let ClusterSource::Live(cluster_store) = &self.facts else {
            // A dump does not age: it is what it is.
            self.metrics.snapshot_confirmed(Instant::now());
            return;
        };
        let Some(age) = cluster_store.age(Instant::now()) else { return };
        let limit = self.applied_config.borrow().as_ref().map(|it| it.settings.snapshot_max_age);
        let is_stale = limit.is_some_and(|limit| age > limit);
        let was_stale = self.is_stale.swap(is_stale, Ordering::Relaxed);
        let age = age.as_secs();
        match (was_stale, is_stale) {
            (false, true) => warn!(
                age,
                "PoolGuard has received nothing from the API server for {age} s: it decides with \
                 the last known state of the cluster"
            ),
            (true, false) => info!("PoolGuard receives the state of the cluster again"),
            (_, _) => {}
        }
    }
}

/// The text of a config, and its name in messages.
struct ConfigText {
    name: String,
    text: String,
}

/// A guard, with what was read on the way.
struct Made {
    guard: PolicyAndSnapshot,
    settings: ConfigSettings,
    provider: Option<Provider>,
    /// The warnings of the config, one line each; `None` if it was not read again.
    warnings: Option<Vec<String>>,
}

fn make(
    facts: &ClusterSource,
    config: &ConfigText,
    applied_config: Option<AppliedConfig>,
) -> anyhow::Result<Made> {
    match facts {
        ClusterSource::Live(cluster_store) => {
            // The watches wait for as long as the index is read: a snapshot is compiled after that.
            let index_snapshot =
                cluster_store.read(Index::index_snapshot).map_err(anyhow::Error::msg)?;
            make_of(&index_snapshot, config, applied_config)
        }
        ClusterSource::Dump(file) => {
            let name = file.display();
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
            let index = Index::read_dump(&text)
                .with_context(|| format!("cannot use {name} as a dump of a cluster"))?;
            make_of(&index.index_snapshot(), config, applied_config)
        }
    }
}

fn make_of(
    index_snapshot: &IndexSnapshot,
    config: &ConfigText,
    applied_config: Option<AppliedConfig>,
) -> anyhow::Result<Made> {
    let provider = index_snapshot.provider();
    let (AppliedConfig { policy, settings, .. }, warnings) = if let Some(known) = applied_config {
        (known, None)
    } else {
        let (read, warnings) = read_config(config, provider)?;
        (read, Some(warnings))
    };
    let snapshot = index_snapshot.snapshot(&policy);
    Ok(Made { guard: PolicyAndSnapshot { policy, snapshot }, settings, provider, warnings })
}

fn read_config(
    ConfigText { name, text }: &ConfigText,
    provider: Option<Provider>,
) -> anyhow::Result<(AppliedConfig, Vec<String>)> {
    let loaded = config::load(name, text, provider).map_err(|found| refused(name, &found))?;
    let warnings = warnings(name, &loaded.warnings);
    let policy = Arc::new(loaded.policy);
    let hash = ConfigFile::hash(text);
    Ok((AppliedConfig { policy, settings: loaded.settings, hash }, warnings))
}

fn warnings(name: &str, found: &[Diagnostic]) -> Vec<String> {
    found.iter().map(|warning| with_key(name, warning)).collect()
}

fn refused(name: &str, found: &Diagnostics) -> anyhow::Error {
    let errors = found.as_slice().iter().filter(|it| it.severity == DiagnosticSeverity::Error);
    let lines: Vec<_> = errors.map(|error| with_key(name, error)).collect();
    anyhow::anyhow!("the config cannot be used:\n{}", lines.join("\n"))
}

/// The diagnostic in one line with its key, because a log does not show the line of the config.
fn with_key(name: &str, diagnostic: &Diagnostic) -> String {
    let (line, key) = (diagnostic.one_line(name), &diagnostic.key);
    if line.contains(key) { line } else { format!("{line} (in `{key}`)") }
}

/// Shows the config in force in the metrics.
fn show_config(metrics: &Metrics, text: &str, policy: &Policy, settings: &ConfigSettings) {
    metrics.set_config(AppliedConfigValues {
        hash: &ConfigFile::hash(text),
        policy,
        scan_interval: settings.scan.enabled.then_some(settings.scan.interval),
        snapshot_max_age: settings.snapshot_max_age,
    });
}

/// Replaces the node counts of every pool.
fn show_nodes(metrics: &Metrics, snapshot: &Snapshot) {
    let mut counts: BTreeMap<(&str, &str, NodeState), i64> = BTreeMap::new();
    for pool in snapshot.pools() {
        if pool.nodes == 0 {
            // A pool that nobody counts is one that no alert can miss.
            counts.insert((&pool.name, "", NodeState::Ready), 0);
        }
        for (zone, state, number) in &pool.states {
            let zone = zone.as_deref().unwrap_or_default();
            *counts.entry((&pool.name, zone, *state)).or_default() += i64::from(*number);
        }
    }
    metrics.set_pool_nodes(counts.into_iter().map(|((pool, zone, state), number)| {
        let state = match state {
            NodeState::Ready => label::NodeStateLabel::Ready,
            NodeState::Cordoned => label::NodeStateLabel::Cordoned,
            NodeState::NotReady => label::NodeStateLabel::NotReady,
        };
        (pool, zone, state, number)
    }));
}
