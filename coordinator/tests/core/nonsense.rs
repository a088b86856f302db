//! Frames at random from nodes that keep the rules, mostly: nothing panics, and nothing stays.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Steps of one history.
const STEPS: u64 = 300;
const CHANNELS: u64 = 12;

/// One history, by its seed: numbers that are random enough, and what the nodes know.
struct History {
    random: u64,
    bench: Bench,
    nodes: Vec<SessionId>,
    /// Handles that a node had at least once and has not given back.
    handles: BTreeSet<(SessionId, ChannelId, Side)>,
    receives: BTreeMap<OperationId, ChannelId>,
    offers: Vec<(SessionId, OperationId, Parcel)>,
    leases: BTreeSet<OperationId>,
    runs: Vec<(SessionId, TaskId, u32)>,
}

impl History {
    fn new(seed: u64) -> Self {
        Self {
            random: seed,
            bench: Bench::new(3),
            nodes: vec![CLIENT],
            handles: BTreeSet::new(),
            receives: BTreeMap::new(),
            offers: Vec::new(),
            leases: BTreeSet::new(),
            runs: Vec::new(),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random =
            self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767);
        (self.random >> 33) as usize % bound
    }

    /// A handle that a node has, or, seldom, that it may not have.
    fn handle(&mut self, node: SessionId) -> (ChannelId, Side) {
        let own: Vec<_> = self.handles.iter().filter(|(whose, ..)| *whose == node).collect();
        let own: Vec<_> = own.into_iter().map(|(_, channel, side)| (*channel, *side)).collect();
        if own.is_empty() || self.below(500) == 0 {
            let channel = ChannelId(self.below(CHANNELS as usize) as u128);
            return (channel, [Side::Send, Side::Receive][self.below(2)]);
        }
        own[self.below(own.len())]
    }

    /// A value, with handles only of channels that are younger than the one it is to be in: two
    /// channels in each other's buffers keep each other.
    fn parcel(&mut self, node: SessionId, carrier: ChannelId) -> Parcel {
        let handles = [0, 0, 1, 2][self.below(4)];
        let handles: Vec<_> = (0..handles).map(|_| self.handle(node)).collect();
        let younger = handles.into_iter().filter(|(channel, _)| *channel > carrier);
        let passages = younger.map(|(channel, side)| Passage { channel, side, capacity: 1 });
        Parcel { passages: passages.collect(), ..value(1) }
    }

    fn export(&mut self, node: SessionId) -> Frame {
        self.bench.next += 1;
        let channel = ChannelId(self.bench.next);
        let [senders, receivers] =
            [(1, 1), (1, 0), (0, 1), (1, 1)].map(|(one, other)| [one, other])[self.below(4)];
        for (side, count) in [(Side::Send, senders), (Side::Receive, receivers)] {
            if count > 0 {
                self.handles.insert((node, channel, side));
            }
        }
        Frame::Export { channel, capacity: self.below(3) as u32, senders, receivers }
    }

    fn spawn(&mut self, node: SessionId) -> Frame {
        self.bench.next += 1;
        let (task, result) = (TaskId(self.bench.next), ChannelId(self.bench.next));
        let (retries, arguments) = (self.below(2) as u32, self.parcel(node, ChannelId(0)));
        self.handles.insert((node, result, Side::Receive));
        let options = SpawnOptions { retries, ..SpawnOptions::default() };
        Frame::Spawn { task, name: String::new(), signature: 0, options, result, arguments }
    }

    /// An answer to an offer, or, seldom, to none.
    fn answer(&mut self, node: SessionId) -> Frame {
        let mine = self.offers.iter().position(|(whose, ..)| *whose == node);
        let Some(at) = mine else {
            let (channel, _) = self.handle(node);
            return Frame::Decline { channel, operation: OperationId(self.below(50) as u64) };
        };
        let (_, operation, parcel) = self.offers.remove(at);
        let channel = self.receives[&operation];
        match self.below(6) {
            0 | 1 => return Frame::Decline { channel, operation },
            // It is to be answered again.
            2 if self.leases.insert(operation) => {
                for Passage { channel, side, .. } in &parcel.passages {
                    self.handles.insert((node, *channel, *side));
                }
                self.offers.push((node, operation, parcel));
                return Frame::Lease { channel, operation };
            }
            _ => {}
        }
        for Passage { channel, side, .. } in parcel.passages {
            self.handles.insert((node, channel, side));
        }
        Frame::Accept { channel, operation }
    }

    /// The end of a task, or its return, or the beginning of a worker's end.
    fn finished(&mut self, node: SessionId) -> Frame {
        if node != CLIENT && self.below(20) == 0 {
            return Frame::Draining { reason: String::new() };
        }
        let mine = self.runs.iter().position(|(whose, ..)| *whose == node);
        if let Some((_, task, attempt)) = mine.map(|at| self.runs[at])
            && self.below(20) == 0
        {
            let (ran_ms, life_ms) = (self.below(3) as u64, self.below(3) as u64);
            return Frame::CutOff { task, attempt, ran_ms, life_ms };
        }
        let (task, attempt) = mine.map_or((TaskId(1), 1), |at| {
            let (_, task, attempt) = self.runs.remove(at);
            (task, attempt)
        });
        if self.below(5) == 0 {
            let arguments = self.parcel(node, ChannelId(0));
            return Frame::Unstarted { task, attempt, arguments };
        }
        let outcome = self.parcel(node, ChannelId(task.0));
        Frame::Finished { task, attempt, outcome, usage: Usage::default() }
    }

    fn frame(&mut self, node: SessionId) -> Frame {
        if !self.handles.iter().any(|(whose, ..)| *whose == node) {
            return self.export(node);
        }
        self.bench.next += 1;
        let operation = OperationId(self.bench.next as u64);
        let (channel, side) = self.handle(node);
        match self.below(26) {
            0..3 => self.export(node),
            3 if self.below(20) == 0 => {
                Frame::Restore { channel, parcel: self.parcel(node, channel) }
            }
            3..14 if side == Side::Send => {
                Frame::Send { channel, operation, parcel: self.parcel(node, channel) }
            }
            3..14 => {
                self.receives.insert(operation, channel);
                Frame::Receive { channel, operation, select: 0 }
            }
            14..18 => self.answer(node),
            18 => Frame::CancelSend { channel, operation: OperationId(operation.0 - 1) },
            19 if side == Side::Send => Frame::Close { channel, operation },
            19..21 => {
                self.handles.remove(&(node, channel, side));
                Frame::Detach { channel, side, arrivals: 1 }
            }
            21..23 => self.spawn(node),
            23 => Frame::Abort {
                task: TaskId(self.bench.next.saturating_sub(self.below(20) as u128)),
            },
            _ => self.finished(node),
        }
    }

    fn gone(&mut self, node: SessionId) {
        self.nodes.retain(|other| *other != node);
        self.handles.retain(|(whose, ..)| *whose != node);
        self.offers.retain(|(whose, ..)| *whose != node);
        self.runs.retain(|(whose, ..)| *whose != node);
    }

    fn learn(&mut self, command: Command) {
        match command {
            Command::Launch { launch } if self.below(4) > 0 => {
                let worker = self.bench.worker(launch);
                self.nodes.push(worker);
            }
            Command::Launch { launch } => {
                self.bench.event(Event::LaunchEnded { launch, cause: "no".to_owned() });
            }
            Command::Close { session, .. } => self.gone(session),
            Command::Send { session, frame: Frame::Offer { operation, parcel, .. } } => {
                self.offers.push((session, operation, parcel));
            }
            Command::Send { session, frame: Frame::Run { task, attempt, arguments, .. } } => {
                self.runs.push((session, task, attempt));
                for Passage { channel, side, .. } in arguments.passages {
                    self.handles.insert((session, channel, side));
                }
            }
            _ => {}
        }
    }

    /// Goes on until the client is gone; says how many frames that were.
    fn run(&mut self) -> u64 {
        let mut steps = 0;
        while self.nodes.contains(&CLIENT) && steps < STEPS {
            steps += 1;
            let at = self.below(self.nodes.len());
            let node = self.nodes[at];
            if node != CLIENT && self.below(50) == 0 {
                self.gone(node);
                self.bench.die(node);
            } else {
                let frame = self.frame(node);
                self.bench.frame(node, frame);
            }
            while !self.bench.commands.is_empty() {
                self.bench.take().into_iter().for_each(|command| self.learn(command));
            }
        }
        self.bench.die(CLIENT);
        steps
    }
}

#[test]
fn nothing_panics_and_nothing_stays() {
    let mut steps = 0;
    for seed in 0..1000 {
        let mut history = History::new(seed);
        steps += history.run();
        assert_eq!(history.bench.core.channels(), 0, "seed {seed}");
        assert_eq!(history.bench.core.load(), Default::default(), "seed {seed}");
    }
    assert!(steps > 1000 * STEPS / 4, "the histories are long enough: {steps}");
}
