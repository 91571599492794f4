//! Whether a pod may be able to reach a pool, as far as it shows itself.
//!
//! A pod reaches a pool only through its taint, or past the scheduler by `nodeName`. A node of the
//! pool may carry further taints and the pod may have an affinity, so that this says yes more often
//! than the rule does, and never no where the rule says yes.

use super::cel::{Cel, CelPath, is_one_of, literal};
use crate::{
    kubernetes::taint::{ComparisonOperators, Taint},
    policy::Policy,
};

/// The taints by which nodes are dedicated. Without any, no node is.
pub(super) fn pool_taints(policy: &Policy) -> Vec<&Taint<'static>> {
    let default = policy.discovery.then_some(&policy.taint);
    let mut taints: Vec<_> =
        default.into_iter().chain(policy.pools.iter().map(|pool| &pool.taint)).collect();
    taints.sort();
    taints.dedup();
    taints
}

/// Whether a pod with the spec at this key may land on a dedicated node.
pub(super) fn reaches(policy: &Policy, parent: &CelPath, key: &str) -> Cel {
    let spec = parent.key(key);
    let comparison = policy.placement.comparison_operators;
    let any = has_toleration(&spec, pool_taints(policy), comparison);
    Cel::all([parent.holds(key), Cel::any([spec.has_text("nodeName"), any])])
}

/// Whether the spec at this key tolerates one of these taints.
pub(super) fn tolerates_any<'t>(
    parent: &CelPath,
    key: &str,
    taints: impl IntoIterator<Item = &'t Taint<'static>>,
    comparison: ComparisonOperators,
) -> Cel {
    Cel::all([parent.holds(key), has_toleration(&parent.key(key), taints, comparison)])
}

fn has_toleration<'t>(
    spec: &CelPath,
    taints: impl IntoIterator<Item = &'t Taint<'static>>,
    comparison: ComparisonOperators,
) -> Cel {
    let any = Cel::any(taints.into_iter().map(|taint| tolerates(taint, comparison)));
    Cel::all([spec.holds("tolerations"), Cel::exists(spec.key("tolerations"), "t", any)])
}

fn tolerates(taint: &Taint<'_>, comparison: ComparisonOperators) -> Cel {
    let toleration = CelPath::bound("t");
    let empty_or = |key: &str, text: &str| {
        let is_so = is_one_of(&toleration.key(key).to_string(), ["", text]);
        Cel::any([Cel::not(toleration.has(key)), is_so])
    };
    let value = if taint.value.is_empty() {
        toleration.lacks_text("value")
    } else {
        toleration.text_is("value", [taint.value.as_str()])
    };
    // What a comparison comes to is the rule's business.
    let whatever_the_value: &[&str] = match comparison {
        ComparisonOperators::On => &["Exists", "Lt", "Gt"],
        ComparisonOperators::Off => &["Exists"],
    };
    let compares = Cel::any([
        toleration.text_is("operator", whatever_the_value),
        Cel::all([empty_or("operator", "Equal"), value]),
    ]);
    Cel::all([empty_or("key", &taint.key), empty_or("effect", &taint.effect), compares])
}

/// The fields of a pod's spec that decide where the pod can land. All but the first may only be added to, or
/// changed while the pod is gated; the API server sees to that.
const PLACEMENT_FIELDS: [&str; 4] = ["tolerations", "nodeSelector", "affinity", "nodeName"];

/// Whether an UPDATE changes where a pod that is on no node yet can land.
pub(super) fn moves_unbound_pod() -> Cel {
    let (new, old) = (CelPath::object(), CelPath::old_object());
    let (spec, old_spec) = (new.key("spec"), old.key("spec"));
    Cel::all([
        Cel::not(new.key("metadata").has("deletionTimestamp")),
        old.holds("spec"),
        old_spec.lacks_text("nodeName"),
        new.holds("spec"),
        Cel::any(PLACEMENT_FIELDS.map(|field| spec.differs(&old_spec, field))),
    ])
}

/// Whether `request.operation` is this one.
pub(super) fn operation_is(operation: &str) -> Cel {
    Cel::term(format!("request.operation == {}", literal(operation)))
}

/// Whether the request is about the resource itself.
pub(super) fn has_no_sub_resource() -> Cel {
    Cel::any([
        Cel::not(Cel::term("has(request.subResource)")),
        Cel::term("request.subResource == ''"),
    ])
}
