//! Dedicated nodes to pools: one pool for each of the provider's node pools.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checked, DraftList, POOLS_MAX, automq::Deployment};
use crate::{
    check::{
        facts::machine_type,
        words::{count, list, verb},
    },
    kubernetes::{
        name::{any_matches, check_label_key, check_label_value},
        selector::{LabelSelector, LabelSet, Operator, Requirement},
        taint::{NO_EXECUTE, Taint},
    },
    policy::{
        Policy,
        approved_types::ApprovedTypes,
        pool::{HOST_NAME_LABEL, MACHINE_TYPE_LABEL, Pool, ZONE_LABEL},
        snapshot::NodeRecord,
    },
};

/// The largest number of hosts in a selector: no useful selector has more.
const HOSTS_MAX: usize = 50;
/// The largest number of machine types that a draft lists: people cannot review a longer list.
const TYPES_MAX: usize = 20;

/// A pool to declare.
#[derive(Clone, Debug)]
pub(super) struct DraftPool {
    pub(super) name: String,
    pub(super) nodes: Checked<DraftSelector>,
    pub(super) zones: Checked<Vec<String>>,
    pub(super) machine_types: Checked<Vec<String>>,
    pub(super) role: Checked<Option<String>>,
    pub(super) taint: Checked<Taint<'static>>,
    pub(super) additional_taints: Checked<Vec<Taint<'static>>>,
}

/// The selector of a pool's nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DraftSelector {
    /// A label with its value.
    Label(String, String),
    /// The hosts, where the nodes share no label.
    Hosts(Vec<String>),
}

impl DraftPool {
    /// The pool as a policy has it.
    pub(super) fn compiled(&self) -> Pool {
        let requirement = match &self.nodes.value {
            DraftSelector::Label(key, value) => {
                Requirement::new(key, Operator::In, vec![value.clone()])
            }
            DraftSelector::Hosts(hosts) => {
                Requirement::new(HOST_NAME_LABEL, Operator::In, hosts.clone())
            }
        };
        let types = &self.machine_types.value;
        Pool {
            name: self.name.as_str().into(),
            nodes: LabelSelector::new(requirement.into_iter().collect()),
            zones: self.zones.value.clone(),
            machine_types: (!types.is_empty()).then(|| types.clone()),
            role: self.role.value.clone(),
            taint: self.taint.value.clone(),
            additional_taints: self.additional_taints.value.clone(),
        }
    }
}

/// The largest number of left-out node pools that a draft names one by one.
const LEFT_OUT_MAX: usize = 20;

/// Nodes that become a pool.
struct Group<'a> {
    selector: DraftSelector,
    /// The name that the nodes give the pool, before it is made valid and unique.
    name: String,
    nodes: Vec<&'a NodeRecord>,
    checks: Vec<String>,
}

/// The pools of a cluster: nodes with an AutoMQ taint, and node pools on which nothing but the pods of
/// an instance tells that they are AutoMQ's.
pub(super) fn pools(
    policy: &Policy,
    nodes: &[&NodeRecord],
    deployment: &Deployment<'_>,
) -> DraftList<DraftPool> {
    let mut dedication = Dedication { policy, others: Vec::new() };
    let is_tainted = |node: &NodeRecord| dedication.taint_of(node).is_some();
    let untainted = deployment.hosts_without(nodes.iter().filter(|it| is_tainted(it)).copied());
    dedication.others = dedication.taints_in_place(nodes, |node| untainted.contains_key(node));
    let is_tainted = |node: &NodeRecord| dedication.taint_of(node).is_some();
    let mut labels: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    let mut unlabelled: BTreeMap<&Taint<'static>, Vec<&NodeRecord>> = BTreeMap::new();
    for node in nodes {
        let guests = untainted.get(&*node.name);
        match (node_pool(policy, node), dedication.taint_of(node)) {
            (Some((key, value)), Some(_)) => {
                labels.entry((value, key)).or_default();
            }
            (Some((key, value)), None) if let Some(guests) = guests => {
                labels.entry((value, key)).or_default().extend(guests.iter().copied());
            }
            (None, Some(taint)) => unlabelled.entry(taint).or_default().push(node),
            (Some(_) | None, None) => {}
        }
    }
    let mut checks = Vec::new();
    let mut groups = Vec::new();
    for ((value, key), mut guests) in labels {
        let members = nodes.iter().filter(|it| it.value(key) == Some(value)).copied();
        let members: Vec<_> = members.collect();
        guests.sort_unstable();
        guests.dedup();
        groups.push(Group {
            selector: DraftSelector::Label(key.to_owned(), value.to_owned()),
            name: value.to_owned(),
            checks: guests_of(&members, is_tainted, &guests),
            nodes: members,
        });
    }
    for (taint, members) in unlabelled {
        match without_node_pool(policy, taint, &members, nodes) {
            Some(group) => groups.push(group),
            None => checks.push(format!(
                "{} {} {taint} but no label that identifies a node pool: give the nodes a label, and declare a \
                 pool that selects this label",
                count(members.len(), "node"),
                verb(&members, "carries", "carry"),
            )),
        }
    }
    checks.extend(left_out(&dedication, nodes, &groups));
    let mut taken = BTreeSet::new();
    let groups = DraftList::bounded(groups, POOLS_MAX, "pool", checks);
    let pools = groups.entries.into_iter().map(|group| pool(&dedication, group, &mut taken));
    DraftList { entries: pools.collect(), checks: groups.checks }
}

/// Node pools that are not in the draft although a taint of theirs is called after AutoMQ.
fn left_out(
    dedication: &Dedication<'_>,
    nodes: &[&NodeRecord],
    groups: &[Group<'_>],
) -> Vec<String> {
    let own = &dedication.policy.taint;
    let is_near = |taint: &&Taint<'static>| {
        let is_of_key = taint.key == own.key && taint.value.starts_with(own.value.as_str());
        is_of_key || tells(&taint.key) || tells(&taint.value)
    };
    let members = groups.iter().flat_map(|group| &group.nodes);
    let drafted: BTreeSet<&str> = members.map(|node| &*node.name).collect();
    let mut found: BTreeMap<String, &Taint<'static>> = BTreeMap::new();
    for node in nodes {
        let near = node.taints.iter().find(is_near);
        if let Some(taint) = near.filter(|_| !drafted.contains(&*node.name)) {
            let place = match node_pool(dedication.policy, node) {
                Some((_, name)) => format!("node pool {name}"),
                None => format!("node {}", node.name),
            };
            found.entry(place).or_insert(taint);
        }
    }
    let more = found.len().saturating_sub(LEFT_OUT_MAX);
    let shown = found.iter().take(LEFT_OUT_MAX);
    let shown = shown.map(|(place, taint)| {
        format!(
            "{place} has the taint {taint}, not {own}, so it is not in this draft and PoolGuard does not protect it. \
             If it is AutoMQ's, correct the taint and add the pool"
        )
    });
    let rest =
        (more > 0).then(|| format!("{more} more such node pools or nodes are not in this draft"));
    shown.chain(rest).collect()
}

/// Returns the reason why a node pool without any AutoMQ taint is in the draft.
fn guests_of(
    members: &[&NodeRecord],
    is_tainted: impl Fn(&NodeRecord) -> bool,
    guests: &[&str],
) -> Vec<String> {
    if guests.is_empty() || members.iter().any(|node| is_tainted(node)) {
        return Vec::new();
    }
    let guests = list(guests);
    vec![format!("this pool is in the draft only because pods of {guests} run on its nodes")]
}

/// The taints that make a node AutoMQ's.
struct Dedication<'p> {
    policy: &'p Policy,
    /// Further taints, beside the default and those of its key.
    others: Vec<Taint<'static>>,
}

impl Dedication<'_> {
    /// The taint that makes a node AutoMQ's: the default, or one of the same key for another part of
    /// AutoMQ, such as `dedicated=automq-connect`.
    fn taint_of<'n>(&self, node: &'n NodeRecord) -> Option<&'n Taint<'static>> {
        let own = &self.policy.taint;
        let is_variant = |taint: &&Taint<'static>| {
            let is_of_key = taint.key == own.key && taint.value.starts_with(own.value.as_str());
            is_of_key && is_usable(taint) || self.others.contains(taint)
        };
        let exact = node.taints.iter().find(|taint| *taint == own);
        exact.or_else(|| node.taints.iter().filter(is_variant).min())
    }

    /// AutoMQ taints that these hosts, and all nodes of their node pools, carry in place of the default.
    fn taints_in_place(
        &self,
        nodes: &[&NodeRecord],
        is_host: impl Fn(&str) -> bool,
    ) -> Vec<Taint<'static>> {
        let hosts = nodes.iter().filter(|node| is_host(&node.name));
        let labels: BTreeSet<_> = hosts.filter_map(|node| node_pool(self.policy, node)).collect();
        let is_telling = |taint: &&Taint<'static>| tells(&taint.key) || tells(&taint.value);
        let taints = labels.into_iter().filter_map(|(key, value)| {
            let members = nodes.iter().filter(|it| it.value(key) == Some(value)).copied();
            let members: Vec<&NodeRecord> = members.collect();
            shared_taints(self.policy, &members).find(is_telling).cloned()
        });
        taints.collect()
    }
}

/// Whether a label or a taint is called after AutoMQ.
fn tells(text: &str) -> bool {
    text.contains("automq") || text.contains("kafka")
}

/// Whether a config can name this taint.
fn is_usable(taint: &Taint<'_>) -> bool {
    taint.keeps_pods_out()
        && check_label_key(&taint.key).is_ok()
        && check_label_value(&taint.value).is_ok()
}

/// The label by which the provider names a node's pool, if a config can name it.
fn node_pool<'n>(policy: &'n Policy, node: &'n NodeRecord) -> Option<(&'n str, &'n str)> {
    let named = policy.node_pool_of(node);
    named.filter(|(_, value)| !value.is_empty() && check_label_value(value).is_ok())
}

/// Groups tainted nodes that have no label of a node pool, by a label that only they have, or by their host names.
fn without_node_pool<'a>(
    policy: &Policy,
    taint: &Taint<'static>,
    members: &[&'a NodeRecord],
    all: &[&NodeRecord],
) -> Option<Group<'a>> {
    let (first, others) = members.split_first()?;
    let is_own = |key: &str, value: &str| {
        others.iter().all(|node| node.value(key) == Some(value))
            && all.iter().filter(|it| it.value(key) == Some(value)).count() == members.len()
    };
    let labels = first.labels.iter().map(|(key, value)| (&**key, &**value));
    let shared = labels.filter(|(key, value)| {
        (*key == taint.key.as_str() || tells(key) || tells(value))
            && check_label_key(key).is_ok()
            && check_label_value(value).is_ok()
            && !any_matches(&policy.placement.individual_labels, key)
            && is_own(key, value)
    });
    let nodes = members.to_vec();
    if let Some((key, value)) = shared.min_by_key(|(key, _)| *key != taint.key.as_str()) {
        let name = if value.is_empty() { key.rsplit('/').next().unwrap_or(key) } else { value };
        let check = "these nodes have no node-pool label of the provider, so PoolGuard took a label that only these nodes have";
        return Some(Group {
            selector: DraftSelector::Label(key.to_owned(), value.to_owned()),
            name: name.to_owned(),
            checks: vec![check.to_owned()],
            nodes,
        });
    }
    let host = |node: &&NodeRecord| {
        let host = node.value(HOST_NAME_LABEL)?;
        (!host.is_empty() && check_label_value(host).is_ok()).then(|| host.to_owned())
    };
    let mut hosts: Vec<String> = members.iter().map(host).collect::<Option<_>>()?;
    hosts.sort();
    hosts.dedup();
    let check = "these nodes have no label in common, so you must add the name of every new node. It is better to \
                 give the nodes a label, and to select this label";
    (hosts.len() <= HOSTS_MAX).then(|| Group {
        selector: DraftSelector::Hosts(hosts),
        name: taint.value.to_string(),
        checks: vec![check.to_owned()],
        nodes,
    })
}

fn pool(dedication: &Dedication<'_>, group: Group<'_>, taken: &mut BTreeSet<String>) -> DraftPool {
    let Group { selector, name, nodes, mut checks } = group;
    let policy = dedication.policy;
    let taint = pool_taint(dedication, &nodes);
    let lacking = nodes.iter().filter(|node| !node.taints.contains(&taint.value)).count();
    if lacking == nodes.len() {
        checks.push(format!(
            "no node of this pool has the taint {}, so other pods can run on these nodes",
            taint.value
        ));
    } else if lacking > 0 {
        let (lacking, all) = (lacking, count(nodes.len(), "node"));
        let verb = if lacking == 1 { "lacks" } else { "lack" };
        checks.push(format!("{lacking} of {all} {verb} the taint {}", taint.value));
    }
    DraftPool {
        name: unique_name(&name, taken),
        zones: zones(policy, &nodes),
        machine_types: machine_types(policy, &nodes),
        role: Checked::default(),
        additional_taints: additional_taints(policy, &taint.value, &nodes),
        nodes: Checked { value: selector, checks },
        taint,
    }
}

/// The taint of a pool: the default if any node carries it, else what the nodes carry in its place.
fn pool_taint(dedication: &Dedication<'_>, nodes: &[&NodeRecord]) -> Checked<Taint<'static>> {
    let own = &dedication.policy.taint;
    let has_own = nodes.iter().any(|node| node.taints.contains(own));
    let in_place = nodes.iter().filter_map(|node| dedication.taint_of(node)).min();
    let Some(taint) = in_place.filter(|_| !has_own) else {
        return Checked { value: own.clone(), checks: Vec::new() };
    };
    let mut checks = vec![format!("the nodes have this taint instead of {own}")];
    if taint.effect == NO_EXECUTE {
        checks.push("AutoMQ's brokers tolerate only NoSchedule; NoExecute evicts them".to_owned());
    }
    Checked { value: taint.clone(), checks }
}

/// Taints that all nodes carry for good.
fn shared_taints<'n>(
    policy: &Policy,
    nodes: &[&'n NodeRecord],
) -> impl Iterator<Item = &'n Taint<'static>> {
    let (first, others) = match nodes.split_first() {
        Some((first, others)) => (first.taints.as_slice(), others),
        None => (&[] as &[_], nodes),
    };
    first.iter().filter(move |taint| {
        policy.is_lasting(taint)
            && is_usable(taint)
            && others.iter().all(|node| node.taints.contains(taint))
    })
}

fn additional_taints(
    policy: &Policy,
    own: &Taint<'static>,
    nodes: &[&NodeRecord],
) -> Checked<Vec<Taint<'static>>> {
    let mut value: Vec<_> = shared_taints(policy, nodes).filter(|it| *it != own).cloned().collect();
    value.sort();
    value.dedup();
    let check =
        "every node also has these taints; PoolGuard adds their tolerations to the pool's pods";
    let checks = if value.is_empty() { Vec::new() } else { vec![check.to_owned()] };
    Checked { value, checks }
}

fn zones(policy: &Policy, nodes: &[&NodeRecord]) -> Checked<Vec<String>> {
    let zone_of = |node: &&NodeRecord| {
        let zone = node.value(ZONE_LABEL)?;
        let is_zone = !zone.is_empty()
            && check_label_value(zone).is_ok()
            && !policy.placement.zone_spelling.none.iter().any(|none| none == zone);
        is_zone.then(|| zone.to_owned())
    };
    let zones: BTreeSet<String> = nodes.iter().filter_map(zone_of).collect();
    let zones: Vec<String> = zones.into_iter().collect();
    let silent = nodes.iter().filter(|node| zone_of(node).is_none()).count();
    let mut checks = Vec::new();
    let told = match zones.len() {
        0 => {
            checks.push(format!("no node has a zone in the label {ZONE_LABEL}"));
            return Checked { value: Vec::new(), checks };
        }
        1 | 3 => zones,
        number => {
            let spelled = if number == 2 { "two".to_owned() } else { number.to_string() };
            let names = list(&zones);
            checks.push(format!(
                "the nodes are in {spelled} zones ({names}), but AutoMQ needs one zone or three"
            ));
            Vec::new()
        }
    };
    if silent > 0 {
        let all = count(nodes.len(), "node");
        let verb = if silent == 1 { "has" } else { "have" };
        checks.push(format!("{silent} of {all} {verb} no zone in the label {ZONE_LABEL}"));
    }
    Checked { value: told, checks }
}

fn machine_types(policy: &Policy, nodes: &[&NodeRecord]) -> Checked<Vec<String>> {
    let types = nodes.iter().filter_map(|node| machine_type(node));
    let types: BTreeSet<&str> =
        types.filter(|it| !it.is_empty() && check_label_value(it).is_ok()).collect();
    let mut checks = Vec::new();
    if types.is_empty() {
        checks.push(format!("no node has a machine type in the label {MACHINE_TYPE_LABEL}"));
    } else if types.len() > TYPES_MAX {
        checks.push(format!(
            "the nodes have {} machine types: list the types that AutoMQ approved",
            types.len()
        ));
        return Checked { value: Vec::new(), checks };
    } else if let Some(ApprovedTypes { names, source }) = policy.approved_types(None) {
        let others: Vec<&str> = types.iter().filter(|it| !names.contains(it)).copied().collect();
        if !others.is_empty() {
            let provider = policy.provider_name();
            let whose =
                if source.is_authoritative() { "AutoMQ's list" } else { "PoolGuard's catalog" };
            let names = list(&others);
            checks.push(format!("{whose} for {provider} does not contain {names}; ask AutoMQ whether it approves this type"));
        }
    }
    Checked { value: types.into_iter().map(str::to_owned).collect(), checks }
}

/// A name that the config accepts, and that no other entry has.
pub(super) fn unique_name(text: &str, taken: &mut BTreeSet<String>) -> String {
    const LENGTH_MAX: usize = 63;
    let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    let plain: String = text.chars().map(|it| if is_plain(it) { it } else { '-' }).collect();
    let trimmed = |text: &str, length: usize| {
        let text = text.trim_start_matches(|it: char| !it.is_ascii_alphanumeric());
        let text: String = text.chars().take(length).collect();
        text.trim_end_matches(|it: char| !it.is_ascii_alphanumeric()).to_owned()
    };
    let mut name = trimmed(&plain, LENGTH_MAX);
    if name.is_empty() {
        "unnamed".clone_into(&mut name);
    }
    let mut number = 2;
    let mut candidate = name.clone();
    while !taken.insert(candidate.clone()) {
        let suffix = format!("-{number}");
        candidate = trimmed(&name, LENGTH_MAX - suffix.len()) + &suffix;
        number += 1;
    }
    candidate
}
