//! What holds of every body, whatever is in it. The fuzz targets include this file.

#![allow(dead_code, reason = "each of the fuzz targets calls some of the functions")]

use std::{sync::LazyLock, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use poolguard::{
    admission::review::{Malformed, parse, render},
    cluster::Index,
    config,
    policy::{
        Phase, Policy, decide,
        mode::RuleName,
        snapshot::Snapshot,
        verdict::{Outcome, Record, Verdict},
    },
    telemetry::audit::{Audit, Circumstances},
};
use serde_json::{Value, json};

const CONFIG: &str = include_str!("../../data/config.yaml");
const CLUSTER: &str = include_str!("../../data/cluster.json");

/// A config that says everything that the recorded one leaves at its default.
const OTHER_CONFIG: &str = r#"
apiVersion: poolguard.io/v1alpha1
kind: PoolGuardConfig
provider: aws
automq:
  namespaces: [automq, "automq-instance-*"]
  pods: {matchExpressions: [{key: foreign, operator: DoesNotExist}]}
  serviceAccounts: [default, "automq*"]
pools:
- name: pool-b
  nodes: {matchExpressions: [{key: eks.amazonaws.com/nodegroup, operator: In, values: [automq-a, automq-b]}]}
  taint: {effect: NoExecute}
- name: pool-abc
  nodes:
    matchLabels: {eks.amazonaws.com/nodegroup: automq-abc}
    matchExpressions: [{key: tier, operator: NotIn, values: [cold]}, {key: kubernetes.io/os, operator: Exists}]
  zones: [us-east-1a, us-east-1b, us-east-1c]
- {name: pool-zero, nodes: {matchLabels: {tier: hot}}, zones: [us-east-1d], taint: {value: other}}
instances:
- {name: one, namespace: automq-instance-1, pool: pool-b, zoneSpread: ScheduleAnyway}
- {name: two, namespace: automq-instance-2, pool: pool-zero, pods: {matchLabels: {app: kafka}}}
- {name: three, namespace: automq-instance-3, pool: pool-abc, zoneSpread: DoNotSchedule}
exempt:
- {namespace: monitoring, daemonSets: ["node-*"], reason: node metrics}
- {namespace: kube-system, serviceAccounts: [default], reason: system}
protected:
- {name: everything, resource: configmaps, names: ["*"]}
- {name: odd, resource: roles.rbac.authorization.k8s.io, namespace: automq, names: [odd], fields: [/rules, "/a~1b/m~0n"]}
principals: {trusted: {users: ["trusted-*"], groups: [platform], serviceAccounts: ["automq/*"]}}
placement: {comparisonOperators: true, transientTaints: [spot]}
rules:
  pod-intrusion: {daemonSets: warn}
  workload-intrusion: {mode: enforce}
  cluster-exclusive: {mode: warn}
  node-machine-type: {mode: enforce, denyJoin: true}
  node-zone: {mode: enforce, denyJoin: true}
"#;

/// A config over the recorded cluster.
pub(crate) struct World {
    policy: Policy,
    snapshot: Snapshot,
}

/// The configs that everything is tried under.
pub(crate) static WORLDS: LazyLock<[World; 2]> = LazyLock::new(worlds);

pub(crate) fn worlds() -> [World; 2] {
    [CONFIG, OTHER_CONFIG].map(World::new)
}

/// A decided request.
pub(crate) struct Decided {
    pub(crate) verdict: Verdict,
    /// As it goes over the wire.
    pub(crate) answer: Vec<u8>,
}

impl World {
    fn new(config: &str) -> Self {
        let index = Index::read_dump(CLUSTER).expect("the recorded cluster is readable");
        let loaded = config::load("config.yaml", config, index.provider())
            .unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        let snapshot = index.snapshot(&loaded.policy);
        Self { policy: loaded.policy, snapshot }
    }

    /// Writes the audit lines of a review, in both phases, as both kinds of sinks get them.
    pub(crate) fn audit(&self, body: &[u8], audit: &Audit) {
        let Self { policy, snapshot } = self;
        for phase in [Phase::Mutate, Phase::Validate] {
            if let Ok(request) = parse(body, |target| policy.reads(snapshot, phase, target)) {
                let verdict = decide(policy, snapshot, phase, &request);
                let circumstances = Circumstances {
                    duration: Duration::from_micros(7),
                    is_authenticated: false,
                    is_stale: false,
                };
                audit.record(&request, &verdict, circumstances);
            }
        }
    }

    pub(crate) fn decide(&self, phase: Phase, body: &[u8]) -> Result<Decided, Malformed> {
        let Self { policy, snapshot } = self;
        let request = parse(body, |target| policy.reads(snapshot, phase, target))?;
        let verdict = decide(policy, snapshot, phase, &request);
        let answer = render(&request, &verdict).expect("every verdict can be written");
        check_answer(phase, &request.uid, &verdict, &answer);
        Ok(Decided { verdict, answer })
    }

    /// What holds of any bytes: an error or an answer, the same every time, and a patch that fits.
    pub(crate) fn check(&self, body: &[u8]) {
        self.check_decisions(body);
        // Written anew, so that no key is there twice: who reads such a body reads what he likes.
        if let Ok(review) = serde_json::from_slice::<Value>(body) {
            self.check_patch(review);
        }
    }

    /// What holds of any bytes: an error or an answer, the same every time.
    pub(crate) fn check_decisions(&self, body: &[u8]) {
        for phase in [Phase::Mutate, Phase::Validate] {
            match (self.decide(phase, body), self.decide(phase, body)) {
                (Ok(one), Ok(other)) => assert_eq!(one.answer, other.answer),
                (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
                (one, _) => panic!("{phase:?} was first answered: {}, then not", one.is_ok()),
            }
        }
    }

    /// What holds of a patch: it fits, touches only what it may, and there is no second one.
    pub(crate) fn check_patch(&self, mut review: Value) {
        let Ok(mutated) = self.decide(Phase::Mutate, review.to_string().as_bytes()) else { return };
        let Outcome::Allow(operations) = mutated.verdict.outcome else { return };
        let resource = review["request"]["resource"]["resource"].clone();
        let before = review["request"]["object"].take();
        if operations.is_empty() {
            return;
        }
        let mut after = before.clone();
        json_patch::patch(&mut after, &operations).expect("the patch fits the object");
        assert_only_touched(&resource, before, after.clone());
        review["request"]["object"] = after;
        let again = self.decide(Phase::Mutate, review.to_string().as_bytes());
        let again = again.expect("a patched object is as readable as before").verdict;
        assert_eq!(again.outcome, Outcome::Allow(Vec::new()), "the second pass patches");
        if resource == "pods" {
            let placed = self.decide(Phase::Validate, review.to_string().as_bytes());
            let placed = placed.expect("both phases read the same").verdict;
            let rules = placed.records.iter().map(Record::rule);
            assert!(!rules.collect::<Vec<_>>().contains(&Some(RuleName::PodIntrusion)));
        }
    }
}

fn check_answer(phase: Phase, uid: &str, verdict: &Verdict, answer: &[u8]) {
    let answer: Value = serde_json::from_slice(answer).expect("an answer is JSON");
    let response = &answer["response"];
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["kind"], "AdmissionReview");
    assert_eq!(response["uid"], uid);
    assert_eq!(response["allowed"], verdict.is_allowed());
    assert_eq!(response.get("status").is_none(), verdict.is_allowed(), "a denial has a reason");
    for warning in response["warnings"].as_array().into_iter().flatten() {
        let warning = warning.as_str().expect("a warning is text");
        assert!(warning.len() <= 256 && warning.starts_with('['), "{warning}");
    }
    match (phase, response.get("patch")) {
        (Phase::Mutate, patch) => {
            assert!(verdict.is_allowed(), "the mutating phase denies");
            let patch = patch.map(|patch| STANDARD.decode(patch.as_str().expect("is text")));
            let patch = patch.map(|bytes| serde_json::from_slice(&bytes.expect("is Base64")));
            let patch: Vec<_> = patch.transpose().expect("is JSON").unwrap_or_default();
            assert_eq!(verdict.outcome, Outcome::Allow(patch));
        }
        (Phase::Validate, patch) => assert_eq!(patch, None, "the validating phase patches"),
    }
}

/// Nothing differs but what a patch may touch, and there nothing is lost.
#[track_caller]
fn assert_only_touched(resource: &Value, mut before: Value, mut after: Value) {
    const TERMS: &str = "/spec/affinity/nodeAffinity/\
                         requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let (lists, terms): (&[&str], &str) = match resource.as_str() {
        Some("nodes") => (&["/spec/taints"], ""),
        _ => (&["/spec/tolerations", "/spec/topologySpreadConstraints"], TERMS),
    };
    for list in lists {
        let (before, after) = (take(&mut before, list), take(&mut after, list));
        assert!(after.starts_with(&before), "{list} lost something: {after:?}");
        assert!(after.len() <= before.len() + 1, "{list} got too much: {after:?}");
    }
    if !terms.is_empty() {
        let had_terms = before.pointer(terms).is_some_and(|terms| !terms.is_null());
        let (before, after) = (take(&mut before, terms), take(&mut after, terms));
        assert!(!had_terms || before.len() == after.len(), "terms are ORed: one more widens");
        for (mut before, mut after) in before.into_iter().zip(after) {
            let list = "/matchExpressions";
            let (kept, now) = (take(&mut before, list), take(&mut after, list));
            assert!(now.starts_with(&kept), "a term lost something: {now:?}");
            let is_empty = kept.is_empty() && take(&mut before.clone(), "/matchFields").is_empty();
            assert!(!is_empty || now.is_empty(), "a term that matches nothing matches {now:?}");
            assert_eq!(pruned(before), pruned(after));
        }
    }
    assert_eq!(pruned(before), pruned(after));
}

/// Takes a list out; what is absent or `null` is empty.
fn take(object: &mut Value, pointer: &str) -> Vec<Value> {
    match object.pointer_mut(pointer).map(Value::take) {
        Some(Value::Array(list)) => list,
        Some(Value::Null) | None => Vec::new(),
        Some(other) => panic!("{pointer} is no list: {other}"),
    }
}

/// Without `null` and empty objects: an absent `affinity` becomes one of which only the list was
/// taken out.
fn pruned(value: Value) -> Value {
    let is_something = |value: &Value| !value.is_null() && *value != json!({});
    match value {
        Value::Object(object) => object
            .into_iter()
            .map(|(key, below)| (key, pruned(below)))
            .filter(|(_, below)| is_something(below))
            .collect(),
        Value::Array(list) => list.into_iter().map(pruned).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
