//! `@ipMatch 10.0.0.0/8,2001:db8::/32,192.0.2.1`: the value is an address in one of the networks.

use std::net::IpAddr;

use super::Test;
use crate::seclang::Files;

pub(super) fn build(argument: &str, _files: &dyn Files) -> Result<Test, String> {
    Networks::of(argument.split(',')).map(Test::Networks)
}

/// Networks as IPv6 prefixes; IPv4 ones are mapped (RFC 4291 §2.5.5.2).
#[derive(Debug, Clone)]
pub struct Networks(Vec<Network>);

#[derive(Debug, Clone)]
struct Network {
    bits: u128,
    mask: u128,
}

impl Networks {
    pub(super) fn of<'a>(networks: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        networks
            .map(|text| Network::parse(text.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether the value is an address in one of them.
    pub(super) fn contain(&self, value: &[u8]) -> bool {
        let Some(address) = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()) else {
            return false;
        };
        let bits = to_bits(address);
        self.0.iter().any(|network| bits & network.mask == network.bits)
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not an address or a network such as 10.0.0.0/8 or 2001:db8::/32");
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(width);
        if length > width {
            return Err(wrong());
        }
        let mask = u128::MAX.checked_shl(width - length).unwrap_or(0);
        Ok(Self {
            bits: to_bits(address) & mask,
            mask,
        })
    }
}

fn to_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}
