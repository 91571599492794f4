//! The constraints on the nodes of pools: tainted, of an approved type, in one zone or three, enough and ready,
//! and labelled so that they are found. The cluster must also have other nodes, for the system.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use super::{
    facts::{CheckFacts, PoolNodes, machine_type},
    finding::{CheckFinding, Constraint, FindingSeverity, Status},
    fix, taints,
    words::{capital, count, list, named, verb},
};
use crate::{
    kubernetes::{
        resource::{NODES, PODS},
        taint::{NO_EXECUTE, NO_SCHEDULE, Taint},
    },
    policy::{
        Policy,
        approved_types::{ApprovedTypes, TypeSource},
        mode::RuleName,
        pool::{MACHINE_TYPE_LABEL, ZONE_LABEL},
        provider::EntryAuthority,
    },
};

pub(super) const TAINT: Constraint = Constraint::Rule(RuleName::NodeTaint);
pub(super) const TYPE: Constraint = Constraint::Rule(RuleName::NodeMachineType);
pub(super) const ZONE: Constraint = Constraint::Rule(RuleName::NodeZone);
pub(super) const IDENTITY: Constraint = Constraint::Rule(RuleName::NodeIdentity);

/// The smallest number of ready nodes in a pool, because AutoMQ's smallest cluster has three nodes.
pub(super) const READY_MIN: usize = 3;

/// The reason why it matters that a pool has fewer ready nodes.
pub(super) const TOO_SMALL: &str = "A rolling update of AutoMQ needs all three nodes";

/// The reason why it matters that the pool's taint is missing.
const OPEN_TO_ALL: &str = "The scheduler can place any pod on these nodes, and the pod \
     then takes network and disk from the brokers";

/// Returns the reason why it matters that nodes lack the pool's taint. They may have another taint instead.
pub(super) fn why_lost(instead: Option<&Taint<'_>>) -> &'static str {
    match instead.map(|taint| &*taint.effect) {
        Some(NO_EXECUTE) => {
            "AutoMQ's pods tolerate only the taint in PoolGuard's config, so Kubernetes evicts them from these nodes"
        }
        Some(NO_SCHEDULE) => {
            "AutoMQ's pods tolerate only the taint in PoolGuard's config, so the scheduler does not place them on these \
             nodes"
        }
        _ => OPEN_TO_ALL,
    }
}

/// The severity and the reason of a further taint, by its effect.
pub(super) const OTHER_TAINTS: [(&str, FindingSeverity, &str); 2] = [
    (
        NO_EXECUTE,
        FindingSeverity::Error,
        "AutoMQ's pods tolerate only the pool's own taint, so Kubernetes evicts them from these \
         nodes",
    ),
    (
        NO_SCHEDULE,
        FindingSeverity::Warning,
        "AutoMQ's pods tolerate only the pool's own taint, so the scheduler does not place them \
         on these nodes",
    ),
];

/// The reason why it matters that no declared pool selects nodes with AutoMQ's taint, and the remedy.
pub(super) const UNDECLARED: &str =
    "An instance uses only declared pools, so no broker is scheduled onto these nodes";
pub(super) const DECLARE: &str = "# if these nodes are a pool of their own: declare it under `pools` in \
     PoolGuard's config\n# if they belong to a declared pool: change `nodes` of this pool so that it selects them \
     too";

/// The remedy for nodes that a declared pool selected before.
const LOST_LABEL: &str = "# if a node lost a label by which a declared pool selects it: add this label to the node again";

/// The first step for any other problem of nodes whose taint may be a mistake.
const DECIDE_FIRST: &str = "# first decide whether these nodes are a pool for AutoMQ (see node-identity of this pool), and check again";

/// The first step for any other problem of undeclared nodes where AutoMQ pods run.
const DECLARE_FIRST: &str = "# first make these nodes part of a declared pool (see node-identity of this pool), and check again";

/// Replaces the remedies for pools that the config does not declare beside those that it declares: you should not
/// enlarge, replace or empty such a pool.
pub(super) fn decide_first(facts: &CheckFacts<'_>, findings: &mut [CheckFinding]) {
    let pools = facts.pools.iter().filter(|pool| facts.is_undeclared(pool));
    let remedies: BTreeMap<&str, &str> = pools
        .map(|pool| {
            let first = if facts.may_be_a_mistake(pool) { DECIDE_FIRST } else { DECLARE_FIRST };
            (pool.name(), first)
        })
        .collect();
    for finding in findings {
        let first = finding.pool.as_deref().and_then(|pool| remedies.get(pool));
        if let Some(first) = first
            && finding.rule != IDENTITY
            && finding.status == Status::Fail
        {
            finding.fix = Some((*first).to_owned());
        }
    }
}

pub(super) fn judge(facts: &CheckFacts<'_>, findings: &mut Vec<CheckFinding>) {
    if !facts.knows(NODES) {
        let all = [TAINT, TYPE, ZONE, IDENTITY, Constraint::PoolSize];
        let why = facts.inventory.why_unknown(NODES);
        findings.extend(all.map(|rule| CheckFinding::unknown(rule, FindingSeverity::Error, &why)));
        return;
    }
    if facts.pools.is_empty() {
        findings.push(no_pool(facts.policy));
    }
    for pool in &facts.pools {
        size(facts, pool, findings);
        if !pool.nodes.is_empty() {
            taints::judge(facts, pool, findings);
            machine_types(facts, pool, findings);
            zones(facts, pool, findings);
            labels(facts, pool, findings);
        }
    }
    conflicts(facts, findings);
}

fn no_pool(policy: &Policy) -> CheckFinding {
    let taint = &policy.taint;
    let (missing, fix) = if policy.discovery {
        (
            format!("no node has the taint {taint}"),
            format!(
                "# create a node pool with the taint {taint}, and declare it under `pools` in PoolGuard's config"
            ),
        )
    } else {
        (
            "`discovery.enabled` is false".to_owned(),
            "# declare the pools under `pools` in PoolGuard's config, or remove `discovery`"
                .to_owned(),
        )
    };
    let fact = format!("There is no pool: the config declares none, and {missing}");
    CheckFinding::fail(TAINT, FindingSeverity::Error, fact)
        .why("AutoMQ's pods run only on nodes with the pool's taint, and PoolGuard finds no such pool to protect")
        .fix(fix)
}

fn size(facts: &CheckFacts<'_>, pool: &PoolNodes<'_>, findings: &mut Vec<CheckFinding>) {
    let not_ready = pool.names(|node| !node.ready);
    let cordoned = pool.names(|node| node.ready && node.cordoned);
    let open = pool.nodes.len() - not_ready.len() - cordoned.len();
    let rule = Constraint::PoolSize;
    let name = pool.name();
    let closed: String = [(&not_ready, "not ready"), (&cordoned, "cordoned")]
        .into_iter()
        .filter(|(nodes, _)| !nodes.is_empty())
        .flat_map(|(nodes, state)| {
            [
                "; ".to_owned(),
                named("node", nodes),
                verb(nodes, " is ", " are ").to_owned(),
                state.to_owned(),
            ]
        })
        .collect();
    let ready = count(open, "ready node");
    let mut fixes = Vec::new();
    if !cordoned.is_empty() {
        fixes.push(format!(
            "# unless the node is being drained, repaired or replaced:\nkubectl uncordon {}",
            cordoned.join(" ")
        ));
    }
    if let Some(node) = not_ready.first() {
        fixes.push(format!("kubectl describe node {node}"));
    }
    if pool.nodes.len() < READY_MIN {
        fixes.push(more_nodes(facts, pool));
    }
    let idle: Vec<&str> = not_ready.iter().chain(&cordoned).copied().collect();
    let finding = if pool.nodes.is_empty() {
        CheckFinding::fail(rule, FindingSeverity::Error, format!("Pool {name} has no node"))
            .why("The scheduler cannot place any broker, so a deployment or change of AutoMQ fails")
    } else if open == 0 {
        CheckFinding::fail(
            rule,
            FindingSeverity::Error,
            format!("Pool {name} has no ready node{closed}"),
        )
        .why("The scheduler cannot place any broker, so a deployment or change of AutoMQ fails")
    } else if open < READY_MIN {
        let fact = format!("Pool {name} has {ready}; AutoMQ needs {READY_MIN}{closed}");
        CheckFinding::fail(rule, FindingSeverity::Warning, fact).why(TOO_SMALL)
    } else if idle.is_empty() {
        findings.push(CheckFinding::pass(rule, FindingSeverity::Warning, ready).pool(name));
        return;
    } else {
        CheckFinding::fail(rule, FindingSeverity::Note, format!("Pool {name} has {ready}{closed}"))
            .why(
                "If another node fails, its brokers cannot move to a node that is cordoned or \
             not ready",
            )
    };
    findings.push(finding.pool(name).nodes(&idle).fix(fixes.join("\n")));
}

/// Returns the remedy for a pool with too few nodes: more nodes, unless the pool lacks them only because of
/// their labels.
fn more_nodes(facts: &CheckFacts<'_>, pool: &PoolNodes<'_>) -> String {
    if facts.snapshot.conflicts().iter().any(|it| &*it.other == pool.name()) {
        return CONFLICT_FIRST.to_owned();
    }
    let scaled = fix::scale(facts, pool, READY_MIN);
    match pool.declared {
        Some(declared) if pool.nodes.is_empty() => format!(
            "# if the cluster has nodes for this pool: they do not have the labels of `nodes` in PoolGuard's config ({}). \
             Correct `nodes`, or the labels of the nodes:\nkubectl get nodes --show-labels\n# if it has none:\n{scaled}",
            declared.nodes
        ),
        Some(_) if facts.has_undeclared_nodes() => {
            format!("{UNLESS_LABELS_ARE_WRONG}\n# otherwise:\n{scaled}")
        }
        Some(_) | None => scaled,
    }
}

/// The first step for a pool that lacks nodes because an earlier pool has them.
const CONFLICT_FIRST: &str = "# nodes of this pool match an earlier pool too, which has them: first correct `nodes` of these pools (see \
     node-identity of the earlier pool), and check again";

/// The step that comes before you add a node: to correct labels that are wrong.
const UNLESS_LABELS_ARE_WRONG: &str =
    "# if node-identity reports a node that belongs to this pool: correct the labels of this node";

/// The name of a list of machine types in findings, and the severity of a type that is not in it.
pub(super) fn list_name(policy: &Policy, source: TypeSource) -> (String, FindingSeverity) {
    let provider = policy.provider_name();
    match source {
        TypeSource::Pool => ("the pool's list".to_owned(), FindingSeverity::Error),
        TypeSource::Published => {
            let mut entries = policy.machine_types.names.iter();
            let is_extended = entries.any(|entry| entry.strength == EntryAuthority::Config);
            let list = if is_extended { "PoolGuard's catalog" } else { "AutoMQ's list" };
            (format!("{list} for {provider}"), FindingSeverity::Error)
        }
        TypeSource::Unpublished => (
            format!(
                "PoolGuard's catalog for {provider} (types from examples, because AutoMQ publishes no list for {provider})"
            ),
            FindingSeverity::Warning,
        ),
    }
}

/// The finding where no list of machine types exists.
pub(super) fn no_type_list(policy: &Policy) -> CheckFinding {
    let fact = format!("PoolGuard has no list of machine types for {}", policy.provider_name());
    let fix = "# add the types that AutoMQ approved to the pool's `machineTypes` in PoolGuard's \
     config";
    CheckFinding::unknown(TYPE, FindingSeverity::Warning, fact).fix(fix)
}

/// The reason why it matters that a machine type is not approved.
pub(super) const WRONG_TYPE: &str = "AutoMQ supports only machine types that it has approved. On other types a \
 deployment fails, or network and memory are too small. If AutoMQ publishes no list for your provider, ask AutoMQ \
 which types it approves";

fn machine_types(facts: &CheckFacts<'_>, pool: &PoolNodes<'_>, findings: &mut Vec<CheckFinding>) {
    let name = pool.name();
    let Some(ApprovedTypes { names: approved, source }) =
        facts.policy.approved_types(pool.declared)
    else {
        findings.push(no_type_list(facts.policy).pool(name));
        return;
    };
    let (source, severity) = list_name(facts.policy, source);
    let types: BTreeSet<&str> = pool.nodes.iter().filter_map(|node| machine_type(node)).collect();
    let wrong: Vec<&str> = types.iter().filter(|it| !approved.contains(it)).copied().collect();
    let nodes = pool.names(|node| machine_type(node).is_some_and(|it| wrong.contains(&it)));
    let finding = if wrong.is_empty() {
        if types.is_empty() {
            return;
        }
        let types: Vec<&str> = types.into_iter().collect();
        CheckFinding::pass(TYPE, severity, format!("{} in {source}", list(&types)))
    } else {
        let (has, node) = (verb(&nodes, "has", "have"), capital(&named("node", &nodes)));
        let fact = format!(
            "{node} of pool {name} {has} {}, which is not in {source}: {}",
            named("machine type", &wrong),
            approved.join(", ")
        );
        let wanted = approved.first().copied();
        CheckFinding::fail(TYPE, severity, fact)
            .why(WRONG_TYPE)
            .nodes(&nodes)
            .fix(fix::replace(facts, pool, wanted))
    };
    findings.push(finding.pool(name));
}

pub(super) const TWO_ZONES: &str = "An AutoMQ instance runs in exactly one zone or three; otherwise \
     its deployments and changes fail";

fn zones(facts: &CheckFacts<'_>, pool: &PoolNodes<'_>, findings: &mut Vec<CheckFinding>) {
    let name = pool.name();
    let populated = pool.by_zone();
    if populated.is_empty() {
        // The missing labels are told.
        return;
    }
    let zones = &pool.facts.declared_zones;
    let declared = pool.declared_zones();
    let spans: Vec<&str> = populated.keys().copied().collect();
    let is_stray = |zone: &&&str| !zones.may_have(zone);
    let stray: Vec<&str> = spans.iter().filter(is_stray).copied().collect();
    if let Some(finding) = unclear_zones(pool, &spans).filter(|_| stray.is_empty()) {
        findings.push(finding);
        return;
    }
    let empty: Vec<&str> =
        declared.iter().filter(|zone| !populated.contains_key(*zone)).copied().collect();
    let is_one_or_three = matches!(spans.len(), 1 | 3);
    if stray.is_empty() && empty.is_empty() && is_one_or_three {
        let fact = format!("{}: {}", count(spans.len(), "zone"), spans.join(", "));
        findings.push(CheckFinding::pass(ZONE, FindingSeverity::Error, fact).pool(name));
        return;
    }
    let strays: Vec<&str> =
        stray.iter().filter_map(|zone| populated.get(zone)).flatten().copied().collect();
    let mut details = Vec::new();
    if !stray.is_empty() {
        let (nodes, are) = (named("node", &strays), verb(&strays, "is", "are"));
        details.push(format!(
            "{nodes} {are} in {}, but the config declares {}",
            list(&stray),
            list(&declared)
        ));
    }
    if !empty.is_empty() {
        let has = verb(&empty, "has", "have");
        details.push(format!("{} {has} no node", named("its zone", &empty)));
    }
    let what = if is_one_or_three {
        "does not match its declared zones".to_owned()
    } else {
        format!("has {} ({})", count(spans.len(), "zone"), spans.join(", "))
    };
    let colon = if details.is_empty() { "" } else { ": " };
    let fact = format!("Pool {name} {what}{colon}{}", details.join("; "));
    let fix = if !strays.is_empty() {
        fix::out_of_zones(facts, pool, &strays, &empty)
    } else if !empty.is_empty() {
        let added = fix::node_in_zones(facts, pool, &empty);
        let lacks_label = pool.nodes.iter().any(|node| node.label(ZONE_LABEL).is_none());
        if lacks_label || facts.has_undeclared_nodes() {
            format!("{UNLESS_LABELS_ARE_WRONG}\n# otherwise:\n{added}")
        } else {
            added
        }
    } else {
        fix::replace(facts, pool, pool.nodes.first().and_then(|node| machine_type(node)))
    };
    findings.push(
        CheckFinding::fail(ZONE, FindingSeverity::Error, fact)
            .why(TWO_ZONES)
            .pool(name)
            .nodes(&strays)
            .fix(fix),
    );
}

/// Returns the finding about zones of nodes that may be declared zones in another spelling.
fn unclear_zones(pool: &PoolNodes<'_>, spans: &[&str]) -> Option<CheckFinding> {
    let unclear = pool.facts.declared_zones.unclear.iter().map(AsRef::as_ref);
    let unclear: Vec<&str> = unclear.filter(|zone| spans.contains(zone)).collect();
    if unclear.is_empty() {
        return None;
    }
    let name = pool.name();
    let fact = format!(
        "Pool {name} has nodes in {}, and the config declares {}. PoolGuard cannot tell whether these are the same \
         zones, because neither the nodes nor the provider show it",
        list(&unclear),
        list(&pool.declared_zones())
    );
    let fix =
        "# write the pool's `zones` as the nodes spell them (label topology.kubernetes.io/zone)";
    Some(CheckFinding::unknown(ZONE, FindingSeverity::Error, fact).pool(name).fix(fix))
}

fn labels(facts: &CheckFacts<'_>, pool: &PoolNodes<'_>, findings: &mut Vec<CheckFinding>) {
    let name = pool.name();
    let mut found = Vec::new();
    for (label, example) in [(ZONE_LABEL, "$ZONE"), (MACHINE_TYPE_LABEL, "$MACHINE_TYPE")] {
        let nodes = pool.names(|node| node.label(label).is_none());
        if nodes.is_empty() {
            continue;
        }
        let lack = verb(&nodes, "has no label", "have no label");
        let fact = format!("{} of pool {name} {lack} {label}", capital(&named("node", &nodes)));
        found.push(
            CheckFinding::fail(IDENTITY, FindingSeverity::Warning, fact)
                .why(
                    "AutoMQ selects nodes by zone and machine type, so it does not use a node \
                 without these labels",
                )
                .nodes(&nodes)
                .fix(format!("kubectl label node {} {label}={example}", nodes.join(" "))),
        );
    }
    if facts.is_undeclared(pool) {
        found.push(undeclared(facts, pool));
    }
    if let Some(declared) = pool.declared
        && found.is_empty()
    {
        let nodes = count(pool.nodes.len(), "node");
        let fact = format!("{} on {nodes}", declared.nodes);
        found.push(CheckFinding::pass(IDENTITY, FindingSeverity::Warning, fact));
    }
    findings.extend(found.into_iter().map(|finding| finding.pool(name)));
}

/// Returns the finding about nodes with a pool's taint that no declared pool selects.
fn undeclared(facts: &CheckFacts<'_>, pool: &PoolNodes<'_>) -> CheckFinding {
    let nodes = pool.names(|_| true);
    let taint = &pool.facts.taint;
    let (carry, them) = (verb(&nodes, "carries", "carry"), verb(&nodes, "it", "them"));
    let mut fact = format!(
        "{} {carry} the taint {taint}, but no declared pool selects {them}",
        capital(&named("node", &nodes))
    );
    let mut fix = format!("{DECLARE}\n{LOST_LABEL}");
    if facts.may_be_a_mistake(pool) {
        if facts.knows(PODS) {
            let _ = write!(fact, ", and no AutoMQ pod runs on {them}");
        }
        let _ = write!(
            fix,
            "\n# if the taint is a mistake: remove it in the settings of the node pool, and then from the nodes. PoolGuard \
             allows this removal only to users from principals.trusted in its config and to members of a break-glass \
             group: kubectl taint node {} {taint}-",
            nodes.join(" ")
        );
    }
    CheckFinding::fail(IDENTITY, FindingSeverity::Warning, fact)
        .why(UNDECLARED)
        .nodes(&nodes)
        .fix(fix)
}

fn conflicts(facts: &CheckFacts<'_>, findings: &mut Vec<CheckFinding>) {
    for conflict in facts.snapshot.conflicts() {
        let fact = capital(&conflict.to_string());
        findings.push(
            CheckFinding::fail(IDENTITY, FindingSeverity::Error, fact)
                .why("The other pool lacks this node, so its instances can have too few nodes")
                .pool(&conflict.pool)
                .nodes(&[&conflict.node])
                .fix(
                    "# change `nodes` of one of the two pools in PoolGuard's config until no node matches both",
                ),
        );
    }
}
