//! The report about a run of tests.

use super::{
    case::{About, Mistake},
    compare::Difference,
};

/// A test that ran, or could not run.
pub(super) struct TestResult {
    pub(super) about: About,
    pub(super) outcome: Outcome,
}

/// The outcome of a test.
pub(super) enum Outcome {
    /// A test that meets every expectation.
    Passed,
    /// A test that does not meet these expectations.
    Failed(Vec<Difference>),
    /// A test that did not run, because the test or a file that it names has a mistake.
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

    /// Returns the number of tests that did not run.
    pub(super) fn not_run(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::NotRun(_)))
    }

    fn count(&self, is_counted: impl Fn(&Outcome) -> bool) -> usize {
        self.results.iter().filter(|it| is_counted(&it.outcome)).count()
    }

    /// Returns the mistakes, each once, with the names of the tests that cannot run because of it.
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

    /// Returns the numbers of the tests as text, for example `12 passed, 1 failed`.
    pub(super) fn summary(&self) -> String {
        let mut parts =
            vec![format!("{} passed", self.passed()), format!("{} failed", self.failed())];
        if self.not_run() > 0 {
            parts.push(format!("{} not run", self.not_run()));
        }
        parts.join(", ")
    }
}
