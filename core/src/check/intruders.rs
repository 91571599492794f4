//! Pods of others: those that run on AutoMQ's nodes, those that today's workloads could put there and
//! that enforcing would deny, and those that are in the cluster at all.
//!
//! Whether a pod can land is decided by the webhook's own rules, put to the creation of what exists
//! already. A workload and its pods are one finding.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    draft::is_marked,
    exclusive,
    facts::{CheckFacts, Resident, ResidentOwner},
    finding::{CheckFinding, Constraint, FindingSeverity},
    fix,
    words::{capital, count, list, named, verb},
};
use crate::{
    json,
    kubernetes::{
        object::{Metadata, Pod, PodSpec, Workload, WorkloadKind},
        resource::{JOBS, NODES, PODS, REPLICA_SETS, Resource},
        taint::tolerating,
    },
    policy::{
        Phase, decide,
        mode::{Mode, RuleName},
        placement::{UnknownNames, reach},
        pod_owner::DEFAULT_ACCOUNT,
        principal::{KUBE_CONTROLLER_MANAGER, User},
        request::{Change, Operation, Request, RequestObjects, Target},
        snapshot::PoolFacts,
        verdict::{Decision, Finding as Found, Outcome},
    },
};

const POD: Constraint = Constraint::Rule(RuleName::PodIntrusion);
const WORKLOAD: Constraint = Constraint::Rule(RuleName::WorkloadIntrusion);

const RESERVED: &str = "These pods take network, disk and CPU from the brokers, and AutoMQ's next \
 change can fail because free resources are missing";
const WOULD_LAND: &str = "Without PoolGuard, these pods can run on the brokers' nodes. If pod-intrusion is in mode \
 enforce, PoolGuard denies these pods, so the workload has too few pods";

const NO_NODES: &str =
    "The input contains no nodes, so PoolGuard cannot tell which pods can run on AutoMQ's nodes";

/// The workload that creates pods, or a pod that no workload creates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PodCreator {
    kind: String,
    namespace: String,
    name: String,
}

impl PodCreator {
    fn object(&self) -> String {
        let Self { kind, namespace, name } = self;
        format!("{kind} {namespace}/{name}")
    }
}

/// A workload whose pods the rules would deny.
struct Denied {
    why: Found,
    pools: Vec<String>,
    fix: String,
}

pub(super) fn judge(facts: &CheckFacts<'_>, findings: &mut Vec<CheckFinding>) {
    let (mut denied, exempt) = workloads(facts);
    let unrelated_pods: Vec<&Resident<'_>> =
        facts.pods.iter().filter(|it| matches!(it.owner, ResidentOwner::Neither)).collect();
    let mut intruders: BTreeMap<(PodCreator, String), Vec<&Resident<'_>>> = BTreeMap::new();
    for &resident in &unrelated_pods {
        for pool in reached(facts, resident) {
            intruders.entry((creator(facts, &resident.pod), pool)).or_default().push(resident);
        }
    }
    residents(facts, &intruders, &denied, findings);
    for (creator, _) in intruders.keys() {
        denied.remove(creator);
    }
    findings.extend(denied.iter().map(|(creator, denied)| would_land(creator, denied)));
    exempt_by_namespace(facts, findings);
    knowledge(facts, intruders.is_empty(), denied.is_empty(), exempt, findings);
    let reported: Vec<&Resident<'_>> = intruders.values().flatten().copied().collect();
    exclusive::judge(facts, &unrelated_pods, &reported, findings);
}

/// Returns the finding about a workload: one, however many pools its pods could reach.
fn would_land(creator: &PodCreator, denied: &Denied) -> CheckFinding {
    let Denied { why, pools, fix } = denied;
    let finding = CheckFinding::fail(WORKLOAD, FindingSeverity::Error, capital(&why.fact))
        .why(WOULD_LAND)
        .object(creator.object())
        .fix(fix);
    match (pools.as_slice(), &why.node) {
        ([pool], Some(node)) => finding.pool(pool).nodes(&[node]),
        ([pool], None) => finding.pool(pool),
        _ => finding,
    }
}

/// Names of the pools that a pod is in, or can still come to.
fn reached(facts: &CheckFacts<'_>, resident: &Resident<'_>) -> Vec<String> {
    let pod = &resident.pod;
    let bound = resident.pool.and_then(|pool| facts.snapshot.pool(pool));
    if bound.is_some() || !pod.spec.node_name.is_empty() {
        return bound.into_iter().map(|pool| pool.name.to_string()).collect();
    }
    let subject = RequestObjects::Pod(Change::Create { new: pod.clone() });
    match denial(facts, "", "pods", &pod.metadata, subject, RuleName::PodIntrusion) {
        Some(Answer::Denied(_)) => names(&pools_of(facts, &pod.spec)),
        Some(Answer::Exempt) | None => Vec::new(),
    }
}

fn pools_of<'a>(facts: &CheckFacts<'a>, spec: &PodSpec<'_>) -> Vec<&'a PoolFacts> {
    let settings = &facts.policy.placement;
    let reach = reach(facts.snapshot, settings, spec, UnknownNames::MayCome);
    reach.landings.iter().filter_map(|landing| facts.snapshot.pool(landing.pool)).collect()
}

fn names(pools: &[&PoolFacts]) -> Vec<String> {
    pools.iter().map(|pool| pool.name.to_string()).collect()
}

fn residents(
    facts: &CheckFacts<'_>,
    intruders: &BTreeMap<(PodCreator, String), Vec<&Resident<'_>>>,
    denied: &BTreeMap<PodCreator, Denied>,
    findings: &mut Vec<CheckFinding>,
) {
    for ((creator, pool), pods) in intruders {
        let nodes: BTreeSet<&str> = pods.iter().map(|it| it.pod.spec.node_name.as_str()).collect();
        let nodes: Vec<&str> = nodes.into_iter().filter(|node| !node.is_empty()).collect();
        let who = who(creator, pods);
        let verb = verb(pods, "runs", "run");
        let fact = if nodes.is_empty() {
            format!("{who} can run on pool {pool}, which is reserved for AutoMQ")
        } else {
            let nodes = named("node", &nodes);
            format!("{who} {verb} on {nodes} of pool {pool}, which is reserved for AutoMQ")
        };
        let is_static = pods.iter().any(|it| it.pod.metadata.mirror.0);
        let fix = match denied.get(creator) {
            Some(Denied { fix, .. }) => fix.clone(),
            None if is_static => {
                "# this is a static pod: remove its manifest from the node".to_owned()
            }
            None => {
                let has_mark = pods.iter().any(|it| is_marked(&it.pod.metadata.labels));
                fix::unless_automq(facts, &creator.namespace, has_mark)
                    + &pod_fix(facts, creator, pods)
            }
        };
        findings.push(
            CheckFinding::fail(POD, severity(facts, creator), fact)
                .why(RESERVED)
                .pool(pool)
                .nodes(&nodes)
                .object(creator.object())
                .fix(fix),
        );
    }
}

/// Reports pods on pools that are exempt only because an entry covers their whole namespace.
fn exempt_by_namespace(facts: &CheckFacts<'_>, findings: &mut Vec<CheckFinding>) {
    let mut found: BTreeMap<(PodCreator, Arc<str>), Vec<&Resident<'_>>> = BTreeMap::new();
    for resident in &facts.pods {
        let finding = facts.strict.inspect_exempt_pod(facts.snapshot, &resident.pod);
        if let Some(pool) = finding.and_then(|it| it.pool) {
            found.entry((creator(facts, &resident.pod), pool)).or_default().push(resident);
        }
    }
    for ((creator, pool), pods) in found {
        let namespace = &creator.namespace;
        let fact = format!(
            "{} {} on nodes of pool {pool}, only because an exempt entry covers the whole namespace \
             {namespace}. No DaemonSet owns {}",
            who(&creator, &pods),
            verb(&pods, "runs", "run"),
            verb(&pods, "it", "them"),
        );
        let finding = CheckFinding::fail(POD, FindingSeverity::Note, fact)
            .why(
                "An exempt entry for a whole namespace is meant for agents that every node \
             needs, not for ordinary pods",
            )
            .pool(&pool)
            .object(creator.object())
            .fix(exempt_fix(&creator, &pods));
        findings.push(finding);
    }
}

/// Returns the remedy for pods that are exempt only because an entry covers their whole namespace: keep them
/// off the pool, or exempt them by an entry of their own.
fn exempt_fix(creator: &PodCreator, pods: &[&Resident<'_>]) -> String {
    let PodCreator { kind, namespace, name } = creator;
    let keep_off = match kind.as_str() {
        "Pod" => "# in the manifest of the pod, add node affinity that keeps it off the pool. Then delete the pod and create \
                  it again"
            .to_owned(),
        // A Deployment undoes a change of its ReplicaSet.
        "ReplicaSet" => format!(
            "# in the Deployment or other owner of {}, add node affinity that keeps its pods off the pool",
            creator.object()
        ),
        _ => format!(
            "kubectl edit {} -n {namespace} {name}\n# add node affinity that keeps its pods off the pool",
            kind.to_lowercase()
        ),
    };
    let entry = exempt_entry(creator, account(pods));
    format!("{keep_off}\n{entry}\n# PoolGuard then no longer reports these pods")
}

/// The service account of the pods.
fn account<'p>(pods: &[&'p Resident<'_>]) -> &'p str {
    pods.first().map_or("", |it| it.pod.spec.service_account())
}

/// Names pods by the workload that creates them.
fn who(creator: &PodCreator, pods: &[&Resident<'_>]) -> String {
    if creator.kind == "Pod" {
        creator.object()
    } else {
        format!("{} of {}", count(pods.len(), "pod"), creator.object())
    }
}

/// Returns the severity: only a note for a DaemonSet if its rule is off, because the config decided that.
fn severity(facts: &CheckFacts<'_>, creator: &PodCreator) -> FindingSeverity {
    let is_daemon_set = creator.kind == "DaemonSet";
    match facts.policy.rules.daemon_set_intrusion {
        Mode::Off if is_daemon_set => FindingSeverity::Note,
        Mode::Off | Mode::Audit | Mode::Warn | Mode::Enforce => FindingSeverity::Error,
    }
}

fn pod_fix(facts: &CheckFacts<'_>, creator: &PodCreator, pods: &[&Resident<'_>]) -> String {
    let namespace = &creator.namespace;
    let names: Vec<&str> = pods.iter().map(|it| it.pod.metadata.name.as_str()).collect();
    let keep_off = pods.first().map(|it| {
        let pools = facts.snapshot.pools().iter();
        let pools: Vec<_> = pools
            .enumerate()
            .filter(|(index, _)| it.pool == Some(*index))
            .map(|(_, it)| it)
            .collect();
        if creator.kind == "DaemonSet" {
            facts.policy.keep_daemon_set_off(facts.snapshot, &pools, &it.pod.spec)
        } else {
            // The pod is bound: its node name came from the scheduler, or from its manifest.
            let spec = it.pod.spec.without_node_name();
            let pools = facts.policy.also_reached(facts.snapshot, &pools, &spec);
            facts.policy.keep_off(facts.snapshot, &pools, &spec)
        }
    });
    let keep_off = keep_off.unwrap_or_default();
    let untolerated = pods.iter().find_map(|it| {
        let taint = &facts.snapshot.pool(it.pool?)?.taint;
        let comparison = facts.policy.placement.comparison_operators;
        tolerating(it.pod.spec.tolerations(), taint, comparison).is_none().then_some(taint)
    });
    let source = match &*creator.kind {
        "Pod" => "in the manifest or tool that creates it".to_owned(),
        "ReplicaSet" => format!("in the Deployment or other owner of {}", creator.object()),
        "Job" => format!("in the CronJob or manifest of {}", creator.object()),
        _ => format!("in {}", creator.object()),
    };
    let first = match untolerated {
        Some(taint) => format!(
            "# the pod does not tolerate the taint {taint}. It runs here because the node lacked the taint when the pod \
             came, or because the manifest sets spec.nodeName. First add the taint to the nodes that lack it (see \
             node-taint), and remove spec.nodeName from the manifest; then"
        ),
        None => format!("# first, {source}, {keep_off}; then"),
    };
    let delete = |name: &str| format!("kubectl delete pod -n {namespace} {name}");
    let change = if creator.kind == "Job" {
        // A Job would create its pods again from its template, which cannot change.
        format!("kubectl delete job -n {namespace} {}", creator.name)
    } else if pods.iter().any(|it| is_marked(&it.pod.metadata.labels)) {
        fix::one_at_a_time(&names, delete, "wait until AutoMQ is healthy")
    } else if creator.kind == "Pod" {
        format!(
            "{}\n# no controller creates this pod again: create it yourself if you need it",
            delete(&names.join(" "))
        )
    } else {
        delete(&names.join(" "))
    };
    let entry = exempt_entry(creator, account(pods));
    format!("{first}\n{change}\n{entry}")
}

fn workload_fix(creator: &PodCreator, keep_off: &str, account: &str) -> String {
    let PodCreator { kind, namespace, name } = creator;
    let change = if kind == "Job" {
        format!(
            "# in the manifest of the Job, {keep_off}. The pod template of a Job cannot change, so delete the Job and create \
             it again\nkubectl delete job -n {namespace} {name}"
        )
    } else {
        format!("kubectl edit {} -n {namespace} {name}\n# {keep_off}", kind.to_lowercase())
    };
    let entry = exempt_entry(creator, account);
    format!(
        "{change}\n# if an operator manages the {kind}, change the operator's settings instead\n{entry}"
    )
}

/// Returns the entry that exempts the pods, to paste under `exempt`.
fn exempt_entry(creator: &PodCreator, account: &str) -> String {
    let PodCreator { kind, namespace, name } = creator;
    let (which, scope) = match (kind.as_str(), account) {
        ("DaemonSet", _) => (format!("daemonSets: [{name}]"), String::new()),
        (_, "" | DEFAULT_ACCOUNT) => (
            format!("serviceAccounts: [{DEFAULT_ACCOUNT}]"),
            format!(
                "\n# this entry exempts every pod of namespace {namespace} that names no service account; to exempt \
                 fewer pods, first set serviceAccountName in the pod or in its template"
            ),
        ),
        _ => (format!("serviceAccounts: [{account}]"), String::new()),
    };
    format!(
        "# or, if the pods must run there, add under `exempt` in PoolGuard's config: {{namespace: {namespace}, {which}, \
         reason: …}}{scope}"
    )
}

/// The workloads whose pods the rules would deny, and how many only an exemption lets pass.
fn workloads(facts: &CheckFacts<'_>) -> (BTreeMap<PodCreator, Denied>, usize) {
    let mut denied = BTreeMap::new();
    let mut exempt = 0;
    for kind in WorkloadKind::ALL {
        let read = kind.resource();
        let Resource { group, plural: resource, kind: name, .. } = read;
        for (_, text) in facts.inventory.objects(&read.group_resource()) {
            let Ok(workload) = json::from_str::<Workload<'_>>(text) else { continue };
            if workload.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let metadata = workload.metadata.clone();
            let pools = pools_of(facts, &workload.template(kind).spec);
            let spec = &workload.template(kind).spec;
            let mut keep_off = facts.policy.keep_off(facts.snapshot, &pools, spec);
            if !spec.node_name.is_empty() {
                keep_off.push_str(" from the pod template");
            }
            let has_mark = is_marked(&workload.template(kind).metadata.labels);
            let account = spec.service_account().to_owned();
            let subject =
                RequestObjects::Workload(kind, Box::new(Change::Create { new: workload }));
            match denial(facts, group, resource, &metadata, subject, RuleName::WorkloadIntrusion) {
                None => {}
                Some(Answer::Exempt) => exempt += 1,
                Some(Answer::Denied(why)) => {
                    let creator = PodCreator {
                        kind: name.to_owned(),
                        namespace: metadata.namespace.to_string(),
                        name: metadata.name.to_string(),
                    };
                    let fix = fix::unless_automq(facts, &creator.namespace, has_mark)
                        + &workload_fix(&creator, &keep_off, &account);
                    denied.insert(creator, Denied { why, pools: names(&pools), fix });
                }
            }
        }
    }
    (denied, exempt)
}

enum Answer {
    Exempt,
    Denied(Found),
}

/// Returns the answer of the rule to the creation of an object that exists already: denied, or allowed only by
/// an exemption; `None` if the rule has no objection.
fn denial(
    facts: &CheckFacts<'_>,
    group: &str,
    resource: &str,
    metadata: &Metadata<'_>,
    subject: RequestObjects<'_>,
    rule: RuleName,
) -> Option<Answer> {
    let request = Request {
        uid: "check".into(),
        target: Target {
            operation: Operation::Create,
            group: group.into(),
            version: "v1".into(),
            resource: resource.into(),
            sub_resource: "".into(),
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone(),
        },
        // What is stored came by its controller, if it has one.
        user: User { name: KUBE_CONTROLLER_MANAGER.into(), groups: Vec::new() },
        dry_run: true,
        subject,
        raw_objects: None,
    };
    let is_of_workload = rule == RuleName::WorkloadIntrusion;
    let strict = if is_of_workload { &facts.strict_for_workloads } else { &facts.strict };
    let verdict = decide(strict, facts.snapshot, Phase::Validate, &request);
    if let Outcome::Deny(denials) = &verdict.outcome
        && let Some(denial) = denials.iter().find(|it| it.rule == rule)
    {
        return Some(Answer::Denied(Found::clone(denial)));
    }
    let is_exempt = verdict.records.iter().any(|it| it.decision == Decision::Exempt);
    is_exempt.then_some(Answer::Exempt)
}

/// The workload at the top of a pod's owners; the pod itself if it has none.
fn creator(facts: &CheckFacts<'_>, pod: &Pod<'_>) -> PodCreator {
    let namespace = pod.metadata.namespace.to_string();
    let Some(owner) = pod.metadata.controller() else {
        return PodCreator {
            kind: "Pod".to_owned(),
            namespace,
            name: pod.metadata.name_parts().concat(),
        };
    };
    let (mut kind, mut name) = (owner.kind.to_string(), owner.name.to_string());
    for parent in [REPLICA_SETS, JOBS] {
        if kind != parent.kind {
            continue;
        }
        let found = facts.inventory.get(&parent.group_resource(), &namespace, &name);
        let workload = found.and_then(|text| json::from_str::<Workload<'_>>(text).ok());
        if let Some(owner) = workload.as_ref().and_then(|it| it.metadata.controller()) {
            (kind, name) = (owner.kind.to_string(), owner.name.to_string());
        }
    }
    PodCreator { kind, namespace, name }
}

/// Reports the constraints that hold, and those that the input does not show.
fn knowledge(
    facts: &CheckFacts<'_>,
    no_intruder: bool,
    no_denial: bool,
    exempt: usize,
    findings: &mut Vec<CheckFinding>,
) {
    if !facts.knows(PODS) {
        findings.push(CheckFinding::unknown(
            POD,
            FindingSeverity::Error,
            facts.inventory.why_unknown(PODS),
        ));
    } else if !facts.knows(NODES) {
        findings.push(CheckFinding::unknown(POD, FindingSeverity::Error, NO_NODES));
    } else if no_intruder {
        let on_pools = facts.pods.iter().filter(|it| it.pool.is_some());
        let exempt = on_pools.filter(|it| matches!(it.owner, ResidentOwner::Exempt)).count();
        let fact = match exempt {
            0 => "Only AutoMQ's pods run on AutoMQ's nodes".to_owned(),
            exempt => format!(
                "Only AutoMQ's pods and {} run on AutoMQ's nodes",
                count(exempt, "exempt pod")
            ),
        };
        findings.push(CheckFinding::pass(POD, FindingSeverity::Error, fact));
    }
    let resources = WorkloadKind::ALL.map(WorkloadKind::resource);
    let (known, unknown): (Vec<Resource>, Vec<Resource>) =
        resources.into_iter().partition(|it| facts.knows(*it));
    let gap = |it: &Resource| facts.inventory.gap(&it.group_resource());
    // A dump shows no kind of which there is none; what was listed and failed is another matter.
    let failed: Vec<Resource> =
        unknown.into_iter().filter(|it| known.is_empty() || gap(it).is_some()).collect();
    if !failed.is_empty() {
        let names: Vec<&str> = failed.iter().map(|it| it.plural).collect();
        let fact = match failed.iter().find_map(gap) {
            Some(why) => format!("{} could not be read: {why}", capital(&list(&names))),
            None => "The input contains no workloads".to_owned(),
        };
        findings.push(CheckFinding::unknown(WORKLOAD, FindingSeverity::Error, fact));
    } else if no_denial && !facts.knows(NODES) {
        findings.push(CheckFinding::unknown(WORKLOAD, FindingSeverity::Error, NO_NODES));
    } else if no_denial && no_intruder {
        let fact = match exempt {
            0 => "No workload can create a pod that runs on AutoMQ's nodes".to_owned(),
            exempt => format!(
                "Only {} can create a pod that runs on AutoMQ's nodes",
                count(exempt, "exempt workload")
            ),
        };
        findings.push(CheckFinding::pass(WORKLOAD, FindingSeverity::Error, fact));
    }
}
