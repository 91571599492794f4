//! Certificates, protocol versions and HTTP/2.

use std::{fs, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use poolguard::{
    controllers::certificates::client_ca::ClientCa,
    server::{
        limits::Limits,
        tls::{Certificates, Credentials, server_config},
    },
    telemetry::metrics::Metrics,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, crypto::aws_lc_rs, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::http::{Connection, Harness, authentication, client_config, echo, roots};

#[tokio::test]
async fn both_tls_versions_are_spoken() {
    let harness = Harness::start(echo(), Limits::default()).await;
    for (version, expected) in
        [(&version::TLS12, ProtocolVersion::TLSv1_2), (&version::TLS13, ProtocolVersion::TLSv1_3)]
    {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(harness.roots.clone())
            .with_no_client_auth();
        let mut connection = Connection::open(harness.address, config).await.unwrap();
        assert_eq!(connection.post("/mutate", "{}").await.status, 200);
        assert_eq!(connection.stream.get_ref().1.protocol_version(), Some(expected));
    }
}

#[tokio::test]
async fn http_2_is_spoken_and_drains() {
    let harness = Harness::start(echo(), Limits::default()).await;
    let config = client_config(&harness.roots, &[b"h2", b"http/1.1"]);
    let connection = Connection::open(harness.address, config).await.unwrap();
    assert_eq!(connection.stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, driver) = hyper::client::conn::http2::handshake(
        TokioExecutor::new(),
        TokioIo::new(connection.stream),
    )
    .await
    .unwrap();
    let driver = tokio::spawn(driver);
    for (content_type, status) in [("application/json", 200), ("text/plain", 415)] {
        let request = http::Request::post("https://localhost/mutate?timeout=10s")
            .header("content-type", content_type)
            .body(Full::new(Bytes::from_static(b"{}")))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), status);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body == "{}", status == 200);
    }
    assert_eq!(harness.stop().await.cut, 0);
    driver.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_http_2_connection_is_told_to_go_after_the_idle_limit() {
    let limits = Limits { idle_timeout: Duration::from_millis(50), ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let connection =
        Connection::open(harness.address, client_config(&harness.roots, &[b"h2"])).await.unwrap();
    let (_sender, driver) = hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(
        TokioExecutor::new(),
        TokioIo::new(connection.stream),
    )
    .await
    .unwrap();
    driver.await.unwrap();
}

/// An authority of clients, with one of them.
struct Clients {
    ca: String,
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Clients {
    fn new() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = ca.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["api-server".to_owned()])
            .unwrap()
            .signed_by(&key, &Issuer::new(ca, ca_key))
            .unwrap();
        Self { ca: pem, certificate: certificate.der().clone(), key }
    }

    /// Whether a client of theirs gets an answer.
    async fn is_answered(&self, harness: &Harness) -> bool {
        self.ask(harness).await.is_some()
    }

    /// What a client of theirs is answered.
    async fn ask(&self, harness: &Harness) -> Option<String> {
        let config = with_identity(&harness.roots, &self.certificate, &self.key);
        let mut connection = Connection::open(harness.address, config).await.unwrap();
        connection.send(&crate::http::request("/mutate", "{}")).await;
        let reply = connection.try_reply().await.filter(|reply| reply.status == 200)?;
        Some(reply.body)
    }
}

#[tokio::test]
async fn with_a_client_ca_only_its_clients_get_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let ca_path = folder.path().join("ca.crt");
    let (clients, others) = (Clients::new(), Clients::new());
    fs::write(&ca_path, &clients.ca).unwrap();
    let credentials = Credentials::self_signed(["localhost"]).unwrap();
    let trusted = roots(&credentials);
    let certificates = Arc::new(Certificates::new(credentials));
    let tls = server_config(certificates, Some(&ca_path)).unwrap();
    let harness = Harness::start_with_tls(echo(), Limits::default(), tls, trusted).await;
    assert!(clients.is_answered(&harness).await);
    assert!(!others.is_answered(&harness).await);
    let mut unknown = harness.connect().await;
    unknown.send(&crate::http::request("/mutate", "{}")).await;
    assert!(unknown.is_closed().await);
}

#[tokio::test]
async fn a_client_is_authenticated_by_its_certificate_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ca_path = folder.path().join("ca.crt");
    let clients = Clients::new();
    fs::write(&ca_path, &clients.ca).unwrap();
    for (client_ca, answer) in [(Some(&*ca_path), "true"), (None, "false")] {
        let credentials = Credentials::self_signed(["localhost"]).unwrap();
        let trusted = roots(&credentials);
        let tls = server_config(Arc::new(Certificates::new(credentials)), client_ca).unwrap();
        let harness =
            Harness::start_with_tls(authentication(), Limits::default(), tls, trusted).await;
        assert_eq!(clients.ask(&harness).await.as_deref(), Some(answer));
    }
}

#[tokio::test]
async fn a_client_ca_is_followed_as_its_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let ca_path = folder.path().join("ca.crt");
    let (before, after) = (Clients::new(), Clients::new());
    fs::write(&ca_path, &before.ca).unwrap();
    let credentials = Credentials::self_signed(["localhost"]).unwrap();
    let trusted = roots(&credentials);
    let certificates = Arc::new(Certificates::new(credentials));
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut client_ca = ClientCa::open(ca_path.clone(), certificates, metrics).unwrap();
    let harness =
        Harness::start_with_tls_cell(echo(), Limits::default(), client_ca.tls(), trusted).await;
    assert!(before.is_answered(&harness).await);
    fs::write(&ca_path, "no PEM at all").unwrap();
    client_ca.look();
    assert!(before.is_answered(&harness).await, "a file that cannot be used changes nothing");
    fs::write(&ca_path, &after.ca).unwrap();
    client_ca.look();
    assert!(after.is_answered(&harness).await);
    assert!(!before.is_answered(&harness).await);
}

fn with_identity(
    roots: &RootCertStore,
    certificate: &CertificateDer<'static>,
    key: &KeyPair,
) -> ClientConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_client_auth_cert(vec![certificate.clone()], key)
        .unwrap()
}

#[tokio::test]
async fn new_connections_get_new_credentials_and_open_ones_live_on() {
    let old = Credentials::self_signed(["localhost"]).unwrap();
    let new = Credentials::self_signed(["localhost"]).unwrap();
    let (old_roots, new_roots) = (roots(&old), roots(&new));
    let certificates = Arc::new(Certificates::new(old));
    let tls = server_config(Arc::clone(&certificates), None).unwrap();
    let harness = Harness::start_with_tls(echo(), Limits::default(), tls, old_roots).await;
    let mut open = harness.connect().await;
    certificates.swap(new);
    let config = client_config(&new_roots, &[b"http/1.1"]);
    let mut fresh = Connection::open(harness.address, config).await.unwrap();
    assert_eq!(fresh.post("/mutate", "{}").await.status, 200);
    assert_eq!(open.post("/mutate", "{}").await.status, 200);
    let config = client_config(&harness.roots, &[b"http/1.1"]);
    assert!(Connection::open(harness.address, config).await.is_err());
}

fn write_pair(folder: &Path, parameters: &CertificateParams) -> (KeyPair, [std::path::PathBuf; 2]) {
    let key = KeyPair::generate().unwrap();
    let paths = [folder.join("tls.crt"), folder.join("tls.key")];
    fs::write(&paths[0], parameters.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&paths[1], key.serialize_pem()).unwrap();
    (key, paths)
}

#[test]
fn a_key_of_another_certificate_is_an_error_that_names_both_files() {
    let folder = tempfile::tempdir().unwrap();
    let (_, [certificate, key]) = write_pair(folder.path(), &CertificateParams::default());
    assert!(Credentials::load(&certificate, &key).is_ok());
    fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let error = Credentials::load(&certificate, &key).unwrap_err().to_string();
    assert!(error.contains("tls.crt") && error.contains("tls.key"), "{error}");
}

#[test]
fn files_that_hold_something_else_are_errors_that_name_them() {
    let folder = tempfile::tempdir().unwrap();
    let (_, [certificate, key]) = write_pair(folder.path(), &CertificateParams::default());
    let swapped = Credentials::load(&key, &certificate).unwrap_err().to_string();
    assert!(swapped.contains("tls.key contains no readable PEM certificate"), "{swapped}");
    let missing = Credentials::load(&folder.path().join("none.crt"), &key).unwrap_err();
    assert!(missing.to_string().contains("none.crt"), "{missing}");
}

#[test]
fn an_expired_certificate_is_used_and_its_expiry_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut parameters = CertificateParams::default();
    parameters.not_before = rcgen::date_time_ymd(2001, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2001, 9, 9);
    let (_, [certificate, key]) = write_pair(folder.path(), &parameters);
    let credentials = Credentials::load(&certificate, &key).unwrap();
    assert_eq!(credentials.expires_at(), 999_993_600);
}
