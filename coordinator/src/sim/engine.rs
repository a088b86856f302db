//! Virtual time: events in a heap, workers and tasks, and the coordinator that is driven.
//!
//! A task: asked for -> at the coordinator -> (pool) -> dispatched -> its stages on a worker ->
//! its result at the coordinator -> at the client. A worker: asked for -> (held up by the platform)
//! -> up -> ready -> told to shut down -> gone. Messages take a while each; whoever dies takes its
//! attempts with it.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::driver::{Driver, Order, Word};
use super::machine::{Machine, Stage};
use super::model::Model;
use super::outcome::Outcome;
use super::random::Random;
use super::workload::{Client, Workload};
use crate::bill::Tariff;
use crate::placement::{Choice, Usage, WorkerSide};

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
    /// The platform tries again what it held up.
    Retry,
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
    /// What the coordinator calls it: no other task ever was.
    pub(super) id: u64,
    pub(super) attempt: u32,
    pub(super) asked: f64,
    pub(super) worker: Option<u32>,
    /// Where its parent ran, of a second stage.
    pub(super) parent_worker: Option<u32>,
    pub(super) step: u8,
    pub(super) started: f64,
    pub(super) step_started: f64,
    pub(super) queued: f64,
    pub(super) bytes: f64,
    pub(super) usage: Usage,
}

/// The world.
#[derive(Debug)]
pub(super) struct Engine<'a> {
    pub(super) model: &'a Model,
    pub(super) tariff: Tariff,
    pub(super) workload: &'a Workload,
    driver: Driver,
    pub(super) side: WorkerSide,
    pub(super) random: Random,
    pub(super) now: f64,
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    pub(super) tasks: Vec<Live>,
    tasks_free: Vec<u32>,
    pub(super) machines: Vec<Machine>,
    pub(super) machines_free: Vec<u32>,
    /// The machine of each launch, and which of its bearers; by the launch's number, from 1.
    pub(super) launches: Vec<Name>,
    /// Launches that the platform holds up.
    pub(super) held_up: VecDeque<u64>,
    /// When sandboxes became free, oldest first.
    pub(super) sandboxes: VecDeque<f64>,
    /// When workers were started of late.
    pub(super) starts: VecDeque<f64>,
    pub(super) present: usize,
    next_job: usize,
    wake: Option<f64>,
    orders: Vec<Order>,
    asked: u32,
    pub(super) outcome: Outcome,
}

impl<'a> Engine<'a> {
    pub(super) fn new(
        model: &'a Model,
        workload: &'a Workload,
        choice: &Choice,
        mut side: WorkerSide,
        seed: u64,
    ) -> Self {
        if model.is_local {
            (side.front_door, side.registration) = (Duration::ZERO, Duration::ZERO);
        }
        Self {
            model,
            tariff: model.tariff(),
            workload,
            driver: Driver::new(choice),
            side,
            random: Random::new(seed, 2),
            now: 0.0,
            heap: BinaryHeap::new(),
            sequence: 0,
            tasks: Vec::new(),
            tasks_free: Vec::new(),
            machines: Vec::new(),
            machines_free: Vec::new(),
            launches: Vec::new(),
            held_up: VecDeque::new(),
            sandboxes: VecDeque::new(),
            starts: VecDeque::new(),
            present: 0,
            next_job: 0,
            wake: None,
            orders: Vec::new(),
            asked: 0,
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
        self.outcome.never_started = self.driver.failed;
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
            Happening::Retry => self.on_retry(),
            Happening::Up(name) => self.on_up(name),
            Happening::Ready(name) => self.on_ready(name),
            Happening::Poll(name) => self.on_poll(name),
            Happening::Start(task, worker) => self.on_start(task, worker),
            Happening::Waited(task) => self.on_waited(task),
            Happening::Cpu(name, version) => self.on_cpu(name, version),
            Happening::Network(name, version) => self.on_network(name, version),
            Happening::Ended(task) => self.on_ended(task),
            Happening::Shutdown(name) => self.leave(name),
            Happening::Dies(name) => self.end(name),
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
        let id = (u64::from(self.asked) << 32) | u64::from(task);
        self.asked += 1;
        self.tasks[task as usize] =
            Live { generation, job: number, id, asked, parent_worker, ..Live::default() };
        let parent = parent.and_then(|parent| {
            let parent = &self.tasks[parent as usize];
            Some((self.machines[parent.worker? as usize].launch, parent.id))
        });
        if parent.is_none() && self.workload.client == Client::Open {
            self.ask();
        }
        self.tell(&Word::Spawned { task: id, kind: job.kind, parent });
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
        let Some(machine) = self.machine(name) else { return };
        machine.stage = Stage::Ready;
        let launch = machine.launch;
        let shape = self.model.shape();
        self.tell(&Word::Ready { launch, shape });
        if self.side.poll.is_some() {
            self.on_poll(name);
        }
    }

    fn on_poll(&mut self, name: Name) {
        let Some(machine) = self.machine(name) else { return };
        let (report, launch, runs_seen) = (machine.report(), machine.launch, machine.runs_seen);
        self.tell(&Word::Polled { launch, report, runs_seen });
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
        let (id, attempt, usage) = (live.id, live.attempt, live.usage);
        let launch = live.worker.map_or(0, |worker| {
            let machine = &mut self.machines[worker as usize];
            machine.assigned.retain(|task| *task != name.number);
            machine.launch
        });
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
        self.tell(&Word::Finished { launch, task: id, attempt, usage });
        self.tasks_free.push(name.number);
    }

    /// A worker ends, and says so.
    pub(super) fn leave(&mut self, name: Name) {
        if let Some(machine) = self.machine(name) {
            machine.leaves = true;
            self.end(name);
        }
    }

    /// A worker ends: it returned, was told to, or died.
    pub(super) fn end(&mut self, name: Name) {
        let now = self.now;
        let Some(machine) = self.machine(name) else { return };
        machine.book(now);
        machine.leaves &= machine.stage == Stage::Ready && machine.tasks.is_empty();
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
        let (launch, leaves) = (machine.launch, machine.leaves && assigned.is_empty());
        for task in assigned {
            let live = &mut self.tasks[task as usize];
            live.worker = None;
            live.generation += 1;
            self.outcome.lost_attempts += 1;
        }
        self.machines_free.push(name.number);
        self.tell(&if leaves { Word::Left { launch } } else { Word::Died { launch } });
    }

    fn on_wake(&mut self) {
        self.wake = None;
        let due = self.driver.wake_at().is_some_and(|wake| wake.as_secs_f64() <= self.now + 1e-9);
        if due {
            self.tell(&Word::Wake);
        } else {
            self.set_wake();
        }
    }

    /// Tells the coordinator, and does what it says.
    fn tell(&mut self, word: &Word) {
        let mut orders = std::mem::take(&mut self.orders);
        let now = Duration::from_nanos((self.now * 1e9).round() as u64);
        self.driver.tell(now, word, &mut orders);
        self.note(word);
        for order in orders.drain(..) {
            self.obey(order);
        }
        self.orders = orders;
        self.set_wake();
    }

    fn set_wake(&mut self) {
        let Some(wake) = self.driver.wake_at() else { return };
        // A moment at least: time goes on, whatever is asked for.
        let wake = wake.as_secs_f64().max(self.now + 1e-6);
        if self.wake.is_none_or(|set| wake < set) {
            self.wake = Some(wake);
            self.at(wake, Happening::Wake);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Launch { launch } => {
                self.hash([1, launch, 0]);
                self.launches.resize(launch as usize + 1, Name { number: u32::MAX, generation: 0 });
                if !self.launch(launch) {
                    self.outcome.held_up += 1;
                }
            }
            Order::Run { launch, task, attempt } => {
                self.hash([2, task, launch]);
                let (task, worker) = (task as u32, self.launches[launch as usize]);
                self.tasks[task as usize].attempt = attempt;
                self.machines[worker.number as usize].assigned.push(task);
                let task = self.task_name(task);
                self.after(self.model.message, Happening::Start(task, worker));
            }
            Order::Shutdown { launch } => {
                self.hash([3, launch, 0]);
                let worker = self.launches[launch as usize];
                self.after(self.model.message, Happening::Shutdown(worker));
            }
        }
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

    fn note(&mut self, word: &Word) {
        self.hash(match *word {
            Word::Spawned { task, .. } => [5, task, 0],
            Word::Finished { task, launch, .. } => [7, task, launch],
            Word::Ready { launch, .. } => [9, launch, 0],
            Word::Polled { launch, report, .. } => [10, launch, u64::from(report.held)],
            Word::Left { launch } => [11, launch, 0],
            Word::Died { launch } => [12, launch, 0],
            Word::Wake => [13, 0, 0],
        });
    }

    /// FNV-1a over words.
    fn hash(&mut self, words: [u64; 3]) {
        let time = self.now.to_bits();
        for word in [time, words[0], words[1], words[2]] {
            self.outcome.trace = (self.outcome.trace ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
