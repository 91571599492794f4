//! Durations as Go writes them: `10m`, `90s`, `1h30m`.

use std::time::Duration;

/// What the schema says of a duration.
pub(super) const PATTERN: &str = "^([0-9]+(ms|s|m|h))+$";

/// Longer than anybody means.
const DAYS_MAX: u64 = 365;

/// Why a text is no duration, in words that follow it.
pub(super) type DurationError = &'static str;

/// Reads a duration, which is more than nothing.
pub(super) fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let unit = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(unit);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "" if !number.is_empty() && tail.is_empty() => {
                return Err("has no unit: `h`, `m`, `s` or `ms`");
            }
            _ => return Err("is not a duration such as `10m`, `90s` or `1h30m`"),
        };
        let number: u64 =
            number.parse().map_err(|_| "is not a duration such as `10m`, `90s` or `1h30m`")?;
        let part = number.checked_mul(milliseconds).map(Duration::from_millis);
        total = part.and_then(|part| total.checked_add(part)).ok_or("is too long")?;
        rest = tail;
    }
    match total {
        Duration::ZERO => Err("is no time at all"),
        total if total > Duration::from_hours(24 * DAYS_MAX) => Err("is too long"),
        total => Ok(total),
    }
}

/// Writes a duration as it would be read: `1h30m`.
pub fn format_duration(duration: Duration) -> String {
    let mut text = String::new();
    let mut rest = duration.as_millis();
    for (unit, milliseconds) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        let count = rest / milliseconds;
        rest %= milliseconds;
        if count > 0 {
            text.push_str(&count.to_string());
            text.push_str(unit);
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_it_is_read() {
        for text in ["10m", "1h30m", "1h1s", "250ms", "24h"] {
            assert_eq!(format_duration(parse(text).unwrap()), text);
        }
        assert_eq!(format_duration(Duration::from_secs(90)), "1m30s");
        assert_eq!(format_duration(Duration::ZERO), "0s");
    }

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, seconds) in [("10m", 600), ("90s", 90), ("1h30m", 5_400), ("1h0m1s", 3_601)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        for bad in [
            "",
            "0s",
            "10",
            "m",
            "-1m",
            "1.5h",
            "10 m",
            "10m ",
            "1d",
            "1M",
            "99999999999999999h",
            "9000h",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
