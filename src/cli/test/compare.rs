//! The comparison of an answer with what the test expects of it. It is pure: values in, differences out.

mod finding;
mod output;
mod result;

use super::{
    raw::{Expect, ExpectedTime},
    run::{Answer, Comparison, Details},
};

/// One expectation that the answer does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// The part of the answer: an input, `findings`, `exit code`.
    pub(super) about: String,
    pub(super) expected: String,
    pub(super) got: String,
    /// The messages of the answer about this part, one a paragraph.
    pub(super) said: Vec<String>,
}

impl Difference {
    fn new(about: &str, expected: impl Into<String>, got: impl Into<String>) -> Self {
        let (about, expected, got) = (about.to_owned(), expected.into(), got.into());
        Self { about, expected, got, said: Vec::new() }
    }

    /// Returns the difference in one line, for example `pod.yaml: expected deny, got allow`.
    pub(super) fn one_line(&self) -> String {
        let Self { about, expected, got, said } = self;
        let got = if got.is_empty() { said.first().map_or("", String::as_str) } else { got };
        format!("{about}: expected {expected}, got {got}")
    }

    fn saying(self, said: Vec<String>) -> Self {
        Self { said, ..self }
    }
}

/// Every expectation that the answer does not meet.
pub(super) fn differences(expect: &Expect, answer: &Answer) -> Vec<Difference> {
    let Expect { exit, results, has, has_not, lines, says, says_not, time } = expect;
    let mut differences = Vec::new();
    if let Some(exit) = exit
        && !exit.as_slice().contains(&answer.exit)
    {
        let codes: Vec<_> = exit.as_slice().iter().map(u8::to_string).collect();
        let difference = Difference::new("exit code", codes.join(" or "), answer.exit.to_string());
        differences.push(difference.saying(output::reasons(answer)));
    }
    match &answer.details {
        Details::Review(reviews) => {
            for (name, expected) in results {
                result::compare(name, expected, reviews, &mut differences);
            }
        }
        Details::Check(findings) => {
            finding::compare(has, has_not, findings, &mut differences);
        }
        Details::Stream => {
            if let Some(lines) = lines {
                output::audit_lines(*lines, &answer.text, &mut differences);
            }
        }
        Details::Text => {}
    }
    output::compare(says, says_not, answer, &mut differences);
    if let (Some(expected), Some(measured)) = (time, &answer.time) {
        differences.extend(too_slow(expected, measured));
    }
    differences
}

/// The expected results that the answer does not have, and the names of those that it has.
pub(super) fn unknown_results<'a>(
    expect: &'a Expect,
    answer: &'a Answer,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let Details::Review(reviews) = &answer.details else { return (Vec::new(), Vec::new()) };
    let results = reviews.results.iter().map(|it| it.file.as_str());
    let known: Vec<_> = results.chain(reviews.errors.iter().map(|it| it.file.as_str())).collect();
    let expected = expect.results.keys().map(String::as_str);
    (expected.filter(|name| !known.contains(name)).collect(), known)
}

/// A text that is searched for other texts; a line break counts as a space.
struct SearchedText {
    text: String,
    flat: String,
}

impl SearchedText {
    fn new(text: String) -> Self {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { text, flat }
    }

    fn contains(&self, needle: &str) -> bool {
        self.flat.contains(needle) || self.text.contains(needle)
    }

    /// The texts that are not in this one.
    fn lacking<'n>(&self, needles: &'n [String]) -> Vec<&'n str> {
        needles.iter().map(String::as_str).filter(|needle| !self.contains(needle)).collect()
    }

    /// The texts that are in this one.
    fn containing<'n>(&self, needles: &'n [String]) -> Vec<&'n str> {
        needles.iter().map(String::as_str).filter(|needle| self.contains(needle)).collect()
    }
}

/// The number of characters that an excerpt has on each side of the part that it is about.
const EXCERPT_SIDE: usize = 60;

/// Returns a part of a text with the words around it: `… of pool pool-a and on nodes …`
fn excerpt(text: &str, part: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some(start) = flat.find(part) else { return flat };
    let (before, rest) = flat.split_at(start);
    let (found, after) = rest.split_at(part.len());
    let skipped = before.chars().count().saturating_sub(EXCERPT_SIDE);
    let near: String = before.chars().skip(skipped).collect();
    let head = match near.split_once(' ') {
        Some((_, words)) if skipped > 0 => format!("… {words}"),
        Some(_) | None => near,
    };
    let near: String = after.chars().take(EXCERPT_SIDE).collect();
    let tail = match near.rsplit_once(' ') {
        Some((words, _)) if near.len() < after.len() => format!("{words} …"),
        Some(_) | None => near,
    };
    format!("{head}{found}{tail}")
}

/// Returns an expectation such as ``a message with `x` and `y` ``.
fn with_texts(what: &str, texts: &[&str]) -> String {
    format!("{what} with {}", list(texts, "and"))
}

/// Returns an expectation such as ``no message with `x` or `y` ``.
fn without_texts(what: &str, texts: &[&str]) -> String {
    format!("no {what} with {}", list(texts, "or"))
}

/// Returns texts in quotes as a list, for example `` `a`, `b` and `c` ``.
fn list(texts: &[&str], conjunction: &str) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| format!("`{text}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} {conjunction} {last}", others.join(", ")),
    }
}

fn too_slow(expected: &ExpectedTime, measured: &Comparison) -> Option<Difference> {
    let at_most = expected.at_most.unwrap_or_default();
    let ratio = measured.ratio();
    if ratio <= at_most {
        return None;
    }
    let than = expected.than.as_deref().unwrap_or_default().join(", ");
    let Comparison { this, that } = measured;
    let got = format!(
        "{ratio:.1} times: {:.0} ms and {:.0} ms",
        this.as_secs_f64() * 1e3,
        that.as_secs_f64() * 1e3
    );
    let expected = format!("at most {at_most} times as long as with {than}");
    Some(Difference::new("time", expected, got))
}
