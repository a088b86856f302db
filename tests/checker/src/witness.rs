//! The grey-box check: the home logs its commits in order, and that log must explain what the tasks
//! saw. It needs no search and leaves no gap, and the log need not be trusted: a log that does not
//! fit the records, or is no run of a channel, is a violation.
//!
//! A value on offer is *taken* at the moment of the offer. If the receive gives it up it is
//! *untaken*: it goes back to its old place. A send that waits and whose value is offered past the
//! buffer is committed with the offer, and *unsent* if that comes back.
//!
//! What a session does under liberties it may do before the home hears of it, or have been given
//! before it asks. Then the log says so: for such a step the instant is not that of the operation,
//! but its place in the order is, for nobody else may send, or receive, meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::History;
use crate::record::{Outcome, Record, ValueId};
use crate::report::{Report, Rule, Violation};

/// One step of the home.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Commit {
    /// A value entered a channel.
    Send {
        /// The channel.
        channel: u32,
        /// The value.
        value: ValueId,
    },
    /// A value entered a channel under a credit: its send may have returned long ago.
    Prepaid {
        /// The channel.
        channel: u32,
        /// The value.
        value: ValueId,
    },
    /// A value went to a session that keeps receiving: the receive may begin later.
    Early {
        /// The channel.
        channel: u32,
        /// The value.
        value: ValueId,
        /// Whose receive.
        session: u32,
    },
    /// A send is taken back, with its value.
    Unsend {
        /// The channel.
        channel: u32,
        /// The value.
        value: ValueId,
    },
    /// A value went to a receive.
    Take {
        /// The channel.
        channel: u32,
        /// The value.
        value: ValueId,
        /// Whose receive.
        session: u32,
    },
    /// It came back.
    Untake {
        /// The channel.
        channel: u32,
        /// The value.
        value: ValueId,
    },
    /// The channel ended.
    End {
        /// The channel.
        channel: u32,
    },
}

impl Commit {
    /// On which channel.
    pub fn channel(&self) -> u32 {
        match *self {
            Self::Send { channel, .. }
            | Self::Prepaid { channel, .. }
            | Self::Early { channel, .. }
            | Self::Unsend { channel, .. }
            | Self::Take { channel, .. }
            | Self::Untake { channel, .. }
            | Self::End { channel } => channel,
        }
    }
}

/// The sequential channel.
#[derive(Default)]
struct Model {
    capacity: usize,
    /// Values by the order of their sends.
    queue: BTreeMap<u64, ValueId>,
    /// Where those stand that are inside, or may come back.
    places: BTreeMap<ValueId, u64>,
    next: u64,
    /// The latest beginning of a send whose value has entered.
    sent: u64,
    /// The latest instant at which it can have ended and been emptied.
    ended: Option<u64>,
}

/// Checks the home's log against the records. Channels that the log does not name are not looked
/// at: their home was elsewhere.
pub fn witness(history: &History, log: &[Commit]) -> Vec<Violation> {
    let mut check = Check::new(history, log);
    let undone = undone(log);
    for (at, commit) in log.iter().enumerate() {
        check.step(at, commit, log.get(at + 1), !undone[at]);
    }
    check.results();
    check.report.into_found()
}

/// Which steps were taken back later.
fn undone(log: &[Commit]) -> Vec<bool> {
    let mut undone = vec![false; log.len()];
    let (mut sends, mut takes) = (BTreeSet::new(), BTreeSet::new());
    for (at, commit) in log.iter().enumerate().rev() {
        undone[at] = match *commit {
            Commit::Untake { channel, value } => takes.insert((channel, value)),
            Commit::Unsend { channel, value } => sends.insert((channel, value)),
            Commit::Take { channel, value, .. } | Commit::Early { channel, value, .. } => {
                takes.remove(&(channel, value))
            }
            Commit::Send { channel, value } | Commit::Prepaid { channel, value } => {
                sends.remove(&(channel, value))
            }
            Commit::End { .. } => false,
        };
    }
    undone
}

type Key = (u32, ValueId);

/// When a step was taken, as seen by who asked for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// Within the operation.
    Now,
    AnyTime,
}

struct Check<'h> {
    history: &'h History,
    report: Report,
    models: BTreeMap<u32, Model>,
    /// By value; receives by value and session.
    sends: Vec<(Key, u32, &'h Record)>,
    takes: Vec<(Key, u32, &'h Record)>,
    /// For each step of the log, the operation that it is the effect of.
    found: Vec<Option<usize>>,
    /// Which of them the log commits.
    sent: Vec<bool>,
    taken: Vec<bool>,
    now: u64,
}

impl<'h> Check<'h> {
    fn new(history: &'h History, log: &[Commit]) -> Self {
        let mut sends = Vec::new();
        let mut takes = Vec::new();
        for record in &history.records {
            let Some(value) = record.value else { continue };
            if record.is_send() {
                sends.push(((record.channel, value), 0, record));
            } else if record.is_take() {
                takes.push(((record.channel, value), record.session, record));
            }
        }
        sends.sort_unstable_by_key(|(key, session, _)| (*key, *session));
        takes.sort_unstable_by_key(|(key, session, _)| (*key, *session));
        let mut found = vec![None; log.len()];
        find(log, &sends, &mut found, |commit| match *commit {
            Commit::Send { channel, value } | Commit::Prepaid { channel, value } => {
                Some(((channel, value), 0))
            }
            _ => None,
        });
        find(log, &takes, &mut found, |commit| match *commit {
            Commit::Take { channel, value, session }
            | Commit::Early { channel, value, session } => Some(((channel, value), session)),
            _ => None,
        });
        let mut models: BTreeMap<u32, Model> = BTreeMap::new();
        for channel in log.iter().map(Commit::channel) {
            models.entry(channel).or_insert_with(|| {
                let known = history.channels.iter().find(|known| known.id == channel);
                let capacity = known.map_or(usize::MAX, |known| known.capacity as usize);
                Model { capacity, ..Model::default() }
            });
        }
        let (sent, taken) = (vec![false; sends.len()], vec![false; takes.len()]);
        let report = Report::default();
        Self { history, report, models, sends, takes, found, sent, taken, now: 0 }
    }

    fn add(&mut self, channel: u32, record: Option<&Record>, what: String) {
        let what = format!("channel {channel}: {what}");
        self.report.add(Rule::Witness, channel, record, || what);
    }

    /// One step; `stays` says that it was not taken back.
    fn step(&mut self, at: usize, commit: &Commit, next: Option<&Commit>, stays: bool) {
        let channel = commit.channel();
        match *commit {
            Commit::Send { value, .. } => {
                self.on_send(at, (channel, value), next, (stays, When::Now));
            }
            Commit::Prepaid { value, .. } => {
                self.on_send(at, (channel, value), next, (stays, When::AnyTime));
            }
            Commit::Take { value, session, .. } => {
                self.on_take(at, (channel, value), session, (stays, When::Now));
            }
            Commit::Early { value, session, .. } => {
                self.on_take(at, (channel, value), session, (stays, When::AnyTime));
            }
            Commit::Untake { value, .. } => {
                let model = self.models.entry(channel).or_default();
                match model.places.get(&value) {
                    Some(place) => drop(model.queue.insert(*place, value)),
                    None => self.add(channel, None, format!("{value} returned from nowhere")),
                }
            }
            Commit::Unsend { value, .. } => {
                let model = self.models.entry(channel).or_default();
                if let Some(place) = model.places.remove(&value) {
                    model.queue.remove(&place);
                }
            }
            Commit::End { .. } => {
                let now = self.now;
                let model = self.models.entry(channel).or_default();
                model.ended = model.ended.or(Some(now));
            }
        }
    }

    fn on_send(
        &mut self,
        at: usize,
        (channel, value): Key,
        next: Option<&Commit>,
        (stays, when): (bool, When),
    ) {
        let passes = match next {
            Some(
                Commit::Take { channel: c, value: v, .. }
                | Commit::Early { channel: c, value: v, .. },
            ) => (*c, *v) == (channel, value),
            _ => false,
        };
        let model = self.models.entry(channel).or_default();
        let (inside, ended) = (model.queue.len(), model.ended.is_some());
        let capacity = model.capacity;
        model.queue.insert(model.next, value);
        model.places.insert(value, model.next);
        model.next += 1;
        let at = self.found[at];
        let send = at.map(|at| self.sends[at].2);
        if ended {
            self.add(channel, send, format!("{value} entered after the end"));
        }
        if inside >= capacity && !(passes && inside == 0) {
            self.add(channel, send, format!("{value} entered where {inside} of {capacity} were"));
        }
        let (Some(send), Some(at)) = (send, at) else {
            return self.add(channel, None, format!("{value} entered, and nobody sent it"));
        };
        if stays {
            self.sent[at] = true;
            self.in_order_of_sends(send);
            match when {
                When::Now => self.place(send),
                When::AnyTime => self.now = self.now.max(send.invoked),
            }
            if matches!(send.outcome, Outcome::Closed | Outcome::WouldBlock | Outcome::NotChosen) {
                self.add(channel, Some(send), format!("{value} entered, and its send failed"));
            }
        }
    }

    /// Whatever its instant, it entered before all whose sends began when its own had returned.
    fn in_order_of_sends(&mut self, send: &Record) {
        let Some(model) = self.models.get_mut(&send.channel) else { return };
        let is_late = model.sent > send.returned && send.outcome == Outcome::Ok;
        model.sent = model.sent.max(send.invoked);
        if is_late {
            let what = "a value entered after one that was sent later".to_owned();
            self.add(send.channel, Some(send), what);
        }
    }

    fn on_take(
        &mut self,
        at: usize,
        (channel, value): Key,
        session: u32,
        (stays, when): (bool, When),
    ) {
        let model = self.models.entry(channel).or_default();
        let first = model.queue.iter().next().map(|(place, value)| (*place, *value));
        if let Some(place) = model.places.get(&value) {
            model.queue.remove(place);
        }
        if stays {
            model.places.remove(&value);
        }
        let at = self.found[at];
        let take = at.map(|at| self.takes[at].2);
        match first {
            Some((_, first)) if first == value => {}
            Some((_, first)) => {
                self.add(channel, take, format!("{value} left while {first} was in front of it"));
            }
            None => self.add(channel, take, format!("{value} left an empty channel")),
        }
        if !stays {
            return;
        }
        if let Some(at) = at {
            self.taken[at] = true;
        }
        match take {
            Some(take) if when == When::Now => self.place(take),
            Some(_) => {}
            None if self.history.is_fenced(session) => {}
            None => {
                self.add(
                    channel,
                    None,
                    format!("{value} went to session {session}: no task knows"),
                );
            }
        }
        let now = self.now;
        if let Some(model) = self.models.get_mut(&channel) {
            model.ended = model.ended.map(|_| now);
        }
    }

    /// The step happened within the operation. One that was given up may still be under way.
    fn place(&mut self, record: &Record) {
        self.now = self.now.max(record.invoked);
        if self.now > record.returned && record.outcome != Outcome::Cancelled {
            let what = format!("an operation took effect at {}, outside of it", self.now);
            self.add(record.channel, Some(record), what);
        }
    }

    /// What the tasks were told is what happened.
    fn results(&mut self) {
        let sends: Vec<_> =
            self.sends.iter().zip(&self.sent).map(|(s, known)| (s.2, *known)).collect();
        let takes: Vec<_> =
            self.takes.iter().zip(&self.taken).map(|(t, known)| (t.2, *known)).collect();
        for (record, known) in sends.into_iter().chain(takes) {
            if record.outcome == Outcome::Ok && !known && self.is_looked_at(record) {
                let what = "an operation that the home knows not".to_owned();
                self.add(record.channel, Some(record), what);
            }
        }
        for record in &self.history.records {
            let says_ended = matches!(record.outcome, Outcome::Closed | Outcome::Lost);
            if !record.is_receive() || !says_ended || !self.is_looked_at(record) {
                continue;
            }
            let model = self.models.get(&record.channel);
            if model.and_then(|model| model.ended).is_none_or(|ended| ended > record.returned) {
                let what = "an end that the home knows not".to_owned();
                self.add(record.channel, Some(record), what);
            }
        }
    }

    fn is_looked_at(&self, record: &Record) -> bool {
        self.models.contains_key(&record.channel) && !self.history.is_fenced(record.session)
    }
}

/// Finds the operation of each step: both sides are sorted, and one walk goes along them.
fn find(
    log: &[Commit],
    records: &[(Key, u32, &Record)],
    found: &mut [Option<usize>],
    key_of: impl Fn(&Commit) -> Option<(Key, u32)>,
) {
    let keys = log.iter().enumerate().filter_map(|(at, commit)| Some((key_of(commit)?, at)));
    let mut keys: Vec<((Key, u32), usize)> = keys.collect();
    keys.sort_unstable();
    let mut next = 0;
    for (key, at) in keys {
        while next < records.len() && (records[next].0, records[next].1) < key {
            next += 1;
        }
        let is = records.get(next).is_some_and(|record| (record.0, record.1) == key);
        found[at] = is.then_some(next);
    }
}
