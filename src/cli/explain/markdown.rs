//! Markdown for a terminal: the part of Markdown that docs/rules.md uses.

use std::fmt;

use anstyle::{AnsiColor, Style};

use crate::cli::page::{FAINT, HEADING, Styled, wrapping};

const CODE: Style = AnsiColor::Cyan.on_default();

/// Markdown, wrapped at a width. Lines of code stay as they are.
pub(super) struct Markdown<'t> {
    pub(super) text: &'t str,
    pub(super) width: usize,
}

/// A part of a page between two blank lines.
enum Block<'t> {
    Heading(&'t str),
    Code(Vec<&'t str>),
    Table(Vec<&'t str>),
    /// The items of a list, each with the mark before it.
    List(Vec<(&'t str, String)>),
    Paragraph(String),
}

impl fmt::Display for Markdown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, block) in blocks(self.text).iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            self.block(f, block)?;
        }
        Ok(())
    }
}

impl Markdown<'_> {
    fn block(&self, f: &mut fmt::Formatter<'_>, block: &Block<'_>) -> fmt::Result {
        match block {
            Block::Heading(text) => writeln!(f, "{}", Styled(HEADING, plain(text))),
            Block::Paragraph(text) => self.wrapped(f, "", text),
            Block::List(items) => {
                items.iter().try_for_each(|(mark, text)| self.wrapped(f, &format!("{mark} "), text))
            }
            Block::Code(lines) => lines.iter().try_for_each(|line| {
                let is_comment = line.trim_start().starts_with('#');
                let style = if is_comment { FAINT } else { Style::new() };
                writeln!(f, "  {}", Styled(style, line))
            }),
            Block::Table(lines) => self.table(f, lines),
        }
    }

    /// Writes each row of a table as an item of a list: its first cell, then the others, each after the
    /// heading of its column.
    fn table(&self, f: &mut fmt::Formatter<'_>, lines: &[&str]) -> fmt::Result {
        let headings: Vec<_> = lines.first().into_iter().flat_map(|line| cells(line)).collect();
        for row in lines.iter().skip(2) {
            for (column, (heading, cell)) in headings.iter().zip(cells(row)).enumerate() {
                if column == 0 {
                    self.wrapped(f, "- ", cell)?;
                } else {
                    self.wrapped(f, "  ", &format!("*{heading}:* {cell}"))?;
                }
            }
        }
        Ok(())
    }

    /// Writes a text with its marks as styles, after the mark of a list item. Later lines begin below the
    /// text, not below the mark.
    fn wrapped(&self, f: &mut fmt::Formatter<'_>, mark: &str, text: &str) -> fmt::Result {
        let margin = " ".repeat(mark.len());
        let options = wrapping(self.width).initial_indent(mark).subsequent_indent(&margin);
        writeln!(f, "{}", textwrap::fill(&styled(text), options))
    }
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        if line.starts_with("```") {
            blocks.push(Block::Code(lines.by_ref().take_while(|it| *it != "```").collect()));
            continue;
        }
        let mut block = vec![line];
        while let Some(line) = lines.next_if(|it| !it.is_empty() && !it.starts_with("```")) {
            block.push(line);
        }
        blocks.push(if line.starts_with('#') {
            Block::Heading(line.trim_start_matches('#').trim())
        } else if line.starts_with('|') {
            Block::Table(block)
        } else if item(line).is_some() {
            Block::List(items(&block))
        } else {
            Block::Paragraph(block.join(" "))
        });
    }
    blocks
}

/// The items of a list. A line without a mark continues the item before it.
fn items<'t>(lines: &[&'t str]) -> Vec<(&'t str, String)> {
    let mut items: Vec<(&str, String)> = Vec::new();
    for line in lines {
        match (item(line), items.last_mut()) {
            (Some((mark, text)), _) => items.push((mark, text.to_owned())),
            (None, Some((_, text))) => {
                text.push(' ');
                text.push_str(line.trim());
            }
            (None, None) => {}
        }
    }
    items
}

/// The mark of a list's item, `-` or `1.`, and its text.
fn item(line: &str) -> Option<(&str, &str)> {
    let (mark, text) = line.split_once(' ')?;
    let is_number = |mark: &str| mark.strip_suffix('.').is_some_and(|it| it.parse::<u8>().is_ok());
    (mark == "-" || is_number(mark)).then_some((mark, text))
}

/// The cells of a table's row.
pub(super) fn cells(row: &str) -> impl Iterator<Item = &str> {
    row.trim_matches('|').split('|').map(str::trim)
}

/// Text without its links and marks; code keeps its quotes.
pub(super) fn plain(text: &str) -> String {
    let text = styled(&text.replace('\n', " "));
    anstream::adapter::strip_str(&text).to_string()
}

/// Text with bold and code as styles, and links as their text. Code keeps its quotes, so that a file shows it, too.
fn styled(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        let (before, marked) = rest.split_at(at);
        out.push_str(before);
        let (span, after) = span(marked);
        out.push_str(&span);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Returns the styled text of the mark at the start of a text, and the text after it. A mark that nothing
/// closes is text.
fn span(text: &str) -> (String, &str) {
    let between = |open: &str, close: &str| text.strip_prefix(open)?.split_once(close);
    if let Some((code, after)) = between("`", "`") {
        return (Styled(CODE, format!("`{code}`")).to_string(), after);
    }
    if let Some((bold, after)) = between("**", "**") {
        return (Styled(HEADING, plain(bold)).to_string(), after);
    }
    if let Some((italic, after)) = between("*", "*") {
        return (Styled(Style::new().italic(), plain(italic)).to_string(), after);
    }
    if let Some((label, after)) = between("[", "](").and_then(|(label, rest)| {
        let (_, after) = rest.split_once(')')?;
        Some((label, after))
    }) {
        return (styled(label), after);
    }
    let length = text.chars().next().map_or(0, char::len_utf8);
    let (mark, after) = text.split_at(length);
    (mark.to_owned(), after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, width: usize) -> String {
        anstream::adapter::strip_str(&Markdown { text, width }.to_string()).to_string()
    }

    #[test]
    fn marks_become_styles_and_links_their_text() {
        for (text, expected) in [
            ("a **b c** d", "a b c d"),
            ("a *b*, `c*d` and `[e]`", "a b, `c*d` and `[e]`"),
            ("see [the page](a.md#b) or [`c`](d)", "see the page or `c`"),
            ("values: [a, b] and 2 * 3", "values: [a, b] and 2 * 3"),
        ] {
            assert_eq!(plain(text), expected);
        }
        assert_eq!(styled("**a**"), "\u{1b}[1ma\u{1b}[0m");
    }

    #[test]
    fn a_page_is_wrapped_and_code_stays_as_it_is() {
        let text = "one two three\nfour\n\n- five six seven\n  eight\n1. nine\n\n## Ten\n\n```yaml\n# a: very long line\n\nb: c\n```\nend";
        assert_eq!(
            shown(text, 12),
            "one two\nthree four\n\n- five six\n  seven\n  eight\n1. nine\n\nTen\n\n  # a: very long line\n  \n  b: c\n\nend\n"
        );
    }

    #[test]
    fn a_row_of_a_table_is_an_item() {
        let text = "| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n| 4 | 5 | – |";
        assert_eq!(shown(text, 40), "- 1\n  b: 2\n  c: 3\n- 4\n  b: 5\n  c: –\n");
    }
}
