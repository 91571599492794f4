//! The checks for text that YAML 1.2 allows and `go.yaml.in/yaml/v2` rejects, or reads as something else.

use granit_parser::ScalarStyle;

use super::UnreadableYaml;

/// The most bytes from the beginning of a key to its `:`. Go counts characters.
const KEY_BYTES_MAX: usize = 1024;

/// Whether every character is one that YAML 1.1 allows and YAML 1.2 reads in the same way.
pub(super) fn check_characters(text: &str) -> Result<(), UnreadableYaml> {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t' | b'\r');
    if text.as_bytes().iter().all(is_plain) {
        return Ok(());
    }
    let is_odd = |character: char| match character {
        '\t' | '\n' | '\r' | ' '..='~' => false,
        // A line break of YAML 1.1, and no longer one of YAML 1.2.
        '\u{85}' | '\u{2028}' | '\u{2029}' => true,
        '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => character == '\u{feff}',
        _ => true,
    };
    match text.chars().find(|it| is_odd(*it)) {
        Some(odd) => Err(UnreadableYaml::new(format!(
            "it contains the character U+{:04X}, which some YAML parsers do not allow",
            u32::from(odd)
        ))),
        None => Ok(()),
    }
}

/// Whether lines are indented with spaces alone, outside of these byte ranges, which are in order.
pub(super) fn check_tabs(
    text: &str,
    may_hold_tabs: &[(usize, usize)],
) -> Result<(), UnreadableYaml> {
    if !text.contains('\t') {
        return Ok(());
    }
    let mut start = 0;
    let mut ranges = may_hold_tabs.iter().peekable();
    for (number, line) in (1..).zip(text.split_inclusive(['\n', '\r'])) {
        if let Some(tab) = indenting_tab(line) {
            let at = start + tab;
            while ranges.next_if(|(_, end)| *end <= at).is_some() {}
            if ranges.peek().is_none_or(|(from, _)| *from > at) {
                return Err(UnreadableYaml::new(format!("line {number} is indented with a tab")));
            }
        }
        start += line.len();
    }
    Ok(())
}

/// The first tab before the content of a line. Indicators of a block belong to the indentation.
fn indenting_tab(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let mut index = 0;
    loop {
        match bytes.get(index)? {
            b' ' => index += 1,
            b'\t' => return Some(index),
            b'-' | b'?' | b':' if matches!(bytes.get(index + 1), Some(b' ' | b'\t')) => index += 1,
            _ => return None,
        }
    }
}

/// Whether a document ends after these bytes: with the text, or with a marker.
pub(super) fn check_end(text: &str, end: usize) -> Result<(), UnreadableYaml> {
    let rest = skip_blank(text.get(end..).unwrap_or_default());
    if rest.is_empty() || rest.starts_with("---") || rest.starts_with("...") {
        return Ok(());
    }
    Err(UnreadableYaml::new("there is more text after the list"))
}

/// Whether a text begins with its list, and not with the end of a document.
pub(super) fn check_beginning(text: &str) -> Result<(), UnreadableYaml> {
    if skip_blank(text).starts_with("...") {
        return Err(UnreadableYaml::new("it begins with `...`, which ends a document"));
    }
    Ok(())
}

/// The rest of a text from its next character that is neither blank nor part of a comment.
fn skip_blank(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches([' ', '\t', '\n', '\r']);
        match text.strip_prefix('#') {
            Some(comment) => text = comment.trim_start_matches(|it| it != '\n' && it != '\r'),
            None => return text,
        }
    }
}

/// Whether the name of an anchor is one of YAML 1.1. `rest` is what follows it.
pub(super) fn check_anchor(name: &str, rest: &str) -> Result<(), UnreadableYaml> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.bytes().all(is_allowed) && ends_name(rest) {
        return Ok(());
    }
    Err(UnreadableYaml::new("the name of an anchor has a character other than `a-z A-Z 0-9 _ -`"))
}

/// Whether the name of an alias ends before `rest`.
pub(super) fn check_alias(rest: &str) -> Result<(), UnreadableYaml> {
    if ends_name(rest) {
        return Ok(());
    }
    Err(UnreadableYaml::new("there is no space after an alias"))
}

fn ends_name(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r', ',', ']', '}'])
}

/// Whether a plain scalar between brackets goes on without a tab at the beginning of a line. `rest`
/// is what follows it.
pub(super) fn check_tabs_within(source: &str, rest: &str) -> Result<(), UnreadableYaml> {
    let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    let blank = rest.get(..blank).unwrap_or_default();
    let has_both = |text: &str| text.contains('\t') && text.contains(['\n', '\r']);
    if has_both(source) || has_both(blank) {
        return Err(UnreadableYaml::new("a line between brackets is indented with a tab"));
    }
    Ok(())
}

/// Whether a scalar is read in the same way: `source` is how it is written, `rest` what follows it.
pub(super) fn check_scalar(
    source: &str,
    rest: &str,
    style: ScalarStyle,
    in_flow: bool,
) -> Result<(), UnreadableYaml> {
    match style {
        ScalarStyle::Plain if in_flow => {
            if source.contains('?') || source.starts_with(':') {
                return Err(UnreadableYaml::new(format!(
                    "`{source}` needs quotes between brackets"
                )));
            }
            let is_cut = |rest: &str| rest.starts_with([',', '[', ']', '{', '}', '?']);
            if rest.strip_prefix(':').is_some_and(is_cut) {
                return Err(UnreadableYaml::new("a `:` between brackets needs a space after it"));
            }
        }
        ScalarStyle::DoubleQuoted => check_escapes(source)?,
        ScalarStyle::Plain
        | ScalarStyle::SingleQuoted
        | ScalarStyle::Literal
        | ScalarStyle::Folded => {}
    }
    Ok(())
}

/// Checks that a scalar has no escape that JSON has and YAML 1.1 has not.
fn check_escapes(source: &str) -> Result<(), UnreadableYaml> {
    let mut bytes = source.bytes();
    while bytes.any(|byte| byte == b'\\') {
        let escape = bytes.next();
        let is_surrogate = || {
            let mut digits = bytes.clone().map(|byte| byte.to_ascii_lowercase());
            digits.next() == Some(b'd') && matches!(digits.next(), Some(b'8'..=b'9' | b'a'..=b'f'))
        };
        if escape == Some(b'/') {
            return Err(UnreadableYaml::new("`\\/` is not an escape in YAML 1.1: write `/`"));
        }
        if escape == Some(b'u') && is_surrogate() {
            return Err(UnreadableYaml::new(
                "a pair of `\\u` escapes is not a character in YAML 1.1",
            ));
        }
    }
    Ok(())
}

/// Whether a key and its `:` are on one line. `source` begins with the key, `length` is the key's.
pub(super) fn check_key(source: &str, length: usize) -> Result<(), UnreadableYaml> {
    let (key, rest) = source.split_at_checked(length).unwrap_or((source, ""));
    let gap = rest.trim_start_matches([' ', '\t']);
    let is_apart = !gap.starts_with(':') && skip_blank(gap).starts_with(':');
    if is_apart || key.contains(['\n', '\r']) {
        return Err(UnreadableYaml::new("a key and its `:` are on different lines"));
    }
    if length + (rest.len() - gap.len()) > KEY_BYTES_MAX {
        return Err(UnreadableYaml::new(format!("a key is longer than {KEY_BYTES_MAX} bytes")));
    }
    Ok(())
}
