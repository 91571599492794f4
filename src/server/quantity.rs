//! Durations and sizes as people and the API server write them: `1m30s`, `500ms`, `7MiB`.

use std::time::Duration;

/// A text that is not a duration or a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a duration.
    #[error("is not a duration such as 10s, 1.5s, 500ms or 1m30s")]
    Duration,
    /// Not a size.
    #[error("is not a size such as 512KiB, 7MiB or 1048576")]
    Size,
}

/// A duration as Go writes it: numbers with a unit each (`h m s ms us µs ns`), or a bare `0`.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let number_end =
            rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(QuantityError::Duration)?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        let part = scaled(number, unit_nanoseconds(unit)?)?;
        total = total.checked_add(part).ok_or(QuantityError::Duration)?;
        rest = next;
    }
    if text.is_empty() { Err(QuantityError::Duration) } else { Ok(total) }
}

fn unit_nanoseconds(unit: &str) -> Result<u64, QuantityError> {
    match unit {
        "h" => Ok(3_600_000_000_000),
        "m" => Ok(60_000_000_000),
        "s" => Ok(1_000_000_000),
        "ms" => Ok(1_000_000),
        // Two code points print the same: the micro sign and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => Ok(1_000),
        "ns" => Ok(1),
        _ => Err(QuantityError::Duration),
    }
}

/// `number`, which may have a fraction, times `unit` nanoseconds.
fn scaled(number: &str, unit: u64) -> Result<Duration, QuantityError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(QuantityError::Duration);
    }
    let whole: u64 = match whole {
        "" => 0,
        digits => digits.parse().map_err(|_| QuantityError::Duration)?,
    };
    let mut nanoseconds = whole.checked_mul(unit).ok_or(QuantityError::Duration)?;
    let mut place = unit;
    for digit in fraction.bytes() {
        place /= 10;
        nanoseconds = nanoseconds
            .checked_add(u64::from(digit - b'0') * place)
            .ok_or(QuantityError::Duration)?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// A size in bytes: a whole number with `B`, `KiB`, `MiB`, `GiB` or nothing after it.
pub fn parse_size(text: &str) -> Result<usize, QuantityError> {
    let unit_start = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_start);
    let factor: usize = match unit {
        "" | "B" => 1,
        "KiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        "GiB" | "Gi" => 1 << 30,
        _ => return Err(QuantityError::Size),
    };
    let number: usize = number.parse().map_err(|_| QuantityError::Size)?;
    number.checked_mul(factor).ok_or(QuantityError::Size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_writes() {
        for (text, milliseconds) in [
            ("10s", 10_000),
            ("1.5s", 1_500),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1h0m0.25s", 3_600_250),
            (".5s", 500),
            ("2000us", 2),
            ("3000\u{b5}s", 3),
            ("1000000ns", 1),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in ["", "10", "s", ".s", "1..5s", "-1s", "1 s", "1d", "99999999999999h", "1s5"] {
            assert_eq!(parse_duration(text), Err(QuantityError::Duration), "{text}");
        }
    }

    #[test]
    fn reads_sizes_by_their_unit() {
        for (text, bytes) in [("7MiB", 7 << 20), ("512KiB", 512 << 10), ("1Gi", 1 << 30), ("9", 9)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "7MB", "1.5MiB", "-1", "99999999999999GiB"] {
            assert_eq!(parse_size(text), Err(QuantityError::Size), "{text}");
        }
    }
}
