//! Text in HTML and in XML.

use quick_junit::XmlString;

/// Returns the text without the characters that XML cannot contain.
pub(super) fn printable(text: &str) -> String {
    let is_printable = |it: &char| match it {
        '\n' | '\t' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        it => !it.is_control(),
    };
    text.chars().filter(is_printable).collect()
}

/// Returns the text for a `JUnit` report. The crate would drop tabs, and what an escape of a terminal swallows.
pub(super) fn xml_text(text: &str) -> XmlString {
    XmlString::new(printable(text).replace('\t', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_left_out() {
        assert_eq!(printable("a\u{0}\u{1b}\u{85}\u{fffe}\u{ffff}\r\té\n"), "a\té\n");
    }

    #[test]
    fn a_control_takes_no_text_with_it() {
        assert_eq!(&*xml_text("a\tb\u{1b}[31mc\u{1b}]0;d\ne\u{ffff}"), "a b[31mc]0;d\ne");
    }
}
