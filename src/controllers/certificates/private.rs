//! Key material, which is used and never shown.

use std::fmt;

/// A private key. It has no text: printing it, also as part of something else, shows that there is one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Private<T>(T);

impl<T> Private<T> {
    /// Keeps a key.
    pub fn new(key: T) -> Self {
        Self(key)
    }

    /// The key itself, to sign with it or to store it.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_not_printed() {
        let key = Private::new("what it must not show".to_owned());
        assert_eq!(format!("{key:?} {:?}", Some(&key)), "Private(..) Some(Private(..))");
    }
}
