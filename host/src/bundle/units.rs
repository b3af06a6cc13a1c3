//! Durations (`50ms`) and sizes (`64MiB`) as they are written in manifests.

use std::time::Duration;

/// Reads a duration: a whole number and `us`, `ms`, `s`, `m` or `h`.
///
/// # Errors
/// What would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let micros_each: u64 = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return Err(format!("`{text}` is not a duration; write a whole number and us, ms, s, m or h, for example 50ms")),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not a duration; write a whole number before the unit"))?;
    let micros = number.checked_mul(micros_each).ok_or_else(|| format!("`{text}` is too long"))?;
    Ok(Duration::from_micros(micros))
}

/// Reads a size in bytes: a whole number and `B`, `KiB`, `MiB` or `GiB` (or `kB`, `MB`, `GB` for powers of ten).
///
/// # Errors
/// What would be right.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let bytes_each: u64 = match unit {
        "B" | "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(format!("`{text}` is not a size; write a whole number and B, KiB, MiB or GiB, for example 64MiB")),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not a size; write a whole number before the unit"))?;
    number.checked_mul(bytes_each).ok_or_else(|| format!("`{text}` is too large"))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(duration("2 s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        for wrong in ["", "50", "ms", "5.5s", "-1s", "1d", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("10"), Ok(10));
        assert_eq!(size("1 GB"), Ok(1_000_000_000));
        for wrong in ["", "MiB", "1.5MiB", "-1B", "1TiB", "18446744073709551615GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
