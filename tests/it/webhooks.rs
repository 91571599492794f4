//! The webhook entries, as an API server would take them: which of the requests are sent where, and
//! what becomes of them while PoolGuard does not answer.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

/// An evaluation of admission policies.
mod admission_policy;
/// A matcher over the registered objects.
pub(crate) mod api_server;
/// The policy that the API server evaluates by itself.
mod backstop;
/// The language of the filters.
mod expressions;
/// What is sent and what is not, over generated requests.
mod generated;
/// The objects themselves.
mod objects;
/// Protected objects of kinds that have an entry of their own.
mod overlap;
/// The policy by which the API server itself places pods.
mod placement_policy;
/// What the recorded requests come to.
mod recorded;
/// Configs that ask for different entries.
mod variants;

use poolguard::{
    admission::webhooks::{BackstopState, Entries, entries},
    kubernetes::resource::GroupResource,
    policy::{
        Phase, Policy,
        verdict::{Outcome, Verdict},
    },
};
use serde_json::Value;

use self::api_server::{ApiServer, OWN_NAMESPACE, Webhook};
use crate::scenario::Scenario;

/// The API server of a scenario, with what its config asks for registered.
fn api_server(scenario: &Scenario) -> ApiServer {
    ApiServer::new(&registered(&scenario.policy, &CUSTOM))
}

/// Custom resources of the cluster. Those of every provider together would take minutes to evaluate.
const CUSTOM: [&str; 4] = [
    "computeclasses.cloud.google.com",
    "ec2nodeclasses.karpenter.k8s.aws",
    "nodegroups.eks.services.k8s.aws",
    "nodepools.karpenter.sh",
];

/// The entries that a policy asks for in a cluster with these custom resources.
pub(crate) fn registered(policy: &Policy, custom: &[&str]) -> Entries {
    let found = custom.iter().map(|it| GroupResource::parse(it).unwrap()).collect();
    entries(&policy.with_node_pool_objects(&found), OWN_NAMESPACE, BackstopState::InForce)
}

/// Whether anybody would notice that the request was not sent.
fn says_something(verdict: &Verdict) -> bool {
    match &verdict.outcome {
        Outcome::Deny(_) => true,
        Outcome::Allow(operations) => !operations.is_empty() || !verdict.warnings.is_empty(),
    }
}

/// Names of the entries of a configuration that a request is sent by.
fn names<'s>(server: &'s ApiServer, configuration: Phase, review: &Value) -> Vec<&'s str> {
    let called = server.called(review).into_iter();
    called.filter(|it| it.configuration == configuration).map(Webhook::name).collect()
}

/// Entries of one configuration are disjoint.
#[track_caller]
fn assert_sent_once(server: &ApiServer, review: &Value, about: &str) {
    let called = server.called(review);
    for configuration in [Phase::Mutate, Phase::Validate] {
        let of_it = called.iter().filter(|it| it.configuration == configuration);
        let names: Vec<&str> = of_it.map(|it| it.name()).collect();
        assert!(names.len() <= 1, "{about}: {names:?}\n{review:#}");
    }
}

/// Whatever a phase has to say, it is asked, or the phase before has said it.
#[track_caller]
fn assert_sent(server: &ApiServer, scenario: &Scenario, review: &Value, about: &str) {
    let asked: Vec<Phase> = server.called(review).into_iter().map(Webhook::path).collect();
    for phase in [Phase::Mutate, Phase::Validate] {
        if asked.contains(&phase) {
            continue;
        }
        let verdict = scenario.decide(phase, review);
        let is_said_first = phase == Phase::Validate && asked.contains(&Phase::Mutate) && {
            let first = scenario.decide(Phase::Mutate, review);
            first.outcome == verdict.outcome && first.records == verdict.records
        };
        let says_something = says_something(&verdict) && !is_said_first;
        assert!(!says_something, "{about}: {phase:?} is not asked\n{review:#}");
    }
}
