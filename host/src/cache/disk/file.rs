//! One stored response in one file.
//!
//! ```text
//! magic 8 · head length u32 · body length u64 · identity u64 · checksum of these and the head u64   = 36 bytes
//! head (opaque here: key, fields, times)
//! body
//! checksums of the body, one u64 a block of 256 KiB
//! ```
//!
//! All numbers are little-endian, all checksums the first eight bytes of BLAKE3. A file is written under another name and
//! renamed when it is complete, so what has its final name is whole unless the disk or a power failure damaged it: head and blocks
//! are checked whenever they are read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::Damaged;

/// What one checksum is for.
pub(super) const BLOCK: u64 = 256 * 1024;

const MAGIC: [u8; 8] = *b"weirobj1";
/// Bytes before the head.
pub(super) const PREFIX: usize = 36;
/// No head is larger: 256 lines of a server's head, its URI and its variant fit.
const MOST_HEAD: u32 = 1024 * 1024;
/// Read at once at the start of a file: most heads fit.
const FIRST_READ: usize = 4096;

/// The lengths that a file begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) head: u32,
    pub(super) body: u64,
    /// Unlike that of any other file that ever had this name.
    pub(super) identity: u64,
    checksum: u64,
}

impl Prefix {
    pub(super) fn new(head: &[u8], body: u64, identity: u64) -> Option<Self> {
        let length = u32::try_from(head.len()).ok().filter(|length| *length <= MOST_HEAD)?;
        let mut prefix = Self {
            head: length,
            body,
            identity,
            checksum: 0,
        };
        prefix.checksum = prefix.sum(head);
        Some(prefix)
    }

    pub(super) fn encode(&self) -> [u8; PREFIX] {
        let mut bytes = [0; PREFIX];
        let fields = [
            &MAGIC[..],
            &self.head.to_le_bytes(),
            &self.body.to_le_bytes(),
            &self.identity.to_le_bytes(),
            &self.checksum.to_le_bytes(),
        ];
        let mut rest = &mut bytes[..];
        for field in fields {
            let (to, after) = rest.split_at_mut(field.len());
            to.copy_from_slice(field);
            rest = after;
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut rest = bytes.strip_prefix(&MAGIC).ok_or(Damaged)?;
        let head = u32::from_le_bytes(take(&mut rest)?);
        let body = u64::from_le_bytes(take(&mut rest)?);
        let identity = u64::from_le_bytes(take(&mut rest)?);
        let checksum = u64::from_le_bytes(take(&mut rest)?);
        let prefix = Self {
            head,
            body,
            identity,
            checksum,
        };
        if head > MOST_HEAD || body > u64::MAX / 2 {
            return Err(Damaged);
        }
        Ok(prefix)
    }

    /// Where the body begins.
    pub(super) fn body_at(&self) -> u64 {
        PREFIX as u64 + u64::from(self.head)
    }

    /// The length of the whole file.
    pub(super) fn file_length(&self) -> u64 {
        self.body_at() + self.body + 8 * blocks(self.body)
    }

    fn sum(&self, head: &[u8]) -> u64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.head.to_le_bytes());
        hasher.update(&self.body.to_le_bytes());
        hasher.update(&self.identity.to_le_bytes());
        hasher.update(head);
        first_eight(&hasher.finalize())
    }
}

fn blocks(body: u64) -> u64 {
    body.div_ceil(BLOCK)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Damaged> {
    let (taken, after) = rest.split_first_chunk::<N>().ok_or(Damaged)?;
    *rest = after;
    Ok(*taken)
}

fn first_eight(hash: &blake3::Hash) -> u64 {
    let mut eight = [0; 8];
    for (to, from) in eight.iter_mut().zip(hash.as_bytes()) {
        *to = *from;
    }
    u64::from_le_bytes(eight)
}

/// The checksum of one block of a body.
pub(super) fn sum(block: &[u8]) -> u64 {
    first_eight(&blake3::hash(block))
}

/// Writes a whole object to a new file.
pub(super) fn write(file: &File, prefix: &Prefix, head: &[u8], body: &[u8]) -> io::Result<()> {
    // One write where the body is small, as most are.
    let sums: Vec<u8> = body
        .chunks(BLOCK as usize)
        .flat_map(|block| sum(block).to_le_bytes())
        .collect();
    let mut start = Vec::with_capacity(PREFIX + head.len());
    start.extend_from_slice(&prefix.encode());
    start.extend_from_slice(head);
    let mut slices = [
        io::IoSlice::new(&start),
        io::IoSlice::new(body),
        io::IoSlice::new(&sums),
    ];
    let mut slices = &mut slices[..];
    let mut file = file;
    while slices.iter().any(|slice| !slice.is_empty()) {
        let written = io::Write::write_vectored(&mut file, slices)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        io::IoSlice::advance_slices(&mut slices, written);
    }
    Ok(())
}

/// Reads the lengths alone.
pub(super) fn read_prefix(file: &File) -> Result<Prefix, Damaged> {
    let mut bytes = [0; PREFIX];
    file.read_exact_at(&mut bytes, 0).map_err(|_| Damaged)?;
    Prefix::decode(&bytes)
}

/// Reads and checks the head.
pub(super) fn read_head(file: &File) -> Result<(Prefix, Vec<u8>), Damaged> {
    let mut bytes = vec![0; FIRST_READ];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Damaged),
        }
    }
    bytes.truncate(filled);
    let prefix = Prefix::decode(&bytes)?;
    let length = prefix.head as usize;
    let mut head: Vec<u8> = bytes.into_iter().skip(PREFIX).take(length).collect();
    let there = head.len();
    head.resize(length, 0);
    if let Some(rest) = head.get_mut(there..).filter(|rest| !rest.is_empty()) {
        file.read_exact_at(rest, (PREFIX + there) as u64).map_err(|_| Damaged)?;
    }
    if prefix.sum(&head) != prefix.checksum {
        return Err(Damaged);
    }
    Ok((prefix, head))
}

/// Reads and checks one block of the body, or its last part.
pub(super) fn read_block(file: &File, prefix: &Prefix, block: u64) -> Result<Vec<u8>, Damaged> {
    let start = block
        .checked_mul(BLOCK)
        .filter(|start| *start < prefix.body)
        .ok_or(Damaged)?;
    let length = BLOCK.min(prefix.body - start);
    let mut data = vec![0; usize::try_from(length).map_err(|_| Damaged)?];
    file.read_exact_at(&mut data, prefix.body_at() + start)
        .map_err(|_| Damaged)?;
    let mut expected = [0; 8];
    let at = prefix.body_at() + prefix.body + 8 * block;
    file.read_exact_at(&mut expected, at).map_err(|_| Damaged)?;
    if sum(&data) != u64::from_le_bytes(expected) {
        return Err(Damaged);
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn written(head: &[u8], body: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        let prefix = Prefix::new(head, body.len() as u64, 7).unwrap();
        write(&file, &prefix, head, body).unwrap();
        assert_eq!(file.metadata().unwrap().len(), prefix.file_length());
        file
    }

    fn read(file: &File) -> Result<(Vec<u8>, Vec<u8>), Damaged> {
        let (prefix, head) = read_head(file)?;
        let mut body = Vec::new();
        for block in 0..blocks(prefix.body) {
            body.extend(read_block(file, &prefix, block)?);
        }
        Ok((head, body))
    }

    #[test]
    fn what_was_written_is_read() {
        let large: Vec<u8> = (0..600_000_u32).map(|number| number as u8).collect();
        for (head, body) in [(&b"head"[..], &b""[..]), (b"", b"body"), (&large[..9000], &large)] {
            assert_eq!(read(&written(head, body)).unwrap(), (head.to_vec(), body.to_vec()));
        }
    }

    #[test]
    fn a_changed_or_missing_byte_anywhere_is_found() {
        let (head, body) = (b"some head", b"and a body");
        let whole = written(head, body);
        let length = whole.metadata().unwrap().len();
        for at in 0..length {
            let mut byte = [0];
            whole.read_exact_at(&mut byte, at).unwrap();
            whole.write_all_at(&[byte[0] ^ 1], at).unwrap();
            assert!(read(&whole).is_err(), "byte {at}");
            whole.write_all_at(&byte, at).unwrap();
        }
        read(&whole).unwrap();
        for length in (0..length).rev() {
            whole.set_len(length).unwrap();
            assert!(read(&whole).is_err(), "{length} bytes");
        }
    }
}
