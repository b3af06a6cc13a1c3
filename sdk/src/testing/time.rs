//! Moments, as case files write them.

/// 2026-01-01T00:00:00Z, in nanoseconds since 1970: when a test starts that does not say.
pub const NEW_YEAR_2026: u64 = 1_767_225_600 * SECOND;

const SECOND: u64 = 1_000_000_000;

/// Reads a moment of RFC 3339 in UTC (`2026-01-01T00:00:00Z`, with a fraction if need be) as nanoseconds since 1970.
///
/// # Errors
/// Says what a moment looks like.
pub fn parse(text: &str) -> Result<u64, String> {
    read(text).ok_or_else(|| format!("{text:?} is no moment like 2026-01-01T00:00:00Z, from 1970 to 2262"))
}

fn read(text: &str) -> Option<u64> {
    let rest = text.strip_suffix('Z')?;
    let (date, time) = rest.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if !(1970..=2262).contains(&year) || !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum::<u64>()
        + (1..month).map(|month| days_of(year, month)).sum::<u64>()
        + (day - 1);
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    seconds.checked_mul(SECOND)?.checked_add(nanos(fraction)?)
}

/// Numbers of so many digits, with a separator between.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts
            .next()
            .filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn nanos(fraction: &str) -> Option<u64> {
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<9}").parse().ok()
}

fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_counted_from_1970() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-01-01T00:00:00Z", NEW_YEAR_2026),
            ("2000-02-29T23:59:59.5Z", 951_868_799_500_000_000),
            ("2000-03-01T00:00:00.000000001Z", 951_868_800_000_000_001),
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00+01:00",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-1-1T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "9999-01-01T00:00:00Z",
            "2026-01-01T00:00:00.0000000001Z",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
