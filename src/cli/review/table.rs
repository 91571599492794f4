//! The results for people: one line a review, then the texts of the denials, warnings and patches.

use std::{fmt, path::Path};

use anstyle::Style;
use json_patch::PatchOperation;

use super::judge::{Reviewed, UnreadableFile};
use crate::{
    cli::page::{BAD, CHANGED, FAINT, GOOD, HEADING, Styled, Table, WARNING, count, wrapped},
    policy::{
        mode::RuleName,
        verdict::{Decision, Record},
    },
};

pub(super) struct ReviewTable<'a> {
    pub(super) results: &'a [Reviewed],
    pub(super) errors: &'a [UnreadableFile],
}

/// The outcome of a review, the gravest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Allow,
    Exempt,
    Record,
    Patch,
    NotJudged,
    Warn,
    Deny,
}

impl Outcome {
    fn of(reviewed: &Reviewed) -> Self {
        let is_recorded = reviewed.records.iter().any(|it| it.decision != Decision::Exempt);
        if !reviewed.allowed {
            Self::Deny
        } else if !reviewed.warnings.is_empty() {
            Self::Warn
        } else if reviewed.is_not_judged {
            Self::NotJudged
        } else if !reviewed.patch.is_empty() {
            Self::Patch
        } else if is_recorded {
            Self::Record
        } else if !reviewed.records.is_empty() {
            Self::Exempt
        } else {
            Self::Allow
        }
    }

    fn word(self) -> (Style, &'static str) {
        match self {
            Self::Allow => (GOOD, "allow"),
            Self::Exempt => (GOOD, "allow, exempt"),
            Self::Record => (GOOD, "allow, recorded"),
            Self::Patch => (CHANGED, "patch"),
            Self::NotJudged => (WARNING, "not judged"),
            Self::Warn => (WARNING, "warn"),
            Self::Deny => (BAD, "deny"),
        }
    }
}

impl fmt::Display for ReviewTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { results, errors } = self;
        let folder = common_folder(results);
        if !results.is_empty() {
            let mut table = Table::indented(0);
            table.headings(["DECISION", "REQUEST", "RULE", "FILE"]);
            for result in *results {
                table.row(row(result, folder));
            }
            write!(f, "{table}")?;
        }
        for result in results.iter().filter(|result| Outcome::of(result) > Outcome::Exempt) {
            explain(f, result, folder)?;
        }
        for UnreadableFile { file, error } in *errors {
            writeln!(f, "\n{} {}", Styled(BAD, "unreadable"), Styled(HEADING, file))?;
            writeln!(f, "{}", wrapped(error, 2))?;
        }
        writeln!(f, "\n{}", summary(results, errors))
    }
}

fn row(result: &Reviewed, folder: Option<&Path>) -> [(Style, String); 4] {
    let outcome = Outcome::of(result);
    let (style, word) = outcome.word();
    // Of a denied request, only the rules that deny it.
    let told = |record: &&Record| outcome != Outcome::Deny || record.decision == Decision::Deny;
    let rules = result.records.iter().filter(told).filter_map(Record::rule);
    let mut rules: Vec<&str> = rules.map(RuleName::as_str).collect();
    rules.dedup();
    [
        (style, word.to_owned()),
        (Style::new(), request(result)),
        (Style::new(), rules.join(", ")),
        (FAINT, short(&result.file, folder).to_owned()),
    ]
}

fn request(result: &Reviewed) -> String {
    let Reviewed { operation, resource, namespace, name, .. } = result;
    let slash = if namespace.is_empty() || name == namespace { "" } else { "/" };
    let namespace = if slash.is_empty() { "" } else { namespace };
    // A DELETECOLLECTION names no object, and a CREATE with generateName has no name yet.
    let name = if name.is_empty() { "*" } else { name };
    format!("{operation} {resource} {namespace}{slash}{name}")
}

fn explain(f: &mut fmt::Formatter<'_>, result: &Reviewed, folder: Option<&Path>) -> fmt::Result {
    let (style, word) = Outcome::of(result).word();
    writeln!(f, "\n{} {}", Styled(style, word), Styled(HEADING, short(&result.file, folder)))?;
    if result.is_not_judged {
        let text = format!(
            "PoolGuard does not know where {} keep their pod templates. It judges the pods when they are created.",
            result.resource
        );
        writeln!(f, "{}", wrapped(&text, 2))?;
    }
    for denial in &result.denials {
        writeln!(f, "{}", wrapped(&denial.denial(), 2))?;
    }
    for warning in &result.warnings {
        writeln!(f, "{}", wrapped(&warning.denial(), 2))?;
    }
    let shown = [Decision::Deny, Decision::Warn, Decision::Exempt];
    for record in result.records.iter().filter(|record| !shown.contains(&record.decision)) {
        let rule = record.rule().map(|rule| format!("[{rule}] ")).unwrap_or_default();
        let is_lost = !result.allowed && record.decision == Decision::Patch;
        let lost = if is_lost { "Not applied, because the request is denied: " } else { "" };
        writeln!(f, "{}", wrapped(&format!("{rule}{lost}{}", record.message()), 2))?;
    }
    for operation in &result.patch {
        if let PatchOperation::Add(add) = operation {
            let text = format!("+ {} {}", add.path, add.value);
            writeln!(f, "    {}", Styled(CHANGED, text))?;
        }
    }
    Ok(())
}

fn summary(results: &[Reviewed], errors: &[UnreadableFile]) -> String {
    let number = |outcome| results.iter().filter(|it| Outcome::of(it) == outcome).count();
    let denied = number(Outcome::Deny);
    let mut parts = vec![format!("{} allowed", results.len() - denied)];
    for (outcome, word) in [
        (Outcome::Patch, "patched"),
        (Outcome::Warn, "with warnings"),
        (Outcome::NotJudged, "not judged"),
    ] {
        let number = number(outcome);
        if number > 0 {
            parts.push(format!("{number} of them {word}"));
        }
    }
    parts.push(format!("{denied} denied"));
    if !errors.is_empty() {
        parts.push(format!("{} unreadable", errors.len()));
    }
    format!("{}: {}", count(results.len(), "review"), parts.join(", "))
}

/// Returns the folder that contains all files. The table need not repeat it in each line.
fn common_folder(results: &[Reviewed]) -> Option<&Path> {
    let (first, rest) = results.split_first()?;
    let folder = Path::new(&first.file).parent()?;
    let all =
        !rest.is_empty() && rest.iter().all(|it| Path::new(&it.file).parent() == Some(folder));
    all.then_some(folder)
}

fn short<'f>(file: &'f str, folder: Option<&Path>) -> &'f str {
    let stripped = folder.and_then(|folder| Path::new(file).strip_prefix(folder).ok());
    stripped.and_then(Path::to_str).unwrap_or(file)
}
