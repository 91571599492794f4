//! What a config may say, and hardly means.

use insta::assert_snapshot;

use super::*;

/// The warnings of a config as people see them.
fn warnings_of(text: &str, detected: Option<Provider>) -> String {
    let loaded = load("config.yaml", text, detected).expect("no error");
    let source = ConfigSource { name: "config.yaml", text };
    let shown: Vec<_> =
        loaded.warnings.iter().map(|it| it.render(source, Decoration::Plain)).collect();
    shown.join("\n\n")
}

#[test]
fn an_empty_config_trusts_no_console() {
    assert_snapshot!(warnings_of("", None), @r"
    warning: `role-binding` enforces, and nobody is trusted: AutoMQ's console could not change its own objects
    --> config.yaml
     = help: add the console's identity to `principals.trusted`; `user.username` in the API server's audit log shows it
    ");
    assert_snapshot!(warnings_of(&format!("{HEAD}provider: gcp\n"), None), @r"
    warning: `role-binding` enforces, and nobody is trusted: AutoMQ's console could not change its own objects
     --> config.yaml:1:1
      |
    1 | apiVersion: poolguard.io/v1alpha1
      | ^^^^^^^^^^
      |
      = help: add the console's identity to `principals.trusted`; on GKE it is the e-mail address of the console's service account, as `automq-console-sa@<project>.iam.gserviceaccount.com`
    ");
    assert_eq!(warnings_of(&format!("{HEAD}rules: {{role-binding: {{mode: warn}}}}\n"), None), "");
    assert!(warnings_of("", Some(Provider::Aws)).contains("assumed-role"));
}

#[test]
fn wide_patterns_are_pointed_at() {
    assert_snapshot!(lines_of("automq: {namespaces: ['automq-*']}"), @"1:23: warning: whoever may create a namespace that `automq-*` matches can make its pods AutoMQ's; help: name AutoMQ's namespaces, if they are known");
    assert_snapshot!(lines_of("exempt: [{namespace: '*', reason: all}]"), @"1:22: warning: `*` exempts the pods of every namespace, whoever makes them");
    assert_snapshot!(lines_of("breakGlass: {groups: ['system:masters']}"), @"1:23: warning: every member of `system:masters` passes every rule, all the time; help: use a group that nobody is in, and that is reached by impersonation");
    let text = format!(
        "{HEAD}principals: {{trusted: {{users: ['*'], groups: ['system:authenticated'], serviceAccounts: ['*/*']}}}}\n"
    );
    assert_snapshot!(warnings_of(&text, None), @r"
    warning: `*` is far more than AutoMQ's console, so that `node-taint`, `node-identity` and `role-binding` let nearly everybody pass
     --> config.yaml:3:32
      |
    3 | principals: {trusted: {users: ['*'], groups: ['system:authenticated'], serviceAccounts: ['*/*']}}
      |                                ^^^

    warning: `system:authenticated` is far more than AutoMQ's console, so that `node-taint`, `node-identity` and `role-binding` let nearly everybody pass
     --> config.yaml:3:47
      |
    3 | principals: {trusted: {users: ['*'], groups: ['system:authenticated'], serviceAccounts: ['*/*']}}
      |                                               ^^^^^^^^^^^^^^^^^^^^^^

    warning: `*/*` is far more than AutoMQ's console, so that `node-taint`, `node-identity` and `role-binding` let nearly everybody pass
     --> config.yaml:3:90
      |
    3 | principals: {trusted: {users: ['*'], groups: ['system:authenticated'], serviceAccounts: ['*/*']}}
      |                                                                                          ^^^^^
    ");
}

#[test]
fn an_instance_that_never_has_a_pod_is_pointed_at() {
    let pool = "pools: [{name: p, nodes: {matchLabels: {pool: a}}}]\n";
    let instances = "\
instances:
- {name: one, namespace: automq, pool: p}
- {name: two, namespace: automq, pool: p, pods: {matchLabels: {i: '2'}}}
";
    assert_snapshot!(warnings_of(&format!("{HEAD}{CONSOLE}{pool}{instances}"), None), @r"
    warning: instance `two` never has a pod, since `one` takes every pod of namespace `automq`
     --> config.yaml:7:3
      |
    6 | - {name: one, namespace: automq, pool: p}
      |   --------------------------------------- `one` is the first to match
    7 | - {name: two, namespace: automq, pool: p, pods: {matchLabels: {i: '2'}}}
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: instances that share a namespace are told apart by `pods`
    ");
    let apart = "instances:
- {name: one, namespace: automq, pool: p, pods: {matchLabels: {i: '1'}}}
- {name: two, namespace: automq, pool: p}
";
    assert_eq!(lines_of(&format!("{pool}{apart}")), "");
    let same = "instances:
- {name: one, namespace: automq, pool: p, pods: {matchLabels: {i: '1'}}}
- {name: two, namespace: automq, pool: p, pods: {matchLabels: {i: '1'}}}
";
    assert_snapshot!(lines_of(&format!("{pool}{same}")), @"4:3: warning: instance `two` never has a pod, since `one` takes the same pods; help: instances that share a namespace are told apart by `pods`");
}

#[test]
fn exempt_entries_that_miss_their_mark_are_pointed_at() {
    assert_snapshot!(lines_of("exempt: [{namespace: automq, reason: x}]"), @r#"
    1:22: warning: `automq` is one of AutoMQ's namespaces, whose pods belong on dedicated nodes anyhow; help: take the entry out
    "#);
    let without = "presets: {exempt: false}";
    assert_snapshot!(lines_of(without), @r#"1:10: warning: no entry exempts pods of `kube-system`, where CNI, kube-proxy and CSI drivers run; help: leave `presets: {exempt: false}` out, or add `{namespace: kube-system, reason: "CNI, kube-proxy, CSI"}` to `exempt`"#);
    assert_eq!(lines_of(&format!("{without}\nexempt: [{{namespace: 'kube-*', reason: x}}]")), "");
}

#[test]
fn machine_types_that_judge_nothing_are_pointed_at() {
    let pools = "pools: [{name: p, nodes: {matchLabels: {pool: a}}}, {name: q, nodes: {matchLabels: {pool: b}}, machineTypes: [x]}]";
    assert_snapshot!(lines_of(&format!("provider: huawei\n{pools}")), @"2:9: warning: there is no list of machine types for huawei, so that `node-machine-type` judges nothing in `p`; help: give the pools `machineTypes`, or the `catalog` a list");
    let off = "rules: {node-machine-type: {mode: off}}";
    assert_eq!(lines_of(&format!("provider: huawei\n{pools}\n{off}")), "");
    let enforce = "rules: {node-machine-type: {mode: enforce}}";
    assert_snapshot!(lines_of(&format!("provider: aws\n{pools}\n{enforce}")), @"3:28: warning: AutoMQ did not publish the built-in machine types as a list to enforce, so that `node-machine-type` only warns by it; help: give the pools `machineTypes`, or the `catalog` a list with `mode: replace`");
    assert_eq!(lines_of(&format!("provider: gcp\n{pools}\n{enforce}")), "");
}

#[test]
fn the_rest_is_pointed_at() {
    assert_snapshot!(lines_of("discovery: {enabled: false}"), @"1:12: warning: no pool is declared and none is discovered, so that nothing is protected; help: declare `pools`, or leave `discovery` out");
    assert_snapshot!(lines_of("rules: {node-zone: {denyJoin: true}}"), @"1:31: warning: `denyJoin` denies nothing while `node-zone` is in mode warn; help: it goes with `mode: enforce`");
    assert_snapshot!(lines_of("provider: aws\npools: [{name: p, nodes: {matchLabels: {pool: a}}, role: automq-node}]"), @"2:58: warning: `automq-node` is not the ARN of an IAM role, so that no entry of `aws-auth` can name it; help: write it as `arn:aws:iam::111122223333:role/automq-node`");
    assert_snapshot!(lines_of("\
pools: [{name: p, nodes: {matchLabels: {pool: a}}, zones: [a]}]
instances: [{name: i, namespace: automq, pool: p, zoneSpread: DoNotSchedule}]"), @"2:63: warning: instance `i` is to be spread over zones, but its pool has only a");
}
