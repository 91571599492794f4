//! The aggregation of many denials into few Events: it selects which Event to write, and when. It is a
//! value without a clock and without a client.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    api::object_ref::ObjectRef,
    policy::{
        mode::RuleName,
        verdict::{Decision, Finding},
    },
};

/// The shortest time between two Events about the same object, rule and decision.
const INTERVAL: Duration = Duration::from_mins(10);
/// The largest number of keys that are remembered at a time.
const KNOWN_MAX: usize = 1024;
/// The largest number of Events that are written in one burst.
const BURST: u32 = 25;
/// The time after which one more Event may be written, once the burst is used up.
const REFILL: Duration = Duration::from_secs(2);

/// A denial or a warning.
#[derive(Clone, Debug)]
pub(super) struct Occurrence {
    pub(super) regarding: ObjectRef,
    pub(super) decision: Decision,
    pub(super) finding: Arc<Finding>,
}

/// The key by which occurrences are aggregated: the same object, rule and decision are one subject to a user.
type Key = (ObjectRef, RuleName, Decision);

/// The denials and warnings that PoolGuard recorded, by key, with a limit for the rate of Events.
#[derive(Debug)]
pub(super) struct Aggregate {
    known: BTreeMap<Key, Known>,
    tokens: u32,
    refilled: Instant,
}

#[derive(Debug)]
struct Known {
    last_sent: Option<Instant>,
    pending: Option<Pending>,
}

/// Occurrences that no Event has reported yet.
#[derive(Debug)]
struct Pending {
    count: u64,
    since: Instant,
    last: Arc<Finding>,
}

/// An Event to write.
#[derive(Debug)]
pub(super) struct EventToWrite {
    pub(super) regarding: ObjectRef,
    pub(super) decision: Decision,
    pub(super) note: String,
}

impl Aggregate {
    pub(super) fn new(now: Instant) -> Self {
        Self { known: BTreeMap::new(), tokens: BURST, refilled: now }
    }

    /// Records an occurrence. Returns whether there was room for it.
    pub(super) fn observe(&mut self, now: Instant, occurrence: Occurrence) -> bool {
        let Occurrence { regarding, decision, finding } = occurrence;
        let key = (regarding, finding.rule, decision);
        if !self.known.contains_key(&key) && self.known.len() >= KNOWN_MAX {
            self.forget(now);
            if self.known.len() >= KNOWN_MAX {
                return false;
            }
        }
        let known = self.known.entry(key).or_insert(Known { last_sent: None, pending: None });
        match &mut known.pending {
            Some(pending) => {
                pending.count += 1;
                pending.last = finding;
            }
            None => known.pending = Some(Pending { count: 1, since: now, last: finding }),
        }
        true
    }

    /// Returns the next Event to write now: the one that has waited longest.
    pub(super) fn due(&mut self, now: Instant) -> Option<EventToWrite> {
        self.refill(now);
        if self.tokens == 0 {
            return None;
        }
        let waiting = self.known.iter_mut().filter(|(_, known)| known.is_quiet(now));
        let since = |known: &Known| known.pending.as_ref().map(|pending| pending.since);
        let waiting = waiting.filter_map(|(key, known)| Some((since(known)?, key, known)));
        let (_, (regarding, _, decision), known) = waiting.min_by_key(|(since, ..)| *since)?;
        let pending = known.pending.take()?;
        known.last_sent = Some(now);
        self.tokens -= 1;
        let note = pending.note(now, *decision).to_string();
        Some(EventToWrite { regarding: regarding.clone(), decision: *decision, note })
    }

    fn refill(&mut self, now: Instant) {
        while self.tokens < BURST && now.saturating_duration_since(self.refilled) >= REFILL {
            self.tokens += 1;
            self.refilled += REFILL;
        }
        if self.tokens == BURST {
            self.refilled = now;
        }
    }

    /// Removes the keys without a pending occurrence whose last Event is at least [`INTERVAL`] old. This
    /// makes room; the next occurrence of such a key counts as the first one.
    fn forget(&mut self, now: Instant) {
        self.known.retain(|_, known| known.pending.is_some() || !known.is_quiet(now));
    }
}

impl Known {
    /// Whether no Event was written about this key within [`INTERVAL`].
    fn is_quiet(&self, now: Instant) -> bool {
        self.last_sent.is_none_or(|sent| now.saturating_duration_since(sent) >= INTERVAL)
    }
}

impl Pending {
    fn note(&self, now: Instant, decision: Decision) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            if self.count > 1 {
                let verb = if decision == Decision::Deny { "Denied" } else { "Warned of" };
                let seconds = now.saturating_duration_since(self.since).as_secs();
                write!(f, "{verb} {} times in ", self.count)?;
                match seconds.div_ceil(60) {
                    0 | 1 => f.write_str("a minute")?,
                    minutes => write!(f, "{minutes} minutes")?,
                }
                f.write_str(", most recently: ")?;
            }
            f.write_str(&self.last.denial())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        json::text::Text,
        policy::request::{Request, RequestObjects, Target},
    };

    fn occurrence(namespace: &str, rule: RuleName) -> Occurrence {
        let request = Request {
            uid: Text::from("1"),
            target: Target { namespace: namespace.to_owned().into(), ..Target::default() },
            user: crate::policy::principal::User::default(),
            dry_run: false,
            subject: RequestObjects::Irrelevant,
            raw_objects: None,
        };
        let finding = Arc::new(Finding::new(rule, "it happened"));
        let regarding = ObjectRef::of(&request).unwrap();
        Occurrence { regarding, decision: Decision::Deny, finding }
    }

    const RULE: RuleName = RuleName::PodIntrusion;

    fn notes(aggregate: &mut Aggregate, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| aggregate.due(now))
            .map(|event_to_write| event_to_write.note)
            .collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_together() {
        let start = Instant::now();
        let mut aggregate = Aggregate::new(start);
        let see = |aggregate: &mut Aggregate, seconds| {
            let now = start + Duration::from_secs(seconds);
            assert!(aggregate.observe(now, occurrence("shop", RULE)));
            notes(aggregate, now)
        };
        assert_eq!(see(&mut aggregate, 0), ["[pod-intrusion] it happened"]);
        for seconds in [1, 2, 300, 599] {
            assert_eq!(see(&mut aggregate, seconds), [""; 0]);
        }
        let due = notes(&mut aggregate, start + INTERVAL);
        assert_eq!(
            due,
            ["Denied 4 times in 10 minutes, most recently: [pod-intrusion] it happened"]
        );
        assert_eq!(notes(&mut aggregate, start + 3 * INTERVAL), [""; 0], "nothing more happened");
        assert_eq!(see(&mut aggregate, 1800), ["[pod-intrusion] it happened"]);
    }

    #[test]
    fn objects_and_rules_are_told_apart() {
        let now = Instant::now();
        let mut aggregate = Aggregate::new(now);
        for (namespace, rule) in
            [("a", RULE), ("b", RULE), ("a", RuleName::PodPlacement), ("a", RULE)]
        {
            aggregate.observe(now, occurrence(namespace, rule));
        }
        assert_eq!(notes(&mut aggregate, now).len(), 3);
    }

    #[test]
    fn there_are_few_altogether_and_whoever_waited_longest_is_next() {
        let start = Instant::now();
        let mut aggregate = Aggregate::new(start);
        for index in 0..100 {
            let now = start + Duration::from_millis(index);
            aggregate.observe(now, occurrence(&format!("n-{}", 100 - index), RULE));
        }
        let first = aggregate.due(start).unwrap();
        assert_eq!(first.regarding.event_reference()["name"], "n-100");
        assert_eq!(notes(&mut aggregate, start).len(), BURST as usize - 1);
        assert_eq!(notes(&mut aggregate, start + REFILL / 2).len(), 0);
        assert_eq!(notes(&mut aggregate, start + REFILL).len(), 1);
        assert_eq!(notes(&mut aggregate, start + 11 * REFILL).len(), 10);
        assert_eq!(notes(&mut aggregate, start + 1000 * REFILL).len(), BURST as usize);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_makes_room() {
        let start = Instant::now();
        let mut aggregate = Aggregate::new(start);
        for index in 0..KNOWN_MAX {
            assert!(aggregate.observe(start, occurrence(&format!("n-{index}"), RULE)));
        }
        assert!(!aggregate.observe(start, occurrence("one-more", RULE)));
        assert!(aggregate.observe(start, occurrence("n-0", RULE)), "what is known has room");
        assert_eq!(notes(&mut aggregate, start).len(), BURST as usize);
        assert!(!aggregate.observe(start + INTERVAL / 2, occurrence("one-more", RULE)));
        assert!(aggregate.observe(start + INTERVAL, occurrence("one-more", RULE)));
    }
}
