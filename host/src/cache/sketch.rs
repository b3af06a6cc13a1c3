//! How often something was asked for lately: a count-min sketch of four-bit counters, halved now and then so that it forgets.
//!
//! Four counters a hash, all within one cache line; the estimate is the least of them. It errs upwards only.

/// Words of one block: a cache line.
const WORDS: usize = 8;
/// Hashes that share a block when the sketch is as large as it is going to be.
const PER_BLOCK: usize = 16;
/// All counters are halved after this many counts for each thing that is kept.
const MEMORY: usize = 10;
/// The least that counters are halved after, so that small caches remember something.
const LEAST: usize = 1024;

/// Counts.
#[derive(Debug)]
pub(super) struct Sketch {
    /// A power of two of them.
    blocks: Vec<[u64; WORDS]>,
    counted: usize,
    kept: usize,
}

impl Sketch {
    pub(super) fn new() -> Self {
        Self {
            blocks: vec![[0; WORDS]; 2],
            counted: 0,
            kept: 0,
        }
    }

    /// So many things are kept now: grows with them, and never shrinks.
    pub(super) fn fit(&mut self, kept: usize) {
        self.kept = kept;
        if kept > self.blocks.len() * PER_BLOCK {
            // One bit more of each hash decides, so both halves know what was counted.
            self.blocks.extend_from_within(..);
        }
    }

    /// Something was asked for.
    pub(super) fn count(&mut self, hash: u64) {
        let mut grew = false;
        let block = self.block(hash);
        if let Some(block) = self.blocks.get_mut(block) {
            for (word, shift) in counters(hash) {
                if let Some(word) = block.get_mut(word)
                    && (*word >> shift) & 15 < 15
                {
                    *word += 1 << shift;
                    grew = true;
                }
            }
        }
        self.counted += usize::from(grew);
        if self.counted >= (self.kept * MEMORY).max(LEAST) {
            self.halve();
        }
    }

    /// About how often something was asked for, at most 15.
    pub(super) fn estimate(&self, hash: u64) -> u64 {
        let Some(block) = self.blocks.get(self.block(hash)) else {
            return 0;
        };
        let counts = counters(hash).map(|(word, shift)| block.get(word).map_or(0, |word| (word >> shift) & 15));
        counts.into_iter().min().unwrap_or(0)
    }

    fn halve(&mut self) {
        for word in self.blocks.iter_mut().flatten() {
            *word = (*word >> 1) & 0x7777_7777_7777_7777;
        }
        self.counted /= 2;
    }

    fn block(&self, hash: u64) -> usize {
        // Shards are chosen by bits 32 to 37.
        (hash as usize) & (self.blocks.len() - 1)
    }
}

/// The counters of a hash: two words' worth of places, from bits that chose neither shard nor block.
fn counters(hash: u64) -> [(usize, u32); 4] {
    let mixed = hash.rotate_right(38).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    std::array::from_fn(|row| {
        let bits = mixed >> (32 + 8 * row);
        // Each row has two words of its own, so that a hash never hits one counter twice.
        (row * 2 + (bits & 1) as usize, ((bits >> 1) & 15) as u32 * 4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number << 7)
    }

    #[test]
    fn it_counts_to_fifteen_and_tells_the_frequent_from_the_rare() {
        let mut sketch = Sketch::new();
        sketch.fit(100);
        for number in 0..100 {
            for _ in 0..=number % 20 {
                sketch.count(spread(number));
            }
        }
        for number in 0..100 {
            assert!(sketch.estimate(spread(number)) >= (number % 20 + 1).min(15), "{number}");
        }
        let strangers = (1000..2000)
            .filter(|number| sketch.estimate(spread(*number)) > 5)
            .count();
        assert!(strangers < 200, "{strangers} of 1000 strangers look familiar");
    }

    #[test]
    fn it_forgets_and_remembers_while_it_grows() {
        let mut sketch = Sketch::new();
        for _ in 0..8 {
            sketch.count(spread(1));
        }
        sketch.fit(1000);
        sketch.fit(1001);
        assert_eq!(sketch.estimate(spread(1)), 8);
        sketch.halve();
        assert_eq!(sketch.estimate(spread(1)), 4);
    }
}
