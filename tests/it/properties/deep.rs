//! What is nested deeper than any stack can follow, where it is read and where it is not.

use std::fmt::Write;

use poolguard::{cluster::Index, config, kubernetes::documents, policy::Phase};

use serde_json::json;

use super::invariants::WORLDS;

const DEPTH: usize = 100_000;

const ROLE_BINDINGS: &str = "rbac.authorization.k8s.io/clusterrolebindings";

/// Lists in lists, and objects in objects.
fn nested(depth: usize) -> [String; 2] {
    [
        format!("{}null{}", "[".repeat(depth), "]".repeat(depth)),
        format!("{}null{}", r#"{"spec":"#.repeat(depth), "}".repeat(depth)),
    ]
}

/// A review with this text as the value of `place`.
fn review(resource: &str, place: &str, text: &str) -> String {
    let (group, resource) = resource.split_once('/').unwrap_or(("", resource));
    let value = |name: &str, usual: &str| if name == place { text } else { usual }.to_owned();
    let resource = format!(r#"{{"group":"{group}","version":"v1","resource":"{resource}"}}"#);
    let old = r#"{"metadata":{"name":"automq-operator"},"spec":{}}"#;
    let spec = value("spec", "{}");
    let object =
        value("object", &format!(r#"{{"metadata":{},"spec":{spec}}}"#, value("metadata", "{}")));
    format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","other":{other},"request":{{
        "uid":"1","operation":{operation},"resource":{resource},"userInfo":{user},"options":{options},
        "name":"automq-operator","object":{object},"oldObject":{old}}}}}"#,
        other = value("other", "{}"),
        operation = value("operation", r#""UPDATE""#),
        resource = value("resource", &resource),
        user = value("userInfo", "{}"),
        options = value("options", "{}"),
        old = value("oldObject", old),
    )
}

#[test]
fn no_depth_overflows_the_stack() {
    let around = ["other", "operation", "resource", "userInfo", "options"];
    let around = around.map(|place| ("pods", place));
    let within = ["pods", "nodes", "apps/deployments", "configmaps", "leases", ROLE_BINDINGS];
    let within = within.into_iter().flat_map(|resource| {
        ["object", "oldObject", "spec", "metadata"].map(|place| (resource, place))
    });
    for text in nested(DEPTH) {
        WORLDS[1].check(text.as_bytes());
        WORLDS[1].check(format!(r#"{{"request":{text}"#).as_bytes());
        for (resource, place) in around.into_iter().chain(within.clone()) {
            WORLDS[1].check(review(resource, place, &text).as_bytes());
        }
    }
}

#[test]
fn what_no_rule_reads_may_be_as_deep_as_serde_json_reads() {
    for (depth, is_read) in [(120, true), (128, false), (DEPTH, false)] {
        for text in nested(depth) {
            for (world, place) in WORLDS.iter().flat_map(|it| [(it, "other"), (it, "options")]) {
                let body = review("pods", place, &text);
                let decided = world.decide(Phase::Validate, body.as_bytes());
                match decided {
                    Ok(_) => assert!(is_read, "{depth} {place}"),
                    Err(error) => {
                        assert!(!is_read, "{depth} {place}: {error}");
                        assert!(error.to_string().contains("no more than 127 levels"), "{error}");
                    }
                }
            }
        }
    }
}

#[test]
fn no_depth_of_a_file_overflows_the_stack() {
    for text in nested(DEPTH) {
        assert!(documents::read(&text).is_err());
        assert!(Index::read_dump(&text).is_err());
        assert!(config::load("config.yaml", &text, None).is_err());
        let config = format!("pools: {text}\n");
        assert!(config::load("config.yaml", &config, None).is_err());
        let mut indented = String::new();
        for depth in 0..2_000 {
            writeln!(indented, "{:depth$}a:", "").unwrap();
        }
        assert!(config::load("config.yaml", &indented, None).is_err());
        let dump = |key: &str, kind: &str| {
            format!(
                r#"{{"kind":"List","items":[{{"kind":"{kind}","apiVersion":"v1","metadata":{{"name":"n"}},"{key}":{text}}}]}}"#
            )
        };
        for (key, kind) in
            [("spec", "Node"), ("status", "Node"), ("data", "ConfigMap"), ("x", "Pod")]
        {
            drop(Index::read_dump(&dump(key, kind)));
        }
    }
}

#[test]
fn no_depth_of_a_yaml_text_in_an_object_overflows_the_stack() {
    let kept = "- rolearn: arn:aws:iam::111122223333:role/automq-node\n";
    let object = |roles: &str| json!({ "metadata": {}, "data": { "mapRoles": roles } });
    for depth in [100, 1_500, DEPTH] {
        let lists = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let dashes = "- ".repeat(depth);
        for deep in [lists, dashes, format!("{kept}  x: {}", "{x: ".repeat(depth))] {
            for (old, new) in [(kept, deep.as_str()), (&deep, kept)] {
                let review = json!({
                    "kind": "AdmissionReview",
                    "apiVersion": "admission.k8s.io/v1",
                    "request": {
                        "uid": "1",
                        "operation": "UPDATE",
                        "resource": { "group": "", "version": "v1", "resource": "configmaps" },
                        "namespace": "kube-system",
                        "name": "aws-auth",
                        "userInfo": {},
                        "object": object(new),
                        "oldObject": object(old),
                    },
                });
                WORLDS[0].check(review.to_string().as_bytes());
            }
        }
    }
}
