//! Going over what nobody reads, eight bytes of a string at a time.

use super::{Cursor, JsonError};

impl Cursor<'_> {
    /// Skips the value that begins here.
    pub fn skip(&mut self) -> Result<(), JsonError> {
        let mut open = Open::default();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.skip_string()?;
                }
                Some(b'{') => {
                    self.at += 1;
                    if self.peek() == Some(b'}') {
                        self.at += 1;
                    } else {
                        open.push(true);
                        self.skip_key()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    if self.peek() == Some(b']') {
                        self.at += 1;
                    } else {
                        open.push(false);
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.skip_number()?,
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                _ => return Err(self.expected("a value")),
            }
            if !self.skip_ends(&mut open)? {
                return Ok(());
            }
        }
    }

    /// Closes what ends here; whether another value follows.
    fn skip_ends(&mut self, open: &mut Open) -> Result<bool, JsonError> {
        while open.depth > 0 {
            match (self.peek(), open.is_object()) {
                (Some(b','), is_object) => {
                    self.at += 1;
                    if is_object {
                        self.skip_key()?;
                    }
                    return Ok(true);
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    self.at += 1;
                    open.pop();
                }
                (_, true) => return Err(self.expected("`,` or `}`")),
                (_, false) => return Err(self.expected("`,` or `]`")),
            }
        }
        Ok(false)
    }

    fn skip_key(&mut self) -> Result<(), JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a key"));
        }
        self.skip_string()?;
        self.colon()
    }

    /// Skips the string whose quote the cursor stands on; whether it has escapes.
    #[inline]
    pub(super) fn skip_string(&mut self) -> Result<bool, JsonError> {
        let mut at = self.at + 1;
        let mut has_escapes = false;
        loop {
            at = self.next_special(at);
            match self.text.as_bytes().get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(has_escapes);
                }
                Some(b'\\') => {
                    let rest = self.text.as_bytes().get(at + 1..).unwrap_or_default();
                    let Some(length) = escape_length(rest) else {
                        self.at = at;
                        return Err(self.expected("a valid escape"));
                    };
                    has_escapes = true;
                    at += 1 + length;
                }
                Some(_) => {
                    self.at = at;
                    return Err(self.expected("no control character in a string"));
                }
                None => {
                    self.at = self.text.len();
                    return Err(self.expected("the end of a string"));
                }
            }
        }
    }

    /// The next quote, backslash or control character from here on, or the end of the text.
    #[inline]
    fn next_special(&self, at: usize) -> usize {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        let (words, tail) = rest.as_chunks();
        for (index, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            let mut special = equal(word, b'"') | equal(word, b'\\');
            if !self.is_compact {
                special |= below(word, 0x20);
            }
            special &= HIGHS;
            if special != 0 {
                return at + index * 8 + (special.trailing_zeros() / 8) as usize;
            }
        }
        // The last few bytes of the text, one by one.
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let end = tail.iter().position(is_special).unwrap_or(tail.len());
        at + words.len() * 8 + end
    }

    /// A number, by the grammar of JSON.
    fn skip_number(&mut self) -> Result<(), JsonError> {
        let bytes = self.text.as_bytes();
        let digits = |from: usize| {
            let rest = bytes.get(from..).unwrap_or_default();
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        };
        let at = |index: usize| bytes.get(index).copied();
        let mut end = self.at + usize::from(at(self.at) == Some(b'-'));
        let whole = digits(end);
        let leads_with_zero = at(end) == Some(b'0') && whole > 1;
        end += whole;
        let mut is_number = whole > 0 && !leads_with_zero;
        if at(end) == Some(b'.') {
            let fraction = digits(end + 1);
            is_number &= fraction > 0;
            end += 1 + fraction;
        }
        if matches!(at(end), Some(b'e' | b'E')) {
            end += 1 + usize::from(matches!(at(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end);
            is_number &= exponent > 0;
            end += exponent;
        }
        if !is_number {
            return Err(self.expected("a number"));
        }
        self.at = end;
        Ok(())
    }
}

/// What is open while a value is skipped: a bit for each level, set for an object. There is no
/// recursion, so that depth which nobody reads is no reason to refuse.
#[derive(Default)]
struct Open {
    /// The innermost levels.
    objects: u128,
    /// The levels outside of those, in full words.
    outer: Vec<u128>,
    depth: usize,
}

/// Levels in a word.
const WORD: usize = u128::BITS as usize;

impl Open {
    fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(WORD) {
            self.outer.push(self.objects);
        }
        self.objects = self.objects << 1 | u128::from(is_object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
        if self.depth.is_multiple_of(WORD) {
            self.objects = self.outer.pop().unwrap_or_default();
        }
    }

    fn is_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

/// How long the escape is whose backslash comes before these bytes.
fn escape_length(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(1),
        [b'u', digits @ ..] => {
            let digits = digits.first_chunk::<4>()?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(5)
        }
        _ => None,
    }
}

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHS: u64 = ONES << 7;

/// The high bit of every byte below `limit`, and other bits, high ones only above the lowest of
/// these.
fn below(word: u64, limit: u64) -> u64 {
    word.wrapping_sub(ONES * limit) & !word
}

/// The same of every byte that is `byte`.
fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * u64::from(byte)), 1)
}
