//! A live cluster, listed kind by kind and page by page. PoolGuard changes nothing in it.

mod index;

pub(super) use self::index::read_index;

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use anyhow::bail;
use kube::{Client, api::ListParams, core::Request};

use crate::{
    api::{
        client,
        discovery::{self, ServedResource},
        list_watch::RUNNING_PODS,
        rbac::{self, PolicyRule},
    },
    check::is_always_read,
    cluster::{
        inventory::{Inventory, READ, is_metadata_only},
        wire::ListPage,
    },
    config,
    kubernetes::resource::{GroupResource, PODS, Resource},
    policy::protection::NamedObject,
};

/// The number of objects in a page of a list. A page of pods has a few megabytes.
const PAGE: u32 = 500;

/// The largest number of times that PoolGuard begins a list again because its continuation has expired.
const ATTEMPTS: usize = 3;

/// A live cluster that has been read. PoolGuard can read further objects of it.
pub(super) struct LiveCluster {
    /// The context, or the URL of the API server.
    pub(super) name: String,
    reader: Reader,
}

impl LiveCluster {
    /// Reads the cluster of a context, or of the default one. A kind that cannot be read is unknown, with the
    /// reason. An API server that does not answer is an error.
    pub(super) async fn read(
        kubeconfig: Option<&Path>,
        context: Option<&str>,
    ) -> anyhow::Result<Self> {
        Self::read_into(Inventory::default(), kubeconfig, context).await.map_err(client::or_dump)
    }

    /// Reads the cluster as [`Self::read`] does, but into this inventory.
    pub(super) async fn read_into(
        inventory: Inventory,
        kubeconfig: Option<&Path>,
        context: Option<&str>,
    ) -> anyhow::Result<Self> {
        let reached = client::configure(kubeconfig, context).await?;
        let name = context.map_or_else(|| reached.cluster_url.to_string(), str::to_owned);
        let mut reader = Reader {
            client: client::connect(reached)?,
            inventory,
            undiscovered: None,
            progress: Progress::new(&name),
        };
        for kind in READ {
            if let Err(failure) = reader.read_resource(kind).await {
                if failure.code.is_none() {
                    bail!("{name}: {}", failure.why);
                }
                reader.inventory.mark_unreadable(&kind.group_resource(), failure.why);
            }
        }
        reader.read_node_pool_objects().await;
        Ok(Self { name, reader })
    }

    /// Returns the objects that have been read so far.
    pub(super) fn inventory(&self) -> &Inventory {
        &self.reader.inventory
    }

    /// Reads single objects of resources that are not read as a whole.
    pub(super) async fn read_named(&mut self, objects: &[NamedObject]) {
        for object in objects.iter().filter(|object| !is_always_read(object)) {
            match self.reader.read_named(object).await {
                Ok(()) => {}
                Err(failure) if failure.code == Some(404) => {
                    self.reader.inventory.mark_absent(&object.resource);
                }
                Err(failure) => {
                    self.reader.inventory.mark_unreadable(&object.resource, failure.why);
                }
            }
        }
    }

    /// Returns the reason why PoolGuard does not know which node-pool objects the cluster has.
    pub(super) fn undiscovered(&self) -> Option<&str> {
        self.reader.undiscovered.as_deref()
    }

    /// Returns the name of the cluster, and everything that has been read.
    pub(super) fn into_parts(self) -> (String, Inventory) {
        let Self { name, reader: Reader { inventory, progress, .. } } = self;
        progress.clear();
        (name, inventory)
    }
}

/// The flags that name a live cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, clap::Args)]
pub(super) struct LiveFlags {
    /// Kubeconfig file; without it PoolGuard uses $KUBECONFIG, ~/.kube/config, or the cluster of its own pod
    #[arg(long, env = "POOLGUARD_KUBECONFIG", value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig
    #[arg(long, env = "POOLGUARD_CONTEXT", value_name = "NAME")]
    pub(super) context: Option<String>,
}

impl LiveFlags {
    /// Whether a flag names a cluster.
    pub(super) fn name_one(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some()
    }
}

/// Runs work that reads from a cluster, on the thread of the command.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}

struct Reader {
    client: Client,
    inventory: Inventory,
    /// The reason why PoolGuard does not know which kinds the cluster has.
    undiscovered: Option<String>,
    progress: Progress,
}

/// The reason why something could not be read, with the status code of the answer if there was one.
struct Failure {
    code: Option<u16>,
    why: String,
}

impl Failure {
    fn unreadable(error: impl std::fmt::Display) -> Self {
        Self { code: Some(200), why: format!("the answer cannot be read: {error}") }
    }
}

impl Reader {
    async fn read_resource(&mut self, kind: Resource) -> Result<(), Failure> {
        let mut parameters = ListParams { limit: Some(PAGE), ..ListParams::default() };
        if kind == PODS {
            parameters.field_selector = Some(RUNNING_PODS.to_owned());
        }
        // A role by RBAC names what is missing; nodes have one already.
        let right = rbac::listing(kind.group, kind.plural);
        let resource = kind.group_resource();
        let found = self.list(&resource, &kind.path(), parameters, is_metadata_only(kind)).await;
        found.map_err(|fault| fault.explained(&right))
    }

    /// Reads the objects that make nodes, of the kinds that the cluster has.
    async fn read_node_pool_objects(&mut self) {
        let known: BTreeSet<GroupResource> = config::node_pool_resources().collect();
        let groups = known.iter().map(|it| it.group.as_str()).collect();
        let served = match discovery::served(&self.client, &groups).await {
            Ok(served) => served,
            Err(error) => {
                self.undiscovered = Some(client::explain(&error).to_string());
                return;
            }
        };
        for ServedResource { resource, path } in served {
            if !known.contains(&resource) {
                continue;
            }
            let parameters = ListParams { limit: Some(PAGE), ..ListParams::default() };
            if let Err(fault) = self.list(&resource, &path, parameters, false).await {
                let right = rbac::listing(resource.group.clone(), resource.resource.clone());
                self.inventory.mark_unreadable(&resource, fault.explained(&right).why);
            }
        }
    }

    /// Reads an object that the config names, of a resource that not every check reads.
    async fn read_named(&mut self, object: &NamedObject) -> Result<(), Failure> {
        let NamedObject { resource, namespace, name } = object;
        let right = rbac::protected(object);
        let base = client::base(&self.client, &resource.group).await;
        let base = base.map_err(|error| Fault::Api(error).explained(&right))?;
        let path = match namespace {
            Some(namespace) => format!("{base}/namespaces/{namespace}/{}", resource.resource),
            None => format!("{base}/{}", resource.resource),
        };
        let mut parameters = ListParams { limit: Some(PAGE), ..ListParams::default() };
        parameters.field_selector = Some(format!("metadata.name={name}"));
        let found = self.list(resource, &path, parameters, false).await;
        found.map_err(|fault| fault.explained(&right))
    }

    async fn list(
        &mut self,
        resource: &GroupResource,
        path: &str,
        parameters: ListParams,
        is_metadata_only: bool,
    ) -> Result<(), Fault> {
        let Self { client, inventory, undiscovered: _, progress } = self;
        inventory.begin(resource);
        let list = ListedResource { path, parameters, is_metadata_only };
        list.read(client, |page| {
            inventory.add_type_of(resource, page);
            for object in page.items().into_iter().flatten() {
                inventory.add(resource, object).map_err(Failure::unreadable)?;
            }
            progress.show(&resource.resource, inventory.count(resource));
            Ok(())
        })
        .await
    }
}

/// A resource to list.
struct ListedResource<'r> {
    path: &'r str,
    parameters: ListParams,
    is_metadata_only: bool,
}

impl ListedResource<'_> {
    /// Reads the resource page by page.
    async fn read(
        mut self,
        client: &Client,
        mut add: impl FnMut(&ListPage<'_>) -> Result<(), Failure>,
    ) -> Result<(), Fault> {
        let mut attempts = 0;
        loop {
            let text = match self.get(client).await {
                Ok(text) => text,
                Err(Fault::Api(error))
                    if client::code(&error) == Some(410) && attempts < ATTEMPTS =>
                {
                    // What was read already is read again, and the newest counts.
                    attempts += 1;
                    self.parameters.continue_token = None;
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            let page = ListPage::read(&text).map_err(Failure::unreadable)?;
            add(&page)?;
            let Some(next) = page.next() else { return Ok(()) };
            self.parameters.continue_token = Some(next.to_owned());
        }
    }

    async fn get(&self, client: &Client) -> Result<String, Fault> {
        let request = Request::new(self.path);
        let request = if self.is_metadata_only {
            request.list_metadata(&self.parameters)
        } else {
            request.list(&self.parameters)
        };
        let request = request.map_err(Failure::unreadable)?;
        client::text(client, request).await.map_err(Fault::Api)
    }
}

enum Fault {
    Api(kube::Error),
    Other(Failure),
}

impl Fault {
    /// Converts the fault into a failure, with the status code and the reason as text. If the API server refused the
    /// request, the text names the right that is missing.
    fn explained(self, right: &PolicyRule) -> Failure {
        match self {
            Self::Api(error) => Failure {
                code: client::code(&error),
                why: client::explain_with(&error, right).to_string(),
            },
            Self::Other(failure) => failure,
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

/// A line on a terminal that shows the progress. Each update overwrites it.
struct Progress {
    cluster: String,
    is_shown: bool,
}

impl Progress {
    fn new(cluster: &str) -> Self {
        Self { cluster: cluster.to_owned(), is_shown: io::stderr().is_terminal() }
    }

    fn show(&self, resource: &str, count: usize) {
        if self.is_shown {
            let mut out = anstream::stderr().lock();
            // Nobody is told if the terminal has gone.
            drop(write!(out, "\r\u{1b}[K{}: reading {resource}, {count} so far", self.cluster));
            drop(out.flush());
        }
    }

    fn clear(&self) {
        if self.is_shown {
            drop(write!(anstream::stderr().lock(), "\r\u{1b}[K"));
        }
    }
}

impl Drop for Progress {
    /// Clears the line, so that an error does not stand behind half a line.
    fn drop(&mut self) {
        self.clear();
    }
}
