//! Who gets what when as much is in flight as may be: clients that are slow make room.

use poolguard::server::limits::Limits;

use crate::http::{
    Connection, Gate, Harness, Reply, SMALL, chunked, echo, header, large, lengths, request, until,
};

fn is_told_to_try_again(reply: &Reply) -> bool {
    reply.status == 429 && reply.header("retry-after") == Some("1")
}

async fn half_sent(harness: &Harness, length: usize, sent: usize) -> Connection {
    let mut connection = harness.connect().await;
    connection.send(&header("/mutate", length)).await;
    connection.send(&"x".repeat(sent)).await;
    connection
}

#[tokio::test]
async fn a_body_that_is_only_declared_holds_nothing() {
    let harness = Harness::start(lengths(), Limits::default()).await;
    let mut declared = Vec::new();
    for _ in 0..5 {
        declared.push(half_sent(&harness, 7 << 20, 0).await);
    }
    until(|| harness.metrics.requests_in_flight.current() == 5).await;
    assert_eq!(harness.metrics.body_bytes_in_flight.current(), 0);
    let large = "x".repeat(7 << 20);
    assert_eq!(harness.connect().await.post("/mutate", &large).await.status, 200);
}

#[tokio::test]
async fn a_body_holds_what_has_arrived_and_a_step_more() {
    let harness = Harness::start(echo(), Limits::default()).await;
    let _one = half_sent(&harness, 7 << 20, 1).await;
    until(|| harness.metrics.body_bytes_in_flight.current() > 0).await;
    assert!(harness.metrics.body_bytes_in_flight.current() <= 8 << 10);
    let sent = 2 << 20;
    let _more = half_sent(&harness, 7 << 20, sent).await;
    until(|| harness.metrics.body_bytes_in_flight.current() >= sent).await;
    assert!(harness.metrics.body_bytes_in_flight.current() <= sent + (300 << 10));
}

#[tokio::test]
async fn large_bodies_leave_a_share_of_the_bytes_to_small_ones() {
    let large = 1 << 20;
    let limits =
        Limits { max_body: large, max_body_bytes_in_flight: 4 * large, ..Limits::default() };
    let harness = Harness::start(lengths(), limits).await;
    let mut unfinished = Vec::new();
    for _ in 0..3 {
        unfinished.push(half_sent(&harness, large, large - 1).await);
    }
    until(|| harness.metrics.body_bytes_in_flight.current() == 3 * large).await;
    let mut other = harness.connect().await;
    assert!(is_told_to_try_again(&other.post("/mutate", &"x".repeat(large)).await));
    assert!(is_told_to_try_again(&other.post("/mutate", &"x".repeat(SMALL + 1)).await));
    assert_eq!(other.post("/mutate", &"x".repeat(SMALL)).await.status, 200);
    other.send(&chunked(&[&"x".repeat(SMALL / 2)])).await;
    assert_eq!(other.reply().await.status, 200);
    for connection in &mut unfinished {
        connection.send("x").await;
        assert_eq!(connection.reply().await.status, 200);
    }
    assert_eq!(other.post("/mutate", &"x".repeat(large)).await.status, 200);
    assert_eq!(harness.metrics.body_bytes_in_flight.current(), 0);
}

#[tokio::test]
async fn a_body_that_is_slow_gives_its_bytes_to_one_that_is_there() {
    let limits = Limits { max_body_bytes_in_flight: 1000, ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let mut slow = half_sent(&harness, 800, 799).await;
    until(|| harness.metrics.body_bytes_in_flight.current() == 800).await;
    let body = "x".repeat(201);
    assert_eq!(harness.connect().await.post("/mutate", &body).await.status, 200);
    let reply = slow.reply().await;
    assert!(is_told_to_try_again(&reply) && reply.header("connection") == Some("close"));
    assert!(slow.is_closed().await);
    assert_eq!(harness.metrics.body_bytes_in_flight.current(), 0);
}

#[tokio::test]
async fn a_request_that_waits_for_its_body_gives_its_place_to_one_that_does_not() {
    let limits = Limits { max_requests_in_flight: 2, ..Limits::default() };
    let harness = Harness::start(echo(), limits).await;
    let mut first = half_sent(&harness, 4, 0).await;
    until(|| harness.metrics.requests_in_flight.current() == 1).await;
    let mut second = half_sent(&harness, 4, 0).await;
    until(|| harness.metrics.requests_in_flight.current() == 2).await;
    assert_eq!(harness.connect().await.post("/mutate", "{}").await.status, 200);
    assert!(is_told_to_try_again(&first.reply().await), "the oldest gives way");
    second.send("true").await;
    assert_eq!(second.reply().await.status, 200);
    assert_eq!(harness.metrics.requests_in_flight.current(), 0);
}

#[tokio::test]
async fn requests_over_those_that_are_decided_are_429() {
    let limits = Limits { max_requests_in_flight: 1, ..Limits::default() };
    let gate = Gate::default();
    let harness = Harness::start(gate.service(), limits).await;
    let (mut first, mut second) = (harness.connect().await, harness.connect().await);
    first.send(&request("/mutate", &large())).await;
    until(|| gate.waiting() == 1).await;
    assert!(is_told_to_try_again(&second.post("/mutate", "{}").await));
    gate.open();
    assert_eq!(first.reply().await.status, 200);
    assert_eq!(second.post("/mutate", "{}").await.status, 200);
}

#[tokio::test]
async fn large_requests_are_decided_beside_small_ones_and_not_before_them() {
    let gate = Gate::default();
    let harness = Harness::start(gate.service(), Limits::default()).await;
    let mut larges = Vec::new();
    for _ in 0..3 {
        let mut connection = harness.connect().await;
        connection.send(&request("/mutate", &large())).await;
        larges.push(connection);
    }
    until(|| gate.waiting() == 2).await;
    assert_eq!(harness.connect().await.post("/mutate", "{}").await.status, 200);
    assert_eq!(gate.waiting(), 2, "the third waits for its turn");
    gate.open();
    for connection in &mut larges {
        assert_eq!(connection.reply().await.status, 200);
    }
}

#[tokio::test]
async fn a_request_whose_time_passes_while_it_waits_is_504_and_not_decided() {
    let gate = Gate::default();
    let harness = Harness::start(gate.service(), Limits::default()).await;
    let mut deciding = Vec::new();
    for _ in 0..2 {
        let mut connection = harness.connect().await;
        connection.send(&request("/mutate", &large())).await;
        deciding.push(connection);
    }
    until(|| gate.waiting() == 2).await;
    let late = harness.connect().await.post("/mutate?timeout=50ms", &large()).await;
    assert_eq!(late.status, 504);
    gate.open();
    for connection in &mut deciding {
        assert_eq!(connection.reply().await.status, 200);
    }
    assert_eq!(gate.asked(), 2);
}

#[tokio::test]
async fn a_large_request_that_panics_is_500_and_harms_no_other() {
    let harness = Harness::start(crate::http::panics_at(SMALL + 1), Limits::default()).await;
    let mut connection = harness.connect().await;
    for _ in 0..3 {
        assert_eq!(connection.post("/mutate", &"x".repeat(SMALL + 1)).await.status, 500);
    }
    assert_eq!(connection.post("/mutate", &"x".repeat(SMALL + 2)).await.status, 200);
    assert_eq!(harness.metrics.body_bytes_in_flight.current(), 0);
}

#[tokio::test]
async fn what_a_client_holds_is_given_back_when_it_leaves_while_its_request_is_decided() {
    let gate = Gate::default();
    let harness = Harness::start(gate.service(), Limits::default()).await;
    let mut connection = harness.connect().await;
    connection.send(&request("/mutate", &large())).await;
    until(|| gate.waiting() == 1).await;
    drop(connection);
    gate.open();
    until(|| harness.metrics.requests_in_flight.current() == 0).await;
    until(|| harness.metrics.body_bytes_in_flight.current() == 0).await;
}
