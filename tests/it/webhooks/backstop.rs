//! The backstop: what it denies, and that it never denies what PoolGuard allows.

use std::{fmt, sync::LazyLock};

use poolguard::{
    admission::webhooks::{Backstop as Objects, NoBackstop, Omitted, backstop},
    config,
    policy::{Phase, Policy, mode::Mode, snapshot::Snapshot},
};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::{
    admission_policy::{AdmissionPolicy, Answer},
    api_server::{ApiServer, installation},
    registered,
    variants::variants,
};
use crate::{
    generate::{any_node_name, pod_spec, toleration},
    placement::{properties::world, vectors},
    reviews::outcomes,
    scenario::{Scenario, by, create, data_text, pod, pod_in, recorded, update},
};

/// The policies of a scenario, compiled.
struct Backstop(Vec<AdmissionPolicy>);

fn objects(policy: &Policy, snapshot: &Snapshot) -> Result<Objects, NoBackstop> {
    backstop(policy, snapshot, &installation())
}

impl Backstop {
    fn of(policy: &Policy, snapshot: &Snapshot) -> Option<Self> {
        let objects = objects(policy, snapshot).ok()?;
        Some(Self(AdmissionPolicy::all(&objects.objects)))
    }

    fn new(scenario: &Scenario) -> Option<Self> {
        Self::of(&scenario.policy, &scenario.snapshot)
    }

    fn answer(&self, review: &Value) -> Answer {
        let mut answers = self.0.iter().map(|it| it.answer(review));
        answers.find(|it| *it != Answer::Allowed).unwrap_or(Answer::Allowed)
    }

    /// What the client is told, if it is denied.
    fn denial(&self, review: &Value) -> Option<String> {
        match self.answer(review) {
            Answer::Denied(text) => Some(text),
            Answer::Allowed => None,
            Answer::Failed(why) => panic!("{why}\n{review:#}"),
        }
    }
}

/// How often both deny, one of them does, or a policy cannot be evaluated.
#[derive(Default)]
struct Agreement {
    requests: usize,
    both: usize,
    only_poolguard: usize,
    only_backstop: Vec<String>,
    failed: usize,
}

impl Agreement {
    fn add(&mut self, name: &str, is_denied: bool, answer: &Answer) {
        self.requests += 1;
        match (is_denied, answer) {
            (true, Answer::Denied(_)) => self.both += 1,
            (true, Answer::Allowed) => self.only_poolguard += 1,
            (false, Answer::Denied(text)) => self.only_backstop.push(format!("{name}: {text}")),
            (false, Answer::Allowed) => {}
            (_, Answer::Failed(_)) => self.failed += 1,
        }
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, both, only_poolguard, only_backstop, failed } = self;
        let only_backstop = only_backstop.len();
        write!(
            f,
            "{requests} requests: {both} denied by both, {only_poolguard} by PoolGuard only, {only_backstop} by the \
             backstop only, {failed} not evaluated"
        )
    }
}

#[test]
fn the_backstop_denies_the_recorded_intruders() {
    let scenario = Scenario::recorded();
    let backstop = Backstop::new(&scenario).unwrap();
    let mut agreement = Agreement::default();
    let mut left = Vec::new();
    for name in outcomes().into_keys() {
        let review = recorded(&name);
        let is_pod =
            matches!(review["request"]["resource"]["resource"].as_str(), Some("pods" | "bindings"));
        if !is_pod {
            continue;
        }
        let answer = backstop.answer(&review);
        let is_denied = !scenario.validate(&review).is_allowed();
        if is_denied && answer == Answer::Allowed {
            left.push(name.clone());
        }
        agreement.add(&name, is_denied, &answer);
    }
    insta::assert_snapshot!(agreement, @"24 requests: 6 denied by both, 2 by PoolGuard only, 0 by the backstop only, 0 not evaluated");
    // `pod-placement` denies the broker, and a backstop has no rule for pods of DaemonSets.
    insta::assert_snapshot!(left.join("\n"), @r"
    mutate-pod-create-automq-broker
    pod-create-daemonset-log-agent-for-pool-a
    ");
    let text = backstop.denial(&recorded("pod-create-job-key-exists-toleration")).unwrap();
    insta::assert_snapshot!(text, @"[pod-intrusion] Pod shop/sneaky-784rt can run on a node of pool pool-a, which is reserved for AutoMQ: spec.tolerations tolerates dedicated=automq:NoSchedule. Remove the toleration. If the pod must run there, ask your platform team to add the pod's service account to exempt in PoolGuard's config, with the namespace shop. PoolGuard did not answer this request: the API server decided it by PoolGuard's backstop.");
}

#[test]
fn the_backstop_never_denies_what_poolguard_allows_under_any_config() {
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

/// A pool of which every vector's node is a member.
const VECTOR_CONFIG: &str = "{apiVersion: poolguard.io/v1alpha1, kind: PoolGuardConfig, provider: aws, pools: [{name: p, nodes: {matchLabels: {pool.example.com/name: p}}}]}";

#[test]
fn the_backstop_agrees_on_the_placement_vectors() {
    let policy =
        config::load("config", VECTOR_CONFIG, None).unwrap_or_else(|it| panic!("{it}")).policy;
    let mut agreement = Agreement::default();
    for vector in vectors(("pool.example.com/name", "p")) {
        let snapshot = Snapshot::build(&policy, &[&vector.node], Vec::new());
        let scenario = Scenario { policy: policy.clone(), snapshot };
        let backstop = Backstop::new(&scenario).unwrap();
        let mut review = pod_in("shop", &vector.pod);
        // As it is, and tolerating every taint: the constraints then decide alone.
        for tolerates_all in [false, true] {
            if tolerates_all {
                review["request"]["object"]["spec"]["tolerations"] =
                    json!([{"operator": "Exists"}]);
            }
            let is_denied = !scenario.validate(&review).is_allowed();
            agreement.add(&vector.name, is_denied, &backstop.answer(&review));
        }
    }
    println!("placement vectors: {agreement}");
    assert_eq!(agreement.only_backstop, [""; 0]);
    insta::assert_snapshot!(agreement, @"5000 requests: 1672 denied by both, 99 by PoolGuard only, 0 by the backstop only, 0 not evaluated");
}

const BLANKET: &str = "{tolerations: [{operator: Exists}]}";

/// A blanket toleration, and more.
fn blanket(more: &str) -> String {
    format!("{{tolerations: [{{operator: Exists}}], {more}}}")
}

/// A blanket toleration, and required node affinity of one term.
fn term(term: &str) -> String {
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    blanket(&format!("affinity: {{nodeAffinity: {{{required}: {{nodeSelectorTerms: [{term}]}}}}}}"))
}

#[test]
fn constraints_count_as_they_do_for_poolguard() {
    let scenario = Scenario::recorded();
    let backstop = Backstop::new(&scenario).unwrap();
    let node = "ip-10-0-1-11.ec2.internal";
    let system = "ip-10-0-9-91.ec2.internal";
    let named = |name: &str, operator: &str| {
        term(&format!(
            "{{matchFields: [{{key: metadata.name, operator: {operator}, values: [{name}]}}]}}"
        ))
    };
    let expressions = |list: &str| term(&format!("{{matchExpressions: [{list}]}}"));
    let group = "eks.amazonaws.com/nodegroup";
    let zone = "topology.kubernetes.io/zone";
    let host = "kubernetes.io/hostname";
    let machine = "node.kubernetes.io/instance-type";
    for (spec, is_denied) in [
        (BLANKET.to_owned(), true),
        (blanket("nodeSelector: {}"), true),
        (blanket("nodeSelector: {disk: ssd}"), false),
        (blanket(&format!("nodeSelector: {{{group}: automq-a}}")), true),
        (blanket(&format!("nodeSelector: {{{group}: automq-a, {zone}: us-east-1b}}")), false),
        (blanket(&format!("nodeSelector: {{{group}: system}}")), false),
        (blanket(&format!("nodeSelector: {{{host}: {node}}}")), true),
        (blanket(&format!("nodeSelector: {{{host}: {system}}}")), false),
        (blanket(&format!("nodeName: {node}")), true),
        (format!("{{nodeName: {node}}}"), true),
        (blanket(&format!("nodeName: {system}")), false),
        (blanket("nodeName: nowhere"), false),
        (named(node, "In"), true),
        (named(node, "NotIn"), true),
        (named(system, "In"), false),
        (term("{}"), false),
        (expressions(&format!("{{key: {group}, operator: In, values: [automq-a, system]}}")), true),
        (
            expressions(&format!(
                "{{key: {group}, operator: NotIn, values: [automq-a, automq-b, automq-abc]}}"
            )),
            false,
        ),
        (expressions(&format!("{{key: {host}, operator: In, values: [{node}]}}")), true),
        (expressions(&format!("{{key: {host}, operator: Exists}}")), true),
        (expressions(&format!("{{key: {machine}, operator: In, values: [r6in.large]}}")), true),
        (
            expressions(&format!(
                "{{key: {machine}, operator: In, values: [r6in.large]}}, {{key: {machine}, operator: NotIn, values: [r6in.large]}}"
            )),
            false,
        ),
        (expressions("{key: no-such-label, operator: DoesNotExist}"), true),
        (expressions("{key: no-such-label, operator: Exists}"), false),
        ("{tolerations: [{key: other, operator: Exists}]}".to_owned(), false),
    ] {
        let review = pod(&spec);
        assert_eq!(scenario.validate(&review).is_allowed(), !is_denied, "PoolGuard: {spec}");
        assert_eq!(backstop.denial(&review).is_some(), is_denied, "{spec}");
    }
}

#[test]
fn the_backstop_says_which_node_or_pool_and_what_to_do() {
    let backstop = Backstop::new(&Scenario::recorded()).unwrap();
    let node = "ip-10-0-1-11.ec2.internal";
    let texts = [
        pod(BLANKET),
        pod(&format!("{{nodeName: {node}}}")),
        pod(&blanket(&format!("nodeSelector: {{kubernetes.io/hostname: {node}}}"))),
        binding("shop", node),
    ]
    .map(|review| backstop.denial(&review).unwrap());
    insta::assert_snapshot!(texts.join("\n"), @r"
    [pod-intrusion] Pod shop/p can run on a node of pool pool-a, which is reserved for AutoMQ: spec.tolerations tolerates dedicated=automq:NoSchedule. Remove the toleration. If the pod must run there, ask your platform team to add the pod's service account to exempt in PoolGuard's config, with the namespace shop. PoolGuard did not answer this request: the API server decided it by PoolGuard's backstop.
    [pod-intrusion] Pod shop/p would run on node ip-10-0-1-11.ec2.internal of pool pool-a, which is reserved for AutoMQ: spec.nodeName selects this node directly, so its taint has no effect. Remove spec.nodeName. If the pod must run there, ask your platform team to add the pod's service account to exempt in PoolGuard's config, with the namespace shop. PoolGuard did not answer this request: the API server decided it by PoolGuard's backstop.
    [pod-intrusion] Pod shop/p can run on the node that its nodeSelector or node affinity names, which is reserved for AutoMQ. Remove the toleration. If the pod must run there, ask your platform team to add the pod's service account to exempt in PoolGuard's config, with the namespace shop. PoolGuard did not answer this request: the API server decided it by PoolGuard's backstop.
    [pod-intrusion] The request would bind a pod of namespace shop to node ip-10-0-1-11.ec2.internal of pool pool-a, which is reserved for AutoMQ. Let kube-scheduler choose the node. PoolGuard did not answer this request: the API server decided it by PoolGuard's backstop.
    ");
}

fn binding(namespace: &str, node: &str) -> Value {
    let object = json!({
        "apiVersion": "v1", "kind": "Binding",
        "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": node},
    });
    let mut review = create(namespace, &object.to_string());
    review["request"]["resource"] = json!({"group": "", "version": "v1", "resource": "pods"});
    review["request"]["subResource"] = "binding".into();
    review
}

#[test]
fn bindings_to_dedicated_nodes_are_denied() {
    let scenario = Scenario::recorded();
    let backstop = Backstop::new(&scenario).unwrap();
    let (node, system) = ("ip-10-0-1-11.ec2.internal", "ip-10-0-9-91.ec2.internal");
    for (review, is_denied) in [
        (binding("shop", node), true),
        (binding("shop", system), false),
        (binding("shop", "nowhere"), false),
        (binding("automq", node), false),
        (binding("kube-system", node), false),
        (by(binding("shop", node), "system:kube-scheduler", &[]), false),
        (by(binding("shop", node), "admin", &["poolguard:break-glass"]), false),
    ] {
        assert_eq!(backstop.denial(&review).is_some(), is_denied, "{review:#}");
        if is_denied {
            assert!(!scenario.validate(&review).is_allowed());
        }
    }
}

#[test]
fn those_whom_poolguard_lets_pass_do() {
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
    let constrain = |pod: &mut Value| pod["spec"]["nodeSelector"] = json!({"a": "b"});
    assert_eq!(backstop.denial(&update(pod(BLANKET), constrain)), None);
}

#[test]
fn poolguard_is_asked_before_the_backstop() {
    let scenario = Scenario::with("backstop: {mode: managed}\nonOutage: backstop");
    let backstop = Backstop::new(&scenario).unwrap();
    let server = ApiServer::new(&registered(&scenario.policy, &[]));
    let node = "ip-10-0-1-11.ec2.internal";
    let tolerate = |pod: &mut Value| pod["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    for (review, name) in [
        (pod(BLANKET), "intruders"),
        (pod(&format!("{{nodeName: {node}}}")), "intruders"),
        (update(pod("{}"), tolerate), "intruders"),
        (binding("shop", node), "intruders-bindings"),
    ] {
        assert!(backstop.denial(&review).is_some(), "{review:#}");
        let called = server.called(&review);
        let first = called.iter().find(|it| it.configuration == Phase::Mutate).unwrap();
        assert_eq!(
            (first.name(), first.path(), first.fails_closed()),
            (name, Phase::Mutate, false)
        );
        let verdict = scenario.decide(Phase::Mutate, &review);
        assert!(!verdict.is_allowed(), "{review:#}");
        // Only this call records it: the request ends here.
        assert_eq!(verdict.records.len(), 1, "{:?}", verdict.records);
        // With the backstop in force, nothing else stops a pod while PoolGuard is away.
        assert!(called.iter().all(|it| !it.fails_closed()), "{review:#}");
    }
    let exempt = by(pod(BLANKET), "admin", &["poolguard:break-glass"]);
    assert!(scenario.decide(Phase::Mutate, &exempt).is_allowed());
    // Without a backstop, nothing is denied before the validating phase.
    assert!(Scenario::recorded().decide(Phase::Mutate, &pod(BLANKET)).is_allowed());
}

#[test]
fn without_a_pool_or_a_rule_that_denies_there_is_none() {
    let of = |scenario: &Scenario| {
        objects(&scenario.policy, &scenario.snapshot).map(|_| ()).unwrap_err()
    };
    let config =
        "{apiVersion: poolguard.io/v1alpha1, kind: PoolGuardConfig, discovery: {enabled: false}}";
    let nowhere = Scenario::new(config, &data_text("cluster.json"));
    assert_eq!(of(&nowhere), NoBackstop::NoPool);
    let warns = Scenario::with("rules: {pod-intrusion: {mode: warn}}");
    assert_eq!(of(&warns), NoBackstop::Mode(Mode::Warn));
    // Pools that are only found by their taint are guarded as well.
    let discovered = Scenario::new("", &data_text("cluster.json"));
    assert!(Backstop::new(&discovered).unwrap().denial(&pod(BLANKET)).is_some());
}

/// As many pools as this, with three nodes each, in three zones. Nodes of the first pool have a label less.
fn large(pools: usize) -> Scenario {
    let zones = ["us-east-1a", "us-east-1b", "us-east-1c"];
    let pool = |pool: usize| {
        let labels = json!({"eks.amazonaws.com/nodegroup": format!("automq-{pool}")});
        json!({"name": format!("pool-{pool}"), "nodes": {"matchLabels": labels}, "zones": zones})
    };
    let config = json!({
        "apiVersion": "poolguard.io/v1alpha1",
        "kind": "PoolGuardConfig",
        "provider": "aws",
        "pools": (0..pools).map(pool).collect::<Vec<_>>(),
    });
    let node = |at: usize| {
        let name = format!("ip-10-{}-{}-1.us-east-1.compute.internal", at / 3, at % 3);
        let mut labels = json!({
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "eks.amazonaws.com/capacityType": "ON_DEMAND",
            "eks.amazonaws.com/nodegroup": format!("automq-{}", at / 3),
            "eks.amazonaws.com/nodegroup-image": "ami-0123456789abcdef0",
            "eks.amazonaws.com/sourceLaunchTemplateId": "lt-0123456789abcdef0",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "node.kubernetes.io/instance-type": "r6in.large",
            "topology.kubernetes.io/region": "us-east-1",
            "topology.kubernetes.io/zone": zones[at % 3],
        });
        if at >= 3 {
            labels["disk"] = "ssd".into();
        }
        let taints = json!([{"key": "dedicated", "value": "automq", "effect": "NoSchedule"}]);
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": labels}, "spec": {"taints": taints},
        })
    };
    let items: Vec<Value> = (0..3 * pools).map(node).collect();
    let dump = json!({"apiVersion": "v1", "kind": "List", "items": items});
    Scenario::new(&config.to_string(), &dump.to_string())
}

#[test]
fn what_nodes_have_in_common_is_written_once() {
    let scenario = large(200);
    let objects = objects(&scenario.policy, &scenario.snapshot).unwrap();
    assert_eq!(objects.omitted, Omitted::default());
    let sizes: Vec<usize> = objects.objects.iter().map(|it| it.to_string().len()).collect();
    // A row for each of 600 nodes and 600 nodes to come. With all of its labels, a row has 700 characters.
    assert!(sizes[0] < 350_000, "{sizes:?}");
    assert!(sizes[2] < 100_000, "{sizes:?}");
    let backstop = Backstop(AdmissionPolicy::all(&objects.objects));
    let text = backstop.denial(&pod(BLANKET)).unwrap();
    assert!(text.starts_with(
        "[pod-intrusion] Pod shop/p can run on a node that is reserved for AutoMQ: spec.tolerations"
    ));
}

#[test]
fn what_nodes_have_in_common_counts_as_if_each_node_had_it() {
    let scenario = large(4);
    let backstop = Backstop::new(&scenario).unwrap();
    let in_pool = |pool: usize, more: &str| {
        blanket(&format!("nodeSelector: {{eks.amazonaws.com/nodegroup: automq-{pool}{more}}}"))
    };
    let host = |name: &str| blanket(&format!("nodeSelector: {{kubernetes.io/hostname: {name}}}"));
    for (spec, is_denied) in [
        (in_pool(1, ""), true),
        (in_pool(0, ", disk: ssd"), false),
        (in_pool(1, ", disk: ssd"), true),
        (in_pool(1, ", disk: hdd"), false),
        (in_pool(1, ", kubernetes.io/arch: arm64"), false),
        (in_pool(1, ", kubernetes.io/arch: amd64, topology.kubernetes.io/zone: us-east-1b"), true),
        (term("{matchExpressions: [{key: disk, operator: DoesNotExist}]}"), true),
        (host("ip-10-2-0-1.us-east-1.compute.internal"), true),
        (host("ip-10-2-7-1.us-east-1.compute.internal"), false),
        (host("2-0"), false),
        (host("ip-10-.us-east-1.compute.internal"), false),
        ("{nodeName: ip-10-2-0-1.us-east-1.compute.internal}".to_owned(), true),
        ("{nodeName: 2-0}".to_owned(), false),
    ] {
        let review = pod(&spec);
        assert_eq!(backstop.denial(&review).is_some(), is_denied, "{spec}");
        assert!(!is_denied || !scenario.validate(&review).is_allowed(), "PoolGuard: {spec}");
    }
}

thread_local! {
    static MANAGED: LazyLock<(Scenario, Backstop, ApiServer)> = const { LazyLock::new(|| {
        let scenario = Scenario::with("backstop: {mode: managed}");
        let backstop = Backstop::new(&scenario).unwrap();
        let server = ApiServer::new(&registered(&scenario.policy, &[]));
        (scenario, backstop, server)
    }) };
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
    fn poolguard_denies_first_what_the_backstop_would_deny(spec in pod_spec(), added in toleration()) {
        let tolerate = |pod: &mut Value| match pod["spec"]["tolerations"].as_array_mut() {
            Some(tolerations) => tolerations.push(added.clone()),
            None => pod["spec"]["tolerations"] = json!([added]),
        };
        let create = pod(&spec.to_string());
        MANAGED.with(|world| {
            let (scenario, backstop, server) = &**world;
            for review in [update(create.clone(), tolerate), create] {
                if let Answer::Denied(text) = backstop.answer(&review) {
                    let called = server.called(&review);
                    let asked = called.iter().any(|it| it.path() == Phase::Mutate);
                    assert!(asked, "{text}\n{review:#}");
                    let verdict = scenario.decide(Phase::Mutate, &review);
                    assert!(!verdict.is_allowed(), "{text}\n{review:#}");
                }
            }
        });
    }

    #[test]
    fn a_generated_pod_that_poolguard_allows_passes(world in world(), spec in pod_spec()) {
        let scenario = world.scenario();
        if let Some(backstop) = Backstop::new(&scenario) {
            let review = pod_in("shop", &spec.to_string());
            if let Answer::Denied(text) = backstop.answer(&review) {
                prop_assert!(!scenario.validate(&review).is_allowed(), "{text}");
            }
        }
    }

    #[test]
    fn a_generated_update_that_poolguard_allows_passes(
        world in world(),
        spec in pod_spec(),
        added in toleration(),
        node in any_node_name(),
    ) {
        let scenario = world.scenario();
        if let Some(backstop) = Backstop::new(&scenario) {
            let tolerate = |pod: &mut Value| match pod["spec"]["tolerations"].as_array_mut() {
                Some(tolerations) => tolerations.push(added.clone()),
                None => pod["spec"]["tolerations"] = json!([added]),
            };
            for review in [update(pod_in("shop", &spec.to_string()), tolerate), binding("shop", &node)] {
                if let Answer::Denied(text) = backstop.answer(&review) {
                    prop_assert!(!scenario.validate(&review).is_allowed(), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_pod_of_any_namespace_that_poolguard_allows_passes(
        spec in pod_spec(),
        namespace in select(&["shop", "monitoring", "automq", "automq-instance-1", "default"][..]),
    ) {
        let review = pod_in(namespace, &spec.to_string());
        WORLDS.with(|worlds| {
            for (scenario, backstop) in worlds.iter() {
                if let Answer::Denied(text) = backstop.answer(&review) {
                    assert!(!scenario.validate(&review).is_allowed(), "{text}\n{review:#}");
                }
            }
        });
    }
}
