//! Durations as Go and Kubernetes write them: `1m30s`, `500ms`.

use std::time::Duration;

use jiff::fmt::friendly::{Spacing, SpanParser, SpanPrinter};

/// A text that is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a duration such as 10s, 1.5s, 500ms or 1m30s")]
pub struct DurationError;

/// A duration: numbers with a unit each (`h m s ms us µs ns`), or a bare `0`. The last one may have a fraction.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    // People's ways to write a duration, such as `2 hours ago`, are not Go's.
    let is_of_go = text.chars().all(|it| it.is_ascii_digit() || ".hmsunµμ".contains(it));
    if !is_of_go || text.is_empty() {
        return Err(DurationError);
    }
    let parse = |text: &str| SpanParser::new().parse_unsigned_duration(text);
    // Two code points print the same: the micro sign and the Greek letter.
    let parsed = if text.is_ascii() {
        parse(text)
    } else {
        parse(&text.replace(['\u{b5}', '\u{3bc}'], "u"))
    };
    parsed.map_err(|_| DurationError)
}

/// Writes a duration as it would be read: `1h30m`.
pub fn format_duration(duration: Duration) -> String {
    SpanPrinter::new().spacing(Spacing::None).unsigned_duration_to_string(&duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, milliseconds) in [
            ("10s", 10_000),
            ("1.5s", 1_500),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1h0m0.25s", 3_600_250),
            ("2000us", 2),
            ("3000\u{b5}s", 3),
            ("3000\u{3bc}s", 3),
            ("1000000ns", 1),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn durations_that_go_refuses_are_refused() {
        for text in [
            "",
            "10",
            "s",
            ".s",
            "1..5s",
            "-1s",
            "1 s",
            "1d",
            "1w",
            "1M",
            "1s5",
            "1hour",
            "1s ago",
            "99999999999999999999h",
            "\u{b5}",
        ] {
            assert_eq!(parse_duration(text), Err(DurationError), "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["10m", "1h30m", "1h1s", "250ms", "24h"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!(format_duration(Duration::from_secs(90)), "1m30s");
        assert_eq!(format_duration(Duration::ZERO), "0s");
    }
}
