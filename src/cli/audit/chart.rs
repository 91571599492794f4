//! The bars of the page: one bar for a number, and columns for numbers over time.

/// The characters that draw bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glyphs {
    /// Block characters, which draw a bar in steps of an eighth of a cell.
    Blocks,
    /// ASCII characters, which survive every pipe.
    Ascii,
}

const RISING: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const GROWING: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

impl Glyphs {
    /// Returns a bar that is `width` cells long if `value` is `max`.
    pub(super) fn bar(self, value: u64, max: u64, width: usize) -> String {
        let eighths = scaled(value, max, width * 8);
        match self {
            Self::Blocks => {
                let mut bar = "█".repeat(eighths / 8);
                bar.extend((eighths % 8).checked_sub(1).and_then(|part| GROWING.get(part)));
                bar
            }
            Self::Ascii => "#".repeat(eighths.div_ceil(8)),
        }
    }

    /// Returns columns of `height` cells, as rows from the top.
    pub(super) fn columns(self, values: &[u64], height: usize) -> Vec<String> {
        let max = values.iter().copied().max().unwrap_or(0);
        let cell = |value, row: usize| {
            let eighths = scaled(value, max, height * 8);
            let part = eighths.saturating_sub((height - 1 - row) * 8).min(8);
            match (self, part.checked_sub(1)) {
                (_, None) => ' ',
                (Self::Blocks, Some(part)) => RISING.get(part).copied().unwrap_or('█'),
                (Self::Ascii, Some(0..=2)) => '.',
                (Self::Ascii, Some(3..=5)) => ':',
                (Self::Ascii, Some(_)) => '#',
            }
        };
        (0..height).map(|row| values.iter().map(|value| cell(*value, row)).collect()).collect()
    }

    /// Returns the mark before the label of a column.
    pub(super) fn tick(self) -> char {
        match self {
            Self::Blocks => '╵',
            Self::Ascii => '|',
        }
    }
}

/// Scales `value` of `max` to a number up to `limit`. The result is at least 1 if `value` is.
fn scaled(value: u64, max: u64, limit: usize) -> usize {
    let scaled = u128::from(value) * limit as u128 / u128::from(max.max(1));
    usize::try_from(scaled).unwrap_or(limit).min(limit).max(usize::from(value > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(Glyphs::Blocks.bar(8, 8, 4), "████");
        assert_eq!(Glyphs::Blocks.bar(5, 8, 4), "██▌");
        assert_eq!(Glyphs::Blocks.bar(1, 1_000_000, 4), "▏", "something is never nothing");
        assert_eq!(Glyphs::Blocks.bar(0, 8, 4), "");
        assert_eq!(Glyphs::Ascii.bar(5, 8, 4), "###");
        assert_eq!(Glyphs::Ascii.bar(0, 0, 4), "");
        assert_eq!(Glyphs::Blocks.bar(u64::MAX, u64::MAX, 4), "████");
    }

    #[test]
    fn columns_rise_over_rows() {
        let values = [0, 1, 4, 12, 16];
        assert_eq!(Glyphs::Blocks.columns(&values, 2), ["   ▄█", " ▁▄██"]);
        assert_eq!(Glyphs::Blocks.columns(&values, 1), [" ▁▂▆█"]);
        assert_eq!(Glyphs::Ascii.columns(&values, 2), ["   :#", " .:##"]);
        assert_eq!(Glyphs::Ascii.columns(&[], 2), ["", ""]);
    }
}
