//! The taints of a pool's nodes: the pool's own, another one instead of it, and further ones.

use super::{
    facts::{CheckFacts, PoolNodes},
    finding::{CheckFinding, FindingSeverity},
    fix,
    nodes::{OTHER_TAINTS, TAINT, why_lost},
    words::{capital, count, named, verb},
};
use crate::{kubernetes::taint::Taint, policy::snapshot::NodeRecord};

/// Judges the taints of one pool.
pub(super) fn judge(
    facts: &CheckFacts<'_>,
    pool: &PoolNodes<'_>,
    findings: &mut Vec<CheckFinding>,
) {
    let (name, taint) = (pool.name(), &pool.facts.taint);
    let mut found = Vec::new();
    let is_instead = |node: &NodeRecord, it: &Taint<'_>| {
        it.key == taint.key
            && it.keeps_pods_out()
            && !node.taints.contains(taint)
            && !pool.declares(it)
    };
    let lost = pool.names(|node| {
        !node.taints.contains(taint) && !node.taints.iter().any(|it| is_instead(node, it))
    });
    if !lost.is_empty() {
        let lack = verb(&lost, "lacks", "lack");
        let fact =
            format!("{} of pool {name} {lack} the taint {taint}", capital(&named("node", &lost)));
        found.push(
            CheckFinding::fail(TAINT, FindingSeverity::Error, fact)
                .why(why_lost(None))
                .nodes(&lost)
                .fix(fix::taint(facts, pool, &lost)),
        );
    }
    found.extend(distinct_taints(pool, is_instead).into_iter().map(|instead| {
        let nodes =
            pool.names(|node| node.taints.iter().any(|it| it == instead && is_instead(node, it)));
        taint_instead(pool, instead, &nodes)
    }));
    for (effect, severity, why) in OTHER_TAINTS {
        let is_other = |node: &NodeRecord, it: &Taint<'_>| {
            it.effect == effect
                && it != taint
                && !is_instead(node, it)
                && !facts.policy.is_transient(it)
                && !pool.declares(it)
                && !facts.brokers_tolerate(pool, it)
        };
        for other in distinct_taints(pool, is_other) {
            let nodes =
                pool.names(|node| node.taints.iter().any(|it| it == other && is_other(node, it)));
            let finding = further_taint(pool, other, &nodes, severity);
            found.push(finding.why(why));
        }
    }
    found.extend(untainted_siblings(facts, pool));
    if found.is_empty() {
        let nodes = count(pool.nodes.len(), "node");
        found.push(CheckFinding::pass(
            TAINT,
            FindingSeverity::Error,
            format!("{taint} on {nodes}"),
        ));
    }
    findings.extend(found.into_iter().map(|finding| finding.pool(name)));
}

/// The taints of the pool's nodes for which something holds, each once.
fn distinct_taints<'p>(
    pool: &'p PoolNodes<'_>,
    holds: impl Fn(&NodeRecord, &Taint<'_>) -> bool,
) -> Vec<&'p Taint<'static>> {
    let mut taints: Vec<&Taint<'static>> = Vec::new();
    for node in &pool.nodes {
        for taint in &node.taints {
            if holds(node, taint) && !taints.contains(&taint) {
                taints.push(taint);
            }
        }
    }
    taints
}

/// Returns the finding about a taint with the key of the pool's taint, on nodes that lack the pool's taint: the
/// nodes are wrong, or the config.
fn taint_instead(pool: &PoolNodes<'_>, instead: &Taint<'_>, nodes: &[&str]) -> CheckFinding {
    let (name, taint) = (pool.name(), &pool.facts.taint);
    let has = verb(nodes, "has", "have");
    let fact = format!(
        "{} of pool {name} {has} the taint {instead} instead of {taint}",
        capital(&named("node", nodes))
    );
    let change = fix::taint_nodes(taint, nodes, |nodes| {
        if instead.effect == taint.effect {
            format!("kubectl taint node {nodes} {taint} --overwrite")
        } else {
            format!("kubectl taint node {nodes} {taint}\nkubectl taint node {nodes} {instead}-")
        }
    });
    let Taint { key, value, effect } = instead;
    CheckFinding::fail(TAINT, FindingSeverity::Error, fact)
        .why(why_lost(Some(instead)))
        .nodes(nodes)
        .fix(format!(
            "# if the nodes are right: add the taint to the entry of this pool under `pools` in PoolGuard's config: taint: {{key: {key}, value: {:?}, \
             effect: {effect}}}\n# if the config is right: change the taint in the settings of the node pool, and then on \
             the nodes:\n{change}",
            value.as_str()
        ))
}

/// Returns the finding about a taint that AutoMQ's pods do not tolerate.
fn further_taint(
    pool: &PoolNodes<'_>,
    other: &Taint<'_>,
    nodes: &[&str],
    severity: FindingSeverity,
) -> CheckFinding {
    let (name, taint) = (pool.name(), &pool.facts.taint);
    let carry = verb(nodes, "carries", "carry");
    let has_lost =
        pool.nodes.iter().any(|node| nodes.contains(&&*node.name) && !node.taints.contains(taint));
    let (beside, first) = if has_lost {
        ("which is not the pool's taint", ", and the nodes have the pool's taint")
    } else {
        ("in addition to the pool's taint", "")
    };
    let comma = if has_lost { "," } else { "" };
    let fact = format!(
        "{} of pool {name} {carry} the taint {other}{comma} {beside}",
        capital(&named("node", nodes))
    );
    let Taint { key, value, effect } = other;
    let fix = format!(
        "# if this taint is permanent: add it to `additionalTaints` of the pool in PoolGuard's config: {{key: {key}, \
         value: {:?}, effect: {effect}}}. With pod-placement in mode enforce, PoolGuard then adds the toleration to AutoMQ's pods\n\
         # if it is not permanent{first}:\nkubectl taint node {} {other}-",
        value.as_str(),
        nodes.join(" "),
    );
    CheckFinding::fail(TAINT, severity, fact).nodes(nodes).fix(fix)
}

/// Nodes of the group that a pool was found in, without the taint by which it was found.
fn untainted_siblings(facts: &CheckFacts<'_>, pool: &PoolNodes<'_>) -> Option<CheckFinding> {
    let label = pool.facts.label.as_deref()?;
    let is_sibling = |node: &&&NodeRecord| node.label(label) == Some(&pool.facts.name);
    let nodes: Vec<&str> =
        facts.elsewhere.iter().filter(is_sibling).map(|node| &*node.name).collect();
    if nodes.is_empty() {
        return None;
    }
    let (lack, taint) = (verb(&nodes, "lacks", "lack"), &pool.facts.taint);
    let fact = format!(
        "{} of the cloud's node pool {} {lack} the taint {taint}",
        capital(&named("node", &nodes)),
        pool.name()
    );
    let finding = CheckFinding::fail(TAINT, FindingSeverity::Warning, fact).why(
        "PoolGuard finds this pool by its taint, so nodes without the taint do not belong to \
         it, and any pod can run on them",
    );
    Some(finding.nodes(&nodes).fix(fix::taint(facts, pool, &nodes)))
}
