//! The comparison of the whole output of a command, and of the audit stream.

use super::{Difference, SearchedText, excerpt, finding, result, with_texts, without_texts};
use crate::{
    check::CheckFinding,
    cli::{
        fail_on::FailOn,
        page::count,
        test::run::{Answer, Details},
    },
};

/// Adds the texts that the output lacks, and those that it should not contain.
pub(super) fn compare(
    says: &[String],
    says_not: &[String],
    answer: &Answer,
    differences: &mut Vec<Difference>,
) {
    let (about, one) = match &answer.details {
        Details::Stream => ("audit stream", "an audit stream"),
        Details::Review(_) | Details::Check(_) | Details::Text => ("output", "an output"),
    };
    let output = SearchedText::new(answer.text.clone());
    let missing = output.lacking(says);
    if !missing.is_empty() {
        let said = lines(answer);
        let got = if said.is_empty() { "no text" } else { "" };
        differences.push(Difference::new(about, with_texts(one, &missing), got).saying(said));
    }
    for text in output.containing(says_not) {
        let mut said: Vec<_> = texts(answer)
            .iter()
            .filter(|it| SearchedText::new((*it).clone()).contains(text))
            .map(|it| excerpt(it, text))
            .collect();
        said.dedup();
        if said.is_empty() {
            said.push(excerpt(&answer.text, text));
        }
        let expected = without_texts(about, &[text]);
        differences.push(Difference::new(about, expected, "").saying(said));
    }
}

/// Adds the differences in the audit stream: another number of lines, as a terminal or a collector of logs
/// counts them, and a character that could forge a line.
pub(super) fn audit_lines(expected: usize, stream: &str, differences: &mut Vec<Difference>) {
    let ends = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    let lines = stream.split(ends).filter(|line| !line.trim().is_empty()).count();
    if lines != expected {
        let (expected, got) = (count(expected, "line"), count(lines, "line"));
        let difference = Difference::new("audit stream", expected, got);
        differences.push(difference.saying(shortened(stream)));
    }
    let is_forging = |it: &char| {
        (it.is_control() && !matches!(it, '\n' | '\t')) || matches!(it, '\u{2028}' | '\u{2029}')
    };
    if let Some(found) = stream.chars().find(is_forging) {
        let got = format!("U+{:04X}", u32::from(found));
        differences.push(Difference::new("audit stream", "no control character", got));
    }
}

/// Returns the texts of an answer for people: messages rather than JSON, and long texts by their beginning.
pub(super) fn lines(answer: &Answer) -> Vec<String> {
    match &answer.details {
        Details::Review(reviews) => result::messages_of_all(reviews),
        Details::Check(findings) => finding::lines(findings),
        Details::Stream | Details::Text => shortened(&answer.text),
    }
}

/// Returns the texts of an answer that its exit code comes from.
pub(super) fn reasons(answer: &Answer) -> Vec<String> {
    let Details::Check(findings) = &answer.details else { return lines(answer) };
    let is_error = |it: &&CheckFinding| FailOn::Error.counts(it.status, it.severity);
    finding::limited(&findings.iter().filter(is_error).collect::<Vec<_>>())
}

/// Returns all texts of an answer, for people.
fn texts(answer: &Answer) -> Vec<String> {
    match &answer.details {
        Details::Review(reviews) => result::messages_of_all(reviews),
        Details::Check(findings) => findings.iter().map(finding::line).collect(),
        Details::Stream | Details::Text => answer.text.lines().map(str::to_owned).collect(),
    }
}

/// The largest number of lines of a text that are shown. Of a longer text, its beginning is shown.
const LINES_MAX: usize = 12;

fn shortened(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut shown: Vec<_> = lines.iter().take(LINES_MAX).map(|it| (*it).to_owned()).collect();
    let more = lines.len() - shown.len();
    if more > 0 {
        shown.push(format!("… and {}", count(more, "further line")));
    }
    shown
}
