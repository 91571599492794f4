//! The cluster of the stories: the recorded nodes and config on a real control plane, people, and
//! PoolGuard as a ServiceAccount with the rights that it asks for, and no others.

use std::{
    fs, future::Future, io::Write as _, os::unix::fs::symlink, path::PathBuf, time::Duration,
};

use poolguard::{
    api::{
        installation::InstallationNames,
        rbac::{self, Duties, PolicyRule, RoleScope},
    },
    check::named,
    config,
};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use tokio::time::{Instant, sleep};

use crate::{
    it::live::{replica::Replica, service::Service},
    plane::Plane,
    user::{Refusal, User},
};

pub(crate) const NAMESPACE: &str = "poolguard-system";
pub(crate) const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
/// Both webhook configurations.
pub(crate) const CONFIGURATIONS: [&str; 2] = [
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/poolguard",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/poolguard",
];
pub(crate) const BREAK_GLASS: &str = "poolguard:break-glass";
const ACCOUNT: &str = "poolguard";

/// An API server acts on what changes within a second; a rotation takes its time.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long an endpoint that is not ready any more is still called.
const SPREAD: Duration = Duration::from_millis(400);

/// The cluster, with as many replicas of PoolGuard as a story wants.
pub(crate) struct World {
    pub(crate) plane: Plane,
    pub(crate) admin: User,
    /// Somebody who may do everything as far as RBAC goes.
    pub(crate) alice: User,
    pub(crate) replicas: Vec<Replica>,
    service: Service,
    token: String,
    kubeconfig: NamedTempFile,
    mount: TempDir,
    configs: u32,
}

impl World {
    pub(crate) async fn start(binaries: PathBuf) -> Self {
        let plane = Plane::start(binaries).await;
        let (admin, alice) = (plane.admin(), plane.user("alice", &[]));
        for name in [
            NAMESPACE,
            "shop",
            "monitoring",
            "automq",
            "automq-instance-1",
            "automq-instance-2",
            "automq-instance-3",
        ] {
            let namespace = json!({"metadata": {"name": name}});
            admin.create("/api/v1/namespaces", &namespace).await.unwrap();
        }
        add_nodes(&admin).await;
        add_people(&admin).await;
        let token = add_poolguard(&admin).await;
        let mut kubeconfig = NamedTempFile::new().unwrap();
        kubeconfig.write_all(plane.kubeconfig(&token).to_string().as_bytes()).unwrap();
        let mount = tempfile::tempdir().unwrap();
        symlink("..data/config.yaml", mount.path().join("config.yaml")).unwrap();
        let (replicas, service) = (Vec::new(), Service::start().await);
        let mut world =
            Self { plane, admin, alice, replicas, service, token, kubeconfig, mount, configs: 0 };
        world.configure("");
        world
    }

    /// Mounts the recorded config, with a trusted principal and these lines at its end.
    pub(crate) fn configure(&mut self, more: &str) {
        self.configs += 1;
        let recorded = fs::read_to_string(data("config.yaml")).unwrap();
        let trusted = "principals: {trusted: {users: [console]}}";
        let at = |name: &str| self.mount.path().join(name);
        let folder = format!("..{}", self.configs);
        fs::create_dir(at(&folder)).unwrap();
        let text = format!("{recorded}{trusted}\n{more}\n");
        fs::write(at(&folder).join("config.yaml"), text).unwrap();
        symlink(&folder, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    }

    /// Somebody who is known by their name alone.
    pub(crate) fn user(&self, name: &str) -> User {
        self.plane.user(name, &[])
    }

    pub(crate) fn break_glass(&self) -> User {
        self.plane.user("alice", &[BREAK_GLASS])
    }

    pub(crate) fn node(&self, name: &str) -> User {
        self.plane.user(&format!("system:node:{name}"), &["system:nodes"])
    }

    /// PoolGuard itself.
    pub(crate) fn poolguard(&self) -> User {
        self.plane.bearer(&self.token)
    }

    async fn replica(&self, name: &str) -> Replica {
        let kubeconfig = self.kubeconfig.path().display().to_string();
        let config = self.mount.path().join("config.yaml").display().to_string();
        let url = self.service.url();
        let flags = [
            ["--kubeconfig", &kubeconfig],
            ["--config", &config],
            ["--webhook-url", &url],
            ["--namespace", NAMESPACE],
            ["--owner", "poolguard"],
            ["--identity", name],
            ["--listen", "127.0.0.1:0"],
            ["--admin-listen", "127.0.0.1:0"],
            ["--shutdown-delay", "2s"],
            ["--ca-rotation-wait", "2s"],
        ];
        let flags = flags.iter().flatten().map(|&text| text.to_owned());
        let arguments: Vec<_> = std::iter::once("serve".to_owned()).chain(flags).collect();
        Replica::start(&arguments).await
    }

    fn lead_to_all(&self) {
        let addresses: Vec<_> = self.replicas.iter().map(|replica| replica.webhook).collect();
        self.service.lead_to(&addresses);
    }

    /// Has so many replicas serve, and the API server ask them.
    pub(crate) async fn scale(&mut self, count: usize) {
        while self.replicas.len() > count {
            self.remove_last().await;
        }
        while self.replicas.len() < count {
            let name = format!("replica-{}", self.replicas.len());
            let replica = self.replica(&name).await;
            self.replicas.push(replica);
            if self.replicas.len() == 1 {
                self.lead_to_all();
            }
            self.replicas[self.replicas.len() - 1].ready().await;
        }
        self.lead_to_all();
        if count > 0 {
            self.until_asked().await;
        }
    }

    /// Has PoolGuard registered, and gone.
    pub(crate) async fn down(&mut self) {
        for path in CONFIGURATIONS {
            if self.admin.get(path).await.is_err() {
                self.scale(1).await;
            }
        }
        self.scale(0).await;
    }

    async fn remove_last(&mut self) {
        let mut replica = self.replicas.pop().unwrap();
        replica.signal("TERM");
        sleep(SPREAD).await;
        self.lead_to_all();
        replica.ended().await;
    }

    /// Restarts a replica as a Deployment does: the old one goes while its endpoint is taken away.
    pub(crate) async fn restart(&mut self, index: usize) {
        let name = format!("replica-{index}");
        let mut replica = self.replicas.remove(index);
        replica.signal("TERM");
        sleep(SPREAD).await;
        self.lead_to_all();
        assert_eq!(replica.ended().await, 0);
        // Its last line may be read after its end.
        replica.logged("every request was answered").await;
        let replica = self.replica(&name).await;
        replica.ready().await;
        self.replicas.insert(index, replica);
        self.lead_to_all();
    }

    /// Waits until the API server asks PoolGuard about an intruder.
    pub(crate) async fn until_asked(&self) {
        let path = "/api/v1/namespaces/shop/pods?dryRun=All";
        let asked = async || match self.alice.create(path, &intruder("asked")).await {
            Ok(_) => Err("an intruder passes".to_owned()),
            Err(refusal) => says(&refusal, "[pod-intrusion]"),
        };
        eventually("the API server asks PoolGuard", asked).await;
    }

    /// How often the replicas have been asked.
    pub(crate) async fn asked_count(&self) -> u64 {
        self.sum("poolguard_admission_requests_total").await
    }

    /// A metric, over all series and replicas.
    pub(crate) async fn sum(&self, name: &str) -> u64 {
        let mut sum = 0.0;
        for replica in &self.replicas {
            let text = replica.get("/metrics").await;
            let lines = text.lines().filter(|line| line.starts_with(name));
            let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            sum += values.sum::<f64>();
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it counts")]
        let sum = sum as u64;
        sum
    }

    /// Whether a replica has logged this, on either stream.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        let log = self.replicas.iter().flat_map(Replica::log);
        log.into_iter().any(|line| line.contains(text))
    }
}

/// A recorded file.
pub(crate) fn data(path: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data", path].iter().collect()
}

/// Waits until something is so.
pub(crate) async fn eventually<F: Future<Output = Result<(), String>>>(
    what: &str,
    mut is_so: impl FnMut() -> F,
) {
    let began = Instant::now();
    while let Err(why) = is_so().await {
        assert!(began.elapsed() < PATIENCE, "not in time: {what}: {why}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Whether a webhook refused it with this text.
pub(crate) fn says(refusal: &Refusal, text: &str) -> Result<(), String> {
    let is_denial = refusal.code == 403
        && refusal.message.contains("denied the request")
        && refusal.message.contains(text);
    if is_denial { Ok(()) } else { Err(refusal.to_string()) }
}

/// A pod in need of a node.
pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": "main"}]},
    })
}

/// A pod that tolerates everything.
pub(crate) fn intruder(name: &str) -> Value {
    let mut pod = pod(name);
    pod["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    pod
}

async fn add_nodes(admin: &User) {
    let dump: Value =
        serde_json::from_str(&fs::read_to_string(data("cluster.json")).unwrap()).unwrap();
    for item in dump["items"].as_array().unwrap() {
        if item["kind"] == "Node" {
            let node = json!({
                "metadata": {"name": item["metadata"]["name"], "labels": item["metadata"]["labels"]},
                "spec": item["spec"],
            });
            admin.create("/api/v1/nodes", &node).await.unwrap();
        }
    }
}

/// RBAC lets these do everything, so that it is PoolGuard that does not.
async fn add_people(admin: &User) {
    let subject = |kind: &str, name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
    let binding = json!({
        "metadata": {"name": "people"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [
            subject("User", "alice"),
            subject("User", "console"),
            subject("User", "picky-scheduler"),
            subject("Group", BREAK_GLASS),
            subject("Group", "system:nodes"),
        ],
    });
    admin.create(&format!("{RBAC}/clusterrolebindings"), &binding).await.unwrap();
}

/// What the chart installs beside the Deployment; a token of the ServiceAccount.
async fn add_poolguard(admin: &User) -> String {
    let accounts = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts");
    admin.create(&accounts, &json!({"metadata": {"name": ACCOUNT}})).await.unwrap();
    let names = InstallationNames::of("poolguard", Some("poolguard".to_owned()));
    let mut all =
        rbac::of_replica(&names, Duties { certifies: true, registers: true, reports: true });
    let config = fs::read_to_string(data("config.yaml")).unwrap();
    let policy = config::load("config.yaml", &config, None).unwrap().policy;
    all.extend(rbac::protecting(&named(&policy)));
    let namespaced = format!("{RBAC}/namespaces/{NAMESPACE}");
    for (scope, folder, kind) in [
        (RoleScope::Cluster, RBAC, "ClusterRole"),
        (RoleScope::Namespace, namespaced.as_str(), "Role"),
    ] {
        let resource = kind.to_ascii_lowercase();
        let rules: Vec<_> = all.iter().filter(|it| it.scope == scope).map(rule).collect();
        let role = json!({"metadata": {"name": "poolguard"}, "rules": rules});
        admin.create(&format!("{folder}/{resource}s"), &role).await.unwrap();
        let binding = json!({
            "metadata": {"name": "poolguard"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "poolguard"},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}],
        });
        admin.create(&format!("{folder}/{resource}bindings"), &binding).await.unwrap();
    }
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 3600},
    });
    let answer = admin.create(&format!("{accounts}/{ACCOUNT}/token"), &request).await.unwrap();
    answer["status"]["token"].as_str().unwrap().to_owned()
}

fn rule(right: &PolicyRule) -> Value {
    let PolicyRule { scope: _, group, resource, verbs, names } = right;
    let mut rule = json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    if !names.is_empty() {
        rule["resourceNames"] = json!(names);
    }
    rule
}
