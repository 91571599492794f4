//! JSON read in one pass into borrowed views, and written.
//!
//! The hot path of admission is reading: a review has 3 to 20 KB, of which rules want a few hundred
//! bytes. A [`Cursor`] goes over the text once, hands out what is asked for, and skips the rest
//! without building it, checking all the same that it is JSON. `null` reads as absent, as in Go, and
//! the last of equal keys counts. Everything else is read by `serde_json`.

mod error;
mod fingerprint;
mod lane;
mod path;
mod skip;
mod stops;
#[cfg(test)]
mod tests;
pub mod text;
mod write;

use std::borrow::Cow;

pub use self::error::JsonError;
pub use self::fingerprint::fingerprint;
pub use self::path::{JsonPath, PathStep};
use self::stops::Stops;
use self::text::Text;
pub use self::write::{ObjectFields, write_object};

/// A value that can be read from a cursor, straight into the place where it stays, because a value that holds other
/// values is large.
pub trait Read<'a>: Default {
    /// Reads the value that begins at the cursor, and leaves the cursor behind it. The place is as it is by
    /// default.
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError>;
}

/// Reads the only value of a text, however much it holds.
pub fn from_str<'a, T: Read<'a>>(text: &'a str) -> Result<T, JsonError> {
    read_all(Cursor::new(text))
}

/// Reads the only value of a text from an untrusted client.
pub fn from_request<'a, T: Read<'a>>(text: &'a str) -> Result<T, JsonError> {
    read_all(Cursor::of_request(text))
}

fn read_all<'a, T: Read<'a>>(mut cursor: Cursor<'a>) -> Result<T, JsonError> {
    let value = cursor.value()?;
    cursor.end().map(|()| value)
}

/// The largest number of items that the lists and maps that are read of one request may have together. An API
/// server stores no object of more than 1.5 MiB, in which some tens of thousands have room. Each takes up to a
/// hundred bytes, however few it has in the text.
pub const ITEMS_MAX: usize = 1 << 16;

/// The largest number of values that one request may have, read or skipped. It bounds the time that a text of many
/// small values takes. The largest objects that rules are about, nodes with all their images and workloads with
/// many containers, have some thousands.
pub const VALUES_MAX: usize = 100_000;

/// The largest depth of lists and maps in each other in skipped text: as deep as `serde_json` reads them.
pub const DEPTH_MAX: usize = 127;

/// The largest length of a text with escapes that is read of a request. The longest text that an API server stores,
/// in a ConfigMap, has 1 MiB, and takes twice as much where each of its characters is escaped.
const ESCAPED_BYTES_MAX: usize = (2 << 20) + 2;

/// A place in JSON text.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// Items that may still be read.
    items_left: usize,
    /// Values that may still be read or skipped.
    values_left: usize,
    /// The largest length of a text with escapes.
    escaped_max: usize,
    /// The places around the cursor where strings end.
    stops: Stops,
}

impl<'a> Cursor<'a> {
    /// A cursor at the beginning of a text without bounds, from a sender whom PoolGuard trusts: a list of the API
    /// server, a dump, or a part of a request that was read within bounds.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            items_left: usize::MAX,
            values_left: usize::MAX,
            escaped_max: usize::MAX,
            stops: Stops::around(0, text.as_bytes()),
        }
    }

    /// A cursor at the beginning of a text from an untrusted client, with bounds on its contents.
    pub fn of_request(text: &'a str) -> Self {
        Self {
            items_left: ITEMS_MAX,
            values_left: VALUES_MAX,
            escaped_max: ESCAPED_BYTES_MAX,
            ..Self::new(text)
        }
    }

    /// Checks that nothing follows but white space.
    pub fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end of the text")),
        }
    }

    /// Reads an object: `field` is given every key, and must read or skip its value. `null` is an
    /// object without keys.
    pub fn object<E: From<JsonError>>(
        &mut self,
        mut field: impl FnMut(Text<'a>, &mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.peek() {
            Some(b'{') => self.at += 1,
            Some(b'n') => return Ok(self.literal("null")?),
            _ => return Err(self.expected("an object").into()),
        }
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.count_value()?;
            let key = self.string_here()?;
            self.colon()?;
            field(key, self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.expected("`,` or `}`").into()),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Reads an array: `item` must read or skip every item. `null` is an array without items.
    pub fn array<E: From<JsonError>>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.peek() {
            Some(b'[') => self.at += 1,
            Some(b'n') => return Ok(self.literal("null")?),
            _ => return Err(self.expected("an array").into()),
        }
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.count_value()?;
            item(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.expected("`,` or `]`").into()),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Counts an item of a list or a map that is kept.
    #[inline]
    pub fn count_item(&mut self) -> Result<(), JsonError> {
        match self.items_left.checked_sub(1) {
            Some(left) => {
                self.items_left = left;
                Ok(())
            }
            None => Err(self.bound(format!("no more than {ITEMS_MAX} items in lists and maps"))),
        }
    }

    /// Counts a part of a list or a map, read or skipped.
    #[inline]
    fn count_value(&mut self) -> Result<(), JsonError> {
        match self.values_left.checked_sub(1) {
            Some(left) => {
                self.values_left = left;
                Ok(())
            }
            None => Err(self.bound(format!("no more than {VALUES_MAX} values"))),
        }
    }

    /// Reads a value.
    pub fn value<T: Read<'a>>(&mut self) -> Result<T, JsonError> {
        let mut value = T::default();
        value.read(self).map(|()| value)
    }

    /// Reads a value into a place, and replaces what was there.
    pub fn fill<T: Read<'a>>(&mut self, place: &mut T) -> Result<(), JsonError> {
        *place = T::default();
        place.read(self)
    }

    /// The text of the value that begins here, which is skipped.
    pub fn raw(&mut self) -> Result<&'a str, JsonError> {
        self.peek();
        let start = self.at;
        self.skip()?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    /// Whether the value that begins here is `null`, which is then skipped.
    #[inline]
    pub fn takes_null(&mut self) -> Result<bool, JsonError> {
        let is_null = self.peek() == Some(b'n');
        if is_null {
            self.literal("null")?;
        }
        Ok(is_null)
    }

    /// The string that begins here: borrowed, unless it is escaped.
    fn string(&mut self) -> Result<Text<'a>, JsonError> {
        self.string_here()
    }

    /// The string that begins here. This function is compiled into its caller, because most strings are keys.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call costs as much as what it does")]
    fn string_here(&mut self) -> Result<Text<'a>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a string"));
        }
        let start = self.at + 1;
        let stop = self.stops.next(start, self.text.as_bytes());
        if self.text.as_bytes().get(stop) == Some(&b'"') {
            self.at = stop + 1;
            return Ok(self.text.get(start..stop).unwrap_or_default().into());
        }
        self.escaped_string()
    }

    #[cold]
    fn escaped_string(&mut self) -> Result<Text<'a>, JsonError> {
        let start = self.at;
        self.skip_string()?;
        let quoted = self.text.get(start..self.at).unwrap_or_default();
        if quoted.len() > self.escaped_max {
            return Err(
                self.bound(format!("no escaped text of more than {} bytes", self.escaped_max))
            );
        }
        let unescaped: Result<String, _> = serde_json::from_str(quoted);
        unescaped.map(Text::from).map_err(|_| self.expected("a string"))
    }

    #[inline]
    fn colon(&mut self) -> Result<(), JsonError> {
        if self.peek() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn literal(&mut self, literal: &'static str) -> Result<(), JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(literal) {
            return Err(self.expected(literal));
        }
        self.at += literal.len();
        Ok(())
    }

    /// The next byte that is no white space; the cursor then stands on it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would take the cursor out of the registers")]
    pub fn peek(&mut self) -> Option<u8> {
        match self.text.as_bytes().get(self.at) {
            Some(&byte) if byte > b' ' => Some(byte),
            _ => {
                self.at = behind_space(self.text, self.at);
                self.text.as_bytes().get(self.at).copied()
            }
        }
    }

    /// An error at the cursor.
    #[inline]
    pub fn expected(&self, expected: impl Into<Cow<'static, str>>) -> JsonError {
        JsonError::at(self.text, self.at, expected.into())
    }

    /// An error at the cursor: there is more than is read.
    #[cold]
    fn bound(&self, expected: String) -> JsonError {
        self.expected(expected).into_bound()
    }
}

/// The place of the next byte that is no white space.
#[inline(never)]
fn behind_space(text: &str, mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.as_bytes().get(at) {
        at += 1;
    }
    at
}

impl<'a> Read<'a> for Text<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        if !cursor.takes_null()? {
            *self = cursor.string()?;
        }
        Ok(())
    }
}

impl<'a> Read<'a> for bool {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        match cursor.peek() {
            Some(b't') => {
                *self = true;
                cursor.literal("true")
            }
            Some(b'f') => cursor.literal("false"),
            Some(b'n') => cursor.literal("null"),
            _ => Err(cursor.expected("true or false")),
        }
    }
}

impl<'a, T: Read<'a>> Read<'a> for Option<T> {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        if cursor.takes_null()? { Ok(()) } else { self.insert(T::default()).read(cursor) }
    }
}

impl<'a, T: Read<'a>> Read<'a> for Vec<T> {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        cursor.array(|cursor| {
            cursor.count_item()?;
            self.push(T::default());
            self.last_mut().map_or(Ok(()), |item| item.read(cursor))
        })
    }
}

/// Implements [`Read`] for a struct with a default: the fields that it has, by their keys.
macro_rules! read_object {
    ($name:ident { $($key:literal => $field:ident),+ $(,)? }) => {
        impl<'a> $crate::json::Read<'a> for $name<'a> {
            fn read(
                &mut self,
                cursor: &mut $crate::json::Cursor<'a>,
            ) -> Result<(), $crate::json::JsonError> {
                cursor.object(|key, cursor| match key.as_str() {
                    $($key => cursor.fill(&mut self.$field),)+
                    _ => cursor.skip(),
                })
            }
        }
    };
}

pub(crate) use read_object;
