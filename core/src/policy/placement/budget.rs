//! How much work one decision about placement may take.

/// Label tests, values and tolerations that one decision may look at. A test takes some 20 to 50 ns,
/// so that a decision that spends all of it takes a few milliseconds. The constraints that people and
/// controllers write need less than a hundredth.
const WORK_MAX: usize = 150_000;

/// Work that is left for a decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(usize);

/// The work took more than the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded;

impl Budget {
    pub(super) fn of_a_decision() -> Self {
        Self(WORK_MAX)
    }

    /// For what is not asked by a request.
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
