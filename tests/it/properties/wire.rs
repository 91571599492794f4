//! JSON as nobody writes it: keys in any order, characters escaped for no reason.

use std::fmt::Write;

use serde_json::Value;

/// Writes a value with its keys in an order, and with escapes, that the seed decides.
pub(crate) fn scrambled(value: &Value, seed: u64) -> String {
    let mut text = String::new();
    Scrambler(seed | 1).write(value, &mut text);
    text
}

/// A xorshift generator: what proptest shrinks is the seed.
struct Scrambler(u64);

impl Scrambler {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }

    fn write(&mut self, value: &Value, text: &mut String) {
        match value {
            Value::Object(object) => {
                let mut entries: Vec<_> = object.iter().collect();
                for index in (1..entries.len()).rev() {
                    entries.swap(index, self.below(index + 1));
                }
                text.push('{');
                for (index, (key, below)) in entries.into_iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "" });
                    self.write_text(key, text);
                    text.push_str([":", ": ", "\n:\t"][self.below(3)]);
                    self.write(below, text);
                }
                text.push('}');
            }
            Value::Array(list) => {
                text.push('[');
                for (index, below) in list.iter().enumerate() {
                    text.push_str(if index > 0 { " ," } else { "" });
                    self.write(below, text);
                }
                text.push(']');
            }
            Value::String(string) => self.write_text(string, text),
            Value::Null | Value::Bool(_) | Value::Number(_) => write!(text, "{value}").unwrap(),
        }
    }

    fn write_text(&mut self, string: &str, text: &mut String) {
        let escapes_all = self.below(8) == 0;
        text.push('"');
        for character in string.chars() {
            let must = matches!(character, '"' | '\\' | '\0'..='\x1f');
            if must || escapes_all || self.below(64) == 0 {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(text, "\\u{unit:04x}").unwrap();
                }
            } else {
                text.push(character);
            }
        }
        text.push('"');
    }
}
