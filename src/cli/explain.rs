//! `poolguard explain`: the documentation of a rule, from docs/rules.md.

mod markdown;

use std::{fmt::Write as _, io::Write, process::ExitCode};

use clap::{Args, builder::PossibleValuesParser};

use self::markdown::{Markdown, cells, plain};
use super::page::{FAINT, HEADING, Styled, wrapping};
use crate::policy::mode::{RuleModes, RuleName};

/// Show the documentation of a rule, or the list of rules.
///
/// The documentation says what the rule denies and allows, with examples. It is that of this version, and says nothing
/// about your config.
#[derive(Args, Debug)]
pub(super) struct Explain {
    /// Rule, as messages and the config name it; without it, PoolGuard lists all rules
    #[arg(value_name = "RULE", value_parser = PossibleValuesParser::new(RuleName::ALL.map(RuleName::as_str)))]
    rule: Option<String>,
}

/// The page that has a section for each rule.
const PAGE: &str = include_str!("../../docs/rules.md");

/// The URL of this version of the page.
const PAGE_URL: &str =
    concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/v", env!("CARGO_PKG_VERSION"), "/docs/rules.md");

/// The largest width of the page.
const WIDTH_MAX: usize = 80;

impl Explain {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let columns = terminal_size::terminal_size().map_or(WIDTH_MAX, |(it, _)| it.0.into());
        let width = columns.clamp(40, WIDTH_MAX);
        let is_meant = |rule: &RuleName| Some(rule.as_str()) == self.rule.as_deref();
        let text = match RuleName::ALL.into_iter().find(is_meant) {
            Some(rule) => explanation(rule, width),
            None => list(width),
        };
        write!(anstream::stdout(), "{text}")?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Every rule with its default mode and the first sentence of its section.
fn list(width: usize) -> String {
    let name_width = RuleName::ALL.iter().map(|it| it.as_str().len()).max().unwrap_or_default();
    let mut text = String::new();
    let heading = format!("{:name_width$}  DEFAULT  WHAT IT DOES", "RULE");
    let _ = writeln!(text, "{}", Styled(FAINT, heading));
    let margin = " ".repeat(name_width + 11);
    for rule in RuleName::ALL {
        let name = Styled(HEADING, format!("{rule:name_width$}"));
        let first = format!("{name}  {:7}  ", RuleModes::default().mode(rule).as_str());
        let summary = plain(first_sentence(section(rule)));
        let options = wrapping(width).initial_indent(&first).subsequent_indent(&margin);
        let _ = writeln!(text, "{}", textwrap::fill(&summary, options));
    }
    let hint = "poolguard explain RULE prints the documentation of one rule.";
    let _ = writeln!(text, "\n{}", Styled(FAINT, hint));
    text
}

/// The section of a rule, after its name, its default mode and the requests that it checks.
fn explanation(rule: RuleName, width: usize) -> String {
    let mode = RuleModes::default().mode(rule);
    let mut text = format!("{}\n\n", Styled(HEADING, rule));
    let facts = [
        ("default mode", mode.to_string()),
        ("set it with", format!("rules: {{{rule}: {{mode: {mode}}}}}")),
        ("requests", plain(requests(rule))),
    ];
    for (name, value) in facts {
        let margin = " ".repeat(14);
        let first = Styled(FAINT, format!("{name:14}")).to_string();
        let options = wrapping(width).initial_indent(&first).subsequent_indent(&margin);
        let _ = writeln!(text, "{}", textwrap::fill(&value, options));
    }
    let _ = write!(text, "\n{}", Markdown { text: section(rule), width });
    let hint = "The examples use the config and the cluster that this page describes:";
    let _ = writeln!(text, "\n{}\n{PAGE_URL}#{rule}", Styled(FAINT, hint));
    text
}

/// The text of a rule's section, without its heading.
fn section(rule: RuleName) -> &'static str {
    let heading = format!("\n## `{rule}`\n");
    let rest = PAGE.split_once(&heading).map_or("", |(_, rest)| rest);
    rest.split_once("\n## ").map_or(rest, |(section, _)| section).trim()
}

/// The cell `requests` of a rule, in the table of what each rule denies.
fn requests(rule: RuleName) -> &'static str {
    let start = format!("| [`{rule}`]");
    let row = PAGE.lines().find(|line| line.starts_with(&start)).unwrap_or_default();
    cells(row).nth(1).unwrap_or_default()
}

fn first_sentence(section: &str) -> &str {
    let paragraph = section.split("\n\n").next().unwrap_or_default();
    // Lines are wrapped anywhere between words.
    let end = [". ", ".\n"].into_iter().filter_map(|end| paragraph.find(end)).min();
    end.map_or(paragraph, |end| paragraph.get(..=end).unwrap_or(paragraph))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_summary_the_requests_that_it_checks_and_examples() {
        for rule in RuleName::ALL {
            assert!(first_sentence(section(rule)).ends_with('.'), "{rule}: {}", section(rule));
            assert!(requests(rule).contains(" of "), "{rule}: {}", requests(rule));
            assert!(section(rule).contains("```yaml\n"), "{rule}");
        }
    }

    #[test]
    fn the_page_has_the_default_modes_of_the_code() {
        for rule in RuleName::ALL {
            let start = format!("| [`{rule}`]");
            let row = PAGE.lines().find(|line| line.starts_with(&start)).unwrap();
            let mode = RuleModes::default().mode(rule);
            assert_eq!(cells(row).nth(3), Some(format!("`{mode}`").as_str()), "{row}");
        }
    }
}
