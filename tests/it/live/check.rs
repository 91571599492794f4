//! `poolguard check` of a live cluster.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::io::Write;

use poolguard::api::rbac::listing;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::cluster::{Cluster, rule};
use crate::{
    apiserver::{ADMIN, ApiServer},
    command::{Said, run_async},
    scenario::data_text,
};

async fn check(arguments: &[&str]) -> Said {
    run_async(&[&["check", "--config", "config.yaml"], arguments].concat()).await
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

fn recorded_items() -> Vec<Value> {
    let dump: Value = serde_json::from_str(&data_text("cluster.json")).unwrap();
    dump["items"].as_array().unwrap().clone()
}

fn findings<'a>(answer: &'a Value, status: &str) -> Vec<&'a Value> {
    answer["findings"].as_array().unwrap().iter().filter(|it| it["status"] == status).collect()
}

/// Asked for one by one, every kind is known, even where there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_live_cluster_is_read_page_by_page_and_nothing_is_unknown() {
    let api = ApiServer::start().await;
    for item in recorded_items() {
        api.put(item);
    }
    for number in 0..1100 {
        api.put(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "kube-system", "name": format!("dns-{number}")},
            "spec": {"nodeName": "ip-10-0-9-91.ec2.internal", "containers": []},
            "status": {"phase": "Running"},
        }));
    }
    api.put(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "shop", "name": "web-0"},
        "spec": {"nodeName": "ip-10-0-1-11.ec2.internal", "containers": []},
        "status": {"phase": "Running"},
    }));
    api.put(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "kube-system", "name": "aws-auth"},
        "data": {"mapRoles": "- rolearn: arn:aws:iam::111122223333:role/other\n"},
    }));
    let kubeconfig = api.kubeconfig(ADMIN);
    let said = check(&["--kubeconfig", path(&kubeconfig), "-o", "json"]).await;
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{}", said.out);
    let answer = said.json();
    let unknown = findings(&answer, "unknown");
    let told: Vec<&str> = unknown.iter().map(|it| it["message"].as_str().unwrap()).collect();
    let namespaces = "automq, automq-instance-1, automq-instance-2 and automq-instance-3";
    assert_eq!(told, [format!("AutoMQ's namespaces ({namespaces}) contain no service account")]);
    let errors: Vec<&str> = findings(&answer, "fail")
        .into_iter()
        .filter(|it| it["severity"] == "error")
        .map(|it| it["object"].as_str().unwrap())
        .collect();
    let missing = [
        "Pod shop/web-0",
        "rolebindings.rbac.authorization.k8s.io automq/automq-nodepool",
        "clusterrolebindings.rbac.authorization.k8s.io automq-operator",
        "configmaps kube-system/aws-auth",
    ];
    assert_eq!(errors, missing);
    assert!(api.asked_count("list", "pods") >= 3, "pages");
    assert!(api.asked().iter().all(|it| it.verb == "list" || it.verb == "get"), "nothing changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_contexts_are_several_clusters() {
    let (one, two) = (ApiServer::start().await, ApiServer::start().await);
    for item in recorded_items() {
        if item["metadata"]["name"] != "ip-10-0-3-3c.ec2.internal" {
            two.put(item.clone());
        }
        one.put(item);
    }
    let entry = |api: &ApiServer| {
        let text = std::fs::read_to_string(api.kubeconfig(ADMIN).path()).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let (first, second) = (entry(&one), entry(&two));
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "one",
        "users": first["users"],
        "clusters": [{"name": "one", "cluster": first["clusters"][0]["cluster"]},
                     {"name": "two", "cluster": second["clusters"][0]["cluster"]}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "test"}},
                     {"name": "two", "context": {"cluster": "two", "user": "test"}}],
    });
    let mut kubeconfig = NamedTempFile::new().unwrap();
    kubeconfig.write_all(config.to_string().as_bytes()).unwrap();
    let both = ["--kubeconfig", path(&kubeconfig), "--context", "one", "--context", "two"];
    let said = check(&[&both[..], &["-o", "json"]].concat()).await;
    let answer = said.json();
    let schema = include_str!("../../../docs/check.schema.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    assert!(schema.is_valid(&answer), "{answer}");
    let zones: Vec<&Value> =
        findings(&answer, "fail").into_iter().filter(|it| it["rule"] == "node-zone").collect();
    assert_eq!(zones.len(), 1, "{zones:?}");
    assert_eq!((said.code, &zones[0]["cluster"]), (1, &json!("two")));
    let verdict = answer["verdict"].as_str().unwrap();
    assert!(verdict.starts_with("one: ") && verdict.contains("; two: not fit"), "{verdict}");
    let table = check(&both).await.out;
    assert!(table.starts_with("== one\n") && table.contains("\n== two\n"), "{table}");
    let page = check(&[&both[..], &["-o", "html"]].concat()).await.out;
    assert_eq!(page.matches("<h1>").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_unknown_and_names_the_right() {
    let cluster = Cluster::start().await;
    let nodes = listing("", "nodes");
    cluster.api.grant("few-rights", "carol", vec![rule(&nodes)]);
    let kubeconfig = cluster.api.kubeconfig("few-rights");
    let said = check(&["--kubeconfig", path(&kubeconfig), "-o", "json"]).await;
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    let answer = said.json();
    let unknown = findings(&answer, "unknown");
    let pods = unknown.iter().find(|it| it["rule"] == "pod-intrusion").unwrap();
    let message = pods["message"].as_str().unwrap();
    assert!(message.contains("resources: [pods], verbs: [list]"), "{message}");
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_exit_code_2() {
    let api = ApiServer::start().await;
    let kubeconfig = api.kubeconfig(ADMIN);
    drop(api);
    let said = check(&["--kubeconfig", path(&kubeconfig)]).await;
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.starts_with("error: "), "{}", said.err);
}
