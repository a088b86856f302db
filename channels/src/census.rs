//! Who of this process is asleep for good, unless a channel wakes it: the ground of the report of
//! deadlocks (C54). Nothing here decides that there is one; it says what is so, and never more.
//!
//! An *agent* is whatever uses channels and can be asked: a task whose executor polls it through
//! `Agent::poll`, or a thread that waits in [`blocking`](crate::blocking). In a *round* of the
//! census every agent is roused, which a future must bear at any time, and polled once with a waker
//! made for the round. If it is pending then, its *answer* is that waker and the marks that channel
//! operations left (see `waiting.rs`). It is *asleep* as long as
//!
//! 1. it has not been woken or polled again, and
//! 2. every clone of that waker belongs to a mark, and every mark is where it was left.
//!
//! By 2 nothing but a channel holds a waker of it: no socket, timer, lock or thread could wake it.
//! What is unknown makes an agent awake: so an error here is on the side of silence.
//!
//! [`look`] reads all answers; who looks twice and finds the same answers knows that all agents
//! were asleep at one moment between, for each slept from the first look to the second.
//!
//! A thread is known to others by its [`Role`], for one that is not known here may be about to use
//! a channel. A thread that waits inside the poll of a task speaks for that task.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Wake, Waker};

use parking_lot::Mutex;

use crate::id::TaskId;
use crate::waiting::{Marks, mark_while};

/// The round of the census that is on, from 1. Until the first none is.
static ROUND: AtomicU64 = AtomicU64::new(0);

/// All agents of this process.
static AGENTS: Mutex<Agents> = Mutex::new(Agents { next: 1, all: BTreeMap::new() });

struct Agents {
    next: u64,
    all: BTreeMap<u64, Arc<Agent>>,
}

thread_local! {
    /// The agent in whose poll this thread is; 0 for none.
    static INSIDE: Cell<u64> = const { Cell::new(0) };
    static ROLE: Cell<Role> = const { Cell::new(Role::Stranger) };
}

/// Who an agent is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// The program's `main`.
    Main,
    /// A task that shares an executor.
    Task(&'static str, TaskId),
    /// A task on a thread of its own.
    ThreadTask(&'static str, TaskId),
    /// What waits for the tasks of a group, on the executor.
    Group,
    /// A thread that waits on a channel.
    Thread,
}

/// What a thread is to the runtime.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Role {
    /// Started by nobody we know.
    Stranger = 0,
    /// Never uses a channel by itself.
    Own = 1,
    /// Runs tasks.
    Pool = 2,
}

/// Says what the calling thread is.
pub fn set_role(role: Role) {
    ROLE.set(role);
}

/// Something that uses channels and can be asked whether it sleeps.
pub struct Agent {
    number: u64,
    who: Who,
    /// The name of a thread.
    name: Option<String>,
    /// What it was polled for last: this round, or [`ANSWERED`].
    done: AtomicU64,
    polls: AtomicU64,
    /// Of a thread: the agent in whose poll it waits.
    inside: AtomicU64,
    role: AtomicU8,
    rouse: OnceLock<Waker>,
    answer: Mutex<Option<Answer>>,
}

/// The answer is there, and ends with the next poll.
const ANSWERED: u64 = u64::MAX;

struct Answer {
    round: u64,
    stir: Arc<Stir>,
    marks: Marks,
}

/// The waker of an agent for one round.
struct Stir {
    woken: AtomicBool,
    waker: Waker,
}

impl Wake for Stir {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.waker.wake_by_ref();
    }
}

/// An agent that is counted until this is dropped.
pub struct Counted(Arc<Agent>);

impl Counted {
    /// A new agent.
    pub fn new(who: Who) -> Self {
        let name = || std::thread::current().name().map(str::to_owned);
        let name = if who == Who::Thread { name() } else { None };
        let mut agents = AGENTS.lock();
        let number = agents.next;
        agents.next += 1;
        let agent = Arc::new(Agent {
            number,
            who,
            name,
            done: AtomicU64::new(ROUND.load(Ordering::SeqCst)),
            polls: AtomicU64::new(0),
            inside: AtomicU64::new(0),
            role: AtomicU8::new(ROLE.get() as u8),
            rouse: OnceLock::new(),
            answer: Mutex::new(None),
        });
        agents.all.insert(number, agent.clone());
        Self(agent)
    }

    /// A new agent that has been polled once already, with this waker, and waits.
    pub fn late(who: Who, waker: &Waker) -> Self {
        let this = Self::new(who);
        this.0.rouse.get_or_init(|| waker.clone());
        this
    }

    /// Polls the agent's future: with `waker`, or, in a round of the census, with one around it.
    #[inline]
    pub fn poll<R>(&self, waker: &Waker, poll: impl FnOnce(&Waker) -> Poll<R>) -> Poll<R> {
        let agent = &*self.0;
        // Nobody else polls it now, so this is no race.
        agent.polls.store(agent.polls.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        let is_usual = agent.done.load(Ordering::Relaxed) == ROUND.load(Ordering::Relaxed);
        if is_usual && agent.rouse.get().is_some() {
            return poll(waker);
        }
        agent.poll_unusually(waker, poll)
    }

    /// The same, and what waits on this thread meanwhile speaks for the agent.
    #[inline]
    pub fn poll_inside<R>(&self, waker: &Waker, poll: impl FnOnce(&Waker) -> Poll<R>) -> Poll<R> {
        let _inside = Inside(INSIDE.replace(self.0.number));
        self.poll(waker, poll)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        AGENTS.lock().all.remove(&self.0.number);
        // Its marks hold wakers, and the wakers perhaps this very task.
        let answer = self.0.answer.lock().take();
        drop(answer);
    }
}

/// Puts back in whose poll a thread was.
struct Inside(u64);

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}

/// The calling thread waits from here on; it speaks for the task in whose poll it is.
pub(crate) struct Sleeper<'a> {
    thread: &'a Counted,
    before: u64,
}

impl<'a> Sleeper<'a> {
    pub(crate) fn new(thread: &'a Counted, waker: &Waker) -> Self {
        thread.0.rouse.get_or_init(|| waker.clone());
        thread.0.role.store(ROLE.get() as u8, Ordering::SeqCst);
        let before = thread.0.inside.swap(INSIDE.get(), Ordering::SeqCst);
        Self { thread, before }
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.thread.0.inside.store(self.before, Ordering::SeqCst);
    }
}

impl Agent {
    #[cold]
    fn poll_unusually<R>(&self, waker: &Waker, poll: impl FnOnce(&Waker) -> Poll<R>) -> Poll<R> {
        self.rouse.get_or_init(|| waker.clone());
        let round = ROUND.load(Ordering::SeqCst);
        let before = self.answer.lock().take();
        let has_answered = before.is_some_and(|answer| answer.round == round);
        if has_answered || self.done.load(Ordering::Relaxed) == round {
            self.done.store(round, Ordering::Relaxed);
            return poll(waker);
        }
        let stir = Arc::new(Stir { woken: AtomicBool::new(false), waker: waker.clone() });
        let (polled, marks) = mark_while(Waker::from(stir.clone()), poll);
        if polled.is_pending() {
            self.done.store(ANSWERED, Ordering::Relaxed);
            *self.answer.lock() = Some(Answer { round, stir, marks });
        } else {
            self.done.store(round, Ordering::Relaxed);
        }
        polled
    }

    /// Whether it sleeps, by its answer of a round, and by which waker that is known.
    fn sleeps(&self, round: u64) -> Option<usize> {
        let answer = self.answer.lock();
        let Answer { stir, marks, .. } = answer.as_ref().filter(|answer| answer.round == round)?;
        let is_ours = Arc::strong_count(stir) == 1 + marks.len() && marks.hold();
        let sleeps = is_ours && !stir.woken.load(Ordering::SeqCst);
        sleeps.then_some(Arc::as_ptr(stir) as usize)
    }

    /// Whether something else than a channel will wake it, by its answer of a round.
    fn waits_otherwise(&self, round: u64) -> bool {
        let answer = self.answer.lock();
        let answer = answer.as_ref().filter(|answer| answer.round == round);
        answer.is_some_and(|answer| Arc::strong_count(&answer.stir) > 1 + answer.marks.len())
    }

    fn places(&self) -> Vec<String> {
        self.answer.lock().as_ref().map_or_else(Vec::new, |answer| answer.marks.places())
    }
}

/// Begins a round: every agent is roused, and answers as it is polled.
pub fn begin() -> u64 {
    let agents: Vec<_> = {
        let agents = AGENTS.lock();
        ROUND.fetch_add(1, Ordering::SeqCst);
        agents.all.values().cloned().collect()
    };
    agents.iter().filter_map(|agent| agent.rouse.get()).for_each(Waker::wake_by_ref);
    ROUND.load(Ordering::SeqCst)
}

/// How often agents were polled so far. As long as that stays the same nothing happened.
pub fn polls() -> u64 {
    let agents = AGENTS.lock();
    let polls = agents.all.values().map(|agent| agent.polls.load(Ordering::Relaxed));
    polls.fold(agents.next, u64::wrapping_add)
}

/// How many agents there are, asleep or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Known {
    /// Tasks and groups on the executor.
    pub on_executor: usize,
    /// Threads that nobody knew before.
    pub strangers: usize,
    /// Threads that run tasks.
    pub pool: usize,
}

/// Counts the agents.
pub fn known() -> Known {
    let agents = AGENTS.lock();
    let mut known = Known::default();
    for agent in agents.all.values() {
        let has_role = |role| agent.role.load(Ordering::SeqCst) == role as u8;
        let is_thread = agent.who == Who::Thread;
        known.strangers += usize::from(is_thread && has_role(Role::Stranger));
        known.pool += usize::from(is_thread && has_role(Role::Pool));
        known.on_executor += usize::from(agent.who.is_on_executor());
    }
    known
}

/// All agents sleep: how many there are of each kind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Asleep {
    /// Programs' `main`.
    pub mains: usize,
    /// Tasks and groups on the executor.
    pub on_executor: usize,
    /// Threads that nobody knew before.
    pub strangers: usize,
    /// Threads that run tasks.
    pub pool: usize,
    /// Of these, threads that sleep inside a task that shares the executor, and so occupy one of
    /// its threads.
    pub occupied: usize,
    round: u64,
    /// Every agent, and by what it is known to sleep.
    known: Vec<(u64, Sign)>,
}

/// By what an agent is known to sleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sign {
    /// Its own answer: the address of its waker, which is no other's while the answer is there.
    Answer(usize),
    /// That of the thread in its poll.
    Thread(u64),
}

/// Looks whether all agents sleep, by their answers in a round.
pub fn look(round: u64) -> Option<Asleep> {
    let agents = AGENTS.lock();
    let mut asleep = Asleep { round, ..Asleep::default() };
    let mut spoken_for = BTreeMap::new();
    for agent in agents.all.values().filter(|agent| agent.who == Who::Thread) {
        let Some(answer) = agent.sleeps(round) else { continue };
        let inside = agent.inside.load(Ordering::SeqCst);
        spoken_for.insert(inside, agent.number);
        asleep.known.push((agent.number, Sign::Answer(answer)));
        let role = agent.role.load(Ordering::SeqCst);
        asleep.strangers += usize::from(role == Role::Stranger as u8);
        asleep.pool += usize::from(role == Role::Pool as u8);
        let host = agents.all.get(&inside).filter(|host| host.who.is_on_executor());
        asleep.occupied += usize::from(role == Role::Pool as u8 && host.is_some());
    }
    for agent in agents.all.values().filter(|agent| agent.who != Who::Thread) {
        let sign = match (agent.sleeps(round), spoken_for.get(&agent.number)) {
            (Some(answer), _) => Sign::Answer(answer),
            (None, Some(thread)) => Sign::Thread(*thread),
            (None, None) => return None,
        };
        asleep.known.push((agent.number, sign));
        asleep.on_executor += usize::from(agent.who.is_on_executor());
        asleep.mains += usize::from(agent.who == Who::Main);
    }
    Some(asleep)
}

/// An agent that will be woken by something else than a channel, by its answer in a round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Witness {
    agent: u64,
    round: u64,
}

impl Witness {
    /// Finds one.
    pub fn of(round: u64) -> Option<Self> {
        let agents = AGENTS.lock();
        let mut all = agents.all.values().filter(|agent| agent.who != Who::Thread);
        let agent = all.find(|agent| agent.waits_otherwise(round))?;
        Some(Self { agent: agent.number, round })
    }

    /// Whether it has not been woken or polled since.
    pub fn still_waits(self) -> bool {
        let agents = AGENTS.lock();
        agents.all.get(&self.agent).is_some_and(|agent| agent.waits_otherwise(self.round))
    }
}

/// Each agent that sleeps and where, in words, one line each; at most so many, and then how many
/// more there are. None if one of those has been woken or polled meanwhile.
pub fn describe(asleep: &Asleep, lines_max: usize) -> Option<Vec<String>> {
    let agents = AGENTS.lock();
    let mut lines = Vec::new();
    let speakers = asleep.known.iter().filter_map(|(number, sign)| match sign {
        Sign::Answer(answer) => Some((number, *answer)),
        Sign::Thread(_) => None,
    });
    for (number, answer) in speakers.clone().take(lines_max) {
        let agent = agents.all.get(number)?;
        let host = agents.all.get(&agent.inside.load(Ordering::SeqCst));
        let places = agent.places();
        if agent.sleeps(asleep.round) != Some(answer) {
            return None;
        }
        let places = if places.is_empty() { vec!["nothing".to_owned()] } else { places };
        lines.push(format!("{}: {}", host.unwrap_or(agent), places.join("; ")));
    }
    lines.sort_by_key(|line| !line.starts_with("main:"));
    let others = speakers.count() - lines.len();
    if others > 0 {
        lines.push(format!("and {others} more"));
    }
    Some(lines)
}

impl Who {
    fn is_on_executor(self) -> bool {
        matches!(self, Self::Task(..) | Self::Group)
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.who {
            Who::Main => out.write_str("main"),
            Who::Task(name, id) | Who::ThreadTask(name, id) => write!(out, "{id}, {name}"),
            Who::Group => out.write_str("a task group"),
            Who::Thread => write!(out, "thread {}", self.name.as_deref().unwrap_or("without name")),
        }
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Counted({})", self.0)
    }
}

#[cfg(test)]
mod tests;
