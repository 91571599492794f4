//! The backstop: what it denies, and that it never denies what PoolGuard allows.

use std::sync::{Arc, LazyLock};

use cel::{Env, Program};
use poolguard::{admission::webhooks::backstop, policy::Phase};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::{
    api_server::{context, installation, namespace_matches, rule_matches},
    variants::variants,
};
use crate::{
    generate::pod_spec,
    reviews::outcomes,
    scenario::{Scenario, by, pod, pod_in, recorded, update},
};

/// The policy of a scenario, compiled.
struct Backstop {
    env: Arc<Env>,
    constraints: Value,
    conditions: Vec<Program>,
    validations: Vec<(Program, Program)>,
    denies: bool,
}

impl Backstop {
    fn new(scenario: &Scenario) -> Option<Self> {
        let [policy, binding] = backstop(&scenario.policy, &installation())?;
        let env = Arc::new(Env::stdlib());
        let compile = |text: &Value| {
            let text = text.as_str().unwrap();
            env.compile(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
        };
        let list = |name: &str| policy["spec"][name].as_array().unwrap().clone();
        let conditions =
            list("matchConditions").iter().map(|it| compile(&it["expression"])).collect();
        let validations = list("validations")
            .iter()
            .map(|it| (compile(&it["expression"]), compile(&it["messageExpression"])))
            .collect();
        let denies = binding["spec"]["validationActions"] == json!(["Deny"]);
        let constraints = policy["spec"]["matchConstraints"].clone();
        Some(Self { env, constraints, conditions, validations, denies })
    }

    /// What the client is told, if it is denied.
    fn denial(&self, review: &Value) -> Option<String> {
        let request = &review["request"];
        let rules = self.constraints["resourceRules"].as_array().unwrap();
        let is_meant = self.denies
            && rules.iter().any(|rule| rule_matches(rule, request))
            && namespace_matches(&self.constraints["namespaceSelector"], request);
        if !is_meant {
            return None;
        }
        let context = context(&self.env, review);
        let holds = |program: &Program| match program.execute(&context) {
            Ok(cel::Value::Bool(holds)) => holds,
            other => panic!("{other:?}\n{review:#}"),
        };
        if !self.conditions.iter().all(holds) {
            return None;
        }
        let (_, message) = self.validations.iter().find(|(expression, _)| !holds(expression))?;
        match message.execute(&context) {
            Ok(cel::Value::String(text)) => Some(text.to_string()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn it_denies_the_recorded_intruders_that_need_no_look_at_the_cluster() {
    let backstop = Backstop::new(&Scenario::recorded()).unwrap();
    let denied: Vec<String> =
        outcomes().into_keys().filter(|name| backstop.denial(&recorded(name)).is_some()).collect();
    assert_eq!(
        denied,
        [
            "pod-create-dry-run-key-exists-toleration",
            "pod-create-job-key-exists-toleration",
            "pod-create-tolerates-and-selects-pool-a",
        ]
    );
    let text = backstop.denial(&recorded("pod-create-job-key-exists-toleration")).unwrap();
    assert!(text.starts_with("[pod-intrusion] Pod shop/"), "{text}");
    assert!(text.contains("spec.tolerations tolerates dedicated=automq:NoSchedule"), "{text}");
}

#[test]
fn it_never_denies_what_poolguard_allows_under_any_config() {
    for variant in variants() {
        let Some(backstop) = Backstop::new(&variant.scenario) else { continue };
        for name in outcomes().into_keys() {
            let review = recorded(&name);
            if variant.scenario.decide(Phase::Validate, &review).is_allowed() {
                assert_eq!(backstop.denial(&review), None, "{}: {name}", variant.name);
            }
        }
    }
}

const BLANKET: &str = "{tolerations: [{operator: Exists}]}";

/// A blanket toleration, and more.
fn blanket(more: &str) -> String {
    format!("{{tolerations: [{{operator: Exists}}], {more}}}")
}

#[test]
fn what_it_cannot_decide_passes() {
    let backstop = Backstop::new(&Scenario::recorded()).unwrap();
    let is_denied = |spec: &str| backstop.denial(&pod(spec)).is_some();
    assert!(is_denied(BLANKET));
    assert!(is_denied(&blanket("nodeSelector: {}")));
    assert!(!is_denied(&blanket("nodeSelector: {disk: ssd}")));
    assert!(!is_denied(&blanket("nodeName: anywhere")));
    let fields = "{matchFields: [{key: metadata.name, operator: In, values: [n]}]}";
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    assert!(!is_denied(&blanket(&format!(
        "affinity: {{nodeAffinity: {{{required}: {{nodeSelectorTerms: [{fields}]}}}}}}"
    ))));
    assert!(!is_denied("{tolerations: [{key: other, operator: Exists}]}"));
}

#[test]
fn whoever_poolguard_lets_pass_does() {
    let backstop = Backstop::new(&Scenario::recorded()).unwrap();
    let intruder = pod(BLANKET);
    let denied_by = |user: &str, groups: &[&str]| {
        backstop.denial(&by(intruder.clone(), user, groups)).is_some()
    };
    assert!(denied_by("admin", &["system:masters"]));
    assert!(!denied_by("admin", &["poolguard:break-glass"]));
    assert!(!denied_by("system:node:n", &["system:nodes"]));
    assert!(!denied_by("system:serviceaccount:kube-system:daemon-set-controller", &[]));
    for namespace in ["kube-system", "automq", "poolguard"] {
        assert_eq!(backstop.denial(&pod_in(namespace, BLANKET)), None, "{namespace}");
    }
}

#[test]
fn an_update_is_denied_for_what_it_adds_only() {
    let backstop = Backstop::new(&Scenario::recorded()).unwrap();
    let tolerate = |pod: &mut Value| pod["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    assert!(backstop.denial(&update(pod("{}"), tolerate)).is_some());
    assert_eq!(backstop.denial(&update(pod("{nodeName: n}"), tolerate)), None);
    let relabel = |pod: &mut Value| pod["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(backstop.denial(&update(pod(BLANKET), relabel)), None);
}

#[test]
fn without_a_declared_pool_there_is_nothing_to_decide() {
    let dump = crate::scenario::data_text("cluster.json");
    assert!(Backstop::new(&Scenario::new("", &dump)).is_none());
}

thread_local! {
    static WORLDS: LazyLock<Vec<(Scenario, Backstop)>> = const { LazyLock::new(|| {
        let worlds = variants().into_iter().filter_map(|variant| {
            let backstop = Backstop::new(&variant.scenario)?;
            Some((variant.scenario, backstop))
        });
        worlds.collect()
    }) };
}

proptest! {
    #[test]
    fn a_pod_that_poolguard_allows_passes(
        spec in pod_spec(),
        namespace in select(&["shop", "monitoring", "automq", "automq-instance-1", "default"][..]),
    ) {
        let review = pod_in(namespace, &spec.to_string());
        WORLDS.with(|worlds| {
            for (scenario, backstop) in worlds.iter() {
                if let Some(text) = backstop.denial(&review) {
                    let verdict = scenario.decide(Phase::Validate, &review);
                    assert!(!verdict.is_allowed(), "{text}\n{review:#}");
                }
            }
        });
    }
}
