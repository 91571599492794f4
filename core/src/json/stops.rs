//! The places where the strings of a text end, looked for in many bytes at a time.

use wide::u8x16;

use super::lane::{self, LANE};

/// The number of bytes in a block, for each of which there is a bit in a word.
const BLOCK: usize = u64::BITS as usize;

/// The places where a string may end or go wrong, for one block of a text: at quotes, backslashes and control
/// characters, and behind the text. Strings are short, so that a block serves several of them.
#[derive(Clone, Debug)]
pub(super) struct Stops {
    start: usize,
    bits: u64,
}

impl Stops {
    /// The stops of the block around a place.
    #[inline(never)]
    pub(super) fn around(at: usize, text: &[u8]) -> Self {
        let start = at - at % BLOCK;
        let rest = text.get(start..).unwrap_or_default();
        let bits = rest.first_chunk().map_or_else(|| stops_of_end(rest), stops);
        Self { start, bits }
    }

    /// The next stop from a place on. Behind the text there is always one.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "its caller keeps the stops in registers")]
    pub(super) fn next(&mut self, mut at: usize, text: &[u8]) -> usize {
        loop {
            if at.wrapping_sub(self.start) >= BLOCK {
                *self = Self::around(at, text);
            }
            let ahead = self.bits >> (at % BLOCK);
            if ahead != 0 {
                return at + ahead.trailing_zeros() as usize;
            }
            at = self.start + BLOCK;
        }
    }
}

/// Whether a text cannot be a string as it is.
pub(super) fn has_stop(text: &[u8]) -> bool {
    lane::position(text, stops_of_lane).is_some()
}

/// The stops of the last block, and one behind it.
#[cold]
fn stops_of_end(rest: &[u8]) -> u64 {
    let mut padded = [0; BLOCK];
    padded.iter_mut().zip(rest).for_each(|(padded, byte)| *padded = *byte);
    stops(&padded)
}

/// Returns a word with a bit for every stop.
#[inline]
fn stops(block: &[u8; BLOCK]) -> u64 {
    let (lanes, _) = block.as_chunks::<LANE>();
    let mut bits = 0;
    for lane in lanes.iter().rev() {
        bits = bits << LANE | u64::from(stops_of_lane(u8x16::new(*lane)).to_bitmask());
    }
    bits
}

#[inline]
fn stops_of_lane(lane: u8x16) -> u8x16 {
    let is_quote = lane.simd_eq(u8x16::splat(b'"'));
    let is_backslash = lane.simd_eq(u8x16::splat(b'\\'));
    lane::at_most(lane, b' ' - 1) | is_quote | is_backslash
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_stop_is_found(text in "[a-zü \"\\\\\u{0}-\u{1f}]{0,200}") {
            let bytes = text.as_bytes();
            let is_stop = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            prop_assert_eq!(has_stop(bytes), bytes.iter().any(is_stop));
            let mut stops = Stops::around(0, bytes);
            for (at, _) in bytes.iter().enumerate() {
                let expected = bytes[at..].iter().position(is_stop).map(|ahead| at + ahead);
                let found = stops.next(at, bytes);
                prop_assert_eq!(bytes.get(found).map(|_| found), expected);
            }
        }
    }
}
