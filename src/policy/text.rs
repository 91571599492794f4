//! Text that borrows from the request's bytes where JSON allows it.

use std::{
    borrow::{Borrow, Cow},
    fmt,
    ops::Deref,
};

use serde::Serialize;

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
pub(in crate::policy) fn write_parts<const COUNT: usize>(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        for (text, cut_text) in
            [("", ""), ("1234567", "1234567"), ("12345678", "1234…"), ("123äöü", "123…")]
        {
            assert_eq!(cut(text.to_owned(), 7), cut_text);
        }
    }
}
