//! Text in HTML and in XML.

/// Text without what XML has no character for.
pub(super) fn printable(text: &str) -> String {
    let is_printable = |it: &char| match it {
        '\n' | '\t' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        it => !it.is_control(),
    };
    text.chars().filter(is_printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_left_out() {
        assert_eq!(printable("a\u{0}\u{1b}\u{85}\u{fffe}\u{ffff}\r\té\n"), "a\té\n");
    }
}
