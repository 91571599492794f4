//! A cluster: the recorded nodes in an API server in memory, the rights that the chart grants, a
//! Service, and a config that is mounted as a kubelet mounts it.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use poolguard::{
    api::{
        installation::InstallationNames,
        rbac::{self, Duties, PolicyRule, RoleScope},
    },
    check::named,
    config,
};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

use super::{eventually, replica::Replica, service::Service};
use crate::{
    apiserver::{ApiServer, Rule},
    http::{Connection, Reply, client_config},
    scenario::{data_text, pod_in},
};

/// Where PoolGuard is installed.
pub(crate) const NAMESPACE: &str = "poolguard-system";
/// What PoolGuard may do.
pub(crate) const TOKEN: &str = "poolguard-token";
/// Who PoolGuard is.
const ACCOUNT: &str = "system:serviceaccount:poolguard-system:poolguard";
/// Both webhook configurations.
pub(crate) const CONFIGURATIONS: [&str; 2] =
    ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];

/// A cluster with PoolGuard's rights, and without PoolGuard.
pub(crate) struct Cluster {
    pub(crate) api: ApiServer,
    pub(crate) service: Service,
    kubeconfig: NamedTempFile,
    mount: TempDir,
    generation: AtomicU32,
}

/// What the objects of the installation are called.
pub(crate) fn names() -> InstallationNames {
    InstallationNames::of("poolguard", Some("poolguard".to_owned()))
}

/// Everything that PoolGuard asks for.
pub(crate) fn all_rights() -> Vec<PolicyRule> {
    let mut rights =
        rbac::of_replica(&names(), Duties { certifies: true, registers: true, reports: true });
    let policy = config::load("config.yaml", &data_text("config.yaml"), None).unwrap().policy;
    rights.extend(rbac::protecting(&named(&policy)));
    rights
}

/// Everything but what is about this resource.
pub(crate) fn rights_without(resource: &str) -> Vec<PolicyRule> {
    all_rights().into_iter().filter(|right| right.resource != resource).collect()
}

/// A right as a rule of a role.
pub(crate) fn rule(right: &PolicyRule) -> Rule {
    let names: Vec<_> = right.names.iter().map(String::as_str).collect();
    let rule = Rule::new(&[&right.group], &[&right.resource], right.verbs).named(&names);
    match right.scope {
        RoleScope::Cluster => rule,
        RoleScope::Namespace => rule.within(NAMESPACE),
    }
}

impl Drop for Cluster {
    /// Every live test adds to this: whatever PoolGuard does, it asks for nothing that the chart does not grant.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let granted = rules(&all_rights());
        let asked = self.api.asked();
        let own = asked.iter().filter(|asked| asked.user == ACCOUNT);
        let beyond: Vec<_> = own.filter(|it| !granted.iter().any(|rule| rule.grants(it))).collect();
        assert!(beyond.is_empty(), "the chart does not grant {beyond:?}");
    }
}

impl Cluster {
    /// With the recorded nodes and objects, and the recorded config.
    pub(crate) async fn start() -> Self {
        Self::with_config(&data_text("config.yaml")).await
    }

    /// With the recorded nodes and objects.
    pub(crate) async fn with_config(config: &str) -> Self {
        let cluster = Self::empty(config).await;
        let api = &cluster.api;
        let dump: Value = serde_json::from_str(&data_text("cluster.json")).unwrap();
        for item in dump["items"].as_array().unwrap() {
            if item["kind"] != "Namespace" {
                let namespace = item["metadata"]["namespace"].as_str();
                if let Some(namespace) = namespace
                    && api.get("namespaces", namespace).is_none()
                {
                    api.add_namespace(namespace);
                }
                api.put(item.clone());
            }
        }
        cluster
    }

    /// Without a node.
    pub(crate) async fn empty(config: &str) -> Self {
        let api = ApiServer::start().await;
        api.add_namespace(NAMESPACE);
        add_owner(&api);
        let kubeconfig = api.kubeconfig(TOKEN);
        let service = Service::start().await;
        let mount = tempfile::tempdir().unwrap();
        symlink("..data/config.yaml", mount.path().join("config.yaml")).unwrap();
        let cluster = Self { api, service, kubeconfig, mount, generation: AtomicU32::new(0) };
        cluster.grant(&all_rights());
        cluster.configure(config);
        cluster
    }

    /// From now on PoolGuard may do this, and nothing else.
    pub(crate) fn grant(&self, rights: &[PolicyRule]) {
        self.api.grant(TOKEN, ACCOUNT, rules(rights));
    }

    /// Mounts another config, by swapping a symbolic link.
    pub(crate) fn configure(&self, config: &str) {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed);
        let folder = format!("..{generation}");
        let at = |name: &str| self.mount.path().join(name);
        fs::create_dir(at(&folder)).unwrap();
        fs::write(at(&folder).join("config.yaml"), config).unwrap();
        symlink(&folder, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    }

    /// The config as PoolGuard sees it.
    pub(crate) fn config_path(&self) -> PathBuf {
        self.mount.path().join("config.yaml")
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        self.kubeconfig.path()
    }

    /// The arguments of an installed replica.
    pub(crate) fn arguments(&self, name: &str) -> Vec<String> {
        let kubeconfig = self.kubeconfig().display().to_string();
        let config = self.config_path().display().to_string();
        let url = self.service.url();
        let flags = [
            ["--log-format", "json"],
            ["--kubeconfig", &kubeconfig],
            ["--config", &config],
            ["--webhook-url", &url],
            ["--namespace", NAMESPACE],
            ["--owner", "poolguard"],
            ["--identity", name],
            ["--listen", "127.0.0.1:0"],
            ["--admin-listen", "127.0.0.1:0"],
            ["--shutdown-delay", "200ms"],
            ["--ca-rotation-wait", "500ms"],
        ];
        let flags = flags.iter().flatten().map(|&text| text.to_owned());
        std::iter::once("serve".to_owned()).chain(flags).collect()
    }

    /// An installed replica that the Service leads to, alone.
    pub(crate) async fn replica(&self, name: &str) -> Replica {
        self.replica_with(name, &[]).await
    }

    /// The same with more flags. One that is given twice would be an error.
    pub(crate) async fn replica_with(&self, name: &str, flags: &[&str]) -> Replica {
        let mut arguments = self.arguments(name);
        for pair in flags.chunks(2) {
            match arguments.iter().position(|it| it == pair[0]) {
                Some(index) => pair[1].clone_into(&mut arguments[index + 1]),
                None => arguments.extend(pair.iter().map(|&text| text.to_owned())),
            }
        }
        let replica = Replica::start(&arguments).await;
        self.service.lead_to(&[replica.webhook]);
        replica
    }

    /// An installed replica that is ready and registered.
    pub(crate) async fn installed(&self, name: &str) -> Replica {
        let replica = self.replica(name).await;
        replica.ready().await;
        self.until_registered().await;
        replica
    }

    /// One of the two webhook configurations.
    pub(crate) fn registered(&self, resource: &str) -> Option<Value> {
        self.api.get(resource, "poolguard")
    }

    /// Waits until both webhook configurations are there.
    pub(crate) async fn until_registered(&self) {
        self.api
            .wait_until(|api| CONFIGURATIONS.iter().all(|it| api.get(it, "poolguard").is_some()))
            .await;
    }

    /// The authorities that the entries trust, all of them the same.
    pub(crate) fn bundle(&self) -> Vec<CertificateDer<'static>> {
        let configuration = self.registered(CONFIGURATIONS[1]).unwrap();
        let bundle = configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap();
        let pem = STANDARD.decode(bundle).unwrap();
        CertificateDer::pem_slice_iter(&pem).map(|certificate| certificate.unwrap()).collect()
    }

    pub(crate) fn trusted(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        for certificate in self.bundle() {
            roots.add(certificate).unwrap();
        }
        roots
    }

    /// A connection as the API server makes it: it trusts what is registered, and nothing else.
    pub(crate) async fn connect(&self, to: SocketAddr) -> std::io::Result<Connection> {
        let config = client_config(&self.trusted(), &[b"http/1.1"]);
        Connection::open_as(to, "127.0.0.1", config).await
    }

    /// Sends a review as the API server would: through the Service, trusting what is registered.
    pub(crate) async fn review(&self, path: &str, review: &Value) -> Reply {
        let mut connection = self.connect(self.service.address).await.unwrap();
        connection.post(path, &review.to_string()).await
    }

    /// Whether a review is allowed.
    pub(crate) async fn allows(&self, path: &str, review: &Value) -> bool {
        let reply = self.review(path, review).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        answer["response"]["allowed"].as_bool().unwrap()
    }
}

impl Cluster {
    /// Waits until a review is allowed, or denied.
    pub(crate) async fn until_allows(&self, allows: bool, review: &Value) {
        let what = format!("allowed is {allows}");
        eventually(&what, async || self.allows("/validate", review).await == allows).await;
    }

    /// A node with labels, on which only AutoMQ may run if it is a dedicated one.
    pub(crate) fn add_node(&self, name: &str, group: &str, is_dedicated: bool) {
        let taint = json!({"key": "dedicated", "value": "automq", "effect": "NoSchedule"});
        let taints = if is_dedicated { vec![taint] } else { Vec::new() };
        self.api.put(json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {
                "kubernetes.io/hostname": name,
                "eks.amazonaws.com/nodegroup": group,
                "node.kubernetes.io/instance-type": "r6in.large",
                "topology.kubernetes.io/region": "us-east-1",
                "topology.kubernetes.io/zone": "us-east-1a",
            }},
            "spec": {"providerID": format!("aws:///us-east-1a/i-{name}"), "taints": taints},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }));
    }
}

/// A pod of somebody else that wants to run on this node.
pub(crate) fn pinned_to(node: &str) -> Value {
    let spec =
        format!("{{nodeName: {node}, containers: [{{name: app, image: registry.example/p}}]}}");
    pod_in("shop", &spec)
}

/// The ClusterRole of the release.
pub(crate) fn add_owner(api: &ApiServer) {
    api.put(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "poolguard"},
    }));
}

/// Rights as rules of roles.
pub(crate) fn rules(rights: &[PolicyRule]) -> Vec<Rule> {
    rights.iter().map(rule).collect()
}
