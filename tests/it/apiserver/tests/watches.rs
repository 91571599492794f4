//! Watches.

use std::time::Duration;

use futures_util::StreamExt as _;
use kube::api::{WatchEvent, WatchParams};
use serde_json::json;

use super::{item, next, node, nodes, status, watch_from, watch_with, with_nodes};

#[tokio::test]
async fn a_watch_continues_from_a_resource_version() {
    let server = with_nodes(&["a"]).await;
    let version = server.version();
    server.put(node("b"));
    let mut events = watch_from(&server, version).await;
    assert_eq!(next(&mut events).await, "ADDED b");
    server.edit("nodes", "a", |node| node["spec"] = json!({ "unschedulable": true }));
    server.remove("nodes", "b");
    assert_eq!(next(&mut events).await, "MODIFIED a");
    assert_eq!(next(&mut events).await, "DELETED b");
}

#[tokio::test]
async fn a_watch_from_nowhere_begins_with_what_is_there() {
    let server = with_nodes(&["a", "b"]).await;
    let mut events = watch_from(&server, 0).await;
    assert_eq!(next(&mut events).await, "ADDED a");
    assert_eq!(next(&mut events).await, "ADDED b");
    server.remove("nodes", "a");
    assert_eq!(next(&mut events).await, "DELETED a");
}

#[tokio::test]
async fn a_deletion_has_a_version_of_its_own() {
    let server = with_nodes(&["a"]).await;
    let mut events = watch_from(&server, server.version()).await;
    server.remove("nodes", "a");
    let Some(Ok(WatchEvent::Deleted(node))) = item(&mut events).await else {
        panic!("not deleted")
    };
    assert_eq!(node.metadata.resource_version, Some(server.version().to_string()));
}

#[tokio::test]
async fn a_watch_sees_only_what_it_selects() {
    let server = with_nodes(&["a", "b"]).await;
    let params = WatchParams::default().disable_bookmarks().labels("pool=x");
    let mut events = watch_with(&server, &params, server.version()).await;
    let label = |name: &str, pool: &str| {
        server.edit("nodes", name, |node| node["metadata"]["labels"] = json!({ "pool": pool }));
    };
    label("b", "y");
    label("a", "x");
    server.edit("nodes", "a", |node| node["metadata"]["labels"]["other"] = json!(""));
    label("a", "y");
    server.remove("nodes", "a");
    label("b", "x");
    assert_eq!(next(&mut events).await, "ADDED a");
    assert_eq!(next(&mut events).await, "MODIFIED a");
    let Some(Ok(WatchEvent::Deleted(gone))) = item(&mut events).await else { panic!("not gone") };
    assert_eq!(gone.metadata.labels.unwrap()["pool"], "x", "the last state that matched");
    assert_eq!(next(&mut events).await, "ADDED b");
}

#[tokio::test]
async fn bookmarks_come_at_an_interval() {
    let server = with_nodes(&["a"]).await;
    server.bookmark_every(Duration::from_millis(1));
    let mut events = watch_with(&server, &WatchParams::default(), server.version()).await;
    assert_eq!(next(&mut events).await, format!("BOOKMARK {}", server.version()));
    assert_eq!(next(&mut events).await, format!("BOOKMARK {}", server.version()));
}

#[tokio::test]
async fn a_bookmark_comes_when_the_test_says_so() {
    let server = with_nodes(&["a"]).await;
    server.bookmark_every(Duration::from_hours(1));
    let mut events = watch_with(&server, &WatchParams::default(), server.version()).await;
    server.wait_until(|server| server.watching("nodes") == 1).await;
    server.put(super::config_map("default", "elsewhere"));
    server.bookmark();
    assert_eq!(next(&mut events).await, format!("BOOKMARK {}", server.version()));
}

#[tokio::test]
async fn a_watch_ends_at_its_timeout() {
    let server = with_nodes(&["a"]).await;
    let params = WatchParams::default().disable_bookmarks().timeout(1);
    let mut events = watch_with(&server, &params, server.version()).await;
    assert!(item(&mut events).await.is_none());
    server.wait_until(|server| server.watching("nodes") == 0).await;
}

#[tokio::test]
async fn a_compacted_version_is_gone() {
    let server = with_nodes(&["a"]).await;
    let old = server.version();
    server.put(node("b"));
    server.compact();
    let mut events = watch_from(&server, old).await;
    assert_eq!(next(&mut events).await, "ERROR 410 Expired");
    assert!(item(&mut events).await.is_none());
    let mut events = watch_from(&server, server.version()).await;
    server.put(node("c"));
    assert_eq!(next(&mut events).await, "ADDED c");
}

#[tokio::test]
async fn a_compacted_version_can_be_a_refusal() {
    let server = with_nodes(&["a", "b"]).await;
    server.gone_as_http(true);
    server.compact();
    let params = WatchParams::default();
    let refused = status(nodes(&server).watch(&params, "1").await.map(|_| ()));
    assert_eq!((refused.code, refused.reason.as_str()), (410, "Expired"));
}

#[tokio::test]
async fn a_watch_that_is_up_to_date_survives_compaction() {
    let server = with_nodes(&["a"]).await;
    let mut events = watch_from(&server, server.version()).await;
    server.put(node("b"));
    assert_eq!(next(&mut events).await, "ADDED b");
    server.compact();
    server.put(node("c"));
    assert_eq!(next(&mut events).await, "ADDED c");
}

#[tokio::test]
async fn a_watch_of_metadata_has_nothing_else() {
    let server = with_nodes(&[]).await;
    let params = WatchParams::default().disable_bookmarks();
    let version = server.version().to_string();
    let nodes = nodes(&server);
    let mut events = nodes.watch_metadata(&params, &version).await.unwrap().boxed();
    server.put(node("a"));
    let Some(Ok(WatchEvent::Added(added))) = events.next().await else { panic!("not added") };
    assert_eq!(added.types.unwrap().kind, "PartialObjectMetadata");
    assert_eq!(added.metadata.name.as_deref(), Some("a"));
}

#[tokio::test]
async fn a_streamed_list_ends_with_a_bookmark() {
    let server = with_nodes(&["a"]).await;
    server.bookmark_every(Duration::from_hours(1));
    let mut events = watch_with(&server, &WatchParams::streaming_lists(), 0).await;
    assert_eq!(next(&mut events).await, "ADDED a");
    let Some(Ok(WatchEvent::Bookmark(end))) = item(&mut events).await else { panic!("no end") };
    assert_eq!(end.metadata.annotations["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn a_dropped_watch_is_closed() {
    let server = with_nodes(&[]).await;
    let events = watch_from(&server, server.version()).await;
    server.wait_until(|server| server.watching("nodes") == 1).await;
    drop(events);
    server.wait_until(|server| server.watching("nodes") == 0).await;
}
