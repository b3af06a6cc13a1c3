//! A map that knows what to forget: which of its things is the next to go.
//!
//! Least recently used is the wrong answer to a scan: a crawler that asks for every page once evicts everything that people
//! ask for all day. So what is new has to earn its place (W-TinyLFU: Einziger, Friedman, Manes, "TinyLFU: A Highly Efficient
//! Cache Admission Policy", 2017):
//!
//! - **Window**: what is new, least recently used last. About a tenth of the weight.
//! - **Probation** and **protected**: what has been admitted, and what was used again since. Four fifths of them are protected.
//! - When something has to go while the window has more than its share, its last one stands against the last one on probation:
//!   whichever was asked for more often lately stays ([`Sketch`] counts, also what is not there), and the older one on a tie.
//!
//! All operations are constant time. Places are indices into one table, linked as lists.

use hashbrown::HashTable;

use super::sketch::Sketch;

/// The window's share of the weight is one part in this many.
const WINDOW: u64 = 10;
/// So many tenths of what was admitted are protected.
const PROTECTED_TENTHS: u64 = 8;

/// The table grows by one part in this many: doubling would leave half of it empty.
const SLACK: usize = 8;

const NONE: u32 = u32::MAX;

/// Things by their hashes, with a weight each.
#[derive(Debug)]
pub(super) struct Shelf<V> {
    /// Where things are, by their hashes. Those stand in the places, and are not repeated here.
    index: HashTable<u32>,
    places: Vec<Place<V>>,
    /// The first of the places that are empty, linked by `next`.
    vacant: u32,
    window: List,
    probation: List,
    protected: List,
    sketch: Sketch,
}

#[derive(Debug)]
struct Place<V> {
    hash: u64,
    weight: u64,
    prev: u32,
    next: u32,
    segment: Segment,
    value: Option<V>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    Window,
    Probation,
    Protected,
}

/// The latest used first.
#[derive(Debug)]
struct List {
    first: u32,
    last: u32,
    weight: u64,
}

impl<V> Shelf<V> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            index: HashTable::new(),
            places: Vec::new(),
            vacant: NONE,
            window: List::EMPTY,
            probation: List::EMPTY,
            protected: List::EMPTY,
            sketch: Sketch::new(),
        }
    }

    /// Bytes that a thing takes here besides itself: its place and its entry in the index, each at the emptiest that their tables
    /// get after they have grown.
    pub(super) const OVERHEAD: usize = size_of::<Place<V>>() - size_of::<Option<V>>()
        + size_of::<Place<V>>() / SLACK
        + (size_of::<u32>() + 1) * 16 / 7
        + 4;

    /// Looks something up for use; that it was asked for counts, whether it is there or not.
    pub(super) fn get(&mut self, hash: u64) -> Option<&mut V> {
        self.sketch.count(hash);
        let at = self.find(hash)?;
        self.used(at);
        self.place_mut(at)?.value.as_mut()
    }

    /// Looks something up without using it.
    pub(super) fn peek(&self, hash: u64) -> Option<&V> {
        self.place(self.find(hash)?)?.value.as_ref()
    }

    /// The same, to be changed.
    pub(super) fn peek_mut(&mut self, hash: u64) -> Option<&mut V> {
        let at = self.find(hash)?;
        self.place_mut(at)?.value.as_mut()
    }

    /// Puts something into the window, in the place of whatever has the same hash.
    pub(super) fn put(&mut self, hash: u64, value: V, weight: u64) -> Option<V> {
        let before = self.pop(hash);
        let place = Place {
            hash,
            weight,
            prev: NONE,
            next: NONE,
            segment: Segment::Window,
            value: Some(value),
        };
        let at = match self.place_mut(self.vacant) {
            Some(vacant) => {
                let next = vacant.next;
                *vacant = place;
                std::mem::replace(&mut self.vacant, next)
            }
            None => {
                if self.places.len() == self.places.capacity() {
                    self.places.reserve_exact((self.places.len() / SLACK).max(4));
                }
                self.places.push(place);
                u32::try_from(self.places.len() - 1).unwrap_or(NONE)
            }
        };
        let places = &self.places;
        let hash_of = |at: &u32| places.get(*at as usize).map_or(0, |place| place.hash);
        self.index.insert_unique(hash, at, hash_of);
        self.sketch.fit(self.index.len());
        self.link(at, Segment::Window);
        before
    }

    /// Something weighs another amount now.
    pub(super) fn reweigh(&mut self, hash: u64, weight: u64) {
        let Some(at) = self.find(hash) else { return };
        let Some(place) = self.place_mut(at) else { return };
        let before = std::mem::replace(&mut place.weight, weight);
        let list = place.segment;
        let list = self.list(list);
        list.weight = list.weight - before + weight;
    }

    /// Takes something out.
    pub(super) fn pop(&mut self, hash: u64) -> Option<V> {
        let places = &self.places;
        let is = |at: &u32| places.get(*at as usize).is_some_and(|place| place.hash == hash);
        let (at, _) = self.index.find_entry(hash, is).ok()?.remove();
        self.unlink(at);
        let vacant = self.vacant;
        let place = self.place_mut(at)?;
        place.next = vacant;
        let value = place.value.take();
        self.vacant = at;
        value
    }

    /// Takes out what is the next to go.
    pub(super) fn evict(&mut self) -> Option<V> {
        let total = self.weight();
        // Until the admitted have their share, and after much of it was removed, all are welcome.
        while self.window.weight > 2 * (total / WINDOW) && self.window.weight > 0 {
            let at = self.window.last;
            if self.window.first == at && self.probation.last == NONE && self.protected.last == NONE {
                break;
            }
            self.unlink(at);
            self.link(at, Segment::Probation);
        }
        let candidate = self.window.last;
        let victim = if self.probation.last == NONE {
            self.protected.last
        } else {
            self.probation.last
        };
        let loser = match (self.place(candidate), self.place(victim)) {
            (Some(new), Some(old)) if self.window.weight > total / WINDOW => {
                if self.sketch.estimate(new.hash) > self.sketch.estimate(old.hash) {
                    self.unlink(candidate);
                    self.link(candidate, Segment::Probation);
                    victim
                } else {
                    candidate
                }
            }
            (_, Some(_)) => victim,
            (_, None) => candidate,
        };
        let hash = self.place(loser)?.hash;
        self.pop(hash)
    }

    /// All there is.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut V)> {
        self.places
            .iter_mut()
            .filter_map(|place| Some((place.hash, place.value.as_mut()?)))
    }

    /// The weight of all there is.
    pub(super) fn weight(&self) -> u64 {
        self.window.weight + self.probation.weight + self.protected.weight
    }

    fn find(&self, hash: u64) -> Option<u32> {
        let is = |at: &u32| self.place(*at).is_some_and(|place| place.hash == hash);
        self.index.find(hash, is).copied()
    }

    /// Moves something to where it belongs after it was used.
    fn used(&mut self, at: u32) {
        let Some(segment) = self.place(at).map(|place| place.segment) else {
            return;
        };
        let to = match segment {
            Segment::Window => Segment::Window,
            Segment::Probation | Segment::Protected => Segment::Protected,
        };
        if to == segment && self.list(to).first == at {
            return;
        }
        self.unlink(at);
        self.link(at, to);
        let most = (self.probation.weight + self.protected.weight) / 10 * PROTECTED_TENTHS;
        while self.protected.weight > most && self.protected.first != self.protected.last {
            let oldest = self.protected.last;
            self.unlink(oldest);
            self.link(oldest, Segment::Probation);
        }
    }

    fn link(&mut self, at: u32, segment: Segment) {
        let first = self.list(segment).first;
        let Some(place) = self.place_mut(at) else { return };
        place.segment = segment;
        place.prev = NONE;
        place.next = first;
        let weight = place.weight;
        if let Some(second) = self.place_mut(first) {
            second.prev = at;
        }
        let list = self.list(segment);
        list.first = at;
        list.weight += weight;
        if list.last == NONE {
            list.last = at;
        }
    }

    fn unlink(&mut self, at: u32) {
        let Some(place) = self.place(at) else { return };
        let (prev, next, segment, weight) = (place.prev, place.next, place.segment, place.weight);
        if let Some(place) = self.place_mut(prev) {
            place.next = next;
        }
        if let Some(place) = self.place_mut(next) {
            place.prev = prev;
        }
        let list = self.list(segment);
        list.weight -= weight;
        if list.first == at {
            list.first = next;
        }
        if list.last == at {
            list.last = prev;
        }
    }

    fn list(&mut self, segment: Segment) -> &mut List {
        match segment {
            Segment::Window => &mut self.window,
            Segment::Probation => &mut self.probation,
            Segment::Protected => &mut self.protected,
        }
    }

    fn place(&self, at: u32) -> Option<&Place<V>> {
        self.places.get(at as usize)
    }

    fn place_mut(&mut self, at: u32) -> Option<&mut Place<V>> {
        self.places.get_mut(at as usize)
    }
}

impl List {
    const EMPTY: Self = Self {
        first: NONE,
        last: NONE,
        weight: 0,
    };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn spread(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number << 7)
    }

    fn shelf(numbers: std::ops::Range<u64>) -> Shelf<u64> {
        let mut shelf = Shelf::new();
        for number in numbers {
            shelf.put(spread(number), number, 1);
        }
        shelf
    }

    #[test]
    fn what_is_put_is_found_until_it_is_taken() {
        let mut shelf = shelf(0..100);
        assert_eq!(shelf.put(spread(7), 700, 3), Some(7));
        assert_eq!((shelf.peek(spread(7)), shelf.weight()), (Some(&700), 102));
        shelf.reweigh(spread(7), 5);
        assert_eq!((shelf.pop(spread(7)), shelf.weight()), (Some(700), 99));
        assert_eq!(shelf.get(spread(7)), None);
        assert_eq!(shelf.get(spread(8)), Some(&mut 8));
        assert_eq!(shelf.iter_mut().count(), 99);
        let gone: Vec<_> = std::iter::from_fn(|| shelf.evict()).collect();
        assert_eq!((gone.len(), shelf.weight(), shelf.index.len()), (99, 0, 0));
        shelf.put(1, 1, 1);
        assert_eq!(shelf.places.len(), 100, "empty places are used again");
    }

    #[test]
    fn a_scan_leaves_what_is_in_use() {
        let mut shelf = shelf(0..100);
        for _ in 0..3 {
            for number in 0..80 {
                shelf.get(spread(number));
            }
        }
        for number in 1000..11_000 {
            assert!(shelf.get(spread(number)).is_none());
            shelf.put(spread(number), number, 1);
            shelf.evict();
            if number % 10 == 0 {
                for hot in 0..80 {
                    shelf.get(spread(hot));
                }
            }
        }
        let left = (0..80).filter(|number| shelf.peek(spread(*number)).is_some()).count();
        assert!(left >= 78, "{left} of 80 left");
        assert_eq!(shelf.weight(), 100);
    }

    #[test]
    fn what_is_new_and_asked_for_often_gets_in() {
        let mut shelf = shelf(0..100);
        for number in 0..100 {
            shelf.get(spread(number));
        }
        for _ in 0..5 {
            for number in 200..240 {
                if shelf.get(spread(number)).is_none() {
                    shelf.put(spread(number), number, 1);
                    shelf.evict();
                }
            }
        }
        let there = (200..240)
            .filter(|number| shelf.peek(spread(*number)).is_some())
            .count();
        assert!(there >= 36, "{there} of 40 there");
    }
}
