//! The path of a key of the config: `pools[0].nodes.matchLabels["a/b"]`.

use std::fmt;

/// A path from the root; empty for the root itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(String);

impl KeyPath {
    /// Returns the path of a key of the mapping at this path.
    pub(super) fn key(&self, key: &str) -> Self {
        let is_plain = !key.is_empty()
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        Self(match (is_plain, self.0.as_str()) {
            (false, path) => format!("{path}[{key:?}]"),
            (true, "") => key.to_owned(),
            (true, path) => format!("{path}.{key}"),
        })
    }

    /// Returns the path of an item of the list at this path.
    pub(super) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// Returns the path as messages spell it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `other` or lies below it.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.0.strip_prefix(other.as_str()).is_some_and(|rest| {
            other.0.is_empty() || rest.is_empty() || rest.starts_with(['.', '['])
        })
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
