//! Text that borrows from the request's bytes where JSON allows it.

use std::{
    borrow::{Borrow, Cow},
    fmt,
    ops::Deref,
};

use serde::Serialize;

use super::lane;

/// A string of a Kubernetes object: borrowed from the body, or owned where it was escaped.
///
/// `null` reads as the empty string, as Go's decoder has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Text<'_> {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

/// Writes parts one after another, straight into a `String` where that is what they are for: a `write!`
/// for every few of them runs more code, and cold code is what a denial costs most.
pub(crate) fn write_parts<const COUNT: usize>(
    out: &mut impl fmt::Write,
    parts: [&str; COUNT],
) -> fmt::Result {
    parts.into_iter().try_for_each(|part| out.write_str(part))
}

/// Cuts text to `bytes` at a character boundary, and marks the cut.
pub fn cut(mut text: String, bytes: usize) -> String {
    const ELLIPSIS: char = '…';
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes - ELLIPSIS.len_utf8()));
        text.push(ELLIPSIS);
    }
    text
}

/// Whether a character controls a terminal, a line or the direction of text instead of being seen.
pub fn is_control(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

/// Whether a text has control characters. Only what is beyond visible ASCII is decoded.
pub fn has_controls(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = lane::position(rest.as_bytes(), |it| {
        lane::at_most(it, b' ' - 1) | lane::at_least(it, b'\x7f')
    }) {
        let mut characters = rest.get(at..).unwrap_or_default().chars();
        if characters.next().is_some_and(is_control) {
            return true;
        }
        rest = characters.as_str();
    }
    false
}

/// Escapes the control characters of `out` from `start` on, such as `\n` and `\u001b`. People read these
/// escapes, and so does JSON, whose own escapes stay as they are.
///
/// Every path of a request's text to a terminal, a log or a file goes through here.
pub fn escape_controls(out: &mut Vec<u8>, start: usize) {
    let has_none = |text: &[u8]| str::from_utf8(text).is_ok_and(|text| !has_controls(text));
    if out.get(start..).is_none_or(has_none) {
        return;
    }
    let text = out.split_off(start);
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_escaped(out, character);
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// The text with its control characters escaped: see [`escape_controls`].
pub fn without_controls(text: &str) -> Cow<'_, str> {
    if !has_controls(text) {
        return Cow::Borrowed(text);
    }
    let mut escaped = text.as_bytes().to_vec();
    escape_controls(&mut escaped, 0);
    Cow::Owned(String::from_utf8_lossy(&escaped).into_owned())
}

fn push_escaped(out: &mut Vec<u8>, character: char) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    match character {
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        character if is_control(character) => {
            out.extend_from_slice(b"\\u");
            // All of them have four digits at most.
            for shift in [12, 8, 4, 0] {
                let digit = DIGITS.get((character as usize >> shift) & 0xf);
                out.extend(digit.copied());
            }
        }
        character => {
            let mut bytes = [0; 4];
            out.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
        }
    }
}

/// The candidate that was likely meant: closest, and close enough for a slip of the fingers.
pub fn likely<'c>(found: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let found = found.to_lowercase();
    candidates
        .map(|candidate| {
            (strsim::damerau_levenshtein(&found, &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn controls_are_escaped_and_nothing_else() {
        for (text, escaped) in [
            ("", ""),
            ("plain ASCII ~", "plain ASCII ~"),
            ("äöü … 漢字 🦀", "äöü … 漢字 🦀"),
            ("a\u{1b}[31m\r\n\tb\0", "a\\u001b[31m\\r\\n\\tb\\u0000"),
            ("\x7f\u{80}\u{9f}\u{a0}", "\\u007f\\u0080\\u009f\u{a0}"),
            ("\u{61c}\u{200e}\u{200f}", "\\u061c\\u200e\\u200f"),
            ("\u{2028}\u{2029}\u{202a}\u{202e}", "\\u2028\\u2029\\u202a\\u202e"),
            ("\u{2066}\u{2069}\u{206a}", "\\u2066\\u2069\u{206a}"),
        ] {
            assert_eq!(without_controls(text), escaped);
            let mut out = b"before\n".to_vec();
            out.extend_from_slice(text.as_bytes());
            escape_controls(&mut out, 7);
            assert_eq!(String::from_utf8_lossy(&out), format!("before\n{escaped}"));
        }
    }

    #[test]
    fn texts_have_controls_where_a_character_is_one() {
        for character in '\0'..='\u{ffff}' {
            let text = format!("a…{character}…b");
            assert_eq!(has_controls(&text), is_control(character), "{character:?}");
        }
        assert!(!has_controls("") && !has_controls("plain") && has_controls("\n"));
    }

    proptest! {
        #[test]
        fn a_text_of_several_pieces_has_controls_where_a_character_is_one(
            before in "[a-zé…漢🦀]{0,150}",
            character in "[ -ÿ\u{2000}-\u{2070}]",
            after in "[a-zé…漢🦀]{0,150}",
        ) {
            let text = [before, character, after].concat();
            prop_assert_eq!(has_controls(&text), text.chars().any(is_control));
        }
    }

    #[test]
    fn text_that_is_not_utf_8_does_not_stay() {
        let mut out = b"a\x9bb\xff".to_vec();
        escape_controls(&mut out, 0);
        assert_eq!(String::from_utf8_lossy(&out), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn text_is_cut_between_characters() {
        for (text, cut_text) in
            [("", ""), ("1234567", "1234567"), ("12345678", "1234…"), ("123äöü", "123…")]
        {
            assert_eq!(cut(text.to_owned(), 7), cut_text);
        }
    }
}
