//! Slow clients: bodies that are declared and not sent, answers that are not read, connections that are
//! silent.

use std::{future::pending, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{hostile::open, http::header, it::live::cluster::Cluster, measure::Counts};

/// How long each keeps its connection, if it is let.
const HOLD: Duration = Duration::from_secs(8);
/// The number of clients of each kind at a replica.
const CLIENTS: usize = 10;
/// The length of a uid, which an answer repeats: more than the buffers between both ends hold.
const LONG: usize = 1 << 20;

/// The ways to be slow.
#[derive(Clone, Copy)]
enum Way {
    /// Nothing, not even TLS.
    Silent,
    /// A handshake, and nothing then.
    SilentInside,
    /// A body of 6 MiB is declared, and its first byte is sent.
    Declared,
    /// A review is sent whole, and its large answer is not read.
    Unread,
}

/// Clients of every kind at every replica, each of which begins anew when its time is over.
pub(crate) fn start(
    tasks: &mut JoinSet<()>,
    cluster: &Arc<Cluster>,
    addresses: &[SocketAddr],
    counts: &Arc<Counts>,
    stop: &CancellationToken,
) {
    let ways = [Way::Silent, Way::SilentInside, Way::Declared, Way::Unread];
    for (&address, way) in addresses.iter().flat_map(|it| ways.map(|way| (it, way))) {
        let clients = if matches!(way, Way::Unread) { 2 } else { CLIENTS };
        for _ in 0..clients {
            let (cluster, counts) = (Arc::clone(cluster), Arc::clone(counts));
            let stop = stop.clone();
            tasks.spawn(async move {
                loop {
                    let held = timeout(HOLD, Box::pin(hold(&cluster, address, way)));
                    // One that is cut early waits for its time, and does not come back at once.
                    let pause = tokio::time::sleep(HOLD);
                    let both = async { tokio::join!(held, pause) };
                    if stop.run_until_cancelled(both).await.is_none() {
                        return;
                    }
                    counts.slow.add(1);
                }
            });
        }
    }
}

/// Opens a connection, and keeps it; it ends only if it cannot be opened.
async fn hold(cluster: &Cluster, address: SocketAddr, way: Way) -> io::Result<()> {
    match way {
        Way::Silent => {
            let _stream = TcpStream::connect(address).await?;
            pending().await
        }
        Way::SilentInside => {
            let _stream = open(cluster, address).await?;
            pending().await
        }
        Way::Declared => {
            let mut stream = open(cluster, address).await?;
            stream.write_all(header("/validate", 6 << 20).as_bytes()).await?;
            stream.write_all(b"{").await?;
            stream.flush().await?;
            pending().await
        }
        Way::Unread => {
            let body = format!(
                r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"{}","resource":{{"group":"","version":"v1","resource":"pods"}},"operation":"CREATE","namespace":"shop","object":{{"spec":{{}}}}}}}}"#,
                "u".repeat(LONG)
            );
            let mut stream = open(cluster, address).await?;
            stream.write_all(header("/validate", body.len()).as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            stream.flush().await?;
            pending().await
        }
    }
}
