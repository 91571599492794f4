//! An amount that rises and falls and may have a ceiling: both the limit and its gauge.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How much of something is in use. Clones share the amount.
#[derive(Clone, Debug, Default)]
pub struct Level(Arc<AtomicUsize>);

impl Level {
    /// The amount in use.
    pub fn current(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes `amount` until the returned guard is dropped, unless that would exceed `ceiling`.
    pub fn hold(&self, amount: usize, ceiling: usize) -> Option<Held<'_>> {
        let mut held = Held { level: self, amount: 0, ceiling };
        held.grow(amount).then_some(held)
    }
}

/// A share of a [`Level`], given back on drop.
#[derive(Debug)]
#[must_use = "dropping it gives the share back"]
pub struct Held<'a> {
    level: &'a Level,
    amount: usize,
    ceiling: usize,
}

impl Held<'_> {
    /// Takes more; `false`, and nothing taken, when that would exceed the ceiling.
    pub fn grow(&mut self, amount: usize) -> bool {
        // Add first and look later: one atomic operation on the way that nearly every request takes.
        // Two that overshoot together may both be refused, which at the ceiling is right enough.
        let before = self.level.0.fetch_add(amount, Ordering::Relaxed);
        let fits = before.checked_add(amount).is_some_and(|after| after <= self.ceiling);
        if fits {
            self.amount += amount;
        } else {
            self.level.0.fetch_sub(amount, Ordering::Relaxed);
        }
        fits
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.level.0.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_exceeds_the_ceiling_and_takes_nothing_then() {
        let level = Level::default();
        let first = level.hold(6, 10).expect("fits");
        assert!(level.hold(5, 10).is_none());
        assert_eq!(level.current(), 6);
        drop(first);
        assert_eq!(level.current(), 0);
    }

    #[test]
    fn a_share_grows_up_to_the_ceiling() {
        let level = Level::default();
        let mut share = level.hold(0, 10).expect("fits");
        assert!(share.grow(10));
        assert!(!share.grow(1));
        drop(share);
        assert_eq!(level.current(), 0);
    }
}
