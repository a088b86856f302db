//! What one session may have: its limits are counted, and what is given back does not count.

use coordinator::{Limits, Load, Room};

use super::peers::assert_closed;
use super::*;

fn bench() -> Bench {
    let (channels_max, operations_max, undelivered_bytes_max) = (4, 3, 10_000);
    let limits =
        Limits { channels_max, operations_max, undelivered_bytes_max, ..Limits::default() };
    let policy = Policy { threads: 2, placement: None, ..Policy::default() };
    Bench::with(Settings { policy, limits, ..Settings::default() })
}

pub(super) fn of_bytes(bytes: usize) -> Parcel {
    Parcel { payload: vec![0; bytes].into(), ..Parcel::default() }
}

#[track_caller]
pub(super) fn assert_open(bench: &mut Bench) {
    let commands = bench.take();
    let closed = |command: &Command| matches!(command, Command::Close { .. });
    assert!(!commands.iter().any(closed), "{commands:?}");
}

#[test]
fn channels_are_limited() {
    let mut bench = bench();
    for _ in 0..10 {
        let channels = [(); 4].map(|()| bench.channel(0));
        channels.into_iter().for_each(|channel| bench.detach(CLIENT, channel));
    }
    let (_, result) = bench.spawn(0, Vec::new());
    bench.frame(CLIENT, Frame::Detach { channel: result, side: Side::Receive, arrivals: 1 });
    for _ in 0..4 {
        bench.channel(0);
    }
    assert_open(&mut bench);
    bench.spawn(0, Vec::new());
    assert_closed(&mut bench, CLIENT, "more than 4 channels");
    assert_eq!(bench.core.channels(), 0);
}

#[test]
fn waiting_operations_are_limited() {
    let mut bench = bench();
    let (one, other) = (bench.channel(0), bench.channel(0));
    for operation in 0..10 {
        bench.receive(CLIENT, one, operation);
        bench.send(CLIENT, one, 100 + operation, value(1));
        bench.accept(CLIENT, one, operation);
        bench.receive(CLIENT, one, 200 + operation);
        let operation = OperationId(200 + operation);
        bench.frame(CLIENT, Frame::Decline { channel: one, operation });
        bench.send(CLIENT, other, 7, value(1));
        bench.frame(CLIENT, Frame::CancelSend { channel: other, operation: OperationId(7) });
    }
    bench.send(CLIENT, one, 1, value(1));
    bench.send(CLIENT, one, 2, value(1));
    bench.receive(CLIENT, other, 3);
    assert_open(&mut bench);
    bench.receive(CLIENT, other, 4);
    assert_closed(&mut bench, CLIENT, "more than 3 sends and receives");
}

#[test]
fn bytes_that_nobody_has_taken_are_limited() {
    let mut bench = bench();
    let channel = bench.channel(100);
    for operation in 0..10 {
        bench.send(CLIENT, channel, operation, of_bytes(9000));
        bench.receive(CLIENT, channel, operation);
        bench.accept(CLIENT, channel, operation);
    }
    bench.send(CLIENT, channel, 1, of_bytes(9000));
    assert_open(&mut bench);
    bench.send(CLIENT, channel, 2, of_bytes(1000));
    assert_closed(&mut bench, CLIENT, "more than 10000 bytes");
}

/// Values cost something however small they are, and so do the handles in them.
#[test]
fn values_without_bytes_are_limited_too() {
    let (mut empty, mut handles) = (bench(), bench());
    let channel = empty.channel(1000);
    for operation in 0..1000 {
        empty.send(CLIENT, channel, operation, of_bytes(0));
    }
    assert_closed(&mut empty, CLIENT, "more than 10000 bytes");
    let channel = handles.channel(1000);
    let passage = Passage { channel, side: Side::Send, capacity: 1000 };
    let passages = vec![passage; 1000];
    handles.send(CLIENT, channel, 1, Parcel { passages, ..Parcel::default() });
    assert_closed(&mut handles, CLIENT, "more than 10000 bytes");
    assert_eq!(handles.core.channels(), 0, "the handles in it are gone too");
}

/// What a task was given, and what it returned, is on the account of its spawner until taken.
#[test]
fn arguments_and_outcomes_are_the_spawners() {
    let mut bench = bench();
    let spawn = |bench: &mut Bench, bytes: usize| {
        bench.next += 1;
        let (task, result) = (TaskId(bench.next), ChannelId(bench.next));
        let (name, options) = (String::new(), SpawnOptions::default());
        let arguments = of_bytes(bytes);
        bench.frame(CLIENT, Frame::Spawn { task, name, signature: 7, options, result, arguments });
        (task, result)
    };
    let mut worker = None;
    for _ in 0..10 {
        let (task, result) = spawn(&mut bench, 9000);
        let worker = *worker.get_or_insert_with(|| bench.worker(1));
        let outcome = of_bytes(9000);
        bench.frame(worker, Frame::Finished { task, attempt: 1, outcome, usage: Usage::default() });
        bench.receive(CLIENT, result, 1);
        bench.accept(CLIENT, result, 1);
        bench.frame(CLIENT, Frame::Detach { channel: result, side: Side::Receive, arrivals: 1 });
    }
    assert_open(&mut bench);
    let (task, _) = spawn(&mut bench, 9000);
    let (outcome, worker) = (of_bytes(9000), worker.unwrap());
    bench.frame(worker, Frame::Finished { task, attempt: 1, outcome, usage: Usage::default() });
    assert_open(&mut bench);
    spawn(&mut bench, 9000);
    assert_closed(&mut bench, CLIENT, "that its tasks returned");
}

fn room(tasks: usize, bytes: usize) -> Room {
    Room(Load { tasks, bytes, ..Room::default().0 })
}

/// What all sessions may have is counted too: one task more never starts, and the rest goes on.
#[test]
fn a_task_for_which_there_is_no_room_never_starts() {
    let mut bench = Bench::new(1);
    let channel = bench.channel(1);
    for _ in 0..4 {
        bench.spawn(0, passages(channel));
    }
    // The outcome of the fourth is less than the task.
    let bytes = bench.core.load().bytes - 100;
    for limits in [room(3, usize::MAX), room(100, bytes)] {
        let mut bench = Bench::new(1);
        bench.core.limit(limits);
        let channel = bench.channel(1);
        let tasks: Vec<_> = (0..4).map(|_| bench.spawn(0, passages(channel))).collect();
        assert_eq!(bench.core.load().tasks, 3);
        assert_open(&mut bench);
        bench.receive(CLIENT, tasks[3].1, 1);
        let said = format!("{:?}", bench.sent(CLIENT));
        assert!(said.contains("Offer"), "its outcome: {said}");
        bench.accept(CLIENT, tasks[3].1, 1);
        bench.frame(CLIENT, Frame::Abort { task: tasks[0].0 });
        for (_, channel) in [tasks[0], tasks[3]] {
            bench.frame(CLIENT, Frame::Detach { channel, side: Side::Receive, arrivals: 1 });
        }
        bench.spawn(0, Vec::new());
        assert_eq!(bench.core.load().tasks, 3, "there is room again");
    }
}

/// Beyond the bytes the one who has the most is cut off, whoever sent the last of them; the next
/// only if that does not do.
#[test]
fn values_for_which_there_is_no_room_cost_whoever_has_the_most() {
    let (mut bench, worker, channel, _) = with_worker(0, 0);
    bench.core.limit(room(100, 40_000));
    for operation in 0..3 {
        bench.send(worker, channel, operation, of_bytes(10_000));
    }
    bench.send(CLIENT, channel, 7, of_bytes(4000));
    assert_open(&mut bench);
    bench.send(CLIENT, channel, 8, of_bytes(6000));
    assert_closed(&mut bench, worker, "more than 40000 bytes here, and it has the most");
    let load = bench.core.load().bytes;
    assert!((10_000..15_000).contains(&load), "{load}: what the other sent is there still");
}

/// Nothing is counted that is gone.
#[test]
fn the_load_is_what_is_there() {
    let mut bench = Bench::new(1);
    let none = bench.core.load();
    let channel = bench.channel(10);
    bench.send(CLIENT, channel, 1, of_bytes(5000));
    let (task, result) = bench.spawn(1, passages(channel));
    let worker = bench.worker(1);
    bench.send(worker, channel, 1, of_bytes(700));
    assert!(bench.core.load().bytes > none.bytes + 5700);
    let usage = Usage::default();
    bench.frame(worker, Frame::Finished { task, attempt: 1, outcome: of_bytes(900), usage });
    bench.frame(CLIENT, Frame::Detach { channel: result, side: Side::Receive, arrivals: 1 });
    bench.detach(CLIENT, channel);
    bench.detach(worker, channel);
    assert_eq!(bench.core.load(), none);
}
