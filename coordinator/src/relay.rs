//! The channels whose home is here, and who holds handles to them.
//!
//! A handle is *attached* to a session that has it, or *held* here while it is in flight: inside a
//! value nobody has taken yet, in the arguments of a task that waits, or as a result that is owed.
//! Every handle is counted in exactly one of the two (the arguments of a task that may be retried
//! in both, for they may leave again). When the last handle of a side goes, the channel ends for
//! the other: `Closed` if its owner dropped it, `Lost` if it vanished with a session.
//!
//! Payloads are never looked into.

mod ledger;
mod violation;

use std::collections::{BTreeMap, VecDeque};
use std::mem;

use channels::chan::{Chan, Effect, Sent, Turn};
use channels::id::{ChannelId, OperationId, SessionId};
use channels::wire::{CAPACITY_MAX, End, Frame, Parcel, Passage, Side};

use crate::Command;
use ledger::{Ledger, Parked};
pub use violation::Violation;

/// All channels at home here.
#[derive(Debug, Default)]
pub struct Relay {
    homes: BTreeMap<ChannelId, Home>,
    ledger: Ledger,
    /// Handles that are gone and not yet counted. A handle may be in the buffer of a channel whose
    /// only handle is in the buffer of another …: the list takes them one by one, where recursion
    /// would take a part of the stack for each.
    gone: VecDeque<Gone>,
    /// Scratch space, so that a message allocates nothing.
    effects: Vec<Effect<Waiter>>,
}

#[derive(Debug)]
struct Home {
    chan: Chan<Parcel, Waiter>,
    /// All handles, attached or held, by side. More than a peer can have in a lifetime.
    handles: [u64; 2],
    /// The session that exported it, while no other has had a handle and it has not been closed:
    /// until then its contents may follow.
    exporter: Option<SessionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiter {
    session: SessionId,
    operation: OperationId,
}

/// Handles of one side that are gone.
#[derive(Debug)]
struct Gone {
    channel: ChannelId,
    side: Side,
    count: u64,
    /// How the channel ends for the other side if they were the last.
    end: End,
}

impl Relay {
    /// How many channels are at home here.
    pub fn channels(&self) -> usize {
        self.homes.len()
    }

    /// A channel has left a node: its home is here now.
    pub fn export(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        capacity: u32,
        handles: [u32; 2],
    ) -> Result<(), Violation> {
        if capacity as usize > CAPACITY_MAX {
            return Err(Violation::Capacity(capacity));
        }
        if self.homes.contains_key(&channel) {
            return Err(Violation::Exists(channel));
        }
        if handles == [0, 0] {
            return Err(Violation::Ownerless(channel));
        }
        let chan = Chan::new(capacity as usize);
        self.homes.insert(channel, Home { chan, handles: [0; 2], exporter: Some(session) });
        for (side, count) in [Side::Send, Side::Receive].into_iter().zip(handles) {
            if count > 0 {
                self.count_up(channel, side);
                self.ledger.attach(session, channel, side);
            }
        }
        Ok(())
    }

    /// Makes the channel on which a task's outcome will come: the spawner receives, we send.
    pub fn open_result(&mut self, session: SessionId, channel: ChannelId) -> Result<(), Violation> {
        self.export(session, channel, 1, [0, 1])?;
        self.homes.entry(channel).and_modify(|home| home.exporter = None);
        self.count_up(channel, Side::Send);
        Ok(())
    }

    /// Delivers an outcome, and lets go of the sending end.
    pub fn deliver_result(
        &mut self,
        channel: ChannelId,
        outcome: Parcel,
        commands: &mut Vec<Command>,
    ) {
        let Some(home) = self.homes.get_mut(&channel) else {
            return self.release(&outcome.passages, commands);
        };
        let nobody = || unreachable!("an outcome is the only value of its channel");
        let mut refused = None;
        match home.chan.send(outcome, nobody, &mut |effect| self.effects.push(effect)) {
            Sent::Done | Sent::Parked(_) => {}
            Sent::Refused(outcome) => refused = Some(outcome),
        }
        self.perform(channel, commands);
        if let Some(outcome) = refused {
            self.lose(&outcome.passages, &End::Closed);
        }
        self.gone.push_back(Gone { channel, side: Side::Send, count: 1, end: End::Closed });
        self.settle(commands);
    }

    /// A value from the buffer of a channel that is being exported.
    pub fn restore(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        parcel: Parcel,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let home = self.homes.get(&channel).ok_or(Violation::NotAttached(channel))?;
        let room = home.chan.ended().is_none() && home.chan.len() < home.chan.capacity();
        if home.exporter != Some(session) || !room {
            return Err(Violation::Unexpected("Restore"));
        }
        self.hold(session, &parcel.passages)?;
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        home.chan.restore_sent(parcel, &mut |effect| self.effects.push(effect));
        self.perform(channel, commands);
        self.settle(commands);
        Ok(())
    }

    /// A send.
    pub fn send(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        parcel: Parcel,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        self.may_start(session, channel, Side::Send, operation)?;
        self.hold(session, &parcel.passages)?;
        let mut effects = mem::take(&mut self.effects);
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let waiter = Waiter { session, operation };
        match home.chan.send(parcel, || waiter, &mut |effect| effects.push(effect)) {
            Sent::Done => commands.push(Command::send(session, Frame::Sent { operation })),
            Sent::Parked(place) => {
                self.ledger.park(session, channel, operation, Parked::Send(place));
            }
            Sent::Refused(parcel) => {
                let end = home.chan.ended().cloned().unwrap_or(End::Closed);
                commands.push(Command::send(session, Frame::Refused { operation, end }));
                self.lose(&parcel.passages, &End::Closed);
            }
        }
        self.effects = effects;
        self.perform(channel, commands);
        self.settle(commands);
        Ok(())
    }

    /// A send is given up. It may be too late.
    pub fn cancel_send(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) {
        let parked = self.ledger.parked(session, channel, operation);
        let Some(Parked::Send(place)) = parked else { return };
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let unsent = home.chan.cancel_send(place, &mut |effect| self.effects.push(effect));
        if let Some(parcel) = unsent {
            self.ledger.unpark(session, channel, operation);
            self.lose(&parcel.passages, &End::Closed);
        }
        self.perform(channel, commands);
        self.settle(commands);
    }

    /// A receive.
    pub fn receive(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        self.may_start(session, channel, Side::Receive, operation)?;
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let waiter = Waiter { session, operation };
        let place = home.chan.park_receive(waiter, &mut |effect| self.effects.push(effect));
        self.ledger.park(session, channel, operation, Parked::Receive(place));
        self.perform(channel, commands);
        self.settle(commands);
        Ok(())
    }

    /// An offered value was taken: its handles are the receiver's now.
    pub fn accept(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let parked = self.ledger.parked(session, channel, operation);
        let Some(Parked::Receive(place)) = parked else {
            return Err(Violation::Unexpected("Accept"));
        };
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let taken = home.chan.accept(place, &mut |effect| self.effects.push(effect));
        let parcel = taken.ok_or(Violation::Unexpected("Accept"))?;
        self.ledger.unpark(session, channel, operation);
        self.hand_over(session, &parcel.passages, Keep::Nothing);
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
        let parked = self.ledger.parked(session, channel, operation);
        let Some(Parked::Receive(place)) = parked else { return };
        let Some(home) = self.homes.get_mut(&channel) else { return };
        self.ledger.unpark(session, channel, operation);
        let orphan = home.chan.decline(place, &mut |effect| self.effects.push(effect));
        self.perform(channel, commands);
        if let Some(parcel) = orphan {
            self.lose(&parcel.passages, &End::Closed);
        }
        self.settle(commands);
    }

    /// A close. Only who may send may close (C06), and who brings a channel that was closed before
    /// it left.
    pub fn close(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let may_send = self.ledger.handles(session, channel, Side::Send) > 0;
        if !may_send && home.exporter != Some(session) {
            return Err(Violation::NotAttached(channel));
        }
        home.exporter = None;
        let first = home.chan.finish(End::Closed, &mut |effect| self.effects.push(effect));
        let first = u32::from(first);
        commands.push(Command::send(session, Frame::Closed { operation, first }));
        self.perform(channel, commands);
        self.settle(commands);
        Ok(())
    }

    /// A node gives handles back. It has given up what waited on them; if it did not say so, it is
    /// taken as said, so that no value is on offer to nobody.
    pub fn detach(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        side: Side,
        arrivals: u32,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        self.ledger.detach(session, channel, side, arrivals)?;
        for operation in self.ledger.stranded(session, channel, side) {
            match side {
                Side::Send => self.cancel_send(session, channel, operation, commands),
                Side::Receive => self.decline(session, channel, operation, commands),
            }
        }
        self.gone.push_back(Gone { channel, side, count: arrivals.into(), end: End::Closed });
        self.settle(commands);
        Ok(())
    }

    /// Whether a session has any handle.
    pub fn has_handles(&self, session: SessionId) -> bool {
        self.ledger.has_handles(session)
    }

    /// Handles arrived here inside something that a session sent. It must have them itself.
    pub fn hold(&mut self, session: SessionId, passages: &[Passage]) -> Result<(), Violation> {
        for Passage { channel, side, .. } in passages {
            if self.ledger.handles(session, *channel, *side) == 0 {
                return Err(Violation::NotAttached(*channel));
            }
        }
        for Passage { channel, side, .. } in passages {
            self.count_up(*channel, *side);
        }
        Ok(())
    }

    /// Handles held here go to a session with a task. Those of a task that may run again stay held
    /// besides.
    pub fn hand_over(&mut self, session: SessionId, passages: &[Passage], keep: Keep) {
        for Passage { channel, side, .. } in passages {
            self.ledger.attach(session, *channel, *side);
            if let Some(home) = self.homes.get_mut(channel)
                && home.exporter != Some(session)
            {
                home.exporter = None;
            }
            if keep == Keep::Copy {
                self.count_up(*channel, *side);
            }
        }
    }

    /// Handles held here are dropped: what they were in will not be delivered.
    pub fn release(&mut self, passages: &[Passage], commands: &mut Vec<Command>) {
        self.lose(passages, &End::Closed);
        self.settle(commands);
    }

    /// A session left of its own will: what it had is dropped.
    pub fn leave(&mut self, session: SessionId, commands: &mut Vec<Command>) {
        self.remove(session, &End::Closed, commands);
    }

    /// A session is fenced: nothing it did and was not committed will be seen, and what it had is
    /// lost.
    pub fn fence(&mut self, session: SessionId, cause: &str, commands: &mut Vec<Command>) {
        self.remove(session, &End::Lost(cause.to_owned()), commands);
    }

    fn remove(&mut self, session: SessionId, end: &End, commands: &mut Vec<Command>) {
        let holdings = self.ledger.close(session);
        for (&channel, _) in holdings.iter().filter(|(_, holding)| !holding.parked.is_empty()) {
            let Some(home) = self.homes.get_mut(&channel) else { continue };
            let dead = |waiter: &Waiter| waiter.session == session;
            let dropped = home.chan.fence(dead, &mut |effect| self.effects.push(effect));
            self.perform(channel, commands);
            dropped.iter().for_each(|parcel| self.lose(&parcel.passages, end));
        }
        for (channel, holding) in holdings {
            for (side, count) in [Side::Send, Side::Receive].into_iter().zip(holding.handles) {
                self.gone.push_back(Gone { channel, side, count, end: end.clone() });
            }
        }
        self.settle(commands);
    }

    /// Checks that a session may start an operation.
    fn may_start(
        &self,
        session: SessionId,
        channel: ChannelId,
        side: Side,
        operation: OperationId,
    ) -> Result<(), Violation> {
        if self.ledger.handles(session, channel, side) == 0 {
            return Err(Violation::NotAttached(channel));
        }
        match self.ledger.parked(session, channel, operation) {
            Some(_) => Err(Violation::Busy(operation)),
            None => Ok(()),
        }
    }

    /// There is one more handle, attached or held.
    fn count_up(&mut self, channel: ChannelId, side: Side) {
        if let Some(home) = self.homes.get_mut(&channel) {
            home.handles[side as usize] += 1;
        }
    }

    /// What held these handles here is gone.
    fn lose(&mut self, passages: &[Passage], end: &End) {
        let gone = |passage: &Passage| {
            let Passage { channel, side, .. } = *passage;
            Gone { channel, side, count: 1, end: end.clone() }
        };
        self.gone.extend(passages.iter().map(gone));
    }

    /// Counts the handles that are gone, and those that were in what goes with them. The last step
    /// of everything that makes a handle go.
    fn settle(&mut self, commands: &mut Vec<Command>) {
        while let Some(gone) = self.gone.pop_front() {
            self.count_down(gone, commands);
        }
    }

    /// Handles are gone. Without any of a side the channel ends for the other; without any at all
    /// it is no more.
    fn count_down(&mut self, gone: Gone, commands: &mut Vec<Command>) {
        let Gone { channel, side, count, end } = gone;
        let Some(home) = self.homes.get_mut(&channel) else { return };
        if count == 0 {
            return;
        }
        debug_assert!(home.handles[side as usize] >= count, "every handle is counted");
        home.handles[side as usize] = home.handles[side as usize].saturating_sub(count);
        if home.handles[side as usize] > 0 {
            return;
        }
        let effects = &mut self.effects;
        let note = &mut |effect| effects.push(effect);
        // Nobody to receive, though the side that went may be the other: it may have come so.
        let unread = if home.handles[Side::Receive as usize] == 0 {
            home.chan.desert(end, note)
        } else {
            home.chan.finish(end, note);
            Vec::new()
        };
        let over = home.handles == [0, 0];
        self.perform(channel, commands);
        if over {
            self.homes.remove(&channel);
        }
        unread.iter().for_each(|parcel| self.lose(&parcel.passages, &End::Closed));
    }

    /// Turns what happened to parked operations into frames.
    fn perform(&mut self, channel: ChannelId, commands: &mut Vec<Command>) {
        let mut effects = mem::take(&mut self.effects);
        for Effect { waiter: Waiter { session, operation }, place, turn } in effects.drain(..) {
            let Some(home) = self.homes.get_mut(&channel) else { break };
            if turn != Turn::Offered {
                self.ledger.unpark(session, channel, operation);
            }
            let end = || home.chan.ended().cloned().unwrap_or(End::Closed);
            let frame = match turn {
                Turn::Sent => Frame::Sent { operation },
                Turn::Ended => Frame::Ended { operation, end: end() },
                Turn::Offered => match home.chan.offered(place) {
                    Some(parcel) => Frame::Offer { operation, parcel: parcel.clone() },
                    None => continue,
                },
                Turn::Refused => {
                    let end = end();
                    let refused = home.chan.take_refused(place);
                    refused.iter().for_each(|parcel| self.lose(&parcel.passages, &End::Closed));
                    Frame::Refused { operation, end }
                }
            };
            commands.push(Command::send(session, frame));
        }
        self.effects = effects;
    }
}

/// Whether handles stay held here when they go to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// They are the session's alone.
    Nothing,
    /// The task may run again, and needs them again.
    Copy,
}
