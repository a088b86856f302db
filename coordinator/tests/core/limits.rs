//! What one session may have: its limits are counted, and what is given back does not count.

use coordinator::Limits;

use super::peers::assert_closed;
use super::*;

fn bench() -> Bench {
    let (channels_max, operations_max, undelivered_bytes_max) = (4, 3, 10_000);
    let limits =
        Limits { channels_max, operations_max, undelivered_bytes_max, ..Limits::default() };
    let policy = Policy { threads: 2, placement: None, ..Policy::default() };
    Bench::with(Settings { policy, limits, ..Settings::default() })
}

fn of_bytes(bytes: usize) -> Parcel {
    Parcel { payload: vec![0; bytes].into(), ..Parcel::default() }
}

#[track_caller]
fn assert_open(bench: &mut Bench) {
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

/// A node that sends whenever it may: under credits, or asks and waits for the answer.
struct Producer {
    channel: ChannelId,
    credits: u32,
    asked: u64,
    waits: bool,
    sent: usize,
}

impl Producer {
    fn hear(&mut self, bench: &mut Bench) {
        for frame in bench.sent(CLIENT) {
            match frame {
                Frame::Credit { credits, .. } => self.credits += credits,
                Frame::Sent { operation } if operation.0 == self.asked => self.waits = false,
                Frame::Again { operation, .. } if operation.0 == self.asked => {
                    self.waits = false;
                    self.sent -= 1;
                }
                _ => {}
            }
        }
    }

    /// Sends until it has to wait, or has sent so many.
    fn send(&mut self, bench: &mut Bench, bytes: usize, most: usize) {
        let channel = self.channel;
        self.hear(bench);
        for _ in 0..most {
            if self.waits {
                return;
            }
            self.sent += 1;
            if self.credits > 0 {
                self.credits -= 1;
                let parcels = of_bytes(bytes).into();
                bench.frame(CLIENT, Frame::Prepaid { channel, parcels });
            } else {
                self.asked += 1;
                self.waits = true;
                let (operation, parcel) = (OperationId(self.asked), of_bytes(bytes));
                bench.frame(CLIENT, Frame::Send { channel, operation, parcel });
            }
            self.hear(bench);
        }
    }
}

/// A channel of very many places does not fill the memory: its sender waits for the receiver.
#[test]
fn a_channel_that_holds_too_many_bytes_is_full() {
    const VALUE: usize = 1 << 20;
    let limits = Limits { channel_bytes_max: 16 * VALUE, ..Limits::default() };
    let policy = Policy { threads: 2, placement: None, ..Policy::default() };
    let mut bench = Bench::with(Settings { policy, limits, ..Settings::default() });
    let channel = bench.channel(1_000_000);
    let mut producer = Producer { channel, credits: 0, asked: 0, waits: false, sent: 0 };
    producer.send(&mut bench, VALUE, 1000);
    assert!(producer.waits, "it sent {} values", producer.sent);
    assert!((16..=21).contains(&producer.sent), "{} values", producer.sent);
    bench.frame(CLIENT, Frame::TrySend { channel, operation: OperationId(900), parcel: value(1) });
    let full = Frame::Full { operation: OperationId(900) };
    assert_eq!(bench.sent(CLIENT), [full], "and a send that does not wait finds no room");

    let mut received = 0;
    for operation in 1000..1100 {
        bench.receive(CLIENT, channel, operation);
        bench.accept(CLIENT, channel, operation);
        received += 1;
        producer.send(&mut bench, VALUE, 1000);
        let held = producer.sent - received;
        assert!(held <= 21, "{held} values are held");
        assert_eq!(producer.waits, held >= 16, "with {held} values of it");
    }
    assert_open(&mut bench);
}

/// One value larger than that goes into a channel that is empty.
#[test]
fn a_large_value_alone_has_room() {
    let limits = Limits { channel_bytes_max: 1000, ..Limits::default() };
    let policy = Policy { threads: 2, placement: None, ..Policy::default() };
    let mut bench = Bench::with(Settings { policy, limits, ..Settings::default() });
    let channel = bench.channel(2);
    for operation in [1, 2] {
        let parcel = of_bytes(5000);
        let operation = OperationId(operation);
        bench.frame(CLIENT, Frame::TrySend { channel, operation, parcel });
    }
    let full = Frame::Full { operation: OperationId(2) };
    assert_eq!(bench.sent(CLIENT), [sent(1), full]);
    bench.receive(CLIENT, channel, 3);
    bench.accept(CLIENT, channel, 3);
    bench.take();
    bench.frame(CLIENT, Frame::TrySend { channel, operation: OperationId(4), parcel: value(1) });
    assert_eq!(bench.sent(CLIENT), [sent(4)]);
}
