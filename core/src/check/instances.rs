//! Instances against their pools: namespace, pods in their place, a pool of their own, and volumes in
//! its zones.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    facts::{CheckFacts, PoolNodes, ResidentOwner},
    finding::{CheckFinding, Constraint, FindingSeverity},
    fix,
    picture::is_misplaced,
    words::{capital, count, list, named, verb},
};
use crate::{
    cluster::inventory::ObjectName,
    kubernetes::{
        name::any_matches,
        resource::{
            NAMESPACES, NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES,
        },
        selector::LabelSet,
    },
    policy::{mode::RuleName, placement::Ternary, pool::Instance},
};

const PLACE: Constraint = Constraint::Rule(RuleName::PodPlacement);

pub(super) fn judge(facts: &CheckFacts<'_>, findings: &mut Vec<CheckFinding>) {
    for (index, instance) in facts.policy.instances.iter().enumerate() {
        let Some(pool) = facts.pools.get(instance.pool) else { continue };
        namespace(facts, instance, pool, findings);
        pods(facts, index, instance, pool, findings);
    }
    shared_pools(facts, findings);
    volumes(facts, findings);
}

fn namespace(
    facts: &CheckFacts<'_>,
    instance: &Instance,
    pool: &PoolNodes<'_>,
    findings: &mut Vec<CheckFinding>,
) {
    let (rule, namespace) = (Constraint::Instance, &instance.namespace);
    let finding = if !facts.knows(NAMESPACES) {
        CheckFinding::unknown(
            rule,
            FindingSeverity::Warning,
            facts.inventory.why_unknown(NAMESPACES),
        )
    } else if facts.inventory.has(&NAMESPACES.group_resource(), "", namespace) {
        let fact = format!("Namespace {namespace} of instance {} exists", instance.name);
        CheckFinding::pass(rule, FindingSeverity::Warning, fact)
    } else {
        let fact = format!("Namespace {namespace} of instance {} does not exist", instance.name);
        CheckFinding::fail(rule, FindingSeverity::Warning, fact)
            .why(
                "The instance is not deployed, or it runs in a namespace that the config does \
             not name",
            )
            .fix(format!(
                "# if the instance runs in another namespace, correct its `namespace` \
             under `instances` in PoolGuard's config\n# if it is not deployed yet:\nkubectl \
             create namespace {namespace}"
            ))
    };
    findings.push(finding.pool(pool.name()).object(format!("Namespace {namespace}")));
}

fn pods(
    facts: &CheckFacts<'_>,
    index: usize,
    instance: &Instance,
    pool: &PoolNodes<'_>,
    findings: &mut Vec<CheckFinding>,
) {
    if !facts.knows(PODS) {
        let fact = facts.inventory.why_unknown(PODS);
        findings.push(CheckFinding::unknown(PLACE, FindingSeverity::Error, fact).pool(pool.name()));
        return;
    }
    if !facts.knows(NODES) {
        return;
    }
    let mut outside: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let (mut inside, mut unseen) = (0, 0);
    for resident in &facts.pods {
        if !matches!(resident.owner, ResidentOwner::AutoMq(Some(it)) if it == index) {
            continue;
        }
        if is_misplaced(facts, &resident.pod) {
            let node = resident.pod.spec.node_name.as_str();
            outside.entry(node).or_default().push(&resident.pod.metadata.name);
        } else if resident.pool.is_some() {
            inside += 1;
        } else if !resident.pod.spec.node_name.is_empty() {
            unseen += 1;
        }
    }
    let (name, namespace) = (&instance.name, &instance.namespace);
    if outside.is_empty() {
        findings.push(none_outside(name, inside, unseen).pool(pool.name()));
        return;
    }
    let nodes: Vec<&str> = outside.keys().copied().collect();
    let pods: Vec<&str> = outside.into_values().flatten().collect();
    let members = pool.names(|_| true);
    let place = match nodes.iter().filter(|node| members.contains(node)).count() {
        0 => format!("outside pool {}", pool.name()),
        all if all == nodes.len() => format!("outside the zones of pool {}", pool.name()),
        _ => format!("outside pool {} or outside its zones", pool.name()),
    };
    let fact = format!(
        "{} of instance {name} {} on {}, {place}",
        capital(&named("pod", &pods)),
        verb(&pods, "runs", "run"),
        named("node", &nodes),
    );
    let finding = CheckFinding::fail(PLACE, FindingSeverity::Error, fact)
        .why(
            "The node can have another machine type, cloud role or zone than the pool. Then the pod may lose access to \
             its storage, or no node of the pool is in the zone of its volumes",
        )
        .pool(pool.name())
        .nodes(&nodes)
        .fix(move_to_pool(facts, namespace, &pods));
    findings.push(match pods.as_slice() {
        [pod] => finding.object(format!("Pod {namespace}/{pod}")),
        _ => finding,
    });
}

/// The finding about an instance without a misplaced pod. `unseen` pods are on nodes that the input does not contain.
fn none_outside(instance: &str, inside: usize, unseen: usize) -> CheckFinding {
    if unseen > 0 {
        let run = if unseen == 1 { "runs" } else { "run" };
        let fact = format!(
            "{} of instance {instance} {run} on nodes that the input does not contain",
            count(unseen, "pod")
        );
        return CheckFinding::unknown(PLACE, FindingSeverity::Error, fact);
    }
    let fact = match inside {
        0 => format!("No pod of instance {instance} runs yet"),
        inside => format!("{} of instance {instance} on nodes of its pool", count(inside, "pod")),
    };
    CheckFinding::pass(PLACE, FindingSeverity::Error, fact)
}

/// Makes the controllers of these pods create them again, where PoolGuard places them.
fn move_to_pool(facts: &CheckFacts<'_>, namespace: &str, pods: &[&str]) -> String {
    let labels = if facts.has_undeclared_nodes() {
        "# if node-identity reports a node of these pods that belongs to the pool: correct the labels of this node\n"
    } else {
        ""
    };
    let delete = |pod: &str| format!("kubectl delete pod -n {namespace} {pod}");
    let moved = fix::one_at_a_time(pods, delete, "wait until AutoMQ is healthy again");
    format!(
        "{labels}# if the config names the wrong pool or zones: correct the config\n# otherwise, check that the volumes of the pod \
         are in the pool's zones. If they are not, ask AutoMQ to move the data\n# only if PoolGuard answers requests, pod-placement is in \
         mode enforce, and the pool has a ready node in the zone of these volumes, delete the pod: its controller creates \
         it again, and PoolGuard then places it on the pool\n{moved}"
    )
}

/// Judges pools that several instances share. Pools are never mixed: instances in zone A, in zone B and in all
/// three need three of them.
fn shared_pools(facts: &CheckFacts<'_>, findings: &mut Vec<CheckFinding>) {
    for (index, pool) in facts.pools.iter().enumerate() {
        let sharing: Vec<(usize, &Instance)> = facts
            .policy
            .instances
            .iter()
            .enumerate()
            .filter(|(_, instance)| pool.declared.is_some() && instance.pool == index)
            .collect();
        if sharing.len() < 2 {
            continue;
        }
        let names: Vec<&str> = sharing.iter().map(|(_, it)| it.name.as_str()).collect();
        let zones: Vec<BTreeSet<&str>> =
            sharing.iter().map(|(index, _)| zones_of(facts, *index)).collect();
        let populated: Vec<&BTreeSet<&str>> = zones.iter().filter(|it| !it.is_empty()).collect();
        let is_mixed = populated.windows(2).any(|pair| matches!(pair, [a, b] if a != b));
        let (severity, mix) = if is_mixed {
            (FindingSeverity::Error, ", and their pods run in different zones")
        } else {
            (FindingSeverity::Warning, "")
        };
        let fact = format!("Instances {} share pool {}{mix}", list(&names), pool.name());
        findings.push(
            CheckFinding::fail(Constraint::Instance, severity, fact)
                .why(
                    "An AutoMQ instance needs its own pool: instances in one zone and instances \
                 in three zones cannot share nodes",
                )
                .pool(pool.name())
                .fix(
                    "# create a node pool for each instance and declare it under `pools` in \
                 PoolGuard's config; then move every instance except one to its own pool",
                ),
        );
    }
}

/// Zones in which an instance has pods.
fn zones_of<'f>(facts: &'f CheckFacts<'_>, index: usize) -> BTreeSet<&'f str> {
    let own = facts.pods.iter().filter(
        |it| matches!(it.owner, ResidentOwner::AutoMq(Some(instance)) if instance == index),
    );
    let zone = |node: &str| {
        let mut nodes = facts.inventory.index().nodes();
        nodes.find(|it| &*it.name == node)?.value(crate::policy::pool::ZONE_LABEL)
    };
    own.filter_map(|it| zone(&it.pod.spec.node_name)).collect()
}

fn volumes(facts: &CheckFacts<'_>, findings: &mut Vec<CheckFinding>) {
    if facts.policy.instances.is_empty() {
        return;
    }
    let rule = Constraint::VolumeZone;
    for kind in [PERSISTENT_VOLUMES, PERSISTENT_VOLUME_CLAIMS] {
        if !facts.knows(kind) {
            findings.push(CheckFinding::unknown(
                rule,
                FindingSeverity::Error,
                facts.inventory.why_unknown(kind),
            ));
            return;
        }
    }
    let before = findings.len();
    let mut fine = 0;
    for (name, text) in facts.inventory.objects(&PERSISTENT_VOLUME_CLAIMS.group_resource()) {
        let Some(instance) = instance_of_claim(facts, &name.namespace, &name.name) else {
            continue;
        };
        let Some(pool) = facts.pools.get(instance.pool) else { continue };
        let claim: Value = serde_json::from_str(text).unwrap_or_default();
        let text = |pointer: &str| claim.pointer(pointer).and_then(Value::as_str);
        let Some(volume) = text("/spec/volumeName").filter(|it| !it.is_empty()) else {
            let class = text("/spec/storageClassName").unwrap_or_default();
            findings.extend(unbound(facts, instance, pool, &name.to_string(), class));
            continue;
        };
        let zones = volume_zones(facts, volume);
        if zones.is_empty() {
            continue;
        }
        if pool.zones().is_empty() {
            let fact = format!(
                "The zones of pool {} are not known: the config declares none, and no node in the input shows one",
                pool.name()
            );
            let finding = CheckFinding::unknown(rule, FindingSeverity::Error, fact);
            findings.push(finding.pool(pool.name()));
            continue;
        }
        match volume_zone(facts, instance, pool, name, volume, &zones) {
            Some(finding) => findings.push(finding),
            None => fine += 1,
        }
    }
    if findings.len() == before {
        let fact = match fine {
            0 => "No instance has a volume in a zone".to_owned(),
            fine => format!("{} of instances in the zones of their pools", count(fine, "volume")),
        };
        findings.push(CheckFinding::pass(rule, FindingSeverity::Error, fact));
    }
}

/// Returns the finding about the zones of a volume if they are wrong or not known; `None` if one of them is the
/// pool's.
fn volume_zone(
    facts: &CheckFacts<'_>,
    instance: &Instance,
    pool: &PoolNodes<'_>,
    claim: &ObjectName,
    volume: &str,
    zones: &BTreeSet<String>,
) -> Option<CheckFinding> {
    let expected: Vec<&str> = pool.zones().into_iter().collect();
    let places = facts.snapshot.zones();
    let answers = zones.iter().map(|zone| places.find(zone, expected.iter().copied()));
    let zones: Vec<&String> = zones.iter().collect();
    let finding = match answers.max()? {
        Ternary::Yes => return None,
        Ternary::Maybe => {
            let fact = format!(
                "Volume {volume} is in {}, and pool {} is in {}. PoolGuard cannot tell whether these are the same \
                 zones, because neither the nodes nor the provider show it",
                list(&zones),
                pool.name(),
                list(&expected)
            );
            CheckFinding::unknown(Constraint::VolumeZone, FindingSeverity::Error, fact)
        }
        Ternary::No => {
            let fact = format!(
                "Volume {volume} of claim {claim} is in {}, and pool {} of instance {} is in {}",
                list(&zones),
                pool.name(),
                instance.name,
                list(&expected)
            );
            let fix = format!(
                "# first find out which pod uses the claim, and which data is on the volume\n\
                 kubectl describe persistentvolumeclaim -n {} {}\n\
                 # if all volumes of the instance are in {}: give the instance a pool there in PoolGuard's config. An instance \
                 has one pool for all its brokers\n\
                 # if only some are: ask AutoMQ to move the data of this broker",
                claim.namespace,
                claim.name,
                list(&zones)
            );
            CheckFinding::fail(Constraint::VolumeZone, FindingSeverity::Error, fact)
                .why("The scheduler finds no node of the pool for a pod with this claim, so the pod stays Pending")
                .fix(fix)
        }
    };
    Some(finding.pool(pool.name()).object(format!("PersistentVolumeClaim {claim}")))
}

/// The instance that a claim belongs to: that of the pods that use it, else the only one of its
/// namespace.
fn instance_of_claim<'f>(
    facts: &'f CheckFacts<'_>,
    namespace: &str,
    name: &str,
) -> Option<&'f Instance> {
    let user = facts.pods.iter().find_map(|resident| {
        let is_user = resident.pod.metadata.namespace == namespace
            && resident.claims.iter().any(|claim| *claim == name);
        match resident.owner {
            ResidentOwner::AutoMq(instance) if is_user => instance,
            ResidentOwner::AutoMq(_) | ResidentOwner::Exempt | ResidentOwner::Neither => None,
        }
    });
    if let Some(index) = user {
        return facts.policy.instances.get(index);
    }
    let mut own = facts.policy.instances.iter().filter(|it| it.namespace == namespace);
    let first = own.next()?;
    own.next().is_none().then_some(first)
}

/// Returns the finding about a claim without a volume, whose class does not wait for the pod: the volume may
/// come to be in a zone where its pod cannot follow.
fn unbound(
    facts: &CheckFacts<'_>,
    instance: &Instance,
    pool: &PoolNodes<'_>,
    claim: &str,
    class: &str,
) -> Option<CheckFinding> {
    let text = facts.inventory.get(&STORAGE_CLASSES.group_resource(), "", class)?;
    let object: Value = serde_json::from_str(text).ok()?;
    let mode = object.get("volumeBindingMode").and_then(Value::as_str).unwrap_or("Immediate");
    if mode != "Immediate" {
        return None;
    }
    let fact = format!(
        "Claim {claim} of instance {} has no volume yet, and its StorageClass {class} has \
         volumeBindingMode Immediate",
        instance.name
    );
    let finding = CheckFinding::fail(Constraint::VolumeZone, FindingSeverity::Warning, fact)
        .why("Kubernetes may create the volume in a zone where the pool has no node")
        .pool(pool.name())
        .object(format!("StorageClass {class}"));
    Some(finding.fix("# use a StorageClass with volumeBindingMode: WaitForFirstConsumer"))
}

/// The zones that a volume can be used in; empty if it does not say.
fn volume_zones(facts: &CheckFacts<'_>, name: &str) -> BTreeSet<String> {
    let is_zone_key = |key: &str| any_matches(&facts.policy.placement.zone_labels, key);
    let found = facts.inventory.get(&PERSISTENT_VOLUMES.group_resource(), "", name);
    let Some(text) = found else { return BTreeSet::new() };
    let volume: Value = serde_json::from_str(text).unwrap_or_default();
    let terms = volume.pointer("/spec/nodeAffinity/required/nodeSelectorTerms");
    let terms = terms.and_then(Value::as_array).into_iter().flatten();
    let expressions = terms.flat_map(|term| {
        term.get("matchExpressions").and_then(Value::as_array).into_iter().flatten()
    });
    let of_zone = |it: &&Value| {
        let text = |key| it.get(key).and_then(Value::as_str).unwrap_or_default();
        text("operator") == "In" && is_zone_key(text("key"))
    };
    let values = expressions.filter(of_zone).flat_map(|it| {
        it.get("values").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    });
    let mut zones: BTreeSet<String> = values.map(str::to_owned).collect();
    if zones.is_empty() {
        let labels = volume.pointer("/metadata/labels").and_then(Value::as_object);
        let labels = labels.into_iter().flatten().filter(|(key, _)| is_zone_key(key));
        // In-tree volumes write several zones as one.
        let values = labels.filter_map(|(_, value)| value.as_str());
        zones = values.flat_map(|it| it.split("__")).map(str::to_owned).collect();
    }
    // Azure's driver writes an empty text for a disk in no zone.
    zones.remove("");
    zones
}
