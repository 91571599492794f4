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
    warning: `principals.trusted` is empty, so `role-binding` denies the console's changes to the bindings, roles and service accounts that give AutoMQ its permissions
    --> config.yaml
     = help: add the user of AutoMQ's console to `principals.trusted.users`; `user.username` in the API server's audit log shows it
    ");
    assert_snapshot!(warnings_of(&format!("{HEAD}provider: gcp\n"), None), @r"
    warning: `principals.trusted` is empty, so `role-binding` denies the console's changes to the bindings, roles and service accounts that give AutoMQ its permissions
    --> config.yaml
     = help: add the user of AutoMQ's console to `principals.trusted.users`; on GKE this user is the e-mail address of the console's service account, for example `automq-console-sa@<project>.iam.gserviceaccount.com`
    ");
    assert_eq!(warnings_of(&format!("{HEAD}rules: {{role-binding: {{mode: warn}}}}\n"), None), "");
    assert!(warnings_of("", Some(Provider::Aws)).contains("assumed-role"));
}

#[test]
fn wide_patterns_are_pointed_at() {
    assert_snapshot!(lines_of("automq: {namespaces: ['automq-*']}"), @"1:23: warning: anyone who can create a namespace that matches `automq-*` can run pods on the pools; help: list AutoMQ's namespaces by their exact names, if you know them");
    assert_snapshot!(lines_of("exempt: [{namespace: '*', reason: all}]"), @"1:22: warning: `*` exempts all pods of all namespaces");
    assert_snapshot!(lines_of("breakGlass: {groups: ['system:masters']}"), @"1:23: warning: every member of `system:masters` bypasses every rule all the time; help: use a group that has no members; administrators impersonate it when they need it");
    let text = format!(
        "{HEAD}principals: {{trusted: {{users: ['*'], groups: ['system:authenticated'], serviceAccounts: ['*/*']}}}}\n"
    );
    assert_snapshot!(warnings_of(&text, None), @r"
    warning: `*` matches many more users than AutoMQ's console, so `node-taint`, `node-identity` and `role-binding` do not apply to any of these users
     --> config.yaml:3:32
      |
    3 | principals: {trusted: {users: ['*'], groups: ['system:authenticated'], serviceAccounts: ['*/*']}}
      |                                ^^^

    warning: `system:authenticated` matches many more users than AutoMQ's console, so `node-taint`, `node-identity` and `role-binding` do not apply to any of these users
     --> config.yaml:3:47
      |
    3 | principals: {trusted: {users: ['*'], groups: ['system:authenticated'], serviceAccounts: ['*/*']}}
      |                                               ^^^^^^^^^^^^^^^^^^^^^^

    warning: `*/*` matches many more users than AutoMQ's console, so `node-taint`, `node-identity` and `role-binding` do not apply to any of these users
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
    warning: instance `two` never has a pod, because the earlier instance `one` matches every pod of namespace `automq`
     --> config.yaml:7:3
      |
    6 | - {name: one, namespace: automq, pool: p}
      |   --------------------------------------- `one` matches first
    7 | - {name: two, namespace: automq, pool: p, pods: {matchLabels: {i: '2'}}}
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: if instances share a namespace, set `pods` of each instance to the labels of its pods
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
    assert_snapshot!(lines_of(&format!("{pool}{same}")), @"4:3: warning: instance `two` never has a pod, because the earlier instance `one` matches the same pods; help: if instances share a namespace, set `pods` of each instance to the labels of its pods");
}

#[test]
fn exempt_entries_that_miss_their_mark_are_pointed_at() {
    assert_snapshot!(lines_of("exempt: [{namespace: automq, reason: x}]"), @"1:22: warning: `automq` is one of AutoMQ's namespaces: all its pods are AutoMQ pods, which need no exempt entry; help: remove this entry");
    let without = "presets: {exempt: false}";
    assert_snapshot!(lines_of(without), @r#"1:10: warning: no entry exempts `kube-system`, so PoolGuard treats CNI, kube-proxy and CSI pods on dedicated nodes as intruders; help: remove `presets: {exempt: false}`, or add `{namespace: kube-system, reason: "CNI, kube-proxy, CSI"}` to `exempt`"#);
    assert_eq!(lines_of(&format!("{without}\nexempt: [{{namespace: 'kube-*', reason: x}}]")), "");
}

#[test]
fn machine_types_that_judge_nothing_are_pointed_at() {
    let pools = "pools: [{name: p, nodes: {matchLabels: {pool: a}}}, {name: q, nodes: {matchLabels: {pool: b}}, machineTypes: [x]}]";
    assert_snapshot!(lines_of(&format!("provider: huawei\n{pools}")), @"2:9: warning: PoolGuard has no list of machine types for `huawei`, so `node-machine-type` does not judge the nodes of `p`; help: add `machineTypes` to these pools, or a list to `catalog`");
    let off = "rules: {node-machine-type: {mode: off}}";
    assert_eq!(lines_of(&format!("provider: huawei\n{pools}\n{off}")), "");
    let enforce = "rules: {node-machine-type: {mode: enforce}}";
    assert_snapshot!(lines_of(&format!("provider: aws\n{pools}\n{enforce}")), @"3:28: warning: AutoMQ did not publish the built-in machine types as an allow-list, so `node-machine-type` only warns; help: add `machineTypes` to the pools, or a list with `mode: replace` to `catalog`");
    assert_eq!(lines_of(&format!("provider: gcp\n{pools}\n{enforce}")), "");
}

#[test]
fn the_rest_is_pointed_at() {
    assert_snapshot!(lines_of("discovery: {enabled: false}"), @"1:12: warning: the config \
     declares no pool and turns discovery off, so PoolGuard protects no node. It still protects AutoMQ's permissions; help: declare \
     `pools`, or remove `discovery`");
    assert_snapshot!(lines_of("rules: {node-zone: {denyJoin: true}}"), @"1:31: warning: `denyJoin` has no effect while `node-zone` is in mode warn; help: use it only with `mode: enforce`");
    assert_snapshot!(lines_of("backstop: {mode: managed}\nrules: {pod-intrusion: {mode: warn}}"), @"1:18: warning: there is no backstop while `pod-intrusion` is in mode warn, because a backstop can only deny; help: to have a backstop, set `mode: enforce` for `pod-intrusion`");
    assert_eq!(lines_of("backstop: {mode: managed}"), "");
    assert_snapshot!(lines_of("provider: aws\npools: [{name: p, nodes: {matchLabels: {pool: a}}, role: automq-node}]"), @"2:58: warning: `automq-node` is not the ARN of an IAM role, so no item of `aws-auth` can match it; help: write the ARN of this role in your account, for example `arn:aws:iam::111122223333:role/automq-node`");
    assert_snapshot!(lines_of("\
pools: [{name: p, nodes: {matchLabels: {pool: a}}, zones: [a]}]
instances: [{name: i, namespace: automq, pool: p, zoneSpread: DoNotSchedule}]"), @"2:63: warning: instance `i` sets `zoneSpread`, but its pool has only zone a, so `zoneSpread` has no effect; help: remove `zoneSpread`");
}
