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
    /// Reads the subnets that will exist, and those that Terraform has read.
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

    /// The zones of subnets to come, where the configuration names each of them and nothing else, itself, through a
    /// variable or through an output of a module: a loop or a list of many may stand for any of them. `number` is
    /// how many there are, where the plan says so.
    pub(super) fn zones_of_references(
        &self,
        change: &Value,
        attribute: &str,
        number: Option<usize>,
    ) -> Option<BTreeSet<String>> {
        let module = change.get("module_address").and_then(Value::as_str).unwrap_or_default();
        let found = references(self.plan, module, change, attribute)?;
        let addresses = self.addresses(module, &found, REFERRALS_MAX)?;
        if number.is_some_and(|number| number != addresses.len()) {
            return None;
        }
        let zone = |address: &String| self.by_address.get(address.as_str()).cloned();
        let zones: Option<BTreeSet<String>> = addresses.iter().map(zone).collect();
        zones.filter(|zones| !zones.is_empty())
    }

    /// The subnets that references in a module lead to; `None` if one leads elsewhere.
    fn addresses(
        &self,
        module: &str,
        references: &[&str],
        referrals: usize,
    ) -> Option<BTreeSet<String>> {
        // `aws_subnet.a[0].id` is listed as `aws_subnet.a`, too.
        let is_part = |whole: &str| {
            let rest = references.iter().filter_map(|it| it.strip_prefix(whole));
            rest.filter(|rest| !rest.is_empty()).any(|rest| rest.starts_with(['[', '.']))
        };
        let mut addresses = BTreeSet::new();
        for reference in references.iter().filter(|reference| !is_part(reference)) {
            if let Some(address) = address_of(self.kind, reference) {
                addresses.insert(in_module(module, address));
            } else {
                let (module, further) = self.referral(module, reference)?;
                addresses.extend(self.addresses(&module, &further, referrals.checked_sub(1)?)?);
            }
        }
        Some(addresses)
    }

    /// Resolves a variable of a module in the module that calls it, or an output in the called one.
    fn referral(&self, module: &str, reference: &str) -> Option<(String, Vec<&'p str>)> {
        let names = module_names(module);
        let mut steps = reference.split('.');
        match (steps.next()?, steps.next()?, steps.next()) {
            ("var", variable, None) => {
                let (own, callers) = names.split_last()?;
                let call = configuration(self.plan, callers)?.pointer("/module_calls")?.get(own)?;
                let expression = call.get("expressions")?.get(variable)?;
                let caller = module.rsplit_once("module.")?.0.trim_end_matches('.');
                Some((caller.to_owned(), texts(expression)))
            }
            ("module", called, Some(output)) if !called.contains('[') => {
                let whole: Vec<&str> = names.iter().copied().chain([called]).collect();
                let output = configuration(self.plan, &whole)?.pointer("/outputs")?.get(output)?;
                Some((
                    in_module(module, &format!("module.{called}")),
                    texts(output.get("expression")?),
                ))
            }
            _ => None,
        }
    }
}

/// The largest number of references that lead from one to the next.
const REFERRALS_MAX: usize = 8;

fn in_module(module: &str, address: &str) -> String {
    if module.is_empty() { address.to_owned() } else { format!("{module}.{address}") }
}

/// The configuration of a module.
fn configuration<'p>(plan: &'p Value, names: &[&str]) -> Option<&'p Value> {
    let root = plan.pointer("/configuration/root_module")?;
    names.iter().try_fold(root, |module, name| module.get("module_calls")?.get(name)?.get("module"))
}

/// Returns the references of an expression.
fn texts(expression: &Value) -> Vec<&str> {
    list(expression, "references").filter_map(Value::as_str).collect()
}

/// Returns the address in a reference: `aws_subnet.a` of `aws_subnet.a.id`; `None` if it refers to another kind.
pub(super) fn address_of<'r>(kind: &str, reference: &'r str) -> Option<&'r str> {
    let managed = reference.strip_prefix("data.").unwrap_or(reference);
    let name = managed.strip_prefix(kind)?.strip_prefix('.')?;
    // A key in brackets may have dots.
    let end = match name.split_once(']') {
        Some((before, _)) => before.len() + 1,
        None => name.find('.').unwrap_or(name.len()),
    };
    reference.get(..reference.len() - name.len() + end)
}

/// Returns the references of an attribute in the configuration of a resource, or of one in a block:
/// `launch_template.0.id`.
pub(super) fn references<'p>(
    plan: &'p Value,
    module_address: &str,
    change: &Value,
    attribute: &str,
) -> Option<Vec<&'p str>> {
    let module = configuration(plan, &module_names(module_address))?;
    let is_it = |resource: &&Value| {
        ["mode", "type", "name"].into_iter().all(|key| resource.get(key) == change.get(key))
    };
    let resource = list(module, "resources").find(is_it)?;
    let expressions = resource.get("expressions")?;
    let expression = attribute.split('.').try_fold(expressions, |value, step| {
        step.parse::<usize>().map_or_else(|_| value.get(step), |index| value.get(index))
    })?;
    Some(texts(expression))
}

/// Returns the names of the modules in an address: `a` and `b` of `module.a["x.y"].module.b`.
fn module_names(address: &str) -> Vec<&str> {
    let mut in_key = false;
    let steps = address.split(|character: char| {
        in_key ^= character == '"';
        character == '.' && !in_key
    });
    let names = steps.skip(1).step_by(2);
    names.map(|step| step.split_once('[').map_or(step, |(name, _)| name)).collect()
}

pub(super) fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn subnets_are_found_through_variables_and_outputs() {
        let subnet = |address: &str, zone: &str| json!({"address": address, "type": "aws_subnet", "values": {"availability_zone": zone}});
        let refers = |references: &[&str]| {
            json!({"expressions": {"subnet_ids": {"references": references}},
            "mode": "managed", "type": "aws_eks_node_group", "name": "pool"})
        };
        let plan = json!({
            "planned_values": {"root_module": {"resources": [subnet("aws_subnet.a", "z1")], "child_modules": [
                {"resources": [subnet("module.network.aws_subnet.b", "z2")]}]}},
            "configuration": {"root_module": {
                "resources": [refers(&["module.network.kafka", "module.network", "aws_subnet.a.id", "aws_subnet.a"])],
                "module_calls": {
                    "network": {"module": {"outputs": {"kafka": {"expression": {"references": ["aws_subnet.b.id", "aws_subnet.b"]}}}}},
                    "pools": {"expressions": {"subnets": {"references": ["aws_subnet.a.id", "aws_subnet.a"]}},
                        "module": {"resources": [refers(&["var.subnets"])]}},
                },
            }},
        });
        let subnets = Subnets::new(&plan, "aws_subnet", "availability_zone");
        let zones = |module: &str| {
            let mut change =
                json!({"mode": "managed", "type": "aws_eks_node_group", "name": "pool"});
            if !module.is_empty() {
                change["module_address"] = json!(module);
            }
            let zones = subnets.zones_of_references(&change, "subnet_ids", None);
            zones.map(|zones| zones.into_iter().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(zones("").as_deref(), Some("z1 z2"));
        assert_eq!(zones("module.pools").as_deref(), Some("z1"));
    }
}
