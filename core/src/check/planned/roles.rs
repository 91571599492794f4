//! Changes of the cloud roles of pools in a plan.

use crate::{
    check::finding::{CheckFinding, Constraint, FindingSeverity},
    policy::{Policy, mode::RuleName, pool::Pool},
    terraform::{Plan, PlannedRoleChange, RoleOutcome},
};

const RULE: Constraint = Constraint::Rule(RuleName::RoleBinding);

pub(super) fn judge(policy: &Policy, plan: &Plan, findings: &mut Vec<CheckFinding>) {
    for change in &plan.role_changes {
        for pool in policy.pools.iter().filter(|pool| is_about(change, pool)) {
            findings.push(failed(change, pool));
        }
    }
}

/// Whether the change is about the role of the pool, by its whole name or by the last part of it.
fn is_about(change: &PlannedRoleChange, pool: &Pool) -> bool {
    let Some(role) = pool.role.as_deref() else { return false };
    change.roles.iter().any(|named| {
        // A member of Google's IAM has its kind before it.
        let named = named.strip_prefix("serviceAccount:").unwrap_or(named);
        named == role || last(named) == last(role)
    })
}

fn last(role: &str) -> &str {
    role.rsplit('/').next().unwrap_or(role)
}

fn failed(change: &PlannedRoleChange, pool: &Pool) -> CheckFinding {
    let PlannedRoleChange { address, roles: _, grant, outcome } = change;
    let role = pool.role.as_deref().unwrap_or_default();
    let whose = format!("the role {role} of pool {}", pool.name);
    let fact = match (outcome, grant) {
        (RoleOutcome::Deleted, Some(grant)) => format!("The plan takes {grant} from {whose}"),
        (RoleOutcome::Deleted, None) => {
            format!("The plan deletes {address}, which belongs to {whose}")
        }
        (RoleOutcome::Replaced, _) => {
            format!("The plan deletes {address}, which belongs to {whose}, and creates it again")
        }
        (RoleOutcome::Changed(attribute), _) => {
            format!("The plan changes {attribute} of {address}, which belongs to {whose}")
        }
    };
    CheckFinding::fail(RULE, FindingSeverity::Error, fact)
        .why("Brokers on the pool's nodes could lose access to object storage and disks")
        .pool(&pool.name)
        .object(address)
        .fix(format!("# keep {address} as it is while instances run on the pool"))
}
