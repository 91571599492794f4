//! The validating webhook's part: it checks whether a node of the pool can run the final pod, and whether any other node can.

use super::{Context, RULE, instance_of};
use crate::policy::rules::UNKNOWN_NODE;
use crate::{
    json::text::Text,
    kubernetes::{
        object::{NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec},
        taint::{NO_EXECUTE, Taint},
    },
    policy::{
        advice::pool_requirements,
        mode::Mode,
        placement::{Candidates, Fit, Obstacle, TermFault, check_term, missing_in_term},
        pool::{Instance, Pool, ZONE_LABEL},
        snapshot::{Located, Snapshot},
        verdict::{Decision, Finding, FindingCollector},
    },
};

const REQUIRED: &str = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";

pub(in crate::policy::rules) fn judge(
    context: Context<'_>,
    pod: &Pod<'_>,
    report: &mut FindingCollector,
) {
    let mode = context.policy.rules.pod_placement;
    if mode == Mode::Off {
        return;
    }
    let Some((instance, pool)) = instance_of(context, pod) else { return };
    if !pod.spec.node_name.is_empty() {
        judge_node_name(context, pod, instance, pool, report);
        return;
    }
    let who = context.object_name("Pod");
    // Below enforce the mutating half only reports what it would have added, once. A pod that it has
    // not placed is taken to tolerate what it would have been given.
    let is_placed = mode == Mode::Enforce;
    let candidates = Candidates::of_pool(context.snapshot, instance.pool);
    let assumed = if is_placed { Vec::new() } else { pool.all_taints().collect() };
    let fit = candidates.fit(&context.policy.placement, &pod.spec, &assumed);
    if let Fit::Obstacle(obstacle) = fit {
        let Explanation { field, why, advice } = explain(&obstacle, pool);
        let fact = format!(
            "No node of pool {} can run {who} of instance {}: {why}",
            pool.name, instance.name,
        );
        let finding = Finding::new(RULE, fact).pool(&*pool.name).advice(advice).field(field);
        report.violation(mode, finding);
        return;
    }
    let escape = escaping_field(context.snapshot, &pod.spec, instance.pool, pool);
    if let (Some(field), true) = (escape, is_placed) {
        let fact = format!(
            "{who} of instance {} can also run outside pool {}: {field} does not require the pool's labels \
             and zones",
            instance.name, pool.name
        );
        let advice = "Remove the required node affinity from the pod: PoolGuard then adds its own. Or add the \
                      pool's labels and zones to every item of nodeSelectorTerms";
        let finding = Finding::new(RULE, fact).pool(&*pool.name).advice(advice).field(field);
        report.violation(mode.min(Mode::Warn), finding);
    }
}

fn judge_node_name(
    context: Context<'_>,
    pod: &Pod<'_>,
    instance: &Instance,
    pool: &Pool,
    report: &mut FindingCollector,
) {
    let who = context.object_name("Pod");
    let node = pod.spec.node_name.as_str();
    let finding = |fact: String, node: &str| {
        Finding::new(RULE, fact).field("spec.nodeName").pool(&*pool.name).node(node)
    };
    let Some(place) = why_misplaced(context.snapshot, node, instance.pool) else {
        if let Located::Unknown = context.snapshot.locate(node) {
            let fact = format!(
                "{who} names node {node}, which PoolGuard does not know, so {RULE} does not deny it"
            );
            report.note(Decision::Unknown, finding(fact, UNKNOWN_NODE));
        }
        return;
    };
    let fact = format!(
        "{who} of instance {} would run on node {node}, which is {place}, but the instance belongs to pool \
         {}: spec.nodeName selects this node directly",
        instance.name, pool.name
    );
    let advice = "Remove spec.nodeName. If pod-placement is in mode enforce, the scheduler then chooses a node of the pool";
    let finding = finding(fact, node).advice(advice);
    report.violation(context.policy.rules.pod_placement, finding);
}

/// Returns the place of a known node, such as `in no pool`, if the pods of this pool do not belong there.
pub(in crate::policy::rules) fn why_misplaced(
    snapshot: &Snapshot,
    node: &str,
    index: usize,
) -> Option<String> {
    match snapshot.locate(node) {
        Located::Unknown => None,
        Located::Elsewhere => Some("in no pool".to_owned()),
        Located::Dedicated { class, node } if class.pool == index => {
            let zone = class.member(node).label(ZONE_LABEL)?;
            let is_its = snapshot.declared_zones(index).may_have(zone);
            (!is_its).then(|| format!("in zone {zone}"))
        }
        Located::Dedicated { class, .. } => {
            snapshot.pool(class.pool).map(|other| format!("in pool {}", other.name))
        }
    }
}

/// The sentence about an obstacle, its field, and the advice.
struct Explanation {
    field: String,
    why: String,
    advice: String,
}

fn explain(obstacle: &Obstacle<'_, '_>, pool: &Pool) -> Explanation {
    const OTHER_POOL: &str =
        "or ask your platform team to give the instance another pool in PoolGuard's config";
    let explanation = |field: String, says: String, advice: String| {
        let why = format!("{field} {says}");
        Explanation { field, why, advice }
    };
    match obstacle {
        Obstacle::NoNode => Explanation {
            field: "spec".to_owned(),
            why: "the pool has no node in its zones".to_owned(),
            advice: format!(
                "Ask your platform team to add a node to pool {} in one of its zones: {}",
                pool.name,
                pool.zones.join(", ")
            ),
        },
        Obstacle::Taint { taint, is_on_all } => {
            let (why, advice) = untolerated(taint, *is_on_all, pool);
            Explanation { field: "spec.tolerations".to_owned(), why, advice }
        }
        Obstacle::Selector { key, value } => explanation(
            format!("spec.nodeSelector[{key}]"),
            format!("requires {value}, but no present or future node of the pool has this value"),
            format!("Remove this label from spec.nodeSelector, {OTHER_POOL}"),
        ),
        Obstacle::NoTerm => explanation(
            REQUIRED.to_owned(),
            "has no term, so it matches no node".to_owned(),
            format!("Remove {REQUIRED}, or add a term to it"),
        ),
        Obstacle::Term { index, fault } => term_explanation(*index, fault),
        Obstacle::Together => explanation(
            REQUIRED.to_owned(),
            "and spec.nodeSelector each match some nodes of the pool, but no node matches both"
                .to_owned(),
            format!("Remove one of the two constraints, {OTHER_POOL}"),
        ),
    }
}

/// The sentence about a taint that the pod does not tolerate, and the advice.
fn untolerated(taint: &Taint<'_>, is_on_all: bool, pool: &Pool) -> (String, String) {
    let whose = if is_on_all { "Every node of the pool" } else { "A node of the pool" };
    let Taint { key, value, effect } = taint;
    let toleration = if value.is_empty() {
        format!("{{key: {key}, operator: Exists, effect: {effect}}}")
    } else {
        format!("{{key: {key}, operator: Equal, value: {:?}, effect: {effect}}}", value.as_str())
    };
    let why =
        format!("spec.tolerations does not tolerate the taint {taint}. {whose} has this taint");
    if pool.all_taints().any(|own| own == taint) {
        return (why, format!("Add the toleration {toleration}"));
    }
    let evicts = if effect == NO_EXECUTE {
        ", because it also evicts the brokers that run there"
    } else {
        ""
    };
    let advice = format!(
        "If this taint is permanent, ask your platform team to add {{key: {key}, value: {value:?}, effect: {effect}}} to \
         additionalTaints of pool {} in PoolGuard's config: with {RULE} in mode enforce, PoolGuard then adds \
         the toleration to AutoMQ's pods. If it is not permanent, ask your platform team to remove it from the nodes{evicts}",
        pool.name,
        value = value.as_str(),
    );
    (why, advice)
}

fn term_explanation(index: usize, fault: &TermFault<'_>) -> Explanation {
    let term = format!("{REQUIRED}.nodeSelectorTerms[{index}]");
    let demand =
        |NodeSelectorRequirement { key, operator, values }: &NodeSelectorRequirement<'_>| {
            let values: Vec<&str> = values.iter().map(Text::as_str).collect();
            format!("{key} {operator} [{}]", values.join(", "))
        };
    let (field, says, advice) = match fault {
        TermFault::Empty => (
            term,
            "is empty, so it matches no node".to_owned(),
            "Remove this term, or add a requirement",
        ),
        TermFault::Unreadable(error) => (
            term,
            format!("is not valid, so it matches no node: {error}"),
            "Correct this term, or remove it",
        ),
        TermFault::Label(at, requirement) => (
            format!("{term}.matchExpressions[{at}]"),
            format!(
                "requires {}, but no present or future node of the pool meets this requirement",
                demand(requirement)
            ),
            "Remove this requirement, or ask your platform team to give the instance another pool in \
             PoolGuard's config",
        ),
        TermFault::Name(at, requirement) => (
            format!("{term}.matchFields[{at}]"),
            format!("requires {}, but this node is not in the pool", demand(requirement)),
            "Remove this requirement. If pod-placement is in mode enforce, the scheduler then chooses a node of the pool",
        ),
    };
    let why = format!("{field} {says}");
    Explanation { field, why, advice: advice.to_owned() }
}

/// The field that lets the pod run outside its pool.
fn escaping_field(
    snapshot: &Snapshot,
    spec: &PodSpec<'_>,
    index: usize,
    pool: &Pool,
) -> Option<&'static str> {
    let requirements = pool_requirements(pool, snapshot.declared_zones(index));
    let Some(required) = spec.required_node_affinity() else {
        let missing = missing_in_term(spec, None, &requirements);
        return (!missing.is_empty()).then_some("spec.affinity.nodeAffinity");
    };
    let stays = |term: &NodeSelectorTerm<'_>| {
        term.is_empty()
            || check_term(term).is_err()
            || missing_in_term(spec, Some(term), &requirements).is_empty()
            || names_member(snapshot, term, index)
    };
    (!required.node_selector_terms.iter().all(stays)).then_some(REQUIRED)
}

fn names_member(snapshot: &Snapshot, term: &NodeSelectorTerm<'_>, index: usize) -> bool {
    term.fields().iter().any(|field| {
        field.key == "metadata.name"
            && field.operator == "In"
            && field.values.iter().all(|name| {
                matches!(snapshot.locate(name), Located::Dedicated { class, .. } if class.pool == index)
            })
    })
}
