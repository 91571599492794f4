//! Violations by existing objects, by the same rules. Admission could not stop these objects, because each of them
//! existed before, came from a static pod, or was created while PoolGuard did not answer.
//!
//! Modes do not matter here, but for `off`: a finding denies nothing.

use super::{node_machine_type::list_name, pod_placement::why_misplaced};
use crate::policy::pod_owner::{PodIdentity, PodOwner, daemon_set};
use crate::{
    kubernetes::object::Pod,
    policy::{
        Policy,
        advice::add_exempt_entry,
        mode::{Mode, RuleName},
        pool::{MACHINE_TYPE_LABEL, ZONE_LABEL},
        snapshot::{Class, ClassNode, Located, PoolFacts, PoolOrigin, Snapshot},
        verdict::Finding,
    },
};

impl Policy {
    /// Returns the violations by a pod that runs. PoolGuard does not inspect a pod that is being deleted, or
    /// that has no node yet.
    pub fn inspect_pod(&self, snapshot: &Snapshot, pod: &Pod<'_>) -> Vec<Finding> {
        if pod.metadata.deletion_timestamp.is_some() || pod.spec.node_name.is_empty() {
            return Vec::new();
        }
        let daemon_set = daemon_set(&pod.metadata);
        match self.pod_owner(&PodIdentity::stored(pod)) {
            PodOwner::AutoMq if daemon_set.is_some() || pod.metadata.mirror.0 => Vec::new(),
            PodOwner::AutoMq => self.out_of_place(snapshot, pod).into_iter().collect(),
            PodOwner::Exempt(_) => Vec::new(),
            PodOwner::Neither => {
                let resident = self.resident(snapshot, pod, daemon_set);
                resident.into_iter().chain(self.unrelated_pod(pod)).collect()
            }
        }
    }

    /// Returns the finding about a pod on a dedicated node that is exempt only by an entry that names no more
    /// than a namespace. Such an entry is for the agents that every node needs, which run by DaemonSets or as
    /// static pods.
    pub fn inspect_exempt_pod(&self, snapshot: &Snapshot, pod: &Pod<'_>) -> Option<Finding> {
        let Pod { metadata, spec } = pod;
        let identity = PodIdentity::stored(pod);
        let is_agent = identity.daemon_set.is_some() || metadata.mirror.0;
        let is_leaving = metadata.deletion_timestamp.is_some();
        if is_agent || is_leaving || self.automq.owns_pod(&identity) {
            return None;
        }
        let mut covering = self.exempt.iter().filter(|exemption| exemption.covers(&identity));
        let exemption = covering.next()?;
        if !exemption.is_by_namespace_only() || covering.any(|it| !it.is_by_namespace_only()) {
            return None;
        }
        let Located::Dedicated { class, node } = snapshot.locate(&spec.node_name) else {
            return None;
        };
        let pool = snapshot.pool(class.pool)?;
        let fact = format!(
            "{} runs on node {} of pool {} and does not belong to a DaemonSet. It is exempt only because an entry \
             exempts its whole namespace ({})",
            pod_name(pod),
            node.name,
            pool.name,
            exemption.reason
        );
        let advice = format!(
            "Keep the pod off the pool with node affinity, or {}",
            add_exempt_entry(&metadata.namespace, identity.service_account())
        );
        let finding = Finding::new(RuleName::PodIntrusion, fact).advice(advice);
        let finding = finding.field("spec.nodeName").pool(&*pool.name).node(&*node.name);
        (self.rules.pod_intrusion != Mode::Off).then_some(finding)
    }

    /// Returns the finding about a pod on a dedicated node that is neither AutoMQ's nor exempt.
    fn resident(
        &self,
        snapshot: &Snapshot,
        pod: &Pod<'_>,
        daemon_set: Option<&str>,
    ) -> Option<Finding> {
        let rules = &self.rules;
        let mode =
            if daemon_set.is_some() { rules.daemon_set_intrusion } else { rules.pod_intrusion };
        let Located::Dedicated { class, node } = snapshot.locate(&pod.spec.node_name) else {
            return None;
        };
        let pool = snapshot.pool(class.pool)?;
        let namespace = pod.metadata.namespace.as_str();
        let fact = format!(
            "{} runs on node {} of pool {}, which is reserved for AutoMQ",
            pod_name(pod),
            node.name,
            pool.name
        );
        let advice = match daemon_set {
            _ if pod.metadata.mirror.0 => {
                "This is a static pod: remove its manifest from the node".to_owned()
            }
            Some(name) => format!(
                "Keep the pods of DaemonSet {namespace}/{name} off the pool with node affinity, or add \
                 {{namespace: {namespace}, daemonSets: [{name}], reason: …}} to exempt in PoolGuard's config"
            ),
            None => format!(
                "Remove the toleration in the workload that creates the pod, then delete the pod. Or {}",
                add_exempt_entry(namespace, PodIdentity::stored(pod).service_account())
            ),
        };
        let finding = Finding::new(RuleName::PodIntrusion, fact)
            .advice(advice)
            .field("spec.nodeName")
            .pool(&*pool.name)
            .node(&*node.name);
        (mode != Mode::Off).then_some(finding)
    }

    /// Returns the finding about a pod that does not belong in AutoMQ's own cluster.
    fn unrelated_pod(&self, pod: &Pod<'_>) -> Option<Finding> {
        let namespace = pod.metadata.namespace.as_str();
        if self.rules.cluster_exclusive == Mode::Off
            || self.automq.owns_namespace(namespace)
            || pod.metadata.mirror.0
        {
            return None;
        }
        let fact = format!("{} runs in this cluster, which is reserved for AutoMQ", pod_name(pod));
        let advice = format!(
            "Run it in another cluster, or {}",
            add_exempt_entry(namespace, PodIdentity::stored(pod).service_account())
        );
        let finding = Finding::new(RuleName::ClusterExclusive, fact);
        Some(finding.advice(advice).field("metadata.namespace"))
    }

    /// Returns the finding about a pod of an instance on a node where its pool's pods do not belong.
    fn out_of_place(&self, snapshot: &Snapshot, pod: &Pod<'_>) -> Option<Finding> {
        let index = self.instance_of(&pod.metadata.namespace, &pod.metadata.labels)?;
        let instance = self.instances.get(index)?;
        let pool = self.pools.get(instance.pool)?;
        let place = why_misplaced(snapshot, &pod.spec.node_name, instance.pool)?;
        let fact = format!(
            "{} of instance {} runs on node {}, which is {place}, but the instance belongs to \
             pool {}",
            pod_name(pod),
            instance.name,
            pod.spec.node_name,
            pool.name
        );
        let finding = Finding::new(RuleName::PodPlacement, fact)
            .advice(
                "Check that the volumes of the pod are in the zones of the pool, then delete \
             the pod; its controller creates it again on a node of the pool",
            )
            .field("spec.nodeName")
            .pool(&*pool.name)
            .node(pod.spec.node_name.to_string());
        (self.rules.pod_placement != Mode::Off).then_some(finding)
    }

    /// Returns the violations by the nodes of the pools.
    pub fn inspect_nodes(&self, snapshot: &Snapshot) -> Vec<Finding> {
        let mut findings = Vec::new();
        for class in snapshot.classes() {
            let Some(pool) = snapshot.pool(class.pool) else { continue };
            for node in &class.nodes {
                findings.extend(self.lost_taint(class, node, pool));
                findings.extend(self.wrong_machine_type(class, node, pool));
                findings.extend(self.wrong_zone(class, node, pool));
            }
        }
        findings.extend(snapshot.pools().iter().filter_map(|pool| self.wrong_zone_count(pool)));
        let conflicts = snapshot.conflicts().iter().map(|conflict| {
            Finding::new(RuleName::NodeIdentity, conflict.to_string())
                .advice(
                    "Change `nodes` of one of the two pools in PoolGuard's config until no node \
                 matches both",
                )
                .pool(&*conflict.pool)
                .node(&*conflict.node)
        });
        findings.extend(conflicts.filter(|_| self.rules.node_identity != Mode::Off));
        findings
    }

    fn lost_taint(&self, class: &Class, node: &ClassNode, pool: &PoolFacts) -> Option<Finding> {
        if !class.lost_taint || self.rules.node_taint == Mode::Off {
            return None;
        }
        let (name, taint) = (&node.name, &pool.taint);
        let fact =
            format!("Node {name} of pool {} does not have the pool's taint {taint}", pool.name);
        let finding = Finding::new(RuleName::NodeTaint, fact);
        Some(
            finding
                .advice(format!("Add the taint again: kubectl taint node {name} {taint}"))
                .field("spec.taints")
                .pool(&*pool.name)
                .node(&**name),
        )
    }

    fn wrong_machine_type(
        &self,
        class: &Class,
        node: &ClassNode,
        facts: &PoolFacts,
    ) -> Option<Finding> {
        let PoolOrigin::Declared(index) = facts.origin else { return None };
        let list = self.approved_types(self.pools.get(index))?;
        let member = class.member(node);
        let machine_type = member.label(MACHINE_TYPE_LABEL)?;
        if self.rules.node_machine_type.mode == Mode::Off || list.names.contains(&machine_type) {
            return None;
        }
        let fact = format!(
            "Node {} of pool {} has machine type {machine_type}, which is not in {}: {}",
            node.name,
            facts.name,
            list_name(self, list.source),
            list.names.join(", "),
        );
        let finding = Finding::new(RuleName::NodeMachineType, fact)
            .advice(
                "Use one of these types for the node pool, or add this type to the pool's \
                 machineTypes in PoolGuard's config",
            )
            .field(format!("metadata.labels[{MACHINE_TYPE_LABEL}]"));
        Some(finding.pool(&*facts.name).node(&*node.name))
    }

    fn wrong_zone(&self, class: &Class, node: &ClassNode, facts: &PoolFacts) -> Option<Finding> {
        let PoolOrigin::Declared(index) = facts.origin else { return None };
        let pool = self.pools.get(index)?;
        let member = class.member(node);
        let zone = member.label(ZONE_LABEL)?;
        let is_fine = facts.declared_zones.may_have(zone);
        if self.rules.node_zone.mode == Mode::Off || is_fine {
            return None;
        }
        let fact = format!(
            "Node {} of pool {} is in zone {zone}, but the pool's zones are {}",
            node.name,
            pool.name,
            pool.zones.join(", ")
        );
        let finding = Finding::new(RuleName::NodeZone, fact)
            .advice(
                "If the zone is right, change zones of the pool in PoolGuard's config to the zones of its nodes (a \
                 pool has one zone or three). Otherwise, add a node in the pool's zones, then drain this node and delete \
                 its machine in the cloud. At the end, limit the cloud's node pool to the pool's zones",
            )
            .field(format!("metadata.labels[{ZONE_LABEL}]"));
        Some(finding.pool(&*facts.name).node(&*node.name))
    }

    fn wrong_zone_count(&self, pool: &PoolFacts) -> Option<Finding> {
        let is_judged = pool.origin == PoolOrigin::Discovered
            && self.rules.node_zone.mode != Mode::Off
            && !matches!(pool.zones.len(), 0 | 1 | 3);
        let zones: Vec<&str> = pool.zones.iter().map(AsRef::as_ref).collect();
        let fact = format!(
            "Pool {} has nodes in {} zones ({}). AutoMQ supports one zone or three",
            pool.name,
            zones.len(),
            zones.join(", ")
        );
        let finding = Finding::new(RuleName::NodeZone, fact)
            .advice(
                "Give the cloud's node pool nodes in three zones. Or move the brokers into one zone, one node at a time, and \
                 then limit the node pool to this zone",
            )
            .field(format!("metadata.labels[{ZONE_LABEL}]"))
            .pool(&*pool.name);
        is_judged.then_some(finding)
    }
}

fn pod_name(pod: &Pod<'_>) -> String {
    format!("Pod {}/{}", pod.metadata.namespace, pod.metadata.name_parts().concat())
}
