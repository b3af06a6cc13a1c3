//! From a miss to a stored response: the exchange that asks the origin, and what it learns from the answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AGE, CONTENT_LENGTH, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode, response};
use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::arrival::{Arrival, Broken, Follower};
use super::body::{Body, Reader};
use super::conditions::{self, Conditions};
use super::directives;
use super::disk::{Growing, Id, Object, Open};
use super::entry::{Entry, Hit, Marks, Served};
use super::flight::{Flight, Landing};
use super::head::Head;
use super::persist;
use super::policy::{self, Asked, Policy, Refused, Trouble, Verdict};
use super::status::Forward;
use super::store::{Inserted, Place, Precedence, Reservation, Store};
use super::turns::Turn;
use super::variant::Variant;
use super::{Cache, Tier};
use crate::config::CacheRules;
use crate::exchange::subject::{Storing, Subject};

/// For this long nobody waits for what turned out not to be storable. The next fetch that finds it storable ends it.
const PASS: Duration = Duration::from_secs(60);

/// For this long after a failure the origin is still taken to be in trouble, unless it has answered since.
const TROUBLE: Duration = Duration::from_secs(10);

/// The longest time for which the end of a response waits for the disk. After it, nobody waits for a while.
const COMMIT: Duration = Duration::from_secs(1);

/// A disk that has not taken a byte for this long is not waited for.
const STALLED: Duration = Duration::from_secs(2);

/// When the last client that reads a body goes away, the rest is fetched all the same where it is at most this much.
const WORTH_FETCHING: u64 = 1024 * 1024;

/// This exchange asks the origin. Dropping it releases those who wait for it.
#[derive(Debug)]
pub struct Fetch {
    pub(super) cache: Arc<Cache>,
    pub(super) place: Place,
    pub(super) route: Arc<str>,
    pub(super) asked: Asked,
    pub(super) conditions: Conditions,
    pub(super) stale: Option<Arc<Entry>>,
    pub(super) requested: SystemTime,
    pub(super) reason: Forward,
    /// `None` where nobody waits for this fetch.
    pub(super) flight: Option<Flight>,
    pub(super) queueing: Queueing,
    pub(super) turn: Option<Turn>,
}

/// Whether a fetch counts among those that an origin gets at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queueing {
    /// It is made to fill the cache.
    Counted,
    /// It is known that nothing will be stored.
    Free,
}

/// The origin had no turn for a fetch in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late;

/// What becomes of a response.
#[derive(Debug)]
pub enum Stored {
    /// The stored response still holds (304): send this one.
    Revalidated(Hit),
    /// The origin answered with an error, in whose place this stale response may be sent (RFC 5861 §4).
    Stale(Hit),
    /// Send the response, and give the writer every byte of it.
    Store(Writer),
    /// Send the response; it is not stored, for this reason.
    NotStored(&'static str),
}

impl Fetch {
    /// Waits until the origin may be asked: it gets `origin_fetches` at once, and nobody waits longer for that than
    /// `coalesce_timeout`.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn take_turn(&mut self, upstream: &str) -> Result<(), Late> {
        if self.queueing == Queueing::Counted {
            let turn = self.cache.turns.take(upstream, self.cache.coalesce_timeout()).await;
            self.turn = Some(turn.ok_or(Late)?);
        }
        Ok(())
    }

    /// Takes the client's own conditions off a request that goes upstream: Weir answers them, and a 304 to them would say
    /// nothing of what is stored.
    pub fn strip_conditions(&self, headers: &mut HeaderMap) {
        conditions::strip(headers);
    }

    /// The conditions of a revalidation, to be added to the request; empty where nothing stored has a validator.
    #[must_use]
    pub fn validators(&self) -> Vec<(HeaderName, HeaderValue)> {
        let stale = self.stale.iter();
        stale.flat_map(|stale| conditions::validators(&stale.head)).collect()
    }

    pub(super) fn is_free(&self) -> bool {
        self.queueing == Queueing::Free
    }

    /// Why the origin is asked.
    #[must_use]
    pub fn reason(&self) -> Forward {
        self.reason
    }

    /// The response head came at `now`. `rules` are the route's.
    #[must_use]
    pub fn on_response(mut self, subject: &Subject, rules: &CacheRules, now: SystemTime) -> Stored {
        let Some(response) = subject.response.as_ref() else {
            return Stored::NotStored("status");
        };
        if response.status == StatusCode::NOT_MODIFIED {
            return match self.stale.take() {
                Some(stale) => self.revalidated(stale, response, rules, now),
                // Nobody asked for it.
                None => self.not_storable(None, now),
            };
        }
        if policy::is_server_error(response.status)
            && let Some(stale) = self.in_trouble(Trouble::ServerError, now)
        {
            self.note(Trouble::ServerError, now);
            self.land(Landing::ServerError);
            return Stored::Stale(Hit::new(stale, Served::Stale, now).on(&self.conditions));
        }
        let (policy, variant) = match self.accept(subject, response, rules, now) {
            Ok(accepted) => accepted,
            Err(refused) => {
                // What the origin says now is truer than what it said then, unless it is in trouble.
                if !response.status.is_server_error()
                    && let Some(stale) = &self.stale
                {
                    self.cache.store.remove(&self.place, stale);
                }
                // An error is no reason to have everybody ask from now on, least of all an origin in trouble.
                let lasting = Some(refused).filter(|_| !response.status.is_server_error());
                return self.not_storable(lasting, now);
            }
        };
        let expected = match response.headers.get(CONTENT_LENGTH).map(content_length) {
            None => None,
            Some(Some(length)) if self.cache.tier(length).is_some() => Some(length),
            Some(_) => return self.not_storable(Some(Refused::TooLarge), now),
        };
        let head = Head::of(&response.headers, now);
        let held = head.size() as u64;
        let reserved = held + self.cache.room_for(expected.unwrap_or(0));
        let Some(reservation) = self.cache.store.reserve(reserved) else {
            return self.not_storable(None, now);
        };
        Stored::Store(Writer::new(Content {
            status: response.status,
            head,
            policy,
            variant,
            expected,
            held,
            reservation,
            spilled: None,
            arriving: None,
            received: now,
            fetch: self,
        }))
    }

    /// The origin did not answer: a stale response, if one may be served (RFC 9111 §4.2.4). Those who wait get the same.
    #[must_use]
    pub fn on_failure(mut self) -> Option<Hit> {
        let now = SystemTime::now();
        let stale = self.in_trouble(Trouble::Unreachable, now);
        self.note(Trouble::Unreachable, now);
        self.land(Landing::Unreachable);
        stale.map(|stale| Hit::new(stale, Served::Stale, now).on(&self.conditions))
    }

    /// The stale response, if it may be served while the origin is asked: because it says so, or because the origin has been in
    /// trouble just now.
    pub(super) fn in_grace(&self, trouble: Option<Trouble>, now: SystemTime) -> Option<Arc<Entry>> {
        let wishes = &self.asked.control;
        let while_revalidating =
            |stale: &&Arc<Entry>| stale.policy.verdict(wishes, now) == Verdict::ServeWhileRevalidating;
        let in_trouble = || self.in_trouble(trouble?, now);
        self.stale
            .as_ref()
            .filter(while_revalidating)
            .cloned()
            .or_else(in_trouble)
    }

    /// The stale response, if it may be served because of `trouble`.
    pub(super) fn in_trouble(&self, trouble: Trouble, now: SystemTime) -> Option<Arc<Entry>> {
        let wishes = &self.asked.control;
        self.stale
            .clone()
            .filter(|stale| !wishes.no_cache && stale.policy.serves_in_trouble(wishes, trouble, now))
    }

    /// For a while nobody waits for the origin who can be served without it.
    fn note(&self, trouble: Trouble, now: SystemTime) {
        let mut contents = self.cache.store.lock(self.place.hash);
        contents.note(self.place.variant, trouble, now + TROUBLE);
    }

    pub(super) fn accept(
        &self,
        subject: &Subject,
        response: &response::Parts,
        rules: &CacheRules,
        now: SystemTime,
    ) -> Result<(Policy, Variant), Refused> {
        let times = (self.requested, now);
        if subject.caching.storing == Storing::Bypassed {
            return Err(Refused::Plugin);
        }
        let asked = Asked {
            lifetime: subject.caching.lifetime,
            ..self.asked
        };
        let policy = policy::store(asked, response.status, &response.headers, rules, times)?;
        let variant = Variant::new(&subject.request.headers, &response.headers, &rules.normalise);
        let variant = variant.ok_or(Refused::Varies)?;
        Ok((policy, variant))
    }

    /// A 304 came for the stored response (RFC 9111 §4.3.4).
    fn revalidated(
        mut self,
        stale: Arc<Entry>,
        response: &response::Parts,
        rules: &CacheRules,
        now: SystemTime,
    ) -> Stored {
        let entry = if conditions::is_about(&stale.head, &response.headers) {
            self.refresh(&stale, response, rules, now)
        } else {
            // About another response, so the stored one is outdated. The client still gets it, as there is no other.
            None
        };
        let entry = entry.unwrap_or_else(|| {
            self.cache.store.remove(&self.place, &stale);
            stale
        });
        self.cache.store.counts.revalidated.fetch_add(1, Ordering::Relaxed);
        self.land(Landing::Stored);
        Stored::Revalidated(Hit::new(entry, Served::Revalidated, now).on(&self.conditions))
    }

    /// Stores what a 304, or a 200 to HEAD, makes of the stored response. `None` where it must not be stored any more.
    pub(super) fn refresh(
        &self,
        stale: &Arc<Entry>,
        response: &response::Parts,
        rules: &CacheRules,
        now: SystemTime,
    ) -> Option<Arc<Entry>> {
        let mut headers = stale.merged_headers(&response.headers);
        // For the arithmetic it is as old as the 304 says.
        if let Some(age) = response.headers.get(AGE) {
            headers.insert(AGE, age.clone());
        }
        let asked = Asked {
            lifetime: stale.policy.decided.get(),
            ..self.asked
        };
        let policy = policy::store(asked, stale.status, &headers, rules, (self.requested, now)).ok()?;
        let entry = Arc::new(Entry {
            status: stale.status,
            head: Head::of(&headers, now),
            body: stale.body.settled(),
            policy,
            variant: stale.variant.clone(),
            route: Arc::clone(&stale.route),
            marks: Marks::new(self.place.bans),
        });
        let reservation = self.cache.store.reserve(0)?;
        if let Body::Disk(open) = &entry.body {
            // What is too large for memory stays where it is, under its new head.
            if let Some(disk) = self.cache.store.disk() {
                disk.rewrite(open, self.object(&entry, Bytes::new()));
            }
            return Some(entry);
        }
        // Without room or after an invalidation it still answers this request.
        let store = &self.cache.store;
        if store.insert(&self.place, Arc::clone(&entry), reservation, Precedence::Newer) == Inserted::Stored {
            let _ = self.write(&entry);
        }
        Some(entry)
    }

    /// Has the disk keep a response as well, where there is one and the response is for it.
    pub(super) fn write(&self, entry: &Arc<Entry>) -> Option<Written> {
        let disk = self.cache.store.disk()?;
        let body = match &entry.body {
            // Its head leads to the slices, which are written each on its own.
            Body::Sliced(_) => Bytes::new(),
            _ => entry.bytes().filter(|body| disk.takes(body.len() as u64))?,
        };
        Some(Written {
            done: disk.write(self.object(entry, body)),
            arriving: None,
            store: Arc::clone(&self.cache.store),
            hash: self.place.hash,
        })
    }

    fn object(&self, entry: &Entry, body: Bytes) -> Object {
        Object {
            id: Id::of(&self.place.key),
            variant: persist::variant(entry),
            head: persist::encode(
                &self.place.key,
                entry,
                self.cache.store.bans.identity(),
                SystemTime::now(),
            ),
            body,
        }
    }

    /// Releases those who wait, and keeps others from waiting where it is the response's fault.
    fn not_storable(mut self, refused: Option<Refused>, now: SystemTime) -> Stored {
        let because_of_response = refused.is_some_and(|refused| refused != Refused::Authorized);
        if because_of_response {
            self.release_those_who_wait(now);
        }
        self.land(Landing::NotStorable);
        Stored::NotStored(refused.map_or("full", Refused::as_str))
    }

    /// Nobody waits for this, now or for a while: what comes of it answers nobody else.
    pub(super) fn release_those_who_wait(&mut self, now: SystemTime) {
        self.cache
            .store
            .lock(self.place.hash)
            .pass(self.place.variant, now + PASS);
        self.land(Landing::NotStorable);
    }

    pub(super) fn land(&mut self, landing: Landing) {
        if let Some(flight) = self.flight.take() {
            flight.land(landing);
        }
    }
}

fn content_length(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.trim().parse().ok()
}

/// Takes a response's body as it comes, for the store and for everybody who waits for it. Dropped before
/// [`Writer::finish`], it stores nothing, and whoever follows sees the body break off.
#[derive(Debug)]
pub struct Writer {
    arrival: Arc<Arrival>,
    /// Gone once it is clear that nothing will be stored.
    content: Option<Box<Content>>,
    /// The place of whoever fetches, until it is [shared](Writer::share).
    first: Option<Follower>,
    /// Until when the disk may take to take more.
    stalled: Option<Pin<Box<Sleep>>>,
    why: Broken,
}

/// What will be stored.
#[derive(Debug)]
struct Content {
    fetch: Fetch,
    status: StatusCode,
    head: Head,
    policy: Policy,
    variant: Variant,
    expected: Option<u64>,
    /// Bytes of the reservation that are not for the body.
    held: u64,
    reservation: Reservation,
    /// The file that the body goes to because memory is not for bodies as large as that.
    spilled: Option<Growing>,
    /// The entry by which others find the body while it arrives.
    arriving: Option<Arc<Entry>>,
    received: SystemTime,
}

/// Whether a [`Writer`] still stores what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Go on.
    Writing,
    /// The body is too large, longer than it said, or there is no room, or the disk fails: nothing will be stored. Whoever
    /// follows still gets it.
    GivenUp,
}

impl Writer {
    fn new(content: Content) -> Self {
        let arrival = Arrival::new(content.expected);
        Self {
            first: Some(arrival.join()),
            arrival,
            content: Some(Box::new(content)),
            stalled: None,
            why: Broken::Closed,
        }
    }

    /// Seconds for which the response is fresh at `now`.
    #[must_use]
    pub fn ttl(&self, now: SystemTime) -> i64 {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        self.content.as_ref().map_or(0, |content| {
            let freshness = &content.policy.freshness;
            seconds(freshness.lifetime()) - seconds(freshness.age(now))
        })
    }

    /// The next bytes of the body. They are copied: as they are, they would keep a whole read buffer alive.
    pub fn push(&mut self, data: &Bytes) -> Progress {
        let data = Bytes::copy_from_slice(data);
        let length = self.arrival.arrived() + data.len() as u64;
        let arrival = &self.arrival;
        let reserved = self.content.as_mut().map(|content| content.reserve(length, arrival));
        if reserved == Some(Progress::GivenUp) {
            self.give_up();
        }
        if let Some(file) = self.content.as_ref().and_then(|content| content.spilled.as_ref()) {
            file.append(data.clone());
        }
        self.arrival.push(data);
        if self.content.is_some() {
            Progress::Writing
        } else {
            Progress::GivenUp
        }
    }

    /// Has everybody who waits follow the body from now on, and gives a reader of it to whoever fetches.
    pub fn share(&mut self) -> Reader {
        if let Some(content) = &mut self.content
            && content.arriving.is_none()
        {
            content.announce(&self.arrival);
        }
        self.follow()
    }

    /// Gives a reader of the body to whoever fetches. The others wait until it is complete.
    pub fn follow(&mut self) -> Reader {
        Reader::following(self.first.take().unwrap_or_else(|| self.arrival.join()))
    }

    /// Ready when more of the body may be read: what is only passed on waits for its slowest reader, and what goes to the disk
    /// for that, but not for one that hangs.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.arrival.poll_room(cx).is_ready() {
            self.stalled = None;
            return Poll::Ready(());
        }
        if self.content.is_none() {
            return Poll::Pending;
        }
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLED)));
        ready!(stalled.as_mut().poll(cx));
        self.give_up();
        self.arrival.poll_room(cx)
    }

    /// Ready when nobody reads the body and what is left of it is not worth fetching for those who may come.
    pub fn poll_unwanted(&self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.arrival.poll_deserted(cx));
        let left = |content: &Content| content.expected.map(|expected| expected - self.arrival.arrived());
        match self.content.as_ref().map(|content| left(content)) {
            Some(Some(left)) if left <= WORTH_FETCHING => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    /// The body is complete: stores it, unless it is shorter than its Content-Length said. Trailers go to those who follow and
    /// are not stored (RFC 9110 §6.5.2 lets a recipient discard them). What it returns is the body, where all of it is kept.
    pub fn finish(self, trailers: Option<HeaderMap>) -> Bytes {
        self.end(Bytes::new(), trailers)
    }

    /// The same, with the last bytes of the body, which nobody gets before the disk has all of them: a client that has a whole
    /// response may rely on its being stored. A disk that takes longer than [`COMMIT`] is not waited for.
    pub async fn commit(mut self, last: Bytes, trailers: Option<HeaderMap>) -> Bytes {
        let Some((body, written)) = self.store(&last) else {
            return self.finish_unstored(&last, trailers);
        };
        if let Some(written) = written {
            written.wait().await;
        }
        self.finish_stored(last, body, trailers)
    }

    fn end(mut self, last: Bytes, trailers: Option<HeaderMap>) -> Bytes {
        match self.store(&last) {
            Some((body, _)) => self.finish_stored(last, body, trailers),
            None => self.finish_unstored(&last, trailers),
        }
    }

    /// Stores the body with these last bytes; nothing where it is not to be stored. Gives all of it, where it is in memory.
    fn store(&mut self, last: &Bytes) -> Option<(Option<Bytes>, Option<Written>)> {
        let length = self.arrival.arrived() + last.len() as u64;
        let content = self.content.as_mut()?;
        if content.reserve(length, &self.arrival) == Progress::GivenUp {
            self.give_up();
            return None;
        }
        let complete = content.expected.is_none_or(|expected| expected == length);
        let content = self.content.take_if(|_| complete)?;
        if content.spilled.is_some() {
            return Some((None, content.finish_file(last, &self.arrival)));
        }
        let body = self.arrival.joined(last);
        let written = content.store(&body);
        Some((Some(body), written))
    }

    fn finish_stored(self, last: Bytes, body: Option<Bytes>, trailers: Option<HeaderMap>) -> Bytes {
        if body.is_none() {
            self.arrival.push(last);
        }
        self.arrival.finish(body.clone(), trailers);
        body.unwrap_or_default()
    }

    /// A body that is not stored has ended, one way or the other.
    fn finish_unstored(&mut self, last: &Bytes, trailers: Option<HeaderMap>) -> Bytes {
        self.arrival.push(last.clone());
        // Shorter than it said: dropping the writer breaks it off.
        if self.content.is_none() {
            self.arrival.finish(None, trailers);
        }
        Bytes::new()
    }

    /// The body broke off.
    pub fn break_off(mut self, why: Broken) {
        self.why = why;
    }

    fn give_up(&mut self) {
        if let Some(mut content) = self.content.take() {
            content.withdraw(Withdrawn::Outgrown);
            let _ = content.fetch.not_storable(Some(Refused::Useless), SystemTime::now());
        }
        self.arrival.only_pass_on();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.arrival.break_off(self.why);
        if let Some(mut content) = self.content.take() {
            content.withdraw(Withdrawn::Broken);
        }
    }
}

/// A response on its way to the disk.
#[derive(Debug)]
pub(super) struct Written {
    done: oneshot::Receiver<Option<Open>>,
    store: Arc<Store>,
    hash: u64,
    /// The entry of a body that goes there alone, by which it is found until it is there.
    arriving: Option<Arc<Entry>>,
}

impl Written {
    async fn wait(mut self) {
        let patience = match self.store.disk() {
            Some(disk) if !disk.is_behind() => COMMIT,
            _ => Duration::ZERO,
        };
        let done = tokio::time::timeout(patience, &mut self.done).await;
        if let (Err(_), Some(disk), false) = (&done, self.store.disk(), patience.is_zero()) {
            disk.fall_behind();
        }
        let Some(arriving) = self.arriving.take() else { return };
        if done.is_ok() {
            self.store.withdraw(self.hash, &arriving);
            return;
        }
        tokio::spawn(async move {
            let _ = self.done.await;
            self.store.withdraw(self.hash, &arriving);
        });
    }
}

/// Why an announced body is not stored after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Withdrawn {
    /// The origin did not finish: what was stored before may still be better than nothing.
    Broken,
    /// It is larger than it may be, or was purged meanwhile: the stored one is outdated.
    Outgrown,
}

impl Content {
    fn reserve(&mut self, length: u64, arrival: &Arc<Arrival>) -> Progress {
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
    fn finish_file(mut self, last: &Bytes, arrival: &Arc<Arrival>) -> Option<Written> {
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
    fn announce(&mut self, arrival: &Arc<Arrival>) {
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
    fn withdraw(&mut self, why: Withdrawn) {
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

    fn store(mut self, body: &Bytes) -> Option<Written> {
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
