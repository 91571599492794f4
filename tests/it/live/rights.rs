//! PoolGuard asks for what it is granted, all of it and nothing else.

use poolguard::{certs::stored::ROTATE, rights::Right};
use serde_json::json;

use super::cluster::{CONFIGURATIONS, Cluster, all_rights, rule};
use crate::apiserver::{Asked, Rule};

/// What was refused, as `verb resource`.
pub(crate) fn refused(asked: &[Asked]) -> Vec<String> {
    let refused = asked.iter().filter(|it| !it.allowed);
    refused.map(|it| format!("{} {}/{}", it.verb, it.resource, it.name)).collect()
}

/// What is granted and was never asked for, as `verb` and the rule.
pub(crate) fn unused(rights: &[Right], asked: &[Asked]) -> Vec<String> {
    let mut unused = Vec::new();
    for right in rights {
        for verb in right.verbs {
            let of_verb = Rule { verbs: vec![(*verb).to_owned()], ..rule(right) };
            if !asked.iter().any(|asked| of_verb.grants(asked)) {
                unused.push(format!("{verb}: {right}"));
            }
        }
    }
    unused
}

#[tokio::test(flavor = "multi_thread")]
async fn every_right_is_asked_for_and_nothing_else_is() {
    let cluster = Cluster::start().await;
    let replica = cluster.installed("one").await;
    // Healed, told, rotated, restored and followed.
    cluster.api.edit(CONFIGURATIONS[0], "poolguard", |object| {
        object["webhooks"][0]["timeoutSeconds"] = json!(30);
    });
    cluster.api.remove(CONFIGURATIONS[1], "poolguard");
    replica.logged("is not as the config asks for").await;
    cluster.until_registered().await;
    cluster.api.edit("secrets", "poolguard-system/poolguard-ca", |secret| {
        secret["metadata"]["annotations"][ROTATE] = "now".into();
    });
    replica.logged("rotation: the next certificate authority signs from now on").await;
    cluster.api.remove("secrets", "poolguard-system/poolguard-ca");
    replica.logged("restored").await;
    cluster.api.disconnect();
    cluster.add_node("fresh", "automq-a", true);
    replica.metric("poolguard_snapshot_rebuilds_total", |count| count >= 2.0).await;
    let renewed = cluster.api.asked_count("update", "leases");
    cluster.api.wait_until(|api| api.asked_count("update", "leases") > renewed).await;
    let asked: Vec<_> = cluster.api.asked();
    assert_eq!(refused(&asked), Vec::<String>::new());
    assert_eq!(unused(&all_rights(), &asked), Vec::<String>::new());
}
