//! Buffers between uses.
//!
//! Most connections of a busy edge are idle, and a buffer that an idle connection keeps is memory that does nothing: ten thousand of
//! them would hold a hundred megabytes. So a connection that waits gives its buffers back, and takes one when something arrives.
//! Each thread has its own, and taking and giving is a push and a pop.

use std::cell::RefCell;

use bytes::BytesMut;

/// Buffers that a thread keeps.
const KEPT: usize = 64;
/// Larger ones are freed.
const LARGEST: usize = 64 * 1024;

thread_local! {
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer, with some capacity where one is to be had without allocating.
#[must_use]
pub fn take() -> BytesMut {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Gives a buffer back; what is in it is gone.
pub fn give(mut buffer: BytesMut) {
    buffer.clear();
    give_empty([&mut buffer]);
}

/// Gives back those of somebody's buffers that are empty, and leaves them without memory.
pub fn give_empty<const N: usize>(buffers: [&mut BytesMut; N]) {
    SPARE.with_borrow_mut(|spare| {
        for buffer in buffers {
            if !buffer.is_empty() || buffer.capacity() == 0 {
                continue;
            }
            let buffer = std::mem::take(buffer);
            if spare.len() < KEPT && buffer.capacity() <= LARGEST {
                spare.push(buffer);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_and_comes_empty() {
        give(BytesMut::from(&b"used"[..]));
        let again = take();
        assert!(again.is_empty() && again.capacity() >= 4);
        assert_eq!(take().capacity(), 0);
        give(BytesMut::with_capacity(LARGEST + 1));
        assert_eq!(take().capacity(), 0);
    }
}
