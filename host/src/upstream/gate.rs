//! How many requests an upstream has at once, and who waits.
//!
//! An upstream that is given more than it can take answers everybody late. With a limit, what is over it waits here, in the order
//! of its arrival, for as long as is worth waiting; and when even the queue is full the newest is refused at once, which costs
//! the least. All workers share one gate an upstream; an upstream without limits has none.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::balance::Tried;
use crate::config::Concurrency;
use crate::telemetry::SharedGauge;

/// Counts an upstream's requests.
#[derive(Debug)]
pub struct Gate {
    limits: Concurrency,
    state: Mutex<State>,
    waiting: SharedGauge,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    /// By server.
    servers: Vec<usize>,
    queue: VecDeque<oneshot::Sender<()>>,
}

/// Where a request stands when it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It has just come, and goes behind those who wait.
    Newest,
    /// It has waited, and it is its turn.
    First,
}

/// What a request may do.
#[derive(Debug)]
pub enum Start {
    /// Go to this server.
    Go(usize, Permit),
    /// Wait until there is room.
    Wait(Turn),
    /// Neither: the queue is full.
    Full,
    /// No server is left to be tried.
    NoServer,
}

impl Gate {
    /// A gate for so many servers.
    #[must_use]
    pub fn new(limits: Concurrency, servers: usize, waiting: SharedGauge) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::new(State {
                servers: vec![0; servers],
                ..State::default()
            }),
            waiting,
        })
    }

    /// Whether this gate does for an upstream with these limits and so many servers.
    #[must_use]
    pub fn is_for(&self, limits: &Concurrency, servers: usize) -> bool {
        self.limits == *limits && self.state.lock().servers.len() == servers
    }

    /// Asks for a server. `pick` chooses one that is not among those given to it.
    pub fn start(self: &Arc<Self>, place: Place, tried: &Tried, pick: impl FnOnce(&Tried) -> Option<usize>) -> Start {
        let mut state = self.state.lock();
        let in_turn = place == Place::First || state.queue.is_empty();
        if in_turn && below(state.running, self.limits.total) {
            let mut excluded = tried.clone();
            let mut full = false;
            for (server, running) in state.servers.iter().enumerate() {
                if !below(*running, self.limits.per_server) && !tried.contains(server) {
                    excluded.insert(server);
                    full = true;
                }
            }
            match pick(&excluded) {
                Some(server) => {
                    state.running += 1;
                    if let Some(running) = state.servers.get_mut(server) {
                        *running += 1;
                    }
                    let gate = self.clone();
                    return Start::Go(server, Permit { gate, server });
                }
                None if !full => return Start::NoServer,
                None => {}
            }
        }
        if state.queue.len() >= self.limits.queue && place == Place::Newest {
            return Start::Full;
        }
        let (sender, receiver) = oneshot::channel();
        match place {
            Place::Newest => state.queue.push_back(sender),
            Place::First => state.queue.push_front(sender),
        }
        self.waiting.set(state.queue.len() as f64);
        Start::Wait(Turn {
            gate: self.clone(),
            receiver,
        })
    }

    /// Tells the first one who still waits that there is room.
    fn call_next(&self, state: &mut State) {
        while let Some(next) = state.queue.pop_front() {
            if next.send(()).is_ok() {
                break;
            }
        }
        self.waiting.set(state.queue.len() as f64);
    }
}

/// A limit of 0 is none.
fn below(running: usize, limit: usize) -> bool {
    limit == 0 || running < limit
}

/// A request that counts. Dropping it makes room.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    server: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.gate.state.lock();
        state.running = state.running.saturating_sub(1);
        if let Some(running) = state.servers.get_mut(self.server) {
            *running = running.saturating_sub(1);
        }
        self.gate.call_next(&mut state);
    }
}

/// A place in the queue.
#[derive(Debug)]
pub struct Turn {
    gate: Arc<Gate>,
    receiver: oneshot::Receiver<()>,
}

impl Turn {
    /// Ends when there is room: then ask again, as [`Place::First`].
    pub async fn comes(mut self) {
        // A gate lives as long as its turns, and drops no sender that it has not used.
        let _ = (&mut self.receiver).await;
        self.receiver.close();
    }
}

impl Drop for Turn {
    /// Whoever was called and has gone meanwhile lets the next one go.
    fn drop(&mut self) {
        if self.receiver.try_recv().is_ok() {
            self.gate.call_next(&mut self.gate.state.lock());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::telemetry::{Registry, families};

    fn gate(total: usize, per_server: usize, queue: usize) -> Arc<Gate> {
        let limits = Concurrency {
            total,
            per_server,
            queue,
            queue_timeout: std::time::Duration::from_secs(1),
        };
        let waiting = Registry::new().shared_gauge(&families::UPSTREAM_WAITING, &["app"]);
        Gate::new(limits, 2, waiting)
    }

    fn ask(gate: &Arc<Gate>, place: Place) -> Start {
        gate.start(place, &Tried::new(), |full| {
            (0..2).find(|server| !full.contains(*server))
        })
    }

    fn go(start: Start) -> (usize, Permit) {
        match start {
            Start::Go(server, permit) => (server, permit),
            other => panic!("{other:?}"),
        }
    }

    fn wait(start: Start) -> Turn {
        match start {
            Start::Wait(turn) => turn,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_over_the_limit_waits_and_then_is_refused() {
        let gate = gate(1, 0, 1);
        let (_, running) = go(ask(&gate, Place::Newest));
        let mut turn = wait(ask(&gate, Place::Newest));
        assert!(matches!(ask(&gate, Place::Newest), Start::Full));
        drop(running);
        turn.receiver.try_recv().unwrap();
        go(ask(&gate, Place::First));
    }

    #[test]
    fn a_full_server_is_passed_over() {
        let gate = gate(0, 1, 1);
        let (first, _one) = go(ask(&gate, Place::Newest));
        let (second, two) = go(ask(&gate, Place::Newest));
        assert_eq!((first, second), (0, 1));
        let _turn = wait(ask(&gate, Place::Newest));
        drop(two);
        assert_eq!(go(ask(&gate, Place::First)).0, 1);
    }

    #[test]
    fn a_turn_that_nobody_takes_is_passed_on() {
        let gate = gate(1, 0, 2);
        let (_, running) = go(ask(&gate, Place::Newest));
        let first = wait(ask(&gate, Place::Newest));
        let mut second = wait(ask(&gate, Place::Newest));
        drop(running);
        drop(first);
        second.receiver.try_recv().unwrap();
    }

    #[test]
    fn nobody_overtakes_the_queue() {
        let gate = gate(1, 0, 2);
        let (_, running) = go(ask(&gate, Place::Newest));
        let _first = wait(ask(&gate, Place::Newest));
        let _second = wait(ask(&gate, Place::Newest));
        drop(running);
        assert!(
            matches!(ask(&gate, Place::Newest), Start::Wait(_)),
            "the second still waits"
        );
    }
}
