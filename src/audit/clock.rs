//! The time of a line, as text.

use std::fmt::Write;

use jiff::Timestamp;

/// Writes times in milliseconds. What is above the second is written once a second: the rest of a
/// line takes hardly longer than a whole date.
#[derive(Debug, Default)]
pub(super) struct Clock {
    second: i64,
    text: String,
}

/// `2026-11-23T18:27:15`
const SECOND_LENGTH: usize = 19;

impl Clock {
    /// `2026-11-23T18:27:15.498Z`
    pub(super) fn text(&mut self, now: Timestamp) -> &str {
        let second = now.as_second();
        if second != self.second || self.text.is_empty() {
            self.second = second;
            self.text = format!("{now:.0}");
        }
        self.text.truncate(SECOND_LENGTH);
        // Writing to a string does not fail.
        let _ = write!(self.text, ".{:03}Z", now.subsec_millisecond());
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_what_it_would_be_if_it_were_written_anew() {
        let mut clock = Clock::default();
        let start: Timestamp = "2026-12-31T23:59:58.900Z".parse().unwrap();
        for milliseconds in [0, 1, 99, 100, 101, 1_099, 1_100, 1_101, 5_000, 3] {
            let now = start + jiff::SignedDuration::from_millis(milliseconds);
            assert_eq!(clock.text(now), format!("{now:.3}"));
        }
    }
}
