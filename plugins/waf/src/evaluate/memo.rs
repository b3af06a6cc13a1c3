//! What was found out about values that come again: names and values of headers, methods, protocols and cookies are the same in
//! request after request. A value has two buckets in which it may be, and pushes out one that was not asked for lately. Buckets
//! lead to places, which are given in the order in which they are needed: the few values that a site sees all the time lie
//! together. Values are compared byte by byte, so a memo never answers for another value.

use crate::bytes::same;

/// How many values are kept, a power of two.
const BUCKETS: usize = 512;

/// Longer values are not kept, in bytes: they hardly come again.
pub(super) const LONGEST: usize = 256;

/// Sets of tests by values and the class of readers that look at them.
#[derive(Debug, Default)]
pub(super) struct Memo {
    /// The place of each bucket, counted from 1; 0 where it has none yet.
    buckets: Vec<u16>,
    places: Vec<Place>,
    /// One a place.
    sets: Vec<u64>,
    words: usize,
    writes: u32,
}

#[derive(Debug, Default)]
struct Place {
    hash: u64,
    class: u32,
    /// When it was written. A [`Ticket`] for what stood here before is void.
    written: u32,
    use_: Use,
    value: Vec<u8>,
}

/// Whether a place was asked for since another value looked for room in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Use {
    #[default]
    Idle,
    Recent,
}

/// Where a value stands, as long as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    place: u32,
    written: u32,
}

impl Memo {
    /// Knows nothing. Sets have so many words.
    pub(super) fn of_words(words: usize) -> Self {
        Self {
            words,
            ..Self::default()
        }
    }

    /// Forgets everything. Sets have so many words from now on.
    pub(super) fn reset(&mut self, words: usize) {
        self.buckets.clear();
        self.places.clear();
        self.sets.clear();
        self.words = words;
    }

    /// What is known about a value.
    pub(super) fn find(&mut self, class: u32, value: &[u8]) -> Option<(Ticket, &[u64])> {
        let hash = hash(class, value);
        let known = |place: &Place| place.hash == hash && place.class == class && same(&place.value, value);
        let at = ways(hash)
            .into_iter()
            .filter_map(|bucket| self.place_of(bucket))
            .find(|at| self.places.get(*at).is_some_and(known))?;
        let place = self.places.get_mut(at)?;
        place.use_ = Use::Recent;
        let ticket = Ticket {
            place: at as u32,
            written: place.written,
        };
        Some((ticket, self.sets.get(at * self.words..(at + 1) * self.words)?))
    }

    /// Keeps what is known about a value that is not kept yet; not of a long one.
    pub(super) fn keep(&mut self, class: u32, value: &[u8], set: &[u64]) -> Option<Ticket> {
        if value.len() > LONGEST {
            return None;
        }
        if self.buckets.is_empty() {
            self.buckets.resize(BUCKETS, 0);
        }
        let hash = hash(class, value);
        let [first, second] = ways(hash);
        let idle = |bucket| self.use_of(bucket) == Use::Idle;
        let bucket = if !idle(first) && idle(second) { second } else { first };
        for way in [first, second] {
            if let Some(place) = self.place_of(way).and_then(|at| self.places.get_mut(at)) {
                place.use_ = Use::Idle;
            }
        }
        // After four billion writes a ticket of long ago could be taken for a new one; tickets live for one transaction.
        self.writes = self.writes.wrapping_add(1);
        let at = match self.place_of(bucket) {
            Some(at) => at,
            None => self.new_place(bucket)?,
        };
        let place = self.places.get_mut(at)?;
        place.hash = hash;
        place.class = class;
        place.written = self.writes;
        place.value.clear();
        place.value.extend_from_slice(value);
        self.sets
            .get_mut(at * self.words..(at + 1) * self.words)?
            .copy_from_slice(set.get(..self.words)?);
        Some(Ticket {
            place: at as u32,
            written: self.writes,
        })
    }

    fn place_of(&self, bucket: usize) -> Option<usize> {
        usize::from(*self.buckets.get(bucket)?).checked_sub(1)
    }

    fn use_of(&self, bucket: usize) -> Use {
        let place = self.place_of(bucket).and_then(|at| self.places.get(at));
        place.map_or(Use::Idle, |place| place.use_)
    }

    fn new_place(&mut self, bucket: usize) -> Option<usize> {
        let at = self.places.len();
        *self.buckets.get_mut(bucket)? = u16::try_from(at + 1).ok()?;
        self.places.push(Place::default());
        self.sets.resize((at + 1) * self.words, 0);
        Some(at)
    }

    /// Takes a test away from what is known about a value, where that is still kept.
    pub(super) fn clear(&mut self, ticket: Ticket, question: usize) {
        let at = ticket.place as usize;
        if self.places.get(at).is_some_and(|place| place.written == ticket.written)
            && let Some(word) = self.sets.get_mut(at * self.words + question / 64)
        {
            *word &= !(1 << (question % 64));
        }
    }
}

/// The two buckets in which a value may be.
fn ways(hash: u64) -> [usize; 2] {
    [hash as usize % BUCKETS, (hash >> 32) as usize % BUCKETS]
}

/// Eight bytes at a time. Whoever chooses values to meet in one place pushes his own out.
fn hash(class: u32, value: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER);
    let (words, rest) = value.as_chunks::<8>();
    let mut last = [0; 8];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    let start = mix(u64::from(class), value.len() as u64);
    let hash = words
        .iter()
        .fold(start, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let hash = mix(hash, u64::from_le_bytes(last));
    hash ^ hash >> 29
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn memo() -> Memo {
        let mut memo = Memo::default();
        memo.reset(2);
        memo
    }

    #[test]
    fn a_value_is_known_by_its_bytes_and_its_class() {
        let mut memo = memo();
        assert!(memo.find(1, b"Mozilla").is_none());
        memo.keep(1, b"Mozilla", &[5, 6]);
        assert_eq!(memo.find(1, b"Mozilla").unwrap().1, [5, 6]);
        assert!(memo.find(1, b"mozilla").is_none());
        assert!(memo.find(2, b"Mozilla").is_none());
        memo.keep(1, b"", &[7, 8]);
        assert_eq!(memo.find(1, b"").unwrap().1, [7, 8]);
    }

    #[test]
    fn a_ticket_is_void_once_another_value_stands_there() {
        let mut memo = memo();
        let ticket = memo.keep(1, b"value", &[u64::MAX, u64::MAX]).unwrap();
        memo.clear(ticket, 64);
        assert_eq!(memo.find(1, b"value").unwrap().1, [u64::MAX, u64::MAX - 1]);
        for number in 0..10 * BUCKETS {
            memo.keep(1, number.to_string().as_bytes(), &[3, 3]);
        }
        memo.clear(ticket, 0);
        let kept: Vec<_> = (0..10 * BUCKETS)
            .filter_map(|number| Some(memo.find(1, number.to_string().as_bytes())?.1.to_vec()))
            .collect();
        assert!(kept.len() > BUCKETS / 2 && kept.len() <= BUCKETS, "{}", kept.len());
        assert!(kept.iter().all(|set| set == &[3, 3]));
    }

    #[test]
    fn what_is_asked_for_stays() {
        let mut memo = memo();
        memo.keep(1, b"often", &[1, 1]);
        let mut lost = 0;
        for number in 0..4 * BUCKETS {
            if memo.find(1, b"often").is_none() {
                lost += 1;
                memo.keep(1, b"often", &[1, 1]);
            }
            memo.keep(1, number.to_string().as_bytes(), &[2, 2]);
        }
        assert!(lost < 4, "{lost}");
        memo.keep(1, &[b'a'; LONGEST + 1], &[1, 1]);
        assert!(memo.find(1, &[b'a'; LONGEST + 1]).is_none());
    }
}
