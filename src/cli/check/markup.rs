//! Text in HTML and in XML.

use std::fmt;

/// Text without what XML has no character for.
pub(super) fn printable(text: &str) -> String {
    let is_printable = |it: &char| match it {
        '\n' | '\t' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        it => !it.is_control(),
    };
    text.chars().filter(is_printable).collect()
}

/// Text in an element, or in a quoted attribute.
pub(super) struct HtmlText<'a>(pub(super) &'a str);

impl fmt::Display for HtmlText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for character in printable(self.0).chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                character => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        for (text, escaped) in [
            (
                "<script>alert(\"a\" & 'b')</script>",
                "&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt;",
            ),
            ("a\u{0}\u{1b}\u{fffe}\u{ffff}\r\té\n", "a\té\n"),
        ] {
            assert_eq!(HtmlText(text).to_string(), escaped);
        }
    }
}
