//! A built table as bytes: what stands in a file is what is looked up in memory, so that a file can be mapped.
//!
//! ```text
//! 8   `weirtbl1`: what it is, and the version of this form
//! ..  numbers of 8 bytes, little-endian; parts, each after its length as a number
//! 32  BLAKE3 of everything before
//! ```
//! Lookups read bytes and assume no alignment.

use std::io::{self, Write};

use bytes::Bytes;

/// Changes whenever the form does.
const MAGIC: &[u8; 8] = b"weirtbl1";

/// Writes an image.
pub(super) struct Writer<W> {
    out: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Writer<W> {
    pub(super) fn begin(out: W) -> io::Result<Self> {
        let hasher = blake3::Hasher::new();
        let mut writer = Self { out, hasher };
        writer.raw(MAGIC)?;
        Ok(writer)
    }

    pub(super) fn number(&mut self, number: u64) -> io::Result<()> {
        self.raw(&number.to_le_bytes())
    }

    pub(super) fn part(&mut self, part: &[u8]) -> io::Result<()> {
        self.number(part.len() as u64)?;
        self.raw(part)
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.write_all(self.hasher.finalize().as_bytes())
    }

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Reads an image; nothing where it does not have what is asked for.
pub(super) struct Reader {
    rest: Bytes,
}

impl Reader {
    /// Nothing when it is not an image of this version, or not as it was written.
    pub(super) fn begin(mut image: Bytes) -> Option<Self> {
        let checksum = image.split_off(image.len().checked_sub(blake3::OUT_LEN)?);
        if !image.starts_with(MAGIC) || blake3::hash(&image).as_bytes() != &*checksum {
            return None;
        }
        Some(Self {
            rest: image.split_off(MAGIC.len()),
        })
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let bytes = self.take(size_of::<u64>())?;
        Some(u64::from_le_bytes(bytes.as_ref().try_into().ok()?))
    }

    pub(super) fn part(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    /// Nothing when something is left.
    pub(super) fn finish(self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    fn take(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.rest.len()).then(|| self.rest.split_to(length))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Table;
    use super::*;
    use crate::bundle::TableKind;

    fn image(kind: TableKind, csv: &[u8]) -> Vec<u8> {
        let mut image = Vec::new();
        Table::load(kind, csv, false).unwrap().write(&mut image).unwrap();
        image
    }

    #[test]
    fn every_kind_comes_back_and_answers_the_same() {
        let exact = Table::read(image(TableKind::Exact, b"/a,1\n/b,2\n").into()).unwrap();
        assert_eq!((exact.size(), exact.lookup(b"/b")), (2, Some(&b"2"[..])));
        assert_eq!(exact.lookup(b"/c"), None);
        let prefix = Table::read(image(TableKind::Prefix, b"/,root\n/a,1\n/a/b,2\n").into()).unwrap();
        assert_eq!(prefix.longest_prefix(b"/a/x"), Some((2, &b"1"[..])));
        assert_eq!(prefix.size(), 3);
        let ip = Table::read(image(TableKind::Ip, b"10.0.0.0/8,ten\n2001:db8::/32,doc\n").into()).unwrap();
        assert_eq!(ip.lookup_ip("10.1.2.3".parse().unwrap()), Some(&b"ten"[..]));
        assert_eq!(ip.lookup_ip("2001:db8::1".parse().unwrap()), Some(&b"doc"[..]));
        assert_eq!((ip.size(), ip.lookup_ip("11.0.0.0".parse().unwrap())), (2, None));
    }

    #[test]
    fn what_is_not_whole_is_none() {
        let image = image(TableKind::Exact, b"/a,1\n/b,2\n");
        for length in 0..image.len() {
            assert!(
                Table::read(Bytes::copy_from_slice(&image[..length])).is_none(),
                "{length} bytes"
            );
        }
        for at in 0..image.len() {
            let mut damaged = image.clone();
            damaged[at] ^= 0x40;
            assert!(Table::read(damaged.into()).is_none(), "byte {at}");
        }
    }

    /// A checksum can be right and the content another's: of a later version, or of another program.
    #[test]
    fn parts_that_are_too_few_or_too_many_are_none() {
        let written = |fill: &dyn Fn(&mut Writer<&mut Vec<u8>>)| {
            let mut image = Vec::new();
            let mut writer = Writer::begin(&mut image).unwrap();
            fill(&mut writer);
            writer.finish().unwrap();
            Table::read(image.into())
        };
        assert!(written(&|_| {}).is_none());
        assert!(written(&|image| image.number(99).unwrap()).is_none());
        assert!(
            written(&|image| {
                image.number(1).unwrap();
                image.number(u64::MAX).unwrap();
            })
            .is_none()
        );
        let two_parts = |image: &mut Writer<&mut Vec<u8>>| {
            image.number(1).unwrap();
            image.part(b"").unwrap();
            image.part(b"").unwrap();
        };
        assert!(written(&two_parts).is_some(), "a table of no prefixes");
        assert!(
            written(&|image| {
                two_parts(image);
                image.number(0).unwrap();
            })
            .is_none()
        );
    }
}
