//! The example cluster of each provider: what `init` makes of it, that nothing is wrong with it, and that each
//! fault which is planted into it is found.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{fs, path::PathBuf};

use poolguard::{
    check::{CheckFinding, FindingSeverity, Fitness, Status, examine},
    cluster::inventory::Inventory,
    config,
    policy::provider::Provider,
};
use serde_json::{Value, json};

use crate::command::{Said, poolguard, said, with_input};

/// An example, and what its provider's fixes look like.
struct Example {
    /// The name of its files.
    name: &'static str,
    provider: Provider,
    /// The pool in one zone, and the pool in three, as the provider calls them.
    pools: [&'static str; 2],
    /// What gives the taint to future nodes.
    taint: &'static str,
    /// What makes a pool of another machine type.
    machine_type: &'static str,
    /// What limits the pool to its zone.
    zone: &'static str,
}

const EXAMPLES: [Example; 8] = [
    Example {
        name: "alibaba",
        provider: Provider::Alibaba,
        pools: ["np0a1b2c3d4e5f60718293a4b5c6d7e8f9", "np1b2c3d4e5f60718293a4b5c6d7e8f90a"],
        taint: "aliyun cs ModifyClusterNodePool --ClusterId $CLUSTER --NodepoolId np0a1b2c3d4e5f60718293a4b5c6d7e8f9 \
                --body '{\"kubernetes_config\":{\"taints\":[{\"key\":\"dedicated\",\"value\":\"automq\",\
                \"effect\":\"NoSchedule\"}]}}'",
        machine_type: "# create a node pool of type ecs.r7.large in cn-hangzhou-h",
        zone: "# limit the node pool to cn-hangzhou-h",
    },
    Example {
        name: "aws",
        provider: Provider::Aws,
        pools: ["automq-orders", "automq-events"],
        taint: "aws eks update-nodegroup-config --cluster-name $CLUSTER --nodegroup-name automq-orders \
                --taints 'addOrUpdateTaints=[{key=dedicated,value=automq,effect=NO_SCHEDULE}]'",
        machine_type: "eksctl create nodegroup --cluster $CLUSTER --name $NEW_POOL --node-type r6in.large \
                       --node-zones us-east-1a",
        zone: "# limit the node pool to us-east-1a",
    },
    Example {
        name: "azure",
        provider: Provider::Azure,
        pools: ["mqorders", "mqevents"],
        taint: "az aks nodepool update --resource-group $RESOURCE_GROUP --cluster-name $CLUSTER --name mqorders \
                --node-taints dedicated=automq:NoSchedule",
        machine_type: "az aks nodepool add --resource-group $RESOURCE_GROUP --cluster-name $CLUSTER --name \
                       $NEW_POOL --node-vm-size Standard_D4as_v5",
        zone: "# limit the node pool to eastus-1",
    },
    Example {
        name: "gcp",
        provider: Provider::Gcp,
        pools: ["automq-orders", "automq-events"],
        taint: "gcloud container node-pools update automq-orders --cluster $CLUSTER --node-taints \
                dedicated=automq:NoSchedule",
        machine_type: "gcloud container node-pools create $NEW_POOL --cluster $CLUSTER --machine-type \
                       n4d-standard-2 --node-locations us-central1-a",
        zone: "gcloud container node-pools update automq-orders --cluster $CLUSTER --node-locations us-central1-a",
    },
    Example {
        name: "huawei",
        provider: Provider::Huawei,
        pools: ["automq-orders", "automq-events"],
        taint: "# then add the taint to the settings of the node pool automq-orders, for future nodes",
        machine_type: "# create a node pool of type m7.large.8 in cn-north-4a",
        zone: "# limit the node pool to cn-north-4a",
    },
    Example {
        name: "openshift",
        provider: Provider::Aws,
        pools: ["demo-automq-orders", "demo-automq-events"],
        taint: "# then add the taint to the settings of the node pool demo-automq-orders, for future nodes",
        machine_type: "# create a node pool of type r6i.large in us-east-1a",
        zone: "# limit the node pool to us-east-1a",
    },
    Example {
        name: "oracle",
        provider: Provider::Oracle,
        pools: ["automq-orders", "automq-events"],
        taint: "# then add the taint to the settings of the node pool automq-orders, for future nodes",
        machine_type: "# create a node pool of type VM.Standard.E5.Flex in PHX-AD-1",
        zone: "# limit the node pool to PHX-AD-1",
    },
    Example {
        name: "tencent",
        provider: Provider::Tencent,
        pools: ["np-1a2b3c4d", "np-5e6f7a8b"],
        taint: "tccli tke ModifyClusterNodePool --ClusterId $CLUSTER --NodePoolId np-1a2b3c4d --Taints \
                '[{\"Key\":\"dedicated\",\"Value\":\"automq\",\"Effect\":\"NoSchedule\"}]'",
        machine_type: "# create a node pool of type SA5.LARGE16 in 100003",
        zone: "# limit the node pool to 100003",
    },
];

/// A broker of the instance in one zone, and of the one in three.
const ORDERS: &str = "kf-orders-automq-enterprise-controller-0";
const EVENTS: &str = "kf-events-automq-enterprise-controller-2";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/clusters")
}

/// Runs a command in the root of the repository, with this text on standard input.
fn run_in_root(arguments: &[&str], input: &str) -> Said {
    let mut command = poolguard(arguments);
    said(with_input(input, command.current_dir(env!("CARGO_MANIFEST_DIR"))))
}

impl Example {
    fn dump_path(&self) -> String {
        format!("examples/clusters/{}.json", self.name)
    }

    fn config_path(&self) -> String {
        format!("examples/clusters/{}.config.yaml", self.name)
    }

    fn config(&self) -> String {
        fs::read_to_string(folder().join(format!("{}.config.yaml", self.name))).unwrap()
    }

    fn items(&self) -> Vec<Value> {
        let text = fs::read_to_string(folder().join(format!("{}.json", self.name))).unwrap();
        let mut list: Value = serde_json::from_str(&text).unwrap();
        serde_json::from_value(list["items"].take()).unwrap()
    }

    /// Plants a fault; the only error that is found then.
    #[track_caller]
    fn fault(&self, plant: impl FnOnce(&mut Vec<Value>)) -> CheckFinding {
        let mut items = self.items();
        plant(&mut items);
        let found = check(&self.config(), &items).findings;
        let mut errors: Vec<CheckFinding> =
            found.into_iter().filter(|it| it.fails_with(FindingSeverity::Error)).collect();
        assert_eq!(errors.len(), 1, "{}: {errors:#?}", self.name);
        errors.remove(0)
    }
}

fn check(config: &str, items: &[Value]) -> Fitness {
    let dump = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let inventory = Inventory::read_dump(&dump).unwrap();
    let loaded = config::load("config.yaml", config, inventory.index().provider())
        .unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    examine(&loaded.policy, &inventory)
}

fn object<'i>(items: &'i mut [Value], kind: &str, name: &str) -> &'i mut Value {
    let mut found =
        items.iter_mut().filter(|it| it["kind"] == kind && it["metadata"]["name"] == name);
    found.next().unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// The name of the node that a pod runs on.
fn host(items: &mut [Value], pod: &str) -> String {
    object(items, "Pod", pod)["spec"]["nodeName"].as_str().unwrap().to_owned()
}

/// The name of the volume of a broker.
fn volume(items: &mut [Value], pod: &str) -> String {
    let claim = object(items, "PersistentVolumeClaim", &format!("data-{pod}"));
    claim["spec"]["volumeName"].as_str().unwrap().to_owned()
}

/// `rule`, the pool and the fix.
#[track_caller]
fn assert_found(example: &Example, found: &CheckFinding, rule: &str, fix: &str) {
    let name = example.name;
    assert_eq!(
        (found.rule.as_str(), found.pool.as_deref()),
        (rule, Some(example.pools[0])),
        "{name}"
    );
    let printed = found.fix.as_deref().unwrap_or_default();
    assert!(printed.contains(fix), "{name}: {printed}");
}

#[test]
fn init_makes_the_config_that_stands_beside_each_cluster() {
    for example in &EXAMPLES {
        let said = run_in_root(&["init", "--cluster", &example.dump_path()], "");
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", example.name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(folder().join(format!("{}.config.yaml", example.name)), &said.out).unwrap();
        }
        assert_eq!(said.out, example.config(), "{}", example.name);
        let said = run_in_root(&["config", "check", &example.config_path()], "");
        assert_eq!(said.code, 0, "{}: {}", example.name, said.out);
    }
}

#[test]
fn nothing_is_wrong_with_any_of_the_clusters() {
    for example in &EXAMPLES {
        let fitness = check(&example.config(), &example.items());
        let name = example.name;
        let counts = if name == "openshift" { "1 note" } else { "every check passes" };
        assert_eq!(fitness.verdict(), format!("fit for AutoMQ: {counts}"), "{name}");
        assert!(fitness.missing.is_empty(), "{name}: {:?}", fitness.missing);
        let failed = fitness.findings.iter().filter(|it| it.status == Status::Fail);
        let failed: Vec<(&str, Option<&str>)> =
            failed.map(|it| (it.rule.as_str(), it.object.as_deref())).collect();
        // The pods of OpenShift's operators are no agents.
        let router = [("cluster-exclusive", Some("Namespace openshift-ingress"))];
        assert_eq!(failed, if name == "openshift" { &router[..] } else { &[] }, "{name}");
    }
}

#[test]
fn the_nodes_alone_tell_provider_and_pools() {
    for example in &EXAMPLES {
        let mut nodes = example.items();
        nodes.retain(|it| it["kind"] == "Node");
        let fitness = check("", &nodes);
        assert_eq!(fitness.provider, Some(example.provider), "{}", example.name);
        let mut found: Vec<(&str, usize)> =
            fitness.pools.iter().map(|pool| (pool.name.as_str(), pool.zones.len())).collect();
        found.sort_by_key(|(_, zones)| *zones);
        assert_eq!(found, [(example.pools[0], 1), (example.pools[1], 3)], "{}", example.name);
        assert_eq!(fitness.failures(FindingSeverity::Error), 0, "{}", example.name);
    }
}

/// The DaemonSets of the cloud, and a pod of each for a broker's node, as the controller makes it.
fn agents(items: &mut [Value]) -> Vec<Value> {
    let node = host(items, ORDERS);
    let sets = items
        .iter()
        .filter(|it| it["kind"] == "DaemonSet" && it["metadata"]["namespace"] != "observability");
    let mut made = Vec::new();
    for mut set in sets.cloned() {
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": set["metadata"]["namespace"],
                         "name": format!("{}-x7k2p", set["metadata"]["name"].as_str().unwrap()),
                         "labels": set["spec"]["template"]["metadata"]["labels"],
                         "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "controller": true,
                                              "name": set["metadata"]["name"], "uid": "1"}]},
            "spec": set["spec"]["template"]["spec"]});
        let field = json!({"key": "metadata.name", "operator": "In", "values": [node]});
        pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
            json!({"nodeSelectorTerms": [{"matchFields": [field]}]});
        for spec in [&mut pod["spec"], &mut set["spec"]["template"]["spec"]] {
            spec["containers"] = json!([{"name": "agent", "image": "registry.example/agent"}]);
        }
        made.extend([set, pod]);
    }
    made
}

#[test]
fn agents_of_the_cloud_pass_a_review_without_a_finding() {
    for example in &EXAMPLES {
        let agents = agents(&mut example.items());
        let manifests = json!({"apiVersion": "v1", "kind": "List", "items": agents}).to_string();
        let (config, dump) = (example.config_path(), example.dump_path());
        let review = ["review", "--config", &config, "--cluster", &dump, "-o", "json"];
        let who = ["--as", "system:serviceaccount:kube-system:daemon-set-controller"];
        let said =
            run_in_root(&[&review[..], &who, &["--fail-on", "warn", "-"]].concat(), &manifests);
        assert_eq!(said.code, 0, "{}: {said:?}", example.name);
        let answer = said.json();
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), agents.len(), "{}", example.name);
        for result in results {
            let is_quiet = result["denials"] == json!([]) && result["warnings"] == json!([]);
            assert!(is_quiet && result["judged"] == json!(true), "{}: {result}", example.name);
            let records = result["records"].as_array().unwrap().iter();
            let told: Vec<&Value> = records.filter(|it| it["decision"] != "exempt").collect();
            assert!(told.is_empty(), "{}: {told:?}", example.name);
        }
    }
}

#[test]
fn a_broker_node_without_the_taint_is_found() {
    for example in &EXAMPLES {
        let mut node = String::new();
        let found = example.fault(|items| {
            node = host(items, ORDERS);
            object(items, "Node", &node)["spec"]["taints"] = json!([]);
        });
        assert_found(example, &found, "node-taint", example.taint);
        let now = format!("kubectl taint node {node} dedicated=automq:NoSchedule\n");
        assert!(found.fix.unwrap().starts_with(&now), "{}", example.name);
        assert_eq!(found.node, Some(node), "{}", example.name);
    }
}

#[test]
fn a_wrong_machine_type_is_found() {
    for example in &EXAMPLES {
        let found = example.fault(|items| {
            let node = host(items, ORDERS);
            let labels = &mut object(items, "Node", &node)["metadata"]["labels"];
            labels["node.kubernetes.io/instance-type"] = json!("small.1");
            labels["beta.kubernetes.io/instance-type"] = json!("small.1");
        });
        assert_found(example, &found, "node-machine-type", example.machine_type);
        assert!(found.fact.contains("small.1"), "{}: {}", example.name, found.fact);
    }
}

#[test]
fn a_second_zone_is_found() {
    for example in &EXAMPLES {
        let found = example.fault(|items| {
            let (here, there) = (host(items, ORDERS), host(items, EVENTS));
            let other = object(items, "Node", &there)["metadata"]["labels"].clone();
            let mut node = object(items, "Node", &here).clone();
            node["metadata"]["name"] = json!("further");
            let labels = node["metadata"]["labels"].as_object_mut().unwrap();
            for (key, value) in labels.iter_mut().filter(|(key, _)| key.contains("zone")) {
                *value = other[key].clone();
            }
            items.push(node);
        });
        assert_found(example, &found, "node-zone", example.zone);
        assert_eq!(found.node.as_deref(), Some("further"), "{}", example.name);
    }
}

#[test]
fn a_broker_outside_its_pool_is_found() {
    for example in &EXAMPLES {
        let found = example.fault(|items| {
            let elsewhere = host(items, EVENTS);
            object(items, "Pod", ORDERS)["spec"]["nodeName"] = json!(elsewhere);
        });
        let fix = format!("kubectl delete pod -n automq-orders {ORDERS}");
        assert_found(example, &found, "pod-placement", &fix);
    }
}

#[test]
fn a_volume_in_another_zone_is_found_and_no_fix_deletes_it() {
    for example in &EXAMPLES {
        let found = example.fault(|items| {
            let (here, there) = (volume(items, ORDERS), volume(items, EVENTS));
            let other = object(items, "PersistentVolume", &there)["spec"]["nodeAffinity"].clone();
            object(items, "PersistentVolume", &here)["spec"]["nodeAffinity"] = other;
        });
        assert_found(example, &found, "volume-zone", "kubectl");
        assert!(!found.fix.unwrap().contains("delete"), "{}", example.name);
    }
}
