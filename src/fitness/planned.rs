//! A Terraform plan, held against what AutoMQ asks of node pools: before anything exists, and so without
//! nodes, pods, roles or volumes. What the plan does not know yet is unknown.

use std::collections::BTreeSet;

use super::{
    Fitness, Subject, demote,
    finding::{Constraint, Finding, Severity},
    nodes::{Approved, READY_MIN, SYSTEM_TAINT_KEYS, TWO_ZONES, WRONG_TYPE, no_type_list},
    picture::{PoolPicture, ZonePicture},
    words::{count, list, verb},
};
use crate::{
    policy::{Policy, mode::RuleName, pool::Pool, taint::Taint},
    terraform::{Action, Plan, PlannedPool, TaintSyntax},
};

const TAINT: Constraint = Constraint::Rule(RuleName::NodeTaint);
const TYPE: Constraint = Constraint::Rule(RuleName::NodeMachineType);
const ZONE: Constraint = Constraint::Rule(RuleName::NodeZone);
const IDENTITY: Constraint = Constraint::Rule(RuleName::NodeIdentity);

/// A pool of AutoMQ's, with the node pools that make it: one, or one for each zone.
struct Planned<'a> {
    name: &'a str,
    declared: Option<(usize, &'a Pool)>,
    taint: &'a Taint<'static>,
    parts: Vec<&'a PlannedPool>,
}

/// Whose a node pool of a plan is.
enum Owner<'a> {
    Declared(usize, &'a Pool),
    /// By its taint, or by one that was meant to be it.
    Tainted(&'a Taint<'static>),
    /// The plan does not know its taints.
    Unknown,
    Others,
}

/// Holds every constraint that a plan can tell of against one.
pub fn examine_plan(policy: &Policy, plan: &Plan) -> Fitness {
    let mut pools: Vec<Planned<'_>> = Vec::new();
    let (mut unclear, mut others) = (Vec::new(), Vec::new());
    for part in &plan.pools {
        let (name, declared, taint) = match owner(policy, part) {
            Owner::Declared(index, pool) => (&*pool.name, Some((index, pool)), &pool.taint),
            Owner::Tainted(taint) => (part.name.as_str(), None, taint),
            Owner::Unknown => {
                unclear.push(part);
                continue;
            }
            Owner::Others => {
                others.push(part);
                continue;
            }
        };
        let is_known = |it: &&mut Planned<'_>| declared.is_some() && it.name == name;
        match pools.iter_mut().find(is_known) {
            Some(pool) => pool.parts.push(part),
            None => pools.push(Planned { name, declared, taint, parts: vec![part] }),
        }
    }
    pools.sort_by_key(|pool| pool.declared.map_or(usize::MAX, |(index, _)| index));
    let mut findings = Vec::new();
    for pool in &pools {
        let mut found = Vec::new();
        actions(pool, &mut found);
        taints(policy, pool, &mut found);
        machine_types(policy, pool, &mut found);
        zones(pool, &mut found);
        size(pool, &mut found);
        spot(pool, &mut found);
        declaration(policy, pool, &mut found);
        found.sort_by_key(|finding| std::cmp::Reverse((finding.status, finding.severity)));
        findings.extend(found.into_iter().map(|finding| finding.pool(pool.name)));
    }
    absent(policy, &pools, &unclear, &mut findings);
    system_pool(policy, &others, &mut findings);
    for finding in &mut findings {
        demote(policy, finding);
    }
    let sizes = plan.pools.iter().filter(|pool| pool.action != Action::Delete);
    let nodes = sizes.filter_map(|pool| usize::try_from(pool.size?).ok()).sum();
    Fitness {
        subject: Subject::Plan,
        provider: policy.provider,
        findings,
        pools: pools.iter().map(|pool| picture(policy, pool)).collect(),
        missing: Vec::new(),
        nodes,
    }
}

fn owner<'a>(policy: &'a Policy, part: &PlannedPool) -> Owner<'a> {
    if let Some(index) = policy.declared_pool_of(&part.labels)
        && let Some(pool) = policy.pools.get(index)
    {
        return Owner::Declared(index, pool);
    }
    let Some(taints) = &part.taints else { return Owner::Unknown };
    let own = std::iter::once(&policy.taint).chain(policy.pools.iter().map(|pool| &pool.taint));
    // With another effect, it is this taint that was meant.
    let is_meant = |own: &&Taint<'static>| {
        taints.iter().any(|taint| taint.key == own.key && taint.value == own.value)
    };
    own.into_iter().find(is_meant).map_or(Owner::Others, Owner::Tainted)
}

impl Planned<'_> {
    /// The parts that will be there.
    fn lasting(&self) -> impl Iterator<Item = &PlannedPool> {
        self.parts.iter().copied().filter(|part| part.action != Action::Delete)
    }

    /// The zones of all parts; `None` if those of one are not known.
    fn zones(&self) -> Option<BTreeSet<&str>> {
        let mut zones = BTreeSet::new();
        for part in self.lasting() {
            zones.extend(part.zones.as_ref()?.iter().map(String::as_str));
        }
        Some(zones)
    }
}

/// `Node pool automq-a`, which a pool may have several of.
fn called(part: &PlannedPool) -> String {
    format!("Node pool {}", part.name)
}

/// What to change in the configuration of a node pool.
fn edit(part: &PlannedPool, change: &str) -> String {
    format!("# in {}\n{change}", part.address)
}

fn actions(pool: &Planned<'_>, findings: &mut Vec<Finding>) {
    for part in &pool.parts {
        let (what, why, fix) = match part.action {
            Action::Keep | Action::Create | Action::Update => continue,
            Action::Replace => (
                "is deleted and made anew",
                "Its nodes go before there are others, and their brokers with them",
                "lifecycle { create_before_destroy = true }",
            ),
            Action::Delete => (
                "is deleted",
                "Its nodes go, and the brokers on them",
                "lifecycle { prevent_destroy = true }",
            ),
        };
        let fact = format!("{} {what}", called(part));
        findings.push(
            Finding::fail(IDENTITY, Severity::Warning, fact)
                .why(why)
                .object(&part.address)
                .fix(edit(part, fix)),
        );
    }
}

fn taints(policy: &Policy, pool: &Planned<'_>, findings: &mut Vec<Finding>) {
    let wanted = pool.taint;
    for part in pool.lasting() {
        let Some(taints) = &part.taints else {
            let fact = format!("The taints of {} are not in the plan", part.name);
            let finding = Finding::unknown(TAINT, Severity::Error, fact).object(&part.address);
            findings.push(finding);
            continue;
        };
        let other_effect = taints.iter().find(|taint| {
            taint.key == wanted.key && taint.value == wanted.value && *taint != wanted
        });
        if !taints.contains(wanted) {
            let fact = match other_effect {
                Some(other) => format!("{} has the taint {other} and not {wanted}", called(part)),
                None => format!("{} lacks the taint {wanted}", called(part)),
            };
            let finding = Finding::fail(TAINT, Severity::Error, fact)
                .why("Any pod may be scheduled there, and takes network and disks from the brokers")
                .object(&part.address);
            findings.push(match part.attributes.taint {
                Some(syntax) => finding.fix(edit(part, &written(syntax, wanted))),
                None => finding,
            });
            continue;
        }
        let is_other =
            |it: &&Taint<'static>| it.keeps_pods_out() && *it != wanted && !policy.is_transient(it);
        let Some(other) = taints.iter().find(is_other) else {
            let fact = format!("{wanted} on {}", part.name);
            findings.push(Finding::pass(TAINT, Severity::Error, fact).object(&part.address));
            continue;
        };
        let fact = format!("{} has {other} beside the pool's taint", called(part));
        findings.push(
            Finding::fail(TAINT, Severity::Warning, fact)
                .why(
                    "AutoMQ's pods tolerate the pool's own taint only, and are not scheduled there",
                )
                .object(&part.address)
                .fix(format!("# in {}\n# remove the taint {other}", part.address)),
        );
    }
}

/// A taint as a configuration has it.
fn written(syntax: TaintSyntax, taint: &Taint<'_>) -> String {
    let Taint { key, value, effect } = taint;
    let (block, effect) = match syntax {
        TaintSyntax::Texts(name) => return format!("{name} = [\"{taint}\"]"),
        TaintSyntax::Block(name) => (name, effect.as_str()),
        TaintSyntax::Shouted(name) => {
            let effect = match effect.as_str() {
                "NoExecute" => "NO_EXECUTE",
                "PreferNoSchedule" => "PREFER_NO_SCHEDULE",
                _ => "NO_SCHEDULE",
            };
            (name, effect)
        }
    };
    format!("{block} {{\n  key    = \"{key}\"\n  value  = \"{value}\"\n  effect = \"{effect}\"\n}}")
}

fn machine_types(policy: &Policy, pool: &Planned<'_>, findings: &mut Vec<Finding>) {
    let Some(approved) = Approved::of(policy, pool.declared.map(|(_, pool)| pool)) else {
        findings.push(no_type_list(policy));
        return;
    };
    let Approved { names: approved, source, severity } = approved;
    for part in pool.lasting() {
        let attribute = part.attributes.machine_types;
        let Some(types) = &part.machine_types else {
            let fact = format!(
                "The machine types of {} are not in the plan ({attribute} is not set, or known later)",
                part.name
            );
            let finding = Finding::unknown(TYPE, severity, fact);
            findings.push(finding.object(&part.address));
            continue;
        };
        let wrong: Vec<&String> =
            types.iter().filter(|it| !approved.contains(&it.as_str())).collect();
        if wrong.is_empty() {
            let fact = format!("{} in {}", list(types), source);
            let finding = Finding::pass(TYPE, severity, fact);
            findings.push(finding.object(&part.address));
            continue;
        }
        let fact = format!(
            "{} may have nodes of {}, which {} not in {}: {}",
            called(part),
            list(&wrong),
            verb(&wrong, "is", "are"),
            source,
            approved.join(", ")
        );
        let finding = Finding::fail(TYPE, severity, fact).why(WRONG_TYPE).object(&part.address);
        let mut right = types.iter().map(String::as_str).filter(|it| approved.contains(it));
        let wanted = right.next().or_else(|| approved.first().copied()).unwrap_or_default();
        let value = if part.attributes.has_type_list {
            format!("[\"{wanted}\"]")
        } else {
            format!("\"{wanted}\"")
        };
        findings.push(finding.fix(edit(part, &format!("{attribute} = {value}"))));
    }
}

/// Whether a zone of the plan is one of the config. AKS has numbers, where its nodes will have a region
/// before them.
fn is_zone(planned: &str, declared: &str) -> bool {
    planned == declared || declared.strip_suffix(planned).is_some_and(|it| it.ends_with('-'))
}

fn zones(pool: &Planned<'_>, findings: &mut Vec<Finding>) {
    let Some(first) = pool.lasting().next() else { return };
    let attribute = first.attributes.zones;
    let Some(zones) = pool.zones() else {
        let fact = format!(
            "The zones of {} are not in the plan: what {attribute} comes to is known when it is applied",
            pool.name
        );
        findings.push(Finding::unknown(ZONE, Severity::Error, fact).object(&first.address));
        return;
    };
    let declared: Vec<&str> =
        pool.declared.iter().flat_map(|(_, pool)| &pool.zones).map(String::as_str).collect();
    let stray: Vec<&str> = zones
        .iter()
        .copied()
        .filter(|zone| !declared.is_empty() && !declared.iter().any(|it| is_zone(zone, it)))
        .collect();
    let empty: Vec<&str> = declared
        .iter()
        .copied()
        .filter(|declared| !zones.iter().any(|zone| is_zone(zone, declared)))
        .collect();
    let names: Vec<&str> = zones.iter().copied().collect();
    let spans = format!("{}: {}", count(zones.len(), "zone"), names.join(", "));
    if stray.is_empty() && empty.is_empty() && matches!(zones.len(), 1 | 3) {
        findings.push(Finding::pass(ZONE, Severity::Error, spans).object(&first.address));
        return;
    }
    let meant = if declared.is_empty() {
        String::new()
    } else {
        format!(", and the config has it in {}", list(&declared))
    };
    let fact = format!("Pool {} is planned in {spans}{meant}", pool.name);
    let wanted =
        if declared.is_empty() { "one zone, or three".to_owned() } else { list(&declared) };
    findings.push(
        Finding::fail(ZONE, Severity::Error, fact)
            .why(TWO_ZONES)
            .object(&first.address)
            .fix(format!("# in {}\n# let {attribute} have {wanted}", first.address)),
    );
}

fn size(pool: &Planned<'_>, findings: &mut Vec<Finding>) {
    let Some(first) = pool.lasting().next() else { return };
    let (rule, attribute) = (Constraint::PoolSize, first.attributes.size);
    let sizes: Option<Vec<u64>> = pool.lasting().map(|part| part.size).collect();
    let Some(nodes) = sizes.map(|sizes| sizes.iter().sum::<u64>()) else {
        let fact = format!("How many nodes {} starts with is not in the plan", pool.name);
        findings.push(Finding::unknown(rule, Severity::Warning, fact).object(&first.address));
        return;
    };
    let nodes = usize::try_from(nodes).unwrap_or(usize::MAX);
    if nodes >= READY_MIN {
        let finding = Finding::pass(rule, Severity::Warning, count(nodes, "node"));
        findings.push(finding.object(&first.address));
        return;
    }
    let fact = format!(
        "Pool {} starts with {} of the {READY_MIN} that AutoMQ asks for",
        pool.name,
        count(nodes, "node")
    );
    findings.push(
        Finding::fail(rule, Severity::Warning, fact)
            .why("A cluster of AutoMQ's has three nodes at least, and a rolling change needs them all")
            .object(&first.address)
            .fix(edit(first, &format!("{attribute} = {READY_MIN}"))),
    );
}

fn spot(pool: &Planned<'_>, findings: &mut Vec<Finding>) {
    for part in pool.lasting().filter(|part| part.is_spot) {
        let fact = format!("{} is of spot nodes", called(part));
        findings.push(
            Finding::fail(Constraint::PoolSize, Severity::Warning, fact)
                .why("The cloud takes them back at any time, and a broker's node with them")
                .fix(format!("# in {}\n# ask for nodes on demand", part.address)),
        );
    }
}

/// Instances belong to declared pools.
fn declaration(policy: &Policy, pool: &Planned<'_>, findings: &mut Vec<Finding>) {
    let Some(first) = pool.lasting().next() else { return };
    if let Some((_, declared)) = pool.declared {
        let fact = format!("{} takes {}", declared.nodes, first.name);
        findings.push(Finding::pass(IDENTITY, Severity::Warning, fact));
    } else if !policy.pools.is_empty() {
        let fact =
            format!("No declared pool selects {}, by what the plan says of its labels", first.name);
        findings.push(
            Finding::fail(IDENTITY, Severity::Warning, fact)
                .why("Instances belong to declared pools, so that no broker is scheduled there")
                .object(&first.address)
                .fix("# give the nodes the labels of their pool's selector, or declare the pool under `pools`"),
        );
    }
}

/// What the plan does not make, as far as it tells.
fn absent(
    policy: &Policy,
    pools: &[Planned<'_>],
    unclear: &[&PlannedPool],
    findings: &mut Vec<Finding>,
) {
    for part in unclear {
        let fact = format!(
            "Whether node pool {} is for AutoMQ is not in the plan, since its taints are not",
            part.name
        );
        findings.push(Finding::unknown(TAINT, Severity::Error, fact).object(&part.address));
    }
    for (index, pool) in policy.pools.iter().enumerate() {
        if !pools.iter().any(|it| it.declared.is_some_and(|(declared, _)| declared == index)) {
            let fact = format!(
                "No node pool of the plan is pool {} of the config, by what it says of labels ({})",
                pool.name, pool.nodes
            );
            findings.push(Finding::unknown(IDENTITY, Severity::Warning, fact).pool(&pool.name));
        }
    }
    if pools.is_empty() && unclear.is_empty() && policy.pools.is_empty() {
        let taint = &policy.taint;
        let fact = format!("No node pool of the plan has the taint {taint}");
        findings.push(
            Finding::fail(TAINT, Severity::Error, fact)
                .why("AutoMQ runs on node pools of its own, and finds them by their taint")
                .fix(format!("# give a node pool the taint {taint}, or declare it under `pools`")),
        );
    }
}

fn system_pool(policy: &Policy, others: &[&PlannedPool], findings: &mut Vec<Finding>) {
    let keeps_out = |taint: &Taint<'static>| {
        taint.keeps_pods_out()
            && !policy.is_transient(taint)
            && !SYSTEM_TAINT_KEYS.contains(&taint.key.as_str())
    };
    let is_open = |part: &&&PlannedPool| {
        part.action != Action::Delete
            && part.taints.as_ref().is_some_and(|taints| !taints.iter().any(keeps_out))
    };
    let open: Vec<&str> = others.iter().filter(is_open).map(|part| part.name.as_str()).collect();
    findings.push(if open.is_empty() {
        let fact = "No node pool of the plan is for the pods of the system; another may be there";
        Finding::unknown(Constraint::SystemPool, Severity::Error, fact)
    } else {
        let is = verb(&open, "is", "are");
        let fact = format!("{} {is} without AutoMQ's taint, for the pods of others", list(&open));
        Finding::pass(Constraint::SystemPool, Severity::Error, fact)
    });
}

fn picture(policy: &Policy, pool: &Planned<'_>) -> PoolPicture {
    let declared: Vec<&String> = pool.declared.iter().flat_map(|(_, pool)| &pool.zones).collect();
    let instances = policy.instances.iter();
    let instances = instances.filter(|it| pool.declared.is_some_and(|(index, _)| it.pool == index));
    let zones = pool.zones().unwrap_or_default().into_iter().map(|zone| ZonePicture {
        is_meant: declared.is_empty() || declared.iter().any(|declared| is_zone(zone, declared)),
        name: zone.to_owned(),
        nodes: Vec::new(),
    });
    PoolPicture {
        name: pool.name.to_owned(),
        is_declared: pool.declared.is_some(),
        taint: pool.taint.to_string(),
        instances: instances.map(|it| it.name.clone()).collect(),
        zones: zones.collect(),
    }
}
