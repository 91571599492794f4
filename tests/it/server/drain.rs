//! Shutting down: nobody who has begun is cut off, and nobody new gets in.

use std::{net::SocketAddr, time::Duration};

use poolguard::server::{
    Drained,
    limits::Limits,
    readiness::Readiness,
    shutdown::{Ending, Stage, run_until_signalled},
};
use rustls::ClientConfig;
use tokio::{net::TcpStream, sync::mpsc};

use crate::http::{Connection, Harness, client_config, echo, header, until};

#[tokio::test]
async fn a_signal_ends_the_server_in_order() {
    let mut harness = Harness::start(echo(), Limits::default()).await;
    let readiness = Readiness::new(harness.lifecycle.clone());
    let (send, mut signals) = mpsc::channel(1);
    let lifecycle = harness.lifecycle.clone();
    let running = std::mem::replace(
        &mut harness.running,
        tokio::spawn(async { Drained { cut: usize::MAX } }),
    );
    let delay = Duration::from_millis(400);
    let ending =
        tokio::spawn(
            async move { run_until_signalled(running, &mut signals, &lifecycle, delay).await },
        );

    let mut busy = harness.connect().await;
    busy.send(&header("/mutate", 4)).await;
    until(|| harness.metrics.requests_in_flight.current() == 1).await;
    assert!(readiness.unmet().is_empty());

    send.send(()).await.unwrap();
    until(|| harness.lifecycle.is_leaving()).await;
    assert_eq!(readiness.unmet(), ["draining: shutting down"]);
    let mut late = harness.connect().await;
    assert_eq!(late.post("/mutate", "{}").await.status, 200);

    until(|| harness.lifecycle.is_closing()).await;
    let reply = late.post("/mutate", "{}").await;
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert!(late.is_closed().await);

    harness.lifecycle.draining().await;
    until(|| std::net::TcpStream::connect(harness.address).is_err()).await;
    busy.send("true").await;
    let reply = busy.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    match ending.await.unwrap() {
        Ending::Finished(drained) => assert_eq!(drained.unwrap(), Drained { cut: 0 }),
        Ending::Interrupted => panic!("nobody sent a second signal"),
    }
}

#[tokio::test]
async fn idle_connections_end_with_the_drain() {
    let harness = Harness::start(echo(), Limits::default()).await;
    let mut connection = harness.connect().await;
    assert_eq!(connection.post("/mutate", "{}").await.status, 200);
    assert_eq!(harness.stop().await, Drained { cut: 0 });
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn the_first_request_of_a_new_connection_is_answered_in_the_drain() {
    let harness = Harness::start(echo(), Limits::default()).await;
    let mut connection = harness.connect().await;
    until(|| harness.metrics.connections.current() == 1).await;
    harness.lifecycle.advance(Stage::Draining);
    until(|| std::net::TcpStream::connect(harness.address).is_err()).await;
    let reply = connection.post("/mutate", "{}").await;
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert_eq!(harness.stop().await, Drained { cut: 0 });
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_and_counted() {
    let limits = Limits { drain_timeout: Duration::from_millis(50), ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let _stalled = TcpStream::connect(harness.address).await.unwrap();
    until(|| harness.metrics.connections.current() == 1).await;
    assert_eq!(harness.stop().await, Drained { cut: 1 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_a_loaded_server_ends() {
    let harness = Harness::start(echo(), Limits::default()).await;
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let config = client_config(&harness.roots, &[b"http/1.1"]);
            tokio::spawn(call_until_refused(harness.address, config))
        })
        .collect();
    until(|| harness.metrics.connections.current() == 8).await;
    let (send, mut signals) = mpsc::channel(1);
    send.send(()).await.unwrap();
    let delay = Duration::from_millis(200);
    let ending =
        run_until_signalled(harness.running, &mut signals, &harness.lifecycle, delay).await;
    assert!(matches!(ending, Ending::Finished(Ok(Drained { cut: 0 }))));
    for client in clients {
        assert!(client.await.unwrap() > 0, "it was never answered");
    }
}

/// Calls without a pause, on a new connection whenever the server asks for it, and returns the
/// number of answers once there is no server any more. A request without an answer is a panic.
async fn call_until_refused(address: SocketAddr, config: ClientConfig) -> usize {
    let mut answers = 0;
    while let Ok(mut connection) = Connection::open(address, config.clone()).await {
        loop {
            let reply = connection.post("/mutate", "{}").await;
            assert_eq!(reply.status, 200);
            answers += 1;
            if reply.header("connection") == Some("close") {
                break;
            }
        }
    }
    answers
}
