//! `review`: the decisions of the webhook, offline.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use super::{Said, poolguard, run, run_on, said};
use crate::{
    reviews::outcomes,
    scenario::{data_text, recorded},
};

const INPUT: [&str; 4] = ["--config", "config.yaml", "--cluster", "cluster.json"];

/// Reviews under the recorded config and cluster.
fn review(arguments: &[&str]) -> Said {
    run(&[&["review"], &INPUT[..], arguments].concat())
}

/// Reviews what is on standard input.
fn review_text(text: &str, arguments: &[&str]) -> Said {
    run_on(text, &[&["review"], &INPUT[..], &["-"], arguments].concat())
}

fn file(name: &str) -> String {
    format!("reviews/{name}.json")
}

const DENIED: &str = "reviews/pod-create-job-key-exists-toleration.json";
const WARNED: &str = "reviews/job-create-key-exists-toleration.json";
const ALLOWED: &str = "reviews/deployment-create-plain.json";
const PATCHED: &str = "reviews/mutate-pod-create-automq-broker.json";

const INTRUDER: &str = "
apiVersion: v1
kind: Pod
metadata: {name: intruder}
spec: {tolerations: [{operator: Exists}]}
";

#[test]
fn every_recorded_review_gets_its_outcome() {
    let said = review(&["-o", "json", "reviews"]);
    assert_eq!((said.code, said.err.as_str()), (1, ""));
    let answer = said.json();
    let results = answer["results"].as_array().unwrap();
    let outcomes = outcomes();
    assert_eq!(results.len(), outcomes.len());
    for (result, (name, expected)) in results.iter().zip(&outcomes_in_order(outcomes)) {
        assert_eq!(result["file"], file(name));
        assert_eq!(result["uid"], recorded(name)["request"]["uid"]);
        assert_eq!(result["allowed"], !expected.starts_with("deny"), "{name}");
        let rules = |key: &str| -> BTreeSet<&str> {
            let list = result[key].as_array().unwrap().iter();
            list.map(|it| it["rule"].as_str().unwrap_or_else(|| rule_of(it))).collect()
        };
        let rule = |verb: &str| {
            let rest = expected.strip_prefix(verb)?.trim_start();
            Some(rest.split(',').next().unwrap())
        };
        assert_eq!(rules("denials"), rule("deny").into_iter().collect(), "{name}");
        assert_eq!(rules("warnings"), rule("warn").into_iter().collect(), "{name}");
        let is_patched = result["patch"] != json!([]);
        assert_eq!(is_patched, expected.starts_with("patch"), "{name}");
        for (words, decision) in [("reported", "audit"), ("exempt", "exempt")] {
            if expected.contains(words) {
                assert_eq!(result["records"][0]["decision"], decision, "{name}");
            }
        }
    }
}

/// In the order in which a folder is read: by file name, with its extension.
fn outcomes_in_order(
    outcomes: impl IntoIterator<Item = (String, String)>,
) -> Vec<(String, String)> {
    let mut outcomes: Vec<_> = outcomes.into_iter().collect();
    outcomes.sort_by_key(|(name, _)| file(name));
    outcomes
}

/// `[rule] …`
fn rule_of(warning: &Value) -> &str {
    let text = warning.as_str().unwrap();
    text.strip_prefix('[').and_then(|text| text.split_once(']')).unwrap().0
}

#[test]
fn json_has_the_documented_shape() {
    let answer = review(&["-o", "json", DENIED, PATCHED]).json();
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&answer), ["errors", "results"]);
    let [denied, patched] = answer["results"].as_array().unwrap().as_slice() else {
        panic!("two results: {answer}");
    };
    for result in [denied, patched] {
        let known = keys(result);
        for key in ["allowed", "denials", "file", "patch", "records", "uid", "warnings"] {
            assert!(known.iter().any(|it| it == key), "{key}");
        }
    }
    assert_eq!(denied["file"], DENIED);
    assert_eq!(denied["allowed"], false);
    let denial = &denied["denials"][0];
    assert_eq!(keys(denial), ["field", "message", "node", "pool", "rule"]);
    assert_eq!(denial["rule"], "pod-intrusion");
    assert_eq!(denial["pool"], "pool-a");
    assert_eq!(denial["field"], "spec.tolerations[0]");
    assert!(denial["message"].as_str().unwrap().starts_with("[pod-intrusion] "), "{denial}");
    assert_eq!(patched["patch"][0]["op"], "add");
    assert_eq!(patched["patch"][0]["path"], "/spec/tolerations/-");
    assert_eq!(answer["errors"], json!([]));
}

#[test]
fn the_exit_code_is_the_worst_of_all_files() {
    let missing = "reviews/no-such.json";
    let code = |arguments: &[&str]| review(arguments).code;
    assert_eq!(code(&[ALLOWED]), 0);
    assert_eq!(code(&[ALLOWED, WARNED, PATCHED]), 0);
    assert_eq!(code(&["--fail-on", "warn", ALLOWED, PATCHED]), 0);
    assert_eq!(code(&["--fail-on", "warn", ALLOWED, WARNED]), 1);
    assert_eq!(code(&["--fail-on", "deny", WARNED, DENIED]), 1);
    assert_eq!(code(&[DENIED, ALLOWED]), 1);
    assert_eq!(code(&[missing, DENIED, ALLOWED]), 2);
    for output in ["table", "json", "patch"] {
        assert_eq!(code(&["-o", output, DENIED]), 1, "{output}");
        assert_eq!(code(&["-o", output, DENIED, missing]), 2, "{output}");
    }
}

#[test]
fn what_cannot_be_read_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let broken = [
        write("a.yaml", "a: [\n"),
        write("b.json", "{\"kind\": "),
        write("c.yaml", ""),
        write("d.yaml", "kind: Pod\n"),
        write("e.yaml", "{apiVersion: v1, kind: Pod, spec: {nodeName: [a]}}"),
        write(
            "f.json",
            "{\"kind\": \"AdmissionReview\", \"apiVersion\": \"admission.k8s.io/v1beta1\"}",
        ),
    ];
    let mut arguments = vec!["no-such.yaml"];
    arguments.extend(broken.iter().map(String::as_str));
    arguments.push(DENIED);
    let said = review(&[&["-o", "json"], arguments.as_slice()].concat());
    assert_eq!(said.code, 2);
    let answer = said.json();
    let errors = answer["errors"].as_array().unwrap();
    let files: Vec<_> = errors.iter().map(|it| it["file"].as_str().unwrap()).collect();
    assert_eq!(files, arguments[..arguments.len() - 1]);
    assert_eq!(answer["results"][0]["file"], DENIED);
    assert_eq!(answer["results"][0]["allowed"], false);
    let table = review(&arguments);
    assert_eq!(table.code, 2);
    for file in files {
        assert!(said.err.contains(&format!("error: {file}: ")), "{file}: {}", said.err);
        assert!(table.out.contains(&format!("unreadable {file}")), "{file}: {}", table.out);
    }
    assert!(table.out.contains("1 denied, 7 unreadable"), "{}", table.out);
}

#[test]
fn a_manifest_in_a_version_that_is_not_read_is_unreadable() {
    let old = "apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: web}\nspec: {}\n";
    let said = review_text(old, &[]);
    assert_eq!(said.code, 2);
    let sentence =
        "PoolGuard cannot judge deployments of apps/v1beta1: it reads only deployments of apps/v1";
    assert!(said.out.contains(sentence), "{}", said.out);
    let unknown = "apiVersion: networking.k8s.io/v1beta1\nkind: Ingress\nmetadata: {name: web}\n";
    assert_eq!(review_text(unknown, &[]).code, 0);
}

#[test]
fn the_table_is_plain_text_when_it_is_piped() {
    let said = review(&["reviews"]);
    said.assert_plain();
    assert_eq!(said.err, "");
    let row = |file: &str| said.out.lines().find(|line| line.ends_with(file)).unwrap();
    assert!(row(DENIED.trim_start_matches("reviews/")).starts_with("deny "), "{}", said.out);
    assert!(row(WARNED.trim_start_matches("reviews/")).starts_with("warn "), "{}", said.out);
    assert!(said.out.contains("+ /spec/affinity "), "the patch is shown: {}", said.out);
    let denials = said.out.lines().filter(|line| line.starts_with("deny ")).count();
    assert!(said.out.trim_end().ends_with(&format!("{} denied", denials / 2)), "{}", said.out);
}

#[test]
fn a_patch_is_printed_one_a_line() {
    let said = review(&["-o", "patch", PATCHED, ALLOWED]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let [patch, none] = said.out.lines().collect::<Vec<_>>()[..] else { panic!("{}", said.out) };
    assert_eq!(none, "[]");
    let patch: json_patch::Patch = serde_json::from_str(patch).unwrap();
    let mut review = recorded("mutate-pod-create-automq-broker");
    json_patch::patch(&mut review["request"]["object"], &patch).unwrap();
    let again = review_text(&review.to_string(), &["-o", "patch"]);
    assert_eq!((again.code, again.out.as_str()), (0, "[]\n"));
}

#[test]
fn manifests_are_judged_as_created_by_whom_the_flags_name() {
    let code = |arguments: &[&str]| review_text(INTRUDER, arguments).code;
    assert_eq!(code(&[]), 1);
    assert_eq!(code(&["-n", "kube-system"]), 0);
    assert_eq!(code(&["--namespace", "automq-instance-1"]), 0);
    assert_eq!(code(&["--as", "system:apiserver"]), 1);
    assert_eq!(code(&["--as-group", "poolguard:break-glass"]), 0);
    assert_eq!(code(&["--as", "a", "--as-group", "b", "--as-group", "poolguard:break-glass"]), 0);
    let placed = review_text(INTRUDER, &["-n", "automq-instance-1", "-o", "json"]).json();
    assert_eq!(placed["results"][0]["namespace"], "automq-instance-1");
    assert_eq!(placed["results"][0]["patch"][0]["path"], "/spec/affinity");
    // The manifest's own namespace counts for more.
    let own = INTRUDER.replace("{name: intruder}", "{name: intruder, namespace: shop}");
    assert_eq!(review_text(&own, &["-n", "kube-system"]).code, 1);
}

#[test]
fn a_note_says_that_a_stored_pod_is_judged_as_a_new_one() {
    assert_eq!(review_text(INTRUDER, &[]).err, "");
    let stored = INTRUDER.replace("{name: intruder}", "{name: intruder, uid: 8e1a}");
    for output in ["table", "json", "patch"] {
        let said = review_text(&stored, &["--as", "alice", "-o", output]);
        assert_eq!(said.code, 1);
        assert!(said.err.contains("as a new pod that alice creates"), "{output}: {}", said.err);
        assert!(said.err.contains("`poolguard check`"), "{output}: {}", said.err);
    }
    let read =
        format!("{{kind: List, apiVersion: v1, items: [{}]}}", crate::scenario::yaml(&stored));
    assert!(review_text(&read, &[]).err.contains("kubernetes-admin creates"), "{read}");
}

#[test]
fn several_documents_and_lists_are_told_apart() {
    let documents = format!("{INTRUDER}---\n{}\n---\n", data_text(ALLOWED));
    let answer = review_text(&documents, &["-o", "json"]).json();
    let files: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|it| &it["file"]).collect();
    assert_eq!(files, ["standard input#1", "standard input#2"]);
    let list = json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": [crate::scenario::yaml(INTRUDER), recorded("deployment-create-plain"), 7],
    });
    let said = review_text(&list.to_string(), &["-o", "json"]);
    let answer = said.json();
    assert_eq!(said.code, 2);
    assert_eq!(answer["results"][0]["allowed"], false);
    assert_eq!(answer["results"][1]["allowed"], true);
    assert_eq!(answer["errors"][0]["file"], "standard input#3");
    let fault = answer["errors"][0]["error"].as_str().unwrap();
    assert!(fault.ends_with(": expected an object, found a number"), "{fault}");
    let null = review_text(&format!("- null\n- {}\n", data_text(ALLOWED)), &[]);
    assert_eq!(null.code, 2);
    assert!(null.out.contains("line 1, column 3: expected an object, found null"), "{}", null.out);
}

#[test]
fn folders_are_searched_and_empty_ones_are_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let empty = review(&[path]);
    assert_eq!(empty.code, 2);
    assert!(empty.err.contains(path), "{}", empty.err);
    fs::create_dir(folder.path().join("below")).unwrap();
    fs::write(folder.path().join("below/a.yml"), INTRUDER).unwrap();
    fs::write(folder.path().join("README.md"), "not a manifest").unwrap();
    let found = review(&["-o", "json", path]).json();
    assert_eq!(found["results"][0]["file"], format!("{path}/below/a.yml"));
    assert_eq!(found["errors"], json!([]));
}

#[test]
fn the_environment_stands_for_the_flags() {
    let by_flag = review(&["-o", "json", "reviews"]);
    let by_environment = said(
        poolguard(&["review", "-o", "json", "reviews"])
            .env("POOLGUARD_CONFIG", "config.yaml")
            .env("POOLGUARD_CLUSTER", "cluster.json"),
    );
    assert_eq!(by_environment.out, by_flag.out);
    let overruled = said(
        poolguard(&["review", "--config", "config.yaml", ALLOWED])
            .env("POOLGUARD_CONFIG", "no-such.yaml"),
    );
    assert_eq!(overruled.code, 0, "{overruled:?}");
}

#[test]
fn without_a_cluster_declared_pools_are_guarded_and_that_is_said() {
    let alone = run(&["review", "--config", "config.yaml", DENIED]);
    assert_eq!(alone.code, 1);
    assert!(alone.err.contains("--cluster"), "{}", alone.err);
}

#[test]
fn a_mistaken_config_or_cluster_ends_before_anything_is_judged() {
    let mistaken = run(&["review", "--config", DENIED, ALLOWED]);
    assert_eq!((mistaken.code, mistaken.out.as_str()), (2, ""));
    assert!(mistaken.err.contains(&format!("--> {DENIED}:")), "{}", mistaken.err);
    mistaken.assert_plain();
    for cluster in ["no-such.json", "reviews/README.md"] {
        let refused = run(&["review", "--cluster", cluster, ALLOWED]);
        assert_eq!((refused.code, refused.out.as_str()), (2, ""), "{cluster}");
        assert!(refused.err.contains(cluster), "{}", refused.err);
    }
}

#[test]
fn a_pod_without_a_spec_cannot_be_decided() {
    for spec in ["", "spec: null"] {
        let pod = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: bare}}\n{spec}\n");
        let said = review_text(&pod, &["-n", "automq-instance-1"]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.out.contains("a pod with a spec"), "{said:?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_without_an_error_text() {
    for output in ["table", "json", "patch"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = poolguard(&[&["review"], &INPUT[..], &["-o", output, ALLOWED]].concat());
        let output = command.stdout(writer).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, "");
        assert_eq!(output.status.code(), Some(141), "as a process that ends by SIGPIPE");
    }
}

#[test]
fn what_is_wrong_is_said_once() {
    let pod = INTRUDER.replace("name: intruder", "name: [a]");
    let said = review_text(&pod, &["-o", "json"]);
    let answer = said.json();
    let error = answer["errors"][0]["error"].as_str().unwrap();
    assert_eq!(error.matches("expected a string").count(), 1, "{error}");
}

/// An object of a custom kind.
fn custom(api_version: &str, kind: &str, spec: &str) -> String {
    format!(
        "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: web, namespace: shop}}\nspec: {spec}\n"
    )
}

#[test]
fn review_judges_custom_kinds_by_their_pod_templates() {
    let tolerant = "{tolerations: [{operator: Exists}]}";
    let template = format!("{{template: {{spec: {tolerant}}}}}");
    let driver = format!("{{driver: {template}}}");
    for (text, expected) in [
        (custom("argoproj.io/v1alpha1", "Rollout", &template), "spec.template.spec.tolerations[0]"),
        (
            custom("sparkoperator.k8s.io/v1beta2", "SparkApplication", &driver),
            "spec.driver.template.spec.tolerations[0]",
        ),
    ] {
        let said = review_text(&text, &["-o", "json"]);
        let result = &said.json()["results"][0];
        assert_eq!(
            (&result["judged"], &result["allowed"]),
            (&json!(true), &json!(true)),
            "{said:?}"
        );
        assert_eq!(result["records"][0]["rule"], "workload-intrusion", "{said:?}");
        assert_eq!(result["records"][0]["field"], expected, "{said:?}");
        assert_eq!(review_text(&text, &["--fail-on", "warn"]).code, 1);
    }
    let harmless = custom("argoproj.io/v1alpha1", "Rollout", "{template: {spec: {}}}");
    assert!(review_text(&harmless, &[]).out.contains("allow"));
}

#[test]
fn review_says_of_unknown_kinds_that_make_pods_that_they_are_not_judged() {
    let unknown = custom("example.com/v1", "Thing", "{pods: {tolerations: [{operator: Exists}]}}");
    let said = review_text(&unknown, &["-o", "json"]);
    assert_eq!(said.json()["results"][0]["judged"], false);
    let table = review_text(&unknown, &[]);
    assert!(table.out.starts_with("DECISION    REQUEST"), "{}", table.out);
    assert!(table.out.contains("not judged  CREATE things shop/web"), "{}", table.out);
    assert_eq!((table.code, review_text(&unknown, &["--fail-on", "warn"]).code), (0, 1));
    let fields = custom(
        "sparkoperator.k8s.io/v1beta2",
        "SparkApplication",
        "{driver: {tolerations: [{operator: Exists}]}}",
    );
    assert_eq!(review_text(&fields, &["-o", "json"]).json()["results"][0]["judged"], false);
    let plain = custom("example.com/v1", "Thing", "{size: 1}");
    assert_eq!(review_text(&plain, &["-o", "json"]).json()["results"][0]["judged"], true);
}

#[test]
fn a_cluster_without_nodes_is_noted() {
    let config_as_cluster = ["review", "--config", "config.yaml", "--cluster", "config.yaml", "-"];
    let said = run_on(INTRUDER, &config_as_cluster);
    assert!(
        said.err.contains("note: the input of --cluster or --context contains no nodes"),
        "{}",
        said.err
    );
    let said = review_text(INTRUDER, &[]);
    assert_eq!(said.err, "");
}
