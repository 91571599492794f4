//! Durations of a config: `10m`, `90s`, `1h30m`.

use std::time::Duration;

use crate::kubernetes::duration::parse_duration;

/// The pattern of a duration in the schema.
pub(super) const PATTERN: &str = "^([0-9]+(ms|s|m|h))+$";

/// The longest duration of a config, in days.
const DAYS_MAX: u64 = 365;

const NO_DURATION: &str = "is not a duration such as `10m`, `90s` or `1h30m`";

/// Reads a duration, which must be longer than zero. An error is in words that follow the text.
pub(super) fn parse(text: &str) -> Result<Duration, &'static str> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return Err("has no unit: `h`, `m`, `s` or `ms`");
    }
    // Fractions, and units below the millisecond, are for machines.
    let is_for_people = text.chars().all(|it| it.is_ascii_digit() || "hms".contains(it));
    match parse_duration(text) {
        Ok(_) if !is_for_people => Err(NO_DURATION),
        Ok(Duration::ZERO) => Err("is zero: write a longer duration, such as `10m`"),
        Ok(total) if total > Duration::from_hours(24 * DAYS_MAX) => Err("is longer than 365 days"),
        Ok(total) => Ok(total),
        Err(_) => Err(NO_DURATION),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "1us",
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
