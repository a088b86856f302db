//! The channels whose home is here, and who holds handles to them.
//!
//! A handle is *attached* to a session that has it, or *held* here while it is in flight: inside a
//! value nobody has taken yet, in the arguments of a task that waits, or as a result that is owed.
//! Every handle is counted in exactly one of the two (the arguments of a task that may be retried
//! in both, for they may leave again). When the last handle of a side goes, the channel ends for
//! the other: `Closed` if its owner dropped it, `Lost` if it vanished with a session.
//!
//! Payloads are never looked into.

use std::collections::BTreeMap;
use std::mem;

use channels::chan::{self, Chan, Effect, Sent, Turn};
use channels::id::{ChannelId, OperationId, SessionId};
use channels::line::Place;
use channels::wire::{CAPACITY_MAX, End, Frame, Parcel, Passage, Side};

use crate::Command;

mod tries;

/// All channels at home here.
#[derive(Debug, Default)]
pub struct Relay {
    homes: BTreeMap<ChannelId, Home>,
    /// Scratch space, so that a message allocates nothing.
    effects: Vec<Effect<Waiter>>,
}

/// A frame that its sender had no right to send. The link ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// No such channel, or no handle to it: the two are not told apart.
    #[error("{0} is not known to this session")]
    NotAttached(ChannelId),
    /// The identity is taken.
    #[error("{0} exists already")]
    Exists(ChannelId),
    /// The number is out of range.
    #[error("a capacity of {0}; at most {CAPACITY_MAX} is allowed")]
    Capacity(u32),
    /// More handles are given back than were given.
    #[error("{0} handles of {1} given back that the session does not have")]
    Count(u32, ChannelId),
    /// The operation's name is in use.
    #[error("{0} is under way already")]
    Busy(OperationId),
    /// The frame makes no sense here.
    #[error("a {0} frame was not expected from this node")]
    Unexpected(&'static str),
}

#[derive(Debug)]
struct Home {
    chan: Chan<Parcel, Waiter>,
    /// Handles of each side that each session has.
    attached: BTreeMap<SessionId, [u32; 2]>,
    /// All handles, attached or held, by side.
    handles: [u32; 2],
    /// The session that is exporting it, until the first other operation on it.
    exporter: Option<SessionId>,
    /// Operations that wait, or whose offer is out.
    parked: BTreeMap<(SessionId, OperationId), Place>,
    /// Sends among them that do not wait: their value is on offer, and they end with it.
    tries: Vec<(SessionId, OperationId)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiter {
    session: SessionId,
    operation: OperationId,
}

impl chan::Waiter for Waiter {
    const TAKES: bool = false;
}

/// Why a handle is gone.
#[derive(Clone, Copy, Debug)]
enum Gone<'a> {
    Dropped,
    Vanished(&'a str),
}

impl Gone<'_> {
    fn end(self) -> End {
        match self {
            Self::Dropped => End::Closed,
            Self::Vanished(cause) => End::Lost(cause.to_owned()),
        }
    }
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
        let handles = handles.map(|count| count.min(1));
        let home = Home {
            chan: Chan::new(capacity as usize),
            attached: BTreeMap::from([(session, handles)]),
            handles,
            exporter: Some(session),
            parked: BTreeMap::new(),
            tries: Vec::new(),
        };
        self.homes.insert(channel, home);
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
            self.release(&outcome.passages, commands);
        }
        self.count_down(channel, Side::Send, 1, Gone::Dropped, commands);
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
        if home.exporter != Some(session) {
            return Err(Violation::Unexpected("Restore"));
        }
        self.hold(session, &parcel.passages)?;
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        home.chan.restore_sent(parcel, &mut |effect| self.effects.push(effect));
        self.perform(channel, commands);
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
        self.home(session, channel, Side::Send, operation)?;
        self.hold(session, &parcel.passages)?;
        let mut effects = mem::take(&mut self.effects);
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let waiter = Waiter { session, operation };
        match home.chan.send(parcel, || waiter, &mut |effect| effects.push(effect)) {
            Sent::Done => commands.push(Command::send(session, Frame::Sent { operation })),
            Sent::Parked(place) => drop(home.parked.insert((session, operation), place)),
            Sent::Refused(parcel) => {
                let end = home.chan.ended().cloned().unwrap_or(End::Closed);
                commands.push(Command::send(session, Frame::Refused { operation, end }));
                self.release(&parcel.passages, commands);
            }
        }
        self.effects = effects;
        self.perform(channel, commands);
        Ok(())
    }

    /// A send is given up. It may be too late.
    pub fn cancel_send(
        &mut self,
        waiter: (SessionId, OperationId),
        channel: ChannelId,
        commands: &mut Vec<Command>,
    ) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let Some(place) = home.parked.get(&waiter).copied() else { return };
        let unsent = home.chan.cancel_send(place, &mut |effect| self.effects.push(effect));
        if let Some(parcel) = unsent {
            home.parked.remove(&waiter);
            self.release(&parcel.passages, commands);
        }
        self.perform(channel, commands);
    }

    /// A receive.
    pub fn receive(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let mut effects = mem::take(&mut self.effects);
        let home = self.home(session, channel, Side::Receive, operation)?;
        let waiter = Waiter { session, operation };
        let place = home.chan.park_receive(waiter, &mut |effect| effects.push(effect));
        home.parked.insert((session, operation), place);
        self.effects = effects;
        self.perform(channel, commands);
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
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let place = home.parked.remove(&(session, operation));
        let effects = &mut self.effects;
        let taken =
            place.and_then(|place| home.chan.accept(place, &mut |effect| effects.push(effect)));
        let parcel = taken.ok_or(Violation::Unexpected("Accept"))?;
        for passage in &parcel.passages {
            if let Some(home) = self.homes.get_mut(&passage.channel) {
                home.attached.entry(session).or_default()[passage.side as usize] += 1;
            }
        }
        self.perform(channel, commands);
        Ok(())
    }

    /// A receive is given up; a value offered to it goes back.
    pub fn decline(
        &mut self,
        waiter: (SessionId, OperationId),
        channel: ChannelId,
        commands: &mut Vec<Command>,
    ) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let Some(place) = home.parked.remove(&waiter) else { return };
        let orphan = home.chan.decline(place, &mut |effect| self.effects.push(effect));
        self.perform(channel, commands);
        if let Some(parcel) = orphan {
            self.release(&parcel.passages, commands);
        }
    }

    /// A close.
    pub fn close(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        operation: OperationId,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        if !home.attached.contains_key(&session) {
            return Err(Violation::NotAttached(channel));
        }
        let first = home.chan.finish(End::Closed, &mut |effect| self.effects.push(effect));
        let first = u32::from(first);
        commands.push(Command::send(session, Frame::Closed { operation, first }));
        self.perform(channel, commands);
        Ok(())
    }

    /// A node gives handles back.
    pub fn detach(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        side: Side,
        arrivals: u32,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let attached = home.attached.get_mut(&session).ok_or(Violation::NotAttached(channel))?;
        let left = attached[side as usize].checked_sub(arrivals);
        attached[side as usize] = left.ok_or(Violation::Count(arrivals, channel))?;
        if *attached == [0, 0] {
            home.attached.remove(&session);
        }
        self.count_down(channel, side, arrivals, Gone::Dropped, commands);
        Ok(())
    }

    /// Whether a session has any handle.
    pub fn has_handles(&self, session: SessionId) -> bool {
        self.homes.values().any(|home| home.attached.contains_key(&session))
    }

    /// Handles arrived here inside something that a session sent. It must have them itself.
    pub fn hold(&mut self, session: SessionId, passages: &[Passage]) -> Result<(), Violation> {
        for Passage { channel, side, .. } in passages {
            let attached = self.homes.get(channel).and_then(|home| home.attached.get(&session));
            if attached.is_none_or(|counts| counts[*side as usize] == 0) {
                return Err(Violation::NotAttached(*channel));
            }
        }
        for Passage { channel, side, .. } in passages {
            if let Some(home) = self.homes.get_mut(channel) {
                home.handles[*side as usize] += 1;
            }
        }
        Ok(())
    }

    /// Handles held here go to a session with a task. Those of a task that may run again stay held
    /// besides.
    pub fn hand_over(&mut self, session: SessionId, passages: &[Passage], keep: Keep) {
        for Passage { channel, side, .. } in passages {
            if let Some(home) = self.homes.get_mut(channel) {
                home.attached.entry(session).or_default()[*side as usize] += 1;
                if keep == Keep::Copy {
                    home.handles[*side as usize] += 1;
                }
            }
        }
    }

    /// Handles held here are dropped: what they were in will not be delivered.
    pub fn release(&mut self, passages: &[Passage], commands: &mut Vec<Command>) {
        for Passage { channel, side, .. } in passages {
            self.count_down(*channel, *side, 1, Gone::Dropped, commands);
        }
    }

    /// A session left of its own will: what it had is dropped.
    pub fn leave(&mut self, session: SessionId, commands: &mut Vec<Command>) {
        self.remove(session, Gone::Dropped, commands);
    }

    /// A session is fenced: nothing it did and was not committed will be seen, and what it had is
    /// lost.
    pub fn fence(&mut self, session: SessionId, cause: &str, commands: &mut Vec<Command>) {
        self.remove(session, Gone::Vanished(cause), commands);
    }

    fn remove(&mut self, session: SessionId, gone: Gone<'_>, commands: &mut Vec<Command>) {
        let concerned: Vec<ChannelId> = self
            .homes
            .iter()
            .filter(|(_, home)| home.attached.contains_key(&session))
            .map(|(channel, _)| *channel)
            .collect();
        for &channel in &concerned {
            let Some(home) = self.homes.get_mut(&channel) else { continue };
            let dead = |waiter: &Waiter| waiter.session == session;
            let dropped = home.chan.fence(dead, &mut |effect| self.effects.push(effect));
            home.parked.retain(|(whose, _), _| *whose != session);
            self.perform(channel, commands);
            for parcel in dropped {
                self.release(&parcel.passages, commands);
            }
        }
        for channel in concerned {
            let Some(home) = self.homes.get_mut(&channel) else { continue };
            let [senders, receivers] = home.attached.remove(&session).unwrap_or_default();
            self.count_down(channel, Side::Send, senders, gone, commands);
            self.count_down(channel, Side::Receive, receivers, gone, commands);
        }
    }

    /// Finds a channel, and checks that the session may start an operation on it.
    fn home(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        side: Side,
        operation: OperationId,
    ) -> Result<&mut Home, Violation> {
        let home = self.homes.get_mut(&channel).ok_or(Violation::NotAttached(channel))?;
        let attached = home.attached.get(&session).ok_or(Violation::NotAttached(channel))?;
        if attached[side as usize] == 0 {
            return Err(Violation::NotAttached(channel));
        }
        if home.parked.contains_key(&(session, operation)) {
            return Err(Violation::Busy(operation));
        }
        home.exporter = None;
        Ok(home)
    }

    /// Handles are gone. Without any of a side the channel ends for the other; without any at all
    /// it is no more.
    fn count_down(
        &mut self,
        channel: ChannelId,
        side: Side,
        count: u32,
        gone: Gone<'_>,
        commands: &mut Vec<Command>,
    ) {
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
        let unread = match side {
            Side::Send => {
                home.chan.finish(gone.end(), note);
                Vec::new()
            }
            Side::Receive => home.chan.desert(gone.end(), note),
        };
        self.perform(channel, commands);
        if self.homes.get(&channel).is_some_and(|home| home.handles == [0, 0]) {
            self.homes.remove(&channel);
        }
        for parcel in unread {
            self.release(&parcel.passages, commands);
        }
    }

    /// Turns what happened to parked operations into frames.
    fn perform(&mut self, channel: ChannelId, commands: &mut Vec<Command>) {
        let mut effects = mem::take(&mut self.effects);
        for Effect { waiter: Waiter { session, operation }, place, turn } in effects.drain(..) {
            let Some(home) = self.homes.get_mut(&channel) else { break };
            if turn != Turn::Offered {
                home.parked.remove(&(session, operation));
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
                    refused.iter().for_each(|parcel| self.release(&parcel.passages, commands));
                    Frame::Refused { operation, end }
                }
            };
            commands.push(Command::send(session, frame));
        }
        // A release above may have had effects of its own, which it performed; keep the larger.
        if self.effects.capacity() < effects.capacity() {
            self.effects = effects;
        }
        self.end_tries(channel, commands);
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
