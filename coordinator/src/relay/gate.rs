//! Who waits for credits or early offers of another session to come home, before the channel is
//! asked at all.
//!
//! Credits and early offers let one session act without asking. For all others it must look as if
//! there were none: what another session asks waits here until nothing that it could tell apart is
//! out any more. Requests of a side are done in the order in which they came. Whoever holds what is
//! waited for may be silent: then its lease ends, it is fenced, and the gate opens (contract D2 and
//! D7: a wait is bounded by the lease).
//!
//! A request at the gate is parked in the `ledger`, as one that waits in the channel is; it goes
//! when it is given up, when its session gives its handles back, or when its session dies.

use std::collections::VecDeque;
use std::mem;

use channels::chan::Turn;
use channels::id::{ChannelId, OperationId, SessionId};
use channels::wire::{Frame, Side, WHOLE_BYTES_MAX};

use super::credits::{CallBack, Credits};
use super::ledger::Parked;
use super::window::{Early, Recall, Window};
use super::{Cargo, Relay, Violation};
use crate::Command;

/// What a channel needs once somebody uses it without asking each time.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Flow {
    pub(super) credits: Credits,
    pub(super) window: Window,
    /// Who waits for credits to come home, and who for early offers.
    held: [VecDeque<Request>; 2],
}

/// What a session asks of a channel.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Request {
    pub(super) session: SessionId,
    pub(super) operation: OperationId,
    pub(super) wish: Wish,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Wish {
    Send(Cargo),
    TrySend(Cargo),
    Watch { select: u64 },
    Close,
    Measure,
    Receive { select: u64 },
    TryReceive,
}

impl Wish {
    /// The side whose handles it needs.
    fn side(&self) -> Option<Side> {
        match self {
            Self::Send(_) | Self::TrySend(_) | Self::Watch { .. } => Some(Side::Send),
            Self::Receive { .. } | Self::TryReceive => Some(Side::Receive),
            Self::Close | Self::Measure => None,
        }
    }
}

impl Flow {
    pub(super) fn new(sender: SessionId) -> Box<Self> {
        let (credits, window) = (Credits::new(sender), Window::default());
        Box::new(Self { credits, window, held: Default::default() })
    }

    /// Whether a session that tried to send or receive would first have something called home, or
    /// would find something that it has: only then is known what there is.
    pub(super) fn is_lent(&self, session: SessionId, side: Side) -> bool {
        let credits = self.credits.out() > 0 && !self.credits.are_held_by(session);
        let window = &self.window;
        let early = window.stands_in_the_way_of(session) || window.is_owed_by(session);
        credits || side == Side::Receive && early
    }

    pub(super) fn has_held(&self, side: Side) -> bool {
        !self.held[side as usize].is_empty()
    }

    /// Takes a request out that is given up.
    pub(super) fn give_up(&mut self, session: SessionId, operation: OperationId) -> Option<Wish> {
        self.held.iter_mut().find_map(|held| {
            let is_it = |one: &Request| (one.session, one.operation) == (session, operation);
            Some(held.remove(held.iter().position(is_it)?)?.wish)
        })
    }

    /// Takes out whatever a dead session asked.
    pub(super) fn fence(&mut self, session: SessionId) -> Vec<Wish> {
        let mut dead = Vec::new();
        for held in &mut self.held {
            let (gone, rest) = mem::take(held).into_iter().partition(|one| one.session == session);
            *held = rest;
            let gone: VecDeque<Request> = gone;
            dead.extend(gone.into_iter().map(|one| one.wish));
        }
        dead
    }
}

impl Relay {
    /// Takes in a frame that has to do with credits or early offers.
    pub fn on_lending(
        &mut self,
        session: SessionId,
        frame: Frame,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        match frame {
            Frame::Prepaid { channel, parcels } => {
                self.prepaid(session, channel, parcels, commands)
            }
            Frame::Repay { channel, credits, detaches } => {
                self.repay(session, channel, credits, detaches, commands);
                Ok(())
            }
            Frame::Ahead { channel, window, seen } => {
                self.ahead(session, channel, window, seen, commands)
            }
            Frame::Took { channel, first, count } => {
                self.took(session, channel, first, count, commands)
            }
            Frame::Untaken { channel, first, count } => {
                self.untaken(session, channel, first, count, commands);
                Ok(())
            }
            Frame::Abandon { channel, operation } => {
                self.abandon(session, channel, operation, commands);
                Ok(())
            }
            other => self.on_lease_frame(session, other, commands),
        }
    }

    /// Does what a session asks, now or once nothing of another stands in its way.
    pub(super) fn request(
        &mut self,
        channel: ChannelId,
        request: Request,
        commands: &mut Vec<Command>,
    ) {
        let receives = matches!(request.wish, Wish::Receive { .. } | Wish::TryReceive);
        if receives && self.is_moot(request.session, channel) {
            let Request { session, operation, .. } = request;
            return commands.push(Command::send(session, Frame::Again { channel, operation }));
        }
        if let Some(side) = self.obstacle(channel, &request) {
            let Request { session, operation, .. } = request;
            self.ledger.park(session, channel, operation, Parked::Held(request.wish.side()));
            if let Some(flow) = self.flow_mut(channel) {
                flow.held[side as usize].push_back(request);
            }
            return self.clear_way(channel, side, commands);
        }
        let Request { session, operation, wish } = request;
        match wish {
            Wish::Send(cargo) => self.do_send(session, channel, operation, cargo, commands),
            Wish::TrySend(cargo) => self.do_try_send(session, channel, operation, cargo, commands),
            Wish::Watch { select } => self.do_watch(session, channel, operation, select),
            Wish::Close => self.do_close(session, channel, operation, commands),
            Wish::Measure => self.do_measure(session, channel, operation, commands),
            Wish::Receive { select } => {
                self.do_receive(session, channel, operation, select, commands);
            }
            Wish::TryReceive => self.do_try_receive(session, channel, operation, commands),
        }
        self.perform(channel, commands);
    }

    /// What a request has to wait for: credits, or early offers.
    fn obstacle(&self, channel: ChannelId, request: &Request) -> Option<Side> {
        let home = self.homes.get(&channel)?;
        let flow = home.flow.as_ref()?;
        let session = request.session;
        let credits = flow.credits.out() > 0 && !flow.credits.are_held_by(session);
        let early = flow.has_held(Side::Receive) || flow.window.stands_in_the_way_of(session);
        let (sends, receives) = (Some(Side::Send), Some(Side::Receive));
        match request.wish {
            Wish::Send(_) | Wish::TrySend(_) | Wish::Watch { .. } => {
                sends.filter(|_| credits || flow.has_held(Side::Send))
            }
            // A bug on purpose, for the checks: the close does not wait.
            Wish::Close if cfg!(planted = "close") => None,
            Wish::Close => sends.filter(|_| flow.credits.out() > 0 || flow.has_held(Side::Send)),
            Wish::Measure => sends.filter(|_| credits),
            Wish::Receive { .. } => receives.filter(|_| early),
            Wish::TryReceive if early => receives,
            // Empty is the truth only if nothing is on its way that was sent.
            Wish::TryReceive => sends.filter(|_| credits && !home.chan.is_ready_soon()),
        }
    }

    /// Calls home what stands in somebody's way.
    fn clear_way(&mut self, channel: ChannelId, side: Side, commands: &mut Vec<Command>) {
        let Some(flow) = self.flow_mut(channel) else { return };
        match side {
            Side::Send => {
                if let CallBack::Tell(holder) = flow.credits.call_back() {
                    commands.push(Command::send(holder, Frame::Revoke { channel }));
                }
            }
            Side::Receive => {
                if let Recall::Tell(owner) = flow.window.recall() {
                    commands.push(Command::send(owner, Frame::Recall { channel }));
                }
            }
        }
        self.open_gate(channel, commands);
    }

    /// Lets in who waited, if what they waited for is home.
    pub(super) fn open_gate(&mut self, channel: ChannelId, commands: &mut Vec<Command>) {
        for side in [Side::Send, Side::Receive] {
            let Some(flow) = self.flow_mut(channel) else { return };
            let is_home = match side {
                Side::Send => flow.credits.out() == 0,
                Side::Receive => flow.window.is_nobodys(),
            };
            if !is_home {
                continue;
            }
            if side == Side::Send {
                flow.credits.resume();
            }
            for request in mem::take(&mut flow.held[side as usize]) {
                self.ledger.unpark(request.session, channel, request.operation);
                self.request(channel, request, commands);
            }
        }
    }

    /// Gives credits to who sends much, and offers values to who receives much, ahead of their
    /// asking; unless others wait, or the channel is on its way to a node. The last step of
    /// everything that happens to a channel.
    pub(super) fn top_up(&mut self, channel: ChannelId, commands: &mut Vec<Command>) {
        if self.is_leaving(channel) {
            return;
        }
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let Some(flow) = &mut home.flow else { return };
        let chan = &mut home.chan;
        let capacity = chan.capacity();
        if chan.ended().is_some() {
            // Its sends would return Ok for nothing.
            if let CallBack::Tell(holder) = flow.credits.call_back() {
                commands.push(Command::send(holder, Frame::Revoke { channel }));
            }
        } else if !flow.has_held(Side::Send)
            && home.watches.is_empty()
            && !chan.is_stuffed()
            && let Some((session, credits)) = flow.credits.grant(capacity, chan.len())
        {
            let detaches = self.ledger.detaches(session);
            let credit = Frame::Credit { channel, credits, detaches };
            commands.push(Command::send(session, credit));
        }
        let mut batch = super::receives::EarlyBatch::new(channel);
        while !flow.has_held(Side::Receive)
            && let Some((owner, _)) = flow.window.room(capacity)
            && chan.next_ended().is_some_and(|cargo| cargo.bytes() <= WHOLE_BYTES_MAX)
            && !chan.has_receive(|_| true)
        {
            let place = chan.park_receive(super::Waiter::ahead(owner), &mut |effect| {
                debug_assert_eq!(effect.turn, Turn::Offered, "who waits for room finds none");
            });
            let Some(cargo) = chan.offered(place) else { break };
            let number = flow.window.offer(Early::One { place, bytes: cargo.bytes() });
            let detaches = self.ledger.detaches(owner);
            let parcel = (cargo.attempt(), &cargo.parcel);
            batch.push((owner, detaches), number, parcel, commands);
        }
        batch.flush(commands);
    }

    pub(super) fn flow_mut(&mut self, channel: ChannelId) -> Option<&mut Flow> {
        self.homes.get_mut(&channel)?.flow.as_deref_mut()
    }
}
