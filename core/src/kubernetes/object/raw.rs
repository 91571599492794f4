//! Objects as text, from which a rule takes the fields that it guards and compares them. Fields that no rule asks for
//! take no memory, however large they are.

use std::hash::RandomState;

use jsonptr::Pointer;

use crate::json::{self, Cursor, JsonError, Read, fingerprint, text::Text};

/// An object as it is sent.
#[derive(Clone, Debug, Default)]
pub struct RawObject<'a> {
    fields: Vec<(Text<'a>, RawValue<'a>)>,
    metadata: Vec<(Text<'a>, RawValue<'a>)>,
}

/// A value as it is sent; never `null`, which is as absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawValue<'a>(&'a str);

impl<'a> Read<'a> for RawObject<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        self.fields = read_fields(cursor)?;
        if let Some(RawValue(text)) = find(&self.fields, "metadata")
            && text.starts_with('{')
        {
            self.metadata = read_fields(&mut Cursor::new(text))?;
        }
        Ok(())
    }
}

fn read_fields<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<(Text<'a>, RawValue<'a>)>, JsonError> {
    let mut fields = Vec::new();
    cursor.object(|key, cursor| {
        cursor.count_item()?;
        fields.push((key, RawValue(cursor.raw()?)));
        Ok::<_, JsonError>(())
    })?;
    Ok(fields)
}

/// Returns the value of a key. The last of equal keys counts, as in Go.
fn find<'a>(fields: &[(Text<'a>, RawValue<'a>)], key: &str) -> Option<RawValue<'a>> {
    let (_, value) = fields.iter().rev().find(|(known, _)| known.as_str() == key)?;
    value.unless_null()
}

impl<'a> RawObject<'a> {
    /// The keys of the object.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(key, _)| key.as_str())
    }

    /// The value of a top-level field.
    pub fn field(&self, key: &str) -> Option<RawValue<'a>> {
        find(&self.fields, key)
    }

    /// The value at a JSON pointer. A text that is none leads nowhere.
    pub fn at(&self, pointer: &str) -> Option<RawValue<'a>> {
        let mut tokens = Pointer::parse(pointer).ok()?.tokens();
        let mut value = match pointer.strip_prefix("/metadata/") {
            Some(_) => find(&self.metadata, &tokens.nth(1)?.decoded())?,
            None => self.field(&tokens.next()?.decoded())?,
        };
        for token in tokens {
            value = value.part(&token.decoded())?;
        }
        Some(value)
    }

    /// Shows every value to which one of the paths leads, with the index of the path, in one pass. A `*` in a path
    /// stands for every item of a list.
    pub(super) fn visit(&self, paths: &[&[String]], show: &mut impl FnMut(usize, RawValue<'a>)) {
        for (key, value) in &self.fields {
            let next: Vec<Way<'_>> = (0..).zip(paths).filter_map(|way| step(way, key)).collect();
            if !next.is_empty() {
                // What is broken was refused when the object was read.
                let _read = descend(&mut Cursor::new(value.0), &next, show);
            }
        }
    }

    /// The text at a JSON pointer; empty if there is none.
    pub fn text_at(&self, pointer: &str) -> Text<'a> {
        self.at(pointer).and_then(RawValue::text).unwrap_or_default()
    }
}

/// The rest of a path, with the index of the path.
type Way<'p> = (usize, &'p [String]);

fn step<'p>((index, path): (usize, &&'p [String]), key: &str) -> Option<Way<'p>> {
    let (first, rest) = path.split_first()?;
    (first == key).then_some((index, rest))
}

fn descend<'a>(
    cursor: &mut Cursor<'a>,
    ways: &[Way<'_>],
    show: &mut impl FnMut(usize, RawValue<'a>),
) -> Result<(), JsonError> {
    if ways.iter().any(|(_, rest)| rest.is_empty()) {
        let value = cursor.raw()?;
        if let Some(value) = RawValue(value).unless_null() {
            for (index, _) in ways.iter().filter(|(_, rest)| rest.is_empty()) {
                show(*index, value);
            }
        }
        return Ok(());
    }
    let further = |key: &str| -> Vec<Way<'_>> {
        ways.iter().filter_map(|(index, rest)| step((*index, rest), key)).collect()
    };
    match cursor.peek() {
        Some(b'{') => cursor.object(|key, cursor| {
            let next = further(&key);
            if next.is_empty() { cursor.skip() } else { descend(cursor, &next, show) }
        }),
        Some(b'[') => {
            let next = further("*");
            cursor.array(
                |cursor| {
                    if next.is_empty() { cursor.skip() } else { descend(cursor, &next, show) }
                },
            )
        }
        _ => cursor.skip(),
    }
}

impl<'a> Read<'a> for RawValue<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        self.0 = cursor.raw()?;
        Ok(())
    }
}

impl<'a> RawValue<'a> {
    fn unless_null(self) -> Option<Self> {
        (self.0 != "null").then_some(self)
    }

    /// A part of an object or an array.
    fn part(self, token: &str) -> Option<Self> {
        let mut cursor = Cursor::new(self.0);
        let mut found = None;
        if self.0.starts_with('{') {
            cursor
                .object(|key, cursor| {
                    let value = cursor.raw()?;
                    if key == *token {
                        found = Some(Self(value));
                    }
                    Ok::<_, JsonError>(())
                })
                .ok()?;
        } else if self.0.starts_with('[') {
            let wanted: usize = token.parse().ok()?;
            let mut index = 0;
            cursor
                .array(|cursor| {
                    let value = cursor.raw()?;
                    if index == wanted {
                        found = Some(Self(value));
                    }
                    index += 1;
                    Ok::<_, JsonError>(())
                })
                .ok()?;
        }
        found?.unless_null()
    }

    /// The value, if it is text.
    pub fn text(self) -> Option<Text<'a>> {
        if self.0.starts_with('"') { json::from_request(self.0).ok() } else { None }
    }

    /// Reads the value as `T`; `None` if it is something else.
    pub fn read<T: Read<'a>>(self) -> Option<T> {
        json::from_request(self.0).ok()
    }

    /// Reads a list item by item, without keeping the items. `None` if the value is no list, or if an item
    /// cannot be read; `item` has then seen those before it.
    pub fn each<T: Read<'a>>(self, mut item: impl FnMut(T)) -> Option<()> {
        let mut cursor = Cursor::new(self.0);
        let read = cursor.array(|cursor| {
            item(cursor.value()?);
            Ok::<_, JsonError>(())
        });
        read.ok()
    }

    /// Whether two values say the same. Keys of objects have no order.
    pub fn is_same(self, other: Self) -> bool {
        if self.0 == other.0 {
            return true;
        }
        // The keys of the hash are random.
        let state = RandomState::new();
        match (fingerprint(self.0, &state), fingerprint(other.0, &state)) {
            (Ok(one), Ok(another)) => one == another,
            _ => false,
        }
    }
}

/// Whether two values say the same, where each may be absent.
pub fn is_same(one: Option<RawValue<'_>>, other: Option<RawValue<'_>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.is_same(other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(text: &'a str, pointer: &str) -> Option<&'a str> {
        json::from_str::<RawObject<'a>>(text).unwrap().at(pointer).map(|RawValue(text)| text)
    }

    #[test]
    fn raw_object_leads_to_what_a_pointer_names() {
        let text = r#"{"metadata": {"name": "a", "labels": {"x/y": "z"}, "uid": null}, "l": [1, {"b": 2}], "b": 1, "b": 3}"#;
        for (pointer, found) in [
            ("/metadata/name", Some("\"a\"")),
            ("/metadata/labels/x~1y", Some("\"z\"")),
            ("/metadata/uid", None),
            ("/metadata/uid/x", None),
            ("/l/1/b", Some("2")),
            ("/l/2", None),
            ("/l/x", None),
            ("/b", Some("3")),
            ("/b/c", None),
            ("/none", None),
            ("none", None),
        ] {
            assert_eq!(at(text, pointer), found, "{pointer}");
        }
    }

    #[test]
    fn raw_values_are_the_same_whatever_the_order_of_their_keys() {
        let same = |one, other| RawValue(one).is_same(RawValue(other));
        assert!(same(r#"{"a": [1, 2], "b": {}}"#, r#"{"b":{},"a":[1,2]}"#));
        assert!(same(r#""\u0061""#, r#""a""#));
        assert!(!same("[1, 2]", "[2, 1]"));
        assert!(!same(r#"{"a": 1}"#, r#"{"a": 1, "b": null}"#));
        assert!(!same(r#"{"a": {"b": 1}}"#, r#"{"b": {"a": 1}}"#));
        assert!(!same("1", "\"1\""));
        assert!(!same("[[]]", "[]"));
    }
}
