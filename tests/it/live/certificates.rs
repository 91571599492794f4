//! The certificate authority in its Secret, and the leaf that each replica serves.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use poolguard::controllers::certificates::{
    authority::{AUTHORITY_LIFETIME, Authority},
    bundle::pem,
    stored::{ROTATE, Stored},
};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    sync::oneshot::{self, error::TryRecvError},
    task::JoinHandle,
};

use super::{
    cluster::{CONFIGURATIONS, Cluster, NAMESPACE},
    eventually,
    replica::Replica,
};
use crate::scenario::recorded;

const SECRET: &str = "poolguard-system/poolguard-ca";
const STEPS: &str = "poolguard_certificate_authority_steps_total";
const EXPIRY: &str = "poolguard_certificate_expiry_timestamp_seconds";

fn stored(cluster: &Cluster) -> Stored {
    Stored::read(&cluster.api.get("secrets", SECRET).unwrap()).unwrap()
}

fn put_secret(cluster: &Cluster, stored: &Stored) {
    let (data, annotations) = stored.write();
    let metadata =
        json!({"name": "poolguard-ca", "namespace": NAMESPACE, "annotations": annotations});
    cluster.api.put(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "Opaque",
        "data": data,
    }));
}

/// The certificate that a replica serves, if the API server trusts it.
async fn served(cluster: &Cluster, replica: &Replica) -> Option<CertificateDer<'static>> {
    let connection = cluster.connect(replica.webhook).await.ok()?;
    Some(connection.stream.get_ref().1.peer_certificates()?.first()?.clone().into_owned())
}

#[expect(clippy::cast_precision_loss, reason = "exact for millions of years")]
fn seconds(time: Timestamp) -> f64 {
    time.as_second() as f64
}

/// Asks for a rotation, as people do.
fn rotate(cluster: &Cluster) {
    cluster.api.edit("secrets", SECRET, |secret| {
        secret["metadata"]["annotations"][ROTATE] = "now".into();
    });
}

/// Calls all the time until it is stopped, and fails with the first call that does.
struct Calls(oneshot::Sender<()>, JoinHandle<u32>);

impl Calls {
    fn start(cluster: &Arc<Cluster>) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let cluster = Arc::clone(cluster);
        let intruder = recorded("pod-create-job-key-exists-toleration");
        let calling = tokio::spawn(async move {
            let mut calls = 0;
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                assert!(!cluster.allows("/validate", &intruder).await);
                calls += 1;
            }
            calls
        });
        Self(stop, calling)
    }

    async fn stop(self) {
        drop(self.0);
        assert!(self.1.await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_at_once_share_one_authority() {
    let cluster = Cluster::start().await;
    let (one, two) = tokio::join!(cluster.replica("one"), cluster.replica("two"));
    cluster.service.lead_to(&[one.webhook, two.webhook]);
    one.ready().await;
    two.ready().await;
    cluster.until_registered().await;
    let leaves = [served(&cluster, &one).await.unwrap(), served(&cluster, &two).await.unwrap()];
    assert_ne!(leaves[0], leaves[1], "each signs its own");
    assert_eq!(cluster.bundle(), stored(&cluster).bundle());
    let created = [one.metric_now(STEPS).await, two.metric_now(STEPS).await];
    assert_eq!(created[0] + created[1], 1.0, "one of them has made it");
    let now = seconds(Timestamp::now());
    for replica in [&one, &two] {
        let days = async |certificate: &str| {
            let series = format!("{EXPIRY}{{certificate=\"{certificate}\"}}");
            (replica.metric(&series, |_| true).await - now) / 86400.0
        };
        assert!((6.9..7.1).contains(&days("serving").await));
        assert!((364.0..366.0).contains(&days("authority").await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_deleted_or_garbled_is_restored_without_a_failed_call() {
    let cluster = Arc::new(Cluster::start().await);
    let replica = cluster.installed("one").await;
    let before = stored(&cluster);
    let calls = Calls::start(&cluster);
    let restored = format!("{STEPS}{{step=\"restored\"}}");
    cluster.api.remove("secrets", SECRET);
    replica.metric(&restored, |count| count == 1.0).await;
    assert_eq!(stored(&cluster), before);
    let garble: [fn(&mut Value); 3] = [
        |secret| secret["data"]["current.crt"] = "bm9uc2Vuc2U=".into(),
        |secret| secret["data"]["current.key"] = "bm9uc2Vuc2U=".into(),
        |secret| drop(secret.as_object_mut().unwrap().remove("data")),
    ];
    for (number, garble) in (2..).zip(garble) {
        cluster.api.edit("secrets", SECRET, garble);
        replica.metric(&restored, |count| count == f64::from(number)).await;
        assert_eq!(stored(&cluster), before);
    }
    calls.stop().await;
    assert_eq!(cluster.bundle(), before.bundle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_gone_with_everybody_who_knew_it_is_replaced() {
    let cluster = Cluster::start().await;
    let mut replica = cluster.installed("one").await;
    let before = stored(&cluster);
    replica.signal("TERM");
    assert_eq!(replica.ended().await, 0);
    cluster.api.remove("secrets", SECRET);
    let replica = cluster.replica("two").await;
    replica.ready().await;
    assert_ne!(stored(&cluster).current, before.current);
    eventually("trusted", async || served(&cluster, &replica).await.is_some()).await;
    assert!(cluster.bundle().contains(before.current.certificate()), "its leaves may be alive");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_not_valid_now_is_replaced() {
    let now = Timestamp::now();
    let year = AUTHORITY_LIFETIME;
    for made in [now - year - Duration::from_hours(1), now + year] {
        let cluster = Cluster::start().await;
        let old = Authority::generate(made).unwrap();
        put_secret(&cluster, &Stored::new(old.clone()));
        let replica = cluster.installed("one").await;
        replica.metric(&format!("{STEPS}{{step=\"replaced\"}}"), |count| count == 1.0).await;
        assert!(stored(&cluster).current.validity().contains(now));
        assert!(served(&cluster, &replica).await.is_some());
        assert!(!cluster.bundle().contains(old.certificate()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_fails_no_call_not_even_at_a_replica_that_sleeps_through_it() {
    let cluster = Arc::new(Cluster::start().await);
    let one = cluster.installed("one").await;
    let two = cluster.replica("two").await;
    two.ready().await;
    let before = stored(&cluster);
    let leaves = [served(&cluster, &one).await.unwrap(), served(&cluster, &two).await.unwrap()];
    let calls = Calls::start(&cluster);
    cluster.service.lead_to(&[one.webhook]);
    two.signal("STOP");
    rotate(&cluster);
    one.logged("rotation: created the next certificate authority").await;
    one.logged("rotation: every registered webhook trusts the next certificate authority").await;
    one.metric(&format!("{STEPS}{{step=\"promoted\"}}"), |count| count == 1.0).await;
    let after = stored(&cluster);
    assert_ne!(after.current, before.current);
    assert!(!after.is_rotation_asked_for);
    let old = before.current.certificate();
    assert_eq!(after.bundle(), [after.current.certificate().clone(), old.clone()]);
    let follows = async || served(&cluster, &one).await.unwrap() != leaves[0];
    eventually("a new leaf", follows).await;
    eventually("registered", async || cluster.bundle() == after.bundle()).await;
    two.signal("CONT");
    assert!(served(&cluster, &two).await.is_some(), "the old authority is still trusted");
    eventually("it follows", async || served(&cluster, &two).await.unwrap() != leaves[1]).await;
    calls.stop().await;
    // Its leaves may live for a week.
    let left = after.previous.unwrap().until.as_second() - Timestamp::now().as_second();
    assert!(left > 6 * 86400, "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_authority_leaves_the_bundle_when_its_leaves_have_expired() {
    let cluster = Cluster::start().await;
    let replica = cluster.installed("one").await;
    rotate(&cluster);
    replica.metric(&format!("{STEPS}{{step=\"promoted\"}}"), |count| count == 1.0).await;
    eventually("both are registered", async || cluster.bundle().len() == 2).await;
    cluster.api.edit("secrets", SECRET, |secret| {
        secret["metadata"]["annotations"]["poolguard.io/previous-trusted-until"] =
            Timestamp::now().to_string().into();
    });
    replica.metric(&format!("{STEPS}{{step=\"retired\"}}"), |count| count == 1.0).await;
    let current = stored(&cluster).bundle();
    assert_eq!(current.len(), 1);
    eventually("one is registered", async || cluster.bundle() == current).await;
    assert!(served(&cluster, &replica).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_goes_on_where_it_was_after_an_upgrade_in_the_middle() {
    let cluster = Arc::new(Cluster::start().await);
    let mut old = cluster.replica_with("old", &["--ca-rotation-wait", "1h"]).await;
    old.ready().await;
    cluster.until_registered().await;
    let calls = Calls::start(&cluster);
    let before = stored(&cluster);
    rotate(&cluster);
    old.metric(&format!("{STEPS}{{step=\"published\"}}"), |count| count == 1.0).await;
    let next = stored(&cluster).next.unwrap();
    assert_eq!(stored(&cluster).current, before.current, "nobody may sign with the next one yet");
    assert!(next.published.is_some());
    assert_eq!(cluster.bundle(), stored(&cluster).bundle());
    let new = Replica::start(&cluster.arguments("new")).await;
    new.ready().await;
    cluster.service.lead_to(&[new.webhook]);
    old.signal("TERM");
    assert_eq!(old.ended().await, 0);
    new.metric(&format!("{STEPS}{{step=\"promoted\"}}"), |count| count == 1.0).await;
    assert_eq!(stored(&cluster).current, next.authority, "the one that was published");
    assert!(cluster.bundle().contains(before.current.certificate()));
    calls.stop().await;
    assert_eq!(new.lines("rotation: created the next certificate"), 0);
}

/// Certificate files as a kubelet mounts them.
struct Volume {
    folder: TempDir,
    generation: u32,
}

const FILES: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

impl Volume {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in FILES {
            symlink(Path::new("..data").join(file), folder.path().join(file)).unwrap();
        }
        Self { folder, generation: 0 }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn swap(&mut self, contents: [&str; 3]) {
        self.generation += 1;
        let generation = format!("..{}", self.generation);
        fs::create_dir(self.path(&generation)).unwrap();
        for (file, content) in FILES.iter().zip(contents) {
            fs::write(self.path(&generation).join(file), content).unwrap();
        }
        symlink(&generation, self.path("..data_tmp")).unwrap();
        fs::rename(self.path("..data_tmp"), self.path("..data")).unwrap();
    }

    /// Swaps in a leaf of a new authority: that authority, and the leaf.
    fn swap_in(&mut self) -> (Authority, CertificateDer<'static>) {
        let now = Timestamp::now();
        let authority = Authority::generate(now).unwrap();
        let leaf = authority.sign(&["127.0.0.1".to_owned()], now).unwrap();
        let key = rcgen::KeyPair::try_from(leaf.key.secret_der()).unwrap();
        let certificate = pem([&leaf.certificate]);
        self.swap([&certificate, &key.serialize_pem(), &pem([authority.certificate()])]);
        (authority, leaf.certificate)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_files_are_followed_and_their_authority_is_registered() {
    let cluster = Arc::new(Cluster::start().await);
    let mut volume = Volume::new();
    let (first, leaf) = volume.swap_in();
    let paths = FILES.map(|file| volume.path(file).display().to_string());
    let [certificate, key, authority] = &paths;
    let flags = ["--tls-cert", certificate, "--tls-key", key, "--tls-ca", authority];
    let replica = cluster.replica_with("one", &flags).await;
    replica.ready().await;
    cluster.until_registered().await;
    assert_eq!(cluster.bundle(), [first.certificate().clone()]);
    assert_eq!(served(&cluster, &replica).await, Some(leaf));
    assert_eq!(cluster.api.count("secrets"), 0, "it keeps no authority of its own");
    let mut before = first;
    for _ in 0..2 {
        let (authority, leaf) = volume.swap_in();
        let both = [authority.certificate().clone(), before.certificate().clone()];
        eventually("both are registered", async || cluster.bundle() == both).await;
        eventually("served", async || served(&cluster, &replica).await.as_ref() == Some(&leaf))
            .await;
        replica.ready().await;
        before = authority;
    }
    let calls = Calls::start(&cluster);
    let other = Authority::generate(Timestamp::now()).unwrap();
    let registered = cluster.bundle();
    volume.swap([&pem([other.certificate()]), before.key_pem(), &pem([other.certificate()])]);
    let failures = r#"poolguard_certificate_reloads_total{result="failure"}"#;
    replica.metric(failures, |count| count == 1.0).await;
    replica.logged("PoolGuard keeps serving the previous certificate").await;
    assert_eq!(cluster.bundle(), registered);
    calls.stop().await;
    let series = format!("{EXPIRY}{{certificate=\"serving\"}}");
    assert!(replica.metric_now(&series).await > seconds(Timestamp::now()));
    assert!(CONFIGURATIONS.iter().all(|it| cluster.registered(it).is_some()));
}
