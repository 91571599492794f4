//! Objects that make a pool's nodes: what they give the nodes to come, by the rule `node-pool`.

use super::{
    facts::CheckFacts,
    finding::{CheckFinding, Constraint, FindingSeverity},
};
use crate::{
    json,
    kubernetes::object::{NodePoolKind, RawObject},
    policy::{Policy, membership::Membership, mode::RuleName, zone::Zones},
};

const RULE: Constraint = Constraint::Rule(RuleName::NodePool);
const SEVERITY: FindingSeverity = FindingSeverity::Warning;

pub(super) fn judge(facts: &CheckFacts<'_>, findings: &mut Vec<CheckFinding>) {
    let CheckFacts { policy, inventory, snapshot, .. } = facts;
    for kind in &policy.node_pool_kinds {
        if let Some(why) = inventory.gap(&kind.resource) {
            let fact = format!("{} could not be read: {why}", kind.resource);
            findings.push(CheckFinding::unknown(RULE, SEVERITY, fact));
        }
        for (name, text) in inventory.objects(&kind.resource) {
            let Ok(object) = json::from_str::<RawObject<'_>>(text) else { continue };
            if policy.node_pool_membership(&kind.read(&object)) != Membership::Elsewhere {
                let title = &format!("{} {name}", kind.kind);
                let made_by = MadeBy { kind, title, object: &object };
                findings.extend(examine(policy, snapshot.zones(), made_by, title));
            }
        }
    }
}

/// An object that makes nodes of a pool.
#[derive(Clone, Copy)]
pub(super) struct MadeBy<'m, 'a> {
    pub(super) kind: &'m NodePoolKind,
    /// The kind and the name of the object, such as `NodePool brokers`.
    pub(super) title: &'m str,
    pub(super) object: &'m RawObject<'a>,
}

/// Returns the findings about an object that makes nodes of a pool: its faults, or that it has none. `place` is
/// the object of the findings.
pub(super) fn examine(
    policy: &Policy,
    zones: &Zones,
    MadeBy { kind, title, object }: MadeBy<'_, '_>,
    place: &str,
) -> Vec<CheckFinding> {
    let found = policy.node_pool_findings(zones, kind, title, object);
    if found.is_empty() {
        let fact = format!("{title} creates nodes that meet the config of their pool");
        return vec![CheckFinding::pass(RULE, SEVERITY, fact).object(place)];
    }
    let failed = found.into_iter().map(|found| {
        let finding = found.finding;
        let mut failed = CheckFinding::fail(RULE, SEVERITY, finding.fact).object(place);
        failed.pool = finding.pool.map(|pool| pool.to_string());
        failed.fix = finding.advice.map(|advice| format!("# {advice}"));
        failed
    });
    failed.collect()
}
