//! Nodes that come and go, and whose labels change, through the API server.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::{it::live::cluster::Cluster, measure::Counts};

/// The pause between two writes: a cluster that scales up and down all the time.
const EVERY: Duration = Duration::from_millis(50);
/// The number of nodes that are there beside the recorded ones.
const NODES_MAX: usize = 60;
/// The number of writes after which the API server forgets what was before.
const COMPACT_AFTER: u64 = 400;

/// Adds nodes, changes them, and removes the oldest. The recorded nodes stay as they are, so that the recorded
/// answers stay right.
pub(crate) async fn churn(cluster: Arc<Cluster>, counts: Arc<Counts>, stop: CancellationToken) {
    let mut ticks = interval(EVERY);
    let mut names = VecDeque::new();
    let mut turn = 0_u64;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        turn += 1;
        counts.nodes.add(1);
        match turn % 4 {
            0 => {
                let is_dedicated = turn.is_multiple_of(8);
                let name = format!("churn-{turn}");
                let group = if is_dedicated { "automq-b" } else { "general" };
                cluster.add_node(&name, group, is_dedicated);
                names.push_back(name);
                if names.len() > NODES_MAX
                    && let Some(oldest) = names.pop_front()
                {
                    cluster.api.remove("nodes", &oldest);
                }
            }
            1 | 2 => {
                let Some(name) = names.get(usize::try_from(turn).unwrap() % names.len().max(1))
                else {
                    continue;
                };
                cluster.api.edit("nodes", name, |node| {
                    node["metadata"]["labels"][format!("example.com/label-{}", turn % 5)] =
                        json!(format!("value-{turn}"));
                });
            }
            _ => {
                let Some(name) = names.back() else { continue };
                cluster.api.edit("nodes", name, |node| {
                    node["status"]["conditions"][0]["lastHeartbeatTime"] = json!(turn.to_string());
                });
            }
        }
        if turn.is_multiple_of(COMPACT_AFTER) {
            cluster.api.compact();
            cluster.api.clear_asked();
        }
    }
}
