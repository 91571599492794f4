//! Match conditions in the Common Expression Language, put together from parts.
//!
//! Standard CEL only, so that every API server since match conditions exist reads it. An evaluation
//! error under a failure policy of Fail is a rejection, so that every field that may be absent is
//! asked for before it is read. Of `metadata` only its presence is taken for granted: no API server
//! stores an object without it.

use std::fmt::{self, Write as _};

use crate::kubernetes::name::Glob;

/// A condition. Constants fold away as it is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cel {
    Always,
    Never,
    /// Text that binds more tightly than `&&`.
    Term(String),
    /// Whether a condition holds for an item of a list or a key of an object, bound to a name.
    Exists(String, &'static str, Box<Self>),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

impl Cel {
    pub(super) fn term(text: impl Into<String>) -> Self {
        Self::Term(text.into())
    }

    /// Whether a condition holds for one of the items of a list, bound to this name.
    pub(super) fn exists(list: impl fmt::Display, name: &'static str, holds: Self) -> Self {
        if holds == Self::Never {
            return Self::Never;
        }
        Self::Exists(list.to_string(), name, Box::new(holds))
    }

    pub(super) fn not(of: Self) -> Self {
        match of {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::Not(of) => *of,
            of @ (Self::Term(_) | Self::Exists(..) | Self::All(_) | Self::Any(_)) => {
                Self::Not(Box::new(of))
            }
        }
    }

    /// Whether all parts hold. The API server evaluates them in this order, and no further than need be.
    pub(super) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Vec::new();
        for part in parts {
            match part {
                Self::Always => {}
                Self::Never => return Self::Never,
                Self::All(parts) => all.extend(parts),
                part @ (Self::Term(_) | Self::Exists(..) | Self::Not(_) | Self::Any(_)) => {
                    all.push(part);
                }
            }
        }
        match all.len() {
            0 => Self::Always,
            1 => all.remove(0),
            _ => Self::All(all),
        }
    }

    /// Whether any of the parts holds. The API server evaluates them in this order, and no further than need be.
    pub(super) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut any = Vec::new();
        for part in parts {
            match part {
                Self::Never => {}
                Self::Always => return Self::Always,
                Self::Any(parts) => any.extend(parts),
                part @ (Self::Term(_) | Self::Exists(..) | Self::Not(_) | Self::All(_)) => {
                    any.push(part);
                }
            }
        }
        match any.len() {
            0 => Self::Never,
            1 => any.remove(0),
            _ => Self::Any(any),
        }
    }
}

/// The largest length of a line; a longer condition is written on several lines.
const LINE_MAX: usize = 96;

impl Cel {
    /// The condition as people can read it, its first line being at this indent already.
    fn text(&self, indent: usize) -> String {
        let line = self.line();
        if indent + line.len() <= LINE_MAX {
            return line;
        }
        let margin = |indent: usize| format!("\n{}", " ".repeat(indent));
        let parts = |parts: &[Self], operator: &str| {
            let of_part = |part: &Self| {
                if part.is_compound() {
                    format!("({})", part.text(indent + 4))
                } else {
                    part.text(indent + 3)
                }
            };
            let parts: Vec<String> = parts.iter().map(of_part).collect();
            parts.join(&format!("{}{operator} ", margin(indent)))
        };
        match self {
            Self::Always | Self::Never | Self::Term(_) => line,
            Self::Exists(list, name, holds) => {
                format!("{list}.exists({name},{}{})", margin(indent + 2), holds.text(indent + 2))
            }
            Self::Not(of) => format!("!({})", of.text(indent + 2)),
            Self::All(all) => parts(all, "&&"),
            Self::Any(any) => parts(any, "||"),
        }
    }

    /// The condition as people can read it.
    pub(super) fn into_text(self) -> String {
        self.text(0)
    }

    /// Whether the condition needs parentheses among others.
    fn is_compound(&self) -> bool {
        matches!(self, Self::All(_) | Self::Any(_))
    }

    fn line(&self) -> String {
        let parts = |parts: &[Self], operator: &str| {
            let of_part = |part: &Self| {
                if part.is_compound() { format!("({})", part.line()) } else { part.line() }
            };
            parts.iter().map(of_part).collect::<Vec<_>>().join(&format!(" {operator} "))
        };
        match self {
            Self::Always => "true".to_owned(),
            Self::Never => "false".to_owned(),
            Self::Term(text) => text.clone(),
            Self::Exists(list, name, holds) => format!("{list}.exists({name}, {})", holds.line()),
            Self::Not(of) => {
                let line = of.line();
                let is_call = matches!(**of, Self::Term(_)) && line.starts_with("has(");
                if is_call { format!("!{line}") } else { format!("!({line})") }
            }
            Self::All(all) => parts(all, "&&"),
            Self::Any(any) => parts(any, "||"),
        }
    }
}

impl fmt::Display for Cel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(0))
    }
}

/// A text as a literal.
pub(super) fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for character in text.chars() {
        match character {
            '\'' | '\\' => literal.extend(['\\', character]),
            character if character.is_control() => {
                // A control character has at most four hexadecimal digits; writing cannot fail.
                let _ = write!(literal, "\\u{:04x}", u32::from(character));
            }
            character => literal.push(character),
        }
    }
    literal.push('\'');
    literal
}

/// Texts as the literal of a list.
pub(super) fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| literal(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// Whether an expression is one of these texts.
pub(super) fn is_one_of<T: AsRef<str>>(
    expression: &str,
    texts: impl IntoIterator<Item = T>,
) -> Cel {
    let texts: Vec<T> = texts.into_iter().collect();
    match texts.as_slice() {
        [] => Cel::Never,
        [text] => Cel::Term(format!("{expression} == {}", literal(text.as_ref()))),
        texts => Cel::Term(format!("{expression} in {}", list(texts))),
    }
}

/// Whether an expression matches one of these globs.
pub(super) fn matches_any<'g>(expression: &str, globs: impl IntoIterator<Item = &'g Glob>) -> Cel {
    let (mut exact, mut patterns) = (Vec::new(), Vec::new());
    for glob in globs {
        match glob.as_exact() {
            Some(name) => exact.push(name),
            None if is_everything(glob) => return Cel::Always,
            None => patterns.push(pattern(&glob.to_string(), Wildcards::ANYTHING)),
        }
    }
    Cel::any([is_one_of(expression, exact), matches(expression, "", &patterns, "")])
}

/// Returns the globs that stand for more than one name.
pub(super) fn patterns<'g>(
    globs: impl IntoIterator<Item = &'g Glob>,
) -> impl Iterator<Item = &'g Glob> {
    globs.into_iter().filter(|glob| glob.as_exact().is_none())
}

/// Whether a glob matches every name.
fn is_everything(glob: &Glob) -> bool {
    glob.as_exact().is_none() && glob.to_string().chars().all(|it| it == '*')
}

/// Whether an expression is, as a whole, one of these patterns between `before` and `after`.
pub(super) fn matches(expression: &str, before: &str, patterns: &[String], after: &str) -> Cel {
    let choice = match patterns {
        [] => return Cel::Never,
        [pattern] => pattern.clone(),
        patterns => format!("({})", patterns.join("|")),
    };
    let anchored = format!("^{before}{choice}{after}$");
    Cel::Term(format!("{expression}.matches({})", literal(&anchored)))
}

/// The regular expressions that the wildcards of a glob stand for.
#[derive(Clone, Copy)]
pub(super) struct Wildcards {
    one: &'static str,
    any: &'static str,
}

impl Wildcards {
    /// Wildcards for any characters.
    pub(super) const ANYTHING: Self = Self { one: r"[\s\S]", any: r"[\s\S]*" };
    /// Wildcards for any characters but the colon, which separates a namespace from a name.
    pub(super) const NO_COLON: Self = Self { one: "[^:]", any: "[^:]*" };
}

/// A glob as a regular expression of RE2, without anchors.
pub(super) fn pattern(glob: &str, wildcards: Wildcards) -> String {
    let mut pattern = String::with_capacity(glob.len() + 8);
    for character in glob.chars() {
        match character {
            '*' => pattern.push_str(wildcards.any),
            '?' => pattern.push_str(wildcards.one),
            '\\' | '^' | '[' | ']' => pattern.extend(['\\', character]),
            '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => {
                pattern.extend(['[', character, ']']);
            }
            character => pattern.push(character),
        }
    }
    pattern
}

/// The path of a field that `object` or `oldObject` may lack.
#[derive(Clone, Debug)]
pub(super) struct CelPath(String);

impl CelPath {
    pub(super) fn object() -> Self {
        Self("object".to_owned())
    }

    pub(super) fn old_object() -> Self {
        Self("oldObject".to_owned())
    }

    /// The path of a value that is bound to a name, as by `exists`.
    pub(super) fn bound(name: &str) -> Self {
        Self(name.to_owned())
    }

    pub(super) fn key(&self, key: &str) -> Self {
        if is_identifier(key) {
            Self(format!("{self}.{key}"))
        } else {
            Self(format!("{self}[{}]", literal(key)))
        }
    }

    /// Whether the object here, which must be one, has this key.
    pub(super) fn has(&self, key: &str) -> Cel {
        if is_identifier(key) {
            Cel::Term(format!("has({self}.{key})"))
        } else {
            Cel::Term(format!("{} in {self}", literal(key)))
        }
    }

    /// Whether the object here has this key, and it is not `null`.
    pub(super) fn holds(&self, key: &str) -> Cel {
        Cel::all([self.has(key), self.key(key).is_not_null()])
    }

    pub(super) fn is_not_null(&self) -> Cel {
        Cel::Term(format!("{self} != null"))
    }

    pub(super) fn is_object(&self) -> Cel {
        Cel::Term(format!("type({self}) == map"))
    }

    /// Whether the text of this key is absent or empty.
    pub(super) fn lacks_text(&self, key: &str) -> Cel {
        Cel::any([Cel::not(self.has(key)), is_one_of(&self.key(key).to_string(), [""])])
    }

    /// Whether the text of this key is there, and not empty.
    pub(super) fn has_text(&self, key: &str) -> Cel {
        Cel::all([self.has(key), Cel::term(format!("{} != ''", self.key(key)))])
    }

    /// Whether the text of this key is there, and one of these.
    pub(super) fn text_is<T: AsRef<str>>(
        &self,
        key: &str,
        texts: impl IntoIterator<Item = T>,
    ) -> Cel {
        Cel::all([self.has(key), is_one_of(&self.key(key).to_string(), texts)])
    }

    /// Whether a key of the object here differs from that of `old`. Both must be objects.
    pub(super) fn differs(&self, old: &Self, key: &str) -> Cel {
        let is_either =
            |has: &Cel| if is_identifier(key) { has.line() } else { format!("({has})") };
        let (has, had) = (self.has(key), old.has(key));
        let differs = Cel::Term(format!("{} != {}", self.key(key), old.key(key)));
        let one = Cel::Term(format!("{} != {}", is_either(&has), is_either(&had)));
        // Where only one side has the key, the first half answers before the second could fail.
        Cel::any([one, Cel::all([has, differs])])
    }
}

impl fmt::Display for CelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Words that CEL keeps for itself.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

fn is_identifier(key: &str) -> bool {
    let mut characters = key.chars();
    let starts = |it: char| it.is_ascii_alphabetic() || it == '_';
    characters.next().is_some_and(starts)
        && characters.all(|it| it.is_ascii_alphanumeric() || it == '_')
        && !RESERVED.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_fold_away() {
        let term = || Cel::term("a");
        assert_eq!(Cel::all([Cel::Always, term()]), term());
        assert_eq!(Cel::all([term(), Cel::Never]), Cel::Never);
        assert_eq!(Cel::any([Cel::Never, term()]), term());
        assert_eq!(Cel::any([]), Cel::Never);
        assert_eq!(Cel::all([]), Cel::Always);
        assert_eq!(Cel::not(Cel::not(term())), term());
    }

    #[test]
    fn what_binds_less_tightly_is_in_parentheses() {
        let (a, b, c) = (Cel::term("a"), Cel::term("b"), Cel::term("c"));
        let both = Cel::all([a.clone(), Cel::any([b.clone(), c.clone()])]);
        assert_eq!(both.to_string(), "a && (b || c)");
        assert_eq!(Cel::not(both).to_string(), "!(a && (b || c))");
        assert_eq!(Cel::any([a, Cel::all([b, c])]).to_string(), "a || (b && c)");
    }

    #[test]
    fn literals_are_escaped() {
        assert_eq!(literal("it's\\a\n"), r"'it\'s\\a\u000a'");
        assert_eq!(list(["a", "b"]), "['a', 'b']");
    }

    #[test]
    fn globs_become_anchored_patterns() {
        let globs = ["automq-*", "kf.?", "shop"].map(|text| Glob::parse(text).unwrap());
        let cel = matches_any("n", &globs).to_string();
        assert_eq!(cel, r"n == 'shop' || n.matches('^(automq-[\\s\\S]*|kf[.][\\s\\S])$')");
        assert_eq!(matches_any("n", &[Glob::parse("**").unwrap()]), Cel::Always);
        assert_eq!(pattern("a:*", Wildcards::NO_COLON), "a:[^:]*");
    }

    #[test]
    fn keys_that_are_no_identifiers_are_quoted() {
        let path = CelPath::object().key("metadata").key("annotations");
        assert_eq!(path.has("a.b/c").to_string(), "'a.b/c' in object.metadata.annotations");
        assert_eq!(path.key("in").to_string(), "object.metadata.annotations['in']");
        assert_eq!(CelPath::object().has("spec").to_string(), "has(object.spec)");
    }
}
