//! What goes wrong when a test wants it to.

use std::time::{Duration, Instant};

use kube::{Error, api::ListParams};

use super::{super::Cut, code_and_reason, item, next, node, nodes, status, watch_from, with_nodes};

#[tokio::test]
async fn the_next_requests_are_refused() {
    let server = with_nodes(&["a"]).await;
    let nodes = nodes(&server);
    server.refuse("list", "nodes", 503, 2);
    server.refuse("*", "nodes", 429, 1);
    assert_eq!(status(nodes.list(&ListParams::default()).await).code, 503);
    assert_eq!(status(nodes.list(&ListParams::default()).await).code, 503);
    let slow_down = status(nodes.get("a").await);
    assert_eq!((slow_down.code, slow_down.reason.as_str()), (429, "TooManyRequests"));
    assert_eq!(slow_down.details.unwrap().retry_after_seconds, 1);
    assert!(nodes.list(&ListParams::default()).await.is_ok());
    server.refuse("get", "/version", 500, 1);
    let client = server.client(super::ADMIN);
    assert_eq!(
        code_and_reason(client.apiserver_version().await),
        (500, "InternalError".to_owned())
    );
}

#[tokio::test]
async fn a_429_says_when_to_come_back() {
    let server = with_nodes(&["a"]).await;
    server.refuse("get", "nodes", 429, 1);
    let request = http::Request::get("/api/v1/nodes/a").body(kube::client::Body::empty()).unwrap();
    let response = server.client(super::ADMIN).send(request).await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
}

#[tokio::test]
async fn a_request_takes_as_long_as_the_test_says() {
    let server = with_nodes(&["a"]).await;
    let latency = Duration::from_millis(30);
    server.latency(latency);
    let start = Instant::now();
    nodes(&server).get("a").await.unwrap();
    assert!(start.elapsed() >= latency);
}

#[tokio::test]
async fn watches_are_cut_in_every_way() {
    let server = with_nodes(&["a"]).await;
    for how in [Cut::Cleanly, Cut::Abruptly, Cut::MidLine] {
        let mut events = watch_from(&server, server.version()).await;
        server.put(node("a"));
        assert_eq!(next(&mut events).await, "MODIFIED a");
        server.cut_watches(how);
        let end = item(&mut events).await;
        assert!(end.as_ref().is_none_or(Result::is_err), "{how:?}: {end:?}");
        server.wait_until(|server| server.watching("nodes") == 0).await;
    }
    let mut events = watch_from(&server, server.version()).await;
    server.cut_watches(Cut::Expired);
    assert_eq!(next(&mut events).await, "ERROR 410 Expired");
    assert!(item(&mut events).await.is_none());
}

#[tokio::test]
async fn half_a_line_arrives_before_the_connection_goes() {
    use http_body_util::BodyExt as _;
    let server = with_nodes(&["a"]).await;
    let path = format!("/api/v1/nodes?watch=1&resourceVersion={}", server.version());
    let request = http::Request::get(path).body(kube::client::Body::empty()).unwrap();
    let mut body = server.client(super::ADMIN).send(request).await.unwrap().into_body();
    server.cut_watches(Cut::MidLine);
    let half = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(half.starts_with(b"{\"type\"") && !half.ends_with(b"\n"));
    assert!(body.frame().await.unwrap().is_err());
}

#[tokio::test]
async fn a_line_is_garbled() {
    let server = with_nodes(&["a"]).await;
    let mut events = watch_from(&server, server.version()).await;
    server.garble("not JSON");
    server.put(node("b"));
    server.put(node("c"));
    assert!(matches!(item(&mut events).await, Some(Err(Error::SerdeError(_)))));
    assert_eq!(next(&mut events).await, "ADDED c");
}

#[tokio::test]
async fn a_server_that_hangs_answers_when_it_resumes() {
    let server = with_nodes(&["a"]).await;
    let mut events = watch_from(&server, server.version()).await;
    server.hang();
    server.put(node("b"));
    let nodes = nodes(&server);
    let asking = tokio::spawn(async move { nodes.get("a").await });
    server.wait_until(|server| server.held() == 1).await;
    assert!(!asking.is_finished());
    server.resume();
    asking.await.unwrap().unwrap();
    assert_eq!(next(&mut events).await, "ADDED b");
    assert_eq!(server.held(), 0);
}

#[tokio::test]
async fn connections_are_dropped() {
    let server = with_nodes(&["a"]).await;
    let nodes = nodes(&server);
    nodes.get("a").await.unwrap();
    server.drop_connections(true);
    server.disconnect();
    assert!(!matches!(nodes.get("a").await, Ok(_) | Err(Error::Api(_))));
    server.drop_connections(false);
    let again = async {
        while nodes.get("a").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_dropped_is_gone() {
    let server = with_nodes(&["a"]).await;
    let nodes = nodes(&server);
    let mut events = watch_from(&server, server.version()).await;
    nodes.get("a").await.unwrap();
    drop(server);
    assert!(item(&mut events).await.is_none_or(|event| event.is_err()));
    assert!(!matches!(nodes.get("a").await, Ok(_) | Err(Error::Api(_))));
}

#[tokio::test]
async fn a_watch_that_hangs_over_compaction_is_gone() {
    let server = with_nodes(&["a"]).await;
    let mut events = watch_from(&server, server.version()).await;
    server.hang();
    server.put(node("b"));
    server.compact();
    server.resume();
    assert_eq!(next(&mut events).await, "ERROR 410 Expired");
}
