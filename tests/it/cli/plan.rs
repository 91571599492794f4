//! `check --terraform-plan`: node pools before there are any.

use serde_json::{Value, json};

use super::{Said, poolguard, run, run_on, said};
use crate::scenario::data_text;

const DIRECT: &str = "terraform/eks-pools-direct.json";
const FOR_EACH: &str = "terraform/eks-pools-for-each.json";

fn check(plan: &str, arguments: &[&str]) -> Said {
    run(&[&["check", "--terraform-plan", plan], arguments].concat())
}

/// The plan whose zones are known, changed first.
fn changed(change: impl FnOnce(&mut Value), arguments: &[&str]) -> Said {
    let mut plan: Value = serde_json::from_str(&data_text(DIRECT)).unwrap();
    change(&mut plan);
    run_on(&plan.to_string(), &[&["check", "--terraform-plan", "-"], arguments].concat())
}

/// The table without its line breaks.
fn words(said: &Said) -> String {
    said.out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The node group that is in one zone.
fn one_zone(plan: &mut Value) -> &mut Value {
    let changes = plan["resource_changes"].as_array_mut().unwrap();
    changes.iter_mut().find(|it| it["address"] == "aws_eks_node_group.one_zone").unwrap()
}

/// `status severity rule pool` of what is said of the node group in one zone.
fn said_of_one_zone(said: &Said) -> Vec<String> {
    let answer = said.json();
    let findings = answer["findings"].as_array().unwrap().iter();
    findings
        .filter(|it| it["object"] == "aws_eks_node_group.one_zone" && it["status"] != "pass")
        .map(|it| ["status", "severity", "rule"].map(|key| it[key].as_str().unwrap()).join(" "))
        .collect()
}

#[test]
fn zones_are_read_where_subnets_are_named() {
    let said = check(DIRECT, &[]);
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{}", said.out);
    said.assert_plain();
    insta::assert_snapshot!("plan-direct", said.out);
}

#[test]
fn a_taint_with_another_value_keeps_all_pods_off() {
    for (value, effect, why) in [
        ("automq", "PREFER_NO_SCHEDULE", "The scheduler can place any pod on these nodes"),
        ("", "NO_SCHEDULE", "so the scheduler does not place them on these nodes"),
        ("automq", "NO_EXECUTE", "so Kubernetes evicts them from these nodes"),
    ] {
        let said = changed(
            |plan| {
                one_zone(plan)["change"]["after"]["taint"] =
                    json!([{"key": "dedicated", "value": value, "effect": effect}]);
            },
            &[],
        );
        assert!(words(&said).contains(why), "{value} {effect}: {}", said.out);
    }
}

#[test]
fn what_a_plan_does_not_know_is_unknown() {
    let said = check(FOR_EACH, &["--config", "terraform/config.yaml"]);
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{}", said.out);
    insta::assert_snapshot!("plan-for-each", said.out);
}

#[test]
fn without_a_config_pools_are_found_by_the_taint_that_was_meant() {
    let said = check(FOR_EACH, &["-o", "json"]);
    assert_eq!(said.code, 1);
    let answer = said.json();
    let errors = answer["findings"].as_array().unwrap().iter();
    let errors = errors.filter(|it| it["status"] == "fail" && it["severity"] == "error");
    let errors: Vec<_> = errors.map(|it| (it["rule"].clone(), it["pool"].clone())).collect();
    assert_eq!(errors, [(json!("node-taint"), json!("automq-soft"))]);
    let system =
        "Node pools automq-bare and system have no AutoMQ taint, so other pods can run there";
    assert!(said.out.contains(system), "{}", said.out);
}

/// Adds a taint that AutoMQ's pods do not tolerate.
fn other_taint(taints: &mut Value, effect: &str) {
    taints.as_array_mut().unwrap().push(json!({"key": "a", "value": "b", "effect": effect}));
}

/// Where the node group in one zone changes, how, and what is said then.
type Case = (&'static str, fn(&mut Value), &'static str);

#[test]
fn a_change_of_a_plan_changes_one_finding() {
    let is_sound = changed(|_| {}, &["-o", "json"]);
    assert_eq!(said_of_one_zone(&is_sound), [""; 0]);
    let cases: [Case; 12] = [
        ("/change/after/taint", |it| *it = json!([]), ""),
        (
            "/change/after/taint/0/effect",
            |it| *it = json!("PREFER_NO_SCHEDULE"),
            "fail error node-taint",
        ),
        ("/change/after/taint", |it| other_taint(it, "NO_EXECUTE"), "fail error node-taint"),
        ("/change/after/taint", |it| other_taint(it, "NO_SCHEDULE"), "fail warning node-taint"),
        ("/change/after_unknown/taint", |it| *it = json!(true), "unknown error node-taint"),
        (
            "/change/after/instance_types/0",
            |it| *it = json!("t3.micro"),
            "fail warning node-machine-type",
        ),
        (
            "/change/after_unknown/instance_types",
            |it| *it = json!(true),
            "unknown warning node-machine-type",
        ),
        (
            "/change/after/scaling_config/0/desired_size",
            |it| *it = json!(2),
            "fail warning pool-size",
        ),
        (
            "/change/after_unknown/scaling_config/0",
            |it| *it = json!({"desired_size": true}),
            "unknown warning pool-size",
        ),
        ("/change/actions", |it| *it = json!(["delete", "create"]), "fail warning node-identity"),
        ("/change/actions", |it| *it = json!(["create", "delete"]), "fail warning node-identity"),
        ("/name", |it| *it = json!("elsewhere"), "unknown error node-zone"),
    ];
    for (pointer, change, expected) in cases {
        let said =
            changed(|plan| change(one_zone(plan).pointer_mut(pointer).unwrap()), &["-o", "json"]);
        let expected: Vec<&str> = Some(expected).filter(|it| !it.is_empty()).into_iter().collect();
        assert_eq!(said_of_one_zone(&said), expected, "{pointer}");
    }
}

#[test]
fn the_reason_of_a_taint_instead_of_the_pools_is_what_its_effect_does() {
    for (effect, why) in [
        ("NO_EXECUTE", "AutoMQ's pods tolerate only the taint in PoolGuard's config"),
        ("PREFER_NO_SCHEDULE", "The scheduler can place any pod on these nodes"),
    ] {
        let said = changed(
            |plan| one_zone(plan)["change"]["after"]["taint"][0]["effect"] = json!(effect),
            &["-o", "json"],
        );
        let answer = said.json();
        let mut findings = answer["findings"].as_array().unwrap().iter();
        let found = findings.find(|it| it["rule"] == "node-taint" && it["status"] == "fail");
        let message = found.unwrap()["message"].as_str().unwrap();
        assert!(message.contains(why), "{effect}: {message}");
    }
}

#[test]
fn a_pool_that_goes_is_not_judged_by_what_it_was() {
    let said = changed(
        |plan| {
            let change = &mut one_zone(plan)["change"];
            change["before"] = change["after"].take();
            change["actions"] = json!(["delete"]);
        },
        &["-o", "json"],
    );
    assert_eq!(said_of_one_zone(&said), ["fail warning node-identity"]);
}

/// What is said of two node groups by the name of automq-a, as the config of the other plan has it.
fn twins(change: impl FnOnce(&mut Value)) -> Said {
    changed(
        |plan| {
            let mut twin = one_zone(plan).clone();
            twin["address"] = json!("aws_eks_node_group.twin");
            twin["name"] = json!("two_zones");
            twin["change"]["after"]["scaling_config"][0]["desired_size"] = json!(1);
            change(&mut twin);
            plan["resource_changes"].as_array_mut().unwrap().push(twin);
        },
        &["--config", "terraform/config.yaml"],
    )
}

#[test]
fn node_pools_of_one_pool_are_judged_together() {
    let together = words(&twins(|_| {}));
    assert!(together.contains("The plan puts pool pool-a in 2 zones"), "{together}");
    assert!(together.contains("pool-size 4 nodes"), "{together}");
    let apart = words(&twins(|twin| twin["change"]["after"]["cluster_name"] = json!("staging")));
    assert!(apart.contains("pool pool-a (aws_eks_node_group.twin) planned"), "{apart}");
    assert!(apart.contains("starts with 1 node; AutoMQ needs 3"), "{apart}");
}

#[test]
fn what_labels_decide_is_unknown_with_them() {
    let told = |change: fn(&mut Value)| {
        let config = ["--config", "terraform/config.yaml"];
        words(&changed(|plan| change(&mut one_zone(plan)["change"]), &config))
    };
    let tainted = told(|it| it["after_unknown"]["node_group_name"] = json!(true));
    assert!(tainted.contains("cannot tell whether a declared pool selects"), "{tainted}");
    let bare = told(|it| {
        it["after_unknown"]["node_group_name"] = json!(true);
        it["after"]["taint"] = json!([]);
    });
    let unknown = "The plan does not contain the labels of node pool aws_eks_node_group.one_zone";
    assert!(bare.contains(unknown), "{bare}");
}

#[test]
fn machines_are_given_the_same() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/check.schema.json")).unwrap();
    for plan in [DIRECT, FOR_EACH] {
        let answer = check(plan, &["-o", "json"]).json();
        assert!(jsonschema::is_valid(&schema, &answer), "{answer}");
    }
    let junit = check(DIRECT, &["-o", "junit"]).out;
    let suite =
        junit.lines().find(|it| it.contains("\"terraform/eks-pools-direct.json\"")).unwrap();
    for attribute in ["tests=\"9\"", "failures=\"1\""] {
        assert!(suite.contains(attribute), "{suite}");
    }
    assert!(junit.contains("classname=\"plan.system-pool\""), "{junit}");
    let cases = check(FOR_EACH, &["--config", "terraform/config.yaml", "-o", "junit"]).out;
    let mut names: Vec<&str> = cases
        .lines()
        .filter_map(|line| line.split_once("<testcase ")?.1.split_once('>'))
        .map(|it| it.0.trim_end_matches('/'))
        .collect();
    let number = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), number, "a build server tells cases apart by their names");
    let page = check(DIRECT, &["-o", "html"]).out;
    for words in
        ["The whole plan", "6 nodes planned", "us-east-1b <span>planned", "does not contain pods"]
    {
        assert!(page.contains(words), "{words} is missing in {page}");
    }
    assert_eq!(check(DIRECT, &["--fail-on", "unknown"]).code, 1);
}

#[test]
fn the_environment_stands_for_the_flag() {
    let by_environment = said(poolguard(&["check"]).env("POOLGUARD_TERRAFORM_PLAN", DIRECT));
    assert_eq!(by_environment.out, check(DIRECT, &[]).out);
}

#[test]
fn what_is_no_plan_is_exit_code_2() {
    for (plan, words) in [
        ("no-such.json", "no-such.json"),
        ("config.yaml", "it is not one JSON document"),
        ("cluster.json", "it has no `format_version`"),
    ] {
        let said = check(plan, &[]);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{plan}: {said:?}");
        assert!(said.err.contains(words), "{plan}: {}", said.err);
    }
    for (key, value, words) in [
        ("format_version", json!("2.0"), "\"2.0\""),
        ("errored", json!(true), "planning failed"),
        ("resource_changes", json!([]), "aws_eks_node_group, google_container"),
        (
            "resource_changes",
            json!(null),
            "the plan contains no resource that PoolGuard knows as a node pool",
        ),
    ] {
        let said = changed(|plan| plan[key] = value, &[]);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{words}: {said:?}");
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    let state =
        run_on(r#"{"format_version": "1.0", "values": {}}"#, &["check", "--terraform-plan", "-"]);
    assert!(state.err.contains("it is a Terraform state, not a plan"), "{}", state.err);
    let both = check(DIRECT, &["--cluster", "cluster.json"]);
    assert_eq!(both.code, 2);
    assert!(both.err.contains("cannot be used with"), "{}", both.err);
}

/// A plan of two node pools, one in one zone, with AutoMQ's own resource beside them.
fn with_instance(change: impl FnOnce(&mut Value)) -> Said {
    changed(
        |plan| {
            let pool = one_zone(plan)["change"]["after"].clone();
            let mut instance = json!({
                "address": "automq_kafka_instance.kafka", "mode": "managed",
                "type": "automq_kafka_instance", "name": "kafka",
                "change": {"actions": ["create"], "before": null, "after_unknown": {}, "after": {
                    "name": "kafka", "features": {"wal_mode": "S3WAL"},
                    "compute_specs": {
                        "deploy_type": "K8S",
                        "networks": [{"zone": "us-east-1a", "subnets": ["subnet-a"]}],
                        "instance_types": pool["instance_types"],
                        "schedule_spec": format!(
                            "nodeSelector: {{eks.amazonaws.com/nodegroup: {}}}\n\
                             tolerations: [{{key: dedicated, operator: Equal, value: automq, effect: NoSchedule}}]\n",
                            pool["node_group_name"].as_str().unwrap()
                        ),
                    },
                }},
            });
            change(&mut instance["change"]);
            plan["resource_changes"].as_array_mut().unwrap().push(instance);
        },
        &["-o", "json"],
    )
}

/// What is said of the instance, without what passes.
fn said_of_instance(said: &Said) -> Vec<String> {
    let answer = said.json();
    let findings = answer["findings"].as_array().unwrap().iter();
    let own = findings
        .filter(|it| it["object"] == "automq_kafka_instance.kafka" && it["status"] != "pass");
    own.map(|it| it["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn plan_holds_an_instance_against_its_pool_and_against_what_automq_asks() {
    assert_eq!(said_of_instance(&with_instance(|_| {})), [""; 0]);
    let specs = |change: &mut Value, key: &str, value: Value| {
        change["after"]["compute_specs"][key] = value;
    };
    for (key, value, expected) in [
        (
            "networks",
            json!([{"zone": "us-east-1a"}, {"zone": "us-east-1b"}]),
            "is planned in 2 zones",
        ),
        ("instance_types", json!(["a", "b"]), "has 2 machine types"),
        ("instance_types", json!(["m5.large"]), "requires the machine type m5.large"),
        ("networks", json!([{"zone": "us-east-1c"}]), "is planned in us-east-1c, where node pool"),
        ("schedule_spec", json!("nodeSelector: {a: b}"), "selects no node pool of the plan"),
        (
            "schedule_spec",
            json!("tolerations: []"),
            "does not tolerate dedicated=automq:NoSchedule",
        ),
        ("schedule_spec", json!("{"), "is not YAML"),
    ] {
        let said = said_of_instance(&with_instance(|change| specs(change, key, value.clone())));
        assert!(said.iter().any(|it| it.contains(expected)), "{key} {value}: {said:?}");
    }
    let wal = with_instance(|change| change["after"]["features"]["wal_mode"] = json!("FSWAL"));
    assert!(said_of_instance(&wal)[0].contains("FSWAL"));
    let changed = with_instance(|change| {
        change["actions"] = json!(["update"]);
        change["before"] = change["after"].clone();
        change["before"]["compute_specs"]["schedule_spec"] = json!("nodeSelector: {a: c}");
    });
    assert!(
        said_of_instance(&changed)[0].starts_with("The plan changes compute_specs.schedule_spec")
    );
}

#[test]
fn what_a_plan_takes_from_the_role_of_a_pool_is_an_error() {
    let detached = json!({
        "address": "aws_iam_role_policy_attachment.s3", "mode": "managed",
        "type": "aws_iam_role_policy_attachment", "name": "s3",
        "change": {"actions": ["delete"], "after": null,
                   "before": {"role": "automq-node", "policy_arn": "arn:aws:iam::aws:policy/S3"}},
    });
    let said = run_on(
        &json!({"format_version": "1.2", "resource_changes": [detached]}).to_string(),
        &["check", "--terraform-plan", "-", "--config", "terraform/roles.yaml", "-o", "json"],
    );
    let answer = said.json();
    let findings = answer["findings"].as_array().unwrap();
    let found = findings.iter().find(|it| it["rule"] == "role-binding").unwrap();
    insta::assert_snapshot!(found["message"].as_str().unwrap(), @"The plan takes arn:aws:iam::aws:policy/S3 from the role arn:aws:iam::111122223333:role/automq-node of pool pool-a. Brokers on the pool's nodes could lose access to object storage and disks");
    assert_eq!(
        (&found["severity"], &found["pool"], said.code),
        (&json!("error"), &json!("pool-a"), 1)
    );
}

#[test]
fn a_manifest_of_a_plan_is_judged_as_a_node_pool_object() {
    let manifest = |taints: &Value| {
        let manifest = json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "automq-a"},
            "spec": {"template": {"metadata": {"labels": {"eks.amazonaws.com/nodegroup": "automq-a"}},
                                  "spec": {"taints": taints}}},
        });
        let change = json!({
            "address": "kubernetes_manifest.pool", "mode": "managed", "type": "kubernetes_manifest", "name": "pool",
            "change": {"actions": ["create"], "before": null, "after": {"manifest": manifest}, "after_unknown": {}},
        });
        let said = run_on(
            &json!({"format_version": "1.2", "resource_changes": [change]}).to_string(),
            &["check", "--terraform-plan", "-", "--config", "terraform/roles.yaml", "-o", "json"],
        );
        let answer = said.json();
        let findings = answer["findings"].as_array().unwrap();
        let own = findings.iter().filter(|it| it["rule"] == "node-pool");
        own.map(|it| {
            format!("{} {}", it["status"].as_str().unwrap(), it["object"].as_str().unwrap())
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(manifest(&json!([])), ["fail kubernetes_manifest.pool"]);
    let taint = json!([{"key": "dedicated", "value": "automq", "effect": "NoSchedule"}]);
    assert_eq!(manifest(&taint), ["pass kubernetes_manifest.pool"]);
}

/// Runs terraform; `None` if it is not at hand, or cannot do it here.
fn terraform(folder: &std::path::Path, arguments: &[&str]) -> Option<String> {
    let output =
        std::process::Command::new("terraform").args(arguments).current_dir(folder).output();
    let output = output.ok().filter(|it| it.status.success())?;
    String::from_utf8(output.stdout).ok()
}

#[test]
fn a_fresh_plan_is_read_where_terraform_and_its_providers_are_at_hand() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = data_text("terraform/eks-pools-direct.tf");
    std::fs::write(folder.path().join("main.tf"), configuration).unwrap();
    let steps: [&[&str]; 3] = [
        &["init", "-input=false"],
        &["plan", "-input=false", "-refresh=false", "-out=plan"],
        &["show", "-json", "plan"],
    ];
    let shown = steps.iter().map(|step| terraform(folder.path(), step)).collect::<Option<Vec<_>>>();
    let Some(shown) = shown else {
        eprintln!("skipped: terraform, or a provider of it, is not at hand");
        return;
    };
    let said = run_on(&shown[2], &["check", "--terraform-plan", "-", "-o", "json"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(!said.json()["findings"].as_array().unwrap().is_empty());
}
