//! The findings of `poolguard status`.

use crate::check::{FindingSeverity, Status};

/// The report about an installation.
#[derive(Debug)]
pub(super) struct StatusReport {
    /// The title of the report, for example `PoolGuard poolguard-system/poolguard`.
    pub(super) title: String,
    /// The findings, in the order of the checks.
    pub(super) findings: Vec<StatusFinding>,
}

/// The result of one check of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StatusFinding {
    /// The check that was made.
    pub(super) check: Check,
    pub(super) status: Status,
    /// The weight of the finding if the check fails.
    pub(super) severity: FindingSeverity,
    /// The result, in sentences without a full stop at the end.
    pub(super) message: String,
    /// The commands that fix the fault, and comments that begin with `#`.
    pub(super) fix: Option<String>,
}

/// The checks of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Replicas,
    Version,
    Lease,
    Registration,
    Backstop,
    Certificate,
    Intruder,
    Config,
    Scan,
    Rights,
}

impl Check {
    /// Returns the name of the check as outputs spell it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Replicas => "replicas",
            Self::Version => "version",
            Self::Lease => "lease",
            Self::Registration => "registration",
            Self::Backstop => "backstop",
            Self::Certificate => "certificate",
            Self::Intruder => "intruder",
            Self::Config => "config",
            Self::Scan => "scan",
            Self::Rights => "rights",
        }
    }

    pub(super) fn pass(self, message: impl Into<String>) -> StatusFinding {
        self.finding(Status::Pass, FindingSeverity::Error, message)
    }

    pub(super) fn unknown(self, message: impl Into<String>) -> StatusFinding {
        self.finding(Status::Unknown, FindingSeverity::Error, message)
    }

    pub(super) fn error(self, message: impl Into<String>) -> StatusFinding {
        self.finding(Status::Fail, FindingSeverity::Error, message)
    }

    pub(super) fn warning(self, message: impl Into<String>) -> StatusFinding {
        self.finding(Status::Fail, FindingSeverity::Warning, message)
    }

    fn finding(
        self,
        status: Status,
        severity: FindingSeverity,
        message: impl Into<String>,
    ) -> StatusFinding {
        StatusFinding { check: self, status, severity, message: message.into(), fix: None }
    }
}

impl StatusFinding {
    /// Adds the fix for an object that does not exist. If the object could not be read, it may exist, so the
    /// fix asks for a user who may read it.
    pub(super) fn fix_if_absent(self, fix: &str) -> Self {
        if self.status == Status::Unknown {
            self.fix("# run this command as a user who may read this object")
        } else {
            self.fix(fix)
        }
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl StatusReport {
    fn failures(&self, severity: FindingSeverity) -> usize {
        let fails = |it: &&StatusFinding| it.status == Status::Fail && it.severity == severity;
        self.findings.iter().filter(fails).count()
    }

    /// The gravest severity that fails.
    pub(super) fn worst(&self) -> Option<FindingSeverity> {
        let severities = [FindingSeverity::Error, FindingSeverity::Warning];
        severities.into_iter().find(|severity| self.failures(*severity) > 0)
    }

    /// The number of checks that could not be made.
    pub(super) fn unknowns(&self) -> usize {
        self.findings.iter().filter(|it| it.status == Status::Unknown).count()
    }

    /// Returns the verdict in one line.
    pub(super) fn verdict(&self) -> String {
        let unknowns = self.unknowns();
        let answer = match self.worst() {
            Some(FindingSeverity::Error) => "PoolGuard does not work as it should",
            Some(_) => "PoolGuard works, with warnings",
            None if unknowns > 0 => "no error found",
            None => "PoolGuard works",
        };
        let mut counts = Vec::new();
        for (severity, word) in
            [(FindingSeverity::Error, "error"), (FindingSeverity::Warning, "warning")]
        {
            match self.failures(severity) {
                0 => {}
                1 => counts.push(format!("1 {word}")),
                number => counts.push(format!("{number} {word}s")),
            }
        }
        if unknowns > 0 {
            counts.push(format!("{unknowns} of {} checks unknown", self.findings.len()));
        }
        if counts.is_empty() {
            answer.to_owned()
        } else {
            format!("{answer}: {}", counts.join(", "))
        }
    }
}
