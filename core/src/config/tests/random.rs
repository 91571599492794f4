//! Whatever is loaded, nothing panics.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// A config with every key.
const EVERY_KEY: &str = "\
apiVersion: poolguard.io/v1alpha1
kind: PoolGuardConfig
provider: aws
taint: {key: dedicated, value: automq, effect: NoSchedule}
automq:
  namespaces: [automq, automq-1]
  pods: {matchLabels: {a: b}, matchExpressions: [{key: c, operator: In, values: [d]}]}
  serviceAccounts: [automq]
discovery: {enabled: true}
pools:
- name: pool-a
  nodes: {matchLabels: {eks.amazonaws.com/nodegroup: automq-a}}
  zones: [us-east-1a]
  machineTypes: [r6in.large]
  role: arn:aws:iam::111122223333:role/automq-node
  taint: {value: other}
instances:
- {name: one, namespace: automq-1, pods: {}, pool: pool-a, zoneSpread: DoNotSchedule}
exempt:
- {namespace: kube-system, serviceAccounts: [a], daemonSets: [b], pods: {}, reason: c}
protected:
- {name: a, resource: configmaps, namespace: b, names: [c], fields: [/data/x], mustKeepItems: [{by: d, value: e}]}
principals: {trusted: {users: [a], groups: [b], serviceAccounts: [c/d]}}
breakGlass: {groups: [a]}
placement: {comparisonOperators: false, transientTaints: [a]}
catalog: {mode: extend, machineTypes: {small: [a], medium: [b], large: [c]}}
snapshot: {maxAge: 10m}
scan: {enabled: true, interval: 1h30m}
registration: managed
rules:
  pod-intrusion: {mode: enforce, daemonSets: warn}
  node-machine-type: {mode: enforce, denyJoin: true}
";

/// Whether an independent reader and validator take the text for a config; `None` if it is no YAML
/// to them. Keys that say `null` count as absent.
fn is_valid_by_schema(text: &str) -> Option<bool> {
    static VALIDATOR: LazyLock<jsonschema::Validator> =
        LazyLock::new(|| jsonschema::validator_for(schema()).unwrap());
    fn without_nulls(value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(object) => object
                .into_iter()
                .filter(|(_, below)| !below.is_null())
                .map(|(key, below)| (key, without_nulls(below)))
                .collect(),
            serde_json::Value::Array(list) => list.into_iter().map(without_nulls).collect(),
            value @ (serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_)) => value,
        }
    }
    // `on` and `yes` are texts, as YAML 1.2 has them.
    let options = serde_saphyr::options! { strict_booleans: true };
    let value: serde_json::Value = serde_saphyr::from_str_with_options(text, options).ok()?;
    Some(value.is_null() || VALIDATOR.is_valid(&without_nulls(value)))
}

/// Loads and renders; errors are fine.
fn load_and_render(text: &str) {
    match load("config.yaml", text, Some(Provider::Gcp)) {
        Ok(loaded) => {
            let source = ConfigSource { name: "config.yaml", text };
            for warning in &loaded.warnings {
                assert!(!warning.render(source, Decoration::Plain).is_empty());
            }
        }
        Err(diagnostics) => {
            assert!(
                diagnostics.as_slice().iter().any(|it| it.severity == DiagnosticSeverity::Error)
            );
            assert!(!diagnostics.render(Decoration::Styled).is_empty());
            let lines = diagnostics.to_string();
            assert!(!lines.is_empty());
            // What the check of the structure lets through is what the mirror of the file takes.
            assert!(!lines.contains("the config cannot be read"), "{lines}");
        }
    }
}

#[test]
fn the_config_with_every_key_is_valid() {
    load("config.yaml", EVERY_KEY, None).unwrap();
}

#[test]
fn no_prefix_panics() {
    for (end, _) in EVERY_KEY.char_indices() {
        load_and_render(&EVERY_KEY[..end]);
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        load_and_render(&text);
    }

    #[test]
    fn nothing_that_looks_like_yaml_panics(
        text in "([a-zé]{1,4}|[:\\-\\[\\]{},#&*!|>'\"%@`~<?0]| |\n|\n  |\t|\r\n){0,80}"
    ) {
        load_and_render(&text);
    }

    #[test]
    fn no_mutation_of_a_valid_config_panics(
        edits in prop::collection::vec((0..EVERY_KEY.len(), 0_usize..12, "[a-zü:,{}\\[\\] \n\"*0-]{0,6}"), 1..6)
    ) {
        let mut text = EVERY_KEY.to_owned();
        for (at, length, with) in edits {
            let start = text.floor_char_boundary(at.min(text.len()));
            let end = text.ceil_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end, &with);
        }
        load_and_render(&text);
        if is_valid_by_schema(&text) == Some(false) {
            prop_assert!(load("config.yaml", &text, None).is_err(), "{}", text);
        }
    }

    #[test]
    fn no_deleted_or_renamed_key_panics(keys in prop::collection::vec((0_usize..100, any::<bool>()), 1..5)) {
        let mut text = EVERY_KEY.to_owned();
        for (nth, rename) in keys {
            let ends: Vec<_> = text.match_indices(": ").map(|(at, _)| at).collect();
            let Some(end) = ends.get(nth % ends.len().max(1)).copied() else { continue };
            let start = text[..end].rfind([' ', '{', '\n', ',']).map_or(0, |at| at + 1);
            if rename {
                text.insert(start, 'x');
            } else {
                text.replace_range(start..end + 2, "");
            }
        }
        load_and_render(&text);
    }
}
