//! `serve --cluster`: the webhook on a laptop.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::{Value, json};

use super::{poolguard, run, said};
use crate::{
    http::{Connection, client_config},
    scenario::recorded,
};

/// Nothing here takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

const ANYWHERE: [&str; 4] = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
const INPUT: [&str; 5] = ["serve", "--config", "config.yaml", "--cluster", "cluster.json"];

/// A server that ends with the test.
struct Served {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Served {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Reads until a line has this text, and returns the rest of it.
    #[track_caller]
    fn line(&self, start: &str) -> String {
        let mut before = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line =
                line.unwrap_or_else(|error| panic!("no line {start:?}: {error} {before:#?}"));
            if let Some((_, rest)) = line.split_once(start) {
                return rest.to_owned();
            }
            before.push(line);
        }
    }

    /// The addresses of the webhook and of the admin server.
    fn addresses(&self) -> (SocketAddr, SocketAddr) {
        let line = self.line("listening on https://");
        let (webhook, rest) = line.split_once(" (admin on http://").unwrap();
        let (admin, _) = rest.split_once(')').unwrap();
        (webhook.parse().unwrap(), admin.parse().unwrap())
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// How it ended, and the lines that it still wrote.
    fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => rest.push(line),
                // Its end of the pipe is closed, so that it is gone or about to be.
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end: {rest:#?}"),
            }
        }
        (self.child.wait().unwrap(), rest)
    }
}

/// Takes any certificate, as `curl -k` does.
#[derive(Debug)]
struct TrustsAnyone;

impl ServerCertVerifier for TrustsAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn trusting() -> ClientConfig {
    let mut config = client_config(&RootCertStore::empty(), &[b"http/1.1"]);
    config.dangerous().set_certificate_verifier(Arc::new(TrustsAnyone));
    config
}

/// The first line and the rest of what the admin server answers.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn serve_answers_the_very_request_that_it_prints() {
    let server = Served::start(&mut poolguard(&[&INPUT[..], &ANYWHERE].concat()));
    let (webhook, admin) = server.addresses();
    let curl = server.line("curl -sk https://");
    let (url, rest) = curl.split_once(" -H 'content-type: application/json' -d '").unwrap();
    let (authority, path) = url.split_once('/').unwrap();
    assert_eq!((authority.parse(), path), (Ok(webhook), "validate"));
    let body = rest.strip_suffix('\'').unwrap();
    assert!(!body.contains('\''), "a shell would end the body there: {body}");
    let mut connection = Connection::open(webhook, trusting()).await.unwrap();
    let reply = connection.post("/validate", body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    let response = &answer["response"];
    assert_eq!(response["allowed"], false);
    assert_eq!(response["status"]["code"], 403);
    assert!(response["status"]["message"].as_str().unwrap().starts_with("[pod-intrusion] "));
    assert!(get(admin, "/readyz").starts_with("HTTP/1.1 200 "));
    assert!(get(admin, "/livez").starts_with("HTTP/1.1 200 "));
    let metrics = get(admin, "/metrics");
    let counter = r#"poolguard_denials_total{pool="pool-a",rule="pod-intrusion"} 1"#;
    assert!(metrics.lines().any(|line| line == counter), "{metrics}");
    drop(connection);
    server.signal("INT");
    let (status, lines) = server.ended();
    assert_eq!(status.code(), Some(0), "{lines:#?}");
}

#[test]
fn a_signal_ends_it_with_code_0() {
    for signal in ["INT", "TERM"] {
        let server = Served::start(&mut poolguard(&[&INPUT[..], &ANYWHERE].concat()));
        server.addresses();
        server.signal(signal);
        let (status, lines) = server.ended();
        assert_eq!(status.code(), Some(0), "{signal}: {lines:#?}");
        assert!(lines.iter().any(|line| line.contains("stopped")), "{signal}: {lines:#?}");
        assert!(lines.iter().all(|line| !line.contains('\u{1b}')), "{signal}: {lines:#?}");
    }
}

#[test]
fn the_environment_stands_for_the_flags() {
    let server = Served::start(
        poolguard(&["serve"])
            .env("POOLGUARD_CONFIG", "config.yaml")
            .env("POOLGUARD_CLUSTER", "cluster.json")
            .env("POOLGUARD_LISTEN", "127.0.0.1:0")
            .env("POOLGUARD_ADMIN_LISTEN", "127.0.0.1:0")
            .env("POOLGUARD_LOG_FORMAT", "json"),
    );
    let (_, admin) = server.addresses();
    assert!(get(admin, "/readyz").starts_with("HTTP/1.1 200 "));
    server.signal("INT");
    let (_, lines) = server.ended();
    let logged: Vec<Value> = lines.iter().filter_map(|it| serde_json::from_str(it).ok()).collect();
    assert!(logged.iter().any(|line| line["level"] == "INFO"), "{lines:#?}");
}

#[test]
fn without_a_cluster_it_says_in_one_line_what_it_needs() {
    let refused = run(&["serve"]);
    assert_eq!((refused.code, refused.out.as_str()), (2, ""));
    assert_eq!(refused.err.lines().count(), 1, "{}", refused.err);
    assert!(refused.err.contains("--cluster"), "{}", refused.err);
}

#[test]
fn an_address_in_use_is_told_with_the_flag_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, other) in [("--listen", "--admin-listen"), ("--admin-listen", "--listen")] {
        let arguments = [&INPUT[..], &[flag, &address, other, "127.0.0.1:0"]].concat();
        let refused = run(&arguments);
        assert_eq!(refused.code, 2, "{refused:?}");
        let last = refused.err.lines().last().unwrap();
        let start = format!("error: cannot listen on {address}: ");
        let end = format!(". Choose another address with {flag}");
        assert!(last.starts_with(&start) && last.ends_with(&end), "{last}");
    }
}

#[test]
fn a_mistaken_config_ends_it_with_every_diagnostic() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("bad.yaml");
    fs::write(
        &config,
        "apiVersion: poolguard.io/v1alpha1\nkind: PoolGuardConfig\nzones: []\npools: 7\n",
    )
    .unwrap();
    let config = config.to_str().unwrap();
    let refused = run(&["serve", "--config", config, "--cluster", "cluster.json"]);
    assert_eq!((refused.code, refused.out.as_str()), (2, ""));
    refused.assert_plain();
    for place in [":3:1", ":4:8"] {
        assert!(refused.err.contains(&format!("--> {config}{place}")), "{}", refused.err);
    }
    for cluster in ["no-such.json", "reviews/README.md"] {
        let refused = run(&["serve", "--cluster", cluster]);
        assert_eq!(refused.code, 2, "{cluster}");
        assert!(refused.err.contains(cluster), "{}", refused.err);
    }
}

#[test]
fn nothing_to_guard_is_a_mistake_and_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("cluster.json");
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n" } });
    fs::write(&dump, node.to_string()).unwrap();
    let refused = said(&mut poolguard(&["serve", "--cluster", dump.to_str().unwrap()]));
    assert_eq!((refused.code, refused.out.as_str()), (2, ""));
    assert!(refused.err.contains("dedicated=automq:NoSchedule"), "{}", refused.err);
    // Where discovery is off, the taint does not help.
    let config = folder.path().join("config.yaml");
    let text =
        "apiVersion: poolguard.io/v1alpha1\nkind: PoolGuardConfig\ndiscovery: {enabled: false}\n";
    fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let refused = run(&["serve", "--config", config, "--cluster", "cluster.json"]);
    assert_eq!((refused.code, refused.out.as_str()), (2, ""));
    let error = refused.err.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert_eq!(
        error,
        "error: there is no pool to protect: the config declares none, and `discovery.enabled` is false. Declare a pool \
         under `pools`, or remove `discovery`"
    );
}

#[test]
fn a_certificate_that_cannot_be_used_is_named() {
    let arguments = ["--tls-cert", "no-such.pem", "--tls-key", "config.yaml"];
    let refused = run(&[&INPUT[..], &ANYWHERE, &arguments].concat());
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("no-such.pem"), "{}", refused.err);
    let refused = run(&[&INPUT[..], &ANYWHERE, &["--client-ca", "config.yaml"]].concat());
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("config.yaml"), "{}", refused.err);
}

#[test]
fn no_line_of_the_banner_ends_in_blanks() {
    let server = Served::start(&mut poolguard(&[&INPUT[..], &ANYWHERE].concat()));
    while let Ok(line) = server.lines.recv_timeout(PATIENCE)
        && !line.starts_with("listening on ")
    {
        assert_eq!(line, line.trim_end());
    }
}

/// Sends the same denied review so many times.
async fn deny(webhook: SocketAddr, times: usize) {
    let body = recorded("pod-create-job-key-exists-toleration").to_string();
    let mut connection = Connection::open(webhook, trusting()).await.unwrap();
    for _ in 0..times {
        assert_eq!(connection.post("/validate", &body).await.status, 200);
    }
}

#[tokio::test]
async fn the_audit_file_is_rotated_outlives_a_restart_and_is_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl").to_str().unwrap().to_owned();
    let flags = ["--audit-file", &file, "--audit-file-size", "64KiB", "--audit-file-count", "3"];
    for _ in 0..2 {
        let server = Served::start(&mut poolguard(&[&INPUT[..], &ANYWHERE, &flags].concat()));
        let (webhook, _) = server.addresses();
        deny(webhook, 45).await;
        server.signal("TERM");
        server.ended();
    }
    let first = format!("{file}.1");
    assert!(fs::metadata(&first).unwrap().len() <= 64 << 10);
    let summary = run(&["audit", "-o", "json", &file, &first]).json();
    assert_eq!((&summary["records"], &summary["leftOut"]["damaged"]), (&90.into(), &0.into()));
}

#[tokio::test]
async fn a_full_disk_stops_no_answer_and_is_counted() {
    let flags = ["--audit-file", "/dev/full"];
    let server = Served::start(&mut poolguard(&[&INPUT[..], &ANYWHERE, &flags].concat()));
    let (webhook, _) = server.addresses();
    deny(webhook, 10).await;
    server.line("cannot write the audit stream to file");
    server.signal("TERM");
    let (status, _) = server.ended();
    assert_eq!(status.code(), Some(0));
    let refused = run(&[&INPUT[..], &["--audit-file", "no/such/folder/file"]].concat());
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("no/such/folder/file"), "{}", refused.err);
}
