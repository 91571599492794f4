//! The backstop: validating admission policies, which the API server evaluates by itself, with the decision of
//! `pod-intrusion` about pods and bindings. They hold while PoolGuard does not answer.
//!
//! They never deny what the rule allows. They are compiled from the config and a snapshot: [`table`] has the nodes,
//! [`landing`] the placement. What a policy cannot tell passes; docs/backstop.md lists it.
//!
//! The nodes are in the policies themselves and in no parameter object: the API server lets only those create a
//! policy with parameters who may read every object of the parameters' kind, in every namespace.

mod landing;
mod message;
mod names;
mod table;

use std::fmt;

use serde_json::{Value, json};

pub use self::{message::NOT_ANSWERED, table::Omitted};
use self::{
    names::{is_dedicated, row_of_dedicated},
    table::{Chunk, Table, TooLarge},
};
use super::{
    Installation, WebhookRule,
    cel::{Cel, CelPath},
    object::{metadata, namespace_selector, rule as rule_object},
    pod_owner::{Agents, Outside, OwnerCounts},
    pods::{binding_rule, rule},
    principals,
    reach::{moves_unbound_pod, operation_is, reaches, tolerates_any},
};
use crate::{
    kubernetes::taint::{ComparisonOperators, Taint},
    policy::{
        Policy,
        mode::{Mode, RuleName},
        request::Operation,
        snapshot::Snapshot,
    },
};

/// The objects of a backstop.
#[derive(Clone, Debug, PartialEq)]
pub struct Backstop {
    /// The policies, each with its binding behind it.
    pub objects: Vec<Value>,
    /// The parts of the snapshot that are left out.
    pub omitted: Omitted,
}

/// The reason why a config and a cluster have no backstop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBackstop {
    /// The rule does not deny.
    Mode(Mode),
    /// There is no pool.
    NoPool,
    /// The pools need a policy that is larger than an API server takes.
    TooLarge,
}

impl fmt::Display for NoBackstop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mode(mode) => write!(
                f,
                "the backstop can only deny, but rules.{}.mode is {mode}: set it to enforce to use a backstop",
                RuleName::PodIntrusion
            ),
            Self::NoPool => f.write_str(
                "there is no pool for the backstop to guard: declare one under `pools`. If `discovery.enabled` is not \
                 false, you can give the cluster's nodes with --cluster instead",
            ),
            Self::TooLarge => f.write_str(
                "the pools of this cluster need a larger policy than the API server accepts, so there is no \
                 backstop. The webhooks guard the pools as before",
            ),
        }
    }
}

/// The backstop of a config in a cluster.
pub fn backstop(
    policy: &Policy,
    snapshot: &Snapshot,
    installation: &Installation,
) -> Result<Backstop, NoBackstop> {
    let mode = policy.rules.pod_intrusion;
    if mode != Mode::Enforce {
        return Err(NoBackstop::Mode(mode));
    }
    let table = Table::of(snapshot).map_err(|TooLarge| NoBackstop::TooLarge)?;
    if table.rows.is_empty() {
        return Err(NoBackstop::NoPool);
    }
    let outside = Outside::new(policy, &installation.namespace);
    let pods = PolicySpec {
        name: installation.name.clone(),
        rule: rule(&["pods"], &[Operation::Create, Operation::Update]),
        namespaces: namespace_selector(&outside.scope()),
        is_judged: is_judged(policy, &outside),
        variables: variables(policy, snapshot, &table),
        validations: validations(&table),
    };
    let mut parts = vec![pods];
    if !table.names.maps.is_empty() {
        parts.push(PolicySpec {
            name: format!("{}-bindings", installation.name),
            rule: binding_rule(),
            namespaces: namespace_selector(&outside.scope_without_automq()),
            is_judged: is_binding_judged(policy, &outside),
            variables: node_variables(&table, |chunk| &chunk.pools),
            validations: vec![binding_validation(&table)],
        });
    }
    let objects = parts.into_iter().flat_map(|part| part.objects(installation)).collect();
    Ok(Backstop { objects, omitted: table.omitted })
}

/// The parts of a policy that are particular to it.
struct PolicySpec {
    name: String,
    rule: WebhookRule,
    namespaces: Value,
    /// Whether the request is judged at all: the only expression that most requests cost.
    is_judged: Cel,
    variables: Vec<Value>,
    validations: Vec<Value>,
}

impl PolicySpec {
    /// The policy and its binding, with every field that the API server would default.
    fn objects(self, installation: &Installation) -> [Value; 2] {
        let Self { name, rule, namespaces, is_judged, variables, validations } = self;
        let object = |kind: &str, spec: Value| {
            let metadata = metadata(&Installation { name: name.clone(), ..installation.clone() });
            let version = "admissionregistration.k8s.io/v1";
            json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
        };
        let spec = json!({
            // An expression that cannot be evaluated must not stop pods.
            "failurePolicy": "Ignore",
            "matchConstraints": {
                "matchPolicy": "Equivalent",
                "namespaceSelector": namespaces,
                "objectSelector": {},
                "resourceRules": [rule_object(&rule)],
            },
            "matchConditions": [{"name": "is-judged", "expression": is_judged.into_text()}],
            "variables": variables,
            "validations": validations,
        });
        let binding = json!({"policyName": name, "validationActions": ["Deny"]});
        [
            object("ValidatingAdmissionPolicy", spec),
            object("ValidatingAdmissionPolicyBinding", binding),
        ]
    }
}

/// Whether a pod may be able to land on a pool and is neither AutoMQ's, nor exempt, nor of a node component.
fn is_judged(policy: &Policy, outside: &Outside<'_>) -> Cel {
    let create = operation_is(Operation::Create.as_str());
    let components = Cel::any([principals::creates_daemon_set_pod(), principals::is_kubelet()]);
    Cel::all([
        reaches(policy, &CelPath::object(), "spec"),
        Cel::any([create, moves_unbound_pod()]),
        Cel::not(components),
        outside.is_pod_outside(OwnerCounts::Stored, Agents::Included),
        Cel::not(principals::is_break_glass(policy)),
    ])
}

fn is_binding_judged(policy: &Policy, outside: &Outside<'_>) -> Cel {
    Cel::all([
        Cel::not(principals::is_kube_scheduler()),
        outside.is_binding_outside_all(),
        Cel::not(principals::is_break_glass(policy)),
    ])
}

fn variable(name: impl Into<String>, expression: impl Into<String>) -> Value {
    json!({"name": name.into(), "expression": expression.into()})
}

/// Returns the variables in which the expressions look up nodes by their names.
fn node_variables(table: &Table, rows: fn(&Chunk) -> &str) -> Vec<Value> {
    let chunks = table.rows.iter().enumerate();
    let rows = chunks.map(|(at, chunk)| variable(format!("rows{at}"), rows(chunk)));
    let names = table.names.maps.iter().enumerate();
    let names = names.map(|(at, text)| variable(format!("names{at}"), &**text));
    rows.chain(names).collect()
}

fn variables(policy: &Policy, snapshot: &Snapshot, table: &Table) -> Vec<Value> {
    let mut variables = node_variables(table, |chunk| &chunk.text);
    variables.push(variable("bases", &*table.bases));
    variables.push(variable("domains", table.domains_text()));
    if table.has_reserved() {
        variables.push(variable("reserved", table.reserved_text()));
    }
    variables.push(variable("hasTerms", landing::has_terms()));
    variables.push(variable("terms", landing::terms()));
    variables.push(variable("selector", landing::selector()));
    let taints = snapshot.taints();
    // What a comparison comes to is for the webhook to decide, and counts against a denial only.
    let now = untolerated(taints, &CelPath::object(), ComparisonOperators::Off);
    variables.push(variable("untolerated", now));
    let comparison = policy.placement.comparison_operators;
    let before = untolerated(taints, &CelPath::old_object(), comparison);
    variables.push(variable(
        "untoleratedBefore",
        format!("request.operation == 'UPDATE' ? {before} : []"),
    ));
    for (at, chunk) in table.rows.iter().enumerate() {
        let lands = landing::lands_on_any(table, &format!("variables.rows{at}[i]"));
        let landings = format!("{}.filter(i, {lands})", chunk.numbers);
        variables.push(variable(format!("landings{at}"), landings));
    }
    variables
}

/// The numbers of the taints that the pod does not tolerate, each between two bars.
fn untolerated(
    taints: &[Taint<'static>],
    pod: &CelPath,
    comparison: ComparisonOperators,
) -> String {
    let number = |(number, taint): (usize, &Taint<'static>)| {
        let tolerates =
            Cel::all([pod.holds("spec"), tolerates_any(pod, "spec", [taint], comparison)]);
        format!("({}) ? '' : '|{number}|'", tolerates.into_text())
    };
    let numbers: Vec<String> = taints.iter().enumerate().map(number).collect();
    format!("[{}].filter(u, u != '')", numbers.join(", "))
}

fn validation(expression: &str, message: &str) -> Value {
    json!({
        "expression": expression,
        "messageExpression": message,
        "message": FALLBACK,
        "reason": "Forbidden",
    })
}

/// The message of a denial whose own message cannot be evaluated.
const FALLBACK: &str = "[pod-intrusion] The pod can run on a node that is reserved for AutoMQ. Change the pod's \
     tolerations, nodeSelector or nodeName";

fn validations(table: &Table) -> Vec<Value> {
    let spec = CelPath::object().key("spec");
    let chooses_no_node = spec.lacks_text("nodeName").into_text();
    let node_name = "object.spec.nodeName";
    let mut validations = Vec::new();
    for at in 0..table.rows.len() {
        let expression = format!("!({chooses_no_node}) || variables.landings{at}.size() == 0");
        let message = match table.rows.len() {
            1 => message::of_landing("variables.rows0", "variables.landings0"),
            _ => message::of_landing_somewhere(),
        };
        validations.push(validation(&expression, &message));
    }
    if !table.names.maps.is_empty() {
        let named = landing::lands_on_named(table);
        let expression = format!("!({chooses_no_node}) || !({named})");
        validations.push(validation(&expression, &message::of_named()));
        let is_dedicated = is_dedicated(table, node_name);
        let expression =
            format!("request.operation != 'CREATE' || {chooses_no_node} || !({is_dedicated})");
        let row = row_of_dedicated(table, node_name);
        validations.push(validation(&expression, &message::of_node_name(&row)));
    }
    validations
}

fn binding_validation(table: &Table) -> Value {
    let node = "object.target.name";
    let is_dedicated = is_dedicated(table, node);
    let row = row_of_dedicated(table, node);
    let expression = format!("!has(object.target.name) || !({is_dedicated})");
    validation(&expression, &message::of_binding(&row))
}
