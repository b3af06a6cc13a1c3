//! Dates as a cache reads them: the three formats of RFC 9110 §5.6.7, and RFC 9111 §4.2 on top.
//!
//! The formats are strict about digits and punctuation, and a cache is to be strict about the zone: what is not GMT is no date.
//! About case it is not, and neither about the name of the day, which says nothing that the rest does not say: an origin that
//! gets it wrong means the date all the same.

use std::time::{Duration, SystemTime};

/// A date as a field has it; none where it has another, or one before 1970.
pub(super) fn parse(value: &[u8]) -> Option<SystemTime> {
    let value = value.trim_ascii();
    let date = fixdate(value)
        .or_else(|| rfc850(value, this_year))
        .or_else(|| asctime(value))?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(date.seconds()?))
}

/// A second of the calendar, none of it checked but that it is made of digits.
#[derive(Debug, Clone, Copy)]
struct Date {
    year: u64,
    /// From 1.
    month: usize,
    day: u64,
    clock: Clock,
}

#[derive(Debug, Clone, Copy)]
struct Clock {
    hour: u64,
    minute: u64,
    second: u64,
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn fixdate(value: &[u8]) -> Option<Date> {
    let [w1, w2, w3, b',', b' ', d1, d2, b' ', m1, m2, m3, b' ', rest @ ..] = value else {
        return None;
    };
    let [y1, y2, y3, y4, b' ', time @ ..] = rest else {
        return None;
    };
    is_day(&[*w1, *w2, *w3], Name::Short).then_some(())?;
    Some(Date {
        year: number(&[*y1, *y2, *y3, *y4])?,
        month: month(&[*m1, *m2, *m3])?,
        day: number(&[*d1, *d2])?,
        clock: clock(in_gmt(time)?)?,
    })
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(value: &[u8], this_year: impl FnOnce() -> u64) -> Option<Date> {
    let comma = value.iter().position(|byte| *byte == b',')?;
    let (day_name, rest) = value.split_at_checked(comma)?;
    let [b',', b' ', d1, d2, b'-', m1, m2, m3, b'-', y1, y2, b' ', time @ ..] = rest else {
        return None;
    };
    is_day(day_name, Name::Long).then_some(())?;
    Some(Date {
        year: with_century(number(&[*y1, *y2])?, this_year()),
        month: month(&[*m1, *m2, *m3])?,
        day: number(&[*d1, *d2])?,
        clock: clock(in_gmt(time)?)?,
    })
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(value: &[u8]) -> Option<Date> {
    let [w1, w2, w3, b' ', m1, m2, m3, b' ', d1, d2, b' ', rest @ ..] = value else {
        return None;
    };
    let (time, [b' ', year @ ..]) = rest.split_at_checked(8)? else {
        return None;
    };
    is_day(&[*w1, *w2, *w3], Name::Short).then_some(())?;
    let tens = if *d1 == b' ' { b'0' } else { *d1 };
    Some(Date {
        year: (year.len() == 4).then(|| number(year))??,
        month: month(&[*m1, *m2, *m3])?,
        day: number(&[tens, *d2])?,
        clock: clock(time)?,
    })
}

/// What stands before the zone. RFC 9111 §4.2: one that is not GMT makes the date invalid.
fn in_gmt(time: &[u8]) -> Option<&[u8]> {
    let (clock, zone) = time.split_at_checked(8)?;
    zone.eq_ignore_ascii_case(b" GMT").then_some(clock)
}

/// `08:49:37`
fn clock(text: &[u8]) -> Option<Clock> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = text else {
        return None;
    };
    Some(Clock {
        hour: number(&[*h1, *h2])?,
        minute: number(&[*m1, *m2])?,
        second: number(&[*s1, *s2])?,
    })
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

/// RFC 9110 §5.6.7: what would lie more than fifty years ahead lies in the century before.
fn with_century(two_digits: u64, this_year: u64) -> u64 {
    let year = this_year / 100 * 100 + two_digits;
    if year > this_year + 50 { year - 100 } else { year }
}

fn this_year() -> u64 {
    const SECONDS_OF_A_YEAR: u64 = 31_556_952;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    1970 + now.unwrap_or_default().as_secs() / SECONDS_OF_A_YEAR
}

#[derive(Debug, Clone, Copy)]
enum Name {
    Short,
    Long,
}

fn is_day(name: &[u8], length: Name) -> bool {
    const DAYS: [&str; 7] = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    DAYS.iter().any(|day| {
        let expected = match length {
            Name::Short => day.as_bytes().get(..3).unwrap_or_default(),
            Name::Long => day.as_bytes(),
        };
        name.eq_ignore_ascii_case(expected)
    })
}

const MONTHS: [(&[u8; 3], u64); 12] = [
    (b"Jan", 31),
    (b"Feb", 28),
    (b"Mar", 31),
    (b"Apr", 30),
    (b"May", 31),
    (b"Jun", 30),
    (b"Jul", 31),
    (b"Aug", 31),
    (b"Sep", 30),
    (b"Oct", 31),
    (b"Nov", 30),
    (b"Dec", 31),
];

fn month(name: &[u8; 3]) -> Option<usize> {
    let found = MONTHS.iter().position(|(month, _)| month.eq_ignore_ascii_case(name));
    found.map(|index| index + 1)
}

impl Date {
    /// Seconds since 1970, if there is such a second after that.
    fn seconds(self) -> Option<u64> {
        let Clock { hour, minute, second } = self.clock;
        // A leap second is the one after it: nobody counts them.
        let is_a_time = hour < 24 && minute < 60 && second <= 60;
        is_a_time.then_some(())?;
        Some(self.days()? * 86_400 + hour * 3600 + minute * 60 + second)
    }

    /// Days since 1970.
    fn days(self) -> Option<u64> {
        let is_leap = self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let length = |(index, (_, days)): (usize, &(_, u64))| days + u64::from(index == 1 && is_leap);
        let mut months = MONTHS.iter().enumerate().map(length);
        let before: u64 = months.by_ref().take(self.month.checked_sub(1)?).sum();
        let exists = self.year >= 1970 && (1..=months.next()?).contains(&self.day);
        exists.then(|| days_before(self.year) - days_before(1970) + before + self.day - 1)
    }
}

/// Days of all years before one.
fn days_before(year: u64) -> u64 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn seconds(value: &str) -> Option<u64> {
        let date = parse(value.as_bytes())?;
        Some(date.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    }

    const EXAMPLE: u64 = 784_111_777;

    #[test]
    fn rfc9110_5_6_7_all_three_formats() {
        for value in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            " Sun, 06 Nov 1994 08:49:37 GMT\t",
        ] {
            assert_eq!(seconds(value), Some(EXAMPLE), "{value}");
        }
        assert_eq!(seconds("Wed Nov 16 08:49:37 1994"), Some(EXAMPLE + 10 * 86_400));
    }

    #[test]
    fn rfc9111_4_2_case_does_not_matter() {
        for value in [
            "SUN, 06 nOV 1994 08:49:37 gmt",
            "sunday, 06-NOV-94 08:49:37 Gmt",
            "sUN nov  6 08:49:37 1994",
        ] {
            assert_eq!(seconds(value), Some(EXAMPLE), "{value}");
        }
    }

    #[test]
    fn rfc9111_4_2_another_zone_is_invalid() {
        for zone in ["UTC", "AEST", "+0000", "", "GMT GMT"] {
            assert_eq!(seconds(&format!("Sun, 06 Nov 1994 08:49:37 {zone}")), None, "{zone}");
        }
    }

    #[test]
    fn rfc9110_5_6_7_the_wrong_day_of_the_week_is_passed_over() {
        assert_eq!(seconds("Mon, 06 Nov 1994 08:49:37 GMT"), Some(EXAMPLE));
        assert_eq!(seconds("Xyz, 06 Nov 1994 08:49:37 GMT"), None);
        assert_eq!(seconds("Sunday, 06 Nov 1994 08:49:37 GMT"), None);
        assert_eq!(seconds("Sun, 06-Nov-94 08:49:37 GMT"), None);
    }

    #[test]
    fn rfc9110_5_6_7_what_is_no_date() {
        for value in [
            "",
            "0",
            "-1",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06  Nov  1994 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Tue, 29 Feb 2023 08:49:37 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov  6 08:49:37 94",
            "Sun Nov  6 08:49:37 1994 GMT",
            "Sun Nov  6 08:49:37 19941",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
        ] {
            assert_eq!(seconds(value), None, "{value}");
        }
    }

    #[test]
    fn rfc9110_5_6_7_two_digits_lie_within_fifty_years_ahead() {
        for (two_digits, this_year, expected) in [
            (94, 2026, 1994),
            (50, 2026, 2050),
            (76, 2026, 2076),
            (77, 2026, 1977),
            (0, 2026, 2000),
            (99, 2080, 2099),
        ] {
            assert_eq!(
                with_century(two_digits, this_year),
                expected,
                "{two_digits} in {this_year}"
            );
        }
    }

    #[test]
    fn leap_days_and_leap_seconds() {
        assert_eq!(seconds("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        assert_eq!(
            seconds("Sat, 31 Dec 2016 23:59:60 GMT"),
            seconds("Sun, 01 Jan 2017 00:00:00 GMT")
        );
        assert_eq!(seconds("Fri, 31 Dec 9999 23:59:59 GMT"), Some(253_402_300_799));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(second in 0_u64..253_402_300_800) {
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            prop_assert_eq!(parse(httpdate::fmt_http_date(date).as_bytes()), Some(date));
        }

        #[test]
        fn anything_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn almost_a_date_is_read_without_a_panic(text in "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT") {
            let _ = parse(text.as_bytes());
        }
    }
}
