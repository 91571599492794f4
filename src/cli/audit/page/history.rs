//! The decisions over time, as a chart.

use std::fmt;

use jiff::Timestamp;

use super::{AuditPage, style};
use crate::cli::{
    audit::{
        figures::{duration, format_time, grouped},
        record::{DECISIONS, position},
        timeline::Columns,
    },
    page::{FAINT, Styled},
};

/// The largest width of a column, in cells.
const WIDE: usize = 4;

impl AuditPage<'_> {
    /// Writes a row of columns for each decision. The row of the gravest decision is the highest.
    pub(super) fn chart(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let step = format!(
            "each column is {}; the number on the right: records in the highest column; times are UTC",
            duration(seconds)
        );
        writeln!(f, "{:label$}{}", "", Styled(FAINT, axis))?;
        writeln!(f, "{}", self.wrapped(&step, FAINT, label))
    }
}

/// Returns labels under columns that are `wide` cells wide, as close together as they are readable. The last
/// one may stick out on the right.
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
    fn the_axis_has_labels_that_do_not_touch() {
        let day = 1_795_392_000;
        assert_eq!(axis(day, 900, 30, 1, '|'), "|00:00      |03:00      |06:00");
        assert_eq!(axis(day, 900, 24, 1, '|'), "|00:00      |03:00");
        assert_eq!(axis(day, 900, 12, 2, '|'), "|00:00      |01:30      ".trim_end());
        assert_eq!(axis(day, 1, 3, 1, '|'), "|00:00:00");
    }
}
