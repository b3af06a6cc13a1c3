//! Where a component's memory comes from. An exchange takes and returns dozens of small pieces, and what they cost is where they
//! lie: in gaps that `configure` left all over its memory, each would be another page, and another page of every instance that
//! differs from the snapshot which all of them begin with.
//!
//! So there are two times. Until [`settle`], while the plugin is configured, memory comes from a general allocator. What was
//! allocated then stays where it is for good. From then on small pieces are cut off fresh memory, one after the other, and a
//! piece that is returned is the next one of its size to be given.
//!
//! The feature `allocator`, which is on by default, makes this the component's allocator; without it, a plugin can have its own.

#![cfg_attr(not(all(target_arch = "wasm32", feature = "allocator")), allow(dead_code))]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;

/// Sizes of small pieces are rounded up to a multiple of this, in bytes; it is also how they are aligned.
const STEP: usize = 16;

/// The largest small piece, in bytes.
const LARGEST: usize = 1024;

const CLASSES: usize = LARGEST / STEP;

/// How much is taken at a time to cut small pieces off, in bytes.
const CHUNK: usize = 32 << 10;

/// The end of the early time: what is allocated from now on is what exchanges use, and lies together. What was allocated before
/// stays where it is, also when it is dropped.
///
/// It happens by itself after `configure`. A plugin that builds something large there, and drops much on the way, can call it in
/// between and make a copy of what exchanges will look at: the copy lies together. Natively there is nothing to do.
pub fn settle() {
    #[cfg(all(target_arch = "wasm32", feature = "allocator"))]
    component::settle();
}

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod component {
    use talc::wasm::{WasmDynamicTalc, new_wasm_dynamic_allocator};

    use super::Allocator;

    /// Bytes of a page of linear memory (WebAssembly core specification, 4.2.8).
    const PAGE: usize = 64 << 10;

    #[global_allocator]
    static ALLOCATOR: Allocator<WasmDynamicTalc> =
        Allocator::new(new_wasm_dynamic_allocator(), new_wasm_dynamic_allocator());

    // SAFETY: without threads, which Weir's engine does not have (and talc does not compile with), nothing is shared.
    unsafe impl Sync for Allocator<WasmDynamicTalc> {}

    pub(super) fn settle() {
        // Whatever is claimed later lies behind the memory that there is now.
        ALLOCATOR.settle(core::arch::wasm32::memory_size::<0>() * PAGE);
    }
}

/// Two allocators, one for each time, and the small pieces of the later one.
struct Allocator<A> {
    early: A,
    late: A,
    /// Everything early lies below this address, everything later does not. [`UNSETTLED`] in the early time.
    border: Cell<usize>,
    /// For each size the pieces that were returned, the last one first.
    returned: [Cell<*mut Piece>; CLASSES],
    /// What is left of the memory that small pieces are cut off.
    rest: Cell<*mut u8>,
    left: Cell<usize>,
}

const UNSETTLED: usize = usize::MAX;

/// What stands in a piece that was returned.
struct Piece {
    next: *mut Piece,
}

/// Which allocator a piece of memory comes from, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Early,
    /// Small pieces of this class.
    Small(usize),
    Large,
}

impl<A> Allocator<A> {
    const fn new(early: A, late: A) -> Self {
        Self {
            early,
            late,
            border: Cell::new(UNSETTLED),
            returned: [const { Cell::new(ptr::null_mut()) }; CLASSES],
            rest: Cell::new(ptr::null_mut()),
            left: Cell::new(0),
        }
    }

    /// Ends the early time, once.
    fn settle(&self, border: usize) {
        if self.is_early() {
            self.border.set(border);
        }
    }

    fn is_early(&self) -> bool {
        self.border.get() == UNSETTLED
    }

    /// Where memory of this layout would come from now.
    fn source_of(&self, layout: Layout) -> Source {
        if self.is_early() {
            return Source::Early;
        }
        match layout.size().wrapping_sub(1) / STEP {
            class if class < CLASSES && layout.align() <= STEP => Source::Small(class),
            _ => Source::Large,
        }
    }

    /// Where memory at an address came from.
    fn source_at(&self, address: *mut u8, layout: Layout) -> Source {
        if address.addr() < self.border.get() {
            Source::Early
        } else {
            self.source_of(layout)
        }
    }
}

impl<A: GlobalAlloc> Allocator<A> {
    /// A small piece that nobody had before.
    fn cut(&self, class: usize) -> *mut u8 {
        let size = (class + 1) * STEP;
        if self.left.get() < size {
            // SAFETY: STEP is a power of two, and CHUNK is a multiple of it and far from overflowing.
            let layout = unsafe { Layout::from_size_align_unchecked(CHUNK, STEP) };
            // SAFETY: the layout's size is not zero.
            let chunk = unsafe { self.late.alloc(layout) };
            if chunk.is_null() {
                return chunk;
            }
            self.rest.set(chunk);
            self.left.set(CHUNK);
        }
        let piece = self.rest.get();
        // SAFETY: at least `size` bytes of the chunk are left, so this is inside of it or just behind it.
        self.rest.set(unsafe { piece.add(size) });
        self.left.set(self.left.get() - size);
        piece
    }
}

// SAFETY: `early` and `late` are allocators, and what each gave goes back to it or to nobody: early memory by its address, and
// later memory by its layout, which is the same when it is returned. A chunk is never returned, its pieces do not overlap, and a
// piece is as large and as aligned as its class says, for every layout of that class.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Allocator<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.source_of(layout) {
            // SAFETY: the caller's promise about the layout is passed on.
            Source::Early => unsafe { self.early.alloc(layout) },
            // SAFETY: as above.
            Source::Large => unsafe { self.late.alloc(layout) },
            Source::Small(class) => {
                let Some(returned) = self.returned.get(class) else {
                    return ptr::null_mut();
                };
                let piece = returned.get();
                if piece.is_null() {
                    return self.cut(class);
                }
                // SAFETY: `dealloc` wrote it there, and nobody has had the piece since.
                returned.set(unsafe { (*piece).next });
                piece.cast()
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        match self.source_at(address, layout) {
            // SAFETY: it came from there, as its address says, with this layout, as the caller promises.
            Source::Early if self.is_early() => unsafe { self.early.dealloc(address, layout) },
            Source::Early => {}
            // SAFETY: it came from there, as its layout says.
            Source::Large => unsafe { self.late.dealloc(address, layout) },
            Source::Small(class) => {
                if let Some(returned) = self.returned.get(class) {
                    let piece: *mut Piece = address.cast();
                    // SAFETY: nobody has the piece any more, and it is aligned to STEP and at least as large.
                    unsafe { piece.write(Piece { next: returned.get() }) };
                    returned.set(piece);
                }
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, address: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size, rounded up to the alignment, does not overflow.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (self.source_at(address, layout), self.source_of(wanted)) {
            // SAFETY: it came from there, with this layout.
            (Source::Early, Source::Early) => unsafe { self.early.realloc(address, layout, size) },
            // SAFETY: as above.
            (Source::Large, Source::Large) => unsafe { self.late.realloc(address, layout, size) },
            (Source::Small(before), Source::Small(after)) if before == after => address,
            _ => {
                // SAFETY: the caller's promise about the size is passed on.
                let moved = unsafe { self.alloc(wanted) };
                if !moved.is_null() {
                    // SAFETY: both are at least as long as the shorter one, and they are not the same memory.
                    unsafe { ptr::copy_nonoverlapping(address, moved, layout.size().min(size)) };
                    // SAFETY: the caller gives it up.
                    unsafe { self.dealloc(address, layout) };
                }
                moved
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Gives one piece after the other of one block of memory, and counts what comes back.
    struct Block {
        next: Cell<*mut u8>,
        end: *mut u8,
        returned: Cell<usize>,
    }

    // SAFETY: pieces are aligned, do not overlap, and are never given twice.
    unsafe impl GlobalAlloc for Block {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let start = self.next.get().map_addr(|at| at.next_multiple_of(layout.align()));
            if start.addr() + layout.size() > self.end.addr() {
                return ptr::null_mut();
            }
            self.next.set(start.map_addr(|at| at + layout.size()));
            start
        }

        unsafe fn dealloc(&self, _address: *mut u8, _layout: Layout) {
            self.returned.set(self.returned.get() + 1);
        }
    }

    const HALF: usize = 8 << 20;

    /// An allocator over two halves of a block, and the address between them.
    fn halves(memory: &mut [u8]) -> (Allocator<Block>, usize) {
        let (early, late) = memory.split_at_mut(HALF);
        let border = late.as_ptr().addr();
        let block = |half: &mut [u8]| {
            let range = half.as_mut_ptr_range();
            Block {
                next: Cell::new(range.start),
                end: range.end,
                returned: Cell::new(0),
            }
        };
        (Allocator::new(block(early), block(late)), border)
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// A piece that somebody has, full of one byte.
    struct Held {
        address: *mut u8,
        layout: Layout,
        filling: u8,
    }

    impl Held {
        fn fill(&self) {
            // SAFETY: the piece is as long as its layout says.
            unsafe { self.address.write_bytes(self.filling, self.layout.size()) };
        }

        fn assert_untouched(&self, length: usize) {
            // SAFETY: as above, and it was filled.
            let bytes = unsafe { std::slice::from_raw_parts(self.address, length) };
            assert!(bytes.iter().all(|byte| *byte == self.filling), "{:?}", self.layout);
            assert_eq!(self.address.addr() % self.layout.align(), 0);
        }
    }

    /// Small, reproducible numbers without a dependency (xorshift, Marsaglia 2003).
    fn numbers() -> impl FnMut(usize) -> usize {
        let mut state = 0x9e37_79b9_u64;
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        }
    }

    #[test]
    fn nobody_gets_what_somebody_else_has() {
        let mut memory = vec![0; 2 * HALF];
        let (allocator, border) = halves(&mut memory);
        let mut number = numbers();
        let mut held: Vec<Held> = Vec::new();
        for step in 0..40_000 {
            if step == 2_000 {
                allocator.settle(border);
            }
            let size = if number(8) == 0 { number(4000) } else { number(200) } + 1;
            let filling = step as u8;
            match number(3) {
                0 => {
                    let layout = layout(size, 1 << number(6));
                    // SAFETY: the size is not zero.
                    let address = unsafe { allocator.alloc(layout) };
                    if address.is_null() {
                        continue;
                    }
                    held.push(Held {
                        address,
                        layout,
                        filling,
                    });
                    held.last().unwrap().fill();
                }
                1 if !held.is_empty() => {
                    let at = number(held.len());
                    let gone = held.swap_remove(at);
                    gone.assert_untouched(gone.layout.size());
                    // SAFETY: it was given with this layout.
                    unsafe { allocator.dealloc(gone.address, gone.layout) };
                }
                _ if !held.is_empty() => {
                    let at = number(held.len());
                    let old = &held[at];
                    // SAFETY: it was given with this layout, and the size is not zero.
                    let address = unsafe { allocator.realloc(old.address, old.layout, size) };
                    if address.is_null() {
                        continue;
                    }
                    let mut moved = Held {
                        address,
                        layout: layout(size, old.layout.align()),
                        filling: old.filling,
                    };
                    moved.assert_untouched(old.layout.size().min(size));
                    moved.filling = filling;
                    moved.fill();
                    held[at] = moved;
                }
                _ => {}
            }
        }
        for piece in &held {
            piece.assert_untouched(piece.layout.size());
        }
    }

    #[test]
    fn a_returned_piece_is_the_next_one_of_its_size() {
        let mut memory = vec![0; 2 * HALF];
        let (allocator, border) = halves(&mut memory);
        allocator.settle(border);
        // SAFETY: sizes are not zero, and each is returned as it was given.
        unsafe {
            let first = allocator.alloc(layout(40, 8));
            let second = allocator.alloc(layout(48, 8));
            assert_eq!(second.addr() - first.addr(), 48);
            allocator.dealloc(first, layout(40, 8));
            assert_eq!(allocator.alloc(layout(33, 1)), first);
            assert_eq!(allocator.realloc(first, layout(33, 1), 48), first);
        }
    }

    #[test]
    fn what_is_early_stays_where_it_is() {
        let mut memory = vec![0; 2 * HALF];
        let (allocator, border) = halves(&mut memory);
        // SAFETY: sizes are not zero, and each is returned as it was given.
        unsafe {
            let early = allocator.alloc(layout(100, 8));
            assert!(early.addr() < border);
            allocator.settle(border);
            allocator.settle(0);
            let late = allocator.alloc(layout(100, 8));
            assert!(late.addr() >= border);
            allocator.dealloc(early, layout(100, 8));
            assert_eq!(allocator.early.returned.get(), 0);
            assert_ne!(allocator.alloc(layout(100, 8)), early);
        }
    }
}
