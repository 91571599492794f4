//! What a run of tests comes to.

use super::{
    case::{About, Mistake},
    compare::Difference,
};

/// A test that ran, or could not run.
pub(super) struct TestResult {
    pub(super) about: About,
    pub(super) outcome: Outcome,
}

/// What happened to a test.
pub(super) enum Outcome {
    /// Every expectation is met.
    Passed,
    /// These expectations are not met.
    Failed(Vec<Difference>),
    /// The test or a file that it names has a mistake.
    NotRun(Mistake),
}

/// All tests of a run.
pub(super) struct TestReport {
    /// The folder that was searched, as the user names it.
    pub(super) place: String,
    pub(super) results: Vec<TestResult>,
}

impl TestReport {
    pub(super) fn passed(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Passed))
    }

    pub(super) fn failed(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Failed(_)))
    }

    /// The tests with mistakes.
    pub(super) fn not_run(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::NotRun(_)))
    }

    fn count(&self, is_counted: impl Fn(&Outcome) -> bool) -> usize {
        self.results.iter().filter(|it| is_counted(&it.outcome)).count()
    }

    /// The mistakes, each once, with the names of the tests that cannot run because of it.
    pub(super) fn mistakes(&self) -> Vec<(&Mistake, Vec<&str>)> {
        let mut mistakes: Vec<(&Mistake, Vec<&str>)> = Vec::new();
        for TestResult { about, outcome } in &self.results {
            let Outcome::NotRun(mistake) = outcome else { continue };
            match mistakes.iter_mut().find(|(known, _)| *known == mistake) {
                Some((_, names)) => names.push(&about.name),
                None => mistakes.push((mistake, vec![&about.name])),
            }
        }
        mistakes
    }

    /// `12 passed, 1 failed`
    pub(super) fn summary(&self) -> String {
        let mut parts =
            vec![format!("{} passed", self.passed()), format!("{} failed", self.failed())];
        if self.not_run() > 0 {
            parts.push(format!("{} not run", self.not_run()));
        }
        parts.join(", ")
    }
}
