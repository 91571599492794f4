//! Where the strings of a text end, looked for in many bytes at a time.

use wide::u8x16;

/// Bytes in a block, for each of which there is a bit in a word.
const BLOCK: usize = u64::BITS as usize;

/// Where a string may end or go wrong, for one block of a text: at quotes, backslashes and control
/// characters, and behind the text. Strings are short, so that a block serves several of them.
#[derive(Clone, Debug)]
pub(super) struct Stops {
    start: usize,
    bits: u64,
}

impl Stops {
    /// Those of the block around a place.
    #[inline(never)]
    pub(super) fn around(at: usize, text: &[u8]) -> Self {
        let start = at - at % BLOCK;
        let rest = text.get(start..).unwrap_or_default();
        let bits = rest.first_chunk().map_or_else(|| stops_of_end(rest), stops);
        Self { start, bits }
    }

    /// The next one from a place on. Behind the text there is always one.
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

/// Whether a string cannot have this byte as it is.
fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Whether a text cannot be a string as it is. Blocks of a known size become vector instructions, and
/// what is left over behind them is looked at again as part of the last one.
pub(super) fn has_stop(text: &[u8]) -> bool {
    // No way out in the middle.
    let any = |bytes: &[u8]| bytes.iter().fold(false, |any, byte| any | needs_escape(*byte));
    if let Some(last) = text.last_chunk::<32>() {
        let (blocks, _) = text.as_chunks::<32>();
        return any(blocks.as_flattened()) | any(last);
    }
    let Some(&last) = text.last_chunk() else { return any(text) };
    let (words, _) = text.as_chunks();
    words.iter().fold(stops_of_word(last), |all, word| all | stops_of_word(*word)) != 0
}

/// Something other than 0 where one of eight bytes needs an escape.
fn stops_of_word(bytes: [u8; 8]) -> u64 {
    let each = |byte: u8| u64::from_ne_bytes([byte; 8]);
    let below = |word: u64, least: u8| word.wrapping_sub(each(least)) & !word;
    let word = u64::from_ne_bytes(bytes);
    let found = below(word, b' ') | below(word ^ each(b'"'), 1) | below(word ^ each(b'\\'), 1);
    found & each(0x80)
}

/// The stops of the last block, and one behind it.
#[cold]
fn stops_of_end(rest: &[u8]) -> u64 {
    let mut padded = [0; BLOCK];
    padded.iter_mut().zip(rest).for_each(|(padded, byte)| *padded = *byte);
    stops(&padded)
}

/// A bit for every stop.
#[inline]
fn stops(block: &[u8; BLOCK]) -> u64 {
    let (lanes, _) = block.as_chunks::<LANE>();
    let mut bits = 0;
    for lane in lanes.iter().rev() {
        bits = bits << LANE | u64::from(stops_of_lane(*lane));
    }
    bits
}

/// Bytes that are compared at a time.
const LANE: usize = 16;

#[inline]
fn stops_of_lane(lane: [u8; LANE]) -> u32 {
    let bytes = u8x16::new(lane);
    let is_control = bytes.min(u8x16::splat(b' ' - 1)).simd_eq(bytes);
    let is_quote = bytes.simd_eq(u8x16::splat(b'"'));
    let is_backslash = bytes.simd_eq(u8x16::splat(b'\\'));
    (is_control | is_quote | is_backslash).to_bitmask()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_has_a_stop_where_one_of_its_bytes_is_one(
            before in "[a-z\\x1f-\\x23\\x5b-\\x5d\\x7f-\\xff]{0,40}",
            after in "[a-z]{0,80}",
        ) {
            for text in [[&*before, &after].concat(), [&*after, &before].concat()] {
                let expected = text.bytes().any(needs_escape);
                prop_assert_eq!(has_stop(text.as_bytes()), expected, "{:?}", text);
            }
        }

        #[test]
        fn every_stop_is_found(text in "[a-zü \"\\\\\u{0}-\u{1f}]{0,200}") {
            let bytes = text.as_bytes();
            let is_stop = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            let mut stops = Stops::around(0, bytes);
            for (at, _) in bytes.iter().enumerate() {
                let expected = bytes[at..].iter().position(is_stop).map(|ahead| at + ahead);
                let found = stops.next(at, bytes);
                prop_assert_eq!(bytes.get(found).map(|_| found), expected);
            }
        }
    }
}
