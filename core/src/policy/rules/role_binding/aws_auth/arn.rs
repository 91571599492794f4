//! ARNs of IAM roles, as the authenticator compares them.

use std::{borrow::Cow, ops::Range};

/// Folds case as `strings.EqualFold` and `encoding/json` do for the letters of ASCII, to which the
/// long s and the Kelvin sign belong.
pub(super) fn fold(text: &str) -> Cow<'_, str> {
    let is_folded = |all, byte: u8| all & byte.is_ascii() & !byte.is_ascii_uppercase();
    if text.bytes().fold(true, is_folded) {
        return Cow::Borrowed(text);
    }
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    // The Kelvin sign is lower-cased to `k`.
    let lower = text.chars().flat_map(char::to_lowercase);
    Cow::Owned(lower.map(|it| if it == 'ſ' { 's' } else { it }).collect())
}

/// The form of an ARN in which roles are compared: folded, and without the path.
///
/// A node shows the role that it has assumed, whose ARN has no path: `role/kafka/node` is
/// `role/node` to the authenticator.
pub(in super::super) fn key(arn: &str) -> Cow<'_, str> {
    match fold(arn) {
        Cow::Borrowed(folded) => written_without_path(folded),
        Cow::Owned(folded) => Cow::Owned(written_without_path(&folded).into_owned()),
    }
}

/// An ARN without the path of its role, otherwise as it is written.
pub(in super::super) fn written_without_path(arn: &str) -> Cow<'_, str> {
    match path(arn) {
        None => Cow::Borrowed(arn),
        Some(path) => {
            let mut arn = arn.to_owned();
            arn.replace_range(path, "");
            Cow::Owned(arn)
        }
    }
}

/// The range of a role's path in an ARN, with the `/` that ends it.
fn path(arn: &str) -> Option<Range<usize>> {
    const ROLE: &str = ":role/";
    let (rest, name) = arn.rsplit_once('/')?;
    if name.is_empty() || rest.ends_with(":role") {
        return None;
    }
    let start = arn.find(ROLE)? + ROLE.len();
    (start <= rest.len()).then_some(start..rest.len() + 1)
}

/// Whether the ARN of a role, which is folded, stands in a text as a whole.
pub(super) fn stands_in(arn: &str, text: &str) -> bool {
    let continues = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'+' | b'=' | b',' | b'.' | b'@' | b'_' | b'-' | b'/')
    };
    // As JSON may escape it.
    let text = fold(text).replace("\\/", "/");
    text.match_indices(arn).any(|(at, _)| {
        let next = text.as_bytes().get(at + arn.len());
        !next.is_some_and(|byte| continues(*byte))
    })
}
