//! Durations and sizes as operators write them.

use std::time::Duration;

/// What `"off"` stands for where a stage may take for ever: thirty years, which every timer can still hold.
pub const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// A whole number and one of the units `ms`, `s`, `m`, `h`, `d`.
///
/// # Errors
/// Says what is wrong with the text and what would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 5] = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    scaled(text, &UNITS, "a duration", "500ms, 10s, 5m, 1h or 7d").map(Duration::from_millis)
}

/// A whole number of bytes, or one with a unit: `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024), `KB`, `MB`, `GB`, `TB` (powers
/// of 1000) or `B`.
///
/// # Errors
/// Says what is wrong with the text and what would be right.
pub fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 10] = [
        ("", 1),
        ("B", 1),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    scaled(text, &UNITS, "a size", "64KiB, 1MiB, 10MB or plain bytes")
}

fn scaled(text: &str, units: &[(&str, u64)], what: &str, examples: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(format!("{what} begins with a number: {examples}"));
    }
    let unit = unit.trim_start();
    let Some(&(_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(match units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
            Some((name, _)) => format!("the unit is written `{name}`"),
            None if unit.is_empty() => format!("{what} needs a unit: {examples}"),
            None => format!("{what} is a whole number and a unit: {examples}"),
        });
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| format!("{what} of this length does not exist"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("5 m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for wrong in [
            "",
            "s",
            "10",
            "-1s",
            "1.5s",
            "10S",
            "10 seconds",
            "1h30m",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("10 MB"), Ok(10_000_000));
        assert_eq!(size("1TiB"), Ok(1 << 40));
        for wrong in ["", "KiB", "64kib", "1.5MiB", "-1", "1 MiB ", "99999999TiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_unit_in_the_wrong_case_is_named() {
        assert_eq!(size("64kib").unwrap_err(), "the unit is written `KiB`");
        assert_eq!(duration("10S").unwrap_err(), "the unit is written `s`");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = duration(&text);
            let _ = size(&text);
        }

        #[test]
        fn whole_numbers_keep_their_value(number in 0_u64..1 << 30) {
            prop_assert_eq!(duration(&format!("{number}ms")), Ok(Duration::from_millis(number)));
            prop_assert_eq!(size(&format!("{number}KiB")), Ok(number << 10));
            prop_assert_eq!(size(&format!("{number}MB")), Ok(number * 1_000_000));
        }
    }
}
