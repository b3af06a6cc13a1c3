//! Large read-only maps: loaded once from the bundle's files, shared by all workers, looked up in place.
//!
//! [`csv`] reads the file; each kind of lookup has a file of its own.

pub mod csv;
mod exact;
mod ip;
mod prefix;
pub mod redirects;
mod text;

use std::net::IpAddr;

use crate::bundle::TableKind;

use exact::Exact;
use ip::Networks;
use prefix::Prefixes;

/// A loaded table.
#[derive(Debug)]
pub enum Table {
    /// Looked up by the whole key.
    Exact(Exact),
    /// Looked up by the longest key that the given one starts with.
    Prefix(Prefixes),
    /// Looked up by the longest network that contains the address.
    Ip(Networks),
}

impl Table {
    /// Loads a table from CSV.
    ///
    /// # Errors
    /// The lines that are wrong and why, at most [`csv::PROBLEMS`] of them.
    pub fn load(kind: TableKind, content: &[u8], header: bool) -> Result<Self, Vec<csv::LineProblem>> {
        match kind {
            TableKind::Exact => csv::load(content, header, exact::Builder::default()).map(Self::Exact),
            TableKind::Prefix => csv::load(content, header, prefix::Builder::default()).map(Self::Prefix),
            TableKind::Ip => csv::load(content, header, ip::Builder::default()).map(Self::Ip),
        }
    }

    /// The number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Exact(table) => table.len() as u64,
            Self::Prefix(table) => table.len() as u64,
            Self::Ip(table) => table.len() as u64,
        }
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Exact(table) => table.bytes() as u64,
            Self::Prefix(table) => table.bytes() as u64,
            Self::Ip(table) => table.bytes() as u64,
        }
    }

    /// The value of exactly this key; nothing in a table of networks.
    #[must_use]
    pub fn lookup(&self, key: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Exact(table) => table.lookup(key),
            Self::Prefix(table) => table.lookup(key),
            Self::Ip(_) => None,
        }
    }

    /// The longest key that the given one starts with: its length and its value. Nothing but in a table of prefixes.
    #[must_use]
    pub fn longest_prefix(&self, key: &[u8]) -> Option<(usize, &[u8])> {
        match self {
            Self::Prefix(table) => table.longest_prefix(key),
            Self::Exact(_) | Self::Ip(_) => None,
        }
    }

    /// The value of the longest network that contains the address. Nothing but in a table of networks.
    #[must_use]
    pub fn lookup_ip(&self, address: IpAddr) -> Option<&[u8]> {
        match self {
            Self::Ip(table) => table.lookup(address),
            Self::Exact(_) | Self::Prefix(_) => None,
        }
    }
}
