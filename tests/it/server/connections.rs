//! What a connection gets that is slow, idle, stalled or broken.

use std::time::{Duration, Instant};

use poolguard::server::limits::Limits;
use tokio::{io::AsyncReadExt, net::TcpStream, time::sleep};

use crate::http::{Harness, echo, until};

#[tokio::test]
async fn a_slow_header_is_cut() {
    let limits = Limits { header_timeout: Duration::from_millis(50), ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let mut connection = harness.connect().await;
    let start = Instant::now();
    connection.send("POST /mut").await;
    assert!(connection.is_closed().await);
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn an_idle_connection_outlives_the_header_limit() {
    let limits = Limits { header_timeout: Duration::from_millis(20), ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let mut connection = harness.connect().await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(connection.post("/mutate", "{}").await.status, 200);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(connection.post("/mutate", "{}").await.status, 200);
}

#[tokio::test]
async fn a_slow_body_has_the_limit_of_bodies_and_not_that_of_headers() {
    let limits = Limits { header_timeout: Duration::from_millis(20), ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let mut connection = harness.connect().await;
    connection.send(&crate::http::header("/mutate", 4)).await;
    connection.send("tr").await;
    sleep(Duration::from_millis(100)).await;
    connection.send("ue").await;
    assert_eq!(connection.reply().await.status, 200);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_idle_limit() {
    let limits = Limits { idle_timeout: Duration::from_millis(50), ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let mut connection = harness.connect().await;
    assert_eq!(connection.post("/mutate", "{}").await.status, 200);
    let start = Instant::now();
    assert!(connection.is_closed().await);
    assert!(start.elapsed() >= Duration::from_millis(45), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_stalled_handshake_is_cut_and_blocks_nobody() {
    let limits = Limits { handshake_timeout: Duration::from_millis(200), ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let mut stalled = TcpStream::connect(harness.address).await.unwrap();
    assert_eq!(harness.connect().await.post("/mutate", "{}").await.status, 200);
    assert_eq!(stalled.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn clients_that_reset_or_talk_nonsense_harm_no_other() {
    let harness = Harness::start(echo(), Limits::default()).await;
    for _ in 0..10 {
        let stream = TcpStream::connect(harness.address).await.unwrap();
        stream.set_zero_linger().unwrap();
        drop(stream);
        let plain = TcpStream::connect(harness.address).await.unwrap();
        plain.try_write(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    }
    let mut broken = harness.connect().await;
    broken.send("no HTTP at all\r\n\r\n").await;
    assert_eq!(broken.reply().await.status, 400);
    assert_eq!(harness.connect().await.post("/mutate", "{}").await.status, 200);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_gives_its_share_back() {
    let harness = Harness::start(echo(), Limits::default()).await;
    let mut connection = harness.connect().await;
    connection.send(&crate::http::header("/mutate", 1000)).await;
    until(|| harness.metrics.body_bytes_in_flight.current() == 1000).await;
    drop(connection);
    until(|| harness.metrics.body_bytes_in_flight.current() == 0).await;
    until(|| harness.metrics.requests_in_flight.current() == 0).await;
    until(|| harness.metrics.connections.current() == 0).await;
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let limits = Limits { max_connections: 1, ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let mut first = harness.connect().await;
    assert_eq!(first.post("/mutate", "{}").await.status, 200);
    let second = async { harness.connect().await.post("/mutate", "{}").await.status };
    let release = async {
        assert_eq!(first.post("/mutate", "{}").await.status, 200);
        drop(first);
    };
    assert_eq!(tokio::join!(second, release).0, 200);
}
