//! `poolguard review` and `poolguard test` against a live cluster.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{fs, path::Path};

use poolguard::{api::rbac::listing, cluster::Kind};
use serde_json::Value;
use tempfile::TempDir;

use super::cluster::rule;
use crate::{
    apiserver::{ADMIN, ApiServer},
    command::run_async,
    scenario::{data, data_text},
};

/// The recorded cluster without a node of `pool-a`, which the config declares.
async fn recorded(without: &str) -> ApiServer {
    let api = ApiServer::start().await;
    let dump: Value = serde_json::from_str(&data_text("cluster.json")).unwrap();
    for item in dump["items"].as_array().unwrap() {
        if item["metadata"]["name"] != without {
            api.put(item.clone());
        }
    }
    api
}

/// A pod that goes to a node by its name, and a test that expects it to be denied for a node that is known.
fn test_of_a_pinned_pod() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = data("config.yaml");
    let case = format!(
        "run: {{command: review, config: {}, cluster: {}, inputs: [pod.yaml]}}\n\
         expect: {{results: {{pod.yaml: {{decision: deny, rule: pod-intrusion}}}}}}\n",
        config.display(),
        data("cluster.json").display()
    );
    let check = format!(
        "run: {{command: check, config: {}, cluster: {}}}\n\
         expect: {{has: [{{rule: pool-size, pool: pool-a, says: [1 ready node]}}]}}\n",
        config.display(),
        data("cluster.json").display()
    );
    for (name, text) in [
        ("review/case.yaml", case.as_str()),
        ("check/case.yaml", &check),
        (
            "review/pod.yaml",
            "{apiVersion: v1, kind: Pod, metadata: {name: pinned, namespace: shop},\n\
             spec: {nodeName: ip-10-0-1-11.ec2.internal, containers: [{name: a, image: b}]}}\n",
        ),
    ] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

const POOL_A_NODE: &str = "ip-10-0-1-11.ec2.internal";

#[tokio::test(flavor = "multi_thread")]
async fn review_knows_the_nodes_of_a_live_cluster_and_changes_nothing() {
    let tests = test_of_a_pinned_pod();
    let pod = tests.path().join("review/pod.yaml");
    // A node that PoolGuard does not know is no reason to deny.
    for (without, code) in [("", 1), (POOL_A_NODE, 0)] {
        let api = recorded(without).await;
        let kubeconfig = api.kubeconfig(ADMIN);
        let flags = ["--config", "config.yaml", "--kubeconfig", path(kubeconfig.path())];
        for context in [&[][..], &["--context", "test"]] {
            let said = run_async(&[&["review", path(&pod)], &flags[..], context].concat()).await;
            assert_eq!((said.code, said.err.as_str()), (code, ""), "{said:?}");
        }
        let kinds = Kind::ALL.map(|kind| kind.resource().plural);
        for asked in api.asked() {
            assert_eq!(asked.verb, "list", "{asked:?}");
            assert!(kinds.contains(&asked.resource.as_str()), "{asked:?}");
        }
        assert_eq!(api.asked_count("list", "nodes"), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn review_says_of_a_live_cluster_what_it_says_of_its_dump() {
    let api = recorded("").await;
    let kubeconfig = api.kubeconfig(ADMIN);
    let live = ["--kubeconfig", path(kubeconfig.path())];
    let dump = ["--cluster", "cluster.json"];
    let review = ["review", "--config", "config.yaml", "-o", "json", "reviews"];
    let [live, dump] = [
        run_async(&[&review[..], &live].concat()).await,
        run_async(&[&review[..], &dump].concat()).await,
    ];
    assert_eq!(live.out, dump.out);
    assert_eq!(live.code, dump.code);
}

#[tokio::test(flavor = "multi_thread")]
async fn review_needs_the_nodes_and_warns_of_what_else_it_may_not_read() {
    let tests = test_of_a_pinned_pod();
    let pod = tests.path().join("review/pod.yaml");
    let api = recorded("").await;
    api.grant("nodes-only", "carol", vec![rule(&listing("", "nodes"))]);
    api.grant("no-rights", "dave", vec![]);
    let [nodes_only, none] = ["nodes-only", "no-rights"].map(|token| api.kubeconfig(token));
    let review = ["review", path(&pod), "--config", "config.yaml", "--kubeconfig"];

    let said = run_async(&[&review[..], &[path(nodes_only.path())]].concat()).await;
    assert_eq!(said.code, 1, "{said:?}");
    let warnings = said.err;
    let rule =
        r#"{apiGroups: ["rbac.authorization.k8s.io"], resources: [rolebindings], verbs: [list]}"#;
    assert!(warnings.contains(rule), "{warnings}");
    assert!(warnings.lines().all(|line| line.starts_with("warning: ")), "{warnings}");

    let said = run_async(&[&review[..], &[path(none.path())]].concat()).await;
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    let error = said.err;
    assert!(error.contains(r#"{apiGroups: [""], resources: [nodes], verbs: [list]}"#), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_tests_use_a_live_cluster_instead_of_their_dumps() {
    let tests = test_of_a_pinned_pod();
    let tests = path(tests.path());
    let by_dump = run_async(&["test", tests]).await;
    assert_eq!(by_dump.code, 0, "{by_dump:?}");
    for (without, summary) in [("", "2 passed, 0 failed"), (POOL_A_NODE, "0 passed, 2 failed")] {
        let api = recorded(without).await;
        let kubeconfig = api.kubeconfig(ADMIN);
        let live = ["--kubeconfig", path(kubeconfig.path()), "--context", "test"];
        let said = run_async(&[&["test", tests], &live[..]].concat()).await;
        let out = said.out;
        assert_eq!(out.lines().last(), Some(summary), "{out}");
        let asked = api.asked();
        assert!(asked.iter().all(|it| ["list", "get"].contains(&it.verb.as_str())), "{asked:?}");
    }
}
