//! Modes, placement, the catalog, and what other parts than the policy need.

use std::time::Duration;

use crate::{
    config::{
        ConfigSettings, RegistrationMode, ScanSettings, catalog,
        collector::DiagnosticCollector,
        cursor::TreeCursor,
        duration,
        presets::presets,
        raw::{self, OnOutage, Raw},
    },
    kubernetes::{
        name::Glob,
        taint::{ComparisonOperators, Taint},
    },
    policy::{
        mode::{BackstopMode, JoinMode, Mode, RuleModes},
        pool::{PlacementSettings, Provisioner},
        provider::{EntryAuthority, MachineType, MachineTypes, Provider},
    },
};

use super::{identity::globs, names::label_values};

pub(super) fn settings(
    raw: &Raw,
    root: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> ConfigSettings {
    let mut read = |text: &str, at: TreeCursor<'_>| match duration::parse(text) {
        Ok(duration) => duration,
        Err(why) => {
            report.push(at.error(format!("`{text}` {why}")));
            Duration::ZERO
        }
    };
    ConfigSettings {
        snapshot_max_age: read(&raw.snapshot.max_age, root.key("snapshot").key("maxAge")),
        scan: ScanSettings {
            enabled: raw.scan.enabled,
            interval: read(&raw.scan.interval, root.key("scan").key("interval")),
        },
        registration: match raw.registration {
            raw::Registration::Managed => RegistrationMode::Managed,
            raw::Registration::External => RegistrationMode::External,
        },
    }
}

/// Reads the mode of the backstop: off, beside the webhook entries, or instead of some of them.
pub(super) fn backstop(
    raw: &Raw,
    root: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> BackstopMode {
    match (raw.backstop.mode, raw.on_outage) {
        (raw::BackstopMode::Managed, OnOutage::Closed) => BackstopMode::Beside,
        (raw::BackstopMode::Managed, OnOutage::Backstop) => {
            if matches!(raw.registration, raw::Registration::External) {
                let why = "with `registration: external`, PoolGuard cannot change the failurePolicy of the webhooks";
                let help = "remove `onOutage`: while PoolGuard does not answer, the API server then rejects \
                            new pods that tolerate a pool's taint or have `spec.nodeName`, except AutoMQ pods, exempt \
                            pods and pods of DaemonSets, also with a backstop";
                report.push(root.key("onOutage").error(why).with_help(help));
            }
            BackstopMode::Instead
        }
        (raw::BackstopMode::Off, OnOutage::Closed) => BackstopMode::Off,
        (raw::BackstopMode::Off, OnOutage::Backstop) => {
            let error = root
                .key("onOutage")
                .error("`onOutage: backstop` needs a backstop, and `backstop.mode` is off");
            report.push(error.with_help("add `backstop: {mode: managed}`"));
            BackstopMode::Off
        }
    }
}

pub(super) fn placement(
    raw: &raw::Placement,
    provider: Option<Provider>,
    at: &TreeCursor<'_>,
    dedicated: &[&Taint<'static>],
    report: &mut DiagnosticCollector,
) -> PlacementSettings {
    let at = at.key("transientTaints");
    let configured = globs(&raw.transient_taints, &at, report);
    for (at, text) in at.items(&raw.transient_taints) {
        let glob = Glob::parse(text);
        let is_own = |taint: &&&Taint<'_>| glob.as_ref().is_ok_and(|it| it.matches(&taint.key));
        if let Some(taint) = dedicated.iter().find(is_own) {
            report.push(
                at.error(format!(
                    "the transient taint `{text}` matches the pools' own taint `{taint}`"
                ))
                .with_help(
                    "PoolGuard would then ignore the pools' taint: write a more exact \
                 pattern",
                ),
            );
        }
    }
    let presets = presets();
    let read = |texts: &mut dyn Iterator<Item = &String>| -> Vec<Glob> {
        texts.filter_map(|text| Glob::parse(text).ok()).collect()
    };
    let mut transient_taints = read(&mut presets.transient_taints(provider));
    transient_taints.extend(configured);
    PlacementSettings {
        comparison_operators: if raw.comparison_operators {
            ComparisonOperators::On
        } else {
            ComparisonOperators::Off
        },
        transient_taints,
        individual_labels: read(&mut presets.individual_labels(provider)),
        zone_labels: read(&mut presets.zone_labels(provider)),
        zone_spelling: presets.zone_spelling(provider),
        system_taints: read(&mut presets.system_taints(provider)),
        system_namespaces: read(&mut presets.system_namespaces.iter()),
        provisioners: presets
            .provisioners
            .iter()
            .map(|it| Provisioner {
                label: it.label.clone(),
                reserved_domains: it.reserved_domains.clone(),
                individual_labels: read(&mut it.individual_labels.iter()),
            })
            .collect(),
    }
}

/// The catalog for this provider, as the config extends or replaces it.
pub(super) fn machine_types(
    raw: &raw::Catalog,
    provider: Option<Provider>,
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> MachineTypes {
    let mut names = match (raw.mode, provider) {
        (raw::CatalogMode::Extend, Some(provider)) => catalog::machine_types(provider),
        (raw::CatalogMode::Replace, _) | (raw::CatalogMode::Extend, None) => Vec::new(),
    };
    let raw::MachineTypes { small, medium, large } = &raw.machine_types;
    for (size, types) in [("small", small), ("medium", medium), ("large", large)] {
        label_values("machine type", types, &at.key("machineTypes").key(size), report);
        // What the config says of a type counts for more than where the built-in list has it from.
        names.retain(|entry| !types.contains(&entry.name));
        names.extend(types.iter().map(|name| MachineType {
            name: name.clone(),
            size: size.to_owned(),
            strength: EntryAuthority::Config,
        }));
    }
    MachineTypes { names }
}

/// The modes, each the rule's default unless the file says otherwise.
pub(super) fn rules(raw: &raw::Rules) -> RuleModes {
    let default = RuleModes::default();
    let mode = |rule: &raw::Rule, default: Mode| rule.mode.map_or(default, Mode::from);
    let join = |rule: &raw::JoinRule, default: JoinMode| JoinMode {
        mode: rule.mode.map_or(default.mode, Mode::from),
        deny_join: rule.deny_join,
    };
    let pod_intrusion = raw.pod_intrusion.mode.map(Mode::from);
    let daemon_sets = raw.pod_intrusion.daemon_sets.map(Mode::from);
    RuleModes {
        pod_intrusion: pod_intrusion.unwrap_or(default.pod_intrusion),
        daemon_set_intrusion: daemon_sets.or(pod_intrusion).unwrap_or(default.daemon_set_intrusion),
        workload_intrusion: mode(&raw.workload_intrusion, default.workload_intrusion),
        pod_placement: mode(&raw.pod_placement, default.pod_placement),
        cluster_exclusive: mode(&raw.cluster_exclusive, default.cluster_exclusive),
        node_taint: mode(&raw.node_taint, default.node_taint),
        node_identity: mode(&raw.node_identity, default.node_identity),
        node_machine_type: join(&raw.node_machine_type, default.node_machine_type),
        node_zone: join(&raw.node_zone, default.node_zone),
        node_pool: mode(&raw.node_pool, default.node_pool),
        role_binding: mode(&raw.role_binding, default.role_binding),
    }
}
