//! A platform that starts workers as slowly as Lambda does, for evaluations on one machine.
//!
//! A launch takes a sandbox that an earlier worker left, and is *warm*, or needs a new one, and is
//! *cold*: then the worker is started after a while. A worker that ended leaves its sandbox, which
//! is kept for a time. How long a worker itself takes to start comes on top.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::{Ended, Launch, Platform};

/// What is emulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Emulation {
    /// CPUs of each worker, for computing that is emulated too.
    pub cores: f64,
    /// What a cold start takes beyond that of the worker.
    pub cold_start: Duration,
    /// How long a sandbox is kept.
    pub keep_alive: Duration,
}

/// Starts workers on another platform, late.
pub struct Emulated {
    emulation: Emulation,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    inner: Box<dyn Platform>,
    /// When sandboxes became free, oldest first.
    sandboxes: VecDeque<Instant>,
    /// Launches that wait.
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
}

impl Emulated {
    /// Workers are started on `inner`.
    pub fn new(inner: Box<dyn Platform>, emulation: Emulation) -> Self {
        let shared = Shared { inner, sandboxes: VecDeque::new(), waiting: BTreeMap::new() };
        Self { emulation, shared: Arc::new(Mutex::new(shared)) }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Starts a worker; how it ends will be told.
    fn start(&mut self, launch: Launch) -> mpsc::UnboundedReceiver<(u64, String)> {
        let (inbox, ends) = mpsc::unbounded_channel();
        let number = launch.number;
        self.waiting.remove(&number);
        self.inner.launch(launch, Ended::new(number, inbox));
        ends
    }

    /// Whether there was a sandbox to take.
    fn take_sandbox(&mut self, keep_alive: Duration) -> bool {
        while self.sandboxes.front().is_some_and(|since| since.elapsed() > keep_alive) {
            self.sandboxes.pop_front();
        }
        self.sandboxes.pop_back().is_some()
    }
}

impl Platform for Emulated {
    fn launch(&mut self, launch: Launch, ended: Ended) {
        let shared = self.shared.clone();
        let mut state = lock(&shared);
        let is_warm = state.take_sandbox(self.emulation.keep_alive);
        let delay = if is_warm { Duration::ZERO } else { self.emulation.cold_start };
        let (stop, stopped) = oneshot::channel();
        state.waiting.insert(launch.number, stop);
        drop(state);
        tokio::spawn(async move {
            tokio::select! {
                () = sleep(delay) => {}
                _ = stopped => return ended.tell("it was stopped before it started"),
            }
            let mut ends = lock(&shared).start(launch);
            let cause = ends.recv().await.map_or_else(String::new, |(_, cause)| cause);
            lock(&shared).sandboxes.push_back(Instant::now());
            ended.tell(cause);
        });
    }

    fn stop(&mut self, number: u64) {
        let mut state = lock(&self.shared);
        match state.waiting.remove(&number) {
            Some(stop) => drop(stop.send(())),
            None => state.inner.stop(number),
        }
    }
}

impl fmt::Debug for Emulated {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Emulated({:?})", self.emulation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Memory;
    use channels::wire::Secret;

    fn launch(number: u64) -> Launch {
        Launch { number, secret: Secret([0; 32]), coordinator: String::new() }
    }

    /// In virtual time: the platform's workers end as soon as they start.
    #[tokio::test(start_paused = true)]
    async fn the_first_start_is_cold_and_the_next_is_warm_until_the_sandbox_is_given_up() {
        let emulation = Emulation {
            cores: 6.0,
            cold_start: Duration::from_secs(3),
            keep_alive: Duration::from_secs(60),
        };
        let mut platform = Emulated::new(Box::new(Memory::new(|_| {})), emulation);
        let (inbox, mut ends) = mpsc::unbounded_channel();
        let mut took = Vec::new();
        for number in 0..3 {
            if number == 2 {
                sleep(Duration::from_secs(61)).await;
            }
            let begun = Instant::now();
            platform.launch(launch(number), Ended::new(number, inbox.clone()));
            assert_eq!(ends.recv().await, Some((number, "it returned".to_owned())));
            took.push(begun.elapsed().as_secs());
        }
        assert_eq!(took, [3, 0, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_that_waits_can_be_stopped() {
        let emulation = Emulation {
            cores: 6.0,
            cold_start: Duration::from_secs(3),
            keep_alive: Duration::ZERO,
        };
        let started = |_| panic!("it was not to start");
        let mut platform = Emulated::new(Box::new(Memory::new(started)), emulation);
        let (inbox, mut ends) = mpsc::unbounded_channel();
        platform.launch(launch(1), Ended::new(1, inbox));
        platform.stop(1);
        let (number, cause) = ends.recv().await.unwrap();
        assert_eq!((number, cause.contains("stopped")), (1, true), "{cause}");
    }
}
