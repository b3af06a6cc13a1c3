//! Whether the page cache has a part of a file, found out without waiting for the disk.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;

/// One byte in so many is asked for: about what the kernel reads ahead at once, and so what comes and goes together.
const STEP: usize = 256 * 1024;

/// Whether bytes of a file can be read without waiting. It is a guess for what lies between the bytes that are asked for, and
/// says no where the file system cannot tell.
pub(super) fn is_cached(file: &File, range: Range<u64>) -> bool {
    let Some(last) = range.end.checked_sub(1) else {
        return true;
    };
    range.step_by(STEP).chain([last]).all(|offset| has_byte(file, offset))
}

fn has_byte(file: &File, offset: u64) -> bool {
    let Ok(offset) = libc::off_t::try_from(offset) else {
        return false;
    };
    let mut byte = 0_u8;
    let slice = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    // SAFETY: the descriptor is open for the call, and `slice` names one byte that is valid for writing and outlives it.
    let read = unsafe { libc::preadv2(file.as_raw_fd(), &raw const slice, 1, offset, libc::RWF_NOWAIT) };
    read == 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_beyond_the_end_of_a_file_is_not_there() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 1000]).unwrap();
        assert!(!is_cached(&file, 0..2000));
        assert!(is_cached(&file, 5..5));
    }
}
