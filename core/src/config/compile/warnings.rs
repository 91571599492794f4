//! Warnings about configs that are valid, but probably do not mean what they say.

use crate::{
    config::{collector::DiagnosticCollector, cursor::TreeCursor, presets::presets, raw::Raw},
    kubernetes::name::any_matches,
    policy::{
        Policy,
        mode::{BackstopMode, JoinMode, Mode, RuleName},
        provider::Provider,
    },
};

/// Groups that contain all users, or all users of one kind.
const BROAD_GROUPS: [&str; 5] = [
    "system:authenticated",
    "system:unauthenticated",
    "system:serviceaccounts",
    "system:nodes",
    "system:masters",
];

pub(super) fn warn(
    policy: &Policy,
    raw: &Raw,
    root: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) {
    automq_globs(raw, root, report);
    nothing_dedicated(policy, raw, root, report);
    pool_roles(policy, raw, root, report);
    empty_catalog(policy, raw, root, report);
    idle_instances(raw, root, report);
    zone_spread(raw, root, report);
    exemptions(policy, raw, root, report);
    wide_principals(raw, root, report);
    untrusted_console(policy, root, report);
    joins(policy, raw, root, report);
    idle_backstop(policy, root, report);
}

fn automq_globs(raw: &Raw, root: &TreeCursor<'_>, report: &mut DiagnosticCollector) {
    let at = root.key("automq").key("namespaces");
    for (at, text) in at.items(&raw.automq.namespaces) {
        if text.contains(['*', '?']) {
            report.push(
                at.warning(format!(
                    "anyone who can create a namespace that matches `{text}` can run pods on the \
                     pools"
                ))
                .with_help("list AutoMQ's namespaces by their exact names, if you know them"),
            );
        }
    }
}

fn nothing_dedicated(
    policy: &Policy,
    raw: &Raw,
    root: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) {
    if !policy.discovery && raw.pools.is_empty() && !report.is_broken(root.key("pools").path()) {
        report.push(
            root.key("discovery")
                .warning(
                    "the config declares no pool and turns discovery off, so PoolGuard \
                 protects no node. It still protects AutoMQ's permissions",
                )
                .with_help("declare `pools`, or remove `discovery`"),
        );
    }
}

fn pool_roles(policy: &Policy, raw: &Raw, root: &TreeCursor<'_>, report: &mut DiagnosticCollector) {
    if policy.provider != Some(Provider::Aws) {
        return;
    }
    for (at, pool) in root.key("pools").items(&raw.pools) {
        if let Some(role) = &pool.role
            && !role.is_empty()
            && !(role.starts_with("arn:") && role.contains(":role/"))
        {
            report.push(
                at.key("role")
                    .warning(format!(
                        "`{role}` is not the ARN of an IAM role, so no item of `aws-auth` can \
                         match it"
                    ))
                    .with_help("write the ARN of this role in your account, for example `arn:aws:iam::111122223333:role/automq-node`"),
            );
        }
    }
}

fn empty_catalog(
    policy: &Policy,
    raw: &Raw,
    root: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) {
    let Some(provider) = policy.provider else { return };
    if !policy.machine_types.names.is_empty()
        || policy.rules.mode(RuleName::NodeMachineType) == Mode::Off
        || report.is_broken(root.key("catalog").path())
    {
        return;
    }
    let without = |(at, pool)| {
        let pool: &crate::config::raw::Pool = pool;
        let name = pool.name.as_ref()?;
        pool.machine_types.is_none().then(|| (at, format!("`{name}`")))
    };
    let pools = root.key("pools");
    let (places, names): (Vec<TreeCursor<'_>>, Vec<String>) =
        pools.items(&raw.pools).filter_map(without).unzip();
    let Some(first) = places.first() else { return };
    report.push(
        first
            .warning(format!(
                "PoolGuard has no list of machine types for `{provider}`, so `node-machine-type` \
                 does not judge the nodes of {}",
                names.join(", ")
            ))
            .with_help("add `machineTypes` to these pools, or a list to `catalog`"),
    );
}

/// Warns about instances that never have a pod, because an earlier instance matches all their pods.
fn idle_instances(raw: &Raw, root: &TreeCursor<'_>, report: &mut DiagnosticCollector) {
    let at = root.key("instances");
    for (later, (later_at, instance)) in at.items(&raw.instances).enumerate() {
        let (Some(name), Some(namespace)) = (&instance.name, &instance.namespace) else { continue };
        let earlier = raw.instances.iter().take(later).enumerate().find(|(index, earlier)| {
            earlier.namespace.as_ref() == Some(namespace)
                && (is_everything(&earlier.pods) || is_same(&earlier.pods, &instance.pods))
                && !report.is_broken(at.index(*index).path())
        });
        let Some((index, earlier)) = earlier else { continue };
        let Some(earlier_name) = &earlier.name else { continue };
        let takes = if is_everything(&earlier.pods) {
            format!("every pod of namespace `{namespace}`")
        } else {
            "the same pods".to_owned()
        };
        report.push(
            later_at
                .warning(format!(
                    "instance `{name}` never has a pod, because the earlier instance \
                     `{earlier_name}` matches {takes}"
                ))
                .with_related(at.index(index).focus(), format!("`{earlier_name}` matches first"))
                .with_help("if instances share a namespace, set `pods` of each instance to the labels of its pods"),
        );
    }
}

fn is_everything(selector: &crate::config::raw::Selector) -> bool {
    selector.match_labels.is_empty() && selector.match_expressions.is_empty()
}

fn is_same(one: &crate::config::raw::Selector, other: &crate::config::raw::Selector) -> bool {
    one.match_labels == other.match_labels
        && one.match_expressions.is_empty()
        && other.match_expressions.is_empty()
}

fn zone_spread(raw: &Raw, root: &TreeCursor<'_>, report: &mut DiagnosticCollector) {
    for (at, instance) in root.key("instances").items(&raw.instances) {
        let pool = raw.pools.iter().find(|pool| pool.name.is_some() && pool.name == instance.pool);
        if let (Some(pool), Some(name), Some(_)) = (pool, &instance.name, instance.zone_spread)
            && let Some([zone]) = pool.zones.as_deref()
        {
            report.push(at.key("zoneSpread").warning(format!(
                "instance `{name}` sets `zoneSpread`, but its pool has only zone {zone}, so `zoneSpread` has no effect"
            )).with_help("remove `zoneSpread`"));
        }
    }
}

fn exemptions(policy: &Policy, raw: &Raw, root: &TreeCursor<'_>, report: &mut DiagnosticCollector) {
    let at = root.key("exempt");
    for (at, entry) in at.items(&raw.exempt) {
        let Some(namespace) = &entry.namespace else { continue };
        let at = at.key("namespace");
        if is_wide(namespace) && entry.service_accounts.is_empty() && entry.daemon_sets.is_empty() {
            report.push(at.warning(format!("`{namespace}` exempts all pods of all namespaces")));
        } else if policy.automq.is_by_namespace_only()
            && any_matches(&policy.automq.namespaces, namespace)
        {
            let globs = &policy.automq.namespaces;
            let is_named = globs.iter().any(|glob| glob.as_exact() == Some(namespace.as_str()));
            let glob = globs.iter().find(|glob| glob.matches(namespace)).filter(|_| !is_named);
            let (how, help) = match glob {
                Some(glob) => (
                    format!("matches `{glob}` in `automq.namespaces`"),
                    "remove this entry, or correct `automq.namespaces`",
                ),
                None => ("is one of AutoMQ's namespaces".to_owned(), "remove this entry"),
            };
            report.push(
                at.warning(format!(
                    "`{namespace}` {how}: all its pods are AutoMQ pods, which need no exempt entry"
                ))
                .with_help(help),
            );
        }
    }
    if !policy.exempt.iter().any(|entry| entry.namespace.matches("kube-system"))
        && !report.is_broken(at.path())
    {
        report.push(
            root.key("presets").warning(
                "no entry exempts `kube-system`, so PoolGuard treats CNI, kube-proxy and CSI pods \
                 on dedicated nodes as intruders",
            )
            .with_help(
                "remove `presets: {exempt: false}`, or add `{namespace: kube-system, reason: \
                \"CNI, kube-proxy, CSI\"}` to `exempt`",
            ),
        );
    }
}

fn wide_principals(raw: &Raw, root: &TreeCursor<'_>, report: &mut DiagnosticCollector) {
    let trusted = &raw.principals.trusted;
    let at = root.key("principals").key("trusted");
    for (key, list) in [
        ("users", &trusted.users),
        ("groups", &trusted.groups),
        ("serviceAccounts", &trusted.service_accounts),
    ] {
        for (at, text) in at.key(key).items(list) {
            if key == "users" && BROAD_GROUPS.contains(&text.as_str()) {
                let warning = at.warning(format!("`{text}` is the name of a group, not of a user"));
                report
                    .push(warning.with_help("write it under `groups` if you mean all its members"));
                continue;
            }
            let is_broad = key == "groups" && BROAD_GROUPS.contains(&text.as_str());
            if is_wide(text) || is_broad {
                report.push(at.warning(format!(
                    "`{text}` matches many more users than AutoMQ's console, so `node-taint`, \
                     `node-identity` and `role-binding` do not apply to any of these users"
                )));
            }
        }
    }
    for (at, group) in root.key("breakGlass").key("groups").items(&raw.break_glass.groups) {
        if BROAD_GROUPS.contains(&group.as_str()) {
            report.push(
                at.warning(format!("every member of `{group}` bypasses every rule all the time"))
                    .with_help(
                        "use a group that has no members; administrators impersonate it when they need it",
                    ),
            );
        }
    }
}

/// Whether a glob, or a pair of them, says nothing but `*`.
fn is_wide(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| matches!(character, '*' | '?' | '/'))
}

fn untrusted_console(policy: &Policy, root: &TreeCursor<'_>, report: &mut DiagnosticCollector) {
    let at = root.key("principals").key("trusted");
    if policy.rules.mode(RuleName::RoleBinding) != Mode::Enforce
        || !policy.trusted.configured.is_empty()
        || report.is_broken(at.path())
    {
        return;
    }
    report.push(
        at.warning(
            "`principals.trusted` is empty, so `role-binding` denies the console's changes to the bindings, roles and \
             service accounts that give AutoMQ its permissions",
        )
        .with_help(format!(
            "add the user of AutoMQ's console to `principals.trusted.users`; {}",
            presets().console_identity(policy.provider)
        )),
    );
}

fn joins(policy: &Policy, raw: &Raw, root: &TreeCursor<'_>, report: &mut DiagnosticCollector) {
    let rules = root.key("rules");
    let listed = [
        (RuleName::NodeMachineType, policy.rules.node_machine_type),
        (RuleName::NodeZone, policy.rules.node_zone),
    ];
    for (rule, JoinMode { mode, deny_join }) in listed {
        if deny_join && mode != Mode::Enforce {
            report.push(
                rules
                    .key(rule.as_str())
                    .key("denyJoin")
                    .warning(format!("`denyJoin` has no effect while `{rule}` is in mode {mode}"))
                    .with_help("use it only with `mode: enforce`"),
            );
        }
    }
    let judged_by_catalog = raw.pools.iter().any(|pool| pool.machine_types.is_none());
    if policy.rules.node_machine_type.mode == Mode::Enforce
        && judged_by_catalog
        && !policy.machine_types.is_authoritative()
    {
        report.push(
            rules
                .key(RuleName::NodeMachineType.as_str())
                .warning(
                    "AutoMQ did not publish the built-in machine types as an allow-list, so \
                     `node-machine-type` only warns",
                )
                .with_help(
                    "add `machineTypes` to the pools, or a list with `mode: replace` to `catalog`",
                ),
        );
    }
}

fn idle_backstop(policy: &Policy, root: &TreeCursor<'_>, report: &mut DiagnosticCollector) {
    let (rule, mode) = (RuleName::PodIntrusion, policy.rules.pod_intrusion);
    if policy.backstop != BackstopMode::Off && mode != Mode::Enforce {
        report.push(
            root.key("backstop")
                .key("mode")
                .warning(format!(
                    "there is no backstop while `{rule}` is in mode {mode}, because a backstop can \
                     only deny"
                ))
                .with_help(format!("to have a backstop, set `mode: enforce` for `{rule}`")),
        );
    }
}
