//! Terraform plans, as `terraform show -json` prints them: the node pools that a plan makes, as far as it
//! knows them before it is applied.
//!
//! A plan knows what the configuration says, and not what the cloud will answer: every value may be
//! unknown, and what is unknown stays so. Which attributes make a node pool is in [`resource`], how zones
//! are found in [`subnets`].
#![deny(clippy::disallowed_methods, reason = "a plan is read without clock, environment or files")]

mod resource;
mod subnets;

use std::collections::BTreeSet;

use serde_json::Value;

use self::{
    resource::{RESOURCES, Resource, Zones},
    subnets::Subnets,
};
use crate::policy::{
    object::Labels,
    provider::Provider,
    taint::{NO_EXECUTE, NO_SCHEDULE, Taint},
    text::Text,
};

/// A plan, as far as it is about node pools.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order of the plan, which is that of their addresses.
    pub pools: Vec<PlannedPool>,
}

/// A node pool of a plan. What is `None` is known once the plan is applied.
#[derive(Clone, Debug)]
pub struct PlannedPool {
    /// As Terraform has it: `aws_eks_node_group.pool["automq-a"]`.
    pub address: String,
    /// What the provider will call it; the address where that is not known.
    pub name: String,
    /// Where it will be.
    pub provider: Provider,
    /// What the plan does to it.
    pub action: Action,
    /// Labels of its nodes, that of the provider's own name for the pool among them.
    pub labels: Labels<'static>,
    /// Taints of its nodes.
    pub taints: Option<Vec<Taint<'static>>>,
    /// Machine types that its nodes may have.
    pub machine_types: Option<Vec<String>>,
    /// Zones that its nodes may be in.
    pub zones: Option<BTreeSet<String>>,
    /// Nodes that it starts with.
    pub size: Option<u64>,
    /// Whether the cloud may take its nodes back at any time.
    pub is_spot: bool,
    /// How its attributes are called.
    pub attributes: Attributes,
}

/// How the attributes of a node pool are called in a configuration, to say what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// `instance_types`
    pub machine_types: &'static str,
    /// Whether there may be several types.
    pub has_type_list: bool,
    /// `subnet_ids`
    pub zones: &'static str,
    /// `scaling_config.desired_size`
    pub size: &'static str,
    /// How a taint is written; `None` where the provider takes none.
    pub taint: Option<TaintSyntax>,
}

/// How a taint is written in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaintSyntax {
    /// `taint { … effect = "NO_SCHEDULE" }`, a block of this name.
    Shouted(&'static str),
    /// `taints { … effect = "NoSchedule" }`, a block of this name.
    Block(&'static str),
    /// `node_taints = ["key=value:NoSchedule"]`, a list of this name.
    Texts(&'static str),
}

/// What a plan does to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: it is there already.
    Keep,
    /// It is made.
    Create,
    /// It is changed in place.
    Update,
    /// It is deleted and made anew.
    Replace,
    /// It is deleted.
    Delete,
}

/// Why a text is not a plan that tells of node pools.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Not JSON: the file that `terraform plan -out` writes is none.
    #[error("it is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON of another kind.
    #[error("it has no `resource_changes`{}", if *.is_state { ", so it is a state and not a plan" } else { "" })]
    NotPlan {
        /// It has what a state has.
        is_state: bool,
    },
    /// A format to come.
    #[error("its `format_version` is {0:?}, and 1.x is what can be read")]
    Version(String),
    /// Terraform says that planning failed.
    #[error("it is incomplete: Terraform says that planning failed (`errored`)")]
    Errored,
    /// Nothing to check.
    #[error("no resource in it is a node pool ({})", known_resources())]
    NoPool,
}

fn known_resources() -> String {
    RESOURCES.map(|resource| resource.name).join(", ")
}

impl Plan {
    /// Reads what `terraform show -json PLAN` prints.
    pub fn read(text: &str) -> Result<Self, PlanError> {
        let plan: Value = serde_json::from_str(text)?;
        let Some(changes) = plan.get("resource_changes").and_then(Value::as_array) else {
            return Err(PlanError::NotPlan { is_state: plan.get("values").is_some() });
        };
        let version = plan.get("format_version").and_then(Value::as_str).unwrap_or_default();
        if !version.starts_with("1.") {
            return Err(PlanError::Version(version.to_owned()));
        }
        if plan.get("errored") == Some(&Value::Bool(true)) {
            return Err(PlanError::Errored);
        }
        let pools: Vec<PlannedPool> =
            changes.iter().filter_map(|change| PlannedPool::of(&plan, change)).collect();
        if pools.is_empty() { Err(PlanError::NoPool) } else { Ok(Self { pools }) }
    }

    /// Where the node pools are; `None` if they are in several places.
    pub fn provider(&self) -> Option<Provider> {
        let (first, rest) = self.pools.split_first()?;
        rest.iter().all(|pool| pool.provider == first.provider).then_some(first.provider)
    }
}

impl PlannedPool {
    /// `None` for a change of something else.
    fn of(plan: &Value, change: &Value) -> Option<Self> {
        let text = |key: &str| change.get(key).and_then(Value::as_str).unwrap_or_default();
        let resource = RESOURCES.into_iter().find(|resource| resource.name == text("type"))?;
        let action = Action::of(change)?;
        let null = Value::Null;
        let part =
            |key: &str| change.pointer("/change").and_then(|it| it.get(key)).unwrap_or(&null);
        let values = match action {
            Action::Delete => Values { known: part("before"), unknown: &null },
            Action::Keep | Action::Create | Action::Update | Action::Replace => {
                Values { known: part("after"), unknown: part("after_unknown") }
            }
        };
        let address = text("address").to_owned();
        let known_name = resource.names.iter().find_map(|path| values.text(path));
        let zones = zones(plan, change, &resource, values);
        Some(Self {
            name: known_name.clone().unwrap_or_else(|| address.clone()),
            address,
            provider: resource.provider,
            action,
            labels: labels(&resource, values, known_name),
            taints: taints(&resource, values),
            machine_types: values.texts(resource.machine_types),
            size: size(&resource, values, zones.as_ref()),
            zones,
            is_spot: resource
                .spot
                .iter()
                .any(|(path, is)| values.text(path).as_deref() == Some(*is)),
            attributes: resource.attributes(),
        })
    }
}

impl Action {
    /// `None` for what Terraform only forgets.
    fn of(change: &Value) -> Option<Self> {
        let actions = change.pointer("/change/actions")?.as_array()?;
        let actions: Vec<&str> = actions.iter().filter_map(Value::as_str).collect();
        match actions.as_slice() {
            ["no-op" | "read"] => Some(Self::Keep),
            ["create"] => Some(Self::Create),
            ["update"] => Some(Self::Update),
            ["delete"] => Some(Self::Delete),
            [_, _] => Some(Self::Replace),
            _ => None,
        }
    }
}

/// The values of a resource, and which of them are not known yet.
#[derive(Clone, Copy)]
struct Values<'p> {
    known: &'p Value,
    /// The same shape, with `true` for what is not known.
    unknown: &'p Value,
}

/// A value of a plan.
enum Planned<'p> {
    Is(&'p Value),
    /// The configuration does not set it, and the provider does not either.
    Absent,
    Unknown,
}

impl<'p> Values<'p> {
    /// `path` is in keys and indices: `scaling_config.0.desired_size`.
    fn get(self, path: &str) -> Planned<'p> {
        let (mut known, mut unknown) = (Some(self.known), Some(self.unknown));
        for step in path.split('.') {
            if unknown.is_some_and(|it| it == &Value::Bool(true)) {
                return Planned::Unknown;
            }
            let index = step.parse::<usize>();
            let descend = |value: &'p Value| match index {
                Ok(index) => value.get(index),
                Err(_) => value.get(step),
            };
            (known, unknown) = (known.and_then(descend), unknown.and_then(descend));
        }
        match (known, unknown) {
            // A list with something unknown in it is not known.
            (_, Some(unknown)) if has_unknown(unknown) => Planned::Unknown,
            (None | Some(Value::Null), _) => Planned::Absent,
            (Some(known), _) => Planned::Is(known),
        }
    }

    /// A text, number or flag, as text.
    fn text(self, path: &str) -> Option<String> {
        match self.get(path) {
            Planned::Is(value) => scalar(value),
            Planned::Absent | Planned::Unknown => None,
        }
    }

    /// One text or several; `None` if there is none or it is not known.
    fn texts(self, path: &str) -> Option<Vec<String>> {
        let texts: Vec<String> = match self.get(path) {
            Planned::Is(Value::Array(values)) => values.iter().filter_map(scalar).collect(),
            Planned::Is(value) => scalar(value).into_iter().collect(),
            Planned::Absent | Planned::Unknown => return None,
        };
        (!texts.is_empty()).then_some(texts)
    }
}

fn has_unknown(unknown: &Value) -> bool {
    match unknown {
        Value::Bool(is_unknown) => *is_unknown,
        Value::Array(values) => values.iter().any(has_unknown),
        Value::Object(values) => values.values().any(has_unknown),
        Value::Null | Value::Number(_) | Value::String(_) => false,
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What is known of them: that of the provider's name for the pool, and those of the configuration.
fn labels(resource: &Resource, values: Values<'_>, name: Option<String>) -> Labels<'static> {
    let mut labels: Vec<(String, String)> = Vec::new();
    match values.get(resource.labels) {
        Planned::Is(Value::Object(map)) => {
            let known = map.iter().filter_map(|(key, value)| Some((key.clone(), scalar(value)?)));
            labels.extend(known);
        }
        Planned::Is(Value::Array(list)) => {
            let part = |entry: &Value, key| entry.get(key).and_then(scalar);
            let known = list.iter().filter_map(|it| Some((part(it, "key")?, part(it, "value")?)));
            labels.extend(known);
        }
        Planned::Is(_) | Planned::Absent | Planned::Unknown => {}
    }
    if let Some(name) = name {
        labels.extend(resource.name_labels.iter().map(|key| ((*key).to_owned(), name.clone())));
    }
    labels.into_iter().map(|(key, value)| (Text::from(key), Text::from(value))).collect()
}

fn taints(resource: &Resource, values: Values<'_>) -> Option<Vec<Taint<'static>>> {
    // Without a way to write them, something else makes them.
    resource.taint?;
    match values.get(resource.taints) {
        Planned::Is(value) => {
            Some(value.as_array().into_iter().flatten().filter_map(taint).collect())
        }
        Planned::Absent => Some(Vec::new()),
        Planned::Unknown => None,
    }
}

/// `{"key": …, "value": …, "effect": …}`, or `key=value:effect`.
fn taint(value: &Value) -> Option<Taint<'static>> {
    let (key, value, effect) = if let Some(text) = value.as_str() {
        let (pair, effect) = text.rsplit_once(':')?;
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key, value, effect)
    } else {
        let part = |key: &str| value.get(key).and_then(Value::as_str);
        (part("key")?, part("value").unwrap_or_default(), part("effect")?)
    };
    let effect = match effect {
        "NO_SCHEDULE" => NO_SCHEDULE,
        "NO_EXECUTE" => NO_EXECUTE,
        "PREFER_NO_SCHEDULE" => "PreferNoSchedule",
        other => other,
    };
    let own = |text: &str| Text::from(text.to_owned());
    Some(Taint { key: own(key), value: own(value), effect: own(effect) })
}

fn size(resource: &Resource, values: Values<'_>, zones: Option<&BTreeSet<String>>) -> Option<u64> {
    let number = resource.sizes.iter().find_map(|path| values.text(path))?.parse::<u64>().ok()?;
    if !resource.size_is_of_zone {
        return Some(number);
    }
    zones.map(|zones| number * zones.len() as u64)
}

fn zones(
    plan: &Value,
    change: &Value,
    resource: &Resource,
    values: Values<'_>,
) -> Option<BTreeSet<String>> {
    match resource.zones {
        Zones::Names { paths, random } => {
            let names = paths.iter().find_map(|path| values.texts(path))?;
            let is_known = names.iter().all(|name| !random(name));
            is_known.then(|| names.into_iter().collect())
        }
        Zones::Placements { list, name } => {
            let Planned::Is(Value::Array(placements)) = values.get(list) else { return None };
            let zones = placements.iter().map(|it| it.get(name).and_then(scalar));
            zones.collect::<Option<BTreeSet<String>>>().filter(|zones| !zones.is_empty())
        }
        Zones::Subnets { path, subnet, zone } => {
            let subnets = Subnets::new(plan, subnet, zone);
            match values.get(path) {
                Planned::Is(Value::Array(ids)) => subnets.zones_of_ids(ids),
                Planned::Is(_) | Planned::Absent => None,
                Planned::Unknown => subnets.zones_of_references(change, path),
            }
        }
    }
}

#[cfg(test)]
mod tests;
