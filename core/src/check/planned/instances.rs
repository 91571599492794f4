//! AutoMQ's own resources in a plan, held against what AutoMQ asks of an instance and against the planned pools.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Planned;
use crate::{
    check::{
        finding::{CheckFinding, Constraint, FindingSeverity},
        nodes::TWO_ZONES,
        words::{count, list},
    },
    json,
    kubernetes::{
        object::{NodeSelectorRequirement, PodSpec},
        selector::{Operator, Requirement},
        taint::tolerating,
    },
    policy::{Policy, mode::RuleName, placement::Ternary},
    terraform::{Plan, PlannedInstance, PlannedPool},
};

const PLACE: Constraint = Constraint::Rule(RuleName::PodPlacement);

/// Holds every instance of the plan against what AutoMQ asks, and against the pools.
pub(super) fn judge(
    policy: &Policy,
    plan: &Plan,
    pools: &[Planned<'_>],
    findings: &mut Vec<CheckFinding>,
) {
    for instance in &plan.instances {
        let before = findings.len();
        itself(instance, findings);
        schedule(policy, instance, pools, findings);
        if findings.len() == before {
            let fact =
                format!("The plan of instance {} meets AutoMQ's requirements", instance.name);
            let finding = CheckFinding::pass(Constraint::Instance, FindingSeverity::Error, fact);
            findings.push(finding.object(&instance.address));
        }
    }
}

/// Reports the problems of an instance by itself.
fn itself(instance: &PlannedInstance, findings: &mut Vec<CheckFinding>) {
    let PlannedInstance { address, name, zones, machine_types, wal, .. } = instance;
    let mut fail = |fact: String, why: &'static str, fix: String| {
        let finding = CheckFinding::fail(Constraint::Instance, FindingSeverity::Error, fact);
        findings.push(finding.why(why).object(address).fix(format!("# in {address}\n{fix}")));
    };
    if let Some(zones) = zones {
        let distinct: BTreeSet<&String> = zones.iter().collect();
        if !matches!(distinct.len(), 1 | 3) {
            let zones = count(distinct.len(), "zone");
            fail(
                format!("Instance {name} is planned in {zones}"),
                TWO_ZONES,
                "# set compute_specs.networks to one network, or to three networks in three zones"
                    .to_owned(),
            );
        }
    }
    if let Some(types) = machine_types.as_ref().filter(|types| types.len() != 1) {
        fail(
            format!("Instance {name} has {} ({})", count(types.len(), "machine type"), list(types)),
            "On Kubernetes an instance has exactly one machine type",
            "# set compute_specs.instance_types to one type: the machine type of the node pool"
                .to_owned(),
        );
    }
    if wal.as_deref() == Some("FSWAL") {
        fail(
            format!("Instance {name} has the WAL mode FSWAL"),
            "AutoMQ's Terraform provider rejects FSWAL on Kubernetes",
            "# set features.wal_mode to EBSWAL or S3WAL".to_owned(),
        );
    }
    if instance.changes_schedule {
        let attribute = instance.schedule_attribute;
        fail(
            format!("The plan changes {attribute} of instance {name}"),
            "AutoMQ's Terraform provider rejects this change when you apply the plan",
            format!("# keep {attribute} unchanged, or create a new instance"),
        );
    }
}

/// Judges whether the pods can run on a planned pool, by the schedule that the plan gives them.
fn schedule(
    policy: &Policy,
    instance: &PlannedInstance,
    pools: &[Planned<'_>],
    findings: &mut Vec<CheckFinding>,
) {
    let PlannedInstance { address, name, schedule: Some(text), schedule_attribute, .. } = instance
    else {
        return;
    };
    let on = |finding: CheckFinding| finding.object(address);
    let Ok(spec) = serde_saphyr::from_str::<Value>(text) else {
        let fact = format!("{schedule_attribute} of instance {name} is not YAML");
        let fix = format!(
            "# in {address}\n# set {schedule_attribute} to a YAML text with nodeSelector, affinity and tolerations"
        );
        findings.push(on(CheckFinding::fail(PLACE, FindingSeverity::Error, fact)
            .why("The scheduler would not place the instance's pods on the pool")
            .fix(fix)));
        return;
    };
    let spec = json!({ "nodeSelector": spec.get("nodeSelector"), "affinity": spec.get("affinity"),
        "tolerations": spec.get("tolerations") })
    .to_string();
    let Ok(spec) = json::from_str::<PodSpec<'_>>(&spec) else {
        let fact = format!(
            "{schedule_attribute} of instance {name} cannot be read as a part of a pod's spec"
        );
        findings.push(on(CheckFinding::unknown(PLACE, FindingSeverity::Error, fact)));
        return;
    };
    let parts: Vec<(&Planned<'_>, &PlannedPool)> =
        pools.iter().flat_map(|pool| pool.lasting().map(move |part| (pool, part))).collect();
    if parts.is_empty() {
        return;
    }
    let answer = |(_, part): &(&Planned<'_>, &PlannedPool)| selects(&spec, part);
    let selected: Vec<_> = parts.iter().filter(|it| answer(it) != Ternary::No).collect();
    let Some((pool, part)) = selected.first() else {
        let names: Vec<&str> = parts.iter().map(|(_, part)| part.name.as_str()).collect();
        let fact = format!(
            "{schedule_attribute} of instance {name} selects no node pool of the plan ({})",
            list(&names)
        );
        findings.push(on(CheckFinding::fail(PLACE, FindingSeverity::Warning, fact)
            .why("If no other node pool has these labels, the instance's pods stay Pending")
            .fix(format!(
                "# in {address}\n# in {schedule_attribute}, add a nodeSelector with a label of the pool"
            ))));
        return;
    };
    let comparison = policy.placement.comparison_operators;
    if tolerating(spec.tolerations(), pool.taint, comparison).is_none() {
        let taint = pool.taint;
        let fact = format!(
            "{schedule_attribute} of instance {name} does not tolerate {taint} of pool {}",
            pool.name
        );
        findings.push(on(CheckFinding::fail(PLACE, FindingSeverity::Error, fact)
            .why("The scheduler does not place the instance's pods on the pool")
            .fix(format!(
                "# in {address}, in {schedule_attribute}\ntolerations:\n- {{key: {}, operator: Equal, value: {}, effect: {}}}",
                taint.key, taint.value, taint.effect
            ))));
    }
    misfits(policy, instance, part, findings);
}

/// Reports zones and machine types that the selected pool does not have.
fn misfits(
    policy: &Policy,
    instance: &PlannedInstance,
    part: &PlannedPool,
    findings: &mut Vec<CheckFinding>,
) {
    let mut fail = |fact: String, fix: &str| {
        let finding = CheckFinding::fail(Constraint::Instance, FindingSeverity::Error, fact);
        let fix = format!("# in {}\n# {fix}", instance.address);
        findings.push(
            finding
                .why("The node pool has no node that the instance can use")
                .object(&instance.address)
                .fix(fix),
        );
    };
    if let (Some(wanted), Some(planned)) = (&instance.zones, &part.zones) {
        let places = policy.placement.zone_spelling.without_nodes();
        let is_missing =
            |zone: &&String| places.find(zone, planned.iter().map(String::as_str)) == Ternary::No;
        let missing: Vec<&String> = wanted.iter().filter(is_missing).collect();
        if !missing.is_empty() {
            let fact = format!(
                "Instance {} is planned in {}, where node pool {} has no node",
                instance.name,
                list(&missing),
                part.name
            );
            fail(fact, "set compute_specs.networks to networks in the zones of the node pool");
        }
    }
    if let (Some([wanted]), Some(planned)) =
        (instance.machine_types.as_deref(), &part.machine_types)
        && !planned.contains(wanted)
    {
        let fact = format!(
            "Instance {} requires the machine type {wanted}, but node pool {} has {}",
            instance.name,
            part.name,
            list(planned)
        );
        fail(fact, "set compute_specs.instance_types to the machine type of the node pool");
    }
}

/// Whether nodes of a pool have the labels that a schedule asks for, by what the plan knows.
fn selects(spec: &PodSpec<'_>, part: &PlannedPool) -> Ternary {
    let answer = |requirement: &Requirement| -> Ternary {
        if part.labels.is_unknown(&requirement.key) {
            Ternary::Maybe
        } else {
            requirement.matches(&part.labels).into()
        }
    };
    let selector = spec.node_selector.iter().map(|(key, value)| Requirement {
        key: key.to_owned(),
        operator: Operator::In,
        values: vec![value.to_owned()],
    });
    let by_selector = selector.map(|it| answer(&it)).min().unwrap_or(Ternary::Yes);
    let Some(required) = spec.required_node_affinity() else { return by_selector };
    let of_term = |requirements: &[NodeSelectorRequirement<'_>]| {
        let answers =
            requirements.iter().map(|it| read(it).map_or(Ternary::Maybe, |it| answer(&it)));
        answers.min().unwrap_or(Ternary::Maybe)
    };
    let by_affinity =
        required.node_selector_terms.iter().map(|term| of_term(term.expressions())).max();
    by_selector.min(by_affinity.unwrap_or(Ternary::No))
}

/// Reads a requirement; `None` for an operator that compares numbers.
fn read(requirement: &NodeSelectorRequirement<'_>) -> Option<Requirement> {
    let operator = match requirement.operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        _ => return None,
    };
    Some(Requirement {
        key: requirement.key.to_string(),
        operator,
        values: requirement.values.iter().map(ToString::to_string).collect(),
    })
}
