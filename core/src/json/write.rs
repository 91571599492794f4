//! Writing of JSON: objects of a few fields, straight into bytes.
//!
//! Most of what is written is text that needs no escaping, which is looked at many bytes at a time and
//! copied. The rest is escaped by `serde_json`.

use std::fmt::{self, Display, Write};

use super::stops::has_stop;

/// Appends an object, whose fields are those that `fields` adds.
pub fn write_object(out: &mut Vec<u8>, fields: impl FnOnce(&mut ObjectFields<'_>)) {
    out.push(b'{');
    fields(&mut ObjectFields { out, is_first: true });
    out.push(b'}');
}

/// The fields of an object that is being written.
#[derive(Debug)]
pub struct ObjectFields<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl ObjectFields<'_> {
    /// Writes a text.
    pub fn text(&mut self, key: &'static str, text: &str) {
        write_text(self.value(key), text);
    }

    /// Writes one of our own names, which needs no escaping.
    pub fn name(&mut self, key: &'static str, name: &'static str) {
        let out = self.value(key);
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.push(b'"');
    }

    /// Writes one of our own names, or `null`.
    pub fn name_or_null(&mut self, key: &'static str, name: Option<&'static str>) {
        match name {
            Some(name) => self.name(key, name),
            None => self.null(key),
        }
    }

    /// Writes a text, or `null`.
    pub fn text_or_null(&mut self, key: &'static str, text: Option<&str>) {
        match text {
            Some(text) => self.text(key, text),
            None => self.null(key),
        }
    }

    fn null(&mut self, key: &'static str) {
        self.value(key).extend_from_slice(b"null");
    }

    /// Writes a text in parts.
    pub fn parts<'t>(&mut self, key: &'static str, parts: impl IntoIterator<Item = &'t str>) {
        let out = self.value(key);
        out.push(b'"');
        parts.into_iter().for_each(|part| write_escaped(out, part));
        out.push(b'"');
    }

    /// Writes the displayed form of a value as text, without making a `String` of it first.
    pub fn display(&mut self, key: &'static str, value: impl Display) {
        let out = self.value(key);
        out.push(b'"');
        // Writing to memory does not fail.
        let _ = write!(Escaped(&mut *out), "{value}");
        out.push(b'"');
    }

    /// Writes a list of texts.
    pub fn texts<T: AsRef<str>>(&mut self, key: &'static str, texts: impl IntoIterator<Item = T>) {
        let out = self.value(key);
        out.push(b'[');
        for (index, text) in texts.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_text(out, text.as_ref());
        }
        out.push(b']');
    }

    /// Writes `true` or `false`.
    pub fn bool(&mut self, key: &'static str, value: bool) {
        self.value(key).extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// Writes a number.
    pub fn number(&mut self, key: &'static str, value: impl Into<u64>) {
        let mut digits = itoa::Buffer::new();
        self.value(key).extend_from_slice(digits.format(value.into()).as_bytes());
    }

    /// Writes an object.
    pub fn object(&mut self, key: &'static str, fields: impl FnOnce(&mut ObjectFields<'_>)) {
        write_object(self.value(key), fields);
    }

    /// Begins a field. Keys are our own, and need no escaping.
    #[inline]
    fn value(&mut self, key: &'static str) -> &mut Vec<u8> {
        self.out.extend_from_slice(if self.is_first { b"\"" } else { b",\"" });
        self.is_first = false;
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// A writer that escapes the pieces of a text.
struct Escaped<'o>(&'o mut Vec<u8>);

impl Write for Escaped<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        write_escaped(self.0, piece);
        Ok(())
    }
}

fn write_escaped(out: &mut Vec<u8>, text: &str) {
    if !has_stop(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let quoted = serde_json::Value::from(text).to_string();
    out.extend_from_slice(quoted.get(1..quoted.len() - 1).unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn written(fields: impl FnOnce(&mut ObjectFields<'_>)) -> String {
        let mut out = Vec::new();
        write_object(&mut out, fields);
        String::from_utf8(out).expect("is text")
    }

    #[test]
    fn fields_are_in_order() {
        assert_eq!(written(|_| {}), "{}");
        let text = written(|fields| {
            fields.text("a", "x");
            fields.name("m", "w");
            fields.name_or_null("o", None);
            fields.text_or_null("b", None);
            fields.bool("c", true);
            fields.number("n", 403_u16);
            fields.texts("d", ["y", "z"]);
            fields.object("e", |fields| fields.display("f", 1));
        });
        assert_eq!(
            text,
            r#"{"a":"x","m":"w","o":null,"b":null,"c":true,"n":403,"d":["y","z"],"e":{"f":"1"}}"#
        );
    }

    proptest! {
        #[test]
        fn text_is_escaped_as_serde_json_does(text in "[\"\\\\\u{0}-\u{80}äu]{0,8}[a-z]{0,40}") {
            let expected = json!({ "text": text }).to_string();
            prop_assert_eq!(written(|fields| fields.text("text", &text)), expected.as_str());
            let parts = text.split_inclusive('"');
            prop_assert_eq!(written(|fields| fields.parts("text", parts)), expected.as_str());
            prop_assert_eq!(written(|fields| fields.display("text", &text)), expected);
        }
    }
}
