//! A pool of a plan, constraint by constraint.

use super::{Planned, is_meant, selects};
use crate::{
    check::{
        finding::{CheckFinding, Constraint, FindingSeverity},
        fix::screaming_snake_effect,
        nodes::{
            DECLARE, IDENTITY, OTHER_TAINTS, READY_MIN, TAINT, TOO_SMALL, TWO_ZONES, TYPE,
            UNDECLARED, WRONG_TYPE, ZONE, list_name, no_type_list, why_lost,
        },
        words::{count, list, verb},
    },
    kubernetes::taint::Taint,
    policy::{Policy, approved_types::ApprovedTypes, placement::Ternary},
    terraform::{Action, PlannedPool, TaintSyntax},
};

/// Judges a planned pool by every constraint on a pool.
pub(super) fn judge(policy: &Policy, pool: &Planned<'_>) -> Vec<CheckFinding> {
    let mut findings = Vec::new();
    actions(pool, &mut findings);
    taints(policy, pool, &mut findings);
    machine_types(policy, pool, &mut findings);
    zones(policy, pool, &mut findings);
    size(pool, &mut findings);
    spot(pool, &mut findings);
    declaration(policy, pool, &mut findings);
    findings
}

/// Returns the name of a node pool in messages, such as `Node pool automq-a`. A pool may have several node pools.
fn called(part: &PlannedPool) -> String {
    format!("Node pool {}", part.name)
}

/// Returns the change in the configuration of a node pool: in the block, if any, that has this attribute.
fn edit(part: &PlannedPool, attribute: &str, change: &str) -> String {
    let blocks: Vec<&str> = attribute.split(".0.").collect();
    let (_, blocks) = blocks.split_last().unwrap_or((&"", &[]));
    let within = blocks.iter().rev().fold(change.to_owned(), |inner, block| {
        format!("{block} {{\n{}\n}}", textwrap::indent(&inner, "  "))
    });
    format!("# in {}\n{within}", part.address)
}

/// Returns the last part of a path: `desired_size` of `scaling_config.0.desired_size`.
fn leaf(attribute: &str) -> &str {
    attribute.rsplit('.').next().unwrap_or(attribute)
}

fn actions(pool: &Planned<'_>, findings: &mut Vec<CheckFinding>) {
    for part in &pool.parts {
        let (what, why, fix) = match part.action {
            Action::Keep => continue,
            Action::Replace => (
                "will be replaced: Terraform deletes it, and then creates a new one",
                "Terraform deletes its nodes, and the brokers on them, before it creates new nodes",
                "# add a second node pool with another name, select both names in `nodes` of the pool in \
                 PoolGuard's config ({matchExpressions: [{key: …, operator: In, values: [OLD, NEW]}]}), move the brokers one \
                 node at a time, and then delete the old node pool",
            ),
            Action::Renew => (
                "will be replaced: Terraform creates a new one, and then deletes the old one",
                "Every broker must move to a new node, and Terraform does not wait until the brokers have moved",
                "# apply this in a maintenance window, or do not change the attribute that forces a new \
                 node pool",
            ),
            Action::Delete => (
                "will be deleted",
                "Terraform deletes its nodes, and the brokers on these nodes stop",
                "# keep the node pool in the configuration while instances run on it",
            ),
        };
        let fact = format!("{} {what}", called(part));
        findings.push(
            CheckFinding::fail(IDENTITY, FindingSeverity::Warning, fact)
                .why(why)
                .object(&part.address)
                .fix(edit(part, "", fix)),
        );
    }
}

fn taints(policy: &Policy, pool: &Planned<'_>, findings: &mut Vec<CheckFinding>) {
    let wanted = pool.taint;
    for part in pool.lasting() {
        let Some(taints) = &part.taints else {
            let fact = format!("The plan does not contain the taints of node pool {}", part.name);
            let finding =
                CheckFinding::unknown(TAINT, FindingSeverity::Error, fact).object(&part.address);
            findings.push(finding);
            continue;
        };
        let other_effect = taints.iter().find(|taint| is_meant(taint, wanted) && *taint != wanted);
        if !taints.contains(wanted) {
            let fact = match other_effect {
                Some(other) => {
                    format!("{} has the taint {other} instead of {wanted}", called(part))
                }
                None => format!("{} lacks the taint {wanted}", called(part)),
            };
            let finding = CheckFinding::fail(TAINT, FindingSeverity::Error, fact)
                .why(why_lost(other_effect))
                .object(&part.address);
            findings.push(match part.attributes.taint {
                Some(syntax) => {
                    let path = part.attributes.taints;
                    let kept = taints.iter().filter(|taint| Some(*taint) != other_effect);
                    let change = written(syntax, leaf(path), wanted, kept);
                    let change = match other_effect {
                        Some(other) => format!("# in place of the taint {other}:\n{change}"),
                        None => change,
                    };
                    finding.fix(edit(part, path, &change))
                }
                None => finding,
            });
            continue;
        }
        let other = OTHER_TAINTS.into_iter().find_map(|(effect, severity, why)| {
            let declared = pool.declared.map(|(_, declared)| declared.additional_taints.as_slice());
            let is_other = |it: &&Taint<'static>| {
                it.effect == effect
                    && *it != wanted
                    && !policy.is_transient(it)
                    && !declared.unwrap_or_default().contains(it)
            };
            Some((taints.iter().find(is_other)?, severity, why))
        });
        let Some((other, severity, why)) = other else {
            let fact = format!("{wanted} on node pool {}", part.name);
            findings.push(
                CheckFinding::pass(TAINT, FindingSeverity::Error, fact).object(&part.address),
            );
            continue;
        };
        let fact =
            format!("{} has the taint {other} in addition to the pool's taint", called(part));
        let or = match pool.declared {
            Some(_) => ", or add it to `additionalTaints` of the pool in PoolGuard's config",
            None => "",
        };
        let fix = edit(part, "", &format!("# remove the taint {other}{or}"));
        findings.push(
            CheckFinding::fail(TAINT, severity, fact).why(why).object(&part.address).fix(fix),
        );
    }
}

/// Writes a taint as a configuration has it. If the configuration has all taints in one list, the kept ones are
/// in it.
fn written<'t>(
    syntax: TaintSyntax,
    attribute: &str,
    taint: &'t Taint<'static>,
    kept: impl Iterator<Item = &'t Taint<'static>>,
) -> String {
    let Taint { key, value, effect } = taint;
    let effect = match (syntax, effect.as_str()) {
        (TaintSyntax::Texts, _) => {
            let all: Vec<String> = kept.chain([taint]).map(|it| format!("\"{it}\"")).collect();
            return format!("{attribute} = [{}]", all.join(", "));
        }
        (TaintSyntax::Block, effect) => effect,
        (TaintSyntax::ScreamingSnakeBlock, effect) => screaming_snake_effect(effect),
    };
    format!(
        "{attribute} {{\n  key    = \"{key}\"\n  value  = \"{value}\"\n  effect = \"{effect}\"\n}}"
    )
}

fn machine_types(policy: &Policy, pool: &Planned<'_>, findings: &mut Vec<CheckFinding>) {
    let declared = pool.declared.map(|(_, pool)| pool);
    let Some(ApprovedTypes { names: approved, source }) = policy.approved_types(declared) else {
        findings.push(no_type_list(policy));
        return;
    };
    let (source, severity) = list_name(policy, source);
    for part in pool.lasting() {
        let attribute = part.attributes.machine_types;
        let has_own_list = pool.declared.is_some_and(|(_, pool)| pool.machine_types.is_some());
        if !has_own_list && policy.provider != Some(part.provider) {
            let fact = format!(
                "{} belongs to provider {}, but the config is for another provider, so no list of \
                 machine types applies",
                called(part),
                part.provider.as_str()
            );
            findings.push(
                CheckFinding::unknown(TYPE, FindingSeverity::Warning, fact).object(&part.address),
            );
            continue;
        }
        let Some(types) = &part.machine_types else {
            let fact = format!(
                "The plan does not contain the machine types of node pool {} ({} is not set, is \
                 not the only source of types, or is known only after apply)",
                part.name,
                leaf(attribute)
            );
            let finding = CheckFinding::unknown(TYPE, severity, fact);
            findings.push(finding.object(&part.address));
            continue;
        };
        let wrong: Vec<&String> =
            types.iter().filter(|it| !approved.contains(&it.as_str())).collect();
        if wrong.is_empty() {
            let fact = format!("{} in {}", list(types), source);
            let finding = CheckFinding::pass(TYPE, severity, fact);
            findings.push(finding.object(&part.address));
            continue;
        }
        let fact = format!(
            "{} may have nodes of type {}, which {} not in {}: {}",
            called(part),
            list(&wrong),
            verb(&wrong, "is", "are"),
            source,
            approved.join(", ")
        );
        let finding =
            CheckFinding::fail(TYPE, severity, fact).why(WRONG_TYPE).object(&part.address);
        let mut right = types.iter().map(String::as_str).filter(|it| approved.contains(it));
        let (right, leaf) = (right.next(), leaf(attribute));
        let wanted = right.or_else(|| approved.first().copied()).unwrap_or_default();
        findings.push(finding.fix(match right {
            // It is not this attribute that has the others.
            Some(_) if !part.attributes.has_type_list => {
                edit(part, "", &format!("# remove {}", list(&wrong)))
            }
            _ if part.attributes.has_type_list => {
                edit(part, attribute, &format!("{leaf} = [\"{wanted}\"]"))
            }
            _ => edit(part, attribute, &format!("{leaf} = \"{wanted}\"")),
        }));
    }
}

fn zones(policy: &Policy, pool: &Planned<'_>, findings: &mut Vec<CheckFinding>) {
    let Some(first) = pool.lasting().next() else { return };
    let attribute = leaf(first.attributes.zones);
    let Some(zones) = pool.zones() else {
        let fact = format!(
            "The plan does not contain the zones of pool {}: {attribute} is not set, or its value \
             is known only after apply",
            pool.name
        );
        findings
            .push(CheckFinding::unknown(ZONE, FindingSeverity::Error, fact).object(&first.address));
        return;
    };
    let declared: Vec<&str> =
        pool.declared.iter().flat_map(|(_, pool)| &pool.zones).map(String::as_str).collect();
    let places = policy.placement.zone_spelling.without_nodes();
    let is_among = |zone: &str, zones: &[&str]| places.find(zone, zones.iter().copied());
    let stray: Vec<&str> = zones
        .iter()
        .copied()
        .filter(|zone| !declared.is_empty() && is_among(zone, &declared) == Ternary::No)
        .collect();
    let planned: Vec<&str> = zones.iter().copied().collect();
    let is_empty = |zone: &&str| is_among(zone, &planned) == Ternary::No;
    let empty: Vec<&str> = declared.iter().copied().filter(is_empty).collect();
    let unclear: Vec<&str> = planned
        .iter()
        .copied()
        .filter(|zone| is_among(zone, &declared) == Ternary::Maybe)
        .collect();
    if stray.is_empty() && !unclear.is_empty() {
        let fact = format!(
            "The plan puts pool {} in {}, and the config declares {}. PoolGuard cannot tell whether these are the \
             same zones, because the provider does not show it",
            pool.name,
            list(&unclear),
            list(&declared)
        );
        let finding = CheckFinding::unknown(ZONE, FindingSeverity::Error, fact);
        findings.push(finding.object(&first.address));
        return;
    }
    let names: Vec<&str> = zones.iter().copied().collect();
    let spans = format!("{}: {}", count(zones.len(), "zone"), names.join(", "));
    if stray.is_empty() && empty.is_empty() && matches!(zones.len(), 1 | 3) {
        findings
            .push(CheckFinding::pass(ZONE, FindingSeverity::Error, spans).object(&first.address));
        return;
    }
    let meant = if declared.is_empty() {
        String::new()
    } else {
        format!(", but the config declares {}", list(&declared))
    };
    let fact = format!("The plan puts pool {} in {spans}{meant}", pool.name);
    let wanted = if declared.is_empty() {
        "exactly one zone, or in three zones".to_owned()
    } else {
        list(&declared)
    };
    findings.push(
        CheckFinding::fail(ZONE, FindingSeverity::Error, fact)
            .why(TWO_ZONES)
            .object(&first.address)
            .fix(edit(
                first,
                "",
                &format!("# change {attribute}: the node pool must be in {wanted}"),
            )),
    );
}

fn size(pool: &Planned<'_>, findings: &mut Vec<CheckFinding>) {
    let Some(first) = pool.lasting().next() else { return };
    let (rule, attribute) = (Constraint::PoolSize, first.attributes.size);
    let is_one = pool.lasting().count() == 1 && !first.attributes.size_is_of_zone;
    let sizes: Option<Vec<u64>> = pool.lasting().map(|part| part.size).collect();
    let Some(nodes) = sizes.map(|sizes| sizes.into_iter().fold(0, u64::saturating_add)) else {
        let fact = format!("The plan does not contain the number of nodes of pool {}", pool.name);
        findings.push(
            CheckFinding::unknown(rule, FindingSeverity::Warning, fact).object(&first.address),
        );
        return;
    };
    let nodes = usize::try_from(nodes).unwrap_or(usize::MAX);
    if nodes >= READY_MIN {
        let finding = CheckFinding::pass(rule, FindingSeverity::Warning, count(nodes, "node"));
        findings.push(finding.object(&first.address));
        return;
    }
    let fact = format!(
        "Pool {} starts with {}; AutoMQ needs {READY_MIN}",
        pool.name,
        count(nodes, "node")
    );
    findings.push(
        CheckFinding::fail(rule, FindingSeverity::Warning, fact)
            .why(TOO_SMALL)
            .object(&first.address)
            .fix(if is_one {
                edit(first, attribute, &format!("{} = {READY_MIN}", leaf(attribute)))
            } else {
                edit(
                    first,
                    "",
                    &format!(
                        "# change {}: the pool must have {READY_MIN} nodes in total",
                        leaf(attribute)
                    ),
                )
            }),
    );
}

fn spot(pool: &Planned<'_>, findings: &mut Vec<CheckFinding>) {
    for part in pool.lasting().filter(|part| part.is_spot) {
        let fact = format!("{} uses spot nodes", called(part));
        findings.push(
            CheckFinding::fail(Constraint::PoolSize, FindingSeverity::Warning, fact)
                .why("The cloud can take a spot node away at any time, and the broker on it stops")
                .fix(edit(part, "", "# use on-demand nodes")),
        );
    }
}

/// Judges whether a declared pool selects the node pool, because instances belong to declared pools.
fn declaration(policy: &Policy, pool: &Planned<'_>, findings: &mut Vec<CheckFinding>) {
    let Some(first) = pool.lasting().next() else { return };
    if let Some((_, declared)) = pool.declared {
        let fact = format!("{} selects node pool {}", declared.nodes, first.name);
        findings.push(CheckFinding::pass(IDENTITY, FindingSeverity::Warning, fact));
    } else if policy.pools.iter().any(|it| selects(&it.nodes, first) != Ternary::No) {
        let fact = format!(
            "The plan does not contain the labels of node pool {}, so PoolGuard cannot tell \
             whether a declared pool selects it",
            first.name
        );
        findings.push(CheckFinding::unknown(IDENTITY, FindingSeverity::Warning, fact));
    } else if !policy.pools.is_empty() {
        let fact =
            format!("The labels of node pool {} in the plan match no declared pool", first.name);
        findings.push(
            CheckFinding::fail(IDENTITY, FindingSeverity::Warning, fact)
                .why(UNDECLARED)
                .object(&first.address)
                .fix(DECLARE),
        );
    }
}
