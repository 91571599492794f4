//! The backstop: a ValidatingAdmissionPolicy, which the API server evaluates by itself, for the part of
//! `pod-intrusion` that needs no look at the cluster. It holds while nobody answers the webhooks.
//!
//! It never denies what the rule allows. So it only decides what the pod itself shows: a toleration of
//! a declared pool's taint, no `nodeName`, no required node affinity, and no `nodeSelector` but one that
//! the pool's own nodes have. Everything else passes, and is the webhook's to judge. Pools that are only
//! found by their taint are left out, since nobody knows here whether there are any. What is taken for
//! granted is that a pool has a node, there or to come, without taints but those of pools.

use serde_json::{Value, json};

use super::{
    Installation, MatchCondition, WebhookRule,
    cel::{Cel, CelPath, is_one_of, literal},
    object::{metadata, namespace_selector, rule as rule_object},
    pod_owner::{Outside, OwnerCounts},
    pods::{BY_NO_NODE_COMPONENT, rule},
    principals,
    reach::{moves_unbound_pod, operation_is, tolerates_any},
};
use crate::{
    kubernetes::{
        selector::{Operator, Requirement},
        taint::{ComparisonOperators, Taint},
    },
    policy::{
        Policy,
        mode::{Mode, RuleName},
        pool::{Pool, ZONE_LABEL},
        request::Operation,
    },
};

/// The policy and its binding; `None` where the config declares no pool, or the rule is off.
pub fn backstop(policy: &Policy, installation: &Installation) -> Option<[Value; 2]> {
    let mode = policy.rules.pod_intrusion;
    let validations: Vec<Value> =
        taints(policy).into_iter().map(|taint| validation(policy, taint)).collect();
    if mode == Mode::Off || validations.is_empty() {
        return None;
    }
    let outside = Outside::new(policy, &installation.namespace);
    let mut conditions = Vec::new();
    let components = Cel::any([principals::creates_daemon_set_pod(), principals::is_kubelet()]);
    conditions.extend(MatchCondition::new(BY_NO_NODE_COMPONENT, Cel::not(components)));
    conditions.extend(outside.pod_is_outside(OwnerCounts::Stored));
    conditions.extend(principals::by_no_break_glass_group(policy));
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|MatchCondition { name, expression }| json!({"name": name, "expression": expression}))
        .collect();
    let pods: WebhookRule = rule(&["pods"], &[Operation::Create, Operation::Update]);
    let object = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": metadata(installation),
        "spec": {
            // An expression that cannot be evaluated must not stop pods: the webhook judges them.
            "failurePolicy": "Ignore",
            "matchConstraints": {
                "matchPolicy": "Equivalent",
                "namespaceSelector": namespace_selector(&outside.scope()),
                "objectSelector": {},
                "resourceRules": [rule_object(&pods)],
            },
            "matchConditions": conditions,
            "validations": validations,
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": metadata(installation),
        "spec": {"policyName": installation.name, "validationActions": [action(mode)]},
    });
    Some([object, binding])
}

fn action(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "Deny",
        Mode::Warn => "Warn",
        Mode::Audit | Mode::Off => "Audit",
    }
}

/// The taints of declared pools, each once, in the order of the config.
fn taints(policy: &Policy) -> Vec<&Taint<'static>> {
    let mut taints = Vec::new();
    for pool in &policy.pools {
        if !taints.contains(&&pool.taint) {
            taints.push(&pool.taint);
        }
    }
    taints
}

fn validation(policy: &Policy, taint: &Taint<'static>) -> Value {
    let pools: Vec<&Pool> = policy.pools.iter().filter(|pool| pool.taint == *taint).collect();
    let (new, old) = (CelPath::object(), CelPath::old_object());
    // What a comparison comes to is the webhook's to say, so that it counts against a denial only.
    let tolerates = |taint| tolerates_any(&new, "spec", [taint], ComparisonOperators::Off);
    let comparison = policy.placement.comparison_operators;
    let was_tolerant = tolerates_any(&old, "spec", [taint], comparison);
    // A node may carry the taint of another pool besides its own, and carries the additional ones.
    let additional = pools.iter().flat_map(|pool| &pool.additional_taints);
    let tolerates_all = Cel::all(taints(policy).into_iter().chain(additional).map(tolerates));
    let spec = new.key("spec");
    let lands = Cel::all([
        tolerates_all,
        spec.lacks_text("nodeName"),
        Cel::not(has_required_affinity(&spec)),
        selects_one_of(&spec, &pools),
        Cel::any([
            operation_is(Operation::Create.as_str()),
            Cel::all([moves_unbound_pod(), Cel::not(was_tolerant)]),
        ]),
    ]);
    json!({
        "expression": Cel::not(lands).into_text(),
        "messageExpression": message(taint, &pools),
        "reason": "Forbidden",
    })
}

fn has_required_affinity(spec: &CelPath) -> Cel {
    let affinity = spec.key("affinity");
    let node = affinity.key("nodeAffinity");
    Cel::all([
        spec.holds("affinity"),
        affinity.holds("nodeAffinity"),
        node.holds("requiredDuringSchedulingIgnoredDuringExecution"),
    ])
}

/// No node selector, or one that every node of a pool has, or the next one in a declared zone.
fn selects_one_of(spec: &CelPath, pools: &[&Pool]) -> Cel {
    let selector = spec.key("nodeSelector");
    let stranger = |pool: &&Pool| {
        let known = labels(pool).into_iter().map(|(key, values)| {
            let value = format!("{selector}[k]");
            Cel::all([is_one_of("k", [key]), is_one_of(&value, values)])
        });
        Cel::not(Cel::exists(&selector, "k", Cel::not(Cel::any(known))))
    };
    Cel::any([Cel::not(spec.holds("nodeSelector")), Cel::any(pools.iter().map(stranger))])
}

/// Labels with the values that a node of the pool is sure to have, or sure to come with.
fn labels(pool: &Pool) -> Vec<(&str, Vec<&str>)> {
    let fixed = pool.nodes.requirements().iter().filter_map(|requirement| {
        let Requirement { key, operator, values } = requirement;
        let is_fixed = *operator == Operator::In && values.len() == 1;
        is_fixed.then(|| (key.as_str(), values.iter().map(String::as_str).collect()))
    });
    let zones: Vec<&str> = pool.zones.iter().map(String::as_str).collect();
    let zones = (!zones.is_empty()).then_some((ZONE_LABEL, zones));
    fixed.chain(zones).collect()
}

/// What the client sees: as the webhook says it, as far as it can be said without the nodes.
fn message(taint: &Taint<'static>, pools: &[&Pool]) -> String {
    let names: Vec<&str> = pools.iter().map(|pool| &*pool.name).collect();
    let names = names.join(" or ");
    let metadata = CelPath::object().key("metadata");
    let name = format!(
        "({} ? {} : ({} ? {} : '') + '*')",
        metadata.has_text("name"),
        metadata.key("name"),
        metadata.has_text("generateName"),
        metadata.key("generateName"),
    );
    let start = literal(&format!("[{}] Pod ", RuleName::PodIntrusion));
    let fact = literal(&format!(
        " can run on pool {names}, which is reserved for AutoMQ: spec.tolerations tolerates \
         {taint}. Remove the toleration. If the pod must run there, ask your platform team to add \
         the pod's service account to exempt in PoolGuard's config, with the namespace "
    ));
    format!("{start} + request.namespace + '/' + {name} + {fact} + request.namespace")
}
