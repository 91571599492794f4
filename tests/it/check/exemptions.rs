//! Entries under `exempt`, and names in them, that match nothing in the cluster.

use poolguard::check::Status;
use serde_json::{Value, json};

use super::{Cluster, object, pod};

/// A cluster with the namespace `agents`, its DaemonSet `logs`, its pod `one-shot`, and an unused service account.
fn cluster() -> Cluster {
    let mut daemon_set = object("apps/v1", "DaemonSet", "agents", "logs");
    let labels = json!({"app": "logs"});
    daemon_set["spec"] = json!({"template": {
        "metadata": {"labels": labels}, "spec": {"serviceAccountName": "logs", "containers": []},
    }});
    let mut one_shot = pod("agents", "one-shot", "s1");
    one_shot["spec"]["serviceAccountName"] = json!("shot");
    Cluster::sound()
        .with(object("v1", "Namespace", "", "agents"))
        .with(object("v1", "ServiceAccount", "agents", "idle"))
        .with(daemon_set)
        .with(one_shot)
        .config("rules: {cluster-exclusive: {mode: \"off\"}}")
}

/// What the notes say of this entry after the colon; `names: …` if only some of its names match nothing.
fn notes(cluster: Cluster, entry: &str) -> Vec<String> {
    let found = cluster.config(&format!("exempt: [{{{entry}, reason: r}}]")).examine().findings;
    let notes = found.into_iter().filter(|it| it.status == Status::Fail);
    let about = notes.filter_map(|it| {
        let (about, why) = it.fact.split_once(" nothing in the cluster: ")?;
        let about = about.strip_prefix("The exempt entry for namespace ").unwrap();
        assert_eq!((it.rule.as_str(), it.severity.as_str()), ("pod-intrusion", "note"));
        let is_whole = about.ends_with(" (reason: \"r\") matches");
        assert!(is_whole || about.ends_with(" (reason: \"r\") has names that match"), "{about}");
        Some(if is_whole { why.to_owned() } else { format!("names: {why}") })
    });
    about.collect()
}

#[test]
fn an_entry_that_matches_nothing_is_a_note() {
    for (entry, why) in [
        ("namespace: agents", ""),
        ("namespace: agent", "namespace agent does not exist"),
        ("namespace: x-*", "no namespace has such a name"),
        ("namespace: ag*, daemonSets: [lo*]", ""),
        ("namespace: agents, daemonSets: [log]", "DaemonSet log does not exist there"),
        ("namespace: agents, daemonSets: [a, b]", "DaemonSets a and b do not exist there"),
        ("namespace: shop, daemonSets: [logs]", "DaemonSet logs does not exist there"),
        ("namespace: agents, daemonSets: [logs], pods: {matchLabels: {app: logs}}", ""),
        (
            "namespace: agents, daemonSets: [logs], pods: {matchLabels: {app: log}}",
            "the pods of DaemonSet logs there do not meet its other conditions",
        ),
        (
            "namespace: agents, daemonSets: [logs, lgos, lo*, x*]",
            "names: DaemonSets lgos and x* do not exist there",
        ),
        (
            "namespace: agents, daemonSets: [logs, lgos], pods: {matchLabels: {app: log}}",
            "DaemonSet lgos does not exist there; the pods of DaemonSet logs there do not meet its other conditions",
        ),
        (
            "namespace: agents, daemonSets: [logs], serviceAccounts: [logs, lgos]",
            "names: no pod and no workload there uses service account lgos",
        ),
        (
            "namespace: agents, daemonSets: [logs], serviceAccounts: [shot]",
            "the pods of DaemonSet logs there do not meet its other conditions",
        ),
        ("namespace: agents, serviceAccounts: [shot]", ""),
        ("namespace: agents, serviceAccounts: [shot, lo*, idle]", ""),
        (
            "namespace: agents, serviceAccounts: [shot, shto, log]",
            "names: no pod and no workload there uses service accounts shto and log",
        ),
        (
            "namespace: agents, serviceAccounts: [shot], pods: {matchLabels: {app: shot}}",
            "no pod and no workload there meets its conditions",
        ),
        ("namespace: agents, serviceAccounts: [logs]", ""),
        (
            "namespace: agents, serviceAccounts: [none]",
            "no pod and no workload there uses service account none",
        ),
    ] {
        let expected: Vec<&str> = Some(why).filter(|it| !it.is_empty()).into_iter().collect();
        assert_eq!(notes(cluster(), entry), expected, "{entry}");
    }
}

#[test]
fn without_the_kinds_that_show_it_there_is_no_note() {
    let without = |kind: &'static str| {
        let mut cluster = cluster();
        cluster.items.retain(|it| it["kind"] != *kind);
        cluster
    };
    let silent: [&str; 0] = [];
    assert_eq!(notes(without("Namespace"), "namespace: agent"), silent);
    assert_eq!(notes(without("DaemonSet"), "namespace: agents, daemonSets: [log]"), silent);
    assert_eq!(notes(without("Pod"), "namespace: agents, serviceAccounts: [none]"), silent);
    // An empty list says that the cluster has none.
    let empty: Value = json!({"apiVersion": "apps/v1", "kind": "DaemonSetList", "items": []});
    let known = without("DaemonSet").with(empty);
    let entry = "namespace: agents, daemonSets: [logs]";
    assert_eq!(notes(known, entry), ["DaemonSet logs does not exist there"]);
}
