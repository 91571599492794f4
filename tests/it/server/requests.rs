//! What a request gets, status by status.

use std::{thread, time::Duration};

use bytes::Bytes;
use poolguard::{
    server::{Received, fault::Fault, limits::Limits},
    telemetry::metrics::label::WebhookLabel,
};

use crate::http::{Harness, Stub, chunked, echo, header, request};

fn limits() -> Limits {
    Limits { max_body: 1024, body_timeout: Duration::from_millis(200), ..Limits::default() }
}

#[tokio::test]
async fn an_answer_is_json_with_a_length() {
    let harness = Harness::start(echo(), limits()).await;
    let reply = harness.connect().await.post("/validate?timeout=10s", "{}").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "{}"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("content-length"), Some("2"));
    assert_eq!(reply.header("connection"), None);
}

#[tokio::test]
async fn the_path_chooses_the_webhook() {
    let service = Stub(|request: Received<'_>| Ok(Bytes::from(request.webhook.as_str())));
    let harness = Harness::start(service, limits()).await;
    let mut connection = harness.connect().await;
    for &webhook in WebhookLabel::ALL {
        let name = webhook.as_str();
        assert_eq!(connection.post(&format!("/{name}"), "{}").await.body, name);
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_and_the_connection_lives_on() {
    let harness = Harness::start(echo(), limits()).await;
    let mut connection = harness.connect().await;
    let reply = connection.post("/mutate/", "{}").await;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.body.lines().count(), 1);
    assert_eq!(connection.post("/mutate", "{}").await.status, 200);
    assert!(harness.metric("poolguard_faults_total{reason=\"unknown-path\"}") > 0.0);
}

#[tokio::test]
async fn another_method_is_405_and_says_which_is_allowed() {
    let harness = Harness::start(echo(), limits()).await;
    let mut connection = harness.connect().await;
    connection.send("GET /mutate HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let reply = connection.reply().await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
}

#[tokio::test]
async fn another_content_type_is_415() {
    let harness = Harness::start(echo(), limits()).await;
    let mut connection = harness.connect().await;
    for content_type in ["content-type: application/yaml\r\n", ""] {
        let text = format!(
            "POST /mutate HTTP/1.1\r\nhost: localhost\r\n{content_type}content-length: 2\r\n\r\n{{}}"
        );
        connection.send(&text).await;
        assert_eq!(connection.reply().await.status, 415);
    }
}

#[tokio::test]
async fn a_fault_of_the_service_is_its_status_and_its_reason() {
    let harness =
        Harness::start(Stub(|_: Received<'_>| Err(Fault::NotLoaded("no nodes".into()))), limits())
            .await;
    let reply = harness.connect().await.post("/validate", "{}").await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (503, "PoolGuard is not ready to decide: no nodes\n")
    );
}

#[tokio::test]
async fn a_declared_length_over_the_limit_is_413_and_the_connection_lives_on() {
    let harness = Harness::start(echo(), limits()).await;
    let mut connection = harness.connect().await;
    assert_eq!(connection.post("/mutate", &"x".repeat(1025)).await.status, 413);
    assert_eq!(connection.post("/mutate", &"x".repeat(1024)).await.status, 200);
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_too_much_is_told_at_once() {
    let limits = Limits { body_timeout: Duration::from_mins(10), ..limits() };
    let harness = Harness::start(echo(), limits).await;
    let mut connection = harness.connect().await;
    let header = header("/mutate", 1 << 30);
    let header = header.replace("host:", "expect: 100-continue\r\nhost:");
    connection.send(&header).await;
    let reply = connection.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn a_body_far_too_large_is_not_read_to_its_end() {
    let harness = Harness::start(echo(), limits()).await;
    let mut connection = harness.connect().await;
    connection.send(&header("/mutate", 1 << 30)).await;
    connection.send(&"x".repeat(5000)).await;
    let reply = connection.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn chunks_are_put_together() {
    let harness = Harness::start(echo(), limits()).await;
    let mut connection = harness.connect().await;
    connection.send(&chunked(&["{\"a\":", "1}"])).await;
    let reply = connection.reply().await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "{\"a\":1}"));
}

#[tokio::test]
async fn chunks_over_the_limit_are_413() {
    let harness = Harness::start(echo(), limits()).await;
    let mut connection = harness.connect().await;
    let part = "x".repeat(600);
    connection.send(&chunked(&[&part, &part])).await;
    assert_eq!(connection.reply().await.status, 413);
    assert_eq!(connection.post("/mutate", "{}").await.status, 200);
}

#[tokio::test]
async fn a_slow_body_is_408() {
    let harness = Harness::start(echo(), limits()).await;
    let mut connection = harness.connect().await;
    connection.send(&header("/mutate", 10)).await;
    connection.send("{").await;
    let reply = connection.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (408, Some("close")));
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn a_body_in_pieces_is_put_together() {
    let harness = Harness::start(echo(), Limits::default()).await;
    let mut connection = harness.connect().await;
    connection.send(&header("/mutate", 4)).await;
    for piece in ["a", "b", "cd"] {
        connection.send(piece).await;
        // Another connection's whole request takes longer than the piece needs to arrive.
        assert_eq!(harness.connect().await.post("/mutate", "{}").await.status, 200);
    }
    assert_eq!(connection.reply().await.body, "abcd");
}

#[tokio::test]
async fn the_clients_time_limit_is_504_when_the_body_is_late() {
    let harness = Harness::start(echo(), Limits::default()).await;
    let mut connection = harness.connect().await;
    connection.send(&header("/mutate?timeout=50ms", 10)).await;
    assert_eq!(connection.reply().await.status, 504);
}

#[tokio::test]
async fn the_clients_time_limit_is_504_when_the_answer_is_late() {
    let service = Stub(|request: Received<'_>| {
        thread::sleep(Duration::from_millis(20));
        Ok(request.body.clone())
    });
    let harness = Harness::start(service, Limits::default()).await;
    let mut connection = harness.connect().await;
    assert_eq!(connection.post("/mutate?timeout=10ms", "{}").await.status, 504);
    assert_eq!(connection.post("/mutate?timeout=10s", "{}").await.status, 200);
}

#[tokio::test]
async fn a_time_limit_that_cannot_be_read_is_400() {
    let harness = Harness::start(echo(), Limits::default()).await;
    let reply = harness.connect().await.post("/mutate?timeout=soon", "{}").await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("timeout is not a duration"), "{}", reply.body);
}

#[tokio::test]
async fn a_panic_is_500_and_harms_no_other_request() {
    let service = Stub(|request: Received<'_>| {
        assert_ne!(&request.body[..], b"panic");
        Ok(request.body.clone())
    });
    let harness = Harness::start(service, Limits::default()).await;
    let mut other = harness.connect().await;
    let mut connection = harness.connect().await;
    assert_eq!(connection.post("/mutate", "panic").await.status, 500);
    assert_eq!(connection.post("/mutate", "{}").await.status, 200);
    assert_eq!(other.post("/mutate", "{}").await.status, 200);
    assert!((harness.metric("poolguard_panics_total") - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let harness = Harness::start(echo(), Limits::default()).await;
    let mut connection = harness.connect().await;
    connection.send(&(request("/mutate", "1") + &request("/mutate", "2"))).await;
    assert_eq!(connection.reply().await.body, "1");
    assert_eq!(connection.reply().await.body, "2");
}
