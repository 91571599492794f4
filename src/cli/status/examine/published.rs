//! The checks of what the replicas have published in the Lease: the config that each has in force, and the
//! last scan.

use jiff::{SignedDuration, Timestamp};

use super::{Check, InstallationFlags, StatusFacts, StatusFinding, named, text};
use crate::{
    api::lease::{LAST_SCAN, REPLICAS, published},
    cli::page::count,
};

/// The time that a scan may take, plus the time until PoolGuard has published when it ran.
const SCAN_GRACE: SignedDuration = SignedDuration::from_mins(5);

/// Returns an annotation of the Lease.
fn annotation<'f>(facts: &'f StatusFacts, name: &str) -> Option<&'f str> {
    let lease = facts.lease.as_ref().ok()?.as_ref()?;
    lease.pointer("/metadata/annotations")?.get(name)?.as_str()
}

/// Checks whether every replica has the config of the ConfigMap in force. Returns `None` if no replica has
/// published its config.
pub(super) fn config(installed: &InstallationFlags, facts: &StatusFacts) -> Option<StatusFinding> {
    let InstallationFlags { namespace, config_map, .. } = installed;
    let (wanted, pods) = (facts.config_hash.as_ref()?, facts.pods.as_ref().ok()?);
    let all = published(annotation(facts, REPLICAS));
    let of_pods: Vec<_> = pods
        .iter()
        .map(|pod| text(pod, "/metadata/name"))
        .filter_map(|name| Some((name, &all.get(name)?.config)))
        .collect();
    let differing: Vec<String> = of_pods
        .iter()
        .filter(|(_, config)| *config != wanted)
        .map(|(name, config)| format!("{name} has {config}"))
        .collect();
    if of_pods.is_empty() {
        return None;
    }
    let map = format!("ConfigMap {namespace}/{config_map}");
    let Some((first, _)) = of_pods.iter().find(|(_, config)| *config != wanted) else {
        let replicas = count(of_pods.len(), "replica");
        return Some(Check::Config.pass(format!("{replicas} with the config of {map} in force")));
    };
    let fact = format!(
        "The config of {map} has the hash {wanted}, but these replicas have another config in force: {}",
        named(&differing)
    );
    let fix = format!(
        "# Kubernetes passes a change on within two minutes; after that, the log of the replica says why it keeps the old \
         config\nkubectl -n {namespace} logs {first} | grep config"
    );
    Some(Check::Config.warning(fact).fix(fix))
}

/// Checks the age of the last scan. Returns `None` if the config turns scans off.
pub(super) fn scan(installed: &InstallationFlags, facts: &StatusFacts) -> Option<StatusFinding> {
    let InstallationFlags { namespace, name, .. } = installed;
    let settings = facts.config.as_ref().ok()?.settings.scan;
    let lease = facts.lease.as_ref().ok()?.as_ref()?;
    if !settings.enabled {
        return None;
    }
    let fix =
        format!("kubectl -n {namespace} logs {} | grep scan", text(lease, "/spec/holderIdentity"));
    let at = annotation(facts, LAST_SCAN).and_then(|at| at.parse::<Timestamp>().ok());
    let Some(at) = at else {
        let fact = "No scan of the cluster has succeeded yet";
        return Some(Check::Scan.warning(fact).fix(format!(
            "# the first scan starts when a replica holds the Lease and has read the cluster\n{fix}"
        )));
    };
    let age = at.duration_until(facts.now);
    let interval = SignedDuration::try_from(settings.interval).unwrap_or(SignedDuration::MAX);
    let minutes = count(usize::try_from(age.as_mins()).unwrap_or(0), "minute");
    let fact = format!("The last scan of {namespace}/{name} succeeded {minutes} ago");
    Some(if age <= interval.saturating_add(SCAN_GRACE) {
        Check::Scan.pass(fact)
    } else {
        Check::Scan.warning(format!("{fact}, but scan.interval is {interval:#}")).fix(fix)
    })
}
