//! Generated configs over generated requests about kinds that both protected objects and other rules
//! are about: the four invariants of the entries.
//!
//! - What a rule denies, warns about or patches is sent.
//! - What a rule that enforces denies, and the object itself shows, fails closed.
//! - No request matches two entries of one configuration, and none is put to `/validate` twice.
//! - No entry that fails closed holds a break-glass request, and what would be denied without
//!   break-glass is sent to be recorded.

mod configs;
mod examples;
mod requests;

use poolguard::policy::{
    Phase,
    mode::RuleName,
    principal::NEVER_JUDGED,
    verdict::{Decision, Outcome, Record, Verdict},
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngSeed},
};
use serde_json::Value;

use self::{
    configs::{BREAK_GLASS_GROUPS, config},
    requests::{KUBELET, request},
};
use super::{
    CUSTOM,
    api_server::{ApiServer, OWN_NAMESPACE, Webhook},
    registered,
};
use crate::scenario::{Scenario, by, data_text};

/// A cluster whose objects no rule looks up.
const BARE_CLUSTER: &str = "{apiVersion: v1, kind: Node, metadata: {name: bare}}";
const DAEMON_SET_CONTROLLER: &str = "system:serviceaccount:kube-system:daemon-set-controller";

struct World {
    config: String,
    scenario: Scenario,
    /// The same config where nothing is known from a look-up.
    blind: Scenario,
    server: ApiServer,
}

impl World {
    fn new(config: String, cluster: &str) -> Self {
        let scenario = Scenario::new(&config, cluster);
        let blind = Scenario::new(&config, BARE_CLUSTER);
        let server = ApiServer::lazy(&registered(&scenario.policy, &CUSTOM));
        Self { config, scenario, blind, server }
    }

    fn check(&self, review: &Value) {
        let called = self.server.called(review);
        let about = || {
            let names: Vec<&str> = called.iter().map(|it| it.name()).collect();
            format!("called: {names:?}\n{}\n{review:#}", self.config)
        };
        let is_asked = |phase| called.iter().any(|it| it.path() == phase);
        for phase in [Phase::Mutate, Phase::Validate] {
            let verdict = self.scenario.decide(phase, review);
            let said = rules_that_say_something(&verdict);
            let is_due = said.iter().any(|rule| !is_left_out(*rule, review));
            assert!(!is_due || is_asked(phase), "{phase:?} is not asked\n{}", about());
        }
        if self.must_fail_closed(review) {
            assert!(called.iter().any(|it| it.fails_closed()), "it fails open\n{}", about());
        }
        for configuration in [Phase::Mutate, Phase::Validate] {
            let of_it = called.iter().filter(|it| it.configuration == configuration);
            assert!(of_it.count() <= 1, "two entries of {configuration:?}\n{}", about());
        }
        let judged = called.iter().filter(|it| it.path() == Phase::Validate);
        assert!(judged.count() <= 1, "judged twice\n{}", about());
        self.check_break_glass(review, &called, &about());
    }

    /// Whether a rule that enforces denies the request because of what the object shows.
    fn must_fail_closed(&self, review: &Value) -> bool {
        if denies(&self.blind.validate(review), RuleName::RoleBinding) {
            return true;
        }
        let user = &review["request"]["userInfo"]["username"];
        denies(&self.scenario.validate(review), RuleName::PodIntrusion)
            && !is_left_out(RuleName::PodIntrusion, review)
            && *user != KUBELET
            && (review["request"]["operation"] == "CREATE" || moves_unbound_pod(review))
    }

    fn check_break_glass(&self, review: &Value, called: &[&Webhook], about: &str) {
        let user = &review["request"]["userInfo"];
        let is_member = |group: &&str| {
            let named = self.scenario.policy.break_glass_groups.iter();
            named.into_iter().any(|it| it == group)
                && user["groups"].as_array().into_iter().flatten().any(|it| it == group)
        };
        if !BREAK_GLASS_GROUPS.iter().any(is_member) {
            return;
        }
        assert!(!called.iter().any(|it| it.fails_closed()), "break-glass fails closed\n{about}");
        let as_usual = by(review.clone(), user["username"].as_str().unwrap(), &[]);
        let denied = self.scenario.validate(&as_usual);
        if let Outcome::Deny(denials) = &denied.outcome
            && denials.iter().any(|it| !is_left_out(it.rule, review))
        {
            let is_recorded = called.iter().any(|it| it.path() == Phase::Validate);
            assert!(is_recorded, "break-glass is not recorded\n{about}");
        }
    }
}

fn rules_that_say_something(verdict: &Verdict) -> Vec<RuleName> {
    let says = |decision| matches!(decision, Decision::Deny | Decision::Warn | Decision::Patch);
    let records = verdict.records.iter().filter(|it| says(it.decision));
    records.filter_map(Record::rule).collect()
}

fn denies(verdict: &Verdict, rule: RuleName) -> bool {
    match &verdict.outcome {
        Outcome::Deny(denials) => denials.iter().any(|it| it.rule == rule),
        Outcome::Allow(_) => false,
    }
}

/// Whether an UPDATE changes where a pod that is on no node yet can run.
fn moves_unbound_pod(review: &Value) -> bool {
    let request = &review["request"];
    let (new, old) = (&request["object"]["spec"], &request["oldObject"]["spec"]);
    request["operation"] == "UPDATE"
        && old["nodeName"].as_str().unwrap_or_default().is_empty()
        && request["object"]["metadata"]["deletionTimestamp"].is_null()
        && ["tolerations", "nodeSelector", "affinity"].iter().any(|it| new[it] != old[it])
}

/// What is left out on purpose, whatever the rule would say: what runs in PoolGuard's own namespace
/// and in kube-system, pods of DaemonSets without their label, and taints of the controllers that no rule judges.
fn is_left_out(rule: RuleName, review: &Value) -> bool {
    let request = &review["request"];
    let user = request["userInfo"]["username"].as_str().unwrap_or_default();
    match rule {
        RuleName::PodIntrusion
        | RuleName::PodPlacement
        | RuleName::WorkloadIntrusion
        | RuleName::ClusterExclusive => {
            user == DAEMON_SET_CONTROLLER
                || request["namespace"] == "kube-system"
                || request["namespace"] == OWN_NAMESPACE
        }
        RuleName::NodeTaint
        | RuleName::NodeIdentity
        | RuleName::NodeMachineType
        | RuleName::NodeZone => NEVER_JUDGED.contains(&user),
        RuleName::NodePool | RuleName::RoleBinding => false,
    }
}

/// A sixth of the usual number of cases, since the conditions of each config are compiled; and those of
/// the last run, unless the environment names a seed.
fn runs() -> Config {
    let usual = Config::default();
    let rng_seed = match usual.rng_seed {
        RngSeed::Random => RngSeed::Fixed(7),
        named @ RngSeed::Fixed(_) => named,
    };
    Config { cases: usual.cases / 6, rng_seed, ..usual }
}

proptest! {
    #![proptest_config(runs())]

    #[test]
    fn entries_of_protected_objects_and_others_hold_the_invariants(
        config in config(),
        requests in vec(request(), 120),
    ) {
        let world = World::new(config, &data_text("cluster.json"));
        for review in requests {
            world.check(&review);
        }
    }
}
