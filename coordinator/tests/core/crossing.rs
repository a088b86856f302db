//! Selects that cross, in every order of events: a few selects on as many nodes, links that deliver
//! a frame at a time, a timer of each that may fire and one node that may be fenced at any point.
//! The home is the product's; a node is what `select/choose.rs` and `operation/watch.rs` come to.
//!
//! In each state: a value is taken by one, and only if its select has chosen to send it. In each
//! last state: whoever has sent was taken from, and no two who could meet still wait.
//!
//! Each bug that the protocol's rules prevent is planted once, and found.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::*;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// Values leave with the select, and are called back when another case is chosen.
    NoPrepare,
    /// A select that has prepared a send takes what else it is offered, or its timer.
    NoLock,
}

/// To send on a channel, or to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    S(usize),
    R(usize),
}
use Case::{R, S};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Locked(usize),
    Sent(usize),
    Took(u8),
    TimedOut,
}

#[derive(Debug)]
struct Node {
    session: SessionId,
    cases: &'static [Case],
    token: Token,
    /// What each case is called at the home.
    operations: Vec<u64>,
    next: u64,
    up: VecDeque<Frame>,
    down: VecDeque<Frame>,
    is_fenced: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Up(usize),
    Down(usize),
    Timer(usize),
    Fence(usize),
}

struct World {
    bench: Bench,
    channels: Vec<ChannelId>,
    nodes: Vec<Node>,
    bug: Bug,
    /// How many may still happen.
    fences: usize,
    timers: bool,
}

/// What is to be explored.
#[derive(Clone, Copy)]
struct Setting {
    selects: &'static [&'static [Case]],
    capacity: u32,
    timers: bool,
    fences: usize,
    bug: Bug,
}

impl World {
    fn new(setting: &Setting) -> Self {
        let mut bench = Bench::new(2);
        let channels: Vec<ChannelId> = (0..2).map(|_| bench.channel(setting.capacity)).collect();
        let all: Vec<Passage> = channels.iter().flat_map(|channel| passages(*channel)).collect();
        let mut sessions = vec![CLIENT];
        for number in 1..setting.selects.len() as u64 {
            bench.spawn(0, all.clone());
            sessions.push(bench.worker(number));
        }
        bench.take();
        let node = |(session, cases): (SessionId, &&'static [Case])| Node {
            session,
            cases: *cases,
            token: Token::Open,
            operations: vec![0; cases.len()],
            next: 0,
            up: VecDeque::new(),
            down: VecDeque::new(),
            is_fenced: false,
        };
        let nodes = sessions.into_iter().zip(setting.selects).map(node).collect();
        let Setting { bug, fences, timers, .. } = *setting;
        let mut world = Self { bench, channels, nodes, bug, fences, timers };
        for at in 0..world.nodes.len() {
            world.register(at, None);
        }
        world
    }

    /// Starts all cases but one.
    fn register(&mut self, at: usize, but: Option<usize>) {
        let node = &mut self.nodes[at];
        for (case, what) in node.cases.iter().enumerate().filter(|(case, _)| Some(*case) != but) {
            node.next += 1;
            node.operations[case] = node.next;
            let operation = OperationId(node.next);
            node.up.push_back(match *what {
                R(on) => Frame::Receive { channel: self.channels[on], operation, select: 1 },
                S(on) if self.bug == Bug::NoPrepare => {
                    Frame::Send { channel: self.channels[on], operation, parcel: number(at, case) }
                }
                S(on) => Frame::Watch { channel: self.channels[on], operation, select: 1 },
            });
        }
    }

    fn withdraw(&mut self, at: usize, but: Option<usize>) {
        let node = &mut self.nodes[at];
        for (case, what) in node.cases.iter().enumerate().filter(|(case, _)| Some(*case) != but) {
            let operation = OperationId(node.operations[case]);
            node.up.push_back(match *what {
                R(on) => Frame::Decline { channel: self.channels[on], operation },
                S(on) => Frame::CancelSend { channel: self.channels[on], operation },
            });
        }
    }

    fn hear(&mut self, at: usize, frame: Frame) {
        let Some((operation, case)) = self.case_of(at, &frame) else { return };
        let (token, cases) = (self.nodes[at].token, self.nodes[at].cases);
        let is_open = token == Token::Open
            || self.bug == Bug::NoLock && matches!(token, Token::Locked(other) if other != case);
        let (S(on) | R(on)) = cases[case];
        let channel = self.channels[on];
        match frame {
            Frame::Ready { .. } if token == Token::Open => {
                if self.bug != Bug::NoLock {
                    self.withdraw(at, Some(case));
                }
                let parcel = number(at, case);
                self.nodes[at].up.push_back(Frame::Prepared { channel, operation, parcel });
                self.nodes[at].token = Token::Locked(case);
            }
            Frame::Sent { .. } if token == Token::Locked(case) => {
                self.nodes[at].token = Token::Sent(case);
            }
            // Without a prepare it only learns of it.
            Frame::Sent { .. } if token == Token::Open => {
                self.withdraw(at, Some(case));
                self.nodes[at].token = Token::Sent(case);
            }
            Frame::Aborted { .. } if token == Token::Locked(case) => {
                self.nodes[at].token = Token::Open;
                if self.bug != Bug::NoLock {
                    self.register(at, Some(case));
                }
            }
            Frame::Offer { parcel, .. } if is_open => {
                self.withdraw(at, Some(case));
                self.nodes[at].up.push_back(Frame::Accept { channel, operation });
                self.nodes[at].token = Token::Took(parcel.payload[0]);
            }
            _ => {}
        }
    }

    fn case_of(&self, at: usize, frame: &Frame) -> Option<(OperationId, usize)> {
        let (Frame::Ready { operation }
        | Frame::Sent { operation }
        | Frame::Aborted { operation }
        | Frame::Offer { operation, .. }) = frame
        else {
            return None;
        };
        let mut names = self.nodes[at].operations.iter();
        Some((*operation, names.position(|name| *name == operation.0)?))
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (at, node) in self.nodes.iter().enumerate().filter(|(_, node)| !node.is_fenced) {
            if !node.up.is_empty() {
                steps.push(Step::Up(at));
            }
            if !node.down.is_empty() {
                steps.push(Step::Down(at));
            }
            let is_locked = matches!(node.token, Token::Locked(_)) && self.bug != Bug::NoLock;
            let is_undecided = matches!(node.token, Token::Open | Token::Locked(_));
            if self.timers && is_undecided && !is_locked {
                steps.push(Step::Timer(at));
            }
            if at > 0 && self.fences > 0 {
                steps.push(Step::Fence(at));
            }
        }
        steps
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Up(at) => {
                let frame = self.nodes[at].up.pop_front().expect("it was seen");
                self.bench.frame(self.nodes[at].session, frame);
            }
            Step::Down(at) => {
                let frame = self.nodes[at].down.pop_front().expect("it was seen");
                self.hear(at, frame);
            }
            Step::Timer(at) => {
                self.withdraw(at, None);
                self.nodes[at].token = Token::TimedOut;
            }
            Step::Fence(at) => {
                self.fences -= 1;
                self.nodes[at].is_fenced = true;
                self.bench.die(self.nodes[at].session);
            }
        }
        for command in self.bench.take() {
            match command {
                Command::Send { session, frame } => {
                    let mut nodes = self.nodes.iter_mut();
                    if let Some(node) = nodes.find(|node| node.session == session) {
                        node.down.push_back(frame);
                    }
                }
                Command::Close { session, reason } => {
                    let mut nodes = self.nodes.iter();
                    let is_fenced = nodes.any(|node| node.session == session && node.is_fenced);
                    assert!(is_fenced, "{session} was cut off: {reason}");
                }
                _ => {}
            }
        }
    }

    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{:?}{:?}", self.bench.core, self.nodes).hash(&mut hasher);
        hasher.finish()
    }

    /// What is wrong with this state, if anything is.
    fn fault(&self, is_last: bool) -> Option<String> {
        let alive = || self.nodes.iter().filter(|node| !node.is_fenced);
        let took = |node: &Node| match node.token {
            Token::Took(value) => Some(value),
            _ => None,
        };
        let taken: Vec<u8> = alive().filter_map(took).collect();
        for value in &taken {
            let (sender, case) = (usize::from(value / 10), usize::from(value % 10));
            let sender = &self.nodes[sender];
            let chose = [Token::Locked(case), Token::Sent(case)].contains(&sender.token);
            let may = sender.is_fenced || self.bug == Bug::NoPrepare && sender.token == Token::Open;
            if !chose && !may {
                return Some(format!("{value} was taken, and its select is {:?}", sender.token));
            }
            if taken.iter().filter(|other| *other == value).count() > 1 {
                return Some(format!("{value} was taken twice"));
            }
        }
        if !is_last {
            return None;
        }
        for (at, node) in self.nodes.iter().enumerate().filter(|(_, node)| !node.is_fenced) {
            let is_gone = |case| self.nodes.iter().any(|by| took(by) == Some(number_of(at, case)));
            match node.token {
                Token::Sent(case) if !is_gone(case) => {
                    return Some(format!("what node {at} sent is lost"));
                }
                Token::Locked(_) if self.bug == Bug::None => {
                    return Some(format!("node {at} is locked for ever"));
                }
                _ => {}
            }
        }
        let open = || alive().filter(|node| node.token == Token::Open).enumerate();
        for (one, sender) in open() {
            for (other, receiver) in open().filter(|(other, _)| *other != one) {
                let meet = sender.cases.iter().any(|case| match case {
                    S(on) => receiver.cases.contains(&R(*on)),
                    R(_) => false,
                });
                if meet {
                    return Some(format!("{one} and {other} of those who wait could meet"));
                }
            }
        }
        None
    }
}

fn number_of(at: usize, case: usize) -> u8 {
    (10 * at + case) as u8
}

fn number(at: usize, case: usize) -> Parcel {
    value(number_of(at, case))
}

/// Walks through all states; says how many there are, or what is wrong with one of them.
fn explore(setting: &Setting) -> Result<usize, String> {
    let mut seen = BTreeSet::from([World::new(setting).key()]);
    let mut paths: VecDeque<Vec<Step>> = VecDeque::from([Vec::new()]);
    let replay = |path: &[Step]| {
        let mut world = World::new(setting);
        path.iter().for_each(|step| world.step(*step));
        world
    };
    while let Some(path) = paths.pop_front() {
        let steps = replay(&path).steps();
        for step in steps {
            let next: Vec<Step> = path.iter().copied().chain([step]).collect();
            let world = replay(&next);
            if !seen.insert(world.key()) {
                continue;
            }
            let moves = |step: &Step| matches!(step, Step::Up(_) | Step::Down(_));
            let is_last = !world.steps().iter().any(moves);
            if let Some(fault) = world.fault(is_last) {
                return Err(format!("{fault}, after {next:?}"));
            }
            paths.push_back(next);
        }
    }
    Ok(seen.len())
}

const PLAIN: Setting =
    Setting { selects: &[], capacity: 0, timers: false, fences: 0, bug: Bug::None };

#[track_caller]
fn holds(setting: Setting, states_min: usize) {
    let states = explore(&setting).unwrap();
    println!("{states} states");
    assert!(states >= states_min, "only {states} states");
}

/// {send a | receive b} x {receive a | send b}: each would serve the other.
#[test]
fn two_crossing_selects() {
    let selects: &[&[Case]] = &[&[S(0), R(1)], &[R(0), S(1)]];
    holds(Setting { selects, ..PLAIN }, 50);
    holds(Setting { selects, timers: true, fences: 1, ..PLAIN }, 500);
}

/// The same with a third who takes one side.
#[test]
fn a_third_receiver() {
    let selects: &[&[Case]] = &[&[S(0), R(1)], &[R(0), S(1)], &[R(0)]];
    holds(Setting { selects, ..PLAIN }, 200);
    holds(Setting { selects, fences: 1, ..PLAIN }, 500);
}

/// A select that would send on either of two channels, to one receiver each.
#[test]
fn one_sender_and_two_receivers() {
    let selects: &[&[Case]] = &[&[S(0), S(1)], &[R(0)], &[R(1)]];
    holds(Setting { selects, fences: 1, timers: true, ..PLAIN }, 500);
}

/// No two of them may be matched with themselves.
#[test]
fn a_select_on_both_ends_of_one_channel() {
    let selects: &[&[Case]] = &[&[S(0), R(0)], &[S(0), R(0)]];
    holds(Setting { selects, timers: true, fences: 1, ..PLAIN }, 200);
}

#[test]
fn planted_bugs_are_found() {
    let selects: &[&[Case]] = &[&[S(0), S(1)], &[R(0)], &[R(1)]];
    let found = explore(&Setting { selects, bug: Bug::NoPrepare, timers: true, ..PLAIN });
    let fault = found.unwrap_err();
    assert!(fault.contains("was taken") || fault.contains("lost"), "{fault}");
    let selects: &[&[Case]] = &[&[S(0), R(1)], &[R(0), S(1)], &[R(0)]];
    let found = explore(&Setting { selects, bug: Bug::NoLock, timers: true, ..PLAIN });
    let fault = found.unwrap_err();
    assert!(fault.contains("was taken"), "{fault}");
}
