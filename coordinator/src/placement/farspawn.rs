//! Farspawn's own policy, and the default.
//!
//! What a task will take is predicted from those of its kind that ended (`profile`): CPUs, network
//! and memory while it is there. A worker has room for a task as long as the sum of what its tasks
//! are predicted to take is within what it is granted, so that many that wait share a core; memory
//! is a hard limit. Tasks are pushed to workers with room at once. How many workers there are
//! follows from the demand, from what waits and from how long a start takes (`growth`).
//!
//! # Invariants
//!
//! - A task is in the pool, or on exactly one worker, whose sums contain what it holds.
//! - A worker's tasks never hold more than its memory, unless it is one task alone.
//! - Tasks that running tasks wait for start, if memory permits: the deepest of the pool, at depth
//!   d of the spawn tree, may exceed the limits of a worker where fewer than d tasks have done so.
//!   (Number those that did as they came: the i-th is at depth i or deeper. Suppose that all of
//!   them are blocked: the last of c is so by a child at depth c + 1 or deeper, which is let in.)
//! - Each event costs the same, however many tasks wait and however many workers there are.
//!
//! # Rejected
//!
//! - To admit by measured CPU: it lags, and tasks that still load show none.
//! - To learn how long a kind waits from crowded workers: the estimate runs away.
//! - To spread bursts of interactive requests: what comes next finds everything full.
//! - Second copies of slow tasks: they cost more than they gain.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::{
    AppNo, Channels, Command, Event, KindNo, Life, Placement, Report, Shape, Spawned, TaskNo,
    Usage, WorkerNo, WorkerSide, at, put,
};

mod admission;
mod children;
mod growth;
mod ladder;
mod pool;
mod profile;
mod tuning;

use ladder::Ladder;
use pool::{Candidate, Place, Pool};
use profile::{Hold, Need, Profiles};
pub use tuning::{Element, Elements, Mode, Tuning};

/// The policy.
#[derive(Debug)]
pub struct Farspawn {
    tuning: Tuning,
    shape: Shape,
    workers_max: usize,
    profiles: Profiles,
    pool: Pool,
    /// What the pool will take: parts of workers at once, and seconds of workers.
    pooled: Sums,
    /// What tasks on workers take.
    resident: Sums,
    tasks: Vec<Option<Task>>,
    workers: Vec<Option<Worker>>,
    /// Workers that take tasks, by the fuller of CPU and network.
    by_load: Ladder,
    /// By CPU alone.
    by_cpu: Ladder,
    /// By network alone.
    by_network: Ladder,
    /// Workers that take tasks.
    open: usize,
    /// Workers that take none any more, but have not ended.
    closing: usize,
    /// Workers that left of their own will, until their numbers are another's.
    departed: BTreeSet<WorkerNo>,
    starting: usize,
    growth: growth::State,
    bursts: Bursts,
    candidates: Vec<Candidate>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    share: f64,
    work: f64,
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Task {
    kind: KindNo,
    app: AppNo,
    depth: u16,
    place: Place,
    worker: Option<WorkerNo>,
    /// What is kept for it on its worker.
    holds: Hold,
    /// How full its worker was when it came.
    load: f32,
    /// It exceeds its worker's limits.
    exceeds: bool,
    children: Option<(KindNo, u32)>,
    parent: Option<TaskNo>,
}

#[derive(Clone, Copy, Debug)]
struct Worker {
    /// What it has.
    shape: Shape,
    tasks: u32,
    cpu: f64,
    network: f64,
    memory: f64,
    /// Tasks that exceed its limits.
    exceeding: u16,
    /// What it said last of tasks that are parked on channels, and of its memory.
    parked: Parked,
    /// 1.0 is a worker as it should be.
    speed: f64,
    deadline: Duration,
    ready: Duration,
    idle_since: Option<Duration>,
    finished: u64,
    stage: Stage,
    /// It has a task that must be alone.
    is_sealed: bool,
}

/// Tasks that are parked on channels: what is kept for them is free for others until they go on.
/// Their memory is not free, but known, for it was measured; so as many tasks as like may wait for
/// each other, whatever is expected of their kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Parked {
    cpu: f64,
    network: f64,
    memory: f64,
    measured: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// It takes no task any more, and ends with the last.
    Draining,
    /// It was told to end.
    Ending,
}

/// Crowds of tasks that came at once, behind which no more are expected.
#[derive(Debug, Default)]
struct Bursts {
    last: Option<Duration>,
    first: Place,
    count: u32,
    ranges: VecDeque<(Place, Place)>,
}

/// Tasks that come within this of the one before them come at once.
const BURST_GAP: Duration = Duration::from_micros(100);

impl Bursts {
    fn on_spawned(&mut self, now: Duration, place: Place, least: u32) {
        if self.last.is_none_or(|last| now > last + BURST_GAP) {
            (self.first, self.count) = (place, 0);
        }
        self.last = Some(now);
        self.count += 1;
        if self.count == least {
            self.ranges.push_back((self.first, place));
        } else if self.count > least
            && let Some(range) = self.ranges.back_mut()
        {
            range.1 = place;
        }
    }

    fn contains(&mut self, place: Place) -> bool {
        while self.ranges.len() > 1 && self.ranges[0].1 < place {
            self.ranges.pop_front();
        }
        self.ranges.front().is_some_and(|(first, last)| (*first..=*last).contains(&place))
    }
}

impl Farspawn {
    /// No tasks, no workers. `shape` is what a worker is expected to have.
    pub fn new(tuning: Tuning, shape: Shape, workers_max: usize) -> Self {
        let mut expected = shape;
        if !tuning.elements.has(Element::AllCores) {
            expected.cores = (expected.cores - 1.0).max(1.0);
        }
        Self {
            profiles: Profiles::new(expected, tuning.elements),
            growth: growth::State::new(),
            tuning,
            shape: expected,
            workers_max,
            pool: Pool::default(),
            pooled: Sums::default(),
            resident: Sums::default(),
            tasks: Vec::new(),
            workers: Vec::new(),
            by_load: Ladder::new(),
            by_cpu: Ladder::new(),
            by_network: Ladder::new(),
            open: 0,
            closing: 0,
            departed: BTreeSet::new(),
            starting: 0,
            bursts: Bursts::default(),
            candidates: Vec::new(),
        }
    }

    fn has(&self, element: Element) -> bool {
        self.tuning.elements.has(element)
    }

    fn on_spawned(
        &mut self,
        now: Duration,
        number: TaskNo,
        spawned: Spawned,
        commands: &mut Vec<Command>,
    ) {
        let Spawned { kind, parent, app } = spawned;
        let above = parent.and_then(|parent| at(&mut self.tasks, parent.0));
        let (mut depth, mut beside) = (0, None);
        if let Some(above) = above {
            depth = above.depth.saturating_add(1);
            let count = match above.children {
                Some((same, count)) if same == kind => count + 1,
                _ => 1,
            };
            above.children = Some((kind, count));
            if self.profiles.is_chained(above.kind, kind) {
                beside = above.worker;
            }
        }
        let mut task = Task {
            kind,
            app,
            depth,
            place: Place::default(),
            worker: None,
            holds: Hold::default(),
            load: 0.0,
            exceeds: false,
            children: None,
            parent,
        };
        if let (Some(worker), Some(parent)) = (beside, parent)
            && self.takes_over(worker, parent, &mut task)
        {
            put(&mut self.tasks, number.0, task);
            commands.push(Command::Dispatch(number, worker));
            return;
        }
        task.place = self.pool.push(number, app, depth, kind);
        if depth == 0 {
            self.bursts.on_spawned(now, task.place, self.tuning.burst_min);
        }
        put(&mut self.tasks, number.0, task);
        self.count_pooled(kind, 1.0);
        self.growth.arrivals += 1;
    }

    /// A chain's next stage gets the place that its first one has kept for it.
    fn takes_over(&mut self, worker: WorkerNo, parent: TaskNo, task: &mut Task) -> bool {
        let Some(above) = at(&mut self.tasks, parent.0) else { return false };
        let Some(place) = at(&mut self.workers, worker.0) else { return false };
        if place.stage != Stage::Open || above.holds == Hold::default() {
            return false;
        }
        task.holds = std::mem::take(&mut above.holds);
        task.load = above.load;
        task.worker = Some(worker);
        place.tasks += 1;
        self.resident.count += 1;
        true
    }

    fn on_finished(
        &mut self,
        now: Duration,
        number: TaskNo,
        usage: Option<Usage>,
        commands: &mut Vec<Command>,
    ) {
        let Some(task) = self.tasks.get_mut(number.0 as usize).and_then(Option::take) else {
            return;
        };
        let Some(worker) = task.worker else {
            self.forget_pooled(&task);
            return;
        };
        self.growth.completions += 1;
        match &usage {
            Some(usage) => {
                self.growth.refusals = 0;
                self.learn(worker, &task, usage);
            }
            None => self.on_death(worker, task.kind),
        }
        // Last, for it puts the worker where its load and its speed belong.
        self.leave(worker, &task);
        self.settle(now, worker, commands);
    }

    fn learn(&mut self, worker: WorkerNo, task: &Task, usage: &Usage) {
        if self.has(Element::Speed)
            && let Some(place) = at(&mut self.workers, worker.0)
            && let Some(expected) = self.profiles.cpu_expected(task.kind)
        {
            let taken = usage.cpu.as_secs_f64().max(1e-6);
            let speed = (expected / taken).clamp(0.1, 1.2);
            place.speed += 0.5 * (speed - place.speed);
        }
        if let Some(place) = at(&mut self.workers, worker.0) {
            place.finished += 1;
        }
        self.relearn(task.kind, |profiles| {
            profiles.learn(task.kind, usage, f64::from(task.load));
            profiles.learn_next(task.kind, task.children);
        });
    }

    fn on_returned(&mut self, number: TaskNo) {
        let Some(task) = at(&mut self.tasks, number.0) else { return };
        let Some(worker) = task.worker.take() else { return };
        let copy = *task;
        task.holds = Hold::default();
        task.exceeds = false;
        self.leave(worker, &copy);
        self.on_death(worker, copy.kind);
        self.pool.insert(number, copy.app, copy.depth, copy.kind, copy.place);
        self.count_pooled(copy.kind, 1.0);
    }

    fn on_withdrawn(&mut self, number: TaskNo) {
        let Some(slot) = self.tasks.get_mut(number.0 as usize) else { return };
        if slot.is_some_and(|task| task.worker.is_none())
            && let Some(task) = slot.take()
        {
            self.forget_pooled(&task);
        }
    }

    fn forget_pooled(&mut self, task: &Task) {
        if self.pool.remove(task.app, task.depth, task.kind, task.place) {
            self.count_pooled(task.kind, -1.0);
        }
    }

    /// One task more in the pool, or one less.
    fn count_pooled(&mut self, kind: KindNo, sign: f64) {
        let profile = self.profiles.get(kind);
        profile.pooled = profile.pooled.saturating_add_signed(sign as i32);
        let need = profile.need;
        self.pooled.share += sign * need.share;
        self.pooled.work += sign * need.work;
        if self.pool.len() == 0 {
            // Whatever rounding has left.
            self.pooled = Sums::default();
        }
    }

    /// A task leaves its worker.
    fn leave(&mut self, worker: WorkerNo, task: &Task) {
        self.resident.share -= f64::from(task.holds.share);
        self.resident.work -= f64::from(task.holds.work);
        self.resident.count = self.resident.count.saturating_sub(1);
        if self.resident.count == 0 {
            self.resident = Sums::default();
        }
        let Some(place) = at(&mut self.workers, worker.0) else { return };
        place.tasks = place.tasks.saturating_sub(1);
        place.cpu -= f64::from(task.holds.cpu);
        place.network -= f64::from(task.holds.network);
        place.memory -= f64::from(task.holds.memory);
        place.exceeding -= u16::from(task.exceeds);
        if place.tasks == 0 {
            (place.cpu, place.network, place.memory) = (0.0, 0.0, 0.0);
            (place.parked, place.is_sealed) = (Parked::default(), false);
        }
        self.reorder(worker);
    }

    /// Puts a worker where its load belongs.
    fn reorder(&mut self, worker: WorkerNo) {
        let Some(place) = at(&mut self.workers, worker.0) else { return };
        if place.stage == Stage::Open {
            let (cpu, network) = (place.cpu_load(), place.network_load());
            self.by_load.set(worker.0, cpu.max(network));
            self.by_cpu.set(worker.0, cpu);
            self.by_network.set(worker.0, network);
        } else {
            self.by_load.remove(worker.0);
            self.by_cpu.remove(worker.0);
            self.by_network.remove(worker.0);
        }
    }

    fn on_polled(
        &mut self,
        now: Duration,
        number: WorkerNo,
        report: Report,
        commands: &mut Vec<Command>,
    ) {
        let Some(worker) = at(&mut self.workers, number.0) else { return };
        let held = report.held.max(1);
        let part = 1.0 - (f64::from(report.running.max(1)) / f64::from(held)).min(1.0);
        let measured = f64::from(report.memory) * worker.shape.memory as f64;
        let parked = Parked {
            cpu: part * worker.cpu,
            network: part * worker.network,
            memory: part * worker.memory,
            measured: measured - worker.shape.memory_base as f64,
        };
        if worker.parked != parked {
            worker.parked = parked;
            self.reorder(number);
        }
        if !self.has(Element::Push) {
            self.answer_poll(now, number, commands);
        }
    }
}

impl Worker {
    fn cpu_load(&self) -> f64 {
        (self.cpu - self.parked.cpu).max(0.0) / (self.shape.cores * self.speed.min(1.0))
    }

    fn network_load(&self) -> f64 {
        (self.network - self.parked.network).max(0.0) / self.shape.network
    }

    /// Memory that is in use, or kept for tasks. A reading that is no number counts for nothing.
    fn memory_kept(&self) -> f64 {
        let Parked { memory, measured, .. } = self.parked;
        let measured = measured.clamp(0.0, self.free_memory()).max(0.0);
        let beside = (self.memory - memory).max(0.0);
        if memory > 0.0 { (beside + measured).min(self.memory) } else { self.memory }
    }
}

impl Placement for Farspawn {
    fn handle(&mut self, now: Duration, event: Event, commands: &mut Vec<Command>) {
        match event {
            Event::Spawned(task, spawned) => self.on_spawned(now, task, spawned, commands),
            Event::Began(task, spawned, worker) => self.on_began(task, spawned, worker),
            Event::Tallied(kind, worker, usage) => self.on_tallied(kind, worker, &usage),
            Event::Withdrawn(task) => self.on_withdrawn(task),
            Event::Finished(task, usage) => self.on_finished(now, task, usage, commands),
            Event::Returned(task) => self.on_returned(task),
            Event::Ready(worker, shape, took) => self.on_ready(now, worker, shape, took),
            Event::Granted(worker, cores) => self.on_granted(worker, cores),
            Event::Polled(worker, report) => self.on_polled(now, worker, report, commands),
            Event::Lost(worker) => self.on_lost(now, worker),
            Event::Departed(worker) => self.on_departed(now, worker),
            Event::Kept(worker) => self.on_kept(worker),
            Event::Refused => self.on_refused(now),
            Event::Tick => self.on_tick(now, commands),
        }
        if self.has(Element::Push) {
            self.dispatch(now, commands);
        }
        if let Event::Ready(worker, ..) | Event::Kept(worker) = event {
            self.settle(now, worker, commands);
        }
        self.grow(now, commands);
    }

    fn wake_at(&self) -> Option<Duration> {
        self.growth.wake_at()
    }

    fn seats(&mut self, worker: WorkerNo) -> u32 {
        self.seats_of(worker)
    }

    fn worker_side(&self) -> WorkerSide {
        let quick = self.has(Element::QuickRegistration);
        let cpu_gate = self.has(Element::CpuGate).then_some(self.shape.cores.floor() as u32);
        WorkerSide {
            poll: (!self.has(Element::Push)).then_some(self.tuning.poll),
            registration: Duration::from_millis(if quick { 5 } else { 30 }),
            transfers_max: self.has(Element::TransferGate).then_some(self.tuning.transfers_max),
            cpu_gate: cpu_gate.map(|gate| gate.max(1)),
            channels: if self.has(Element::Channels) { Channels::Linked } else { Channels::Stored },
            life: Life::UntilShutdown,
            front_door: Duration::ZERO,
        }
    }
}
