//! A control plane: etcd and a kube-apiserver on free ports, with a certificate authority of their own,
//! and nothing else. No controller runs, so that whatever happens was asked for.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::{Config, config::AuthInfo};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::user::User;

/// How long a control plane may take to start, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running control plane. It ends when it is dropped.
pub(crate) struct Plane {
    binaries: PathBuf,
    folder: TempDir,
    etcd: Process,
    api: Option<Process>,
    protocol: Protocol,
    api_port: u16,
    authority_der: Vec<u8>,
    admin: AuthInfo,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Which version of HTTP an API server uses where it has the choice, as it has with a URL. With a
/// Service it is HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Plane {
    /// Starts the binaries of this folder.
    pub(crate) async fn start(binaries: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority_der = make_keys(folder.path());
        let [client, peer, api_port] = free_ports();
        let etcd = spawn(
            Command::new(binaries.join("etcd")).args([
                format!("--data-dir={}", folder.path().join("etcd").display()),
                format!("--listen-client-urls=http://127.0.0.1:{client}"),
                format!("--advertise-client-urls=http://127.0.0.1:{client}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
                "--unsafe-no-fsync".to_owned(),
            ]),
            &folder.path().join("etcd.log"),
        );
        fs::write(folder.path().join("etcd.port"), client.to_string()).unwrap();
        let data = |name: &str| STANDARD.encode(fs::read(folder.path().join(name)).unwrap());
        let admin = AuthInfo {
            client_certificate_data: Some(data("admin.crt")),
            client_key_data: Some(data("admin.key").into()),
            ..AuthInfo::default()
        };
        let (api, protocol) = (None, Protocol::Http2);
        let mut plane =
            Self { binaries, folder, etcd, api, protocol, api_port, authority_der, admin };
        plane.start_api().await;
        plane
    }

    /// Ends the API server, and starts it again on what etcd holds.
    pub(crate) async fn restart_api(&mut self, protocol: Protocol) {
        self.api = None;
        self.protocol = protocol;
        self.start_api().await;
    }

    /// Which version of HTTP it uses now.
    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    async fn start_api(&mut self) {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let etcd = fs::read_to_string(at("etcd.port")).unwrap();
        let mut command = Command::new(self.binaries.join("kube-apiserver"));
        command.args([
            format!("--etcd-servers=http://127.0.0.1:{etcd}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.api_port),
            "--endpoint-reconciler-type=none".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            format!("--tls-cert-file={}", at("server.crt")),
            format!("--tls-private-key-file={}", at("server.key")),
            format!("--client-ca-file={}", at("ca.crt")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", at("tokens.pub")),
            format!("--service-account-signing-key-file={}", at("tokens.key")),
            "--authorization-mode=RBAC".to_owned(),
            // Nobody makes the service accounts that it would ask for.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ]);
        if self.protocol == Protocol::Http1 {
            command.env("DISABLE_HTTP2", "true");
        }
        self.api = Some(spawn(&mut command, &self.folder.path().join("kube-apiserver.log")));
        let (admin, began) = (self.admin(), Instant::now());
        // Ready is before the roles that it makes for itself are there.
        let role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin";
        while admin.text("/readyz").await.is_err() || admin.get(role).await.is_err() {
            let is_late = began.elapsed() > PATIENCE;
            assert!(!is_late && self.is_running(), "no API server:\n{}", self.log());
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// The end of what the API server has logged.
    pub(crate) fn log(&self) -> String {
        let text = fs::read(self.folder.path().join("kube-apiserver.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Somebody who may do everything.
    pub(crate) fn admin(&self) -> User {
        User::new(self.config(self.admin.clone()))
    }

    /// Somebody else, as the API server sees it.
    pub(crate) fn user(&self, name: &str, groups: &[&str]) -> User {
        let groups: Vec<_> = groups.iter().map(|&group| group.to_owned()).collect();
        User::new(self.config(AuthInfo {
            impersonate: Some(name.to_owned()),
            impersonate_groups: (!groups.is_empty()).then_some(groups),
            ..self.admin.clone()
        }))
    }

    /// Whoever has this token.
    pub(crate) fn bearer(&self, token: &str) -> User {
        User::new(
            self.config(AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() }),
        )
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_port)
    }

    fn config(&self, auth_info: AuthInfo) -> Config {
        let mut config = Config::new(self.url().parse().unwrap());
        config.root_cert = Some(vec![self.authority_der.clone()]);
        config.auth_info = auth_info;
        config.default_retry = false;
        config
    }

    /// What a process needs that has this token.
    pub(crate) fn kubeconfig(&self, token: &str) -> Value {
        let authority = fs::read(self.folder.path().join("ca.crt")).unwrap();
        let authority = STANDARD.encode(authority);
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": "e2e",
                "cluster": {"server": self.url(), "certificate-authority-data": authority},
            }],
            "users": [{"name": "e2e", "user": {"token": token}}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}],
            "current-context": "e2e",
        })
    }

    /// Whether both processes run.
    pub(crate) fn is_running(&mut self) -> bool {
        let runs = |process: &mut Process| process.0.try_wait().unwrap().is_none();
        runs(&mut self.etcd) && self.api.as_mut().is_some_and(runs)
    }
}

fn spawn(command: &mut Command, log: &Path) -> Process {
    let program = command.get_program().to_owned();
    let log = File::options().create(true).append(true).open(log).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    Process(command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display())))
}

/// Ports that nobody listens on now.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Keys and certificates of the control plane, as files; the authority's certificate.
fn make_keys(folder: &Path) -> Vec<u8> {
    let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, "e2e");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().unwrap();
    let authority = parameters.self_signed(&key).unwrap();
    write("ca.crt", authority.pem());
    let issuer = Issuer::new(parameters, key);
    let names = ["localhost", "127.0.0.1", "kubernetes.default.svc"].map(str::to_owned);
    let usages = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    for (name, organization, names, usage) in [
        ("server", None, names.to_vec(), &usages[0]),
        ("admin", Some("system:masters"), Vec::new(), &usages[1]),
    ] {
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        if let Some(organization) = organization {
            parameters.distinguished_name.push(DnType::OrganizationName, organization);
        }
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![usage.clone()];
        let key = KeyPair::generate().unwrap();
        write(&format!("{name}.crt"), parameters.signed_by(&key, &issuer).unwrap().pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
    let tokens = KeyPair::generate().unwrap();
    write("tokens.key", tokens.serialize_pem());
    write("tokens.pub", tokens.public_key_pem());
    authority.der().to_vec()
}
