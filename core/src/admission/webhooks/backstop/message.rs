//! The messages of the backstop for the client: the same as those of the webhook, as far as a policy can.

use super::table::{BASE, POOL, POOL_TAINT};
use crate::{
    admission::webhooks::cel::{CelPath, literal},
    policy::mode::RuleName,
};

/// The text that only a denial by the backstop has.
pub const NOT_ANSWERED: &str = "PoolGuard did not answer this request";

/// Returns the sentence that says why the backstop decided.
fn by_the_backstop() -> String {
    format!(" {NOT_ANSWERED}: the API server decided it by PoolGuard's backstop.")
}

/// The advice that fits every pod.
const ADVICE: &str = ". If the pod must run there, ask your platform team to add the pod's service account to exempt in \
     PoolGuard's config, with the namespace ";

/// Returns the message that the pod can run on a node of the first of these rows.
pub(super) fn of_landing(rows: &str, landings: &str) -> String {
    let row = format!("{rows}[{landings}[0]]");
    let start = start();
    let (pool, taint) = (literal(POOL), of_base(&row, POOL_TAINT));
    let can = literal(" can run on a node of pool ");
    let reserved = literal(", which is reserved for AutoMQ: spec.tolerations tolerates ");
    let remove = literal(&format!(". Remove the toleration{ADVICE}"));
    format!("{start} + {can} + {row}[{pool}] + {reserved} + {taint} + {remove} + {}", end())
}

/// Returns the message that the pod can run on a node of some row. The API server evaluates the messages of all
/// requests, also of those that it allows: where there are many rows, it must not look for the row again.
pub(super) fn of_landing_somewhere() -> String {
    let fact = literal(&format!(
        " can run on a node that is reserved for AutoMQ: spec.tolerations tolerates the node's taint. Remove the \
         toleration{ADVICE}"
    ));
    format!("{} + {fact} + {}", start(), end())
}

/// Returns the message that the pod can run on the dedicated node that it names by a label or a field.
pub(super) fn of_named() -> String {
    let fact = literal(&format!(
        " can run on the node that its nodeSelector or node affinity names, which is reserved for AutoMQ. Remove the \
         toleration{ADVICE}"
    ));
    format!("{} + {fact} + {}", start(), end())
}

/// Returns the message that the pod chooses a dedicated node.
pub(super) fn of_node_name(row: &str) -> String {
    let can = literal(" would run on node ");
    let of = literal(" of pool ");
    let reserved = literal(&format!(
        ", which is reserved for AutoMQ: spec.nodeName selects this node directly, so its taint has no effect. Remove \
         spec.nodeName{ADVICE}"
    ));
    let pool = literal(POOL);
    format!(
        "{} + {can} + object.spec.nodeName + {of} + {row}[{pool}] + {reserved} + {}",
        start(),
        end()
    )
}

/// Returns the message that the request binds a pod to a dedicated node.
pub(super) fn of_binding(row: &str) -> String {
    let start = literal(&format!(
        "[{}] The request would bind a pod of namespace ",
        RuleName::PodIntrusion
    ));
    let to = literal(" to node ");
    let of = literal(" of pool ");
    let reserved = literal(&format!(
        ", which is reserved for AutoMQ. Let kube-scheduler choose the node.{}",
        by_the_backstop()
    ));
    let pool = literal(POOL);
    format!(
        "{start} + request.namespace + {to} + object.target.name + {of} + {row}[{pool}] + {reserved}"
    )
}

/// A field that the row has, or its base.
fn of_base(row: &str, key: &str) -> String {
    let (key, base) = (literal(key), literal(BASE));
    format!("({key} in {row} ? {row}[{key}] : variables.bases[{row}[{base}]][{key}])")
}

/// Returns the start of a message: the rule and the pod.
fn start() -> String {
    let metadata = CelPath::object().key("metadata");
    let name = format!(
        "({} ? {} : ({} ? {} : '') + '*')",
        metadata.has_text("name"),
        metadata.key("name"),
        metadata.has_text("generateName"),
        metadata.key("generateName"),
    );
    format!(
        "{} + request.namespace + '/' + {name}",
        literal(&format!("[{}] Pod ", RuleName::PodIntrusion))
    )
}

/// Returns the end of a message: the namespace, and that the backstop decided.
fn end() -> String {
    format!("request.namespace + {}", literal(&format!(".{}", by_the_backstop())))
}
