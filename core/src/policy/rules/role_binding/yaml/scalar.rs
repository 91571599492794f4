//! The value of a plain scalar: the resolution of `go.yaml.in/yaml/v2`, as far as it tells strings, `null` and
//! everything else apart.

use std::borrow::Cow;

use super::{UnreadableYaml, YamlNode};

/// The value of a plain scalar without a tag.
pub(super) fn resolve(text: Cow<'_, str>) -> Result<YamlNode<'_>, UnreadableYaml> {
    // Most scalars begin with a letter that begins no other kind of value.
    let Some(first) = text.as_bytes().first() else { return Ok(YamlNode::Null) };
    match first {
        b'~' | b'n' | b'N' | b'y' | b'Y' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' => {
            Ok(if is_null(&text) {
                YamlNode::Null
            } else if is_boolean(&text) {
                YamlNode::Other(text.into())
            } else {
                YamlNode::Text(text)
            })
        }
        b'<' if text == "<<" => Ok(YamlNode::Merge),
        b'0'..=b'9' | b'+' | b'-' | b'.' => number(text),
        _ => Ok(YamlNode::Text(text)),
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "~" | "null" | "Null" | "NULL")
}

fn is_boolean(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "true"
            | "True"
            | "TRUE"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "false"
            | "False"
            | "FALSE"
            | "off"
            | "Off"
            | "OFF"
    )
}

/// A number, or a string that begins like one. A timestamp is a string.
fn number(text: Cow<'_, str>) -> Result<YamlNode<'_>, UnreadableYaml> {
    if is_not_finite(&text) {
        return Err(UnreadableYaml::new(format!("`{text}` cannot be written as JSON")));
    }
    let digits: String = text.chars().filter(|it| *it != '_').collect();
    let is_number = is_integer(&digits) || is_finite_decimal(&digits);
    Ok(if is_number { YamlNode::Other(text.into()) } else { YamlNode::Text(text) })
}

/// Whether the text stands for NaN or an infinity: JSON has neither.
fn is_not_finite(text: &str) -> bool {
    let (sign, unsigned) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    matches!(unsigned, ".inf" | ".Inf" | ".INF")
        || (!sign && matches!(unsigned, ".nan" | ".NaN" | ".NAN"))
}

/// Whether the text is an integer of 64 bits, in the notations of Go. A decimal integer that is larger is a
/// decimal.
fn is_integer(digits: &str) -> bool {
    let (negative, unsigned) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(digits)),
    };
    let (radix, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, unsigned.get(2..)),
        [b'0', b'o' | b'O', ..] => (8, unsigned.get(2..)),
        [b'0', b'b' | b'B', ..] => (2, unsigned.get(2..)),
        [b'0', _, ..] => (8, unsigned.get(1..)),
        _ => (10, Some(unsigned)),
    };
    let Some(digits) =
        digits.filter(|it| it.starts_with(|first: char| first.is_ascii_alphanumeric()))
    else {
        return false;
    };
    match u64::from_str_radix(digits, radix) {
        Ok(value) => !negative || value <= i64::MIN.unsigned_abs(),
        Err(_) => false,
    }
}

/// Whether the text is a decimal: `1`, `1.`, `.5`, `-1.5e3`. A number that is too large for a float is a
/// string.
fn is_finite_decimal(text: &str) -> bool {
    let is_decimal = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    is_decimal && text.parse::<f64>().is_ok_and(f64::is_finite)
}
