//! PoolGuard asks for what it is granted, all of it and nothing else.
//!
//! Every live test fails if a request was refused, so nothing else is asked for. That all of it is needed is the test here:
//! one scenario, because tests that run beside each other in any order share nothing that could add up.

use poolguard::{
    api::{
        rbac::{ADMISSION_POLICIES, PolicyRule},
        reports::ReportApi,
    },
    controllers::certificates::stored::ROTATE,
};
use serde_json::json;

use super::{
    cluster::{CONFIGURATIONS, all_rights, rule},
    reports,
    scan::{POOL_A_NODE, pod},
};
use crate::{
    apiserver::{ApiServer, Asked, Rule},
    scenario::data_text,
};

/// What was refused, as `verb resource`.
pub(crate) fn refused(asked: &[Asked]) -> Vec<String> {
    let refused = asked.iter().filter(|it| !it.allowed);
    refused.map(|it| format!("{} {}/{}", it.verb, it.resource, it.name)).collect()
}

/// What is granted and was never asked for, as `verb` and the rule.
pub(crate) fn unused(rights: &[PolicyRule], asked: &[Asked]) -> Vec<String> {
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
    let cluster = reports::cluster(&ReportApi::ALL).await;
    cluster.api.add_namespace("shop");
    cluster.api.serve_group("karpenter.sh", true);
    cluster.api.put(pod("shop", "resident", POOL_A_NODE));
    let replica = cluster.installed("one").await;
    // Reported, changed and withdrawn.
    let is_there = |is_there| {
        let cluster = &cluster;
        let all = ReportApi::ALL.map(|it| [(it, true), (it, false)]).concat();
        move |_: &ApiServer| {
            all.iter().all(|(api, is_namespaced)| {
                let path = if *is_namespaced { "shop/poolguard" } else { "poolguard" };
                cluster.api.get(api.resource(*is_namespaced), path).is_some() == is_there
            })
        }
    };
    cluster.api.wait_until(is_there(true)).await;
    cluster.api.put(pod("shop", "another", POOL_A_NODE));
    cluster.api.edit("nodes", POOL_A_NODE, |node| node["spec"]["taints"] = json!([]));
    replica.logged("does not have the pool's taint").await;
    cluster.configure(&format!("{}scan: {{enabled: false}}\n", data_text("config.yaml")));
    cluster.api.wait_until(is_there(false)).await;
    // Healed, told, rotated, restored and followed.
    cluster.api.edit(CONFIGURATIONS[0], "poolguard", |object| {
        object["webhooks"][0]["timeoutSeconds"] = json!(30);
    });
    cluster.api.remove(CONFIGURATIONS[1], "poolguard");
    replica.logged("differs from the config").await;
    cluster.until_registered().await;
    cluster.api.edit("secrets", "poolguard-system/poolguard-ca", |secret| {
        secret["metadata"]["annotations"][ROTATE] = "now".into();
    });
    replica.logged("rotation: the next certificate authority signs from now on").await;
    cluster.api.remove("secrets", "poolguard-system/poolguard-ca");
    replica.logged("restored").await;
    // A backstop, kept and removed.
    let backstop = format!("{}backstop: {{mode: managed}}\n", data_text("config.yaml"));
    cluster.configure(&backstop);
    let is_kept = |api: &ApiServer| api.get(ADMISSION_POLICIES[1], "poolguard-bindings").is_some();
    cluster.api.wait_until(is_kept).await;
    let [validating @ .., mutating, mutating_binding] = ADMISSION_POLICIES;
    let placement = [mutating, mutating_binding].map(|it| (it, "poolguard-placement"));
    for (resource, name) in validating.map(|it| (it, "poolguard")).into_iter().chain(placement) {
        cluster.api.wait_until(|api| api.get(resource, name).is_some()).await;
        cluster.api.edit(resource, name, |it| it["spec"]["excess"] = "field".into());
    }
    replica.logged("was changed by another client; PoolGuard restored it").await;
    let is_restored = |api: &ApiServer| {
        api.get(mutating_binding, "poolguard-placement")
            .is_some_and(|it| it["spec"].get("excess").is_none())
    };
    cluster.api.wait_until(is_restored).await;
    cluster.configure(&data_text("config.yaml"));
    cluster.api.wait_until(|api| ADMISSION_POLICIES.iter().all(|it| api.count(it) == 0)).await;
    cluster.api.disconnect();
    cluster.add_node("fresh", "automq-a", true);
    replica.metric("poolguard_snapshot_rebuilds_total", |count| count >= 2.0).await;
    let renewed = cluster.api.asked_count("update", "leases");
    cluster.api.wait_until(|api| api.asked_count("update", "leases") > renewed).await;
    let asked: Vec<_> = cluster.api.asked();
    assert_eq!(refused(&asked), Vec::<String>::new());
    assert_eq!(unused(&all_rights(), &asked), Vec::<String>::new());
}
