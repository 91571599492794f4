//! The path of a field in a JSON text, as people name it: `spec.tolerations[0].value`.

use std::{fmt, ops::Range};

use super::stops::Stops;

/// The largest depth of a path: deeper than any field of Kubernetes. A deeper field is named by the value above it.
const DEPTH_MAX: usize = 32;
/// The largest length of a key in a path. Longer keys are cut.
const KEY_BYTES_MAX: usize = 128;

/// A step from a value into one of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// A step into an object.
    Key(String),
    /// A step into an array.
    Index(usize),
}

/// The steps from the whole text to a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonPath(Vec<PathStep>);

impl JsonPath {
    /// The steps, the first of which leads into the whole.
    pub fn steps(&self) -> &[PathStep] {
        &self.0
    }

    /// The path below these keys, if it begins with them.
    #[must_use]
    pub fn below(&self, keys: &[&str]) -> Option<Self> {
        let mut steps = self.0.iter();
        for key in keys {
            match steps.next()? {
                PathStep::Key(own) if own == key => {}
                PathStep::Key(_) | PathStep::Index(_) => return None,
            }
        }
        Some(Self(steps.cloned().collect()))
    }

    /// The path in a larger text, in which the text of this path is the part below these keys.
    pub(super) fn within(&self, keys: &[&str]) -> Self {
        let keys = keys.iter().map(|&key| PathStep::Key(key.to_owned()));
        Self(keys.chain(self.0.iter().cloned()).collect())
    }

    /// The path of the value at which a reader of this text stood, as far as the text is JSON.
    pub(super) fn to(text: &str, at: usize) -> Self {
        let bytes = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
        let mut open: Vec<Container> = Vec::new();
        // Containers that are too deep to be kept.
        let mut deeper = 0_usize;
        let mut position = 0;
        let mut stops = Stops::around(0, bytes);
        while let Some(byte) = bytes.get(position) {
            position += 1;
            match byte {
                b'{' | b'[' if open.len() == DEPTH_MAX => deeper += 1,
                b'{' => open.push(Container::Object { key: None, expects_key: true }),
                b'[' => open.push(Container::Array { index: 0 }),
                b'}' | b']' if deeper > 0 => deeper -= 1,
                b'}' | b']' => {
                    open.pop();
                }
                b',' if deeper == 0 => match open.last_mut() {
                    Some(Container::Object { key, expects_key }) => {
                        (*key, *expects_key) = (None, true);
                    }
                    Some(Container::Array { index }) => *index += 1,
                    None => {}
                },
                b'"' => {
                    let start = position;
                    position = end_of_string(bytes, start, &mut stops);
                    let is_whole = position <= bytes.len();
                    if let Some(Container::Object { key, expects_key }) = open.last_mut()
                        && *expects_key
                        && deeper == 0
                        && is_whole
                    {
                        *expects_key = false;
                        *key = Some(start..position.saturating_sub(1));
                    }
                }
                _ => {}
            }
        }
        let step = |container: Container| match container {
            Container::Object { key, .. } => text.get(key?).map(cut).map(PathStep::Key),
            Container::Array { index } => Some(PathStep::Index(index)),
        };
        Self(open.into_iter().map_while(step).collect())
    }
}

fn cut(key: &str) -> String {
    super::text::cut(key.to_owned(), KEY_BYTES_MAX)
}

/// A container that is not closed yet.
enum Container {
    Object { key: Option<Range<usize>>, expects_key: bool },
    Array { index: usize },
}

/// Returns the place behind the closing quote of a string that begins here; past the end if it does not close.
fn end_of_string(bytes: &[u8], start: usize, stops: &mut Stops) -> usize {
    let mut position = start;
    loop {
        position = stops.next(position, bytes);
        match bytes.get(position) {
            None => return bytes.len() + 1,
            Some(b'"') => return position + 1,
            Some(b'\\') => position += 2,
            Some(_) => position += 1,
        }
    }
}

impl fmt::Display for JsonPath {
    /// `spec.tolerations[0].value`; keys that are no plain names stand in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                PathStep::Index(index) => write!(f, "[{index}]")?,
                PathStep::Key(key) if key.bytes().all(|it| it.is_ascii_alphanumeric()) => {
                    let dot = if place == 0 { "" } else { "." };
                    write!(f, "{dot}{key}")?;
                }
                PathStep::Key(key) => write!(f, "[{}]", key.escape_debug())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_before(text: &str) -> String {
        JsonPath::to(text, text.find('!').unwrap()).to_string()
    }

    #[test]
    fn path_names_the_field_that_is_being_read() {
        for (text, path) in [
            ("!", ""),
            ("{\"a\": !", "a"),
            ("{\"a\": 1, !", ""),
            ("{\"a\": 1, \"b\": !", "b"),
            ("{\"a\": {\"b\": [0, 1, !", "a.b[2]"),
            ("{\"a\": [{\"x\": 1}, {\"y\": \"]}\", \"z\": !", "a[1].z"),
            ("{\"a\": \"\\\"}\", \"b.c/d\": [!", "[b.c/d][0]"),
            ("[[], [[!", "[1][0][0]"),
            ("{\"a\\u0062\": !", "[a\\\\u0062]"),
        ] {
            assert_eq!(path_before(text), path, "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(JsonPath::to(&deep, deep.len()).steps().len(), DEPTH_MAX);
    }

    #[test]
    fn path_below_keys_is_what_comes_after_them() {
        let path = JsonPath::to("{\"a\": {\"b\": {\"c\": ", 18);
        assert_eq!(path.below(&["a", "b"]).unwrap().to_string(), "c");
        assert_eq!(path.below(&["b"]), None);
    }
}
