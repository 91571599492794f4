//! The limit on the work of one decision about placement.

/// The largest number of label tests, values and tolerations that one decision may evaluate. A test takes some
/// 20 to 50 ns, so a decision that spends all of it takes a few milliseconds. The constraints that people and
/// controllers write need less than a hundredth.
const WORK_MAX: usize = 150_000;

/// The work that is left for a decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(usize);

/// The error of work that takes more than the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded;

impl Budget {
    pub(super) fn of_a_decision() -> Self {
        Self(WORK_MAX)
    }

    /// Creates a budget without a limit, for work that no request asks for.
    pub(super) fn unlimited() -> Self {
        Self(usize::MAX)
    }

    pub(super) fn spend(&mut self, work: usize) -> Result<(), Exceeded> {
        match self.0.checked_sub(work) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(Exceeded),
        }
    }
}
