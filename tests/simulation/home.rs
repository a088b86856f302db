//! The coordinator, and an observer beside it who writes its commits down as they happen.
//!
//! The observer sees the frames that go in and out, nothing else: a value is sent when `Sent` or an
//! `Offer` of it goes out, taken with the `Offer`, and back with a `Decline` or a fence.

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
    pub(crate) log: Vec<Commit>,
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
    /// Channels with credits or early offers: the observer does not follow those yet.
    ahead: BTreeSet<ChannelId>,
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
            ahead: BTreeSet::new(),
        }
    }

    pub(crate) fn channels(&self) -> usize {
        self.coordinator.channels()
    }

    /// The channels of which the log is not the whole story.
    pub(crate) fn unfollowed(&self) -> BTreeSet<u32> {
        self.ahead.iter().filter_map(|channel| self.numbers.get(channel)).copied().collect()
    }

    /// The value on offer to this receive.
    pub(crate) fn offered(&self, session: SessionId, operation: OperationId) -> Option<Parcel> {
        let offer = (session, operation);
        self.parcels.get(&offer).filter(|_| self.offers.contains_key(&offer)).cloned()
    }

    pub(crate) fn handle(&mut self, now: u64, event: Event) -> Vec<Command> {
        match &event {
            Event::Received { session, frame } => self.on_frame(*session, frame),
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
        match frame {
            Frame::Send { channel, operation, parcel }
            | Frame::TrySend { channel, operation, parcel }
            | Frame::Prepared { channel, operation, parcel } => {
                if let Some(value) = self.value(Some(*channel), parcel) {
                    self.sends.insert((session, *operation), value);
                }
            }
            Frame::Prepaid { channel, parcels } => {
                self.ahead.insert(*channel);
                for parcel in parcels {
                    self.value(Some(*channel), parcel);
                }
            }
            Frame::Abandon { channel, .. } => drop(self.ahead.insert(*channel)),
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
        let all = (session, OperationId(0))..=(session, OperationId(u64::MAX));
        let offers: Vec<Operation> = self.offers.range(all).map(|(offer, _)| *offer).collect();
        offers.into_iter().for_each(|offer| self.untake(offer));
    }

    fn untake(&mut self, offer: Operation) {
        let Some((channel, value)) = self.offers.remove(&offer) else { return };
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
                let elsewhere = self.offers.iter().find(|(_, other)| **other == value);
                if let Some(offer) = elsewhere.map(|(offer, _)| *offer) {
                    self.untake(offer);
                }
                self.enter(value);
                let (channel, value) = value;
                let to = session.0 as u32;
                self.log.push(Commit::Take { channel, value, session: to });
                self.offers.insert((session, *operation), (channel, value));
                self.parcels.insert((session, *operation), parcel.clone());
            }
            Frame::Early { channel, .. } => drop(self.ahead.insert(*channel)),
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
