//! What an allocation really takes: allocators have sizes, and give the next larger one.

/// Bytes that the allocator sets aside for this many, as mimalloc does: four sizes between a power of two and the next, and
/// whole pages for what is large.
pub(super) const fn allocated(bytes: usize) -> usize {
    const SMALL: usize = 64;
    const LARGE: usize = 16 * 1024;
    const PAGE: usize = 4096;
    if bytes <= SMALL {
        bytes.next_multiple_of(16)
    } else if bytes <= LARGE {
        bytes.next_multiple_of(1 << ((bytes - 1).ilog2() - 2))
    } else {
        bytes.next_multiple_of(PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_allocator() {
        for (asked, given) in [
            (0, 0),
            (1, 16),
            (64, 64),
            (65, 80),
            (128, 128),
            (129, 160),
            (4096, 4096),
            (4097, 5120),
            (20_000, 20_480),
        ] {
            assert_eq!(allocated(asked), given, "{asked}");
        }
    }
}
