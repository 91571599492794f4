//! A cluster, a config and requests, so that a test is one line of what matters to it.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{fs, path::PathBuf};

use poolguard::{
    admission::review::{self, Requester, create_review, parse},
    cluster::Index,
    config,
    kubernetes::documents,
    policy::{
        Phase, Policy, decide,
        mode::RuleName,
        snapshot::Snapshot,
        verdict::{Outcome, Verdict},
    },
};
use serde_json::{Value, json};

/// A folder or file of the recorded test data.
pub(crate) fn data(path: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data", path].iter().collect()
}

pub(crate) fn data_text(path: &str) -> String {
    let path = data(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The only document of a YAML text.
pub(crate) fn yaml(text: &str) -> Value {
    documents_of(text).remove(0)
}

/// The documents of a YAML text.
pub(crate) fn documents_of(text: &str) -> Vec<Value> {
    documents::read(text).unwrap().objects.into_iter().collect::<Result<_, _>>().unwrap()
}

/// A policy and a snapshot.
pub(crate) struct Scenario {
    pub(crate) policy: Policy,
    pub(crate) snapshot: Snapshot,
}

impl Scenario {
    /// The recorded cluster under the config that its reviews assume.
    pub(crate) fn recorded() -> Self {
        Self::new(&data_text("config.yaml"), &data_text("cluster.json"))
    }

    /// The recorded cluster, with lines added to the end of its config.
    pub(crate) fn with(lines: &str) -> Self {
        let config = format!("{}{lines}\n", data_text("config.yaml"));
        Self::new(&config, &data_text("cluster.json"))
    }

    /// The recorded cluster and config, with text of the config replaced.
    pub(crate) fn replacing(replacements: &[(&str, &str)]) -> Self {
        let mut config = data_text("config.yaml");
        for (from, to) in replacements {
            assert!(config.contains(from), "the config has no {from:?}");
            config = config.replace(from, to);
        }
        Self::new(&config, &data_text("cluster.json"))
    }

    /// The recorded config over a cluster that is changed first.
    pub(crate) fn over(change: impl FnOnce(&mut Vec<Value>)) -> Self {
        let mut cluster = yaml_list("cluster.json");
        change(&mut cluster);
        let dump = json!({ "apiVersion": "v1", "kind": "List", "items": cluster });
        Self::new(&data_text("config.yaml"), &dump.to_string())
    }

    pub(crate) fn new(config: &str, dump: &str) -> Self {
        let index = Index::read_dump(dump).unwrap();
        let loaded = config::load("config.yaml", config, index.provider())
            .unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        let snapshot = index.snapshot(&loaded.policy);
        Self { policy: loaded.policy, snapshot }
    }

    pub(crate) fn decide(&self, phase: Phase, review: &Value) -> Verdict {
        let body = serde_json::to_vec(review).unwrap();
        let request =
            parse(&body, |target| self.policy.reads(&self.snapshot, phase, target)).unwrap();
        let verdict = decide(&self.policy, &self.snapshot, phase, &request);
        // Whatever is decided can be written, and carries the request's identifier.
        let answer: Value =
            serde_json::from_slice(&review::render(&request, &verdict).unwrap()).unwrap();
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        for warning in answer["response"]["warnings"].as_array().into_iter().flatten() {
            assert!(warning.as_str().unwrap().len() <= 256, "{warning}");
        }
        verdict
    }

    pub(crate) fn validate(&self, review: &Value) -> Verdict {
        self.decide(Phase::Validate, review)
    }

    /// The object as the mutating phase leaves it.
    pub(crate) fn mutated(&self, review: &Value) -> Value {
        let mut object = review["request"]["object"].clone();
        match self.decide(Phase::Mutate, review).outcome {
            Outcome::Allow(operations) => json_patch::patch(&mut object, &operations).unwrap(),
            // Before a backstop: the object never gets there.
            Outcome::Deny(_) => {}
        }
        object
    }

    /// What the validating phase says, in one line.
    #[track_caller]
    pub(crate) fn verdict(&self, review: &Value) -> String {
        line(&self.validate(review))
    }
}

/// The items of a recorded list.
pub(crate) fn yaml_list(path: &str) -> Vec<Value> {
    documents_of(&data_text(path))
}

/// The node of this name.
pub(crate) fn node<'n>(nodes: &'n mut [Value], name: &str) -> &'n mut Value {
    let found = nodes.iter_mut().find(|node| node["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no node {name}"))
}

/// `deny pod-intrusion pool-a ip-… spec.nodeName`, or `allow`, with what was warned and recorded.
pub(crate) fn line(verdict: &Verdict) -> String {
    let mut parts = Vec::new();
    if verdict.records.is_empty() && verdict.is_allowed() {
        parts.push("allow".to_owned());
    }
    for record in &verdict.records {
        let rule = record.rule().map(RuleName::as_str);
        let words =
            [Some(record.decision.as_str()), rule, record.pool(), record.node(), record.field()];
        parts.push(words.into_iter().flatten().collect::<Vec<_>>().join(" "));
    }
    parts.join("; ")
}

/// Someone without any right of their own here.
pub(crate) const SOMEONE: &str = "alice";

/// The review of creating an object in a namespace.
pub(crate) fn create(namespace: &str, object: &str) -> Value {
    let asker = Requester {
        user: SOMEONE.to_owned(),
        groups: vec!["system:authenticated".to_owned()],
        namespace: namespace.to_owned(),
    };
    create_review(yaml(object), &asker).unwrap()
}

/// The review of creating a pod with this spec in namespace shop.
pub(crate) fn pod(spec: &str) -> Value {
    pod_in("shop", spec)
}

/// The review of creating a pod with this spec.
pub(crate) fn pod_in(namespace: &str, spec: &str) -> Value {
    let object = format!("{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {spec}}}");
    create(namespace, &object)
}

/// The same request, by somebody else.
pub(crate) fn by(mut review: Value, user: &str, groups: &[&str]) -> Value {
    review["request"]["userInfo"] = json!({ "username": user, "groups": groups });
    review
}

/// The review of changing the object of `review` into what `change` makes of it.
pub(crate) fn update(mut review: Value, change: impl FnOnce(&mut Value)) -> Value {
    let request = &mut review["request"];
    request["operation"] = json!("UPDATE");
    request["oldObject"] = request["object"].clone();
    change(&mut request["object"]);
    review
}

/// The review of deleting the object of `review`.
pub(crate) fn delete(mut review: Value) -> Value {
    let request = &mut review["request"];
    request["operation"] = json!("DELETE");
    request["oldObject"] = request["object"].take();
    review
}

/// A recorded review.
pub(crate) fn recorded(name: &str) -> Value {
    yaml(&data_text(&format!("reviews/{name}.json")))
}
