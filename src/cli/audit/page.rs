//! The summary for people.

use std::{fmt, io::IsTerminal};

use anstyle::Style;
use jiff::{Timestamp, fmt::strtime};

use super::{
    chart::Glyphs,
    record::DECISIONS,
    tally::{Dimension, FINE, Groups, LeftOut, Summary, Tally, Use, position},
    timeline::Columns,
};
use crate::{
    cli::page::{BAD, CHANGED, FAINT, GOOD, HEADING, Styled, Table, WARNING},
    policy::verdict::Decision,
};

/// The page.
pub(super) struct Page<'s> {
    pub(super) summary: &'s Summary,
    pub(super) look: Look,
    pub(super) by: Option<Dimension>,
    pub(super) top: usize,
}

/// What the page is shown on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) width: usize,
    pub(super) glyphs: Glyphs,
    /// Whether text that is wider is cut: a file has no width.
    pub(super) cuts: bool,
}

/// The width of what is no terminal.
const WIDTH: usize = 100;
/// Narrower than this, nothing can be read anyway.
const WIDTH_MIN: usize = 40;
/// Wider than this, the eye gets lost.
const WIDTH_MAX: usize = 140;
/// So many break-glass uses are shown one by one.
const USES_MAX: usize = 50;
/// The most cells that a column of the chart is wide.
const WIDE: usize = 4;
/// From so many denials of the pods of one controller on, somebody should stop it.
const STUBBORN: u64 = 10;

impl Look {
    /// Of standard output.
    pub(super) fn detect() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let columns = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let width = columns.filter(|_| is_terminal).unwrap_or(WIDTH);
        let glyphs = if is_terminal && speaks_utf8() { Glyphs::Blocks } else { Glyphs::Ascii };
        Self { width: width.clamp(WIDTH_MIN, WIDTH_MAX), glyphs, cuts: is_terminal }
    }

    /// Text without its middle, if it is wider: names differ at both ends.
    fn cut(self, text: &str, width: usize) -> String {
        let length = text.chars().count();
        if !self.cuts || length <= width {
            return text.to_owned();
        }
        let mark = match self.glyphs {
            Glyphs::Blocks => "…",
            Glyphs::Ascii => "..",
        };
        let kept = width.saturating_sub(mark.chars().count());
        let (head, tail) = (kept / 3, kept - kept / 3);
        let mut cut: String = text.chars().take(head).collect();
        cut.push_str(mark);
        cut.extend(text.chars().skip(length - tail));
        cut
    }

    /// The longest bar of a table.
    fn bar(self) -> usize {
        match self.width {
            100.. => 16,
            80.. => 8,
            _ => 0,
        }
    }
}

/// Whether the locale, as far as it says anything, can show more than ASCII.
fn speaks_utf8() -> bool {
    let said =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(|name| std::env::var(name).ok());
    let locale = said.into_iter().find(|value| !value.is_empty());
    locale.is_none_or(|locale| {
        let locale = locale.to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { summary, look: _, by, top: _ } = self;
        let Some((first, last)) = summary.all.span() else {
            return self.nothing(f);
        };
        let number = |count| Styled(HEADING, numbered(count, "record"));
        writeln!(f, "{}, {}", number(summary.all.total()), span(first, last))?;
        writeln!(f, "{}", self.decisions())?;
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

impl Page<'_> {
    /// `812 deny, 301 warn, 2 break-glass`
    fn decisions(&self) -> String {
        let all = &self.summary.all;
        let known = DECISIONS.into_iter().filter(|decision| all.of(*decision) > 0);
        let mut parts: Vec<_> = known
            .map(|decision| {
                let text = format!("{} {}", grouped(all.of(decision)), decision.as_str());
                Styled(style(decision), text).to_string()
            })
            .collect();
        if self.summary.dry_runs > 0 {
            let text = format!("{} in dry runs", grouped(self.summary.dry_runs));
            parts.push(Styled(FAINT, text).to_string());
        }
        parts.join(", ")
    }

    /// A row of columns for each decision, the gravest one the highest.
    fn chart(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { summary, look, .. } = self;
        let label = DECISIONS.iter().map(|it| it.as_str().len()).max().unwrap_or(0) + 2;
        // On the right there is the number that the highest column stands for.
        let columns = look.width.saturating_sub(label + 12);
        let Some(Columns { start, seconds, counts }) = summary.timeline.columns(columns) else {
            return Ok(());
        };
        if counts.len() < 2 {
            return Ok(());
        }
        // Few columns are drawn wider, so that they fill the page.
        let wide = (columns / counts.len()).clamp(1, WIDE);
        writeln!(f)?;
        let mut height = 3;
        for decision in DECISIONS.into_iter().filter(|it| summary.all.of(*it) > 0) {
            let values: Vec<u64> = counts
                .iter()
                .map(|counts| counts.get(position(decision)).copied().unwrap_or(0))
                .flat_map(|count| std::iter::repeat_n(count, wide))
                .collect();
            let max = values.iter().copied().max().unwrap_or(0);
            let rows = look.glyphs.columns(&values, height);
            let last = rows.len() - 1;
            for (index, row) in rows.iter().enumerate() {
                let name = if index == last { decision.as_str() } else { "" };
                let row = if index == 0 { row.as_str() } else { row.trim_end() };
                let top = if index == 0 { format!("  {}", grouped(max)) } else { String::new() };
                let styled = Styled(style(decision), row);
                let line = format!("{name:<label$}{styled}{}", Styled(FAINT, top));
                writeln!(f, "{}", line.trim_end())?;
            }
            height = 1;
        }
        let axis = axis(start, seconds, counts.len(), wide, look.glyphs.tick());
        let step = format!("{:label$}one step is {}, times are UTC", "", duration(seconds));
        writeln!(f, "{:label$}{}", "", Styled(FAINT, axis))?;
        writeln!(f, "{}", Styled(FAINT, step))
    }

    fn table(
        &self,
        f: &mut fmt::Formatter<'_>,
        groups: &Groups,
        is_everything: bool,
    ) -> fmt::Result {
        let ranked = groups.ranked();
        let counted = |tally: &Tally| if is_everything { tally.total() } else { tally.trouble() };
        let rows: Vec<_> = ranked.iter().filter(|(_, tally)| counted(tally) > 0).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let max = rows.iter().map(|(_, tally)| counted(tally)).max().unwrap_or(0);
        let (shown, rest) = rows.split_at(rows.len().min(self.top));
        let columns = self.columns(groups.dimension, is_everything, shown);
        let bar_width = self.look.bar();
        // Two blanks lie between columns, and a time is the last of them.
        let last = self.summary.all.span().map_or(0, |(_, last)| self.when(last).len());
        let taken: usize = columns.iter().map(|(_, width)| width + 2).sum();
        let key_width = self.look.width.saturating_sub(taken + bar_width + last + 4).max(20);
        let mut table = Table::indented(0);
        let right = |text: &str, width: usize| format!("{text:>width$}");
        let mut heading = vec![(HEADING, title(groups.dimension).to_owned())];
        heading.extend((bar_width > 0).then(|| (FAINT, String::new())));
        let names = columns.iter().map(|(it, width)| right(&it.as_str().to_uppercase(), *width));
        heading.extend(names.map(|name| (FAINT, name)));
        heading.push((FAINT, "LAST".to_owned()));
        table.row(heading);
        for (key, tally) in shown {
            let is_stubborn = groups.dimension == Dimension::Owner && is_stubborn(tally);
            let key_style = if is_stubborn { BAD } else { Style::new() };
            let mut row = vec![(key_style, self.look.cut(&clean(key), key_width))];
            let bar = || self.look.glyphs.bar(counted(tally), max, bar_width);
            row.extend((bar_width > 0).then(|| (style(gravest(tally)), bar())));
            let number = |(it, width): &(Decision, usize)| {
                (style(*it), right(&number_text(tally.of(*it)), *width))
            };
            row.extend(columns.iter().map(number));
            row.push((FAINT, tally.span().map(|(_, last)| self.when(last)).unwrap_or_default()));
            table.row(row);
        }
        write!(f, "\n{table}")?;
        if !rest.is_empty() {
            writeln!(f, "{}", Styled(FAINT, format!("{} more", grouped(rest.len() as u64))))?;
        }
        if groups.dimension == Dimension::Owner {
            self.stubborn(f, &ranked)?;
        }
        Ok(())
    }

    /// Decisions that there are, with the width of their numbers. Most tables are about trouble.
    fn columns(
        &self,
        dimension: Dimension,
        is_everything: bool,
        rows: &[&(&str, &Tally)],
    ) -> Vec<(Decision, usize)> {
        let has_room = is_everything || dimension == Dimension::Rule;
        let known = DECISIONS.into_iter().filter(|it| self.summary.all.of(*it) > 0);
        let shown = known.filter(|it| has_room || !FINE.contains(it));
        shown
            .map(|decision| {
                let numbers = rows.iter().map(|(_, tally)| number_text(tally.of(decision)).len());
                (decision, numbers.max().unwrap_or(0).max(decision.as_str().len()))
            })
            .collect()
    }

    /// What tries the same again and again, and will not stop by itself.
    fn stubborn(&self, f: &mut fmt::Formatter<'_>, ranked: &[(&str, &Tally)]) -> fmt::Result {
        let stubborn = ranked.iter().filter(|(_, tally)| is_stubborn(tally));
        for (key, tally) in stubborn.take(3) {
            let Some((first, last)) = tally.span() else { continue };
            let text = format!(
                "{} was denied {} times within {}, and will try again until its pods keep off the \
                 pool or the config exempts them",
                clean(key),
                grouped(tally.of(Decision::Deny)),
                duration((last.as_second() - first.as_second()).max(1)),
            );
            writeln!(f, "{}", self.wrapped(&text, WARNING, 2))?;
        }
        Ok(())
    }

    /// Break-glass uses, one by one.
    fn uses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { all, uses, .. } = self.summary;
        if uses.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{}", Styled(HEADING, "BREAK-GLASS"))?;
        let mut last = None;
        for Use { time, uid, user, groups, request, rule, message } in uses.iter().take(USES_MAX) {
            if last != Some(uid) {
                let who = if groups.is_empty() {
                    clean(user)
                } else {
                    format!("{} ({})", clean(user), clean(groups))
                };
                let what = clean(request);
                writeln!(f, "{}  {}  {what}", self.when(*time), Styled(BAD, who))?;
            }
            last = Some(uid);
            let rule = rule.as_ref().map(|rule| format!("[{rule}] ")).unwrap_or_default();
            let text = clean(&format!("{rule}{message}"));
            writeln!(f, "{}", self.wrapped(&text, FAINT, 4))?;
        }
        let kept = uses.len().min(USES_MAX) as u64;
        if all.of(Decision::BreakGlass) > kept {
            let rest = grouped(all.of(Decision::BreakGlass) - kept);
            let rest = format!("{rest} more, which --decision break-glass and -o json show");
            writeln!(f, "{}", Styled(FAINT, rest))?;
        }
        Ok(())
    }

    fn footer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { dropped, left_out, .. } = self.summary;
        let LeftOut { filtered, damaged, first_damaged, newer, other } = left_out;
        let mut notes = Vec::new();
        if *dropped > 0 {
            let text = format!(
                "{} missing: the stream was not read in time, or its disk was full",
                numbered(*dropped, "record")
            );
            notes.push((WARNING, text));
        }
        if *damaged > 0 {
            let first = first_damaged.as_deref().unwrap_or_default();
            let text =
                format!("{} left out, the first: {first}", numbered(*damaged, "damaged line"));
            notes.push((WARNING, text));
        }
        if *newer > 0 {
            let text = format!("{} of another version left out", numbered(*newer, "record"));
            notes.push((WARNING, text));
        }
        if *filtered > 0 {
            notes.push((FAINT, format!("{} filtered out", numbered(*filtered, "record"))));
        }
        if *other > 0 {
            notes.push((FAINT, format!("{} of something else", numbered(*other, "line"))));
        }
        if !notes.is_empty() {
            writeln!(f)?;
        }
        notes.into_iter().try_for_each(|(style, text)| writeln!(f, "{}", Styled(style, text)))
    }

    /// No record at all: why, and where records come from.
    fn nothing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { left_out, .. } = self.summary;
        let lines = self.summary.lines();
        let text = if left_out.filtered > 0 {
            format!("Of {} none passes the filters.", numbered(left_out.filtered, "record"))
        } else if lines == 0 {
            "No lines, no records: nothing was denied, warned of or found, or these are not the \
             lines."
                .to_owned()
        } else {
            format!(
                "{} and no record among them. Records are the JSON lines of --audit-file, or of \
                 standard output with --log-format json.",
                numbered(lines, "line")
            )
        };
        writeln!(f, "{}", self.wrapped(&text, GOOD, 0))?;
        self.footer(f)
    }

    /// `18:27:15`, with the day where there are several.
    fn when(&self, time: Timestamp) -> String {
        let day = |time| format_time(time, "%Y-%m-%d");
        let is_one_day = self.summary.all.span().is_some_and(|(a, b)| day(a) == day(b));
        format_time(time, if is_one_day { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" })
    }

    fn wrapped(&self, text: &str, style: Style, indent: usize) -> String {
        let margin = " ".repeat(indent);
        let options = textwrap::Options::new(self.look.width - indent)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .word_separator(textwrap::WordSeparator::AsciiSpace);
        let lines = textwrap::wrap(text, options);
        let styled = lines.iter().map(|line| format!("{margin}{}", Styled(style, line)));
        styled.collect::<Vec<_>>().join("\n")
    }
}

/// Nothing for nothing: a table of zeros tells nothing.
fn number_text(number: u64) -> String {
    if number == 0 { String::new() } else { grouped(number) }
}

fn is_stubborn(tally: &Tally) -> bool {
    tally.of(Decision::Deny) >= STUBBORN
}

fn gravest(tally: &Tally) -> Decision {
    DECISIONS.into_iter().find(|it| tally.of(*it) > 0).unwrap_or(Decision::Exempt)
}

fn title(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Rule => "RULE",
        Dimension::Namespace => "NAMESPACE",
        Dimension::User => "USER",
        Dimension::Owner => "OWNER",
        Dimension::Pool => "POOL",
        Dimension::Node => "NODE",
        Dimension::Decision => "DECISION",
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

/// Without control characters, which a request may have put there: none reaches a terminal.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            clean.extend(character.escape_default());
        } else {
            clean.push(character);
        }
    }
    clean
}

/// `1,284`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 record`, `1,284 records`
fn numbered(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

fn format_time(time: Timestamp, format: &str) -> String {
    // The formats are ours, and hold nothing that a time in UTC lacks.
    strtime::format(format, time).unwrap_or_default()
}

/// `2026-11-23 09:12 to 18:40 UTC (9h28m)`
fn span(first: Timestamp, last: Timestamp) -> String {
    let start = format_time(first, "%Y-%m-%d %H:%M");
    let is_same = |format| format_time(first, format) == format_time(last, format);
    if is_same("%Y-%m-%d %H:%M") {
        return format!("{start} UTC");
    }
    let end = if is_same("%Y-%m-%d") { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    let seconds = last.as_second() - first.as_second();
    format!("{start} to {} UTC ({})", format_time(last, end), duration(seconds - seconds % 60))
}

/// `1 minute`, `9h28m`, `4 days`
fn duration(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let plural =
        |count: i64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    match (days, hours, minutes, seconds % 60) {
        (0, 0, 0, seconds) => plural(seconds, "second"),
        (0, 0, minutes, _) => plural(minutes, "minute"),
        (0, hours, 0, _) => plural(hours, "hour"),
        (0, hours, minutes, _) => format!("{hours}h{minutes:02}m"),
        (days, 0, ..) => plural(days, "day"),
        (days, hours, ..) => format!("{days}d{hours:02}h"),
    }
}

/// Labels under columns of so many cells, as far apart as they are readable. The last one may stick out
/// on the right.
fn axis(start: i64, seconds: i64, columns: usize, wide: usize, tick: char) -> String {
    let format = match i64::try_from(columns).unwrap_or(i64::MAX).saturating_mul(seconds) {
        ..=300 => "%H:%M:%S",
        301..=86_400 => "%H:%M",
        86_401..=345_600 => "%b %d %H:%M",
        _ => "%Y-%m-%d",
    };
    let mut axis = String::new();
    let mut next = 0;
    for (column, time) in (0..columns).zip((0..).map(|index: i64| start + index * seconds)) {
        if column < next {
            continue;
        }
        axis.push_str(&" ".repeat((column * wide).saturating_sub(axis.chars().count())));
        axis.push(tick);
        axis.extend(Timestamp::from_second(time).map(|it| format_time(it, format)));
        // The next label stands at a round number of columns, with room before it.
        let end = (axis.chars().count() + 3).div_ceil(wide);
        next = [4, 6, 12, 24]
            .into_iter()
            .map(|round| end.next_multiple_of(round))
            .min()
            .unwrap_or(end);
    }
    axis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        for (seconds, text) in [
            (1, "1 second"),
            (300, "5 minutes"),
            (3_600, "1 hour"),
            (34_080, "9h28m"),
            (86_400, "1 day"),
            (90_000, "1d01h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn the_axis_has_labels_that_do_not_touch() {
        let day = 1_795_392_000;
        assert_eq!(axis(day, 900, 30, 1, '|'), "|00:00      |03:00      |06:00");
        assert_eq!(axis(day, 900, 24, 1, '|'), "|00:00      |03:00");
        assert_eq!(axis(day, 900, 12, 2, '|'), "|00:00      |01:30      ".trim_end());
        assert_eq!(axis(day, 1, 3, 1, '|'), "|00:00:00");
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(clean("a\u{1b}[31mb\u{9b}ä\n"), "a\\u{1b}[31mb\\u{9b}ä\\n");
    }
}
