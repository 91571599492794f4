//! Hostile reviews: what is expensive to read or to judge, and what cannot be read.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::{
    http::{self, Connection, client_config},
    it::live::cluster::Cluster,
    measure::Counts,
};

/// The time within which a hostile client wants its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause between two of its reviews.
const PAUSE: Duration = Duration::from_millis(200);
/// Nearly as much as a body may have.
const LEGAL: usize = (7 << 20) - 8192;

/// A client for each replica, which sends everything in turn.
pub(crate) fn start(
    tasks: &mut JoinSet<()>,
    cluster: &Arc<Cluster>,
    addresses: &[SocketAddr],
    counts: &Arc<Counts>,
    stop: &CancellationToken,
) {
    let bodies: Arc<[Vec<u8>]> = bodies().into();
    for (client, &address) in addresses.iter().enumerate() {
        let (cluster, counts) = (Arc::clone(cluster), Arc::clone(counts));
        let (bodies, stop) = (Arc::clone(&bodies), stop.clone());
        tasks.spawn(async move {
            for turn in client * 3.. {
                let sent = send(&cluster, address, &bodies[turn % bodies.len()]);
                let Some(is_answered) = stop.run_until_cancelled(sent).await else { return };
                if is_answered {
                    counts.answered.add(1);
                } else {
                    counts.cut.add(1);
                }
                if stop.run_until_cancelled(sleep(PAUSE)).await.is_none() {
                    return;
                }
            }
        });
    }
}

/// A new connection that trusts what is registered.
pub(crate) async fn open(
    cluster: &Cluster,
    address: SocketAddr,
) -> std::io::Result<TlsStream<TcpStream>> {
    let config = client_config(&cluster.trusted(), &[b"http/1.1"]);
    Ok(Connection::open_as(address, "127.0.0.1", config).await?.stream)
}

/// Sends a body; whether there was an answer.
async fn send(cluster: &Cluster, address: SocketAddr, body: &[u8]) -> bool {
    let answered = timeout(PATIENCE, async {
        let mut stream = open(cluster, address).await?;
        stream.write_all(http::header("/validate", body.len()).as_bytes()).await?;
        stream.write_all(body).await?;
        stream.flush().await?;
        let mut start = [0; 12];
        stream.read_exact(&mut start).await?;
        Ok::<_, std::io::Error>(start.starts_with(b"HTTP/1.1 "))
    });
    matches!(answered.await, Ok(Ok(true)))
}

/// Everything that is sent.
fn bodies() -> Vec<Vec<u8>> {
    let many = |count: usize, part: &dyn Fn(usize) -> String| {
        let parts: Vec<_> = (0..count).map(part).collect();
        parts.join(",")
    };
    let fill = |part: &str, length: usize| part.repeat(length / part.len());
    let labels = many(64_000, &|n| format!(r#""l{n}":"v""#));
    let terms = many(8_000, &|n| {
        format!(
            r#"{{"matchExpressions":[{{"key":"kubernetes.io/hostname","operator":"In","values":["h{n}"]}}]}}"#
        )
    });
    let flood = |field: &str| {
        let items = fill("{},", LEGAL - 1000);
        pod("", &format!(r#""{field}":[{items}{{}}]"#), "")
    };
    let affinity = format!(
        r#""affinity":{{"nodeAffinity":{{"requiredDuringSchedulingIgnoredDuringExecution":{{"nodeSelectorTerms":[{terms}]}}}}}}"#
    );
    let depth = LEGAL / 2 - 1000;
    let nested = format!(r#","other":{}{}"#, "[".repeat(depth), "]".repeat(depth));
    let denied = r#""tolerations":[{"operator":"Exists"}],"nodeSelector":{"eks.amazonaws.com/nodegroup":"automq-a"}"#;
    let text = format!(r#","other":"{}""#, "x".repeat(LEGAL - 1000));
    let whole = pod("", denied, "");
    vec![
        pod(&format!(r#","labels":{{{labels}}}"#), denied, ""),
        pod("", &affinity, ""),
        flood("tolerations"),
        flood("containers"),
        pod("", denied, &nested),
        pod("", denied, &text),
        pod("", denied, &format!(r#","other":{}1"#, " ".repeat(LEGAL - 1000))),
        pod(r#","name":"\u001b[31mx\u0007""#, denied, ""),
        whole[..whole.len() / 2].to_vec(),
        b"\xff\xfe{\"kind\":\"AdmissionReview\"".to_vec(),
        b"[[[[[[[[{}".to_vec(),
        "[".repeat(LEGAL).into_bytes(),
        Vec::new(),
    ]
}

/// The review of a pod, with more in its metadata, its spec and the request.
fn pod(metadata: &str, spec: &str, request: &str) -> Vec<u8> {
    format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"1","resource":{{"group":"","version":"v1","resource":"pods"}},"operation":"CREATE","namespace":"shop","userInfo":{{"username":"hostile"}},"object":{{"metadata":{{"namespace":"shop"{metadata}}},"spec":{{{spec}}}}}{request}}}}}"#
    )
    .into_bytes()
}
