//! The findings that make a command fail.

use clap::ValueEnum;

use crate::check::{FindingSeverity, Status};

/// The lowest severity that makes a command fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum FailOn {
    /// Errors
    Error,
    /// Errors and warnings
    Warning,
    /// Errors, warnings, and unknown checks
    Unknown,
}

impl FailOn {
    /// Whether a finding of this status and severity makes the exit code 1.
    pub(super) fn counts(self, status: Status, severity: FindingSeverity) -> bool {
        match status {
            Status::Pass => false,
            Status::Unknown => self >= Self::Unknown,
            Status::Fail => match severity {
                FindingSeverity::Error => true,
                FindingSeverity::Warning => self >= Self::Warning,
                FindingSeverity::Note => false,
            },
        }
    }
}
