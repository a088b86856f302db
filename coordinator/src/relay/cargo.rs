//! Values under way: inside a channel, as the arguments of a task that waits, or as an outcome that
//! is owed. A value keeps the handles in it alive, and stays on somebody's account until it has
//! been taken or dropped.

use channels::id::{ChannelId, SessionId};
use channels::wire::{End, Parcel, Parcels, Passage};

use super::{Gone, Relay, Violation};
use crate::Command;

/// A value under way, and on whose account it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cargo {
    pub(super) parcel: Parcel,
    payer: SessionId,
    /// How often somebody began with it, or may have.
    pub(super) attempts: u32,
    /// Whether it is not here, but on lease in the process that the channel left.
    pub(super) is_lent: bool,
    /// The channel that it is in.
    channel: Option<ChannelId>,
}

impl Cargo {
    /// For which time it is offered.
    pub(super) fn attempt(&self) -> u32 {
        self.attempts.saturating_add(1)
    }

    /// Somebody begins with it, or may have begun.
    pub(super) fn note_attempt(&mut self) {
        self.attempts = self.attempt();
    }

    /// What it costs to keep it, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let Parcel { payload, passages, .. } = &self.parcel;
        payload.len() + passages.len() * size_of::<Passage>() + size_of::<Self>()
    }
}

/// Values without handles that passed through a channel, and on whose account they are.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Passing {
    pub(super) parcels: Parcels,
    /// What the channel calls the first; the others follow it.
    pub(super) age: u64,
    pub(super) payer: SessionId,
    pub(super) channel: ChannelId,
}

impl Passing {
    /// What it costs to keep them: as much as one by one.
    pub(super) fn bytes(&self) -> usize {
        self.parcels.bytes() + self.parcels.len() * size_of::<Cargo>()
    }

    /// Takes the first so many out.
    pub(super) fn split_to(&mut self, count: usize) -> Self {
        let parcels = self.parcels.split_to(count);
        let age = self.age;
        // A bug on purpose, for the checks: those that stay have the places of those that go.
        self.age += if cfg!(planted = "passing") { 0 } else { parcels.len() as u64 };
        Self { parcels, age, ..*self }
    }

    /// The same values one by one, each of which was begun with so often.
    pub(super) fn apart(self, attempts: u32) -> impl Iterator<Item = Cargo> {
        let (payer, channel) = (self.payer, Some(self.channel));
        let one = move |parcel| Cargo { parcel, payer, attempts, is_lent: false, channel };
        self.parcels.into_iter().map(one)
    }
}

impl Relay {
    /// Takes in what a session sent. It must itself have the handles that it sends.
    pub fn take_in(
        &mut self,
        from: SessionId,
        payer: SessionId,
        parcel: Parcel,
    ) -> Result<Cargo, Violation> {
        for Passage { channel, side, .. } in &parcel.passages {
            if self.ledger.handles(from, *channel, *side) == 0 {
                return Err(Violation::NotAttached(*channel));
            }
        }
        self.count_up(&parcel.passages);
        Ok(self.load(payer, parcel))
    }

    /// Takes in what the coordinator itself has to say. There are no handles in it.
    pub fn load(&mut self, payer: SessionId, parcel: Parcel) -> Cargo {
        let cargo = Cargo { parcel, payer, attempts: 0, is_lent: false, channel: None };
        self.ledger.charge(payer, cargo.bytes());
        cargo
    }

    /// Takes in what a session sent into a channel.
    pub(super) fn take_into(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        parcel: Parcel,
    ) -> Result<Cargo, Violation> {
        let mut cargo = self.take_in(session, session, parcel)?;
        cargo.channel = Some(channel);
        self.weigh(channel, cargo.bytes());
        Ok(cargo)
    }

    /// A channel holds so many bytes more.
    pub(super) fn weigh(&mut self, channel: ChannelId, bytes: usize) {
        if let Some(home) = self.homes.get_mut(&channel) {
            home.bytes = home.bytes.saturating_add(bytes);
        }
    }

    /// Somebody pays no longer for what was in a channel, or on its way elsewhere.
    pub(super) fn discharge(&mut self, payer: SessionId, channel: Option<ChannelId>, bytes: usize) {
        self.ledger.discharge(payer, bytes);
        let Some(channel) = channel else { return };
        let bytes_max = self.ledger.channel_bytes_max();
        let Some(home) = self.homes.get_mut(&channel) else { return };
        home.bytes = home.bytes.saturating_sub(bytes);
        if home.bytes < bytes_max && home.chan.is_stuffed() {
            self.relieved.push(channel);
        }
    }

    /// A channel whose values come to too much is full, until they do no longer. The value that
    /// makes it so is in it by now.
    pub(super) fn look_at_weight(&mut self, channel: ChannelId) {
        let bytes_max = self.ledger.channel_bytes_max();
        if let Some(home) = self.homes.get_mut(&channel) {
            let is_stuffed = home.bytes >= bytes_max;
            home.chan.set_stuffed(is_stuffed, &mut |effect| self.effects.push(effect));
        }
    }

    /// A session has it: the handles in it are the session's.
    pub fn hand_over(&mut self, session: SessionId, cargo: Cargo) -> Parcel {
        self.discharge(cargo.payer, cargo.channel, cargo.bytes());
        self.attach(session, &cargo.parcel.passages);
        cargo.parcel
    }

    /// A session has a copy, with handles of its own: a task that may run again needs them again.
    pub fn hand_copy(&mut self, session: SessionId, cargo: &Cargo) -> Parcel {
        self.copy_handles(session, &cargo.parcel.passages);
        cargo.parcel.clone()
    }

    /// A session has handles of its own, besides those in a value that stays here.
    pub(super) fn copy_handles(&mut self, session: SessionId, passages: &[Passage]) {
        self.count_up(passages);
        self.attach(session, passages);
    }

    /// It will not be delivered: the handles in it are dropped.
    pub fn release(&mut self, cargo: Cargo, commands: &mut Vec<Command>) {
        self.lose(cargo, &End::Closed);
        self.settle(commands);
    }

    /// It is gone, and the handles in it go as soon as they are counted.
    pub(super) fn lose(&mut self, cargo: Cargo, end: &End) {
        self.discharge(cargo.payer, cargo.channel, cargo.bytes());
        let gone = |passage: Passage| {
            let Passage { channel, side, .. } = passage;
            Gone { channel, side, count: 1, end: end.clone() }
        };
        self.gone.extend(cargo.parcel.passages.into_iter().map(gone));
    }

    pub(super) fn attach(&mut self, session: SessionId, passages: &[Passage]) {
        for Passage { channel, side, .. } in passages {
            self.ledger.attach(session, *channel, *side);
            if let Some(home) = self.homes.get_mut(channel) {
                home.exporter = home.exporter.filter(|exporter| *exporter == session);
                home.course.note(session);
                self.prospects.afoot.insert(*channel);
            }
        }
    }

    /// There is one more of each of these handles, attached or held.
    pub(super) fn count_up(&mut self, passages: &[Passage]) {
        for Passage { channel, side, .. } in passages {
            if let Some(home) = self.homes.get_mut(channel) {
                home.handles[*side as usize] += 1;
            }
        }
    }
}
