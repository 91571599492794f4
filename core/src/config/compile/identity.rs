//! The identities in a config: AutoMQ's pods, exempt pods, principals.

use crate::{
    config::{collector::DiagnosticCollector, cursor::TreeCursor, presets::presets, raw},
    kubernetes::{name::Glob, selector::LabelSelector},
    policy::{
        pod_owner::{AutoMq, Exemption},
        principal::Principals,
        protection::Origin,
        provider::Provider,
    },
};

use super::names::selector;

/// Reads globs over names.
pub(super) fn globs(
    list: &[String],
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> Vec<Glob> {
    at.items(list).filter_map(|(at, text)| glob(text, &at, report)).collect()
}

/// Reads a glob over names.
pub(super) fn glob(
    text: &str,
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> Option<Glob> {
    match Glob::parse(text) {
        Ok(glob) => Some(glob),
        Err(why) => {
            report.push(at.error(format!("the name or glob `{text}` {why}")));
            None
        }
    }
}

/// Reads globs over names of namespaces, service accounts or DaemonSets, none of which has the characters by which
/// people join names.
fn object_names(
    list: &[String],
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> Vec<Glob> {
    at.items(list).filter_map(|(at, text)| object_name(text, &at, report)).collect()
}

fn object_name(text: &str, at: &TreeCursor<'_>, report: &mut DiagnosticCollector) -> Option<Glob> {
    if let Some((_, name)) = text.rsplit_once(['/', ':']) {
        let error = at.error(format!("`{text}` matches nothing: a name has no `/` and no `:`"));
        report.push(if name.is_empty() {
            error
        } else {
            error.with_help(format!("write `{name}`, without its namespace or kind"))
        });
        return None;
    }
    glob(text, at, report)
}

/// Reads names that may have any characters, such as those of users; only with a `*` or a `?` in
/// them they are globs.
fn principals(list: &[String], at: &TreeCursor<'_>, report: &mut DiagnosticCollector) -> Vec<Glob> {
    at.items(list)
        .filter_map(|(at, text)| {
            if text.is_empty() || text.contains(['*', '?']) {
                glob(text, &at, report)
            } else {
                Some(Glob::exact(text))
            }
        })
        .collect()
}

pub(super) fn automq(
    raw: &raw::AutoMq,
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> AutoMq {
    let namespaces = at.key("namespaces");
    if raw.namespaces.is_empty() {
        report.push(
            namespaces
                .error("`automq.namespaces` is empty, so no pod would be an AutoMQ pod")
                .with_help(
                    "list AutoMQ's namespaces, or remove this key to use the default \
                 `[automq]`",
                ),
        );
    }
    AutoMq {
        namespaces: object_names(&raw.namespaces, &namespaces, report),
        pods: selector(&raw.pods, &at.key("pods"), report),
        service_accounts: object_names(&raw.service_accounts, &at.key("serviceAccounts"), report),
    }
}

pub(super) fn exemptions(
    entries: &[raw::Exemption],
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> Vec<Exemption> {
    at.items(entries).filter_map(|(at, entry)| exemption(entry, &at, report)).collect()
}

fn exemption(
    raw: &raw::Exemption,
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> Option<Exemption> {
    let namespace = raw.namespace.as_ref();
    let namespace = namespace.and_then(|text| object_name(text, &at.key("namespace"), report));
    let service_accounts = object_names(&raw.service_accounts, &at.key("serviceAccounts"), report);
    let daemon_sets = object_names(&raw.daemon_sets, &at.key("daemonSets"), report);
    let pods = selector(&raw.pods, &at.key("pods"), report);
    let reason = raw.reason.as_ref()?;
    if reason.trim().is_empty() {
        report.push(
            at.key("reason").error("the `reason` of this exempt entry is empty").with_help(
                "write why these pods may run on dedicated nodes; records and reports \
                 quote this text",
            ),
        );
    }
    Some(Exemption {
        namespace: namespace?,
        service_accounts,
        daemon_sets,
        pods,
        reason: reason.clone(),
        origin: Origin::Config,
    })
}

/// Kubernetes' own namespace, the namespaces in which the provider runs CNI and CSI pods, and the DaemonSets
/// that the provider runs on every node.
pub(super) fn preset_exemptions(provider: Option<Provider>) -> Vec<Exemption> {
    let exempt = |namespace: Glob, daemon_sets: Vec<Glob>, reason: &str| Exemption {
        namespace,
        service_accounts: Vec::new(),
        daemon_sets,
        pods: LabelSelector::default(),
        reason: format!("{reason} (preset)"),
        origin: Origin::Preset,
    };
    let whole = |name: &str, reason: &str| exempt(Glob::exact(name), Vec::new(), reason);
    let mut exemptions = vec![whole("kube-system", "system pods of Kubernetes and the cloud")];
    let preset = provider.and_then(|provider| presets().of(provider));
    let namespaces = preset.into_iter().flat_map(|preset| &preset.exempt_namespaces);
    exemptions.extend(namespaces.map(|name| whole(name, "CNI or CSI pods of the cloud")));
    for agent in presets().agents(provider) {
        let read = |texts: &[String]| texts.iter().filter_map(|it| Glob::parse(it).ok()).collect();
        let namespaces: Vec<Glob> = read(&agent.namespaces);
        let of_agent = |namespace| exempt(namespace, read(&agent.daemon_sets), &agent.reason);
        exemptions.extend(namespaces.into_iter().map(of_agent));
    }
    exemptions
}

pub(super) fn trusted(
    raw: &raw::TrustedPrincipals,
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> Principals {
    let accounts = at.key("serviceAccounts");
    for (at, text) in accounts.items(&raw.service_accounts) {
        if text.split('/').filter(|part| !part.is_empty()).count() != 2 || text.contains(':') {
            let error = at.error(format!(
                "the service account `{text}` does not have the form \
             `namespace/name`"
            ));
            let account = text.strip_prefix("system:serviceaccount:");
            report.push(match account.and_then(|account| account.split_once(':')) {
                Some((namespace, name)) => error.with_help(format!("write `{namespace}/{name}`")),
                None => error,
            });
        }
    }
    Principals {
        users: principals(&raw.users, &at.key("users"), report),
        groups: principals(&raw.groups, &at.key("groups"), report),
        service_accounts: globs(&raw.service_accounts, &accounts, report),
    }
}

pub(super) fn preset_trusted(provider: Option<Provider>) -> Principals {
    let exact = |names: &[String]| names.iter().map(Glob::exact).collect();
    match provider.and_then(|provider| presets().of(provider)) {
        Some(preset) => Principals {
            users: exact(&preset.trusted.users),
            groups: exact(&preset.trusted.groups),
            service_accounts: exact(&preset.trusted.service_accounts),
        },
        None => Principals::default(),
    }
}

pub(super) fn break_glass(
    groups: &[String],
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> Vec<String> {
    for (at, group) in at.items(groups) {
        if group.is_empty() {
            report.push(at.error("a break-glass group has no name"));
        } else if group.contains(['*', '?']) {
            report.push(
                at.error(format!(
                    "the break-glass group `{group}` is a glob, and globs are not \
                 allowed here"
                ))
                .with_help(
                    "write the exact name of the group, because its members bypass \
                     every rule",
                ),
            );
        }
    }
    groups.to_vec()
}
