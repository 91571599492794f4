//! Subnets of a plan, and their zones.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::values::scalar;

/// The subnets that a plan knows, of one kind of resource.
pub(super) struct Subnets<'p> {
    plan: &'p Value,
    /// The kind of resource: `aws_subnet`.
    kind: &'static str,
    by_address: BTreeMap<&'p str, String>,
    by_id: BTreeMap<&'p str, String>,
}

impl<'p> Subnets<'p> {
    /// Those that will be, and those that Terraform has read.
    pub(super) fn new(plan: &'p Value, kind: &'static str, zone: &str) -> Self {
        let mut subnets = Self { plan, kind, by_address: BTreeMap::new(), by_id: BTreeMap::new() };
        for root in ["/prior_state/values/root_module", "/planned_values/root_module"] {
            let Some(module) = plan.pointer(root) else { continue };
            subnets.add(module, zone);
        }
        subnets
    }

    fn add(&mut self, module: &'p Value, zone: &str) {
        for resource in list(module, "resources") {
            let text = |key: &str| resource.get(key).and_then(Value::as_str);
            if text("type") != Some(self.kind) {
                continue;
            }
            let Some(values) = resource.get("values") else { continue };
            let zone = values.get(zone).and_then(scalar);
            if let (Some(id), Some(zone)) = (values.get("id").and_then(Value::as_str), &zone) {
                self.by_id.insert(id, zone.clone());
            }
            match (text("address"), zone) {
                (Some(address), Some(zone)) => drop(self.by_address.insert(address, zone)),
                // What it was is not what it will be.
                (Some(address), None) => drop(self.by_address.remove(address)),
                (None, _) => {}
            }
        }
        for child in list(module, "child_modules") {
            self.add(child, zone);
        }
    }

    /// The zones of subnets that are there already; `None` if one is not known.
    pub(super) fn zones_of_ids(&self, ids: &[Value]) -> Option<BTreeSet<String>> {
        let zone = |id: &Value| self.by_id.get(id.as_str()?).cloned();
        let zones: Option<BTreeSet<String>> = ids.iter().map(zone).collect();
        zones.filter(|zones| !zones.is_empty())
    }

    /// The zones of subnets to come, where the configuration names each of them and nothing else: a
    /// variable, a loop or a list of many may stand for any of them. `number` is how many there are, where
    /// the plan says so.
    pub(super) fn zones_of_references(
        &self,
        change: &Value,
        attribute: &str,
        number: Option<usize>,
    ) -> Option<BTreeSet<String>> {
        let module = change.get("module_address").and_then(Value::as_str).unwrap_or_default();
        let references = references(self.plan, module, change, attribute)?;
        let addresses: Option<Vec<&str>> =
            references.iter().map(|reference| self.address(reference)).collect();
        let addresses = addresses?;
        let names_one_of = |whole: &str| {
            let is_one = |it: &&str| it.strip_prefix(whole).is_some_and(|it| it.starts_with('['));
            addresses.iter().any(is_one)
        };
        // `aws_subnet.a[0].id` is listed as `aws_subnet.a`, too.
        let addresses: BTreeSet<&str> =
            addresses.iter().copied().filter(|address| !names_one_of(address)).collect();
        if number.is_some_and(|number| number != addresses.len()) {
            return None;
        }
        let zone = |address: &str| {
            let dot = if module.is_empty() { "" } else { "." };
            self.by_address.get([module, dot, address].concat().as_str()).cloned()
        };
        let zones: Option<BTreeSet<String>> = addresses.into_iter().map(zone).collect();
        zones.filter(|zones| !zones.is_empty())
    }

    /// `aws_subnet.a` of `aws_subnet.a.id`; `None` for a reference to something else.
    fn address<'r>(&self, reference: &'r str) -> Option<&'r str> {
        let managed = reference.strip_prefix("data.").unwrap_or(reference);
        let name = managed.strip_prefix(self.kind)?.strip_prefix('.')?;
        // A key in brackets may have dots.
        let end = match name.split_once(']') {
            Some((before, _)) => before.len() + 1,
            None => name.find('.').unwrap_or(name.len()),
        };
        reference.get(..reference.len() - name.len() + end)
    }
}

/// What the configuration refers to in an attribute of a resource.
fn references<'p>(
    plan: &'p Value,
    module_address: &str,
    change: &Value,
    attribute: &str,
) -> Option<Vec<&'p str>> {
    let mut module = plan.pointer("/configuration/root_module")?;
    for name in module_names(module_address) {
        module = module.get("module_calls")?.get(name)?.get("module")?;
    }
    let is_it = |resource: &&Value| {
        ["mode", "type", "name"].into_iter().all(|key| resource.get(key) == change.get(key))
    };
    let resource = list(module, "resources").find(is_it)?;
    let expression = resource.get("expressions")?.get(attribute)?;
    Some(list(expression, "references").filter_map(Value::as_str).collect())
}

/// `a` and `b` of `module.a["x.y"].module.b`.
fn module_names(address: &str) -> Vec<&str> {
    let mut in_key = false;
    let steps = address.split(|character: char| {
        in_key ^= character == '"';
        character == '.' && !in_key
    });
    let names = steps.skip(1).step_by(2);
    names.map(|step| step.split_once('[').map_or(step, |(name, _)| name)).collect()
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}
