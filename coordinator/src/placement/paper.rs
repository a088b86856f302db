//! Algorithm 1 of the paper, line by line.
//!
//! ```text
//!  1  begin
//!  2    while true do
//!  3      req <- server.listen()
//!  4      worker <- lookup(req.workerId)
//!  5      if now - worker.start < thr_time * execTimeout then
//!  6        if req.currCPU < thr_cpu and req.currMem < thr_mem
//!  7           and |req.currTasks| < worker.threads - 1 and requestPool != {} then
//!  8          task <- requestPool.pop()
//!  9          req.connection.send(task)
//! 10          continue
//! 11      if req.currTasks == {} then
//! 12        req.connection.send(shutdown)
//! 13      else
//! 14        req.connection.send(continue)
//! ```
//!
//! [`algorithm_1`] is lines 5 to 14 as a pure function; [`Paper`] is the coordinator around it.
//!
//! # Readings taken where the paper is silent or doubtful
//!
//! - Line 10: `continue` goes on with the loop, so that the shutdown test is skipped; in line 14 it
//!   is a message. Lines 11 to 14 are reached from both failed tests, 5 and 6-7.
//! - Line 12 therefore also ends an empty worker while the pool is not empty, if it is past its
//!   time or its readings are too high; and it ends one as soon as a single poll finds the pool
//!   empty. Both are kept.
//! - Line 7: `threads - 1` is at least one. A task parked on a channel occupies no thread, so it is
//!   not among `currTasks` there; a worker that holds any task is not empty in line 11.
//! - Line 8: the pool is first in, first out. One poll gets one task; no completion makes a poll.
//! - `thr_time` is 0.8 (section 3.2). `thr_cpu` and `thr_mem` are not told: 0.95 and 0.9. The
//!   period of the polls is not told either: 50 ms reproduces the paper's figures best.
//! - Section 5 says that workers are spawned by a threshold that "is not dynamic", and not which;
//!   see [`Spawning`]. The rule is asked when a request arrives, and when a worker is gone while
//!   requests wait, for else they might wait for ever.

use std::collections::VecDeque;
use std::time::Duration;

use super::{
    Channels, Command, Event, Life, Placement, Report, TaskNo, WorkerNo, WorkerSide, at, put,
};

/// The paper's thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// `thr_time`: the part of the time limit after which no task is given any more.
    pub time: f64,
    /// `execTimeout`: the platform's time limit for a worker.
    pub exec_timeout: Duration,
    /// `thr_cpu`: 1.0 is all threads of the worker.
    pub cpu: f32,
    /// `thr_mem`: 1.0 is the worker's memory limit.
    pub memory: f32,
}

impl Default for Thresholds {
    /// 80 % of 900 s as in the paper, which does not tell the other two.
    fn default() -> Self {
        Self { time: 0.8, exec_timeout: Duration::from_secs(900), cpu: 0.95, memory: 0.9 }
    }
}

/// A worker, and what its last report said (`worker` and `req`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Poll {
    /// `worker.start`.
    pub start: Duration,
    /// `worker.threads`.
    pub threads: u32,
    /// `req.currCPU`.
    pub cpu: f32,
    /// `req.currMem`.
    pub memory: f32,
    /// `|req.currTasks|` in line 7: tasks that occupy a thread.
    pub running: u32,
    /// `|req.currTasks|` in line 11: tasks that it holds.
    pub held: u32,
}

/// The coordinator's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reply {
    /// Line 9: give it a task from the pool.
    Task,
    /// Line 12.
    Shutdown,
    /// Line 14.
    Continue,
}

/// Lines 5 to 14.
pub fn algorithm_1(
    now: Duration,
    poll: &Poll,
    request_pool: usize,
    thresholds: &Thresholds,
) -> Reply {
    let age = now.saturating_sub(poll.start);
    if age < thresholds.exec_timeout.mul_f64(thresholds.time)
        && poll.cpu < thresholds.cpu
        && poll.memory < thresholds.memory
        && poll.running < slots(poll.threads)
        && request_pool > 0
    {
        return Reply::Task;
    }
    if poll.held == 0 { Reply::Shutdown } else { Reply::Continue }
}

/// `worker.threads - 1`: how many tasks may occupy a worker's threads, one being reserved.
pub fn slots(threads: u32) -> u32 {
    threads.saturating_sub(1).max(1)
}

/// How many workers the pool calls for. The paper spawns by a fixed threshold that it does not
/// tell; this is one slot for every task that runs or waits.
pub fn workers_wanted(running: usize, request_pool: usize, threads: u32) -> usize {
    (running + request_pool).div_ceil(slots(threads) as usize)
}

/// When the paper's system starts workers: three readings of "the threshold is not dynamic".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spawning {
    /// When the requests that run or wait are more than the slots of all workers.
    Slots,
    /// When a worker's slots are full of requests in the pool alone.
    Pool,
    /// One for every `slots` requests that ever came.
    Requests,
}

/// What the paper's policy is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The thresholds of Algorithm 1.
    pub thresholds: Thresholds,
    /// The period of the workers' polls.
    pub poll: Duration,
    /// When workers are started.
    pub spawning: Spawning,
    /// Threads of a worker that has not yet said how many it has.
    pub threads: u32,
    /// Workers at once, at most.
    pub workers_max: usize,
    /// Workers are started up to so many slots. No limit reproduces most of the paper's figures;
    /// 24 its remark that the trend stops at 8192 MB.
    pub slots_max: Option<u32>,
}

impl Settings {
    /// The readings that reproduce the paper best.
    pub fn new(threads: u32, workers_max: usize) -> Self {
        Self {
            thresholds: Thresholds::default(),
            poll: Duration::from_millis(50),
            spawning: Spawning::Slots,
            threads,
            workers_max,
            slots_max: None,
        }
    }
}

/// The paper's coordinator.
#[derive(Debug)]
pub struct Paper {
    settings: Settings,
    request_pool: VecDeque<TaskNo>,
    workers: Vec<Option<Worker>>,
    /// Requests that run.
    running: usize,
    present: usize,
    starting: usize,
    /// Requests that ever came, and workers that were ever asked for.
    requests: usize,
    launches: usize,
    launch_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Worker {
    start: Duration,
    threads: u32,
    /// It was told to shut down.
    ending: bool,
}

/// How long after a refusal the next launch is tried. The paper does not tell.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

impl Paper {
    /// A coordinator without workers.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            request_pool: VecDeque::new(),
            workers: Vec::new(),
            running: 0,
            present: 0,
            starting: 0,
            requests: 0,
            launches: 0,
            launch_after: None,
        }
    }

    /// Lines 3 to 14.
    fn on_polled(
        &mut self,
        now: Duration,
        number: WorkerNo,
        req: Report,
        commands: &mut Vec<Command>,
    ) {
        let Some(worker) = at(&mut self.workers, number.0) else { return };
        if worker.ending {
            return;
        }
        let poll = Poll {
            start: worker.start,
            threads: worker.threads,
            cpu: req.cpu,
            memory: req.memory,
            running: req.running,
            held: req.held,
        };
        match algorithm_1(now, &poll, self.request_pool.len(), &self.settings.thresholds) {
            Reply::Task => {
                if let Some(task) = self.request_pool.pop_front() {
                    self.running += 1;
                    commands.push(Command::Dispatch(task, number));
                }
            }
            Reply::Shutdown => {
                worker.ending = true;
                commands.push(Command::Shutdown(number));
            }
            Reply::Continue => commands.push(Command::Continue(number)),
        }
    }

    fn launch(&mut self, now: Duration, commands: &mut Vec<Command>) {
        if self.request_pool.is_empty() || self.launch_after.is_some_and(|after| now < after) {
            return;
        }
        self.launch_after = None;
        let Settings { spawning, threads, workers_max, slots_max, .. } = self.settings;
        let slots = slots(threads);
        let there = self.present + self.starting;
        let wanted = match spawning {
            Spawning::Slots => {
                workers_wanted(self.running, self.request_pool.len(), threads).saturating_sub(there)
            }
            Spawning::Pool => (self.request_pool.len() / slots as usize).saturating_sub(there),
            Spawning::Requests => {
                self.requests.div_ceil(slots as usize).saturating_sub(self.launches)
            }
        };
        // Requests must not wait for workers that nobody starts.
        let wanted = wanted.max(usize::from(there == 0));
        let limit = slots_max.map_or(workers_max, |slots_max| {
            workers_max.min(slots_max.div_ceil(slots).max(1) as usize)
        });
        let wanted = wanted.min(limit.saturating_sub(there));
        self.starting += wanted;
        self.launches += wanted;
        commands.extend(std::iter::repeat_n(Command::Launch, wanted));
    }
}

impl Placement for Paper {
    fn handle(&mut self, now: Duration, event: Event, commands: &mut Vec<Command>) {
        match event {
            Event::Spawned(task, _) => {
                self.requests += 1;
                self.request_pool.push_back(task);
                self.launch(now, commands);
            }
            Event::Returned(task) => {
                self.running = self.running.saturating_sub(1);
                self.request_pool.push_front(task);
                self.launch(now, commands);
            }
            Event::Withdrawn(task) => self.request_pool.retain(|other| *other != task),
            Event::Finished(..) => self.running = self.running.saturating_sub(1),
            Event::Ready(number, shape, _) => {
                self.starting = self.starting.saturating_sub(1);
                self.present += 1;
                let worker = Worker { start: now, threads: shape.threads, ending: false };
                put(&mut self.workers, number.0, worker);
            }
            Event::Polled(number, req) => self.on_polled(now, number, req, commands),
            Event::Lost(number) | Event::Departed(number) => {
                if at(&mut self.workers, number.0).is_some() {
                    self.workers[number.0 as usize] = None;
                    self.present -= 1;
                    self.launch(now, commands);
                }
            }
            Event::Kept(number) => {
                if let Some(worker) = at(&mut self.workers, number.0) {
                    worker.ending = false;
                }
            }
            Event::Refused => {
                self.starting = self.starting.saturating_sub(1);
                self.launch_after = Some(now + REFUSED_PAUSE);
            }
            // Its workers begin nothing by themselves.
            Event::Granted(..) | Event::Began(..) | Event::Tallied(..) => {}
            Event::Tick => self.launch(now, commands),
        }
    }

    fn wake_at(&self) -> Option<Duration> {
        self.launch_after.filter(|_| !self.request_pool.is_empty())
    }

    /// Registration is an HTTP request to a server that then knows the worker (section 5,
    /// "delays on instance spin-up").
    fn worker_side(&self) -> WorkerSide {
        WorkerSide {
            poll: Some(self.settings.poll),
            registration: Duration::from_millis(30),
            transfers_max: None,
            cpu_gate: None,
            channels: Channels::Stored,
            life: Life::UntilShutdown,
            front_door: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::{AppNo, KindNo, SHAPE, Shape, Spawned, Usage};

    const IDLE: Poll =
        Poll { start: Duration::ZERO, threads: 4, cpu: 0.1, memory: 0.1, running: 0, held: 0 };

    #[track_caller]
    fn check(seconds: u64, poll: Poll, pool: usize, expected: Reply) {
        let reply = algorithm_1(Duration::from_secs(seconds), &poll, pool, &Thresholds::default());
        assert_eq!(reply, expected, "after {seconds} s, {poll:?}, pool of {pool}");
    }

    #[test]
    fn line_5_time() {
        check(719, IDLE, 1, Reply::Task);
        check(720, IDLE, 1, Reply::Shutdown);
        check(720, Poll { running: 3, held: 3, ..IDLE }, 1, Reply::Continue);
        let started_late = Poll { start: Duration::from_secs(100), ..IDLE };
        check(819, started_late, 1, Reply::Task);
        check(820, started_late, 1, Reply::Shutdown);
    }

    #[test]
    fn line_6_cpu_and_memory() {
        check(0, Poll { cpu: 0.94, ..IDLE }, 1, Reply::Task);
        check(0, Poll { cpu: 0.95, ..IDLE }, 1, Reply::Shutdown);
        check(0, Poll { memory: 0.89, ..IDLE }, 1, Reply::Task);
        check(0, Poll { memory: 0.9, held: 1, ..IDLE }, 1, Reply::Continue);
    }

    #[test]
    fn line_7_slots_and_pool() {
        check(0, Poll { running: 2, held: 2, ..IDLE }, 1, Reply::Task);
        check(0, Poll { running: 3, held: 3, ..IDLE }, 1, Reply::Continue);
        check(0, Poll { running: 0, held: 3, ..IDLE }, 1, Reply::Task);
        check(0, Poll { held: 1, ..IDLE }, 0, Reply::Continue);
        assert_eq!([0, 1, 2, 3, 6].map(slots), [1, 1, 1, 2, 5], "one is reserved, not the only");
        check(0, Poll { threads: 1, ..IDLE }, 1, Reply::Task);
    }

    #[test]
    fn lines_11_to_14_shutdown_or_continue() {
        check(0, IDLE, 0, Reply::Shutdown);
        check(0, Poll { held: 1, running: 1, ..IDLE }, 0, Reply::Continue);
        // Even while requests wait: lines 11 to 14 are reached from both failed tests.
        check(0, Poll { cpu: 1.0, ..IDLE }, 9, Reply::Shutdown);
        check(800, IDLE, 9, Reply::Shutdown);
    }

    #[test]
    fn a_slot_for_every_task() {
        assert_eq!(workers_wanted(0, 0, 2), 0);
        assert_eq!(workers_wanted(0, 3, 2), 3);
        assert_eq!(workers_wanted(5, 6, 6), 3);
    }

    /// The coordinator, told one event after the other.
    struct Bench(Paper);

    impl Bench {
        fn new(settings: Settings) -> Self {
            Self(Paper::new(settings))
        }

        fn tell(&mut self, event: Event) -> Vec<Command> {
            let mut commands = Vec::new();
            self.0.handle(Duration::ZERO, event, &mut commands);
            commands
        }

        fn spawn(&mut self, task: u32) -> Vec<Command> {
            let spawned = Spawned { kind: KindNo(0), parent: None, app: AppNo(0) };
            self.tell(Event::Spawned(TaskNo(task), spawned))
        }

        fn ready(&mut self, worker: u32) -> Vec<Command> {
            let shape = Shape { threads: 3, ..SHAPE };
            self.tell(Event::Ready(WorkerNo(worker), shape, Duration::ZERO))
        }

        fn poll(&mut self, worker: u32, tasks: u32) -> Vec<Command> {
            let report = Report { running: tasks, held: tasks, ..Report::default() };
            self.tell(Event::Polled(WorkerNo(worker), report))
        }
    }

    const WORKER: WorkerNo = WorkerNo(0);

    #[test]
    fn lines_8_to_10_one_task_a_poll_in_order_and_no_shutdown_with_it() {
        let mut bench = Bench::new(Settings::new(3, 1));
        (0..3).for_each(|task| _ = bench.spawn(task));
        assert_eq!(bench.ready(0), []);
        assert_eq!(bench.poll(0, 0), [Command::Dispatch(TaskNo(0), WORKER)]);
        assert_eq!(bench.poll(0, 1), [Command::Dispatch(TaskNo(1), WORKER)]);
        assert_eq!(bench.poll(0, 2), [Command::Continue(WORKER)], "two of three threads");
        let finished = bench.tell(Event::Finished(TaskNo(0), Some(Usage::default())));
        assert_eq!(finished, [], "no completion makes a poll");
        assert_eq!(bench.poll(0, 1), [Command::Dispatch(TaskNo(2), WORKER)]);
        assert_eq!(bench.poll(0, 0), [Command::Shutdown(WORKER)]);
        assert_eq!(bench.poll(0, 0), [], "it was told");
    }

    #[test]
    fn line_4_a_worker_that_is_not_known_gets_nothing() {
        let mut bench = Bench::new(Settings::new(3, 1));
        bench.spawn(0);
        assert_eq!(bench.poll(7, 0), []);
    }

    #[test]
    fn readings_of_static_spawning() {
        let launches = |spawning, slots_max| {
            let mut bench = Bench::new(Settings { spawning, slots_max, ..Settings::new(3, 100) });
            (0..9).map(|task| bench.spawn(task).len()).collect::<Vec<_>>()
        };
        assert_eq!(launches(Spawning::Slots, None), [1, 0, 1, 0, 1, 0, 1, 0, 1]);
        assert_eq!(launches(Spawning::Requests, None), [1, 0, 1, 0, 1, 0, 1, 0, 1]);
        assert_eq!(launches(Spawning::Pool, None), [1, 0, 0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(launches(Spawning::Slots, Some(3)), [1, 0, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn requests_do_not_wait_for_a_worker_that_is_gone() {
        let mut bench = Bench::new(Settings::new(3, 1));
        assert_eq!(bench.spawn(0), [Command::Launch]);
        bench.ready(0);
        assert_eq!(bench.poll(0, 0), [Command::Dispatch(TaskNo(0), WORKER)]);
        assert_eq!(bench.tell(Event::Lost(WORKER)), []);
        assert_eq!(bench.tell(Event::Returned(TaskNo(0))), [Command::Launch]);
        bench.ready(0);
        assert_eq!(bench.poll(0, 0), [Command::Dispatch(TaskNo(0), WORKER)]);
    }
}
