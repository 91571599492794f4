//! The output of `serve` at its start: what PoolGuard protects, and how to try it.

use anstyle::Style;
use serde_json::json;
use tracing::{info, warn};

use super::super::page::{BAD, CHANGED, FAINT, GOOD, HEADING, Styled, Table, WARNING, count};
use crate::{
    cluster::Index,
    policy::{
        Policy,
        mode::{Mode, RuleName},
        snapshot::{PoolFacts, PoolOrigin, Snapshot},
    },
    runtime::Bound,
    service::PolicyAndSnapshot,
};

/// The kinds that the dump lacks, and the rules that need them.
pub(super) fn unseen(index: &Index) -> Vec<String> {
    let limits = [
        (
            &["Node"][..],
            "pod-intrusion and pod-placement protect only pools that the config declares",
        ),
        (
            &["RoleBinding", "ClusterRoleBinding"][..],
            "role-binding does not protect the roles that AutoMQ's bindings refer to, or the namespaces of these \
             bindings",
        ),
        (
            &["ServiceAccount"][..],
            "role-binding does not protect the namespaces of AutoMQ's service accounts",
        ),
    ];
    let is_unseen = |kinds: &&[&str]| !kinds.iter().any(|kind| index.has_seen(kind));
    limits
        .iter()
        .filter(|(kinds, _)| is_unseen(kinds))
        .map(|(kinds, limit)| format!("the dump contains no {}, so {limit}", kinds.join(" or ")))
        .collect()
}

/// Logs the pools, the rules and the addresses, for a collector of log lines.
pub(super) fn log(bound: Bound, guard: &PolicyAndSnapshot, unseen: &[String]) {
    let PolicyAndSnapshot { policy, snapshot } = guard;
    for pool in snapshot.pools() {
        let zones = pool.zones.join(",");
        let (name, taint) = (&*pool.name, pool.taint.to_string());
        info!(pool = name, nodes = pool.nodes, zones, taint, "protecting pool {name}");
    }
    for conflict in snapshot.conflicts() {
        warn!("{conflict}");
    }
    for note in unseen {
        info!("{note}");
    }
    let mode = |rule| format!("{rule}={}", policy.rules.mode(rule));
    let rules = RuleName::ALL.map(mode).join(",");
    let Bound { webhook, admin } = bound;
    info!(rules, "listening on https://{webhook} (admin on http://{admin})");
}

/// Prints the pools, the rules and the addresses for people.
pub(super) fn print(bound: Bound, guard: &PolicyAndSnapshot, unseen: &[String]) {
    let PolicyAndSnapshot { policy, snapshot } = guard;
    let provider = policy.provider.map_or("unknown provider", |provider| provider.as_str());
    let pools = count(snapshot.pools().len(), "pool");
    let nodes = count(snapshot.node_count(), "node");
    anstream::eprintln!(
        "{} protects {pools} in a cluster of {nodes} ({provider})\n",
        Styled(HEADING, concat!("PoolGuard ", env!("CARGO_PKG_VERSION")))
    );
    anstream::eprintln!("{}", pool_table(snapshot));
    anstream::eprintln!("{}", rule_table(policy));
    for conflict in snapshot.conflicts() {
        anstream::eprintln!("{} {conflict}", Styled(WARNING, "warning:"));
    }
    for note in unseen {
        anstream::eprintln!("{} {note}", Styled(FAINT, "note:"));
    }
    let Bound { webhook, admin } = bound;
    anstream::eprintln!("\nlistening on https://{webhook} (admin on http://{admin})");
    anstream::eprintln!("\n{}\n{}\n", Styled(HEADING, "Try it:"), try_it(bound, snapshot));
}

fn pool_table(snapshot: &Snapshot) -> Table {
    let mut table = Table::indented(2);
    table.headings(["POOL", "NODES", "ZONES", "TAINT", ""]);
    for pool in snapshot.pools() {
        let zones: Vec<&str> = pool.zones.iter().map(AsRef::as_ref).collect();
        let (style, remark) = remark(pool);
        table.row([
            (HEADING, pool.name.to_string()),
            (Style::new(), pool.nodes.to_string()),
            (Style::new(), if zones.is_empty() { "-".to_owned() } else { zones.join(", ") }),
            (Style::new(), pool.taint.to_string()),
            (style, remark),
        ]);
    }
    table
}

fn remark(pool: &PoolFacts) -> (Style, String) {
    let origin = match pool.origin {
        PoolOrigin::Declared(_) => "",
        PoolOrigin::Discovered => "found by its taint",
        PoolOrigin::Stray => "has the taint, but belongs to no declared pool",
    };
    if pool.lost_taints > 0 {
        return (WARNING, format!("{} without the pool's taint", count(pool.lost_taints, "node")));
    }
    if pool.nodes == 0 {
        return (
            FAINT,
            "the dump has no node of this pool; PoolGuard protects future nodes".to_owned(),
        );
    }
    (FAINT, origin.to_owned())
}

fn rule_table(policy: &Policy) -> Table {
    let mut table = Table::indented(2);
    table.headings(["RULE", "MODE", ""]);
    for rule in RuleName::ALL {
        let mode = policy.rules.mode(rule);
        let daemon_sets = policy.rules.daemon_set_intrusion;
        let trusts_nobody = policy.trusted.configured.is_empty();
        let remark = if rule == RuleName::PodIntrusion && daemon_sets != mode {
            format!("DaemonSet pods: {daemon_sets}")
        } else if rule == RuleName::RoleBinding && mode == Mode::Enforce && trusts_nobody {
            "principals.trusted is empty, so it also denies the console's changes to AutoMQ's permissions".to_owned()
        } else {
            String::new()
        };
        let name = rule.to_string();
        table.row([(Style::new(), name), (mode_style(mode), mode.to_string()), (FAINT, remark)]);
    }
    table
}

fn mode_style(mode: Mode) -> Style {
    match mode {
        Mode::Enforce => GOOD,
        Mode::Warn => CHANGED,
        Mode::Audit => Style::new(),
        Mode::Off => BAD,
    }
}

/// A command that sends a pod which tolerates the first pool's taint and is neither an AutoMQ pod nor exempt.
fn try_it(bound: Bound, snapshot: &Snapshot) -> String {
    let taint = snapshot.pools().first().map(|pool| &pool.taint);
    let tolerations =
        json!([{ "key": taint.map(|taint| taint.key.as_str()), "operator": "Exists" }]);
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1",
            "operation": "CREATE",
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "namespace": "shop",
            "name": "intruder",
            "object": { "spec": { "tolerations": tolerations } },
        },
    });
    format!(
        "curl -sk https://{}/validate -H 'content-type: application/json' -d '{review}'",
        bound.webhook
    )
}
