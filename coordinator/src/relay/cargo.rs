//! Values under way: inside a channel, as the arguments of a task that waits, or as an outcome that
//! is owed. A value keeps the handles in it alive, and stays on somebody's account until it has
//! been taken or dropped.

use channels::id::SessionId;
use channels::wire::{End, Parcel, Passage};

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
        let cargo = Cargo { parcel, payer, attempts: 0, is_lent: false };
        self.ledger.charge(payer, cargo.bytes());
        cargo
    }

    /// A session has it: the handles in it are the session's.
    pub fn hand_over(&mut self, session: SessionId, cargo: Cargo) -> Parcel {
        self.ledger.discharge(cargo.payer, cargo.bytes());
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
        self.ledger.discharge(cargo.payer, cargo.bytes());
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
