//! Points in time as an operator writes them (RFC 3339).

/// Nanoseconds since 1970-01-01T00:00:00Z of a date and time with an offset: `2026-01-31T22:00:00Z`, `2026-01-31T23:00:00+01:00`.
///
/// # Errors
/// What was found and what would be right. A time without an offset is refused: whose midnight it is decides.
pub fn parse(text: &str) -> Result<u64, String> {
    read(text.as_bytes()).ok_or_else(|| {
        format!("\"{text}\" is not a point in time: write date, time and offset, for example 2026-01-31T22:00:00Z or 2026-01-31T23:00:00+01:00")
    })
}

fn read(text: &[u8]) -> Option<u64> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T' | b't',
        h1,
        h2,
        b':',
        i1,
        i2,
        b':',
        s1,
        s2,
    ] = *date_time
    else {
        return None;
    };
    let year = number(&[y1, y2, y3, y4])?;
    let (month, day) = (number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[i1, i2])?, number(&[s1, s2])?);
    // 60 is a leap second (RFC 3339 §5.6), which the host's clock does not have: the next second stands for it.
    if !(1..=12).contains(&month)
        || !(1..=days_in(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let (nanos, offset) = fraction(rest)?;
    let seconds =
        days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset_seconds(offset)?;
    u64::try_from(seconds)
        .ok()?
        .checked_mul(1_000_000_000)?
        .checked_add(nanos)
}

/// `.5` as nanoseconds, and what follows. Digits behind the ninth are cut off.
fn fraction(text: &[u8]) -> Option<(u64, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (fraction, rest) = text.split_at_checked(digits)?;
    if fraction.is_empty() {
        return None;
    }
    let nanos = (0..9).fold(0, |nanos, index| {
        nanos * 10 + fraction.get(index).map_or(0, |digit| u64::from(digit - b'0'))
    });
    Some((nanos, rest))
}

fn offset_seconds(text: &[u8]) -> Option<i64> {
    match *text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[h1, h2])?, number(&[m1, m2])?);
            let seconds = (hours <= 23 && minutes <= 59).then_some(hours * 3_600 + minutes * 60)?;
            Some(if sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
    })
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of the Gregorian calendar from 1970-01-01: whole years, their leap days, and the days before the month.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let days_until_year = before * 365 + before / 4 - before / 100 + before / 400;
    let days_until_month: i64 = (1..month).map(|month| days_in(year, month)).sum();
    const EPOCH: i64 = 719_162;
    days_until_year + days_until_month + day - 1 - EPOCH
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn offsets_and_fractions_are_read() {
        let noon = 1_767_268_800_000_000_000;
        for (text, nanos) in [
            ("2026-01-01T12:00:00Z", noon),
            ("2026-01-01t12:00:00z", noon),
            ("2026-01-01T13:30:00+01:30", noon),
            ("2026-01-01T07:00:00-05:00", noon),
            ("2026-01-01T12:00:00.25Z", noon + 250_000_000),
            ("2026-01-01T12:00:00.1234567899Z", noon + 123_456_789),
            ("1970-01-01T00:00:00Z", 0),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for text in [
            "",
            "2026-01-01",
            "2026-01-01T12:00:00",
            "2026-01-01 12:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T12:00:00.Z",
            "2026-01-01T12:00:00+1:00",
            "2026-01-01T12:00:00+24:00",
            "1969-12-31T23:59:59Z",
            "9999-01-01T00:00:00Z",
            "2026-01-01T12:00:00Zé",
        ] {
            assert!(
                parse(text)
                    .unwrap_err()
                    .starts_with(&format!("\"{text}\" is not a point in time")),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_jiff_writes_is_read(seconds in 0_i64..9_000_000_000, nanos in 0_i32..1_000_000_000) {
            let timestamp = jiff::Timestamp::new(seconds, nanos).unwrap();
            prop_assert_eq!(parse(&timestamp.to_string()), Ok(u64::try_from(timestamp.as_nanosecond()).unwrap()));
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn nearly_right_text_never_panics(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.Z+0-9:-]{0,12}") {
            let _ = parse(&text);
        }
    }
}
