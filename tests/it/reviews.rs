//! Reviews that a real API server sent: each must get the outcome that was recorded with it.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeMap, fs, sync::Arc};

use arc_swap::ArcSwapOption;
use base64::{Engine, engine::general_purpose::STANDARD};
use poolguard::{
    server::limits::Limits,
    service::{AdmissionService, PolicyAndSnapshot},
    telemetry::{audit::Audit, metrics::Metrics},
};
use serde_json::{Value, json};

use crate::{
    http::Harness,
    scenario::{Scenario, data, data_text, recorded},
};

/// What each review must get; files and outcomes in the words of the table in `reviews/README.md`.
pub(crate) fn outcomes() -> BTreeMap<String, String> {
    let table = data_text("reviews/README.md");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (file, rest) = row.split_once('`').unwrap();
        let outcome = rest.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        (file.to_owned(), outcome.to_owned())
    })
    .collect()
}

/// Whether a response is what the table says.
#[track_caller]
fn check(file: &str, expected: &str, response: &Value) {
    let warnings = response["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let says = |rule: &str, text: &Value| text.as_str().unwrap().starts_with(&format!("[{rule}]"));
    if let Some(rule) = expected.strip_prefix("deny ") {
        let rule = rule.split(',').next().unwrap();
        assert_eq!(response["allowed"], false, "{file}");
        assert_eq!(response["status"]["code"], 403, "{file}");
        assert_eq!(response["status"]["reason"], "Forbidden", "{file}");
        assert!(says(rule, &response["status"]["message"]), "{file}: {response}");
        assert_eq!(response["auditAnnotations"]["rule"], rule, "{file}");
        assert_eq!(response["auditAnnotations"]["decision"], "deny", "{file}");
        return;
    }
    assert_eq!(response["allowed"], true, "{file}: {response}");
    assert!(response.get("status").is_none(), "{file}");
    match expected.strip_prefix("warn ") {
        Some(rule) => assert!(warnings.iter().any(|it| says(rule, it)), "{file}: {response}"),
        None => assert!(warnings.is_empty(), "{file}: {response}"),
    }
    assert_eq!(response.get("patch").is_some(), expected.starts_with("patch"), "{file}");
    if expected.contains("reported") {
        assert_eq!(response["auditAnnotations"]["decision"], "audit", "{file}");
    }
    if expected.contains("exempt") {
        assert_eq!(response["auditAnnotations"]["decision"], "exempt", "{file}");
    }
}

/// The webhook's service, with the guard of a scenario, and an audit stream that nobody reads.
fn service(scenario: Option<Scenario>) -> AdmissionService {
    let guard = scenario.map(|Scenario { policy, snapshot }| {
        Arc::new(PolicyAndSnapshot { policy: Arc::new(policy), snapshot })
    });
    let metrics = Arc::new(Metrics::new().unwrap());
    let (audit, _writer) = Audit::start([], None).unwrap();
    AdmissionService::new(Arc::new(ArcSwapOption::from(guard)), metrics, audit, Arc::default())
}

#[tokio::test]
async fn every_recorded_review_gets_its_outcome_over_tls() {
    let harness = Harness::start(service(Some(Scenario::recorded())), Limits::default()).await;
    let mut connection = harness.connect().await;
    let outcomes = outcomes();
    let files = fs::read_dir(data("reviews")).unwrap();
    let files = files.filter(|it| it.as_ref().unwrap().path().extension().unwrap() == "json");
    assert_eq!(
        outcomes.len(),
        files.count(),
        "a review is missing in the table, or a row too many"
    );
    for (file, expected) in &outcomes {
        let path = if file.starts_with("mutate-") { "/mutate" } else { "/validate" };
        let body = data_text(&format!("reviews/{file}.json"));
        let reply = connection.post(&format!("{path}?timeout=10s"), &body).await;
        assert_eq!(reply.status, 200, "{file}: {}", reply.body);
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(answer["kind"], "AdmissionReview");
        assert_eq!(answer["response"]["uid"], recorded(file)["request"]["uid"], "{file}");
        check(file, expected, &answer["response"]);
    }
}

#[tokio::test]
async fn the_patch_is_base64_and_makes_the_broker_fit() {
    let harness = Harness::start(service(Some(Scenario::recorded())), Limits::default()).await;
    let mut connection = harness.connect().await;
    let mut review = recorded("mutate-pod-create-automq-broker");
    let reply = connection.post("/mutate", &review.to_string()).await;
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(answer["response"]["patchType"], "JSONPatch");
    let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    let object = &mut review["request"]["object"];
    json_patch::patch(object, &patch).unwrap();
    let affinity = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/\
                    nodeSelectorTerms/0/matchExpressions";
    let expected = json!([
        { "key": "eks.amazonaws.com/nodegroup", "operator": "In", "values": ["automq-abc"] },
        {
            "key": "topology.kubernetes.io/zone",
            "operator": "In",
            "values": ["us-east-1a", "us-east-1b", "us-east-1c"],
        },
    ]);
    assert_eq!(object.pointer(affinity), Some(&expected));
    for path in ["/mutate", "/validate"] {
        let reply = connection.post(path, &review.to_string()).await;
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(answer["response"]["allowed"], true);
        assert!(answer["response"].get("patch").is_none(), "{path} patches a second time");
        assert!(answer["response"].get("warnings").is_none(), "{path} warns");
    }
}

#[tokio::test]
async fn before_the_snapshot_is_loaded_nothing_is_decided() {
    let harness = Harness::start(service(None), Limits::default()).await;
    let body = data_text("reviews/pod-create-plain-with-finalizer.json");
    let reply = harness.connect().await.post("/validate", &body).await;
    assert_eq!(reply.status, 503);
}

#[tokio::test]
async fn what_cannot_be_read_is_400_and_never_an_allow() {
    let harness = Harness::start(service(Some(Scenario::recorded())), Limits::default()).await;
    let mut connection = harness.connect().await;
    let pod = recorded("pod-create-plain-with-finalizer");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut review = pod.clone();
        change(&mut review);
        review.to_string()
    };
    let bodies = [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        format!("{pod} x"),
        with(&|it| it["apiVersion"] = json!("admission.k8s.io/v1beta1")),
        with(&|it| it["kind"] = json!("Review")),
        with(&|it| it["request"] = json!(null)),
        with(&|it| it["request"]["uid"] = json!("")),
        with(&|it| it["request"]["object"] = json!(null)),
        with(&|it| it["request"]["object"]["spec"]["tolerations"] = json!("all")),
        with(&|it| it["request"]["object"]["spec"]["nodeName"] = json!(7)),
        with(&|it| it["request"]["object"]["spec"] = json!(null)),
        with(&|it| it["request"]["operation"] = json!("UPDATE")),
        with(&|it| it["request"]["operation"] = json!("create")),
        with(&|it| it["request"]["operation"] = json!(null)),
        with(&|it| it["request"]["resource"] = json!({})),
    ];
    for body in bodies {
        let reply = connection.post("/validate", &body).await;
        assert_eq!(reply.status, 400, "{body:.80}");
        assert_eq!(reply.body.lines().count(), 1, "{}", reply.body);
    }
    assert_eq!(connection.post("/validate", &pod.to_string()).await.status, 200);
}
