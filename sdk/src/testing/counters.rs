//! The generic cell rate algorithm, as exact as the real one and without its concurrency.

use std::collections::HashMap;

use crate::counters::{Outcome, Take};

/// The spaces of counters that a manifest declares.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spaces {
    names: Vec<String>,
    /// When a key will have recovered completely (the algorithm's theoretical arrival time), in nanoseconds since 1970.
    recovered: HashMap<(u32, Vec<u8>), u128>,
}

impl Spaces {
    pub(crate) fn declare(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    pub(crate) fn open(&self, name: &str) -> Option<u32> {
        let index = self.names.iter().position(|known| known == name)?;
        u32::try_from(index).ok()
    }

    /// Charges every limit, or none. The error is a space that nobody declared.
    pub(crate) fn take(&mut self, limits: &[Take<'_>], now: u64) -> Result<Vec<Outcome>, u32> {
        if let Some(limit) = limits.iter().find(|limit| limit.space as usize >= self.names.len()) {
            return Err(limit.space);
        }
        let now = u128::from(now);
        let debts: Vec<Debt> = limits
            .iter()
            .map(|limit| Debt::of(limit, self.recovered_at(limit, now) - now))
            .collect();
        let everyone_allows = debts.iter().all(Debt::allowed);
        if everyone_allows {
            for (limit, debt) in limits.iter().zip(&debts) {
                self.recovered
                    .insert((limit.space, limit.key.to_vec()), now + debt.after);
            }
        }
        Ok(debts.iter().map(|debt| debt.outcome(everyone_allows)).collect())
    }

    fn recovered_at(&self, limit: &Take<'_>, now: u128) -> u128 {
        self.recovered
            .get(&(limit.space, limit.key.to_vec()))
            .copied()
            .unwrap_or(now)
            .max(now)
    }
}

/// What a key owes, in nanoseconds, before and after this request; the burst is how much it may owe.
struct Debt {
    before: u128,
    after: u128,
    most: u128,
    interval: u128,
    cost: u128,
}

impl Debt {
    fn of(limit: &Take<'_>, before: u128) -> Self {
        let interval = u128::from(limit.interval.max(1));
        let most = interval * u128::from(limit.burst.max(1));
        let cost = interval * u128::from(limit.cost);
        Self {
            before,
            after: before + cost,
            most,
            interval,
            cost,
        }
    }

    fn allowed(&self) -> bool {
        self.after <= self.most
    }

    fn outcome(&self, charged: bool) -> Outcome {
        let owed = if charged { self.after } else { self.before };
        Outcome {
            allowed: self.allowed(),
            remaining: u32::try_from(self.most.saturating_sub(owed) / self.interval).unwrap_or(u32::MAX),
            reset_after: saturated(owed),
            retry_after: match self.allowed() {
                true => 0,
                false if self.cost > self.most => u64::MAX,
                false => saturated(self.after - self.most),
            },
        }
    }
}

fn saturated(nanos: u128) -> u64 {
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn limit(key: &[u8], burst: u32, cost: u32) -> Take<'_> {
        Take {
            space: 0,
            key,
            interval: SECOND,
            burst,
            cost,
        }
    }

    fn spaces() -> Spaces {
        let mut spaces = Spaces::default();
        spaces.declare("a");
        spaces
    }

    #[test]
    fn a_burst_passes_and_the_next_one_waits_one_interval() {
        let mut spaces = spaces();
        for remaining in [2, 1, 0] {
            let outcome = spaces.take(&[limit(b"k", 3, 1)], 100).unwrap()[0];
            assert_eq!(
                (outcome.allowed, outcome.remaining, outcome.retry_after),
                (true, remaining, 0)
            );
        }
        let refused = spaces.take(&[limit(b"k", 3, 1)], 100).unwrap()[0];
        assert_eq!(
            refused,
            Outcome {
                allowed: false,
                remaining: 0,
                reset_after: 3 * SECOND,
                retry_after: SECOND
            }
        );
        assert!(!spaces.take(&[limit(b"k", 3, 1)], 99 + SECOND).unwrap()[0].allowed);
        assert!(spaces.take(&[limit(b"k", 3, 1)], 100 + SECOND).unwrap()[0].allowed);
    }

    #[test]
    fn a_refusal_charges_nobody() {
        let mut spaces = spaces();
        assert!(spaces.take(&[limit(b"tight", 1, 1)], 0).unwrap()[0].allowed);
        let outcomes = spaces.take(&[limit(b"wide", 5, 1), limit(b"tight", 1, 1)], 0).unwrap();
        assert_eq!((outcomes[0].allowed, outcomes[0].remaining), (true, 5));
        assert_eq!((outcomes[1].allowed, outcomes[1].retry_after), (false, SECOND));
        assert_eq!(spaces.take(&[limit(b"wide", 5, 0)], 0).unwrap()[0].remaining, 5);
    }

    #[test]
    fn a_cost_of_nothing_only_looks_and_one_above_the_burst_never_passes() {
        let mut spaces = spaces();
        for _ in 0..3 {
            assert_eq!(spaces.take(&[limit(b"k", 2, 0)], 0).unwrap()[0].remaining, 2);
        }
        let never = spaces.take(&[limit(b"k", 2, 3)], 0).unwrap()[0];
        assert_eq!((never.allowed, never.retry_after), (false, u64::MAX));
    }

    #[test]
    fn extreme_limits_do_not_overflow() {
        let mut spaces = spaces();
        let limit = Take {
            space: 0,
            key: b"k",
            interval: u64::MAX,
            burst: u32::MAX,
            cost: u32::MAX,
        };
        for _ in 0..3 {
            assert_eq!(spaces.take(&[limit], u64::MAX).unwrap().len(), 1);
        }
    }

    #[test]
    fn an_undeclared_space_is_named() {
        assert_eq!(
            spaces().take(
                &[Take {
                    space: 7,
                    ..limit(b"k", 1, 1)
                }],
                0
            ),
            Err(7)
        );
    }
}
