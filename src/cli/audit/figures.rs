//! Numbers and times, for people.

use jiff::{Timestamp, fmt::strtime};

/// Returns a number with a comma before each group of three digits, for example `1,284`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number with its noun, for example `1 record` or `1,284 records`.
pub(super) fn numbered(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

pub(super) fn format_time(time: Timestamp, format: &str) -> String {
    // The formats are ours, and hold nothing that a time in UTC lacks.
    strtime::format(format, time).unwrap_or_default()
}

/// Returns the time between two records as text, for example `2026-11-23 09:12 to 18:40 UTC (9h28m)`.
pub(super) fn span(first: Timestamp, last: Timestamp) -> String {
    let start = format_time(first, "%Y-%m-%d %H:%M");
    let is_same = |format| format_time(first, format) == format_time(last, format);
    if is_same("%Y-%m-%d %H:%M") {
        return format!("{start} UTC");
    }
    let end = if is_same("%Y-%m-%d") { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    let seconds = last.as_second() - first.as_second();
    format!("{start} to {} UTC ({})", format_time(last, end), duration(seconds - seconds % 60))
}

/// Returns a duration as text, for example `1 minute`, `9h28m` or `4 days`.
pub(super) fn duration(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let plural =
        |count: i64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    match (days, hours, minutes, seconds % 60) {
        (0, 0, 0, seconds) => plural(seconds, "second"),
        (0, 0, minutes, _) => plural(minutes, "minute"),
        (0, hours, 0, _) => plural(hours, "hour"),
        (0, hours, minutes, _) => format!("{hours}h{minutes:02}m"),
        (days, 0, ..) => plural(days, "day"),
        (days, hours, ..) => format!("{days}d{hours:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        for (seconds, text) in [
            (1, "1 second"),
            (300, "5 minutes"),
            (3_600, "1 hour"),
            (34_080, "9h28m"),
            (86_400, "1 day"),
            (90_000, "1d01h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
