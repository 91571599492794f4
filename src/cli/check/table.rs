//! The findings for people: by pool, in the order in which they come, and a verdict at the end.

use std::fmt;

use anstyle::Style;

use super::{AFTER_PLAN, Checked, node_count, whole};
use crate::{
    check::{
        CheckFinding, CheckedSubject, FindingSeverity, Fitness, PoolPicture, Status, ZonePicture,
    },
    cli::page::{BAD, CHANGED, FAINT, GOOD, HEADING, Styled, WARNING, count, width, wrapping},
};

pub(super) struct CheckTable<'a> {
    pub(super) checked: &'a [Checked],
}

const UNKNOWN: Style = anstyle::AnsiColor::Magenta.on_default();

/// Widths of the first two columns, indentation included.
const WORD_WIDTH: usize = 9;
const RULE_WIDTH: usize = 20;
const INDENT: usize = 2 + WORD_WIDTH + RULE_WIDTH;

impl fmt::Display for CheckTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, checked) in self.checked.iter().enumerate() {
            if self.checked.len() > 1 {
                let gap = if index == 0 { "" } else { "\n\n" };
                writeln!(f, "{gap}{}\n", Styled(HEADING, format!("== {}", checked.name)))?;
            }
            cluster(f, checked)?;
        }
        if self.checked.len() > 1 {
            writeln!(f)?;
            for Checked { name, fitness, .. } in self.checked {
                writeln!(f, "{name}: {}", Verdict(fitness))?;
            }
        }
        Ok(())
    }
}

fn cluster(f: &mut fmt::Formatter<'_>, checked: &Checked) -> fmt::Result {
    let Checked { fitness, dump_command, .. } = checked;
    for pool in &fitness.pools {
        let own = |it: &&CheckFinding| it.pool.as_deref() == Some(&pool.name);
        group(f, &pool_heading(pool, fitness.subject), fitness.findings.iter().filter(own))?;
    }
    let is_pool = |name: &str| fitness.pools.iter().any(|it| it.name == name);
    let rest = |it: &&CheckFinding| !it.pool.as_deref().is_some_and(is_pool);
    let provider = fitness.provider.map_or("unknown provider", |it| it.as_str());
    let nodes = node_count(fitness);
    let heading = format!(
        "{}  {}",
        Styled(HEADING, whole(fitness)),
        Styled(FAINT, format!("{provider}, {nodes}"))
    );
    group(f, &heading, fitness.findings.iter().filter(rest))?;
    if let CheckedSubject::Plan { .. } = fitness.subject {
        for line in textwrap::wrap(AFTER_PLAN, wrapping(width())) {
            writeln!(f, "{line}")?;
        }
        writeln!(f)?;
    }
    if let Some(dump_command) = dump_command
        && !checked.missing.is_empty()
    {
        for sentence in checked.lacks() {
            writeln!(f, "{sentence}")?;
        }
        writeln!(f, "  {}\n", Styled(CHANGED, dump_command))?;
    }
    writeln!(f, "{}", Verdict(fitness))
}

fn pool_heading(pool: &PoolPicture, subject: CheckedSubject) -> String {
    let nodes = count(pool.zones.iter().map(|zone| zone.nodes.len()).sum(), "node");
    let named = |is_wanted: fn(&&ZonePicture) -> bool| -> Vec<&str> {
        let zones = pool.zones.iter().filter(is_wanted);
        zones.map(|it| it.name.as_str()).filter(|it| !it.is_empty()).collect()
    };
    let (all, populated) = (named(|_| true), named(|zone| !zone.nodes.is_empty()));
    let of_config = named(|zone| zone.is_meant);
    let zones = match all.as_slice() {
        [] => String::new(),
        [only] => format!(", zone {only}"),
        several => format!(", zones {}", several.join(" ")),
    };
    let first = match subject {
        CheckedSubject::Plan { .. } => format!("planned{zones}"),
        CheckedSubject::Cluster if populated.is_empty() || populated == of_config => {
            format!("{nodes}{zones}")
        }
        CheckedSubject::Cluster => {
            format!("{nodes} in {} (config: {})", populated.join(" "), of_config.join(" "))
        }
    };
    let mut parts = vec![first];
    if !pool.is_declared {
        parts.push("found by its taint".to_owned());
    }
    if !pool.instances.is_empty() {
        let word = if pool.instances.len() == 1 { "instance" } else { "instances" };
        parts.push(format!("{word} {}", pool.instances.join(" ")));
    }
    format!(
        "{}  {}",
        Styled(HEADING, format!("pool {}", pool.name)),
        Styled(FAINT, parts.join(", "))
    )
}

fn group<'a>(
    f: &mut fmt::Formatter<'_>,
    heading: &str,
    findings: impl Iterator<Item = &'a CheckFinding>,
) -> fmt::Result {
    writeln!(f, "{heading}")?;
    let mut shown = None;
    for finding in findings {
        let (style, word) = word(finding);
        let rule = finding.rule;
        let is_failure = finding.status == Status::Fail;
        let text = wrapped(&finding.fact);
        let mut lines = text.iter();
        let first = lines.next().map_or("", String::as_str);
        let blank = " ".repeat(WORD_WIDTH - word.len());
        let margin = " ".repeat(INDENT);
        write!(f, "  {}{blank}{rule:RULE_WIDTH$}", Styled(style, word))?;
        if is_failure {
            writeln!(f, "{first}")?;
        } else {
            writeln!(f, "{}", Styled(FAINT, first))?;
        }
        let faint = if is_failure { Style::new() } else { FAINT };
        for line in lines {
            writeln!(f, "{margin}{}", Styled(faint, line))?;
        }
        if finding.status == Status::Pass {
            continue;
        }
        // PoolGuard writes the same reason only once in a row.
        let why = finding.why.filter(|why| shown != Some(*why));
        shown = finding.why;
        for line in why.iter().flat_map(|why| wrapped(why)) {
            writeln!(f, "{margin}{}", Styled(FAINT, line))?;
        }
        // Commands are to be copied, and stay on their line.
        for line in finding.fix.iter().flat_map(|fix| fix.lines()) {
            let style = if line.starts_with('#') { FAINT } else { CHANGED };
            writeln!(f, "{margin}{}", Styled(style, line))?;
        }
    }
    writeln!(f)
}

fn word(finding: &CheckFinding) -> (Style, &'static str) {
    match (finding.status, finding.severity) {
        (Status::Pass, _) => (GOOD, "ok"),
        (Status::Unknown, _) => (UNKNOWN, "unknown"),
        (Status::Fail, FindingSeverity::Note) => (CHANGED, "note"),
        (Status::Fail, FindingSeverity::Warning) => (WARNING, "warning"),
        (Status::Fail, FindingSeverity::Error) => (BAD, "error"),
    }
}

/// Text as lines that fit beside the first columns.
fn wrapped(text: &str) -> Vec<String> {
    let lines = textwrap::wrap(text, wrapping(width().saturating_sub(INDENT)));
    lines.into_iter().map(std::borrow::Cow::into_owned).collect()
}

struct Verdict<'a>(&'a Fitness);

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitness = self.0;
        let style = if fitness.failures(FindingSeverity::Error) > 0 {
            BAD
        } else if fitness.failures(FindingSeverity::Warning) > 0 {
            WARNING
        } else if fitness.unknowns() > 0 {
            UNKNOWN
        } else {
            GOOD.bold()
        };
        Styled(style, fitness.verdict()).fmt(f)
    }
}
