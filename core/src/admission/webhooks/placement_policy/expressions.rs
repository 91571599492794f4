//! The expressions of the placement policy: what the pod has, its instance, what it lacks, and the patch. Of the config
//! they show only the number of tables, and whether tolerations compare.
//!
//! The API server reads a pod into its own types before it evaluates an expression, so no field of a term or of a
//! toleration is `null`.

use super::{
    super::cel::{Cel, CelPath, literal},
    INSTANCES, SPREADS_STEM, Tables,
};
use crate::{
    kubernetes::taint::ComparisonOperators,
    policy::{Policy, TERMS_MAX, pool::ZONE_LABEL},
};

/// The items of a key, over all variables of a table.
fn items_of(stem: &str, tables: &[String], key: &str) -> String {
    let of_table = |index: usize| {
        let table = format!("variables.{stem}{index}");
        format!("({key} in {table} ? {table}[{key}] : [])")
    };
    let parts: Vec<String> = (0..tables.len()).map(of_table).collect();
    if parts.is_empty() { "[]".to_owned() } else { parts.join("\n+ ") }
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const TERMS: &str = "nodeSelectorTerms";

/// Variables that the patch is made of. The API server evaluates only those that it needs.
pub(super) fn variables(
    policy: &Policy,
    tables: &Tables,
) -> impl Iterator<Item = (String, String)> + use<> {
    let (metadata, spec) = (CelPath::object().key("metadata"), CelPath::object().key("spec"));
    let affinity = spec.key("affinity");
    let node_affinity = affinity.key("nodeAffinity");
    let required = node_affinity.key(REQUIRED);
    let within = |outer: &str, inner: &Cel| format!("variables.{outer} && {inner}");
    let or_empty = |parent: &CelPath, key: &str, empty: &str| {
        format!("{} ? {} : {empty}", parent.holds(key), parent.key(key))
    };
    let of_term = |key: &str| {
        let term = CelPath::bound("t");
        format!("variables.terms.map(t, {})", or_empty(&term, key, "[]"))
    };
    let terms = format!("variables.hasRequired && {}", or_empty(&required, TERMS, "[]"));
    [
        ("labels", or_empty(&metadata, "labels", "{}")),
        ("nodeSelector", or_empty(&spec, "nodeSelector", "{}")),
        ("hasTolerations", spec.holds("tolerations").to_string()),
        ("tolerations", or_empty(&spec, "tolerations", "[]")),
        ("hasSpread", spec.holds("topologySpreadConstraints").to_string()),
        ("spread", or_empty(&spec, "topologySpreadConstraints", "[]")),
        ("hasAffinity", spec.holds("affinity").to_string()),
        ("hasNodeAffinity", within("hasAffinity", &affinity.holds("nodeAffinity"))),
        ("hasRequired", within("hasNodeAffinity", &node_affinity.holds(REQUIRED))),
        ("terms", terms),
        ("expressions", of_term("matchExpressions")),
        ("fields", of_term("matchFields")),
        ("indexes", indexes()),
        ("candidates", items_of(INSTANCES, &tables.instances, "request.namespace")),
        ("matching", matching()),
        ("instance", instance()),
        ("wantedTolerations", wanted_tolerations()),
        ("wantedRequirements", wanted_requirements()),
        ("wantedSpread", wanted_spread(tables)),
        ("missingTolerations", missing_tolerations(policy.placement.comparison_operators)),
        ("missing", missing()),
        ("missingInTerms", missing_in_terms()),
    ]
    .into_iter()
    .map(|(name, expression)| (name.to_owned(), expression))
}

/// The places of the pod's terms.
fn indexes() -> String {
    let all: Vec<String> = (0..TERMS_MAX).map(|index| index.to_string()).collect();
    format!("[{}].filter(i, i < size(variables.terms))", all.join(", "))
}

/// The instances of the pod's namespace whose selector matches the pod's labels.
fn matching() -> String {
    "variables.candidates.filter(c, !has(c.pods) || c.pods.all(w,
  w.operator[0] == 'DoesNotExist' ? !(w.key[0] in variables.labels)
  : w.operator[0] == 'NotIn' ? !(w.key[0] in variables.labels && variables.labels[w.key[0]] in w.values)
  : w.key[0] in variables.labels
    && (w.operator[0] == 'Exists' || variables.labels[w.key[0]] in w.values)))"
        .to_owned()
}

/// The first of the matching instances; empty if there is none, and for a pod that has too many terms.
fn instance() -> String {
    format!(
        "size(variables.matching) > 0 && size(variables.terms) <= {TERMS_MAX} ? variables.matching[0] : {{}}"
    )
}

/// The tolerations that a pod of the instance has, as a pod has them.
fn wanted_tolerations() -> String {
    "!has(variables.instance.tolerations) ? []
: variables.instance.tolerations.map(w, has(w.value)
  ? {'key': w.key[0], 'operator': w.operator[0], 'value': w.value[0], 'effect': w.effect[0]}
  : {'key': w.key[0], 'operator': w.operator[0], 'effect': w.effect[0]})"
        .to_owned()
}

/// The requirements that the terms of a pod of the instance have.
fn wanted_requirements() -> String {
    "!has(variables.instance.requirements) ? []
: variables.instance.requirements.map(w, has(w.values)
  ? {'key': dyn(w.key[0]), 'operator': dyn(w.operator[0]), 'values': dyn(w.values)}
  : {'key': dyn(w.key[0]), 'operator': dyn(w.operator[0])})"
        .to_owned()
}

/// The zone spread of the instance, if there is one.
fn wanted_spread(tables: &Tables) -> String {
    let items = items_of(SPREADS_STEM, &tables.spreads, "variables.instance.spread[0].instance[0]");
    format!("!has(variables.instance.spread) ? [] : {items}")
}

/// The tolerations of taints that the pod does not tolerate.
fn missing_tolerations(comparison: ComparisonOperators) -> String {
    let compares = match comparison {
        ComparisonOperators::Off => String::new(),
        ComparisonOperators::On => {
            let is_number = |path: &str| {
                format!("has({path}) && {path}.matches({})", literal("^(0|-?[1-9][0-9]*)$"))
            };
            format!(
                "
    || has(t.operator) && t.operator in ['Gt', 'Lt'] && {} && {}
      && (t.operator == 'Gt' ? int(w.value) > int(t.value) : int(w.value) < int(t.value))",
                is_number("w.value"),
                is_number("t.value")
            )
        }
    };
    format!(
        "variables.wantedTolerations.filter(w, !variables.tolerations.exists(t,
  (!has(t.key) || t.key == '' || t.key == w.key)
  && (!has(t.effect) || t.effect == '' || t.effect == w.effect)
  && (has(t.operator) && t.operator == 'Exists'
    || (!has(t.operator) || t.operator in ['', 'Equal'])
      && (has(t.value) ? t.value : '') == (has(w.value) ? w.value : ''){compares})))"
    )
}

/// Whether a label with this value meets the requirement `w`.
fn satisfies(value: &str) -> String {
    format!(
        "(w.operator == 'In' ? {value} in w.values : w.operator == 'NotIn' ? !({value} in w.values) : \
         w.operator == 'Exists')"
    )
}

/// The requirements that the pod's node selector does not imply.
fn missing() -> String {
    let satisfies = satisfies("variables.nodeSelector[w.key]");
    format!(
        "variables.wantedRequirements.filter(w, !(w.key in variables.nodeSelector
  && {satisfies}))"
    )
}

/// For each term, the requirements that neither the term nor the node selector implies; none for a term that matches
/// nothing.
fn missing_in_terms() -> String {
    let satisfies = satisfies("v");
    format!(
        "variables.indexes.map(i, {is_readable}
  ? variables.missing.filter(w, !variables.expressions[i].exists(e, e.key == w.key && (
      e.operator == 'In' ? e.values.all(v, {satisfies})
      : e.operator == 'NotIn' ? w.operator == 'NotIn' && w.values.all(v, v in e.values)
      : e.operator == 'DoesNotExist' ? w.operator in ['DoesNotExist', 'NotIn']
      : w.operator == 'Exists')))
  : [])",
        is_readable = is_readable(),
    )
}

/// A label key, with an optional prefix.
const KEY: &str = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?\
                   [A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
/// A key whose prefix is too long.
const LONG_PREFIX: &str = "^[-.a-z0-9]{254}";
/// A label value.
const VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$";
/// A label value that is an integer of 64 bits, but for the largest.
const INTEGER: &str = "^0*[0-9]{1,18}$";

/// Whether the term at `i` is not empty, and the scheduler can read it.
fn is_readable() -> String {
    format!(
        "size(variables.expressions[i]) + size(variables.fields[i]) > 0
  && variables.expressions[i].all(e, has(e.key) && e.key.matches({key}) && !e.key.matches({long_prefix})
    && has(e.operator)
    && (e.operator in ['In', 'NotIn'] ? has(e.values) && size(e.values) > 0
      : e.operator in ['Exists', 'DoesNotExist'] ? !has(e.values) || size(e.values) == 0
      : e.operator in ['Gt', 'Lt'] && has(e.values) && size(e.values) == 1
        && e.values[0].matches({integer}))
    && (!has(e.values) || e.values.all(v, v.matches({value}))))
  && variables.fields[i].all(f, has(f.operator) && f.operator in ['In', 'NotIn']
    && has(f.values) && size(f.values) == 1)",
        key = literal(KEY),
        long_prefix = literal(LONG_PREFIX),
        integer = literal(INTEGER),
        value = literal(VALUE),
    )
}

/// An operation of a patch; path and value are expressions.
fn add(path: &str, value: &str) -> String {
    format!("JSONPatch{{op: 'add', path: {path}, value: {value}}}")
}

/// The patch. Without an instance, or for a pod that has everything, it is empty.
pub(super) fn mutation() -> String {
    [tolerations(), affinity(), spread()].map(|part| format!("({part})")).join("\n+ ")
}

fn tolerations() -> String {
    format!(
        "size(variables.missingTolerations) == 0 ? []
  : variables.hasTolerations ? variables.missingTolerations.map(t,
      {append})
  : [{add}]",
        append = add("'/spec/tolerations/-'", "t"),
        add = add("'/spec/tolerations'", "variables.missingTolerations"),
    )
}

fn affinity() -> String {
    const AFFINITY: &str = "/spec/affinity";
    const NODE_AFFINITY: &str = "/spec/affinity/nodeAffinity";
    let of_term =
        format!("'{NODE_AFFINITY}/{REQUIRED}/{TERMS}/' + string(i) + '/matchExpressions'");
    let required = format!("{{'{TERMS}': [{{'matchExpressions': variables.missing}}]}}");
    let wrapped = format!("{{'{REQUIRED}': {required}}}");
    format!(
        "variables.hasRequired ? variables.indexes.filter(i, size(variables.missingInTerms[i]) > 0).map(i,
      {extend})
  : size(variables.missing) == 0 ? []
  : variables.hasNodeAffinity ? [{below_node_affinity}]
  : variables.hasAffinity ? [{below_affinity}]
  : [{below_spec}]",
        extend = add(&of_term, "variables.expressions[i] + variables.missingInTerms[i]"),
        below_node_affinity = add(&format!("'{NODE_AFFINITY}/{REQUIRED}'"), &required),
        below_affinity = add(&format!("'{NODE_AFFINITY}'"), &wrapped),
        below_spec = add(&format!("'{AFFINITY}'"), &format!("{{'nodeAffinity': {wrapped}}}")),
    )
}

fn spread() -> String {
    format!(
        "variables.spread.exists(c, has(c.topologyKey) && c.topologyKey == {zone}) ? []
  : variables.hasSpread ? variables.wantedSpread.map(c,
      {append})
  : size(variables.wantedSpread) == 0 ? []
  : [{add}]",
        zone = literal(ZONE_LABEL),
        append = add("'/spec/topologySpreadConstraints/-'", "c"),
        add = add("'/spec/topologySpreadConstraints'", "variables.wantedSpread"),
    )
}
