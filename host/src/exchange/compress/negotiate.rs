//! `Accept-Encoding` (RFC 9110 §12.5.3).

use crate::config::Coding;

/// Weights in thousandths.
const FULL: u16 = 1000;

/// The coding that a client likes best of those that are offered; of equal ones the first that is offered. `None` is no coding:
/// nothing that is offered is accepted, or no coding is liked better.
pub(super) fn coding<'a>(lines: impl Iterator<Item = &'a [u8]>, offered: &[Coding]) -> Option<Coding> {
    let mut weights: [Option<u16>; Coding::ALL.len()] = [None; Coding::ALL.len()];
    let (mut any, mut identity) = (None, None);
    for member in lines.flat_map(|line| line.split(|byte| *byte == b',')) {
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let Some(name) = parts.next().filter(|name| !name.is_empty()) else {
            continue;
        };
        let weight = weight(parts);
        if name == b"*" {
            any = Some(weight);
        } else if name.eq_ignore_ascii_case(b"identity") {
            identity = Some(weight);
        } else if let Some(place) = Coding::named(name).and_then(|coding| weights.get_mut(coding as usize)) {
            *place = Some(weight);
        }
    }
    let of = |coding: Coding| weights.get(coding as usize).copied().flatten().or(any).unwrap_or(0);
    let mut best = None;
    // Where a client says nothing of it, what is not encoded is accepted, and liked least.
    let mut best_weight = identity.unwrap_or(0);
    for coding in offered.iter().copied() {
        let weight = of(coding);
        let better = weight > best_weight || (weight == best_weight && best.is_none());
        if weight > 0 && better {
            (best, best_weight) = (Some(coding), weight);
        }
    }
    best
}

/// `q=0.5` as 500. What cannot be read takes the coding out: the client means something, but nobody knows what.
fn weight<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> u16 {
    for parameter in parameters {
        let Some(value) = parameter
            .split_at_checked(2)
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"q="))
            .map(|(_, value)| value)
        else {
            continue;
        };
        return thousandths(value).unwrap_or(0);
    }
    FULL
}

/// `qvalue` (RFC 9110 §12.4.2).
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, rest) = value.split_first()?;
    let digits = match rest {
        [] => &[][..],
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let mut weight = match whole {
        b'0' => 0,
        b'1' => FULL,
        _ => return None,
    };
    let mut unit = 100;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        weight += u16::from(digit - b'0') * unit;
        unit /= 10;
    }
    (weight <= FULL).then_some(weight)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Coding::{Brotli, Gzip, Zstd};

    const OFFERED: [Coding; 3] = [Zstd, Brotli, Gzip];

    fn chosen(list: &str) -> Option<Coding> {
        coding([list.as_bytes()].into_iter(), &OFFERED)
    }

    #[test]
    fn rfc9110_12_5_3_lists() {
        for (list, expected) in [
            ("gzip", Some(Gzip)),
            ("GZip", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("gzip, deflate, br", Some(Brotli)),
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("gzip;q=1.0, br;q=0.8", Some(Gzip)),
            ("gzip ; q=0.8 , br ; Q=0.9", Some(Brotli)),
            ("br;q=0, *", Some(Zstd)),
            ("*", Some(Zstd)),
            ("zstd;q=0, *;q=0.1", Some(Brotli)),
            ("*;q=0", None),
            ("gzip;q=0", None),
            ("gzip;q=0.000", None),
            ("gzip;q=0.001", Some(Gzip)),
            ("", None),
            ("identity", None),
            ("deflate, compress", None),
            ("identity;q=1, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=1", Some(Gzip)),
            ("identity;q=0, gzip;q=0.1", Some(Gzip)),
            ("identity, gzip", Some(Gzip)),
            ("gzip;q=2", None),
            ("gzip;q=x", None),
            ("gzip;q=0.1234", None),
            ("gzip;q=1.001", None),
            (",, gzip ,", Some(Gzip)),
            ("gzip;level=9;q=0.5, br;q=0.4", Some(Gzip)),
        ] {
            assert_eq!(chosen(list), expected, "{list}");
        }
    }

    #[test]
    fn lines_are_one_list() {
        let lines: [&[u8]; 2] = [b"gzip;q=0.5", b"br"];
        assert_eq!(coding(lines.into_iter(), &OFFERED), Some(Brotli));
        assert_eq!(coding(lines.into_iter(), &[Gzip]), Some(Gzip));
        assert_eq!(coding(std::iter::empty(), &OFFERED), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(list in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = coding([&*list].into_iter(), &OFFERED);
        }
    }
}
