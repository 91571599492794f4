//! What a connection gets that is slow, idle, stalled or broken.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use poolguard::server::{Received, Service, limits::Limits};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::http::{Connection, Gate, Harness, Stub, client_config, echo, large, request, until};

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
    for _ in 0..2 {
        a_header_is_cut(&harness).await;
        assert_eq!(connection.post("/mutate", "{}").await.status, 200);
    }
}

/// Another connection goes silent in the middle of its header, and has been cut: the limit of headers has passed.
async fn a_header_is_cut(harness: &Harness) {
    let mut slow = harness.connect().await;
    slow.send("POST /mut").await;
    assert!(slow.is_closed().await);
}

#[tokio::test]
async fn a_slow_body_has_the_limit_of_bodies_and_not_that_of_headers() {
    let limits = Limits { header_timeout: Duration::from_millis(20), ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let mut connection = harness.connect().await;
    connection.send(&crate::http::header("/mutate", 4)).await;
    connection.send("tr").await;
    a_header_is_cut(&harness).await;
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
    // The server counts from the end of its answer, which the client has read a little later.
    assert!(start.elapsed() >= Duration::from_millis(45), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_stalled_handshake_is_cut_and_blocks_no_client() {
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
    connection.send("{").await;
    until(|| harness.metrics.body_bytes_in_flight.current() == 1000).await;
    drop(connection);
    until(|| harness.metrics.body_bytes_in_flight.current() == 0).await;
    until(|| harness.metrics.requests_in_flight.current() == 0).await;
    until(|| harness.metrics.connections.current() == 0).await;
}

#[tokio::test]
async fn connections_over_the_limit_take_the_place_of_the_longest_idle_one() {
    let limits = Limits { max_connections: 2, ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let (mut first, mut second) = (harness.connect().await, harness.connect().await);
    assert_eq!(first.post("/mutate", "{}").await.status, 200);
    assert_eq!(second.post("/mutate", "{}").await.status, 200);
    let mut third = harness.connect().await;
    assert_eq!(third.post("/mutate", "{}").await.status, 200);
    assert!(first.is_closed().await);
    assert_eq!(second.post("/mutate", "{}").await.status, 200);
}

#[tokio::test]
async fn connections_that_say_nothing_make_room_for_those_that_do() {
    let limits = Limits { max_connections: 4, ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let mut used = harness.connect().await;
    assert_eq!(used.post("/mutate", "{}").await.status, 200);
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(harness.address).await.unwrap());
    }
    assert_eq!(harness.connect().await.post("/mutate", "{}").await.status, 200);
    assert_eq!(used.post("/mutate", "{}").await.status, 200);
}

#[tokio::test]
async fn connections_that_send_slowly_make_room_when_no_other_is_idle() {
    let limits = Limits { max_connections: 3, ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let mut slow = Vec::new();
    for number in 1..=3 {
        let mut connection = harness.connect().await;
        connection.send(&crate::http::header("/mutate", 4)).await;
        until(|| harness.metrics.requests_in_flight.current() == number).await;
        slow.push(connection);
    }
    assert_eq!(harness.connect().await.post("/mutate", "{}").await.status, 200);
    assert!(slow[0].is_closed().await);
    slow[2].send("true").await;
    assert_eq!(slow[2].reply().await.status, 200);
}

#[tokio::test]
async fn a_connection_whose_request_is_being_decided_makes_no_room() {
    let limits = Limits { max_connections: 1, ..Limits::default() };
    let gate = Gate::default();
    let harness = Harness::start(gate.service(), limits).await;
    let mut first = harness.connect().await;
    first.send(&request("/mutate", &large())).await;
    until(|| gate.waiting() == 1).await;
    // The second one is there, and waits for a place, before the gate opens.
    let waiting = TcpStream::connect(harness.address).await.unwrap();
    gate.open();
    assert_eq!(first.reply().await.status, 200);
    drop(first);
    let config = client_config(&harness.roots, &[]);
    let mut second = Connection::over(waiting, "localhost", config).await.unwrap();
    assert_eq!(second.post("/mutate", "{}").await.status, 200);
}

/// More than the kernel and TLS take off the server's hands.
const UNREAD: usize = 16 << 20;

fn talkative() -> impl Service {
    Stub(|request: Received<'_>| match &request.body[..] {
        b"much" => Ok(Bytes::from(vec![b'x'; UNREAD])),
        _ => Ok(request.body.clone()),
    })
}

#[tokio::test]
async fn an_unread_answer_is_counted_until_its_connection_is_cut() {
    let limits = Limits { answer_timeout: Duration::from_millis(300), ..Limits::default() };
    let harness = Harness::start(talkative(), limits).await;
    let mut unread = harness.connect().await;
    unread.send(&request("/mutate", "much")).await;
    until(|| harness.metrics.body_bytes_in_flight.current() == UNREAD).await;
    assert_eq!(harness.metrics.requests_in_flight.current(), 1);
    until(|| harness.metrics.connections.current() == 0).await;
    assert_eq!(harness.metrics.body_bytes_in_flight.current(), 0);
    assert_eq!(harness.metrics.requests_in_flight.current(), 0);
}

#[tokio::test]
async fn answers_over_the_bytes_in_flight_are_429_or_cut_those_that_nobody_reads() {
    let harness = Harness::start(talkative(), Limits::default()).await;
    let mut unread = Vec::new();
    for _ in 0..2 {
        let mut connection = harness.connect().await;
        connection.send(&request("/mutate", "much")).await;
        unread.push(connection);
    }
    // Both do not fit into the part for large ones: one of the two went.
    until(|| harness.metrics.body_bytes_in_flight.current() == UNREAD).await;
    assert_eq!(harness.connect().await.post("/mutate", "{}").await.status, 200);
}

#[tokio::test]
async fn streams_with_unread_answers_make_room_for_other_requests() {
    let limits = Limits { max_requests_in_flight: 8, ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let config = client_config(&harness.roots, &[b"h2"]);
    let connection = Connection::open(harness.address, config).await.unwrap();
    let (sender, driver) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(0)
        .handshake(TokioIo::new(connection.stream))
        .await
        .unwrap();
    let driving = tokio::spawn(driver);
    let mut responses = Vec::new();
    for _ in 0..8 {
        let request = http::Request::post("https://localhost/mutate")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(b"{}")))
            .unwrap();
        responses.push(sender.clone().send_request(request).await.unwrap());
    }
    assert_eq!(harness.metrics.requests_in_flight.current(), 8, "until they have been read");
    assert_eq!(harness.connect().await.post("/mutate", "{}").await.status, 200);
    drop(driving.await.unwrap());
    until(|| harness.metrics.requests_in_flight.current() == 0).await;
}
