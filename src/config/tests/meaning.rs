//! Errors of meaning, each naming both sides.

use insta::assert_snapshot;

use super::*;

const POOL_A: &str = "pools: [{name: pool-a, nodes: {matchLabels: {pool: a}}}]\n";

#[test]
fn an_instance_needs_its_pool_and_one_of_automqs_namespaces() {
    let text = format!(
        "{HEAD}automq: {{namespaces: [automq]}}
pools:
- {{name: pool-a, nodes: {{matchLabels: {{pool: a}}}}}}
instances:
- {{name: one, namespace: kafka, pool: pool-b}}
"
    );
    assert_snapshot!(errors_of(&text), @r"
    warning: `role-binding` enforces, and nobody is trusted: AutoMQ's console could not change its own objects
     --> config.yaml:1:1
      |
    1 | apiVersion: poolguard.io/v1alpha1
      | ^^^^^^^^^^
      |
      = help: add the console's identity to `principals.trusted`; `user.username` in the API server's audit log shows it

    error: instance `one` is in namespace `kafka`, which is not one of AutoMQ's
     --> config.yaml:7:26
      |
    3 | automq: {namespaces: [automq]}
      |                      -------- AutoMQ's namespaces are these
    ...
    7 | - {name: one, namespace: kafka, pool: pool-b}
      |                          ^^^^^
      |
      = help: add `kafka` to `automq.namespaces`

    error: instance `one` is bound to pool `pool-b`, which `pools` does not have
     --> config.yaml:7:39
      |
    7 | - {name: one, namespace: kafka, pool: pool-b}
      |                                       ^^^^^^
      |
      = help: did you mean `pool-a`?
    ");
    assert_snapshot!(lines_of("instances: [{name: one, namespace: automq, pool: p}]"), @"1:50: instance `one` is bound to pool `p`, which `pools` does not have; help: declare the pool `p` in `pools`");
    assert_snapshot!(lines_of(&format!("{POOL_A}instances: [{{name: a, namespace: 'a*', pool: pool-a}}]")), @"2:34: instance `a` has a glob for its namespace: `a*`; help: an instance lives in one namespace: name it");
}

#[test]
fn names_and_selectors_are_unique() {
    let pools = "\
pools:
- {name: a, nodes: {matchLabels: {x: '1', y: '2'}}}
- {name: b, nodes: {matchLabels: {y: '2'}, matchExpressions: [{key: x, operator: In, values: ['1']}]}}
- {name: a, nodes: {matchLabels: {z: '3'}}}
instances:
- {name: i, namespace: automq, pool: a, pods: {matchLabels: {i: '1'}}}
- {name: i, namespace: automq, pool: b, pods: {matchLabels: {i: '2'}}}
protected:
- {name: p, resource: configmaps, names: [a]}
- {name: p, resource: configmaps, names: [b]}
";
    assert_snapshot!(errors_of(&format!("{HEAD}{CONSOLE}{pools}")), @r"
    error: pools `a` and `b` select the same nodes: y=2,x=1
     --> config.yaml:6:20
      |
    5 | - {name: a, nodes: {matchLabels: {x: '1', y: '2'}}}
      |                    ------------------------------- pool `a` selects them here
    6 | - {name: b, nodes: {matchLabels: {y: '2'}, matchExpressions: [{key: x, operator: In, values: ['1']}]}}
      |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: two pool entries have the name `a`
     --> config.yaml:7:10
      |
    5 | - {name: a, nodes: {matchLabels: {x: '1', y: '2'}}}
      |          - the first is here
    6 | - {name: b, nodes: {matchLabels: {y: '2'}, matchExpressions: [{key: x, operator: In, values: ['1']}]}}
    7 | - {name: a, nodes: {matchLabels: {z: '3'}}}
      |          ^

    error: two instance entries have the name `i`
      --> config.yaml:10:10
       |
     9 | - {name: i, namespace: automq, pool: a, pods: {matchLabels: {i: '1'}}}
       |          - the first is here
    10 | - {name: i, namespace: automq, pool: b, pods: {matchLabels: {i: '2'}}}
       |          ^

    error: two protected entries have the name `p`
      --> config.yaml:13:10
       |
    12 | - {name: p, resource: configmaps, names: [a]}
       |          - the first is here
    13 | - {name: p, resource: configmaps, names: [b]}
       |          ^
    ");
}

#[test]
fn a_pool_selects_something_and_is_in_one_zone_or_three() {
    let pool =
        |rest: &str| format!("pools: [{{name: a, nodes: {{matchLabels: {{x: y}}}}, {rest}}}]");
    assert_snapshot!(lines_of("pools: [{name: a, nodes: {}}]"), @"1:26: pool `a` has no condition on its nodes, so that every node would be its own; help: give `nodes` the `matchLabels` that the pool's nodes have");
    assert_snapshot!(lines_of(&pool("zones: []")), @"1:56: pool `a` has an empty list of zones; help: name one zone or three, or leave the key out so that zones are not judged");
    assert_snapshot!(lines_of(&pool("zones: [a, b]")), @"1:56: pool `a` has two zones; a pool of AutoMQ's is in one zone or spans three; help: make it two pools of one zone each, or name the third zone");
    assert_snapshot!(lines_of(&pool("zones: [a, b, c, d]")), @"1:56: pool `a` has 4 zones; a pool of AutoMQ's is in one zone or spans three; help: name one zone or three");
    assert_snapshot!(lines_of(&pool("zones: [a, a, b]")), @r"
    1:56: pool `a` has two zones; a pool of AutoMQ's is in one zone or spans three; help: make it two pools of one zone each, or name the third zone
    1:60: the zone `a` is there twice
    ");
    assert_snapshot!(lines_of(&pool("zones: ['a b']")), @"1:57: the zone `a b` may hold letters, digits, `-`, `_` and `.`, and starts and ends with a letter or a digit");
    assert_snapshot!(lines_of(&pool("machineTypes: []")), @"1:63: pool `a` has an empty list of machine types; help: name the types, or leave the key out for those of the catalog");
    assert_snapshot!(lines_of(&pool("role: ''")), @"1:55: the role of pool `a` is empty");
    for fine in ["zones: [a]", "zones: [a, b, c]", "machineTypes: [r6in.large]", "taint: {}"] {
        assert_eq!(lines_of(&pool(fine)), "", "{fine}");
    }
}

#[test]
fn selectors_are_what_kubernetes_takes() {
    let nodes = |selector: &str| lines_of(&format!("pools: [{{name: a, nodes: {selector}}}]"));
    assert_snapshot!(nodes("{matchLabels: {'a b': c}}"), @"1:48: label key `a b` may hold letters, digits, `-`, `_` and `.`, and starts and ends with a letter or a digit");
    assert_snapshot!(nodes("{matchLabels: {a: 'b c'}}"), @"1:44: label value `b c` may hold letters, digits, `-`, `_` and `.`, and starts and ends with a letter or a digit");
    assert_snapshot!(nodes("{matchExpressions: [{key: a, operator: In}]}"), @"1:46: operator In needs at least one value");
    assert_snapshot!(nodes("{matchExpressions: [{key: a, operator: Exists, values: [b]}]}"), @"1:46: operator Exists takes no values");
    assert_snapshot!(nodes("{matchExpressions: [{key: a, operator: in}]}"), @"1:65: expected one of `In`, `NotIn`, `Exists`, `DoesNotExist` in `pools[0].nodes.matchExpressions[0].operator`, found `in`; did you mean `In`?");
    assert_snapshot!(nodes("{matchExpressions: [{operator: Exists}]}"), @"1:46: missing key `key` in `pools[0].nodes.matchExpressions[0]`; help: Label key");
}

#[test]
fn taints_are_what_kubernetes_takes() {
    assert_snapshot!(lines_of("taint: {key: 'a b', value: 'c d'}"), @r"
    1:14: the taint key `a b` may hold letters, digits, `-`, `_` and `.`, and starts and ends with a letter or a digit
    1:28: the taint value `c d` may hold letters, digits, `-`, `_` and `.`, and starts and ends with a letter or a digit
    ");
    assert_snapshot!(lines_of("pools: [{name: a, nodes: {matchLabels: {x: y}}, taint: {key: ''}}]"), @"1:62: the taint key `` is empty");
    assert_snapshot!(lines_of("placement: {transientTaints: ['ded*']}"), @"1:31: the transient taint `ded*` takes in the pools' own taint `dedicated=automq:NoSchedule`; help: a taint that is ignored keeps nobody out: narrow the glob");
    assert_eq!(lines_of("taint: {value: ''}"), "");
}

#[test]
fn globs_know_two_wildcards() {
    assert_snapshot!(lines_of("automq: {namespaces: ['automq-[0-9]'], serviceAccounts: ['']}"), @r"
    1:23: the name or glob `automq-[0-9]` has a character that no name has; a glob knows `*` and `?` only
    1:58: the name or glob `` is empty
    ");
    assert_snapshot!(lines_of("automq: {namespaces: []}"), @"1:22: `automq.namespaces` is empty, so that no pod would be AutoMQ's; help: name AutoMQ's namespaces, or leave the key out for `[automq]`");
    assert_snapshot!(lines_of("placement: {transientTaints: ['{a,b}']}"), @"1:31: the name or glob `{a,b}` has a character that no name has; a glob knows `*` and `?` only");
}

#[test]
fn exempt_entries_say_where_and_why() {
    assert_snapshot!(lines_of("exempt: [{reason: x}, {namespace: kube-system}]"), @r"
    1:10: missing key `namespace` in `exempt[0]`; help: Namespace, name or glob
    1:23: missing key `reason` in `exempt[1]`; help: Why, for people and records
    ");
    assert_snapshot!(lines_of("exempt: [{namespace: kube-system, reason: ' '}]"), @"1:43: the reason of an exempt entry is empty; help: say why these pods may run on dedicated nodes; records quote it");
}

#[test]
fn protected_entries_name_what_exists() {
    let entry = |rest: &str| lines_of(&format!("protected: [{{name: p, {rest}}}]"));
    assert_snapshot!(entry("resource: RoleBinding, names: [a]"), @"1:33: the resource `RoleBinding` is not `plural` or `plural.group`, in lower case; help: `kubectl api-resources` lists them, as `configmaps` or `rolebindings.rbac.authorization.k8s.io`");
    assert_snapshot!(entry("resource: rolebindings, names: [a]"), @"1:33: the API server has no resource `rolebindings`; help: write `rolebindings.rbac.authorization.k8s.io`");
    assert_snapshot!(entry("resource: clusterrolebinding, names: [a]"), @"1:33: the API server has no resource `clusterrolebinding`; help: write `clusterrolebindings.rbac.authorization.k8s.io`");
    assert_snapshot!(entry("resource: rolebindings.rbac, names: [a]"), @"1:33: the API server has no resource `rolebindings.rbac`; help: write `rolebindings.rbac.authorization.k8s.io`");
    assert_snapshot!(entry("resource: configmap, names: [a]"), @"1:33: the API server has no resource `configmap`; help: write `configmaps`");
    // The plurals of other groups are theirs.
    assert_eq!(entry("resource: jobs.batch.volcano.sh, names: [a]"), "");
    assert_eq!(entry("resource: roles.iam.aws.crossplane.io, names: [a]"), "");
    assert_snapshot!(entry("resource: configmaps, names: []"), @r#"1:52: `names` is empty, so that nothing is protected; help: name the objects, or write `["*"]` for all of them"#);
    assert_snapshot!(entry("resource: configmaps"), @"1:13: missing key `names` in `protected[0]`; help: Names of the objects, names or globs");
    assert_snapshot!(entry("resource: configmaps, names: [a], fields: [data, '']"), @r"
    1:66: `data` is not a JSON pointer; help: it begins with `/`, as `/data/mapRoles`; in a key, `~1` stands for `/` and `~0` for `~`
    1:72: the JSON pointer of a field is empty, which stands for the whole object; help: leave `fields` out to guard everything but `metadata` and `status`
    ");
    assert_snapshot!(entry("resource: configmaps, names: [a], fields: []"), @"1:65: `fields` is empty, so that nothing is guarded; help: name the fields, or leave the key out to guard everything but `metadata` and `status`");
    assert_snapshot!(entry("resource: configmaps, names: [a], mustKeepItems: [{by: a, value: b}]"), @"1:72: `mustKeepItems` needs `fields`: the field that holds the list; help: add, for `aws-auth`, `fields: [/data/mapRoles]`");
    assert_snapshot!(entry("resource: configmaps, names: [a], fields: [/a], mustKeepItems: [{by: ''}]"), @r"
    1:87: missing key `value` in `protected[0].mustKeepItems[0]`; help: The value of that key
    1:92: `by` is empty: name a key of the items
    ");
    assert_snapshot!(entry("resource: configmaps, names: [a], fields: [/a], mustKeepItems: []"), @"1:86: `mustKeepItems` is empty, so that every item may go; help: leave the key out to guard the whole field");
    assert_snapshot!(entry("resource: clusterroles.rbac.authorization.k8s.io, namespace: a, names: [a]"), @"1:84: `clusterroles.rbac.authorization.k8s.io` have no namespace, so that none is in `a`; help: leave `namespace` out");
}

#[test]
fn principals_are_written_as_they_are_compared() {
    assert_snapshot!(lines_of("breakGlass: {groups: ['', 'admin*']}"), @r"
    1:23: a break-glass group has no name
    1:27: the break-glass group `admin*` is a glob; help: name the group: whoever is in it passes every rule
    ");
    let trusted = |accounts: &str| {
        let text = format!("{HEAD}principals: {{trusted: {{serviceAccounts: [{accounts}]}}}}\n");
        errors_of(&text)
    };
    assert_snapshot!(trusted("'system:serviceaccount:argocd:controller'"), @r"
    error: the service account `system:serviceaccount:argocd:controller` is not `namespace/name`
     --> config.yaml:3:42
      |
    3 | principals: {trusted: {serviceAccounts: ['system:serviceaccount:argocd:controller']}}
      |                                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `argocd/controller`
    ");
    assert_snapshot!(trusted("controller"), @r"
    error: the service account `controller` is not `namespace/name`
     --> config.yaml:3:42
      |
    3 | principals: {trusted: {serviceAccounts: [controller]}}
      |                                          ^^^^^^^^^^
    ");
}

#[test]
fn durations_have_units() {
    assert_snapshot!(lines_of("scan: {interval: '10'}\nsnapshot: {maxAge: 10 minutes}"), @r"
    1:18: `10` has no unit: `h`, `m`, `s` or `ms`
    2:20: `10 minutes` is not a duration such as `10m`, `90s` or `1h30m`
    ");
}

#[test]
fn a_broken_part_is_reported_once() {
    assert_snapshot!(lines_of("\
automq: {namespaces: 5}
pools: [{nmae: a, nodes: {matchLabels: {a: 1}}}, {name: b, nodes: {matchlabels: {a: b}}}]
instances: [{name: i, namespace: kafka, pool: a}]
protected: [{name: p, resource: configmaps, names: [a], field: [/a], mustKeepItems: [{by: a, value: b}]}]
"), @r"
    1:22: expected a list in `automq.namespaces`, found the number 5
    2:10: unknown key `nmae` in `pools[0]`; did you mean `name`?
    2:44: expected a string in `pools[0].nodes.matchLabels.a`, found the number 1; help: put it in quotes
    2:68: unknown key `matchlabels` in `pools[1].nodes`; did you mean `matchLabels`?
    4:57: unknown key `field` in `protected[0]`; did you mean `fields`?
    ");
}
