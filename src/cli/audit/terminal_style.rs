//! The properties of the output on which the page is shown: its width, its characters, and whether text is cut.

use std::io::IsTerminal;

use super::chart::Glyphs;

/// The width of an output that is not a terminal.
const WIDTH: usize = 80;
/// The smallest width of the page. People cannot read a narrower page anyway.
const WIDTH_MIN: usize = 40;
/// The largest width of the page. In wider lines the eye gets lost.
const WIDTH_MAX: usize = 140;

#[derive(Clone, Copy, Debug)]
pub(super) struct TerminalStyle {
    pub(super) width: usize,
    pub(super) glyphs: Glyphs,
    /// Whether text that is wider is cut: a file has no width.
    pub(super) cuts: bool,
}

impl TerminalStyle {
    /// The style of a file.
    pub(super) const PLAIN: Self = Self { width: WIDTH, glyphs: Glyphs::Ascii, cuts: false };

    /// Detects the style of standard output.
    pub(super) fn detect() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let columns = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let width = columns.filter(|_| is_terminal).unwrap_or(WIDTH);
        let glyphs = if is_terminal && speaks_utf8() { Glyphs::Blocks } else { Glyphs::Ascii };
        Self { width: width.clamp(WIDTH_MIN, WIDTH_MAX), glyphs, cuts: is_terminal }
    }

    /// Cuts out the middle of a text that is wider than `width`, because names differ at both ends.
    pub(super) fn cut(self, text: &str, width: usize) -> String {
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

    /// Returns the width of the longest bar of a table.
    pub(super) fn bar(self) -> usize {
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
