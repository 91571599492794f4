//! The error of a text that is not the expected JSON, and its place.

use std::{borrow::Cow, fmt};

use super::JsonPath;

/// The reason why a text is not the expected JSON, and the place. The error is boxed, because every result of
/// reading has room for one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(Box<Mistake>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mistake {
    expected: Cow<'static, str>,
    path: JsonPath,
    /// Line and column, where the text is one that its sender has seen.
    place: Option<(usize, usize)>,
    is_bound: bool,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, path, place, is_bound: _ } = self;
        if !path.steps().is_empty() {
            write!(f, "{path}: ")?;
        }
        write!(f, "expected {expected}")?;
        match place {
            Some((line, column)) => write!(f, " at line {line}, column {column}"),
            None => Ok(()),
        }
    }
}

impl JsonError {
    #[cold]
    pub(super) fn at(text: &str, at: usize, expected: Cow<'static, str>) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let place = Some((line, column));
        Self(Box::new(Mistake { expected, path: JsonPath::to(text, at), place, is_bound: false }))
    }

    /// The error as that of a text that is JSON so far, but holds more than is read.
    pub(super) fn into_bound(self) -> Self {
        let Self(mut mistake) = self;
        mistake.is_bound = true;
        Self(mistake)
    }

    /// Returns the error for a larger text, in which the text that was read is the part below these keys.
    #[must_use]
    pub fn within(self, keys: &[&str]) -> Self {
        let Self(mut mistake) = self;
        mistake.path = mistake.path.within(keys);
        mistake.place = None;
        Self(mistake)
    }

    /// Whether the text is JSON so far, but holds more than is read.
    pub fn is_bound(&self) -> bool {
        self.0.is_bound
    }

    /// The description of what was expected.
    pub fn expectation(&self) -> &str {
        &self.0.expected
    }

    /// The path of the field that cannot be read, or of the field that holds the unreadable text.
    pub fn path(&self) -> &JsonPath {
        &self.0.path
    }
}
