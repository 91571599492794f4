//! Sizes as people write them: `7MiB`.

/// A text that is not a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a size such as 512KiB, 7MiB or 1048576")]
pub struct SizeError;

/// A size in bytes: a whole number with `B`, `KiB`, `MiB`, `GiB` or nothing after it.
pub fn parse_size(text: &str) -> Result<usize, SizeError> {
    let unit_start = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_start);
    let factor: usize = match unit {
        "" | "B" => 1,
        "KiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        "GiB" | "Gi" => 1 << 30,
        _ => return Err(SizeError),
    };
    let number: usize = number.parse().map_err(|_| SizeError)?;
    number.checked_mul(factor).ok_or(SizeError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_by_their_unit() {
        for (text, bytes) in [("7MiB", 7 << 20), ("512KiB", 512 << 10), ("1Gi", 1 << 30), ("9", 9)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "7MB", "1.5MiB", "-1", "99999999999999GiB"] {
            assert_eq!(parse_size(text), Err(SizeError), "{text}");
        }
    }
}
