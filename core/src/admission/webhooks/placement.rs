//! `pod-placement`: pods of instances, and bindings of them.

use super::{
    MatchCondition, NamespaceScope, Reinvocation, SHORT_TIMEOUT_SECONDS, WebhookEntry,
    cel::{Cel, CelPath},
    pod_owner::{automq_namespaces, is_automq_pod},
    pods::{binding_rule, rule},
    principals, sorted,
};
use crate::policy::{Phase, Policy, mode::Mode, request::Operation};

/// Returns the entry for AutoMQ's pods and their bindings, which `pods` and `bindings` leave out.
pub(super) fn validating(policy: &Policy, own_namespace: &str) -> Option<WebhookEntry> {
    if policy.rules.pod_placement == Mode::Off && policy.rules.pod_intrusion == Mode::Off {
        return None;
    }
    let mut namespaces = automq_namespaces(policy);
    namespaces.retain(|namespace| namespace != own_namespace);
    if namespaces.is_empty() {
        return None;
    }
    let bindings = binding_rule().resources;
    let resources: Vec<&str> = bindings.iter().map(String::as_str).chain(["pods"]).collect();
    let pods_and_bindings = rule(&resources, &[Operation::Create]);
    let mut entry = WebhookEntry::new("automq-pods", Phase::Validate, vec![pods_and_bindings]);
    entry.namespaces = NamespaceScope::Only(namespaces);
    entry.timeout_seconds = SHORT_TIMEOUT_SECONDS;
    let by_scheduler = Cel::all([principals::is_kube_scheduler(), is_binding()]);
    entry
        .conditions
        .extend(MatchCondition::new("no-binding-by-kube-scheduler", Cel::not(by_scheduler)));
    if !policy.automq.is_by_namespace_only() {
        let is_automqs = Cel::any([is_binding(), is_automq_pod(&policy.automq)]);
        entry.conditions.extend(MatchCondition::new("automqs-pod", is_automqs));
    }
    Some(entry)
}

/// Whether the request is about one of the two resources by which a pod is bound.
fn is_binding() -> Cel {
    let request = CelPath::bound("request");
    Cel::any([
        Cel::term("request.resource.resource == 'bindings'"),
        request.text_is("subResource", ["binding"]),
    ])
}

/// Returns the mutating entry, which changes pods.
pub(super) fn mutating(policy: &Policy) -> Option<WebhookEntry> {
    let namespaces = sorted(policy.instances.iter().map(|instance| instance.namespace.as_str()));
    if policy.rules.pod_placement == Mode::Off || namespaces.is_empty() {
        return None;
    }
    let rule = rule(&["pods"], &[Operation::Create]);
    let mut entry = WebhookEntry::new("place-pods", Phase::Mutate, vec![rule]);
    entry.namespaces = NamespaceScope::Only(namespaces);
    entry.timeout_seconds = SHORT_TIMEOUT_SECONDS;
    entry.reinvocation = Reinvocation::IfNeeded;
    if !policy.automq.is_by_namespace_only() {
        let is_automqs = is_automq_pod(&policy.automq);
        entry.conditions.extend(MatchCondition::new("automqs-pod", is_automqs));
    }
    Some(entry)
}
