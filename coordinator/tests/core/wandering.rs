//! Handles that wander from node to node while tasks send and receive on them, and channels that
//! leave and come home all the time; in between, credits and early offers are lent. Everything but
//! the sockets is real. What happens next is drawn from a seed; `FARSPAWN_SEEDS` says how many.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, atomic::AtomicBool, atomic::Ordering};
use std::task::{Context, Poll, Wake, Waker};

use channels::node::Node;
use channels::transfer;
use channels::wire::{BatchWriter, Contents, Envelope, read_batch};
use channels::{Receiver, Sender, channel};

use super::*;
use tasks::{host_receiver, host_sender, receive_letters};

mod tasks;

/// Values: who sent it, and which of its values it is.
type Value = (u32, u32);
/// A handle on its way, and how often it may go on.
type Letter = (u32, Option<Sender<Value>>, Option<Receiver<Value>>);
/// What a node begins with: the ways to all nodes, and its own end.
type Start = (Vec<Sender<Letter>>, Receiver<Letter>);

struct Draw(Cell<u64>);
impl Draw {
    fn below(&self, limit: u32) -> u32 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        ((x >> 16) % u64::from(limit)) as u32
    }
}

struct Flag(AtomicBool);
impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    is_woken: Arc<Flag>,
}

/// What all tasks of a run know of it.
struct Log {
    draw: Draw,
    new: RefCell<Vec<Pin<Box<dyn Future<Output = ()>>>>>,
    /// Of the channel that wanders.
    handles: Cell<u32>,
    senders: Cell<u32>,
    /// Values whose send returned Ok, and those whose send was given up.
    sent: RefCell<BTreeSet<Value>>,
    perhaps: RefCell<BTreeSet<Value>>,
    received: RefCell<BTreeMap<Value, u32>>,
    /// Sends that returned less receives that began, of those that got a value: never more than
    /// the capacity.
    held: Cell<i64>,
    held_max: Cell<i64>,
    gives_up: bool,
    nodes: u32,
    /// How long senders and receivers rest between two values, at most.
    rest: [u32; 2],
}

struct World {
    bench: Bench,
    sessions: Vec<SessionId>,
    nodes: Vec<Arc<Node>>,
    up: Vec<VecDeque<Frame>>,
    down: Vec<VecDeque<Frame>>,
    tasks: Vec<Option<Task>>,
    log: Rc<Log>,
    /// Frames of landings, by name.
    seen: BTreeMap<&'static str, u32>,
    /// The last frame of each node.
    last_up: BTreeMap<usize, Frame>,
}

impl World {
    fn new(seed: u64, nodes: u32, gives_up: bool) -> Self {
        let mut bench = Bench::new(nodes as usize);
        let mut sessions = vec![CLIENT];
        for launch in 1..u64::from(nodes) {
            sessions.push(SessionId(100 + launch));
        }
        bench.take();
        let log = Log {
            draw: Draw(Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)),
            new: RefCell::default(),
            handles: Cell::new(0),
            senders: Cell::new(0),
            sent: RefCell::default(),
            perhaps: RefCell::default(),
            received: RefCell::default(),
            held: Cell::new(0),
            held_max: Cell::new(0),
            gives_up,
            nodes,
            rest: [1 + (seed / 16 % 5) as u32, 1 + (seed / 80 % 5) as u32],
        };
        Self {
            bench,
            nodes: sessions.iter().map(|_| Node::new(|| {})).collect(),
            up: sessions.iter().map(|_| VecDeque::new()).collect(),
            down: sessions.iter().map(|_| VecDeque::new()).collect(),
            sessions,
            tasks: Vec::new(),
            log: Rc::new(log),
            seen: BTreeMap::new(),
            last_up: BTreeMap::new(),
        }
    }

    /// Starts a task on each node that receives letters, by the client's `Spawn`.
    fn open(&mut self) -> Vec<Sender<Letter>> {
        let (ways, ends): (Vec<_>, Vec<_>) = self.sessions.iter().map(|_| channel(2)).unzip();
        for (at, end) in ends.into_iter().enumerate() {
            let start: Start = (ways.clone(), end);
            if at == 0 {
                self.spawn(receive_letters(self.log.clone(), start));
                continue;
            }
            let arguments = transfer::pack(&self.nodes[0], &start).expect("handles travel");
            let id = 1_000_000 + at as u128;
            let (task, result) = (TaskId(id), ChannelId(id));
            let (name, options) = ("letters".to_owned(), SpawnOptions::default());
            let spawn = Frame::Spawn { task, name, signature: 7, options, result, arguments };
            self.nodes[0].push(spawn);
        }
        ways
    }

    fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        self.spawn_boxed(Box::pin(future));
    }

    fn spawn_boxed(&mut self, future: Pin<Box<dyn Future<Output = ()>>>) {
        let is_woken = Arc::new(Flag(AtomicBool::new(true)));
        self.tasks.push(Some(Task { future, is_woken }));
    }

    /// Lets something happen, as the seed says. False if there was nothing.
    fn step(&mut self) -> bool {
        let nodes = self.nodes.len();
        let first = self.log.draw.below(nodes as u32 * 4) as usize;
        (0..nodes * 4).any(|more| {
            let choice = (first + more) % (nodes * 4);
            let at = choice / 4;
            match choice % 4 {
                0 => self.gather(at),
                1 => self.deliver_up(at),
                2 => self.deliver_down(at),
                _ => self.run_task(),
            }
        })
    }

    fn gather(&mut self, at: usize) -> bool {
        let envelope = Envelope { epoch: 0, sequence: 1, acknowledged: 0 };
        let mut batch = BatchWriter::default();
        while self.nodes[at].take_outgoing(&mut batch) {}
        let frames = read_batch(batch.finish(envelope)).expect("frames").1;
        let any = !frames.is_empty();
        self.up[at].extend(frames);
        any
    }

    fn deliver_up(&mut self, at: usize) -> bool {
        let Some(frame) = self.up[at].pop_front() else { return false };
        if std::env::var_os("TR").is_some() {
            print!("{at} up ");
        }
        self.note(at, "up", &frame);
        self.bench.frame(self.sessions[at], frame);
        self.obey();
        true
    }

    fn tick(&mut self) {
        self.bench.event(Event::Tick);
        self.obey();
    }

    fn obey(&mut self) {
        let commands = self.bench.take();
        let is_cut = |command: &&Command| matches!(command, Command::Close { .. });
        assert_eq!(commands.iter().find(is_cut), None, "{commands:?}");
        for command in commands {
            match command {
                Command::Send { session, frame } => {
                    let at = self.sessions.iter().position(|known| *known == session);
                    self.down[at.expect("a session")].push_back(frame);
                }
                Command::Launch { launch } => {
                    self.bench.worker(launch);
                    self.obey();
                }
                Command::Close { .. } | Command::Admit { .. } | Command::Stop { .. } => {}
            }
        }
    }

    fn deliver_down(&mut self, at: usize) -> bool {
        let Some(frame) = self.down[at].pop_front() else { return false };
        if std::env::var_os("TR").is_some() {
            print!("{at} down ");
        }
        self.note(at, "down", &frame);
        if let Some(Frame::Run { arguments, .. }) = self.nodes[at].receive(frame) {
            let start: Start = transfer::unpack(&self.nodes[at], arguments).expect("handles");
            self.spawn(receive_letters(self.log.clone(), start));
        }
        true
    }

    fn note(&mut self, at: usize, way: &str, frame: &Frame) {
        if std::env::var_os("FARSPAWN_TRACE").is_some() {
            println!("{at} {way}: {frame}");
        }
        if std::env::var_os("TR").is_some() {
            println!("{frame}");
        }
        let mut count = |name| *self.seen.entry(name).or_default() += 1;
        match frame {
            Frame::Landed { .. } => count("landed"),
            Frame::Keep { .. } => count("kept"),
            Frame::Stay { .. } => count("stayed"),
            Frame::Prepaid { .. } => count("prepaid"),
            Frame::Early { .. } => count("early"),
            Frame::Cleared { channel, .. } => match self.last_up.get(&at) {
                Some(Frame::Repay { channel: of, .. }) if of == channel => count("with credits"),
                Some(Frame::Untaken { channel: of, .. }) if of == channel => count("with stock"),
                _ => {}
            },
            Frame::Land { contents, .. } => {
                let Contents { values, sends, receives, .. } = contents;
                let lists = [
                    ("with values", values.len() > sends.len()),
                    ("with sends", !sends.is_empty()),
                    ("with receives", !receives.is_empty()),
                ];
                lists.into_iter().filter(|(_, any)| *any).for_each(|(name, _)| count(name));
            }
            _ => {}
        }
        if way == "up" {
            self.last_up.insert(at, frame.clone());
        }
    }

    fn run_task(&mut self) -> bool {
        let count = self.tasks.len();
        if count == 0 {
            return false;
        }
        let first = self.log.draw.below(count as u32) as usize;
        let is_ready = |at: &usize| {
            let task = self.tasks[*at].as_ref();
            task.is_some_and(|task| task.is_woken.0.swap(false, Ordering::Relaxed))
        };
        let ready = (0..count).map(|more| (first + more) % count).find(is_ready);
        let Some(at) = ready else { return false };
        let Some(task) = &mut self.tasks[at] else { return false };
        let waker = Waker::from(task.is_woken.clone());
        if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.tasks[at] = None;
        }
        let new = std::mem::take(&mut *self.log.new.borrow_mut());
        new.into_iter().for_each(|future| self.spawn_boxed(future));
        self.tasks.retain(Option::is_some);
        true
    }

    /// Until nothing happens any more, however much time passes.
    fn run(&mut self) {
        let mut quiet = 0;
        while quiet < 100 {
            if self.log.draw.below(200) == 0 {
                self.tick();
            }
            if self.step() {
                quiet = 0;
            } else {
                self.tick();
                quiet += 1;
            }
        }
    }
}

/// One run. What was seen of landings comes out.
fn wander(seed: u64) -> BTreeMap<&'static str, u32> {
    let gives_up = seed.is_multiple_of(2);
    let capacity = [0, 1, 3, 16][(seed / 2 % 4) as usize];
    channels::chance::seed(seed);
    let mut world = World::new(seed, 2 + (seed / 8 % 2) as u32, gives_up);
    let ways = world.open();
    let (sender, receiver) = channel(capacity);
    let log = world.log.clone();
    log.handles.set(3);
    let hops = 6 + log.draw.below(12);
    let spare = (log.draw.below(2) == 0).then(|| receiver.clone());
    log.handles.set(2 + u32::from(spare.is_some()));
    world.spawn(host_sender(log.clone(), ways.clone(), hops, sender));
    world.spawn(host_receiver(log.clone(), ways.clone(), hops, receiver));
    if let Some(spare) = spare {
        world.spawn(host_receiver(log.clone(), ways.clone(), hops, spare));
    }
    world.run();
    assert_eq!(log.handles.get(), 0, "seed {seed}: somebody waits for ever");
    let (sent, perhaps) = (log.sent.borrow(), log.perhaps.borrow());
    for (value, times) in &*log.received.borrow() {
        assert_eq!(*times, 1, "seed {seed}: {value:?}");
        assert!(sent.contains(value) || perhaps.contains(value), "seed {seed}: {value:?}");
    }
    let received = log.received.borrow();
    assert!(sent.iter().all(|value| received.contains_key(value)), "seed {seed}: one is lost");
    let capacity = capacity as i64;
    // A receive that is taken as it comes may lower the count later than it made room.
    let receivers = 2;
    assert!(gives_up || log.held_max.get() <= capacity + receivers, "seed {seed}: capacity");
    world.spawn(async move {
        for way in ways {
            way.close().await.expect("nobody else closes");
        }
    });
    world.run();
    assert!(world.tasks.is_empty(), "seed {seed}: a task has not ended");
    let results = world.sessions.len() - 1;
    assert_eq!(world.bench.core.channels(), results, "seed {seed}: a channel is left");
    for node in &world.nodes {
        let books = format!("{node:?}");
        assert!(books.starts_with("Node { channels: 0, operations: 0,"), "seed {seed}: {books}");
    }
    world.seen
}

#[test]
fn handles_wander_and_nothing_is_lost_doubled_or_left_behind() {
    let seeds = std::env::var("FARSPAWN_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let seeds = seeds.unwrap_or(40);
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..seeds {
        for (name, count) in wander(seed) {
            *seen.entry(name).or_default() += count;
        }
    }
    println!("{seen:?}");
    let names = ["landed", "kept", "with receives", "with sends", "with values"];
    for name in names.into_iter().chain(["prepaid", "early", "with credits", "with stock"]) {
        assert!(seen.get(name).is_some_and(|count| *count > 10), "{name}: {seen:?}");
    }
}
