//! Receives: asked one by one, or offered ahead.

use std::mem;

use channels::id::{ChannelId, OperationId, SessionId};
use channels::wire::{CHUNK_BYTES_MAX, End, Frame, Gathered, Parcel, Side};

use super::gate::{Flow, Request, Wish};
use super::ledger::Parked;
use super::window::Early;
use super::{Relay, Violation, Waiter};
use crate::Command;

impl Relay {
    /// A receive.
    pub fn receive(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        select: u64,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        self.may_start(session, channel, Side::Receive, operation)?;
        let wish = Wish::Receive { select };
        self.request(channel, Request { session, operation, wish }, commands);
        self.settle(commands);
        Ok(())
    }

    /// Whether what a session asks for was on its way, ahead of its asking.
    pub(super) fn is_moot(&self, session: SessionId, channel: ChannelId) -> bool {
        let flow = self.homes.get(&channel).and_then(|home| home.flow.as_ref());
        flow.is_some_and(|flow| flow.window.is_unseen_by(session))
    }

    pub(super) fn do_receive(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        select: u64,
        commands: &mut Vec<Command>,
    ) {
        let waiter = Waiter { session, operation, select };
        let Some(mut home) = self.homes.get_mut(&channel) else { return };
        if !home.watches.is_empty() {
            if self.keep_for_select(channel, waiter, commands) {
                return;
            }
            let Some(still) = self.homes.get_mut(&channel) else { return };
            home = still;
        }
        let place = home.chan.park_receive(waiter, &mut |effect| self.effects.push(effect));
        self.ledger.park(session, channel, operation, Parked::Receive(place));
    }

    /// An offered value was taken: its handles are the receiver's now.
    pub fn accept(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let (place, is_leased) = match self.ledger.parked(session, channel, operation) {
            Some(Parked::Receive(place)) => (place, false),
            Some(Parked::Lease(place)) => (place, true),
            _ => return Err(Violation::Unexpected("Accept")),
        };
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let taken = home.chan.accept(place, &mut |effect| self.effects.push(effect));
        let cargo = taken.ok_or(Violation::Unexpected("Accept"))?;
        self.ledger.unpark(session, channel, operation);
        if is_leased {
            // It has had handles of its own since the lease began.
            self.lose(cargo, &End::Closed);
        } else {
            self.hand_over(session, cargo);
        }
        self.perform(channel, commands);
        self.settle(commands);
        Ok(())
    }

    /// A receive is given up; a value offered to it goes back.
    pub fn decline(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) {
        let place = match self.ledger.parked(session, channel, operation) {
            Some(Parked::Receive(place) | Parked::Lease(place)) => place,
            Some(Parked::Held(_)) => return self.give_up_held(session, channel, operation),
            Some(Parked::Send(_) | Parked::Watch(_)) | None => return,
        };
        self.end_loan(channel, place);
        self.drop_kept(channel, place);
        let Some(home) = self.homes.get_mut(&channel) else { return };
        self.ledger.unpark(session, channel, operation);
        let orphan = home.chan.decline(place, &mut |effect| self.effects.push(effect));
        self.perform(channel, commands);
        if let Some(cargo) = orphan {
            self.lose(cargo, &End::Closed);
        }
        self.settle(commands);
    }

    /// A session that gives early offers back of its own will wants no more.
    fn recall_own(&mut self, session: SessionId, channel: ChannelId, commands: &mut Vec<Command>) {
        let Some(flow) = self.flow_mut(channel) else { return };
        if flow.window.is_owned_by(session)
            && let super::window::Recall::Tell(owner) = flow.window.recall()
        {
            commands.push(Command::send(owner, Frame::Recall { channel }));
        }
    }

    /// A session that keeps receiving would take so many ahead of its receives.
    pub(super) fn ahead(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        window: u32,
        seen: u64,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        if self.ledger.handles(session, channel, Side::Receive) == 0 {
            return Err(Violation::NotAttached(channel));
        }
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let flow = home.flow.get_or_insert_with(|| Flow::new(session));
        let chan = &home.chan;
        let may = chan.capacity() > 0 && !chan.is_strict() && !flow.has_held(Side::Receive);
        let granted = flow.window.ask(session, if may { window as usize } else { 0 }, seen) && may;
        if window > 0 && !granted {
            // It must not keep for its next receive what another may wait for.
            commands.push(Command::send(session, Frame::Recall { channel }));
        }
        Ok(())
    }

    /// A receive is given up; an offer that is on its way to it stays the session's.
    pub(super) fn abandon(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) {
        match self.ledger.parked(session, channel, operation) {
            Some(Parked::Receive(place)) => {
                let home = self.homes.get_mut(&channel);
                if home.is_some_and(|home| home.chan.offered(place).is_some()) {
                    return;
                }
            }
            Some(Parked::Held(_)) => {}
            Some(Parked::Send(_) | Parked::Lease(_) | Parked::Watch(_)) | None => return,
        }
        self.decline(session, channel, operation, commands);
        commands.push(Command::send(session, Frame::Again { channel, operation }));
    }

    /// Early offers were taken: their handles are the receiver's now.
    pub(super) fn took(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        first: u64,
        count: u32,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let flow = self.flow_mut(channel).ok_or(Violation::Unexpected("Took"))?;
        let answered = flow.window.answer(session, first, count as usize);
        for early in answered.map_err(|_| Violation::Unexpected("Took"))? {
            let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
            let note = &mut |effect| self.effects.push(effect);
            match early {
                Early::One { place, .. } => {
                    let taken = home.chan.accept(place, note);
                    let cargo = taken.ok_or(Violation::Unexpected("Took"))?;
                    self.hand_over(session, cargo);
                }
                Early::Passing(passing) => {
                    home.chan.end_passing(passing.parcels.len(), note);
                    self.discharge(passing.payer, Some(channel), passing.bytes());
                }
            }
        }
        self.note_operations(session, channel, count.into());
        self.perform(channel, commands);
        self.open_gate(channel, commands);
        self.settle(commands);
        Ok(())
    }

    /// Early offers go back to their old places; no more are made until they are asked for. What
    /// is back already, because the session had given its handles back, is so.
    pub(super) fn untaken(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        first: u64,
        count: u32,
        commands: &mut Vec<Command>,
    ) {
        let Some(flow) = self.flow_mut(channel) else { return };
        let Ok(offers) = flow.window.answer(session, first, count as usize) else { return };
        self.recall_own(session, channel, commands);
        self.put_back(channel, offers, commands);
        self.settle(commands);
    }

    /// Puts early offers back.
    pub(super) fn put_back(
        &mut self,
        channel: ChannelId,
        offers: Vec<Early>,
        commands: &mut Vec<Command>,
    ) {
        for early in offers {
            let Some(home) = self.homes.get_mut(&channel) else { return };
            let note = &mut |effect| self.effects.push(effect);
            match early {
                Early::One { place, .. } => {
                    let orphan = home.chan.decline(place, note);
                    orphan.into_iter().for_each(|cargo| self.lose(cargo, &End::Closed));
                }
                Early::Passing(passing) => {
                    home.chan.return_passing(passing.age, passing.apart(0));
                    home.chan.hand_out(note);
                }
            }
        }
        self.perform(channel, commands);
        self.open_gate(channel, commands);
    }
}

/// Early offers on their way into frames, none of which is much larger than a chunk.
pub(super) struct EarlyBatch {
    channel: ChannelId,
    to: Option<(SessionId, u64)>,
    first: u64,
    attempt: u32,
    parcels: Gathered,
}

impl EarlyBatch {
    pub(super) fn new(channel: ChannelId) -> Self {
        Self { channel, to: None, first: 0, attempt: 0, parcels: Gathered::default() }
    }

    pub(super) fn push(
        &mut self,
        to: (SessionId, u64),
        number: u64,
        (attempt, parcel): (u32, &Parcel),
        commands: &mut Vec<Command>,
    ) {
        // One that is large travels in pieces, alone.
        let is_large = parcel.payload.len() > CHUNK_BYTES_MAX;
        if self.attempt != attempt || is_large || !self.parcels.admits(parcel) {
            self.flush(commands);
            self.attempt = attempt;
        }
        if self.to.replace(to).is_none() {
            self.first = number;
        }
        self.parcels.push(parcel);
        if self.parcels.bytes() >= CHUNK_BYTES_MAX {
            self.flush(commands);
        }
    }

    pub(super) fn flush(&mut self, commands: &mut Vec<Command>) {
        if let Some((session, detaches)) = self.to.take() {
            let parcels = mem::take(&mut self.parcels).finish();
            let (channel, first, attempt) = (self.channel, self.first, self.attempt);
            let frame = Frame::Early { channel, first, detaches, attempt, parcels };
            commands.push(Command::send(session, frame));
        }
    }
}
