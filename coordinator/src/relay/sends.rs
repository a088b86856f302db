//! Sends and closes: asked one by one, or under credits.

use channels::chan::{Sent, Tried};
use channels::id::{ChannelId, OperationId, SessionId};
use channels::wire::{End, Frame, Parcel, Parcels, Side, WHOLE_BYTES_MAX};

use super::cargo::Passing;
use super::gate::{Flow, Request, Wish};
use super::ledger::Parked;
use super::window::Early;
use super::{Cargo, Relay, Violation, Waiter};
use crate::Command;

impl Relay {
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
        let cargo = self.take_into(session, channel, parcel)?;
        self.request(channel, Request { session, operation, wish: Wish::Send(cargo) }, commands);
        self.settle(commands);
        Ok(())
    }

    pub(super) fn do_send(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        cargo: Cargo,
        commands: &mut Vec<Command>,
    ) {
        if !self.note_send(session, channel, cargo.bytes()) {
            // Its own credits are on their way to it, and keep all room there is.
            commands.push(Command::send(session, Frame::Again { channel, operation }));
            return self.lose(cargo, &End::Closed);
        }
        let Some(home) = self.homes.get_mut(&channel) else {
            return self.lose(cargo, &End::Closed);
        };
        let waiter = Waiter { session, operation, select: 0 };
        match home.chan.send(cargo, || waiter, &mut |effect| self.effects.push(effect)) {
            Sent::Done => commands.push(Command::send(session, Frame::Sent { operation })),
            Sent::Parked(place) => {
                self.ledger.park(session, channel, operation, Parked::Send(place));
            }
            Sent::Refused(cargo) => {
                let end = home.chan.ended().cloned().unwrap_or(End::Closed);
                commands.push(Command::send(session, Frame::Refused { operation, end }));
                self.lose(cargo, &End::Closed);
            }
        }
    }

    /// Notes who sends, for that may earn credits. False if the session's own credits keep all room
    /// that there is.
    fn note_send(&mut self, session: SessionId, channel: ChannelId, bytes: usize) -> bool {
        let Some(home) = self.homes.get_mut(&channel) else { return true };
        let repeats = home.last_sender.replace(session) == Some(session);
        if home.flow.is_none() && (!repeats || home.chan.capacity() == 0) {
            return true;
        }
        let credits = &mut home.flow.get_or_insert_with(|| Flow::new(session)).credits;
        credits.on_send(session, self.ledger.detaches(session));
        credits.note_size(bytes);
        let chan = &home.chan;
        let room = !chan.is_full_with(credits.out());
        credits.out() == 0 || room || chan.ended().is_some()
    }

    /// Sends under credits.
    pub(super) fn prepaid(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        mut parcels: Parcels,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        if self.ledger.handles(session, channel, Side::Send) == 0 {
            return Err(Violation::NotAttached(channel));
        }
        self.note_operations(session, channel, parcels.len() as u64);
        // Who waits gets the first, and is told of it before others are offered ahead.
        while self.homes.get(&channel).is_some_and(|home| home.chan.has_receive(|_| true))
            && let Some(parcel) = parcels.take_first()
        {
            self.append_prepaid(session, channel, parcel)?;
        }
        if !self.effects.is_empty() {
            self.perform(channel, commands);
        }
        self.let_pass(session, channel, &mut parcels, commands);
        for parcel in parcels {
            self.append_prepaid(session, channel, parcel)?;
        }
        self.perform(channel, commands);
        self.open_gate(channel, commands);
        self.settle(commands);
        Ok(())
    }

    /// A value came for which a credit was spent.
    fn append_prepaid(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        parcel: Parcel,
    ) -> Result<(), Violation> {
        let spent = self.flow_mut(channel).is_some_and(|flow| flow.credits.spend(session, 1));
        if !spent {
            return Err(Violation::Unexpected("Prepaid"));
        }
        let cargo = self.take_into(session, channel, parcel)?;
        if let Some(flow) = self.flow_mut(channel) {
            flow.credits.note_size(cargo.bytes());
        }
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let note = &mut |effect| self.effects.push(effect);
        if home.chan.is_stuffed() && home.chan.ended().is_none() {
            // Its place has been kept for it since before there was too much.
            home.chan.restore_sent(cargo, note);
            return Ok(());
        }
        let mut cargo = Some(cargo);
        let tried = home.chan.try_send(&mut cargo, note);
        // If nobody is left to receive, it is as if nobody had taken it from the buffer.
        if let Some(cargo) = cargo {
            self.lose(cargo, &End::Closed);
        }
        if tried == Tried::Full {
            debug_assert!(false, "a credit is room");
            return Err(Violation::Unexpected("Prepaid"));
        }
        Ok(())
    }

    /// Lets values that came under credits pass to whoever keeps receiving, in one piece: those
    /// of them, from the first, for which nothing stands in the way.
    fn let_pass(
        &mut self,
        payer: SessionId,
        channel: ChannelId,
        parcels: &mut Parcels,
        commands: &mut Vec<Command>,
    ) {
        let is_large = parcels.bytes() > WHOLE_BYTES_MAX - size_of::<Cargo>();
        if !parcels.passages().is_empty() || is_large || self.is_leaving(channel) {
            return;
        }
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let Some(flow) = home.flow.as_mut().filter(|flow| !flow.has_held(Side::Receive)) else {
            return;
        };
        let Some((owner, room)) = flow.window.room(home.chan.capacity()) else { return };
        let count = home.chan.passable(parcels.len().min(room));
        // A credit is spent when its value comes: until then its place is kept.
        if count == 0 || !flow.credits.spend(payer, count) {
            return;
        }
        let age = home.chan.pass(count);
        let passing = Passing { parcels: parcels.split_to(count), age, payer, channel };
        let bytes = passing.bytes();
        flow.credits.note_size(bytes / count);
        let parcels = passing.parcels.clone();
        let first = flow.window.offer(Early::Passing(passing));
        self.ledger.charge(payer, bytes);
        self.weigh(channel, bytes);
        let detaches = self.ledger.detaches(owner);
        let early = Frame::Early { channel, first, detaches, attempt: 1, parcels };
        commands.push(Command::send(owner, early));
    }

    /// Credits that a session will not use.
    pub(super) fn repay(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        credits: u32,
        detaches: u64,
        commands: &mut Vec<Command>,
    ) {
        if let Some(flow) = self.flow_mut(channel) {
            flow.credits.repay(session, credits as usize, detaches);
            self.open_gate(channel, commands);
            self.perform(channel, commands);
            self.settle(commands);
        }
    }

    /// A send is given up. It may be too late.
    pub fn cancel_send(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) {
        match self.ledger.parked(session, channel, operation) {
            Some(Parked::Watch(place)) => {
                self.end(channel, place);
                self.perform(channel, commands);
            }
            Some(Parked::Held(_)) => self.give_up_held(session, channel, operation),
            Some(Parked::Send(place)) => {
                let is_offered = self.forget_offered(channel, place);
                let Some(home) = self.homes.get_mut(&channel) else { return };
                let unsent = home.chan.cancel_send(place, &mut |effect| self.effects.push(effect));
                if let Some(cargo) = unsent {
                    self.ledger.unpark(session, channel, operation);
                    self.lose(cargo, &End::Closed);
                } else if is_offered {
                    // If it comes back, nobody waits for it.
                    home.tries.push((session, operation));
                }
                self.perform(channel, commands);
            }
            Some(Parked::Receive(_) | Parked::Lease(_)) | None => return,
        }
        self.settle(commands);
    }

    /// A request at the gate is given up.
    pub(super) fn give_up_held(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
    ) {
        self.ledger.unpark(session, channel, operation);
        let held = self.flow_mut(channel).and_then(|flow| flow.give_up(session, operation));
        if let Some(Wish::Send(cargo) | Wish::TrySend(cargo)) = held {
            self.lose(cargo, &End::Closed);
        }
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
        if self.ledger.parked(session, channel, operation).is_some() {
            return Err(Violation::Busy(operation));
        }
        self.request(channel, Request { session, operation, wish: Wish::Close }, commands);
        self.settle(commands);
        Ok(())
    }

    pub(super) fn do_close(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let first = home.chan.finish(End::Closed, &mut |effect| self.effects.push(effect));
        let first = u32::from(first);
        commands.push(Command::send(session, Frame::Closed { operation, first }));
    }
}
