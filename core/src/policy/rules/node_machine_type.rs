//! `node-machine-type`: a node of a declared pool has a machine type of the pool's list, or of the
//! provider's catalog.
//!
//! The rule ignores a node that does not have the label yet. If the list is neither published by AutoMQ nor set in
//! the config, the rule only warns. It denies a node that joins only with `denyJoin: true`: an autoscaler then starts
//! one machine after the other, each of which costs money and none of which becomes a node.

use super::{Context, node_zone::joins};
use crate::{
    kubernetes::{object::Node, selector::LabelSet},
    policy::{
        Policy,
        approved_types::TypeSource,
        mode::{Mode, RuleName},
        pool::MACHINE_TYPE_LABEL,
        request::Change,
        verdict::{Finding, FindingCollector},
    },
};

pub(super) fn judge(
    context: Context<'_>,
    change: &Change<Node<'_>>,
    report: &mut FindingCollector,
) {
    let policy = context.policy;
    let rule = policy.rules.node_machine_type;
    let (old, new) = match change {
        Change::Create { new } => (None, new),
        Change::Update { old, new } => (Some(old), new),
        Change::Delete { .. } => return,
    };
    let Some(index) = policy.declared_pool_of(&new.metadata.labels) else { return };
    let Some(pool) = policy.pools.get(index) else { return };
    let Some(machine_type) = new.metadata.labels.value(MACHINE_TYPE_LABEL) else { return };
    let is_unchanged = old.is_some_and(|old| {
        old.metadata.labels.value(MACHINE_TYPE_LABEL) == Some(machine_type)
            && policy.declared_pool_of(&old.metadata.labels) == Some(index)
    });
    if rule.mode == Mode::Off || is_unchanged {
        return;
    }
    let Some(list) = policy.approved_types(Some(pool)) else { return };
    if list.names.contains(&machine_type) {
        return;
    }
    let joins = joins(policy, MACHINE_TYPE_LABEL, index, old);
    let mut mode = rule.mode;
    let is_capped = if joins { !rule.deny_join } else { context.is_own_kubelet() };
    if !list.source.is_authoritative() || is_capped {
        mode = mode.min(Mode::Warn);
    }
    let node = context.object_name("Node");
    let field = format!("metadata.labels[{MACHINE_TYPE_LABEL}]");
    let has = if joins { "has" } else { "would have" };
    let fact = format!(
        "{node} of pool {} {has} machine type {machine_type} ({field}), which is not in {}: {}",
        pool.name,
        list_name(policy, list.source),
        list.names.join(", "),
    );
    let advice = "Use one of these types for the node pool. If the machine really has this type and the type is approved, add it to \
     the pool's machineTypes in PoolGuard's config";
    let finding = Finding::new(RuleName::NodeMachineType, fact)
        .advice(advice)
        .field(field)
        .pool(&*pool.name)
        .node(new.metadata.name.to_string());
    report.violation(mode, finding);
}

/// The name of a list of machine types in sentences.
pub(super) fn list_name(policy: &Policy, source: TypeSource) -> String {
    match source {
        TypeSource::Pool => "the pool's list".to_owned(),
        TypeSource::Published | TypeSource::Unpublished => {
            format!("PoolGuard's catalog for {}", policy.provider_name())
        }
    }
}
