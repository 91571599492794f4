//! A Terraform plan, held against what AutoMQ asks of node pools: before anything exists, and so without
//! nodes, pods, roles or volumes. What the plan does not know yet is unknown.

mod constraints;
mod instances;
mod manifests;
mod roles;

use std::collections::BTreeSet;

use super::{
    CheckedSubject, Fitness, demote,
    finding::{CheckFinding, Constraint, FindingSeverity},
    nodes::{IDENTITY, TAINT},
    picture::{PoolPicture, ZonePicture},
    system_pool::takes_system_pods,
    words::{capital, list, named, verb},
};
use crate::{
    kubernetes::{selector::LabelSelector, taint::Taint},
    policy::{Policy, placement::Ternary, pool::Pool},
    terraform::{Action, Lookalike, Plan, PlannedPool},
};

/// An AutoMQ pool with the planned node pools that form it: one, or one for each zone.
struct Planned<'a> {
    name: String,
    declared: Option<(usize, &'a Pool)>,
    taint: &'a Taint<'static>,
    parts: Vec<&'a PlannedPool>,
}

/// The owner of a node pool of a plan.
enum Owner<'a> {
    Declared(usize, &'a Pool),
    /// AutoMQ: the node pool has this taint of the config, or a taint that was meant to be it.
    Tainted(&'a Taint<'static>),
    /// An unknown owner: the plan does not know the taints of the node pool, or the labels that decide.
    Unknown,
    Others,
}

/// Judges a plan by every constraint that a plan can show.
pub fn examine_plan(policy: &Policy, plan: &Plan) -> Fitness {
    let mut pools: Vec<Planned<'_>> = Vec::new();
    let (mut unclear, mut others) = (Vec::new(), Vec::new());
    for part in &plan.pools {
        let (declared, taint) = match owner(policy, part) {
            Owner::Declared(index, pool) => (Some((index, pool)), &pool.taint),
            Owner::Tainted(taint) => (None, taint),
            Owner::Unknown => {
                unclear.push(part);
                continue;
            }
            Owner::Others => {
                others.push(part);
                continue;
            }
        };
        match pools.iter_mut().find(|pool| pool.takes(declared, part)) {
            Some(pool) => pool.parts.push(part),
            None => pools.push(Planned {
                name: declared.map_or(part.name.as_str(), |(_, pool)| &pool.name).to_owned(),
                declared,
                taint,
                parts: vec![part],
            }),
        }
    }
    pools.sort_by_key(|pool| pool.declared.map_or(usize::MAX, |(index, _)| index));
    tell_apart(&mut pools);
    let mut findings = Vec::new();
    for pool in &pools {
        let mut found = constraints::judge(policy, pool);
        found.sort_by_key(|finding| std::cmp::Reverse((finding.status, finding.severity)));
        findings.extend(found.into_iter().map(|finding| finding.pool(&pool.name)));
    }
    let by_manifests = manifests::judge(policy, plan, &mut findings);
    absent(policy, plan, (&pools, &by_manifests), &unclear, &mut findings);
    roles::judge(policy, plan, &mut findings);
    instances::judge(policy, plan, &pools, &mut findings);
    system_pool(policy, &others, &mut findings);
    for finding in &mut findings {
        demote(policy, finding);
    }
    let lasting = || plan.pools.iter().filter(|pool| pool.action != Action::Delete);
    let nodes = lasting().filter_map(|pool| pool.size).fold(0, u64::saturating_add);
    Fitness {
        subject: CheckedSubject::Plan {
            is_whole: plan.lookalikes.is_empty() && lasting().all(|pool| pool.size.is_some()),
        },
        provider: policy.provider,
        findings,
        pools: pools
            .iter()
            .filter(|pool| pool.lasting().next().is_some())
            .map(|pool| picture(policy, pool))
            .chain(by_manifests)
            .collect(),
        missing: Vec::new(),
        nodes: usize::try_from(nodes).unwrap_or(usize::MAX),
    }
}

fn owner<'a>(policy: &'a Policy, part: &PlannedPool) -> Owner<'a> {
    let mut may_be_declared = false;
    for (index, pool) in policy.pools.iter().enumerate() {
        match selects(&pool.nodes, part) {
            Ternary::No => {}
            Ternary::Maybe => may_be_declared = true,
            Ternary::Yes if may_be_declared => break,
            Ternary::Yes => return Owner::Declared(index, pool),
        }
    }
    let Some(taints) = &part.taints else { return Owner::Unknown };
    let mut own = std::iter::once(&policy.taint).chain(policy.pools.iter().map(|pool| &pool.taint));
    match own.find(|own| taints.iter().any(|taint| is_meant(taint, own))) {
        Some(taint) => Owner::Tainted(taint),
        None if may_be_declared => Owner::Unknown,
        None => Owner::Others,
    }
}

/// Whether a taint is this one, or was meant to be it: it differs in its effect, its spelling, or has no value.
pub(in crate::check) fn is_meant(taint: &Taint<'_>, own: &Taint<'_>) -> bool {
    let is_like = |one: &str, other: &str| one.trim().eq_ignore_ascii_case(other);
    is_like(&taint.key, &own.key)
        && (is_like(&taint.value, &own.value) || (taint.value.is_empty() && !own.value.is_empty()))
}

/// Whether a selector takes the nodes of a pool, by what is known of their labels.
fn selects(selector: &LabelSelector, part: &PlannedPool) -> Ternary {
    let requirements = selector.requirements().iter();
    let answers = requirements.map(|requirement| {
        if part.labels.is_unknown(&requirement.key) {
            Ternary::Maybe
        } else {
            requirement.matches(&part.labels).into()
        }
    });
    answers.min().unwrap_or(Ternary::Yes)
}

/// Adds the address to the name of each pool that shares its name, for example with a pool in another cluster.
fn tell_apart(pools: &mut [Planned<'_>]) {
    let names: Vec<String> = pools.iter().map(|pool| pool.name.clone()).collect();
    for pool in pools {
        if names.iter().filter(|name| **name == pool.name).count() > 1
            && let Some(part) = pool.parts.first()
        {
            pool.name = format!("{} ({})", pool.name, part.address);
        }
    }
}

impl Planned<'_> {
    /// Whether this node pool is part of the same pool: declared as the same, in the same cluster.
    fn takes(&self, declared: Option<(usize, &Pool)>, part: &PlannedPool) -> bool {
        let is_same = |(index, _): (usize, &Pool)| {
            self.declared.is_some_and(|(own, _)| own == index)
                && self.parts.iter().all(|own| own.cluster == part.cluster)
        };
        declared.is_some_and(is_same)
    }

    /// The parts that the plan does not delete.
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

/// Reports what the plan does not make, as far as the plan shows it.
fn absent(
    policy: &Policy,
    plan: &Plan,
    (pools, by_manifests): (&[Planned<'_>], &[PoolPicture]),
    unclear: &[&PlannedPool],
    findings: &mut Vec<CheckFinding>,
) {
    for part in unclear {
        let what = if part.taints.is_none() { "taints" } else { "labels" };
        let fact = format!(
            "The plan does not contain the {what} of node pool {}, so PoolGuard cannot tell \
             whether it is for AutoMQ",
            part.name
        );
        findings
            .push(CheckFinding::unknown(TAINT, FindingSeverity::Error, fact).object(&part.address));
    }
    for (index, pool) in policy.pools.iter().enumerate() {
        let is_made = by_manifests.iter().any(|it| it.is_declared && *it.name == *pool.name);
        if !is_made
            && !pools.iter().any(|it| it.declared.is_some_and(|(declared, _)| declared == index))
        {
            let fact = format!(
                "No node pool of the plan has the labels of pool {} of the config ({})",
                pool.name, pool.nodes
            );
            findings.push(
                CheckFinding::unknown(IDENTITY, FindingSeverity::Warning, fact).pool(&pool.name),
            );
        }
    }
    let has_none = pools.is_empty() && by_manifests.is_empty();
    if has_none && unclear.is_empty() && policy.pools.is_empty() {
        let taint = &policy.taint;
        let seen: Vec<&str> = plan.pools.iter().map(|part| part.address.as_str()).collect();
        let which = match seen.as_slice() {
            [] => String::new(),
            [only] => format!(". Its only node pool is {only}"),
            several => format!(". Its node pools are {}", list(several)),
        };
        let fact = format!(
            "No node pool of the plan has the taint {taint}{which}. PoolGuard does not see the node pools that the cluster \
             already has"
        );
        findings.push(CheckFinding::unknown(TAINT, FindingSeverity::Error, fact));
    }
    // Beside node pools, what only looks like one is hardly one.
    for Lookalike { address, kind } in
        plan.lookalikes.iter().filter(|_| plan.pools.is_empty() && by_manifests.is_empty())
    {
        let fact = format!(
            "{address} may create nodes. PoolGuard does not read {kind}, so it does not know the taints, machine types \
             and zones of these nodes"
        );
        let finding = CheckFinding::unknown(TAINT, FindingSeverity::Error, fact);
        findings.push(finding.object(address).fix("# after the nodes exist, run: poolguard check"));
    }
}

fn system_pool(policy: &Policy, others: &[&PlannedPool], findings: &mut Vec<CheckFinding>) {
    let is_open = |part: &&&PlannedPool| {
        part.action != Action::Delete
            && part.size.is_some_and(|size| size > 0)
            && part.taints.as_ref().is_some_and(|taints| takes_system_pods(policy, taints))
    };
    let open: Vec<&str> = others.iter().filter(is_open).map(|part| part.name.as_str()).collect();
    findings.push(if open.is_empty() {
        let fact =
            "PoolGuard cannot tell whether system pods have a node: the plan shows no node pool that is \
             sure to accept them, but the cluster may already have one";
        CheckFinding::unknown(Constraint::SystemPool, FindingSeverity::Error, fact)
    } else {
        let has = verb(&open, "has", "have");
        let fact = format!(
            "{} {has} no AutoMQ taint, so other pods can run there",
            capital(&named("node pool", &open))
        );
        CheckFinding::pass(Constraint::SystemPool, FindingSeverity::Error, fact)
    });
}

fn picture(policy: &Policy, pool: &Planned<'_>) -> PoolPicture {
    let declared: Vec<&String> = pool.declared.iter().flat_map(|(_, pool)| &pool.zones).collect();
    let places = policy.placement.zone_spelling.without_nodes();
    let is_declared = |zone: &str| {
        let declared = declared.iter().map(|it| it.as_str());
        places.find(zone, declared) != Ternary::No
    };
    let instances = policy.instances.iter();
    let instances = instances.filter(|it| pool.declared.is_some_and(|(index, _)| it.pool == index));
    let zones = pool.zones().unwrap_or_default().into_iter().map(|zone| ZonePicture {
        is_meant: declared.is_empty() || is_declared(zone),
        name: zone.to_owned(),
        nodes: Vec::new(),
    });
    PoolPicture {
        name: pool.name.clone(),
        is_declared: pool.declared.is_some(),
        taint: pool.taint.to_string(),
        instances: instances.map(|it| it.name.clone()).collect(),
        zones: zones.collect(),
    }
}
