//! A policy at the wheel: what happens to tasks and workers is told to it under small numbers, and
//! what it decides is kept until the scheduler does it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use channels::id::{SessionId, TaskId};
use channels::wire::{Frame, Place};

use super::{Scheduler, State, Worker};
use crate::Command;
use crate::placement::{
    self, AppNo, Choice, Event, KindNo, Placement, Report, Shape, Spawned, TaskNo, Usage, WorkerNo,
};
use crate::relay::Relay;

/// Kinds that are told apart; what comes later counts as the first.
const KINDS_MAX: u32 = 10_000;

/// The policy, and who is who.
#[derive(Debug)]
pub(super) struct Steer {
    policy: Box<dyn Placement>,
    kinds: BTreeMap<String, KindNo>,
    tasks: Numbers<TaskId>,
    workers: Numbers<SessionId>,
    /// Workers that are gone for the policy and still here, by number.
    departing: BTreeSet<u32>,
    decided: Vec<placement::Command>,
    /// The time of the last event.
    now: Duration,
}

/// Small numbers for names, used again when their bearer is gone.
#[derive(Debug)]
struct Numbers<T> {
    names: Vec<Option<T>>,
    numbers: BTreeMap<T, u32>,
    free: Vec<u32>,
}

impl<T: Copy + Ord> Numbers<T> {
    fn new() -> Self {
        Self { names: Vec::new(), numbers: BTreeMap::new(), free: Vec::new() }
    }

    fn add(&mut self, name: T) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.names.push(None);
            self.names.len() as u32 - 1
        });
        self.names[number as usize] = Some(name);
        self.numbers.insert(name, number);
        number
    }

    fn number(&self, name: T) -> Option<u32> {
        self.numbers.get(&name).copied()
    }

    fn name(&self, number: u32) -> Option<T> {
        self.names.get(number as usize).copied().flatten()
    }

    fn remove(&mut self, name: T) -> Option<u32> {
        let number = self.numbers.remove(&name)?;
        self.names[number as usize] = None;
        self.free.push(number);
        Some(number)
    }
}

impl Steer {
    /// The policy that was chosen, for up to so many workers of so many threads.
    pub(super) fn new(choice: &Choice, shape: Option<Shape>, workers_max: usize) -> Option<Self> {
        let mut choice = choice.clone();
        choice.shape = shape.unwrap_or(choice.shape);
        choice.workers_max = workers_max;
        choice.paper.workers_max = workers_max;
        let policy = choice.build(0).ok()?;
        let (tasks, workers) = (Numbers::new(), Numbers::new());
        Some(Self {
            policy,
            kinds: BTreeMap::new(),
            tasks,
            workers,
            departing: BTreeSet::new(),
            decided: Vec::new(),
            now: Duration::ZERO,
        })
    }

    fn tell(&mut self, now: Duration, event: Event) {
        self.now = now;
        self.policy.handle(now, event, &mut self.decided);
    }

    pub(super) fn on_worker(
        &mut self,
        now: Duration,
        session: SessionId,
        shape: Shape,
        took: Duration,
    ) {
        let number = self.workers.add(session);
        self.tell(now, Event::Ready(WorkerNo(number), shape, took));
    }

    /// `beside` is a task of the worker that spawned it.
    pub(super) fn on_spawn(
        &mut self,
        now: Duration,
        task: TaskId,
        name: &str,
        beside: Option<TaskId>,
    ) {
        let (number, spawned) = self.add(task, name, beside);
        self.tell(now, Event::Spawned(number, spawned));
    }

    /// A worker has begun a task by itself. It is none of the policy's if the worker is not.
    pub(super) fn on_began(
        &mut self,
        now: Duration,
        (session, task): (SessionId, TaskId),
        name: &str,
        beside: Option<TaskId>,
    ) {
        if let Some(worker) = self.present(session) {
            let (number, spawned) = self.add(task, name, beside);
            self.tell(now, Event::Began(number, spawned, worker));
        }
    }

    /// Tasks that a worker began by itself have ended.
    pub(super) fn on_tally(&mut self, now: Duration, session: SessionId, name: &str, usage: Usage) {
        if let Some(worker) = self.present(session) {
            let kind = self.kind(name);
            self.tell(now, Event::Tallied(kind, worker, usage));
        }
    }

    /// What a worker may be granted for what its tasks begin there.
    pub(super) fn seats(&mut self, session: SessionId) -> u32 {
        self.present(session).map_or(0, |worker| self.policy.seats(worker))
    }

    /// The number of a worker that does not leave.
    fn present(&self, session: SessionId) -> Option<WorkerNo> {
        let number = self.workers.number(session)?;
        (!self.departing.contains(&number)).then_some(WorkerNo(number))
    }

    fn kind(&mut self, name: &str) -> KindNo {
        let next = self.kinds.len() as u32;
        match self.kinds.get(name) {
            Some(kind) => *kind,
            None if next < KINDS_MAX => {
                self.kinds.insert(name.to_owned(), KindNo(next));
                KindNo(next)
            }
            None => KindNo(0),
        }
    }

    fn add(&mut self, task: TaskId, name: &str, beside: Option<TaskId>) -> (TaskNo, Spawned) {
        let kind = self.kind(name);
        let parent = beside.and_then(|beside| self.tasks.number(beside)).map(TaskNo);
        (TaskNo(self.tasks.add(task)), Spawned { kind, parent, app: AppNo(0) })
    }

    pub(super) fn on_finished(&mut self, now: Duration, task: TaskId, usage: Option<Usage>) {
        if let Some(number) = self.tasks.remove(task) {
            self.tell(now, Event::Finished(TaskNo(number), usage));
        }
    }

    /// A task has its outcome, and where it stood. Nothing new if it finished.
    pub(super) fn on_ended(&mut self, task: TaskId, state: State) {
        let Some(number) = self.tasks.number(task) else { return };
        let decided = self.decided.len();
        self.decided.retain(
            |command| !matches!(command, placement::Command::Dispatch(of, _) if of.0 == number),
        );
        let waits = state == State::Pooled && self.decided.len() == decided;
        let number = TaskNo(number);
        let event = if waits { Event::Withdrawn(number) } else { Event::Finished(number, None) };
        self.tell(self.now, event);
        self.tasks.remove(task);
    }

    pub(super) fn on_granted(&mut self, now: Duration, session: SessionId, cores: f64) {
        if let Some(number) = self.workers.number(session) {
            self.tell(now, Event::Granted(WorkerNo(number), cores));
        }
    }

    pub(super) fn on_returned(&mut self, now: Duration, task: TaskId) {
        if let Some(number) = self.tasks.number(task) {
            self.tell(now, Event::Returned(TaskNo(number)));
        }
    }

    /// A worker gets no more tasks, and may end those that it has. Its number is not given out
    /// again before it is gone: they go by it.
    pub(super) fn on_departing(&mut self, now: Duration, session: SessionId) {
        if let Some(number) = self.workers.number(session)
            && self.departing.insert(number)
        {
            self.tell(now, Event::Departed(WorkerNo(number)));
        }
    }

    pub(super) fn on_lost(&mut self, now: Duration, session: SessionId) {
        if let Some(number) = self.workers.remove(session)
            && !self.departing.remove(&number)
        {
            self.tell(now, Event::Lost(WorkerNo(number)));
        }
    }

    pub(super) fn on_refused(&mut self, now: Duration) {
        self.tell(now, Event::Refused);
    }

    pub(super) fn on_tick(&mut self, now: Duration) {
        if self.policy.wake_at().is_some_and(|wake| wake <= now) {
            self.tell(now, Event::Tick);
        }
    }

    fn on_report(&mut self, now: Duration, session: SessionId, report: Report) {
        if let Some(worker) = self.present(session) {
            self.tell(now, Event::Polled(worker, report));
        }
    }

    fn is_polled(&self) -> bool {
        self.policy.worker_side().poll.is_some()
    }
}

impl Worker {
    fn report(&self) -> Report {
        let held = self.tasks.len() as u32;
        Report { cpu: self.poll.cpu, memory: self.poll.memory, running: self.seated(), held }
    }

    /// Its tasks that occupy a thread. A worker takes a long wait of unknown kind for one on a
    /// channel; where no task knows another it is none, and each occupies a thread to its end.
    pub(super) fn seated(&self) -> u32 {
        let held = self.tasks.len() as u32;
        if self.has_peers { self.poll.running.min(held) } else { held }
    }
}

impl Scheduler {
    /// The policy takes the wheel, if one was chosen and the client did not ask for a place.
    pub(super) fn take_wheel(&mut self) {
        let chosen = self.policy.placement.as_ref().filter(|_| self.policy.place == Place::Auto);
        self.steer = chosen
            .and_then(|choice| Steer::new(choice, self.policy.shape, self.policy.workers_max));
    }

    /// When the policy wants to be woken.
    pub fn wake_at(&self) -> Option<Duration> {
        self.steer.as_ref().and_then(|steer| steer.policy.wake_at())
    }

    /// That time has come.
    pub fn on_wake(&mut self, now: Duration) {
        if let Some(steer) = &mut self.steer {
            steer.on_tick(now);
        }
    }

    /// What a worker has that says so much. Its platform may grant it less than its threads.
    pub(super) fn shape(&self, threads: u32, memory: u64) -> Shape {
        let usual = self.policy.worker_shape();
        let cores = if threads == usual.threads { usual.cores } else { f64::from(threads.max(1)) };
        Shape { threads, cores, memory, ..usual }
    }

    /// The task that spawned another; if it does not tell, one of the worker that did.
    pub(super) fn beside(&self, spawner: SessionId, parent: Option<TaskId>) -> Option<TaskId> {
        let tasks = &self.workers.get(&spawner)?.tasks;
        parent.filter(|parent| tasks.contains(parent)).or_else(|| tasks.last().copied())
    }

    /// A worker's word reached the books: the policy hears it.
    pub(super) fn report_to_policy(&mut self, now: Duration, session: SessionId) {
        let Some(steer) = &mut self.steer else { return };
        let Some(worker) = self.workers.get(&session) else { return };
        if self.policy.workers_poll || !steer.is_polled() {
            steer.on_report(now, session, worker.report());
        }
    }

    /// Does what the policy has decided. True if there is one.
    pub(super) fn place_by_policy(
        &mut self,
        now: Duration,
        relay: &mut Relay,
        commands: &mut Vec<Command>,
    ) -> bool {
        let polled = self.steer.as_ref().map(Steer::is_polled);
        if polled == Some(true) && !self.policy.workers_poll {
            self.poll_all(now, relay, commands);
        }
        self.do_decided(now, relay, commands);
        polled.is_some()
    }

    /// Where the paper's workers would poll, an answer may have changed: as if all of them did so
    /// now, the least occupied first, until none gets a task any more.
    fn poll_all(&mut self, now: Duration, relay: &mut Relay, commands: &mut Vec<Command>) {
        loop {
            let before = self.pool.len();
            let mut polls: Vec<(u32, SessionId)> = self
                .workers
                .iter()
                .map(|(session, worker)| (worker.poll.running, *session))
                .collect();
            polls.sort_unstable();
            for (_, session) in polls {
                let Some(worker) = self.workers.get(&session) else { continue };
                let report = worker.report();
                if let Some(steer) = &mut self.steer {
                    steer.on_report(now, session, report);
                }
                self.do_decided(now, relay, commands);
            }
            if self.pool.len() == before {
                return;
            }
        }
    }

    fn do_decided(&mut self, now: Duration, relay: &mut Relay, commands: &mut Vec<Command>) {
        // What is done may make the policy decide anew.
        while let Some(steer) = &mut self.steer {
            let decided = std::mem::take(&mut steer.decided);
            if decided.is_empty() {
                return;
            }
            for command in decided {
                self.obey(now, command, relay, commands);
            }
        }
    }

    fn obey(
        &mut self,
        now: Duration,
        command: placement::Command,
        relay: &mut Relay,
        commands: &mut Vec<Command>,
    ) {
        let Some(steer) = &mut self.steer else { return };
        match command {
            placement::Command::Launch => self.start_worker(now, commands),
            placement::Command::Dispatch(task, worker) => {
                let (task, worker) = (steer.tasks.name(task.0), steer.workers.name(worker.0));
                let (Some(id), Some(session)) = (task, worker) else { return };
                let Some(task) = self.tasks.get(&id) else { return };
                if task.state == State::Pooled {
                    self.pool.leave(task.place);
                    self.run(now, id, session, relay, commands);
                }
            }
            placement::Command::Shutdown(number) => {
                let Some(session) = steer.workers.name(number.0) else { return };
                if relay.has_handles(session) {
                    // Something there that outlived its task may be using them.
                    steer.tell(now, Event::Kept(number));
                } else if let Some(worker) = self.workers.get_mut(&session) {
                    worker.draining = true;
                    commands.push(Command::send(session, Frame::Shutdown {}));
                }
            }
            placement::Command::Continue(_) => {}
        }
    }
}
