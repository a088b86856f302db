//! Which tasks there are, which workers, and who runs what.
//!
//! A task is *pooled* (waits for a worker) -> *running* on a worker, as attempt n -> ended, with
//! exactly one outcome on its result channel. When its worker dies it goes back to its old place in
//! the pool if it may run again, and ends as `WorkerLost` if not. Once its spawner has given it up
//! it is *stopping*: it ends as soon as its worker says so, or dies. A late word from an old
//! attempt finds that the task is elsewhere, and is dropped.
//!
//! A worker is *starting* (launched, no hello yet) -> *ready* -> *draining* (told to shut down) ->
//! gone, by goodbye or by death. `placement` decides; this file keeps the books.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use channels::codec;
use channels::id::{SessionId, TaskId};
use channels::line::{Line, Places};
use channels::outcome::Outcome;
use channels::wire::{self, Frame, Parcel, Place, Vitals};

use crate::Command;
use crate::bill::{Ledger, Meter, Tariff};
use crate::limits::Room;
use crate::placement::paper::Poll;
pub use crate::policy::Policy;
use crate::relay::{Cargo, Relay, Violation};
pub use crate::task::Spawn;
use crate::task::{State, Task};

mod books;
mod children;
mod departure;
pub use books::Health;
mod pushed;
mod room;
mod steer;
use steer::Steer;

/// Workers that failed to start, one after the other, before the tasks in the pool are given up,
/// or, if there are other workers or will be, before launches are spaced out.
const FAILED_LAUNCHES_MAX: u32 = 3;
/// The first space between launches that fail; it doubles, up to 64 times as much.
const LAUNCH_SPACE: Duration = Duration::from_millis(500);

/// All tasks and workers.
#[derive(Debug)]
pub struct Scheduler {
    policy: Policy,
    /// Boxed, for the map moves its entries about.
    tasks: BTreeMap<TaskId, Box<Task>>,
    /// The paper's request pool. A crowd of aborts leaves it from the middle.
    pool: Line<TaskId>,
    places: Places,
    workers: BTreeMap<SessionId, Worker>,
    /// Launches without a hello yet.
    starting: BTreeMap<u64, Duration>,
    next_launch: u64,
    /// How many launches failed since one succeeded.
    failed_launches: u32,
    /// No launch before this time.
    launch_after: Duration,
    /// Counts for the report at the end.
    totals: Totals,
    /// A policy of `placement` that was chosen by name.
    steer: Option<Steer>,
    /// What it costs.
    ledger: Ledger,
    /// What all may have.
    room: Room,
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Workers launched; on Lambda, invocations.
    pub launches: u64,
    /// Tasks that ended, however.
    pub ended: u64,
    /// Time that workers who left were there.
    pub workers: Duration,
    /// Time that tasks ran.
    pub tasks: Duration,
}

#[cfg(feature = "service")]
impl Totals {
    /// What several did together.
    pub(crate) fn add(&mut self, other: Self) {
        self.launches += other.launches;
        self.ended += other.ended;
        self.workers += other.workers;
        self.tasks += other.tasks;
    }

    /// Of those that have ended nothing else is left.
    pub(crate) fn stats(&self) -> wire::Stats {
        wire::Stats {
            ended: self.ended,
            launches: self.launches,
            workers_us: self.workers.as_micros() as u64,
            tasks_us: self.tasks.as_micros() as u64,
            ..wire::Stats::default()
        }
    }
}

#[derive(Debug)]
struct Worker {
    launch: u64,
    poll: Poll,
    /// `Run` frames sent to it.
    runs: u64,
    tasks: BTreeSet<TaskId>,
    idle_since: Duration,
    draining: bool,
    memory_bytes: u64,
    meter: Meter,
    vitals: Vitals,
    /// CPU seconds of its attempts that ended.
    tasks_cpu: f64,
    /// Memory that it needs without tasks.
    memory_idle: u64,
    /// A task there has had a handle, or has spawned another: its tasks may wait for each other.
    has_peers: bool,
    /// What it was granted for the tasks that it begins by itself, if it ever was.
    seats: Option<u32>,
}

impl Scheduler {
    /// No tasks, no workers.
    pub fn new(policy: Policy, tariff: Tariff) -> Self {
        let mut scheduler = Self {
            policy,
            tasks: BTreeMap::new(),
            pool: Line::default(),
            places: Places::default(),
            workers: BTreeMap::new(),
            starting: BTreeMap::new(),
            next_launch: 0,
            failed_launches: 0,
            launch_after: Duration::ZERO,
            totals: Totals::default(),
            steer: None,
            ledger: Ledger::new(tariff, 0.0),
            room: Room::default(),
        };
        scheduler.take_wheel();
        scheduler
    }

    /// What was done so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether nothing is to be started, and no task is known to occupy a thread.
    pub fn is_at_rest(&self) -> bool {
        let at_rest = |worker: &Worker| worker.poll.running == 0;
        self.pool.is_empty() && self.starting.is_empty() && self.workers.values().all(at_rest)
    }

    /// The client's wishes.
    pub fn on_client(&mut self, now: Duration, workers_max: u32, place: Place) {
        self.ledger = Ledger::new(self.ledger.tariff().clone(), now.as_secs_f64());
        if workers_max > 0 {
            self.policy.workers_max = workers_max as usize;
        }
        self.policy.place = place;
        self.take_wheel();
    }

    /// A worker of a launch that is expected said hello. False if nobody waits for it.
    pub fn on_worker(
        &mut self,
        now: Duration,
        session: SessionId,
        launch: u64,
        (threads, memory_bytes): (u32, u64),
    ) -> bool {
        let Some(asked) = self.starting.remove(&launch) else { return false };
        self.failed_launches = 0;
        self.launch_after = now;
        let poll = Poll { start: now, threads, cpu: 0.0, memory: 0.0, running: 0, held: 0 };
        let shape = self.shape(threads, memory_bytes);
        let worker = Worker {
            launch,
            poll,
            runs: 0,
            tasks: BTreeSet::new(),
            idle_since: now,
            draining: false,
            memory_bytes,
            meter: self.meter(now, asked, shape.cores),
            vitals: Vitals::default(),
            tasks_cpu: 0.0,
            memory_idle: u64::MAX,
            has_peers: false,
            seats: None,
        };
        self.workers.insert(session, worker);
        if let Some(steer) = &mut self.steer {
            steer.on_worker(now, session, shape, now.saturating_sub(asked));
        }
        true
    }

    /// A task is to be run.
    pub fn on_spawn(
        &mut self,
        now: Duration,
        spawner: SessionId,
        spawn: Spawn,
        arguments: Parcel,
        relay: &mut Relay,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        if self.tasks.contains_key(&spawn.task) {
            return Ok(());
        }
        let arguments = relay.take_in(spawner, spawner, arguments)?;
        let opened = spawn.result.map_or(Ok(()), |result| relay.open_result(spawner, result));
        if let Err(violation) = opened {
            relay.release(arguments, commands);
            return Err(violation);
        }
        let id = spawn.task;
        let (place, arguments) = (self.places.allot(), Some(arguments));
        self.pool.push(place, id);
        if let Some(worker) = self.workers.get_mut(&spawner) {
            worker.has_peers = true;
        }
        let beside = self.beside(spawner, spawn.options.parent);
        if let Some(steer) = &mut self.steer {
            steer.on_spawn(now, id, &spawn.name, beside);
        }
        let (attempt, spared, cut_off, state) = (0, 0, None, State::Pooled);
        let task = Task { spawn, spawner, arguments, attempt, place, state, cut_off, spared };
        self.tasks.insert(id, Box::new(task));
        if let Some(reason) = self.has_no_room(relay) {
            self.pool.leave(place);
            self.end(id, &Outcome::NeverStarted(reason), relay, commands);
        }
        Ok(())
    }

    /// A worker reports (the paper's poll).
    pub fn on_report(&mut self, now: Duration, session: SessionId, report: &Frame) {
        let Frame::Report { cpu, memory, running, held: _, runs_seen } = report else { return };
        let Some(worker) = self.workers.get_mut(&session) else { return };
        let unseen = worker.runs.saturating_sub(*runs_seen) as u32;
        worker.poll.cpu = *cpu;
        worker.poll.memory = *memory;
        worker.poll.running = running.saturating_add(unseen);
        if !worker.tasks.is_empty() {
            worker.idle_since = now;
        }
        worker.book(now);
        self.report_to_policy(now, session);
    }

    /// An attempt ended on a worker.
    pub fn on_finished(
        &mut self,
        now: Duration,
        session: SessionId,
        (id, attempt, usage): (TaskId, u32, wire::Usage),
        outcome: Parcel,
        relay: &mut Relay,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let task = self.tasks.get(&id).filter(|task| task.is_run_by(session, attempt));
        let current = task.is_some();
        // Only the spawner can take it, so it is on the spawner's account.
        let payer = task.map_or(session, |task| task.spawner);
        let outcome = relay.take_in(session, payer, outcome)?;
        if let Some(worker) = self.workers.get_mut(&session) {
            let usage = worker.on_usage(now, &usage);
            self.totals.tasks = self.totals.tasks.saturating_add(usage.wall);
            if let Some(task) = self.tasks.get(&id) {
                self.ledger.tasks(&task.spawn.name, 1, worker.poll.threads, &usage);
            }
            if current {
                if let Some(steer) = &mut self.steer {
                    // For the policy a worker that leaves is gone.
                    steer.on_finished(now, id, (!worker.draining).then_some(usage));
                }
                worker.tasks.remove(&id);
            }
            worker.poll.held = worker.tasks.len() as u32;
            worker.idle_since = now;
            worker.book(now);
        }
        if current {
            self.deliver(id, outcome, relay, commands);
        } else {
            relay.release(outcome, commands);
        }
        Ok(())
    }

    /// The spawner gives a task up.
    pub fn on_abort(&mut self, id: TaskId, relay: &mut Relay, commands: &mut Vec<Command>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        match task.state {
            State::Pooled => {
                self.pool.leave(task.place);
                self.end(id, &Outcome::Cancelled, relay, commands);
            }
            State::Running(session) => {
                task.state = State::Stopping(session);
                commands.push(Command::send(session, Frame::Cancel { task: id }));
            }
            State::Stopping(_) => {}
        }
    }

    /// A launch came to nothing.
    pub fn on_launch_failed(
        &mut self,
        now: Duration,
        launch: u64,
        reason: &str,
        relay: &mut Relay,
        commands: &mut Vec<Command>,
    ) {
        if self.starting.remove(&launch).is_none() {
            return;
        }
        self.failed_launches += 1;
        if let Some(steer) = &mut self.steer {
            steer.on_refused(now);
        }
        let Some(beyond) = self.failed_launches.checked_sub(FAILED_LAUNCHES_MAX) else { return };
        if !self.workers.is_empty() || !self.starting.is_empty() {
            self.launch_after = now + LAUNCH_SPACE * (1 << beyond.min(6));
            return;
        }
        self.failed_launches = 0;
        for (_, id) in self.pool.drain().collect::<Vec<_>>() {
            let reason = format!("no worker can be started: {reason}");
            self.end(id, &Outcome::NeverStarted(reason), relay, commands);
        }
    }

    /// A worker is gone. What it ran goes back to the pool, or ends.
    pub fn on_worker_gone(
        &mut self,
        now: Duration,
        session: SessionId,
        cause: &str,
        relay: &mut Relay,
        commands: &mut Vec<Command>,
    ) {
        let Some(worker) = self.workers.remove(&session) else { return };
        if let Some(steer) = &mut self.steer {
            steer.on_lost(now, session);
        }
        self.totals.workers += now.saturating_sub(worker.poll.start);
        self.ledger.end(now.as_secs_f64(), worker.launch, worker.poll.threads, &worker.meter);
        commands.push(Command::Stop { launch: worker.launch });
        for id in worker.tasks {
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            if matches!(task.state, State::Stopping(_)) {
                self.end(id, &Outcome::Cancelled, relay, commands);
                continue;
            }
            match task.on_lost(cause) {
                Ok(()) => {
                    task.state = State::Pooled;
                    self.pool.restore(task.place, id);
                    if let Some(steer) = &mut self.steer {
                        steer.on_returned(now, id);
                    }
                }
                Err(cause) => self.end(id, &Outcome::WorkerLost(cause), relay, commands),
            }
        }
    }

    /// The client is gone: nobody wants the tasks any more (C48), nor workers that are starting.
    pub fn on_client_gone(&mut self, relay: &mut Relay, commands: &mut Vec<Command>) {
        self.pool.drain().for_each(drop);
        for id in self.tasks.keys().copied().collect::<Vec<_>>() {
            self.end(id, &Outcome::Cancelled, relay, commands);
        }
        for launch in std::mem::take(&mut self.starting).into_keys() {
            commands.push(Command::Stop { launch });
        }
    }

    /// Gives tasks to workers, and asks for more workers. Called after every event.
    pub fn place(&mut self, now: Duration, relay: &mut Relay, commands: &mut Vec<Command>) {
        if self.place_by_policy(now, relay, commands) {
            return;
        }
        while !self.pool.is_empty() {
            let Some(session) = self.choose(now) else { break };
            let Some((_, id)) = self.pool.pop() else { break };
            self.run(now, id, session, relay, commands);
        }
        self.launch(now, commands);
    }

    fn run(
        &mut self,
        now: Duration,
        id: TaskId,
        session: SessionId,
        relay: &mut Relay,
        commands: &mut Vec<Command>,
    ) {
        self.ledger.at_once(self.tasks.len() - self.pool.len());
        let (Some(task), Some(worker)) = (self.tasks.get_mut(&id), self.workers.get_mut(&session))
        else {
            return;
        };
        task.attempt += 1;
        task.state = State::Running(session);
        worker.tasks.insert(id);
        worker.runs += 1;
        worker.poll.running = worker.poll.running.saturating_add(1);
        worker.poll.held = worker.tasks.len() as u32;
        worker.book(now);
        let arguments = if task.spawn.options.retries > 0 {
            task.arguments.as_ref().map(|arguments| relay.hand_copy(session, arguments))
        } else {
            task.arguments.take().map(|arguments| relay.hand_over(session, arguments))
        };
        worker.has_peers |= relay.has_handles(session);
        let frame = Frame::Run {
            task: id,
            attempt: task.attempt,
            name: task.spawn.name.clone(),
            signature: task.spawn.signature,
            timeout_ms: task.spawn.options.timeout_ms,
            arguments: arguments.unwrap_or_default(),
        };
        commands.push(Command::send(session, frame));
    }

    fn start_worker(&mut self, now: Duration, commands: &mut Vec<Command>) {
        self.next_launch += 1;
        self.totals.launches += 1;
        self.starting.insert(self.next_launch, now);
        commands.push(Command::Launch { launch: self.next_launch });
    }

    /// Time has passed: launches that say nothing are given up, and idle workers let go.
    pub fn on_tick(&mut self, now: Duration, relay: &mut Relay, commands: &mut Vec<Command>) {
        let timeout = self.policy.launch_timeout;
        let late = |since: &Duration| now.saturating_sub(*since) > timeout;
        let silent = self.starting.iter().filter(|(_, since)| late(since));
        for launch in silent.map(|(launch, _)| *launch).collect::<Vec<_>>() {
            commands.push(Command::Stop { launch });
            let reason = format!("its worker said nothing for {timeout:?}");
            self.on_launch_failed(now, launch, &reason, relay, commands);
        }
        if let Some(steer) = &mut self.steer {
            steer.on_tick(now);
        } else if self.pool.is_empty() {
            self.release_idle(now, relay, commands);
        }
    }

    /// Ends a task with an outcome that the coordinator makes itself.
    fn end(
        &mut self,
        id: TaskId,
        outcome: &Outcome<()>,
        relay: &mut Relay,
        commands: &mut Vec<Command>,
    ) {
        let Some(task) = self.tasks.get(&id) else { return };
        let payload = codec::encode(outcome).expect("an outcome of texts is encoded").into();
        let parcel = Parcel { codec: codec::CODEC, payload, passages: Vec::new() };
        let outcome = relay.load(task.spawner, parcel);
        self.deliver(id, outcome, relay, commands);
    }

    fn deliver(
        &mut self,
        id: TaskId,
        outcome: Cargo,
        relay: &mut Relay,
        commands: &mut Vec<Command>,
    ) {
        let Some(task) = self.tasks.remove(&id) else { return };
        if let Some(steer) = &mut self.steer {
            steer.on_ended(id, task.state);
        }
        self.totals.ended += 1;
        match task.spawn.result {
            Some(result) => relay.deliver_result(result, outcome, commands),
            None => relay.release(outcome, commands),
        }
        if let Some(arguments) = task.arguments {
            relay.release(arguments, commands);
        }
    }
}
