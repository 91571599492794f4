//! The numbers of records over time, in a limited number of steps. The steps grow with the time that the
//! records cover.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::record::{DECISIONS, position};
use crate::policy::verdict::Decision;

/// Steps in seconds; each is a multiple of the one before, so that steps can be merged.
const STEPS: [i64; 16] = [
    1, 5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 43_200, 86_400, 172_800, 345_600, 1_382_400,
    5_529_600, 22_118_400,
];

/// The largest number of steps in a timeline: more than any terminal has columns.
const BUCKETS_MAX: usize = 4_096;

/// The numbers of records by decision.
pub(super) type Counts = [u64; DECISIONS.len()];

/// The numbers of records by decision over time.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    /// The index of the length of a step in [`STEPS`].
    step: usize,
    /// The counts of each step, by the number of the step since 1970.
    buckets: BTreeMap<i64, Counts>,
}

/// A timeline to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// The time at which the first column begins, in seconds since 1970.
    pub(super) start: i64,
    /// The length of each column in seconds.
    pub(super) seconds: i64,
    pub(super) counts: Vec<Counts>,
}

impl Timeline {
    pub(super) fn add(&mut self, time: Timestamp, decision: Decision) {
        let bucket = self.buckets.entry(time.as_second().div_euclid(self.seconds())).or_default();
        if let Some(count) = bucket.get_mut(position(decision)) {
            *count += 1;
        }
        while self.buckets.len() > BUCKETS_MAX && self.coarsen() {}
    }

    /// Merges steps into the next larger ones; `false` if there are none.
    fn coarsen(&mut self) -> bool {
        let before = self.seconds();
        if self.step + 1 >= STEPS.len() {
            return false;
        }
        self.step += 1;
        let after = self.seconds();
        let mut buckets: BTreeMap<i64, Counts> = BTreeMap::new();
        for (index, counts) in std::mem::take(&mut self.buckets) {
            let merged = buckets.entry((index * before).div_euclid(after)).or_default();
            for (sum, count) in merged.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        self.buckets = buckets;
        true
    }

    /// Returns the whole timeline without gaps, in at most `max` columns; `None` if it is empty or does not fit.
    pub(super) fn columns(&self, max: usize) -> Option<Columns> {
        let mut fitting = self.clone();
        loop {
            let (first, last) =
                (*fitting.buckets.keys().next()?, *fitting.buckets.keys().next_back()?);
            if usize::try_from(last - first).is_ok_and(|steps| steps < max) {
                let column = |index| fitting.buckets.get(&index).copied().unwrap_or_default();
                let seconds = fitting.seconds();
                let counts = (first..=last).map(column).collect();
                return Some(Columns { start: first * seconds, seconds, counts });
            }
            if !fitting.coarsen() {
                return None;
            }
        }
    }

    fn seconds(&self) -> i64 {
        STEPS.get(self.step).copied().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(seconds: impl IntoIterator<Item = i64>) -> Timeline {
        let mut timeline = Timeline::default();
        for second in seconds {
            timeline.add(Timestamp::from_second(second).unwrap(), Decision::Deny);
        }
        timeline
    }

    fn denials(columns: &Columns) -> Vec<u64> {
        columns.counts.iter().map(|counts| counts[position(Decision::Deny)]).collect()
    }

    #[test]
    fn every_step_is_a_multiple_of_the_one_before() {
        assert!(STEPS.windows(2).all(|pair| pair[1] % pair[0] == 0));
    }

    #[test]
    fn columns_have_gaps_and_grow_with_the_time() {
        assert_eq!(timeline([]).columns(10), None);
        let columns = timeline([100, 100, 103]).columns(10).unwrap();
        assert_eq!((columns.start, columns.seconds), (100, 1));
        assert_eq!(denials(&columns), [2, 0, 0, 1]);
        let columns = timeline([100, 100, 103]).columns(3).unwrap();
        assert_eq!((columns.start, columns.seconds), (100, 5));
        assert_eq!(denials(&columns), [3]);
        let columns = timeline([0, 86_399]).columns(24).unwrap();
        assert_eq!((columns.seconds, columns.counts.len()), (3_600, 24));
        let ages = timeline([-60_000_000_000, 200_000_000_000]);
        assert_eq!(ages.columns(80), None, "centuries are not drawn");
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_lost() {
        let many = timeline((0..20_000).map(|index| index * 7));
        assert!(many.buckets.len() <= BUCKETS_MAX);
        let columns = many.columns(80).unwrap();
        assert!(columns.counts.len() <= 80);
        assert_eq!(denials(&columns).iter().sum::<u64>(), 20_000);
    }
}
