//! What becomes of the value of a select's send, once its select has chosen it: it goes into the
//! room or to the receive that was kept for it, or to others, or nowhere (`Aborted`).

use std::mem;

use channels::chan::Tried;
use channels::id::{ChannelId, OperationId, SessionId};
use channels::line::Place;
use channels::wire::{End, Frame, Parcel, Side};

use super::super::ledger::Parked;
use super::super::{Cargo, Relay, Violation, Waiter};
use super::{Partner, Stage, Watch};
use crate::Command;

impl Relay {
    /// The select has chosen this send.
    pub(in crate::relay) fn prepared(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        parcel: Parcel,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        if self.ledger.handles(session, channel, Side::Send) == 0 {
            return Err(Violation::NotAttached(channel));
        }
        let cargo = self.take_into(session, channel, parcel)?;
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let asked = match self.ledger.parked(session, channel, operation) {
            Some(Parked::Watch(place)) => home.watches.line.get(&place).zip(Some(place)),
            _ => None,
        };
        let Some((&Watch { stage: Stage::Asked(partner), .. }, place)) = asked else {
            let end = home.chan.ended().cloned();
            self.lose(cargo, &End::Closed);
            // It was refused meanwhile, and may not have heard it.
            let end = end.ok_or(Violation::Unexpected("Prepared"))?;
            commands.push(Command::send(session, Frame::Refused { operation, end }));
            return Ok(());
        };
        match partner {
            // A lease may have ended a send meanwhile for which there was none.
            Partner::Room => {
                home.chan.spend_room();
                if let Some(watch) = home.watches.line.get_mut(&place) {
                    watch.stage = Stage::Asked(Partner::Nobody);
                }
                self.send_otherwise(channel, place, cargo, commands);
            }
            Partner::Receive(receive, waiter) if home.chan.has_only_sends() => {
                self.offer_prepared(channel, place, cargo, (receive, waiter));
            }
            // Others were sent meanwhile, for there was room.
            Partner::Receive(receive, waiter) => {
                if let Some(watch) = home.watches.line.get_mut(&place) {
                    watch.stage = Stage::Asked(Partner::Nobody);
                }
                self.proposals.unbind(waiter.select());
                let note = &mut |effect| self.effects.push(effect);
                home.chan.free_receive(receive, waiter, note);
                self.send_otherwise(channel, place, cargo, commands);
            }
            Partner::Nobody => self.send_otherwise(channel, place, cargo, commands),
        }
        self.perform(channel, commands);
        self.settle(commands);
        Ok(())
    }

    /// There is room for the value.
    fn send_prepared(
        &mut self,
        channel: ChannelId,
        place: Place,
        cargo: Cargo,
        commands: &mut Vec<Command>,
    ) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        home.chan.let_older_first();
        let mut cargo = Some(cargo);
        let tried = home.chan.try_send(&mut cargo, &mut |effect| self.effects.push(effect));
        debug_assert_eq!(tried, Tried::Done, "the caller has looked");
        if let Some(cargo) = cargo {
            return self.abort(channel, place, cargo, commands);
        }
        if let Some((session, operation)) = self.end(channel, place) {
            commands.push(Command::send(session, Frame::Sent { operation }));
        }
    }

    fn offer_prepared(
        &mut self,
        channel: ChannelId,
        place: Place,
        cargo: Cargo,
        (receive, receiver): (Place, Waiter),
    ) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let Some(watch) = home.watches.line.get_mut(&place) else { return };
        watch.stage = Stage::Offered(receiver.select());
        let Watch { session, operation, select, .. } = *watch;
        home.watches.offered.push(place);
        let sender = Waiter { session, operation, select };
        let effects = &mut self.effects;
        let note = &mut |effect| effects.push(effect);
        home.chan.offer_kept((place, sender), cargo, (receive, receiver), note);
        self.ledger.unpark(session, channel, operation);
        self.ledger.park(session, channel, operation, Parked::Send(place));
    }

    /// What was kept is gone: there may be something else.
    fn send_otherwise(
        &mut self,
        channel: ChannelId,
        place: Place,
        cargo: Cargo,
        commands: &mut Vec<Command>,
    ) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let Some(watch) = home.watches.line.get_mut(&place) else { return };
        let credits = home.flow.as_ref().map_or(0, |flow| flow.credits.out());
        if !home.chan.is_full_with(credits) && home.chan.is_before_sends(place) {
            return self.send_prepared(channel, place, cargo, commands);
        }
        let select = watch.select();
        let proposals = &self.proposals;
        let free =
            |waiter: &Waiter| waiter.select() != select && !proposals.is_bound(waiter.select());
        if let Some(kept) = home.chan.keep_receive(free) {
            self.proposals.bind(kept.1.select());
            return self.offer_prepared(channel, place, cargo, kept);
        }
        self.abort(channel, place, cargo, commands);
    }

    /// The value goes nowhere; its select stands in line as before.
    fn abort(
        &mut self,
        channel: ChannelId,
        place: Place,
        cargo: Cargo,
        commands: &mut Vec<Command>,
    ) {
        let home = self.homes.get_mut(&channel);
        let Some(watch) = home.and_then(|home| home.watches.line.get_mut(&place)) else { return };
        watch.stage = Stage::Waits;
        let (session, operation, select) = (watch.session, watch.operation, watch.select());
        self.proposals.unbind(select);
        self.lose(cargo, &End::Closed);
        commands.push(Command::send(session, Frame::Aborted { operation }));
    }

    /// An operation ended: if it was a send of a select whose value was on offer, so did that.
    pub(in crate::relay) fn end_offered(&mut self, channel: ChannelId, place: Place) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        if home.watches.offered.contains(&place) {
            self.end(channel, place);
        }
    }

    /// A send is given up whose value is on offer: it does not watch again.
    pub(in crate::relay) fn forget_offered(&mut self, channel: ChannelId, place: Place) -> bool {
        let Some(home) = self.homes.get_mut(&channel) else { return false };
        if !home.watches.offered.contains(&place) {
            return false;
        }
        home.watches.offered.retain(|offered| *offered != place);
        if let Some(watch) = home.watches.line.remove(&place) {
            self.free(channel, watch.select(), watch.stage);
        }
        true
    }

    /// Values whose receiver has gone elsewhere: their selects are open again.
    pub(super) fn reopen(&mut self, channel: ChannelId, commands: &mut Vec<Command>) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let offered = home.watches.offered.clone();
        for place in offered {
            let Some(home) = self.homes.get_mut(&channel) else { return };
            // A bug on purpose, for the checks: the value stays though its select is open again.
            let planted = cfg!(planted = "lock");
            if !home.chan.is_waiting(place) {
                continue;
            }
            let note = &mut |effect| self.effects.push(effect);
            let unsent = if planted { None } else { home.chan.cancel_send(place, note) };
            home.watches.offered.retain(|at| *at != place);
            let Some(watch) = home.watches.line.get_mut(&place) else { continue };
            let (session, operation, select) = (watch.session, watch.operation, watch.select());
            let stage = mem::replace(&mut watch.stage, Stage::Waits);
            self.free(channel, select, stage);
            self.ledger.unpark(session, channel, operation);
            self.ledger.park(session, channel, operation, Parked::Watch(place));
            unsent.into_iter().for_each(|cargo| self.lose(cargo, &End::Closed));
            commands.push(Command::send(session, Frame::Aborted { operation }));
        }
    }
}
