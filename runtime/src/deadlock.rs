//! The report of deadlocks (C54): when all tasks are asleep for good the program says so and ends,
//! as Go's does, and here with who waits where.
//!
//! Three parts. `channels::census` knows which agents of this process sleep until a channel wakes
//! them. This file knows whether they are all there is: that is, whether anything else in the
//! process could use a channel. `coordinator::deadlock` asks all processes at once, and knows what
//! is under way between them.
//!
//! States of a watch: *idle* -> *counting* (a round of the census is on: the client does one before
//! it suspects anything, every node does one when it is asked) -> *idle*.
//!
//! A process is asleep if, at one moment,
//!
//! - every agent sleeps: `main`, every task, every group, each with no waker but in channels;
//! - the executor has no other tasks: a timer, a context's deadline and whatever the program gives
//!   to `tokio::spawn` are such, and may go on;
//! - the kernel counts no other threads than our own, those of the executor, and threads that sleep
//!   on a channel; and of the executor's no more are awake than serve its queue.
//!
//! So there is no report, though nothing may ever move again, while the program has a timer, a
//! `tokio::spawn`ed task or a thread of its own that does not wait on a channel; while a task waits
//! on a lock of another kind; while one that is `async` and declared `blocking` waits; while one
//! that began beside its parent (`child.rs`) blocks its thread in its very first poll; or while
//! threads that the executor kept for blocking calls are idle (ten seconds). There is none either
//! where workers are threads (`in_memory`), nor where a larger program made its own
//! [`Runtime`](crate::Runtime). What is reported is true.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use channels::census::{self, Asleep, Counted, Role, Who, Witness};
use channels::node::Node;
use channels::wire::Frame;
use procfs::process::Process;
use tokio::runtime::Handle;

use crate::connection::Owner;

/// Exit status of a program that is told of a deadlock; Go's.
const EXIT_DEADLOCK: i32 = 2;
/// Who is named of one process; of the others only how many they are.
const LINES_MAX: usize = 64;
/// Ticks that agents have to answer.
const TICKS_MAX: u32 = 4;
/// Ticks between two suspicions, at first and at most.
const PAUSE_MIN: u32 = 1;
const PAUSE_MAX: u32 = 16;

/// Threads of this process that never use a channel by themselves.
static OWN: AtomicUsize = AtomicUsize::new(0);
/// Threads that run tasks.
static POOL: AtomicUsize = AtomicUsize::new(0);

/// Tasks of the executor that carry frames. At most so many are alive.
static CARRIED: AtomicIsize = AtomicIsize::new(0);

/// A task that carries frames is alive. It is counted after it began, and dropped before it ends,
/// so that no other task is taken for one.
pub(crate) struct Carried;

impl Carried {
    pub(crate) fn note() {
        CARRIED.fetch_add(1, SeqCst);
    }

    fn count() -> usize {
        CARRIED.load(SeqCst).try_into().unwrap_or(0)
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        CARRIED.fetch_sub(1, SeqCst);
    }
}

/// The calling thread is one of the runtime's own, until this is dropped.
pub(crate) struct OwnThread;

impl OwnThread {
    pub(crate) fn enter() -> Self {
        census::set_role(Role::Own);
        OWN.fetch_add(1, SeqCst);
        Self
    }
}

impl Drop for OwnThread {
    fn drop(&mut self) {
        OWN.fetch_sub(1, SeqCst);
        census::set_role(Role::Stranger);
    }
}

/// A thread of an executor begins.
pub(crate) fn enter_pool() {
    census::set_role(Role::Pool);
    POOL.fetch_add(1, SeqCst);
}

/// A thread of an executor ends.
pub(crate) fn leave_pool() {
    POOL.fetch_sub(1, SeqCst);
}

/// A future that is an agent.
pub(crate) struct Watched<F> {
    agent: Counted,
    inner: F,
}

impl<F: Future + Unpin> Watched<F> {
    pub(crate) fn new(who: Who, inner: F) -> Self {
        Self { agent: Counted::new(who), inner }
    }
}

impl<F: Future + Unpin> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let inner = Pin::new(&mut this.inner);
        this.agent.poll_inside(context.waker(), |waker| inner.poll(&mut Context::from_waker(waker)))
    }
}

/// Watches one process.
pub(crate) struct Watch {
    node: Arc<Node>,
    executor: Handle,
    /// What this process is called.
    place: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counting: Option<Counting>,
    /// Why the last round was in vain: as long as that holds there is no other.
    witness: Option<Witness>,
    /// As of the last tick.
    polls: u64,
    /// Ticks until the next suspicion, and then until the one after.
    wait: u32,
    pause: u32,
}

/// A round of the census is on.
struct Counting {
    round: u64,
    /// The coordinator's question that it answers, if it does.
    asked: Option<u64>,
    ticks_left: u32,
}

impl Watch {
    pub(crate) fn new(node: Arc<Node>, executor: Handle, place: String) -> Self {
        Self { node, executor, place, state: Mutex::default() }
    }

    /// The coordinator asks.
    pub(crate) fn on_probe(&self, asked: u64) {
        let mut state = self.state();
        if self.may_sleep(&state) {
            state.begin(Some(asked));
        } else {
            self.node.push(Frame::Awake { round: asked });
        }
    }

    /// Time has passed.
    pub(crate) fn on_tick(&self) {
        let mut state = self.state();
        let Some(counting) = &mut state.counting else { return };
        counting.ticks_left -= 1;
        let Counting { round, asked, ticks_left } = *counting;
        let asleep = self.asleep(round);
        if asleep.is_none() && ticks_left > 0 {
            return;
        }
        state.counting = None;
        state.witness = if asleep.is_none() { Witness::of(round) } else { None };
        // What the round itself did is no news.
        state.polls = census::polls();
        drop(state);
        let is_main_here = asleep.as_ref().is_some_and(|asleep| asleep.mains > 0);
        match (asked, asleep.and_then(|asleep| self.report(&asleep))) {
            (Some(round), Some(report)) => self.node.push(Frame::Asleep { round, report }),
            (Some(round), None) => self.node.push(Frame::Awake { round }),
            (None, Some(_)) if is_main_here => self.node.push(Frame::Suspect {}),
            (None, _) => {}
        }
    }

    /// Time has passed in the client, who suspects a deadlock when nothing moves.
    pub(crate) fn on_client_tick(&self) {
        self.on_tick();
        let mut state = self.state();
        if state.counting.is_some() {
            return;
        }
        let polls = census::polls();
        if polls != state.polls {
            (state.polls, state.wait, state.pause) = (polls, PAUSE_MIN, PAUSE_MIN);
        } else if state.wait > 0 {
            state.wait -= 1;
        } else {
            state.wait = state.pause;
            state.pause = (2 * state.pause).min(PAUSE_MAX);
            if self.may_sleep(&state) {
                state.begin(None);
            }
        }
    }

    /// Whether all of this process that could use a channel was asleep at one moment during this
    /// call. Called where frames come in, so none does meanwhile.
    fn asleep(&self, round: u64) -> Option<Asleep> {
        let first = census::look(round)?;
        let (own, pool) = (OWN.load(SeqCst), POOL.load(SeqCst));
        let metrics = self.executor.metrics();
        let is_all = metrics.num_alive_tasks() == first.on_executor + Carried::count()
            && threads()? == own + pool + first.strangers
            && pool + first.occupied <= metrics.num_workers() + first.pool
            && (own, pool) == (OWN.load(SeqCst), POOL.load(SeqCst));
        // Whatever had moved until then has left a trace in this second look.
        let second = census::look(round)?;
        (is_all && first == second).then_some(first)
    }

    /// Whether it is worth a round: nothing is known that keeps this process awake.
    fn may_sleep(&self, state: &State) -> bool {
        let known = census::known();
        let ours = OWN.load(SeqCst) + POOL.load(SeqCst) + known.strangers;
        let metrics = self.executor.metrics();
        !state.witness.is_some_and(Witness::still_waits)
            && metrics.num_alive_tasks() <= known.on_executor + Carried::count()
            && POOL.load(SeqCst) <= metrics.num_workers() + known.pool
            && threads().is_some_and(|threads| threads <= ours)
    }

    fn report(&self, asleep: &Asleep) -> Option<String> {
        let lines = census::describe(asleep, LINES_MAX)?;
        Some(lines.into_iter().map(|line| format!("{}{line}\n", self.place)).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self, asked: Option<u64>) {
        let round = census::begin();
        self.counting = Some(Counting { round, asked, ticks_left: TICKS_MAX });
    }
}

/// The process of `main`. It gets no frames but the answers to its own operations, and what
/// concerns deadlocks.
#[derive(Default)]
pub(crate) struct Main {
    /// Until it is there, nobody would end this process.
    watch: OnceLock<Watch>,
}

impl Main {
    /// From now on a deadlock ends the process.
    pub(crate) fn watch(&self, watch: Watch) {
        self.watch.set(watch).ok();
    }
}

impl Owner for Main {
    fn on_frame(&self, frame: Frame) {
        match (frame, self.watch.get()) {
            (Frame::Probe { round }, Some(watch)) => watch.on_probe(round),
            (Frame::Deadlock { report }, Some(_)) => end(&report),
            (other, _) => tracing::warn!("a frame that is not for clients came: {other}"),
        }
    }

    fn on_tick(&self) {
        if let Some(watch) = self.watch.get() {
            watch.on_client_tick();
        }
    }

    fn on_over(&self, _: &str) {}
}

impl fmt::Debug for Main {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Main")
    }
}

/// Says what the coordinator found, and ends the program.
fn end(report: &str) -> ! {
    eprintln!("fatal error: all tasks are asleep - deadlock!\n\n{report}");
    std::process::exit(EXIT_DEADLOCK)
}

/// Threads of this process, as the kernel counts them.
fn threads() -> Option<usize> {
    let stat = Process::myself().and_then(|process| process.stat()).ok()?;
    usize::try_from(stat.num_threads).ok()
}
