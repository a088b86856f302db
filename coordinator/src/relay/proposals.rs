//! Sends of selects: exactly one case happens, though the cases are on many channels (contract D7).
//!
//! A send of a select *watches*: it stands in line, by its place, without a value. When it is its
//! turn, what it would meet is kept for it, room or a receive, and its node is *asked* (`Ready`).
//! The select is the node's to decide: it sends the value (`Prepared`), or has chosen another case
//! (`CancelSend`), and then what was kept is free again.
//!
//! ```text
//!   watching -- Ready --> asked -- CancelSend --> (none); what was kept is free
//!       ^                   | Prepared
//!       |                   +-- room was kept --> Sent
//!       |                   +-- a receive was --> on offer -- Accept --> Sent
//!       +--- Aborted ------ nobody is left, or Decline ---+
//! ```
//!
//! **One proposal a select.** A select that is asked, or whose receive is kept for another, is
//! *bound* until that has ended, and takes part in no other proposal: so two selects that would
//! send to each other cannot both be asked, and undo each other for ever. A channel where a bound
//! select would have gone is looked at again when one is bound no longer.
//!
//! **Who dies when.** If the node that watches dies, what was kept for it is free; its value, if
//! it is on offer, is nobody's but the receiver's. If the receiver's node dies or gives up, the
//! send is aborted, or goes to the next. If the channel ends, whoever watches is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use channels::chan::Tried;
use channels::id::{ChannelId, OperationId, SessionId};
use channels::line::Place;
use channels::wire::{End, Frame, Parcel, Side};

use super::gate::{Request, Wish};
use super::ledger::Parked;
use super::{Cargo, Home, Relay, Violation, Waiter};
use crate::Command;

/// A select of a session.
type Select = (SessionId, u64);

/// What holds between the proposals of all channels.
#[derive(Debug, Default)]
pub(super) struct Proposals {
    bound: BTreeSet<Select>,
    /// Channels where a bound select would have gone.
    missed: BTreeSet<ChannelId>,
    /// Those of them that are to be looked at again.
    pub(super) due: Vec<ChannelId>,
}

impl Proposals {
    fn is_bound(&self, select: Select) -> bool {
        select.1 != 0 && self.bound.contains(&select)
    }

    fn bind(&mut self, select: Select) {
        if select.1 != 0 {
            self.bound.insert(select);
        }
    }

    fn unbind(&mut self, select: Select) {
        if self.bound.remove(&select) {
            self.due.extend(mem::take(&mut self.missed));
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Sends of selects on one channel, in order.
#[derive(Debug, Default)]
pub(super) struct Watches {
    line: BTreeMap<Place, Watch>,
    /// Those whose value is on offer.
    offered: Vec<Place>,
}

#[derive(Debug)]
struct Watch {
    session: SessionId,
    operation: OperationId,
    select: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waits,
    Asked(Partner),
    /// To a receive of this select.
    Offered(Select),
}

/// What is kept for a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Partner {
    Room,
    Receive(Place, Waiter),
    /// It is gone, or it was a credit of the session's own.
    Nobody,
}

impl Watches {
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }
}

impl Watch {
    fn select(&self) -> Select {
        (self.session, self.select)
    }
}

impl Waiter {
    fn select(&self) -> Select {
        (self.session, self.select)
    }
}

impl Relay {
    /// A select would send on the channel.
    pub fn watch(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        select: u64,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        self.may_start(session, channel, Side::Send, operation)?;
        let wish = Wish::Watch { select };
        self.request(channel, Request { session, operation, wish }, commands);
        self.settle(commands);
        Ok(())
    }

    pub(super) fn do_watch(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        select: u64,
    ) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let place = home.chan.allot_place();
        let watch = Watch { session, operation, select, stage: Stage::Waits };
        home.watches.line.insert(place, watch);
        self.ledger.park(session, channel, operation, Parked::Watch(place));
    }

    /// A receive comes. If it is for the send of a select, which has waited longest, it is kept for
    /// that.
    pub(super) fn keep_for_select(
        &mut self,
        channel: ChannelId,
        receive: Waiter,
        commands: &mut Vec<Command>,
    ) -> bool {
        let Some(home) = self.homes.get_mut(&channel) else { return false };
        if home.watches.is_empty() || !home.chan.has_only_sends() {
            return false;
        }
        if home.chan.ended().is_some() || self.proposals.is_bound(receive.select()) {
            return false;
        }
        let may = |(place, watch): &(&Place, &Watch)| {
            watch.stage == Stage::Waits
                && watch.select() != receive.select()
                && !self.proposals.is_bound(watch.select())
                && home.chan.is_before_sends(**place)
        };
        let Some(watch) = home.watches.line.iter().find(may).map(|(place, _)| *place) else {
            return false;
        };
        let place = home.chan.allot_place();
        self.ledger.park(receive.session, channel, receive.operation, Parked::Receive(place));
        self.ask(channel, watch, Partner::Receive(place, receive), commands);
        true
    }

    /// Asks a select.
    fn ask(
        &mut self,
        channel: ChannelId,
        place: Place,
        partner: Partner,
        commands: &mut Vec<Command>,
    ) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let Some(watch) = home.watches.line.get_mut(&place) else { return };
        watch.stage = Stage::Asked(partner);
        self.proposals.bind(watch.select());
        if let Partner::Receive(_, receive) = partner {
            self.proposals.bind(receive.select());
        }
        let frame = Frame::Ready { operation: watch.operation };
        commands.push(Command::send(watch.session, frame));
    }

    /// Asks selects whose turn it is to send, or tells them that it never will be. A part of the
    /// last step of everything that happens to a channel.
    pub(super) fn answer_watches(&mut self, channel: ChannelId, commands: &mut Vec<Command>) {
        self.reopen(channel, commands);
        let Some(home) = self.homes.get_mut(&channel) else { return };
        if home.watches.is_empty() {
            return self.set_barrier(channel, commands);
        }
        if let Some(end) = home.chan.ended().cloned() {
            self.refuse_watches(channel, &end, commands);
        } else {
            while let Some((place, partner)) = self.next_proposal(channel) {
                self.ask(channel, place, partner, commands);
            }
        }
        self.set_barrier(channel, commands);
    }

    /// Whose turn it is, and what is kept for it.
    fn next_proposal(&mut self, channel: ChannelId) -> Option<(Place, Partner)> {
        let Home { chan, watches, flow, .. } = self.homes.get_mut(&channel)?;
        let credits = flow.as_ref().map_or(0, |flow| flow.credits.out());
        let has_room = !chan.is_full_with(credits);
        // The usual case first: nobody would take a value. Credits that are out are the watching
        // session's own: others' are called back before it watches.
        if !has_room && credits == 0 && !chan.has_receive(|_| true) {
            return None;
        }
        let proposals = &mut self.proposals;
        for (place, watch) in &watches.line {
            if watch.stage != Stage::Waits {
                continue;
            }
            if proposals.is_bound(watch.select()) {
                proposals.missed.insert(channel);
                continue;
            }
            if has_room && chan.is_before_sends(*place) {
                chan.keep_room();
                return Some((*place, Partner::Room));
            }
            if credits > 0 {
                return Some((*place, Partner::Nobody));
            }
            let own = |waiter: &Waiter| waiter.select() == watch.select();
            let free = |waiter: &Waiter| !own(waiter) && !proposals.is_bound(waiter.select());
            if let Some((receive, waiter)) = chan.keep_receive(free) {
                return Some((*place, Partner::Receive(receive, waiter)));
            }
            if chan.has_receive(|waiter| !own(waiter)) {
                proposals.missed.insert(channel);
            }
        }
        None
    }

    /// Sends that wait let a select go first that has waited longer, and is free.
    fn set_barrier(&mut self, channel: ChannelId, commands: &mut Vec<Command>) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let waits = |(_, watch): &(&Place, &Watch)| {
            watch.stage == Stage::Waits && !self.proposals.is_bound(watch.select())
        };
        let barrier = home.watches.line.iter().find(waits).map(|(place, _)| *place);
        home.chan.set_barrier(barrier, &mut |effect| self.effects.push(effect));
        if !self.effects.is_empty() {
            self.perform(channel, commands);
        }
    }

    /// The select has chosen this send.
    pub(super) fn prepared(
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
        let cargo = self.take_in(session, session, parcel)?;
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
            Partner::Room => {
                home.chan.spend_room();
                if let Some(watch) = home.watches.line.get_mut(&place) {
                    watch.stage = Stage::Asked(Partner::Nobody);
                }
                self.send_prepared(channel, place, cargo, commands);
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
        let mut cargo = Some(cargo);
        let tried = home.chan.try_send(&mut cargo, &mut |effect| self.effects.push(effect));
        debug_assert_eq!(tried, Tried::Done, "room was kept");
        if let Some(cargo) = cargo {
            self.lose(cargo, &End::Closed);
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
        watch.stage = Stage::Waits;
        let (session, operation) = (watch.session, watch.operation);
        self.proposals.unbind(select);
        self.lose(cargo, &End::Closed);
        commands.push(Command::send(session, Frame::Aborted { operation }));
    }

    /// Forgets a send of a select; what was kept for it is free.
    pub(super) fn end(
        &mut self,
        channel: ChannelId,
        place: Place,
    ) -> Option<(SessionId, OperationId)> {
        let home = self.homes.get_mut(&channel)?;
        let watch = home.watches.line.remove(&place)?;
        home.watches.offered.retain(|offered| *offered != place);
        self.ledger.unpark(watch.session, channel, watch.operation);
        self.free(channel, watch.select(), watch.stage);
        Some((watch.session, watch.operation))
    }

    fn free(&mut self, channel: ChannelId, select: Select, stage: Stage) {
        if stage != Stage::Waits {
            self.proposals.unbind(select);
        }
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let note = &mut |effect| self.effects.push(effect);
        match stage {
            Stage::Waits | Stage::Asked(Partner::Nobody) => {}
            Stage::Asked(Partner::Room) => home.chan.free_room(note),
            Stage::Asked(Partner::Receive(place, waiter)) => {
                self.proposals.unbind(waiter.select());
                home.chan.free_receive(place, waiter, note);
            }
            Stage::Offered(receiver) => self.proposals.unbind(receiver),
        }
    }

    /// An operation ended: if it was a send of a select whose value was on offer, so did that.
    pub(super) fn end_offered(&mut self, channel: ChannelId, place: Place) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        if home.watches.offered.contains(&place) {
            self.end(channel, place);
        }
    }

    /// A send is given up whose value is on offer: it does not watch again.
    pub(super) fn forget_offered(&mut self, channel: ChannelId, place: Place) -> bool {
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

    /// A receive is gone that may be kept for a send.
    pub(super) fn drop_kept(&mut self, channel: ChannelId, receive: Place) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        for watch in home.watches.line.values_mut() {
            if let Stage::Asked(Partner::Receive(place, waiter)) = watch.stage
                && place == receive
            {
                watch.stage = Stage::Asked(Partner::Nobody);
                self.proposals.unbind(waiter.select());
            }
        }
    }

    /// Values whose receiver has gone elsewhere: their selects are open again.
    fn reopen(&mut self, channel: ChannelId, commands: &mut Vec<Command>) {
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

    /// The channel has ended. A value on offer may still be taken.
    fn refuse_watches(&mut self, channel: ChannelId, end: &End, commands: &mut Vec<Command>) {
        let is_over = |watch: &Watch| !matches!(watch.stage, Stage::Offered(_));
        for place in self.watches_such(channel, is_over) {
            if let Some((session, operation)) = self.end(channel, place) {
                let end = end.clone();
                commands.push(Command::send(session, Frame::Refused { operation, end }));
            }
        }
    }

    /// A session is gone, with its selects. The channel sees to what is on offer.
    pub(super) fn forget_watches(&mut self, channel: ChannelId, session: SessionId) {
        for place in self.watches_such(channel, |watch| watch.session == session) {
            self.end(channel, place);
        }
    }

    fn watches_such(&self, channel: ChannelId, is_such: impl Fn(&Watch) -> bool) -> Vec<Place> {
        let line = self.homes.get(&channel).into_iter().flat_map(|home| &home.watches.line);
        line.filter(|(_, watch)| is_such(watch)).map(|(place, _)| *place).collect()
    }
}
