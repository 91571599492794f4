//! The findings for people.

use std::fmt;

use anstyle::{AnsiColor, Style};

use super::finding::{StatusFinding, StatusReport};
use crate::{
    check::{FindingSeverity, Status},
    cli::page::{BAD, CHANGED, FAINT, GOOD, HEADING, Styled, WARNING, width, wrapping},
};

const UNKNOWN: Style = AnsiColor::Magenta.on_default();

/// Widths of the first two columns.
const WORD_WIDTH: usize = 9;
const CHECK_WIDTH: usize = 14;
const INDENT: usize = 2 + WORD_WIDTH + CHECK_WIDTH;

pub(super) struct StatusTable<'a>(pub(super) &'a StatusReport);

impl fmt::Display for StatusTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(report) = self;
        writeln!(f, "{}", Styled(HEADING, &report.title))?;
        for finding in &report.findings {
            row(f, finding)?;
        }
        let style = match report.worst() {
            Some(FindingSeverity::Error) => BAD,
            Some(_) => WARNING,
            None if report.unknowns() > 0 => UNKNOWN,
            None => GOOD.bold(),
        };
        writeln!(f, "\n{}", Styled(style, report.verdict()))
    }
}

fn row(f: &mut fmt::Formatter<'_>, finding: &StatusFinding) -> fmt::Result {
    let StatusFinding { check, status, severity, message, fix } = finding;
    let (style, word) = match (status, severity) {
        (Status::Pass, _) => (GOOD, "ok"),
        (Status::Unknown, _) => (UNKNOWN, "unknown"),
        (Status::Fail, FindingSeverity::Note) => (CHANGED, "note"),
        (Status::Fail, FindingSeverity::Warning) => (WARNING, "warning"),
        (Status::Fail, FindingSeverity::Error) => (BAD, "error"),
    };
    let blank = " ".repeat(WORD_WIDTH - word.len());
    let margin = " ".repeat(INDENT);
    write!(f, "  {}{blank}{:CHECK_WIDTH$}", Styled(style, word), check.as_str())?;
    let text_style = if *status == Status::Pass { FAINT } else { Style::new() };
    let options = wrapping(width().saturating_sub(INDENT));
    for (index, line) in textwrap::wrap(message, options).iter().enumerate() {
        let before = if index == 0 { "" } else { &*margin };
        writeln!(f, "{before}{}", Styled(text_style, line))?;
    }
    // Commands are to be copied, and stay on their line.
    for line in fix.iter().flat_map(|fix| fix.lines()) {
        let style = if line.starts_with('#') { FAINT } else { CHANGED };
        writeln!(f, "{margin}{}", Styled(style, line))?;
    }
    Ok(())
}
