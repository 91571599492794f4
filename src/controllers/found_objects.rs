//! The node-pool objects that the cluster has: PoolGuard asks for them at an interval, because definitions come
//! and go.

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use kube::Client;
use tokio::{sync::watch, time::sleep};
use tracing::warn;

use crate::{
    api::{client, discovery},
    config,
    kubernetes::resource::GroupResource,
};

/// The time until the next request.
const POLL_INTERVAL: Duration = Duration::from_mins(1);
/// The time until the next request after one that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Node-pool objects that the cluster has; `None` until the API server has said.
pub type FoundObjects = Option<BTreeSet<GroupResource>>;

/// Asks the API server until the process ends, and publishes each new answer.
pub async fn follow(client: Client, found: watch::Sender<FoundObjects>) -> Infallible {
    let known: BTreeSet<GroupResource> = config::node_pool_resources().collect();
    let groups: BTreeSet<&str> = known.iter().map(|it| it.group.as_str()).collect();
    let mut is_reported = false;
    loop {
        let answer = discovery::served(&client, &groups).await;
        let wait = match answer {
            Ok(served) => {
                is_reported = false;
                let served = served.into_iter().map(|it| it.resource);
                put(&found, served.filter(|it| known.contains(it)).collect());
                POLL_INTERVAL
            }
            Err(error) => {
                if !is_reported {
                    warn!(
                        "PoolGuard cannot read which node-pool objects the cluster has: {}",
                        client::explain(&error)
                    );
                    is_reported = true;
                }
                // Without the right to ask, the objects that the config names are all.
                if client::code(&error) == Some(403) && found.borrow().is_none() {
                    put(&found, BTreeSet::new());
                }
                RETRY_INTERVAL
            }
        };
        sleep(wait).await;
    }
}

fn put(found: &watch::Sender<FoundObjects>, now: BTreeSet<GroupResource>) {
    found.send_if_modified(|before| {
        let is_new = before.as_ref() != Some(&now);
        if is_new {
            *before = Some(now);
        }
        is_new
    });
}
