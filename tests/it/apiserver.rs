//! A Kubernetes API server in memory, over plain HTTP on a free port: for everything that talks to
//! one. It knows objects, not what they mean: nothing is scheduled, run or admitted.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod admission;
mod apply;
mod discovery;
mod faults;
mod object;
mod read;
mod resources;
mod rights;
mod route;
mod selector;
mod serve;
mod status;
mod store;
mod tests;
mod watch;
mod write;

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub(crate) use faults::Cut;
use http::Uri;
use kube::{Client, Config, config::AuthInfo};
pub(crate) use rights::{Asked, Rule};
use serde_json::{Value, json};
use store::{Hook, Key, State, User};
use tempfile::NamedTempFile;
use tokio::{net::TcpListener, sync::watch::Sender, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use write::Write;

/// The token of somebody who may do everything.
pub(crate) const ADMIN: &str = "admin-token";

/// Nothing in these tests takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// What requests, watches and the test share.
struct Shared {
    state: Mutex<State>,
    /// Changes with every request and with everything that the test does.
    wake: Sender<u64>,
    /// Cancelled to cut the connections of a moment.
    connections: Mutex<CancellationToken>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that fails inside of the server must not take down what cleans up after it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.wake.send_modify(|count| *count += 1);
        result
    }

    /// Holds a request for as long as the server hangs.
    async fn while_hanging(self: &Arc<Self>) {
        let mut wake = self.wake.subscribe();
        if !self.state().faults.hangs {
            return;
        }
        let _held = Held::new(self);
        while self.state().faults.hangs {
            wake.changed().await.unwrap();
        }
    }
}

/// A request that waits for an answer while the server hangs.
struct Held(Arc<Shared>);

impl Held {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.change(|state| state.held += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.change(|state| state.held -= 1);
    }
}

/// A running server. It ends when it is dropped.
pub(crate) struct ApiServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// `name`, or `namespace/name`.
fn key(path: &str) -> Key {
    let (namespace, name) = path.split_once('/').unwrap_or(("", path));
    (namespace.to_owned(), name.to_owned())
}

/// Running it, and ways to it.
impl ApiServer {
    /// A server with the namespaces of a new cluster, and [`ADMIN`].
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new()),
            wake: Sender::new(0),
            connections: Mutex::new(CancellationToken::new()),
        });
        let accepting = tokio::spawn(serve::accept(Arc::clone(&shared), listener));
        let server = Self { shared, address, accepting };
        server.grant(ADMIN, "admin", vec![Rule::everything()]);
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            server.add_namespace(name);
        }
        server
    }

    pub(crate) fn uri(&self) -> Uri {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// What a client of a token needs. It does not try again by itself.
    pub(crate) fn config(&self, token: &str) -> Config {
        let mut config = Config::new(self.uri());
        config.auth_info = AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() };
        config.default_retry = false;
        config
    }

    pub(crate) fn client(&self, token: &str) -> Client {
        Client::try_from(self.config(token)).unwrap()
    }

    /// The same for a process.
    pub(crate) fn kubeconfig(&self, token: &str) -> NamedTempFile {
        let cluster = json!({ "server": format!("http://{}", self.address) });
        let context = json!({ "cluster": "test", "user": "test" });
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": cluster }],
            "users": [{ "name": "test", "user": { "token": token } }],
            "contexts": [{ "name": "test", "context": context }],
            "current-context": "test",
        });
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(config.to_string().as_bytes()).unwrap();
        file
    }

    /// Waits until something is so; asked again after every request and every change.
    pub(crate) async fn wait_until(&self, condition: impl Fn(&Self) -> bool) {
        let mut wake = self.shared.wake.subscribe();
        let met = async {
            while !condition(self) {
                wake.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, met).await.expect("the condition is met");
    }
}

/// Objects, without HTTP and without rights.
impl ApiServer {
    /// Creates or replaces an object as it is, and fills in what every object has.
    pub(crate) fn put(&self, value: Value) -> Value {
        let [api_version, kind] = ["apiVersion", "kind"].map(|key| value[key].as_str().unwrap());
        let id = resources::of_kind(api_version, kind)
            .unwrap_or_else(|| panic!("the table has no {api_version} {kind}"));
        self.shared.change(|state| Write::put(state, id, value).value())
    }

    pub(crate) fn add_namespace(&self, name: &str) {
        self.put(json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
            "status": { "phase": "Active" },
        }));
    }

    /// Deletes an object, with what it owns; `false` if there is none.
    pub(crate) fn remove(&self, resource: &str, path: &str) -> bool {
        let id = resources::named(resource);
        self.shared.change(|state| state.erase(id, &key(path), false)).is_some()
    }

    /// An object by `name` or `namespace/name`.
    pub(crate) fn get(&self, resource: &str, path: &str) -> Option<Value> {
        let object = self.shared.state().find(resources::named(resource), &key(path)).cloned();
        object.map(|object| object.value())
    }

    /// All objects of a kind, by namespace and name.
    pub(crate) fn list(&self, resource: &str) -> Vec<Value> {
        let state = self.shared.state();
        let objects = state.tables[resources::named(resource)].objects.values();
        objects.map(|object| object.value()).collect()
    }

    /// How many objects of a kind there are.
    pub(crate) fn count(&self, resource: &str) -> usize {
        self.shared.state().tables[resources::named(resource)].objects.len()
    }

    /// Changes an object, as the field manager `test`.
    pub(crate) fn edit(&self, resource: &str, path: &str, edit: impl FnOnce(&mut Value)) -> Value {
        self.edit_as("test", resource, path, edit)
    }

    /// Changes an object, as a field manager.
    pub(crate) fn edit_as(
        &self,
        manager: &str,
        resource: &str,
        path: &str,
        edit: impl FnOnce(&mut Value),
    ) -> Value {
        let (id, key) = (resources::named(resource), key(path));
        self.shared.change(|state| {
            let live = state.find(id, &key).cloned().unwrap();
            let mut value = live.value();
            edit(&mut value);
            let write = Write::by(id, &key, manager);
            write.replace(state, &live, value).unwrap().object.value()
        })
    }

    /// Lets somebody edit every object of a kind right after each write of anybody else, as a field
    /// manager of their own. The closure runs inside of the server: it must not call it.
    pub(crate) fn on_write(
        &self,
        resource: &str,
        manager: &str,
        edit: impl Fn(&mut Value) + Send + Sync + 'static,
    ) {
        let id = resources::named(resource);
        let hook = Hook { id, manager: manager.to_owned(), edit: Arc::new(edit) };
        self.shared.change(|state| state.hooks.push(hook));
    }

    /// Takes back every [`Self::on_write`].
    pub(crate) fn clear_hooks(&self) {
        self.shared.change(|state| state.hooks.clear());
    }

    /// The version of the last write.
    pub(crate) fn version(&self) -> u64 {
        self.shared.state().version
    }

    /// Forgets what was before now: older versions, and pages of lists, are gone.
    pub(crate) fn compact(&self) {
        self.shared.change(State::compact);
    }

    /// Serves a group, or serves it no more.
    pub(crate) fn serve_group(&self, group: &str, serves: bool) {
        self.shared.change(|state| {
            if serves {
                state.absent.remove(group);
            } else {
                state.absent.insert(group.to_owned());
            }
        });
    }
}

/// Rights, and what was asked for.
impl ApiServer {
    /// Sets the user and the rights of a token.
    pub(crate) fn grant(&self, token: &str, user: &str, rules: Vec<Rule>) {
        let user = User { name: user.to_owned(), rules };
        self.shared.change(|state| state.users.insert(token.to_owned(), user));
    }

    /// Makes a token unknown.
    pub(crate) fn forget_token(&self, token: &str) {
        self.shared.change(|state| state.users.remove(token));
    }

    /// The requests about objects so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.state().asked.clone()
    }

    /// Forgets the requests so far.
    pub(crate) fn clear_asked(&self) {
        self.shared.change(|state| state.asked.clear());
    }

    /// How many requests there were of a verb and a resource.
    pub(crate) fn asked_count(&self, verb: &str, resource: &str) -> usize {
        let state = self.shared.state();
        state.asked.iter().filter(|it| it.verb == verb && it.resource == resource).count()
    }

    /// How many watches of a kind are open.
    pub(crate) fn watching(&self, resource: &str) -> usize {
        let id = resources::named(resource);
        self.shared.state().watches.values().filter(|&&it| it == id).count()
    }
}

/// What goes wrong.
impl ApiServer {
    /// How long each request takes at least.
    pub(crate) fn latency(&self, latency: Duration) {
        self.shared.change(|state| state.faults.latency = latency);
    }

    /// Refuses the next requests of a verb and a resource with a code; `*` is any of them. A request
    /// that is about no object is a `get` of its path. A 429 says to come back after a second.
    pub(crate) fn refuse(&self, verb: &str, resource: &str, code: u16, times: usize) {
        self.shared.change(|state| {
            state.faults.refusals.push(faults::Refusal {
                verb: verb.to_owned(),
                resource: resource.to_owned(),
                code,
                left: times,
            });
        });
    }

    /// Creates objects with a warning, as a webhook can ask for.
    pub(crate) fn warn(&self, text: &str) {
        self.shared.change(|state| state.faults.warning = Some(text.to_owned()));
    }

    /// Takes back every [`Self::refuse`].
    pub(crate) fn clear_refusals(&self) {
        self.shared.change(|state| state.faults.refusals.clear());
    }

    /// Ends all open watches now.
    pub(crate) fn cut_watches(&self, how: Cut) {
        self.shared.change(|state| {
            let (count, _) = state.faults.cut;
            state.faults.cut = (count + 1, how);
        });
    }

    /// Takes the connections of all open watches away, and nothing else.
    pub(crate) fn disconnect_watches(&self) {
        self.cut_watches(Cut::Abruptly);
    }

    /// Closes every connection, whatever goes on in it.
    pub(crate) fn disconnect(&self) {
        let mut connections = self.shared.connections.lock().unwrap();
        std::mem::take(&mut *connections).cancel();
    }

    /// Closes new connections at once, or not.
    pub(crate) fn drop_connections(&self, drops: bool) {
        self.shared.change(|state| state.faults.drops_connections = drops);
    }

    /// Stops answering: requests wait, watches are silent and do not time out.
    pub(crate) fn hang(&self) {
        self.shared.change(|state| state.faults.hangs = true);
    }

    /// Answers again.
    pub(crate) fn resume(&self) {
        self.shared.change(|state| state.faults.hangs = false);
    }

    /// How many requests wait for an answer because the server hangs.
    pub(crate) fn held(&self) -> usize {
        self.shared.state().held
    }

    /// Sends something else instead of the next event of a watch: that event is lost.
    pub(crate) fn garble(&self, line: &str) {
        self.shared.change(|state| state.faults.garbage.push_back(line.to_owned()));
    }

    /// Whether a watch of a version that is gone is an HTTP 410, instead of an ERROR event.
    pub(crate) fn gone_as_http(&self, is: bool) {
        self.shared.change(|state| state.faults.gone_as_http = is);
    }

    /// How often watches get a bookmark.
    pub(crate) fn bookmark_every(&self, interval: Duration) {
        self.shared.change(|state| state.faults.bookmark_interval = interval);
    }

    /// Sends a bookmark to all open watches that allow them.
    pub(crate) fn bookmark(&self) {
        self.shared.change(|state| state.faults.bookmarks += 1);
    }
}
