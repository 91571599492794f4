//! The mutating webhook's part: as few JSON patch operations as possible, and none if PoolGuard sees the pod again.

use json_patch::{AddOperation, PatchOperation};
use jsonptr::PointerBuf;
use serde_json::{Map, Value, json};

use super::{Context, RULE, instance_of};
use crate::{
    kubernetes::{
        object::{Pod, PodSpec},
        selector::Requirement,
        taint::{Taint, Toleration, tolerating},
    },
    policy::{
        Policy,
        advice::pool_requirements,
        mode::Mode,
        placement::{check_term, missing_in_term},
        pool::{Instance, ZONE_LABEL},
        snapshot::Snapshot,
        verdict::{Finding, FindingCollector},
    },
};

/// The fields that the rule adds to the pods of one instance, each where the pod lacks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementAdditions {
    /// One toleration for each lasting taint of the pool.
    pub tolerations: Vec<Value>,
    /// The requirements that every term of the required node affinity must have.
    pub requirements: Vec<Requirement>,
    /// The topology spread constraint over zones, if the config sets one.
    pub spread: Option<Value>,
}

impl Policy {
    /// The fields that the rule adds to the pods of this instance; `None` if the instance has no pool.
    pub fn placement_additions(
        &self,
        snapshot: &Snapshot,
        instance: &Instance,
    ) -> Option<PlacementAdditions> {
        let pool = self.pools.get(instance.pool)?;
        Some(PlacementAdditions {
            tolerations: pool.all_taints().map(toleration).collect(),
            requirements: pool_requirements(pool, snapshot.declared_zones(instance.pool)),
            spread: spread_constraint(instance),
        })
    }
}

pub(in crate::policy::rules) fn patch_placement(
    context: Context<'_>,
    pod: &Pod<'_>,
    report: &mut FindingCollector,
) {
    let mode = context.policy.rules.pod_placement;
    if mode == Mode::Off || !pod.spec.node_name.is_empty() {
        return;
    }
    let Some((instance, pool)) = instance_of(context, pod) else { return };
    let terms = pod.spec.required_node_affinity().map_or(0, |it| it.node_selector_terms.len());
    if terms > TERMS_MAX {
        let fact = format!(
            "{} of instance {} has {terms} terms in its required node affinity. PoolGuard adds the pool's \
             labels to at most {TERMS_MAX} terms, so it changed nothing",
            context.object_name("Pod"),
            instance.name
        );
        let finding =
            Finding::new(RULE, fact).pool(&*pool.name).field(format!("{AFFINITY}.{TERMS}"));
        let advice = "Remove the required node affinity: PoolGuard then adds its own. Or add the pool's labels and \
             zones to every item of nodeSelectorTerms";
        report.violation(mode.min(Mode::Warn), finding.advice(advice));
        return;
    }
    let mut added = Vec::new();
    let mut operations = Vec::new();
    let comparison = context.policy.placement.comparison_operators;
    let tolerations = pod.spec.tolerations();
    let is_missing = |taint: &&Taint<'_>| tolerating(tolerations, taint, comparison).is_none();
    let missing: Vec<_> = pool.all_taints().filter(is_missing).collect();
    operations.extend(add_tolerations(&pod.spec, &missing));
    added.extend(missing.iter().map(|taint| format!("toleration of taint {taint}")));
    let zones = context.snapshot.declared_zones(instance.pool);
    let affinity = add_affinity(&pod.spec, &pool_requirements(pool, zones));
    if !affinity.is_empty() {
        operations.extend(affinity);
        added.push(format!("node affinity to pool {}", pool.name));
        if zones.are_clear() {
            added.push(format!("zones {}", zones.names.join(", ")));
        }
    }
    if let Some(spread) = add_spread(&pod.spec, instance) {
        operations.push(spread);
        added.push("spread over zones".to_owned());
    }
    if operations.is_empty() {
        return;
    }
    let who = context.object_name("Pod");
    let added = added.join(", ");
    let finding = |fact: String| Finding::new(RULE, fact).pool(&*pool.name);
    if mode == Mode::Enforce {
        let fact = format!("PoolGuard adds to {who} of instance {}: {added}", instance.name);
        report.patch(operations, finding(fact));
    } else {
        let fact = format!(
            "In mode enforce, PoolGuard would add to {who} of instance {}: {added}",
            instance.name
        );
        let advice = format!(
            "Set rules.{RULE}.mode: enforce in PoolGuard's config, or add these fields to the pod template"
        );
        report.violation(mode, finding(fact).advice(advice));
    }
}

/// The largest number of terms that a patch extends. More would make the answer larger than the request.
pub const TERMS_MAX: usize = 100;

const AFFINITY: &str = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";

fn add<'t>(tokens: impl IntoIterator<Item = &'t str>, value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(tokens), value })
}

/// The toleration of exactly this taint.
fn toleration(Taint { key, value, effect }: &Taint<'_>) -> Value {
    json!(Toleration {
        key: key.as_str().into(),
        operator: "Equal".into(),
        value: value.as_str().into(),
        effect: effect.as_str().into(),
    })
}

fn add_tolerations(spec: &PodSpec<'_>, taints: &[&Taint<'_>]) -> Vec<PatchOperation> {
    let tolerations = taints.iter().map(|taint| toleration(taint));
    match &spec.tolerations {
        _ if taints.is_empty() => Vec::new(),
        Some(_) => tolerations.map(|it| add(["spec", "tolerations", "-"], it)).collect(),
        None => vec![add(["spec", "tolerations"], tolerations.collect())],
    }
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const TERMS: &str = "nodeSelectorTerms";

/// Adds the requirements to every term. A term that matches nothing stays unchanged: with a requirement, an empty
/// term would match nodes.
fn add_affinity(spec: &PodSpec<'_>, requirements: &[Requirement]) -> Vec<PatchOperation> {
    let Some(required) = spec.required_node_affinity() else {
        let missing = missing_in_term(spec, None, requirements);
        if missing.is_empty() {
            return Vec::new();
        }
        let expressions: Vec<Value> = missing.into_iter().map(Requirement::to_json).collect();
        let required = json!({ TERMS: [{ "matchExpressions": expressions }] });
        return vec![add_required(spec, required)];
    };
    let mut operations = Vec::new();
    for (index, term) in required.node_selector_terms.iter().enumerate() {
        if term.is_empty() || check_term(term).is_err() {
            continue;
        }
        let missing = missing_in_term(spec, Some(term), requirements);
        let index = index.to_string();
        let term_path =
            ["spec", "affinity", "nodeAffinity", REQUIRED, TERMS, &index, "matchExpressions"];
        if term.match_expressions.is_some() {
            operations.extend(
                missing.into_iter().map(|requirement| {
                    add(term_path.into_iter().chain(["-"]), requirement.to_json())
                }),
            );
        } else if !missing.is_empty() {
            let expressions = missing.into_iter().map(Requirement::to_json).collect();
            operations.push(add(term_path, Value::Array(expressions)));
        }
    }
    operations
}

/// Adds the required node affinity below the deepest object that exists.
fn add_required(spec: &PodSpec<'_>, required: Value) -> PatchOperation {
    let wrap = |key: &str, value: Value| Value::Object(Map::from_iter([(key.to_owned(), value)]));
    match &spec.affinity {
        None => {
            let value = wrap("nodeAffinity", wrap(REQUIRED, required));
            add(["spec", "affinity"], value)
        }
        Some(affinity) if affinity.node_affinity.is_none() => {
            add(["spec", "affinity", "nodeAffinity"], wrap(REQUIRED, required))
        }
        Some(_) => add(["spec", "affinity", "nodeAffinity", REQUIRED], required),
    }
}

/// The constraint that spreads the pods of an instance over zones, if the config sets one.
fn spread_constraint(instance: &Instance) -> Option<Value> {
    let spread = instance.zone_spread?;
    Some(json!({
        "maxSkew": 1,
        "topologyKey": ZONE_LABEL,
        "whenUnsatisfiable": spread.as_str(),
        "labelSelector": instance.pods.to_json(),
    }))
}

fn add_spread(spec: &PodSpec<'_>, instance: &Instance) -> Option<PatchOperation> {
    let constraint = spread_constraint(instance)?;
    let constraints = spec.topology_spread_constraints.as_deref();
    let is_spread = constraints
        .unwrap_or_default()
        .iter()
        .any(|constraint| constraint.topology_key == ZONE_LABEL);
    if is_spread {
        return None;
    }
    Some(match constraints {
        Some(_) => add(["spec", "topologySpreadConstraints", "-"], constraint),
        None => add(["spec", "topologySpreadConstraints"], json!([constraint])),
    })
}
