//! What a scan gathers. Everything is counted; told one by one is as much as there is room for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    api::{
        object_ref::ObjectRef,
        reports::{Examined, ReportedFinding, Weight},
    },
    json,
    kubernetes::object::Pod,
    policy::{Policy, mode::RuleName, snapshot::Snapshot, verdict::Finding},
};

/// So many findings are lines of the log; the others are in the counts.
const TOLD_MAX: usize = 100;

/// So many findings are in reports, which is a megabyte or two of memory.
const REPORTED_MAX: usize = 2000;

/// What a scan has found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// How often what is broken, by pool; empty for none.
    pub(super) counts: BTreeMap<(RuleName, Arc<str>), usize>,
    /// How many pods an exemption lets stay that it did not mean, by pool.
    pub(super) exempt: BTreeMap<Arc<str>, usize>,
    /// For the log.
    pub(super) reported: BTreeSet<String>,
    /// For reports.
    pub(super) examined: Examined,
    /// How many pods were looked at.
    pub(super) pods: usize,
}

impl Found {
    /// A pod that cannot be read is one that the API server would not have taken.
    pub(super) fn inspect_pod(&mut self, policy: &Policy, snapshot: &Snapshot, object: &str) {
        let Ok(pod) = json::from_str::<Pod<'_>>(object) else { return };
        self.pods += 1;
        for finding in policy.inspect_pod(snapshot, &pod) {
            if finding.rule == RuleName::ClusterExclusive {
                self.count(&finding);
                let namespace = pod.metadata.namespace.to_string();
                *self.examined.strangers.entry(namespace).or_default() += 1;
            } else {
                self.add(finding, Some(ObjectRef::pod(&pod.metadata)));
            }
        }
        if let Some(finding) = policy.inspect_exempt_pod(snapshot, &pod) {
            let pool = finding.pool.clone().unwrap_or_default();
            *self.exempt.entry(pool).or_default() += 1;
            self.add_weighted(finding, Some(ObjectRef::pod(&pod.metadata)), Weight::Exempt);
        }
    }

    /// Nodes and pools.
    pub(super) fn inspect_nodes(&mut self, policy: &Policy, snapshot: &Snapshot) {
        for finding in policy.inspect_nodes(snapshot) {
            let node = finding.node.as_deref().map(|node| ObjectRef::named("v1", "Node", node));
            self.add(finding, node);
        }
    }

    /// Something stands against a rule.
    pub(super) fn add(&mut self, finding: Finding, object: Option<ObjectRef>) {
        self.count(&finding);
        self.add_weighted(finding, object, Weight::Broken);
    }

    fn add_weighted(&mut self, finding: Finding, object: Option<ObjectRef>, weight: Weight) {
        if self.reported.len() < TOLD_MAX {
            self.reported.insert(finding.denial());
        }
        if self.examined.reported.len() < REPORTED_MAX {
            self.examined.reported.push(ReportedFinding { finding, object, weight });
        }
    }

    fn count(&mut self, finding: &Finding) {
        let pool = finding.pool.clone().unwrap_or_default();
        *self.counts.entry((finding.rule, pool)).or_default() += 1;
        self.examined.broken.insert(finding.rule);
    }
}
