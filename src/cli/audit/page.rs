//! The summary for people.

mod history;
mod ranking;

use std::fmt;

use anstyle::Style;
use jiff::Timestamp;

use super::{
    figures::{format_time, grouped, numbered, span},
    record::DECISIONS,
    tally::{BreakGlassUse, Dimension, LeftOut, Summary},
    terminal_style::TerminalStyle,
};
use crate::{
    cli::page::{BAD, CHANGED, FAINT, GOOD, HEADING, Styled, WARNING, wrapping},
    json::text::without_controls,
    policy::verdict::Decision,
};

/// The page that shows the summary to people.
pub(super) struct AuditPage<'s> {
    pub(super) summary: &'s Summary,
    pub(super) look: TerminalStyle,
    pub(super) by: Option<Dimension>,
    pub(super) top: usize,
}

/// The largest number of break-glass uses that are shown one by one.
const USES_MAX: usize = 50;

impl fmt::Display for AuditPage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { summary, look: _, by, top: _ } = self;
        let Some((first, last)) = summary.all.span() else {
            return self.nothing(f);
        };
        let number = |count| Styled(HEADING, numbered(count, "record"));
        writeln!(f, "{}, {}", number(summary.all.total()), span(first, last))?;
        writeln!(f, "{}", self.wrapped(&self.decisions(), Style::new(), 0))?;
        self.chart(f)?;
        for groups in &summary.groups {
            self.table(f, groups, by.is_some())?;
        }
        if by.is_none() {
            self.uses(f)?;
        }
        self.footer(f)
    }
}

impl AuditPage<'_> {
    /// Returns the number of each decision as text, for example `812 deny, 301 warn, 2 break-glass`.
    fn decisions(&self) -> String {
        let all = &self.summary.all;
        let known = DECISIONS.into_iter().filter(|decision| all.of(*decision) > 0);
        let parts: Vec<_> = known
            .map(|decision| {
                let text = format!("{} {}", grouped(all.of(decision)), decision.as_str());
                Styled(style(decision), text).to_string()
            })
            .collect();
        let parts = parts.join(", ");
        if self.summary.dry_runs == 0 {
            return parts;
        }
        let text = format!(
            "({} of the {} records from dry runs)",
            grouped(self.summary.dry_runs),
            grouped(all.total())
        );
        format!("{parts} {}", Styled(FAINT, text))
    }

    /// Writes the break-glass uses, one by one.
    fn uses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { all, uses, .. } = self.summary;
        if uses.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{}", Styled(HEADING, "BREAK-GLASS"))?;
        let mut last = None;
        let by_time = self.summary.uses_by_time().into_iter().take(USES_MAX);
        for BreakGlassUse { time, uid, user, groups, request, rule, message } in by_time {
            if last != Some(uid) {
                let who = if groups.is_empty() {
                    without_controls(user).into_owned()
                } else {
                    format!("{} ({})", without_controls(user), without_controls(groups))
                };
                let when = self.when(*time);
                let margin = " ".repeat(when.len() + 2);
                let text = format!("{when}  {}  {}", Styled(BAD, who), without_controls(request));
                let options = wrapping(self.look.width).subsequent_indent(&margin);
                writeln!(f, "{}", textwrap::fill(&text, options))?;
            }
            last = Some(uid);
            let rule = rule.as_ref().map(|rule| format!("[{rule}] ")).unwrap_or_default();
            let text = format!("{rule}{message}");
            let text = without_controls(&text);
            writeln!(f, "{}", self.wrapped(&text, FAINT, 4))?;
        }
        let kept = uses.len().min(USES_MAX) as u64;
        if all.of(Decision::BreakGlass) > kept {
            let rest = grouped(all.of(Decision::BreakGlass) - kept);
            let rest = format!("{rest} more: `--decision break-glass -o json` prints all of them");
            writeln!(f, "{}", self.wrapped(&rest, FAINT, 0))?;
        }
        Ok(())
    }

    fn footer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { dropped, left_out, .. } = self.summary;
        let LeftOut { filtered, damaged, first_damaged, newer, other } = left_out;
        let mut notes = Vec::new();
        if *dropped > 0 {
            let text = format!(
                "{} missing: PoolGuard dropped them because the reader of the stream was too slow \
                 or the disk was full",
                numbered(*dropped, "record")
            );
            notes.push((WARNING, text));
        }
        if *damaged > 0 {
            let first = first_damaged.as_deref().unwrap_or_default();
            let text =
                format!("{} ignored; the first one: {first}", numbered(*damaged, "damaged line"));
            notes.push((WARNING, text));
        }
        if *newer > 0 {
            let text = format!("{} ignored: unknown version", numbered(*newer, "record"));
            notes.push((WARNING, text));
        }
        if *filtered > 0 {
            notes.push((FAINT, format!("{} filtered out", numbered(*filtered, "record"))));
        }
        if *other > 0 {
            notes.push((FAINT, format!("{} ignored: no audit record", numbered(*other, "line"))));
        }
        if !notes.is_empty() {
            writeln!(f)?;
        }
        notes.iter().try_for_each(|(style, text)| writeln!(f, "{}", self.wrapped(text, *style, 0)))
    }

    /// Writes the text of a summary without any record: the reason, and where records come from.
    fn nothing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { left_out, .. } = self.summary;
        let lines = self.summary.lines();
        let text = if left_out.filtered > 0 {
            format!("None of {} matches the filters.", numbered(left_out.filtered, "record"))
        } else if lines == 0 {
            "The input has no lines. Either PoolGuard has recorded nothing yet, or this is not its audit stream."
                .to_owned()
        } else {
            format!(
                "{} read, but none is a record. PoolGuard writes records as JSON lines to \
                 --audit-file, and to standard output with --log-format json.",
                numbered(lines, "line")
            )
        };
        writeln!(f, "{}", self.wrapped(&text, GOOD, 0))?;
        self.footer(f)
    }

    /// Returns a time such as `18:27:15`, with the day if the records are from several days.
    fn when(&self, time: Timestamp) -> String {
        let day = |time| format_time(time, "%Y-%m-%d");
        let is_one_day = self.summary.all.span().is_some_and(|(a, b)| day(a) == day(b));
        format_time(time, if is_one_day { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" })
    }

    fn wrapped(&self, text: &str, style: Style, indent: usize) -> String {
        let margin = " ".repeat(indent);
        let lines = textwrap::wrap(text, wrapping(self.look.width - indent));
        let styled = lines.iter().map(|line| format!("{margin}{}", Styled(style, line)));
        styled.collect::<Vec<_>>().join("\n")
    }
}

fn style(decision: Decision) -> Style {
    match decision {
        Decision::Deny | Decision::BreakGlass => BAD,
        Decision::Warn => WARNING,
        Decision::Patch => CHANGED,
        Decision::Exempt => GOOD,
        Decision::Audit | Decision::Unknown => Style::new(),
    }
}
