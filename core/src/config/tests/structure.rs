//! Syntax, keys and types.

use insta::assert_snapshot;

use super::*;

#[test]
fn an_empty_file_is_an_empty_config() {
    for text in ["", "\n", "# nothing\n", "---\n", "{}", "null"] {
        let loaded = load("config.yaml", text, None);
        assert!(loaded.is_ok(), "{text:?}: {}", errors_of(text));
    }
}

#[test]
fn a_config_may_be_json() {
    let text =
        r#"{"apiVersion": "poolguard.io/v1alpha1", "kind": "PoolGuardConfig", "provider": "gcp"}"#;
    assert_eq!(load("config.json", text, None).unwrap().policy.provider, Some(Provider::Gcp));
}

#[test]
fn a_syntax_error_ends_the_run_with_its_position() {
    assert_snapshot!(errors_of("pools:\n- name: [a\nzonez: 1\n"), @r"
    error: this is not YAML: illegal placement of ':' indicator
     --> config.yaml:3:6
      |
    3 | zonez: 1
      |      ^
      |
      = help: check the indentation of this line and of the lines above and below (spaces, no tabs), put text that contains `: ` in quotes, and close every `[`, `{` and quotation mark
    ");
}

#[test]
fn every_mistake_is_reported_in_one_run_with_its_place() {
    let text = "\
apiVersion: poolguard.io/v1
kind: PoolGuardConfig
principals: {trusted: {users: [console]}}
provider: amazon
pools:
- name: 1
  nodes: {matchLabel: {pool: a}}
  zonez: [us-east-1a]
- nodes: {matchLabels: {pool: b}}
  zones: us-east-1b
";
    assert_snapshot!(errors_of(text), @r"
    error: expected `poolguard.io/v1alpha1` in `apiVersion`, found `poolguard.io/v1`
     --> config.yaml:1:13
      |
    1 | apiVersion: poolguard.io/v1
      |             ^^^^^^^^^^^^^^^

    error: expected one of `aws`, `gcp`, `azure`, `alibaba`, `huawei`, `tencent`, `oracle`, `other` in `provider`, found `amazon`
     --> config.yaml:4:11
      |
    4 | provider: amazon
      |           ^^^^^^
      |
      = help: EKS is the provider `aws`

    error: expected a string in `pools[0].name`, found the number 1
     --> config.yaml:6:9
      |
    6 | - name: 1
      |         ^
      |
      = help: put it in quotes

    error: unknown key `matchLabel` in `pools[0].nodes`; did you mean `matchLabels`?
     --> config.yaml:7:11
      |
    7 |   nodes: {matchLabel: {pool: a}}
      |           ^^^^^^^^^^

    error: unknown key `zonez` in `pools[0]`; did you mean `zones`?
     --> config.yaml:8:3
      |
    8 |   zonez: [us-east-1a]
      |   ^^^^^

    error: missing key `name` in `pools[1]`
     --> config.yaml:9:3
      |
    9 | - nodes: {matchLabels: {pool: b}}
      |   ^^^^^
      |
      = help: add `name: …`: the name of the pool, which no other pool has

    error: expected a list in `pools[1].zones`, found the string `us-east-1b`
      --> config.yaml:10:10
       |
    10 |   zones: us-east-1b
       |          ^^^^^^^^^^
       |
       = help: write `[us-east-1b]`
    ");
}

#[test]
fn switches_and_modes_have_their_values() {
    let text = "\
discovery: {enabled: \"true\"}
rules:
  pod-intrusion: {mode: enforced}
  node-taint: {mode: false}
scan: {interval: 600}
";
    assert_snapshot!(errors_of(&format!("{HEAD}{CONSOLE}{text}")), @r#"
    error: expected true or false in `discovery.enabled`, found the string `true`
     --> config.yaml:4:22
      |
    4 | discovery: {enabled: "true"}
      |                      ^^^^^^
      |
      = help: remove the quotes

    error: expected one of `enforce`, `warn`, `audit`, `off` in `rules.pod-intrusion.mode`, found `enforced`; did you mean `enforce`?
     --> config.yaml:6:25
      |
    6 |   pod-intrusion: {mode: enforced}
      |                         ^^^^^^^^

    error: expected one of `enforce`, `warn`, `audit`, `off` in `rules.node-taint.mode`, found false
     --> config.yaml:7:22
      |
    7 |   node-taint: {mode: false}
      |                      ^^^^^
      |
      = help: some tools read an unquoted `off` as false: write `'off'`

    error: expected a string in `scan.interval`, found the number 600
     --> config.yaml:8:18
      |
    8 | scan: {interval: 600}
      |                  ^^^
      |
      = help: add a unit: `600s`, `600m` or `600h`
    "#);
}

#[test]
fn the_head_is_required_and_the_error_says_the_line() {
    assert_snapshot!(errors_of("provider: aws\n"), @r"
    error: missing key `apiVersion` at the top level
     --> config.yaml:1:1
      |
    1 | provider: aws
      | ^^^^^^^^^^^^^
      |
      = help: add the line `apiVersion: poolguard.io/v1alpha1`

    error: missing key `kind` at the top level
     --> config.yaml:1:1
      |
    1 | provider: aws
      | ^^^^^^^^^^^^^
      |
      = help: add the line `kind: PoolGuardConfig`

    warning: `principals.trusted` is empty, so `role-binding` denies the console's changes to the bindings, roles and service accounts that give AutoMQ its permissions
    --> config.yaml
     = help: add the user of AutoMQ's console to `principals.trusted.users`; on EKS this user is the console's IAM role, for example `arn:aws:sts::111122223333:assumed-role/automq-byoc-service-role-<environment>/*`
    ");
}

#[test]
fn a_key_that_stands_twice_shows_both() {
    assert_snapshot!(errors_of(&format!("{HEAD}provider: aws\nprovider: gcp\n")), @r"
    warning: `principals.trusted` is empty, so `role-binding` denies the console's changes to the bindings, roles and service accounts that give AutoMQ its permissions
    --> config.yaml
     = help: add the user of AutoMQ's console to `principals.trusted.users`; on EKS this user is the console's IAM role, for example `arn:aws:sts::111122223333:assumed-role/automq-byoc-service-role-<environment>/*`

    error: the key `provider` occurs twice
     --> config.yaml:4:1
      |
    3 | provider: aws
      | -------- the first one is here
    4 | provider: gcp
      | ^^^^^^^^
    ");
}

#[test]
fn what_yaml_can_and_a_config_cannot_is_refused() {
    let lines = |body: &str| lines_of(body);
    assert_snapshot!(lines("provider: &p aws\npools: [{name: *p, nodes: {matchLabels: {a: b}}}]"), @"\
     2:16: `pools[0].name` uses a YAML alias, which PoolGuard does not support: write the value \
     itself");
    assert_snapshot!(lines("taint: {<<: {key: a}}"), @"1:9: PoolGuard does not support YAML merge \
     keys (`<<`): write the keys themselves");
    assert_snapshot!(lines("provider: !cloud aws"), @"1:18: `provider` uses the YAML tag `!cloud`, which PoolGuard does not support");
    assert_snapshot!(lines("automq: {pods: {matchLabels: {1: a, true: b, [x]: c}}}"), @r"
    1:31: a key must be a string, not the number 1; help: put it in quotes
    1:37: a key must be a string, not true; help: put it in quotes
    1:46: a key must be a string, not a list
    ");
    assert_snapshot!(lines("---\nprovider: aws"), @"1:1: the config has a second YAML document; \
     write one document only");
}

#[test]
fn a_list_as_the_whole_config_is_an_error() {
    assert_snapshot!(errors_of("- a\n"), @r"
    error: expected a mapping in the config, found a list
     --> config.yaml:1:1
      |
    1 | - a
      | ^^^
    ");
}

#[test]
fn null_is_as_good_as_absent() {
    assert_eq!(lines_of("pools:\nexempt: ~\nprovider: null"), "");
    assert_snapshot!(lines_of("pools: [{name: , nodes: {matchLabels: {a: b}}}]"), @"1:10: missing key `name` in `pools[0]`; help: add `name: …`: the name of the pool, which no other pool has");
}

#[test]
fn types_are_told_apart_with_a_hint() {
    assert_snapshot!(lines_of("automq: {namespaces: automq}"), @"1:22: expected a list in `automq.namespaces`, found the string `automq`; help: write `[automq]`");
    assert_snapshot!(lines_of("pools: {name: a}"), @"1:8: expected a list in `pools`, found a \
     mapping; help: write `- ` before each item");
    assert_snapshot!(lines_of("placement: {comparisonOperators: yes}"), @"1:34: expected true or false in `placement.comparisonOperators`, found the string `yes`; help: write `true`");
    assert_snapshot!(lines_of("pools: [{name: a, nodes: {matchLabels: {tier: 1}}}]"), @"1:47: expected a string in `pools[0].nodes.matchLabels.tier`, found the number 1; help: put it in quotes");
    assert_snapshot!(lines_of("breakGlass: [admins]"), @"1:13: expected a mapping in `breakGlass`, found a list; help: write one or more of these keys: `{groups: …}`");
    assert_snapshot!(lines_of("rules: {pod-intrusion: enforce}"), @"1:24: expected a mapping in `rules.pod-intrusion`, found the string `enforce`; help: write one or more of these keys: `{daemonSets: …, mode: …}`");
    assert_snapshot!(lines_of("exempt: [{namespace: a, reason: b, pods: [{app: x}]}]"), @"1:42: expected a mapping in `exempt[0].pods`, found a list; help: write a label selector, for example `{matchLabels: {app: kafka}}`");
    assert_snapshot!(lines_of("mode: audit"), @"1:1: unknown key `mode` at the top level; help: set the mode of each rule under `rules`; `mode` is a value of the Helm chart");
    assert_snapshot!(lines_of("automq: {namespaces: [automq, {}]}"), @"1:31: expected a string in `automq.namespaces[1]`, found a mapping");
    assert_snapshot!(lines_of("taint: {effect: PreferNoSchedule}"), @"1:17: expected one of \
     `NoSchedule`, `NoExecute` in `taint.effect`, found `PreferNoSchedule`; help: \
     `PreferNoSchedule` does not keep pods out: write `NoSchedule`");
    assert_snapshot!(lines_of("rules: {pod-intrusion: {daemonSet: warn}, node-zones: {mode: warn}}"), @r"
    1:25: unknown key `daemonSet` in `rules.pod-intrusion`; did you mean `daemonSets`?
    1:43: unknown key `node-zones` in `rules`; did you mean `node-zone`?
    ");
    assert_snapshot!(lines_of("rules: {completely-different: {mode: warn}}"), @"1:9: unknown key `completely-different` in `rules`; help: known keys are `cluster-exclusive`, `node-identity`, `node-machine-type`, `node-pool`, `node-taint`, `node-zone`, `pod-intrusion`, `pod-placement`, `role-binding`, `workload-intrusion`");
}

#[test]
fn nesting_beyond_any_config_is_an_error() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(errors_of(&deep).contains("this is not YAML"), "{}", errors_of(&deep));
}

#[test]
fn a_diagnostic_knows_its_key_line_and_column() {
    let text = format!("{HEAD}pools:\n- {{name: ä, nodes: {{matchLabels: {{a/b: 'x y'}}}}}}\n");
    let diagnostics = load("config.yaml", &text, None).unwrap_err();
    let found: Vec<_> = diagnostics
        .as_slice()
        .iter()
        .filter(|it| it.severity == DiagnosticSeverity::Error)
        .map(|it| (it.key.as_str(), it.span.line, it.span.column))
        .collect();
    assert_eq!(found, [("pools[0].name", 4, 10), (r#"pools[0].nodes.matchLabels["a/b"]"#, 4, 40)]);
}
