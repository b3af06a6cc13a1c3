//! The table of fields that a decoder keeps: the static one (RFC 7541 appendix A) and what the peer added to it.

use std::collections::VecDeque;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};

/// A field as a header block tells it.
#[derive(Debug, Clone)]
pub enum Field {
    /// A pseudo-header field (RFC 9113 §8.3), with what it says.
    Pseudo(Pseudo, Bytes),
    /// Any other field that may stand in a message.
    Regular(HeaderName, HeaderValue),
    /// One that makes its message malformed: a name in upper case, an unknown pseudo-header, a value with control bytes.
    /// Its size counts all the same, as its place in the table does.
    Malformed,
}

/// Which pseudo-header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pseudo {
    /// `:authority`
    Authority,
    /// `:method`
    Method,
    /// `:path`
    Path,
    /// `:protocol` (RFC 8441)
    Protocol,
    /// `:scheme`
    Scheme,
    /// `:status`
    Status,
}

impl Pseudo {
    /// The pseudo-header of this name.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b":authority" => Self::Authority,
            b":method" => Self::Method,
            b":path" => Self::Path,
            b":protocol" => Self::Protocol,
            b":scheme" => Self::Scheme,
            b":status" => Self::Status,
            _ => return None,
        })
    }
}

/// The name of a field whose value follows as a literal.
#[derive(Debug, Clone)]
pub(super) enum Name {
    Pseudo(Pseudo),
    Regular(HeaderName),
    Malformed,
}

/// The size of a field in a table or a list: name, value and 32 (RFC 7541 §4.1).
pub(super) fn size(name: usize, value: usize) -> usize {
    name + value + 32
}

/// What was added, newest first; indexes of the whole address space (RFC 7541 §2.3.3).
#[derive(Debug)]
pub(super) struct Table {
    entries: VecDeque<Entry>,
    size: usize,
    most: usize,
}

#[derive(Debug)]
struct Entry {
    field: Field,
    name: Name,
    name_length: usize,
    size: usize,
}

/// A name that was looked up, and its length.
pub(super) type Named = (Name, usize);

impl Table {
    pub(super) fn new(most: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            most,
        }
    }

    /// The field at an index and its size.
    pub(super) fn field(&self, index: usize) -> Option<(Field, usize)> {
        if let Some((name, value)) = STATIC.get(index.checked_sub(1)?) {
            let size = size(name.len(), value.len());
            let field = match name {
                StaticName::Pseudo(pseudo, _) => Field::Pseudo(*pseudo, Bytes::from_static(value.as_bytes())),
                StaticName::Regular(name) => Field::Regular(name.clone(), HeaderValue::from_static(value)),
            };
            return Some((field, size));
        }
        let entry = self.entries.get(index - 1 - STATIC.len())?;
        Some((entry.field.clone(), entry.size))
    }

    /// The name at an index.
    pub(super) fn name(&self, index: usize) -> Option<Named> {
        if let Some((name, _)) = STATIC.get(index.checked_sub(1)?) {
            let length = name.len();
            return Some(match name {
                StaticName::Pseudo(pseudo, _) => (Name::Pseudo(*pseudo), length),
                StaticName::Regular(name) => (Name::Regular(name.clone()), length),
            });
        }
        let entry = self.entries.get(index - 1 - STATIC.len())?;
        Some((entry.name.clone(), entry.name_length))
    }

    /// Adds a field; one that is larger than the table empties it (RFC 7541 §4.4).
    pub(super) fn insert(&mut self, field: Field, (name, name_length): Named, size: usize) {
        self.evict(self.most.saturating_sub(size));
        if size <= self.most {
            self.size += size;
            self.entries.push_front(Entry {
                field,
                name,
                name_length,
                size,
            });
        }
    }

    pub(super) fn resize(&mut self, most: usize) {
        self.most = most;
        self.evict(most);
    }

    fn evict(&mut self, room: usize) {
        while self.size > room {
            let Some(oldest) = self.entries.pop_back() else { break };
            self.size -= oldest.size;
        }
    }
}

enum StaticName {
    Pseudo(Pseudo, usize),
    Regular(HeaderName),
}

impl StaticName {
    fn len(&self) -> usize {
        match self {
            Self::Pseudo(_, length) => *length,
            Self::Regular(name) => name.as_str().len(),
        }
    }
}

const fn pseudo(pseudo: Pseudo, name: &str) -> StaticName {
    StaticName::Pseudo(pseudo, name.len())
}

const fn regular(name: HeaderName) -> StaticName {
    StaticName::Regular(name)
}

static STATIC: [(StaticName, &str); 61] = [
    (pseudo(Pseudo::Authority, ":authority"), ""),
    (pseudo(Pseudo::Method, ":method"), "GET"),
    (pseudo(Pseudo::Method, ":method"), "POST"),
    (pseudo(Pseudo::Path, ":path"), "/"),
    (pseudo(Pseudo::Path, ":path"), "/index.html"),
    (pseudo(Pseudo::Scheme, ":scheme"), "http"),
    (pseudo(Pseudo::Scheme, ":scheme"), "https"),
    (pseudo(Pseudo::Status, ":status"), "200"),
    (pseudo(Pseudo::Status, ":status"), "204"),
    (pseudo(Pseudo::Status, ":status"), "206"),
    (pseudo(Pseudo::Status, ":status"), "304"),
    (pseudo(Pseudo::Status, ":status"), "400"),
    (pseudo(Pseudo::Status, ":status"), "404"),
    (pseudo(Pseudo::Status, ":status"), "500"),
    (regular(header::ACCEPT_CHARSET), ""),
    (regular(header::ACCEPT_ENCODING), "gzip, deflate"),
    (regular(header::ACCEPT_LANGUAGE), ""),
    (regular(header::ACCEPT_RANGES), ""),
    (regular(header::ACCEPT), ""),
    (regular(header::ACCESS_CONTROL_ALLOW_ORIGIN), ""),
    (regular(header::AGE), ""),
    (regular(header::ALLOW), ""),
    (regular(header::AUTHORIZATION), ""),
    (regular(header::CACHE_CONTROL), ""),
    (regular(header::CONTENT_DISPOSITION), ""),
    (regular(header::CONTENT_ENCODING), ""),
    (regular(header::CONTENT_LANGUAGE), ""),
    (regular(header::CONTENT_LENGTH), ""),
    (regular(header::CONTENT_LOCATION), ""),
    (regular(header::CONTENT_RANGE), ""),
    (regular(header::CONTENT_TYPE), ""),
    (regular(header::COOKIE), ""),
    (regular(header::DATE), ""),
    (regular(header::ETAG), ""),
    (regular(header::EXPECT), ""),
    (regular(header::EXPIRES), ""),
    (regular(header::FROM), ""),
    (regular(header::HOST), ""),
    (regular(header::IF_MATCH), ""),
    (regular(header::IF_MODIFIED_SINCE), ""),
    (regular(header::IF_NONE_MATCH), ""),
    (regular(header::IF_RANGE), ""),
    (regular(header::IF_UNMODIFIED_SINCE), ""),
    (regular(header::LAST_MODIFIED), ""),
    (regular(header::LINK), ""),
    (regular(header::LOCATION), ""),
    (regular(header::MAX_FORWARDS), ""),
    (regular(header::PROXY_AUTHENTICATE), ""),
    (regular(header::PROXY_AUTHORIZATION), ""),
    (regular(header::RANGE), ""),
    (regular(header::REFERER), ""),
    (regular(header::REFRESH), ""),
    (regular(header::RETRY_AFTER), ""),
    (regular(header::SERVER), ""),
    (regular(header::SET_COOKIE), ""),
    (regular(header::STRICT_TRANSPORT_SECURITY), ""),
    (regular(header::TRANSFER_ENCODING), ""),
    (regular(header::USER_AGENT), ""),
    (regular(header::VARY), ""),
    (regular(header::VIA), ""),
    (regular(header::WWW_AUTHENTICATE), ""),
];

/// The index of a name in the static table, for whoever writes blocks.
pub(super) fn static_index(name: &[u8]) -> Option<u8> {
    Some(match name {
        b"accept-ranges" => 18,
        b"accept" => 19,
        b"accept-charset" => 15,
        b"accept-encoding" => 16,
        b"accept-language" => 17,
        b"access-control-allow-origin" => 20,
        b"age" => 21,
        b"allow" => 22,
        b"authorization" => 23,
        b"cache-control" => 24,
        b"content-disposition" => 25,
        b"content-encoding" => 26,
        b"content-language" => 27,
        b"content-length" => 28,
        b"content-location" => 29,
        b"content-range" => 30,
        b"content-type" => 31,
        b"cookie" => 32,
        b"date" => 33,
        b"etag" => 34,
        b"expires" => 36,
        b"from" => 37,
        b"if-match" => 39,
        b"if-modified-since" => 40,
        b"if-none-match" => 41,
        b"if-range" => 42,
        b"if-unmodified-since" => 43,
        b"last-modified" => 44,
        b"link" => 45,
        b"location" => 46,
        b"max-forwards" => 47,
        b"range" => 50,
        b"referer" => 51,
        b"refresh" => 52,
        b"retry-after" => 53,
        b"server" => 54,
        b"set-cookie" => 55,
        b"strict-transport-security" => 56,
        b"user-agent" => 58,
        b"vary" => 59,
        b"via" => 60,
        b"www-authenticate" => 61,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_two_lists_of_static_names_agree() {
        for (at, (name, _)) in STATIC.iter().enumerate() {
            if let StaticName::Regular(name) = name
                && let Some(index) = static_index(name.as_str().as_bytes())
            {
                assert_eq!(usize::from(index), at + 1, "{name}");
            }
        }
    }

    #[test]
    fn the_oldest_fields_make_room() {
        let mut table = Table::new(100);
        for number in 0..3_u8 {
            let name = (Name::Malformed, 4);
            table.insert(Field::Pseudo(Pseudo::Path, Bytes::from(vec![number])), name, 40);
        }
        let path = |index| match table.field(index) {
            Some((Field::Pseudo(_, value), 40)) => Some(value[0]),
            _ => None,
        };
        assert_eq!([path(62), path(63), path(64)], [Some(2), Some(1), None]);
        assert!(table.field(0).is_none());
    }
}
