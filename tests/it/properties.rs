//! Reviews by properties: from bytes to bytes, whatever is in them.
//!
//! More cases: `PROPTEST_CASES=100000`.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod audit_lines;
mod corpus;
mod deep;
mod invariants;
mod objects;
pub(crate) mod reviews;
mod texts;
mod wire;

use poolguard::policy::{
    Phase,
    verdict::{Outcome, Verdict},
};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use self::{
    invariants::{WORLDS, worlds},
    reviews::{review, wholesome_review},
    wire::scrambled,
};

/// Both phases.
const PHASES: [Phase; 2] = [Phase::Mutate, Phase::Validate];

/// What a verdict comes to, without the words: a message names the first of the labels that decide,
/// and labels have no order.
fn essence(verdict: &Verdict) -> Value {
    let outcome = match &verdict.outcome {
        Outcome::Allow(patch) => json!(patch),
        Outcome::Deny(denials) => {
            json!(denials.iter().map(|it| it.rule.as_str()).collect::<Vec<_>>())
        }
    };
    let warnings: Vec<_> = verdict.warnings.iter().flat_map(|it| it.warning_texts()).collect();
    let records = verdict.records.iter().map(|it| (it.decision.as_str(), it.pool(), it.node()));
    json!([outcome, warnings.len(), records.collect::<Vec<_>>()])
}

/// What no rule reads need not look like what a rule reads, wherever it says that it is no pod.
#[test]
fn a_sub_resource_after_the_object_is_not_read_as_the_resource() {
    let target = r#""uid":"1","operation":"CREATE","resource":{"version":"v1","resource":"pods"}"#;
    let (object, sub_resource) = (r#""object":{"spec":7}"#, r#""subResource":"eviction""#);
    for [first, then] in [[sub_resource, object], [object, sub_resource]] {
        let request = format!("{{{target},{first},{then}}}");
        let body = format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{request}}}"#
        );
        let decided = WORLDS[0].decide(Phase::Validate, body.as_bytes());
        assert!(decided.is_ok(), "{body}: {}", decided.err().unwrap());
    }
}

proptest! {
    #[test]
    fn every_review_gets_an_answer_or_an_error_and_its_patch_fits(review in review(), seed in any::<u64>()) {
        for world in &*WORLDS {
            world.check(review.to_string().as_bytes());
            world.check(scrambled(&review, seed).as_bytes());
        }
    }

    #[test]
    fn a_wholesome_review_is_always_answered(review in wholesome_review(), seed in any::<u64>()) {
        for (world, phase) in WORLDS.iter().flat_map(|world| PHASES.map(|phase| (world, phase))) {
            for body in [review.to_string(), scrambled(&review, seed)] {
                let decided = world.decide(phase, body.as_bytes());
                prop_assert!(decided.is_ok(), "{}", decided.err().unwrap());
            }
        }
    }

    #[test]
    fn the_order_of_fields_does_not_change_the_verdict(review in review(), seed in any::<u64>()) {
        for (world, phase) in WORLDS.iter().flat_map(|world| PHASES.map(|phase| (world, phase))) {
            let ordered = world.decide(phase, review.to_string().as_bytes());
            let shuffled = world.decide(phase, scrambled(&review, seed).as_bytes());
            match (ordered, shuffled) {
                (Ok(one), Ok(other)) => {
                    prop_assert_eq!(essence(&one.verdict), essence(&other.verdict));
                }
                (Err(_), Err(_)) => {}
                (Err(error), Ok(_)) | (Ok(_), Err(error)) => {
                    prop_assert!(false, "{phase:?} is answered in one order only: {error}");
                }
            }
        }
    }

    #[test]
    fn a_snapshot_that_is_built_anew_gives_the_same_answer(review in wholesome_review()) {
        static ANEW: std::sync::LazyLock<[invariants::World; 2]> = std::sync::LazyLock::new(worlds);
        let body = review.to_string();
        for (one, other) in WORLDS.iter().zip(&*ANEW) {
            for phase in PHASES {
                let answer = |world: &invariants::World| world.decide(phase, body.as_bytes()).unwrap().answer;
                prop_assert_eq!(answer(one), answer(other));
            }
        }
    }

    #[test]
    fn an_update_that_changes_nothing_is_never_denied(mut review in review()) {
        let Some(request) = request_of(&mut review) else { return Ok(()) };
        request["operation"] = json!("UPDATE");
        request["oldObject"] = request["object"].clone();
        for world in &*WORLDS {
            if let Ok(decided) = world.decide(Phase::Validate, review.to_string().as_bytes()) {
                prop_assert!(decided.verdict.is_allowed(), "{}", String::from_utf8(decided.answer).unwrap());
            }
        }
    }

    #[test]
    fn no_pod_and_no_node_is_kept_from_being_deleted(
        mut review in review(), resource in select(&["pods", "nodes"][..])
    ) {
        let Some(request) = request_of(&mut review) else { return Ok(()) };
        request["operation"] = json!("DELETE");
        request["resource"] = json!({ "group": "", "version": "v1", "resource": resource });
        for world in &*WORLDS {
            if let Ok(decided) = world.decide(Phase::Validate, review.to_string().as_bytes()) {
                prop_assert!(decided.verdict.is_allowed(), "{}", String::from_utf8(decided.answer).unwrap());
            }
        }
    }

    #[test]
    fn break_glass_is_never_denied_and_always_recorded(mut review in review()) {
        let Some(request) = request_of(&mut review) else { return Ok(()) };
        request["userInfo"] = json!({ "username": "alice", "groups": ["a", "poolguard:break-glass"] });
        for world in &*WORLDS {
            if let Ok(decided) = world.decide(Phase::Validate, review.to_string().as_bytes()) {
                prop_assert!(decided.verdict.is_allowed());
                let answer = String::from_utf8(decided.answer).unwrap();
                prop_assert!(answer.contains("break-glass"), "{answer}");
            }
        }
    }

    #[test]
    fn any_json_gives_an_error_or_an_answer(value in json_value(), at in 0_usize..5) {
        let body = match at {
            0 => value,
            1 => json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": value }),
            at => {
                let resource = ["pods", "nodes", "rolebindings"][at - 2];
                let group = if at == 4 { "rbac.authorization.k8s.io" } else { "" };
                json!({
                    "kind": "AdmissionReview",
                    "apiVersion": "admission.k8s.io/v1",
                    "request": {
                        "uid": "1",
                        "operation": "UPDATE",
                        "resource": { "group": group, "version": "v1", "resource": resource },
                        "object": value,
                        "oldObject": { "metadata": null, "spec": value },
                    },
                })
            }
        };
        for world in &*WORLDS {
            world.check(body.to_string().as_bytes());
        }
    }

    #[test]
    fn any_bytes_give_an_error_or_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for world in &*WORLDS {
            world.check(&bytes);
        }
    }

    #[test]
    fn a_review_with_bytes_overwritten_gives_an_error_or_an_answer(
        review in wholesome_review(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
        is_cut in prop::bool::weighted(0.2),
    ) {
        let mut body = review.to_string().into_bytes();
        for (at, byte) in edits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if is_cut {
            body.truncate(end.index(body.len()));
        }
        for world in &*WORLDS {
            world.check(&body);
        }
    }
}

/// The request of a review that has one.
fn request_of(review: &mut Value) -> Option<&mut Value> {
    review.get_mut("request").filter(|request| request.is_object())
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    let keys = [
        "kind",
        "apiVersion",
        "request",
        "uid",
        "resource",
        "group",
        "version",
        "operation",
        "object",
        "oldObject",
        "userInfo",
        "groups",
        "metadata",
        "labels",
        "annotations",
        "ownerReferences",
        "spec",
        "tolerations",
        "taints",
        "affinity",
        "nodeAffinity",
        "key",
        "values",
        "subjects",
        "roleRef",
        "a/b",
        "~",
        "",
    ];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((select(keys.to_vec()), inner), 0..6).prop_map(|entries| {
                Value::Object(
                    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
                )
            }),
        ]
    })
}
