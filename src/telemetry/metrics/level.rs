//! An amount that rises and falls and may have a ceiling: both the limit and its gauge.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The amount of something that is in use. Clones share the amount.
#[derive(Clone, Debug, Default)]
pub struct Level(Arc<AtomicUsize>);

impl Level {
    /// The amount in use.
    pub fn current(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes `amount`, to be returned with [`Self::give_back`]; `false`, and nothing taken, when that
    /// would exceed the ceiling.
    #[must_use]
    pub fn take(&self, amount: usize, ceiling: usize) -> bool {
        // Add first and look later: one atomic operation on the way that nearly every request takes.
        // Two that overshoot together may both be refused, which at the ceiling is right enough.
        let before = self.0.fetch_add(amount, Ordering::Relaxed);
        let fits = before.checked_add(amount).is_some_and(|after| after <= ceiling);
        if !fits {
            self.give_back(amount);
        }
        fits
    }

    /// Gives back an amount that was taken.
    pub fn give_back(&self, amount: usize) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }

    /// Takes `amount` until the returned guard is dropped, without a limit.
    pub fn hold(&self, amount: usize) -> HeldShare<'_> {
        self.0.fetch_add(amount, Ordering::Relaxed);
        HeldShare { level: self, amount }
    }
}

/// A share of a [`Level`], given back on drop.
#[derive(Debug)]
#[must_use = "dropping it gives the share back"]
pub struct HeldShare<'a> {
    level: &'a Level,
    amount: usize,
}

impl Drop for HeldShare<'_> {
    fn drop(&mut self) {
        self.level.give_back(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_exceeds_the_ceiling_and_takes_nothing_then() {
        let level = Level::default();
        assert!(level.take(6, 10));
        assert!(!level.take(5, 10));
        assert_eq!(level.current(), 6);
        assert!(level.take(4, 10));
        level.give_back(10);
        assert_eq!(level.current(), 0);
    }

    #[test]
    fn a_share_is_given_back_when_it_is_dropped() {
        let level = Level::default();
        let share = level.hold(3);
        assert_eq!(level.current(), 3);
        drop(share);
        assert_eq!(level.current(), 0);
    }
}
