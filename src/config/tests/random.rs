//! Whatever is loaded, nothing panics.

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

/// Loads and renders; errors are fine.
fn load_and_render(text: &str) {
    match load("config.yaml", text, Some(Provider::Gcp)) {
        Ok(loaded) => {
            let source = Source { name: "config.yaml", text };
            for warning in &loaded.warnings {
                assert!(!warning.render(source, Decoration::Plain).is_empty());
            }
        }
        Err(diagnostics) => {
            assert!(diagnostics.as_slice().iter().any(|it| it.severity == Severity::Error));
            assert!(!diagnostics.render(Decoration::Styled).is_empty());
            assert!(!diagnostics.to_string().is_empty());
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
    #![proptest_config(ProptestConfig::with_cases(256))]

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
