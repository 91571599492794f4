//! What a request can make large: names, lists, constraints, findings and patches.

use poolguard::{
    admission::review::parse,
    policy::{
        Phase,
        verdict::{Outcome, Verdict},
    },
};
use serde_json::{Value, json};

use crate::scenario::{Scenario, by, pod, pod_in, recorded, update};

const HOST: &str = "kubernetes.io/hostname";

fn fault(review: &Value) -> Option<String> {
    let scenario = Scenario::recorded();
    let body = serde_json::to_vec(review).unwrap();
    let parsed =
        parse(&body, |target| scenario.policy.reads(&scenario.snapshot, Phase::Validate, target));
    parsed.err().map(|error| error.to_string())
}

fn tolerant() -> Value {
    pod("{tolerations: [{operator: Exists}]}")
}

/// A pod that tolerates everything, with these terms in its required node affinity.
fn with_terms(terms: impl Iterator<Item = Value>) -> Value {
    let mut review = tolerant();
    review["request"]["object"]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({ "nodeSelectorTerms": terms.collect::<Vec<_>>() });
    review
}

fn term(key: &str, operator: &str, values: &[String]) -> Value {
    json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] })
}

/// The longest of the texts that a verdict says.
fn longest(verdict: &Verdict) -> usize {
    verdict.records.iter().map(|record| record.message().len()).max().unwrap_or_default()
}

#[test]
fn review_parts_have_the_lengths_of_kubernetes() {
    for (part, key, most) in [
        ("request.uid", "uid", 128),
        ("request.namespace", "namespace", 253),
        ("request.name", "name", 1_024),
        ("request.subResource", "subResource", 253),
    ] {
        let mut review = tolerant();
        review["request"][key] = "x".repeat(most).into();
        assert_eq!(fault(&review), None, "{part}");
        review["request"][key] = "x".repeat(most + 1).into();
        let expected = format!("{part} has {} bytes; an API server sends at most {most}", most + 1);
        assert_eq!(fault(&review), Some(expected));
    }
    let mut review = tolerant();
    review["request"]["operation"] = "x".repeat(1 << 20).into();
    assert!(fault(&review).unwrap().len() < 128);
}

#[test]
fn review_lists_are_read_up_to_a_bound() {
    let mut review = tolerant();
    for (field, path) in [
        ("tolerations", "/request/object/spec"),
        ("ownerReferences", "/request/object/metadata"),
        ("groups", "/request/userInfo"),
    ] {
        let mut long = review.clone();
        long.pointer_mut(path).unwrap()[field] = vec![json!(null); 65_537].into();
        let text = fault(&long).unwrap();
        assert!(text.contains("no more than 65536 items in lists and maps"), "{text}");
        // The list is named, and not each of its items.
        assert!(text.contains(field) && text.len() < 256, "{text}");
    }
    // What no rule reads may be longer.
    let volumes = |count| vec![json!(null); count].into();
    review["request"]["object"]["spec"]["volumes"] = volumes(90_000);
    assert_eq!(fault(&review), None);
    review["request"]["object"]["spec"]["volumes"] = volumes(100_001);
    let text = fault(&review).unwrap();
    assert!(text.contains("no more than 100000 values"), "{text}");
}

#[test]
fn placement_that_takes_too_much_work_counts_as_landing() {
    let scenario = Scenario::recorded();
    let terms = |count: usize| {
        with_terms((0..count).map(|index| term("none", "In", &[format!("v{index}")])))
    };
    assert_eq!(scenario.verdict(&terms(1_000)), "allow");
    let beyond = scenario.validate(&terms(14_000));
    let Outcome::Deny(denials) = &beyond.outcome else { panic!("is allowed") };
    assert!(
        denials.first().fact.contains("too long for PoolGuard to evaluate"),
        "{}",
        denials.first().fact
    );
    // Pods that tolerate no pool's taint land on none, however long they are.
    let mut intolerant = terms(14_000);
    intolerant["request"]["object"]["spec"]["tolerations"] = json!([]);
    assert_eq!(scenario.verdict(&intolerant), "allow");
}

#[test]
fn placement_reads_long_lists_exactly() {
    let scenario = Scenario::recorded();
    let hosts = |extra: &str| {
        let mut hosts: Vec<String> = (0..20_000).map(|index| format!("h{index}")).collect();
        hosts.push(extra.to_owned());
        hosts
    };
    let system = "ip-10-0-9-91.ec2.internal";
    let broker = "ip-10-0-1-11.ec2.internal";
    let only_hosts =
        |operator: &str, extra: &str| with_terms([term(HOST, operator, &hosts(extra))].into_iter());
    // Hosts that are not there may be those of the next node.
    assert!(!scenario.validate(&only_hosts("In", system)).is_allowed());
    let pinned = |host: &str| with_terms((0..5_000).map(|_| term(HOST, "In", &[host.to_owned()])));
    assert_eq!(scenario.verdict(&pinned(system)), "allow");
    assert!(scenario.verdict(&pinned(broker)).contains(broker));
    assert!(!scenario.validate(&only_hosts("NotIn", broker)).is_allowed());
}

#[test]
fn labels_beyond_a_few_are_found_as_before() {
    let scenario = Scenario::replacing(&[(
        "- {namespace: kube-system,",
        "- {namespace: ops, pods: {matchLabels: {allowed: \"yes\"}}, reason: agents}\n- {namespace: kube-system,",
    )]);
    for (count, is_allowed) in [(10, true), (32, true), (33, true), (5_000, true)] {
        let labels: serde_json::Map<String, Value> =
            (0..count).map(|index| (format!("l{index}"), json!("x"))).collect();
        let mut review = pod_in("ops", "{tolerations: [{operator: Exists}]}");
        review["request"]["object"]["metadata"]["labels"] = labels.into();
        review["request"]["object"]["metadata"]["labels"]["allowed"] = json!("yes");
        assert_eq!(scenario.validate(&review).is_allowed(), is_allowed, "{count}");
        review["request"]["object"]["metadata"]["labels"]["allowed"] = json!("no");
        assert!(!scenario.validate(&review).is_allowed(), "{count}");
    }
    // The last of equal keys counts, as in Go.
    let twice = |labels: String| {
        let mut review = pod_in("ops", "{tolerations: [{operator: Exists}]}");
        review["request"]["object"]["metadata"]["labels"] = json!("@labels");
        let body = review.to_string().replace("\"@labels\"", &labels);
        let request = parse(body.as_bytes(), |target| {
            scenario.policy.reads(&scenario.snapshot, Phase::Validate, target)
        });
        poolguard::policy::decide(
            &scenario.policy,
            &scenario.snapshot,
            Phase::Validate,
            &request.unwrap(),
        )
        .is_allowed()
    };
    let others: Vec<String> = (0..100).map(|index| format!("\"l{index}\":\"x\",")).collect();
    let others = others.concat();
    for others in ["", &others] {
        assert!(twice(format!("{{\"allowed\":\"no\",{others}\"allowed\":\"yes\"}}")));
        assert!(!twice(format!("{{\"allowed\":\"yes\",{others}\"allowed\":\"no\"}}")));
    }
}

#[test]
fn findings_are_short_and_few_whatever_a_request_holds() {
    let scenario = Scenario::recorded();
    let mut review = tolerant();
    let long = "x".repeat(1 << 20);
    review["request"]["object"]["spec"]["tolerations"] =
        json!([{ "operator": "Exists", "value": long }, { "key": "dedicated", "value": "automq" }]);
    review["request"]["object"]["metadata"] = json!({ "generateName": long });
    review["request"]["name"] = json!("");
    let verdict = scenario.validate(&review);
    assert!(!verdict.is_allowed());
    assert!(longest(&verdict) < 5_000, "{}", longest(&verdict));
    // A terminal shows what was meant.
    review["request"]["object"]["metadata"] = json!({ "generateName": "a\u{1b}[2Jb\u{202e}c" });
    let verdict = scenario.validate(&review);
    let Outcome::Deny(denials) = &verdict.outcome else { panic!("is allowed") };
    assert!(denials.first().fact.contains("a\\u001b[2Jb\\u202ec"), "{}", denials.first().fact);
    // A warning for each of many taints would be a page of them.
    let taints = recorded("node-update-cordon-by-admin");
    let tainted = update(taints, |node| {
        let taints = node["spec"]["taints"].as_array_mut().unwrap();
        taints.extend(
            (0..5_000).map(|index| json!({ "key": format!("k{index}"), "effect": "NoExecute" })),
        );
    });
    let verdict = scenario.validate(&by(tainted, "admin", &[]));
    assert_eq!(verdict.warnings.len(), 5);
    assert!(
        verdict.warnings[4].fact.starts_with("With 4996 more taints"),
        "{}",
        verdict.warnings[4].fact
    );
}

#[test]
fn patches_of_more_terms_than_anybody_writes_are_not_made() {
    let scenario = Scenario::recorded();
    let broker = |terms: usize| {
        let mut review = pod_in("automq-instance-1", "{}");
        let terms: Vec<Value> =
            (0..terms).map(|_| term("kubernetes.io/os", "In", &["linux".to_owned()])).collect();
        review["request"]["object"]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
            json!({ "nodeSelectorTerms": terms });
        review
    };
    let placed = broker(100);
    assert_ne!(scenario.mutated(&placed), placed["request"]["object"]);
    let left = broker(101);
    assert_eq!(scenario.mutated(&left), left["request"]["object"]);
    let warned = scenario.decide(Phase::Mutate, &left);
    assert!(warned.warnings[0].fact.contains("101 terms"), "{}", warned.warnings[0].fact);
}
