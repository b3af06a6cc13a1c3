//! The request fields that a stored response was chosen by (RFC 9111 §4.1).

use std::hash::Hasher;

use http::header::{CONTENT_LANGUAGE, HeaderName, VARY};
use http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;

use super::normalise::{Normal, Reading, favourite_language};

/// What a response varies on, with the values of the request that fetched it.
#[derive(Debug, Clone, Default)]
pub(super) struct Variant(Option<Box<Varied>>);

/// What is there for the few that vary.
#[derive(Debug, Clone)]
struct Varied {
    fields: Box<[Field]>,
    /// Its `Content-Language` in lower case, where it has one and varies on the client's.
    language: Option<Box<[u8]>>,
}

#[derive(Debug, Clone)]
struct Field {
    name: HeaderName,
    reading: Reading,
    /// `None` where the request did not have it.
    value: Option<Value>,
}

#[derive(Debug, Clone)]
struct Value {
    /// As it was sent: clients that send the same need no reading.
    sent: Box<[u8]>,
    normal: Box<[u8]>,
}

/// More field names than this are a mistake or an attack; such a response is not stored.
const MOST_FIELDS: usize = 16;

impl Variant {
    /// `None` for a response that varies on too much to be worth storing. `normalised` are the fields whose meaning counts,
    /// not their bytes.
    pub(super) fn new(request: &HeaderMap, response: &HeaderMap, normalised: &[HeaderName]) -> Option<Self> {
        let mut names: SmallVec<[HeaderName; 4]> = SmallVec::new();
        for list in response.get_all(VARY) {
            for name in list
                .as_bytes()
                .split(|byte| *byte == b',')
                .map(<[u8]>::trim_ascii)
                .filter(|name| !name.is_empty())
            {
                let name = HeaderName::from_bytes(name).ok()?;
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        let field = |name: HeaderName| {
            let reading = Reading::of(&name, normalised);
            let value = joined(request, &name).map(|sent| Value {
                normal: reading.normalise(&sent).into_vec().into_boxed_slice(),
                sent: sent.into_vec().into_boxed_slice(),
            });
            Field { name, reading, value }
        };
        if names.len() > MOST_FIELDS {
            return None;
        }
        if names.is_empty() {
            return Some(Self(None));
        }
        let fields: Box<[Field]> = names.into_iter().map(field).collect();
        let by_language = fields.iter().any(|field| field.reading == Reading::Languages);
        let language = response.get(CONTENT_LANGUAGE).filter(|_| by_language);
        Some(Self(Some(Box::new(Varied {
            language: language.map(|tag| tag.as_bytes().trim_ascii().to_ascii_lowercase().into_boxed_slice()),
            fields,
        }))))
    }

    fn fields(&self) -> &[Field] {
        self.0.as_ref().map_or(&[], |varied| &varied.fields)
    }

    fn language(&self) -> Option<&[u8]> {
        self.0.as_ref()?.language.as_deref()
    }

    /// Whether a request would have been answered with the same response (§4.1).
    pub(super) fn is_of(&self, request: &HeaderMap) -> bool {
        self.fields().iter().all(|field| {
            let Some(asked) = joined(request, &field.name) else {
                return field.value.is_none();
            };
            match &field.value {
                Some(stored) if *stored.sent == *asked || *stored.normal == *field.reading.normalise(&asked) => true,
                _ => field.reading == Reading::Languages && self.is_favourite(&asked),
            }
        })
    }

    /// Whether it is in the language that a client likes best: an origin that has it has no better answer.
    fn is_favourite(&self, accepted: &[u8]) -> bool {
        let language = self.language();
        language.is_some() && favourite_language(accepted).as_deref() == language
    }

    /// The fields as they were sent, from which the same variant can be made again.
    pub(super) fn asked(&self) -> HeaderMap {
        let sent = |field: &Field| {
            let value = HeaderValue::from_bytes(&field.value.as_ref()?.sent).ok()?;
            Some((field.name.clone(), value))
        };
        self.fields().iter().filter_map(sent).collect()
    }

    /// The names of the fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields().iter().map(|field| field.name.as_str())
    }

    /// A number for the values that a request has for these fields.
    pub(super) fn hash_of(&self, request: &HeaderMap, hasher: &mut impl Hasher) {
        for field in self.fields() {
            let value = joined(request, &field.name);
            hasher.write_u8(u8::from(value.is_some()));
            hasher.write(&field.reading.normalise(&value.unwrap_or_default()));
        }
    }

    /// Bytes on the heap.
    pub(super) fn size(&self) -> usize {
        let values = self.fields().iter().map(|field| {
            let value = field
                .value
                .as_ref()
                .map_or(0, |value| value.sent.len() + value.normal.len());
            field.name.as_str().len() + value
        });
        let own = self.0.as_ref().map_or(0, |_| size_of::<Varied>());
        own + size_of_val(self.fields()) + values.sum::<usize>() + self.language().map_or(0, <[u8]>::len)
    }
}

/// Two responses to requests that mean the same are one variant, however the requests were written.
impl PartialEq for Variant {
    fn eq(&self, other: &Self) -> bool {
        let normal = |field: &Field| field.value.as_ref().map(|value| value.normal.clone());
        self.fields().len() == other.fields().len()
            && self
                .fields()
                .iter()
                .zip(other.fields())
                .all(|(one, other)| one.name == other.name && normal(one) == normal(other))
    }
}

/// A field's value, its lines joined.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<Normal> {
    let mut lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let mut value = Normal::from_slice(lines.next()?);
    for line in lines {
        value.extend_from_slice(b", ");
        value.extend_from_slice(line);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::header_map;
    use super::*;
    use crate::config::CacheRules;

    fn variant(request: &[(&str, &str)], response: &[(&str, &str)]) -> Variant {
        Variant::new(
            &header_map(request),
            &header_map(response),
            &CacheRules::default().normalise,
        )
        .unwrap()
    }

    #[test]
    fn rfc9111_4_1_variants() {
        let gzip = variant(&[("accept-encoding", "gzip")], &[("vary", "Accept-Encoding")]);
        assert!(gzip.is_of(&header_map(&[("accept-encoding", "gzip"), ("accept", "x")])));
        assert!(gzip.is_of(&header_map(&[("accept-encoding", "  GZIP;q=0.9 ")])));
        assert!(!gzip.is_of(&header_map(&[("accept-encoding", "br")])));
        assert!(!gzip.is_of(&header_map(&[])));
        let none = variant(&[], &[("vary", "accept-encoding, , accept,accept-encoding")]);
        assert!(none.is_of(&header_map(&[])));
        assert!(!none.is_of(&header_map(&[("accept", "")])), "absent is not empty");
        let lines = variant(&[("accept", "a"), ("accept", "b")], &[("vary", "accept")]);
        assert!(lines.is_of(&header_map(&[("accept", "a,b")])));
        assert!(!lines.is_of(&header_map(&[("accept", "a")])));
        let nothing = variant(&[("accept", "a")], &[("vary", "")]);
        assert!(nothing.is_of(&header_map(&[])), "an empty Vary varies on nothing");
    }

    #[test]
    fn a_client_gets_its_favourite_language_whatever_else_it_accepts() {
        let german = variant(
            &[("accept-language", "en, de")],
            &[("vary", "accept-language"), ("content-language", "De")],
        );
        for (accepted, expected) in [
            ("fr;q=0.5, de", true),
            ("de, fr", false),
            ("fr, de;q=0.5", false),
            ("de-at", false),
        ] {
            assert_eq!(
                german.is_of(&header_map(&[("accept-language", accepted)])),
                expected,
                "{accepted}"
            );
        }
    }

    #[test]
    fn values_that_mean_the_same_are_one_variant() {
        let of = |value| variant(&[("accept-encoding", value)], &[("vary", "accept-encoding")]);
        assert_eq!(of("gzip, br"), of("br;q=0.9,gzip"));
        assert_ne!(of("gzip"), of("br"));
    }

    #[test]
    fn a_vary_that_is_malformed_or_too_long_is_not_stored() {
        let many = (0..=MOST_FIELDS)
            .map(|number| format!("x-{number}"))
            .collect::<Vec<_>>()
            .join(",");
        for vary in [many.as_str(), "accept encoding", "a, \"b\""] {
            let made = Variant::new(&header_map(&[]), &header_map(&[("vary", vary)]), &[]);
            assert_eq!(made, None, "{vary}");
        }
    }
}
