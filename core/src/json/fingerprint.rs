//! A hash of what a JSON value says, by which two large values are compared in the time that reading them
//! takes, and in no memory.

use std::hash::{BuildHasher, RandomState};

use super::{Cursor, JsonError};
use crate::json::text::Text;

/// The largest depth that is hashed by meaning. A deeper value is compared as it is written.
const DEPTH_MAX: usize = 64;

/// The fingerprint of the only value of a text. Keys of objects have no order, and strings are what they
/// stand for; a number is as it is written.
pub fn fingerprint(text: &str, state: &RandomState) -> Result<u64, JsonError> {
    let mut cursor = Cursor::new(text);
    let print = value(&mut cursor, state, DEPTH_MAX)?;
    cursor.end()?;
    Ok(print)
}

/// A part of a value with its kind, so that no two values of different kinds are alike.
#[derive(Hash)]
enum Part<'p> {
    Object(u64),
    Entry(&'p str, u64),
    Array(u64),
    Item(u64, u64),
    Text(&'p str),
    /// A number, a literal, or a value that is too deep.
    Written(&'p str),
}

fn value(cursor: &mut Cursor<'_>, state: &RandomState, depth: usize) -> Result<u64, JsonError> {
    let is_too_deep = depth == 0;
    Ok(match cursor.peek() {
        Some(b'{') if !is_too_deep => {
            // A sum, since the order of keys means nothing.
            let mut sum = 0_u64;
            cursor.object(|key, cursor| {
                let value = value(cursor, state, depth - 1)?;
                sum = sum.wrapping_add(state.hash_one(Part::Entry(&key, value)));
                Ok::<_, JsonError>(())
            })?;
            state.hash_one(Part::Object(sum))
        }
        Some(b'[') if !is_too_deep => {
            let mut items = 0_u64;
            cursor.array(|cursor| {
                let value = value(cursor, state, depth - 1)?;
                items = state.hash_one(Part::Item(items, value));
                Ok::<_, JsonError>(())
            })?;
            state.hash_one(Part::Array(items))
        }
        Some(b'"') => state.hash_one(Part::Text(&cursor.value::<Text<'_>>()?)),
        _ => state.hash_one(Part::Written(cursor.raw()?)),
    })
}
