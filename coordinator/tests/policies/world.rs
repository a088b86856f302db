//! A world around a policy, small and hostile. It knows nothing of what a policy is for, only what
//! it must never do.

use std::collections::BTreeMap;
use std::time::Duration;

use coordinator::placement::choice::Policy;
use coordinator::placement::{
    AppNo, Choice, Command, Event, KindNo, Placement, Report, Shape, Spawned, TaskNo, Usage,
    WorkerNo,
};
use coordinator::sim::random::Random;

/// Whether the policy hears that a task waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parking {
    Unseen,
    Reported,
}

#[derive(Clone, Debug)]
pub(crate) struct Task {
    kind: u32,
    parent: Option<u32>,
    place: Place,
    /// Time that it computes, then waits for its children.
    computes: u64,
    children_left: u32,
    has_children: bool,
    memory: u64,
    attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Pooled,
    On(u32),
    Ended,
}

#[derive(Clone, Debug)]
struct Worker {
    tasks: Vec<u32>,
    told_to_end: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Spawn(u32),
    Withdraw(u32),
    Ready,
    Refused,
    Computed(u32, u32),
    Poll(u32, u32),
    Dies(u32, u32),
    Gone(u32),
    Wake,
}

#[derive(Debug)]
pub(crate) struct World {
    policy_name: Policy,
    pub(crate) workers_max: usize,
    pub(crate) deaths: f64,
    pub(crate) refusals: f64,
    pub(crate) withdrawals: f64,
    pub(crate) children: f64,
    pub(crate) parking: Parking,
    pub(crate) shape: Shape,
    pub(crate) tasks: Vec<Task>,
    pub(crate) ended: usize,
    pub(crate) workers_peak: usize,
    workers: BTreeMap<u32, Worker>,
    generations: BTreeMap<u32, u32>,
    launching: usize,
    policy: Option<Box<dyn Placement>>,
    random: Random,
    now: u64,
    sequence: u64,
    future: BTreeMap<(u64, u64), Happening>,
}

const ROOTS: u32 = 60;
const TASKS_MAX: usize = 400;
const SHAPE: Shape = Shape {
    threads: 4,
    cores: 4.0,
    memory: 1 << 30,
    memory_base: 150_000_000,
    network: 75e6,
    lifetime: Duration::from_secs(900),
};

impl World {
    pub(crate) fn new(policy_name: Policy, seed: u64) -> Self {
        let mut random = Random::new(seed, 9);
        let workers_max = 1 + (random.unit() * 5.0) as usize;
        Self {
            policy_name,
            workers_max,
            deaths: 0.0,
            refusals: 0.0,
            withdrawals: 0.0,
            children: 0.0,
            parking: Parking::Unseen,
            shape: SHAPE,
            tasks: Vec::new(),
            ended: 0,
            workers_peak: 0,
            workers: BTreeMap::new(),
            generations: BTreeMap::new(),
            launching: 0,
            policy: None,
            random,
            now: 0,
            sequence: 0,
            future: BTreeMap::new(),
        }
    }

    pub(crate) fn run(&mut self) {
        let choice = Choice::new(self.policy_name, self.shape, self.workers_max);
        self.policy = Some(choice.build(300 << 20).unwrap());
        for _ in 0..ROOTS {
            let task = self.make(None);
            let time = (self.random.exponential() * 2e6) as u64;
            self.at(time, Happening::Spawn(task));
            if self.random.unit() < self.withdrawals {
                let later = time + (self.random.exponential() * 1e5) as u64;
                self.at(later, Happening::Withdraw(task));
            }
        }
        let mut steps = 0;
        while let Some(((time, _), happening)) = self.future.pop_first() {
            self.now = time;
            self.happen(happening);
            steps += 1;
            assert!(steps < 1_000_000, "it goes on for ever: {self:#?}");
            if self.ended == self.tasks.len() && self.workers.is_empty() {
                return;
            }
        }
    }

    fn make(&mut self, parent: Option<u32>) -> u32 {
        let kind = (self.random.unit() * 3.0) as u32;
        let has_children = self.tasks.len() < TASKS_MAX && self.random.unit() < self.children;
        self.tasks.push(Task {
            kind,
            parent,
            place: Place::Pooled,
            computes: (self.random.exponential() * 1e5) as u64 + 1,
            children_left: 0,
            has_children,
            memory: (40 + 50 * u64::from(kind)) << 20,
            attempts: 0,
        });
        self.tasks.len() as u32 - 1
    }

    fn at(&mut self, time: u64, happening: Happening) {
        self.sequence += 1;
        self.future.insert((time.max(self.now), self.sequence), happening);
    }

    fn after(&mut self, wait: u64, happening: Happening) {
        self.at(self.now + wait, happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Spawn(task) => self.spawn(task),
            Happening::Withdraw(task) => {
                if self.tasks[task as usize].place == Place::Pooled {
                    self.end(task);
                    self.tell(Event::Withdrawn(TaskNo(task)));
                }
            }
            Happening::Ready => self.on_ready(),
            Happening::Refused => {
                self.launching -= 1;
                self.tell(Event::Refused);
            }
            Happening::Computed(task, attempt) => self.on_computed(task, attempt),
            Happening::Poll(worker, generation) => self.on_poll(worker, generation),
            Happening::Dies(worker, generation) => {
                if self.generations[&worker] == generation && self.workers.contains_key(&worker) {
                    self.lose(worker);
                }
            }
            Happening::Gone(worker) => self.lose(worker),
            Happening::Wake => {
                let due = self.policy.as_ref().unwrap().wake_at();
                if due.is_some_and(|due| due.as_micros() as u64 <= self.now) {
                    self.tell(Event::Tick);
                }
            }
        }
    }

    fn spawn(&mut self, task: u32) {
        let Task { kind, parent, .. } = self.tasks[task as usize];
        // A parent that ended, or runs anew, is none.
        let parent =
            parent.filter(|parent| matches!(self.tasks[*parent as usize].place, Place::On(_)));
        let app = AppNo(kind % 2);
        let spawned = Spawned { kind: KindNo(kind), parent: parent.map(TaskNo), app };
        self.tell(Event::Spawned(TaskNo(task), spawned));
    }

    fn on_ready(&mut self) {
        self.launching -= 1;
        let number = (0..).find(|number| !self.workers.contains_key(number)).unwrap();
        let generation = self.generations.entry(number).or_insert(0);
        *generation += 1;
        let generation = *generation;
        self.workers.insert(number, Worker { tasks: Vec::new(), told_to_end: false });
        let took = Duration::from_millis(250);
        self.tell(Event::Ready(WorkerNo(number), self.shape, took));
        self.after(0, Happening::Poll(number, generation));
        if self.random.unit() < self.deaths * 4.0 {
            let life = (self.random.exponential() * 5e5) as u64;
            self.after(life, Happening::Dies(number, generation));
        }
    }

    fn on_computed(&mut self, task: u32, attempt: u32) {
        let state = &mut self.tasks[task as usize];
        if state.attempts != attempt || !matches!(state.place, Place::On(_)) {
            return;
        }
        if state.has_children {
            state.has_children = false;
            let count = 1 + (self.random.unit() * 3.0) as u32;
            self.tasks[task as usize].children_left += count;
            for _ in 0..count {
                let child = self.make(Some(task));
                self.spawn(child);
            }
            return;
        }
        if state.children_left == 0 {
            self.finish(task);
        }
    }

    fn finish(&mut self, task: u32) {
        let Place::On(worker) = self.tasks[task as usize].place else { return };
        self.workers.get_mut(&worker).unwrap().tasks.retain(|other| *other != task);
        let state = &self.tasks[task as usize];
        let usage = Usage {
            wall: Duration::from_micros(2 * state.computes),
            cpu: Duration::from_micros(state.computes),
            memory: state.memory,
            ..Usage::default()
        };
        self.end(task);
        self.tell(Event::Finished(TaskNo(task), Some(usage)));
    }

    fn end(&mut self, task: u32) {
        let state = &mut self.tasks[task as usize];
        assert_ne!(state.place, Place::Ended, "{}: a task ends once", self.policy_name);
        state.place = Place::Ended;
        self.ended += 1;
        if let Some(parent) = state.parent {
            let attempt = self.tasks[parent as usize].attempts;
            self.tasks[parent as usize].children_left -= 1;
            self.after(1, Happening::Computed(parent, attempt));
        }
    }

    fn on_poll(&mut self, worker: u32, generation: u32) {
        let Some(state) = self.workers.get(&worker) else { return };
        if self.generations[&worker] != generation {
            return;
        }
        let held = state.tasks.len() as u32;
        let waits = |task: &&u32| self.tasks[**task as usize].children_left > 0;
        let parked = match self.parking {
            Parking::Unseen => 0,
            Parking::Reported => state.tasks.iter().filter(waits).count() as u32,
        };
        let running = held - parked;
        let cpu = (running as f32 / 8.0).min(1.0);
        let report = Report { cpu, memory: 0.5, running, held };
        self.tell(Event::Polled(WorkerNo(worker), report));
        self.after(20_000, Happening::Poll(worker, generation));
    }

    /// A worker is gone, and its tasks run again.
    fn lose(&mut self, worker: u32) {
        let Some(state) = self.workers.remove(&worker) else { return };
        self.tell(Event::Lost(WorkerNo(worker)));
        for task in state.tasks {
            self.tasks[task as usize].place = Place::Pooled;
            self.tell(Event::Returned(TaskNo(task)));
        }
    }

    fn tell(&mut self, event: Event) {
        let mut commands = Vec::new();
        let now = Duration::from_micros(self.now);
        let policy = self.policy.as_mut().unwrap();
        policy.handle(now, event, &mut commands);
        if let Some(wake) = policy.wake_at() {
            let wake = (wake.as_nanos().div_ceil(1000) as u64).max(self.now + 1);
            self.at(wake, Happening::Wake);
        }
        for command in commands {
            self.obey(command);
        }
    }

    fn obey(&mut self, command: Command) {
        let policy = self.policy_name;
        match command {
            Command::Launch => {
                self.launching += 1;
                let present = self.workers.len() + self.launching;
                self.workers_peak = self.workers_peak.max(present);
                let refused = self.random.unit() < self.refusals;
                let wait = (self.random.between(0.1, 0.4) * 1e6) as u64;
                let happening = if refused { Happening::Refused } else { Happening::Ready };
                self.after(wait, happening);
            }
            Command::Dispatch(task, worker) => {
                let state = &mut self.tasks[task.0 as usize];
                assert_eq!(state.place, Place::Pooled, "{policy}: {task:?} waits");
                state.place = Place::On(worker.0);
                state.attempts += 1;
                let (computes, attempt) = (state.computes, state.attempts);
                let place = self.workers.get_mut(&worker.0).expect("the worker is there");
                assert!(!place.told_to_end, "{policy}: {worker:?} was told to end");
                place.tasks.push(task.0);
                let crowd = place.tasks.len() > 1;
                let held: u64 =
                    place.tasks.iter().map(|task| self.tasks[*task as usize].memory).sum();
                let room = self.shape.memory - self.shape.memory_base;
                assert!(!crowd || held <= room, "{policy}: {held} of {room} bytes");
                self.after(computes, Happening::Computed(task.0, attempt));
            }
            Command::Shutdown(worker) => {
                let place = self.workers.get_mut(&worker.0).expect("the worker is there");
                assert!(place.tasks.is_empty(), "{policy}: a worker with tasks is not shut down");
                assert!(!place.told_to_end, "{policy}: {worker:?} is told once");
                place.told_to_end = true;
                self.after(1000, Happening::Gone(worker.0));
            }
            Command::Continue(_) => {}
        }
    }
}
