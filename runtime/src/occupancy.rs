//! Which tasks occupy a thread of their worker: the paper's `|currTasks|`, for tasks that talk.
//!
//! A task has a *seat*. It sits while it is started or polled (*running*), and keeps the seat while
//! it waits for a disk, a socket or a timer (*waiting*): the paper gives one thread to one task. It
//! gives the seat up while it waits on a channel (*parked*), for the task it waits for may be the
//! next in the pool. A wait of unknown kind that lasts two ticks is taken for one on a channel too:
//! a task may have handed its handles to a helper of its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use channels::blocking::{self, Wait};
use channels::{moved, waiting};

use crate::stopwatch::Stopwatch;

/// How many tasks of a worker occupy a thread, and what the coordinator was told of it.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    running: AtomicU32,
    runs: AtomicU64,
    told_running: AtomicU32,
    told_runs: AtomicU64,
}

impl Gauge {
    /// A `Run` frame came.
    pub(crate) fn on_run(&self) {
        self.runs.fetch_add(1, Relaxed);
    }

    /// Whether the coordinator takes this worker for fuller than it is.
    pub(crate) fn has_news(&self) -> bool {
        let unseen = self.runs.load(Relaxed) - self.told_runs.load(Relaxed);
        u64::from(self.told_running.load(Relaxed)) + unseen > u64::from(self.running.load(Relaxed))
    }

    /// Whether anything is other than what the coordinator was told.
    pub(crate) fn has_changed(&self) -> bool {
        self.told_running.load(Relaxed) != self.running.load(Relaxed)
            || self.told_runs.load(Relaxed) != self.runs.load(Relaxed)
    }

    /// What to tell: tasks that occupy a thread, and `Run` frames seen.
    pub(crate) fn tell(&self) -> (u32, u64) {
        // Runs first: a task that starts in between is then counted twice rather than not at all.
        let runs = self.runs.load(Relaxed);
        let running = self.running.load(Relaxed);
        self.told_running.store(running, Relaxed);
        self.told_runs.store(runs, Relaxed);
        (running, runs)
    }
}

const RUNNING: u8 = 0;
const WAITING: u8 = 1;
const WAITING_LONG: u8 = 2;
const PARKED: u8 = 3;

/// One task's seat. Given up for good when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    state: AtomicU8,
    gauge: Arc<Gauge>,
    /// It waits in place of computing.
    emulates: AtomicBool,
    /// What the task takes.
    pub(crate) watch: Stopwatch,
}

impl Seat {
    /// A task is about to start. `is_heavy` if polls of its kind were long.
    pub(crate) fn take(gauge: Arc<Gauge>, is_heavy: bool) -> Self {
        gauge.running.fetch_add(1, Relaxed);
        Self::taken(gauge, is_heavy)
    }

    /// The same, unless more tasks than so many have a seat and sit on it.
    pub(crate) fn take_of(gauge: &Arc<Gauge>, seats: u32, is_heavy: bool) -> Option<Self> {
        let sit = |running| (running <= seats).then_some(running + 1);
        gauge.running.fetch_update(Relaxed, Relaxed, sit).ok()?;
        Some(Self::taken(gauge.clone(), is_heavy))
    }

    fn taken(gauge: Arc<Gauge>, is_heavy: bool) -> Self {
        let (state, emulates) = (AtomicU8::new(RUNNING), AtomicBool::new(false));
        Self { state, gauge, emulates, watch: Stopwatch::new(is_heavy) }
    }

    /// Until this is dropped its waits are for computing.
    pub(crate) fn emulate(&self) -> Emulating<'_> {
        self.emulates.store(true, Relaxed);
        Emulating(self)
    }

    /// Whether it is on a CPU, or would be if there were enough of them.
    pub(crate) fn is_running(&self) -> bool {
        self.state.load(Relaxed) == RUNNING
    }

    pub(crate) fn resume(&self) {
        if self.state.swap(RUNNING, Relaxed) == PARKED {
            self.gauge.running.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn park(&self) {
        if self.state.swap(PARKED, Relaxed) != PARKED {
            self.gauge.running.fetch_sub(1, Relaxed);
        }
    }

    /// The task waits. True if it gave its seat up.
    pub(crate) fn wait(&self) -> bool {
        let on_channel = waiting::take();
        if self.emulates.load(Relaxed) {
            return false;
        }
        if on_channel {
            self.park();
        } else {
            self.state.store(WAITING, Relaxed);
        }
        on_channel
    }

    /// A tick has passed.
    pub(crate) fn age(&self) {
        let change = |from, to| self.state.compare_exchange(from, to, Relaxed, Relaxed).is_ok();
        if change(WAITING_LONG, PARKED) {
            self.gauge.running.fetch_sub(1, Relaxed);
        } else {
            change(WAITING, WAITING_LONG);
        }
    }
}

/// A task waits in place of computing.
#[derive(Debug)]
pub(crate) struct Emulating<'a>(&'a Seat);

impl Drop for Emulating<'_> {
    fn drop(&mut self) {
        self.0.emulates.store(false, Relaxed);
    }
}

/// A task's future, which takes and gives up its seat as it goes.
pub(crate) struct Seated<F, N> {
    seat: Arc<Seat>,
    inner: F,
    /// Called when the seat was given up.
    on_free: N,
}

impl<F: Future + Unpin, N: Fn() + Clone + Unpin + 'static> Seated<F, N> {
    pub(crate) fn new(seat: Arc<Seat>, inner: F, on_free: N) -> Self {
        Self { seat, inner, on_free }
    }

    /// Runs the task on this thread to its end. Blocking channel operations in it count as waits.
    pub(crate) fn on_this_thread(self) -> F::Output {
        let Self { seat, inner, on_free } = self;
        let watched = seat.clone();
        blocking::observe_with(move |wait| match wait {
            Wait::Resumed => watched.resume(),
            Wait::Parked => {
                if watched.wait() {
                    on_free();
                }
            }
        });
        moved::take();
        let mark = Stopwatch::begin_thread();
        let output = blocking::wait_for(inner);
        seat.watch.end(mark);
        seat.watch.moved(moved::take());
        blocking::observe_with(|_| {});
        seat.park();
        output
    }
}

impl<F: Future + Unpin, N: Fn() + Unpin> Future for Seated<F, N> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.seat.resume();
        waiting::take();
        moved::take();
        let mark = self.seat.watch.begin_poll();
        let polled = Pin::new(&mut self.inner).poll(context);
        self.seat.watch.end(mark);
        self.seat.watch.moved(moved::take());
        if polled.is_ready() {
            self.seat.park();
        } else if self.seat.wait() {
            (self.on_free)();
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use channels::node::Node;
    use channels::transfer;
    use futures::FutureExt;

    use super::*;

    fn running(gauge: &Gauge) -> u32 {
        gauge.running.load(Relaxed)
    }

    #[test]
    fn a_seat_is_kept_for_a_disk_and_given_up_for_a_channel() {
        let gauge = Arc::new(Gauge::default());
        let seat = Seat::take(gauge.clone(), false);
        assert_eq!(running(&gauge), 1);
        waiting::take();
        assert!(!seat.wait());
        assert_eq!(running(&gauge), 1, "it waits for something else");
        seat.resume();
        let (_sender, receiver) = channels::channel::<u8>(0);
        let mut receiving = receiver.recv();
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut receiving).poll(&mut context).is_pending());
        assert!(seat.wait());
        assert_eq!(running(&gauge), 0);
        seat.resume();
        seat.resume();
        assert_eq!(running(&gauge), 1);
        seat.park();
        seat.park();
        assert_eq!(running(&gauge), 0);
    }

    /// A task that sends so many bytes to a channel whose other end may be elsewhere, or is not.
    #[track_caller]
    fn check_moved(is_relayed: bool, on_thread: bool) {
        let (sender, receiver) = channels::channel::<Vec<u8>>(1);
        let node = Node::new(|| {});
        if is_relayed {
            transfer::pack(&node, &receiver).unwrap();
        }
        let seat = Arc::new(Seat::take(Arc::default(), false));
        let sending = Box::pin(async move {
            sender.send(vec![7; 1000]).now_or_never();
        });
        let seated = Seated::new(seat.clone(), sending, || {});
        if on_thread {
            seated.on_this_thread();
        } else {
            assert!(seated.now_or_never().is_some());
        }
        let moved = seat.watch.usage().channel_bytes;
        let expected = if is_relayed { 1000..1010 } else { 0..1 };
        assert!(expected.contains(&moved), "{moved} bytes, relayed: {is_relayed}");
        assert_eq!(moved::take(), 0, "of no other task");
    }

    #[test]
    fn a_task_is_told_what_it_moves_between_processes() {
        for on_thread in [false, true] {
            check_moved(true, on_thread);
            check_moved(false, on_thread);
        }
    }

    #[test]
    fn a_long_wait_gives_the_seat_up() {
        let gauge = Arc::new(Gauge::default());
        let seat = Seat::take(gauge.clone(), false);
        waiting::take();
        seat.wait();
        seat.age();
        assert_eq!(running(&gauge), 1);
        seat.age();
        assert_eq!(running(&gauge), 0);
        seat.age();
        seat.resume();
        assert_eq!(running(&gauge), 1);
    }

    #[test]
    fn news_is_a_free_thread_that_the_coordinator_does_not_know_of() {
        let gauge = Arc::new(Gauge::default());
        assert!(!gauge.has_news());
        gauge.on_run();
        let seat = Seat::take(gauge.clone(), false);
        assert!(!gauge.has_news(), "it is as busy as the coordinator thinks");
        assert_eq!(gauge.tell(), (1, 1));
        seat.park();
        assert!(gauge.has_news());
        gauge.tell();
        assert!(!gauge.has_news());
    }
}
