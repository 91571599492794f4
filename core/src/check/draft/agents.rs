//! DaemonSets that run on the nodes of pools and need an `exempt` entry.

use std::collections::BTreeMap;

use super::{DraftList, EXEMPTIONS_MAX};
use crate::{
    check::facts::{CheckFacts, ResidentOwner},
    json,
    kubernetes::{
        name::is_dns_subdomain,
        object::{Workload, WorkloadKind},
        resource::DAEMON_SETS,
    },
    policy::{
        placement::{UnknownNames, reach},
        pod_owner::{PodIdentity, PodOwner, daemon_set},
    },
};

/// An entry of `exempt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DraftExemption {
    pub(super) namespace: String,
    pub(super) daemon_set: String,
    pub(super) reason: &'static str,
}

const RUNS: &str = "runs on the pools' nodes";
const COULD_RUN: &str = "tolerates the pools' taint";

/// DaemonSets that no preset exempts, and whose pods run on a pool or can land there.
pub(super) fn exemptions(facts: &CheckFacts<'_>) -> DraftList<DraftExemption> {
    let mut agents: BTreeMap<(String, String), &'static str> = BTreeMap::new();
    for (name, text) in facts.inventory.objects(&DAEMON_SETS.group_resource()) {
        let Ok(workload) = json::from_str::<Workload<'_>>(text) else { continue };
        let template = workload.template(WorkloadKind::DaemonSet);
        let identity = PodIdentity {
            namespace: &name.namespace,
            labels: &template.metadata.labels,
            service_account: template.spec.service_account(),
            daemon_set: Some(&name.name),
        };
        if !matches!(facts.policy.pod_owner(&identity), PodOwner::Neither) {
            continue;
        }
        let settings = &facts.policy.placement;
        let reach = reach(facts.snapshot, settings, &template.spec, UnknownNames::AreThere);
        if !reach.landings.is_empty() {
            agents.insert((name.namespace.clone(), name.name.clone()), COULD_RUN);
        }
    }
    for resident in &facts.pods {
        let metadata = &resident.pod.metadata;
        if let Some(name) = daemon_set(metadata)
            && resident.pool.is_some()
            && matches!(resident.owner, ResidentOwner::Neither)
        {
            agents.insert((metadata.namespace.to_string(), name.to_owned()), RUNS);
        }
    }
    let named = agents
        .into_iter()
        .filter(|((namespace, name), _)| is_dns_subdomain(namespace) && is_dns_subdomain(name));
    let entries = named.map(|((namespace, daemon_set), reason)| DraftExemption {
        namespace,
        daemon_set,
        reason,
    });
    let entries: Vec<_> = entries.collect();
    let check = "keep only the agents that every node needs, and write the reason for each";
    let checks = if entries.is_empty() { Vec::new() } else { vec![check.to_owned()] };
    DraftList::bounded(entries, EXEMPTIONS_MAX, "DaemonSet", checks)
}
