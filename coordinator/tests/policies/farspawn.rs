//! Farspawn's own policy, told one event after the other: what each element of it does.

use std::time::Duration;

use coordinator::placement::choice::Policy;
use coordinator::placement::farspawn::{Element, Tuning};
use coordinator::placement::{
    AppNo, Choice, Command, Event, KindNo, Placement, Report, Shape, Spawned, TaskNo, Usage,
    WorkerNo,
};

const SHAPE: Shape = Shape {
    threads: 4,
    cores: 4.0,
    memory: 10 << 30,
    memory_base: 0,
    network: 75e6,
    lifetime: Duration::from_secs(900),
};

struct Bench {
    policy: Box<dyn Placement>,
    now: Duration,
    next: u32,
}

impl Bench {
    fn new(workers_max: usize) -> Self {
        Self::with(workers_max, Tuning::default())
    }

    fn with(workers_max: usize, tuning: Tuning) -> Self {
        let mut choice = Choice::new(Policy::Farspawn, SHAPE, workers_max);
        choice.tuning = tuning;
        Self { policy: choice.build(0).unwrap(), now: Duration::ZERO, next: 0 }
    }

    fn tell(&mut self, event: Event) -> Vec<Command> {
        let mut commands = Vec::new();
        self.policy.handle(self.now, event, &mut commands);
        commands
    }

    fn wait(&mut self, wait: Duration) -> Vec<Command> {
        let until = self.now + wait;
        let mut commands = Vec::new();
        while let Some(wake) = self.policy.wake_at().filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            commands.extend(self.tell(Event::Tick));
        }
        self.now = until;
        commands
    }

    fn ready(&mut self, worker: u32) -> Vec<Command> {
        self.tell(Event::Ready(WorkerNo(worker), SHAPE, Duration::from_millis(250)))
    }

    /// Tasks come far enough apart that they are no burst.
    fn spawn(&mut self, kind: u32, parent: Option<u32>, app: u32) -> (u32, Vec<Command>) {
        self.now += Duration::from_millis(1);
        let task = self.next;
        self.next += 1;
        let (kind, parent) = (KindNo(kind), parent.map(TaskNo));
        let spawned = Spawned { kind, parent, app: AppNo(app) };
        (task, self.tell(Event::Spawned(TaskNo(task), spawned)))
    }

    fn finish(&mut self, task: u32, usage: Usage) -> Vec<Command> {
        self.tell(Event::Finished(TaskNo(task), Some(usage)))
    }

    /// Teaches what tasks of a kind take: eight of them run one after the other.
    fn teach(&mut self, kind: u32, usage: Usage) {
        for _ in 0..8 {
            let (task, commands) = self.spawn(kind, None, 0);
            assert_eq!(dispatched(&commands), [(task, 0)]);
            self.finish(task, usage);
        }
    }
}

fn dispatched(commands: &[Command]) -> Vec<(u32, u32)> {
    let dispatch = |command: &Command| match command {
        Command::Dispatch(task, worker) => Some((task.0, worker.0)),
        _ => None,
    };
    commands.iter().filter_map(dispatch).collect()
}

fn launches(commands: &[Command]) -> usize {
    commands.iter().filter(|command| **command == Command::Launch).count()
}

fn usage(cpu_ms: u64, wait_ms: u64) -> Usage {
    let cpu = Duration::from_millis(cpu_ms);
    let wall = cpu + Duration::from_millis(wait_ms);
    Usage { wall, cpu, memory: 100 << 20, ..Usage::default() }
}

/// How many tasks of a kind one worker of four cores takes at once.
#[track_caller]
fn check_crowd(usage: Usage, tuning: Tuning, expected: usize) {
    let mut bench = Bench::with(1, tuning);
    bench.spawn(0, None, 0);
    assert_eq!(dispatched(&bench.ready(0)), [(0, 0)]);
    bench.finish(0, usage);
    bench.teach(0, usage);
    let crowd = (0..200).map(|_| dispatched(&bench.spawn(0, None, 0).1).len()).sum::<usize>();
    assert_eq!(crowd, expected);
}

#[test]
fn tasks_that_wait_share_cores_and_those_that_compute_do_not() {
    check_crowd(usage(100, 0), Tuning::default(), 4);
    check_crowd(usage(100, 100), Tuning::default(), 8);
    check_crowd(usage(100, 900), Tuning::default(), 40);
    let mut tuning = Tuning::default();
    tuning.elements = tuning.elements.without(Element::Overcommit);
    check_crowd(usage(100, 900), tuning, 4);
}

#[test]
fn memory_and_network_are_limits_too() {
    let large = Usage { memory: 1 << 30, ..usage(1, 999) };
    check_crowd(large, Tuning::default(), 9);
    // 7.5 MB/s each: half of the last may be over.
    let transfers = Usage { bytes: 7_500_000, memory: 1 << 20, ..usage(1, 999) };
    check_crowd(transfers, Tuning::default(), 10);
    let mut tuning = Tuning::default();
    tuning.elements = tuning.elements.without(Element::Network);
    check_crowd(transfers, tuning, 200);
}

#[test]
fn computing_and_waiting_kinds_are_mixed_on_one_worker() {
    let mut bench = Bench::new(1);
    bench.spawn(0, None, 0);
    bench.ready(0);
    bench.finish(0, usage(100, 0));
    bench.teach(0, usage(100, 0));
    bench.teach(1, usage(1, 999));
    let computing: usize = (0..9).map(|_| dispatched(&bench.spawn(0, None, 0).1).len()).sum();
    let waiting: usize = (0..9).map(|_| dispatched(&bench.spawn(1, None, 0).1).len()).sum();
    assert_eq!((computing, waiting), (4, 9), "the others pass where the oldest does not fit");
}

#[test]
fn a_chain_shares_a_worker_and_its_room_is_kept() {
    let mut bench = Bench::new(2);
    let handed = Usage { channel_bytes: 8_000_000, ..usage(500, 100) };
    bench.spawn(0, None, 0);
    bench.ready(0);
    let mut first = 0;
    for round in 0..8 {
        let (second, commands) = bench.spawn(1, Some(first), 0);
        assert_eq!(dispatched(&commands), [(second, 0)]);
        bench.finish(first, usage(10, 90));
        // Known once what it would move elsewhere, it moves none here.
        bench.finish(second, if round == 0 { handed } else { usage(500, 100) });
        let (next, commands) = bench.spawn(0, None, 0);
        assert_eq!(dispatched(&commands), [(next, 0)]);
        first = next;
    }
    // A second stage takes five sixths of a core; its first stage is placed by that.
    let firsts: Vec<u32> = (0..20)
        .filter_map(|_| {
            let (task, commands) = bench.spawn(0, None, 0);
            (!dispatched(&commands).is_empty()).then_some(task)
        })
        .chain([first])
        .collect();
    assert!(firsts.len() <= 6, "{} first stages, each with room for the second", firsts.len());
    for first in firsts {
        let (second, commands) = bench.spawn(1, Some(first), 0);
        assert_eq!(dispatched(&commands), [(second, 0)], "at once, before all that wait");
        bench.finish(first, usage(10, 90));
    }
}

#[test]
fn a_kind_that_kills_its_workers_is_kept_alone() {
    let mut bench = Bench::new(1);
    bench.spawn(7, None, 0);
    for death in 0..2 {
        bench.ready(0);
        bench.tell(Event::Lost(WorkerNo(0)));
        bench.tell(Event::Returned(TaskNo(0)));
        bench.wait(Duration::from_secs(70 * (death + 1)));
    }
    let (harmless, _) = bench.spawn(1, None, 0);
    assert_eq!(dispatched(&bench.ready(0)), [(0, 0)], "the oldest, and nothing with it");
    assert_eq!(dispatched(&bench.finish(0, usage(10, 10))), [(harmless, 0)]);
}

/// What a worker gives back on its way out, or does not end there, has killed nobody.
#[test]
fn a_kind_whose_workers_left_is_as_any_other() {
    let mut bench = Bench::new(1);
    bench.spawn(7, None, 0);
    for leave in 0..2 {
        bench.ready(0);
        bench.tell(Event::Departed(WorkerNo(0)));
        bench.tell(Event::Returned(TaskNo(0)));
        bench.wait(Duration::from_secs(70 * (leave + 1)));
    }
    let (harmless, _) = bench.spawn(1, None, 0);
    assert_eq!(dispatched(&bench.ready(0)), [(0, 0), (harmless, 0)], "both at once");
    // The number is another's now, and that one dies.
    bench.tell(Event::Lost(WorkerNo(0)));
    bench.tell(Event::Returned(TaskNo(0)));
    bench.tell(Event::Finished(TaskNo(harmless), None));
    bench.wait(Duration::from_secs(300));
    bench.ready(0);
    bench.tell(Event::Lost(WorkerNo(0)));
    bench.tell(Event::Returned(TaskNo(0)));
    bench.wait(Duration::from_secs(300));
    let (harmless, _) = bench.spawn(2, None, 0);
    assert_eq!(dispatched(&bench.ready(0)), [(0, 0)], "it is alone from its second death on");
    assert_eq!(dispatched(&bench.finish(0, usage(10, 10))), [(harmless, 0)]);
}

#[test]
fn applications_share_a_full_pool() {
    let mut bench = Bench::new(1);
    (0..50).for_each(|_| _ = bench.spawn(0, None, 1));
    let late: Vec<u32> = (0..2).map(|_| bench.spawn(1, None, 2).0).collect();
    let mut ran: Vec<u32> = dispatched(&bench.ready(0)).into_iter().map(|(task, _)| task).collect();
    ran.extend(dispatched(&bench.finish(0, usage(500, 0))).iter().map(|(task, _)| *task));
    assert!(late.iter().all(|task| ran.contains(task)), "{ran:?}");
}

#[test]
fn a_refused_launch_is_tried_again_after_ever_longer_pauses() {
    let mut bench = Bench::new(1);
    assert_eq!(launches(&bench.spawn(0, None, 0).1), 1);
    let mut pauses = Vec::new();
    for _ in 0..5 {
        assert_eq!(bench.tell(Event::Refused), []);
        let from = bench.now;
        while launches(&bench.wait(Duration::from_millis(500))) == 0 {}
        pauses.push((bench.now - from).as_millis() / 1000);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16]);
}

#[test]
fn a_worker_near_its_end_is_drained_and_replaced() {
    let mut bench = Bench::new(2);
    bench.spawn(0, None, 0);
    assert_eq!(dispatched(&bench.ready(0)), [(0, 0)]);
    let commands = bench.wait(Duration::from_secs(899));
    assert_eq!(dispatched(&commands), []);
    let (task, commands) = bench.spawn(0, None, 0);
    assert_eq!((dispatched(&commands), launches(&commands)), (vec![], 1), "not on the old one");
    assert_eq!(dispatched(&bench.ready(1)), [(task, 1)]);
    assert_eq!(bench.finish(0, usage(10, 10)), [Command::Shutdown(WorkerNo(0))]);
}

#[test]
fn an_idle_worker_lingers_and_a_parked_task_gives_way() {
    let mut bench = Bench::new(1);
    bench.spawn(0, None, 0);
    bench.ready(0);
    bench.finish(0, usage(100, 0));
    bench.teach(0, usage(100, 0));
    (0..4).for_each(|_| _ = bench.spawn(0, None, 0));
    let (fifth, commands) = bench.spawn(0, None, 0);
    assert_eq!(dispatched(&commands), []);
    let report = Report { cpu: 0.5, memory: 0.1, running: 2, held: 4 };
    let commands = bench.tell(Event::Polled(WorkerNo(0), report));
    assert_eq!(dispatched(&commands), [(fifth, 0)]);
    for task in fifth - 4..=fifth {
        assert_eq!(bench.finish(task, usage(100, 0)), []);
    }
    assert_eq!(bench.wait(Duration::from_millis(10)), []);
    assert_eq!(bench.wait(Duration::from_secs(1)), [Command::Shutdown(WorkerNo(0))]);
}

/// A worker that dies as soon as it is there is a start that failed, whoever is to blame.
#[test]
fn a_crash_loop_is_started_ever_more_slowly() {
    let mut bench = Bench::new(1);
    let mut launched = launches(&bench.spawn(0, None, 0).1);
    let mut pauses = Vec::new();
    for _ in 0..5 {
        assert_eq!(launched, 1);
        bench.ready(0);
        bench.tell(Event::Lost(WorkerNo(0)));
        let died = bench.now;
        launched = launches(&bench.tell(Event::Returned(TaskNo(0))));
        while launched == 0 {
            launched = launches(&bench.wait(Duration::from_millis(100)));
            assert!(bench.now < died + Duration::from_secs(99), "no worker comes any more");
        }
        pauses.push((bench.now - died).as_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16]);
}

/// How many tasks of an unknown kind a worker takes, all of which but one are parked, if that much
/// of its memory is in use.
fn parked(memory: f32) -> usize {
    let mut bench = Bench::new(1);
    bench.spawn(0, None, 0);
    let mut held = dispatched(&bench.ready(0)).len() as u32;
    for _ in 0..300 {
        held += dispatched(&bench.spawn(0, None, 0).1).len() as u32;
        let report = Report { cpu: 0.0, memory, running: 1, held };
        held += dispatched(&bench.tell(Event::Polled(WorkerNo(0), report))).len() as u32;
    }
    held as usize
}

#[test]
fn parked_tasks_hold_the_memory_that_they_have() {
    assert_eq!(parked(0.02), 301, "ten gigabytes are not for 64 tasks alone");
    let full = parked(0.89);
    assert!(full < 70, "{full} tasks, though memory is short");
}

#[test]
fn what_a_worker_reports_may_be_anything() {
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, 1e30] {
        let mut bench = Bench::new(1);
        bench.spawn(0, None, 0);
        assert_eq!(dispatched(&bench.ready(0)), [(0, 0)]);
        bench.finish(0, usage(100, 0));
        bench.teach(0, usage(100, 0));
        let mut crowd = 0;
        for held in [0, 1, 7, u32::MAX] {
            bench.tell(Event::Granted(WorkerNo(0), f64::from(number).min(4.0)));
            let report = Report { cpu: number, memory: number, running: held, held };
            crowd += dispatched(&bench.tell(Event::Polled(WorkerNo(0), report))).len();
            crowd += dispatched(&bench.spawn(0, None, 0).1).len();
        }
        assert_eq!(crowd, 4, "{number}");
        assert_eq!(dispatched(&bench.spawn(0, None, 0).1), [], "{number}");
    }
}
