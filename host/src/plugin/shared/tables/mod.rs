//! Large read-only maps: loaded once from the bundle's files, shared by all workers, looked up in place.
//!
//! [`csv`] reads the file; each kind of lookup has a file of its own. A table that was built is an [`image`], and [`kept`] on disk
//! for the next start.

pub mod csv;
mod exact;
mod image;
mod ip;
pub(in crate::plugin) mod kept;
mod prefix;
pub mod redirects;
mod text;

use std::io::{self, Write};
use std::net::IpAddr;

use bytes::Bytes;

use crate::bundle::TableKind;

use exact::Exact;
use image::{Reader, Writer};
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

/// The kinds in an [`image`].
const EXACT: u64 = 0;
const PREFIX: u64 = 1;
const IP: u64 = 2;

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

    /// Writes the table in the form in which it is looked up.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        let mut image = Writer::begin(out)?;
        match self {
            Self::Exact(table) => {
                image.number(EXACT)?;
                table.write(&mut image)?;
            }
            Self::Prefix(table) => {
                image.number(PREFIX)?;
                table.write(&mut image)?;
            }
            Self::Ip(table) => {
                image.number(IP)?;
                table.write(&mut image)?;
            }
        }
        image.finish()
    }

    /// Takes what [`Self::write`] has written, without copying it. Nothing when it is damaged, or was written by a Weir that does
    /// it in another way.
    #[must_use]
    pub fn read(image: Bytes) -> Option<Self> {
        let mut image = Reader::begin(image)?;
        let table = match image.number()? {
            EXACT => Self::Exact(Exact::read(&mut image)?),
            PREFIX => Self::Prefix(Prefixes::read(&mut image)?),
            IP => Self::Ip(Networks::read(&mut image)?),
            _ => return None,
        };
        image.finish().map(|()| table)
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
