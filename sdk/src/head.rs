//! The head of a request or of a response in one piece, for plugins that look at all of it: one call to the host, and one copy.
//!
//! [`encode`] is the host's side of the contract's `request.head`, [`Head::decode`] the plugin's; [`encode_response`] and
//! [`ResponseHead::decode`] are those of `response.head`.

use std::net::{IpAddr, Ipv6Addr};

/// What is known of a request before its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The client's address, after trusted proxies were believed.
    pub client: IpAddr,
    /// The method, for example `GET`.
    pub method: String,
    /// `1.0`, `1.1` or `2`.
    pub version: String,
    /// The host without port, in lower case.
    pub host: String,
    /// The identifier that logs and upstreams see.
    pub id: String,
    /// The path as received, without the query.
    pub path: Vec<u8>,
    /// The query as received, without the `?`.
    pub query: Option<Vec<u8>>,
    /// All headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// Reads what [`encode`] wrote; nothing where it is something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let head = Self::read(&mut reader)?;
        reader.0.is_empty().then_some(head)
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let client = reader.take::<16>()?;
        let method = reader.text()?;
        let version = reader.text()?;
        let host = reader.text()?;
        let id = reader.text()?;
        let path = reader.bytes()?.to_vec();
        let query = reader.optional()?.map(<[u8]>::to_vec);
        let headers = reader.headers()?;
        Some(Self {
            client: Ipv6Addr::from(client).to_canonical(),
            method,
            version,
            host,
            id,
            path,
            query,
            headers,
        })
    }
}

/// A head as it came, with what is told of it besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The head; names of headers are in the case in which an HTTP/1 client wrote them.
    pub head: Head,
    /// The request target, where the client sent more than path and query: a URL, a fragment.
    pub target: Option<Vec<u8>>,
    /// Why Weir refuses the request by itself, where it does: see [`crate::Request::refused`].
    pub refused: Option<String>,
}

impl Received {
    /// Reads what [`encode`] and [`append_received`] wrote; nothing where it is something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let head = Head::read(&mut reader)?;
        let target = reader.optional()?.map(<[u8]>::to_vec);
        let refused = reader.optional()?;
        reader.0.is_empty().then(|| Self {
            head,
            target,
            refused: refused.map(|word| String::from_utf8_lossy(word).into_owned()),
        })
    }
}

/// What is known of a response before its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status.
    pub status: u16,
    /// All headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl ResponseHead {
    /// Reads what [`encode_response`] wrote; nothing where it is something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let status = u16::try_from(reader.number()?).ok()?;
        let headers = reader.headers()?;
        reader.0.is_empty().then_some(Self { status, headers })
    }
}

/// Room for so many headers is made at once; more of them make room as they come.
const MOST_AT_ONCE: usize = 256;

/// Parts of a head before it is written: as [`Head`], borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// See [`Head::client`].
    pub client: IpAddr,
    /// See [`Head::method`].
    pub method: &'a str,
    /// See [`Head::version`].
    pub version: &'a str,
    /// See [`Head::host`].
    pub host: &'a str,
    /// See [`Head::id`].
    pub id: &'a str,
    /// See [`Head::path`].
    pub path: &'a [u8],
    /// See [`Head::query`].
    pub query: Option<&'a [u8]>,
}

/// Writes a head: the address as 16 bytes, then method, version, host, identifier and path, each after its length (32 bits, the
/// lowest byte first); 0 or 1 and then the query; the number of headers, and name and value of each.
#[must_use]
pub fn encode<'a>(parts: &Parts<'_>, headers: impl ExactSizeIterator<Item = (&'a str, &'a [u8])> + Clone) -> Vec<u8> {
    let texts = [parts.method, parts.version, parts.host, parts.id];
    let fixed = 16 + 4 * 5 + 1 + 4;
    let lines = length_of(headers.clone());
    let length =
        texts.iter().map(|text| text.len()).sum::<usize>() + parts.path.len() + parts.query.map_or(0, <[u8]>::len);
    let mut out = Vec::with_capacity(fixed + length + lines);
    let address = match parts.client {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    out.extend_from_slice(&address.octets());
    for text in texts {
        write(&mut out, text.as_bytes());
    }
    write(&mut out, parts.path);
    write_optional(&mut out, parts.query);
    write_headers(&mut out, headers);
    out
}

/// Writes the head of a response: the status and the number of headers (32 bits, the lowest byte first), and name and value of
/// each, after its length.
#[must_use]
pub fn encode_response<'a>(
    status: u16,
    headers: impl ExactSizeIterator<Item = (&'a str, &'a [u8])> + Clone,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + length_of(headers.clone()));
    out.extend_from_slice(&u32::from(status).to_le_bytes());
    write_headers(&mut out, headers);
    out
}

/// What headers take when they are written, in bytes.
fn length_of<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> usize {
    4 + headers.map(|(name, value)| 8 + name.len() + value.len()).sum::<usize>()
}

fn write_headers<'a>(out: &mut Vec<u8>, headers: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>) {
    out.extend_from_slice(&(headers.len() as u32).to_le_bytes());
    for (name, value) in headers {
        write(out, name.as_bytes());
        write(out, value);
    }
}

/// Writes what [`Received`] has beyond a head, behind it.
pub fn append_received(out: &mut Vec<u8>, target: Option<&[u8]>, refused: Option<&str>) {
    write_optional(out, target);
    write_optional(out, refused.map(str::as_bytes));
}

fn write_optional(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        None => out.push(0),
        Some(text) => {
            out.push(1);
            write(out, text);
        }
    }
}

/// No part of a head is longer than the limits of heads, which are far below 4 GiB.
fn write(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.take()?)).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// The outer `None` is the end of what there is to read.
    fn optional(&mut self) -> Option<Option<&'a [u8]>> {
        match self.take::<1>()? {
            [0] => Some(None),
            _ => self.bytes().map(Some),
        }
    }

    fn headers(&mut self) -> Option<Vec<(String, Vec<u8>)>> {
        let count = self.number()?;
        let mut headers = Vec::with_capacity(count.min(MOST_AT_ONCE));
        for _ in 0..count {
            headers.push((self.text()?, self.bytes()?.to_vec()));
        }
        Some(headers)
    }

    fn text(&mut self) -> Option<String> {
        Some(String::from_utf8_lossy(self.bytes()?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(query: Option<&str>) -> Head {
        Head {
            client: IpAddr::from([192, 0, 2, 7]),
            method: "GET".to_owned(),
            version: "1.1".to_owned(),
            host: "example.org".to_owned(),
            id: "0123".to_owned(),
            path: b"/a\xff".to_vec(),
            query: query.map(|query| query.as_bytes().to_vec()),
            headers: vec![
                ("host".to_owned(), b"example.org".to_vec()),
                ("x-empty".to_owned(), Vec::new()),
                ("x-bytes".to_owned(), b"\x80\xff".to_vec()),
            ],
        }
    }

    fn encoded(head: &Head) -> Vec<u8> {
        let parts = Parts {
            client: head.client,
            method: &head.method,
            version: &head.version,
            host: &head.host,
            id: &head.id,
            path: &head.path,
            query: head.query.as_deref(),
        };
        encode(
            &parts,
            head.headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_slice())),
        )
    }

    #[test]
    fn what_is_written_is_read() {
        for query in [None, Some(""), Some("a=b&c")] {
            let mut head = head(query);
            assert_eq!(Head::decode(&encoded(&head)), Some(head.clone()));
            head.client = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]);
            head.headers.clear();
            assert_eq!(Head::decode(&encoded(&head)), Some(head));
        }
    }

    #[test]
    fn a_response_is_read_as_it_is_written() {
        let head = ResponseHead {
            status: 404,
            headers: head(None).headers,
        };
        let lines = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()));
        let whole = encode_response(head.status, lines);
        assert_eq!(whole.capacity(), whole.len());
        assert_eq!(ResponseHead::decode(&whole), Some(head));
        for length in 0..whole.len() {
            assert_eq!(ResponseHead::decode(&whole[..length]), None, "{length}");
        }
        assert_eq!(ResponseHead::decode(&[whole.as_slice(), b"x"].concat()), None);
    }

    #[test]
    fn what_is_cut_short_is_no_head() {
        let whole = encoded(&head(Some("q")));
        for length in 0..whole.len() {
            assert_eq!(Head::decode(&whole[..length]), None, "{length}");
        }
        assert_eq!(Head::decode(&[whole.as_slice(), b"x"].concat()), None);
        assert_eq!(Head::decode(&[0xff; 64]), None);
    }
}
