//! Lookups by the longest network that contains an address.
//!
//! Networks are either disjoint or nested, so they cut the address space into ranges, each with one longest network. The
//! beginnings of the ranges are kept sorted; a lookup is one binary search.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use ipnet::IpNet;

use super::csv::{Build, LineProblem, PROBLEMS};
use super::image::{Reader, Writer};
use super::text::Texts;

/// A map from networks to values.
#[derive(Debug)]
pub struct Networks {
    v4: Ranges<4>,
    v6: Ranges<16>,
    values: Texts,
    len: usize,
}

/// Ranges of addresses of so many bytes, without gaps: each goes to the beginning of the next.
#[derive(Debug)]
struct Ranges<const BYTES: usize> {
    /// Addresses in network order, which compare as the addresses do.
    begins: Bytes,
    /// The value of each range, as a little-endian offset; `NOTHING` where no network contains it.
    values: Bytes,
}

const NOTHING: u32 = u32::MAX;

impl Networks {
    /// The value of the longest network that contains the address. An IPv4 address that is mapped into IPv6 is an IPv4 address.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> Option<&[u8]> {
        let value = match address.to_canonical() {
            IpAddr::V4(address) => self.v4.lookup(address.octets()),
            IpAddr::V6(address) => self.v6.lookup(address.octets()),
        };
        value.map(|offset| self.values.get(offset).0)
    }

    /// The number of networks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn bytes(&self) -> usize {
        self.values.bytes().len() + self.v4.bytes() + self.v6.bytes()
    }

    pub(super) fn write(&self, image: &mut Writer<impl Write>) -> io::Result<()> {
        image.number(self.len as u64)?;
        self.v4.write(image)?;
        self.v6.write(image)?;
        image.part(self.values.bytes())
    }

    pub(super) fn read(image: &mut Reader) -> Option<Self> {
        Some(Self {
            len: usize::try_from(image.number()?).ok()?,
            v4: Ranges::read(image)?,
            v6: Ranges::read(image)?,
            values: Texts::from_bytes(image.part()?),
        })
    }
}

impl<const BYTES: usize> Ranges<BYTES> {
    fn new(ranges: &[([u8; BYTES], u32)]) -> Self {
        let begins: Vec<[u8; BYTES]> = ranges.iter().map(|(begin, _)| *begin).collect();
        let values: Vec<[u8; 4]> = ranges.iter().map(|(_, value)| value.to_le_bytes()).collect();
        Self {
            begins: begins.into_flattened().into(),
            values: values.into_flattened().into(),
        }
    }

    fn lookup(&self, address: [u8; BYTES]) -> Option<u32> {
        let begins = self.begins.as_chunks::<BYTES>().0;
        let after = begins.partition_point(|begin| *begin <= address);
        let value = self.values.as_chunks().0.get(after.checked_sub(1)?)?;
        Some(u32::from_le_bytes(*value)).filter(|value| *value != NOTHING)
    }

    fn bytes(&self) -> usize {
        self.begins.len() + self.values.len()
    }

    fn write(&self, image: &mut Writer<impl Write>) -> io::Result<()> {
        image.part(&self.begins)?;
        image.part(&self.values)
    }

    fn read(image: &mut Reader) -> Option<Self> {
        Some(Self {
            begins: image.part()?,
            values: image.part()?,
        })
    }
}

/// Takes rows in.
#[derive(Default)]
pub(super) struct Builder {
    v4: Vec<Network<u32>>,
    v6: Vec<Network<u128>>,
    values: Texts<Vec<u8>>,
    /// Where each different value begins: there are few of them in most lists.
    known: HashMap<Vec<u8>, u32>,
}

#[derive(Debug, Clone, Copy)]
struct Network<A> {
    first: A,
    last: A,
    value: u32,
    line: u32,
}

impl Build for Builder {
    type Table = Networks;

    fn add(&mut self, key: &[u8], value: &[u8], line: u32) -> Result<(), String> {
        let network = network(key)?;
        let value = match self.known.get(value) {
            Some(offset) => *offset,
            None => {
                let offset = self.values.push(value)?;
                self.known.insert(value.to_vec(), offset);
                offset
            }
        };
        match network {
            IpNet::V4(network) => self.v4.push(Network {
                first: network.network().to_bits(),
                last: network.broadcast().to_bits(),
                value,
                line,
            }),
            IpNet::V6(network) => self.v6.push(Network {
                first: network.network().to_bits(),
                last: network.broadcast().to_bits(),
                value,
                line,
            }),
        }
        Ok(())
    }

    fn build(self) -> Result<Networks, Vec<LineProblem>> {
        let len = self.v4.len() + self.v6.len();
        let mut problems = Vec::new();
        let v4 = cut(
            self.v4,
            |address| address.checked_add(1),
            |address| Ipv4Addr::from_bits(address).into(),
            &mut problems,
        );
        let v6 = cut(
            self.v6,
            |address| address.checked_add(1),
            |address| Ipv6Addr::from_bits(address).into(),
            &mut problems,
        );
        if problems.is_empty() {
            let octets_v4 = |(begin, value)| (Ipv4Addr::from_bits(begin).octets(), value);
            let octets_v6 = |(begin, value)| (Ipv6Addr::from_bits(begin).octets(), value);
            Ok(Networks {
                v4: Ranges::new(&v4.into_iter().map(octets_v4).collect::<Vec<_>>()),
                v6: Ranges::new(&v6.into_iter().map(octets_v6).collect::<Vec<_>>()),
                values: self.values.finish(),
                len,
            })
        } else {
            Err(problems)
        }
    }
}

/// A network or a single address. Bits beyond the prefix have to be zero: what else would the writer have meant?
fn network(text: &[u8]) -> Result<IpNet, String> {
    let shown = || String::from_utf8_lossy(text);
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(format!("`{}` is not an address or a network", shown()));
    };
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => {
                return Err(format!(
                    "`{text}` is not an address or a network; write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32"
                ));
            }
        },
    };
    if network.trunc() != network {
        return Err(format!(
            "`{text}` has bits beyond its prefix; did you mean {}?",
            network.trunc()
        ));
    }
    match network {
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => Err(format!(
            "`{text}` is an IPv4 address in IPv6 form; write it as an IPv4 address"
        )),
        network => Ok(network),
    }
}

/// Cuts nested networks into ranges: where each begins, and its value.
fn cut<A: Copy + Ord>(
    mut networks: Vec<Network<A>>,
    next: impl Fn(A) -> Option<A>,
    shown: impl Fn(A) -> IpAddr,
    problems: &mut Vec<LineProblem>,
) -> Vec<(A, u32)> {
    // Outer networks before the inner ones that begin where they do.
    networks.sort_by(|left, right| {
        left.first
            .cmp(&right.first)
            .then(right.last.cmp(&left.last))
            .then(left.line.cmp(&right.line))
    });
    let mut ranges: Vec<(A, u32)> = Vec::with_capacity(networks.len() * 2);
    let mut open: Vec<Network<A>> = Vec::new();
    let mut begin = |at: A, value: u32| match ranges.last_mut() {
        Some((last, known)) if *last == at => *known = value,
        Some((_, known)) if *known == value => {}
        _ => ranges.push((at, value)),
    };
    let close = |open: &mut Vec<Network<A>>, before: Option<A>, begin: &mut dyn FnMut(A, u32)| {
        while let Some(inner) = open.last().copied()
            && before.is_none_or(|first| inner.last < first)
        {
            open.pop();
            if let Some(after) = next(inner.last) {
                begin(after, open.last().map_or(NOTHING, |outer| outer.value));
            }
        }
    };
    for network in networks {
        close(&mut open, Some(network.first), &mut begin);
        if let Some(same) = open
            .last()
            .filter(|open| open.first == network.first && open.last == network.last)
            && problems.len() < PROBLEMS
        {
            problems.push(LineProblem {
                line: u64::from(network.line),
                message: format!(
                    "the network at {} stands on line {} already",
                    shown(network.first),
                    same.line
                ),
            });
        }
        begin(network.first, network.value);
        open.push(network);
    }
    close(&mut open, None, &mut begin);
    ranges
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::Table;
    use super::*;
    use crate::bundle::TableKind;

    fn table(text: &str) -> Table {
        Table::load(TableKind::Ip, text.as_bytes(), false).unwrap()
    }

    fn look(table: &Table, address: &str) -> Option<String> {
        table
            .lookup_ip(address.parse().unwrap())
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    #[test]
    fn the_longest_network_wins() {
        let table = table(
            "10.0.0.0/8,ten\n10.1.0.0/16,sixteen\n10.1.2.3,one\n0.0.0.0/1,half\n255.255.255.255,last\n\
             2001:db8::/32,doc\n2001:db8::/48,inner\n::/0,all\n",
        );
        assert_eq!(table.size(), 8);
        for (address, value) in [
            ("10.1.2.3", Some("one")),
            ("10.1.2.4", Some("sixteen")),
            ("10.2.0.0", Some("ten")),
            ("9.255.255.255", Some("half")),
            ("11.0.0.0", Some("half")),
            ("128.0.0.0", None),
            ("255.255.255.254", None),
            ("255.255.255.255", Some("last")),
            ("::ffff:10.1.2.3", Some("one")),
            ("2001:db8::1", Some("inner")),
            ("2001:db8:1::1", Some("doc")),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("all")),
            ("::", Some("all")),
        ] {
            assert_eq!(look(&table, address).as_deref(), value, "{address}");
        }
    }

    #[test]
    fn wrong_networks_say_what_would_be_right() {
        let problems = Table::load(
            TableKind::Ip,
            b"10.0.0.1/8\nlocalhost\n10.0.0.0/33\n::ffff:1.2.3.4\n",
            false,
        )
        .unwrap_err();
        assert_eq!(problems.len(), 4);
        assert!(problems[0].message.contains("did you mean 10.0.0.0/8?"), "{problems:?}");
        let problems = Table::load(TableKind::Ip, b"10.0.0.0/8,a\n10.0.0.0/9,x\n10.0.0.0/8,b\n", false).unwrap_err();
        assert_eq!(problems[0].line, 3);
        assert!(problems[0].message.contains("line 1 already"), "{problems:?}");
    }

    proptest! {
        #[test]
        fn agrees_with_trying_every_network(
            networks in proptest::collection::btree_set((any::<u8>(), 24_u8..=32), 0..30),
            last in any::<u8>(),
        ) {
            let networks: std::collections::BTreeSet<IpNet> = networks
                .into_iter()
                .map(|(byte, bits)| IpNet::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, byte)), bits).unwrap().trunc())
                .collect();
            let text: String = networks.iter().map(|network| format!("{network},{network}\n")).collect();
            let table = table(&text);
            let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
            let expected = networks.iter().filter(|network| network.contains(&address)).max_by_key(|network| network.prefix_len());
            prop_assert_eq!(look(&table, &address.to_string()), expected.map(ToString::to_string));
        }
    }
}
