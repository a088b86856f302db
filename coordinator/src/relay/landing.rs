//! Channels that go home: when all handles of a channel are with one node, it needs no coordinator.
//!
//! States of a channel here: *home* -> *asked* (its node was told; nothing has changed yet) ->
//! *sent* (the node had nothing more to say, and has been sent all that is in it; it is not
//! touched) -> gone. The node may say no at any time, and then it is home, as it was.
//! `settling.rs` of the channels has the node's side, which decides.
//!
//! **When.** A landing costs three frames and the encoding of what is in the channel, and the next
//! handle that leaves takes it all back. So it must be worth it: after a number of operations in a
//! row by the node that has all handles, or if the handles have been together for a tick. Both
//! double with each attempt that the channel has seen in its life, so that a handle that goes to
//! and fro costs less and less, and a channel that has come to rest lands in the end.
//!
//! If the node dies, the channel has no handles, and ends as any other.

use std::collections::BTreeSet;
use std::mem;

use channels::id::{ChannelId, OperationId, SessionId};
use channels::settling::NEVER;
use channels::wire::{CONTENTS_MAX, Contents, End, Frame, HANDLES_MAX, PARCELS_MAX, Parcel, Side};

use super::{Home, Relay, Violation};
use crate::Command;

/// Operations in a row after which a channel lands for the first time.
const OPERATIONS_MIN: u64 = 16;
/// The most that is doubled.
const ATTEMPTS_MAX: u32 = 16;
/// What a channel takes along at most: one frame that does not hold up others for long. If more is
/// in it, it stays until less is.
const BYTES_MAX: usize = 1 << 20;

/// Channels that might land.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Prospects {
    /// Their node is to be asked.
    due: Vec<ChannelId>,
    /// A handle of them came or went since the last tick.
    pub(super) afoot: BTreeSet<ChannelId>,
}

/// What is known of whether a channel should land, and how far that has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Course {
    stage: Stage,
    /// Attempts so far, in its whole life.
    attempts: u32,
    /// The last two sessions that used it or got a handle: if one has all, it is one of them.
    recent: [SessionId; 2],
    /// Operations in a row by the first of them.
    row: u64,
    /// Ticks for which all handles have been together.
    ticks: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Stage {
    #[default]
    Home,
    Asked(SessionId),
    Sent(SessionId),
}

impl Course {
    /// Of a channel that leaves a node.
    pub(super) fn of(exporter: SessionId) -> Self {
        Self { recent: [exporter; 2], ..Self::default() }
    }

    /// The channel is never asked for: what it is cannot be said to a node.
    pub(super) fn stay_for_ever(&mut self) {
        self.attempts = NEVER;
    }

    /// A session uses the channel, or gets a handle of it.
    pub(super) fn note(&mut self, session: SessionId) {
        if self.recent[0] == session {
            self.row += 1;
        } else {
            self.recent = [session, self.recent[0]];
            self.row = 1;
        }
    }

    fn patience(&self) -> u64 {
        1 << self.attempts.min(ATTEMPTS_MAX)
    }
}

impl Relay {
    /// Counts operations by a session. If they are many, the channel may be better off there.
    pub(super) fn note_operations(&mut self, session: SessionId, channel: ChannelId, count: u64) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        home.course.note(session);
        home.course.row += count.saturating_sub(1);
        if home.course.row >= OPERATIONS_MIN * home.course.patience() {
            home.course.row = 0;
            self.prospects.due.push(channel);
        }
    }

    /// Asks nodes that have become due whether a channel may land. Part of every last step.
    pub(super) fn ask_due(&mut self, commands: &mut Vec<Command>) {
        for channel in mem::take(&mut self.prospects.due) {
            self.ask(channel, commands);
        }
    }

    /// Time has passed: channels whose handles have come together may land though nobody uses them.
    pub fn on_tick(&mut self, commands: &mut Vec<Command>) {
        for channel in mem::take(&mut self.prospects.afoot) {
            let cannot = self.owner(channel).is_none() || self.is_leaving(channel);
            let Some(home) = self.homes.get_mut(&channel) else { continue };
            if cannot {
                home.course.ticks = 0;
                continue;
            }
            home.course.ticks += 1;
            if home.course.ticks < home.course.patience() {
                self.prospects.afoot.insert(channel);
            } else {
                self.ask(channel, commands);
            }
        }
    }

    fn ask(&mut self, channel: ChannelId, commands: &mut Vec<Command>) {
        let Some(owner) = self.owner(channel).filter(|_| !self.is_leaving(channel)) else { return };
        let Some(home) = self.homes.get_mut(&channel) else { return };
        if home.course.attempts == NEVER {
            return;
        }
        home.course.stage = Stage::Asked(owner);
        home.course.attempts += 1;
        let landings = home.course.attempts;
        commands.push(Command::send(owner, Frame::Approach { channel, landings }));
    }

    /// The session that has all handles of a channel, of both sides.
    fn owner(&self, channel: ChannelId) -> Option<SessionId> {
        let home = self.homes.get(&channel)?;
        let has_all = |session: &SessionId| {
            [Side::Send, Side::Receive].into_iter().all(|side| {
                let all = home.handles[side as usize];
                all > 0 && self.ledger.handles(*session, channel, side) == all
            })
        };
        home.course.recent.into_iter().find(has_all)
    }

    /// A node answers. Nothing else is left that a node may send.
    pub fn on_landing(
        &mut self,
        session: SessionId,
        frame: Frame,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        match frame {
            Frame::Cleared { channel, landings } => {
                self.on_cleared(session, channel, landings, commands);
                Ok(())
            }
            Frame::Landed { channel, landings } => {
                self.on_landed(session, channel, landings, commands)
            }
            Frame::Keep { channel, landings } => {
                self.on_keep(session, channel, landings, commands);
                Ok(())
            }
            _ => Err(Violation::Unexpected("coordinator's own")),
        }
    }

    /// A node has nothing more to say about a channel: now all is known that is to be known.
    fn on_cleared(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        landings: u32,
        commands: &mut Vec<Command>,
    ) {
        let stage = self.homes.get(&channel).map(|home| (home.course.stage, home.course.attempts));
        if stage != Some((Stage::Asked(session), landings)) {
            return commands.push(Command::send(session, Frame::Stay { channel, landings }));
        }
        // The node has given back what was lent to it, so nothing of it can be on its way.
        for side in [Side::Send, Side::Receive] {
            self.end_liberty(session, channel, side, commands);
        }
        self.settle(commands);
        let is_together = self.owner(channel) == Some(session);
        let home = self.homes.get(&channel).filter(|_| is_together);
        let Some(contents) = home.and_then(|home| contents(home, session)) else {
            commands.push(Command::send(session, Frame::Stay { channel, landings }));
            return self.stay_home(session, channel, landings, commands);
        };
        for value in &contents.values {
            self.count_up(&value.passages);
            self.attach(session, &value.passages);
        }
        if let Some(home) = self.homes.get_mut(&channel) {
            home.course.stage = Stage::Sent(session);
        }
        commands.push(Command::send(session, Frame::Land { channel, landings, contents }));
    }

    /// A channel is at home in its node.
    fn on_landed(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        landings: u32,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let home = self.homes.get(&channel).filter(|home| {
            home.course.stage == Stage::Sent(session) && home.course.attempts == landings
        });
        home.ok_or(Violation::Unexpected("Landed"))?;
        let Some(mut home) = self.homes.remove(&channel) else { return Ok(()) };
        self.ledger.forget(session, channel);
        // The node has handles of its own for those in the values.
        home.chan.empty().into_iter().for_each(|cargo| self.lose(cargo, &End::Closed));
        self.settle(commands);
        Ok(())
    }

    /// A node does not take a channel, or tells of one that was landed before how often that was
    /// tried.
    fn on_keep(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        landings: u32,
        commands: &mut Vec<Command>,
    ) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        if home.exporter == Some(session) && home.course.stage == Stage::Home {
            home.course.attempts = home.course.attempts.max(landings);
        }
        self.stay_home(session, channel, landings, commands);
    }

    /// Nothing comes of an attempt; and now that it is over, the channel lends again.
    fn stay_home(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        landings: u32,
        commands: &mut Vec<Command>,
    ) {
        let Some(home) = self.homes.get_mut(&channel) else { return };
        let is_asked = [Stage::Asked(session), Stage::Sent(session)].contains(&home.course.stage);
        if is_asked && home.course.attempts == landings {
            home.course.stage = Stage::Home;
            (home.course.row, home.course.ticks) = (0, 0);
            self.prospects.afoot.insert(channel);
            self.perform(channel, commands);
            self.settle(commands);
        }
    }

    /// Whether a channel is on its way to a node, as far as is known. A node that is dead has
    /// nothing to say any more.
    pub(super) fn is_leaving(&self, channel: ChannelId) -> bool {
        let stage = self.homes.get(&channel).map(|home| home.course.stage);
        match stage {
            None | Some(Stage::Home) => false,
            Some(Stage::Asked(session) | Stage::Sent(session)) => self.ledger.is_open(session),
        }
    }
}

/// All that is in a channel, if it is not too much.
fn contents(home: &Home, session: SessionId) -> Option<Contents> {
    let survey = home.chan.survey();
    let is_try = |operation: OperationId| home.tries.contains(&(session, operation));
    // What was kept for a select is not to be had elsewhere until that has answered.
    let mut anew = home.watches.unasked()?;
    let mut values: Vec<&Parcel> = survey.sent.iter().map(|cargo| &cargo.parcel).collect();
    let (mut sends, mut receives) = (Vec::new(), Vec::new());
    // Of one who has given its handles back a value may still be on offer: the answer is awaited.
    let mut waiters = survey.sends.iter().map(|(waiter, _)| waiter).chain(&survey.receives);
    if waiters.any(|waiter| waiter.session != session) {
        return None;
    }
    // Nor could a node be told how often a value was on lease, or that it is.
    if home.chan.has_leases() || survey.sent.iter().any(|cargo| cargo.attempts > 0) {
        return None;
    }
    for (waiter, cargo) in &survey.sends {
        if is_try(waiter.operation) {
            anew.push(waiter.operation);
        } else {
            sends.push(waiter.operation);
            values.push(&cargo.parcel);
        }
    }
    for waiter in &survey.receives {
        let list = if waiter.select == 0 { &mut receives } else { &mut anew };
        list.push(waiter.operation);
    }
    let bytes: usize = values.iter().map(|parcel| parcel.payload.len()).sum();
    let handles: usize = values.iter().map(|parcel| parcel.passages.len()).sum();
    let operations = [sends.len(), receives.len(), anew.len()];
    let is_much = bytes > BYTES_MAX || handles > HANDLES_MAX || values.len() > PARCELS_MAX;
    if is_much || operations.into_iter().any(|count| count > CONTENTS_MAX) {
        return None;
    }
    let [senders, receivers] = home.handles;
    let values = values.into_iter().cloned().collect();
    let end = home.chan.ended().cloned();
    Some(Contents { senders, receivers, values, sends, receives, anew, end })
}
