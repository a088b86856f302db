//! Credits and early offers, at random: real nodes and the real coordinator, and between them links
//! that are as slow as chance will have it. Each history is checked: nothing lost, nothing twice,
//! in order, never more than the capacity, and what `try_recv` and close say is the truth.
//!
//! Bugs planted on purpose must be found:
//! `RUSTFLAGS='--cfg planted="close"' cargo test -p farspawn-coordinator --test core flow`, and so
//! for `credits`, `early` and `strict`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use channels::node::Node;
use channels::transfer;
use channels::wire::{BatchWriter, Envelope, read_batch};
use channels::{ChannelBuilder, Leased, Receiver, RecvError, Sender, TryRecvError};

use super::{
    Bench, CLIENT, ChannelId, Command, Frame, OperationId, SessionId, SpawnOptions, TaskId, offer,
    value, with_worker,
};

const SEEDS: u64 = 1000;
const STEPS: u64 = 1500;
const WORKERS: u64 = 2;

/// Who sent it, and which of its values it is.
type Value = (u64, u64);

pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A node, its links, and its tasks.
pub(super) struct Place {
    session: SessionId,
    node: Arc<Node>,
    up: VecDeque<Frame>,
    down: VecDeque<Frame>,
    actors: Vec<Actor>,
    is_dead: bool,
}

/// A task: it does one thing after the other.
struct Actor {
    end: End,
    /// It gives receives up now and then.
    cancels: bool,
    number: u64,
    /// Values that it has sent.
    count: u64,
    /// What it does, and since when.
    at: Option<(u64, Doing)>,
}

/// What a task has of the channel.
enum End {
    Sender(Sender<Value>),
    Receiver(Receiver<Value>),
    /// A receiver that waits for the end.
    Drain(Receiver<Value>),
    Gone,
}

type Underway<T> = Pin<Box<dyn Future<Output = T>>>;

enum Doing {
    Send(Value, Underway<bool>),
    Receive(Underway<Result<Value, RecvError>>),
    Lease(Underway<Result<Leased<Value>, RecvError>>),
    Hold(Leased<Value>),
    Try(Underway<Result<Value, TryRecvError>>),
    Close(Underway<bool>),
}

/// What happened, with the times of beginning and end.
#[derive(Default)]
struct History {
    sent: BTreeMap<Value, (u64, u64)>,
    received: Vec<(Value, u64, (u64, u64))>,
    /// The tasks of dead workers.
    dead: BTreeSet<u64>,
    empty: Vec<(u64, u64)>,
    closed_at: Option<u64>,
    /// A value that was on lease returned: its send has ended, and there may be one too many.
    given_back: bool,
}

struct World {
    random: Random,
    bench: Bench,
    places: Vec<Place>,
    history: History,
    capacity: u64,
    now: u64,
    /// Receives are given up now and then: then values may overtake each other.
    with_cancels: bool,
    is_strict: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut bench = Bench::new(WORKERS as usize);
        let capacity = [0, 1, 2, 3, 8, 40][random.below(6) as usize];
        let client = Node::new(|| {});
        let is_strict = random.below(4) == 0;
        let mut builder = ChannelBuilder::new(capacity as usize);
        if is_strict {
            builder = builder.strict_order();
        }
        let handles = builder.build::<Value>();
        let mut places = vec![Place::new(CLIENT, client.clone())];
        let mut arguments = Vec::new();
        for _ in 0..WORKERS {
            let copies = (handles.0.clone(), handles.1.clone());
            arguments.push(transfer::pack(&client, &copies).unwrap());
        }
        places[0].collect();
        for frame in places[0].up.drain(..) {
            bench.frame(CLIENT, frame);
        }
        for parcel in arguments {
            bench.next += 2;
            let (task, result) = (TaskId(bench.next), ChannelId(bench.next));
            let options = SpawnOptions::default();
            let name = "task".to_owned();
            let arguments = parcel;
            bench.frame(
                CLIENT,
                Frame::Spawn { task, name, signature: 7, options, result, arguments },
            );
        }
        let mut all = vec![handles];
        for number in 1..=WORKERS {
            let session = bench.worker(number);
            let node = Node::new(|| {});
            for frame in bench.sent(session) {
                if let Frame::Run { arguments, .. } = frame {
                    all.push(transfer::unpack(&node, arguments).unwrap());
                }
            }
            places.push(Place::new(session, node));
        }
        bench.take();
        let with_cancels = random.below(3) == 0;
        let mut number = 0;
        let mut actor = |end, cancels| {
            number += 1;
            Actor { end, cancels, number, count: 0, at: None }
        };
        let drain = End::Drain(all[0].1.clone());
        places[0].actors.push(actor(drain, false));
        for (place, (sender, receiver)) in places.iter_mut().zip(all) {
            for _ in 0..random.below(3) {
                place.actors.push(actor(End::Sender(sender.clone()), false));
            }
            for _ in 0..random.below(3) {
                let cancels = with_cancels && random.below(2) == 0;
                place.actors.push(actor(End::Receiver(receiver.clone()), cancels));
            }
        }
        let history = History::default();
        Self { random, bench, places, history, capacity, now: 0, with_cancels, is_strict }
    }

    fn route(&mut self) {
        for command in self.bench.take() {
            match command {
                Command::Send { session, frame } => {
                    let place = self.places.iter_mut().find(|place| place.session == session);
                    place.unwrap().down.push_back(frame);
                }
                Command::Close { session, reason } => {
                    let place = self.places.iter().find(|place| place.session == session);
                    assert!(place.is_none_or(|place| place.is_dead), "{session} cut: {reason}");
                }
                Command::Admit { .. } | Command::Launch { .. } | Command::Stop { .. } => {}
            }
        }
    }

    fn step(&mut self, last: bool) {
        self.now += 1;
        let at = self.random.below(self.places.len() as u64) as usize;
        let place = &mut self.places[at];
        if place.is_dead {
            return;
        }
        match self.random.below(4) {
            0 => {
                place.collect();
                for _ in 0..=self.random.below(8) {
                    let Some(frame) = place.up.pop_front() else { break };
                    self.bench.frame(place.session, frame);
                }
            }
            1 => {
                for _ in 0..=self.random.below(8) {
                    let Some(frame) = place.down.pop_front() else { break };
                    place.node.receive(frame);
                }
            }
            _ if place.actors.is_empty() => {}
            _ => {
                let actor = self.random.below(place.actors.len() as u64) as usize;
                let (actor, random) = (&mut place.actors[actor], &mut self.random);
                actor.step(self.now, last, random, &mut self.history);
            }
        }
        self.route();
    }

    /// A worker dies: what it was told is lost, and what it said and has not arrived.
    fn kill(&mut self, at: usize) {
        let place = &mut self.places[at];
        if place.is_dead {
            return;
        }
        place.is_dead = true;
        self.history.dead.extend(place.actors.iter().map(|actor| actor.number));
        place.actors.clear();
        self.bench.die(place.session);
        self.route();
    }
}

impl Place {
    fn new(session: SessionId, node: Arc<Node>) -> Self {
        let (up, down) = (VecDeque::new(), VecDeque::new());
        Self { session, node, up, down, actors: Vec::new(), is_dead: false }
    }

    /// Takes what the node has to say.
    fn collect(&mut self) {
        let envelope = Envelope { epoch: 0, sequence: 1, acknowledged: 0 };
        let mut more = true;
        while more {
            let mut batch = BatchWriter::default();
            more = self.node.take_outgoing(&mut batch);
            self.up.extend(read_batch(batch.finish(envelope)).unwrap().1);
        }
    }
}

impl Actor {
    fn step(&mut self, now: u64, last: bool, random: &mut Random, history: &mut History) {
        let Some((begun, mut doing)) = self.at.take() else { return self.begin(now, last, random) };
        let times = (begun, now);
        let context = &mut Context::from_waker(Waker::noop());
        let is_pending = match &mut doing {
            Doing::Send(value, send) => send.as_mut().poll(context).map(|sent| {
                if sent {
                    history.sent.insert(*value, times);
                } else {
                    self.end = End::Gone;
                }
            }),
            Doing::Receive(receive) => {
                receive.as_mut().poll(context).map(|outcome| match outcome {
                    Ok(value) => history.received.push((value, self.number, times)),
                    Err(_) => self.end = End::Gone,
                })
            }
            Doing::Lease(receive) => match receive.as_mut().poll(context) {
                Poll::Ready(Ok(lease)) => {
                    doing = Doing::Hold(lease);
                    Poll::Pending
                }
                Poll::Ready(Err(_)) => {
                    self.end = End::Gone;
                    Poll::Ready(())
                }
                Poll::Pending => Poll::Pending,
            },
            Doing::Hold(_) => Poll::Ready(()),
            Doing::Try(receive) => receive.as_mut().poll(context).map(|outcome| match outcome {
                Ok(value) => history.received.push((value, self.number, times)),
                Err(TryRecvError::Empty) => history.empty.push(times),
                Err(_) => self.end = End::Gone,
            }),
            Doing::Close(close) => close.as_mut().poll(context).map(|first| {
                if first {
                    history.closed_at = Some(now);
                }
            }),
        }
        .is_pending();
        let gives_up = self.cancels && random.below(3) == 0;
        match doing {
            Doing::Hold(lease) if !is_pending && !gives_up => {
                history.received.push((lease.ack(), self.number, times));
            }
            Doing::Hold(_) if gives_up => history.given_back = true,
            Doing::Receive(_) | Doing::Lease(_) if gives_up => {}
            doing if is_pending => self.at = Some((begun, doing)),
            _ => {}
        }
    }

    fn begin(&mut self, now: u64, last: bool, random: &mut Random) {
        let doing = match &self.end {
            End::Sender(_) if last => {
                self.end = End::Gone;
                return;
            }
            End::Sender(sender) if random.below(200) == 0 => {
                let sender = sender.clone();
                Doing::Close(Box::pin(async move { sender.close().await.is_ok() }))
            }
            End::Sender(sender) => {
                self.count += 1;
                let (sender, value) = (sender.clone(), (self.number, self.count));
                Doing::Send(value, Box::pin(async move { sender.send(value).await.is_ok() }))
            }
            End::Receiver(receiver) if !last && random.below(8) == 0 => {
                let receiver = receiver.clone();
                Doing::Try(Box::pin(async move { receiver.try_recv().await }))
            }
            End::Receiver(receiver) if random.below(4) == 0 => {
                let receiver = receiver.clone();
                Doing::Lease(Box::pin(async move { receiver.recv_leased().await }))
            }
            End::Drain(_) if !last => return,
            End::Receiver(receiver) | End::Drain(receiver) => {
                let receiver = receiver.clone();
                Doing::Receive(Box::pin(async move { receiver.recv().await }))
            }
            End::Gone => return,
        };
        self.at = Some((now, doing));
    }

    fn is_done(&self) -> bool {
        matches!(self.end, End::Gone) && self.at.is_none()
    }
}

impl History {
    fn check(&self, world: &World) {
        let World { capacity, with_cancels, is_strict, .. } = *world;
        let mut taken: BTreeMap<Value, (u64, u64)> = BTreeMap::new();
        for (value, _, times) in self.received.iter().filter(|(_, by, _)| !self.dead.contains(by)) {
            assert!(taken.insert(*value, *times).is_none(), "{value:?} came twice");
        }
        let all: BTreeSet<Value> = self.received.iter().map(|(value, ..)| *value).collect();
        for value @ (sender, count) in self.sent.keys() {
            let lost = !all.contains(value);
            assert!(!lost || self.dead.contains(sender), "{value:?} is lost");
            let younger = (*sender, count + 1)..(*sender, u64::MAX);
            assert!(!lost || all.range(younger).next().is_none(), "a hole at {value:?}");
        }
        if let Some(closed_at) = self.closed_at {
            assert!(self.sent.values().all(|(begun, _)| *begun < closed_at), "sent after close");
        }
        if self.dead.is_empty() {
            if !self.given_back {
                self.check_capacity(capacity, &taken);
            }
            if !with_cancels && !is_strict {
                self.check_emptiness(&taken);
            }
        }
        if is_strict || !with_cancels && self.dead.is_empty() {
            self.check_order(&taken);
        }
    }

    /// The k-th receive has begun before the (k + capacity)-th send returns.
    fn check_capacity(&self, capacity: u64, taken: &BTreeMap<Value, (u64, u64)>) {
        let ends = self.sent.values().map(|(_, ended)| (*ended, 1_i64));
        let begins = taken.values().map(|(begun, _)| (*begun, -1));
        let mut events: Vec<(u64, i64)> = ends.chain(begins).collect();
        events.sort_unstable();
        let mut held = 0;
        for (at, change) in events {
            held += change;
            assert!(held <= capacity as i64, "{held} values in a channel of {capacity} at {at}");
        }
    }

    /// Whose send ended before another began is not taken after it.
    fn check_order(&self, taken: &BTreeMap<Value, (u64, u64)>) {
        for (older, (_, ended)) in &self.sent {
            for (younger, (begun, _)) in &self.sent {
                let (Some(older_taken), Some(younger_taken)) =
                    (taken.get(older), taken.get(younger))
                else {
                    continue;
                };
                let overtaken = ended < begun && younger_taken.1 < older_taken.0;
                assert!(!overtaken, "{younger:?} was received before {older:?}");
            }
        }
    }

    /// Nothing was there whenever somebody was told so.
    fn check_emptiness(&self, taken: &BTreeMap<Value, (u64, u64)>) {
        for (begun, ended) in &self.empty {
            for (value, (_, sent)) in &self.sent {
                let was_there = sent < begun && taken[value].0 > *ended;
                assert!(!was_there, "{value:?} was there from {sent}, and not at {begun}");
            }
        }
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    let kills_at = match world.random.below(3) {
        0 => world.random.below(STEPS),
        _ => STEPS,
    };
    for step in 0..STEPS {
        if step == kills_at {
            let victim = 1 + world.random.below(WORKERS) as usize;
            world.kill(victim);
        }
        world.step(false);
    }
    let mut left = 100 * STEPS;
    while world.places.iter().any(|place| place.actors.iter().any(|actor| !actor.is_done())) {
        world.step(true);
        left -= 1;
        assert!(left > 0, "stuck");
    }
    world.history.check(&world);
}

#[test]
fn histories_at_random_are_those_of_one_channel() {
    for seed in 1..=SEEDS {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

/// What was sent before a close, and is on its way, comes before it (C23).
#[test]
fn a_close_waits_for_what_was_sent_under_credits() {
    let (mut bench, worker, channel, _) = with_worker(8, 0);
    for operation in [1, 2, 3].map(OperationId) {
        bench.frame(CLIENT, Frame::Send { channel, operation, parcel: value(1) });
    }
    let granted = bench.sent(CLIENT).into_iter().find_map(|frame| match frame {
        Frame::Credit { credits, detaches, .. } => Some((credits, detaches)),
        _ => None,
    });
    let (credits, detaches) = granted.expect("who sends much gets credits");
    let operation = OperationId(9);
    bench.frame(worker, Frame::Close { channel, operation });
    let revoke = Command::Send { session: CLIENT, frame: Frame::Revoke { channel } };
    assert_eq!(bench.take(), [revoke], "and no answer yet");
    bench.frame(CLIENT, Frame::Prepaid { channel, parcels: vec![value(3)].into() });
    assert_eq!(bench.take(), []);
    bench.frame(CLIENT, Frame::Repay { channel, credits: credits - 1, detaches });
    assert_eq!(bench.sent(worker), [Frame::Closed { operation, first: 1 }]);
    for (receive, byte) in [(10, 1), (11, 1), (12, 1), (13, 3)] {
        bench.receive(worker, channel, receive);
        assert_eq!(bench.sent(worker), [offer(channel, receive, byte)]);
        bench.accept(worker, channel, receive);
    }
    bench.receive(worker, channel, 14);
    let ended = Frame::Ended { operation: OperationId(14), end: super::End::Closed };
    assert_eq!(bench.sent(worker), [ended]);
}
