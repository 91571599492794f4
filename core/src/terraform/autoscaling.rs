//! Autoscaling groups of AWS whose machines become nodes: their launch template says so, or their tags, by which
//! the cluster autoscaler knows labels and taints of nodes to come.

use serde_json::Value;

use super::{
    Attributes, Change, PlannedLabels, PlannedPool,
    launch_template::{LaunchTemplate, LaunchTemplates, UserData},
    subnets::Subnets,
    values::{Planned, Values},
};
use crate::{kubernetes::taint::Taint, policy::provider::Provider};

pub(super) const KIND: &str = "aws_autoscaling_group";

const LABEL_TAG: &str = "k8s.io/cluster-autoscaler/node-template/label/";
const TAINT_TAG: &str = "k8s.io/cluster-autoscaler/node-template/taint/";

/// The blocks in which a group names its launch template.
const TEMPLATES: [&str; 2] = [
    "launch_template.0",
    "mixed_instances_policy.0.launch_template.0.launch_template_specification.0",
];
const OVERRIDES: &str = "mixed_instances_policy.0.launch_template.0.override";

const ATTRIBUTES: Attributes = Attributes {
    machine_types: "instance_type",
    has_type_list: false,
    zones: "vpc_zone_identifier",
    size: "desired_capacity",
    size_is_of_zone: false,
    taints: "user_data",
    taint: None,
};

/// The node pool that a group is; `None` if nothing says that its machines become nodes.
pub(super) fn pool(change: &Change<'_>, plan: &Value) -> Option<PlannedPool> {
    let values = change.values;
    let templates = LaunchTemplates::new(plan);
    let template = TEMPLATES.iter().find_map(|path| templates.of(change.text, values, path));
    let LaunchTemplate { machine_type, user_data } = template.unwrap_or_default();
    let tagged = tags(values);
    let is_known = user_data.is_some();
    let UserData { mut taints, mut labels } = user_data.unwrap_or_default();
    let is_of_nodes = !tagged.taints.is_empty() || !tagged.labels.is_empty();
    if taints.is_empty() && labels.is_empty() && !is_of_nodes {
        return None;
    }
    let has_taints = is_known || !tagged.taints.is_empty();
    taints.extend(tagged.taints.into_iter().filter(|it| !taints.contains(it)).collect::<Vec<_>>());
    labels.extend(tagged.labels);
    let overrides = values.items(OVERRIDES);
    let machine_types: Option<Vec<String>> = if overrides.is_empty() {
        machine_type.map(|it| vec![it])
    } else {
        overrides.iter().map(|it| it.text("instance_type")).collect()
    };
    let name = values.text("name");
    let size = ["desired_capacity", "min_size"].iter().find_map(|path| values.text(path));
    Some(PlannedPool {
        name: name.unwrap_or_else(|| change.address.to_owned()),
        address: change.address.to_owned(),
        provider: Provider::Aws,
        cluster: None,
        action: change.action,
        labels: PlannedLabels::of_pairs(labels, machine_types.as_deref()),
        taints: has_taints.then_some(taints),
        machine_types,
        zones: zones(change, plan),
        size: size.and_then(|size| size.parse().ok()),
        is_spot: values
            .has_some("mixed_instances_policy.0.instances_distribution.0.spot_max_price"),
        attributes: ATTRIBUTES,
    })
}

fn tags(values: Values<'_>) -> UserData {
    let mut tagged = UserData::default();
    for tag in values.items("tag") {
        let (Some(key), Some(value)) = (tag.text("key"), tag.text("value")) else { continue };
        if let Some(label) = key.strip_prefix(LABEL_TAG) {
            tagged.labels.push((label.to_owned(), value));
        } else if let Some(taint) = key.strip_prefix(TAINT_TAG) {
            // The value is `value:Effect`.
            tagged.taints.extend(Taint::parse(&format!("{taint}={value}")));
        }
    }
    tagged
}

fn zones(change: &Change<'_>, plan: &Value) -> Option<std::collections::BTreeSet<String>> {
    if let Some(names) = change.values.texts("availability_zones") {
        return Some(names.into_iter().collect());
    }
    let subnets = Subnets::new(plan, "aws_subnet", "availability_zone");
    match change.values.get(ATTRIBUTES.zones) {
        Planned::Is(Value::Array(ids)) => subnets.zones_of_ids(ids),
        Planned::Is(_) | Planned::Absent => None,
        Planned::Unknown => subnets.zones_of_references(change.text, ATTRIBUTES.zones, None),
    }
}
