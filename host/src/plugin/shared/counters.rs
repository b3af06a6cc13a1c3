//! Rate limits by the generic cell rate algorithm, exact under concurrency.
//!
//! A key's whole state is its theoretical arrival time (TAT): the moment when it would have its full burst again. A request of
//! cost `c` moves it `c` intervals further, and is allowed while it stays within `burst` intervals from now. A key whose TAT
//! has passed is in the state of a key that was never seen, so forgetting it loses nothing.
//!
//! Keys are spread over shards, each behind a lock of its own; a call over several limits locks all its shards in one order
//! and so is all or nothing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use ahash::RandomState;
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use crate::telemetry::Probe;

/// Bytes that an entry is reckoned to take, for the operator's limit on all spaces together.
pub const ENTRY_BYTES: u64 = 96;
/// Longer keys are kept by their digest.
const KEY_BYTES: usize = 64;
/// A full shard is searched for keys to forget; this bounds how long that takes.
const SHARD_ENTRIES: u64 = 512;

/// A bounded set of keys that are counted.
pub struct Space {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    shard_capacity: usize,
    /// Spaces are locked in the order of their numbers.
    number: u64,
    /// Ends with the space.
    shown: OnceLock<Probe>,
}

/// One limit to count against.
#[derive(Clone, Copy)]
pub struct Take<'a> {
    /// Where the key is counted.
    pub space: &'a Space,
    /// Any bytes.
    pub key: &'a [u8],
    /// Nanoseconds that one request costs, at least 1.
    pub interval: u64,
    /// Requests that may come at once, at least 1.
    pub burst: u32,
    /// Requests that this one counts for; 0 only looks.
    pub cost: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether this limit allows the request.
    pub allowed: bool,
    /// Requests that could still come at once.
    pub remaining: u32,
    /// Nanoseconds until the full burst is there again.
    pub reset_after: u64,
    /// Nanoseconds until a request of this cost is allowed; 0 when allowed, `u64::MAX` when the cost is above the burst.
    pub retry_after: u64,
}

/// The outcomes of one call, in the order of its limits.
pub type Outcomes = SmallVec<[Outcome; 4]>;

/// Counts against all limits or, when one of them refuses, against none. `now` is in nanoseconds, on a clock that never goes
/// back.
#[must_use]
pub fn take(limits: &[Take<'_>], now: u64) -> Outcomes {
    let places: SmallVec<[Place; 4]> = limits.iter().map(Place::of).collect();
    let mut locked = Locked::new(limits, &places);

    let mut outcomes = Outcomes::new();
    // What each key would have as its TAT if the request were allowed.
    let mut charged: SmallVec<[u64; 4]> = SmallVec::new();
    for (limit, place) in limits.iter().zip(&places) {
        // A key that is named twice is charged twice.
        let earlier = limits.iter().zip(&places).zip(&charged).rev();
        let pending = earlier
            .into_iter()
            .find(|((other, at), _)| *at == place && other.key == limit.key);
        let tat = match pending {
            Some((_, tat)) => *tat,
            None => locked
                .shard(*place)
                .and_then(|shard| shard.tat(limit.key))
                .unwrap_or(0)
                .max(now),
        };
        let (outcome, after) = decide(limit, tat, now);
        outcomes.push(outcome);
        charged.push(after);
    }

    if outcomes.iter().all(|outcome| outcome.allowed) {
        for ((limit, place), tat) in limits.iter().zip(places).zip(charged) {
            if limit.cost > 0
                && let Some(shard) = locked.shard(place)
            {
                shard.set(limit.key, tat, now, limit.space.shard_capacity);
            }
        }
    } else {
        // Nothing was charged: a limit that would have allowed it shows what is there without the charge.
        for (outcome, limit) in outcomes.iter_mut().zip(limits).filter(|(outcome, _)| outcome.allowed) {
            let charge = u64::from(limit.cost).saturating_mul(limit.interval.max(1));
            outcome.remaining = outcome.remaining.saturating_add(limit.cost).min(limit.burst);
            outcome.reset_after = outcome.reset_after.saturating_sub(charge);
        }
    }
    outcomes
}

/// Where a key is kept: the number of its space, and the shard in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    space: u64,
    shard: usize,
}

impl Place {
    fn of(limit: &Take<'_>) -> Self {
        let hash = limit.space.hasher.hash_one(limit.key);
        // The high bits: the map takes the low ones.
        let shard = usize::try_from(hash >> 40).unwrap_or(0) & (limit.space.shards.len() - 1);
        Self {
            space: limit.space.number,
            shard,
        }
    }
}

/// The shards of one call. All calls lock in the order of places, so that no two wait for each other.
struct Locked<'a>(SmallVec<[(Place, MutexGuard<'a, Shard>); 2]>);

impl<'a> Locked<'a> {
    fn new(limits: &[Take<'a>], places: &[Place]) -> Self {
        let mut order: SmallVec<[(Place, &'a Space); 4]> = limits
            .iter()
            .zip(places)
            .map(|(limit, place)| (*place, limit.space))
            .collect();
        order.sort_unstable_by_key(|(place, _)| *place);
        order.dedup_by_key(|(place, _)| *place);
        Self(
            order
                .iter()
                .filter_map(|(place, space)| Some((*place, space.shards.get(place.shard)?.lock())))
                .collect(),
        )
    }

    fn shard(&mut self, place: Place) -> Option<&mut Shard> {
        self.0
            .iter_mut()
            .find(|(other, _)| *other == place)
            .map(|(_, shard)| &mut **shard)
    }
}

/// The outcome of one limit and the key's TAT after it was charged.
fn decide(limit: &Take<'_>, tat: u64, now: u64) -> (Outcome, u64) {
    let interval = limit.interval.max(1);
    let tolerance = interval.saturating_mul(u64::from(limit.burst));
    let after = tat.saturating_add(interval.saturating_mul(u64::from(limit.cost)));
    let needed = after - now;
    let allowed = needed <= tolerance;
    let used = if allowed { needed } else { tat - now };
    let remaining = tolerance.saturating_sub(used) / interval;
    let retry_after = match needed.saturating_sub(tolerance) {
        0 => 0,
        _ if limit.cost > limit.burst => u64::MAX,
        wait => wait,
    };
    let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
    (
        Outcome {
            allowed,
            remaining,
            reset_after: used,
            retry_after,
        },
        after,
    )
}

impl Space {
    /// A space that remembers about so many keys at most.
    #[must_use]
    pub fn new(entries: u64) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let shards = (entries / SHARD_ENTRIES).clamp(1, 65_536).next_power_of_two();
        let mean = entries.div_ceil(shards);
        // Keys do not spread evenly: an eighth over the mean keeps a shard from forgetting while others have room.
        let capacity = if shards == 1 { mean } else { mean + mean / 8 };
        let hasher = RandomState::new();
        Arc::new(Self {
            shards: (0..shards).map(|_| Mutex::new(Shard::new(hasher.clone()))).collect(),
            hasher,
            shard_capacity: usize::try_from(capacity).unwrap_or(usize::MAX).max(1),
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            shown: OnceLock::new(),
        })
    }

    /// Keeps the metric that shows the space for as long as there is one.
    pub fn shown_by(&self, probe: Probe) {
        let _ = self.shown.set(probe);
    }

    /// How many keys are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().tats.len()).sum()
    }

    /// Whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space")
            .field("shards", &self.shards.len())
            .finish_non_exhaustive()
    }
}

/// Short keys lie in the map itself, longer ones beside it.
type Key = SmallVec<[u8; 16]>;

struct Shard {
    tats: HashMap<Key, u64, RandomState>,
    /// Before this time no key has recovered: looking for one would find nothing.
    recovers: u64,
}

impl Shard {
    fn new(hasher: RandomState) -> Self {
        Self {
            tats: HashMap::with_hasher(hasher),
            recovers: u64::MAX,
        }
    }

    fn tat(&self, key: &[u8]) -> Option<u64> {
        self.tats.get(&*stored(key)).copied()
    }

    fn set(&mut self, key: &[u8], tat: u64, now: u64, capacity: usize) {
        let key = stored(key);
        if let Some(known) = self.tats.get_mut(&*key) {
            *known = tat;
        } else {
            if self.tats.len() >= capacity {
                self.forget(now, capacity);
            }
            self.tats.insert(Key::from_slice(&key), tat);
        }
        self.recovers = self.recovers.min(tat);
    }

    /// Makes room: all that have recovered; where there are none, the one that is nearest to it.
    fn forget(&mut self, now: u64, capacity: usize) {
        if self.recovers <= now {
            self.tats.retain(|_, tat| *tat > now);
            self.recovers = self.tats.values().copied().min().unwrap_or(u64::MAX);
        }
        if self.tats.len() >= capacity
            && let Some(key) = self
                .tats
                .iter()
                .min_by_key(|(_, tat)| **tat)
                .map(|(key, _)| key.clone())
        {
            self.tats.remove(&key);
        }
    }
}

/// The form in which a key is kept: itself, or its digest where it is long.
fn stored(key: &[u8]) -> Cow<'_, [u8]> {
    if key.len() <= KEY_BYTES {
        Cow::Borrowed(key)
    } else {
        Cow::Owned(blake3::hash(key).as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn one(space: &Space, key: &[u8], burst: u32, cost: u32, now: u64) -> Outcome {
        take(
            &[Take {
                space,
                key,
                interval: SECOND,
                burst,
                cost,
            }],
            now,
        )[0]
    }

    #[test]
    fn a_burst_passes_at_once_and_then_one_an_interval() {
        let space = Space::new(10);
        let now = 100 * SECOND;
        for left in [2, 1, 0] {
            let outcome = one(&space, b"k", 3, 1, now);
            let reset_after = u64::from(3 - left) * SECOND;
            assert_eq!(
                outcome,
                Outcome {
                    allowed: true,
                    remaining: left,
                    reset_after,
                    retry_after: 0
                }
            );
        }
        let refused = one(&space, b"k", 3, 1, now);
        assert_eq!(
            refused,
            Outcome {
                allowed: false,
                remaining: 0,
                reset_after: 3 * SECOND,
                retry_after: SECOND
            }
        );
        assert!(!one(&space, b"k", 3, 1, now + SECOND - 1).allowed);
        assert!(one(&space, b"k", 3, 1, now + SECOND).allowed);
        assert!(!one(&space, b"k", 3, 1, now + SECOND).allowed);
        assert_eq!(
            one(&space, b"k", 3, 1, now + 60 * SECOND).remaining,
            2,
            "recovered to the full burst, not beyond"
        );
    }

    #[test]
    fn a_cost_of_nothing_only_looks() {
        let space = Space::new(10);
        let now = SECOND;
        assert_eq!(
            one(&space, b"k", 2, 0, now),
            Outcome {
                allowed: true,
                remaining: 2,
                reset_after: 0,
                retry_after: 0
            }
        );
        assert!(space.is_empty());
        assert!(one(&space, b"k", 2, 2, now).allowed);
        assert_eq!(one(&space, b"k", 2, 0, now).remaining, 0);
    }

    #[test]
    fn a_cost_above_the_burst_is_never_allowed() {
        let space = Space::new(10);
        let outcome = one(&space, b"k", 2, 3, SECOND);
        assert_eq!(
            (outcome.allowed, outcome.remaining, outcome.retry_after),
            (false, 2, u64::MAX)
        );
    }

    #[test]
    fn numbers_at_their_ends_do_not_overflow() {
        let space = Space::new(10);
        let limit = Take {
            space: &space,
            key: b"k",
            interval: u64::MAX,
            burst: u32::MAX,
            cost: u32::MAX,
        };
        for now in [0, SECOND, u64::MAX] {
            let _ = take(&[limit, limit], now);
        }
        let zero = Take {
            interval: 0,
            burst: 0,
            cost: 1,
            key: b"z",
            ..limit
        };
        assert!(!take(&[zero], SECOND)[0].allowed);
    }

    #[test]
    fn one_refusal_charges_none() {
        let (loose, strict) = (Space::new(10), Space::new(10));
        let both = |now| {
            let interval = SECOND;
            take(
                &[
                    Take {
                        space: &loose,
                        key: b"a",
                        interval,
                        burst: 10,
                        cost: 1,
                    },
                    Take {
                        space: &strict,
                        key: b"b",
                        interval,
                        burst: 1,
                        cost: 1,
                    },
                ],
                now,
            )
        };
        let first = both(SECOND);
        assert!(first.iter().all(|outcome| outcome.allowed));
        let second = both(SECOND);
        assert_eq!(
            (second[0].allowed, second[0].remaining, second[0].reset_after),
            (true, 9, SECOND)
        );
        assert!(!second[1].allowed);
        assert_eq!(one(&loose, b"a", 10, 0, SECOND).remaining, 9);
    }

    #[test]
    fn a_key_that_is_named_twice_is_charged_twice() {
        let space = Space::new(10);
        let limit = Take {
            space: &space,
            key: b"k",
            interval: SECOND,
            burst: 3,
            cost: 1,
        };
        let outcomes = take(&[limit, limit], SECOND);
        assert_eq!((outcomes[0].remaining, outcomes[1].remaining), (2, 1));
        assert!(!take(&[limit, limit], SECOND)[1].allowed);
        assert!(one(&space, b"k", 3, 1, SECOND).allowed);
    }

    #[test]
    fn a_full_space_forgets_what_has_recovered_first() {
        let space = Space::new(4);
        for (key, cost) in [(b"a", 1), (b"b", 50), (b"c", 2), (b"d", 50)] {
            assert!(one(&space, key, 50, cost, SECOND).allowed);
        }
        let now = SECOND + 10 * SECOND;
        assert!(one(&space, b"e", 50, 50, now).allowed);
        assert_eq!(space.len(), 3, "a and c had recovered");
        assert!(!one(&space, b"b", 50, 50, now).allowed);
        assert!(one(&space, b"f", 50, 50, now).allowed);
        assert!(one(&space, b"g", 50, 50, now).allowed);
        assert_eq!(space.len(), 4, "b or d, the nearest to recovery, made room");
        for key in [b"e", b"f", b"g"] {
            assert!(!one(&space, key, 50, 50, now).allowed);
        }
    }

    #[test]
    fn long_keys_are_told_apart() {
        let space = Space::new(10);
        let (left, right) = ([b'x'; 1000], [b'y'; 1000]);
        assert!(one(&space, &left, 1, 1, SECOND).allowed);
        assert!(one(&space, &right, 1, 1, SECOND).allowed);
        assert!(!one(&space, &left, 1, 1, SECOND).allowed);
    }

    #[test]
    fn totals_are_exact_under_concurrency() {
        const THREADS: u32 = 8;
        const EACH: u32 = 2_000;
        const BURST: u32 = 5_000;
        let (space, other) = (Space::new(100_000), Space::new(100_000));
        let allowed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (space, other, allowed) = (&space, &other, &allowed);
                scope.spawn(move || {
                    for count in 0..EACH {
                        let shared = Take {
                            space,
                            key: b"shared",
                            interval: SECOND,
                            burst: BURST,
                            cost: 1,
                        };
                        let own = format!("{thread}-{count}");
                        let own = Take {
                            space: other,
                            key: own.as_bytes(),
                            interval: SECOND,
                            burst: 1,
                            cost: 1,
                        };
                        // In both orders, so that a lock order that depends on it would stop here.
                        let limits = if thread % 2 == 0 { [shared, own] } else { [own, shared] };
                        if take(&limits, SECOND).iter().all(|outcome| outcome.allowed) {
                            allowed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(allowed.into_inner(), BURST as usize);
        assert_eq!(other.len(), BURST as usize, "a refused request charges nothing");
    }
}
