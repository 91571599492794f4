//! The resources of Terraform that are node pools, and which of their attributes matter.

use super::{Attributes, TaintSyntax};
use crate::policy::provider::Provider;

/// A kind of resource that is a node pool. Paths are in keys and indices, since Terraform has blocks as
/// lists.
#[derive(Clone, Copy)]
pub(super) struct Resource {
    pub(super) name: &'static str,
    pub(super) provider: Provider,
    /// The first that is set is what the provider calls the pool.
    pub(super) names: &'static [&'static str],
    /// Labels by which the provider puts that name on nodes.
    pub(super) name_labels: &'static [&'static str],
    /// A map, or a list of keys and values.
    pub(super) labels: &'static str,
    pub(super) taints: &'static str,
    /// `None`: the provider's API takes no taints for a pool.
    pub(super) taint: Option<TaintSyntax>,
    /// A text or a list.
    pub(super) machine_types: &'static str,
    pub(super) zones: Zones,
    /// The first that is set counts.
    pub(super) sizes: &'static [&'static str],
    /// The size is that in each zone.
    pub(super) size_is_of_zone: bool,
    /// What makes its nodes preemptible: attributes with these values.
    pub(super) spot: &'static [(&'static str, &'static str)],
}

/// What tells the zones of a node pool.
#[derive(Clone, Copy)]
pub(super) enum Zones {
    /// The first of these that is set has their names, unless it is one that the provider picks.
    Names { paths: &'static [&'static str], random: fn(&str) -> bool },
    /// Each entry of a list has one.
    Placements { list: &'static str, name: &'static str },
    /// Subnets of this resource, of which each has its zone in this attribute.
    Subnets { path: &'static str, subnet: &'static str, zone: &'static str },
}

impl Resource {
    pub(super) fn attributes(&self) -> Attributes {
        Attributes {
            machine_types: last(self.machine_types),
            has_type_list: self.machine_types.ends_with("types"),
            zones: match self.zones {
                Zones::Names { paths, .. } => paths.first().map_or("", |path| last(path)),
                Zones::Placements { list, .. } => last(list),
                Zones::Subnets { path, .. } => path,
            },
            size: self.sizes.first().map_or("", |path| last(path)),
            taint: self.taint,
        }
    }
}

fn last(path: &'static str) -> &'static str {
    path.rsplit('.').next().unwrap_or(path)
}

pub(super) const RESOURCES: [Resource; 7] = [
    Resource {
        name: "aws_eks_node_group",
        provider: Provider::Aws,
        names: &["node_group_name"],
        name_labels: &["eks.amazonaws.com/nodegroup"],
        labels: "labels",
        taints: "taint",
        taint: Some(TaintSyntax::Shouted("taint")),
        machine_types: "instance_types",
        zones: Zones::Subnets {
            path: "subnet_ids",
            subnet: "aws_subnet",
            zone: "availability_zone",
        },
        sizes: &["scaling_config.0.desired_size"],
        size_is_of_zone: false,
        spot: &[("capacity_type", "SPOT")],
    },
    Resource {
        name: "google_container_node_pool",
        provider: Provider::Gcp,
        names: &["name"],
        name_labels: &["cloud.google.com/gke-nodepool"],
        labels: "node_config.0.labels",
        taints: "node_config.0.taint",
        taint: Some(TaintSyntax::Shouted("taint")),
        machine_types: "node_config.0.machine_type",
        // A region is no zone, and has those of its cluster.
        zones: Zones::Names {
            paths: &["node_locations", "location"],
            random: |location| location.matches('-').count() < 2,
        },
        sizes: &["node_count", "initial_node_count"],
        size_is_of_zone: true,
        spot: &[("node_config.0.spot", "true"), ("node_config.0.preemptible", "true")],
    },
    Resource {
        name: "azurerm_kubernetes_cluster_node_pool",
        provider: Provider::Azure,
        names: &["name"],
        name_labels: &["kubernetes.azure.com/agentpool", "agentpool"],
        labels: "node_labels",
        taints: "node_taints",
        taint: Some(TaintSyntax::Texts("node_taints")),
        machine_types: "vm_size",
        zones: Zones::Names { paths: &["zones"], random: |_| false },
        sizes: &["node_count", "min_count"],
        size_is_of_zone: false,
        spot: &[("priority", "Spot")],
    },
    Resource {
        name: "alicloud_cs_kubernetes_node_pool",
        provider: Provider::Alibaba,
        names: &["node_pool_name", "name"],
        name_labels: &[],
        labels: "labels",
        taints: "taints",
        taint: Some(TaintSyntax::Block("taints")),
        machine_types: "instance_types",
        zones: Zones::Subnets { path: "vswitch_ids", subnet: "alicloud_vswitch", zone: "zone_id" },
        sizes: &["desired_size"],
        size_is_of_zone: false,
        spot: &[("spot_strategy", "SpotWithPriceLimit"), ("spot_strategy", "SpotAsPriceGo")],
    },
    Resource {
        name: "huaweicloud_cce_node_pool",
        provider: Provider::Huawei,
        names: &["name"],
        name_labels: &[],
        labels: "labels",
        taints: "taints",
        taint: Some(TaintSyntax::Block("taints")),
        machine_types: "flavor_id",
        zones: Zones::Names { paths: &["availability_zone"], random: |zone| zone == "random" },
        sizes: &["initial_node_count"],
        size_is_of_zone: false,
        spot: &[],
    },
    Resource {
        name: "tencentcloud_kubernetes_node_pool",
        provider: Provider::Tencent,
        names: &["name"],
        name_labels: &[],
        labels: "labels",
        taints: "taints",
        taint: Some(TaintSyntax::Block("taints")),
        machine_types: "auto_scaling_config.0.instance_type",
        zones: Zones::Subnets {
            path: "subnet_ids",
            subnet: "tencentcloud_subnet",
            zone: "availability_zone",
        },
        sizes: &["desired_capacity"],
        size_is_of_zone: false,
        spot: &[("auto_scaling_config.0.instance_charge_type", "SPOTPAID")],
    },
    Resource {
        name: "oci_containerengine_node_pool",
        provider: Provider::Oracle,
        names: &["name"],
        name_labels: &[],
        labels: "initial_node_labels",
        taints: "",
        // Nodes taint themselves, by a script that they start with.
        taint: None,
        machine_types: "node_shape",
        zones: Zones::Placements {
            list: "node_config_details.0.placement_configs",
            name: "availability_domain",
        },
        sizes: &["node_config_details.0.size"],
        size_is_of_zone: false,
        spot: &[],
    },
];
