//! Channels that are about to come home to this node, as the node sees them. Pure.
//!
//! When all handles of a channel are with one node, its home moves there. The home asks first
//! (`Approach`); from the answer (`Cleared`) on the node sends nothing about the channel: it holds
//! back what its tasks want. So the home, when it has the answer, knows exactly what the node
//! knows, sends all of it (`Land`), and touches the channel no more. The node then takes the
//! channel over (`Landed`), or not (`Keep`). It alone decides, once, so the two never cross.
//!
//! States of a channel here: *away* -> *approaching* (its frames are held back) -> *landing* (what
//! is in it has come too) -> *deciding* (a thread decodes that) -> at home, and forgotten here.
//! From each it may go back to *away*, and what was held back leaves, in order:
//!
//! - the home finds that a handle was on its way elsewhere after all (`Stay`);
//! - a handle leaves this node, or the last one of a side is dropped (`Keep`, then the frame that
//!   carries it);
//! - a value cannot be decoded.
//!
//! What the home has lent (`flow.rs`) goes back before the answer, and nothing is lent from the
//! question on; so the home knows what is sent and what is not, as if nothing ever had been.
//!
//! Nothing bounces: an operation that was held back has not left, and begins anew in the channel as
//! it is here. If the node dies at any point, nobody else had a handle.

use std::collections::{BTreeMap, VecDeque};

use crate::chunks::Outbox;
use crate::id::{ChannelId, OperationId};
use crate::wire::{Contents, Frame, Parcel, Passage};

/// Said after `Export` of a channel that is never to come home: as often as nothing is tried.
pub const NEVER: u32 = u32::MAX;

/// Where frames go that leave.
pub trait Departures {
    /// After all others.
    fn push_back(&mut self, frame: Frame);
    /// The last, if it has not left.
    fn back_mut(&mut self) -> Option<&mut Frame>;
}

impl Departures for VecDeque<Frame> {
    fn push_back(&mut self, frame: Frame) {
        self.push_back(frame);
    }

    fn back_mut(&mut self) -> Option<&mut Frame> {
        self.back_mut()
    }
}

impl Departures for Outbox {
    fn push_back(&mut self, frame: Frame) {
        self.push_back(frame);
    }

    fn back_mut(&mut self) -> Option<&mut Frame> {
        self.back_mut()
    }
}

/// The channels that are not simply away.
#[derive(Clone, PartialEq, Hash, Debug, Default)]
pub struct Settling {
    approaches: BTreeMap<ChannelId, Approach>,
    /// Handles that are in values being encoded, or in frames held back.
    departing: BTreeMap<ChannelId, u32>,
    /// How many `Detach` have left.
    detaches: u64,
}

#[derive(Clone, PartialEq, Hash, Debug)]
struct Approach {
    landings: u32,
    held: Vec<Frame>,
    stage: Stage,
}

#[derive(Clone, PartialEq, Hash, Debug)]
enum Stage {
    Approaching,
    Landing(Box<Contents>),
    Deciding,
}

/// Where a channel is on its way home.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It is not on its way.
    Away,
    /// Nothing may be taken from it now.
    Approaching,
    /// Whoever wants something of it should take it over first: [`Settling::begin`].
    Landing,
}

/// What became of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Passed {
    /// It left.
    Out,
    /// It is held back.
    Held,
    /// It is held back, and the channel only waits to be taken over.
    HeldInLanding,
    /// It left, and made a channel stay away: who waits for it should look again.
    Diverted,
}

/// What was held back of a channel that is here now: it has not happened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Unbegun {
    /// Closes. They happen also if nobody waits for the answer.
    pub closes: Vec<OperationId>,
    /// All other operations.
    pub others: Vec<OperationId>,
}

impl Passed {
    /// Whether it is held back.
    pub fn is_held(self) -> bool {
        matches!(self, Self::Held | Self::HeldInLanding)
    }
}

impl Settling {
    /// Whether no channel is on its way, and no handle.
    pub fn is_idle(&self) -> bool {
        self.approaches.is_empty() && self.departing.is_empty()
    }

    /// How many `Detach` have left so far. None is held back.
    pub fn detaches(&self) -> u64 {
        self.detaches
    }

    /// Whether a frame about a channel, with these handles in it, leaves and does nothing else.
    pub fn lets_pass(&self, channel: ChannelId, passages: &[Passage]) -> bool {
        self.is_idle() || passages.is_empty() && !self.approaches.contains_key(&channel)
    }

    /// Where a channel is.
    pub fn progress(&self, channel: ChannelId) -> Progress {
        match self.approaches.get(&channel).map(|approach| &approach.stage) {
            None => Progress::Away,
            Some(Stage::Approaching | Stage::Deciding) => Progress::Approaching,
            Some(Stage::Landing(_)) => Progress::Landing,
        }
    }

    /// A handle is in a value that is being encoded.
    pub fn depart(&mut self, channel: ChannelId) {
        *self.departing.entry(channel).or_default() += 1;
    }

    /// It has left in its frame, or will not.
    pub fn departed(&mut self, passages: &[Passage]) {
        for Passage { channel, .. } in passages {
            if let Some(count) = self.departing.get_mut(channel) {
                *count -= 1;
                if *count == 0 {
                    self.departing.remove(channel);
                }
            }
        }
    }

    /// A frame is to leave.
    pub fn pass(&mut self, frame: Frame, out: &mut impl Departures) -> Passed {
        self.detaches += u64::from(matches!(frame, Frame::Detach { .. }));
        if self.is_idle() {
            queue(frame, out);
            return Passed::Out;
        }
        let mut passed = Passed::Out;
        if let Some(channel) = subject(&frame)
            && let Some(approach) = self.approaches.get_mut(&channel)
        {
            if !matches!(frame, Frame::Detach { .. }) {
                approach.held.push(frame);
                return match approach.stage {
                    Stage::Landing(_) => Passed::HeldInLanding,
                    Stage::Approaching | Stage::Deciding => Passed::Held,
                };
            }
            self.keep(channel, out);
            passed = Passed::Diverted;
        }
        let leaving: Vec<ChannelId> = frame
            .parcels()
            .iter()
            .flat_map(|parcel| &parcel.passages)
            .map(|passage| passage.channel)
            .filter(|channel| self.approaches.contains_key(channel))
            .collect();
        for channel in leaving {
            self.keep(channel, out);
            passed = Passed::Diverted;
        }
        for parcel in frame.parcels() {
            self.departed(&parcel.passages);
        }
        queue(frame, out);
        passed
    }

    /// `Approach` came; `is_here` if the node has the channel. If it may come, all goes back first
    /// that the home has lent.
    pub fn on_approach(
        &mut self,
        channel: ChannelId,
        landings: u32,
        is_here: bool,
        give_back: impl FnOnce() -> Vec<Frame>,
        out: &mut impl Departures,
    ) {
        if !is_here || self.departing.contains_key(&channel) {
            out.push_back(Frame::Keep { channel, landings });
            return;
        }
        let approach = Approach { landings, held: Vec::new(), stage: Stage::Approaching };
        self.approaches.insert(channel, approach);
        give_back().into_iter().for_each(|frame| out.push_back(frame));
        out.push_back(Frame::Cleared { channel, landings });
    }

    /// `Land` came. If it is too late, the handles in its values go back.
    pub fn on_land(
        &mut self,
        channel: ChannelId,
        landings: u32,
        contents: Contents,
        out: &mut impl Departures,
    ) -> Vec<OperationId> {
        let approach = self.approaches.get_mut(&channel);
        let Some(approach) = approach.filter(|approach| approach.landings == landings) else {
            self.give_back(&contents.values, out);
            return Vec::new();
        };
        let lists = [&contents.sends, &contents.receives, &contents.anew];
        let concerned = lists.into_iter().flatten().copied();
        let concerned = concerned.chain(operations(&approach.held)).collect();
        approach.stage = Stage::Landing(Box::new(contents));
        concerned
    }

    /// `Stay` came: the channel is away as before.
    pub fn on_stay(&mut self, channel: ChannelId, landings: u32, out: &mut impl Departures) {
        if self.approaches.get(&channel).is_some_and(|approach| approach.landings == landings)
            && let Some(approach) = self.approaches.remove(&channel)
        {
            self.release(approach.held, out);
        }
    }

    /// The first step of taking a channel over: what is in it is to be decoded. The attempt comes
    /// with it.
    pub fn begin(&mut self, channel: ChannelId) -> Option<(u32, Contents)> {
        let approach = self.approaches.get_mut(&channel)?;
        match std::mem::replace(&mut approach.stage, Stage::Deciding) {
            Stage::Landing(contents) => Some((approach.landings, *contents)),
            other => {
                approach.stage = other;
                None
            }
        }
    }

    /// The last step: from now on the channel is here. Operations that were held back come out.
    /// `None` if a handle leaves, or has left meanwhile, so that it stays away;
    /// [`Settling::give_up`] it then.
    pub fn finish(
        &mut self,
        channel: ChannelId,
        landings: u32,
        out: &mut impl Departures,
    ) -> Option<Unbegun> {
        if self.departing.contains_key(&channel) || !self.is_deciding(channel, landings) {
            return None;
        }
        let Approach { held, .. } = self.approaches.remove(&channel)?;
        for parcel in held.iter().flat_map(Frame::parcels) {
            self.departed(&parcel.passages);
        }
        out.push_back(Frame::Landed { channel, landings });
        let (closes, others) =
            held.into_iter().partition::<Vec<_>, _>(|frame| matches!(frame, Frame::Close { .. }));
        let [closes, others] = [closes, others].map(|frames| operations(&frames).collect());
        Some(Unbegun { closes, others })
    }

    /// Nothing comes of taking a channel over.
    pub fn give_up(&mut self, channel: ChannelId, landings: u32, out: &mut impl Departures) {
        if self.is_deciding(channel, landings) {
            self.keep(channel, out);
        }
    }

    fn is_deciding(&self, channel: ChannelId, attempt: u32) -> bool {
        let approach = self.approaches.get(&channel);
        approach.is_some_and(|Approach { landings, stage, .. }| {
            *landings == attempt && *stage == Stage::Deciding
        })
    }

    /// The channel stays away.
    fn keep(&mut self, channel: ChannelId, out: &mut impl Departures) {
        let Some(Approach { landings, held, stage }) = self.approaches.remove(&channel) else {
            return;
        };
        out.push_back(Frame::Keep { channel, landings });
        if let Stage::Landing(contents) = stage {
            self.give_back(&contents.values, out);
        }
        self.release(held, out);
    }

    fn release(&mut self, held: Vec<Frame>, out: &mut impl Departures) {
        for frame in held {
            let _all_look_again = self.pass(frame, out);
        }
    }

    fn give_back(&mut self, values: &[Parcel], out: &mut impl Departures) {
        for Passage { channel, side, .. } in values.iter().flat_map(|value| &value.passages) {
            let detach = Frame::Detach { channel: *channel, side: *side, arrivals: 1 };
            let _all_look_again = self.pass(detach, out);
        }
    }
}

/// The channel that a node's frame is about, and the operation that it begins, if it does.
///
/// Every frame is named here, so that a new one is not forgotten: what is said of a channel must
/// not pass while it is on its way here.
#[expect(clippy::too_many_lines, reason = "a list, not steps")]
fn about(frame: &Frame) -> Option<(ChannelId, Option<OperationId>)> {
    match frame {
        Frame::Send { channel, operation, .. }
        | Frame::TrySend { channel, operation, .. }
        | Frame::Receive { channel, operation, .. }
        | Frame::TryReceive { channel, operation }
        | Frame::Watch { channel, operation, .. }
        | Frame::Measure { channel, operation }
        | Frame::Close { channel, operation } => Some((*channel, Some(*operation))),
        Frame::CancelSend { channel, .. }
        | Frame::Prepared { channel, .. }
        | Frame::Accept { channel, .. }
        | Frame::Decline { channel, .. }
        | Frame::Abandon { channel, .. }
        | Frame::Prepaid { channel, .. }
        | Frame::Repay { channel, .. }
        | Frame::Ahead { channel, .. }
        | Frame::Took { channel, .. }
        | Frame::Untaken { channel, .. }
        | Frame::Lease { channel, .. }
        | Frame::LeaseEarly { channel, .. }
        | Frame::Return { channel, .. }
        | Frame::Detach { channel, .. } => Some((*channel, None)),
        // Of a channel that nobody else knows yet.
        Frame::Export { .. }
        | Frame::Restore { .. }
        | Frame::RestoreLeased { .. }
        | Frame::Lend { .. }
        | Frame::Strict { .. }
        | Frame::Spawn { .. } => None,
        // Of several channels: the node asks when none of them is on its way.
        Frame::Survey { .. } => None,
        // The answers to the home, and to it alone.
        Frame::Cleared { .. } | Frame::Landed { .. } | Frame::Keep { .. } => None,
        // Made of one that has passed.
        Frame::Chunk { .. } | Frame::Whole { .. } | Frame::Scrap { .. } => None,
        // Of no channel.
        Frame::Hello { .. }
        | Frame::Resume { .. }
        | Frame::Heartbeat {}
        | Frame::Goodbye {}
        | Frame::Abort { .. }
        | Frame::Finished { .. }
        | Frame::Draining { .. }
        | Frame::Unstarted { .. }
        | Frame::CutOff { .. }
        | Frame::Report { .. }
        | Frame::Measures { .. }
        | Frame::Tally { .. }
        | Frame::Began { .. }
        | Frame::Bill { .. }
        | Frame::Inspect { .. }
        | Frame::Flush { .. }
        | Frame::Suspect {}
        | Frame::Asleep { .. }
        | Frame::Awake { .. } => None,
        // The coordinator's.
        Frame::Welcome { .. }
        | Frame::Turned { .. }
        | Frame::Resumed { .. }
        | Frame::Fenced { .. }
        | Frame::Sent { .. }
        | Frame::Refused { .. }
        | Frame::Offer { .. }
        | Frame::Ended { .. }
        | Frame::Closed { .. }
        | Frame::Full { .. }
        | Frame::Empty { .. }
        | Frame::Ready { .. }
        | Frame::Aborted { .. }
        | Frame::Measured { .. }
        | Frame::Surveyed { .. }
        | Frame::Inspected { .. }
        | Frame::Billed { .. }
        | Frame::Flushed { .. }
        | Frame::Credit { .. }
        | Frame::Revoke { .. }
        | Frame::Early { .. }
        | Frame::Recall { .. }
        | Frame::Again { .. }
        | Frame::Probe { .. }
        | Frame::Deadlock { .. }
        | Frame::Run { .. }
        | Frame::Cancel { .. }
        | Frame::Seats { .. }
        | Frame::Shutdown {}
        | Frame::Approach { .. }
        | Frame::Land { .. }
        | Frame::Stay { .. } => None,
    }
}

fn subject(frame: &Frame) -> Option<ChannelId> {
    about(frame).map(|(channel, _)| channel)
}

/// The operations that frames begin.
fn operations(frames: &[Frame]) -> impl Iterator<Item = OperationId> {
    frames.iter().filter_map(|frame| about(frame)?.1)
}

/// Queues a frame, as a part of the last one if both say of the same channel what was taken.
fn queue(frame: Frame, out: &mut impl Departures) {
    if let Some(Frame::Took { channel, first, count }) = out.back_mut()
        && let Frame::Took { channel: same, first: next, count: more } = &frame
        && channel == same
        && *first + u64::from(*count) == *next
    {
        *count += *more;
    } else {
        out.push_back(frame);
    }
}
