//! Conditions on the user of a request.

use super::{
    MatchCondition,
    cel::{Cel, Wildcards, is_one_of, list, literal, matches, matches_any, pattern, patterns},
    pod_owner::has_daemon_set,
};
use crate::policy::{
    Policy,
    principal::{
        DAEMON_SET_CONTROLLER, KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER, NEVER_JUDGED, NODES_GROUP,
        Principals, SERVICE_ACCOUNT_PREFIX, WORKLOAD_CONTROLLERS,
    },
};

const USER_NAME: &str = "request.userInfo.username";
const GROUPS: &str = "request.userInfo.groups";

/// The name of the condition by which a fail-closed entry leaves out break-glass requests.
pub(super) const BY_NO_BREAK_GLASS_GROUP: &str = "by-no-break-glass-group";

/// The name of the condition by which an entry leaves out trusted principals.
pub(super) const BY_NO_TRUSTED_PRINCIPAL: &str = "by-no-trusted-principal";

/// The name of the condition by which the entry for pods leaves out node components: DaemonSet pods, so that a
/// CNI can start while PoolGuard cannot, and mirror pods if another entry sends them.
pub(super) const BY_NO_NODE_COMPONENT: &str = "by-no-node-component";

/// Conditions by which a fail-closed entry leaves people out.
pub(super) const EXCLUSIONS: [&str; 3] =
    [BY_NO_BREAK_GLASS_GROUP, BY_NO_TRUSTED_PRINCIPAL, BY_NO_NODE_COMPONENT];

fn user_is(condition: Cel) -> Cel {
    Cel::all([Cel::term(format!("has({USER_NAME})")), condition])
}

fn is_in_group(condition: Cel) -> Cel {
    Cel::all([Cel::term(format!("has({GROUPS})")), Cel::exists(GROUPS, "g", condition)])
}

fn has_group(group: &str) -> Cel {
    let has = Cel::term(format!("has({GROUPS})"));
    Cel::all([has, Cel::term(format!("{} in {GROUPS}", literal(group)))])
}

/// Whether the user is a member of a break-glass group; never where the config names no group.
pub(super) fn is_break_glass(policy: &Policy) -> Cel {
    match policy.break_glass_groups.as_slice() {
        [] => Cel::Never,
        [group] => has_group(group),
        groups => is_in_group(Cel::term(format!("g in {}", list(groups)))),
    }
}

/// The condition that keeps break-glass requests out; `None` where the config names no group.
pub(super) fn by_no_break_glass_group(policy: &Policy) -> Option<MatchCondition> {
    MatchCondition::new(BY_NO_BREAK_GLASS_GROUP, Cel::not(is_break_glass(policy)))
}

pub(super) fn is_kubelet() -> Cel {
    has_group(NODES_GROUP)
}

/// Whether the DaemonSet controller creates the pod. Where controllers share one identity, the owner that
/// it writes tells.
pub(super) fn creates_daemon_set_pod() -> Cel {
    Cel::any([
        user_is(is_one_of(USER_NAME, [DAEMON_SET_CONTROLLER])),
        Cel::all([
            user_is(is_one_of(USER_NAME, [KUBE_CONTROLLER_MANAGER])),
            has_daemon_set(Cel::Always),
        ]),
    ])
}

/// Whether the DaemonSet controller creates the pod, by either of its identities, and for a DaemonSet.
pub(super) fn creates_pod_of_daemon_set() -> Cel {
    let controllers = [DAEMON_SET_CONTROLLER, KUBE_CONTROLLER_MANAGER];
    Cel::all([user_is(is_one_of(USER_NAME, controllers)), has_daemon_set(Cel::Always)])
}

/// Whether the user is one of the controllers that create workloads for other workloads.
pub(super) fn is_workload_controller() -> Cel {
    user_is(is_one_of(USER_NAME, WORKLOAD_CONTROLLERS))
}

pub(super) fn is_kube_scheduler() -> Cel {
    user_is(is_one_of(USER_NAME, [KUBE_SCHEDULER]))
}

/// Whether the user is one of the controllers whose upkeep no rule judges.
pub(super) fn is_never_judged() -> Cel {
    user_is(is_one_of(USER_NAME, NEVER_JUDGED))
}

/// The condition that leaves out the principals whom the rules about roles allow.
pub(super) fn by_no_trusted_principal(policy: &Policy) -> Option<MatchCondition> {
    MatchCondition::new(BY_NO_TRUSTED_PRINCIPAL, Cel::not(is_trusted(policy)))
}

/// Whether the user is a principal whom the rules about roles allow.
pub(super) fn is_trusted(policy: &Policy) -> Cel {
    let trusted = [&policy.trusted.configured, &policy.trusted.preset];
    let principals = || trusted.into_iter();
    let accounts = || principals().flat_map(|it: &Principals| &it.service_accounts);
    let users = || principals().flat_map(|it: &Principals| &it.users);
    // As user names: `namespace/name` is `system:serviceaccount:namespace:name`.
    let account_names = accounts().filter_map(|glob| glob.as_exact()).map(account_name);
    let exact = users().filter_map(|glob| glob.as_exact()).map(str::to_owned);
    let never_judged = NEVER_JUDGED.into_iter().map(str::to_owned);
    let names: Vec<String> = never_judged.chain(exact).chain(account_names).collect();
    let account_patterns: Vec<String> = patterns(accounts())
        .map(|glob| pattern(&glob.to_string().replace('/', ":"), Wildcards::ANYTHING))
        .collect();
    let user = Cel::any([
        is_one_of(USER_NAME, &names),
        matches_any(USER_NAME, patterns(users())),
        matches(USER_NAME, SERVICE_ACCOUNT_PREFIX, &account_patterns, ""),
    ]);
    let group = matches_any("g", principals().flat_map(|it: &Principals| &it.groups));
    Cel::any([user_is(user), is_in_group(group)])
}

fn account_name(account: &str) -> String {
    format!("{SERVICE_ACCOUNT_PREFIX}{}", account.replacen('/', ":", 1))
}
