//! Reports of what stands already, by namespace. The one without a namespace says of every rule that
//! is broken nowhere that it holds.

use std::collections::{BTreeMap, BTreeSet};

use super::{Process, Report, ReportOutcome, ReportResult, ReportSeverity};
use crate::{
    api::object_ref::ObjectRef,
    policy::{
        mode::{Mode, RuleModes, RuleName},
        verdict::Finding,
    },
};

/// PoolGuard's own registration, which is no rule of the config, and is judged like one.
const REGISTRATION: &str = "webhook-registration";
/// How results about the backstop are told apart from results of rules.
const BACKSTOP: &str = "backstop";

/// A finding, and the object that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedFinding {
    /// What stands against a rule.
    pub finding: Finding,
    /// The object; what has none is told of in the report without a namespace.
    pub object: Option<ObjectRef>,
    /// What it means.
    pub weight: Weight,
}

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A rule is broken.
    Broken,
    /// An exemption lets it stay, and hardly means it.
    Exempt,
}

/// What a scan examined.
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// What was found, object by object: as much as there is room for.
    pub reported: Vec<ReportedFinding>,
    /// Rules that are broken, with whatever there is no room for.
    pub broken: BTreeSet<RuleName>,
    /// Pods in AutoMQ's cluster that are neither AutoMQ's nor exempt, by namespace.
    pub strangers: BTreeMap<String, u64>,
    /// Rules that could not be judged, and why.
    pub unjudged: BTreeMap<RuleName, String>,
    /// Webhook configurations that are not as the config asks for, each with what is wrong with it;
    /// `None` if that is not known.
    pub deviations: Option<Vec<(ObjectRef, String)>>,
    /// How the backstop stands that the config asks for, if that is known.
    pub backstop: Option<(ReportOutcome, String)>,
}

/// The reports of what was examined at that Unix time, by namespace; empty for none.
pub fn reports(examined: &Examined, rules: &RuleModes, at: i64) -> BTreeMap<String, Report> {
    let mut places: BTreeMap<String, Vec<ReportResult>> = BTreeMap::new();
    for ReportedFinding { finding, object, weight } in &examined.reported {
        let outcome = match weight {
            Weight::Broken => outcome(rules.mode(finding.rule)),
            Weight::Exempt => ReportOutcome::Warn,
        };
        let mut result = ReportResult::of(finding, Process::Scan, outcome, object.as_ref(), at);
        if *weight == Weight::Exempt {
            result.severity = ReportSeverity::Low;
        }
        let place = object.as_ref().map_or("", ObjectRef::kept_in);
        places.entry(place.to_owned()).or_default().push(result);
    }
    let cluster = places.entry(String::new()).or_default();
    cluster.extend(examined.strangers.iter().map(|(namespace, count)| {
        let outcome = outcome(rules.cluster_exclusive);
        strangers(namespace, *count, outcome, at)
    }));
    cluster.extend(registration(examined.deviations.as_deref(), at));
    cluster.extend(examined.backstop.iter().map(|(outcome, message)| {
        ReportResult::about(BACKSTOP, Process::Scan, *outcome, message.clone(), at)
    }));
    for (rule, holds) in JUDGED {
        let (outcome, message) = match examined.unjudged.get(&rule) {
            _ if rules.mode(rule) == Mode::Off => (ReportOutcome::Skip, "the rule is off"),
            Some(why) => (ReportOutcome::Error, why.as_str()),
            None if examined.broken.contains(&rule) => continue,
            None => (ReportOutcome::Pass, holds),
        };
        let message = message.to_owned();
        cluster.push(ReportResult::about(rule.as_str(), Process::Scan, outcome, message, at));
    }
    for results in places.values_mut() {
        results.sort_by_key(|it| (it.result.order(), it.severity));
    }
    places.into_iter().map(|(place, results)| (place, Report::new(results))).collect()
}

/// What it means that a rule is broken: what only warns does not count against a cluster.
fn outcome(mode: Mode) -> ReportOutcome {
    if mode == Mode::Enforce { ReportOutcome::Fail } else { ReportOutcome::Warn }
}

impl ReportOutcome {
    /// The order of results: those that need action come first.
    fn order(self) -> u8 {
        match self {
            Self::Fail => 0,
            Self::Error => 1,
            Self::Warn => 2,
            Self::Pass => 3,
            Self::Skip => 4,
        }
    }
}

fn strangers(namespace: &str, count: u64, outcome: ReportOutcome, at: i64) -> ReportResult {
    let (pods, run) = if count == 1 { ("pod", "runs") } else { ("pods", "run") };
    let fact = format!(
        "{count} {pods} of namespace {namespace} {run} in this cluster, which is reserved \
         for AutoMQ"
    );
    let finding = Finding::new(RuleName::ClusterExclusive, fact).advice(format!(
        "Run them in another cluster, or add {{namespace: {namespace}, reason: …}} to exempt in PoolGuard's config. \
         This entry exempts every pod of the namespace, also on AutoMQ's pools"
    ));
    let object = ObjectRef::named("v1", "Namespace", namespace);
    ReportResult::of(&finding, Process::Scan, outcome, Some(&object), at).times(count)
}

fn registration(deviations: Option<&[(ObjectRef, String)]>, at: i64) -> Vec<ReportResult> {
    let result =
        |outcome, text: String| ReportResult::about(REGISTRATION, Process::Scan, outcome, text, at);
    match deviations {
        None => Vec::new(),
        Some([]) => {
            let holds = "the registered webhook configurations match the config";
            vec![result(ReportOutcome::Pass, holds.to_owned())]
        }
        Some(deviations) => {
            let failed = |(object, text): &(ObjectRef, String)| ReportResult {
                severity: ReportSeverity::High,
                resources: vec![object.of_report()],
                ..result(ReportOutcome::Fail, text.clone())
            };
            deviations.iter().map(failed).collect()
        }
    }
}

/// Rules that a scan judges, and what it means that they hold.
const JUDGED: [(RuleName, &str); 8] = [
    (RuleName::PodIntrusion, "every pod on a dedicated node is an AutoMQ pod or exempt"),
    (RuleName::PodPlacement, "every pod of an instance is on a node of its pool"),
    (RuleName::ClusterExclusive, "every pod is an AutoMQ pod or exempt"),
    (RuleName::NodeTaint, "every node of a pool has its taint"),
    (RuleName::NodeIdentity, "no node matches two pools"),
    (RuleName::NodeMachineType, "every node of a pool has an approved machine type"),
    (
        RuleName::NodeZone,
        "every node of a pool is in one of its zones, and every pool has one zone or three",
    ),
    (RuleName::RoleBinding, "every object that AutoMQ's permissions depend on exists"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn said(report: &Report) -> Vec<(&str, &str)> {
        report.results().iter().map(|it| (it.policy.as_str(), it.result.as_str())).collect()
    }

    #[test]
    fn where_nothing_is_wrong_every_rule_passes() {
        let examined = Examined { deviations: Some(Vec::new()), ..Examined::default() };
        let reports = reports(&examined, &RuleModes::default(), 0);
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[""].results().len(), JUDGED.len() + 1);
        assert!(reports[""].results().iter().all(|it| it.result == ReportOutcome::Pass));
    }

    #[test]
    fn what_is_wrong_comes_first_and_where_it_is() {
        let mut rules =
            RuleModes { node_zone: RuleModes::default().node_zone, ..RuleModes::default() };
        rules.pod_placement = Mode::Off;
        let node = Finding::new(RuleName::NodeTaint, "lost").pool("a").node("n");
        let pod = Finding::new(RuleName::PodIntrusion, "resident").pool("a").node("n");
        let metadata = crate::kubernetes::object::Metadata {
            namespace: "shop".into(),
            name: "p".into(),
            ..Default::default()
        };
        let reported = vec![
            ReportedFinding {
                finding: node,
                object: Some(ObjectRef::named("v1", "Node", "n")),
                weight: Weight::Broken,
            },
            ReportedFinding {
                finding: pod,
                object: Some(ObjectRef::pod(&metadata)),
                weight: Weight::Broken,
            },
        ];
        let examined = Examined {
            broken: reported.iter().map(|it| it.finding.rule).collect(),
            reported,
            strangers: BTreeMap::from([("shop".to_owned(), 3)]),
            unjudged: BTreeMap::from([(RuleName::RoleBinding, "forbidden".to_owned())]),
            deviations: Some(vec![(ObjectRef::named("v1", "A", "a"), "absent".to_owned())]),
            backstop: None,
        };
        let examined = Examined {
            broken: &examined.broken | &[RuleName::ClusterExclusive].into(),
            ..examined
        };
        let reports = reports(&examined, &rules, 7);
        assert_eq!(said(&reports["shop"]), [("pod-intrusion", "fail")]);
        let expected = [
            ("node-taint", "fail"),
            ("webhook-registration", "fail"),
            ("role-binding", "error"),
            ("cluster-exclusive", "warn"),
            ("node-identity", "pass"),
            ("node-machine-type", "pass"),
            ("node-zone", "pass"),
            ("pod-placement", "skip"),
        ];
        assert_eq!(said(&reports[""]), expected);
        let of_shop = &reports["shop"].results()[0];
        assert_eq!(of_shop.resources[0]["name"], "p");
        assert_eq!(of_shop.properties["pool"], "a");
        let exclusive = &reports[""].results()[3];
        assert_eq!(exclusive.count(), 3);
        assert_eq!(exclusive.resources[0]["kind"], "Namespace");
    }
}
