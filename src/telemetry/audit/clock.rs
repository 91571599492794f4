//! The time of a line, as text.

use jiff::Timestamp;

/// The text of the last time, in milliseconds. It is kept because many lines are of the same millisecond
/// when lines come fast, and writing a date takes as long as half a line.
#[derive(Debug, Default)]
pub(super) struct TimestampText {
    millisecond: i64,
    text: String,
}

impl TimestampText {
    /// Returns the time as text, such as `2026-11-23T18:27:15.498Z`.
    pub(super) fn text(&mut self, now: Timestamp) -> &str {
        let millisecond = now.as_millisecond();
        if millisecond != self.millisecond || self.text.is_empty() {
            self.millisecond = millisecond;
            self.text = format!("{now:.3}");
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_what_it_would_be_if_it_were_written_anew() {
        let mut clock = TimestampText::default();
        let start: Timestamp = "2026-12-31T23:59:58.900Z".parse().unwrap();
        for milliseconds in [0, 1, 99, 100, 101, 1_099, 1_100, 1_101, 5_000, 3] {
            let now = start + jiff::SignedDuration::from_millis(milliseconds);
            assert_eq!(clock.text(now), format!("{now:.3}"));
        }
    }
}
