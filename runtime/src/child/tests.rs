//! Children without a link: each state, and what is said of it.

use std::sync::atomic::AtomicU32;

use channels::codec;
use channels::session::Session;
use channels::wire::{BatchWriter, Usage, read_batch};
use futures::FutureExt;
use serde::{Deserialize, Serialize, Serializer};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::here::{Here, enter_thread};
use crate::lease::Lease;
use crate::spawn::{JoinHandle, spawn};
use crate::task::{self, Task, call};

const PARENT: TaskId = TaskId(1);

const fn task(name: &'static str, kind: Kind) -> Task {
    let start = |node, arguments| task::start::<(), ()>(node, arguments, |()| Box::pin(async {}));
    Task { name, signature: 1, kind, retries: 0, timeout_ms: 0, start }
}

static SHARES: Task = task("shares", Kind::Async);
static BLOCKS: Task = task("blocks", Kind::Thread);

fn returns(task: &'static Task, number: u64) -> Call<u64> {
    call(task, number, |number| Box::pin(async move { number }))
}

fn waits(task: &'static Task, until: Receiver<u64>) -> Call<u64> {
    call(task, until, |until| Box::pin(async move { until.recv().await.unwrap_or(0) }))
}

/// Cannot travel.
#[derive(Deserialize)]
struct Unsent(u64);

impl Serialize for Unsent {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it stays"))
    }
}

#[derive(Default)]
struct Counting {
    frees: AtomicU32,
    lasts: AtomicU32,
}

impl Host for Counting {
    fn on_seat_free(&self) {
        self.frees.fetch_add(1, SeqCst);
    }

    fn on_last_child(&self) {
        self.lasts.fetch_add(1, SeqCst);
    }
}

/// A worker without a link. What is spawned is polled when `settle` is called.
struct Bench {
    runtime: Runtime,
    lease: Arc<Lease>,
    children: Arc<Children>,
    host: Arc<Counting>,
}

impl Bench {
    fn new(seats: u32) -> Self {
        let node = channels::node::Node::new(|| {});
        let lease = Lease::of_worker();
        let children = Children::new(&node, &lease);
        children.grant(seats);
        let host = Arc::<Counting>::default();
        let whose: Arc<dyn Host> = host.clone();
        children.belong_to(Arc::downgrade(&whose));
        enter_thread(Here { children: Some(children.clone()), ..Here::of(&node) });
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, lease, children, host }
    }

    /// As a task of the worker does it.
    fn spawn<R: Message>(&self, call: Call<R>) -> JoinHandle<R> {
        let _inside = self.runtime.enter();
        let spawning = futures::future::lazy(|_| spawn(call));
        let parent = Fenced::new(&self.children.node, (PARENT, 1), spawning);
        parent.now_or_never().unwrap()
    }

    fn settle(&self) {
        self.runtime.block_on(async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        });
    }

    fn join<R>(&self, handle: JoinHandle<R>) -> Result<R, crate::JoinError> {
        self.runtime.block_on(handle)
    }

    /// What it has to say.
    fn said(&self) -> Vec<Frame> {
        let mut batch = BatchWriter::default();
        self.children.node.take_outgoing(&mut batch);
        let mut session = Session::new(1);
        session.seal(batch);
        let frames = session.next_batch().map(|bytes| read_batch(bytes).unwrap().1);
        frames.into_iter().flatten().collect()
    }
}

/// Tallies and ends, without the times.
fn untimed(frames: Vec<Frame>) -> Vec<Frame> {
    let untimed = |mut frame| {
        if let Frame::Tally { usage, .. } | Frame::Finished { usage, .. } = &mut frame {
            *usage = Usage::default();
        }
        frame
    };
    frames.into_iter().map(untimed).collect()
}

fn tally(name: &str, count: u32) -> Frame {
    Frame::Tally { name: name.to_owned(), count, usage: Usage::default() }
}

#[test]
fn short_ones_are_only_tallied() {
    let bench = Bench::new(2);
    for number in 0..5 {
        for task in [&SHARES, &BLOCKS] {
            let child = bench.spawn(returns(task, number));
            assert_eq!(bench.join(child), Ok(number));
        }
    }
    assert_eq!(bench.said(), [], "nothing at all before the tick");
    bench.children.on_tick();
    assert_eq!(untimed(bench.said()), [tally("blocks", 5), tally("shares", 5)]);
    bench.children.on_tick();
    assert_eq!(bench.said(), [], "once is enough");
    assert_eq!((bench.children.present(), bench.children.counts()), (0, (10, 0)));
}

#[test]
fn whoever_may_not_goes_the_ordinary_way() {
    let goes = |bench: &Bench, call: Call<u64>| {
        drop(bench.spawn(call));
        let said = bench.said();
        let is_away = said.iter().any(
            |frame| matches!(frame, Frame::Spawn { options, .. } if options.parent == Some(PARENT)),
        );
        assert!(is_away || said.is_empty(), "{said:?}");
        is_away
    };
    let bench = Bench::new(1);
    assert!(goes(&bench, returns(&SHARES, 1).retry(1)), "others must have its arguments");
    assert!(!goes(&bench, returns(&SHARES, 1)), "one is the parent's seat");
    assert!(!goes(&bench, returns(&SHARES, 1)));
    assert!(goes(&bench, returns(&SHARES, 1)), "the seats are taken");
    bench.settle();
    assert!(!goes(&bench, returns(&SHARES, 1)));
    bench.children.on_memory(0.95);
    assert!(goes(&bench, returns(&SHARES, 1)));
    bench.children.on_memory(0.85);
    assert!(!goes(&bench, returns(&SHARES, 1)));
    bench.settle();
    bench.children.grant(0);
    assert!(goes(&bench, returns(&SHARES, 1)));
    bench.children.grant(1);
    let _inside = bench.runtime.enter();
    drop(spawn(returns(&SHARES, 1)));
    assert!(matches!(bench.said()[0], Frame::Spawn { .. }), "no task spawned it");
    bench.children.close();
    assert!(goes(&bench, returns(&SHARES, 1)));
}

#[test]
fn one_that_lasts_is_told_of_and_so_is_its_end() {
    for task in [&SHARES, &BLOCKS] {
        let bench = Bench::new(2);
        let (sender, receiver) = channels::channel(1);
        let child = bench.spawn(waits(task, receiver));
        bench.settle();
        bench.children.on_tick();
        assert_eq!(bench.said(), []);
        bench.children.on_tick();
        let said = bench.said();
        let [Frame::Began { task: id, name, parent: Some(PARENT) }] = &said[..] else {
            panic!("{said:?}")
        };
        assert_eq!(name, task.name);
        bench.children.on_tick();
        assert_eq!(bench.said(), [], "told once");
        sender.send_blocking(7).unwrap();
        assert_eq!(bench.join(child), Ok(7));
        let (task, outcome, usage) = (*id, Parcel::default(), Usage::default());
        let finished = Frame::Finished { task, attempt: 1, outcome, usage };
        assert_eq!(untimed(bench.said()), [finished], "and not tallied");
        bench.children.on_tick();
        assert_eq!(bench.said(), []);
    }
}

/// It runs elsewhere, in the ordinary way; whoever joins it here hears of it, and the worker does
/// not wait for it.
#[test]
fn what_has_not_begun_when_the_worker_leaves_is_sent_on() {
    let bench = Bench::new(2);
    let child = bench.spawn(returns(&SHARES, 3));
    let given_up = bench.spawn(returns(&SHARES, 4));
    bench.children.leave();
    bench.settle();
    assert_eq!((bench.children.present(), bench.host.lasts.load(SeqCst)), (0, 1));
    assert_eq!(bench.children.counts(), (0, 2));
    let said = bench.said();
    let spawned = |frame: &Frame| match frame {
        Frame::Spawn { task, result, .. } => Some((*task, *result)),
        _ => None,
    };
    let spawned: Vec<_> = said.iter().filter_map(spawned).collect();
    let of = |frame: &Frame| match frame {
        Frame::Receive { channel, operation, .. } if *channel == spawned[0].1 => Some(*operation),
        _ => None,
    };
    let operation = said.iter().find_map(of).expect("it waits for the outcome");
    let payload = codec::encode(&Outcome::Returned(9_u64)).unwrap().into();
    let parcel = Parcel { codec: codec::CODEC, payload, passages: Vec::new() };
    let channel = spawned[0].1;
    bench.children.node.receive(Frame::Offer { channel, operation, attempt: 1, parcel });
    assert_eq!(bench.join(child), Ok(9));
    given_up.abort();
    assert_eq!(bench.join(given_up), Err(crate::JoinError::Cancelled));
    bench.settle();
    assert!(bench.said().contains(&Frame::Abort { task: spawned[1].0 }));
    bench.children.on_tick();
    assert!(!bench.said().iter().any(|frame| matches!(frame, Frame::Tally { .. })));
}

/// What cannot be sent on runs here to its end, and so does what has begun.
#[test]
fn a_worker_that_leaves_waits_for_what_stays() {
    let bench = Bench::new(3);
    let (sender, receiver) = channels::channel(1);
    let begun = bench.spawn(waits(&SHARES, receiver));
    bench.settle();
    let stuck = call(&SHARES, Unsent(5), |unsent| Box::pin(async move { unsent.0 }));
    let stuck = bench.spawn(stuck);
    bench.children.leave();
    assert_eq!(bench.join(stuck), Ok(5));
    assert_eq!((bench.children.present(), bench.host.lasts.load(SeqCst)), (1, 0));
    sender.send_blocking(7).unwrap();
    assert_eq!(bench.join(begun), Ok(7));
    assert_eq!((bench.children.present(), bench.host.lasts.load(SeqCst)), (0, 1));
}

#[test]
fn nothing_is_polled_when_the_lease_is_over() {
    let bench = Bench::new(2);
    let child = bench.spawn(returns(&SHARES, 1));
    bench.lease.end();
    bench.settle();
    assert!(child.now_or_never().is_none());
    assert_eq!(bench.children.present(), 1);
}

#[test]
fn a_parked_child_gives_its_seat_up() {
    let bench = Bench::new(1);
    let (_sender, receiver) = channels::channel(1);
    let parked: Vec<_> =
        (0..20).map(|_| (bench.spawn(waits(&SHARES, receiver.clone())), bench.settle())).collect();
    assert_eq!(bench.said(), [], "all of them begin here");
    assert_eq!(bench.host.frees.load(SeqCst), 20);
    drop(parked);
}
