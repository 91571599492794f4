//! Terraform plans, as `terraform show -json` prints them: the node pools that a plan makes, as far as it
//! knows them before it is applied.
//!
//! A plan knows what the configuration says, and not what the cloud will answer: every value may be
//! unknown, and what is unknown stays so. Which attributes make a node pool is in `resource.rs`, how zones
//! are found in `subnets.rs`.

mod autoscaling;
mod instance;
mod labels;
mod launch_template;
mod manifest;
mod resource;
mod role;
mod subnets;
mod values;

use std::collections::BTreeSet;

use serde_json::Value;

pub use self::{
    instance::PlannedInstance,
    labels::PlannedLabels,
    manifest::PlannedManifest,
    role::{PlannedRoleChange, RoleOutcome},
};
use self::{
    launch_template::{LaunchTemplate, LaunchTemplates},
    manifest::manifests,
    resource::{FlagTaint, RESOURCES, Resource, Zones, is_lookalike},
    subnets::Subnets,
    values::{Planned, Values},
};
use crate::{
    kubernetes::taint::{NO_SCHEDULE, Taint},
    policy::provider::Provider,
};

/// A plan, as far as it is about node pools.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The node pools, in the order of the plan, which is that of their addresses.
    pub pools: Vec<PlannedPool>,
    /// AutoMQ's own resources.
    pub instances: Vec<PlannedInstance>,
    /// Kubernetes objects.
    pub manifests: Vec<PlannedManifest>,
    /// Changes that take something from a cloud role, or change who has it.
    pub role_changes: Vec<PlannedRoleChange>,
    /// Resources that may make nodes as well, and that PoolGuard does not read.
    pub lookalikes: Vec<Lookalike>,
}

/// A node pool of a plan. What is `None` is known once the plan is applied.
#[derive(Clone, Debug)]
pub struct PlannedPool {
    /// The address in Terraform: `aws_eks_node_group.pool["automq-a"]`.
    pub address: String,
    /// The provider's name of the pool; the address if the name is not known.
    pub name: String,
    /// The provider of the pool.
    pub provider: Provider,
    /// The cluster of the pool.
    pub cluster: Option<String>,
    /// The effect of the plan on the pool.
    pub action: Action,
    /// Labels of the pool's nodes.
    pub labels: PlannedLabels,
    /// Taints of the pool's nodes.
    pub taints: Option<Vec<Taint<'static>>>,
    /// Machine types that the pool's nodes may have.
    pub machine_types: Option<Vec<String>>,
    /// Zones that the pool's nodes may be in.
    pub zones: Option<BTreeSet<String>>,
    /// The number of nodes that the pool starts with.
    pub size: Option<u64>,
    /// Whether the cloud may take its nodes back at any time.
    pub is_spot: bool,
    /// The names of the pool's attributes.
    pub attributes: Attributes,
}

/// The names of a node pool's attributes in a configuration, to say what to change. They are paths in keys and
/// indices, since Terraform has blocks as lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The attribute of the machine types, such as `instance_types`.
    pub machine_types: &'static str,
    /// Whether the attribute can have several types.
    pub has_type_list: bool,
    /// The attribute of the zones, such as `subnet_ids`.
    pub zones: &'static str,
    /// The attribute of the size, such as `scaling_config.0.desired_size`.
    pub size: &'static str,
    /// Whether the size is the number of nodes in each zone.
    pub size_is_of_zone: bool,
    /// The attribute of the taints, such as `taint`.
    pub taints: &'static str,
    /// The syntax of a taint; `None` if the provider takes none.
    pub taint: Option<TaintSyntax>,
}

/// The syntax of a taint in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaintSyntax {
    /// A block with the effect in upper case: `taint { … effect = "NO_SCHEDULE" }`
    ScreamingSnakeBlock,
    /// A block with the effect as in Kubernetes: `taints { … effect = "NoSchedule" }`
    Block,
    /// A list of texts: `node_taints = ["key=value:NoSchedule"]`
    Texts,
}

/// The action of a plan on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The plan creates the resource, changes it in place, or leaves it as it is.
    Keep,
    /// The plan deletes the resource, and then makes a new one.
    Replace,
    /// The plan makes a new resource, and then deletes the old one.
    Renew,
    /// The plan deletes the resource.
    Delete,
}

/// The reason why PoolGuard cannot read a text as a plan with node pools.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The text is not one JSON document. Examples are the file that `terraform plan -out` writes, and the lines of
    /// `terraform plan -json`.
    #[error("it is not one JSON document")]
    Json(#[from] serde_json::Error),
    /// The text is JSON of another kind.
    #[error("it has no `format_version`")]
    NotPlan,
    /// The text is a Terraform state: `terraform show -json` prints it if it gets no plan.
    #[error("it is a Terraform state, not a plan")]
    State,
    /// The version of the format is one that PoolGuard does not read, such as a later one.
    #[error("its `format_version` is {0:?}, but PoolGuard reads only 1.x")]
    Version(String),
    /// Terraform says that planning failed.
    #[error("it is incomplete: Terraform says that planning failed (`errored`)")]
    Errored,
    /// The plan has no resource that a check reads.
    #[error(
        "the plan contains no resource that PoolGuard knows as a node pool ({})",
        known_resources()
    )]
    NoPool,
}

fn known_resources() -> String {
    let mut names = RESOURCES.map(|resource| resource.name).to_vec();
    names.dedup();
    names.join(", ")
}

impl Plan {
    /// Reads what `terraform show -json PLAN` prints.
    pub fn read(text: &str) -> Result<Self, PlanError> {
        let plan: Value = serde_json::from_str(text)?;
        let Some(version) = plan.get("format_version").and_then(Value::as_str) else {
            return Err(PlanError::NotPlan);
        };
        if plan.get("values").is_some() {
            return Err(PlanError::State);
        }
        if !version.starts_with("1.") {
            return Err(PlanError::Version(version.to_owned()));
        }
        if plan.get("errored") == Some(&Value::Bool(true)) {
            return Err(PlanError::Errored);
        }
        let changes = plan.get("resource_changes").and_then(Value::as_array).into_iter().flatten();
        let changes: Vec<Change<'_>> = changes.filter_map(Change::read).collect();
        let pools: Vec<PlannedPool> = changes.iter().flat_map(|it| it.pools(&plan)).collect();
        let instances: Vec<PlannedInstance> =
            changes.iter().filter_map(PlannedInstance::of).collect();
        let manifests: Vec<PlannedManifest> =
            changes.iter().filter_map(manifests).flatten().collect();
        let role_changes: Vec<PlannedRoleChange> =
            changes.iter().filter_map(PlannedRoleChange::of).collect();
        let is_pool = |it: &Lookalike| pools.iter().any(|pool| pool.address == it.address);
        let lookalikes = changes.iter().filter_map(Lookalike::of).filter(|it| !is_pool(it));
        let lookalikes: Vec<Lookalike> = lookalikes.collect();
        let has_nodes = !pools.is_empty() || !manifests.is_empty() || !lookalikes.is_empty();
        if !has_nodes && instances.is_empty() && role_changes.is_empty() {
            return Err(PlanError::NoPool);
        }
        Ok(Self { pools, instances, manifests, role_changes, lookalikes })
    }

    /// Returns the provider of the node pools; `None` if there is none, or more than one.
    pub fn provider(&self) -> Option<Provider> {
        let (first, rest) = self.pools.split_first()?;
        rest.iter().all(|pool| pool.provider == first.provider).then_some(first.provider)
    }
}

/// A change of a resource that Terraform manages.
struct Change<'p> {
    text: &'p Value,
    /// The kind of the resource, such as `aws_eks_node_group`.
    kind: &'p str,
    address: &'p str,
    action: Action,
    values: Values<'p>,
}

impl<'p> Change<'p> {
    /// Reads a change; `None` for a data source, and for what is left of an earlier replacement.
    fn read(change: &'p Value) -> Option<Self> {
        let text = |key: &str| change.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("mode") != "managed" || change.get("deposed").is_some() {
            return None;
        }
        let action = Action::of(change)?;
        let part = |key: &str| {
            change.pointer("/change").and_then(|it| it.get(key)).unwrap_or(&Value::Null)
        };
        let values = match action {
            Action::Delete => Values { known: part("before"), unknown: &Value::Null },
            Action::Keep | Action::Replace | Action::Renew => {
                Values { known: part("after"), unknown: part("after_unknown") }
            }
        };
        Some(Self { text: change, kind: text("type"), address: text("address"), action, values })
    }

    /// The node pools that the resource is or has.
    fn pools(&self, plan: &Value) -> Vec<PlannedPool> {
        if self.kind == autoscaling::KIND {
            return Vec::from_iter(autoscaling::pool(self, plan));
        }
        let is_meant = |resource: &Resource| {
            resource.name == self.kind && resource.conditions.iter().all(|it| it.holds(self.values))
        };
        let mut pools = Vec::new();
        for resource in RESOURCES.into_iter().filter(is_meant) {
            let Some(block) = resource.block else {
                pools.push(self.pool(plan, &resource, self.values, self.address.to_owned()));
                continue;
            };
            let blocks = self.values.items(block);
            let is_one = blocks.len() == 1;
            for (index, values) in blocks.into_iter().enumerate() {
                let place = if is_one { String::new() } else { format!("[{index}]") };
                let address = format!("{}.{block}{place}", self.address);
                pools.push(self.pool(plan, &resource, values, address));
            }
        }
        pools
    }

    fn pool(
        &self,
        plan: &Value,
        resource: &Resource,
        values: Values<'_>,
        address: String,
    ) -> PlannedPool {
        let name = resource.names.iter().find_map(|path| values.text(path));
        let is_plain = !resource.others.iter().any(|path| values.has_some(path));
        let zones = zones(plan, self.text, resource, values).filter(|_| is_plain);
        let machine_types = machine_types(resource, values).filter(|_| is_plain);
        let template = resource
            .template
            .and_then(|block| LaunchTemplates::new(plan).of(self.text, values, block));
        let LaunchTemplate { machine_type, user_data } = template.unwrap_or_default();
        let machine_types = machine_types.or_else(|| machine_type.map(|it| vec![it]));
        let (size_path, size) = size(resource, values, zones.as_ref());
        let is_spot = |(path, is): &(&str, &str)| values.text(path).as_deref() == Some(*is);
        let cluster = match resource.block {
            Some(_) => Some(self.address.to_owned()),
            None => values.text(resource.cluster),
        };
        PlannedPool {
            name: name.clone().unwrap_or_else(|| address.clone()),
            address,
            provider: resource.provider,
            cluster,
            action: self.action,
            labels: PlannedLabels::of(resource, values, name.as_deref(), machine_types.as_deref()),
            taints: taints(resource, values).map(|taints| {
                taints.into_iter().chain(user_data.into_iter().flat_map(|it| it.taints)).collect()
            }),
            machine_types,
            zones,
            size,
            is_spot: resource.spot.iter().any(is_spot),
            attributes: resource.attributes(size_path),
        }
    }
}

/// A resource that makes machines which may be nodes, and that PoolGuard does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookalike {
    /// The address in Terraform.
    pub address: String,
    /// The kind of the resource, such as `aws_autoscaling_group`.
    pub kind: String,
}

impl Lookalike {
    fn of(change: &Change<'_>) -> Option<Self> {
        let is_one = change.action != Action::Delete
            && is_lookalike(change.kind)
            && manifests(change).is_none();
        is_one.then(|| Self { address: change.address.to_owned(), kind: change.kind.to_owned() })
    }
}

impl Action {
    /// Reads the action of a change; `None` for a resource that Terraform only reads or forgets.
    fn of(change: &Value) -> Option<Self> {
        let actions = change.pointer("/change/actions")?.as_array()?;
        let actions: Vec<&str> = actions.iter().filter_map(Value::as_str).collect();
        match actions.as_slice() {
            ["no-op" | "create" | "update"] => Some(Self::Keep),
            ["delete"] => Some(Self::Delete),
            ["delete", "create"] => Some(Self::Replace),
            ["create", "delete"] => Some(Self::Renew),
            _ => None,
        }
    }
}

/// Returns all types that nodes of the pool may have; `None` if one is not known.
fn machine_types(resource: &Resource, values: Values<'_>) -> Option<Vec<String>> {
    let mut types = values.texts(resource.machine_type)?;
    for path in resource.further_types {
        if values.has_some(path) {
            types.extend(values.texts(path)?);
        }
    }
    Some(types)
}

fn taints(resource: &Resource, values: Values<'_>) -> Option<Vec<Taint<'static>>> {
    if let Some(FlagTaint { path, key, value }) = resource.flag_taint {
        let taint = || Taint { key: key.into(), value: value.into(), effect: NO_SCHEDULE.into() };
        return match values.get(path) {
            Planned::Is(Value::Bool(true)) => Some(vec![taint()]),
            Planned::Is(_) | Planned::Absent => Some(Vec::new()),
            Planned::Unknown => None,
        };
    }
    // Without a way to write them, something else makes them.
    resource.taint?;
    match values.get(resource.taints) {
        Planned::Is(value) => value.as_array()?.iter().map(taint).collect(),
        Planned::Absent => Some(Vec::new()),
        Planned::Unknown => None,
    }
}

/// Reads a taint: `{"key": …, "value": …, "effect": …}`, or `key=value:effect`.
fn taint(value: &Value) -> Option<Taint<'static>> {
    if let Some(text) = value.as_str() {
        return Taint::parse(text);
    }
    let part = |key: &str| value.get(key).and_then(Value::as_str);
    Some(Taint::of_cloud(part("key")?, part("value").unwrap_or_default(), part("effect")?))
}

/// Returns the attribute that sets the size, and the number of nodes that it stands for.
fn size(
    resource: &Resource,
    values: Values<'_>,
    zones: Option<&BTreeSet<String>>,
) -> (Option<&'static str>, Option<u64>) {
    let found = resource.sizes.iter().find_map(|path| Some((*path, values.text(path)?)));
    let Some((path, text)) = found else { return (None, None) };
    let factor = if resource.size_is_of_zone { zones.map(|it| it.len() as u64) } else { Some(1) };
    let number = text.parse::<u64>().ok().zip(factor);
    (Some(path), number.map(|(number, factor)| number.saturating_mul(factor)))
}

fn zones(
    plan: &Value,
    change: &Value,
    resource: &Resource,
    values: Values<'_>,
) -> Option<BTreeSet<String>> {
    match resource.zones {
        Zones::Names { path, no_zone } => {
            let names = values.texts(path)?;
            let is_known = !names.iter().any(|name| name == no_zone);
            is_known.then(|| names.into_iter().collect())
        }
        Zones::Placements { list, name } => {
            let (Some(Value::Array(placements)), _) = values.parts(list) else { return None };
            let zone = |index| values.text(&format!("{list}.{index}.{name}"));
            // A domain has its tenancy before it, which nodes do not say.
            let short = |zone: String| zone.rsplit(':').next().map(str::to_owned);
            let zones = (0..placements.len()).map(|index| zone(index).and_then(short));
            zones.collect::<Option<BTreeSet<String>>>().filter(|zones| !zones.is_empty())
        }
        Zones::Subnets { path, subnet, zone } => {
            let subnets = Subnets::new(plan, subnet, zone);
            let (known, unknown) = values.parts(path);
            let mut known = known.and_then(Value::as_array).into_iter().flatten();
            let has_known = known.any(|id| !id.is_null());
            match values.get(path) {
                Planned::Is(Value::Array(ids)) => subnets.zones_of_ids(ids),
                Planned::Is(_) | Planned::Absent => None,
                // The configuration does not say which of its subnets are there already.
                Planned::Unknown if has_known => None,
                Planned::Unknown => {
                    let number = unknown.and_then(Value::as_array).map(Vec::len);
                    subnets.zones_of_references(change, path, number)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
