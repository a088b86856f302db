//! `test/ken/chan.go`: goroutines that send and receive directly against goroutines that do so in
//! selects of up to four receives and four sends at once (C39, C42), in six shapes and with four
//! capacities. Each channel carries 76 numbers in order (C12); a case is switched off when its
//! channel has carried its last (C21). In the end as much was received as sent, and all of it
//! (C14).

use crate::go::{go, program};
use runtime::{Receiver, Sender, channel, select, task};
use serde::{Deserialize, Serialize};
use tokio::task::yield_now;

/// Numbers on a channel.
const NUMBERS: u64 = 76;

/// What a goroutine still has to send on a channel; none once it is done.
#[derive(Serialize, Deserialize)]
struct Outgoing {
    sender: Option<Sender<u64>>,
    next: u64,
    last: u64,
}

/// What a goroutine still expects on a channel; none once it has it all.
#[derive(Serialize, Deserialize)]
struct Incoming {
    receiver: Option<Receiver<u64>>,
    next: u64,
    last: u64,
}

impl Outgoing {
    fn none() -> Self {
        Self { sender: None, next: 0, last: 0 }
    }

    /// Notes that the next number was sent.
    fn sent(&mut self, counts: &mut Counts) {
        counts.sent += 1;
        if self.next == self.last {
            self.sender = None;
            counts.running -= 1;
        }
        self.next += 1;
    }
}

impl Incoming {
    fn none() -> Self {
        Self { receiver: None, next: 0, last: 0 }
    }

    /// Notes that this number was received.
    fn received(&mut self, number: u64, counts: &mut Counts) {
        assert_eq!(number, self.next, "numbers come in order");
        counts.received += 1;
        if self.next == self.last {
            self.receiver = None;
            counts.running -= 1;
        }
        self.next += 1;
    }
}

/// What a goroutine did, and how many of its channels still run.
#[derive(Default, Serialize, Deserialize)]
struct Counts {
    sent: u64,
    received: u64,
    running: u64,
}

/// Go's sequence of "random" numbers; each goroutine has its own.
struct Sequence(u64);

impl Sequence {
    /// Lets others go first, up to so many times.
    async fn pause(&mut self, most: u64) {
        self.0 = (self.0 + 10_007) % 1_000_000;
        for _ in 0..=self.0 % most {
            yield_now().await;
        }
    }
}

#[task]
async fn send_directly(mut to: Outgoing, done: Sender<Counts>) {
    let mut counts = Counts { running: 1, ..Counts::default() };
    let mut sequence = Sequence(to.next);
    while let Some(sender) = &to.sender {
        sequence.pause(10).await;
        sender.send(to.next).await.unwrap();
        to.sent(&mut counts);
    }
    done.send(counts).await.unwrap();
}

#[task]
async fn receive_directly(mut from: Incoming, done: Sender<Counts>) {
    let mut counts = Counts { running: 1, ..Counts::default() };
    let mut sequence = Sequence(from.next);
    while let Some(receiver) = &from.receiver {
        sequence.pause(10).await;
        let number = receiver.recv().await.unwrap();
        from.received(number, &mut counts);
    }
    done.send(counts).await.unwrap();
}

#[task]
async fn send_and_receive(from: [Incoming; 4], to: [Outgoing; 4], done: Sender<Counts>) {
    let receivers = from.iter().filter(|from| from.receiver.is_some()).count();
    let senders = to.iter().filter(|to| to.sender.is_some()).count();
    let mut counts = Counts { running: (receivers + senders) as u64, ..Counts::default() };
    let mut sequence = Sequence(from[0].next + to[0].next);
    let [mut from0, mut from1, mut from2, mut from3] = from;
    let [mut to0, mut to1, mut to2, mut to3] = to;
    while counts.running > 0 {
        sequence.pause(5).await;
        select! {
            n = from0.receiver.recv() => from0.received(n.unwrap(), &mut counts),
            n = from1.receiver.recv() => from1.received(n.unwrap(), &mut counts),
            n = from2.receiver.recv() => from2.received(n.unwrap(), &mut counts),
            n = from3.receiver.recv() => from3.received(n.unwrap(), &mut counts),
            sent = to0.sender.send(to0.next) => {
                sent.unwrap();
                to0.sent(&mut counts);
            }
            sent = to1.sender.send(to1.next) => {
                sent.unwrap();
                to1.sent(&mut counts);
            }
            sent = to2.sender.send(to2.next) => {
                sent.unwrap();
                to2.sent(&mut counts);
            }
            sent = to3.sender.send(to3.next) => {
                sent.unwrap();
                to3.sent(&mut counts);
            }
        }
    }
    done.send(counts).await.unwrap();
}

/// Makes the channels, and collects what the goroutines did.
struct Run {
    capacity: usize,
    channels: u64,
    goroutines: u64,
    done: Sender<Counts>,
    counts: Receiver<Counts>,
    total: Counts,
}

impl Run {
    fn new(capacity: usize) -> Self {
        let (done, counts) = channel(0);
        Self { capacity, channels: 0, goroutines: 0, done, counts, total: Counts::default() }
    }

    fn channel(&mut self) -> (Outgoing, Incoming) {
        let (sender, receiver) = channel(self.capacity);
        self.channels += 1;
        let next = 100 * self.channels;
        let last = next + NUMBERS - 1;
        let outgoing = Outgoing { sender: Some(sender), next, last };
        (outgoing, Incoming { receiver: Some(receiver), next, last })
    }

    fn four(&mut self) -> ([Outgoing; 4], [Incoming; 4]) {
        let channels: [_; 4] = std::array::from_fn(|_| self.channel());
        let mut incoming = Vec::new();
        let outgoing = channels.map(|(to, from)| {
            incoming.push(from);
            to
        });
        (outgoing, incoming.try_into().ok().unwrap())
    }

    fn send(&mut self, all: impl IntoIterator<Item = Outgoing>) {
        for to in all {
            self.goroutines += 1;
            go(send_directly(to, self.done.clone()));
        }
    }

    fn receive(&mut self, all: impl IntoIterator<Item = Incoming>) {
        for from in all {
            self.goroutines += 1;
            go(receive_directly(from, self.done.clone()));
        }
    }

    fn select(&mut self, from: [Incoming; 4], to: [Outgoing; 4]) {
        self.goroutines += 1;
        go(send_and_receive(from, to, self.done.clone()));
    }

    /// Waits until every goroutine has done all it had to do.
    async fn wait(&mut self) {
        while self.goroutines > 0 {
            let counts = self.counts.recv().await.unwrap();
            self.total.sent += counts.sent;
            self.total.received += counts.received;
            self.goroutines -= 1;
        }
    }
}

fn no_outgoing() -> [Outgoing; 4] {
    std::array::from_fn(|_| Outgoing::none())
}

fn no_incoming() -> [Incoming; 4] {
    std::array::from_fn(|_| Incoming::none())
}

/// The six shapes, one after the other.
async fn run_shapes(capacity: usize) {
    let mut run = Run::new(capacity);

    let (to, from) = run.four();
    run.send(to);
    run.receive(from);
    run.wait().await;

    let (to, from) = run.four();
    run.send(to);
    run.select(from, no_outgoing());
    run.wait().await;

    let (to, from) = run.four();
    run.receive(from);
    run.select(no_incoming(), to);
    run.wait().await;

    let (to, from) = run.four();
    run.select(no_incoming(), to);
    run.select(from, no_outgoing());
    run.wait().await;

    let ((there_to, there), (back_to, back)) = (run.four(), run.four());
    run.select(back, there_to);
    run.select(there, back_to);
    run.wait().await;

    let ((middle_to, middle), (first_to, first), (last_to, last)) =
        (run.four(), run.four(), run.four());
    run.send(first_to);
    run.receive(last);
    run.select(first, middle_to);
    run.select(middle, last_to);
    run.wait().await;

    assert_eq!(run.channels, 4 * 4 + 8 + 12);
    assert_eq!(run.total.sent, run.channels * NUMBERS);
    assert_eq!(run.total.received, run.channels * NUMBERS);
}

#[test]
fn a_rendezvous_carries_everything() {
    program(run_shapes(0));
}

#[test]
fn a_buffer_of_one_carries_everything() {
    program(run_shapes(1));
}

#[test]
fn a_buffer_of_ten_carries_everything() {
    program(run_shapes(10));
}

#[test]
fn a_buffer_of_a_hundred_carries_everything() {
    program(run_shapes(100));
}
