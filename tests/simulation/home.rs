//! The coordinator, and an observer beside it who writes its commits down as they happen.
//!
//! The observer sees the frames that go in and out, nothing else: a value is sent when `Sent` or an
//! `Offer` of it goes out, taken with the `Offer`, and back with a `Decline` or a fence. Under
//! credits it is sent when it comes (`Prepaid`); ahead of receives it is taken when it goes
//! (`Early`), and back if it is `Untaken`. A lease ends a send, and may bring the value back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use channels::codec;
use channels::id::{ChannelId, OperationId, SessionId};
use channels::wire::{Frame, Parcel};
use checker::{Commit, ValueId};
use coordinator::{Command, Coordinator, Event, Settings};

use crate::program::Seen;

type Operation = (SessionId, OperationId);
/// A value, by its channel's number.
type Value = (u32, ValueId);

pub(crate) struct Home {
    coordinator: Coordinator,
    log: Vec<Commit>,
    numbers: BTreeMap<ChannelId, u32>,
    /// Sends that have no answer yet.
    sends: BTreeMap<Operation, Value>,
    offers: BTreeMap<Operation, Value>,
    /// What was offered last, for planted bugs.
    parcels: BTreeMap<Operation, Parcel>,
    /// Logged as sent; and those whose senders were told.
    entered: BTreeSet<Value>,
    told: BTreeSet<Value>,
    closes: BTreeMap<Operation, ChannelId>,
    /// Offers ahead of receives, by session, channel and number.
    early: BTreeMap<(SessionId, ChannelId, u64), Value>,
    /// Channels on which some session keeps receiving: a receive may get what was offered to
    /// another of its session, before it began.
    ahead: BTreeSet<ChannelId>,
    /// What these say is not heard.
    over: BTreeSet<SessionId>,
    /// Channels that came home to a node, or would have: the observer does not follow those.
    settled: BTreeSet<ChannelId>,
    /// What each session has exported just now.
    exported: BTreeMap<SessionId, ChannelId>,
    /// How many channels came home to a node.
    pub(crate) landed: u64,
}

impl Home {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            coordinator: Coordinator::new(settings),
            log: Vec::new(),
            numbers: BTreeMap::new(),
            sends: BTreeMap::new(),
            offers: BTreeMap::new(),
            parcels: BTreeMap::new(),
            entered: BTreeSet::new(),
            told: BTreeSet::new(),
            closes: BTreeMap::new(),
            early: BTreeMap::new(),
            ahead: BTreeSet::new(),
            over: BTreeSet::new(),
            settled: BTreeSet::new(),
            exported: BTreeMap::new(),
            landed: 0,
        }
    }

    pub(crate) fn channels(&self) -> usize {
        self.coordinator.channels()
    }

    /// The channels of which the log is not the whole story.
    pub(crate) fn unfollowed(&self) -> BTreeSet<u32> {
        self.settled.iter().filter_map(|channel| self.numbers.get(channel)).copied().collect()
    }

    /// What was committed, in order.
    pub(crate) fn log(&self) -> Vec<Commit> {
        let numbers = self.ahead.iter().filter_map(|channel| self.numbers.get(channel));
        let ahead: BTreeSet<u32> = numbers.copied().collect();
        let commit = |commit: &Commit| match *commit {
            Commit::Take { channel, value, session } if ahead.contains(&channel) => {
                Commit::Early { channel, value, session }
            }
            other => other,
        };
        self.log.iter().map(commit).collect()
    }

    /// The value on offer to this receive.
    pub(crate) fn offered(&self, session: SessionId, operation: OperationId) -> Option<Parcel> {
        let offer = (session, operation);
        self.parcels.get(&offer).filter(|_| self.offers.contains_key(&offer)).cloned()
    }

    pub(crate) fn handle(&mut self, now: u64, event: Event) -> Vec<Command> {
        match &event {
            Event::Received { session, frame } if !self.over.contains(session) => {
                self.on_frame(*session, frame);
            }
            Event::Lost { session, .. } => self.on_end(*session),
            _ => {}
        }
        let mut commands = Vec::new();
        self.coordinator.handle(Duration::from_micros(now), event, &mut commands);
        // What a fence leads to comes before the `Close` that tells of it.
        let is_close = |command: &Command| matches!(command, Command::Close { .. });
        for part in commands.split_inclusive(is_close) {
            if let Some(Command::Close { session, .. }) = part.last() {
                self.on_end(*session);
            }
            for command in part {
                if let Command::Send { session, frame } = command {
                    self.on_answer(*session, frame);
                }
            }
        }
        commands
    }

    fn value(&mut self, channel: Option<ChannelId>, parcel: &Parcel) -> Option<Value> {
        let seen: Seen = codec::decode(parcel.codec, &parcel.payload).ok()?;
        if let Some(channel) = channel {
            self.numbers.insert(channel, seen.channel);
        }
        Some((seen.channel, seen.id))
    }

    fn on_frame(&mut self, session: SessionId, frame: &Frame) {
        let exported = self.exported.remove(&session);
        match frame {
            Frame::Export { channel, .. } => drop(self.exported.insert(session, *channel)),
            // It was at home there before.
            Frame::Keep { channel, .. } if exported == Some(*channel) => {
                self.settled.insert(*channel);
            }
            Frame::Landed { .. } => self.landed += 1,
            Frame::Send { channel, operation, parcel }
            | Frame::TrySend { channel, operation, parcel }
            | Frame::Prepared { channel, operation, parcel } => {
                if let Some(value) = self.value(Some(*channel), parcel) {
                    self.sends.insert((session, *operation), value);
                }
            }
            Frame::Prepaid { channel, parcels } => {
                for parcel in parcels.iter() {
                    if let Some((channel, value)) = self.value(Some(*channel), &parcel) {
                        self.entered.insert((channel, value));
                        self.told.insert((channel, value));
                        self.log.push(Commit::Prepaid { channel, value });
                    }
                }
            }
            Frame::Ahead { channel, .. } => drop(self.ahead.insert(*channel)),
            Frame::Took { channel, first, count } => {
                for number in *first..*first + u64::from(*count) {
                    self.early.remove(&(session, *channel, number));
                }
            }
            Frame::Untaken { channel, first, count } => {
                for number in *first..*first + u64::from(*count) {
                    self.untake_early((session, *channel, number));
                }
            }
            // Its send ends with that, whoever is there to be told.
            Frame::Lease { operation, .. } => {
                self.told.extend(self.offers.get(&(session, *operation)));
            }
            Frame::LeaseEarly { channel, number, operation } => {
                if let Some(value) = self.early.remove(&(session, *channel, *number)) {
                    self.told.insert(value);
                    self.offers.insert((session, *operation), value);
                }
            }
            Frame::Accept { operation, .. } => drop(self.offers.remove(&(session, *operation))),
            Frame::Decline { operation, .. } => self.untake((session, *operation)),
            Frame::Close { channel, operation } => {
                self.closes.insert((session, *operation), *channel);
            }
            _ => {}
        }
    }

    /// A session is no more: what it was offered goes back.
    fn on_end(&mut self, session: SessionId) {
        self.over.insert(session);
        let all = (session, OperationId(0))..=(session, OperationId(u64::MAX));
        let offers: Vec<Operation> = self.offers.range(all).map(|(offer, _)| *offer).collect();
        offers.into_iter().for_each(|offer| self.untake(offer));
        let all = (session, ChannelId(0), 0)..=(session, ChannelId(u128::MAX), u64::MAX);
        let early: Vec<_> = self.early.range(all).map(|(offer, _)| *offer).collect();
        early.into_iter().for_each(|offer| self.untake_early(offer));
    }

    fn untake(&mut self, offer: Operation) {
        if let Some(value) = self.offers.remove(&offer) {
            self.is_back(value);
        }
    }

    fn untake_early(&mut self, offer: (SessionId, ChannelId, u64)) {
        if let Some(value) = self.early.remove(&offer) {
            self.is_back(value);
        }
    }

    /// A value that is offered anew has come back before.
    fn take(&mut self, value: Value, session: SessionId) {
        let elsewhere = self.offers.iter().find(|(_, other)| **other == value);
        if let Some(offer) = elsewhere.map(|(offer, _)| *offer) {
            self.untake(offer);
        }
        let elsewhere = self.early.iter().find(|(_, other)| **other == value);
        if let Some(offer) = elsewhere.map(|(offer, _)| *offer) {
            self.untake_early(offer);
        }
        self.enter(value);
        let ((channel, value), session) = (value, session.0 as u32);
        self.log.push(Commit::Take { channel, value, session });
    }

    fn is_back(&mut self, (channel, value): Value) {
        self.log.push(Commit::Untake { channel, value });
        if !self.told.contains(&(channel, value)) && self.entered.remove(&(channel, value)) {
            self.log.push(Commit::Unsend { channel, value });
        }
    }

    fn enter(&mut self, (channel, value): Value) {
        if self.entered.insert((channel, value)) {
            self.log.push(Commit::Send { channel, value });
        }
    }

    fn on_answer(&mut self, session: SessionId, frame: &Frame) {
        match frame {
            Frame::Sent { operation } => {
                if let Some(value) = self.sends.remove(&(session, *operation)) {
                    self.enter(value);
                    self.told.insert(value);
                }
            }
            Frame::Refused { operation, .. }
            | Frame::Full { operation }
            | Frame::Aborted { operation } => {
                self.sends.remove(&(session, *operation));
            }
            Frame::Offer { operation, parcel, .. } => {
                // An outcome of a task is none of our values.
                let Some(value) = self.value(None, parcel) else { return };
                self.take(value, session);
                self.offers.insert((session, *operation), value);
                self.parcels.insert((session, *operation), parcel.clone());
            }
            Frame::Early { channel, first, parcels, .. } => {
                for (number, parcel) in (*first..).zip(parcels.iter()) {
                    if let Some(value) = self.value(None, &parcel) {
                        self.take(value, session);
                        self.early.insert((session, *channel, number), value);
                    }
                }
            }
            Frame::Land { channel, .. } => {
                self.settled.insert(*channel);
            }
            Frame::Closed { operation, first: 1 } => {
                let channel = self.closes.get(&(session, *operation));
                if let Some(channel) = channel.and_then(|channel| self.numbers.get(channel)) {
                    self.log.push(Commit::End { channel: *channel });
                }
            }
            _ => {}
        }
    }
}
