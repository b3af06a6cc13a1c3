//! What request fields say, whatever way they are written: so that clients who ask for the same share one variant (RFC 9111
//! §4.1 allows it where the meaning is known to be the same).
//!
//! - `Accept-Encoding` becomes the set of codings that the client takes. Which of them it likes best is left out: whatever an
//!   origin picks from the set is right for every client with that set.
//! - `Accept-Language` becomes its tags ordered by weight. The order between equal weights is left out (RFC 9110 §12.5.4 says
//!   that nobody can rely on it).
//! - Other fields that the configuration lists become sorted lists without regard to case.
//! - All others keep their value but for the white space around commas.

use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, HeaderName};
use smallvec::SmallVec;

/// A value in its normal form.
pub(super) type Normal = SmallVec<[u8; 64]>;

/// How a field is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// A value of unknown syntax.
    Opaque,
    /// A list whose order and case mean nothing.
    Set,
    /// `Accept-Encoding`.
    Encodings,
    /// `Accept-Language`.
    Languages,
}

impl Reading {
    /// How to read a field, where these are the fields whose meaning counts.
    pub(super) fn of(name: &HeaderName, normalised: &[HeaderName]) -> Self {
        if !normalised.contains(name) {
            return Self::Opaque;
        }
        match *name {
            ACCEPT_ENCODING => Self::Encodings,
            ACCEPT_LANGUAGE => Self::Languages,
            _ => Self::Set,
        }
    }

    /// The normal form of a value whose lines were joined. What cannot be read stays as it is.
    pub(super) fn normalise(self, value: &[u8]) -> Normal {
        match self {
            Self::Opaque => opaque(value),
            Self::Set => set(value),
            Self::Encodings => encodings(value).unwrap_or_else(|| opaque(value)),
            Self::Languages => languages(value).unwrap_or_else(|| opaque(value)),
        }
    }
}

/// The one language that an `Accept-Language` likes best, in lower case; `None` where several are liked as much.
pub(super) fn favourite_language(value: &[u8]) -> Option<Normal> {
    let weighted = weighted(value)?;
    let best = weighted
        .iter()
        .map(|(weight, _)| *weight)
        .max()
        .filter(|best| *best > 0)?;
    let mut favourites = weighted.into_iter().filter(|(weight, _)| *weight == best);
    let (_, favourite) = favourites.next()?;
    (favourites.next().is_none() && favourite.as_slice() != b"*").then_some(favourite)
}

/// Without white space around commas that are not quoted.
fn opaque(value: &[u8]) -> Normal {
    let mut normal = Normal::new();
    let mut quoted = false;
    let mut rest = value.trim_ascii();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                normal.push(b'\\');
                let Some((escaped, after)) = rest.split_first() else {
                    break;
                };
                normal.push(*escaped);
                rest = after;
                continue;
            }
            b',' if !quoted => {
                while normal.last().is_some_and(u8::is_ascii_whitespace) {
                    normal.pop();
                }
                rest = rest.trim_ascii_start();
            }
            _ => {}
        }
        normal.push(*byte);
    }
    normal
}

fn set(value: &[u8]) -> Normal {
    let members = members(value).map(|member| {
        let mut member = Normal::from_slice(member);
        member.retain(|byte| !byte.is_ascii_whitespace());
        member.make_ascii_lowercase();
        member
    });
    join(members.collect(), b",")
}

/// The codings that are acceptable; `!` before what is refused although it would be acceptable without a word.
fn encodings(value: &[u8]) -> Option<Normal> {
    let mut codings = SmallVec::<[Normal; 6]>::new();
    for (weight, mut coding) in weighted(value)? {
        // RFC 9110 §8.4.1.3 and §8.4.1.1: the same coding by another name.
        match coding.as_slice() {
            b"x-gzip" => coding = Normal::from_slice(b"gzip"),
            b"x-compress" => coding = Normal::from_slice(b"compress"),
            _ => {}
        }
        let implied = coding.as_slice() == b"identity";
        match (weight, implied) {
            (0, _) => {
                coding.insert(0, b'!');
                codings.push(coding);
            }
            (_, true) => {}
            (_, false) => codings.push(coding),
        }
    }
    // Refusing what nobody offered says something only beside `*`, or of the codings that need no offer.
    let any = codings.iter().any(|coding| coding.as_slice() == b"*");
    codings.retain(|coding| any || !coding.starts_with(b"!") || matches!(coding.as_slice(), b"!identity" | b"!*"));
    Some(join(codings, b","))
}

fn languages(value: &[u8]) -> Option<Normal> {
    let weighted = weighted(value)?;
    let ranked = weighted.into_iter().map(|(weight, tag)| {
        // Sorts by falling weight.
        let mut ranked = Normal::from_slice(format!("{:04}", 1000 - weight).as_bytes());
        ranked.push(b' ');
        ranked.extend_from_slice(&tag);
        ranked
    });
    Some(join(ranked.collect(), b","))
}

/// The members of a weighted list (RFC 9110 §12.4.2) in lower case, with weights in thousandths. `None` where one cannot be
/// read.
fn weighted(value: &[u8]) -> Option<SmallVec<[(u16, Normal); 8]>> {
    let mut weighted = SmallVec::new();
    for member in members(value) {
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().filter(|name| name.iter().all(u8::is_ascii_graphic))?;
        let weight = match (parts.next(), parts.next()) {
            (None, _) => 1000,
            (Some(parameter), None) => weight(parameter)?,
            (Some(_), Some(_)) => return None,
        };
        let mut name = Normal::from_slice(name);
        name.make_ascii_lowercase();
        weighted.push((weight, name));
    }
    Some(weighted)
}

/// `q=0.123`, in thousandths.
fn weight(parameter: &[u8]) -> Option<u16> {
    let value = parameter
        .strip_prefix(b"q")
        .or_else(|| parameter.strip_prefix(b"Q"))?
        .trim_ascii_start()
        .strip_prefix(b"=")?
        .trim_ascii_start();
    let (whole, fraction) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut thousandths = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    for (digit, worth) in fraction.iter().zip([100, 10, 1]) {
        thousandths += u16::from(
            char::from(*digit)
                .to_digit(10)
                .and_then(|digit| u8::try_from(digit).ok())?,
        ) * worth;
    }
    (thousandths <= 1000).then_some(thousandths)
}

fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

fn join(mut members: SmallVec<[Normal; 6]>, separator: &[u8]) -> Normal {
    members.sort_unstable();
    members.dedup();
    let mut joined = Normal::new();
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            joined.extend_from_slice(separator);
        }
        joined.extend_from_slice(member);
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(reading: Reading, one: &str, other: &str) -> bool {
        reading.normalise(one.as_bytes()) == reading.normalise(other.as_bytes())
    }

    #[test]
    fn rfc9111_4_1_white_space_around_commas_means_nothing() {
        assert!(same(Reading::Opaque, "1,2", " 1, 2 "));
        assert!(same(Reading::Opaque, "a ,\tb", "a,b"));
        assert!(!same(Reading::Opaque, "a b", "ab"));
        assert!(!same(Reading::Opaque, "1, 2", "2, 1"));
        assert!(!same(Reading::Opaque, "\"a, b\"", "\"a,b\""), "what is quoted stays");
        assert!(
            !same(Reading::Opaque, "\"a\\\", b\"", "\"a\\\",b\""),
            "also behind an escaped quote"
        );
    }

    #[test]
    fn rfc9110_12_5_3_codings_are_a_set() {
        for (one, other) in [
            ("gzip, br", "br,gzip"),
            ("gzip;q=0.5, br", "br;q=1.0, GZIP"),
            ("x-gzip", "gzip"),
            ("gzip, identity", "gzip"),
            ("gzip, deflate;q=0", "gzip"),
            ("", "identity"),
        ] {
            assert!(same(Reading::Encodings, one, other), "{one} | {other}");
        }
        for (one, other) in [
            ("gzip", "br"),
            ("gzip", "gzip, br"),
            ("gzip", "gzip, identity;q=0"),
            ("*", "*, gzip;q=0"),
            ("gzip", "gzip, *;q=0"),
            ("gzip", "unknown"),
            ("", "*"),
        ] {
            assert!(!same(Reading::Encodings, one, other), "{one} | {other}");
        }
    }

    #[test]
    fn rfc9110_12_5_4_languages_are_ordered_by_weight() {
        for (one, other) in [
            ("en, de", "de, en"),
            ("en, de", "eN, De"),
            ("en, de", " en ,   de"),
            ("de;q=0.5, en", "en;q=1.000,de;q=0.50"),
        ] {
            assert!(same(Reading::Languages, one, other), "{one} | {other}");
        }
        for (one, other) in [("en, de;q=0.9", "de, en;q=0.9"), ("de", "de-AT"), ("de", "de, en;q=0")] {
            assert!(!same(Reading::Languages, one, other), "{one} | {other}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_compared_as_it_is() {
        for value in ["gzip;q=2", "gzip;q=0.1234", "gzip;level=1;q=1", "gzip;q"] {
            assert_eq!(
                Reading::Encodings.normalise(value.as_bytes()).as_slice(),
                value.as_bytes()
            );
        }
    }

    #[test]
    fn the_favourite_language() {
        let favourite =
            |value: &str| favourite_language(value.as_bytes()).map(|tag| String::from_utf8_lossy(&tag).into_owned());
        assert_eq!(favourite("fr;q=0.5, de;q=1.0").as_deref(), Some("de"));
        assert_eq!(favourite("DE-at, de;q=0.9").as_deref(), Some("de-at"));
        for none in ["en, de", "", "*", "de;q=0", "de;q=x"] {
            assert_eq!(favourite(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            for reading in [Reading::Opaque, Reading::Set, Reading::Encodings, Reading::Languages] {
                let once = reading.normalise(&bytes);
                if reading == Reading::Opaque {
                    prop_assert_eq!(reading.normalise(&once), once);
                }
            }
            let _ = favourite_language(&bytes);
        }
    }
}
