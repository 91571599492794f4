//! `init`: a config from a dump, and what the other commands say of it.

use std::io::Write;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{check::dump, poolguard, run, run_on, said};

/// Every recorded cluster.
const DUMPS: [&str; 5] = [
    "cluster.json",
    "cases/common/cluster.json",
    "cases/common/aks-cluster.json",
    "cases/common/gke-cluster.json",
    "cases/common/karpenter-cluster.json",
];

/// A file with this text.
fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Drafts a config from this dump, checks it, and checks the dump with it; the draft, and the findings.
#[track_caller]
fn drafted(dump: &str) -> (String, Value) {
    let init = run(&["init", "--cluster", dump]);
    assert_eq!((init.code, init.err.as_str()), (0, ""), "{dump}");
    init.assert_plain();
    let config = file(&init.out);
    let config = config.path().to_str().unwrap();
    let checked = run(&["config", "check", "-o", "json", config]);
    assert_eq!(checked.code, 0, "{dump}: {}\n{}", checked.out, init.out);
    let warnings = checked.json();
    let keys: Vec<&Value> = warnings.as_array().unwrap().iter().map(|it| &it["message"]).collect();
    assert!(
        keys.len() == 1 && keys[0].as_str().unwrap().contains("`principals.trusted` is empty"),
        "{keys:?}"
    );
    let check = run(&["check", "--config", config, "--cluster", dump, "-o", "json"]);
    assert!(check.code < 2, "{dump}: {}", check.err);
    (init.out, check.json())
}

#[test]
fn a_draft_declares_every_pool_of_every_recorded_cluster() {
    for dump in DUMPS {
        let (text, answer) = drafted(dump);
        let findings = answer["findings"].as_array().unwrap().iter();
        for finding in findings.filter(|it| it["status"] == "fail") {
            let is_of_pool = finding["rule"] == "pool-size";
            assert!(is_of_pool, "{dump}: {finding}\n{text}");
        }
    }
}

fn pod(namespace: &str, name: &str, node: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"nodeName": node, "containers": []}, "status": {"phase": "Running"},
    })
}

fn broker(instance: &str, number: usize, node: &str) -> Value {
    let labels = json!({
        "automq.cloud/environment-id": "env-1", "automq.cloud/instance-id": instance,
        "app.kubernetes.io/name": "automq-enterprise", "app.kubernetes.io/instance": instance,
    });
    pod("automq", &format!("{instance}-automq-enterprise-controller-{number}"), node, &labels)
}

/// The recorded cluster with two instances, an operator, agents, roles and a console.
fn deployed() -> String {
    dump(|items| {
        for (number, zone) in ["a", "b", "c"].into_iter().enumerate() {
            let node = format!("ip-10-0-3-3{zone}.ec2.internal");
            items.push(broker("kf-wide", number, &node));
        }
        items.push(broker("kf-one", 0, "ip-10-0-1-11.ec2.internal"));
        items.push(pod(
            "automq",
            "operator",
            "ip-10-0-9-91.ec2.internal",
            &json!({"app": "operator"}),
        ));
        for (namespace, name) in [("monitoring", "node-exporter"), ("kube-system", "aws-node")] {
            items.push(json!({
                "apiVersion": "apps/v1", "kind": "DaemonSet",
                "metadata": {"namespace": namespace, "name": name},
                "spec": {"template": {"spec": {"tolerations": [{"operator": "Exists"}], "containers": []}}},
            }));
        }
        let roles = "- rolearn: arn:aws:iam::111122223333:role/automq-node\n  groups: [system:nodes]\n\
                     - rolearn: arn:aws:iam::111122223333:role/automq-console\n  \
                     username: automq-console:{{SessionName}}\n  groups: [system:masters]\n";
        items.push(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"namespace": "kube-system", "name": "aws-auth"}, "data": {"mapRoles": roles},
        }));
    })
}

#[test]
fn a_draft_is_read_by_people() {
    let said = run_on(&deployed(), &["init", "--cluster", "-"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    insta::assert_snapshot!("deployed", said.out);
    let dump = file(&deployed());
    let (_, answer) = drafted(dump.path().to_str().unwrap());
    let errors = answer["findings"].as_array().unwrap().iter();
    let errors: Vec<&Value> =
        errors.filter(|it| it["status"] == "fail" && it["severity"] == "error").collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn the_same_cluster_is_the_same_draft() {
    let once = run(&["init", "--cluster", "cluster.json"]).out;
    let by_environment = said(poolguard(&["init"]).env("POOLGUARD_CLUSTER", "cluster.json")).out;
    assert_eq!(once, by_environment);
}

#[test]
fn a_folder_with_a_list_a_file_is_a_dump() {
    let dump: Value = serde_json::from_str(&dump(|_| ())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for kind in ["Node", "Namespace"] {
        let items = dump["items"].as_array().unwrap().iter().filter(|it| it["kind"] == kind);
        let list = json!({"apiVersion": "v1", "kind": format!("{kind}List"),
                          "items": items.collect::<Vec<_>>()});
        std::fs::write(folder.path().join(format!("{kind}.json")), list.to_string()).unwrap();
    }
    let (text, _) = drafted(folder.path().to_str().unwrap());
    assert!(text.contains("\npools:\n- name: automq-"), "{text}");
}

#[test]
fn what_cannot_be_read_is_exit_code_2() {
    for (arguments, words) in [
        (&["--cluster", "no-such.json"][..], "no-such.json"),
        (&["--cluster", "reviews/README.md"], "as a dump of a cluster"),
        (&["--kubeconfig", "no-such.yaml"], "no-such.yaml"),
        (&["-i", "--cluster", "cluster.json"], "--interactive"),
    ] {
        let said = run(&[&["init"], arguments].concat());
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains(words), "{arguments:?}: {}", said.err);
    }
}
