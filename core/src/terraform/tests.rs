//! What is read of plans: each provider's own words, and the zones of subnets.

use serde_json::json;

use super::*;

/// A plan of one resource to be made, with the rest of the plan.
fn plan(kind: &str, after: &Value, rest: &Value) -> Plan {
    let mut plan: Value = serde_json::from_str(&plan_text(kind, after)).expect("is JSON");
    for (key, value) in rest.as_object().expect("is an object") {
        plan[key] = value.clone();
    }
    Plan::read(&plan.to_string()).expect("is a plan")
}

fn plan_text(kind: &str, after: &Value) -> String {
    let plan = json!({
        "format_version": "1.2",
        "resource_changes": [{
            "address": format!("{kind}.pool"), "mode": "managed", "type": kind, "name": "pool",
            "change": {"actions": ["create"], "before": null, "after": after, "after_unknown": {}},
        }],
    });
    plan.to_string()
}

/// What is read of it, in one line.
fn line(pool: &PlannedPool) -> String {
    let PlannedPool { name, taints, machine_types, zones, size, is_spot, labels, .. } = pool;
    let taints: Option<Vec<String>> =
        taints.as_ref().map(|taints| taints.iter().map(Taint::to_string).collect());
    let known = |texts: Option<String>| texts.unwrap_or_else(|| "?".to_owned());
    let labels: Vec<String> =
        labels.known.iter().map(|(key, value)| format!("{key}={value}")).collect();
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

/// The label that a single machine type brings.
const TYPE: &str = "node.kubernetes.io/instance-type";

#[test]
fn gke_has_sizes_by_zone_and_effects_in_screaming_snake_case() {
    let mut pool = json!({
        "name": "kafka", "location": "europe-west1-b", "node_count": 1,
        "node_locations": ["europe-west1-b", "europe-west1-c", "europe-west1-d"],
        "node_config": [{
            "machine_type": "n2d-standard-4", "labels": {"a": "b"}, "spot": true,
            "taint": [{"key": "dedicated", "value": "automq", "effect": "NO_SCHEDULE"}],
        }],
    });
    let labels = format!("[a=b cloud.google.com/gke-nodepool=kafka {TYPE}=n2d-standard-4]");
    assert_eq!(
        only("google_container_node_pool", &pool, &json!({})),
        format!(
            "kafka {labels} dedicated=automq:NoSchedule n2d-standard-4 europe-west1-b europe-west1-c \
             europe-west1-d 3 spot"
        )
    );
    // Nodes are where the cluster has them, which need not be where it is.
    pool["node_locations"] = Value::Null;
    assert_eq!(
        only("google_container_node_pool", &pool, &json!({})),
        format!("kafka {labels} dedicated=automq:NoSchedule n2d-standard-4 ? ? spot")
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
        format!(
            "kafka [agentpool=kafka kubernetes.azure.com/agentpool=kafka {TYPE}=Standard_D4s_v5] \
             dedicated=automq:NoSchedule Standard_D4s_v5 1 3"
        )
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
    let plan =
        plan("alicloud_cs_kubernetes_node_pool", &pool, &prior("alicloud_vswitch", &switches));
    let [pool] = plan.pools.as_slice() else { panic!("is one") };
    assert_eq!(
        line(pool),
        "kafka [a=b] dedicated=automq:NoSchedule ecs.r6.large ecs.r7.large cn-hangzhou-b \
         cn-hangzhou-g 3"
    );
    for (key, is_unknown) in [
        ("a", false),
        ("b", false),
        ("alibabacloud.com/nodepool-id", true),
        ("topology.kubernetes.io/zone", true),
    ] {
        assert_eq!(pool.labels.is_unknown(key), is_unknown, "{key}");
    }
}

#[test]
fn cce_may_pick_a_zone_of_its_own() {
    let mut pool = json!({
        "name": "kafka", "flavor_id": "c7.xlarge.2", "availability_zone": "random",
        "initial_node_count": 3, "taints": [],
    });
    let read = |pool: &Value| only("huaweicloud_cce_node_pool", pool, &json!({}));
    assert_eq!(read(&pool), format!("kafka [{TYPE}=c7.xlarge.2]  c7.xlarge.2 ? 3"));
    pool["availability_zone"] = json!("cn-north-4a");
    assert_eq!(read(&pool), format!("kafka [{TYPE}=c7.xlarge.2]  c7.xlarge.2 cn-north-4a 3"));
    pool["extension_scale_groups"] = json!([{"spec": [{"flavor": "s7.small.1"}]}]);
    assert_eq!(read(&pool), "kafka []  ? ? 3", "groups may be of any type, and anywhere");
}

#[test]
fn tke_has_its_machine_types_in_a_block() {
    let mut pool = json!({
        "name": "kafka", "desired_capacity": 3, "subnet_ids": ["subnet-1"],
        "auto_scaling_config":
            [{"instance_type": "SA9.MEDIUM4", "instance_charge_type": "SPOTPAID"}],
        "taints": [{"key": "dedicated", "value": "automq", "effect": "NoExecute"}],
    });
    let read = |pool: &Value| only("tencentcloud_kubernetes_node_pool", pool, &json!({}));
    assert_eq!(
        read(&pool),
        format!("kafka [{TYPE}=SA9.MEDIUM4] dedicated=automq:NoExecute SA9.MEDIUM4 ? 3 spot")
    );
    pool["auto_scaling_config"][0]["backup_instance_types"] = json!(["S5.SMALL1"]);
    assert_eq!(read(&pool), "kafka [] dedicated=automq:NoExecute SA9.MEDIUM4 S5.SMALL1 ? 3 spot");
}

#[test]
fn oke_takes_no_taints_so_that_a_plan_does_not_tell() {
    let pool = json!({
        "name": "kafka", "node_shape": "VM.Standard.E5.Flex",
        "initial_node_labels": [{"key": "a", "value": "b"}],
        "node_config_details": [{"size": 3, "placement_configs": [
            {"availability_domain": "Uocm:PHX-AD-1"}, {"availability_domain": "Uocm:PHX-AD-2"},
        ]}],
    });
    let expected =
        format!("kafka [a=b {TYPE}=VM.Standard.E5.Flex] ? VM.Standard.E5.Flex PHX-AD-1 PHX-AD-2 3");
    assert_eq!(only("oci_containerengine_node_pool", &pool, &json!({})), expected);
}

#[test]
fn a_label_that_comes_later_hides_no_other() {
    let labels = |known: Value, unknown: Value| {
        let plan = json!({
            "format_version": "1.2",
            "resource_changes": [{
                "address": "aws_eks_node_group.pool", "mode": "managed",
                "type": "aws_eks_node_group", "name": "pool",
                "change": {
                    "actions": ["create"], "after": {"labels": known},
                    "after_unknown": {"labels": unknown, "node_group_name": true},
                },
            }],
        });
        let pool = Plan::read(&plan.to_string()).expect("is a plan").pools.remove(0);
        ["known", "later", "other", "eks.amazonaws.com/nodegroup"]
            .map(|key| if pool.labels.is_unknown(key) { '?' } else { '.' })
            .into_iter()
            .collect::<String>()
    };
    assert_eq!(labels(json!({"known": "a"}), json!({"later": true})), ".?.?");
    assert_eq!(labels(json!({"known": "a", "later": null}), json!({"later": true})), ".?.?");
    assert_eq!(labels(json!({"known": "a"}), json!({})), "...?");
    assert_eq!(labels(Value::Null, json!(true)), "????");
}

/// The zones of a node group in a module, whose `subnet_ids` refer to these.
fn zones_of(references: &[&str], after: &Value, after_unknown: &Value) -> Option<Vec<String>> {
    let address = |name: &str| format!("module.my_module[\"module.a\"].{name}");
    let subnet = |name: &str, zone: &str| {
        json!({
            "address": address(&format!("aws_subnet.{name}")), "type": "aws_subnet",
            "values": {"availability_zone": zone},
        })
    };
    let plan = json!({
        "format_version": "1.2",
        "resource_changes": [{
            "address": address("aws_eks_node_group.pool"),
            "module_address": "module.my_module[\"module.a\"]",
            "mode": "managed", "type": "aws_eks_node_group", "name": "pool",
            "change": {
                "actions": ["create"], "after": {"subnet_ids": after},
                "after_unknown": {"subnet_ids": after_unknown},
            },
        }],
        "prior_state": {"values": {"root_module": {"child_modules": [{"resources": [
            subnet("moved", "z0"),
        ]}]}}},
        "planned_values": {"root_module": {"child_modules": [{"resources": [
            subnet("a", "z1"), subnet("b[0]", "z2"), subnet("b[1]", "z3"), subnet("c[\"x.y\"]", "z4"),
            {"address": address("aws_subnet.moved"), "type": "aws_subnet", "values": {}},
        ]}]}},
        "configuration": {"root_module": {"module_calls": {"my_module": {"module": {"resources": [{
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
        (&["aws_subnet.moved.id", "aws_subnet.moved"], None),
        (&[], None),
    ] {
        let expected = expected.map(|zones| zones.iter().map(ToString::to_string).collect());
        let zones = zones_of(references, &Value::Null, &json!(true));
        assert_eq!(zones, expected, "{references:?}");
    }
    let one = &["aws_subnet.a.id", "aws_subnet.a"];
    assert!(zones_of(one, &json!([null]), &json!([true])).is_some());
    assert_eq!(zones_of(one, &json!([null, null]), &json!([true, true])), None, "one is not named");
    assert_eq!(zones_of(one, &json!(["subnet-1", null]), &json!([false, true])), None);
}

#[test]
fn other_changes_are_none_of_a_pool() {
    for (key, value) in [
        ("mode", json!("data")),
        ("deposed", json!("1234abcd")),
        ("change", json!({"actions": ["read"]})),
        ("change", json!({"actions": ["forget"]})),
    ] {
        let mut change = json!({
            "address": "aws_eks_node_group.pool", "mode": "managed", "type": "aws_eks_node_group",
            "name": "pool", "change": {"actions": ["delete"], "before": {}, "after": null},
        });
        change[key] = value;
        let plan = json!({"format_version": "1.2", "resource_changes": [change]});
        let read = Plan::read(&plan.to_string());
        assert!(matches!(read, Err(PlanError::NoPool)), "{key}: {read:?}");
    }
}

#[test]
fn pools_within_a_cluster_are_pools() {
    let aks = json!({"name": "c", "default_node_pool": [
        {"name": "system", "vm_size": "Standard_D4s_v5", "zones": ["1", "2", "3"], "node_count": 3,
         "only_critical_addons_enabled": true},
    ]});
    assert_eq!(
        only("azurerm_kubernetes_cluster", &aks, &json!({})),
        format!(
            "system [agentpool=system kubernetes.azure.com/agentpool=system {TYPE}=Standard_D4s_v5] \
             CriticalAddonsOnly=true:NoSchedule Standard_D4s_v5 1 2 3 3"
        )
    );
    let gke = json!({"name": "c", "node_pool": [
        {"name": "kafka", "initial_node_count": 1, "node_locations": ["a", "b", "c"], "node_config": [
            {"machine_type": "n4d-standard-2", "labels": {},
             "taint": [{"key": "dedicated", "value": "automq", "effect": "NO_SCHEDULE"}]}]},
        {"name": "other"},
    ]});
    let plan = plan("google_container_cluster", &gke, &json!({}));
    let addresses: Vec<&str> = plan.pools.iter().map(|pool| pool.address.as_str()).collect();
    assert_eq!(
        addresses,
        [
            "google_container_cluster.pool.node_pool[0]",
            "google_container_cluster.pool.node_pool[1]"
        ]
    );
    assert_eq!(
        line(&plan.pools[0]),
        format!(
            "kafka [cloud.google.com/gke-nodepool=kafka {TYPE}=n4d-standard-2] dedicated=automq:NoSchedule \
             n4d-standard-2 a b c 3"
        )
    );
}

#[test]
fn the_pool_that_gke_starts_with_counts_unless_it_is_removed() {
    let pools = |cluster: Value| {
        let text = plan_text("google_container_cluster", &cluster);
        Plan::read(&text).map(|plan| plan.pools.len()).map_err(|error| error.to_string())
    };
    let config = json!([{"machine_type": "e2-medium"}]);
    assert_eq!(pools(json!({"initial_node_count": 1, "node_config": config})), Ok(1));
    let removed = json!({"initial_node_count": 1, "remove_default_node_pool": true});
    assert!(
        pools(removed)
            .unwrap_err()
            .starts_with("the plan contains no resource that PoolGuard knows as a node pool")
    );
}

#[test]
fn an_agent_pool_of_azapi_and_a_native_pool_of_tke_are_read() {
    let azapi = json!({
        "type": "Microsoft.ContainerService/managedClusters/agentPools@2024-09-01", "name": "kafka",
        "parent_id": "/c", "body": {"properties": {
            "vmSize": "Standard_D4as_v5", "count": 3, "availabilityZones": ["1"],
            "nodeTaints": ["dedicated=automq:NoSchedule"], "nodeLabels": {"a": "b"}}},
    });
    assert_eq!(
        only("azapi_resource", &azapi, &json!({})),
        format!(
            "kafka [a=b agentpool=kafka kubernetes.azure.com/agentpool=kafka {TYPE}=Standard_D4as_v5] \
             dedicated=automq:NoSchedule Standard_D4as_v5 1 3"
        )
    );
    let native = json!({
        "name": "kafka", "labels": [{"name": "a", "value": "b"}],
        "taints": [{"key": "dedicated", "value": "automq", "effect": "NoSchedule"}],
        "native": [{"instance_types": ["SA5.LARGE16"], "replicas": 3, "subnet_ids": ["s-1"]}],
    });
    let subnets = prior(
        "tencentcloud_subnet",
        &[json!({"id": "s-1", "availability_zone": "ap-guangzhou-3"})],
    );
    assert_eq!(
        only("tencentcloud_kubernetes_native_node_pool", &native, &subnets),
        format!(
            "kafka [a=b {TYPE}=SA5.LARGE16] dedicated=automq:NoSchedule SA5.LARGE16 ap-guangzhou-3 3"
        )
    );
}

#[test]
fn a_plan_without_pools_says_what_may_make_nodes() {
    let plan = plan("aws_autoscaling_group", &json!({"name_prefix": "automq-"}), &json!({}));
    let seen: Vec<&str> = plan.lookalikes.iter().map(|it| it.address.as_str()).collect();
    assert_eq!((plan.pools.len(), seen), (0, vec!["aws_autoscaling_group.pool"]));
}

#[test]
fn an_instance_on_kubernetes_is_read_and_one_on_virtual_machines_is_not() {
    let instance = |deploy_type: &str| {
        json!({"name": "kafka", "features": {"wal_mode": "S3WAL"}, "compute_specs": {
            "deploy_type": deploy_type, "instance_types": ["r6in.large"],
            "networks": [{"zone": "us-east-1a", "subnets": ["s"]}],
            "schedule_spec": "nodeSelector: {a: b}\n"}})
    };
    let plan = plan("automq_kafka_instance", &instance("K8S"), &json!({}));
    let [it] = plan.instances.as_slice() else { panic!("is one") };
    assert_eq!(it.zones.as_deref(), Some(["us-east-1a".to_owned()].as_slice()));
    assert_eq!(it.machine_types.as_deref(), Some(["r6in.large".to_owned()].as_slice()));
    assert!(it.schedule.is_some() && !it.changes_schedule);
    assert!(Plan::read(&plan_text("automq_kafka_instance", &instance("IAAS"))).is_err());
}

#[test]
fn an_autoscaling_group_is_a_pool_where_its_template_or_its_tags_say_so() {
    let user_data = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        "/etc/eks/bootstrap.sh c --kubelet-extra-args '--register-with-taints=dedicated=automq:NoSchedule --node-labels=team=kafka'",
    );
    let template = json!({"address": "aws_launch_template.kafka", "type": "aws_launch_template",
        "values": {"id": "lt-1", "name": "kafka", "instance_type": "r6in.large", "user_data": user_data}});
    let rest = json!({"planned_values": {"root_module": {"resources": [template]}},
    "configuration": {"root_module": {"resources": [
        {"mode": "managed", "type": "aws_autoscaling_group", "name": "pool", "expressions":
            {"launch_template": [{"id": {"references": ["aws_launch_template.kafka.id", "aws_launch_template.kafka"]}}]}},
    ]}}});
    let group = |template: Value| json!({"name": "kafka", "availability_zones": ["a", "b", "c"], "min_size": 3, "launch_template": [template]});
    let expected = format!(
        "kafka [{TYPE}=r6in.large team=kafka] dedicated=automq:NoSchedule r6in.large a b c 3"
    );
    for named in [json!({}), json!({"id": "lt-1"}), json!({"name": "kafka"})] {
        assert_eq!(only("aws_autoscaling_group", &group(named), &rest), expected);
    }
    let mut tagged = group(json!({"name": "elsewhere"}));
    let prefix = "k8s.io/cluster-autoscaler/node-template";
    tagged["tag"] = json!([
        {"key": format!("{prefix}/label/team"), "value": "kafka"},
        {"key": format!("{prefix}/taint/dedicated"), "value": "automq:NoSchedule"},
    ]);
    let expected = "kafka [team=kafka] dedicated=automq:NoSchedule ? a b c 3";
    assert_eq!(only("aws_autoscaling_group", &tagged, &json!({})), expected);
    let bare = plan("aws_autoscaling_group", &group(json!({"name": "elsewhere"})), &json!({}));
    assert!(bare.pools.is_empty());
    assert_eq!(bare.lookalikes.len(), 1);
}

#[test]
fn a_node_group_takes_type_and_taints_of_its_template() {
    let user_data = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        "--register-with-taints=dedicated=automq:NoSchedule",
    );
    let group = json!({"node_group_name": "kafka", "launch_template": [{"id": "lt-1"}],
        "scaling_config": [{"desired_size": 3}], "subnet_ids": ["s"]});
    let rest = json!({"prior_state": {"values": {"root_module": {"resources": [
        {"address": "data.aws_launch_template.kafka", "type": "aws_launch_template",
         "values": {"id": "lt-1", "instance_type": "r6in.large", "user_data": user_data}},
    ]}}}});
    assert_eq!(
        only("aws_eks_node_group", &group, &rest),
        format!(
            "kafka [eks.amazonaws.com/nodegroup=kafka {TYPE}=r6in.large] dedicated=automq:NoSchedule r6in.large ? 3"
        )
    );
}

#[test]
fn manifests_are_objects_and_no_lookalikes() {
    let object =
        json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "kafka"}});
    let yaml = "apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: kafka}\n";
    for (kind, after) in [
        ("kubernetes_manifest", json!({"manifest": object})),
        ("kubectl_manifest", json!({"yaml_body": yaml})),
        ("helm_release", json!({"manifest": json!({"nodepool/kafka": object}).to_string()})),
    ] {
        let Plan { manifests, lookalikes, .. } = plan(kind, &after, &json!({}));
        let names: Vec<_> = manifests.iter().map(|it| (it.group(), &*it.kind, &*it.name)).collect();
        assert_eq!(names, [("karpenter.sh", "NodePool", "kafka")], "{kind}");
        assert!(lookalikes.is_empty(), "{kind}");
    }
    let unread = plan("kubectl_manifest", &json!({"yaml_body": "{"}), &json!({}));
    assert_eq!((unread.manifests.len(), unread.lookalikes.len()), (0, 1));
}
