//! Objects that make a pool's nodes: what they give the nodes to come, by the rule `node-pool`.

use super::{
    facts::CheckFacts,
    finding::{CheckFinding, Constraint, FindingSeverity},
    words::count,
};
use crate::{
    json,
    kubernetes::object::RawObject,
    policy::{NodePoolFinding, membership::Membership, mode::RuleName},
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
        let mut good = 0;
        for (name, text) in inventory.objects(&kind.resource) {
            let Ok(object) = json::from_str::<RawObject<'_>>(text) else { continue };
            if policy.node_pool_membership(&kind.read(&object)) == Membership::Elsewhere {
                continue;
            }
            let title = format!("{} {name}", kind.kind);
            let found = policy.node_pool_findings(snapshot, kind, &title, &object);
            good += usize::from(found.is_empty());
            findings.extend(found.into_iter().map(|found| failed(found, &title)));
        }
        if good > 0 {
            let make = if good == 1 { "makes" } else { "make" };
            let objects = count(good, &kind.kind);
            let fact = format!("{objects} {make} nodes as the config of their pools asks for");
            findings.push(CheckFinding::pass(RULE, SEVERITY, fact));
        }
    }
}

fn failed(found: NodePoolFinding, title: &str) -> CheckFinding {
    let NodePoolFinding { finding, is_authoritative: _ } = found;
    let mut failed = CheckFinding::fail(RULE, SEVERITY, finding.fact).object(title);
    failed.pool = finding.pool.map(|pool| pool.to_string());
    failed.fix = finding.advice.map(|advice| format!("# {advice}"));
    failed
}
