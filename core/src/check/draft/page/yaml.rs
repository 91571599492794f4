//! Scalars and lists as YAML that every reader of YAML 1.1 or 1.2 takes for the same text.

use crate::json::text::without_controls;

/// Words that a reader of YAML 1.1 or 1.2 does not take for text, in lower case.
const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

/// Text as a scalar: plain if nothing in it means anything to YAML, else in double quotes.
pub(super) fn scalar(text: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_./".contains(it);
    let lower = text.to_ascii_lowercase();
    // A number, a date, `.inf`, `-` and `~` begin with something else.
    if text.starts_with(|it: char| it.is_ascii_alphabetic())
        && text.chars().all(is_plain)
        && !WORDS.contains(&lower.as_str())
    {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    without_controls(&quoted).into_owned()
}

/// A list of texts on one line.
pub(super) fn flow_list(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<String> = texts.iter().map(|it| scalar(it.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_stay_text_and_on_their_line() {
        for (text, expected) in [
            ("automq-a", "automq-a"),
            ("eks.amazonaws.com/nodegroup", "eks.amazonaws.com/nodegroup"),
            ("", r#""""#),
            ("true", r#""true""#),
            ("Off", r#""Off""#),
            ("n", r#""n""#),
            ("1e3", r#""1e3""#),
            ("0x1f", r#""0x1f""#),
            ("100003", r#""100003""#),
            ("2024-01-01", r#""2024-01-01""#),
            (".inf", r#"".inf""#),
            ("~", r#""~""#),
            ("a: b", r#""a: b""#),
            ("a #b", r#""a #b""#),
            ("[a, b]", r#""[a, b]""#),
            ("*a", r#""*a""#),
            ("it's", r#""it's""#),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("a\nb: c", r#""a\nb: c""#),
            ("\u{1b}[31m\0", r#""\u001b[31m\u0000""#),
            ("a\u{85}\u{2028}b", r#""a\u0085\u2028b""#),
        ] {
            assert_eq!(scalar(text), expected);
            let read: serde_json::Value =
                serde_saphyr::from_str(&format!("a: {expected}")).unwrap();
            assert_eq!(read["a"], *text, "{expected}");
            let read: serde_json::Value = serde_saphyr::from_str(&format!("[{expected}]")).unwrap();
            assert_eq!(read[0], *text, "{expected}");
        }
        assert_eq!(flow_list(&["a", "true"]), r#"[a, "true"]"#);
    }
}
