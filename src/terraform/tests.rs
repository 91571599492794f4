//! What is read of plans: each provider's own words, and the zones of subnets.

use serde_json::json;

use super::*;

/// A plan of one resource to be made, with the rest of the plan.
fn plan(kind: &str, after: &Value, rest: &Value) -> Plan {
    let mut plan = json!({
        "format_version": "1.2",
        "resource_changes": [{
            "address": format!("{kind}.pool"), "mode": "managed", "type": kind, "name": "pool",
            "change": {"actions": ["create"], "before": null, "after": after, "after_unknown": {}},
        }],
    });
    for (key, value) in rest.as_object().expect("is an object") {
        plan[key] = value.clone();
    }
    Plan::read(&plan.to_string()).expect("is a plan")
}

/// What is read of it, in one line.
fn line(pool: &PlannedPool) -> String {
    let PlannedPool { name, taints, machine_types, zones, size, is_spot, labels, .. } = pool;
    let taints: Option<Vec<String>> =
        taints.as_ref().map(|taints| taints.iter().map(Taint::to_string).collect());
    let known = |texts: Option<String>| texts.unwrap_or_else(|| "?".to_owned());
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!(
        "{name} [{}] {} {} {} {}{}",
        labels.join(" "),
        known(taints.map(|it| it.join(" "))),
        known(machine_types.as_ref().map(|it| it.join(" "))),
        known(zones.as_ref().map(|it| it.iter().cloned().collect::<Vec<_>>().join(" "))),
        known(size.map(|it| it.to_string())),
        if *is_spot { " spot" } else { "" }
    )
}

fn only(kind: &str, after: &Value, rest: &Value) -> String {
    let plan = plan(kind, after, rest);
    assert_eq!(plan.pools.len(), 1);
    line(&plan.pools[0])
}

/// Values that are there already: what Terraform has read.
fn prior(kind: &str, values: &[Value]) -> Value {
    let resources: Vec<Value> = values
        .iter()
        .map(|values| json!({"address": format!("data.{kind}.it"), "type": kind, "values": values}))
        .collect();
    json!({"prior_state": {"values": {"root_module": {"child_modules": [{"resources": resources}]}}}})
}

#[test]
fn gke_says_sizes_by_zone_and_shouts_effects() {
    let pool = json!({
        "name": "kafka", "location": "europe-west1", "node_count": 1,
        "node_locations": ["europe-west1-b", "europe-west1-c", "europe-west1-d"],
        "node_config": [{
            "machine_type": "n2d-standard-4", "labels": {"a": "b"}, "spot": true,
            "taint": [{"key": "dedicated", "value": "automq", "effect": "NO_SCHEDULE"}],
        }],
    });
    assert_eq!(
        only("google_container_node_pool", &pool, &json!({})),
        "kafka [a=b cloud.google.com/gke-nodepool=kafka] dedicated=automq:NoSchedule n2d-standard-4 \
         europe-west1-b europe-west1-c europe-west1-d 3 spot"
    );
}

#[test]
fn aks_has_taints_as_text() {
    let pool = json!({
        "name": "kafka", "vm_size": "Standard_D4s_v5", "zones": ["1"], "node_count": 3,
        "node_labels": null, "node_taints": ["dedicated=automq:NoSchedule"], "priority": "Regular",
    });
    assert_eq!(
        only("azurerm_kubernetes_cluster_node_pool", &pool, &json!({})),
        "kafka [kubernetes.azure.com/agentpool=kafka agentpool=kafka] dedicated=automq:NoSchedule \
         Standard_D4s_v5 1 3"
    );
}

#[test]
fn ack_has_labels_as_a_list_and_zones_in_switches() {
    let switches = [
        json!({"id": "vsw-1", "zone_id": "cn-hangzhou-b"}),
        json!({"id": "vsw-2", "zone_id": "cn-hangzhou-g"}),
    ];
    let pool = json!({
        "node_pool_name": "kafka", "instance_types": ["ecs.r6.large", "ecs.r7.large"],
        "vswitch_ids": ["vsw-1", "vsw-2"], "desired_size": "3", "spot_strategy": "NoSpot",
        "labels": [{"key": "a", "value": "b"}],
        "taints": [{"key": "dedicated", "value": "automq", "effect": "NoSchedule"}],
    });
    assert_eq!(
        only("alicloud_cs_kubernetes_node_pool", &pool, &prior("alicloud_vswitch", &switches)),
        "kafka [a=b] dedicated=automq:NoSchedule ecs.r6.large ecs.r7.large cn-hangzhou-b \
         cn-hangzhou-g 3"
    );
}

#[test]
fn cce_may_pick_a_zone_of_its_own() {
    let pool = json!({
        "name": "kafka", "flavor_id": "c7.xlarge.2", "availability_zone": "random",
        "initial_node_count": 3, "taints": [],
    });
    let read = only("huaweicloud_cce_node_pool", &pool, &json!({}));
    assert_eq!(read, "kafka []  c7.xlarge.2 ? 3");
}

#[test]
fn tke_has_its_machine_type_in_a_block() {
    let pool = json!({
        "name": "kafka", "desired_capacity": 3, "subnet_ids": ["subnet-1"],
        "auto_scaling_config":
            [{"instance_type": "SA9.MEDIUM4", "instance_charge_type": "SPOTPAID"}],
        "taints": [{"key": "dedicated", "value": "automq", "effect": "NoExecute"}],
    });
    assert_eq!(
        only("tencentcloud_kubernetes_node_pool", &pool, &json!({})),
        "kafka [] dedicated=automq:NoExecute SA9.MEDIUM4 ? 3 spot"
    );
}

#[test]
fn oke_takes_no_taints_so_that_a_plan_does_not_tell() {
    let pool = json!({
        "name": "kafka", "node_shape": "VM.Standard.E5.Flex",
        "initial_node_labels": [{"key": "a", "value": "b"}],
        "node_config_details": [{"size": 3, "placement_configs": [
            {"availability_domain": "AD-1"}, {"availability_domain": "AD-2"},
        ]}],
    });
    assert_eq!(
        only("oci_containerengine_node_pool", &pool, &json!({})),
        "kafka [a=b] ? VM.Standard.E5.Flex AD-1 AD-2 3"
    );
}

#[test]
fn a_region_is_no_zone() {
    let pool = |location: &str| {
        let after = json!({"name": "kafka", "location": location, "node_count": 3});
        only("google_container_node_pool", &after, &json!({}))
    };
    let labels = "kafka [cloud.google.com/gke-nodepool=kafka]";
    assert_eq!(pool("europe-west1"), format!("{labels}  ? ? ?"));
    assert_eq!(pool("europe-west1-b"), format!("{labels}  ? europe-west1-b 3"));
}

/// The zones of a node group whose `subnet_ids` are to come and refer to these, in a module.
fn zones_of(references: &[&str]) -> Option<Vec<String>> {
    let subnet = |name: &str, zone: &str| {
        json!({
            "address": format!("module.net[\"a.b\"].aws_subnet.{name}"), "type": "aws_subnet",
            "values": {"availability_zone": zone},
        })
    };
    let plan = json!({
        "format_version": "1.2",
        "resource_changes": [{
            "address": "module.net[\"a.b\"].aws_eks_node_group.pool",
            "module_address": "module.net[\"a.b\"]",
            "mode": "managed", "type": "aws_eks_node_group", "name": "pool",
            "change": {"actions": ["create"], "after": {}, "after_unknown": {"subnet_ids": true}},
        }],
        "planned_values": {"root_module": {"child_modules": [{"resources": [
            subnet("a", "z1"), subnet("b[0]", "z2"), subnet("b[1]", "z3"), subnet("c[\"x.y\"]", "z4"),
        ]}]}},
        "configuration": {"root_module": {"module_calls": {"net": {"module": {"resources": [{
            "mode": "managed", "type": "aws_eks_node_group", "name": "pool",
            "expressions": {"subnet_ids": {"references": references}},
        }]}}}}},
    });
    let plan = Plan::read(&plan.to_string()).expect("is a plan");
    plan.pools[0].zones.clone().map(|zones| zones.into_iter().collect())
}

#[test]
fn subnets_count_where_each_of_them_is_named() {
    for (references, expected) in [
        (&["aws_subnet.a.id", "aws_subnet.a"][..], Some(&["z1"][..])),
        (&["aws_subnet.b[0].id", "aws_subnet.b[0]", "aws_subnet.b"], Some(&["z2"])),
        (&["aws_subnet.c[\"x.y\"].id", "aws_subnet.c[\"x.y\"]", "aws_subnet.c"], Some(&["z4"])),
        (&["aws_subnet.a.id", "aws_subnet.a", "aws_subnet.b[1].id"], Some(&["z1", "z3"])),
        // Any number of them.
        (&["aws_subnet.b"], None),
        (&["aws_subnet.a.id", "aws_subnet.a", "var.more"], None),
        (&["each.value.subnets", "each.value"], None),
        (&["aws_subnet.unknown.id", "aws_subnet.unknown"], None),
        (&[], None),
    ] {
        let expected = expected.map(|zones| zones.iter().map(ToString::to_string).collect());
        assert_eq!(zones_of(references), expected, "{references:?}");
    }
}
