//! A large cluster does not show in the memory.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{fs, time::Instant};

use serde_json::{Value, json};

use super::{
    cluster::{Cluster, pinned_to},
    replica::Replica,
};
use crate::scenario::data_text;

const NODES: usize = 5_000;
/// Updates of nodes that change nothing but a time.
const HEARTBEATS: usize = 1_500;

/// A node as large as real ones: 20 labels, 50 images.
fn node(number: usize) -> Value {
    let name = format!("ip-10-{}-{}-{}.ec2.internal", number / 65536, number / 256, number % 256);
    let group = format!("automq-{}", ["a", "b", "abc", "x"][number % 4]);
    let mut labels: serde_json::Map<_, _> = (0..14)
        .map(|label| (format!("example.com/label-{label}"), json!(format!("value-{label}"))))
        .collect();
    for (key, value) in [
        ("kubernetes.io/hostname", name.as_str()),
        ("eks.amazonaws.com/nodegroup", &group),
        ("node.kubernetes.io/instance-type", "r6in.large"),
        ("topology.kubernetes.io/region", "us-east-1"),
        ("topology.kubernetes.io/zone", "us-east-1a"),
        ("kubernetes.io/arch", "amd64"),
    ] {
        labels.insert(key.to_owned(), json!(value));
    }
    let images: Vec<_> = (0..50)
        .map(|image| {
            let repository = format!("111122223333.dkr.ecr.us-east-1.amazonaws.com/team/app-{image}");
            let digest = format!("{:064x}", number * 50 + image);
            json!({
                "names": [format!("{repository}@sha256:{digest}"), format!("{repository}:v1.{number}")],
                "sizeBytes": 123_456_789 + image,
            })
        })
        .collect();
    let condition = |name: &str, status: &str| {
        json!({"type": name, "status": status, "reason": "KubeletHasEnough",
               "message": "kubelet has enough of it", "lastHeartbeatTime": "2026-11-23T14:50:49Z",
               "lastTransitionTime": "2026-11-23T14:50:49Z"})
    };
    let conditions: Vec<_> = ["MemoryPressure", "DiskPressure", "PIDPressure"]
        .map(|name| condition(name, "False"))
        .into_iter()
        .chain([condition("Ready", "True")])
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "providerID": format!("aws:///us-east-1a/i-{number:017x}"),
            "taints": [{"key": "dedicated", "value": "automq", "effect": "NoSchedule"}],
        },
        "status": {"conditions": conditions, "images": images},
    })
}

/// Resident memory of a process.
fn resident_mib(replica: &Replica) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", replica.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024.0
}

/// Lets every node tell that it is alive, and waits until that was heard.
async fn replay(cluster: &Cluster, names: &[String], round: usize) {
    for (beat, name) in names.iter().cycle().take(HEARTBEATS).enumerate() {
        cluster.api.edit("nodes", name, |node| {
            node["status"]["conditions"][3]["lastHeartbeatTime"] = json!(format!("{round}-{beat}"));
        });
        // Its watchers are not to fall behind, and its history is not to fill the memory.
        if beat % 1_000 == 999 {
            tokio::task::yield_now().await;
        }
    }
    let marker = format!("marker-{round}");
    cluster.add_node(&marker, "automq-a", true);
    cluster.until_allows(false, &pinned_to(&marker)).await;
    cluster.api.compact();
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_nodes_and_their_heartbeats_stay_small() {
    let cluster = Cluster::empty(&data_text("config.yaml")).await;
    let nodes: Vec<_> = (0..NODES).map(node).collect();
    let size = nodes[0].to_string().len();
    let names: Vec<_> =
        nodes.iter().map(|it| it["metadata"]["name"].as_str().unwrap().to_owned()).collect();
    for node in nodes {
        cluster.api.put(node);
    }
    let started = Instant::now();
    let replica = cluster.installed("one").await;
    let synced = started.elapsed();
    let rebuilds = "poolguard_snapshot_rebuilds_total";
    let after_sync = resident_mib(&replica);
    let listed = cluster.api.asked_count("list", "nodes");
    assert_eq!(listed, NODES / 50, "in pages of 50");
    replay(&cluster, &names, 1).await;
    let first = resident_mib(&replica);
    replay(&cluster, &names, 2).await;
    let second = resident_mib(&replica);
    assert_eq!(replica.metric_now(rebuilds).await, 3.0, "the first one and two markers");
    // A relist of everything, which replaces what is known at once.
    cluster.api.drop_connections(true);
    cluster.api.disconnect();
    cluster.api.wait_until(|api| api.watching("nodes") == 0).await;
    cluster.api.remove("nodes", "marker-1");
    cluster.api.compact();
    cluster.api.drop_connections(false);
    cluster.until_allows(true, &pinned_to("marker-1")).await;
    let relisted = resident_mib(&replica);
    println!(
        "{NODES} nodes of {size} bytes, synced after {synced:?}: {after_sync:.1} MiB resident; \
         after {HEARTBEATS} heartbeats {first:.1}, after as many again {second:.1}, \
         after a relist {relisted:.1}"
    );
    assert!(second <= first * 1.15, "{first} to {second} MiB");
    assert!(relisted <= second * 1.3, "{second} to {relisted} MiB");
}
