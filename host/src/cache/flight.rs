//! Coalescing: one exchange fetches, the others that want the same wait for what comes of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::entry::{Hit, Served};
use super::fetch::Fetch;
use super::policy::Trouble;
use super::status::Forward;
use super::store::{Place, Store};

/// What came of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Landing {
    /// Nothing yet.
    Pending,
    /// It is stored.
    Stored,
    /// It is stored, and was fresh when the origin sent it, which took longer than it stays so: it answers those who waited for
    /// it, and nobody after them.
    Outlived,
    /// The head says that it cannot be stored, or it grew too large.
    NotStorable,
    /// The origin answered with an error, in whose place a stale response may be served.
    ServerError,
    /// The origin did not answer.
    Unreachable,
}

/// A fetch that others may wait for. Dropped without a landing, it makes one of them fetch instead.
#[derive(Debug)]
pub(super) struct Flight {
    store: Arc<Store>,
    hash: u64,
    variant: u64,
    landing: watch::Sender<Landing>,
}

impl Flight {
    /// A fetch for this place, and what others wait with. The caller holds the shard's lock and leaves the latter there.
    pub(super) fn new(store: &Arc<Store>, place: &Place) -> (Self, watch::Receiver<Landing>) {
        let (landing, receiver) = watch::channel(Landing::Pending);
        (
            Self {
                store: Arc::clone(store),
                hash: place.hash,
                variant: place.variant,
                landing,
            },
            receiver,
        )
    }

    /// Tells those who wait, all at once.
    pub(super) fn land(self, landing: Landing) {
        // First, so that nobody joins a fetch that is over.
        self.store.lock(self.hash).flights.remove(&self.variant);
        self.landing.send_replace(landing);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if *self.landing.borrow() == Landing::Pending {
            self.store.lock(self.hash).flights.remove(&self.variant);
        }
    }
}

/// Another exchange fetches what this one wants.
#[derive(Debug)]
pub struct Wait {
    pub(super) landing: watch::Receiver<Landing>,
    /// For the case that it has to do it itself.
    pub(super) alone: Box<Fetch>,
    pub(super) timeout: Duration,
}

/// What came of waiting.
#[derive(Debug)]
pub enum Waited {
    /// Look up again: it is stored, or the exchange that fetched went away.
    LookUp,
    /// The same, and say since when it was waited: what is stored answers those who asked before it came.
    LookUpWaited,
    /// The origin is in trouble; this stale response may be served.
    Hit(Hit),
    /// Fetch it alone: it is not storable, or it took too long.
    Fetch(Box<Fetch>),
    /// The origin did not answer, and asking once more for everybody who waited would not help it.
    Failed,
}

/// What those do who have nothing stale.
#[derive(Debug, Clone, Copy)]
enum Otherwise {
    Fetch,
    Fail,
}

impl Wait {
    /// Why the origin is asked.
    #[must_use]
    pub fn reason(&self) -> Forward {
        self.alone.reason
    }

    /// Waits until something came of the other exchange's fetch, `coalesce_timeout` at most.
    pub async fn done(mut self) -> Waited {
        let landed = self.landing.wait_for(|landing| *landing != Landing::Pending);
        let (trouble, otherwise) = match tokio::time::timeout(self.timeout, landed)
            .await
            .map(|landed| landed.map(|landing| *landing))
        {
            Ok(Ok(Landing::Stored) | Err(_)) => return Waited::LookUp,
            Ok(Ok(Landing::Outlived)) => return Waited::LookUpWaited,
            Ok(Ok(Landing::Pending | Landing::NotStorable)) => return Waited::Fetch(self.alone),
            Ok(Ok(Landing::ServerError)) => (Trouble::ServerError, Otherwise::Fetch),
            Ok(Ok(Landing::Unreachable)) => (Trouble::Unreachable, Otherwise::Fail),
            // An origin that keeps everybody waiting is as good as none, for those who have something else.
            Err(_elapsed) => (Trouble::Unreachable, Otherwise::Fetch),
        };
        let now = SystemTime::now();
        match (self.alone.in_trouble(trouble, now), otherwise) {
            (Some(entry), _) => Waited::Hit(Hit::new(entry, Served::Stale, now).on(&self.alone.conditions)),
            (None, Otherwise::Fetch) => Waited::Fetch(self.alone),
            (None, Otherwise::Fail) => Waited::Failed,
        }
    }
}
