//! The resources of Terraform that are node pools, and which of their attributes matter.

use super::{Attributes, TaintSyntax, values::Values};
use crate::policy::provider::{Provider, node_pool_label};

/// A kind of resource that is a node pool. Paths are in keys and indices, since Terraform has blocks as
/// lists.
#[derive(Clone, Copy)]
pub(super) struct Resource {
    pub(super) name: &'static str,
    pub(super) provider: Provider,
    pub(super) cluster: &'static str,
    /// Attributes for the provider's name of the pool. The first that is set counts.
    pub(super) names: &'static [&'static str],
    /// Labels by which the provider puts that name on nodes.
    pub(super) name_labels: &'static [&'static str],
    /// Labels by which the provider puts on nodes an identifier that it chooses when it creates the pool.
    pub(super) id_labels: &'static [&'static str],
    /// The attribute of the labels: a map, or a list of keys and values.
    pub(super) labels: &'static str,
    pub(super) taints: &'static str,
    /// The syntax of taints; `None` if the provider's API takes no taints for a pool.
    pub(super) taint: Option<TaintSyntax>,
    /// The attribute of the machine type: a text, or a list.
    pub(super) machine_type: &'static str,
    pub(super) has_type_list: bool,
    /// Attributes with lists of further machine types.
    pub(super) further_types: &'static [&'static str],
    /// The block that names a launch template.
    pub(super) template: Option<&'static str>,
    /// Attributes by which the pool has nodes of other types, or in other zones.
    pub(super) others: &'static [&'static str],
    pub(super) zones: Zones,
    /// Attributes of the size. The first that is set counts.
    pub(super) sizes: &'static [&'static str],
    /// Whether the size is the number of nodes in each zone.
    pub(super) size_is_of_zone: bool,
    /// Attributes that make the nodes preemptible, each with the value that does so.
    pub(super) spot: &'static [(&'static str, &'static str)],
    /// The list of blocks that are the pools; `None` where the resource itself is the pool.
    pub(super) block: Option<&'static str>,
    /// Conditions that the resource must meet to have such pools.
    pub(super) conditions: &'static [Condition],
    /// A taint that the provider sets where a flag of the pool is set, and no other.
    pub(super) flag_taint: Option<FlagTaint>,
}

/// A condition on a resource.
#[derive(Clone, Copy)]
pub(super) enum Condition {
    /// The text at the first path begins with the second text.
    Begins(&'static str, &'static str),
    /// The attribute at this path is set.
    Has(&'static str),
    /// The attribute at this path is not set.
    HasNot(&'static str),
    /// The flag at this path is not set.
    IsNot(&'static str),
}

impl Condition {
    pub(super) fn holds(self, values: Values<'_>) -> bool {
        match self {
            Self::Begins(path, start) => values.text(path).is_some_and(|it| it.starts_with(start)),
            Self::Has(path) => values.has_some(path),
            Self::HasNot(path) => !values.has_some(path),
            Self::IsNot(path) => values.text(path).as_deref() != Some("true"),
        }
    }
}

/// A taint that a flag stands for.
#[derive(Clone, Copy)]
pub(super) struct FlagTaint {
    pub(super) path: &'static str,
    pub(super) key: &'static str,
    pub(super) value: &'static str,
}

/// The values that most resources have in common.
const PLAIN: Resource = Resource {
    name: "",
    provider: Provider::Other,
    cluster: "",
    names: &["name"],
    name_labels: &[],
    id_labels: &[],
    labels: "labels",
    taints: "taints",
    taint: Some(TaintSyntax::Block),
    machine_type: "",
    has_type_list: false,
    further_types: &[],
    template: None,
    others: &[],
    zones: Zones::Names { path: "zones", no_zone: "" },
    sizes: &[],
    size_is_of_zone: false,
    spot: &[],
    block: None,
    conditions: &[],
    flag_taint: None,
};

/// The attributes that show the zones of a node pool.
#[derive(Clone, Copy)]
pub(super) enum Zones {
    /// A name, or a list of names. The name `no_zone` stands for no zone.
    Names { path: &'static str, no_zone: &'static str },
    /// A list whose entries each have a zone.
    Placements { list: &'static str, name: &'static str },
    /// Subnets of this resource, of which each has its zone in this attribute.
    Subnets { path: &'static str, subnet: &'static str, zone: &'static str },
}

impl Resource {
    /// Returns the attributes of a pool. `size` is the attribute that sets the size, if one is set.
    pub(super) fn attributes(&self, size: Option<&'static str>) -> Attributes {
        Attributes {
            machine_types: self.machine_type,
            has_type_list: self.has_type_list,
            zones: match self.zones {
                Zones::Names { path, .. } | Zones::Subnets { path, .. } => path,
                Zones::Placements { list, .. } => list,
            },
            size: size.or_else(|| self.sizes.first().copied()).unwrap_or_default(),
            size_is_of_zone: self.size_is_of_zone,
            taints: self.taints,
            taint: self.taint,
        }
    }
}

/// Worker nodes as attributes of the cluster: the provider took them until 1.212.
const ACK_WORKERS: Resource = Resource {
    provider: Provider::Alibaba,
    machine_type: "worker_instance_types",
    has_type_list: true,
    zones: Zones::Subnets {
        path: "worker_vswitch_ids",
        subnet: "alicloud_vswitch",
        zone: "zone_id",
    },
    sizes: &["worker_number"],
    conditions: &[Condition::Has("worker_number")],
    ..PLAIN
};

pub(super) const RESOURCES: [Resource; 16] = [
    Resource {
        name: "aws_eks_node_group",
        provider: Provider::Aws,
        cluster: "cluster_name",
        names: &["node_group_name"],
        name_labels: &[node_pool_label::EKS_NODE_GROUP],
        id_labels: &[],
        labels: "labels",
        taints: "taint",
        taint: Some(TaintSyntax::ScreamingSnakeBlock),
        machine_type: "instance_types",
        has_type_list: true,
        further_types: &[],
        template: Some("launch_template.0"),
        others: &[],
        zones: Zones::Subnets {
            path: "subnet_ids",
            subnet: "aws_subnet",
            zone: "availability_zone",
        },
        sizes: &["scaling_config.0.desired_size"],
        size_is_of_zone: false,
        spot: &[("capacity_type", "SPOT")],
        ..PLAIN
    },
    Resource {
        name: "google_container_node_pool",
        provider: Provider::Gcp,
        cluster: "cluster",
        names: &["name"],
        name_labels: &[node_pool_label::GKE_NODE_POOL],
        id_labels: &[],
        labels: "node_config.0.labels",
        taints: "node_config.0.taint",
        taint: Some(TaintSyntax::ScreamingSnakeBlock),
        machine_type: "node_config.0.machine_type",
        has_type_list: false,
        further_types: &[],
        others: &[],
        // A `location` is where the control plane is: nodes may be elsewhere.
        zones: Zones::Names { path: "node_locations", no_zone: "" },
        sizes: &["node_count", "initial_node_count"],
        size_is_of_zone: true,
        spot: &[("node_config.0.spot", "true"), ("node_config.0.preemptible", "true")],
        ..PLAIN
    },
    Resource {
        name: "azurerm_kubernetes_cluster_node_pool",
        provider: Provider::Azure,
        cluster: "kubernetes_cluster_id",
        names: &["name"],
        name_labels: &node_pool_label::AKS_AGENT_POOL,
        id_labels: &[],
        labels: "node_labels",
        taints: "node_taints",
        taint: Some(TaintSyntax::Texts),
        machine_type: "vm_size",
        has_type_list: false,
        further_types: &[],
        others: &[],
        zones: Zones::Names { path: "zones", no_zone: "" },
        sizes: &["node_count", "min_count"],
        size_is_of_zone: false,
        spot: &[("priority", "Spot")],
        ..PLAIN
    },
    Resource {
        name: "alicloud_cs_kubernetes_node_pool",
        provider: Provider::Alibaba,
        cluster: "cluster_id",
        names: &["node_pool_name", "name"],
        name_labels: &[],
        id_labels: &[node_pool_label::ACK_NODE_POOL_ID],
        labels: "labels",
        taints: "taints",
        taint: Some(TaintSyntax::Block),
        machine_type: "instance_types",
        has_type_list: true,
        further_types: &[],
        others: &["instance_patterns"],
        zones: Zones::Subnets { path: "vswitch_ids", subnet: "alicloud_vswitch", zone: "zone_id" },
        sizes: &["desired_size"],
        size_is_of_zone: false,
        spot: &[("spot_strategy", "SpotWithPriceLimit"), ("spot_strategy", "SpotAsPriceGo")],
        ..PLAIN
    },
    Resource {
        name: "huaweicloud_cce_node_pool",
        provider: Provider::Huawei,
        cluster: "cluster_id",
        names: &["name"],
        name_labels: &[],
        id_labels: &[node_pool_label::CCE_NODE_POOL],
        labels: "labels",
        taints: "taints",
        taint: Some(TaintSyntax::Block),
        machine_type: "flavor_id",
        has_type_list: false,
        further_types: &[],
        others: &["extension_scale_groups"],
        zones: Zones::Names { path: "availability_zone", no_zone: "random" },
        sizes: &["initial_node_count"],
        size_is_of_zone: false,
        spot: &[],
        ..PLAIN
    },
    Resource {
        name: "tencentcloud_kubernetes_node_pool",
        provider: Provider::Tencent,
        cluster: "cluster_id",
        names: &["name"],
        name_labels: &[],
        id_labels: &[node_pool_label::TKE_NODE_POOL_ID],
        labels: "labels",
        taints: "taints",
        taint: Some(TaintSyntax::Block),
        machine_type: "auto_scaling_config.0.instance_type",
        has_type_list: false,
        further_types: &["auto_scaling_config.0.backup_instance_types"],
        others: &[],
        zones: Zones::Subnets {
            path: "subnet_ids",
            subnet: "tencentcloud_subnet",
            zone: "availability_zone",
        },
        sizes: &["desired_capacity"],
        size_is_of_zone: false,
        spot: &[("auto_scaling_config.0.instance_charge_type", "SPOTPAID")],
        ..PLAIN
    },
    Resource {
        name: "oci_containerengine_node_pool",
        provider: Provider::Oracle,
        cluster: "cluster_id",
        names: &["name"],
        name_labels: &[],
        id_labels: &[node_pool_label::OKE_POOL_NAME],
        labels: "initial_node_labels",
        taints: "",
        // Nodes taint themselves, by a script that they start with.
        taint: None,
        machine_type: "node_shape",
        has_type_list: false,
        further_types: &[],
        others: &[],
        zones: Zones::Placements {
            list: "node_config_details.0.placement_configs",
            name: "availability_domain",
        },
        sizes: &["node_config_details.0.size"],
        size_is_of_zone: false,
        spot: &[(
            "node_config_details.0.placement_configs.0.preemptible_node_config.0.preemption_action.0.type",
            "TERMINATE",
        )],
        ..PLAIN
    },
    Resource {
        name: "azurerm_kubernetes_cluster",
        provider: Provider::Azure,
        name_labels: &node_pool_label::AKS_AGENT_POOL,
        labels: "node_labels",
        taints: "only_critical_addons_enabled",
        taint: None,
        machine_type: "vm_size",
        sizes: &["node_count", "min_count"],
        block: Some("default_node_pool"),
        flag_taint: Some(FlagTaint {
            path: "only_critical_addons_enabled",
            key: "CriticalAddonsOnly",
            value: "true",
        }),
        ..PLAIN
    },
    Resource {
        name: "google_container_cluster",
        provider: Provider::Gcp,
        name_labels: &[node_pool_label::GKE_NODE_POOL],
        labels: "node_config.0.labels",
        taints: "node_config.0.taint",
        taint: Some(TaintSyntax::ScreamingSnakeBlock),
        machine_type: "node_config.0.machine_type",
        zones: Zones::Names { path: "node_locations", no_zone: "" },
        sizes: &["node_count", "initial_node_count"],
        size_is_of_zone: true,
        spot: &[("node_config.0.spot", "true"), ("node_config.0.preemptible", "true")],
        block: Some("node_pool"),
        ..PLAIN
    },
    // The pool that a cluster starts with, unless it is removed.
    Resource {
        name: "google_container_cluster",
        provider: Provider::Gcp,
        names: &[],
        labels: "node_config.0.labels",
        taints: "node_config.0.taint",
        taint: Some(TaintSyntax::ScreamingSnakeBlock),
        machine_type: "node_config.0.machine_type",
        zones: Zones::Names { path: "node_locations", no_zone: "" },
        sizes: &["initial_node_count"],
        size_is_of_zone: true,
        conditions: &[
            Condition::HasNot("node_pool"),
            Condition::IsNot("remove_default_node_pool"),
            Condition::IsNot("enable_autopilot"),
        ],
        ..PLAIN
    },
    Resource {
        name: "azapi_resource",
        provider: Provider::Azure,
        cluster: "parent_id",
        name_labels: &node_pool_label::AKS_AGENT_POOL,
        labels: "body.properties.nodeLabels",
        taints: "body.properties.nodeTaints",
        taint: Some(TaintSyntax::Texts),
        machine_type: "body.properties.vmSize",
        zones: Zones::Names { path: "body.properties.availabilityZones", no_zone: "" },
        sizes: &["body.properties.count", "body.properties.minCount"],
        spot: &[("body.properties.scaleSetPriority", "Spot")],
        conditions: &[Condition::Begins(
            "type",
            "Microsoft.ContainerService/managedClusters/agentPools@",
        )],
        ..PLAIN
    },
    Resource { name: "alicloud_cs_kubernetes", ..ACK_WORKERS },
    Resource { name: "alicloud_cs_managed_kubernetes", ..ACK_WORKERS },
    Resource {
        name: "tencentcloud_kubernetes_cluster",
        provider: Provider::Tencent,
        names: &["instance_name"],
        // They are of the cluster, for all its workers.
        labels: "",
        taints: "",
        taint: None,
        machine_type: "instance_type",
        zones: Zones::Names { path: "availability_zone", no_zone: "" },
        sizes: &["count"],
        block: Some("worker_config"),
        ..PLAIN
    },
    Resource {
        name: "tencentcloud_kubernetes_native_node_pool",
        provider: Provider::Tencent,
        cluster: "cluster_id",
        id_labels: &[node_pool_label::TKE_MACHINE_SET],
        machine_type: "native.0.instance_types",
        has_type_list: true,
        zones: Zones::Subnets {
            path: "native.0.subnet_ids",
            subnet: "tencentcloud_subnet",
            zone: "availability_zone",
        },
        sizes: &["native.0.replicas"],
        ..PLAIN
    },
    Resource {
        name: "huaweicloud_cce_node",
        provider: Provider::Huawei,
        cluster: "cluster_id",
        machine_type: "flavor_id",
        zones: Zones::Names { path: "availability_zone", no_zone: "random" },
        ..PLAIN
    },
];

/// Whether a resource makes machines which may be nodes, and PoolGuard does not read it.
pub(super) fn is_lookalike(kind: &str) -> bool {
    const PARTS: [&str; 6] =
        ["node_pool", "nodepool", "node_group", "nodegroup", "machine_pool", "worker_pool"];
    let is_read = RESOURCES.iter().any(|it| it.name == kind);
    LOOKALIKES.contains(&kind) || (!is_read && PARTS.iter().any(|part| kind.contains(part)))
}

/// Resources that may make nodes, although their names do not say so.
const LOOKALIKES: [&str; 12] = [
    "aws_autoscaling_group",
    "aws_eks_fargate_profile",
    "aws_instance",
    "azurerm_linux_virtual_machine_scale_set",
    "azurerm_orchestrated_virtual_machine_scale_set",
    "google_compute_instance_group_manager",
    "google_compute_region_instance_group_manager",
    "kubectl_manifest",
    "kubernetes_manifest",
    "oci_core_instance_pool",
    "rancher2_cluster_v2",
    "tencentcloud_kubernetes_scale_worker",
];
