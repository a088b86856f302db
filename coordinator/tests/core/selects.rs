//! Selects that meet across nodes, at random: real nodes and the real coordinator, and links as
//! slow as chance will have it. Of each select exactly one case happens, values of others never
//! come, and none waits for ever; also while the channels come home and leave again.
//!
//! A bug planted on purpose must be found:
//! `RUSTFLAGS='--cfg planted="lock"' cargo test -p farspawn-coordinator --test core selects`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use channels::node::Node;
use channels::transfer;
use channels::wire::{BatchWriter, Envelope, read_batch};
use channels::{Receiver, Select, Sender, channel};

use super::flow::Random;
use super::{Bench, CLIENT, ChannelId, Command, Event, Frame, Parcel, SessionId};
use super::{SpawnOptions, TaskId, Usage};

const SEEDS: u64 = 500;
const STEPS: u64 = 600;
const WORKERS: u64 = 2;

type Value = u64;
type Ends = (Sender<Value>, Receiver<Value>);

/// A node, and its links.
struct Host {
    session: SessionId,
    node: Arc<Node>,
    up: VecDeque<Frame>,
    down: VecDeque<Frame>,
    ends: Vec<Ends>,
    actors: Vec<Actor>,
    /// What it has the ends for, if it is to give them back.
    task: Option<TaskId>,
    is_dead: bool,
}

#[derive(Clone, Copy)]
enum Case {
    Send(usize, Value),
    Receive(usize),
}

enum Happened {
    Sent(Value),
    Received(Value),
    Ended,
}

struct Actor {
    /// Values that its select may send.
    mine: Vec<Value>,
    /// Those that it has sent, and received.
    sent: Vec<Value>,
    received: Vec<Value>,
    at: Option<Pin<Box<dyn Future<Output = Happened>>>>,
    /// What it always does, if that is given.
    script: Option<Vec<Case>>,
    left: u32,
}

#[derive(Default)]
struct History {
    sent: BTreeSet<Value>,
    /// Whether they were sent is not known.
    unknown: BTreeSet<Value>,
    received: BTreeMap<Value, u32>,
    /// Received by tasks of dead nodes.
    gone: BTreeSet<Value>,
    next: Value,
}

struct World {
    random: Random,
    bench: Bench,
    hosts: Vec<Host>,
    history: History,
    cancels: bool,
    /// How many channels came home.
    landed: u32,
}

impl World {
    fn new(mut random: Random, capacities: &[usize]) -> Self {
        let mut bench = Bench::new(WORKERS as usize);
        let client = Node::new(|| {});
        let ends: Vec<Ends> = capacities.iter().map(|capacity| channel(*capacity)).collect();
        let arguments: Vec<_> =
            (0..WORKERS).map(|_| transfer::pack(&client, &ends.clone()).unwrap()).collect();
        let mut hosts = vec![Host::new(CLIENT, client, ends)];
        hosts[0].collect();
        for frame in hosts[0].up.drain(..) {
            bench.frame(CLIENT, frame);
        }
        for arguments in arguments {
            bench.next += 2;
            let (task, result) = (TaskId(bench.next), ChannelId(bench.next));
            let options = SpawnOptions::default();
            let name = "task".to_owned();
            let spawn = Frame::Spawn { task, name, signature: 7, options, result, arguments };
            hosts[0].node.push(spawn);
        }
        hosts[0].collect();
        for frame in hosts[0].up.drain(..) {
            bench.frame(CLIENT, frame);
        }
        for number in 1..=WORKERS {
            let session = bench.worker(number);
            let node = Node::new(|| {});
            for frame in bench.sent(session) {
                if let Frame::Run { task, arguments, .. } = frame {
                    let ends = transfer::unpack(&node, arguments).unwrap();
                    let host = Host::new(session, node.clone(), ends);
                    hosts.push(Host { task: Some(task), ..host });
                }
            }
        }
        bench.take();
        let cancels = random.below(3) == 0;
        Self { random, bench, hosts, history: History::default(), cancels, landed: 0 }
    }

    fn route(&mut self) {
        for command in self.bench.take() {
            match command {
                Command::Send { session, frame } => {
                    let host = self.hosts.iter_mut().find(|host| host.session == session);
                    host.unwrap().down.push_back(frame);
                }
                Command::Close { session, reason } => {
                    let host = self.hosts.iter().find(|host| host.session == session);
                    assert!(host.is_none_or(|host| host.is_dead), "{session} cut: {reason}");
                }
                Command::Admit { .. } | Command::Launch { .. } | Command::Stop { .. } => {}
            }
        }
    }

    fn step(&mut self, last: bool) {
        let at = self.random.below(self.hosts.len() as u64) as usize;
        let host = &mut self.hosts[at];
        if host.is_dead {
            return;
        }
        match self.random.below(4) {
            0 => {
                host.collect();
                for _ in 0..=self.random.below(4) {
                    let Some(frame) = host.up.pop_front() else { break };
                    self.landed += u32::from(matches!(frame, Frame::Landed { .. }));
                    self.bench.frame(host.session, frame);
                }
            }
            1 => {
                for _ in 0..=self.random.below(4) {
                    let Some(frame) = host.down.pop_front() else { break };
                    host.hear(frame, &mut self.random);
                }
            }
            _ if host.actors.is_empty() => {}
            _ => {
                let actor = self.random.below(host.actors.len() as u64) as usize;
                let (actor, random) = (&mut host.actors[actor], &mut self.random);
                let cancels = self.cancels && !last;
                actor.step(&host.ends, last, cancels, random, &mut self.history);
            }
        }
        self.route();
    }

    /// Ends go to a worker for a while, and come back; and time passes.
    fn come_and_go(&mut self) {
        for host in &mut self.hosts[1..] {
            if host.task.is_some() && self.random.below(150) == 0 {
                for actor in &mut host.actors {
                    self.history.unknown.extend(actor.mine.drain(..));
                    (actor.at, actor.left) = (None, 0);
                }
            }
            if host.actors.iter().all(Actor::is_done)
                && let Some(task) = host.task.take()
            {
                host.ends.clear();
                let outcome = Parcel::default();
                host.node.push(Frame::Finished {
                    task,
                    attempt: 1,
                    outcome,
                    usage: Usage::default(),
                });
            }
        }
        if self.random.below(40) == 0 {
            self.bench.event(Event::Tick);
            self.route();
        }
        let client = &self.hosts[0];
        let are_away = self.hosts[1..].iter().any(|host| host.task.is_some());
        if !are_away && self.random.below(400) == 0 {
            let arguments = transfer::pack(&client.node, &client.ends.clone()).unwrap();
            self.bench.next += 2;
            let (task, result) = (TaskId(self.bench.next), ChannelId(self.bench.next));
            let (name, options) = ("task".to_owned(), SpawnOptions::default());
            let spawn = Frame::Spawn { task, name, signature: 7, options, result, arguments };
            client.node.push(spawn);
        }
    }

    fn kill(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        if std::mem::replace(&mut host.is_dead, true) {
            return;
        }
        for actor in host.actors.drain(..) {
            self.history.unknown.extend(actor.mine);
            // The word of it may not have come.
            self.history.unknown.extend(actor.sent);
            for value in actor.received {
                *self.history.received.entry(value).or_default() -= 1;
                self.history.gone.insert(value);
            }
        }
        self.bench.die(host.session);
        self.route();
    }

    fn run_until_done(&mut self) {
        let mut left = 200 * STEPS;
        let is_done = |host: &Host| host.is_dead || host.actors.iter().all(Actor::is_done);
        while !self.hosts.iter().all(is_done) {
            self.step(true);
            left -= 1;
            assert!(left > 0, "stuck");
        }
    }

    fn check(&self) {
        let History { sent, unknown, received, gone, .. } = &self.history;
        // What a dead node had received and not said is as if it had not.
        for (value, times) in received.iter().filter(|(_, times)| **times > 0) {
            assert!(*times <= 1, "{value} came twice");
            let known = sent.contains(value) || unknown.contains(value);
            assert!(known, "{value} came, and its select has chosen another case");
        }
        for value in sent {
            let came = received.contains_key(value) || gone.contains(value);
            assert!(came || unknown.contains(value), "{value} was sent and is lost");
        }
    }
}

impl Host {
    fn new(session: SessionId, node: Arc<Node>, ends: Vec<Ends>) -> Self {
        let (up, down) = (VecDeque::new(), VecDeque::new());
        let (actors, task) = (Vec::new(), None);
        Self { session, node, up, down, ends, actors, task, is_dead: false }
    }

    fn hear(&mut self, frame: Frame, random: &mut Random) {
        if let Some(Frame::Run { task, arguments, .. }) = self.node.receive(frame) {
            self.ends = transfer::unpack(&self.node, arguments).unwrap();
            self.task = Some(task);
            self.actors.push(Actor::new(None, 1 + random.below(6) as u32));
        }
    }

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

async fn choose(ends: Vec<Ends>, cases: Vec<Case>) -> Happened {
    let mut select = Select::new();
    for case in &cases {
        match *case {
            Case::Send(at, value) => select.send(&ends[at].0, value),
            Case::Receive(at) => select.recv(&ends[at].1),
        };
    }
    let mut chosen = select.wait().await;
    match cases[chosen.index()] {
        Case::Send(at, value) => match chosen.sent(&ends[at].0) {
            Ok(()) => Happened::Sent(value),
            Err(_) => Happened::Ended,
        },
        Case::Receive(at) => match chosen.received(&ends[at].1) {
            Ok(value) => Happened::Received(value),
            Err(_) => Happened::Ended,
        },
    }
}

impl Actor {
    fn new(script: Option<Vec<Case>>, left: u32) -> Self {
        let (mine, sent, received) = (Vec::new(), Vec::new(), Vec::new());
        Self { mine, sent, received, at: None, script, left }
    }

    fn step(
        &mut self,
        ends: &[Ends],
        last: bool,
        cancels: bool,
        random: &mut Random,
        history: &mut History,
    ) {
        let Some(mut select) = self.at.take() else {
            return self.begin(ends, last, random, history);
        };
        match select.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending if cancels && random.below(12) == 0 => {
                history.unknown.extend(self.mine.drain(..));
            }
            Poll::Pending => self.at = Some(select),
            Poll::Ready(happened) => {
                match happened {
                    Happened::Sent(value) => {
                        self.sent.push(value);
                        history.sent.insert(value);
                    }
                    Happened::Received(value) => {
                        self.received.push(value);
                        *history.received.entry(value).or_insert(0) += 1;
                    }
                    Happened::Ended => self.left = 0,
                }
                self.mine.clear();
            }
        }
    }

    fn begin(&mut self, ends: &[Ends], last: bool, random: &mut Random, history: &mut History) {
        if self.is_done() {
            return;
        }
        if last && self.script.is_none() {
            self.left = 0;
            return;
        }
        self.left -= 1;
        let mut number = || {
            history.next += 1;
            history.next
        };
        let cases: Vec<Case> = match &self.script {
            Some(script) => script.clone(),
            None => (0..=random.below(3))
                .map(|_| {
                    let at = random.below(ends.len() as u64) as usize;
                    match random.below(2) {
                        0 => Case::Send(at, 0),
                        _ => Case::Receive(at),
                    }
                })
                .collect(),
        };
        let name = |case| match case {
            Case::Send(at, _) => Case::Send(at, number()),
            receive => receive,
        };
        let cases: Vec<Case> = cases.into_iter().map(name).collect();
        self.mine = cases
            .iter()
            .filter_map(|case| match case {
                Case::Send(_, value) => Some(*value),
                Case::Receive(_) => None,
            })
            .collect();
        self.at = Some(Box::pin(choose(ends.to_vec(), cases)));
    }

    fn is_done(&self) -> bool {
        self.left == 0 && self.at.is_none()
    }
}

/// One run. How many channels came home comes out.
fn run(seed: u64, returns: bool) -> u32 {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let capacities: Vec<usize> =
        (0..=random.below(3)).map(|_| [0, 0, 1, 3][random.below(4) as usize]).collect();
    let mut world = World::new(random, &capacities);
    for at in 0..world.hosts.len() {
        for _ in 0..1 + world.random.below(2) {
            let left = if returns && at > 0 { 3 } else { u32::MAX };
            world.hosts[at].actors.push(Actor::new(None, left));
        }
    }
    let steps = if returns { 4 * STEPS } else { STEPS };
    let kill_at = if world.random.below(3) == 0 { world.random.below(steps) } else { steps };
    for step in 0..steps {
        if step == kill_at {
            world.kill(1);
        }
        if returns {
            world.come_and_go();
        }
        world.step(false);
    }
    // Whoever waits meets somebody: the client serves every channel from both ends.
    for at in 0..capacities.len() {
        let script = vec![Case::Receive(at), Case::Send(at, 0)];
        world.hosts[0].actors.push(Actor::new(Some(script), 300));
    }
    let is_done = |actor: &Actor| actor.script.is_some() || actor.is_done();
    let mut left = 200 * STEPS;
    while !world.hosts.iter().all(|host| host.is_dead || host.actors.iter().all(is_done)) {
        world.step(true);
        left -= 1;
        assert!(left > 0, "stuck");
    }
    for host in &mut world.hosts {
        for actor in host.actors.drain(..) {
            world.history.unknown.extend(actor.mine);
        }
    }
    // What is in the buffers still.
    for at in 0..capacities.len() {
        world.hosts[0].actors.push(Actor::new(Some(vec![Case::Receive(at)]), u32::MAX));
    }
    for _ in 0..400 * (1 + capacities.len() as u64) {
        world.step(true);
    }
    world.check();
    world.landed
}

#[test]
fn of_each_select_exactly_one_case_happens() {
    for seed in 1..=SEEDS {
        let outcome = std::panic::catch_unwind(|| run(seed, false));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

#[test]
fn selects_go_on_while_their_channels_come_home_and_leave() {
    let mut landed = 0;
    for seed in 1..=SEEDS / 4 {
        let outcome = std::panic::catch_unwind(|| run(seed, true));
        landed += outcome.unwrap_or_else(|_| panic!("seed {seed}"));
    }
    println!("{landed} landings");
    assert!(landed > 100, "{landed}");
}

/// Two selects that would each send what the other receives: one of the two things happens, each
/// time.
#[test]
fn crossing_selects_meet() {
    for seed in 1..=300_u64 {
        let random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut world = World::new(random, &[0, 0]);
        world.cancels = false;
        let scripts =
            [vec![Case::Send(0, 0), Case::Receive(1)], vec![Case::Receive(0), Case::Send(1, 0)]];
        for (at, script) in (1..).zip(scripts) {
            world.hosts[at].actors.push(Actor::new(Some(script), 20));
        }
        world.run_until_done();
        world.check();
        assert_eq!(world.history.sent.len(), 20, "seed {seed}");
    }
}
