//! Reports, in the kinds that the cluster has: custom resources, of which the API server prunes what
//! their schema lacks and refuses what it forbids.

use poolguard::api::reports::{ReportApi, ReportPlace};
use serde_json::{Value, json};

use super::pods::{POOL_A_NODE, SHOP};
use crate::world::{World, eventually, intruder, pod};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A line of a report, as both kinds define it.
fn line() -> Value {
    let text = json!({"type": "string"});
    let one_of = |values: &[&str]| json!({"type": "string", "enum": values});
    json!({
        "type": "object",
        "required": ["policy"],
        "properties": {
            "source": text, "policy": text, "rule": text, "category": text, "message": text,
            "severity": one_of(&["critical", "high", "low", "medium", "info"]),
            "result": one_of(&["pass", "fail", "warn", "error", "skip"]),
            "scored": {"type": "boolean"},
            "timestamp": {
                "type": "object",
                "required": ["seconds", "nanos"],
                "properties": {
                    "seconds": {"type": "integer", "format": "int64"},
                    "nanos": {"type": "integer", "format": "int32"},
                },
            },
            "resources": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "apiVersion": text, "kind": text, "namespace": text, "name": text, "uid": text,
                    },
                },
            },
            "properties": {"type": "object", "additionalProperties": text},
        },
    })
}

fn definition(api: ReportApi, is_namespaced: bool) -> Value {
    let (resource, kind) = (api.resource(is_namespaced), api.kind(is_namespaced));
    let (group, version) = api.group_version().split_once('/').unwrap();
    let count = json!({"type": "integer"});
    let mut properties = json!({
        "results": {"type": "array", "items": line()},
        "summary": {
            "type": "object",
            "properties": {
                "pass": count, "fail": count, "warn": count, "error": count, "skip": count,
            },
        },
    });
    if api == ReportApi::OpenReports {
        properties["source"] = json!({"type": "string"});
        properties["configuration"] = json!({
            "type": "object",
            "properties": {
                "limits": {"type": "object", "properties": {"maxResults": {"type": "integer"}}},
            },
        });
    }
    json!({
        "metadata": {
            "name": format!("{resource}.{group}"),
            // Groups of the project's own domain say where they were approved.
            "annotations": {"api-approved.kubernetes.io": "unapproved, a test"},
        },
        "spec": {
            "group": group,
            "scope": if is_namespaced { "Namespaced" } else { "Cluster" },
            "names": {"plural": resource, "kind": kind, "singular": kind.to_lowercase()},
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
            }],
        },
    })
}

/// What a report says of a rule, if it is there; at least one thing.
async fn told(
    world: &World,
    api: ReportApi,
    namespace: &str,
    name: &str,
    rule: &str,
) -> Result<Value, String> {
    let path = format!("{}/{name}", api.path(ReportPlace::of(namespace)));
    let report = world.admin.get(&path).await.map_err(|refusal| refusal.to_string())?;
    let results = report["results"].as_array().cloned().unwrap_or_default();
    let found = results.into_iter().find(|it| it["policy"] == rule);
    found.ok_or_else(|| format!("{path} says nothing of {rule}"))
}

pub(crate) async fn what_stands_and_what_is_denied_is_reported(world: &mut World) {
    world.scale(1).await;
    for api in ReportApi::ALL {
        for is_namespaced in [true, false] {
            world.admin.create(DEFINITIONS, &definition(api, is_namespaced)).await.unwrap();
        }
    }
    let mut resident = pod("resident");
    resident["spec"]["nodeName"] = POOL_A_NODE.into();
    world.break_glass().create(SHOP, &resident).await.unwrap();
    world.configure("scan: {interval: 1s}");
    for api in ReportApi::ALL {
        let is_told = async || {
            let result = told(world, api, "shop", "poolguard", "pod-intrusion").await?;
            assert_eq!(result["resources"][0]["name"], "resident");
            let result = told(world, api, "", "poolguard", "webhook-registration").await?;
            if result["result"] == "pass" { Ok(()) } else { Err(result.to_string()) }
        };
        eventually("the resident is reported, and the registration", is_told).await;
    }
    let refusal = world.alice.create(SHOP, &intruder("sneaky")).await.unwrap_err();
    assert_eq!(refusal.code, 403);
    for api in ReportApi::ALL {
        let is_told = async || {
            let result = told(world, api, "shop", "poolguard-denials", "pod-intrusion").await?;
            assert_eq!(result["result"], "fail");
            Ok(())
        };
        eventually("the denial is reported", is_told).await;
    }
}

pub(crate) async fn reports_that_say_the_same_are_not_written(world: &mut World) {
    world.scale(1).await;
    let path = format!("{}/poolguard", ReportApi::OpenReports.path(ReportPlace::Cluster));
    let version =
        async || world.admin.get(&path).await.unwrap()["metadata"]["resourceVersion"].clone();
    let scans = async || world.sum("poolguard_scan_last_success_timestamp_seconds").await;
    let (before, began) = (version().await, scans().await);
    let is_past = async || {
        let passed = scans().await.saturating_sub(began);
        if passed > 3 { Ok(()) } else { Err(format!("{passed} seconds of scans")) }
    };
    eventually("it has scanned again", is_past).await;
    assert_eq!(version().await, before);
}

pub(crate) async fn a_report_goes_when_all_is_mended(world: &mut World) {
    world.scale(1).await;
    world.alice.delete(&format!("{SHOP}/resident?gracePeriodSeconds=0")).await.unwrap();
    for api in ReportApi::ALL {
        let path = format!("{}/poolguard", api.path(ReportPlace::Namespace("shop")));
        let is_gone = async || match world.admin.get(&path).await {
            Ok(report) => Err(report.to_string()),
            Err(refusal) if refusal.code == 404 => Ok(()),
            Err(refusal) => Err(refusal.to_string()),
        };
        eventually("the report is gone", is_gone).await;
    }
    world.configure("");
}
