//! Skipping the parts of a JSON text that no view reads.
#![expect(clippy::inline_always, reason = "a call would take the cursor out of the registers")]

use super::{Cursor, DEPTH_MAX, JsonError};

impl Cursor<'_> {
    /// Skips the value that begins here.
    #[inline]
    pub fn skip(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => self.skip_text(),
            Some(b'{' | b'[') => self.skip_container(),
            _ => self.skip_scalar(),
        }
    }

    fn skip_text(&mut self) -> Result<(), JsonError> {
        self.skip_string().map(|_has_escapes| ())
    }

    fn skip_container(&mut self) -> Result<(), JsonError> {
        // On a copy that nobody else sees, so that it stays in registers.
        let mut cursor = self.clone();
        let skipped = cursor.skip_parts();
        *self = cursor;
        skipped
    }

    /// Skips a container part by part, with the containers in it.
    #[inline(always)]
    fn skip_parts(&mut self) -> Result<(), JsonError> {
        let mut open = Open::default();
        if !self.enter(&mut open)? {
            return Ok(());
        }
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.skip_string()?;
                }
                Some(b'{' | b'[') => {
                    if self.enter(&mut open)? {
                        continue;
                    }
                }
                _ => self.skip_scalar()?,
            }
            loop {
                match (self.peek(), open.is_object()) {
                    (Some(b','), is_object) => {
                        self.count_value()?;
                        self.at += 1;
                        if is_object {
                            self.skip_key()?;
                        }
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        open.pop();
                        if open.is_empty() {
                            return Ok(());
                        }
                    }
                    (_, true) => return Err(self.expected("`,` or `}`")),
                    (_, false) => return Err(self.expected("`,` or `]`")),
                }
            }
        }
    }

    /// Goes to the first value of the container that begins here. Skips a container without one, and says so.
    #[inline(always)]
    fn enter(&mut self, open: &mut Open) -> Result<bool, JsonError> {
        let is_object = self.peek() == Some(b'{');
        self.at += 1;
        if self.peek() == Some(if is_object { b'}' } else { b']' }) {
            self.at += 1;
            return Ok(false);
        }
        self.count_value()?;
        if open.is_full() {
            return Err(self.bound(format!("no more than {DEPTH_MAX} levels")));
        }
        open.push(is_object);
        if is_object {
            self.skip_key()?;
        }
        Ok(true)
    }

    fn skip_scalar(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.skip_number(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => Err(self.expected("a value")),
        }
    }

    #[inline(always)]
    fn skip_key(&mut self) -> Result<(), JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a key"));
        }
        self.skip_string()?;
        self.colon()
    }

    /// Skips the string whose quote the cursor stands on, and returns whether it has escapes.
    #[inline(always)]
    pub(super) fn skip_string(&mut self) -> Result<bool, JsonError> {
        let mut at = self.at + 1;
        let mut has_escapes = false;
        loop {
            at = self.stops.next(at, self.text.as_bytes());
            match self.text.as_bytes().get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(has_escapes);
                }
                Some(b'\\') => {
                    has_escapes = true;
                    // Escapes come in rows, too short for the stops.
                    while self.text.as_bytes().get(at) == Some(&b'\\') {
                        let rest = self.text.as_bytes().get(at + 1..).unwrap_or_default();
                        let Some(length) = escape_length(rest) else {
                            self.at = at;
                            return Err(self.expected("a valid escape"));
                        };
                        at += 1 + length;
                    }
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

    /// Skips a number, by the grammar of JSON.
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

/// The levels that are open while a value is skipped: a bit for each level, set for an object, below a bit that
/// marks their end.
struct Open(u128);

impl Default for Open {
    fn default() -> Self {
        Self(Self::NONE)
    }
}

impl Open {
    /// The mark without any level.
    const NONE: u128 = 1;

    fn push(&mut self, is_object: bool) {
        self.0 = self.0 << 1 | u128::from(is_object);
    }

    fn pop(&mut self) {
        self.0 >>= 1;
    }

    fn is_object(&self) -> bool {
        self.0 & 1 == 1
    }

    fn is_empty(&self) -> bool {
        self.0 == Self::NONE
    }

    fn is_full(&self) -> bool {
        self.0.leading_zeros() == 0
    }
}

const _: () =
    assert!(DEPTH_MAX + 1 == u128::BITS as usize, "a level has a bit, and so has the mark");

/// Returns the length of the escape whose backslash comes before these bytes.
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
