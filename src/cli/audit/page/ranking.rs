//! The tables of the page: one for each dimension, with the values that have the most denials first.

use std::fmt;

use anstyle::Style;

use super::{AuditPage, style};
use crate::{
    cli::{
        audit::{
            figures::{duration, grouped},
            record::DECISIONS,
            tally::{Dimension, FINE, Groups, Tally},
        },
        page::{BAD, FAINT, HEADING, Styled, Table, WARNING},
    },
    json::text::without_controls,
    policy::verdict::Decision,
};

/// The number of denials of one controller's pods from which the page names the controller.
const STUBBORN: u64 = 10;

/// The smallest width to which a table cuts a name. If a table has less room, a name gets a line of its own.
const KEY_MIN: usize = 20;

impl AuditPage<'_> {
    pub(super) fn table(
        &self,
        f: &mut fmt::Formatter<'_>,
        groups: &Groups,
        is_everything: bool,
    ) -> fmt::Result {
        let ranked = groups.ranked();
        let counted = |tally: &Tally| if is_everything { tally.total() } else { tally.attention() };
        let rows: Vec<_> = ranked.iter().filter(|(_, tally)| counted(tally) > 0).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let max = rows.iter().map(|(_, tally)| counted(tally)).max().unwrap_or(0);
        let (shown, rest) = rows.split_at(rows.len().min(self.top));
        let columns = self.columns(groups.dimension, is_everything, shown);
        // Two blanks lie between columns, and a time is the last of them.
        let last = self.summary.all.span().map_or(0, |(_, last)| self.when(last).len());
        let figures: usize = columns.iter().map(|(_, width)| width + 2).sum();
        let room = self.look.width.saturating_sub(figures + last + 2);
        let longest = shown.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
        let bar_width = match self.look.bar() {
            width if longest + 2 + width <= room => width,
            _ => 0,
        };
        let key_width = room.saturating_sub(if bar_width > 0 { bar_width + 2 } else { 0 });
        let mut table = Table::indented(0);
        let right = |text: &str, width: usize| format!("{text:>width$}");
        let mut heading = vec![(HEADING, title(groups.dimension).to_owned())];
        heading.extend((bar_width > 0).then(|| (FAINT, String::new())));
        let names = columns.iter().map(|(it, width)| right(&it.as_str().to_uppercase(), *width));
        heading.extend(names.map(|name| (FAINT, name)));
        heading.push((FAINT, "LAST".to_owned()));
        let heading_is_long = title(groups.dimension).len() > key_width;
        if heading_is_long && let Some((style, title)) = heading.first_mut() {
            table.line(*style, std::mem::take(title));
        }
        table.row(heading);
        for (key, tally) in shown {
            let is_stubborn = groups.dimension == Dimension::Owner && is_stubborn(tally);
            let key_style = if is_stubborn { BAD } else { Style::new() };
            let cut_at = if key_width < KEY_MIN { self.look.width } else { key_width };
            let mut key = self.look.cut(&without_controls(key), cut_at);
            if key.chars().count() > key_width {
                table.line(key_style, std::mem::take(&mut key));
            }
            let mut row = vec![(key_style, key)];
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

    /// Returns the decisions that the summary contains, with the width of their numbers. Most tables are
    /// about trouble, so they leave out the decisions in [`FINE`].
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

    /// Writes the controllers that create denied pods again and again.
    fn stubborn(&self, f: &mut fmt::Formatter<'_>, ranked: &[(&str, &Tally)]) -> fmt::Result {
        let stubborn = ranked.iter().filter(|(_, tally)| is_stubborn(tally));
        for (key, tally) in stubborn.take(3) {
            let Some((first, last)) = tally.span() else { continue };
            let text = format!(
                "PoolGuard denied pods of {} {} times within {}. This owner retries until you \
                 keep its pods off the pool or add an entry to exempt in PoolGuard's config",
                without_controls(key),
                grouped(tally.of(Decision::Deny)),
                duration((last.as_second() - first.as_second()).max(1)),
            );
            writeln!(f, "{}", self.wrapped(&text, WARNING, 2))?;
        }
        Ok(())
    }
}

/// A number for a cell; zero is an empty cell.
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
