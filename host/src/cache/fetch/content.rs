//! What will be stored: how much room there is for it, where its body goes, and when others find it.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::StatusCode;

use super::super::Tier;
use super::super::arrival::Arrival;
use super::super::body::Body;
use super::super::directives;
use super::super::disk::Growing;
use super::super::entry::{Entry, Marks};
use super::super::flight::Landing;
use super::super::head::Head;
use super::super::policy::{Policy, Verdict};
use super::super::store::{Inserted, Precedence, Reservation};
use super::super::variant::Variant;
use super::written::Written;
use super::{Fetch, Progress};

/// What will be stored.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) fetch: Fetch,
    pub(super) status: StatusCode,
    pub(super) head: Head,
    pub(super) policy: Policy,
    pub(super) variant: Variant,
    pub(super) expected: Option<u64>,
    /// Bytes of the reservation that are not for the body.
    pub(super) held: u64,
    pub(super) reservation: Reservation,
    /// The file that the body goes to because memory is not for bodies as large as that.
    pub(super) spilled: Option<Growing>,
    /// The entry by which others find the body while it arrives.
    pub(super) arriving: Option<Arc<Entry>>,
    pub(super) received: SystemTime,
}

/// Why an announced body is not stored after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Withdrawn {
    /// The origin did not finish: what was stored before may still be better than nothing.
    Broken,
    /// It is larger than it may be, or was purged meanwhile: the stored one is outdated.
    Outgrown,
}

impl Content {
    pub(super) fn reserve(&mut self, length: u64, arrival: &Arc<Arrival>) -> Progress {
        if self.expected.is_some_and(|expected| length > expected) {
            return Progress::GivenUp;
        }
        let cache = &self.fetch.cache;
        let Some(tier) = cache.tier(self.expected.unwrap_or(length)) else {
            return Progress::GivenUp;
        };
        let needed = match (self.expected, tier) {
            (Some(expected), _) => cache.room_for(expected),
            // Taken in steps that double.
            (None, Tier::Memory) => length.next_power_of_two().max(4096).min(cache.in_memory()),
            (None, Tier::Disk) => cache.room_for(length),
        };
        let room = self.reservation.bytes() - self.held;
        if needed > room && !self.reservation.grow(needed - room) {
            return Progress::GivenUp;
        }
        match tier {
            Tier::Memory => Progress::Writing,
            Tier::Disk if self.spilled.is_some() && !arrival.is_unwritable() => Progress::Writing,
            Tier::Disk if self.spilled.is_none() => self.spill(arrival),
            Tier::Disk => Progress::GivenUp,
        }
    }

    /// Has the body go to a file from now on.
    fn spill(&mut self, arrival: &Arc<Arrival>) -> Progress {
        let entry = self.entry(Body::Arriving(Arc::clone(arrival)));
        let head = self.fetch.object(&entry, Bytes::new());
        let told = Arc::downgrade(arrival);
        let tell = move |progress| {
            if let Some(arrival) = told.upgrade() {
                arrival.written(progress);
            }
        };
        let disk = self.fetch.cache.store.disk();
        let file = disk.and_then(|disk| disk.grow(head.id, head.variant, head.head.len(), tell));
        let Some(file) = file else {
            return Progress::GivenUp;
        };
        for piece in arrival.spill(file.written()) {
            file.append(piece);
        }
        self.spilled = Some(file);
        Progress::Writing
    }

    /// The last bytes of a body that goes to a file, and then its head.
    pub(super) fn finish_file(mut self, last: &Bytes, arrival: &Arc<Arrival>) -> Option<Written> {
        let file = self.spilled.take()?;
        if self.arriving.is_none() {
            self.announce(arrival);
        }
        file.append(last.clone());
        let entry = self.entry(Body::Arriving(Arc::clone(arrival)));
        Some(Written {
            done: file.finish(self.fetch.object(&entry, Bytes::new()).head),
            store: Arc::clone(&self.fetch.cache.store),
            hash: self.fetch.place.hash,
            arriving: self.arriving.take(),
        })
    }

    /// Stores the head, so that lookups find the body while it arrives.
    pub(super) fn announce(&mut self, arrival: &Arc<Arrival>) {
        let Some(landing) = self.answers_others() else {
            self.release();
            return;
        };
        let entry = Arc::new(self.entry(Body::Arriving(Arc::clone(arrival))));
        if let Some(reservation) = self.fetch.cache.store.reserve(0) {
            let store = &self.fetch.cache.store;
            if store.insert(&self.fetch.place, Arc::clone(&entry), reservation, Precedence::Newer) == Inserted::Stored {
                self.arriving = Some(entry);
            }
        }
        self.fetch.land(landing);
    }

    /// Takes back what was announced.
    pub(super) fn withdraw(&mut self, why: Withdrawn) {
        let Some(arriving) = self.arriving.take() else { return };
        let store = &self.fetch.cache.store;
        if store.withdraw(self.fetch.place.hash, &arriving)
            && why == Withdrawn::Broken
            && let Some(stale) = self.fetch.stale.take()
            && let Some(reservation) = store.reserve(0)
        {
            store.insert(&self.fetch.place, stale, reservation, Precedence::Newer);
        }
    }

    pub(super) fn store(mut self, body: &Bytes) -> Option<Written> {
        let reservation = std::mem::replace(&mut self.reservation, Reservation::nothing(&self.fetch.cache.store));
        let entry = Arc::new(self.entry(Body::kept(body)));
        let store = Arc::clone(&self.fetch.cache.store);
        let written = match store.insert(&self.fetch.place, Arc::clone(&entry), reservation, Precedence::Newer) {
            Inserted::Stored => self.fetch.write(&entry),
            Inserted::Refused => {
                self.withdraw(Withdrawn::Outgrown);
                None
            }
        };
        match self.answers_others() {
            Some(landing) => self.fetch.land(landing),
            None => self.release(),
        }
        written
    }

    /// Whether those who wait may be given this response, and not only what the origin says of it.
    fn answers_others(&self) -> Option<Landing> {
        let Policy { control, freshness, .. } = &self.policy;
        if self.policy.verdict(&directives::Request::default(), self.received) == Verdict::Serve {
            return Some(Landing::Stored);
        }
        let answers = !control.no_cache && freshness.was_fresh_when_sent(self.fetch.requested);
        answers.then_some(Landing::Outlived)
    }

    /// Whoever waits has to ask the origin all the same: at once, and not one after the other.
    fn release(&mut self) {
        let control = &self.policy.control;
        let never_fresh = control.no_cache || self.policy.freshness.lifetime().is_zero();
        if never_fresh && control.stale_while_revalidate.get().is_none() {
            self.fetch.release_those_who_wait(self.received);
        } else {
            self.fetch.land(Landing::NotStorable);
        }
    }

    fn entry(&self, body: Body) -> Entry {
        Entry {
            status: self.status,
            head: self.head.clone(),
            body,
            policy: self.policy,
            variant: self.variant.clone(),
            route: Arc::clone(&self.fetch.route),
            marks: Marks::new(self.fetch.place.bans),
        }
    }
}
