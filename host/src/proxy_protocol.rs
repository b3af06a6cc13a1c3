//! The PROXY protocol, versions 1 and 2: who the client of a connection is, said by the proxy in front.
//!
//! Source: "The PROXY protocol, versions 1 & 2" of HAProxy (`proxy-protocol.txt`, revision 2020/03/05), whose section numbers
//! stand below. The parser takes a header whole or refuses it, and never looks behind it: what follows belongs to the client.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt as _;

use crate::http1::stream::Socket;

/// Longest line of version 1 in bytes, with its CRLF (§2.1).
const LONGEST_LINE: usize = 107;
/// Longest header of version 2 that is taken, in bytes: room for both addresses and TLVs with a client's certificate.
pub const LONGEST: usize = 4096;
/// What a header of version 2 begins with (§2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family and protocol, and the length of the rest.
const FIXED: usize = 16;

/// What a header says of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// Nothing: the proxy speaks for itself (a health check), or cannot say. The connection's own addresses count.
    Nothing,
    /// These are the ends of the client's connection to the proxy.
    Client(Addresses),
}

/// The two ends of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The client's.
    pub source: SocketAddr,
    /// Where it connected to.
    pub destination: SocketAddr,
}

/// The form of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// How much of a header has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// All of it: what it says, and its length in bytes.
    Whole(Announced, usize),
    /// Every byte so far belongs to the header, and it needs more.
    Partial,
}

/// Why a connection does not begin with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// It begins with something else.
    Signature,
    /// A line that is too long, or not what §2.1 says.
    Line,
    /// An address that is none of its family, or a port with a leading zero.
    Address,
    /// A version, command, family or protocol that does not exist.
    Unassigned,
    /// A length that does not hold the addresses or cuts a TLV.
    Length,
    /// More than [`LONGEST`] bytes.
    TooLong,
    /// The checksum (§2.2.3) is wrong.
    Checksum,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Signature => "no PROXY header",
            Self::Line => "a malformed line",
            Self::Address => "a malformed address or port",
            Self::Unassigned => "an unassigned version, command or family",
            Self::Length => "a length that does not fit",
            Self::TooLong => "too long",
            Self::Checksum => "a wrong checksum",
        })
    }
}

impl std::error::Error for Malformed {}

/// Reads the header with which a connection begins, and no byte more.
///
/// # Errors
/// With [`io::ErrorKind::InvalidData`] when it begins with something else; otherwise when the connection broke or ended.
pub async fn read(socket: &mut Socket) -> io::Result<Announced> {
    let mut header = Vec::new();
    let mut ahead = [0; 512];
    loop {
        let had = header.len();
        let seen = socket.peek(&mut ahead).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        header.extend_from_slice(ahead.get(..seen).unwrap_or_default());
        let (announced, length) =
            match parse(&header).map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))? {
                Parsed::Whole(announced, length) => (Some(announced), length),
                Parsed::Partial => (None, header.len()),
            };
        // What belongs to the header is now taken; a part that was taken before is never followed by less.
        let taken = header.get_mut(had..length).unwrap_or_default();
        socket.read_exact(taken).await?;
        if let Some(announced) = announced {
            return Ok(announced);
        }
    }
}

/// Parses a header from the beginning of a connection.
///
/// # Errors
/// When no further byte could make a header of it.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    const LINE: &[u8] = b"PROXY ";
    if begins(bytes, SIGNATURE) {
        parse_v2(bytes)
    } else if begins(bytes, LINE) {
        parse_v1(bytes)
    } else {
        Err(Malformed::Signature)
    }
}

/// Whether what has come of a fixed beginning is right.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    bytes.iter().zip(with).all(|(byte, expected)| byte == expected)
}

fn parse_v1(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let line = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let Some(end) = line.iter().position(|byte| *byte == b'\r') else {
        let full = bytes.len() >= LONGEST_LINE;
        let foreign = line.contains(&b'\n') || line.contains(&0);
        return if full || foreign {
            Err(Malformed::Line)
        } else {
            Ok(Parsed::Partial)
        };
    };
    match line.get(end + 1) {
        Some(b'\n') => {}
        Some(_) => return Err(Malformed::Line),
        None if line.len() == LONGEST_LINE => return Err(Malformed::Line),
        None => return Ok(Parsed::Partial),
    }
    let line = line.get(..end).unwrap_or_default();
    if line.contains(&b'\n') || line.contains(&0) {
        return Err(Malformed::Line);
    }
    let whole = |announced| Ok(Parsed::Whole(announced, end + 2));
    let unknown = line.strip_prefix(b"PROXY UNKNOWN");
    if unknown.is_some_and(|rest| rest.is_empty() || rest.starts_with(b" ")) {
        // What follows the word says nothing (§2.1).
        return whole(Announced::Nothing);
    }
    let text = std::str::from_utf8(line).map_err(|_| Malformed::Line)?;
    let mut words = text.split(' ').skip(1);
    whole(Announced::Client(match words.next() {
        Some("TCP4") => v1_addresses::<Ipv4Addr>(words)?,
        Some("TCP6") => v1_addresses::<Ipv6Addr>(words)?,
        _ => return Err(Malformed::Line),
    }))
}

/// Source, destination, source port, destination port: exactly these.
fn v1_addresses<'a, A>(mut words: impl Iterator<Item = &'a str>) -> Result<Addresses, Malformed>
where
    A: std::str::FromStr + Into<IpAddr>,
{
    let mut next = || words.next().ok_or(Malformed::Line);
    let (source, destination, source_port, destination_port) = (next()?, next()?, next()?, next()?);
    if words.next().is_some() {
        return Err(Malformed::Line);
    }
    let address = |text: &str| text.parse::<A>().map(Into::into).map_err(|_| Malformed::Address);
    Ok(Addresses {
        source: SocketAddr::new(address(source)?, port(source_port)?),
        destination: SocketAddr::new(address(destination)?, port(destination_port)?),
    })
}

/// Decimal, without sign and leading zeros.
fn port(text: &str) -> Result<u16, Malformed> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain).ok_or(Malformed::Address)
}

fn parse_v2(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let Some((fixed, _)) = bytes.split_first_chunk::<FIXED>() else {
        // The version is checked as soon as it is there.
        return match bytes.get(SIGNATURE.len()) {
            Some(byte) if byte >> 4 != 2 => Err(Malformed::Unassigned),
            _ => Ok(Parsed::Partial),
        };
    };
    let [.., command, family, high, low] = *fixed;
    let whole = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if !matches!(command, 0x20 | 0x21) || family >> 4 > 3 || family & 0xf > 2 {
        return Err(Malformed::Unassigned);
    }
    if whole > LONGEST {
        return Err(Malformed::TooLong);
    }
    let Some(header) = bytes.get(..whole) else {
        return Ok(Parsed::Partial);
    };
    let rest = header.get(FIXED..).unwrap_or_default();
    let announced = match (command, family) {
        // The proxy's own connection: all that follows is to be skipped (§2.2).
        (0x20, _) | (_, 0x00) => return Ok(Parsed::Whole(Announced::Nothing, whole)),
        (_, 0x11) => {
            let (addresses, tlvs) = rest.split_first_chunk::<12>().ok_or(Malformed::Length)?;
            check_tlvs(header, tlvs)?;
            let [a, b, c, d, e, f, g, h, ports @ ..] = *addresses;
            v2_addresses([a, b, c, d].into(), [e, f, g, h].into(), ports)
        }
        (_, 0x21) => {
            let (source, rest) = rest.split_first_chunk::<16>().ok_or(Malformed::Length)?;
            let (destination, rest) = rest.split_first_chunk::<16>().ok_or(Malformed::Length)?;
            let (ports, tlvs) = rest.split_first_chunk::<4>().ok_or(Malformed::Length)?;
            check_tlvs(header, tlvs)?;
            v2_addresses((*source).into(), (*destination).into(), *ports)
        }
        // Datagrams and Unix sockets say nothing of a TCP client; they are well-formed all the same.
        (_, family) => {
            let addresses = match family >> 4 {
                0 => 0,
                1 => 12,
                2 => 36,
                _ => 216,
            };
            check_tlvs(header, rest.get(addresses..).ok_or(Malformed::Length)?)?;
            Announced::Nothing
        }
    };
    Ok(Parsed::Whole(announced, whole))
}

fn v2_addresses(source: IpAddr, destination: IpAddr, [a, b, c, d]: [u8; 4]) -> Announced {
    Announced::Client(Addresses {
        source: SocketAddr::new(source, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
    })
}

/// Walks over the TLVs, of which only the checksum counts.
fn check_tlvs(header: &[u8], mut tlvs: &[u8]) -> Result<(), Malformed> {
    const CHECKSUM: u8 = 0x03;
    while !tlvs.is_empty() {
        let (&[kind, high, low], rest) = tlvs.split_first_chunk::<3>().ok_or(Malformed::Length)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, next) = rest.split_at_checked(length).ok_or(Malformed::Length)?;
        if kind == CHECKSUM {
            let told = <[u8; 4]>::try_from(value).map_err(|_| Malformed::Length)?;
            let at = header.len() - rest.len();
            let (before, after) = header.split_at_checked(at).ok_or(Malformed::Length)?;
            // The checksum's own bytes count as zeros.
            let sum = [before, &[0; 4], after.get(4..).unwrap_or_default()];
            if crc32c(sum.into_iter().flatten()) != u32::from_be_bytes(told) {
                return Err(Malformed::Checksum);
            }
        }
        tlvs = next;
    }
    Ok(())
}

/// CRC-32C (RFC 3720 Appendix B.4), bit by bit: a header is short and comes once a connection.
fn crc32c<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let step = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 };
    !bytes.fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

/// The header for a server. Ends of different families are both written as IPv6.
#[must_use]
pub fn header(version: Version, announced: Announced) -> Vec<u8> {
    match version {
        Version::V1 => header_v1(announced),
        Version::V2 => header_v2(announced),
    }
}

fn header_v1(announced: Announced) -> Vec<u8> {
    let mut line = String::with_capacity(LONGEST_LINE);
    let _ = match announced.canonical() {
        None => write!(line, "PROXY UNKNOWN\r\n"),
        Some((source, destination, ports)) => {
            let family = if source.is_ipv4() { 4 } else { 6 };
            write!(
                line,
                "PROXY TCP{family} {source} {destination} {} {}\r\n",
                ports.0, ports.1
            )
        }
    };
    line.into_bytes()
}

fn header_v2(announced: Announced) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let Some((source, destination, ports)) = announced.canonical() else {
        header.extend_from_slice(&[0x20, 0x00, 0, 0]);
        return header;
    };
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            header.extend_from_slice(&[0x21, 0x11, 0, 12]);
            header.extend_from_slice(&source.octets());
            header.extend_from_slice(&destination.octets());
        }
        (source, destination) => {
            header.extend_from_slice(&[0x21, 0x21, 0, 36]);
            header.extend_from_slice(&as_v6(source).octets());
            header.extend_from_slice(&as_v6(destination).octets());
        }
    }
    header.extend_from_slice(&ports.0.to_be_bytes());
    header.extend_from_slice(&ports.1.to_be_bytes());
    header
}

impl Announced {
    /// Both addresses in one family, and the ports.
    fn canonical(self) -> Option<(IpAddr, IpAddr, (u16, u16))> {
        let Self::Client(Addresses { source, destination }) = self else {
            return None;
        };
        let ports = (source.port(), destination.port());
        let ends = (source.ip().to_canonical(), destination.ip().to_canonical());
        Some(match ends {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => (ends.0, ends.1, ports),
            _ => (as_v6(ends.0).into(), as_v6(ends.1).into(), ports),
        })
    }
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::*;

    fn client(source: &str, destination: &str) -> Announced {
        Announced::Client(Addresses {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        })
    }

    /// Version 2 with this command, family and rest.
    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 1, 0x30, 0x39, 0x01, 0xbb];

    #[test]
    fn lines_of_version_1() {
        for (line, announced) in [
            (
                "PROXY TCP4 192.0.2.1 198.51.100.1 12345 443\r\n",
                client("192.0.2.1:12345", "198.51.100.1:443"),
            ),
            (
                "PROXY TCP6 2001:db8::1 ::1 0 65535\r\n",
                client("[2001:db8::1]:0", "[::1]:65535"),
            ),
            ("PROXY UNKNOWN\r\n", Announced::Nothing),
            (
                "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
                Announced::Nothing,
            ),
        ] {
            let whole = Ok(Parsed::Whole(announced, line.len()));
            assert_eq!(parse(line.as_bytes()), whole, "{line:?}");
            let followed = format!("{line}GET / HTTP/1.1\r\n");
            assert_eq!(parse(followed.as_bytes()), whole, "what follows is the client's");
            for cut in 0..line.len() {
                assert_eq!(
                    parse(&line.as_bytes()[..cut]),
                    Ok(Parsed::Partial),
                    "{cut} bytes of {line:?}"
                );
            }
        }
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "GET / HTTP/1.1\r\n",
            "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rX",
            "PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n",
            "PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
            "PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY \r\n",
        ] {
            assert!(parse(line.as_bytes()).is_err(), "{line:?}");
        }
        let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
        assert_eq!(parse(&endless), Err(Malformed::Line));
    }

    #[test]
    fn headers_of_version_2() {
        let v6 = [[0x20; 16], [0x30; 16]].concat();
        let v6 = [&v6[..], &[0, 80, 1, 187]].concat();
        let unix = [b'/'; 216];
        for (header, announced) in [
            (v2(0x21, 0x11, &V4), client("192.0.2.1:12345", "198.51.100.1:443")),
            (
                v2(0x21, 0x21, &v6),
                client(
                    "[2020:2020:2020:2020:2020:2020:2020:2020]:80",
                    "[3030:3030:3030:3030:3030:3030:3030:3030]:443",
                ),
            ),
            (v2(0x21, 0x00, b"whatever"), Announced::Nothing),
            (v2(0x21, 0x12, &V4), Announced::Nothing),
            (v2(0x21, 0x31, &unix), Announced::Nothing),
            (v2(0x20, 0x00, b""), Announced::Nothing),
            (v2(0x20, 0x11, b"skipped as it is"), Announced::Nothing),
        ] {
            assert_eq!(parse(&header), Ok(Parsed::Whole(announced, header.len())));
            for cut in 0..header.len() {
                assert_eq!(parse(&header[..cut]), Ok(Parsed::Partial), "{cut} bytes");
            }
        }
    }

    #[test]
    fn other_headers_are_refused() {
        for (header, fault) in [
            (v2(0x11, 0x11, &V4), Malformed::Unassigned),
            (v2(0x22, 0x11, &V4), Malformed::Unassigned),
            (v2(0x21, 0x41, &V4), Malformed::Unassigned),
            (v2(0x21, 0x13, &V4), Malformed::Unassigned),
            (v2(0x21, 0x11, &V4[..11]), Malformed::Length),
            (v2(0x21, 0x21, &V4), Malformed::Length),
            (v2(0x21, 0x31, &V4), Malformed::Length),
            (v2(0x21, 0x11, &[&V4[..], &[4, 0]].concat()), Malformed::Length),
            (v2(0x21, 0x11, &[&V4[..], &[4, 0, 2, 0]].concat()), Malformed::Length),
            (v2(0x21, 0x11, &[0; LONGEST]), Malformed::TooLong),
        ] {
            assert_eq!(parse(&header), Err(fault));
        }
        assert_eq!(parse(b"\r\n\r\n\0\r\nQUIT\n\x31"), Err(Malformed::Unassigned));
        assert_eq!(parse(b"\r\n\r\n\0\r\nQUIT "), Err(Malformed::Signature));
    }

    #[test]
    fn tlvs_are_skipped_and_a_checksum_is_verified() {
        let mut header = v2(
            0x21,
            0x11,
            &[&V4[..], &[4, 0, 1, 9], &[3, 0, 4, 0, 0, 0, 0], &[5, 0, 0]].concat(),
        );
        assert_eq!(parse(&header), Err(Malformed::Checksum));
        let at = FIXED + V4.len() + 4 + 3;
        let sum = crc32c(header.iter()).to_be_bytes();
        header[at..at + 4].copy_from_slice(&sum);
        let announced = client("192.0.2.1:12345", "198.51.100.1:443");
        assert_eq!(parse(&header), Ok(Parsed::Whole(announced, header.len())));
    }

    #[test]
    fn the_checksum_is_the_one_of_the_rfc() {
        // RFC 3720 Appendix B.4: 32 bytes of zeros, and of ones.
        assert_eq!(crc32c([0; 32].iter()), 0x8a91_36aa);
        assert_eq!(crc32c([0xff; 32].iter()), 0x62a8_ab43);
    }

    #[test]
    fn ends_of_different_families_are_written_in_one() {
        let mixed = client("192.0.2.1:1", "[2001:db8::1]:2");
        let line = String::from_utf8(header(Version::V1, mixed)).unwrap();
        assert_eq!(line, "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n");
        let mapped = client("[::ffff:192.0.2.1]:1", "198.51.100.1:2");
        let line = String::from_utf8(header(Version::V1, mapped)).unwrap();
        assert_eq!(line, "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\n");
        let written = header(Version::V2, mixed);
        assert!(matches!(parse(&written), Ok(Parsed::Whole(_, length)) if length == written.len()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(a: [u8; 4], b: [u8; 4], x: u16, y: u16) {
            let announced = Announced::Client(Addresses { source: (a, x).into(), destination: (b, y).into() });
            for version in [Version::V1, Version::V2] {
                for said in [announced, Announced::Nothing] {
                    let written = header(version, said);
                    prop_assert_eq!(parse(&written), Ok(Parsed::Whole(said, written.len())));
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, rest: Vec<u8>) {
            for bytes in [bytes, v2(0x21, 0x11, &rest), [b"PROXY ", &rest[..]].concat()] {
                if let Ok(Parsed::Whole(_, length)) = parse(&bytes) {
                    prop_assert!(length <= bytes.len());
                }
            }
        }
    }
}
