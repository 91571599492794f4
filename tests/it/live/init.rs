//! `poolguard init` of a live cluster.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use poolguard::{api::rbac::listing, config};
use serde_json::{Value, json};

use super::cluster::{Cluster, rule};
use crate::{
    apiserver::{ADMIN, ApiServer},
    command::run_async,
    scenario::data_text,
};

async fn init(api: &ApiServer, token: &str) -> String {
    let kubeconfig = api.kubeconfig(token);
    let said = run_async(&["init", "--kubeconfig", kubeconfig.path().to_str().unwrap()]).await;
    assert_eq!(said.code, 0, "{}", said.err);
    said.out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_cluster_tells_the_role_of_its_nodes_and_is_not_changed() {
    let api = ApiServer::start().await;
    let dump: Value = serde_json::from_str(&data_text("cluster.json")).unwrap();
    for item in dump["items"].as_array().unwrap() {
        api.put(item.clone());
    }
    let roles = "- rolearn: arn:aws:iam::111122223333:role/automq-node\n  groups: [system:nodes]\n";
    api.put(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "kube-system", "name": "aws-auth"}, "data": {"mapRoles": roles},
    }));
    let text = init(&api, ADMIN).await;
    assert!(text.contains("  role: \"arn:aws:iam::111122223333:role/automq-node\"\n"), "{text}");
    assert!(text.contains("poolguard check --config poolguard.yaml --kubeconfig "), "{text}");
    assert!(!text.contains("The input holds no"), "{text}");
    let policy = config::load("", &text, None).unwrap().policy;
    assert_eq!(policy.pools.len(), 3);
    assert!(api.asked().iter().all(|it| it.verb == "list" || it.verb == "get"), "nothing changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_told_in_the_draft() {
    let cluster = Cluster::start().await;
    let nodes = listing("", "nodes");
    cluster.api.grant("few-rights", "carol", vec![rule(&nodes)]);
    let text = init(&cluster.api, "few-rights").await;
    let words = text.replace("\n#   ", " ");
    assert!(words.contains(", because pods could not be read: "), "{text}");
    assert!(words.contains("resources: [pods], verbs: [list]"), "{text}");
    assert!(!words.contains("kubectl get"), "{text}");
    assert!(config::load("", &text, None).is_ok());
}
