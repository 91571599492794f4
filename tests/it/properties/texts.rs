//! What holds of every file, whatever is in it. The fuzz targets include this file.
#![allow(dead_code, reason = "each of the fuzz targets calls one of the functions")]

use poolguard::{
    check::examine_plan,
    cluster::Index,
    config::{self, ConfigSource, Decoration, DiagnosticSeverity},
    kubernetes::documents,
    policy::snapshot::Located,
    terraform::Plan,
};
use serde_json::Value;

/// A config is read, or every mistake in it can be shown; the same every time.
pub(crate) fn check_config(text: &str) {
    let source = ConfigSource { name: "config.yaml", text };
    let (one, other) =
        (config::load(source.name, text, None), config::load(source.name, text, None));
    match (one, other) {
        (Ok(one), Ok(other)) => {
            assert_eq!(format!("{:?}", one.policy), format!("{:?}", other.policy));
            for warning in &one.warnings {
                assert_eq!(warning.severity, DiagnosticSeverity::Warning);
                assert!(!warning.render(source, Decoration::Plain).is_empty());
            }
            let names: Vec<_> = one.policy.pools.iter().map(|pool| &pool.name).collect();
            assert!(one.policy.instances.iter().all(|instance| instance.pool < names.len()));
            assert!(one.policy.pools.iter().all(|pool| matches!(pool.zones.len(), 0 | 1 | 3)));
            assert!(one.policy.pools.iter().all(|pool| !pool.nodes.is_everything()));
        }
        (Err(one), Err(other)) => {
            assert!(one.as_slice().iter().any(|it| it.severity == DiagnosticSeverity::Error));
            assert_eq!(one.to_string(), other.to_string());
            assert!(!one.render(Decoration::Plain).contains('\u{1b}') || text.contains('\u{1b}'));
            assert!(!one.render(Decoration::Styled).is_empty());
        }
        (one, _) => panic!("the config was first accepted: {}, then not", one.is_ok()),
    }
}

/// A dump is read, and makes the same snapshot every time; or it is refused.
pub(crate) fn check_dump(text: &str) {
    let Ok(index) = Index::read_dump(text) else { return };
    let loaded = config::load("config.yaml", "", index.provider());
    let Ok(loaded) = loaded else { panic!("the empty config is good") };
    let (one, other) = (index.snapshot(&loaded.policy), index.snapshot(&loaded.policy));
    assert_eq!(one.pools(), other.pools());
    let dedicated: usize = one.pools().iter().map(|pool| pool.nodes).sum();
    assert!(dedicated <= one.node_count());
    for class in one.classes() {
        assert!(!class.nodes.is_empty() && one.pool(class.pool).is_some());
        for node in &class.nodes {
            let Located::Dedicated { node: located, .. } = one.locate(&node.name) else {
                panic!("{} is in a class and not located", node.name);
            };
            assert_eq!(located.name, node.name);
        }
    }
}

/// Documents that are objects are the same when they are read again.
pub(crate) fn check_documents(text: &str) {
    let Ok(documents) = documents::read(text) else { return };
    let Ok(documents) = documents.objects.into_iter().collect::<Result<Vec<Value>, _>>() else {
        return;
    };
    // A list in a list would be opened up once more, and a fraction may be read a little off.
    let is_plain = |document: &Value| is_plain_object(document) && !has_fraction(document);
    if documents.is_empty() || !documents.iter().all(is_plain) {
        return;
    }
    let lines: Vec<String> = documents.iter().map(ToString::to_string).collect();
    let again = documents::read(&lines.join("\n")).expect("JSON is readable");
    assert_eq!(again.objects, documents.into_iter().map(Ok).collect::<Vec<_>>());
}

/// A plan is read, and judged the same every time, whatever config is held against it; or it is refused.
pub(crate) fn check_plan(text: &str) {
    let Ok(plan) = Plan::read(text) else { return };
    let Plan { pools, instances, manifests, role_changes, lookalikes } = &plan;
    let is_about_nodes = !pools.is_empty() || !manifests.is_empty() || !lookalikes.is_empty();
    let is_about_automq = !instances.is_empty() || !role_changes.is_empty();
    assert!(is_about_nodes || is_about_automq, "a plan about nothing else is refused");
    for config in ["", include_str!("../../data/terraform/config.yaml")] {
        let Ok(loaded) = config::load("config.yaml", config, plan.provider()) else { continue };
        let one = examine_plan(&loaded.policy, &plan);
        let other = examine_plan(&loaded.policy, &Plan::read(text).expect("it was read before"));
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
        assert!(!one.verdict().is_empty());
    }
}

fn is_plain_object(document: &Value) -> bool {
    let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default();
    document.is_object() && !kind.ends_with("List")
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(list) => list.iter().any(has_fraction),
        Value::Object(object) => object.values().any(has_fraction),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}
