//! Values in somebody's hands that stay the channel's until they are acknowledged (contract D3).
//!
//! States of a value: *on offer* (`Offer`, `Early`) -> *leased* (`Lease`, `LeaseEarly`: its send
//! has ended, and its holder has handles of its own for those in it) -> gone (`Accept`), or back at
//! its old place (`Decline`, or the holder's end). A value that was on lease in the process that
//! the channel left is *lent*: its place is kept here (`Lend`), and it comes (`Return`) or is gone.
//!
//! The channel keeps the value, the `ledger` who has it. If the holder dies a leased value is
//! offered to the next; a lent one dies with the process where it is, as all that was there did.

use channels::id::{ChannelId, OperationId, SessionId};
use channels::line::Place;
use channels::wire::{End, Frame, Parcel};

use super::ledger::{Holding, Parked};
use super::window::Early;
use super::{Cargo, Relay, Violation, Waiter};
use crate::Command;

impl Relay {
    /// Takes in a frame that has to do with leases, or hands it on.
    pub(super) fn on_lease_frame(
        &mut self,
        session: SessionId,
        frame: Frame,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        match frame {
            Frame::Lease { channel, operation } => {
                let Some(Parked::Receive(place)) = self.ledger.parked(session, channel, operation)
                else {
                    return Err(Violation::Unexpected("Lease"));
                };
                self.ledger.unpark(session, channel, operation);
                self.lease(session, channel, operation, place, commands)
            }
            Frame::LeaseEarly { channel, number, operation } => {
                self.lease_early(session, channel, number, operation, commands)
            }
            Frame::Lend { channel, operation } => self.lend(session, channel, operation),
            Frame::Return { channel, operation, attempts, parcel } => {
                self.take_back(session, channel, operation, (attempts, parcel), commands)
            }
            Frame::RestoreLeased { channel, attempts, parcel } => {
                self.restore(session, channel, (attempts, parcel), commands)
            }
            Frame::Prepared { channel, operation, parcel } => {
                self.prepared(session, channel, operation, parcel, commands)
            }
            Frame::Strict { channel } => self.set_strict(session, channel),
            other => self.on_landing(session, other, commands),
        }
    }

    /// A channel that is being exported takes no liberties with its order.
    fn set_strict(&mut self, session: SessionId, channel: ChannelId) -> Result<(), Violation> {
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        if home.exporter != Some(session) || !home.chan.is_untouched() {
            return Err(Violation::Unexpected("Strict"));
        }
        home.chan.set_strict();
        home.course.stay_for_ever();
        Ok(())
    }

    /// An offered value is in a task's hands.
    fn lease(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        place: Place,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        if !home.chan.lease(place, &mut |effect| self.effects.push(effect)) {
            return Err(Violation::Unexpected("Lease"));
        }
        let passages = home.chan.offered(place).map(|cargo| {
            cargo.note_attempt();
            cargo.parcel.passages.clone()
        });
        self.ledger.park(session, channel, operation, Parked::Lease(place));
        self.copy_handles(session, &passages.unwrap_or_default());
        self.perform(channel, commands);
        self.settle(commands);
        Ok(())
    }

    /// The same of an early offer: it is none any more, so that it stands in nobody's way.
    fn lease_early(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        number: u64,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        if self.ledger.parked(session, channel, operation).is_some() {
            return Err(Violation::Busy(operation));
        }
        let flow = self.flow_mut(channel).ok_or(Violation::Unexpected("LeaseEarly"))?;
        let answered = flow.window.answer(session, number, 1);
        for early in answered.map_err(|_| Violation::Unexpected("LeaseEarly"))? {
            let place = match early {
                Early::One { place, .. } => place,
                Early::Passing(passing) => {
                    let home =
                        self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
                    let age = passing.age;
                    let one = passing.apart(0).next();
                    let one = one.ok_or(Violation::Unexpected("LeaseEarly"))?;
                    home.chan.detain_passing(age, one, &Waiter::ahead(session))
                }
            };
            self.lease(session, channel, operation, place, commands)?;
        }
        self.open_gate(channel, commands);
        self.settle(commands);
        Ok(())
    }

    /// A channel leaves a process where one of its values is on lease.
    fn lend(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
    ) -> Result<(), Violation> {
        let home = self.homes.get(&channel).ok_or(Violation::NotAttached(channel))?;
        if home.exporter != Some(session) || home.chan.ended().is_some() {
            return Err(Violation::Unexpected("Lend"));
        }
        if self.ledger.parked(session, channel, operation).is_some() {
            return Err(Violation::Busy(operation));
        }
        let mut cargo = self.load(session, Parcel::default());
        cargo.is_lent = true;
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let waiter = Waiter { session, operation, select: 0 };
        let place = home.chan.restore_leased(cargo, waiter);
        self.ledger.park(session, channel, operation, Parked::Lease(place));
        Ok(())
    }

    /// A lent value comes, and returns to its place.
    fn take_back(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        (attempts, parcel): (u32, Parcel),
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let Some(Parked::Lease(place)) = self.ledger.parked(session, channel, operation) else {
            return Err(Violation::Unexpected("Return"));
        };
        let mut cargo = self.take_into(session, channel, parcel)?;
        cargo.attempts = attempts;
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let Some(slot) = home.chan.offered(place).filter(|slot| slot.is_lent) else {
            self.lose(cargo, &End::Closed);
            return Err(Violation::Unexpected("Return"));
        };
        let empty = std::mem::replace(slot, cargo);
        self.lose(empty, &End::Closed);
        self.decline(session, channel, operation, commands);
        Ok(())
    }

    /// A lease is given up, or its holder is gone. What is here returns; what is not, will not.
    pub(super) fn end_loan(&mut self, channel: ChannelId, place: Place) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        if home.chan.offered(place).is_some_and(|cargo| cargo.is_lent) {
            let gone = home.chan.accept(place, &mut |effect| self.effects.push(effect));
            gone.into_iter().for_each(|cargo| self.lose(cargo, &End::Closed));
        }
    }

    /// A session is gone, and with it all that is lent to it. With what it was offered it may have
    /// begun.
    pub(super) fn end_leases(&mut self, channel: ChannelId, holding: &Holding) {
        for parked in holding.parked.values() {
            match parked {
                Parked::Lease(place) => self.end_loan(channel, *place),
                Parked::Receive(place) => {
                    self.drop_kept(channel, *place);
                    let Some(home) = self.homes.get_mut(&channel) else { return };
                    home.chan.offered(*place).into_iter().for_each(Cargo::note_attempt);
                }
                Parked::Send(_) | Parked::Watch(_) | Parked::Held(_) => {}
            }
        }
    }
}
