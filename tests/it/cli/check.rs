//! `check`: the tables, the exit codes, and what machines are given.

use std::collections::BTreeSet;

use poolguard::cluster::inventory::dump_command;
use serde_json::{Value, json};

use super::{Said, poolguard, run, run_on, said};
use crate::scenario::{data_text, node, recorded, yaml_list};

const INPUT: [&str; 4] = ["--config", "config.yaml", "--cluster", "cluster.json"];
const POOL_A_NODE: &str = "ip-10-0-1-11.ec2.internal";

/// Checks the recorded cluster under the recorded config.
fn check(arguments: &[&str]) -> Said {
    run(&[&["check"], &INPUT[..], arguments].concat())
}

/// The recorded cluster, changed first.
pub(super) fn dump(change: impl FnOnce(&mut Vec<Value>)) -> String {
    let mut cluster = yaml_list("cluster.json");
    change(&mut cluster);
    json!({ "apiVersion": "v1", "kind": "List", "items": cluster }).to_string()
}

fn check_dump(dump: &str, arguments: &[&str]) -> Said {
    let input = ["check", "--config", "config.yaml", "--cluster", "-"];
    run_on(dump, &[&input[..], arguments].concat())
}

fn recorded_object(name: &str) -> Value {
    recorded(name)["request"]["object"].clone()
}

/// A pod that somebody put on a node of pool-a.
pub(super) fn intruder() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "shop", "name": "web-0"},
        "spec": {"nodeName": POOL_A_NODE, "tolerations": [{"operator": "Exists"}],
                 "containers": [{"name": "main", "image": "main"}]},
        "status": {"phase": "Running"},
    })
}

/// `rule pool node object` of what fails with this severity.
fn failing(answer: &Value, severity: &str) -> Vec<String> {
    let findings = answer["findings"].as_array().unwrap().iter();
    findings
        .filter(|it| it["status"] == "fail" && it["severity"] == severity)
        .map(|it| {
            let words = ["rule", "pool", "node", "object"];
            let words = words.map(|key| it[key].as_str().unwrap_or("-"));
            words.join(" ")
        })
        .collect()
}

/// The table, which the recorded cluster differs from in one thing, and that thing.
#[track_caller]
fn broken(change: impl FnOnce(&mut Vec<Value>), error: &str) -> String {
    let dump = dump(change);
    let table = check_dump(&dump, &[]);
    assert_eq!((table.code, table.err.as_str()), (1, ""), "{}", table.out);
    table.assert_plain();
    let machine = check_dump(&dump, &["-o", "json"]);
    assert_eq!(machine.code, 1);
    assert_eq!(failing(&machine.json(), "error"), [error]);
    // What the others say of it is in the table of the unaltered cluster.
    let errors = table.out.split("\n\n").filter(|part| part.contains("\n  error "));
    let verdict = table.out.lines().last().unwrap();
    format!("{}\n\n{verdict}", errors.collect::<Vec<_>>().join("\n\n"))
}

#[test]
fn the_recorded_cluster_is_fit_as_far_as_it_tells() {
    let table = check(&[]);
    assert_eq!((table.code, table.err.as_str()), (0, ""), "{}", table.out);
    table.assert_plain();
    insta::assert_snapshot!("recorded", table.out);
    assert_eq!(failing(&check(&["-o", "json"]).json(), "error"), [""; 0]);
}

#[test]
fn a_pool_in_two_zones_is_found() {
    let without_third = |nodes: &mut Vec<Value>| {
        nodes.retain(|it| it["metadata"]["name"] != "ip-10-0-3-3c.ec2.internal");
    };
    insta::assert_snapshot!("two-zones", broken(without_third, "node-zone pool-abc - -"));
}

#[test]
fn a_pool_that_grew_into_a_second_zone_is_found() {
    let second = |nodes: &mut Vec<Value>| {
        let mut stray = node(nodes, POOL_A_NODE).clone();
        stray["metadata"]["name"] = json!("stray");
        stray["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!("us-east-1b");
        nodes.push(stray);
    };
    insta::assert_snapshot!("second-zone", broken(second, "node-zone pool-a stray -"));
}

#[test]
fn a_lost_taint_is_found() {
    let lost = |nodes: &mut Vec<Value>| {
        node(nodes, POOL_A_NODE)["spec"].as_object_mut().unwrap().remove("taints");
    };
    let error = format!("node-taint pool-a {POOL_A_NODE} -");
    insta::assert_snapshot!("lost-taint", broken(lost, &error));
}

#[test]
fn a_wrong_type_is_found() {
    let wrong = |nodes: &mut Vec<Value>| {
        let labels = &mut node(nodes, POOL_A_NODE)["metadata"]["labels"];
        labels["node.kubernetes.io/instance-type"] = json!("m5.large");
    };
    let error = format!("node-machine-type pool-a {POOL_A_NODE} -");
    insta::assert_snapshot!("wrong-type", broken(wrong, &error));
}

#[test]
fn an_intruder_is_found() {
    let error = format!("pod-intrusion pool-a {POOL_A_NODE} Pod shop/web-0");
    insta::assert_snapshot!("intruder", broken(|items| items.push(intruder()), &error));
}

#[test]
fn a_workload_that_could_intrude_is_found() {
    let tolerant = recorded_object("deployment-create-tolerates-and-selects-pool-a");
    let error = format!("workload-intrusion pool-a {POOL_A_NODE} Deployment shop/tolerant");
    insta::assert_snapshot!("workload", broken(|items| items.push(tolerant), &error));
}

#[test]
fn a_missing_role_annotation_is_found() {
    let without = recorded_object("serviceaccount-update-role-arn-removed-by-admin");
    let error = "role-binding - - ServiceAccount automq/automq-operator";
    insta::assert_snapshot!("role-annotation", broken(|items| items.push(without), error));
    let with = recorded_object("serviceaccount-create-automq-operator");
    assert_eq!(check_dump(&dump(|items| items.push(with)), &[]).code, 0);
}

#[test]
fn json_is_as_its_schema_says() {
    let schema = include_str!("../../../docs/check.schema.json");
    let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    for dump in [dump(|_| {}), dump(|items| items.push(intruder()))] {
        let answer = check_dump(&dump, &["-o", "json"]).json();
        let errors: Vec<_> = validator.iter_errors(&answer).map(|it| it.to_string()).collect();
        assert_eq!(errors, [""; 0]);
        for finding in answer["findings"].as_array().unwrap() {
            // Several clusters aside, exactly these.
            let keys: BTreeSet<&String> = finding.as_object().unwrap().keys().collect();
            assert_eq!(keys.len(), 8, "{keys:?}");
            let is_failure = finding["status"] == "fail";
            assert!(!is_failure || finding["fix"].is_string(), "{finding}");
        }
    }
    assert!(!validator.is_valid(&json!({"verdict": "fit"})));
}

#[test]
fn the_documented_command_dumps_everything() {
    let page = include_str!("../../../docs/commands.md");
    let command = dump_command(&[]);
    assert!(page.lines().any(|line| line == command), "{command}");
}

#[test]
fn what_fails_is_from_what_severity_up() {
    for (fail_on, code) in [("error", 0), ("warning", 1), ("unknown", 1)] {
        assert_eq!(check(&["--fail-on", fail_on]).code, code, "{fail_on}");
    }
    // Without warnings, only what is not known is left.
    let sound = dump(|items| {
        for name in [POOL_A_NODE, "ip-10-0-2-21.ec2.internal"] {
            for copy in ["x", "y"] {
                let mut other = node(items, name).clone();
                other["metadata"]["name"] = json!(format!("{copy}-{name}"));
                items.push(other);
            }
        }
        items.push(json!({"apiVersion": "v1", "kind": "Namespace",
                          "metadata": {"name": "automq-instance-2"}}));
    });
    for (fail_on, code) in [("error", 0), ("warning", 0), ("unknown", 1)] {
        let said = check_dump(&sound, &["--fail-on", fail_on]);
        assert_eq!(said.code, code, "{fail_on}: {}", said.out);
    }
}

#[test]
fn a_build_server_is_given_what_fail_on_counts() {
    let dump = dump(|items| items.push(intruder()));
    for (fail_on, failures) in [("error", 1), ("warning", 4)] {
        let said = check_dump(&dump, &["-o", "junit", "--fail-on", fail_on]);
        assert_eq!(said.code, 1);
        said.assert_plain();
        assert_eq!(said.out.matches("<failure ").count(), failures, "{}", said.out);
        assert!(said.out.contains(&format!("failures=\"{failures}\"")), "{}", said.out);
        let cases = said.out.matches("<testcase ").count();
        assert!(said.out.contains(&format!("tests=\"{cases}\"")), "{}", said.out);
    }
    let said = check_dump(&dump, &["-o", "junit"]);
    insta::assert_snapshot!("junit", said.out);
}

/// The names of the cases of a report.
fn case_names(dump: &str) -> Vec<String> {
    let report = check_dump(dump, &["-o", "junit"]).out;
    let cases = report.lines().filter_map(|line| line.trim().strip_prefix("<testcase name=\""));
    cases.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn the_names_of_cases_stay_the_same_when_messages_change() {
    let names = case_names(&dump(|_| {}));
    let unique: BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
    assert!(names.contains(&"pool-size pool pool-a".to_owned()), "{names:?}");
    assert!(names.contains(&"instance Namespace automq-instance-2".to_owned()), "{names:?}");
    // Other numbers, and two checks that now pass.
    let sound = dump(|items| {
        for copy in ["x", "y"] {
            let mut other = node(items, POOL_A_NODE).clone();
            other["metadata"]["name"] = json!(format!("{copy}-{POOL_A_NODE}"));
            items.push(other);
        }
        items.push(json!({"apiVersion": "v1", "kind": "Namespace",
                          "metadata": {"name": "automq-instance-2"}}));
    });
    assert_eq!(BTreeSet::from_iter(case_names(&sound)), BTreeSet::from_iter(names));
}

#[test]
fn the_environment_stands_for_the_flags() {
    let by_environment = said(
        poolguard(&["check", "-o", "json"])
            .env("POOLGUARD_CONFIG", "config.yaml")
            .env("POOLGUARD_CLUSTER", "cluster.json"),
    );
    assert_eq!(by_environment.out, check(&["-o", "json"]).out);
}

#[test]
fn without_a_config_pools_are_found_by_their_taint() {
    let said = run(&["check", "--cluster", "cluster.json"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    for pool in ["automq-a", "automq-b", "automq-abc"] {
        assert!(said.out.contains(&format!("pool {pool}  ")), "{}", said.out);
    }
}

#[test]
fn what_cannot_be_read_is_exit_code_2() {
    for (arguments, words) in [
        (&["--cluster", "no-such.json"][..], "no-such.json"),
        (
            &["--cluster", "reviews/README.md"],
            "cannot use reviews/README.md as a dump of a cluster",
        ),
        (&["--cluster", "cluster.json", "--config", "cluster.json"], "cluster.json:"),
        (&["--kubeconfig", "no-such.yaml"], "cannot read the kubeconfig no-such.yaml: "),
        (&["--kubeconfig", "config.yaml", "--context", "production"], "config.yaml"),
        (
            &["--kubeconfig", "kubeconfig.yaml", "--context", "prodction"],
            "did you mean `production`?",
        ),
        (&["--kubeconfig", "kubeconfig.yaml", "--context", "eu"], "has no context `eu`; `kubectl"),
    ] {
        let said = run(&[&["check"], arguments].concat());
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains(words), "{arguments:?}: {}", said.err);
    }
    let nowhere = run(&["check"]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.err.contains("--cluster"), "{}", nowhere.err);
}

#[test]
fn a_dump_is_any_list() {
    let table = check(&[]).out;
    let documents: Vec<String> = yaml_list("cluster.json").iter().map(Value::to_string).collect();
    assert_eq!(check_dump(&documents.join("\n"), &[]).out, table);
    // One of nodes only, as the API serves it: the items do not say what they are.
    let nodes = yaml_list("cluster.json").into_iter().filter(|it| it["kind"] == "Node");
    let nodes: Vec<Value> = nodes
        .map(|mut node| {
            let object = node.as_object_mut().unwrap();
            object.remove("kind");
            object.remove("apiVersion");
            node
        })
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "NodeList", "metadata": {}, "items": nodes});
    let said = check_dump(&list.to_string(), &[]);
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.contains("dedicated=automq:NoSchedule on 3 nodes"), "{}", said.out);
    assert!(said.out.contains("The input does not contain namespaces"), "{}", said.out);
    // A config is an object, and no cluster.
    let refused = check_dump(&data_text("config.yaml"), &[]);
    assert_eq!((refused.code, refused.out.as_str()), (2, ""));
    assert!(refused.err.contains("nothing that a check reads"), "{}", refused.err);
}

#[test]
fn without_nodes_nothing_is_promised() {
    let said = check_dump(&dump(|items| items.retain(|it| it["kind"] != "Node")), &[]);
    assert_eq!(said.code, 0, "{}", said.out);
    let verdict = said.out.lines().last().unwrap();
    assert!(verdict.starts_with("not known whether it is fit for AutoMQ: "), "{verdict}");
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_without_an_error_text() {
    for output in ["table", "json", "junit", "html"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = poolguard(&[&["check"], &INPUT[..], &["-o", output]].concat());
        let output = command.stdout(writer).output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        assert_eq!(output.status.code(), Some(141), "as a process that ends by SIGPIPE");
    }
}
