//! A worker's clock and deadlines: coarse, and therefore nearly free.
//!
//! Every stage of every exchange has a timeout, and almost none of them ever fires. A timer wheel pays for each of them on
//! the way in and on the way out; here setting a deadline is one store into a slot that the connection keeps for its life,
//! and the worker looks at all slots each [`TICK`]. A deadline fires at most one tick late and never early.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use slab::Slab;

use crate::http1::encode::DATE_LENGTH;

/// How often deadlines are looked at.
pub const TICK: Duration = Duration::from_millis(20);

/// One worker's timer; cloning it gives another handle.
#[derive(Debug, Clone)]
pub struct Timer(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    /// Milliseconds since `start`, as of the last tick.
    now: Cell<u64>,
    slots: RefCell<Slab<Slot>>,
    second: Cell<u64>,
    date: Cell<[u8; DATE_LENGTH]>,
}

#[derive(Debug)]
struct Slot {
    /// Milliseconds since the timer's start.
    at: u64,
    waker: Option<Waker>,
}

const NEVER: u64 = u64::MAX;

impl Timer {
    /// A timer that stands until [`Timer::run`] moves it.
    #[must_use]
    pub fn new() -> Self {
        let timer = Self(Rc::new(Inner {
            start: Instant::now(),
            now: Cell::new(0),
            slots: RefCell::new(Slab::new()),
            second: Cell::new(0),
            date: Cell::new([b' '; DATE_LENGTH]),
        }));
        timer.tick();
        timer
    }

    /// Moves the timer, for as long as the worker lives.
    pub async fn run(self) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.tick();
        }
    }

    fn tick(&self) {
        let inner = &*self.0;
        let now = u64::try_from(inner.start.elapsed().as_millis()).unwrap_or(NEVER - 1);
        inner.now.set(now);
        let wall = SystemTime::now();
        let second = wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if inner.second.replace(second) != second {
            let mut date = [b' '; DATE_LENGTH];
            let text = httpdate::fmt_http_date(wall);
            for (to, from) in date.iter_mut().zip(text.bytes()) {
                *to = from;
            }
            inner.date.set(date);
        }
        for (_, slot) in inner.slots.borrow_mut().iter_mut() {
            if slot.at <= now
                && let Some(waker) = slot.waker.take()
            {
                waker.wake();
            }
        }
    }

    /// The time as an IMF-fixdate (RFC 9110 §5.6.7), renewed once a second.
    #[must_use]
    pub fn date(&self) -> [u8; DATE_LENGTH] {
        self.0.date.get()
    }

    /// Milliseconds since the worker started, as of the last tick.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.now.get()
    }

    /// Wakes everyone who waits for a deadline, so that they look at the world again (draining).
    pub fn wake_all(&self) {
        for (_, slot) in self.0.slots.borrow_mut().iter_mut() {
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
    }

    /// A deadline that is not set.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        let key = self.0.slots.borrow_mut().insert(Slot { at: NEVER, waker: None });
        Deadline {
            timer: self.clone(),
            key,
        }
    }
}

impl Default for Timer {
    fn default() -> Self {
        Self::new()
    }
}

/// A moment after which something is late. One deadline serves a connection's stages one after another.
#[derive(Debug)]
pub struct Deadline {
    timer: Timer,
    key: usize,
}

/// The deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl Deadline {
    /// Late after this long from now.
    pub fn set(&self, after: Duration) {
        let tick = u64::try_from(TICK.as_millis()).unwrap_or(1);
        let after = u64::try_from(after.as_millis()).unwrap_or(NEVER / 2);
        let at = self.timer.now().saturating_add(after).saturating_add(tick);
        self.with(|slot| slot.at = at);
    }

    /// Milliseconds since the worker started, as of the last tick.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.timer.now()
    }

    /// Never late.
    pub fn clear(&self) {
        self.with(|slot| slot.at = NEVER);
    }

    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.with(|slot| slot.at != NEVER)
    }

    /// Ready once the deadline has passed.
    pub fn poll_elapsed(&self, cx: &mut Context<'_>) -> Poll<Elapsed> {
        let now = self.timer.now();
        self.with(|slot| {
            if slot.at <= now {
                return Poll::Ready(Elapsed);
            }
            if !slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                slot.waker = Some(cx.waker().clone());
            }
            Poll::Pending
        })
    }

    /// What `future` gives, unless the deadline passes before.
    pub async fn or_late<T>(&self, future: impl Future<Output = T>) -> Result<T, Elapsed> {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.poll_elapsed(cx).map(Err)
        })
        .await
    }

    /// What `future` gives within this long.
    pub async fn within<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
        self.set(limit);
        let output = self.or_late(future).await;
        self.clear();
        output
    }

    fn with<T>(&self, change: impl FnOnce(&mut Slot) -> T) -> T {
        // The slot exists as long as the deadline: it is removed by `drop` alone.
        change(&mut self.timer.0.slots.borrow_mut()[self.key])
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.timer.0.slots.borrow_mut().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_fires_after_its_time_and_not_before() {
        let timer = Timer::new();
        let deadline = timer.deadline();
        let mut context = Context::from_waker(Waker::noop());
        deadline.set(Duration::from_millis(40));
        assert!(deadline.poll_elapsed(&mut context).is_pending());
        timer.0.now.set(timer.now() + 59);
        assert!(deadline.poll_elapsed(&mut context).is_pending());
        timer.0.now.set(timer.now() + 2);
        assert!(deadline.poll_elapsed(&mut context).is_ready());
        deadline.clear();
        assert!(deadline.poll_elapsed(&mut context).is_pending());
    }

    #[test]
    fn dropped_deadlines_leave_no_slot() {
        let timer = Timer::new();
        drop(timer.deadline());
        assert!(timer.0.slots.borrow().is_empty());
    }
}
