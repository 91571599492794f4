//! The results for people: each failed test with its differences, and a summary at the end.

use std::fmt;

use anstyle::Style;

use super::{
    case::About,
    compare::Difference,
    report::{Outcome, TestReport},
};
use crate::cli::page::{BAD, FAINT, GOOD, HEADING, Styled, WARNING, width, wrapping};

pub(super) struct TestTable<'r>(pub(super) &'r TestReport);

impl fmt::Display for TestTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        for result in &report.results {
            if let Outcome::Failed(differences) = &result.outcome {
                failure(f, &result.about, differences)?;
            }
        }
        let style = if report.failed() > 0 {
            BAD
        } else if report.not_run() > 0 {
            WARNING
        } else {
            GOOD.bold()
        };
        writeln!(f, "{}", Styled(style, report.summary()))
    }
}

/// The labels before the two sides of a difference.
const LABELS: [&str; 2] = ["    expected  ", "    got       "];
const MARGIN: &str = "              ";

fn failure(f: &mut fmt::Formatter<'_>, about: &About, differences: &[Difference]) -> fmt::Result {
    let About { name, title, why, kind: _ } = about;
    writeln!(f, "{} {}", Styled(BAD, "FAIL"), Styled(HEADING, name))?;
    for (label, text) in [("  test: ", title), ("  why:  ", why)] {
        if let Some(text) = text {
            writeln!(f, "{}", paragraph(FAINT, text, [label, "        "], width()))?;
        }
    }
    write!(f, "{}", Differences { differences, width: width() })?;
    writeln!(f)
}

/// The differences of one test, by the part of the answer that they are about.
pub(super) struct Differences<'d> {
    pub(super) differences: &'d [Difference],
    /// The width of the page.
    pub(super) width: usize,
}

impl fmt::Display for Differences<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { differences, width } = *self;
        let mut about_before = None;
        let mut shown: Vec<&[String]> = Vec::new();
        for Difference { about, expected, got, said } in differences {
            if about_before != Some(about) {
                writeln!(f, "  {about}")?;
            }
            about_before = Some(about);
            let [expected_label, got_label] = LABELS;
            writeln!(f, "{}", paragraph(GOOD, expected, [expected_label, MARGIN], width))?;
            let mut label = got_label;
            if !got.is_empty() {
                writeln!(f, "{}", paragraph(BAD, got, [label, MARGIN], width))?;
                label = MARGIN;
            }
            // The messages of an input are the same in all of its differences.
            if shown.contains(&said.as_slice()) && !said.is_empty() {
                writeln!(f, "{}", paragraph(FAINT, "the same as above", [label, MARGIN], width))?;
                continue;
            }
            shown.push(said);
            for text in said.iter().flat_map(|text| text.lines()) {
                writeln!(f, "{}", paragraph(Style::new(), text, [label, MARGIN], width))?;
                label = MARGIN;
            }
        }
        Ok(())
    }
}

/// Returns text in a style, wrapped, with one margin for its first line and another for the rest.
fn paragraph(style: Style, text: &str, [first, rest]: [&str; 2], width: usize) -> String {
    let lines = textwrap::wrap(text, wrapping(width.saturating_sub(rest.len())));
    let margins = std::iter::once(first).chain(std::iter::repeat(rest));
    let lines = lines.iter().zip(margins);
    let lines = lines.map(|(line, margin)| format!("{margin}{}", Styled(style, line.trim_end())));
    lines.collect::<Vec<_>>().join("\n")
}
