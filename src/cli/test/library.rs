//! The configs and clusters of tests: each file is read once, whichever tests use it.

use std::{
    collections::HashMap,
    hash::Hash,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    check::{Fitness, examine, examine_plan},
    cli::{
        check::{read_inventory, read_plan},
        input::{ConfigText, read_index},
    },
    cluster::{Index, inventory::Inventory},
    policy::{Policy, provider::Provider},
    service::PolicyAndSnapshot,
};

/// A value that was made once, or why it could not be made.
type Made<T> = Result<Arc<T>, Arc<anyhow::Error>>;

/// A file, or the defaults that hold without one.
type OptionalFile = Option<PathBuf>;

/// Everything that was read.
#[derive(Default)]
pub(super) struct Library {
    configs: HashMap<OptionalFile, Made<ConfigText>>,
    policies: HashMap<(OptionalFile, Option<&'static str>), Made<Policy>>,
    indexes: HashMap<OptionalFile, Made<Index>>,
    inventories: HashMap<PathBuf, Made<Inventory>>,
    guards: HashMap<(OptionalFile, OptionalFile), Made<PolicyAndSnapshot>>,
}

impl Library {
    /// A config with a cluster, for decisions.
    pub(super) fn guard(
        &mut self,
        config: Option<&Path>,
        cluster: Option<&Path>,
    ) -> Made<PolicyAndSnapshot> {
        let key = (config.map(Path::to_owned), cluster.map(Path::to_owned));
        if let Some(made) = self.guards.get(&key) {
            return made.clone();
        }
        let index = made_once(&mut self.indexes, &key.1, || read_index(cluster))?;
        let policy = self.policy(config, index.provider())?;
        let made = Ok(Arc::new(PolicyAndSnapshot { snapshot: index.snapshot(&policy), policy }));
        self.guards.insert(key, made.clone());
        made
    }

    /// The check of a cluster.
    pub(super) fn check_cluster(
        &mut self,
        config: Option<&Path>,
        cluster: &Path,
    ) -> Result<Fitness, Arc<anyhow::Error>> {
        let inventory =
            made_once(&mut self.inventories, &cluster.to_owned(), || read_inventory(cluster))?;
        let policy = self.policy(config, inventory.index().provider())?;
        Ok(examine(&policy, &inventory))
    }

    /// The check of a Terraform plan.
    pub(super) fn check_plan(
        &mut self,
        config: Option<&Path>,
        plan: &Path,
    ) -> Result<Fitness, Arc<anyhow::Error>> {
        let plan = read_plan(plan).map_err(Arc::new)?;
        let policy = self.policy(config, plan.provider())?;
        Ok(examine_plan(&policy, &plan))
    }

    /// The text of a config.
    pub(super) fn config(&mut self, config: Option<&Path>) -> Made<ConfigText> {
        made_once(&mut self.configs, &config.map(Path::to_owned), || ConfigText::read(config))
    }

    /// The meaning of a config depends on the provider of the cluster.
    fn policy(&mut self, config: Option<&Path>, provider: Option<Provider>) -> Made<Policy> {
        let text = self.config(config)?;
        let key = (config.map(Path::to_owned), provider.map(Provider::as_str));
        made_once(&mut self.policies, &key, || Ok(text.load(provider)?.policy))
    }
}

/// The value for a key, made now if it was not made before.
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
