//! Pools, and the taints of their nodes.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{label_values, selector, unique_names};
use crate::{
    config::{collector::DiagnosticCollector, cursor::TreeCursor, raw},
    json::text::Text,
    kubernetes::{
        name::{check_label_key, check_label_value},
        selector::{LabelSelector, Requirement},
        taint::{NO_SCHEDULE, Taint},
    },
    policy::pool::Pool,
};

/// The taint of every pool that does not differ from it.
pub(super) fn default_taint(
    raw: &raw::Taint,
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> Taint<'static> {
    let automq = Taint {
        key: Text::from("dedicated"),
        value: Text::from("automq"),
        effect: Text::from(NO_SCHEDULE),
    };
    taint(raw, at, &automq, report)
}

fn taint(
    raw: &raw::Taint,
    at: &TreeCursor<'_>,
    base: &Taint<'static>,
    report: &mut DiagnosticCollector,
) -> Taint<'static> {
    check_taint(raw.key.as_ref(), raw.value.as_ref(), at, report);
    let or_base = |text: &Option<String>, base: &Text<'static>| match text {
        Some(text) => Text::from(text.clone()),
        None => base.clone(),
    };
    Taint {
        key: or_base(&raw.key, &base.key),
        value: or_base(&raw.value, &base.value),
        effect: raw.effect.map_or_else(|| base.effect.clone(), |effect| effect.as_str().into()),
    }
}

fn check_taint(
    key: Option<&String>,
    value: Option<&String>,
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) {
    if let Some(key) = key
        && let Err(why) = check_label_key(key)
    {
        report.push(at.key("key").error(format!("the taint key `{key}` {why}")));
    }
    if let Some(value) = value
        && let Err(why) = check_label_value(value)
    {
        report.push(at.key("value").error(format!("the taint value `{value}` {why}")));
    }
}

/// Reads the taints that a pool's nodes carry beside its own.
fn additional_taints(
    list: &[raw::AdditionalTaint],
    at: &TreeCursor<'_>,
    own: &Taint<'static>,
    report: &mut DiagnosticCollector,
) -> Vec<Taint<'static>> {
    let mut taints: Vec<Taint<'static>> = Vec::new();
    for (at, raw::AdditionalTaint { key, value, effect }) in at.items(list) {
        let (Some(key), Some(effect)) = (key, effect) else { continue };
        check_taint(Some(key), Some(value), &at, report);
        let taint = Taint {
            key: key.clone().into(),
            value: value.clone().into(),
            effect: effect.as_str().into(),
        };
        if taint == *own {
            report.push(
                at.error(format!("`{taint}` is the pool's own taint"))
                    .with_help("remove it here: `additionalTaints` lists only further taints"),
            );
        } else if taints.contains(&taint) {
            report.push(at.error(format!("the taint `{taint}` is listed twice")));
        } else {
            taints.push(taint);
        }
    }
    taints
}

/// Reads the pools; those that cannot be one are left out.
pub(super) fn pools(
    list: &[raw::Pool],
    at: &TreeCursor<'_>,
    default: &Taint<'static>,
    report: &mut DiagnosticCollector,
) -> Vec<Pool> {
    let names = at.items(list).filter_map(|(at, pool)| Some((at.key("name"), pool.name.as_ref()?)));
    unique_names("pool", names, report);
    let mut selectors: BTreeMap<Vec<String>, (TreeCursor<'_>, &str)> = BTreeMap::new();
    let mut pools = Vec::new();
    for (at, raw) in at.items(list) {
        let name = raw.name.as_deref().unwrap_or_default();
        let nodes = raw.nodes.as_ref().map(|nodes| selector(nodes, &at.key("nodes"), report));
        let taint = taint(&raw.taint, &at.key("taint"), default, report);
        let beside = &raw.additional_taints;
        let beside = additional_taints(beside, &at.key("additionalTaints"), &taint, report);
        zones(raw, name, &at.key("zones"), report);
        machine_types(raw, name, &at.key("machineTypes"), report);
        if raw.role.as_ref().is_some_and(String::is_empty) {
            report.push(at.key("role").error(format!("the role of pool `{name}` is empty")));
        }
        let Some(nodes) = nodes else { continue };
        if nodes.is_everything() {
            if !report.is_broken(at.key("nodes").path()) {
                report.push(
                    at.key("nodes")
                        .error(format!(
                            "`nodes` of pool `{name}` has no condition, so every node of the \
                             cluster would belong to this pool"
                        ))
                        .with_help("add to `nodes` the `matchLabels` that select the pool's nodes"),
                );
            }
        } else if let Some((first_at, first)) = selectors.get(&normal_form(&nodes)) {
            report.push(
                at.key("nodes")
                    .error(format!("pools `{first}` and `{name}` select the same nodes: {nodes}"))
                    .with_related(first_at.focus(), format!("pool `{first}` selects them here")),
            );
        } else {
            selectors.insert(normal_form(&nodes), (at.key("nodes"), name));
        }
        pools.push(Pool {
            name: name.into(),
            nodes,
            zones: raw.zones.clone().unwrap_or_default(),
            machine_types: raw.machine_types.clone(),
            role: raw.role.clone(),
            taint,
            additional_taints: beside,
        });
    }
    pools
}

/// Returns the requirements of a selector in a canonical order, so that equal selectors compare as equal.
fn normal_form(selector: &LabelSelector) -> Vec<String> {
    let spell = |requirement: &Requirement| {
        let mut values = requirement.values.clone();
        values.sort();
        values.dedup();
        format!("{} {} {}", requirement.key, requirement.operator.as_str(), values.join(","))
    };
    let requirements: BTreeSet<_> = selector.requirements().iter().map(spell).collect();
    requirements.into_iter().collect()
}

fn zones(raw: &raw::Pool, name: &str, at: &TreeCursor<'_>, report: &mut DiagnosticCollector) {
    let Some(zones) = &raw.zones else { return };
    label_values("zone", zones, at, report);
    let (error, help) = match zones.iter().collect::<BTreeSet<_>>().len() {
        0 => (
            format!("pool `{name}` has an empty list of zones"),
            "list one zone or three; or remove this key, and PoolGuard does not judge zones",
        ),
        1 | 3 => return,
        2 => (
            format!("pool `{name}` has two zones, but an AutoMQ pool has one zone or three"),
            "declare two pools with one zone each, or add the third zone",
        ),
        count => (
            format!("pool `{name}` has {count} zones, but an AutoMQ pool has one zone or three"),
            "list one zone or three",
        ),
    };
    report.push(at.error(error).with_help(help));
}

fn machine_types(
    raw: &raw::Pool,
    name: &str,
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) {
    let Some(types) = &raw.machine_types else { return };
    label_values("machine type", types, at, report);
    if types.is_empty() {
        report.push(
            at.error(format!("pool `{name}` has an empty list of machine types"))
                .with_help("list the types, or remove this key to use the catalog's types"),
        );
    }
}
