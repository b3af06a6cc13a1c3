//! Bans: what is stored and fits an expression is not served any more, from the moment in which the ban is made.
//!
//! A ban is a line in a list, so that making one costs the same however much is stored. Every ban has a number, and every
//! stored response remembers up to which number it has been tested. A lookup tests what it finds by the newer bans only; a
//! sweep tests everything that nobody asks for, and lets a whole shard know that it has been tested, so that lookups go back
//! to comparing two numbers. Without any ban both are 0.
//!
//! Responses that are being fetched are tested when they are stored, by what was banned since they were asked for: what the
//! origin had sent before may be what the ban is about. For that, bans are kept for [`KEEP`] after the sweep is through with
//! them. What asked before a forgotten ban is not stored.
//!
//! Where there is a disk, the list is in a [`journal`] beside it, and the numbers go on from one process to the next.

pub(in crate::cache) mod expression;
mod journal;

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use parking_lot::{Mutex, MutexGuard, RwLock};
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::{Tier, span};
pub use expression::Expression;
use expression::{Judgement, Object};
use journal::{Contents, Journal, Line, State};

/// How long a ban stays in the list after everything has been tested by it.
const KEEP: Duration = Duration::from_secs(60);

/// The list.
#[derive(Debug)]
pub(super) struct Bans {
    /// Whose numbers these are.
    identity: u64,
    /// The number of the latest ban; 0 before the first.
    latest: AtomicU64,
    /// What has been tested up to less than this was not tested by a ban that is forgotten, and has to go.
    floor: AtomicU64,
    /// The number of the ban up to which everything on the disk has been tested.
    disk_tested: AtomicU64,
    most: AtomicUsize,
    /// In the order of their numbers.
    list: RwLock<VecDeque<Arc<Ban>>>,
    /// One sweep at a time.
    sweep: Mutex<()>,
    /// Whether a thread of its own sweeps.
    sweeping: AtomicBool,
    /// Locked before the list, so that its lines are in the order of their numbers.
    journal: Option<Mutex<Journal>>,
}

/// One ban.
#[derive(Debug)]
pub struct Ban {
    /// Counts up from 1 with every ban since the process started, or since the disk tier's folder was first used.
    pub number: u64,
    /// What is banned.
    pub expression: Expression,
    /// What happens to it.
    pub manner: Manner,
    /// When it was made.
    pub made: SystemTime,
    age: Instant,
    matched: Matched,
    done: AtomicBool,
}

/// How many responses a ban was about, in each tier.
#[derive(Debug, Default)]
struct Matched {
    memory: AtomicU64,
    disk: AtomicU64,
}

/// What a purge or a ban does to a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Manner {
    /// It is removed.
    Hard,
    /// It is stale from now on: asked about at the origin when somebody wants it, and still there when the origin is not.
    Soft,
}

/// What becomes of a stored response.
#[derive(Debug)]
pub(super) enum Fate {
    Keep,
    Remove,
    Replace(Arc<Entry>),
}

impl Ban {
    fn new(number: u64, expression: Expression, manner: Manner, made: SystemTime) -> Self {
        Self {
            number,
            expression,
            manner,
            made,
            age: Instant::now(),
            matched: Matched::default(),
            done: AtomicBool::new(false),
        }
    }

    fn line(&self) -> Line {
        Line {
            number: self.number,
            expression: self.expression.as_str().to_owned(),
            manner: self.manner,
            made: span::seconds(self.made),
        }
    }

    /// Responses that it has removed or made stale so far. What memory has is on the disk as well, where there is one, and counts once.
    #[must_use]
    pub fn matched(&self) -> u64 {
        let Matched { memory, disk } = &self.matched;
        memory.load(Ordering::Relaxed).max(disk.load(Ordering::Relaxed))
    }

    fn count(&self, tier: Tier) {
        let count = match tier {
            Tier::Memory => &self.matched.memory,
            Tier::Disk => &self.matched.disk,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether everything that was stored when it was made has been tested.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }
}

impl Bans {
    /// A list of this process alone.
    pub(super) fn new() -> Self {
        Self::from(State::new(), VecDeque::new(), None)
    }

    /// The list of a disk tier's folder. Where it cannot be kept there, it is this process's alone.
    pub(super) fn beside(folder: &Path) -> Self {
        match Journal::open(folder) {
            Ok((journal, Contents { state, bans })) => {
                let ban = |(line, expression): (Line, Expression)| {
                    Arc::new(Ban::new(line.number, expression, line.manner, span::time(line.made)))
                };
                Self::from(state, bans.into_iter().map(ban).collect(), Some(journal))
            }
            Err(error) => {
                tracing::error!(folder = %folder.display(), %error, "bans will not outlive the process");
                Self::new()
            }
        }
    }

    fn from(state: State, list: VecDeque<Arc<Ban>>, journal: Option<Journal>) -> Self {
        Self {
            identity: state.list,
            latest: AtomicU64::new(state.latest),
            floor: AtomicU64::new(state.floor),
            disk_tested: AtomicU64::new(state.disk_tested),
            most: AtomicUsize::new(usize::MAX),
            list: RwLock::new(list),
            sweep: Mutex::default(),
            sweeping: AtomicBool::new(false),
            journal: journal.map(Mutex::new),
        }
    }

    /// Whose numbers these are: those of another list say nothing.
    pub(super) fn identity(&self) -> u64 {
        self.identity
    }

    /// The number of the ban up to which everything on the disk has been tested.
    pub(super) fn disk_tested(&self) -> u64 {
        self.disk_tested.load(Ordering::Acquire)
    }

    /// How many are kept.
    pub(super) fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// The number of the latest ban.
    pub(super) fn latest(&self) -> u64 {
        self.latest.load(Ordering::Acquire)
    }

    pub(super) fn list(&self) -> Vec<Arc<Ban>> {
        self.list.read().iter().cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.list.read().len()
    }

    /// Makes a ban, effective for every lookup that begins after it. Over the limit the oldest is forgotten, and what had not
    /// been tested by it goes, as it may be what that ban was about.
    pub(super) fn add(&self, expression: Expression, manner: Manner) -> Arc<Ban> {
        let mut journal = self.journal.as_ref().map(Mutex::lock);
        let mut list = self.list.write();
        self.forget(&mut list);
        let number = self.latest.load(Ordering::Relaxed) + 1;
        let ban = Arc::new(Ban::new(number, expression, manner, SystemTime::now()));
        list.push_back(Arc::clone(&ban));
        // After the list: who sees the number finds the ban.
        self.latest.store(number, Ordering::Release);
        drop(list);
        if let Some(journal) = &mut journal {
            Self::report(journal.append(&ban.line()));
        }
        ban
    }

    fn forget(&self, list: &mut VecDeque<Arc<Ban>>) {
        let most = self.most.load(Ordering::Relaxed);
        while let Some(oldest) = list.front() {
            let full = list.len() >= most;
            let over = oldest.is_done() && oldest.age.elapsed() > KEEP;
            if !full && !over {
                return;
            }
            if full && !oldest.is_done() {
                tracing::warn!(
                    ban = oldest.number,
                    expression = oldest.expression.as_str(),
                    most,
                    "too many bans: the oldest is forgotten, with everything that was not tested by it"
                );
            }
            self.floor.store(oldest.number, Ordering::Release);
            list.pop_front();
        }
    }

    /// Tests a stored response of a tier by the bans that are newer than its last test. `request` is that of a lookup; without one,
    /// bans that ask for a request are left for later.
    pub(super) fn test(
        &self,
        tier: Tier,
        key: &[u8],
        entry: &Arc<Entry>,
        request: Option<&HeaderMap>,
        now: SystemTime,
    ) -> Fate {
        let mut tested = entry.marks.tested();
        if tested == self.latest() {
            return Fate::Keep;
        }
        let list = self.list.read();
        if tested < self.floor.load(Ordering::Acquire) {
            return Fate::Remove;
        }
        let object = Object { key, entry, now };
        let (mut open, mut stale) = (false, false);
        let first = list.partition_point(|ban| ban.number <= tested);
        for ban in list.range(first..) {
            match ban.expression.judge(&object, request) {
                Judgement::Banned => {
                    ban.count(tier);
                    match ban.manner {
                        Manner::Hard => return Fate::Remove,
                        Manner::Soft => stale = true,
                    }
                }
                Judgement::Open => open = true,
                Judgement::Spared => {}
            }
            if !open {
                tested = ban.number;
            }
        }
        drop(list);
        if stale {
            let expired = entry.expired(now);
            expired.marks.set_tested(tested);
            return Fate::Replace(Arc::new(expired));
        }
        entry.marks.set_tested(tested);
        Fate::Keep
    }

    /// Waits for its turn to sweep.
    pub(super) fn begin_sweep(&self) -> MutexGuard<'_, ()> {
        self.sweep.lock()
    }

    /// Everything on the disk has been tested up to here.
    pub(super) fn swept_disk(&self, up_to: u64) {
        self.disk_tested.fetch_max(up_to, Ordering::AcqRel);
    }

    /// Everything has been tested up to here.
    pub(super) fn swept(&self, up_to: u64) {
        let mut journal = self.journal.as_ref().map(Mutex::lock);
        let mut list = self.list.write();
        for ban in list.iter().filter(|ban| ban.number <= up_to) {
            ban.done.store(true, Ordering::Relaxed);
        }
        self.forget(&mut list);
        if let Some(journal) = &mut journal {
            let pending: Vec<Line> = list.iter().filter(|ban| !ban.is_done()).map(|ban| ban.line()).collect();
            drop(list);
            Self::report(journal.rewrite(self.state(), &pending));
        }
    }

    fn state(&self) -> State {
        State {
            list: self.identity,
            latest: self.latest(),
            floor: self.floor.load(Ordering::Acquire),
            disk_tested: self.disk_tested(),
        }
    }

    fn report(written: io::Result<()>) {
        if let Err(error) = written {
            tracing::error!(%error, "the list of bans cannot be written: the latest will not outlive the process");
        }
    }

    /// Whether the caller is the one to sweep in a thread of its own. It says so when it ends, with [`Bans::rest`].
    pub(super) fn claim(&self) -> bool {
        !self.sweeping.swap(true, Ordering::AcqRel)
    }

    pub(super) fn rest(&self) {
        self.sweeping.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::{at, header_map, stored_entry};
    use super::*;

    fn expression(text: &str) -> Expression {
        Expression::parse(text).unwrap()
    }

    const KEY: &[u8] = b"http://example.org /a";

    fn is_kept(bans: &Bans, entry: &Arc<Entry>) -> bool {
        matches!(bans.test(Tier::Memory, KEY, entry, None, at(0)), Fate::Keep)
    }

    #[test]
    fn what_is_stored_later_is_not_banned() {
        let bans = Bans::new();
        let old = Arc::new(stored_entry(200, &[]));
        assert!(is_kept(&bans, &old));
        let ban = bans.add(expression("req.url == /a"), Manner::Hard);
        let new = Arc::new(stored_entry(200, &[]));
        new.marks.set_tested(bans.latest());
        assert!(!is_kept(&bans, &old) && is_kept(&bans, &new));
        assert_eq!(ban.matched(), 1);
    }

    #[test]
    fn one_test_by_each_ban_is_enough() {
        let bans = Bans::new();
        let entry = Arc::new(stored_entry(200, &[]));
        let ban = bans.add(expression("obj.status == 404"), Manner::Hard);
        assert!(is_kept(&bans, &entry));
        assert_eq!((entry.marks.tested(), ban.matched()), (1, 0));
    }

    #[test]
    fn a_soft_ban_leaves_a_stale_response() {
        let bans = Bans::new();
        let entry = Arc::new(stored_entry(200, &[("cache-control", "max-age=60")]));
        bans.add(expression("req.url == /a"), Manner::Soft);
        let Fate::Replace(stale) = bans.test(Tier::Memory, KEY, &entry, None, at(5)) else {
            unreachable!("it is replaced");
        };
        assert_eq!(stale.policy.freshness.lifetime(), Duration::from_secs(5));
        assert!(is_kept(&bans, &stale));
    }

    #[test]
    fn a_ban_that_asks_the_request_waits_for_one() {
        let bans = Bans::new();
        let entry = Arc::new(stored_entry(200, &[]));
        bans.add(expression("req.http.x == 1"), Manner::Hard);
        bans.add(expression("obj.status == 404"), Manner::Hard);
        assert!(is_kept(&bans, &entry));
        assert_eq!(entry.marks.tested(), 0);
        let asked = |value| bans.test(Tier::Memory, KEY, &entry, Some(&header_map(&[("x", value)])), at(0));
        assert!(matches!(asked("2"), Fate::Keep));
        assert_eq!(entry.marks.tested(), 2);
        assert!(matches!(asked("1"), Fate::Keep), "it has been tested");
    }

    #[test]
    fn over_the_limit_what_was_not_tested_goes() {
        let bans = Bans::new();
        bans.set_most(2);
        let untested = Arc::new(stored_entry(200, &[]));
        let tested = Arc::new(stored_entry(200, &[]));
        for _ in 0..2 {
            bans.add(expression("obj.status == 404"), Manner::Hard);
        }
        assert!(is_kept(&bans, &tested));
        bans.add(expression("obj.status == 404"), Manner::Hard);
        assert_eq!(bans.len(), 2);
        assert!(is_kept(&bans, &tested) && !is_kept(&bans, &untested));
    }
}
