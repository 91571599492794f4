//! `poolguard status`: an installation that is well, and each way in which it can be unwell.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use poolguard::api::lease::{LAST_SCAN, REPLICAS};
use serde_json::{Value, json};

use super::cluster::{CONFIGURATIONS, Cluster, NAMESPACE, all_rights};
use crate::{
    apiserver::ADMIN,
    command::{Said, run_async},
    scenario::data_text,
};

/// What the command prints, and its exit code.
async fn status(cluster: &Cluster, arguments: &[&str]) -> Said {
    let kubeconfig = cluster.api.kubeconfig(ADMIN);
    let kubeconfig = ["--kubeconfig", kubeconfig.path().to_str().unwrap()];
    run_async(&[&["status"], arguments, &kubeconfig].concat()).await
}

/// The findings that the command printed.
fn findings(said: &Said) -> Vec<Value> {
    let mut answer = said.json();
    serde_json::from_value(answer["findings"].take()).unwrap()
}

/// `status check message` of every finding that is neither passed nor about the dry run.
async fn open_findings(cluster: &Cluster) -> Vec<String> {
    let said = status(cluster, &["--skip-dry-run", "-o", "json"]).await;
    let open = findings(&said)
        .into_iter()
        .filter(|it| it["status"] != "pass" && it["check"] != "intruder");
    let line =
        |it: Value| ["severity", "check", "message"].map(|key| it[key].as_str().unwrap()).join(" ");
    open.map(line).collect()
}

/// An installation as the chart makes it, with a replica that has registered itself.
async fn installed() -> (Cluster, super::replica::Replica) {
    let config =
        format!("{}principals: {{trusted: {{users: [console]}}}}\n", data_text("config.yaml"));
    let cluster = Cluster::with_config(&config).await;
    let replica = cluster.installed("one").await;
    let metadata = |name: &str| json!({"namespace": NAMESPACE, "name": name, "labels": {"app.kubernetes.io/name": "poolguard"}});
    cluster.api.put(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata("poolguard"),
        "spec": {"replicas": 2}, "status": {"readyReplicas": 2},
    }));
    for name in ["one", "two"] {
        cluster.api.put(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": metadata(name),
            "spec": {"containers": [{"name": "poolguard", "image": "poolguard:1"}]},
        }));
    }
    cluster.api.put(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("poolguard"), "data": {"config.yaml": config},
    }));
    let rules: Vec<Value> = all_rights()
        .iter()
        .map(|it| json!({"apiGroups": [it.group], "resources": [it.resource], "verbs": it.verbs, "resourceNames": it.names}))
        .collect();
    cluster.api.edit("clusterroles", "poolguard", |role| role["rules"] = json!(rules));
    let has_published = || {
        let lease = cluster.api.get("leases", LEASE).unwrap();
        let annotations = &lease["metadata"]["annotations"];
        [REPLICAS, LAST_SCAN].iter().all(|name| annotations[name].is_string())
    };
    cluster.api.wait_until(|_| has_published()).await;
    (cluster, replica)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_is_well_has_nothing_to_mend() {
    let (cluster, _replica) = installed().await;
    assert_eq!(open_findings(&cluster).await, Vec::<String>::new());
    let Said { code, out: table, .. } = status(&cluster, &["--skip-dry-run", "--wait"]).await;
    assert_eq!(code, 0, "{table}");
    for part in
        ["PoolGuard poolguard-system/poolguard", "ok       replicas      2 of 2", "no error found"]
    {
        assert!(table.contains(part), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dry_run_looks_for_a_warning_where_the_rule_only_warns() {
    let (cluster, _replica) = installed().await;
    cluster.api.edit("configmaps", "poolguard-system/poolguard", |it| {
        let text = it["data"]["config.yaml"].as_str().unwrap();
        it["data"]["config.yaml"] =
            format!("{text}rules: {{pod-intrusion: {{mode: warn}}}}\n").into();
    });
    let intruder = async || {
        let said = status(&cluster, &["-o", "json"]).await;
        let found = findings(&said).into_iter().find(|it| it["check"] == "intruder").unwrap();
        ["status", "message"].map(|key| found[key].as_str().unwrap()).join(" ")
    };
    let found = intruder().await;
    assert!(
        found.starts_with("fail The API server accepted") && found.ends_with("did not warn of it"),
        "{found}"
    );
    cluster.api.warn("[pod-intrusion] Pod default/poolguard-dry-run can run on nodes of pool-a");
    let found = intruder().await;
    assert!(found.starts_with("pass PoolGuard warned"), "{found}");
}

const LEASE: &str = "poolguard-system/poolguard";

type Fault = (&'static str, fn(&Cluster), &'static str);

const FAULTS: [Fault; 15] = [
    (
        "no replica is ready",
        |it| {
            it.api.edit("deployments", "poolguard-system/poolguard", |it| {
                it["status"]["readyReplicas"] = json!(0);
            });
        },
        "error replicas None of 2 replicas is ready",
    ),
    (
        "a quota keeps replicas out",
        |it| {
            it.api.edit("deployments", "poolguard-system/poolguard", |it| {
                it["status"]["conditions"] = json!([{"type": "ReplicaFailure", "status": "True", "message": "insufficient quota to match these scopes"}]);
            });
        },
        "error replicas Kubernetes cannot create a replica: insufficient quota",
    ),
    (
        "the backstop is not there",
        |it| {
            it.api.edit("configmaps", "poolguard-system/poolguard", |it| {
                let text = it["data"]["config.yaml"].as_str().unwrap();
                it["data"]["config.yaml"] = format!("{text}backstop: {{mode: managed}}\n").into();
            });
        },
        "error backstop The backstop that the config asks for does not exist",
    ),
    (
        "versions differ",
        |it| {
            it.api.edit("pods", "poolguard-system/two", |it| {
                it["spec"]["containers"][0]["image"] = json!("poolguard:2");
            });
        },
        "warning version The replicas run different images: 1 x poolguard:1, 1 x poolguard:2",
    ),
    (
        "one replica",
        |it| {
            it.api.edit("deployments", "poolguard-system/poolguard", |it| {
                it["spec"]["replicas"] = json!(1);
                it["status"]["readyReplicas"] = json!(1);
            });
        },
        "warning replicas There is one replica",
    ),
    (
        "a rule is lowered",
        |it| {
            it.api.edit("configmaps", "poolguard-system/poolguard", |it| {
                let text = it["data"]["config.yaml"].as_str().unwrap().to_owned();
                it["data"]["config.yaml"] = json!(text + "rules: {node-taint: {mode: audit}}\n");
            });
        },
        "warning config These rules are weaker than by default: node-taint is in mode audit instead of enforce",
    ),
    (
        "a rule is lowered for pods of DaemonSets",
        |it| {
            it.api.edit("configmaps", "poolguard-system/poolguard", |it| {
                let text = it["data"]["config.yaml"].as_str().unwrap().to_owned();
                it["data"]["config.yaml"] =
                    json!(text + "rules: {pod-intrusion: {daemonSets: warn}}\n");
            });
        },
        "warning config These rules are weaker than by default: pod-intrusion for pods of DaemonSets is in mode warn instead of enforce",
    ),
    (
        "the config is broken",
        |it| {
            it.api.edit("configmaps", "poolguard-system/poolguard", |it| {
                it["data"]["config.yaml"] = json!("pool: []\n");
            });
        },
        "error config The config in ConfigMap poolguard-system/poolguard has mistakes",
    ),
    (
        "rights are missing",
        |it| {
            it.api.edit("clusterroles", "poolguard", |it| {
                it["rules"].as_array_mut().unwrap().remove(0);
            });
        },
        "error rights ClusterRole poolguard lacks rights: {apiGroups: [\"\"], resources: [nodes], verbs: [list, watch]}",
    ),
    (
        "a replica has another config in force",
        |it| {
            it.api.edit("leases", LEASE, |it| {
                let text = it["metadata"]["annotations"][REPLICAS].as_str().unwrap();
                let mut all: Value = serde_json::from_str(text).unwrap();
                all["two"] = json!({"config": "0123456789abcdef", "since": "2026-01-01T00:00:00Z"});
                it["metadata"]["annotations"][REPLICAS] = all.to_string().into();
            });
        },
        "warning config The config of ConfigMap poolguard-system/poolguard has the hash ",
    ),
    (
        "the last scan is old",
        |it| {
            it.api.edit("leases", LEASE, |it| {
                it["metadata"]["annotations"][LAST_SCAN] = "2026-01-01T00:00:00Z".into();
            });
        },
        "warning scan The last scan of poolguard-system/poolguard succeeded",
    ),
    (
        "no scan has succeeded",
        |it| {
            it.api.edit("leases", LEASE, |it| {
                it["metadata"]["annotations"].as_object_mut().unwrap().remove(LAST_SCAN);
            });
        },
        "warning scan No scan of the cluster has succeeded yet",
    ),
    (
        "no Lease",
        |it| assert!(it.api.remove("leases", "poolguard-system/poolguard")),
        "error lease There is no Lease poolguard-system/poolguard",
    ),
    (
        "an entry was changed",
        |it| {
            it.api.edit(CONFIGURATIONS[1], "poolguard", |it| {
                it["webhooks"][0]["timeoutSeconds"] = json!(30);
            });
        },
        "warning registration The registered entries differ from the config: timeoutSeconds of entry",
    ),
    (
        "nothing is registered",
        |it| assert!(it.api.remove(CONFIGURATIONS[1], "poolguard")),
        "error registration There is no ValidatingWebhookConfiguration poolguard",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_an_installation_is_named() {
    let (cluster, replica) = installed().await;
    // Nothing mends what is broken here.
    drop(replica);
    for (name, cause, expected) in FAULTS {
        let kinds = ["deployments", "configmaps"].map(|it| (it, "poolguard-system/poolguard"));
        let others = [
            ("pods", "poolguard-system/two"),
            ("clusterroles", "poolguard"),
            ("leases", "poolguard-system/poolguard"),
            (CONFIGURATIONS[1], "poolguard"),
        ];
        let before: Vec<Value> = kinds
            .iter()
            .chain(&others)
            .filter_map(|(kind, path)| cluster.api.get(kind, path))
            .collect();
        cause(&cluster);
        let found = open_findings(&cluster).await;
        assert!(found.iter().any(|it| it.starts_with(expected)), "{name}: {found:#?}");
        let said = status(&cluster, &["--skip-dry-run", "--fail-on", "warning"]).await;
        assert_eq!(said.code, 1, "{name}");
        for object in before {
            cluster.api.put(object);
        }
    }
}
