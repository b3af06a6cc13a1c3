//! One stored response in one file.
//!
//! ```text
//! magic 8 · head length u32 · body length u64 · identity u64 · checksum of these and the head u64   = 36 bytes
//! since when it is stale by decree, in seconds u64 · checksum of that and the identity u64            = 16 bytes
//! head (opaque here: key, fields, times)
//! body
//! checksums of the body, one u64 a block of 256 KiB
//! ```
//!
//! All numbers are little-endian, all checksums the first eight bytes of BLAKE3. A file is written under another name and
//! renamed when it is complete, so what has its final name is whole unless the disk or a power failure damaged it: head and blocks
//! are checked whenever they are read. Only the second line is ever written again (a soft purge), in one go; while the response is
//! not stale by decree it is all zeroes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::Damaged;

/// What one checksum is for.
pub(super) const BLOCK: u64 = 256 * 1024;

const MAGIC: [u8; 8] = *b"weirobj2";
/// Bytes of the lengths and their checksum.
const PREFIX: usize = 36;
/// Bytes of the mark behind them.
const MARK: usize = 16;
/// Bytes before the head.
const HEAD_AT: usize = PREFIX + MARK;
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
        body_at(self.head)
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

/// Where a body begins behind a head of this length.
pub(super) fn body_at(head: u32) -> u64 {
    HEAD_AT as u64 + u64::from(head)
}

fn blocks(body: u64) -> u64 {
    body.div_ceil(BLOCK)
}

/// What a file begins with.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) prefix: Prefix,
    /// Since when the response is stale by decree, in seconds since the epoch.
    pub(super) expired: Option<u64>,
    /// As it was given to be written, and zeroes where it had more room than it needed.
    pub(super) head: Vec<u8>,
}

/// The mark of a response that is stale by decree since then; all zeroes are no mark.
fn mark(identity: u64, expired: u64) -> [u8; MARK] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&identity.to_le_bytes());
    hasher.update(&expired.to_le_bytes());
    let mut bytes = [0; MARK];
    let (since, sum) = bytes.split_at_mut(MARK / 2);
    since.copy_from_slice(&expired.to_le_bytes());
    sum.copy_from_slice(&first_eight(&hasher.finalize()).to_le_bytes());
    bytes
}

fn unmark(bytes: [u8; MARK], identity: u64) -> Result<Option<u64>, Damaged> {
    if bytes == [0; MARK] {
        return Ok(None);
    }
    let expired = u64::from_le_bytes(take(&mut &bytes[..])?);
    if mark(identity, expired) == bytes {
        Ok(Some(expired))
    } else {
        Err(Damaged)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Damaged> {
    let (taken, after) = rest.split_first_chunk::<N>().ok_or(Damaged)?;
    *rest = after;
    Ok(*taken)
}

pub(super) fn first_eight(hash: &blake3::Hash) -> u64 {
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
    let start = start(prefix, head);
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

/// The bytes before the body.
pub(super) fn start(prefix: &Prefix, head: &[u8]) -> Vec<u8> {
    let mut start = Vec::with_capacity(HEAD_AT + head.len());
    start.extend_from_slice(&prefix.encode());
    start.extend_from_slice(&[0; MARK]);
    start.extend_from_slice(head);
    start
}

/// Makes the response in a file stale since then, in seconds since the epoch.
pub(super) fn expire(file: &File, prefix: &Prefix, expired: u64) -> io::Result<()> {
    file.write_all_at(&mark(prefix.identity, expired), PREFIX as u64)
}

/// Reads the lengths alone.
pub(super) fn read_prefix(file: &File) -> Result<Prefix, Damaged> {
    let mut bytes = [0; PREFIX];
    file.read_exact_at(&mut bytes, 0).map_err(|_| Damaged)?;
    Prefix::decode(&bytes)
}

/// Reads and checks everything before the body.
pub(super) fn read_start(file: &File) -> Result<Start, Damaged> {
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
    let mut rest = bytes.get(PREFIX..).ok_or(Damaged)?;
    let expired = unmark(take(&mut rest)?, prefix.identity)?;
    let length = prefix.head as usize;
    let mut head = rest.get(..length.min(rest.len())).unwrap_or_default().to_vec();
    let there = head.len();
    head.resize(length, 0);
    if let Some(rest) = head.get_mut(there..).filter(|rest| !rest.is_empty()) {
        file.read_exact_at(rest, (HEAD_AT + there) as u64)
            .map_err(|_| Damaged)?;
    }
    if prefix.sum(&head) != prefix.checksum {
        return Err(Damaged);
    }
    Ok(Start { prefix, expired, head })
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
        let Start { prefix, head, .. } = read_start(file)?;
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
        expire(&whole, &read_start(&whole).unwrap().prefix, 1_700_000_000).unwrap();
        assert_eq!(read_start(&whole).unwrap().expired, Some(1_700_000_000));
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
