//! The policies that are chosen by name, at the wheel of the coordinator itself.

use coordinator::placement::choice::Policy as Name;
use coordinator::placement::{Choice, Shape};

use super::*;

const THREADS: u32 = 2;
const SHAPE: Shape = Shape {
    threads: THREADS,
    cores: THREADS as f64,
    memory: 1 << 30,
    memory_base: 0,
    network: 1e10,
    lifetime: Duration::from_secs(900),
};

pub(super) fn bench(name: Name, workers_max: usize) -> Bench {
    let placement = Some(Choice::new(name, SHAPE, workers_max));
    let policy = Policy { workers_max, threads: THREADS, placement, ..Policy::default() };
    Bench::with(Settings { policy, ..Settings::default() })
}

fn launches(commands: &[Command]) -> usize {
    commands.iter().filter(|command| matches!(command, Command::Launch { .. })).count()
}

/// What a worker was told: the tasks to run, and whether to shut down.
fn told(bench: &mut Bench, worker: SessionId) -> (Vec<TaskId>, bool) {
    let frames = bench.sent(worker);
    let run = |frame: &Frame| match frame {
        Frame::Run { task, .. } => Some(*task),
        _ => None,
    };
    let shutdown = frames.contains(&Frame::Shutdown {});
    (frames.iter().filter_map(run).collect(), shutdown)
}

fn finish(bench: &mut Bench, worker: SessionId, task: TaskId, attempt: u32) {
    let outcome = value(1);
    bench.frame(
        worker,
        Frame::Finished {
            task,
            attempt,
            outcome,
            usage: Usage { wall_us: 100_000, cpu_us: 50_000, queued_us: 0, ..Usage::default() },
        },
    );
}

/// Time passes; everybody gives signs of life.
pub(super) fn wait(bench: &mut Bench, seconds: u64, nodes: &[SessionId]) {
    for _ in 0..10 * seconds {
        bench.now += Duration::from_millis(100);
        for node in nodes.iter().chain([&CLIENT]) {
            bench.frame(*node, Frame::Heartbeat {});
        }
        bench.event(Event::Tick);
    }
}

#[test]
fn conventional_gives_each_task_a_worker_of_its_own() {
    let mut bench = bench(Name::Conventional, 2);
    let [first, second, third] = [(); 3].map(|()| bench.spawn(0, Vec::new()).0);
    assert_eq!(launches(&bench.take()), 2, "as many as are allowed");
    let worker = bench.worker(1);
    assert_eq!(told(&mut bench, worker), (vec![first], false));
    finish(&mut bench, worker, first, 1);
    assert_eq!(told(&mut bench, worker), (vec![], true), "it ends with its task");
    bench.frame(worker, Frame::Goodbye {});
    assert_eq!(launches(&bench.take()), 1, "the third task has its own");
    let other = bench.worker(2);
    assert_eq!(told(&mut bench, other).0, [second]);
    let other = bench.worker(3);
    assert_eq!(told(&mut bench, other).0, [third]);
}

#[test]
fn paper_reserves_a_thread_and_ends_idle_workers_at_once() {
    let mut bench = bench(Name::Paper, 2);
    let [first, second] = [(); 2].map(|()| bench.spawn(0, Vec::new()).0);
    assert_eq!(launches(&bench.take()), 2, "a slot for every task, of 2 - 1 a worker");
    let worker = bench.worker(1);
    assert_eq!(told(&mut bench, worker), (vec![first], false), "lines 7 to 9");
    finish(&mut bench, worker, first, 1);
    assert_eq!(told(&mut bench, worker), (vec![second], false));
    finish(&mut bench, worker, second, 1);
    assert_eq!(told(&mut bench, worker), (vec![], true), "line 12");
}

#[test]
fn farspawn_takes_more_tasks_than_threads_and_keeps_workers_for_a_moment() {
    let mut bench = bench(Name::Farspawn, 1);
    let channel = bench.channel(0);
    let tasks = [(); 5].map(|()| bench.spawn(0, passages(channel)).0);
    assert_eq!(launches(&bench.take()), 1);
    let worker = bench.worker(1);
    let (ran, _) = told(&mut bench, worker);
    assert_eq!(ran, tasks[..3], "two threads are expected to be enough for three unknown tasks");
    let (cpu, memory, held, runs_seen) = (0.5, 0.1, 3, 3);
    bench.frame(worker, Frame::Report { cpu, memory, running: 1, held, runs_seen });
    assert_eq!(told(&mut bench, worker).0, tasks[3..], "two of the three are parked");
    for task in tasks {
        finish(&mut bench, worker, task, 1);
    }
    for _ in tasks {
        bench.detach(worker, channel);
    }
    assert_eq!(told(&mut bench, worker), (vec![], false));
    wait(&mut bench, 1, &[worker]);
    assert_eq!(told(&mut bench, worker), (vec![], true));
}

/// A wait of unknown kind is taken for one on a channel if it is long; of tasks that know no other
/// it is none.
#[test]
fn tasks_without_peers_occupy_a_thread_to_their_ends() {
    for (name, first) in [(Name::Farspawn, 3), (Name::Paper, 1)] {
        let mut bench = bench(name, 1);
        let tasks = [(); 5].map(|()| bench.spawn(0, Vec::new()).0);
        let worker = bench.worker(1);
        assert_eq!(told(&mut bench, worker).0, tasks[..first], "{name}");
        let (cpu, memory, held, runs_seen) = (0.0, 0.1, first as u32, first as u64);
        bench.frame(worker, Frame::Report { cpu, memory, running: 0, held, runs_seen });
        assert_eq!(told(&mut bench, worker).0, [], "{name}");
    }
}

/// Whatever steers: a task whose worker died runs again or is lost, an abort is final, and what is
/// in the pool then still runs.
#[test]
fn deaths_and_aborts_are_told_to_the_policy() {
    for name in Name::ALL {
        let mut bench = bench(name, 1);
        let [again, lost, given_up, last] =
            [1, 0, 0, 0].map(|retries| bench.spawn(retries, Vec::new()).0);
        bench.frame(CLIENT, Frame::Abort { task: given_up });
        let mut ran = Vec::new();
        let mut launch = 0;
        let mut attempts = std::collections::BTreeMap::new();
        for _ in 0..40 {
            launch += 1;
            let worker = bench.worker(launch);
            for _ in 0..4 {
                let (runs, shutdown) = told(&mut bench, worker);
                for task in runs {
                    let attempt: &mut u32 = attempts.entry(task).or_insert(0);
                    *attempt += 1;
                    ran.push(task);
                    let dies = *attempt == 1 && (task == again || task == lost);
                    if !dies {
                        let attempt = *attempt;
                        finish(&mut bench, worker, task, attempt);
                    }
                }
                if shutdown {
                    bench.frame(worker, Frame::Goodbye {});
                }
            }
            bench.die(worker);
            if bench.core.totals().ended == 4 {
                break;
            }
            while bench.core.totals().launches <= launch {
                wait(&mut bench, 1, &[]);
                assert!(bench.now < Duration::from_secs(500), "{name}: no worker comes");
            }
        }
        assert_eq!(bench.core.totals().ended, 4, "{name}: {ran:?}");
        assert!(!ran.contains(&given_up), "{name}");
        assert_eq!(ran.iter().filter(|task| **task == again).count(), 2, "{name}: {ran:?}");
        assert_eq!(ran.iter().filter(|task| **task == last).count(), 1, "{name}: {ran:?}");
    }
}

/// A worker that still has handles of a channel is not told to end, whatever the policy wants; and
/// it takes tasks again meanwhile.
#[test]
fn a_worker_with_handles_is_kept() {
    for name in Name::ALL {
        let mut bench = bench(name, 1);
        let channel = bench.channel(1);
        let (task, _) = bench.spawn(0, passages(channel));
        bench.take();
        let worker = bench.worker(1);
        assert_eq!(told(&mut bench, worker), (vec![task], false), "{name}");
        finish(&mut bench, worker, task, 1);
        wait(&mut bench, 5, &[worker]);
        assert_eq!(told(&mut bench, worker), (vec![], false), "{name}");
        let (next, _) = bench.spawn(0, Vec::new());
        assert_eq!(told(&mut bench, worker), (vec![next], false), "{name}");
        finish(&mut bench, worker, next, 1);
        bench.detach(worker, channel);
        wait(&mut bench, 5, &[worker]);
        assert_eq!(told(&mut bench, worker), (vec![], true), "{name}: now it goes");
    }
}
