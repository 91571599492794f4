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
    warning: `principals.trusted` is empty, so `role-binding` denies the console's changes to the bindings, roles and service accounts that give AutoMQ its permissions
    --> config.yaml
     = help: add the user of AutoMQ's console to `principals.trusted.users`; `user.username` in the API server's audit log shows it

    error: instance `one` is in namespace `kafka`, but `automq.namespaces` does not contain it
     --> config.yaml:7:26
      |
    3 | automq: {namespaces: [automq]}
      |                      -------- these are AutoMQ's namespaces
    ...
    7 | - {name: one, namespace: kafka, pool: pool-b}
      |                          ^^^^^
      |
      = help: correct the namespace of the instance. Or, if all pods of namespace `kafka` may run on the pools, add the namespace to `automq.namespaces`

    error: instance `one` uses pool `pool-b`, but `pools` does not declare it
     --> config.yaml:7:39
      |
    7 | - {name: one, namespace: kafka, pool: pool-b}
      |                                       ^^^^^^
      |
      = help: the only declared pool is `pool-a`
    ");
    assert_snapshot!(lines_of("instances: [{name: one, namespace: automq, pool: p}]"), @"1:50: instance `one` uses pool `p`, but `pools` does not declare it; help: declare the pool `p` under `pools`");
    assert_snapshot!(lines_of(&format!("{POOL_A}instances: [{{name: a, namespace: 'a*', pool: pool-a}}]")), @"2:34: the namespace of instance `a` is a glob: `a*`; help: write the exact namespace: an instance uses one namespace");
}

#[test]
fn an_outage_without_a_backstop_is_closed() {
    assert_snapshot!(lines_of("onOutage: backstop"), @"1:11: `onOutage: backstop` needs a backstop, and `backstop.mode` is off; help: add `backstop: {mode: managed}`");
    assert_snapshot!(lines_of("backstop: {mode: managed}\nonOutage: backstop\nregistration: external"), @"2:11: with `registration: external`, PoolGuard cannot change the failurePolicy of the webhooks; help: remove `onOutage`: while PoolGuard does not answer, the API server then rejects new pods that tolerate a pool's taint or have `spec.nodeName`, except AutoMQ pods, exempt pods and pods of DaemonSets, also with a backstop");
    assert_snapshot!(lines_of("backstop: {mode: managed}\nonOutage: backstop"), @"");
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
    assert_snapshot!(lines_of("pools: [{name: a, nodes: {}}]"), @"1:26: `nodes` of pool `a` has no condition, so every node of the cluster would belong to this pool; help: add to `nodes` the `matchLabels` that select the pool's nodes");
    assert_snapshot!(lines_of(&pool("zones: []")), @"1:56: pool `a` has an empty list of zones; \
     help: list one zone or three; or remove this key, and PoolGuard does not judge zones");
    assert_snapshot!(lines_of(&pool("zones: [a, b]")), @"1:56: pool `a` has two zones, but an AutoMQ pool has one zone or three; help: declare two pools with one zone each, or add the third zone");
    assert_snapshot!(lines_of(&pool("zones: [a, b, c, d]")), @"1:56: pool `a` has 4 zones, but an AutoMQ pool has one zone or three; help: list one zone or three");
    assert_snapshot!(lines_of(&pool("zones: [a, a, b]")), @r"
    1:56: pool `a` has two zones, but an AutoMQ pool has one zone or three; help: declare two pools with one zone each, or add the third zone
    1:60: the zone `a` is listed twice
    ");
    assert_snapshot!(lines_of(&pool("zones: ['a b']")), @"1:57: the zone `a b` is not valid: use \
     only letters, digits, `-`, `_` and `.`, and start and end with a letter or a digit");
    assert_snapshot!(lines_of(&pool("machineTypes: []")), @"1:63: pool `a` has an empty list of \
     machine types; help: list the types, or remove this key to use the catalog's types");
    assert_snapshot!(lines_of(&pool("role: ''")), @"1:55: the role of pool `a` is empty");
    for fine in ["zones: [a]", "zones: [a, b, c]", "machineTypes: [r6in.large]", "taint: {}"] {
        assert_eq!(lines_of(&pool(fine)), "", "{fine}");
    }
}

#[test]
fn selectors_are_what_kubernetes_takes() {
    let nodes = |selector: &str| lines_of(&format!("pools: [{{name: a, nodes: {selector}}}]"));
    assert_snapshot!(nodes("{matchLabels: {'a b': c}}"), @"1:48: label key `a b` is not valid: \
     after the optional prefix `DOMAIN/`, use only letters, digits, `-`, `_` and `.`, and start and end with a letter or a digit");
    assert_snapshot!(nodes("{matchLabels: {a: 'b c'}}"), @"1:44: label value `b c` is not valid: \
     use only letters, digits, `-`, `_` and `.`, and start and end with a letter or a digit");
    assert_snapshot!(nodes("{matchExpressions: [{key: a, operator: In}]}"), @"1:46: operator In needs at least one value");
    assert_snapshot!(nodes("{matchExpressions: [{key: a, operator: Exists, values: [b]}]}"), @"1:46: operator Exists takes no values");
    assert_snapshot!(nodes("{matchExpressions: [{key: a, operator: in}]}"), @"1:65: expected one of `In`, `NotIn`, `Exists`, `DoesNotExist` in `pools[0].nodes.matchExpressions[0].operator`, found `in`; did you mean `In`?");
    assert_snapshot!(nodes("{matchExpressions: [{operator: Exists}]}"), @"1:46: missing key `key` in `pools[0].nodes.matchExpressions[0]`; help: add `key: …`: the key of the label");
}

#[test]
fn taints_are_what_kubernetes_takes() {
    assert_snapshot!(lines_of("taint: {key: 'a b', value: 'c d'}"), @r"
    1:14: the taint key `a b` is not valid: after the optional prefix `DOMAIN/`, use only letters, digits, `-`, `_` and `.`, and start and end with a letter or a digit
    1:28: the taint value `c d` is not valid: use only letters, digits, `-`, `_` and `.`, and start and end with a letter or a digit
    ");
    assert_snapshot!(lines_of("pools: [{name: a, nodes: {matchLabels: {x: y}}, taint: {key: ''}}]"), @"1:62: the taint key `` is empty");
    assert_snapshot!(lines_of("placement: {transientTaints: ['ded*']}"), @"1:31: the transient taint `ded*` matches the pools' own taint `dedicated=automq:NoSchedule`; help: PoolGuard would then ignore the pools' taint: write a more exact pattern");
    assert_eq!(lines_of("taint: {value: ''}"), "");
}

#[test]
fn globs_know_two_wildcards() {
    assert_snapshot!(lines_of("automq: {namespaces: ['automq-[0-9]'], serviceAccounts: ['']}"), @r"
    1:23: the name or glob `automq-[0-9]` contains a character that no name has; the only wildcards are `*` and `?`
    1:58: the name or glob `` is empty
    ");
    assert_snapshot!(lines_of("automq: {namespaces: []}"), @"1:22: `automq.namespaces` is empty, \
     so no pod would be an AutoMQ pod; help: list AutoMQ's namespaces, or remove this key to use \
     the default `[automq]`");
    assert_snapshot!(lines_of("placement: {transientTaints: ['{a,b}']}"), @"1:31: the name or \
     glob `{a,b}` contains a character that no name has; the only wildcards are `*` and `?`");
}

#[test]
fn exempt_entries_say_where_and_why() {
    assert_snapshot!(lines_of("exempt: [{reason: x}, {namespace: kube-system}]"), @r"
    1:10: missing key `namespace` in `exempt[0]`; help: add `namespace: …`: the namespace, as a name or glob
    1:23: missing key `reason` in `exempt[1]`; help: add `reason: …`: a short text that says why these pods are exempt; records and reports quote it
    ");
    assert_snapshot!(lines_of("exempt: [{namespace: kube-system, reason: ' '}]"), @"1:43: the \
     `reason` of this exempt entry is empty; help: write why these pods may run on dedicated \
     nodes; records and reports quote this text");
}

#[test]
fn names_are_written_without_their_namespace() {
    assert_snapshot!(lines_of("automq: {serviceAccounts: [automq/kafka]}"), @"1:28: `automq/kafka` matches nothing: a name has no `/` and no `:`; help: write `kafka`, without its namespace or kind");
    let entry = |rest: &str| lines_of(&format!("exempt: [{{reason: r, {rest}}}]"));
    assert_snapshot!(entry("namespace: logging, daemonSets: [logging/fluent-bit]"), @"1:55: `logging/fluent-bit` matches nothing: a name has no `/` and no `:`; help: write `fluent-bit`, without its namespace or kind");
    assert_snapshot!(entry("namespace: 'system:x', serviceAccounts: ['system:serviceaccount:a:b', 'a/']"), @r"
    1:33: `system:x` matches nothing: a name has no `/` and no `:`; help: write `x`, without its namespace or kind
    1:63: `system:serviceaccount:a:b` matches nothing: a name has no `/` and no `:`; help: write `b`, without its namespace or kind
    1:92: `a/` matches nothing: a name has no `/` and no `:`
    ");
    assert_eq!(entry("namespace: 'log*', daemonSets: ['fluent-?it*']"), "");
}

#[test]
fn what_is_misspelt_names_what_was_meant() {
    assert_snapshot!(lines_of("automq: {namespaces: [kafka-one]}\npools: [{name: p, nodes: {matchLabels: {a: b}}}]\ninstances: [{name: one, namespace: kafka-on, pool: p}]"), @"3:36: instance `one` is in namespace `kafka-on`, but `automq.namespaces` does not contain it; did you mean `kafka-one`?; help: correct the namespace of the instance. Or, if all pods of namespace `kafka-on` may run on the pools, add the namespace to `automq.namespaces`");
    assert_snapshot!(lines_of("nodePoolObjects: [nodepool.karpenter.sh]"), @"1:19: `nodepool.karpenter.sh` is not a node-pool object that PoolGuard knows; help: did you mean `nodepools.karpenter.sh`?");
}

#[test]
fn protected_entries_name_what_exists() {
    let entry = |rest: &str| lines_of(&format!("protected: [{{name: p, {rest}}}]"));
    assert_snapshot!(entry("resource: RoleBinding, names: [a]"), @"1:33: the resource `RoleBinding` does not have the form `plural` or `plural.group` in lower case; help: write it as `configmaps` or `rolebindings.rbac.authorization.k8s.io`; `kubectl api-resources` lists the resources");
    assert_snapshot!(entry("resource: rolebindings, names: [a]"), @"1:33: the API server has no resource `rolebindings`; help: write `rolebindings.rbac.authorization.k8s.io`");
    assert_snapshot!(entry("resource: clusterrolebinding, names: [a]"), @"1:33: the API server has no resource `clusterrolebinding`; help: write `clusterrolebindings.rbac.authorization.k8s.io`");
    assert_snapshot!(entry("resource: rolebindings.rbac, names: [a]"), @"1:33: the API server has no resource `rolebindings.rbac`; help: write `rolebindings.rbac.authorization.k8s.io`");
    assert_snapshot!(entry("resource: configmap, names: [a]"), @"1:33: the API server has no resource `configmap`; help: write `configmaps`");
    assert_snapshot!(entry("resource: configmapz, names: [a]"), @"1:33: warning: Kubernetes has no resource `configmapz`; help: did you mean `configmaps`?");
    assert_snapshot!(entry("resource: rolebindings.rbac.authorisation.k8s.io, names: [a]"), @"1:33: warning: Kubernetes has no resource `rolebindings.rbac.authorisation.k8s.io`; help: did you mean `rolebindings.rbac.authorization.k8s.io`?");
    // What Kubernetes has, too.
    assert_eq!(entry("resource: secrets, names: [a]"), "");
    // The plurals of other groups are theirs.
    assert_eq!(entry("resource: jobs.batch.volcano.sh, names: [a]"), "");
    assert_eq!(entry("resource: roles.iam.aws.crossplane.io, names: [a]"), "");
    assert_snapshot!(entry("resource: configmaps, names: []"), @r#"1:52: `names` is empty, so this entry protects nothing; help: list the names of the objects, or write `["*"]` for all objects"#);
    assert_snapshot!(entry("resource: configmaps"), @"1:13: missing key `names` in `protected[0]`; help: add `names: …`: the names of the objects, as names or globs");
    assert_snapshot!(entry("resource: configmaps, names: [a], fields: [data, '']"), @r"
    1:66: `data` is not a JSON pointer; help: start it with `/`, for example `/data/mapRoles`; in a key, write `~1` for `/` and `~0` for `~`
    1:72: the JSON pointer of a field is empty, and an empty pointer means the whole object; help: remove `fields` to protect everything except `metadata` and `status`
    ");
    assert_snapshot!(entry("resource: configmaps, names: [a], fields: []"), @"1:65: `fields` is \
     empty, so this entry protects nothing; help: list the fields, or remove this key to protect \
     everything except `metadata` and `status`");
    assert_snapshot!(entry("resource: configmaps, names: [a], mustKeepItems: [{by: a, value: b}]"), @"\
     1:72: `mustKeepItems` requires `fields`, which names the field that contains the list; help: \
     for `aws-auth`, add `fields: [/data/mapRoles]`");
    assert_snapshot!(entry("resource: configmaps, names: [a], fields: [/a], mustKeepItems: [{by: ''}]"), @r"
    1:87: missing key `value` in `protected[0].mustKeepItems[0]`; help: add `value: …`: the value of this key
    1:92: `by` is empty: write a key of the items
    ");
    assert_snapshot!(entry("resource: configmaps, names: [a], fields: [/a], mustKeepItems: []"), @"\
     1:86: `mustKeepItems` is empty, so anyone could remove every item; help: remove this key to \
     protect the whole field");
    assert_snapshot!(entry("resource: clusterroles.rbac.authorization.k8s.io, namespace: a, names: [a]"), @"1:84: objects of `clusterroles.rbac.authorization.k8s.io` have no namespace, so none is in `a`; help: remove `namespace`");
}

#[test]
fn principals_are_written_as_they_are_compared() {
    assert_snapshot!(lines_of("breakGlass: {groups: ['', 'admin*']}"), @r"
    1:23: a break-glass group has no name
    1:27: the break-glass group `admin*` is a glob, and globs are not allowed here; help: write the exact name of the group, because its members bypass every rule
    ");
    let trusted = |accounts: &str| {
        let text = format!("{HEAD}principals: {{trusted: {{serviceAccounts: [{accounts}]}}}}\n");
        errors_of(&text)
    };
    assert_snapshot!(trusted("'system:serviceaccount:argocd:controller'"), @r"
    error: the service account `system:serviceaccount:argocd:controller` does not have the form `namespace/name`
     --> config.yaml:3:42
      |
    3 | principals: {trusted: {serviceAccounts: ['system:serviceaccount:argocd:controller']}}
      |                                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `argocd/controller`
    ");
    assert_snapshot!(trusted("controller"), @r"
    error: the service account `controller` does not have the form `namespace/name`
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
