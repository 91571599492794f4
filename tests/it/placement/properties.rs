//! Placement by properties, over generated configs, nodes and pods.
//!
//! More cases: `PROPTEST_CASES=100000`.

use std::collections::BTreeSet;

use poolguard::{
    config, json,
    kubernetes::{
        object::PodSpec,
        taint::{Taint, tolerates_all},
    },
    policy::{
        Policy,
        membership::Membership,
        placement::{Constraints, Reach, UnknownNames, Witness, reach},
        snapshot::{Located, NodeRecord, PoolOrigin, Snapshot},
    },
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select, subsequence},
};
use serde_json::{Value, json};

use crate::{
    generate::{
        GROUP, HOSTNAME, NODES_MAX, TIER, ZONE, node_labels, node_name, pod_spec, taint,
        toleration, unbound_pod_spec,
    },
    scenario::Scenario,
};

/// A config, and the nodes of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct World {
    config: Value,
    nodes: Vec<NodeRecord>,
}

pub(crate) fn world() -> impl Strategy<Value = World> {
    (config(), nodes()).prop_map(|(config, nodes)| World { config, nodes })
}

fn config() -> impl Strategy<Value = Value> {
    let selectors = [
        json!({ "matchLabels": { GROUP: "automq-a" } }),
        json!({ "matchLabels": { GROUP: "automq-abc" } }),
        json!({ "matchLabels": { GROUP: "automq-a", TIER: "hot" } }),
        json!({ "matchExpressions": [{ "key": GROUP, "operator": "In", "values": ["automq-b", "automq-abc"] }] }),
        json!({ "matchExpressions": [{ "key": TIER, "operator": "Exists" }] }),
        json!({
            "matchLabels": { GROUP: "automq-b" },
            "matchExpressions": [
                { "key": TIER, "operator": "DoesNotExist" },
                { "key": ZONE, "operator": "NotIn", "values": ["us-east-1d"] },
            ],
        }),
    ];
    let zones = [json!(["us-east-1a"]), json!(["us-east-1a", "us-east-1b", "us-east-1c"])];
    let taints = [
        json!({ "value": "other" }),
        json!({ "key": "special", "value": "" }),
        json!({ "effect": "NoExecute" }),
    ];
    let details =
        (option::of(select(zones.to_vec())), option::weighted(0.3, select(taints.to_vec())));
    (
        subsequence(selectors.to_vec(), 0..=4).prop_shuffle(),
        vec(details, 4),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(selectors, details, discovery, comparison)| {
            let pools = selectors.into_iter().zip(details).enumerate();
            let pools = pools.map(|(index, (nodes, (zones, taint)))| {
                let name = format!("pool-{index}");
                json!({ "name": name, "nodes": nodes, "zones": zones, "taint": taint })
            });
            json!({
                "apiVersion": "poolguard.io/v1alpha1",
                "kind": "PoolGuardConfig",
                "provider": "aws",
                "discovery": { "enabled": discovery },
                "pools": pools.collect::<Vec<_>>(),
                "placement": { "comparisonOperators": comparison },
            })
        })
}

fn nodes() -> impl Strategy<Value = Vec<NodeRecord>> {
    let node = (node_labels(), vec(taint(), 0..4), option::weighted(0.9, Just(())));
    vec(node, 0..=NODES_MAX).prop_map(|nodes| {
        let nodes = nodes.into_iter().enumerate();
        nodes
            .map(|(index, (labels, taints, with_hostname))| {
                record(index, &labels, &taints, with_hostname.is_some())
            })
            .collect()
    })
}

fn record(index: usize, labels: &Value, taints: &[Value], with_hostname: bool) -> NodeRecord {
    let name = node_name(index);
    let hostname = with_hostname.then_some((HOSTNAME, name.as_str()));
    let labels = labels.as_object().unwrap().iter();
    let labels = labels.map(|(key, value)| (key.as_str(), value.as_str().unwrap()));
    let mut labels: Vec<_> =
        labels.chain(hostname).map(|(key, value)| (key.into(), value.into())).collect();
    labels.sort();
    let taints = taints.iter().map(owned).collect();
    NodeRecord { name: name.as_str().into(), labels, taints, cordoned: false, ready: true }
}

fn owned(taint: &Value) -> Taint<'static> {
    json::from_str::<Taint<'_>>(&taint.to_string()).unwrap().to_static()
}

impl World {
    /// As requests meet it.
    pub(crate) fn scenario(&self) -> Scenario {
        let policy = self.policy();
        let snapshot = self.snapshot(&policy);
        Scenario { policy, snapshot }
    }

    fn policy(&self) -> Policy {
        let text = self.config.to_string();
        let loaded = config::load("config", &text, None);
        loaded.unwrap_or_else(|diagnostics| panic!("{diagnostics}")).policy
    }

    fn snapshot(&self, policy: &Policy) -> Snapshot {
        Snapshot::build(policy, &self.nodes.iter().collect::<Vec<_>>(), Vec::new())
    }

    /// The pools that a pod reaches.
    fn reached(&self, spec: &Value) -> BTreeSet<String> {
        let policy = self.policy();
        let text = spec.to_string();
        let snapshot = self.snapshot(&policy);
        let reach = anyones_reach(&snapshot, &policy, &read(&text));
        pools(&snapshot, &reach)
    }
}

/// What a pod reaches that no DaemonSet controller made.
fn anyones_reach<'s>(snapshot: &'s Snapshot, policy: &Policy, spec: &PodSpec<'_>) -> Reach<'s> {
    reach(snapshot, &policy.placement, spec, UnknownNames::MayCome)
}

fn read(spec: &str) -> PodSpec<'_> {
    json::from_str(spec).unwrap()
}

/// The spec with further requirements in every term of its node affinity, as advice has it.
fn with_expressions(spec: Value, expressions: &[Value]) -> Value {
    with_requirements(spec, "matchExpressions", expressions)
}

fn with_fields(spec: Value, fields: &[Value]) -> Value {
    with_requirements(spec, "matchFields", fields)
}

fn with_requirements(mut spec: Value, list: &str, requirements: &[Value]) -> Value {
    let required =
        &mut spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    if required.is_null() {
        *required = json!({ "nodeSelectorTerms": [{ list: requirements }] });
        return spec;
    }
    for term in required["nodeSelectorTerms"].as_array_mut().into_iter().flatten() {
        // An empty term matches nothing, and would match with a requirement.
        let is_empty = ["matchExpressions", "matchFields"]
            .iter()
            .all(|list| term[*list].as_array().is_none_or(Vec::is_empty));
        if !is_empty {
            let old = term[list].as_array().cloned().unwrap_or_default();
            term[list] = old.into_iter().chain(requirements.iter().cloned()).collect();
        }
    }
    spec
}

/// The pools of a reach, by what they are called in every snapshot of the same config.
fn pools(snapshot: &Snapshot, reach: &Reach<'_>) -> BTreeSet<String> {
    reach.landings.iter().map(|landing| called(snapshot, landing.pool)).collect()
}

fn called(snapshot: &Snapshot, pool: usize) -> String {
    let pool = snapshot.pool(pool).unwrap();
    match pool.origin {
        PoolOrigin::Declared(_) => pool.name.to_string(),
        PoolOrigin::Discovered | PoolOrigin::Stray => format!("{} of {}", pool.name, pool.taint),
    }
}

/// The pool of a node and the pool's taint, said plainly.
fn pool_of(policy: &Policy, node: &NodeRecord) -> Option<(String, Taint<'static>)> {
    if let Some(pool) = policy.pools.iter().find(|pool| pool.nodes.matches(node)) {
        return Some((pool.name.to_string(), pool.taint.clone()));
    }
    // With discovery off, only the taints of declared pools make a node dedicated.
    let declared = || policy.pools.iter().map(|pool| &pool.taint);
    let is_known = |taint: &&Taint<'_>| policy.discovery || declared().any(|it| it == *taint);
    let mut known = [&policy.taint].into_iter().chain(declared()).filter(is_known);
    let taint = known.find(|taint| node.taints.contains(taint))?;
    let group = node.label(GROUP).filter(|_| policy.discovery).map(AsRef::as_ref);
    Some((format!("{} of {taint}", group.unwrap_or("undeclared")), taint.clone()))
}

fn meets(spec: &PodSpec<'_>, node: &NodeRecord) -> bool {
    let label = |key: &str| node.label(key).map(AsRef::as_ref);
    Constraints::compile(spec).matches(label, &node.name)
}

/// Whether a pod without `nodeName` can land on this node, said plainly.
fn lands(policy: &Policy, spec: &PodSpec<'_>, node: &NodeRecord, pool_taint: &Taint<'_>) -> bool {
    let stable = node.taints.iter().filter(|taint| !policy.is_transient(taint));
    let taints: Vec<_> = stable.chain([pool_taint]).collect();
    let comparison = policy.placement.comparison_operators;
    tolerates_all(spec.tolerations(), taints.into_iter(), comparison) && meets(spec, node)
}

/// The pools that a pod without `nodeName` reaches, node by node.
fn reached_node_by_node(
    policy: &Policy,
    nodes: &[NodeRecord],
    spec: &PodSpec<'_>,
) -> BTreeSet<String> {
    let dedicated = nodes.iter().filter_map(|node| Some((node, pool_of(policy, node)?)));
    let reached = dedicated.filter(|(node, (_, taint))| lands(policy, spec, node, taint));
    reached.map(|(_, (pool, _))| pool).collect()
}

/// The default taint, which no declared pool has, does not hide the one that a pool has.
#[test]
fn placement_with_discovery_off_knows_the_taints_of_declared_pools() {
    let taint = |value: &str| json!({ "key": "dedicated", "value": value, "effect": "NoSchedule" });
    let config = json!({
        "apiVersion": "poolguard.io/v1alpha1",
        "kind": "PoolGuardConfig",
        "discovery": { "enabled": false },
        "pools": [
            { "name": "pool", "nodes": { "matchLabels": { TIER: "hot" } }, "taint": { "value": "other" } },
        ],
    });
    let spec = json!({ "tolerations": [{ "operator": "Exists" }] });
    for taints in [vec![taint("other")], vec![taint("other"), taint("automq")]] {
        let nodes = vec![record(0, &json!({}), &taints, false)];
        let world = World { config: config.clone(), nodes };
        assert!(
            world.reached(&spec).contains("undeclared of dedicated=other:NoSchedule"),
            "{taints:?}"
        );
    }
}

proptest! {
    #[test]
    fn placement_by_classes_is_placement_node_by_node(world in world(), spec in unbound_pod_spec()) {
        let policy = world.policy();
        let snapshot = world.snapshot(&policy);
        let text = spec.to_string();
        let spec = read(&text);
        let mut reach = anyones_reach(&snapshot, &policy, &spec);
        // Nodes to come are judged by what is known of them, which is not the same question.
        reach.landings.retain(|landing| matches!(landing.witness, Witness::Node(_)));
        let plain = reached_node_by_node(&policy, &world.nodes, &spec);
        prop_assert_eq!(pools(&snapshot, &reach), plain);
        for landing in &reach.landings {
            let Witness::Node(name) = landing.witness else { unreachable!("retained") };
            let node = world.nodes.iter().find(|node| *node.name == **name).unwrap();
            let (pool, taint) = pool_of(&policy, node).unwrap();
            prop_assert_eq!(called(&snapshot, landing.pool), pool, "the witness is of that pool");
            prop_assert!(lands(&policy, &spec, node, &taint), "{} is no witness", name);
        }
    }

    #[test]
    fn placement_expects_nodes_in_the_zones_of_a_pool_only(world in world(), spec in unbound_pod_spec()) {
        let policy = world.policy();
        let snapshot = world.snapshot(&policy);
        let text = spec.to_string();
        let reach = anyones_reach(&snapshot, &policy, &read(&text));
        for landing in &reach.landings {
            let Witness::ToCome { zone } = landing.witness else { continue };
            let facts = snapshot.pool(landing.pool).unwrap();
            match (facts.origin, zone) {
                (PoolOrigin::Declared(index), Some(zone)) => {
                    prop_assert!(policy.pools[index].zones.iter().any(|declared| declared == zone));
                }
                (PoolOrigin::Declared(index), None) => prop_assert!(policy.pools[index].zones.is_empty()),
                (PoolOrigin::Discovered, Some(zone)) => {
                    prop_assert!(facts.zones.iter().any(|populated| **populated == *zone));
                    // Every node of that node pool is dedicated.
                    let label = facts.label.as_deref().unwrap();
                    for node in world.nodes.iter().filter(|node| node.label(label) == Some(&facts.name)) {
                        prop_assert!(pool_of(&policy, node).is_some(), "{} is not", node.name);
                    }
                }
                (PoolOrigin::Discovered, None) | (PoolOrigin::Stray, _) => {
                    prop_assert!(false, "{} brings no node", facts.name);
                }
            }
            // Whatever is to come, it carries the pool's taint.
            let comparison = policy.placement.comparison_operators;
            prop_assert!(tolerates_all(read(&text).tolerations(), [&facts.taint].into_iter(), comparison));
        }
    }

    #[test]
    fn placement_follows_the_advice_that_keeps_a_pod_off(world in world(), spec in unbound_pod_spec()) {
        let policy = world.policy();
        let snapshot = world.snapshot(&policy);
        let text = spec.to_string();
        let reach = anyones_reach(&snapshot, &policy, &read(&text));
        let pools: Vec<_> =
            reach.landings.iter().filter_map(|landing| snapshot.pool(landing.pool)).collect();
        let Some(requirements) = policy.keep_off_requirements(&pools) else { return Ok(()) };
        let added: Vec<Value> = requirements.iter().map(poolguard::kubernetes::selector::Requirement::to_json).collect();
        let advised = with_expressions(spec, &added).to_string();
        let after = anyones_reach(&snapshot, &policy, &read(&advised));
        for landing in &reach.landings {
            prop_assert!(!after.includes(landing.pool), "{:?} is still reached", snapshot.pool(landing.pool));
        }
    }

    #[test]
    fn placement_of_a_pod_that_is_pinned_to_other_nodes_reaches_no_pool(
        world in world(), spec in unbound_pod_spec(), at in vec(any::<Index>(), 1..3), by in 0..3_u8
    ) {
        let policy = world.policy();
        let snapshot = world.snapshot(&policy);
        let is_other = |node: &&NodeRecord| matches!(snapshot.locate(&node.name), Located::Elsewhere);
        let others: Vec<_> = world.nodes.iter().filter(is_other).collect();
        if others.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = at.iter().map(|at| &*at.get(&others).name).collect();
        let pinned = match by {
            0 => {
                let mut spec = spec;
                spec["nodeSelector"][HOSTNAME] = names[0].into();
                spec
            }
            1 => with_expressions(spec, &[json!({ "key": HOSTNAME, "operator": "In", "values": names })]),
            _ => with_fields(spec, &[json!({ "key": "metadata.name", "operator": "In", "values": [names[0]] })]),
        };
        let text = pinned.to_string();
        prop_assert_eq!(anyones_reach(&snapshot, &policy, &read(&text)).landings, vec![]);
    }

    #[test]
    fn placement_never_shrinks_by_a_toleration(
        world in world(), spec in pod_spec(), added in toleration(), at in any::<Index>()
    ) {
        let mut more = spec.clone();
        let list = &mut more["tolerations"];
        if list.is_null() {
            *list = json!([]);
        }
        let list = list.as_array_mut().unwrap();
        list.insert(at.index(list.len() + 1), added);
        prop_assert!(world.reached(&spec).is_subset(&world.reached(&more)));
    }

    #[test]
    fn placement_never_grows_by_a_taint(
        world in world(), spec in unbound_pod_spec(), added in taint(), at in any::<Index>(), on_pool in any::<bool>()
    ) {
        if world.nodes.is_empty() {
            return Ok(());
        }
        let policy = world.policy();
        let added = owned(&added);
        let declared = |node: &NodeRecord| policy.declared_pool_of(node);
        let chosen = &world.nodes[at.index(world.nodes.len())];
        let pool = declared(chosen);
        // Outside the declared pools a pool's taint is what makes a node dedicated.
        let bare = NodeRecord::default();
        let alone = policy.membership(&bare, std::slice::from_ref(&added));
        if pool.is_none() && alone != Membership::Elsewhere {
            return Ok(());
        }
        let mut tainted = world.clone();
        for node in &mut tainted.nodes {
            let is_meant = if on_pool { declared(node) == pool } else { node.name == chosen.name };
            if is_meant {
                node.taints.push(added.clone());
            }
        }
        prop_assert!(tainted.reached(&spec).is_subset(&world.reached(&spec)));
    }

    #[test]
    fn placement_in_a_pool_scaled_to_zero_foresees_its_first_node(
        world in world(), spec in unbound_pod_spec(), at in any::<Index>()
    ) {
        let policy = world.policy();
        let is_foreseen = |node: &&NodeRecord| {
            let zone = node.label(ZONE).map(AsRef::as_ref);
            policy.declared_pool_of(*node).is_some_and(|index| {
                let zones = &policy.pools[index].zones;
                zones.is_empty() || zones.iter().any(|it| Some(it.as_str()) == zone)
            })
        };
        let foreseen: Vec<_> = world.nodes.iter().filter(is_foreseen).collect();
        if foreseen.is_empty() {
            return Ok(());
        }
        let first = *at.get(&foreseen);
        let pool = policy.declared_pool_of(first);
        let others = world.nodes.iter().filter(|node| policy.declared_pool_of(*node) != pool);
        let before = World { nodes: others.cloned().collect(), ..world.clone() };
        let mut after = before.clone();
        after.nodes.push(first.clone());
        prop_assert!(after.reached(&spec).is_subset(&before.reached(&spec)));
    }

    #[test]
    fn placement_takes_a_lost_pool_taint_as_present(world in world(), spec in pod_spec()) {
        let policy = world.policy();
        let mut lost = world.clone();
        for node in &mut lost.nodes {
            if let Some(index) = policy.declared_pool_of(&*node) {
                node.taints.retain(|taint| *taint != policy.pools[index].taint);
            }
        }
        prop_assert_eq!(lost.reached(&spec), world.reached(&spec));
    }

    #[test]
    fn placement_does_not_depend_on_the_order_of_nodes(
        (world, shuffled) in world().prop_flat_map(|world| {
            let nodes = Just(world.nodes.clone()).prop_shuffle();
            (Just(world.clone()), nodes.prop_map(move |nodes| World { nodes, ..world.clone() }))
        }),
        spec in pod_spec(),
    ) {
        prop_assert_eq!(world.reached(&spec), shuffled.reached(&spec));
        let policy = world.policy();
        let (one, other) = (world.snapshot(&policy), shuffled.snapshot(&policy));
        prop_assert_eq!(one.pools(), other.pools());
        prop_assert_eq!(one.classes().len(), other.classes().len());
        prop_assert_eq!(one.nodes_to_come().len(), other.nodes_to_come().len());
    }

    #[test]
    fn placement_by_node_name_reaches_that_node_only(
        world in world(), mut spec in unbound_pod_spec(), index in 0..=NODES_MAX
    ) {
        let policy = world.policy();
        let snapshot = world.snapshot(&policy);
        let name = node_name(index);
        spec["nodeName"] = name.as_str().into();
        let text = spec.to_string();
        let reach = anyones_reach(&snapshot, &policy, &read(&text));
        let node = world.nodes.get(index);
        let pool = node.and_then(|node| pool_of(&policy, node)).map(|(pool, _)| pool);
        prop_assert_eq!(reach.names_unknown_node, node.is_none());
        prop_assert_eq!(pools(&snapshot, &reach), pool.clone().into_iter().collect());
        let located = match snapshot.locate(&name) {
            Located::Unknown => { prop_assert!(node.is_none()); None }
            Located::Elsewhere => { prop_assert!(node.is_some()); None }
            Located::Dedicated { class, node } => {
                prop_assert_eq!(&*node.name, name.as_str());
                Some(called(&snapshot, class.pool))
            }
        };
        prop_assert_eq!(located, pool);
    }
}
