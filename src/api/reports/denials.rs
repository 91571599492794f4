//! Reports of recent denials and warnings. Every replica adds its own to the current content of the
//! report, so the report outlives each replica.

use std::{collections::BTreeMap, sync::Arc};

use super::{Process, Report, ReportOutcome, ReportResult};
use crate::{
    api::object_ref::ObjectRef,
    policy::{
        mode::RuleName,
        verdict::{Decision, Finding},
    },
};

/// The number of seconds for which a denial is recent: one day.
const RECENT: i64 = 24 * 60 * 60;

/// The largest difference between the clocks of replicas. PoolGuard ignores later times as invented.
const SKEW: i64 = 5 * 60;

/// The largest number of keys (object, rule and decision) that are remembered until they are written.
const UNREPORTED_MAX: usize = 1024;

/// Denials and warnings that no report contains yet, by object, rule and decision.
#[derive(Debug, Default)]
pub struct UnreportedDenials(BTreeMap<(ObjectRef, RuleName, Decision), Occurrences>);

#[derive(Debug)]
struct Occurrences {
    count: u64,
    first: i64,
    last: i64,
    finding: Arc<Finding>,
}

impl UnreportedDenials {
    /// Records a denial or a warning at the given Unix time. Returns whether there was room for it.
    pub fn note(
        &mut self,
        regarding: &ObjectRef,
        decision: Decision,
        finding: &Arc<Finding>,
        at: i64,
    ) -> bool {
        let key = (regarding.clone(), finding.rule, decision);
        if self.0.len() >= UNREPORTED_MAX && !self.0.contains_key(&key) {
            return false;
        }
        let first = Occurrences { count: 0, first: at, last: at, finding: Arc::clone(finding) };
        let seen = self.0.entry(key).or_insert(first);
        seen.count += 1;
        (seen.last, seen.finding) = (at, Arc::clone(finding));
        true
    }

    /// Whether there are no denials and warnings to report.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Splits the denials and warnings by the namespace of their report; the key is empty for the report
    /// without one.
    pub fn by_namespace(self) -> BTreeMap<String, Self> {
        let mut parts: BTreeMap<String, Self> = BTreeMap::new();
        for (key, seen) in self.0 {
            let namespace = key.0.namespace_of_events().to_owned();
            parts.entry(namespace).or_default().0.insert(key, seen);
        }
        parts
    }

    fn results(&self) -> impl Iterator<Item = ReportResult> {
        self.0.iter().map(|((regarding, _, decision), seen)| {
            let outcome =
                if *decision == Decision::Deny { ReportOutcome::Fail } else { ReportOutcome::Warn };
            let Occurrences { count, first, last, finding } = seen;
            let result =
                ReportResult::of(finding, Process::Admission, outcome, Some(regarding), *last);
            result.times(*count).first(*first)
        })
    }
}

impl ReportResult {
    /// Sets the time of the first occurrence, if it is not set.
    fn first(mut self, at: i64) -> Self {
        let at = jiff::Timestamp::from_second(at).unwrap_or_default();
        self.properties.entry("first".to_owned()).or_insert_with(|| at.to_string());
        self
    }

    /// Whether both results are about the same object, rule and decision.
    fn is_about(&self, other: &Self) -> bool {
        self.policy == other.policy
            && self.result == other.result
            && self.resources == other.resources
    }

    /// Merges a newer result into this one. Keeps the text of the newer one, and the first time of this one.
    fn with(&mut self, newer: Self) {
        let count = self.count().saturating_add(newer.count());
        let first = self.properties.remove("first");
        *self = newer.times(count);
        if let Some(first) = first {
            self.properties.insert("first".to_owned(), first);
        }
    }
}

/// Returns the new content of a report at the given Unix time, from its current content and the unreported
/// denials and warnings in `news`. The latest result comes first, and results that are no longer recent are
/// omitted. Returns `None` if no results are left.
pub fn recent(before: &Report, news: &UnreportedDenials, now: i64) -> Option<Report> {
    let is_recent =
        |it: &&ReportResult| (now - RECENT..=now + SKEW).contains(&it.timestamp.seconds);
    let mut results: Vec<ReportResult> = before.results.iter().filter(is_recent).cloned().collect();
    for newer in news.results() {
        match results.iter_mut().find(|it| it.is_about(&newer)) {
            Some(known) => known.with(newer),
            None => results.push(newer),
        }
    }
    results.sort_by_key(|it| std::cmp::Reverse(it.timestamp));
    (!results.is_empty()).then(|| Report::new(results))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(denials: &[(&str, Decision, i64)]) -> UnreportedDenials {
        let mut news = UnreportedDenials::default();
        for (node, decision, at) in denials {
            let finding = Arc::new(Finding::new(RuleName::NodeTaint, format!("at {at}")));
            let regarding = ObjectRef::named("v1", "Node", node);
            assert!(news.note(&regarding, *decision, &finding, *at));
        }
        news
    }

    fn said(report: &Report) -> Vec<(String, u64, i64)> {
        let tell = |it: &ReportResult| {
            let name = it.resources[0]["name"].as_str().unwrap_or_default();
            (format!("{} {name}", it.result.as_str()), it.count(), it.timestamp.seconds)
        };
        report.results.iter().map(tell).collect()
    }

    #[test]
    fn what_two_replicas_tell_adds_up() {
        use Decision::{Deny, Warn};
        let one = recent(&Report::default(), &news(&[("a", Deny, 1), ("a", Deny, 2)]), 2).unwrap();
        assert_eq!(said(&one), [("fail a".to_owned(), 2, 2)]);
        let two = news(&[("a", Deny, 3), ("a", Warn, 4), ("b", Deny, 5)]);
        let both = recent(&one, &two, 5).unwrap();
        let expected = [("fail b", 1, 5), ("warn a", 1, 4), ("fail a", 3, 3)];
        assert_eq!(said(&both), expected.map(|(what, count, at)| (what.to_owned(), count, at)));
        assert_eq!(both.results[2].properties["first"], "1970-01-01T00:00:01Z");
        assert_eq!(both.results[2].message, "at 3");
    }

    #[test]
    fn what_is_not_recent_any_more_goes_and_at_last_the_report() {
        let first = recent(&Report::default(), &news(&[("a", Decision::Deny, 1)]), 1).unwrap();
        let later = RECENT + 2;
        assert_eq!(recent(&first, &UnreportedDenials::default(), later), None);
        assert_eq!(recent(&first, &UnreportedDenials::default(), later - 1), Some(first.clone()));
        let both = recent(&first, &news(&[("b", Decision::Deny, later)]), later).unwrap();
        assert_eq!(said(&both), [("fail b".to_owned(), 1, later)]);
    }

    #[test]
    fn what_a_clock_that_is_ahead_left_is_not_kept() {
        let ahead = recent(&Report::default(), &news(&[("a", Decision::Deny, 9_000)]), 9_000);
        assert_eq!(recent(&ahead.unwrap(), &UnreportedDenials::default(), 9_000 - SKEW - 1), None);
    }

    #[test]
    fn a_report_of_denials_keeps_a_bounded_number_of_results() {
        let mut news = UnreportedDenials::default();
        let finding = Arc::new(Finding::new(RuleName::NodeTaint, "lost"));
        for index in 0..UNREPORTED_MAX {
            let node = ObjectRef::named("v1", "Node", &index.to_string());
            assert!(news.note(&node, Decision::Deny, &finding, 0));
        }
        let more = ObjectRef::named("v1", "Node", "more");
        assert!(!news.note(&more, Decision::Deny, &finding, 0));
        let known = ObjectRef::named("v1", "Node", "0");
        assert!(news.note(&known, Decision::Deny, &finding, 0));
    }
}
