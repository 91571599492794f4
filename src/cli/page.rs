//! The parts of output for people: colours, tables and wrapped text.
//!
//! Colours are written always; `anstream` drops them where the output is not a terminal.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

/// The style of denials and errors.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
/// The style of warnings.
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// The style of changes.
pub(super) const CHANGED: Style = AnsiColor::Cyan.on_default().bold();
/// The style of results without a problem.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// The style of headings.
pub(super) const HEADING: Style = Style::new().bold();
/// The style of text that matters less.
pub(super) const FAINT: Style = Style::new().dimmed();

/// Text in a style.
pub(super) struct Styled<T>(pub(super) Style, pub(super) T);

impl<T: fmt::Display> fmt::Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(style, text) = self;
        write!(f, "{style}{text}{style:#}")
    }
}

/// Rows of cells, aligned by column.
pub(super) struct Table {
    indent: usize,
    rows: Vec<Vec<(Style, String)>>,
    /// Texts that no column has room for, each with the number of rows before it.
    lines: Vec<(usize, Style, String)>,
}

impl Table {
    /// A table whose rows start after `indent` spaces.
    pub(super) fn indented(indent: usize) -> Self {
        Self { indent, rows: Vec::new(), lines: Vec::new() }
    }

    /// Adds a row of headings.
    pub(super) fn headings<const N: usize>(&mut self, cells: [&str; N]) {
        self.row(cells.map(|cell| (FAINT, cell.to_owned())));
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = (Style, String)>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Adds a line between two rows. The line makes no column wider.
    pub(super) fn line(&mut self, style: Style, text: String) {
        self.lines.push((self.rows.len(), style, text));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(_, text)| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (index, row) in self.rows.iter().enumerate() {
            for (_, style, text) in self.lines.iter().filter(|(before, ..)| *before == index) {
                writeln!(f, "{:indent$}{}", "", Styled(*style, text), indent = self.indent)?;
            }
            let mut line = " ".repeat(self.indent);
            // Blanks that a later cell does not end would trail.
            let cells =
                row.iter().rposition(|(_, text)| !text.is_empty()).map_or(0, |last| last + 1);
            for (column, (style, text)) in row.iter().take(cells).enumerate() {
                write!(line, "{style}{text}{style:#}")?;
                if column + 1 < cells {
                    let width = widths.get(column).copied().unwrap_or(0);
                    line.push_str(&" ".repeat(width - text.chars().count() + 2));
                }
            }
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

/// Returns the width to wrap text at: that of the terminal, within the limits that are good to read.
pub(super) fn width() -> usize {
    let columns = terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0));
    columns.clamp(60, 110)
}

/// Returns the options that wrap text at a width. Names and commands stay whole.
pub(super) fn wrapping<'m>(width: usize) -> textwrap::Options<'m> {
    textwrap::Options::new(width)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
}

/// Wraps text at the page's width, with every line indented.
pub(super) fn wrapped(text: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    textwrap::fill(text, wrapping(width()).initial_indent(&margin).subsequent_indent(&margin))
}

/// Returns a number with its noun, for example `1 node` or `3 nodes`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
