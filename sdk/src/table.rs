//! Large read-only maps that the host holds once for all instances. Capability `tables`.

use std::net::IpAddr;

use crate::host;

/// A table of the manifest, found by [`Setup::table`](crate::Setup::table).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    handle: u32,
}

impl Table {
    pub(crate) const fn new(handle: u32) -> Self {
        Self { handle }
    }

    pub(crate) const fn handle(self) -> u32 {
        self.handle
    }

    /// The number of entries.
    #[must_use]
    pub fn size(self) -> u64 {
        host::table_size(self.handle)
    }

    /// The value of exactly this key.
    #[must_use]
    pub fn lookup(self, key: &[u8]) -> Option<Vec<u8>> {
        host::table_lookup(self.handle, key)
    }

    /// The length and the value of the longest key that the given one starts with.
    #[must_use]
    pub fn longest_prefix(self, key: &[u8]) -> Option<(usize, Vec<u8>)> {
        host::table_longest_prefix(self.handle, key)
    }

    /// The value of the longest network that contains the address.
    #[must_use]
    pub fn lookup_ip(self, ip: IpAddr) -> Option<Vec<u8>> {
        host::table_lookup_ip(self.handle, ip)
    }
}
