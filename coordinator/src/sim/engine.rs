//! Virtual time: events in a heap, workers and tasks, and the policy that is driven.
//!
//! A task: asked for -> at the coordinator -> (pool) -> dispatched -> its stages on a worker ->
//! its result at the coordinator -> at the client. A worker: asked for -> up -> ready -> told to
//! shut down -> gone. Messages take a while each; whoever dies takes its attempts with it.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::machine::{Machine, Stage};
use super::model::Model;
use super::outcome::Outcome;
use super::random::Random;
use super::workload::{Client, Workload};
use crate::bill::Tariff;
use crate::placement::{
    AppNo, Command, Event, KindNo, Placement, Spawned, TaskNo, WorkerNo, WorkerSide,
};

/// A number and which of its bearers is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) number: u32,
    pub(super) generation: u32,
}

/// What is going to happen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// The coordinator is asked for the job.
    Asked(u32),
    /// A launch is refused.
    Refused,
    /// A sandbox has started.
    Up(Name),
    /// The coordinator hears the worker's first word.
    Ready(Name),
    /// The worker's poll is at the coordinator.
    Poll(Name),
    /// A dispatched task is at its worker.
    Start(Name, Name),
    /// A task has waited as long as its stage takes.
    Waited(Name),
    /// A forecast of a worker's CPU.
    Cpu(Name, u32),
    /// A forecast of a worker's network.
    Network(Name, u32),
    /// The coordinator hears that a task ended.
    Ended(Name),
    /// A worker hears that it is to end.
    Shutdown(Name),
    /// A worker dies.
    Dies(Name),
    /// The coordinator hears that a worker is gone.
    Gone(Name),
    /// The policy wanted to be woken.
    Wake,
}

#[derive(Clone, Copy, Debug)]
struct Entry(f64, u64, Happening);

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

/// A task that has not ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    pub(super) generation: u32,
    pub(super) job: u32,
    pub(super) asked: f64,
    pub(super) worker: Option<u32>,
    /// Where its parent ran, of a second stage.
    pub(super) parent_worker: Option<u32>,
    pub(super) step: u8,
    pub(super) started: f64,
    pub(super) step_started: f64,
    pub(super) queued: f64,
    pub(super) bytes: f64,
    pub(super) usage: crate::placement::Usage,
}

/// The world.
#[derive(Debug)]
pub(super) struct Engine<'a> {
    pub(super) model: &'a Model,
    tariff: Tariff,
    pub(super) workload: &'a Workload,
    policy: Box<dyn Placement>,
    pub(super) side: WorkerSide,
    random: Random,
    pub(super) now: f64,
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    pub(super) tasks: Vec<Live>,
    tasks_free: Vec<u32>,
    pub(super) machines: Vec<Machine>,
    machines_free: Vec<u32>,
    /// When sandboxes became free, oldest first.
    sandboxes: VecDeque<f64>,
    /// When workers were started of late.
    starts: VecDeque<f64>,
    present: usize,
    next_job: usize,
    wake: Option<f64>,
    commands: Vec<Command>,
    pub(super) outcome: Outcome,
}

impl<'a> Engine<'a> {
    pub(super) fn new(
        model: &'a Model,
        workload: &'a Workload,
        policy: Box<dyn Placement>,
        seed: u64,
    ) -> Self {
        let mut side = policy.worker_side();
        if model.is_local {
            (side.front_door, side.registration) = (Duration::ZERO, Duration::ZERO);
        }
        Self {
            model,
            tariff: model.tariff(),
            workload,
            policy,
            side,
            random: Random::new(seed, 2),
            now: 0.0,
            heap: BinaryHeap::new(),
            sequence: 0,
            tasks: Vec::new(),
            tasks_free: Vec::new(),
            machines: Vec::new(),
            machines_free: Vec::new(),
            sandboxes: VecDeque::new(),
            starts: VecDeque::new(),
            present: 0,
            next_job: 0,
            wake: None,
            commands: Vec::new(),
            outcome: Outcome { trace: 0xcbf2_9ce4_8422_2325, ..Outcome::default() },
        }
    }

    /// Runs until nothing happens any more.
    pub(super) fn run(mut self) -> Outcome {
        let first = match self.workload.client {
            Client::Open => 1,
            Client::Window(window) => window,
        };
        (0..first).for_each(|_| self.ask());
        while let Some(Reverse(Entry(time, _, happening))) = self.heap.pop() {
            self.now = time;
            self.happen(happening);
        }
        self.outcome.close(self.model);
        self.outcome
    }

    pub(super) fn after(&mut self, wait: f64, happening: Happening) {
        self.at(self.now + wait, happening);
    }

    pub(super) fn at(&mut self, time: f64, happening: Happening) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry(time.max(self.now), self.sequence, happening)));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Asked(job) => self.on_asked(job, None),
            Happening::Refused => self.tell(Event::Refused),
            Happening::Up(name) => self.on_up(name),
            Happening::Ready(name) => self.on_ready(name),
            Happening::Poll(name) => self.on_poll(name),
            Happening::Start(task, worker) => self.on_start(task, worker),
            Happening::Waited(task) => self.on_waited(task),
            Happening::Cpu(name, version) => self.on_cpu(name, version),
            Happening::Network(name, version) => self.on_network(name, version),
            Happening::Ended(task) => self.on_ended(task),
            Happening::Shutdown(name) | Happening::Dies(name) => self.end(name),
            Happening::Gone(name) => self.on_gone(name),
            Happening::Wake => self.on_wake(),
        }
    }

    /// The client asks for its next task.
    fn ask(&mut self) {
        while self.workload.jobs.get(self.next_job).is_some_and(|job| job.is_second) {
            self.next_job += 1;
        }
        let Some(job) = self.workload.jobs.get(self.next_job) else { return };
        let earliest = if self.workload.client == Client::Open { 0.0 } else { self.now };
        let time = job.arrival.max(earliest) + self.model.message;
        let number = self.next_job as u32;
        self.next_job += 1;
        self.at(time, Happening::Asked(number));
    }

    fn on_asked(&mut self, number: u32, parent: Option<u32>) {
        let job = &self.workload.jobs[number as usize];
        let task = self.tasks_free.pop().unwrap_or_else(|| {
            self.tasks.push(Live::default());
            self.tasks.len() as u32 - 1
        });
        let (asked, parent_worker) = match parent {
            Some(parent) => {
                let parent = &self.tasks[parent as usize];
                (parent.asked, parent.worker)
            }
            None => (self.now - self.model.message, None),
        };
        let generation = self.tasks[task as usize].generation;
        self.tasks[task as usize] =
            Live { generation, job: number, asked, parent_worker, ..Live::default() };
        let app = AppNo(job.app);
        let spawned = Spawned { kind: KindNo(job.kind), parent: parent.map(TaskNo), app };
        if parent.is_none() && self.workload.client == Client::Open {
            self.ask();
        }
        self.tell(Event::Spawned(TaskNo(task), spawned));
    }

    fn on_up(&mut self, name: Name) {
        let Some(machine) = self.machine(name) else { return };
        machine.stage = Stage::Up;
        let registration = self.side.registration.as_secs_f64();
        self.after(registration + self.model.message, Happening::Ready(name));
        let mean = self.model.faults.worker_life;
        let until_death = if mean > 0.0 { mean * self.random.exponential() } else { f64::MAX };
        self.after(until_death.min(self.model.lifetime), Happening::Dies(name));
    }

    fn on_ready(&mut self, name: Name) {
        let now = self.now;
        let Some(machine) = self.machine(name) else { return };
        machine.stage = Stage::Ready;
        let took = Duration::from_secs_f64(now - machine.meter.asked());
        let shape = self.model.shape();
        self.tell(Event::Ready(WorkerNo(name.number), shape, took));
        if self.side.poll.is_some() {
            self.on_poll(name);
        }
    }

    fn on_poll(&mut self, name: Name) {
        let Some(machine) = self.machine(name) else { return };
        let report = machine.report();
        self.tell(Event::Polled(WorkerNo(name.number), report));
        if let Some(period) = self.side.poll {
            self.after(period.as_secs_f64(), Happening::Poll(name));
        }
    }

    fn on_ended(&mut self, name: Name) {
        if self.tasks[name.number as usize].generation != name.generation {
            return;
        }
        let number = self.tasks[name.number as usize].job;
        let job = &self.workload.jobs[number as usize];
        if job.hands_over.is_some() {
            self.on_asked(number + 1, Some(name.number));
        }
        let live = &mut self.tasks[name.number as usize];
        live.generation += 1;
        let usage = live.usage;
        if let Some(worker) = live.worker {
            self.machines[worker as usize].assigned.retain(|task| *task != name.number);
        }
        if job.hands_over.is_none() {
            let latency = self.now + self.model.message - live.asked;
            self.outcome.latencies.push(latency as f32);
            self.outcome.done += 1;
            self.outcome.makespan = self.now + self.model.message;
            if self.workload.client != Client::Open {
                let then = self.now;
                self.now += self.model.message;
                self.ask();
                self.now = then;
            }
        }
        self.tell(Event::Finished(TaskNo(name.number), Some(usage)));
        self.tasks_free.push(name.number);
    }

    /// A worker ends: it returned, was told to, or died.
    pub(super) fn end(&mut self, name: Name) {
        let now = self.now;
        let Some(machine) = self.machine(name) else { return };
        machine.book(now);
        machine.was_ready = machine.stage == Stage::Ready;
        machine.stage = Stage::Gone;
        let (meter, died) = (machine.meter, !machine.tasks.is_empty());
        self.outcome.deaths += u64::from(died);
        self.outcome.bill(&meter.charge(now, &self.tariff));
        if !died {
            self.sandboxes.push_back(now);
        }
        self.after(self.model.message, Happening::Gone(name));
    }

    fn on_gone(&mut self, name: Name) {
        let machine = &mut self.machines[name.number as usize];
        machine.generation += 1;
        machine.tasks.clear();
        let assigned = std::mem::take(&mut machine.assigned);
        self.present -= 1;
        let was_ready = machine.was_ready;
        self.tell(if was_ready { Event::Lost(WorkerNo(name.number)) } else { Event::Refused });
        for task in assigned {
            let live = &mut self.tasks[task as usize];
            live.worker = None;
            live.generation += 1;
            self.outcome.lost_attempts += 1;
            self.tell(Event::Returned(TaskNo(task)));
        }
        self.machines_free.push(name.number);
    }

    fn on_wake(&mut self) {
        self.wake = None;
        let due = self.policy.wake_at().is_some_and(|wake| wake.as_secs_f64() <= self.now + 1e-9);
        if due {
            self.tell(Event::Tick);
        } else {
            self.set_wake();
        }
    }

    /// Tells the policy, and does what it says.
    fn tell(&mut self, event: Event) {
        let mut commands = std::mem::take(&mut self.commands);
        let now = Duration::from_nanos((self.now * 1e9).round() as u64);
        self.policy.handle(now, event, &mut commands);
        self.note(event);
        for command in commands.drain(..) {
            self.obey(command);
        }
        self.commands = commands;
        self.set_wake();
    }

    fn set_wake(&mut self) {
        let Some(wake) = self.policy.wake_at() else { return };
        // A moment at least: time goes on, whatever a policy asks for.
        let wake = wake.as_secs_f64().max(self.now + 1e-6);
        if self.wake.is_none_or(|set| wake < set) {
            self.wake = Some(wake);
            self.at(wake, Happening::Wake);
        }
    }

    fn obey(&mut self, command: Command) {
        let words = match command {
            Command::Launch => [1, 0, 0],
            Command::Dispatch(task, worker) => [2, task.0, worker.0],
            Command::Shutdown(worker) => [3, worker.0, 0],
            Command::Continue(worker) => [4, worker.0, 0],
        };
        self.hash(words);
        match command {
            Command::Launch => self.launch(),
            Command::Dispatch(task, worker) => {
                self.machines[worker.0 as usize].assigned.push(task.0);
                let (task, worker) = (self.task_name(task.0), self.worker_name(worker.0));
                self.after(self.model.message, Happening::Start(task, worker));
            }
            Command::Shutdown(worker) => {
                let name = self.worker_name(worker.0);
                self.after(self.model.message, Happening::Shutdown(name));
            }
            Command::Continue(_) => {}
        }
    }

    fn launch(&mut self) {
        while self.starts.front().is_some_and(|start| *start < self.now - 10.0) {
            self.starts.pop_front();
        }
        if self.starts.len() >= self.model.starts_max && !self.is_warm() {
            self.outcome.refused += 1;
            self.after(self.model.message, Happening::Refused);
            return;
        }
        let (mean, cv) = self.model.cold_start;
        let warm = self.is_warm();
        let (start, billed) = if warm {
            self.sandboxes.pop_back();
            (self.model.warm_start, self.model.warm_start)
        } else {
            self.outcome.cold_starts += 1;
            self.starts.push_back(self.now);
            let start = self.random.lognormal(mean, cv);
            (start, self.tariff.start(Duration::from_secs_f64(start)).as_secs_f64())
        };
        let slow = Machine::is_slow(self.model, &mut self.random);
        let number = self.machines_free.pop().unwrap_or(self.machines.len() as u32);
        let generation = self.machines.get(number as usize).map_or(0, |machine| machine.generation);
        let mut machine = Machine::new(generation, self.now, self.model, &self.side, slow);
        let up = self.now + self.side.front_door.as_secs_f64() + start;
        machine.is_up(up, billed);
        machine.stage = Stage::Starting;
        match self.machines.get_mut(number as usize) {
            Some(slot) => *slot = machine,
            None => self.machines.push(machine),
        }
        self.present += 1;
        self.outcome.workers_peak = self.outcome.workers_peak.max(self.present);
        self.at(up, Happening::Up(Name { number, generation }));
    }

    /// Whether a sandbox is kept for the next invocation.
    fn is_warm(&mut self) -> bool {
        let oldest = self.now - self.model.keep_alive;
        while self.sandboxes.front().is_some_and(|since| *since < oldest) {
            self.sandboxes.pop_front();
        }
        !self.sandboxes.is_empty()
    }

    /// The machine of a name, if it has not ended.
    pub(super) fn machine(&mut self, name: Name) -> Option<&mut Machine> {
        let machine = &mut self.machines[name.number as usize];
        let same = machine.generation == name.generation && machine.stage != Stage::Gone;
        same.then_some(machine)
    }

    pub(super) fn task_name(&self, number: u32) -> Name {
        Name { number, generation: self.tasks[number as usize].generation }
    }

    pub(super) fn worker_name(&self, number: u32) -> Name {
        Name { number, generation: self.machines[number as usize].generation }
    }

    fn note(&mut self, event: Event) {
        let words = match event {
            Event::Spawned(task, _) => [5, task.0, 0],
            Event::Withdrawn(task) => [6, task.0, 0],
            Event::Finished(task, _) => [7, task.0, 0],
            Event::Returned(task) => [8, task.0, 0],
            Event::Ready(worker, ..) => [9, worker.0, 0],
            Event::Polled(worker, report) => [10, worker.0, report.held],
            Event::Granted(worker, _) => [15, worker.0, 0],
            Event::Lost(worker) => [11, worker.0, 0],
            Event::Kept(worker) => [14, worker.0, 0],
            Event::Began(task, _, worker) => [17, task.0, worker.0],
            Event::Tallied(kind, worker, _) => [18, kind.0, worker.0],
            Event::Departed(worker) => [16, worker.0, 0],
            Event::Refused => [12, 0, 0],
            Event::Tick => [13, 0, 0],
        };
        self.hash(words);
    }

    /// FNV-1a over words.
    fn hash(&mut self, words: [u32; 3]) {
        let time = self.now.to_bits();
        for word in [time, u64::from(words[0]), u64::from(words[1]), u64::from(words[2])] {
            self.outcome.trace = (self.outcome.trace ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
