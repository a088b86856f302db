//! Tasks, polled one at a time in an order that the seed decides, and the virtual clock.
//!
//! A woken task is in one list for all hosts; the world draws from it. Timers are instants with a
//! waker.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Names a task: its host, and its number there.
pub(crate) type Name = (usize, usize);

/// What tasks, hosts and the world share.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    now: Arc<AtomicU64>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Woken, and not polled since.
    ready: Vec<Name>,
    /// Hosts with frames to send.
    rung: Vec<usize>,
    timers: BTreeMap<(u64, u64), Waker>,
    timer_names: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The virtual time, in microseconds.
    pub(crate) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn set_now(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
        let mut due = Vec::new();
        let mut state = self.state();
        while let Some(first) = state.timers.first_entry().filter(|timer| timer.key().0 <= now) {
            due.push(first.remove());
        }
        drop(state);
        due.into_iter().for_each(Waker::wake);
    }

    /// The next instant at which a timer ends.
    pub(crate) fn next_timer(&self) -> Option<u64> {
        self.state().timers.keys().next().map(|(at, _)| *at)
    }

    /// Waits so many microseconds.
    pub(crate) async fn sleep(&self, time: u64) {
        let until = self.now() + time;
        let mut timer = None;
        poll_fn(|context| {
            if self.now() >= until {
                return Poll::Ready(());
            }
            let mut state = self.state();
            if let Some(timer) = timer.take() {
                state.timers.remove(&timer);
            }
            state.timer_names += 1;
            let name = (until, state.timer_names);
            state.timers.insert(name, context.waker().clone());
            timer = Some(name);
            Poll::Pending
        })
        .await;
    }

    /// A host has frames to send.
    pub(crate) fn ring(&self, host: usize) {
        self.state().rung.push(host);
    }

    pub(crate) fn take_rung(&self) -> Vec<usize> {
        std::mem::take(&mut self.state().rung)
    }

    /// Takes one of the tasks that are ready.
    pub(crate) fn take_ready(&self, pick: impl FnOnce(u32) -> u32) -> Option<Name> {
        let mut state = self.state();
        let count = state.ready.len() as u32;
        (count > 0).then(|| state.ready.swap_remove(pick(count) as usize))
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.state().ready.is_empty()
    }

    /// Says that a task is ready.
    pub(crate) fn rouse(&self, name: Name) {
        let mut state = self.state();
        if !state.ready.contains(&name) {
            state.ready.push(name);
        }
    }

    /// Says that a task is ready at an instant.
    pub(crate) fn rouse_at(&self, instant: u64, name: Name) {
        let waker = self.waker(name);
        let mut state = self.state();
        state.timer_names += 1;
        let timer = (instant, state.timer_names);
        state.timers.insert(timer, waker);
    }

    fn waker(&self, name: Name) -> Waker {
        Waker::from(Arc::new(Rouse { shared: self.clone(), name }))
    }
}

struct Rouse {
    shared: Shared,
    name: Name,
}

impl Wake for Rouse {
    fn wake(self: Arc<Self>) {
        self.shared.rouse(self.name);
    }
}

pub(crate) type Running = Pin<Box<dyn Future<Output = ()>>>;

/// The tasks of one host.
#[derive(Default)]
pub(crate) struct Tasks {
    running: BTreeMap<usize, Running>,
    next: usize,
}

impl Tasks {
    pub(crate) fn spawn(&mut self, host: usize, shared: &Shared, task: Running) -> usize {
        self.next += 1;
        self.running.insert(self.next, task);
        shared.rouse((host, self.next));
        self.next
    }

    /// Polls a task; true if it ended.
    pub(crate) fn poll(&mut self, name: Name, shared: &Shared) -> bool {
        let Some(task) = self.running.get_mut(&name.1) else { return false };
        let waker = shared.waker(name);
        let ended = task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        if ended {
            self.running.remove(&name.1);
        }
        ended
    }

    /// Takes a task out, to be dropped.
    pub(crate) fn remove(&mut self, task: usize) -> Option<Running> {
        self.running.remove(&task)
    }
}
