//! Tables, small and slow.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// A table of the manifest, for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestTable {
    /// Kind `exact`.
    Exact(BTreeMap<Vec<u8>, Vec<u8>>),
    /// Kind `prefix`.
    Prefix(BTreeMap<Vec<u8>, Vec<u8>>),
    /// Kind `ip`: networks as IPv6 (IPv4 mapped), their length in bits, their value.
    Ip(Vec<(u128, u32, Vec<u8>)>),
}

impl TestTable {
    /// A table of kind `exact`.
    pub fn exact<K: Into<Vec<u8>>, V: Into<Vec<u8>>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Exact(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }

    /// A table of kind `prefix`.
    pub fn prefix<K: Into<Vec<u8>>, V: Into<Vec<u8>>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Prefix(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }

    /// A table of kind `ip`.
    ///
    /// # Errors
    /// Names the first key that is neither an address nor a network.
    pub fn ip<'a, V: Into<Vec<u8>>>(entries: impl IntoIterator<Item = (&'a str, V)>) -> Result<Self, String> {
        let entries = entries.into_iter().map(|(key, value)| {
            let (network, length) = network(key).ok_or_else(|| {
                format!("{key:?} is neither an address nor a network like 192.0.2.0/24 or 2001:db8::/32")
            })?;
            Ok((network, length, value.into()))
        });
        entries.collect::<Result<_, String>>().map(Self::Ip)
    }

    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Exact(entries) | Self::Prefix(entries) => entries.len() as u64,
            Self::Ip(entries) => entries.len() as u64,
        }
    }

    pub(crate) fn lookup(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Exact(entries) | Self::Prefix(entries) => entries.get(key).cloned(),
            Self::Ip(_) => None,
        }
    }

    pub(crate) fn longest_prefix(&self, key: &[u8]) -> Option<(usize, Vec<u8>)> {
        match self {
            Self::Prefix(entries) => (0..=key.len())
                .rev()
                .find_map(|length| Some((length, entries.get(key.get(..length)?)?.clone()))),
            Self::Exact(_) | Self::Ip(_) => None,
        }
    }

    pub(crate) fn lookup_ip(&self, ip: IpAddr) -> Option<Vec<u8>> {
        match self {
            Self::Ip(entries) => {
                let ip = bits(ip);
                entries
                    .iter()
                    .filter(|(network, length, _)| ip & mask(*length) == *network)
                    .max_by_key(|(_, length, _)| *length)
                    .map(|(_, _, value)| value.clone())
            }
            Self::Exact(_) | Self::Prefix(_) => None,
        }
    }
}

fn network(key: &str) -> Option<(u128, u32)> {
    let (address, length) = match key.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
        None => (key, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (width, mapped) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
    let length = length.unwrap_or(width);
    (length <= width).then(|| (bits(address) & mask(length + mapped), length + mapped))
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn mask(length: u32) -> u128 {
    u128::MAX.checked_shl(128 - length).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_longest_network_wins_in_both_families() {
        let table = TestTable::ip([
            ("0.0.0.0/0", "any"),
            ("10.0.0.0/8", "ten"),
            ("10.1.2.3", "host"),
            ("2001:db8::/32", "six"),
        ])
        .unwrap();
        let at = |ip: &str| table.lookup_ip(ip.parse().unwrap());
        assert_eq!(at("10.1.2.3"), Some(b"host".to_vec()));
        assert_eq!(at("::ffff:10.1.2.4"), Some(b"ten".to_vec()));
        assert_eq!(at("192.0.2.1"), Some(b"any".to_vec()));
        assert_eq!(at("2001:db8::1"), Some(b"six".to_vec()));
        assert_eq!(at("2001:db9::1"), None);
    }

    #[test]
    fn a_key_that_is_no_network_is_named() {
        for key in ["10.0.0.0/33", "10.0.0/8", "x", "::/129", "10.0.0.0/-1"] {
            assert!(TestTable::ip([(key, "")]).unwrap_err().contains(key));
        }
    }

    #[test]
    fn the_longest_prefix_wins() {
        let table = TestTable::prefix([("/a", "1"), ("/a/b", "2")]);
        assert_eq!(table.longest_prefix(b"/a/b/c"), Some((4, b"2".to_vec())));
        assert_eq!(table.longest_prefix(b"/a/"), Some((2, b"1".to_vec())));
        assert_eq!(table.longest_prefix(b"/"), None);
        assert_eq!(table.lookup(b"/a"), Some(b"1".to_vec()));
    }
}
