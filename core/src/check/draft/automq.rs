//! AutoMQ's namespaces and instances, by the labels of pods and of each StatefulSet.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    DraftChoices, DraftList, INSTANCES_MAX, NAMESPACES_MAX, is_marked, nodes::unique_name,
};
use crate::{
    check::{
        facts::{CheckFacts, Resident, pool_of},
        words::{count, list, verb},
    },
    cluster::inventory::Inventory,
    json,
    kubernetes::{
        name::{check_label_value, is_dns_subdomain},
        object::{Labels, PartialObjectMetadata, PodSpec, Workload, WorkloadKind},
        resource::{NAMESPACES, PODS, STATEFUL_SETS},
        selector::LabelSet,
        taint::Toleration,
    },
    policy::{
        Policy,
        placement::{UnknownNames, reach},
        snapshot::NodeRecord,
    },
};

/// The identifier of an instance that AutoMQ's console makes.
const INSTANCE_ID: &str = "automq.cloud/instance-id";
/// The label of AutoMQ's chart with its value, and the label of the chart's release.
const CHART: (&str, &str) = ("app.kubernetes.io/name", "automq-enterprise");
const RELEASE: &str = "app.kubernetes.io/instance";

/// The namespace that a config without any has.
const DEFAULT_NAMESPACE: &str = "automq";

/// An AutoMQ namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DraftNamespace {
    pub(super) name: String,
    pub(super) checks: Vec<String>,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DraftInstance {
    pub(super) name: String,
    pub(super) namespace: String,
    /// The label of the instance's pods, if the namespace has other pods too.
    pub(super) label: Option<(String, String)>,
    /// The pool of the instance; `None` if the cluster does not show it.
    pub(super) pool: Option<String>,
    pub(super) checks: Vec<String>,
}

/// A pod, or the template of one.
#[derive(Clone, Copy)]
struct Evidence<'a> {
    namespace: &'a str,
    labels: &'a Labels<'a>,
    spec: &'a PodSpec<'a>,
    /// Whether the evidence is a pod.
    is_pod: bool,
}

impl<'a> Evidence<'a> {
    /// The label that tells the instance, and its value.
    fn instance(&self) -> Option<(&'static str, &'a str)> {
        let is_chart = self.labels.value(CHART.0) == Some(CHART.1);
        let keys = [(INSTANCE_ID, true), (RELEASE, is_chart)];
        let mut values = keys.into_iter().filter(|(_, counts)| *counts).filter_map(|(key, _)| {
            let value = self.labels.value(key)?;
            (!value.is_empty() && check_label_value(value).is_ok()).then_some((key, value))
        });
        values.next()
    }
}

fn evidence<'a>(pods: &'a [Resident<'a>], sets: &'a [Workload<'a>]) -> Vec<Evidence<'a>> {
    let pods = pods.iter().map(|it| Evidence {
        namespace: &it.pod.metadata.namespace,
        labels: &it.pod.metadata.labels,
        spec: &it.pod.spec,
        is_pod: true,
    });
    let templates = sets.iter().map(|set| {
        let template = set.template(WorkloadKind::StatefulSet);
        Evidence {
            namespace: &set.metadata.namespace,
            labels: &template.metadata.labels,
            spec: &template.spec,
            is_pod: false,
        }
    });
    pods.chain(templates).filter(|it| is_dns_subdomain(it.namespace)).collect()
}

/// Every StatefulSet of a cluster.
pub(super) fn stateful_sets(inventory: &Inventory) -> Vec<Workload<'_>> {
    let sets = inventory.objects(&STATEFUL_SETS.group_resource());
    sets.filter_map(|(_, text)| json::from_str(text).ok()).collect()
}

/// The facts about AutoMQ in a cluster, collected before the pools are known.
pub(super) struct Deployment<'a> {
    /// The pods and templates, by namespace.
    evidence: BTreeMap<&'a str, Vec<Evidence<'a>>>,
    /// Namespaces with AutoMQ's pods or an AutoMQ StatefulSet, or those that were chosen.
    namespaces: BTreeSet<String>,
    /// Namespaces that have such pods, and that are exempt as a whole.
    exempt: Vec<&'a str>,
}

impl<'a> Deployment<'a> {
    pub(super) fn of(
        policy: &Policy,
        pods: &'a [Resident<'a>],
        sets: &'a [Workload<'a>],
        choices: &DraftChoices,
    ) -> Self {
        let mut by_namespace: BTreeMap<&str, Vec<Evidence<'_>>> = BTreeMap::new();
        for it in evidence(pods, sets) {
            by_namespace.entry(it.namespace).or_default().push(it);
        }
        let marked =
            by_namespace.iter().filter(|(_, own)| own.iter().any(|it| is_marked(it.labels)));
        let (exempt, found): (Vec<&str>, Vec<&str>) = marked
            .map(|(namespace, _)| *namespace)
            .partition(|namespace| is_exempt_as_a_whole(policy, namespace));
        let namespaces = match &choices.namespaces {
            Some(chosen) => chosen.iter().cloned().collect(),
            None => found.into_iter().map(str::to_owned).collect(),
        };
        Self { evidence: by_namespace, namespaces, exempt }
    }

    /// The nodes of instances that have no pod on any of these nodes, with the instances.
    pub(super) fn hosts_without<'d>(
        &'d self,
        nodes: impl Iterator<Item = &'d NodeRecord>,
    ) -> BTreeMap<&'d str, Vec<&'d str>> {
        let known: BTreeSet<&str> = nodes.map(|node| &*node.name).collect();
        let mut instances: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for namespace in &self.namespaces {
            for it in self.evidence.get(namespace.as_str()).into_iter().flatten() {
                if let Some((_, value)) = it.instance()
                    && it.is_pod
                    && !it.spec.node_name.is_empty()
                {
                    let hosts = instances.entry((it.namespace, value)).or_default();
                    hosts.insert(it.spec.node_name.as_str());
                }
            }
        }
        let mut hosts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for ((_, value), nodes) in instances {
            if nodes.is_disjoint(&known) {
                for node in nodes {
                    hosts.entry(node).or_default().push(value);
                }
            }
        }
        hosts
    }

    /// AutoMQ's namespaces, with the reasons to doubt them.
    pub(super) fn namespaces(
        &self,
        policy: &Policy,
        inventory: &Inventory,
        choices: &DraftChoices,
    ) -> DraftList<DraftNamespace> {
        let entry = |name: &str, checks| DraftNamespace { name: name.to_owned(), checks };
        if choices.namespaces.is_some() {
            let chosen = self.namespaces.iter().map(|name| entry(name, Vec::new())).collect();
            return DraftList::bounded(chosen, NAMESPACES_MAX, "namespace", Vec::new());
        }
        let mut checks: Vec<String> = Vec::new();
        if !self.exempt.is_empty() {
            let has = verb(&self.exempt, "has", "have");
            let is = verb(&self.exempt, "is a system namespace", "are system namespaces");
            let names = list(&self.exempt);
            checks.push(format!("{names} {has} pods with AutoMQ's labels, but {is}"));
        }
        let guessed = namespaces_by_name(policy, inventory);
        let others: Vec<&String> =
            guessed.iter().filter(|it| !self.namespaces.contains(*it)).collect();
        if self.namespaces.is_empty() {
            let (names, check) = if guessed.is_empty() {
                let check = if inventory.knows(&PODS.group_resource()) {
                    "no pod has AutoMQ's labels, so this is only the default name"
                } else {
                    "PoolGuard could not see the pods, so this is only the default name"
                };
                (vec![DEFAULT_NAMESPACE.to_owned()], check)
            } else {
                (
                    guessed,
                    "a guess from the names of the namespaces, because no pod has AutoMQ's labels. Remove each \
                     namespace that is not AutoMQ's, because PoolGuard lets every pod of these namespaces run on the \
                     pools",
                )
            };
            checks.push(check.to_owned());
            let entries = names.iter().map(|name| entry(name, Vec::new())).collect();
            return DraftList::bounded(entries, NAMESPACES_MAX, "namespace", checks);
        }
        if !others.is_empty() {
            let (it, fits) = if others.len() == 1 {
                ("it", "its name looks like AutoMQ's")
            } else {
                ("them", "their names look like AutoMQ's")
            };
            checks.push(format!(
                "add {} if AutoMQ uses {it}: {fits}, but no AutoMQ pod runs there",
                list(&others)
            ));
        }
        let entries =
            self.namespaces.iter().map(|name| entry(name, self.unrelated_pods(name))).collect();
        DraftList::bounded(entries, NAMESPACES_MAX, "namespace", checks)
    }

    /// Pods without AutoMQ's labels in an AutoMQ namespace.
    fn unrelated_pods(&self, namespace: &str) -> Vec<String> {
        let own = self.evidence.get(namespace).into_iter().flatten();
        let pods = own.filter(|it| it.is_pod);
        let (marked, others): (Vec<&Evidence<'_>>, Vec<_>) =
            pods.partition(|it| is_marked(it.labels));
        if others.is_empty() {
            return Vec::new();
        }
        let all = count(marked.len() + others.len(), "pod");
        let (lack, number) = (verb(&others, "lacks", "lack"), others.len());
        let as_pods = verb(&others, "it as an AutoMQ pod", "them as AutoMQ pods");
        vec![format!("{number} of {all} {lack} AutoMQ's labels, but PoolGuard treats {as_pods}")]
    }
}

fn is_exempt_as_a_whole(policy: &Policy, namespace: &str) -> bool {
    let mut whole = policy.exempt.iter().filter(|it| it.is_by_namespace_only());
    whole.any(|it| it.namespace.matches(namespace))
}

/// Namespaces that carry AutoMQ's labels, or are called `automq` or `automq-…`.
fn namespaces_by_name(policy: &Policy, inventory: &Inventory) -> Vec<String> {
    let namespaces = inventory.objects(&NAMESPACES.group_resource());
    let fits = namespaces.filter(|(name, text)| {
        let name = name.name.as_str();
        let is_named = name == DEFAULT_NAMESPACE || name.starts_with("automq-");
        let labels = json::from_str::<PartialObjectMetadata<'_>>(text).map(|it| it.metadata.labels);
        let is_marked = labels.is_ok_and(|labels| is_marked(&labels));
        (is_named || is_marked) && is_dns_subdomain(name) && !is_exempt_as_a_whole(policy, name)
    });
    fits.map(|(name, _)| name.name.clone()).collect()
}

/// The instances of a cluster whose pools and namespaces are drafted.
pub(super) fn instances(facts: &CheckFacts<'_>, sets: &[Workload<'_>]) -> DraftList<DraftInstance> {
    let mut by_namespace: BTreeMap<&str, Vec<Evidence<'_>>> = BTreeMap::new();
    let all = evidence(&facts.pods, sets);
    for it in all.iter().filter(|it| facts.policy.automq.owns_namespace(it.namespace)) {
        by_namespace.entry(it.namespace).or_default().push(*it);
    }
    let mut taken = BTreeSet::new();
    let mut instances = Vec::new();
    for (namespace, all) in by_namespace {
        let mut by_label: BTreeMap<&str, Vec<Evidence<'_>>> = BTreeMap::new();
        for it in &all {
            if let Some((_, value)) = it.instance() {
                by_label.entry(value).or_default().push(*it);
            }
        }
        if by_label.is_empty() && all.iter().any(|it| pool_index(facts, it).is_some()) {
            let mut instance = instance(facts, namespace, &all);
            instance.name = unique_name(namespace, &mut taken);
            let check = "no pod in this namespace has a label for its instance, so the whole namespace is one instance";
            instance.checks.insert(0, check.to_owned());
            instances.push(instance);
        }
        for (value, own) in by_label {
            let mut instance = instance(facts, namespace, &own);
            instance.name = unique_name(value, &mut taken);
            let has_others = own.len() < all.len();
            instance.label = has_others.then(|| (label_of(&own).to_owned(), value.to_owned()));
            instances.push(instance);
        }
    }
    DraftList::bounded(instances, INSTANCES_MAX, "instance", Vec::new())
}

/// The label that selects the pods of an instance: one that all of them have, if there is.
fn label_of(own: &[Evidence<'_>]) -> &'static str {
    let has = |key: &str| {
        own.iter()
            .all(|it| it.instance().is_some_and(|(_, value)| it.labels.value(key) == Some(value)))
    };
    if !has(INSTANCE_ID) && has(RELEASE) { RELEASE } else { INSTANCE_ID }
}

/// The declared pool of a pod's node.
fn pool_index(facts: &CheckFacts<'_>, it: &Evidence<'_>) -> Option<usize> {
    let index = if it.is_pod { pool_of(facts.snapshot, &it.spec.node_name) } else { None };
    index.filter(|index| *index < facts.policy.pools.len())
}

/// An instance with its pool, still without a name.
fn instance(facts: &CheckFacts<'_>, namespace: &str, own: &[Evidence<'_>]) -> DraftInstance {
    let mut in_pools: BTreeMap<usize, usize> = BTreeMap::new();
    let running = own.iter().filter(|it| it.is_pod && !it.spec.node_name.is_empty()).count();
    for index in own.iter().filter_map(|it| pool_index(facts, it)) {
        *in_pools.entry(index).or_default() += 1;
    }
    let name = |index: &usize| facts.policy.pools.get(*index).map(|pool| pool.name.to_string());
    // The first of those with the most.
    let most = in_pools.iter().rev().max_by_key(|(_, pods)| **pods).map(|(index, _)| *index);
    let mut checks = Vec::new();
    let pool = if let Some(most) = most {
        let inside: usize = in_pools.values().sum();
        if in_pools.len() > 1 {
            let pools = in_pools
                .iter()
                .filter_map(|(index, pods)| Some(format!("{} ({pods})", name(index)?)));
            checks.push(format!("its pods run in pools {}", list(&pools.collect::<Vec<_>>())));
        }
        if inside < running {
            let outside = running - inside;
            let run = if outside == 1 { "runs" } else { "run" };
            checks.push(format!(
                "{outside} of {} {run} on nodes that are in no pool",
                count(running, "pod")
            ));
        }
        Some(most)
    } else {
        let (pool, check) = pool_of_template(facts, own);
        checks.push(check);
        pool
    };
    DraftInstance {
        name: String::new(),
        namespace: namespace.to_owned(),
        label: None,
        pool: pool.as_ref().and_then(name),
        checks,
    }
}

/// The pool of an instance without a pod on any, and how it was found.
fn pool_of_template(facts: &CheckFacts<'_>, own: &[Evidence<'_>]) -> (Option<usize>, String) {
    let none = if facts.knows(PODS) {
        "no pod of this instance runs on a pool"
    } else {
        "the input contains no pods"
    };
    let pools = &facts.policy.pools;
    let selective = own
        .iter()
        .find(|it| !it.spec.node_selector.is_empty() || it.spec.required_node_affinity().is_some());
    let fitting: Vec<usize> = match selective {
        Some(it) => selected_pools(facts, it.spec),
        None => (0..pools.len()).collect(),
    };
    match (fitting.as_slice(), selective) {
        ([pool], Some(_)) => (
            Some(*pool),
            format!("{none}; the nodeSelector and node affinity of its pods match only this pool"),
        ),
        ([pool], None) => (Some(*pool), format!("{none}; this is the only pool")),
        ([], _) => (
            None,
            format!(
                "{none}, and the nodeSelector and node affinity of its pods match no pool: replace POOL, and uncomment the entry (and the line `instances:` above, if it is a comment)"
            ),
        ),
        (fitting, _) => {
            let names = fitting.iter().filter_map(|index| pools.get(*index)).map(|it| &*it.name);
            let names = list(&names.collect::<Vec<_>>());
            (
                None,
                format!(
                    "{none}; replace POOL by one of {names}, and uncomment the entry (and the line `instances:` above, if it is a comment)"
                ),
            )
        }
    }
}

/// The declared pools whose nodes a pod selects, without regard to its tolerations.
fn selected_pools(facts: &CheckFacts<'_>, spec: &PodSpec<'_>) -> Vec<usize> {
    let anything = Toleration { operator: "Exists".into(), ..Toleration::default() };
    let mut spec = spec.clone();
    spec.tolerations = Some(vec![anything]);
    spec.node_name = "".into();
    let reach = reach(facts.snapshot, &facts.policy.placement, &spec, UnknownNames::AreThere);
    let landings = reach.landings.iter().map(|landing| landing.pool);
    let pools: BTreeSet<usize> = landings.filter(|it| *it < facts.policy.pools.len()).collect();
    pools.into_iter().collect()
}
