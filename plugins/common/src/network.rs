//! Addresses and CIDR blocks.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A CIDR block, or one address. IPv4 and IPv6 never contain each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `192.0.2.0/24`, `2001:db8::/32`, or an address, which is a network of one.
    ///
    /// # Errors
    /// What was found and what would be right. A block with bits set behind its prefix is refused, because it is not clear
    /// whether the block or the address was meant.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "\"{text}\" is not an address or network: write for example 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
            )
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address = IpAddr::from_str(address).map_err(|_| wrong())?;
        let width = width(address);
        let prefix = match prefix {
            Some(digits) => parse_prefix(digits)
                .filter(|prefix| *prefix <= width)
                .ok_or_else(|| format!("\"{text}\" is not a network: the prefix is a number from 0 to {width}"))?,
            None => width,
        };
        let first = first_of(address, prefix);
        if first != address {
            return Err(format!(
                "\"{text}\" has bits set behind its prefix: write {first}/{prefix} for the network, or {address} for the address"
            ));
        }
        Ok(Self { first, prefix })
    }

    /// The network that an address is in, `prefix` bits wide; a prefix wider than the address stands for the whole address.
    #[must_use]
    pub fn of(address: IpAddr, prefix: u8) -> Self {
        let prefix = prefix.min(width(address));
        Self {
            first: first_of(address, prefix),
            prefix,
        }
    }

    /// The first address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.first
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// Any number of networks, searched in logarithmic time. An IPv6 client that is a mapped IPv4 address is searched as IPv4.
#[derive(Debug, Clone, Default)]
pub struct NetworkSet {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl NetworkSet {
    /// Whether there is no network.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty()
    }

    /// The first and last addresses of what the networks cover, IPv4 before IPv6, in order and without overlap.
    pub fn ranges(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        let v4 = |&(first, last): &(u32, u32)| (Ipv4Addr::from(first).into(), Ipv4Addr::from(last).into());
        let v6 = |&(first, last): &(u128, u128)| (Ipv6Addr::from(first).into(), Ipv6Addr::from(last).into());
        self.v4.0.iter().map(v4).chain(self.v6.0.iter().map(v6))
    }

    /// Whether any of the networks contains the address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => self.v6.contains(address.to_bits()),
        }
    }
}

impl FromIterator<Network> for NetworkSet {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network.first {
                IpAddr::V4(first) => v4.push((first.to_bits(), first.to_bits() | !mask_v4(network.prefix))),
                IpAddr::V6(first) => v6.push((first.to_bits(), first.to_bits() | !mask_v6(network.prefix))),
            }
        }
        Self {
            v4: Ranges::new(v4),
            v6: Ranges::new(v6),
        }
    }
}

/// Ranges, both ends included, sorted and without overlap.
#[derive(Debug, Clone, Default)]
struct Ranges<T>(Vec<(T, T)>);

impl<T: Ord + Copy> Ranges<T> {
    fn new(mut ranges: Vec<(T, T)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(previous) if first <= previous.1 => previous.1 = previous.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        merged.shrink_to_fit();
        Self(merged)
    }

    fn contains(&self, value: T) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= value);
        after
            .checked_sub(1)
            .and_then(|index| self.0.get(index))
            .is_some_and(|(_, last)| value <= *last)
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn first_of(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & mask_v4(prefix)).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & mask_v6(prefix)).into(),
    }
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX
        .checked_shl(128_u32.saturating_sub(prefix.into()))
        .unwrap_or(0)
}

/// Digits only: `u8::from_str` would take `+8`.
fn parse_prefix(digits: &str) -> Option<u8> {
    digits
        .bytes()
        .all(|digit| digit.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn set(networks: &[&str]) -> NetworkSet {
        networks.iter().map(|text| Network::parse(text).unwrap()).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_are_read_and_shown() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("::/0", "::/0"),
            ("2001:db8::1", "2001:db8::1/128"),
        ] {
            assert_eq!(Network::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (text, expected) in [
            ("10.0.0.0/33", "the prefix is a number from 0 to 32"),
            ("2001:db8::/129", "the prefix is a number from 0 to 128"),
            ("10.0.0.0/+8", "the prefix is a number from 0 to 32"),
            ("10.0.0.0/", "the prefix is a number from 0 to 32"),
            (
                "10.0.0.1/8",
                "write 10.0.0.0/8 for the network, or 10.0.0.1 for the address",
            ),
            ("localhost", "is not an address or network"),
            ("10.0.0/8", "is not an address or network"),
            ("", "is not an address or network"),
        ] {
            let problem = Network::parse(text).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn a_mapped_address_is_searched_as_ipv4() {
        assert!(set(&["10.0.0.0/8"]).contains(ip("::ffff:10.1.2.3")));
    }

    #[test]
    fn all_of_ipv6_does_not_contain_ipv4() {
        assert!(!set(&["::/0"]).contains(ip("10.1.2.3")));
        assert!(set(&["::/0"]).contains(ip("2001:db8::1")));
    }

    #[test]
    fn the_network_of_an_address_keeps_the_prefix() {
        assert_eq!(
            Network::of(ip("2001:db8:1:2:3:4:5:6"), 64).first(),
            ip("2001:db8:1:2::")
        );
        assert_eq!(Network::of(ip("192.0.2.77"), 24).first(), ip("192.0.2.0"));
        assert_eq!(Network::of(ip("192.0.2.77"), 64).first(), ip("192.0.2.77"));
    }

    proptest! {
        /// The naive model: compare the leading bits one by one, network by network.
        #[test]
        fn a_set_agrees_with_the_naive_model_v4(networks in prop::collection::vec((any::<u32>(), 0u8..=32), 0..40), address: u32) {
            // Small addresses, so that blocks overlap and hit.
            let address = Ipv4Addr::from_bits(address >> 20);
            let networks: Vec<_> = networks.into_iter().map(|(bits, prefix)| Network::of(Ipv4Addr::from_bits(bits >> 20).into(), prefix)).collect();
            let naive = networks.iter().any(|network| {
                let IpAddr::V4(first) = network.first else { return false };
                (0..network.prefix).all(|bit| (first.to_bits() >> (31 - bit)) & 1 == (address.to_bits() >> (31 - bit)) & 1)
            });
            prop_assert_eq!(networks.into_iter().collect::<NetworkSet>().contains(address.into()), naive);
        }

        #[test]
        fn a_set_agrees_with_the_naive_model_v6(networks in prop::collection::vec((any::<u128>(), 0u8..=128), 0..40), address: u128) {
            // Shifted, so that blocks overlap and hit; a high bit, so that none is a mapped IPv4 address.
            let spread = |bits: u128| Ipv6Addr::from_bits((bits >> 116) | (1 << 127));
            let address = spread(address);
            let networks: Vec<_> = networks.into_iter().map(|(bits, prefix)| Network::of(spread(bits).into(), prefix)).collect();
            let naive = networks.iter().any(|network| {
                let IpAddr::V6(first) = network.first else { return false };
                (0..network.prefix).all(|bit| (first.to_bits() >> (127 - bit)) & 1 == (address.to_bits() >> (127 - bit)) & 1)
            });
            prop_assert_eq!(networks.into_iter().collect::<NetworkSet>().contains(address.into()), naive);
        }

        #[test]
        fn parsing_never_panics(text in "[0-9a-f.:/+-]{0,30}") {
            let _ = Network::parse(&text);
        }

        #[test]
        fn what_is_shown_is_read_back(bits: u128, prefix in 0u8..=128) {
            let network = Network::of(Ipv6Addr::from_bits(bits).into(), prefix);
            prop_assert_eq!(Network::parse(&network.to_string()), Ok(network));
        }
    }
}
