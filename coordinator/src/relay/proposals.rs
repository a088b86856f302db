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
//! **Who dies when.** What was kept or asked is bounded by the lease of whoever is to answer.
//!
//! - *The node of the select.* What it watched is forgotten, and what was kept for it is free. If
//!   its value is on offer, that is the receiver's, or nobody's if the receiver declines.
//! - *The node of the receive.* A receive that was kept is none: the value, when it comes, goes to
//!   others, or is aborted. One that has the offer has not taken it: aborted.
//! - *Both.* The value is gone with both.
//! - *The channel* (closed, lost, without receivers). Whoever watches is refused, asked or not. A
//!   value on offer stays so as long as it may be taken, and is refused then.
//! - *The coordinator.* The select hears that it is lost, and has its value.
//!
//! A value that is dropped here is never lost: until `Sent` it is its select's, which gets it back
//! with the answer, or keeps it when another case happens.
//!
//! # Beside what else a channel does
//!
//! - *Landing* (`landing.rs`). While anything is asked or on offer a channel does not land; while
//!   it is asked whether it could, nothing new is proposed; and what has been sent to a node is not
//!   touched. So the answer to a proposal comes to the channel that made it, or to nobody: at the
//!   node, an answer about a channel on its way is held back until it is known that it stays
//!   (`settling.rs`). A send that only watches begins anew where the channel is then.
//! - *Credits*: those of other sessions are home before a send watches (`gate.rs`), and none are
//!   lent while one does. If the select's own session has some it is asked at once, for it has
//!   room.
//! - *Early offers* have been sent before, so they are ahead of every watch, and no receive waits
//!   beside them.
//! - *Leases, strict order*: a leased value's send has ended. While strict order holds a channel
//!   up no receive is kept; one that was is let go when the value comes, and the send is aborted if
//!   nothing else is there.
//! - *Sends that wait* let a watch that is older and free go first; a watch lets older sends go
//!   first. Room that is kept counts as filled.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use channels::id::{ChannelId, OperationId, SessionId};
use channels::line::Place;
use channels::wire::{End, Frame, Side};

use super::gate::{Request, Wish};
use super::ledger::Parked;
use super::{Home, Relay, Violation, Waiter};
use crate::Command;

mod prepared;

/// A select of a session.
type Select = (SessionId, u64);

/// What holds between the proposals of all channels.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
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
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Watches {
    line: BTreeMap<Place, Watch>,
    /// Those whose value is on offer.
    offered: Vec<Place>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Watch {
    session: SessionId,
    operation: OperationId,
    select: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Waits,
    Asked(Partner),
    /// To a receive of this select.
    Offered(Select),
}

/// What is kept for a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

    /// Whether a value of one is on offer.
    pub(super) fn has_offered(&self) -> bool {
        !self.offered.is_empty()
    }

    /// What they are called, if nothing is proposed to any of them.
    pub(super) fn unasked(&self) -> Option<Vec<OperationId>> {
        let waits = |watch: &Watch| (watch.stage == Stage::Waits).then_some(watch.operation);
        self.line.values().map(waits).collect()
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
        let is_leaving = self.is_leaving(channel);
        let Some(home) = self.homes.get_mut(&channel) else { return false };
        if is_leaving || !home.chan.has_only_sends() {
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
        self.propose(channel, watch, Partner::Receive(place, receive), commands);
        true
    }

    /// Asks a select.
    fn propose(
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
        let Some(home) = self.homes.get_mut(&channel) else { return };
        // The usual case first: no select would send.
        if home.watches.is_empty() && !home.chan.has_barrier() {
            return;
        }
        self.reopen(channel, commands);
        let is_leaving = self.is_leaving(channel);
        let Some(home) = self.homes.get_mut(&channel) else { return };
        if let Some(end) = home.chan.ended().cloned() {
            self.refuse_watches(channel, &end, commands);
        } else if !is_leaving {
            while let Some((place, partner)) = self.next_proposal(channel) {
                self.propose(channel, place, partner, commands);
            }
        }
        self.set_barrier(channel, commands);
    }

    /// Whose turn it is, and what is kept for it.
    fn next_proposal(&mut self, channel: ChannelId) -> Option<(Place, Partner)> {
        let Home { chan, watches, flow, .. } = &mut **self.homes.get_mut(&channel)?;
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

    /// Sends that wait let a select go first that has waited longer, and is free; unless nothing is
    /// proposed now.
    fn set_barrier(&mut self, channel: ChannelId, commands: &mut Vec<Command>) {
        let is_leaving = self.is_leaving(channel);
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let waits = |(_, watch): &(&Place, &Watch)| {
            !is_leaving && watch.stage == Stage::Waits && !self.proposals.is_bound(watch.select())
        };
        let barrier = home.watches.line.iter().find(waits).map(|(place, _)| *place);
        home.chan.set_barrier(barrier, &mut |effect| self.effects.push(effect));
        if !self.effects.is_empty() {
            self.perform(channel, commands);
        }
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
