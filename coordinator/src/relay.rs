//! The channels whose home is here, and who holds handles to them.
//!
//! A handle is *attached* to a session that has it, or *held* here while it is in flight: inside a
//! value nobody has taken yet, in the arguments of a task that waits, or as a result that is owed.
//! Every handle is counted in exactly one of the two (the arguments of a task that may be retried
//! in both, for they may leave again). When the last handle of a side goes, the channel ends for
//! the other: `Closed` if its owner dropped it, `Lost` if it vanished with a session.
//!
//! Payloads are never looked into.

//!
//! # Modules
//!
//! - `sends`, `receives`: what sessions ask, and what they may do without asking; `tries`: what
//!   does not wait. `gate`: who has to wait until another's liberty ends.
//! - `credits`, `window`: those liberties, as pure functions.
//! - `proposals`: sends of selects, exactly one of which happens.
//! - `landing`: channels that go home to a node.
//! - `leases`: values in somebody's hands that may come back.
//! - `cargo`: values under way. `ledger`: what each session has. `violation`: what none may do.

mod cargo;
pub mod credits;
mod gate;
mod landing;
mod leases;
mod ledger;
mod proposals;
mod receives;
mod sends;
mod tries;
mod violation;
pub mod window;

use std::collections::{BTreeMap, VecDeque};
use std::mem;

use channels::chan::{self, Chan, Effect, Sent, Turn};
use channels::id::{ChannelId, OperationId, SessionId};
use channels::wire::{CAPACITY_MAX, End, Frame, Parcel, Side};

use crate::Command;
use crate::limits::Limits;
pub use cargo::Cargo;
use gate::{Flow, Wish};
use landing::{Course, Prospects};
use ledger::{CHANNEL_BYTES, Ledger};
use proposals::{Proposals, Watches};
pub use violation::Violation;

/// All channels at home here.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Relay {
    /// Boxed, for the map moves its entries about.
    homes: BTreeMap<ChannelId, Box<Home>>,
    ledger: Ledger,
    proposals: Proposals,
    /// Handles that are gone and not yet counted. A handle may be in the buffer of a channel whose
    /// only handle is in the buffer of another …: the list takes them one by one, where recursion
    /// would take a part of the stack for each.
    gone: VecDeque<Gone>,
    prospects: Prospects,
    /// Scratch space, so that a message allocates nothing.
    effects: Vec<Effect<Waiter>>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Home {
    chan: Chan<Cargo, Waiter>,
    /// All handles, attached or held, by side. More than a peer can have in a lifetime.
    handles: [u64; 2],
    /// The session that exported it, while no other has had a handle and it has not been closed:
    /// until then its contents may follow.
    exporter: Option<SessionId>,
    /// Sends that wait only as long as their value is on offer.
    tries: Vec<(SessionId, OperationId)>,
    /// Selects that would send.
    watches: Watches,
    /// Whose send was the last.
    last_sender: Option<SessionId>,
    /// Credits and early offers, since there have been reasons for some.
    flow: Option<Box<Flow>>,
    course: Course,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Waiter {
    session: SessionId,
    operation: OperationId,
    /// The select of the session that it is a case of, or 0.
    select: u64,
}

impl Waiter {
    /// Whoever has asked for offers ahead of its receives: it waits for none in particular.
    fn ahead(session: SessionId) -> Self {
        Self { session, operation: OperationId(0), select: 0 }
    }
}

impl chan::Waiter for Waiter {
    const TAKES: bool = false;
    type Kept = Self;

    fn keep(&self) -> Self {
        *self
    }

    fn kept(kept: &Self) -> Option<Self> {
        Some(*kept)
    }
}

/// Handles of one side that are gone.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Gone {
    channel: ChannelId,
    side: Side,
    count: u64,
    /// How the channel ends for the other side if they were the last.
    end: End,
}

impl Relay {
    /// No channels.
    pub fn new(limits: Limits) -> Self {
        let ledger = Ledger::new(limits);
        let (proposals, prospects) = (Proposals::default(), Prospects::default());
        let (gone, effects) = (VecDeque::new(), Vec::new());
        Self { homes: BTreeMap::new(), ledger, proposals, gone, prospects, effects }
    }

    /// A session begins.
    pub fn enter(&mut self, session: SessionId) {
        self.ledger.open(session);
    }

    /// A session that went beyond a limit, and which. It is to be cut off.
    pub fn take_excess(&mut self) -> Option<(SessionId, String)> {
        self.ledger.take_excess()
    }

    /// What channels and the values in them take, about, in bytes.
    pub fn bytes(&self) -> usize {
        self.ledger.bytes().saturating_add(CHANNEL_BYTES * self.homes.len())
    }

    /// The session that has the most here.
    pub fn heaviest(&self) -> Option<SessionId> {
        self.ledger.heaviest()
    }

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
        let handles = handles.map(|count| u64::from(count.min(1)));
        let chan = Chan::new(capacity as usize);
        let home = Home {
            chan,
            handles,
            exporter: Some(session),
            tries: Vec::new(),
            watches: Watches::default(),
            last_sender: None,
            flow: None,
            course: Course::of(session),
        };
        self.homes.insert(channel, Box::new(home));
        for (side, count) in [Side::Send, Side::Receive].into_iter().zip(handles) {
            if count > 0 {
                self.ledger.attach(session, channel, side);
            }
        }
        Ok(())
    }

    /// Makes the channel on which a task's outcome will come: the spawner receives, we send.
    pub fn open_result(&mut self, session: SessionId, channel: ChannelId) -> Result<(), Violation> {
        self.export(session, channel, 1, [0, 1])?;
        self.homes.entry(channel).and_modify(|home| {
            home.handles[Side::Send as usize] += 1;
            home.exporter = None;
        });
        Ok(())
    }

    /// Delivers an outcome, and lets go of the sending end.
    pub fn deliver_result(
        &mut self,
        channel: ChannelId,
        outcome: Cargo,
        commands: &mut Vec<Command>,
    ) {
        let Some(home) = self.homes.get_mut(&channel) else {
            return self.release(outcome, commands);
        };
        let nobody = || unreachable!("an outcome is the only value of its channel");
        let mut refused = None;
        match home.chan.send(outcome, nobody, &mut |effect| self.effects.push(effect)) {
            Sent::Done | Sent::Parked(_) => {}
            Sent::Refused(outcome) => refused = Some(outcome),
        }
        self.perform(channel, commands);
        if let Some(outcome) = refused {
            self.lose(outcome, &End::Closed);
        }
        self.gone.push_back(Gone { channel, side: Side::Send, count: 1, end: End::Closed });
        self.settle(commands);
    }

    /// A value from the buffer of a channel that is being exported.
    pub fn restore(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        (attempts, parcel): (u32, Parcel),
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let home = self.homes.get(&channel).ok_or(Violation::NotAttached(channel))?;
        // More than the capacity may come: values that receives had taken and not fetched.
        if home.exporter != Some(session) || home.chan.ended().is_some() {
            return Err(Violation::Unexpected("Restore"));
        }
        let mut cargo = self.take_in(session, session, parcel)?;
        cargo.attempts = attempts;
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        home.chan.restore_sent(cargo, &mut |effect| self.effects.push(effect));
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
        if self.ledger.handles(session, channel, side) == 0 {
            self.end_liberty(session, channel, side, commands);
        }
        self.gone.push_back(Gone { channel, side, count: arrivals.into(), end: End::Closed });
        self.settle(commands);
        Ok(())
    }

    /// A session without handles of a side keeps no credits, and no early offers.
    fn end_liberty(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        side: Side,
        commands: &mut Vec<Command>,
    ) {
        let detaches = self.ledger.detaches(session);
        let Some(flow) = self.flow_mut(channel) else { return };
        let places = match side {
            Side::Send => {
                flow.credits.leave(session, detaches);
                Vec::new()
            }
            Side::Receive => flow.window.leave(session),
        };
        self.put_back(channel, places, commands);
    }

    /// Whether a session has any handle.
    pub fn has_handles(&self, session: SessionId) -> bool {
        self.ledger.has_handles(session)
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

    /// Nobody is here: forgets the channels in each other's buffers, which keep each other and are
    /// out of reach.
    pub fn clear(&mut self) {
        self.homes.clear();
        self.proposals.clear();
        self.ledger.clear();
    }

    fn remove(&mut self, session: SessionId, end: &End, commands: &mut Vec<Command>) {
        let holdings = self.ledger.close(session);
        for (&channel, holding) in &holdings {
            self.end_leases(channel, holding);
            self.forget_watches(channel, session);
            let Some(home) = self.homes.get_mut(&channel) else { continue };
            if home.flow.is_none() && holding.parked.is_empty() {
                continue;
            }
            if cfg!(planted = "early")
                && let Some(flow) = &mut home.flow
            {
                // A bug on purpose, for the checks: early offers count as taken.
                for place in flow.window.leave(session) {
                    home.chan.accept(place, &mut |effect| self.effects.push(effect));
                }
            }
            if let Some(flow) = &mut home.flow {
                // The channel puts them back.
                for place in flow.window.leave(session) {
                    home.chan.offered(place).into_iter().for_each(Cargo::note_attempt);
                }
            }
            let dead = |waiter: &Waiter| waiter.session == session;
            let dropped = home.chan.fence(dead, &mut |effect| self.effects.push(effect));
            let mut asked = Vec::new();
            if let Some(flow) = &mut home.flow {
                asked = flow.fence(session);
                flow.credits.leave(session, 0);
            }
            dropped.into_iter().for_each(|cargo| self.lose(cargo, end));
            for wish in asked {
                if let Wish::Send(cargo) | Wish::TrySend(cargo) = wish {
                    self.lose(cargo, end);
                }
            }
            self.perform(channel, commands);
            self.open_gate(channel, commands);
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
        &mut self,
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
            None => {
                self.note_operations(session, channel, 1);
                Ok(())
            }
        }
    }

    /// Counts the handles that are gone, and those that were in what goes with them. The last step
    /// of everything that makes a handle go.
    fn settle(&mut self, commands: &mut Vec<Command>) {
        loop {
            if let Some(gone) = self.gone.pop_front() {
                self.count_down(gone, commands);
            } else if let Some(channel) = self.proposals.due.pop() {
                self.perform(channel, commands);
            } else {
                break;
            }
        }
        self.ask_due(commands);
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
            self.prospects.afoot.insert(channel);
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
        unread.into_iter().for_each(|cargo| self.lose(cargo, &End::Closed));
    }

    /// Turns what happened to parked operations into frames.
    fn perform(&mut self, channel: ChannelId, commands: &mut Vec<Command>) {
        let mut effects = mem::take(&mut self.effects);
        for Effect { waiter: Waiter { session, operation, .. }, place, turn } in effects.drain(..) {
            let Some(home) = self.homes.get_mut(&channel) else { break };
            let mut may_be_prepared = false;
            if turn != Turn::Offered {
                self.ledger.unpark(session, channel, operation);
                may_be_prepared = home.watches.has_offered();
            }
            let end = || home.chan.ended().cloned().unwrap_or(End::Closed);
            let frame = match turn {
                Turn::Sent => Frame::Sent { operation },
                Turn::Ended => Frame::Ended { operation, end: end() },
                Turn::Offered => match home.chan.offered(place) {
                    Some(cargo) => {
                        let (attempt, parcel) = (cargo.attempt(), cargo.parcel.clone());
                        Frame::Offer { channel, operation, attempt, parcel }
                    }
                    None => continue,
                },
                Turn::Refused => {
                    let end = end();
                    let refused = home.chan.take_refused(place);
                    refused.into_iter().for_each(|cargo| self.lose(cargo, &End::Closed));
                    Frame::Refused { operation, end }
                }
            };
            commands.push(Command::send(session, frame));
            if may_be_prepared {
                self.end_offered(channel, place);
            }
        }
        self.effects = effects;
        self.end_tries(channel, commands);
        self.answer_watches(channel, commands);
        self.top_up(channel, commands);
    }
}
