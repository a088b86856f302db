//! Legal histories: tasks that do random things on a sequential channel, under a random schedule.
//!
//! Each operation is invoked, takes effect and returns at three instants of a clock that often
//! stands still. Sessions may be fenced: their tasks stop where they are, what they took without
//! acknowledging it goes back, and of what they sent a suffix may never have arrived.

use std::collections::{BTreeMap, VecDeque};

use crate::history::{Channel, History};
use crate::record::{Kind, Outcome, Record, ValueId};
use crate::witness::Commit;

/// What a history is made of.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// At least so many operations.
    pub operations: usize,
    /// Channels; their capacities are drawn from 0 to `capacity_max`.
    pub channels: u32,
    /// The largest capacity.
    pub capacity_max: u32,
    /// The smallest capacity.
    pub capacity_min: u32,
    /// Tasks at one time.
    pub tasks: u32,
    /// Sessions at one time, over which they are spread; session 0 is never fenced.
    pub sessions: u32,
    /// Whether tasks give operations up and select.
    pub whims: bool,
    /// One close in so many operations; 0 is none before the end.
    pub closes: u32,
    /// One fence in so many operations; 0 is none.
    pub fences: u32,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            operations: 2000,
            channels: 4,
            capacity_max: 4,
            capacity_min: 0,
            tasks: 12,
            sessions: 4,
            whims: true,
            closes: 500,
            fences: 0,
        }
    }
}

/// Makes a history, and the log of its home.
pub fn generate(seed: u64, mix: &Mix) -> (History, Vec<Commit>) {
    let mut run = Run::new(seed, *mix);
    while run.records.len() < mix.operations {
        run.step();
    }
    run.finish()
}

/// A small generator of random numbers (SplitMix64), the same on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound above 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u32
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: u32) -> bool {
        times > 0 && self.below(times) == 0
    }
}

#[derive(Default)]
struct Queue {
    capacity: u32,
    values: BTreeMap<u64, ValueId>,
    places: BTreeMap<ValueId, u64>,
    next: u64,
    closed: bool,
}

enum State {
    Idle,
    /// These records have begun: one, or the cases of a select.
    Begun(Vec<usize>),
    /// This one took effect, with this outcome.
    Done(Vec<usize>, usize, Outcome),
}

struct Task {
    name: u32,
    session: u32,
    state: State,
    numbers: BTreeMap<u32, u32>,
    selects: u32,
    /// The record of its last take, if its session has sent nothing since.
    last_take: Option<usize>,
}

struct Run {
    random: Random,
    mix: Mix,
    now: u64,
    records: Vec<Record>,
    log: Vec<Commit>,
    queues: Vec<Queue>,
    tasks: Vec<Task>,
    /// What each session sent, in order.
    sent: BTreeMap<u32, VecDeque<(u32, ValueId)>>,
    history: History,
    names: u32,
    sessions: u32,
}

impl Run {
    fn new(seed: u64, mix: Mix) -> Self {
        let mut random = Random::new(seed);
        let mut history = History { settled: true, ..History::default() };
        let mut queues = Vec::new();
        for id in 0..mix.channels {
            let span = mix.capacity_max + 1 - mix.capacity_min;
            let capacity = mix.capacity_min + random.below(span);
            history.channels.push(Channel { id, capacity, held: true });
            queues.push(Queue { capacity, ..Queue::default() });
        }
        let mut run = Self {
            random,
            mix,
            now: 0,
            records: Vec::with_capacity(mix.operations + 64),
            log: Vec::new(),
            queues,
            tasks: Vec::new(),
            sent: BTreeMap::new(),
            history,
            names: 0,
            sessions: mix.sessions,
        };
        for at in 0..mix.tasks {
            let task = run.new_task(at % mix.sessions.max(1));
            run.tasks.push(task);
        }
        run
    }

    fn new_task(&mut self, session: u32) -> Task {
        self.names += 1;
        let (numbers, state) = (BTreeMap::new(), State::Idle);
        Task { name: self.names, session, state, numbers, selects: 0, last_take: None }
    }

    fn step(&mut self) {
        self.now += u64::from(self.random.below(3));
        let at = self.random.below(self.tasks.len() as u32) as usize;
        match self.tasks[at].state {
            State::Idle => self.begin(at),
            State::Begun(_) => self.attempt(at),
            State::Done(..) => self.end(at),
        }
        if self.mix.fences > 0 && self.random.once_in(self.mix.fences * 3) {
            self.fence();
        }
    }

    fn begin(&mut self, at: usize) {
        let selects = self.mix.whims && self.random.once_in(6);
        // Two tasks never wait: they bring on the others.
        let waiting = self.tasks.iter().filter(|task| matches!(task.state, State::Begun(_)));
        let waits = waiting.count() + 2 < self.tasks.len() && !self.random.once_in(6);
        let count = if selects { 2 + self.random.below(2) } else { 1 };
        let select = if selects { self.tasks[at].selects + 1 } else { 0 };
        self.tasks[at].selects = self.tasks[at].selects.max(select);
        let mut cases = Vec::new();
        for _ in 0..count {
            let channel = self.random.below(self.mix.channels);
            let kind = match (self.random.below(2), waits) {
                _ if !selects && self.random.once_in(self.mix.closes) => Kind::Close,
                (0, true) => Kind::Send,
                (0, false) => Kind::TrySend,
                (_, true) => Kind::Receive,
                (_, false) => Kind::TryReceive,
            };
            cases.push(self.record(at, channel, kind, select));
        }
        self.tasks[at].state = State::Begun(cases);
    }

    fn record(&mut self, at: usize, channel: u32, kind: Kind, select: u32) -> usize {
        let task = &mut self.tasks[at];
        let mut record = Record::begun(channel, task.name, task.session, kind, self.now);
        record.select = select;
        if record.is_send() {
            let number = task.numbers.entry(channel).or_insert(0);
            *number += 1;
            record.value = Some(ValueId { task: task.name, number: *number });
        }
        self.records.push(record);
        self.records.len() - 1
    }

    fn attempt(&mut self, at: usize) {
        let State::Begun(cases) = &self.tasks[at].state else { return };
        let cases = cases.clone();
        let first = self.random.below(cases.len() as u32) as usize;
        for turn in 0..cases.len() {
            let case = cases[(first + turn) % cases.len()];
            if let Some(outcome) = self.try_case(at, case) {
                self.tasks[at].state = State::Done(cases, case, outcome);
                return;
            }
        }
        let kind = self.records[cases[0]].kind;
        if matches!(kind, Kind::TrySend | Kind::TryReceive) {
            self.tasks[at].state = State::Done(cases, usize::MAX, Outcome::WouldBlock);
        } else if self.mix.whims && self.random.once_in(8) {
            self.tasks[at].state = State::Done(cases, usize::MAX, Outcome::Cancelled);
        }
    }

    /// Whether this case can take effect now, and with which outcome.
    fn try_case(&mut self, at: usize, case: usize) -> Option<Outcome> {
        let record = self.records[case];
        let channel = record.channel;
        let queue = &mut self.queues[channel as usize];
        match record.kind {
            Kind::Close => {
                let first = !std::mem::replace(&mut queue.closed, true);
                if first {
                    self.log.push(Commit::End { channel });
                }
                Some(if first { Outcome::Ok } else { Outcome::AlreadyClosed })
            }
            Kind::Send | Kind::TrySend => {
                if queue.closed {
                    return Some(Outcome::Closed);
                }
                let value = record.value?;
                if queue.capacity == 0 {
                    let (partner, receive) = self.partner(at, channel, Record::is_receive)?;
                    self.meet(at, value, partner, receive);
                    self.commit_partner(partner, receive);
                    return Some(Outcome::Ok);
                }
                if queue.values.len() >= queue.capacity as usize {
                    return None;
                }
                self.put(at, channel, value);
                Some(Outcome::Ok)
            }
            Kind::Receive | Kind::TryReceive => {
                if queue.capacity == 0 && !queue.closed {
                    let (partner, send) = self.partner(at, channel, Record::is_send)?;
                    let value = self.records[send].value?;
                    self.meet(partner, value, at, case);
                    self.commit_partner(partner, send);
                    return Some(Outcome::Ok);
                }
                match queue.values.pop_first() {
                    Some((_, value)) => {
                        self.take(at, case, value);
                        Some(Outcome::Ok)
                    }
                    None => queue.closed.then_some(Outcome::Closed),
                }
            }
        }
    }

    fn put(&mut self, at: usize, channel: u32, value: ValueId) {
        let queue = &mut self.queues[channel as usize];
        queue.values.insert(queue.next, value);
        queue.places.insert(value, queue.next);
        queue.next += 1;
        self.log.push(Commit::Send { channel, value });
        let session = self.tasks[at].session;
        if session != 0 && self.mix.fences > 0 {
            self.sent.entry(session).or_default().push_back((channel, value));
            let of_session = self.tasks.iter_mut().filter(|task| task.session == session);
            of_session.for_each(|task| task.last_take = None);
        }
    }

    fn take(&mut self, at: usize, case: usize, value: ValueId) {
        self.records[case].value = Some(value);
        self.tasks[at].last_take = Some(case);
        let (channel, session) = (self.records[case].channel, self.tasks[at].session);
        self.log.push(Commit::Take { channel, value, session });
    }

    /// With capacity 0: a value goes from one task to another.
    fn meet(&mut self, from: usize, value: ValueId, to: usize, receive: usize) {
        self.put(from, self.records[receive].channel, value);
        self.queues[self.records[receive].channel as usize].values.pop_first();
        self.take(to, receive, value);
    }

    fn commit_partner(&mut self, partner: usize, case: usize) {
        if let State::Begun(cases) = &self.tasks[partner].state {
            self.tasks[partner].state = State::Done(cases.clone(), case, Outcome::Ok);
        }
    }

    /// Another task that waits on the other side of a rendezvous.
    fn partner(
        &mut self,
        at: usize,
        channel: u32,
        is_side: impl Fn(&Record) -> bool,
    ) -> Option<(usize, usize)> {
        let count = self.tasks.len();
        let first = self.random.below(count as u32) as usize;
        let others = (0..count).map(|turn| (first + turn) % count).filter(|other| *other != at);
        let waits = |case: &usize| {
            let record = &self.records[*case];
            let waits = matches!(record.kind, Kind::Send | Kind::Receive);
            record.channel == channel && waits && is_side(record)
        };
        let found = |other: usize| match &self.tasks[other].state {
            State::Begun(cases) => cases.iter().find(|case| waits(case)).map(|case| (other, *case)),
            _ => None,
        };
        others.into_iter().find_map(found)
    }

    fn end(&mut self, at: usize) {
        let state = std::mem::replace(&mut self.tasks[at].state, State::Idle);
        let State::Done(cases, chosen, outcome) = state else { return };
        for case in cases {
            let record = &mut self.records[case];
            record.returned = self.now;
            record.outcome = match chosen {
                usize::MAX => outcome,
                chosen if chosen == case => outcome,
                _ => Outcome::NotChosen,
            };
        }
    }

    /// Ends a session, and begins another in its place.
    fn fence(&mut self) {
        let live: Vec<u32> =
            self.tasks.iter().map(|task| task.session).filter(|s| *s > 0).collect();
        if live.is_empty() {
            return;
        }
        let session = live[self.random.below(live.len() as u32) as usize];
        self.history.fenced.insert(session);
        // Sends that never arrived, though they had returned.
        let mut sent = self.sent.remove(&session).unwrap_or_default();
        while let Some((channel, value)) = sent.pop_back() {
            let queue = &mut self.queues[channel as usize];
            let Some(place) = queue.places.get(&value) else { break };
            if self.random.once_in(3) || queue.values.remove(place).is_none() {
                break;
            }
            self.log.push(Commit::Unsend { channel, value });
        }
        self.sessions += 1;
        let next = self.sessions;
        for at in 0..self.tasks.len() {
            if self.tasks[at].session == session {
                // What it took and did not acknowledge returns.
                if let Some(take) = self.tasks[at].last_take.filter(|_| self.random.once_in(2)) {
                    self.untake(take);
                }
                self.tasks[at] = self.new_task(next);
            }
        }
    }

    fn untake(&mut self, take: usize) {
        let Record { channel, value: Some(value), .. } = self.records[take] else { return };
        let queue = &mut self.queues[channel as usize];
        let Some(place) = queue.places.get(&value) else { return };
        // With an offer out, nobody would have been told that a closed channel is empty.
        if queue.capacity == 0 || queue.closed {
            return;
        }
        queue.values.insert(*place, value);
        self.log.push(Commit::Untake { channel, value });
    }

    /// Lets everybody finish, closes every channel, and takes what is left.
    fn finish(mut self) -> (History, Vec<Commit>) {
        let closer = self.new_task(0);
        self.tasks.push(closer);
        let closer = self.tasks.len() - 1;
        for channel in 0..self.mix.channels {
            let close = self.record(closer, channel, Kind::Close, 0);
            self.run_to_end(closer, close);
        }
        while let Some(at) = self.tasks.iter().position(|t| !matches!(t.state, State::Idle)) {
            self.now += 1;
            match self.tasks[at].state {
                State::Begun(_) => self.attempt(at),
                _ => self.end(at),
            }
        }
        for channel in 0..self.mix.channels {
            loop {
                let receive = self.record(closer, channel, Kind::Receive, 0);
                self.run_to_end(closer, receive);
                if self.records[receive].outcome != Outcome::Ok {
                    break;
                }
            }
        }
        self.history.records = self.records;
        for record in &mut self.history.records {
            // What the dead had not got back, they do not know.
            if record.outcome == Outcome::Pending && record.is_receive() {
                record.value = None;
            }
        }
        (self.history, self.log)
    }

    fn run_to_end(&mut self, at: usize, case: usize) {
        self.tasks[at].state = State::Begun(vec![case]);
        self.now += 1;
        self.attempt(at);
        self.now += 1;
        self.end(at);
    }
}
