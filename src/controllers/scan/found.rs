//! The findings that a scan gathers. Every finding is counted, and as many as there is room for are listed one
//! by one.

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

/// The largest number of findings that are lines of the log; the others are in the counts.
const LOGGED_MAX: usize = 100;

/// The largest number of findings in reports, which is a megabyte or two of memory.
const REPORTED_MAX: usize = 2000;

/// The findings of a scan so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The number of findings by rule and pool. The name of the pool is empty for findings without a pool.
    pub(super) counts: BTreeMap<(RuleName, Arc<str>), usize>,
    /// The number of pods that an exemption allows but probably was not written for, by pool.
    pub(super) exempt: BTreeMap<Arc<str>, usize>,
    /// The findings for the log, as text.
    pub(super) reported: BTreeSet<String>,
    /// The findings for reports.
    pub(super) examined: Examined,
    /// The number of pods that the scan has examined.
    pub(super) pods: usize,
}

impl Found {
    /// Adds the findings about a pod. It skips a pod that cannot be read, because the API server would not have
    /// accepted that pod.
    pub(super) fn inspect_pod(&mut self, policy: &Policy, snapshot: &Snapshot, object: &str) {
        let Ok(pod) = json::from_str::<Pod<'_>>(object) else { return };
        self.pods += 1;
        for finding in policy.inspect_pod(snapshot, &pod) {
            if finding.rule == RuleName::ClusterExclusive {
                self.count(&finding);
                let namespace = pod.metadata.namespace.to_string();
                *self.examined.unrelated_pods.entry(namespace).or_default() += 1;
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

    /// Adds the findings about nodes and pools.
    pub(super) fn inspect_nodes(&mut self, policy: &Policy, snapshot: &Snapshot) {
        for finding in policy.inspect_nodes(snapshot) {
            let node = finding.node.as_deref().map(|node| ObjectRef::named("v1", "Node", node));
            self.add(finding, node);
        }
    }

    /// Adds the finding of a broken rule.
    pub(super) fn add(&mut self, finding: Finding, object: Option<ObjectRef>) {
        self.count(&finding);
        self.add_weighted(finding, object, Weight::Broken);
    }

    fn add_weighted(&mut self, finding: Finding, object: Option<ObjectRef>, weight: Weight) {
        if self.reported.len() < LOGGED_MAX {
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
