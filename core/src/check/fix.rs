//! The commands that mend things, for each provider where its tool is known for sure, else with
//! kubectl. Lines that begin with `#` are for people. `$CLUSTER`, `$RESOURCE_GROUP` and the like are
//! what a cluster does not say of itself.

use super::{
    facts::{CheckFacts, PoolNodes},
    words::{count, list},
};
use crate::{
    kubernetes::{
        selector::Operator,
        taint::{NO_EXECUTE, PREFER_NO_SCHEDULE, Taint},
    },
    policy::{
        Policy,
        provider::{Provider, node_pool_label},
    },
};

/// A node pool of a provider whose tool can change it.
enum Tool<'a> {
    Eks(&'a str),
    Gke(&'a str),
    Aks(&'a str),
    Ack(&'a str),
    Tke(&'a str),
}

fn tool<'a>(policy: &Policy, pool: &'a PoolNodes<'_>) -> Option<Tool<'a>> {
    let named = |key: &str| group(pool, key);
    match policy.provider? {
        Provider::Aws => named(node_pool_label::EKS_NODE_GROUP).map(Tool::Eks),
        Provider::Gcp => named(node_pool_label::GKE_NODE_POOL).map(Tool::Gke),
        Provider::Azure => {
            node_pool_label::AKS_AGENT_POOL.into_iter().find_map(named).map(Tool::Aks)
        }
        Provider::Alibaba => named(node_pool_label::ACK_NODE_POOL_ID).map(Tool::Ack),
        // The pools of native nodes, which have another label, have another command.
        Provider::Tencent => named(node_pool_label::TKE_NODE_POOL_ID).map(Tool::Tke),
        Provider::Huawei | Provider::Oracle | Provider::Other => None,
    }
}

/// Returns the provider's name of the pool: the value of this label in the pool's selector, or on all its nodes.
fn group<'a>(pool: &'a PoolNodes<'_>, key: &str) -> Option<&'a str> {
    let selected = pool.declared.and_then(|declared| {
        let requirements = declared.nodes.requirements().iter();
        let mut equals = requirements.filter(|it| it.key == key && it.operator == Operator::In);
        match equals.next()?.values.as_slice() {
            [value] => Some(value.as_str()),
            _ => None,
        }
    });
    selected.or_else(|| {
        let (first, rest) = pool.nodes.split_first()?;
        let value = first.label(key)?;
        rest.iter().all(|node| node.label(key) == Some(value)).then_some(&**value)
    })
}

/// The command for the first node or pod only, and when to repeat it: text that is pasted as a whole never stops
/// several brokers at once.
pub(super) fn one_at_a_time(
    names: &[&str],
    command: impl FnOnce(&str) -> String,
    wait: &str,
) -> String {
    let Some((first, others)) = names.split_first() else { return String::new() };
    let command = command(first);
    match others {
        [] => format!("{command}\n# {wait}"),
        others => format!(
            "{command}\n# {wait}. Then repeat this, one at a time, for {}",
            others.join(", ")
        ),
    }
}

/// The command that gives nodes a taint: all at once, unless the taint makes pods leave.
pub(super) fn taint_nodes(
    taint: &Taint<'_>,
    nodes: &[&str],
    command: impl FnOnce(&str) -> String,
) -> String {
    if taint.effect == NO_EXECUTE {
        let wait =
            "Kubernetes evicts pods that do not tolerate this taint. Wait until AutoMQ is healthy";
        one_at_a_time(nodes, command, wait)
    } else {
        command(&nodes.join(" "))
    }
}

/// Gives nodes the taint of their pool.
pub(super) fn taint(facts: &CheckFacts<'_>, pool: &PoolNodes<'_>, nodes: &[&str]) -> String {
    let taint = &pool.facts.taint;
    let now = taint_nodes(taint, nodes, |nodes| format!("kubectl taint node {nodes} {taint}"));
    if let Some(tool) = tool(facts.policy, pool) {
        let later = pool_taint(&tool, taint);
        return format!("{now}\n# then give future nodes of the node pool the taint:\n{later}");
    }
    let name = node_pool(facts.policy, pool);
    let name = name.map_or_else(String::new, |name| format!(" {name}"));
    format!("{now}\n# then add the taint to the settings of the node pool{name}, for future nodes")
}

/// Returns the name that the pool has at its provider.
fn node_pool<'a>(policy: &Policy, pool: &'a PoolNodes<'_>) -> Option<&'a str> {
    policy.node_pool_labels.iter().find_map(|key| group(pool, key))
}

/// Returns an effect as the clouds' APIs spell it.
pub(super) fn screaming_snake_effect(effect: &str) -> &'static str {
    match effect {
        NO_EXECUTE => "NO_EXECUTE",
        PREFER_NO_SCHEDULE => "PREFER_NO_SCHEDULE",
        _ => "NO_SCHEDULE",
    }
}

fn pool_taint(tool: &Tool<'_>, taint: &Taint<'_>) -> String {
    let Taint { key, value, effect } = taint;
    match tool {
        Tool::Eks(group) => {
            let effect = screaming_snake_effect(effect);
            format!(
                "aws eks update-nodegroup-config --cluster-name $CLUSTER --nodegroup-name {group} \
                 --taints 'addOrUpdateTaints=[{{key={key},value={value},effect={effect}}}]'"
            )
        }
        Tool::Gke(group) => format!(
            "# this replaces all taints of the node pool: add its other taints, separated by \
             commas\ngcloud container node-pools update {group} --cluster $CLUSTER --node-taints \
             {taint}"
        ),
        Tool::Aks(group) => format!(
            "# this replaces all taints of the node pool: add its other taints, separated by \
             commas\naz aks nodepool update --resource-group $RESOURCE_GROUP --cluster-name \
             $CLUSTER --name {group} --node-taints {taint}"
        ),
        Tool::Ack(group) => format!(
            "# this replaces all taints of the node pool: add its other taints to the list\n\
             aliyun cs ModifyClusterNodePool --ClusterId $CLUSTER --NodepoolId {group} --body \
             '{{\"kubernetes_config\":{{\"taints\":[{{\"key\":\"{key}\",\"value\":\"{value}\",\
             \"effect\":\"{effect}\"}}]}}}}'"
        ),
        Tool::Tke(group) => format!(
            "# this replaces all taints of the node pool: add its other taints to the list\n\
             tccli tke ModifyClusterNodePool --ClusterId $CLUSTER --NodePoolId {group} --Taints \
             '[{{\"Key\":\"{key}\",\"Value\":\"{value}\",\"Effect\":\"{effect}\"}}]'"
        ),
    }
}

/// Brings a pool to this many nodes, and never to fewer than it has.
pub(super) fn scale(facts: &CheckFacts<'_>, pool: &PoolNodes<'_>, nodes: usize) -> String {
    let zones = pool.zones().len().max(1);
    let nodes = nodes.max(pool.nodes.len());
    let in_one_zone = pool.by_zone().values().map(Vec::len).max().unwrap_or_default();
    match tool(facts.policy, pool) {
        Some(Tool::Eks(group)) => format!(
            "eksctl scale nodegroup --cluster $CLUSTER --name {group} --nodes {nodes} \
             --nodes-min {nodes}"
        ),
        Some(Tool::Gke(group)) => format!(
            "# --num-nodes is the number of nodes in each zone\n\
             gcloud container clusters resize $CLUSTER --node-pool {group} --num-nodes {}",
            nodes.div_ceil(zones).max(in_one_zone)
        ),
        Some(Tool::Aks(group)) => format!(
            "az aks nodepool scale --resource-group $RESOURCE_GROUP --cluster-name $CLUSTER \
             --name {group} --node-count {nodes}"
        ),
        Some(Tool::Ack(_) | Tool::Tke(_)) | None => {
            format!("# scale the node pool to {nodes} nodes")
        }
    }
}

/// Adds a node in each of these zones, which have none. A pool with enough nodes lacks them there for another reason.
pub(super) fn node_in_zones(
    facts: &CheckFacts<'_>,
    pool: &PoolNodes<'_>,
    empty: &[&str],
) -> String {
    let (nodes, zones) = (pool.nodes.len(), list(empty));
    let why = if nodes < pool.zones().len() {
        String::new()
    } else {
        format!(
            "# the pool has {} and none in {zones}: first find out why the cloud starts none there (for example the \
             subnets of the node group, or no capacity)\n",
            count(nodes, "node")
        )
    };
    format!("{why}# add a node in {zones}\n{}", scale(facts, pool, nodes + empty.len()))
}

/// Makes a pool anew where it cannot be changed: of another machine type, or in other zones.
pub(super) fn replace(
    facts: &CheckFacts<'_>,
    pool: &PoolNodes<'_>,
    machine_type: Option<&str>,
) -> String {
    let machine_type = machine_type.unwrap_or("$MACHINE_TYPE");
    let zones: Vec<&str> = pool.zones().into_iter().collect();
    let (are_zones, all) = (matches!(zones.len(), 1 | 3), "$ZONES".to_owned());
    // AKS takes the numbers of the zones.
    let numbers: Vec<&str> = zones.iter().filter_map(|zone| zone.rsplit('-').next()).collect();
    let numbers = if are_zones { numbers.join(" ") } else { all.clone() };
    let zones = if are_zones { zones.join(",") } else { all };
    let taint = &pool.facts.taint;
    let made = match tool(facts.policy, pool) {
        Some(Tool::Eks(_)) => {
            let tainted = pool_taint(&Tool::Eks("$NEW_POOL"), taint);
            format!(
                "eksctl create nodegroup --cluster $CLUSTER --name $NEW_POOL --node-type \
                 {machine_type} --node-zones {zones} --nodes 3 --nodes-min 3\n{tainted}"
            )
        }
        Some(Tool::Gke(_)) => format!(
            "gcloud container node-pools create $NEW_POOL --cluster $CLUSTER --machine-type \
             {machine_type} --node-locations {zones} --node-taints {taint}"
        ),
        Some(Tool::Aks(_)) => format!(
            "az aks nodepool add --resource-group $RESOURCE_GROUP --cluster-name $CLUSTER --name \
             $NEW_POOL --node-vm-size {machine_type} --zones {numbers} --node-count 3 --node-taints \
             {taint}"
        ),
        Some(Tool::Ack(_) | Tool::Tke(_)) | None => format!(
            "# create a node pool of type {machine_type} in {zones} with the taint {taint}, here called $NEW_POOL"
        ),
    };
    let volumes = if are_zones {
        ""
    } else {
        "# if a broker has a volume in a zone that is not in $ZONES, first ask AutoMQ to move its data: a volume cannot move \
         to another zone\n"
    };
    let name = node_pool(facts.policy, pool);
    let old = name.unwrap_or("the old node pool");
    let selected = pool.declared.map_or_else(String::new, |_| {
        format!(
            "# add $NEW_POOL to the pool's `nodes` in PoolGuard's config{}\n",
            example_of_two(facts.policy, pool)
        )
    });
    let delete = match tool(facts.policy, pool) {
        Some(Tool::Eks(group)) => {
            format!("eksctl delete nodegroup --cluster $CLUSTER --name {group}")
        }
        Some(_) | None => format!("delete {}", name.unwrap_or("the old node pool")),
    };
    format!(
        "{made}\n{selected}{volumes}# then drain the nodes of {old} one at a time. After each node, wait until its broker runs on \
         $NEW_POOL\n# at the end, when no broker runs on {old}: {delete}"
    )
}

/// A selector of the node pool and of the one that replaces it, as an example, if a label names the node pool.
pub(super) fn example_of_two(policy: &Policy, pool: &PoolNodes<'_>) -> String {
    let mut keys = policy.node_pool_labels.iter();
    let named = keys.find_map(|key| group(pool, key).map(|name| (key, name)));
    named.map_or_else(String::new, |(key, name)| {
        format!(
            ", for example {{matchExpressions: [{{key: {key}, operator: In, values: [{name}, $NEW_POOL]}}]}}"
        )
    })
}

/// Moves brokers out of zones that the pool is not for. `empty` are the pool's zones without a node.
pub(super) fn out_of_zones(
    facts: &CheckFacts<'_>,
    pool: &PoolNodes<'_>,
    nodes: &[&str],
    empty: &[&str],
) -> String {
    let zones: Vec<&str> = pool.zones().into_iter().collect();
    let room = if empty.is_empty() { "one of the pool's zones".to_owned() } else { list(empty) };
    let drain = |node: &str| format!("kubectl drain {node} --ignore-daemonsets");
    // GKE deletes the nodes of a zone that is taken from the list.
    let moved = if let Some(Tool::Gke(group)) = tool(facts.policy, pool) {
        let update = format!(
            "gcloud container node-pools update {group} --cluster $CLUSTER --node-locations"
        );
        let mut all = pool.zones();
        all.extend(pool.by_zone().into_keys());
        let all: Vec<&str> = all.into_iter().collect();
        let drained = one_at_a_time(nodes, drain, "wait until AutoMQ is healthy again");
        format!(
            "{update} {}\n# wait until a node in {room} is ready, then:\n{drained}\n# at the end, when no broker runs in the \
                 other zones: {update} {}\n# GKE then deletes the nodes in the other zones",
            all.join(","),
            zones.join(",")
        )
    } else {
        let named = if zones.is_empty() { "the pool's zones".to_owned() } else { zones.join(" ") };
        let wait =
            "delete the machine of this node in the cloud, and wait until AutoMQ is healthy again";
        format!(
            "# add a node in {room}, and wait until it is ready, then:\n{}\n# at the end, when no broker runs in the \
                 other zones:\n# limit the node pool to {named}",
            one_at_a_time(nodes, drain, wait)
        )
    };
    format!(
        "# if the zone is right: change `zones` of the pool in PoolGuard's config to the zones of its nodes. A pool has \
         one zone or three\n# if the zone is wrong:\n# if a broker there has a volume, first ask AutoMQ to move its data: \
         a volume cannot move to another zone\n{moved}"
    )
}

/// The first lines of a fix for a pod that is probably AutoMQ's, but whose namespace the config does not name.
pub(super) fn unless_automq(facts: &CheckFacts<'_>, namespace: &str, has_mark: bool) -> String {
    if !has_mark || facts.policy.automq.owns_namespace(namespace) {
        return String::new();
    }
    format!(
        "# these pods have AutoMQ's labels. If they are AutoMQ's pods, add namespace {namespace} to `automq.namespaces` in \
         PoolGuard's config, and do nothing else\n# otherwise:\n"
    )
}
