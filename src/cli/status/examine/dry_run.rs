//! The finding about the API server's answer to the dry run.

use crate::{
    cli::status::{
        facts::StatusFacts,
        finding::{Check, StatusFinding},
        intruder::Answer,
    },
    policy::{mode::Mode, provider::Provider},
};

pub(super) fn intruder(facts: &StatusFacts) -> StatusFinding {
    let Some(answer) = &facts.intruder else {
        return Check::Intruder.unknown(match &facts.config {
            Err(_) => "Without the config, PoolGuard does not create the pod (dry run)",
            Ok(_) => "--skip-dry-run: no pod was created as a dry run",
        });
    };
    // Where nothing is dedicated, nothing is denied.
    let policy = facts.config.as_ref().ok().map(|loaded| &loaded.policy);
    let policy = policy.filter(|policy| policy.discovery || !policy.pools.is_empty());
    of_answer(answer, policy.map_or(Mode::Off, |it| it.rules.pod_intrusion), facts.provider)
}

/// Returns the finding that the answer to the dry run means if `pod-intrusion` has this mode.
fn of_answer(answer: &Answer, mode: Mode, provider: Option<Provider>) -> StatusFinding {
    let accepted = "The API server accepted a pod that tolerates the pool's taint (dry run)";
    let not_judged = "# if the config declares no pool and no node has the taint yet, this result is expected. Otherwise choose a namespace that is not exempt with --dry-run-namespace, and see registration above";
    match (answer, mode) {
        (Answer::Denied, _) => {
            Check::Intruder.pass("PoolGuard denied a pod that tolerates the pool's taint")
        }
        (Answer::Warned | Answer::Allowed, Mode::Enforce) => {
            Check::Intruder.error(accepted).fix(not_judged)
        }
        (Answer::Warned, _) => {
            Check::Intruder.pass("PoolGuard warned of a pod that tolerates the pool's taint")
        }
        (Answer::Allowed, Mode::Warn) => Check::Intruder
            .error(format!("{accepted}, and PoolGuard did not warn of it"))
            .fix(not_judged),
        (Answer::Allowed, Mode::Audit | Mode::Off) => Check::Intruder.unknown(
            "The API server accepted the pod (dry run), as this config asks, so this check cannot tell whether the API \
             server reaches PoolGuard",
        ),
        (Answer::DeniedByBackstop, _) => Check::Intruder
            .error("PoolGuard did not answer; the backstop denied the pod")
            .fix(cause(provider)),
        (Answer::NotReached(why), _) => Check::Intruder
            .error(format!("The API server does not reach PoolGuard: {why}"))
            .fix(cause(provider)),
        (Answer::Rejected(why), _) => Check::Intruder
            .unknown(format!("Something else rejected the pod before PoolGuard could: {why}")),
    }
}

/// Returns the usual reason why an API server of this provider does not reach a webhook.
fn cause(provider: Option<Provider>) -> &'static str {
    match provider {
        Some(Provider::Gcp) => {
            "# private GKE cluster: open the webhook's port from the control plane, or use port 10250 (docs/install.md)"
        }
        Some(Provider::Aws) => {
            "# EKS: allow the webhook's port from the cluster's security group to the nodes; with a CNI of your own, set hostNetwork: true (docs/install.md)"
        }
        Some(Provider::Azure) => {
            "# AKS: check the network security group, and the API server's tunnel (konnectivity-agent)"
        }
        Some(
            Provider::Alibaba
            | Provider::Huawei
            | Provider::Tencent
            | Provider::Oracle
            | Provider::Other,
        )
        | None => {
            "# check that the control plane reaches the pods: security groups, NetworkPolicies and the CNI (docs/install.md)"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Status;

    #[test]
    fn the_dry_run_is_well_only_if_poolguard_itself_answered() {
        for (answer, mode, expected, part) in [
            (Answer::Denied, Mode::Enforce, Status::Pass, "PoolGuard denied"),
            (Answer::DeniedByBackstop, Mode::Enforce, Status::Fail, "PoolGuard did not answer"),
            (Answer::Allowed, Mode::Enforce, Status::Fail, "accepted"),
            (Answer::Warned, Mode::Enforce, Status::Fail, "accepted"),
            (Answer::Warned, Mode::Warn, Status::Pass, "PoolGuard warned"),
            (Answer::Allowed, Mode::Warn, Status::Fail, "did not warn"),
            (Answer::Allowed, Mode::Audit, Status::Unknown, "cannot tell"),
            (Answer::Allowed, Mode::Off, Status::Unknown, "cannot tell"),
        ] {
            let finding = of_answer(&answer, mode, None);
            assert_eq!(finding.status, expected, "{answer:?} in {mode}");
            assert!(finding.message.contains(part), "{finding:?}");
        }
    }
}
