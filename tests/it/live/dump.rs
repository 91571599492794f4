//! `poolguard dump` of a live cluster, and what `check` and `review` say of the dump.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use poolguard::{api::rbac::listing, cluster::inventory::READ};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::cluster::{Cluster, rule};
use crate::{
    apiserver::{ADMIN, ApiServer},
    command::run_async,
    scenario::{data_text, yaml},
};

/// The recorded cluster with a NodePool, a ConfigMap that the config protects, and pods with secrets.
async fn recorded() -> ApiServer {
    let api = ApiServer::start().await;
    api.serve_group("karpenter.sh", true);
    let dump: Value = serde_json::from_str(&data_text("cluster.json")).unwrap();
    for mut item in dump["items"].as_array().unwrap().iter().cloned() {
        if item["kind"] == "Node" {
            item["status"]["images"] = json!([{"names": ["registry.example/large"]}]);
        }
        api.put(item);
    }
    api.put(yaml(
        "{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {name: brokers}, spec: {template: {spec: {
           taints: [{key: dedicated, value: automq, effect: NoSchedule}]}}}}",
    ));
    api.put(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "kube-system", "name": "aws-auth"},
        "data": {"mapRoles": "- rolearn: arn:aws:iam::111122223333:role/other\n"},
    }));
    api.put(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "web-0"},
        "spec": {"nodeName": "ip-10-0-1-11.ec2.internal",
                 "containers": [{"name": "a", "env": [{"name": "PASSWORD", "value": "s3cret"}]}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1"},
    }));
    api
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_says_of_a_cluster_what_the_cluster_says() {
    let api = recorded().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("cluster.json");
    let file = file.to_str().unwrap();
    let kubeconfig = api.kubeconfig(ADMIN);
    let kubeconfig = kubeconfig.path().to_str().unwrap();
    let live = ["--config", "config.yaml", "--kubeconfig", kubeconfig];
    let said = run_async(&[&["dump", "-o", file], &live[..]].concat()).await;
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(api.asked().iter().all(|it| it.verb == "list" || it.verb == "get"), "nothing changes");

    let dump = std::fs::read_to_string(file).unwrap();
    for gone in ["s3cret", "podIP", "managedFields", "registry.example"] {
        assert!(!dump.contains(gone), "{gone}");
    }
    let list: Value = serde_json::from_str(&dump).unwrap();
    assert_eq!(list["kind"], "List");
    let kinds: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    for kind in READ.map(|it| it.kind).into_iter().chain(["NodePool", "ConfigMap"]) {
        let is_there = kinds.iter().any(|it| it.strip_suffix("List").unwrap_or(it) == kind);
        assert!(is_there, "{kind}: {kinds:?}");
    }

    let check = |arguments: Vec<&str>| {
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let said = run_async(&[&["check", "-o", "json"], &arguments[..]].concat()).await;
            assert_eq!(said.err, "");
            said.json()["findings"].as_array().unwrap().clone()
        }
    };
    let of_dump = check(vec!["--config", "config.yaml", "--cluster", file]).await;
    assert_eq!(of_dump, check(live.to_vec()).await);
    assert!(of_dump.iter().any(|it| it["rule"] == "node-pool"), "{of_dump:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_is_a_cluster_to_review_with() {
    let api = recorded().await;
    let kubeconfig = api.kubeconfig(ADMIN);
    let said = run_async(&["dump", "--kubeconfig", kubeconfig.path().to_str().unwrap()]).await;
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let folder = TempDir::new().unwrap();
    let (dump, pod) = (folder.path().join("cluster.json"), folder.path().join("pod.yaml"));
    std::fs::write(&dump, &said.out).unwrap();
    let intruder = "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}, spec: {
       tolerations: [{operator: Exists}], containers: [{name: a, image: b}]}}";
    std::fs::write(&pod, intruder).unwrap();
    let (dump, pod) = (dump.to_str().unwrap(), pod.to_str().unwrap());
    let said = run_async(&["review", "--config", "config.yaml", "--cluster", dump, pod]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("pod-intrusion"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_left_out_with_the_rule_to_add() {
    let cluster = Cluster::start().await;
    cluster.api.serve_group("karpenter.sh", true);
    let nodes = listing("", "nodes");
    cluster.api.grant("few-rights", "carol", vec![rule(&nodes)]);
    let kubeconfig = cluster.api.kubeconfig("few-rights");
    let kubeconfig = kubeconfig.path().to_str().unwrap();
    let said = run_async(&["dump", "--config", "config.yaml", "--kubeconfig", kubeconfig]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let list = said.json();
    let items = list["items"].as_array().unwrap();
    assert!(!items.is_empty() && items.iter().all(|it| it["kind"] == "Node"), "{items:?}");
    let warnings = said.err;
    for rule in [
        r#"{apiGroups: [""], resources: [pods], verbs: [list]}"#,
        r#"{apiGroups: ["karpenter.sh"], resources: [nodepools], verbs: [list]}"#,
        r#"{apiGroups: [""], resources: [configmaps], resourceNames: [aws-auth], verbs: [list]}"#,
    ] {
        assert!(warnings.contains(rule), "{rule}: {warnings}");
    }
    assert!(
        warnings.lines().all(|line| line.starts_with("warning: the dump has no ")),
        "{warnings}"
    );

    cluster.api.grant("no-rights", "dave", vec![]);
    let kubeconfig = cluster.api.kubeconfig("no-rights");
    let said = run_async(&["dump", "--kubeconfig", kubeconfig.path().to_str().unwrap()]).await;
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("could not read any kind"), "{}", said.err);
}
