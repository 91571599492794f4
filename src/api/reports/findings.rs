//! Reports of the findings about existing objects, by namespace. The report without a namespace also
//! contains a `pass` result for every rule that is broken nowhere.

use std::collections::{BTreeMap, BTreeSet};

use super::{Process, Report, ReportOutcome, ReportResult, ReportSeverity};
use crate::{
    api::object_ref::ObjectRef,
    policy::{
        mode::{Mode, RuleModes, RuleName},
        verdict::Finding,
    },
};

/// The policy name of results about PoolGuard's own registration. The registration is not a rule of the
/// config, but the scan judges it like one.
const REGISTRATION: &str = "webhook-registration";
/// The policy name of results about the backstop. It distinguishes them from results of rules.
const BACKSTOP: &str = "backstop";

/// A finding, and the object that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedFinding {
    /// The finding against a rule.
    pub finding: Finding,
    /// The object that the finding is about. A finding without an object belongs to the report without a
    /// namespace.
    pub object: Option<ObjectRef>,
    /// The weight of the finding in a report.
    pub weight: Weight,
}

/// The weight of a finding in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The finding of a broken rule.
    Broken,
    /// An exemption allows the object, but it probably was not written for it.
    Exempt,
}

/// The result of a scan.
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// The findings, object by object, as many as there is room for.
    pub reported: Vec<ReportedFinding>,
    /// The rules that are broken, including those whose findings did not fit into `reported`.
    pub broken: BTreeSet<RuleName>,
    /// The number of pods in AutoMQ's cluster that are neither AutoMQ pods nor exempt, by namespace.
    pub unrelated_pods: BTreeMap<String, u64>,
    /// The rules that the scan could not judge, each with the reason.
    pub unjudged: BTreeMap<RuleName, String>,
    /// The webhook configurations that differ from the config, each with the difference; `None` if the
    /// state of the configurations is not known.
    pub deviations: Option<Vec<(ObjectRef, String)>>,
    /// The outcome and the message for the backstop that the config asks for, if they are known.
    pub backstop: Option<(ReportOutcome, String)>,
}

/// Returns the reports of a scan at the given Unix time, by namespace; the key is empty for the report
/// without one.
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
        let place = object.as_ref().map_or("", ObjectRef::namespace_of_events);
        places.entry(place.to_owned()).or_default().push(result);
    }
    let cluster = places.entry(String::new()).or_default();
    cluster.extend(examined.unrelated_pods.iter().map(|(namespace, count)| {
        let outcome = outcome(rules.cluster_exclusive);
        unrelated_pods(namespace, *count, outcome, at)
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

/// Returns the outcome of a broken rule with this mode. A rule that only warns does not count against a
/// cluster.
fn outcome(mode: Mode) -> ReportOutcome {
    if mode == Mode::Enforce { ReportOutcome::Fail } else { ReportOutcome::Warn }
}

impl ReportOutcome {
    /// Returns the position of the outcome in a report. Outcomes that need action come first.
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

fn unrelated_pods(namespace: &str, count: u64, outcome: ReportOutcome, at: i64) -> ReportResult {
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
                resources: vec![object.report_reference()],
                ..result(ReportOutcome::Fail, text.clone())
            };
            deviations.iter().map(failed).collect()
        }
    }
}

/// The rules that a scan judges, each with the message of its `pass` result.
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
            unrelated_pods: BTreeMap::from([("shop".to_owned(), 3)]),
            unjudged: BTreeMap::from([(RuleName::RoleBinding, "forbidden".to_owned())]),
            deviations: Some(vec![(ObjectRef::named("v1", "A", "a"), "absent".to_owned())]),
            backstop: Some((ReportOutcome::Warn, "It is outdated.".to_owned())),
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
            ("backstop", "warn"),
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
