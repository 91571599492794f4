//! Names and how they are written: label keys and values, and globs.

use std::fmt;

use wildmatch::WildMatch;

/// The reason why a text is not a label key or value, in words that follow the offending text.
pub type NameError = &'static str;

const NAME_MAX: usize = 63;
const PREFIX_MAX: usize = 253;

/// Checks a qualified name (`prefix/name` or `name`), as Kubernetes does for label and taint keys.
pub fn check_label_key(key: &str) -> Result<(), NameError> {
    let name = match key.split_once('/') {
        Some((prefix, name)) => {
            if !is_dns_subdomain(prefix) {
                return Err("has a prefix that is not a DNS subdomain");
            }
            name
        }
        None => key,
    };
    if name.is_empty() {
        return Err("is empty");
    }
    if name.len() > NAME_MAX {
        return Err("has more than 63 characters");
    }
    if is_name(name) { Ok(()) } else { Err(KEY_SHAPE) }
}

/// Checks a label or taint value: empty, or a name of at most 63 characters.
pub fn check_label_value(value: &str) -> Result<(), NameError> {
    if value.is_empty() || (value.len() <= NAME_MAX && is_name(value)) {
        Ok(())
    } else if value.len() > NAME_MAX {
        Err("has more than 63 characters")
    } else {
        Err(NAME_SHAPE)
    }
}

const KEY_SHAPE: NameError = "is not valid: after the optional prefix `DOMAIN/`, use only letters, digits, `-`, `_` and \
     `.`, and start and end with a letter or a digit";
const NAME_SHAPE: NameError = "is not valid: use only letters, digits, `-`, `_` and `.`, and start and end with a letter or \
     a digit";

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Whether text is a DNS subdomain, as the names of most objects are.
pub fn is_dns_subdomain(text: &str) -> bool {
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let ends =
            |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        ends(bytes.first())
            && ends(bytes.last())
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
    };
    text.len() <= PREFIX_MAX && text.split('.').all(is_label)
}

/// A pattern over names: `*` stands for any characters, `?` for one. Everything else is literal.
#[derive(Clone, Debug, PartialEq)]
pub struct Glob(Shape);

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Exact(String),
    Pattern(WildMatch),
}

impl Glob {
    /// Reads a glob.
    ///
    /// Refuses what other glob dialects would read differently, so that nobody takes `[a-z]` or
    /// `{a,b}` for a pattern that works here.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err("is empty");
        }
        if text.chars().any(char::is_whitespace) {
            return Err("contains white space");
        }
        if text.contains(['[', ']', '{', '}', '\\', '!']) {
            return Err(
                "contains a character that no name has; the only wildcards are `*` and `?`",
            );
        }
        Ok(if text.contains(['*', '?']) {
            Self(Shape::Pattern(WildMatch::new(text)))
        } else {
            Self(Shape::Exact(text.to_owned()))
        })
    }

    /// A glob that matches exactly this name; its characters have no special meaning.
    pub fn exact(name: impl Into<String>) -> Self {
        Self(Shape::Exact(name.into()))
    }

    /// Whether the whole of `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        match &self.0 {
            Shape::Exact(exact) => exact == name,
            Shape::Pattern(pattern) => pattern.matches(name),
        }
    }

    /// The name, when the glob stands for exactly one.
    pub fn as_exact(&self) -> Option<&str> {
        match &self.0 {
            Shape::Exact(exact) => Some(exact),
            Shape::Pattern(_) => None,
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Shape::Exact(exact) => f.write_str(exact),
            Shape::Pattern(pattern) => write!(f, "{pattern}"),
        }
    }
}

/// Whether any of the globs matches.
pub fn any_matches(globs: &[Glob], name: &str) -> bool {
    globs.iter().any(|glob| glob.matches(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_keys_are_qualified_names() {
        for key in ["dedicated", "eks.amazonaws.com/nodegroup", "a", "A_b.c-1", "x.y/Z"] {
            assert_eq!(check_label_key(key), Ok(()), "{key}");
        }
        let long = "a".repeat(64);
        for key in ["", "-a", "a-", "a/b/c", "/a", "a/", "Upper.case/x", "a b", long.as_str()] {
            assert!(check_label_key(key).is_err(), "{key}");
        }
    }

    #[test]
    fn label_values_may_be_empty_but_not_start_with_a_dash() {
        for value in ["", "automq", "us-east-1a", "5"] {
            assert_eq!(check_label_value(value), Ok(()), "{value}");
        }
        for value in ["-3", "a/b", "ü", &"a".repeat(64)] {
            assert!(check_label_value(value).is_err(), "{value}");
        }
    }

    #[test]
    fn globs_know_star_and_question_mark_only() {
        let matches = |glob: &str, name: &str| Glob::parse(glob).unwrap().matches(name);
        assert!(matches("automq-*", "automq-instance-1"));
        assert!(matches(
            "arn:aws:sts::1:assumed-role/console/*",
            "arn:aws:sts::1:assumed-role/console/x/y"
        ));
        assert!(matches("kf-?", "kf-3"));
        assert!(!matches("kf-?", "kf-10"));
        assert!(!matches("automq", "automq-1"));
        for bad in ["", "[ab]", "{a,b}", "a b", "a\\*", "!a"] {
            assert!(Glob::parse(bad).is_err(), "{bad}");
        }
    }
}
