//! The placement policy: a MutatingAdmissionPolicy, which the API server evaluates by itself. It places the pods of
//! instances as the mutating half of `pod-placement` does, also while PoolGuard does not answer.
//!
//! The config becomes a table of instances by namespace, with the selector, the tolerations and the requirements of
//! each, and a table of zone spreads. The expressions around the tables are almost the same for every config. They find
//! the first instance of the pod, compare the pod with it, and add what is missing.
//!
//! In JSON Patch `add` replaces a member that exists, so a term gets its requirements in one operation with its whole
//! list of expressions. All paths are made of field names and indexes, so no segment needs an escape.
//!
//! The API server ignores a failed evaluation and leaves the pod as it is (`failurePolicy: Ignore`). The policy gives
//! a pod what the rule gives it, and never more. Unlike the rule, it adds nothing to
//!
//! - a pod whose required node affinity has more than about 5,000 expressions: the evaluation exceeds the budget of the
//!   API server
//! - a pod whose toleration compares (`Gt`, `Lt`) with a number of more than 64 bits, where the config switches these
//!   operators on: the evaluation fails
//! - a term that compares (`Gt`, `Lt`) with a number of more than 18 digits
//! - a pod that the DaemonSet controller creates and that names several controllers, of which the first is not a
//!   DaemonSet and another is
//!
//! The policy has no warning for a pod with more than [`TERMS_MAX`](crate::policy::TERMS_MAX) terms, and the audit
//! stream has no record of what it adds.

mod expressions;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Installation, MatchCondition,
    cel::{Cel, CelPath, literal},
    object::{metadata, namespace_selector, rule as rule_object},
    placement, principals,
};
use crate::{
    kubernetes::selector::Requirement,
    policy::{PlacementAdditions, Policy, mode::Mode, pool::Instance, snapshot::Snapshot},
};

/// The policy and its binding, in this version of the API. `None` where `pod-placement` does not enforce, where the
/// config declares no instance, or where one instance needs more text than an expression may have.
pub fn placement_policy(
    policy: &Policy,
    snapshot: &Snapshot,
    installation: &Installation,
    api_version: &str,
) -> Option<[Value; 2]> {
    if policy.rules.pod_placement != Mode::Enforce {
        return None;
    }
    let entry = placement::mutating(policy)?;
    let tables = Tables::new(policy, snapshot)?;
    let name = format!("{}-placement", installation.name);
    let metadata = metadata(&Installation { name: name.clone(), ..installation.clone() });
    let conditions = entry.conditions.into_iter().chain(conditions());
    let condition =
        |MatchCondition { name, expression }| json!({"name": name, "expression": expression});
    let variables = tables.variables().chain(expressions::variables(policy, &tables));
    let variable = |(name, expression)| json!({"name": name, "expression": expression});
    let rules: Vec<Value> = entry.rules.iter().map(rule_object).collect();
    let object = json!({
        "apiVersion": api_version,
        "kind": "MutatingAdmissionPolicy",
        "metadata": metadata,
        "spec": {
            "failurePolicy": "Ignore",
            "reinvocationPolicy": entry.reinvocation.as_str(),
            "matchConstraints": {
                "matchPolicy": "Equivalent",
                "namespaceSelector": namespace_selector(&entry.namespaces),
                "objectSelector": entry.objects.to_json(),
                "resourceRules": rules,
            },
            "matchConditions": conditions.map(condition).collect::<Vec<Value>>(),
            "variables": variables.map(variable).collect::<Vec<Value>>(),
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expressions::mutation()}}],
        },
    });
    let binding = json!({
        "apiVersion": api_version,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": metadata,
        "spec": {"policyName": name},
    });
    Some([object, binding])
}

/// Returns the conditions that leave out the pods that the rule leaves alone, whatever their instance. A mirror
/// pod names its node.
fn conditions() -> impl Iterator<Item = MatchCondition> {
    let of_daemon_set = principals::creates_pod_of_daemon_set();
    let object = CelPath::object();
    let is_unbound = Cel::all([object.holds("spec"), object.key("spec").lacks_text("nodeName")]);
    [
        MatchCondition::new("by-no-daemon-set-controller", Cel::not(of_daemon_set)),
        MatchCondition::new("without-node-name", is_unbound),
    ]
    .into_iter()
    .flatten()
}

/// The instances, as tables in CEL. One table may be split over several variables.
struct Tables {
    /// Maps from a namespace to its instances, in their order.
    instances: Vec<String>,
    /// Maps from the name of an instance to its zone spread.
    spreads: Vec<String>,
}

/// The stems of the names of the tables' variables. An index follows the stem.
const INSTANCES: &str = "instances";
const SPREADS_STEM: &str = "spreads";

impl Tables {
    fn new(policy: &Policy, snapshot: &Snapshot) -> Option<Self> {
        let (mut instances, mut spreads) = (Vec::new(), Vec::new());
        for instance in &policy.instances {
            let additions = policy.placement_additions(snapshot, instance)?;
            instances.push((instance.namespace.as_str(), row(instance, &additions)));
            let spread = additions.spread.iter();
            spreads.extend(spread.map(|it| (instance.name.as_str(), cel_value(it, Values::Mixed))));
        }
        Some(Self { instances: split(&instances)?, spreads: split(&spreads)? })
    }

    fn variables(&self) -> impl Iterator<Item = (String, String)> {
        let of = |stem: &'static str, tables: &[String]| {
            let tables = tables.iter().enumerate();
            let named = tables.map(|(index, text)| (format!("{stem}{index}"), text.clone()));
            named.collect::<Vec<(String, String)>>()
        };
        of(INSTANCES, &self.instances).into_iter().chain(of(SPREADS_STEM, &self.spreads))
    }
}

/// An instance: lists of maps, whose values are lists of texts. Lists that are empty are left out.
fn row(instance: &Instance, additions: &PlacementAdditions) -> String {
    let PlacementAdditions { tolerations, requirements, spread } = additions;
    let json = |them: &[Requirement]| them.iter().map(Requirement::to_json).collect();
    let spread = spread.iter().map(|_| json!({ "instance": instance.name }));
    let columns: [(&str, Vec<Value>); 4] = [
        ("pods", json(instance.pods.requirements())),
        ("tolerations", tolerations.clone()),
        ("requirements", json(requirements)),
        ("spread", spread.collect()),
    ];
    let filled = columns.iter().filter(|(_, items)| !items.is_empty());
    let column = |(name, items): &(&str, Vec<Value>)| {
        let items: Vec<String> = items.iter().map(|it| cel_value(it, Values::Texts)).collect();
        format!("'{name}': [{}]", items.join(", "))
    };
    format!("{{{}}}", filled.map(column).collect::<Vec<String>>().join(", "))
}

/// The way in which the values of a map become values of one type. The API server rejects a map with values of
/// several types.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    /// Values that are texts or lists of texts. A text is written as a list of one.
    Texts,
    /// Values of any type, each of which is made dynamic. The time to compile an expression grows with the square of
    /// the number of these values.
    Mixed,
}

/// A JSON value in CEL.
fn cel_value(value: &Value, values: Values) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => literal(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|it| cel_value(it, values)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                let (key, text) = (literal(key), cel_value(value, values));
                match values {
                    Values::Texts if value.is_string() => format!("{key}: [{text}]"),
                    Values::Texts => format!("{key}: {text}"),
                    Values::Mixed => format!("{key}: dyn({text})"),
                }
            };
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<String>>().join(", "))
        }
    }
}

/// The size beyond which a table gets no further item, because the API server needs longer to compile a large table.
const TABLE_BYTES: usize = 20_000;
/// The largest item, below the 100,000 characters that an expression may have.
const ITEM_BYTES_MAX: usize = 90_000;

/// Tables of these items by their keys. The items of a key keep their order, from table to table as well. `None` if
/// an item is too large.
fn split(items: &[(&str, String)]) -> Option<Vec<String>> {
    let mut tables = Vec::new();
    let mut table: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut bytes = 0;
    for (key, item) in items {
        let more = literal(key).len() + item.len();
        if more > ITEM_BYTES_MAX {
            return None;
        }
        if !table.is_empty() && bytes + more > TABLE_BYTES {
            tables.push(table_text(&std::mem::take(&mut table)));
            bytes = 0;
        }
        table.entry(key).or_default().push(item);
        bytes += more;
    }
    if !table.is_empty() {
        tables.push(table_text(&table));
    }
    Some(tables)
}

fn table_text(table: &BTreeMap<&str, Vec<&str>>) -> String {
    let line = |(key, items): (&&str, &Vec<&str>)| {
        format!("  {}: [\n    {}\n  ]", literal(key), items.join(",\n    "))
    };
    let lines: Vec<String> = table.iter().map(line).collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}
