//! The configs and clusters of tests: each is read once, whichever tests use it.

use std::{
    collections::HashMap,
    hash::Hash,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    check::{Fitness, examine, examine_plan, named},
    cli::{
        check::{read_inventory, read_plan},
        input::{ConfigText, read_index},
        live::{self, LiveCluster, LiveFlags, block_on},
    },
    cluster::{Index, inventory::Inventory},
    policy::{Policy, provider::Provider},
    service::PolicyAndSnapshot,
};

/// A value that was made once, or the reason why it could not be made.
type Made<T> = Result<Arc<T>, Arc<anyhow::Error>>;

/// A file; `None` means the defaults, which apply without a file.
type OptionalFile = Option<PathBuf>;

/// The source of a test's cluster.
#[derive(Clone, PartialEq, Eq, Hash)]
enum ClusterSource {
    /// The source of a test that has no cluster.
    Nowhere,
    Dump(PathBuf),
    Live(LiveFlags),
}

/// The configs and clusters that were read, and the policies and snapshots that were made from them, for all tests.
#[derive(Default)]
pub(super) struct Library {
    /// The cluster to use instead of every dump.
    live: Option<LiveFlags>,
    configs: HashMap<OptionalFile, Made<ConfigText>>,
    policies: HashMap<(OptionalFile, Option<&'static str>), Made<Policy>>,
    indexes: HashMap<ClusterSource, Made<Index>>,
    /// The inventories for `check`. A live cluster is read once for each config, because a config can name
    /// further objects.
    inventories: HashMap<(ClusterSource, OptionalFile), Made<Inventory>>,
    guards: HashMap<(OptionalFile, ClusterSource), Made<PolicyAndSnapshot>>,
}

impl Library {
    /// A library that has read nothing yet.
    pub(super) fn new(live: Option<LiveFlags>) -> Self {
        Self { live, ..Self::default() }
    }

    /// Another library for the same cluster, which has read nothing yet.
    pub(super) fn unread(&self) -> Self {
        Self::new(self.live.clone())
    }

    /// Returns a config with a cluster, for decisions.
    pub(super) fn guard(
        &mut self,
        config: Option<&Path>,
        cluster: Option<&Path>,
    ) -> Made<PolicyAndSnapshot> {
        let key = (config.map(Path::to_owned), self.source(cluster));
        if let Some(made) = self.guards.get(&key) {
            return made.clone();
        }
        let index = made_once(&mut self.indexes, &key.1, || match &key.1 {
            ClusterSource::Nowhere => Ok(Index::default()),
            ClusterSource::Dump(file) => read_index(Some(file)),
            ClusterSource::Live(flags) => live::read_index(flags),
        })?;
        let policy = self.policy(config, index.provider())?;
        let made = Ok(Arc::new(PolicyAndSnapshot { snapshot: index.snapshot(&policy), policy }));
        self.guards.insert(key, made.clone());
        made
    }

    /// Returns the check of a cluster.
    pub(super) fn check_cluster(
        &mut self,
        config: Option<&Path>,
        cluster: &Path,
    ) -> Result<Fitness, Arc<anyhow::Error>> {
        let source = self.source(Some(cluster));
        let inventory = if let ClusterSource::Live(flags) = &source {
            let text = self.config(config)?;
            let key = (source.clone(), config.map(Path::to_owned));
            made_once(&mut self.inventories, &key, || read_live_inventory(flags, &text))?
        } else {
            made_once(&mut self.inventories, &(source, None), || read_inventory(cluster))?
        };
        let policy = self.policy(config, inventory.index().provider())?;
        Ok(examine(&policy, &inventory))
    }

    /// Returns the cluster to use for a test that names this dump.
    fn source(&self, dump: Option<&Path>) -> ClusterSource {
        match (dump, &self.live) {
            (None, _) => ClusterSource::Nowhere,
            (Some(_), Some(flags)) => ClusterSource::Live(flags.clone()),
            (Some(file), None) => ClusterSource::Dump(file.to_owned()),
        }
    }

    /// Returns the check of a Terraform plan.
    pub(super) fn check_plan(
        &mut self,
        config: Option<&Path>,
        plan: &Path,
    ) -> Result<Fitness, Arc<anyhow::Error>> {
        let plan = read_plan(plan).map_err(Arc::new)?;
        let policy = self.policy(config, plan.provider())?;
        Ok(examine_plan(&policy, &plan))
    }

    /// Returns the text of a config.
    pub(super) fn config(&mut self, config: Option<&Path>) -> Made<ConfigText> {
        made_once(&mut self.configs, &config.map(Path::to_owned), || ConfigText::read(config))
    }

    /// Returns the policy of a config. The meaning of a config depends on the provider of the cluster.
    fn policy(&mut self, config: Option<&Path>, provider: Option<Provider>) -> Made<Policy> {
        let text = self.config(config)?;
        let key = (config.map(Path::to_owned), provider.map(Provider::as_str));
        made_once(&mut self.policies, &key, || Ok(text.load(provider)?.policy))
    }
}

/// Reads everything that a check with this config needs of a live cluster.
fn read_live_inventory(flags: &LiveFlags, config: &ConfigText) -> anyhow::Result<Inventory> {
    let LiveFlags { kubeconfig, context } = flags;
    block_on(async {
        let mut cluster = LiveCluster::read(kubeconfig.as_deref(), context.as_deref()).await?;
        let policy = config.load(cluster.inventory().index().provider())?.policy;
        cluster.read_named(&named(&policy)).await;
        Ok(cluster.into_parts().1)
    })
}

/// Returns the value for a key. It is made now if it was not made before.
fn made_once<K: Clone + Eq + Hash, T>(
    known: &mut HashMap<K, Made<T>>,
    key: &K,
    make: impl FnOnce() -> anyhow::Result<T>,
) -> Made<T> {
    if let Some(value) = known.get(key) {
        return value.clone();
    }
    let value = make().map(Arc::new).map_err(Arc::new);
    known.insert(key.clone(), value.clone());
    value
}
