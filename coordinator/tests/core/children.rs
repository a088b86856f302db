//! Tasks that workers begin by themselves.

use channels::wire::Vitals;
use coordinator::placement::choice::Policy as Name;

use super::policies::{bench, wait};
use super::*;

const USAGE: Usage =
    Usage { wall_us: 30_000, cpu_us: 15_000, queued_us: 0, bytes: 0, channel_bytes: 0, memory: 0 };

/// A worker that has a task of the client's.
fn with_parent(retries: u32) -> (Bench, SessionId, TaskId) {
    let mut bench = bench(Name::Farspawn, 1);
    let (parent, _) = bench.spawn(retries, Vec::new());
    let worker = bench.worker(1);
    let told = bench.sent(worker);
    // Before its first task, which may spawn at once.
    assert!(matches!(told[..], [Frame::Seats { seats: 2 }, Frame::Run { .. }]), "{told:?}");
    (bench, worker, parent)
}

fn began(parent: TaskId) -> (TaskId, Frame) {
    let task = TaskId(77);
    (task, Frame::Began { task, name: "child".to_owned(), parent: Some(parent) })
}

fn finished(task: TaskId) -> Frame {
    Frame::Finished { task, attempt: 1, outcome: Parcel::default(), usage: USAGE }
}

fn tally(count: u32) -> Frame {
    Frame::Tally { name: "child".to_owned(), count, usage: USAGE }
}

fn seats(frames: Vec<Frame>) -> Vec<u32> {
    let seats = |frame| match frame {
        Frame::Seats { seats } => Some(seats),
        _ => None,
    };
    frames.into_iter().filter_map(seats).collect()
}

fn running(bench: &Bench) -> (u32, u64) {
    let stats = bench.core.stats(bench.now);
    (stats.running, stats.ended)
}

#[test]
fn only_farspawns_own_policy_grants_seats() {
    for name in Name::ALL {
        let mut bench = bench(name, 1);
        bench.spawn(0, Vec::new());
        let worker = bench.worker(1);
        let granted = seats(bench.sent(worker));
        assert_eq!(granted.len(), usize::from(name == Name::Farspawn), "{name}");
        if name != Name::Farspawn {
            bench.frame(worker, tally(5));
            bench.frame(worker, began(TaskId(1)).1);
            assert_eq!(running(&bench), (1, 0), "{name}: it was granted none");
        }
    }
    let mut bench = Bench::new(1);
    bench.spawn(0, Vec::new());
    let worker = bench.worker(1);
    assert!(seats(bench.sent(worker)).is_empty(), "nor does Algorithm 1");
}

#[test]
fn seats_go_with_the_memory_and_come_back() {
    let (mut bench, worker, parent) = with_parent(0);
    for number in 0..8 {
        let task = TaskId(1000 + number);
        let name = "child".to_owned();
        bench.frame(worker, Frame::Began { task, name, parent: Some(parent) });
    }
    bench.take();
    bench.frame(worker, Frame::Measures { vitals: Vitals::default() });
    assert_eq!(seats(bench.sent(worker)), [0], "eight unknown tasks fill it");
    (0..8).for_each(|number| bench.frame(worker, finished(TaskId(1000 + number))));
    bench.frame(worker, Frame::Measures { vitals: Vitals::default() });
    assert_eq!(seats(bench.sent(worker)), [2]);
}

#[test]
fn what_has_ended_unseen_is_on_the_bill() {
    let (mut bench, worker, parent) = with_parent(0);
    bench.now += Duration::from_secs(1);
    bench.frame(worker, tally(3));
    bench.frame(worker, finished(parent));
    bench.take();
    let report = bench.core.report(bench.now);
    assert_eq!((report.tasks, running(&bench)), (4, (0, 4)));
    let kind = report.kinds.iter().find(|kind| kind.name == "child").unwrap();
    assert!((kind.seconds - 0.03).abs() < 1e-9 && (kind.cpu_seconds - 0.015).abs() < 1e-9);
    bench.frame(worker, tally(0));
    bench.frame(CLIENT, tally(2));
    assert_eq!(bench.core.report(bench.now).tasks, 4, "nonsense counts for nothing");
}

/// Whatever a worker says of itself, it can have computed for no longer than it was there.
#[test]
fn a_tally_is_not_believed_beyond_reason() {
    let (mut bench, worker, _) = with_parent(0);
    bench.now += Duration::from_secs(1);
    let most = u64::MAX;
    let usage = Usage { wall_us: most, cpu_us: most, queued_us: most, ..Usage::default() };
    bench.frame(worker, Frame::Tally { name: "child".to_owned(), count: 1, usage });
    let report = bench.core.report(bench.now);
    let kind = report.kinds.iter().find(|kind| kind.name == "child").unwrap();
    assert!(kind.seconds <= 1.0 && kind.cpu_seconds <= 1.0, "{kind:?}");
}

#[test]
fn one_that_lasts_is_there_until_it_ends() {
    let (mut bench, worker, parent) = with_parent(0);
    let (child, frame) = began(parent);
    bench.frame(worker, frame.clone());
    bench.frame(worker, frame);
    assert_eq!(running(&bench), (2, 0), "told twice, there once");
    bench.frame(worker, finished(parent));
    wait(&mut bench, 30, &[worker]);
    assert!(!bench.sent(worker).contains(&Frame::Shutdown {}), "it is no idle worker");
    bench.frame(worker, finished(child));
    assert_eq!(running(&bench), (0, 2));
    wait(&mut bench, 30, &[worker]);
    assert!(bench.sent(worker).contains(&Frame::Shutdown {}));
}

/// With the worker goes the child; nobody waits for its outcome, and it does not run again, though
/// its parent does.
#[test]
fn death_before_and_after_it_was_told_of() {
    for is_told in [false, true] {
        let (mut bench, worker, parent) = with_parent(1);
        if is_told {
            bench.frame(worker, began(parent).1);
        }
        bench.take();
        bench.die(worker);
        assert_eq!(running(&bench), (0, u64::from(is_told)));
        // The policy takes its time after a worker that died young.
        wait(&mut bench, 3, &[]);
        bench.take();
        let second = bench.worker(2);
        let told = bench.sent(second);
        let runs = |frame: &&Frame| matches!(frame, Frame::Run { .. });
        let runs: Vec<_> = told.iter().filter(runs).collect();
        assert!(
            matches!(runs[..], [Frame::Run { task, attempt: 2, .. }] if *task == parent),
            "{told:?}"
        );
        bench.frame(second, finished(TaskId(77)));
        assert_eq!(running(&bench), (1, u64::from(is_told)), "an end that nobody expects");
    }
}

/// A worker that leaves may tell of what it has, and of its end.
#[test]
fn a_worker_that_drains_comes_to_its_childrens_end() {
    let (mut bench, worker, parent) = with_parent(0);
    bench.frame(worker, Frame::Draining { reason: "its time is over".to_owned() });
    let (child, frame) = began(parent);
    bench.frame(worker, frame);
    bench.frame(worker, Frame::Measures { vitals: Vitals::default() });
    assert!(seats(bench.sent(worker)).is_empty(), "it wants none");
    bench.frame(worker, finished(parent));
    assert_eq!(running(&bench), (1, 1));
    bench.frame(worker, finished(child));
    bench.frame(worker, tally(2));
    bench.frame(worker, Frame::Goodbye {});
    assert_eq!(running(&bench), (0, 4));
}

/// When the client is gone so is everything.
#[test]
fn a_child_ends_with_the_client() {
    let (mut bench, worker, parent) = with_parent(0);
    bench.frame(worker, began(parent).1);
    bench.frame(CLIENT, Frame::Goodbye {});
    assert_eq!(running(&bench), (0, 2));
}

/// What it tells wakes nobody, so it does not end a question whether all sleep.
#[test]
fn what_children_do_is_no_traffic() {
    let (mut bench, worker, parent) = with_parent(0);
    let report = Frame::Report { cpu: 0.0, memory: 0.0, running: 0, held: 1, runs_seen: 1 };
    bench.frame(worker, report);
    bench.take();
    bench.frame(CLIENT, Frame::Suspect {});
    assert_eq!(bench.sent(worker), [Frame::Probe { round: 1 }]);
    bench.frame(worker, began(parent).1);
    bench.frame(worker, tally(1));
    for session in [CLIENT, worker] {
        let report = format!("{session} sleeps\n");
        bench.frame(session, Frame::Asleep { round: 1, report });
    }
    let told = bench.sent(CLIENT);
    assert!(matches!(told[..], [Frame::Deadlock { .. }]), "{told:?}");
}
