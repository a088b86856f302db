//! What a scheduling decision costs: `cargo bench -p farspawn-coordinator --bench decision`.
//!
//! The workers are full and the pool is long, and it stays so. One decision is: a task ended, its
//! usage is learned, the next one is dispatched; and a new one comes. It must not depend on how
//! many wait nor on how many workers there are.

use std::time::Duration;

use coordinator::placement::choice::Policy;
use coordinator::placement::{
    AppNo, Choice, Command, Event, KindNo, Placement, Report, Shape, Spawned, TaskNo, Usage,
    WorkerNo,
};
use coordinator::sim::model::Model;
use coordinator::sim::random::Random;

fn main() {
    divan::main();
}

struct Load {
    policy: Box<dyn Placement>,
    /// Tasks that run, and where.
    running: Vec<(u32, u32)>,
    free: Vec<u32>,
    tasks: u32,
    now: Duration,
    commands: Vec<Command>,
    random: Random,
    /// Only the paper's policy is asked by polls.
    polls: bool,
}

impl Load {
    fn new(policy: Policy, pending: usize, workers: usize) -> Self {
        let shape: Shape = Model::default().shape();
        let polls = policy == Policy::Paper;
        let policy = Choice::new(policy, shape, workers).build(150 << 20).unwrap();
        let mut load = Self {
            policy,
            running: Vec::new(),
            free: Vec::new(),
            tasks: 0,
            now: Duration::ZERO,
            commands: Vec::new(),
            random: Random::new(1, 1),
            polls,
        };
        load.spawn();
        for worker in 0..workers as u32 {
            load.tell(Event::Ready(WorkerNo(worker), shape, Duration::from_millis(250)));
        }
        for worker in 0..workers as u32 {
            load.poll(worker);
        }
        while (load.tasks as usize) < pending + load.running.len() {
            load.spawn();
        }
        // Until what tasks take is known.
        (0..20_000).for_each(|_| load.decide());
        load
    }

    fn tell(&mut self, event: Event) {
        self.now += Duration::from_micros(1);
        self.policy.handle(self.now, event, &mut self.commands);
        for command in self.commands.drain(..) {
            if let Command::Dispatch(task, worker) = command {
                self.running.push((task.0, worker.0));
            }
        }
    }

    fn spawn(&mut self) {
        let number = self.free.pop().unwrap_or(self.tasks);
        self.tasks = self.tasks.max(number + 1);
        let kind = KindNo((self.random.unit() * 4.0) as u32);
        let spawned = Spawned { kind, parent: None, app: AppNo(0) };
        self.tell(Event::Spawned(TaskNo(number), spawned));
    }

    fn poll(&mut self, worker: u32) {
        let report = Report { cpu: 0.1, memory: 0.1, running: 0, held: 1 };
        self.tell(Event::Polled(WorkerNo(worker), report));
    }

    fn decide(&mut self) {
        let index = (self.random.unit() * self.running.len() as f64) as usize;
        let (task, worker) = self.running.swap_remove(index);
        let usage = Usage {
            wall: Duration::from_millis(800),
            cpu: Duration::from_millis(550 + self.random.bits() % 100),
            bytes: 3_000_000,
            memory: 150_000_000,
            ..Usage::default()
        };
        self.tell(Event::Finished(TaskNo(task), Some(usage)));
        if self.polls {
            self.poll(worker);
        }
        self.free.push(task);
        self.spawn();
    }
}

/// Pending tasks and workers.
const SIZES: [(usize, usize); 4] = [(1_000, 10), (100_000, 10), (1_000, 1_000), (100_000, 1_000)];

#[divan::bench(args = SIZES, sample_count = 1000, sample_size = 100)]
fn farspawn(bencher: divan::Bencher<'_, '_>, (pending, workers): (usize, usize)) {
    let mut load = Load::new(Policy::Farspawn, pending, workers);
    bencher.bench_local(|| load.decide());
}

#[divan::bench(args = SIZES, sample_count = 1000, sample_size = 100)]
fn paper(bencher: divan::Bencher<'_, '_>, (pending, workers): (usize, usize)) {
    let mut load = Load::new(Policy::Paper, pending, workers);
    bencher.bench_local(|| load.decide());
}
