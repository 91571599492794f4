//! The bytes of a text, looked at in vectors.

use wide::u8x16;

/// The number of bytes that are looked at together.
pub(super) const LANE: usize = 16;

/// The byte that fills the last lane: neither a control character nor one that a string escapes.
const FILLER: u8 = b' ';

/// The position of the first byte that `find` finds. `find` must not find spaces: spaces fill the last lane.
#[inline]
pub(super) fn position(text: &[u8], find: impl Fn(u8x16) -> u8x16) -> Option<usize> {
    let (lanes, rest) = text.as_chunks::<LANE>();
    let first = |lane: [u8; LANE]| match find(u8x16::new(lane)).to_bitmask() {
        0 => None,
        bits => Some(bits.trailing_zeros() as usize),
    };
    for (index, lane) in lanes.iter().enumerate() {
        if let Some(at) = first(*lane) {
            return Some(index * LANE + at);
        }
    }
    let mut last = [FILLER; LANE];
    last.get_mut(..rest.len())?.copy_from_slice(rest);
    first(last).map(|at| lanes.len() * LANE + at)
}

/// Marks the bytes that are at most this one.
#[inline]
pub(super) fn at_most(lane: u8x16, byte: u8) -> u8x16 {
    lane.min(u8x16::splat(byte)).simd_eq(lane)
}

/// Marks the bytes that are at least this one.
#[inline]
pub(super) fn at_least(lane: u8x16, byte: u8) -> u8x16 {
    lane.max(u8x16::splat(byte)).simd_eq(lane)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_byte_is_found(text in "[a-z]{0,50}[\0-\u{7f}]{0,3}[a-z]{0,50}", byte in b'!'..0x80) {
            let bytes = text.as_bytes();
            for (found, expected) in [
                (position(bytes, |lane| at_least(lane, byte)), bytes.iter().position(|it| *it >= byte)),
                (position(bytes, |lane| at_most(lane, b' ' - 1)), bytes.iter().position(|it| *it < b' ')),
            ] {
                prop_assert_eq!(found, expected);
            }
        }
    }
}
