//! Operations that do not wait for a peer, and questions: the truth about `default` (contract D7).

use std::mem;

use channels::id::{ChannelId, OperationId, SessionId};
use channels::wire::{End, Frame, Parcel, Passage, Side};

use super::gate::{Request, Wish};
use super::ledger::Parked;
use super::{Cargo, Relay, Violation};
use crate::Command;

impl Relay {
    /// A send that does not wait. A receive that waits may still decline, so its answer is awaited.
    pub fn try_send(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        parcel: Parcel,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        self.may_start(session, channel, Side::Send, operation)?;
        let cargo = self.take_into(session, channel, parcel)?;
        self.request(channel, Request { session, operation, wish: Wish::TrySend(cargo) }, commands);
        self.settle(commands);
        Ok(())
    }

    pub(super) fn do_try_send(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        cargo: Cargo,
        commands: &mut Vec<Command>,
    ) {
        let full = self.homes.get(&channel).is_none_or(|home| {
            let chan = &home.chan;
            chan.ended().is_none() && chan.is_full() && !chan.has_receive(|_| true)
        });
        if full {
            commands.push(Command::send(session, Frame::Full { operation }));
            return self.lose(cargo, &End::Closed);
        }
        self.do_send(session, channel, operation, cargo, commands);
        let waits = self.ledger.parked(session, channel, operation).is_some();
        if let Some(home) = self.homes.get_mut(&channel).filter(|_| waits) {
            home.tries.push((session, operation));
        }
    }

    /// A receive that does not wait.
    pub fn try_receive(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        self.may_start(session, channel, Side::Receive, operation)?;
        let wish = Wish::TryReceive;
        self.request(channel, Request { session, operation, wish }, commands);
        self.settle(commands);
        Ok(())
    }

    pub(super) fn do_try_receive(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) {
        let Some(home) = self.homes.get(&channel) else { return };
        // When it has ended the answer comes, though a value on offer may have to be taken first.
        if home.chan.is_ready_soon() {
            return self.do_receive(session, channel, operation, 0, commands);
        }
        commands.push(Command::send(session, Frame::Empty { operation }));
    }

    /// How many values a channel holds.
    pub fn measure(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let sides = [Side::Send, Side::Receive];
        if sides.iter().all(|side| self.ledger.handles(session, channel, *side) == 0) {
            return Err(Violation::NotAttached(channel));
        }
        if self.ledger.parked(session, channel, operation).is_some() {
            return Err(Violation::Busy(operation));
        }
        self.request(channel, Request { session, operation, wish: Wish::Measure }, commands);
        self.settle(commands);
        Ok(())
    }

    pub(super) fn do_measure(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) {
        let length = self.homes.get(&channel).map_or(0, |home| home.chan.len() as u64);
        commands.push(Command::send(session, Frame::Measured { operation, length }));
    }

    /// Which of several operations could go now: the truth about a `default` (C37).
    pub fn survey(
        &mut self,
        session: SessionId,
        operation: OperationId,
        cases: &[Passage],
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let mut ready = 0;
        for (at, Passage { channel, side, .. }) in (1..).zip(cases) {
            let home = self.homes.get(channel).ok_or(Violation::NotAttached(*channel))?;
            if self.ledger.handles(session, *channel, *side) == 0 {
                return Err(Violation::NotAttached(*channel));
            }
            let chan = &home.chan;
            // What another may send or take without asking is called home if this case is tried.
            let flow = home.flow.as_ref();
            let lent = flow.is_some_and(|flow| flow.is_lent(session, *side));
            let can_go = lent
                || match side {
                    Side::Receive => chan.is_ready_soon(),
                    Side::Send => {
                        !chan.is_full() || chan.has_receive(|_| true) || chan.ended().is_some()
                    }
                };
            if can_go {
                ready = at;
                break;
            }
        }
        commands.push(Command::send(session, Frame::Surveyed { operation, ready }));
        Ok(())
    }

    /// Ends sends that do not wait and whose value is not on offer any more.
    pub(super) fn end_tries(&mut self, channel: ChannelId, commands: &mut Vec<Command>) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        for (session, operation) in mem::take(&mut home.tries) {
            let parked = self.ledger.parked(session, channel, operation);
            let Some(Parked::Send(place)) = parked else { continue };
            let Some(home) = self.homes.get_mut(&channel) else { return };
            match home.chan.cancel_send(place, &mut |effect| self.effects.push(effect)) {
                None => home.tries.push((session, operation)),
                Some(cargo) => {
                    self.ledger.unpark(session, channel, operation);
                    self.lose(cargo, &End::Closed);
                    commands.push(Command::send(session, Frame::Full { operation }));
                }
            }
        }
        debug_assert!(self.effects.is_empty(), "a send that goes makes no room");
    }
}
