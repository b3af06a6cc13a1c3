//! The process's allocator: mimalloc, asked for memory in the way in which it gives the least of it.
//!
//! Whatever mimalloc gives is aligned as C's largest type is, and hardly anything in Rust needs more. Where an alignment is asked for in so
//! many words, even such a small one, version 3 takes a slower way for most sizes, and sets aside the alignment on top of the size:
//! 320 bytes become 384. So it is asked only where it matters.

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys as mimalloc;

/// What every allocation is aligned to that is as large as this: `MI_MAX_ALIGN_SIZE`. A smaller one is aligned to its size, rounded down to
/// a power of two.
const ALIGNED: usize = 16;

/// To be declared as the `#[global_allocator]`.
#[derive(Debug, Clone, Copy)]
pub struct Mimalloc;

// SAFETY: all memory comes from mimalloc, which gives blocks of at least the size asked for, or null, keeps blocks apart, and takes back
// by `mi_free` what any of its functions gave. Blocks are aligned as the layout says: mimalloc is told the alignment, or it is one that
// `is_natural` found to come by itself.
unsafe impl GlobalAlloc for Mimalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: both take any size, and a layout's alignment is a power of two.
        unsafe {
            if is_natural(layout.size(), layout.align()) {
                mimalloc::mi_malloc(layout.size()).cast()
            } else {
                mimalloc::mi_malloc_aligned(layout.size(), layout.align()).cast()
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        unsafe {
            if is_natural(layout.size(), layout.align()) {
                mimalloc::mi_zalloc(layout.size()).cast()
            } else {
                mimalloc::mi_zalloc_aligned(layout.size(), layout.align()).cast()
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller vouches that the block came from here and was not given back.
        unsafe { mimalloc::mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as for `dealloc`; a block that stays where it is keeps its alignment, and a new one has what it is asked for.
        unsafe {
            if is_natural(size, layout.align()) {
                mimalloc::mi_realloc(block.cast(), size).cast()
            } else {
                mimalloc::mi_realloc_aligned(block.cast(), size, layout.align()).cast()
            }
        }
    }
}

/// Does without huge pages, for the process and those that it starts. To be called first, because pages that are huge stay so.
///
/// mimalloc asks for them wherever the system lets a program ask. Memory is then held in steps of 2 MiB: of what ten thousand idle
/// connections hold, a quarter is nothing but the rest of a step. What huge pages save, fewer misses of the TLB, is not to be seen in
/// what a request costs. `MIMALLOC_ALLOW_THP=1` in the environment keeps them.
pub fn forgo_huge_pages() {
    if std::env::var_os("MIMALLOC_ALLOW_THP").is_some() {
        return;
    }
    // SAFETY: a number is set in the kernel's account of this process; no memory is passed. Where the kernel cannot, nothing changes.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

/// Makes something on the heap. `Box::new` makes it on the stack and copies all of its bytes.
#[inline]
pub fn on_heap<T>(make: impl FnOnce() -> T) -> Box<T> {
    // The place comes first: what is made before it would have to be dropped if there were none, and so is kept on the stack.
    Box::write(Box::new_uninit(), make())
}

/// Whether a block of this size is aligned like this without having been asked.
const fn is_natural(size: usize, align: usize) -> bool {
    align <= ALIGNED && align <= size
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_block_is_aligned_and_keeps_its_bytes() {
        for size in (1..200).chain([1000, 1024, 1025, 4096, 4097, 7504, 100_000]) {
            for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: no size is 0, what is written and read lies within the block, and each block is given back once, with the
                // layout that it last had.
                unsafe {
                    let block = Mimalloc.alloc(layout);
                    assert!(!block.is_null() && block.addr().is_multiple_of(align), "{size} {align}");
                    block.write_bytes(7, size);
                    let grown = Mimalloc.realloc(block, layout, 3 * size);
                    assert!(!grown.is_null() && grown.addr().is_multiple_of(align), "{size} {align}");
                    assert_eq!((grown.read(), grown.add(size - 1).read()), (7, 7), "{size} {align}");
                    Mimalloc.dealloc(grown, Layout::from_size_align(3 * size, align).unwrap());
                    let zeroes = Mimalloc.alloc_zeroed(layout);
                    assert!(zeroes.addr().is_multiple_of(align), "{size} {align}");
                    assert_eq!((zeroes.read(), zeroes.add(size - 1).read()), (0, 0), "{size} {align}");
                    Mimalloc.dealloc(zeroes, layout);
                }
            }
        }
    }
}
