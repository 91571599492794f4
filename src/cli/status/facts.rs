//! The facts that PoolGuard reads about an installation.

use std::collections::BTreeSet;

use anyhow::bail;
use http::Request;
use jiff::Timestamp;
use kube::Client;
use serde_json::Value;

use super::intruder::{self, Answer};
use crate::{
    api::{
        client::{self, ApiError},
        discovery::{self, ServedResource},
        rbac::{ADMISSION_GROUP, ADMISSION_POLICIES, WEBHOOK_CONFIGURATIONS},
    },
    cluster::inventory::Inventory,
    config::{self, Loaded},
    controllers::config_file::ConfigFile,
    kubernetes::resource::{GroupResource, NODES},
    policy::provider::Provider,
};

/// The installation that the command examines.
#[derive(Clone, Debug)]
pub(super) struct InstallationFlags {
    pub(super) namespace: String,
    pub(super) name: String,
    /// The name of the ConfigMap that contains the config.
    pub(super) config_map: String,
    /// The namespace of the pod that is created as a dry run; `None` if no pod is created.
    pub(super) dry_run_namespace: Option<String>,
}

/// An object that was read: `None` if it does not exist, or the reason why it could not be read.
pub(super) type ReadObject = Result<Option<Value>, ApiError>;

/// The reason why there is no config, and what to do.
#[derive(Debug)]
pub(super) struct NoConfig {
    pub(super) message: String,
    pub(super) fix: &'static str,
}

/// The facts that were read about an installation.
#[derive(Debug)]
pub(super) struct StatusFacts {
    pub(super) now: Timestamp,
    pub(super) deployment: ReadObject,
    pub(super) pods: Result<Vec<Value>, ApiError>,
    pub(super) lease: ReadObject,
    /// The webhook configurations, the mutating one first.
    pub(super) configurations: [ReadObject; 2],
    /// The policy for pods of the backstop, and its binding.
    pub(super) policies: [ReadObject; 2],
    /// The config as the ConfigMap has it, or the reason why there is none.
    pub(super) config: Result<Loaded, NoConfig>,
    /// The hash of the config as the ConfigMap has it.
    pub(super) config_hash: Option<String>,
    pub(super) role: ReadObject,
    /// Node-pool objects that the cluster has.
    pub(super) found: BTreeSet<GroupResource>,
    pub(super) provider: Option<Provider>,
    pub(super) intruder: Option<Answer>,
}

/// Reads an installation. Only an API server that does not answer is an error.
pub(super) async fn read(
    client: &Client,
    installed: &InstallationFlags,
) -> anyhow::Result<StatusFacts> {
    let InstallationFlags { namespace, name, config_map, dry_run_namespace } = installed;
    let get = async |path: String| object(client, path).await;
    let deployment =
        get(format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}")).await?;
    let lease =
        get(format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}")).await?;
    let [mutating, validating] =
        WEBHOOK_CONFIGURATIONS.map(|plural| format!("/apis/{ADMISSION_GROUP}/v1/{plural}/{name}"));
    let configurations = [get(mutating).await?, get(validating).await?];
    let [policy, binding, ..] =
        ADMISSION_POLICIES.map(|plural| format!("/apis/{ADMISSION_GROUP}/v1/{plural}/{name}"));
    let policies = [get(policy).await?, get(binding).await?];
    let role = get(format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}")).await?;
    let provider = provider(client).await?;
    let found = get(format!("/api/v1/namespaces/{namespace}/configmaps/{config_map}")).await?;
    let text = found.as_ref().ok().and_then(|it| text_of(it.as_ref()?));
    let config_hash = text.map(ConfigFile::hash);
    let config = load(found, &format!("ConfigMap {namespace}/{config_map}"), provider);
    let selector = "app.kubernetes.io%2Fname%3Dpoolguard";
    let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}");
    let pods = get(path).await?.map(|list| {
        let items = list.as_ref().and_then(|list| list.get("items")).and_then(Value::as_array);
        items.cloned().unwrap_or_default()
    });
    let intruder = match (dry_run_namespace, &config) {
        (Some(namespace), Ok(loaded)) => {
            let pools = &loaded.policy.pools;
            let taint = pools.first().map_or(&loaded.policy.taint, |pool| &pool.taint);
            Some(intruder::ask(client, namespace, taint).await?)
        }
        (_, _) => None,
    };
    let known: BTreeSet<GroupResource> = config::node_pool_resources().collect();
    let groups = known.iter().map(|it| it.group.as_str()).collect();
    let served = discovery::served(client, &groups).await.unwrap_or_default();
    let served = served.into_iter().map(|ServedResource { resource, .. }| resource);
    Ok(StatusFacts {
        now: Timestamp::now(),
        deployment,
        pods,
        lease,
        configurations,
        policies,
        config,
        config_hash,
        role,
        found: served.filter(|it| known.contains(it)).collect(),
        provider,
        intruder,
    })
}

async fn object(client: &Client, path: String) -> anyhow::Result<ReadObject> {
    let request = Request::get(path).body(Vec::new())?;
    match client::text(client, request).await {
        Ok(text) => Ok(serde_json::from_str(&text).map(Some).map_err(ApiError::from)),
        Err(error) => match client::code(&error) {
            Some(404) => Ok(Ok(None)),
            Some(_) => Ok(Err(client::explain(&error))),
            None => bail!("{}", client::explain(&error)),
        },
    }
}

/// Returns the provider that the identifiers of the first nodes show.
async fn provider(client: &Client) -> anyhow::Result<Option<Provider>> {
    let list = object(client, format!("{}?limit=5", NODES.path())).await?;
    let mut inventory = Inventory::default();
    let nodes = list.ok().flatten();
    let nodes = nodes.as_ref().and_then(|list| list.get("items")).and_then(Value::as_array);
    for node in nodes.into_iter().flatten() {
        // A node that cannot be read tells nothing.
        let _unread = inventory.add(&NODES.group_resource(), &node.to_string());
    }
    Ok(inventory.index().provider())
}

/// The text of the config in a ConfigMap.
fn text_of(config_map: &Value) -> Option<&str> {
    config_map.pointer("/data/config.yaml").and_then(Value::as_str)
}

fn load(
    config_map: ReadObject,
    title: &str,
    provider: Option<Provider>,
) -> Result<Loaded, NoConfig> {
    let object = config_map.map_err(|why| NoConfig {
        message: format!("{title} could not be read: {why}"),
        fix: "# this says nothing about PoolGuard: run this command as a user who may read the ConfigMap",
    })?;
    let object = object.ok_or_else(|| NoConfig {
        message: format!("There is no {title}"),
        fix: "# name the ConfigMap with --config-map; if there is none, install or upgrade the chart, which creates it",
    })?;
    let text = text_of(&object).ok_or_else(|| NoConfig {
        message: format!("{title} has no key config.yaml"),
        fix: "# put the config into this key, or name another ConfigMap with --config-map",
    })?;
    config::load("config.yaml", text, provider).map_err(|found| {
        let first = found.as_slice().first().map(|it| it.one_line("config.yaml"));
        NoConfig {
            message: format!("The config in {title} has mistakes: {}", first.unwrap_or_default()),
            fix: "# correct it, and apply it again: poolguard config check FILE",
        }
    })
}
